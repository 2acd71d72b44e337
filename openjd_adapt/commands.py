"""Every command and its options, in one table, and what each command does; their help is in ``usage``."""

from __future__ import annotations

import os
import sys

from . import data, session, system
from .daemon import frontend
from .daemon.frontend import answer
from .errors import BAD_INPUT, DONE, NOT_STARTED, AdaptError, InputError, ProgramNotStarted, describe, one_line
from .system.interpreter import KEEPER, PACKAGE, WORKER
from .transport import connection_file
from .transport.wire import STOP_SECONDS, as_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .adaptor import BaseAdaptor
    from .app import App
    from .transport.wire import Message

    Options = dict[str, Any]


#: The version of this command line.
CLI_VERSION = "0.1"

#: How an option is read: it stands alone, has a value, or may be repeated with another one.
FLAG, ONCE, MANY = "flag", "once", "many"
#: The operand that is all words which follow, as they are.
REST = "[-- COMMAND ...]"


class Command:
    """A command: what it calls, and the options it takes beside ``debug``.

    An option with a star may be repeated. Commands that have an ``operand`` are about no adaptor, and are of the
    package's own command line alone.
    """

    def __init__(self, act: Callable[[App, Options], int], options: str, operand: str = "") -> None:
        self.act = act
        kinds = dict.fromkeys(("debug", "json", "keep-going"), FLAG)
        words = options.split() + ["debug"] * (operand != REST)
        self.options = {"--" + word.rstrip("*"): MANY if "*" in word else kinds.get(word, ONCE) for word in words}
        self.operand = operand


#: Where an agent says for all its sessions whom their daemons end with.
OWNER_VARIABLE = "OPENJD_ADAPT_OWNER"


def _timeout(options: Options, default: float | None, option: str = "--timeout") -> float | None:
    if option not in options:
        return default
    try:
        seconds = float(options[option])
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < 1e9:
        raise InputError("%s: %r is not a number of seconds above 0" % (option, options[option]))
    return seconds


def _owner(options: Options) -> list[int] | None:
    """The pid and the start time of a process that lives, if one is named."""
    named = "--owner" in options
    value = str(options["--owner"] if named else os.environ.get(OWNER_VARIABLE, "")).strip()
    if not (named or value):
        return None
    pid = int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0
    started = system.start_time(pid) if pid > 1 else 0
    if not started:
        raise InputError("%s: there is no process %s" % ("--owner" if named else OWNER_VARIABLE, value))
    return [pid, started]


def _connection_path(options: Options) -> str:
    path = options.get("--connection-file") or os.environ.get(frontend.SOCKET_VARIABLE)
    if not path:
        raise InputError("no daemon named: give --connection-file or set %s" % frontend.SOCKET_VARIABLE)
    return _full(path)


def _full(path: str) -> str:
    return system.long_path(data.full_path(path))


def _data(options: Options, option: str) -> tuple[dict[str, Any], bytes, str]:
    """The object that an option gives, empty without it; its JSON, which nobody makes again; and where it is from."""
    value = options.get(option, "{}")
    found, source = data.load(option, value), data.source(option, value)
    return found, as_json(found, source + ": "), source


def _config(options: Options) -> list[str]:
    """The files that ``--config`` names, and that must be there."""
    value = options.get("--config")
    if value is None:
        return []
    full = _full(data.path_of(value))
    if not os.path.isfile(full):
        reason = "is not a regular file" if os.path.exists(full) else "there is no such file"
        raise InputError("--config: %s: %s" % (data.path_of(value), reason))
    return [full]


# Commands


