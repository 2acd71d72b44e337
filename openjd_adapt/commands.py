"""Every command and option, in one table, and what each command does."""

from __future__ import annotations

import os
import sys

from . import data, session, system
from .daemon import frontend
from .daemon.frontend import answer
from .errors import BAD_INPUT, DONE, NOT_STARTED, AdaptError, InputError, ProgramNotStarted, describe
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

#: What argparse does with an option.
FLAG = "store_true"
ONCE = "store"
MANY = "append"
#: The operand that is all words which follow, as they are.
REST = "COMMAND"

OPTIONS = {
    "--init-data": "the session's data: a JSON or YAML object, or file:// and the path of a file that holds one",
    "--run-data": "the task's data: a JSON or YAML object, or file:// and the path of a file that holds one",
    "--path-mapping-rules": "a pathmapping-1.0 document: JSON or YAML, or file:// and the path of a file",
    "--connection-file": "where the daemon can be reached; else OPENJD_ADAPTOR_SOCKET says it",
    "--config": "a JSON file whose keys go over all other configuration of the adaptor",
    "--timeout": "seconds: how long it may take",
    "--owner": "the id of a process: the daemon stops when that has ended",
    "--idle-timeout": "seconds: stop the daemon when it has had no task for so long (default: never)",
    "--each": "NAME=RANGE: one task for each number, as NAME in its run data; RANGE is such as 1-10:3",
    "--chunk": "each task gets so many numbers of the last --each, as a range such as 1-10",
    "--trace": "write the phases as trace events, which Chrome and Perfetto show, to this file",
    "--kind": "command (one a task) or application (kept open)",
    "--debug": "show the toolkit's own tracebacks",
    "--json": "print JSON",
    "--openjd-adaptor-cli-version": "the expected version of the command line, Major.Minor",
    "--integration-data-interface-version": "the expected version of init data and run data, Major.Minor",
}
HELP = {
    "run": "start, run one task, stop, all in the foreground",
    "daemon": "keep the adaptor open between tasks",
    "daemon start": "start the adaptor in the background; returns when it is ready for tasks",
    "daemon run": "run one task on the daemon",
    "daemon stop": "stop the daemon, whatever state it is in; kills it after --timeout (60 seconds)",
    "daemon cancel": "cancel the running task, which is killed after --timeout (120 seconds)",
    "daemon status": "tell what the daemon is doing",
    "session": "play a whole session as a scheduler would: daemon start, every task, daemon stop",
    "show-config": "print the configuration, and the file that set each key",
    "template": "print a job template for this adaptor: parameters of its schemas, start and stop, one task for each"
    " number",
    "version-info": "print the versions of the interfaces",
    "is-compatible": "tell whether the installed interfaces serve the expected versions (exit code 0 or 2)",
    "new": "write the package NAME of a new adaptor, which works as it is; NAME may be a path, and nothing is"
    " overwritten",
    "compat": "print the folder of openjd-adaptor-runtime's import names; compat -- COMMAND ... runs a command with it",
}


class Command:
    """A command: what it calls, the options it takes beside ``debug``, and what follows its name in an example.

    An option with a star may be repeated. Commands that have an ``operand`` are about no adaptor, and are of the
    package's own command line alone.
    """

    def __init__(self, act: Callable[[App, Options], int], options: str, example: str = "", operand: str = "") -> None:
        self.act = act
        kinds = {"debug": FLAG, "json": FLAG}
        words = options.split() + ["debug"] * (operand != REST)
        self.options = {"--" + word.rstrip("*"): MANY if "*" in word else kinds.get(word, ONCE) for word in words}
        self.example = example
        self.operand = operand


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


def _owner(value: str) -> list[int]:
    """The pid and the start time of a process that lives."""
    pid = int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0
    started = system.start_time(pid) if pid > 1 else 0
    if not started:
        raise InputError("--owner: there is no process %s" % value)
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
    if "--owner" in options:
        spec["owner"] = _owner(options["--owner"])
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

    return play.rehearse(app.command(), app.folder, options)


def _load(app: App) -> type[BaseAdaptor]:
    """The adaptor's class. What an adaptor prints meanwhile is not a part of what the command prints."""
    import contextlib

    with contextlib.redirect_stdout(sys.stderr):
        return app.load()


def _make(app: App, config_files: list[str]) -> BaseAdaptor:
    """An adaptor without init data; as :func:`_load`."""
    import contextlib

    from .daemon.worker import make

    kind = _load(app)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return make(kind, {}, config_files)
    except Exception as error:
        raise AdaptError("%s cannot be made without init data: %s" % (app.name, describe(error))) from error


def _template(app: App, options: Options) -> int:
    from .app import absolute
    from .authoring import template

    (program, *_), what = app.program()
    return answer(template.of_adaptor(app.name, [program, *map(absolute, what)], _load(app)))


def _show_config(app: App, options: Options) -> int:
    import json

    from .config import for_runtime

    adaptor = _make(app, _config(options))
    shown: dict[str, Any] = {"name": app.name}
    for name, manager in (("runtime", for_runtime()), ("adaptor", adaptor.config_manager)):
        built, origins = manager.explain()
        shown[name] = {"config": built.config, "origins": origins}
    return answer(json.dumps(shown, indent=2) + "\n")


def _versions(app: App) -> dict[str, Any]:
    from .adaptor import SemanticVersion

    return {
        "OpenJD Adaptor CLI Version": SemanticVersion.parse(CLI_VERSION),
        "%s Data Interface Version" % app.name: _make(app, []).integration_data_interface_version,
    }


def _version_info(app: App, options: Options) -> int:
    return answer("".join("%s: %s\n" % version for version in _versions(app).items()))


def _is_compatible(app: App, options: Options) -> int:
    from .adaptor import SemanticVersion

    names = ("--openjd-adaptor-cli-version", "--integration-data-interface-version")
    if not all(name in options for name in names):
        raise InputError("is-compatible needs %s" % " and ".join(names))
    code = DONE
    text = ""
    for option, (name, installed) in zip(names, _versions(app).items()):
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
_FILE = "--connection-file connection.json"
_TASK = "--run-data '{\"frame\": 1}'"
COMMANDS = {
    "run": Command(_run, _DATA + " run-data", "--init-data '{}' " + _TASK),
    "daemon start": Command(
        _daemon_start, _DATA + " connection-file timeout idle-timeout owner", _FILE + " --init-data file://init.json"
    ),
    "daemon run": Command(_daemon_run, "run-data connection-file", "%s %s" % (_FILE, _TASK)),
    "daemon stop": Command(_daemon_stop, "connection-file timeout", _FILE),
    "daemon cancel": Command(_daemon_cancel, "connection-file timeout", _FILE + " --timeout 30"),
    "daemon status": Command(_daemon_status, "connection-file json", "--json " + _FILE),
    "session": Command(_session, _DATA + " run-data* each* chunk json trace", "--init-data '{}' --each frame=1-10:3"),
    "show-config": Command(_show_config, "config"),
    "template": Command(_template, "", "> job.template.yaml"),
    "version-info": Command(_version_info, ""),
    "is-compatible": Command(
        _is_compatible,
        "openjd-adaptor-cli-version integration-data-interface-version",
        "--openjd-adaptor-cli-version 0.1 --integration-data-interface-version 0.1",
    ),
    "new": Command(_new, "kind", "my_render --kind application", operand="NAME"),
    "compat": Command(
        _compat, "", "-- blender-openjd run --init-data file://init.yaml --run-data file://run.yaml", operand=REST
    ),
}