def _launch_spec(app: App, options: Options, place: str | None = None) -> Message:
    """What the keeper is to do; all that the options hold is checked here, before anything is started.

    ``place`` is a folder for the private one where there is no other.
    """
    from .config import for_runtime
    from .paths import rules_from_document

    _, init_data, source = _data(options, "--init-data")
    rules, path_mapping, rules_source = _data(options, "--path-mapping-rules")
    rules_from_document(rules, rules_source)
    runtime = for_runtime().build_config().config
    return {
        "config": _config(options),
        "adaptor": app.name,
        "argv": app.of_role(WORKER),
        "keeper_argv": app.of_role(KEEPER),
        "argv_folder": app.folder,
        "folder": connection_file.new_private_folder(session.folder(), place),
        "listen_at": None,
        "idle_seconds": None,
        "owner": None,
        "memory_bytes": runtime["output_memory_bytes"],
        "limit_bytes": runtime["output_limit_bytes"],
        "data": {"init_data": init_data, "path_mapping": path_mapping},
        "init_data_from": source,
        "debug": "--debug" in options,
        "log_level": runtime["log_level"],
        "token": os.urandom(16).hex(),
    }


def _run(app: App, options: Options) -> int:
    spec = _launch_spec(app, options)
    _, spec["data"]["run_data"], spec["run_data_from"] = _data(options, "--run-data")
    return frontend.run(spec)


def _daemon_start(app: App, options: Options) -> int:
    timeout = _timeout(options, app.start_timeout)
    path = options.get("--connection-file")
    folder = session.folder()
    if not path and folder:
        path = os.path.join(folder, "openjd_adapt-%s-%d.json" % (app.name, os.getpid()))
    path = path and _full(path)
    spec = _launch_spec(app, options, path and os.path.dirname(path))
    spec["idle_seconds"] = _timeout(options, None, "--idle-timeout")
    spec["owner"] = _owner(options)
    spec["listen_at"] = path or os.path.join(spec["folder"], connection_file.UNNAMED)
    return frontend.start(spec, timeout, connection_file.clear_for_start(spec["listen_at"], frontend.put))


def _daemon_run(app: App, options: Options) -> int:
    return frontend.run_task(_connection_path(options), *_data(options, "--run-data")[1:])


def _daemon_stop(app: App, options: Options) -> int:
    return frontend.stop(_connection_path(options), _timeout(options, None) or STOP_SECONDS)


def _daemon_cancel(app: App, options: Options) -> int:
    return frontend.cancel(_connection_path(options), _timeout(options, None))


def _daemon_status(app: App, options: Options) -> int:
    return frontend.status(_connection_path(options), "--json" in options)


def _session(app: App, options: Options) -> int:
    from .authoring import play

    return play.rehearse(app.command(), app.folder, options, app.name, _owner(options))


def load(app: App) -> type[BaseAdaptor]:
    """The adaptor's class. What an adaptor prints meanwhile is not a part of what the command prints."""
    import contextlib

    with contextlib.redirect_stdout(sys.stderr):
        return app.load()


def _make(app: App, config_files: list[str]) -> BaseAdaptor:
    """An adaptor without init data; as :func:`load`."""
    import contextlib

    from .daemon.worker import make

    kind = load(app)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return make(kind, {}, config_files)
    except Exception as error:
        raise AdaptError("%s cannot be made without init data: %s" % (app.name, describe(error))) from error


def _template(app: App, options: Options) -> int:
    from .app import absolute
    from .authoring import template

    (program, *_), what = app.program()
    return answer(template.of_adaptor(app.name, [program, *map(absolute, what)], load(app)))


def _show_config(app: App, options: Options) -> int:
    """As YAML: the toolkit's keys at the top, as scripts expect that were written for the reference."""
    import json

    from . import yaml
    from .config import for_runtime

    def quoted(value: Any) -> str:
        is_word = isinstance(value, str) and value.isascii() and value.replace("_", "").isalnum()
        return value if is_word and yaml.loads(value) == value else json.dumps(value)

    managers = {"runtime": for_runtime(), "adaptor": _make(app, _config(options)).config_manager}
    found = {name: manager.explain() for name, manager in managers.items()}
    if "--json" in options:
        shown = {name: {"config": built.config, "origins": origins} for name, (built, origins) in found.items()}
        return answer(json.dumps({"name": app.name, **shown}, indent=2) + "\n")
    text = "# The toolkit's configuration, and the adaptor's; behind each key what has set it.\n"
    for name, (built, origins) in found.items():
        indent = "  " if name == "adaptor" else ""
        text += "adaptor:\n" if indent else ""
        for key, value in sorted(built.config.items()):
            text += "%s%s: %s  # %s\n" % (indent, quoted(key), quoted(value), one_line(origins.get(key, "")))
    return answer(text)


def versions(app: App) -> dict[str, Any]:
    from .adaptor import SemanticVersion

    return {
        "OpenJD Adaptor CLI Version": SemanticVersion.parse(CLI_VERSION),
        "%s Data Interface Version" % app.name: _make(app, []).integration_data_interface_version,
    }


def _version_info(app: App, options: Options) -> int:
    return answer("".join("%s: '%s'\n" % version for version in versions(app).items()))  # as text of YAML


def _is_compatible(app: App, options: Options) -> int:
    from .adaptor import SemanticVersion

    names = ("--openjd-adaptor-cli-version", "--integration-data-interface-version")
    if not all(name in options for name in names):
        raise InputError("is-compatible needs %s" % " and ".join(names))
    code = DONE
    text = ""
    for option, (name, installed) in zip(names, versions(app).items()):
        try:
            expected = SemanticVersion.parse(options[option])
        except ValueError as error:
            raise InputError("%s: %s" % (option, error)) from None
        fits = installed.has_compatibility_with(expected)
        code = code if fits else BAD_INPUT
        judgement = "ok" if fits else "incompatible"
        text += "%s: %s is installed, %s is expected: %s\n" % (name, installed, expected, judgement)
    return answer(text) or code


def _new(app: App, options: Options) -> int:
    from .authoring import scaffold

    return scaffold.new(options["NAME"], options.get("--kind", "command"))


def _compat(app: App, options: Options) -> int:
    """Print what PYTHONPATH must have for ``import openjd.adaptor_runtime`` to get this package, or run the command
    that stands behind ``--`` with it.

    Raises :class:`InputError` for anything else, :class:`ProgramNotStarted` if the command cannot be started.
    """
    from importlib import import_module

    import_module(".compat", __package__)  # a folder: nothing is run, and this fails where this copy has none
    folder = os.path.join(PACKAGE, "compat")
    if not options[REST]:
        return answer(folder + "\n")
    mark, *command = options[REST]
    if mark != "--" or not command:
        raise InputError("compat: give nothing, or -- and a command; not %s" % " ".join(options[REST]))
    places = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    others = [place for place in places if place and place != folder]
    try:
        return system.hand_over(command, {**os.environ, "PYTHONPATH": os.pathsep.join([folder, *others])})
    except OSError as error:
        kind = NOT_STARTED.get(type(error), ProgramNotStarted)
        raise kind("compat: cannot run %s: %s" % (command[0], error.strerror)) from None


#: The commands that a scheduler's actions run; one that fails tells why.
ACTIONS = ("run", "daemon start", "daemon run", "daemon stop")
_DATA = "init-data path-mapping-rules config"
COMMANDS = {
    "run": Command(_run, _DATA + " run-data"),
    "daemon start": Command(_daemon_start, _DATA + " connection-file timeout idle-timeout owner"),
    "daemon run": Command(_daemon_run, "run-data connection-file"),
    "daemon stop": Command(_daemon_stop, "connection-file timeout"),
    "daemon cancel": Command(_daemon_cancel, "connection-file timeout"),
    "daemon status": Command(_daemon_status, "connection-file json"),
    "session": Command(_session, _DATA + " run-data* each* chunk part continue keep-going owner json trace"),
    "show-config": Command(_show_config, "config json"),
    "template": Command(_template, ""),
    "version-info": Command(_version_info, ""),
    "is-compatible": Command(_is_compatible, "openjd-adaptor-cli-version integration-data-interface-version"),
    "new": Command(_new, "kind", "NAME"),
    "compat": Command(_compat, "", REST),
}
