"""The command line: what may be said, what is called for it, and the exit codes.

Commands and options stand in one table. What is spelled exactly is read from it directly, because a farm runs millions
of short commands; argparse, built from the same table, does the rest: help and errors.
"""

from __future__ import annotations

import os
import sys

from . import data, system
from .errors import BAD_INPUT, DONE, AdaptError, InputError, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, NoReturn

    from .adaptor import BaseAdaptor
    from .keeper import Plan

    Options = Dict[str, Any]

#: The version of this command line.
CLI_VERSION = "0.1"
_WORKER = "_worker"


class App:
    """An adaptor as the command line knows it: not loaded until somebody needs the class."""

    def __init__(
        self,
        name: str,
        load: Callable[[], type[BaseAdaptor]],
        arguments: list[str],
        reentry_exe: str | None = None,
        start_timeout: float | None = None,
        bootstrapped: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self.load = load
        #: What stands before the command on the command line.
        self.arguments = arguments
        self.start_timeout = start_timeout
        self.bootstrapped = bootstrapped
        self._reentry_exe = reentry_exe

    def command(self) -> list[str]:
        """The command line that leads to this adaptor again, without a command of it.

        The module that was run with ``-m``, else the script; with the interpreter's flags.
        """
        if self._reentry_exe:
            return [self._reentry_exe, *self.arguments]
        import subprocess

        flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
        spec = getattr(sys.modules["__main__"], "__spec__", None)
        name = spec.name if spec else "__main__"
        if name == "__main__":
            program = [os.path.abspath(sys.argv[0])]
        else:
            program = ["-m", name[: -len(".__main__")] if name.endswith(".__main__") else name]
        return [sys.executable, *flags, "-u", *program, *self.arguments]


class EntryPoint:
    """The command line of one adaptor class."""

    def __init__(self, adaptor_class: type[BaseAdaptor]) -> None:
        self.adaptor_class = adaptor_class
        #: Called in the adaptor's process when the adaptor is made, before it starts.
        self.on_bootstrap_complete: set[Callable[[], None]] = set()

    def start(self, reentry_exe: Any | None = None, timeout_in_seconds: float | None = None) -> None:
        """Run the command of ``sys.argv``; returns on success, raises :class:`SystemExit` with the code otherwise.

        ``reentry_exe``: the program that leads here again, where that is not this Python with this script.
        ``timeout_in_seconds``: the default of ``daemon start --timeout``.
        """
        app = App(
            self.adaptor_class.__name__,
            lambda: self.adaptor_class,
            [],
            os.fspath(reentry_exe) if reentry_exe else None,
            timeout_in_seconds,
            self._bootstrapped,
        )
        code = run(app, sys.argv[1:])
        if code != DONE:
            raise SystemExit(code)

    def _bootstrapped(self) -> None:
        for act in self.on_bootstrap_complete:
            act()


def main() -> None:
    """The command line of the package itself, which is told the adaptor. Exits with the command's code."""
    arguments = sys.argv[1:]
    name, separator, value = arguments[0].partition("=") if arguments else ("", "", "")
    if name != "--adaptor":
        sys.exit(run(App("ADAPTOR", _no_adaptor, []), arguments))
    used = 1 if separator else 2
    value = value if separator else "".join(arguments[1:2])
    from .loader import adaptor_name, load_adaptor

    sys.exit(run(App(adaptor_name(value), lambda: load_adaptor(value), ["--adaptor", value]), arguments[used:]))


def _no_adaptor() -> NoReturn:
    raise InputError("no adaptor: begin with --adaptor package.module:Class or --adaptor path/to/file.py")


def run(app: App, arguments: list[str]) -> int:
    """Run one command; returns its exit code. Errors of the toolkit become one line on standard error."""
    system.ensure_standard_descriptors()
    if arguments[:1] == [_WORKER]:
        from .worker import serve

        serve(app.load, app.bootstrapped)
        return DONE
    try:
        command, options = _read(app, arguments)
        return command.act(app, options)
    except AdaptError as error:
        if "--debug" in arguments:
            raise
        print("ERROR: %s" % one_line(error), file=sys.stderr, flush=True)
        return error.exit_code


# Options

_FLAG = "flag"
_ONCE = "once"
_MANY = "many"

_OPTIONS: dict[str, tuple[str, str]] = {
    "--init-data": (_ONCE, "the session's data: a JSON object, or file:// and the path of a file that holds one"),
    "--run-data": (_ONCE, "the task's data: a JSON object, or file:// and the path of a file that holds one"),
    "--path-mapping-rules": (_ONCE, "a pathmapping-1.0 document: JSON, or file:// and the path of a file"),
    "--connection-file": (_ONCE, "where the daemon can be reached; else OPENJD_ADAPTOR_SOCKET says it"),
    "--config": (_ONCE, "a JSON file whose keys go over all other configuration of the adaptor"),
    "--timeout": (_ONCE, "seconds: how long it may take"),
    "--each": (_MANY, "NAME=RANGE: one task for each number, as NAME in its run data; RANGE is such as 1-10:3"),
    "--debug": (_FLAG, "show the toolkit's own tracebacks"),
    "--json": (_FLAG, "print JSON"),
    "--openjd-adaptor-cli-version": (_ONCE, "the expected version of the command line, Major.Minor"),
    "--integration-data-interface-version": (_ONCE, "the expected version of init data and run data, Major.Minor"),
}


class Command:
    """A command: what it calls, the options it takes, and its help. Options in ``many`` may be repeated here."""

    def __init__(
        self, act: Callable[[App, Options], int], options: str, text: str, example: str, many: tuple[str, ...] = ()
    ) -> None:
        self.act = act
        self.options = ["--" + option for option in options.split()]
        self.text = text
        self.example = example
        self._many = many

    def kind(self, option: str) -> str:
        return _MANY if option in self._many else _OPTIONS[option][0]


def _read(app: App, arguments: list[str]) -> tuple[Command, Options]:
    """The command and its options by name; asks argparse where something is not spelled exactly."""
    words = 2 if arguments[:1] == ["daemon"] else 1
    command = _COMMANDS.get(" ".join(arguments[:words]))
    if command is None:
        return _ask_argparse(app, arguments)
    options: Options = {}
    rest = iter(arguments[words:])
    for argument in rest:
        name, separator, value = argument.partition("=")
        if name not in command.options:
            return _ask_argparse(app, arguments)
        kind = command.kind(name)
        if kind == _FLAG and not separator:
            options[name] = True
            continue
        following = value if separator else next(rest, None)
        if kind == _FLAG or following is None or (not separator and following.startswith("--")):
            return _ask_argparse(app, arguments)
        if kind == _MANY:
            options.setdefault(name, []).append(following)
        else:
            options[name] = following
    return command, options


def _ask_argparse(app: App, arguments: list[str]) -> tuple[Command, Options]:
    """Show help, or raise :class:`InputError` with what is wrong."""
    import argparse

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:
            raise InputError("%s: %s (see --help)" % (self.prog, message))

    parser = Parser(
        prog=os.path.basename(sys.argv[0]) if not app.arguments else " ".join(["openjd_adapt", *app.arguments]),
        description="Runs the adaptor %s." % app.name,
        epilog="Exit codes: 0 done, 1 failed, 2 bad input, 3 no daemon, 4 canceled.",
        allow_abbrev=False,
    )
    groups = {"": parser.add_subparsers(metavar="COMMAND", required=True)}
    for name, command in _COMMANDS.items():
        group, _, word = name.rpartition(" ")
        if group not in groups:
            text = "keep the adaptor open between tasks"
            inner = groups[""].add_parser(group, help=text, description=text, allow_abbrev=False)
            groups[group] = inner.add_subparsers(metavar="COMMAND", required=True)
        sub = groups[group].add_parser(
            word,
            help=command.text,
            description=command.text[0].upper() + command.text[1:] + ".",
            epilog="Example: %s %s" % (parser.prog, command.example),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        sub.set_defaults(command=command)
        for option in command.options:
            kind = command.kind(option)
            action = {_FLAG: "store_true", _ONCE: "store", _MANY: "append"}[kind]
            extra: Options = {} if kind == _FLAG else {"metavar": option[2:].upper().replace("-", "_")}
            sub.add_argument(option, action=action, help=_OPTIONS[option][1], default=argparse.SUPPRESS, **extra)
    found = vars(parser.parse_args(arguments))
    return found.pop("command"), {"--" + name.replace("_", "-"): value for name, value in found.items()}


def _timeout(options: Options, default: float | None) -> float | None:
    if "--timeout" not in options:
        return default
    try:
        seconds = float(options["--timeout"])
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < 1e9:
        raise InputError("--timeout: %r is no number of seconds above 0" % options["--timeout"])
    return seconds


def _connection_path(options: Options) -> str:
    from .frontend import SOCKET_VARIABLE

    path = options.get("--connection-file") or os.environ.get(SOCKET_VARIABLE)
    if not path:
        raise InputError("no daemon named: give --connection-file or set %s" % SOCKET_VARIABLE)
    return os.path.abspath(path)


# Commands


def _plan(app: App, options: Options, address: Any) -> Plan:
    """What the keeper is to do; all that the options hold is checked here, before anything is started."""
    import binascii

    from .keeper import Plan
    from .paths import rules_from_document

    init_data = data.load("--init-data", options.get("--init-data", "{}"))
    mapping = data.load("--path-mapping-rules", options.get("--path-mapping-rules", "{}"))
    rules_from_document(mapping)
    config = options.get("--config")
    if config is not None and not os.path.isfile(config):
        raise InputError("--config: %s: there is no such file" % config)
    init = {
        "init_data": init_data,
        "path_mapping": mapping,
        "config": [os.path.abspath(config)] if config else [],
        "debug": "--debug" in options,
        "token": binascii.hexlify(os.urandom(16)).decode("ascii"),
    }
    return Plan(app.name, [*app.command(), _WORKER], init, address)


def _run(app: App, options: Options) -> int:
    from . import frontend

    run_data = data.load("--run-data", options.get("--run-data", "{}"))
    return frontend.run(_plan(app, options, None), run_data)


def _daemon_start(app: App, options: Options) -> int:
    from . import channel, frontend

    timeout = _timeout(options, app.start_timeout)
    plan = _plan(app, options, None)
    path = options.get("--connection-file")
    folder = os.environ.get(frontend.SESSION_FOLDER_VARIABLE)
    private = False
    if path:
        path = os.path.abspath(path)
    elif folder:
        path = os.path.join(os.path.abspath(folder), "openjd_adapt-%s-%d.json" % (app.name, os.getpid()))
    else:
        import tempfile

        private = True
        path = os.path.join(tempfile.mkdtemp(prefix="openjd_adapt-"), "connection.json")
    replaced = channel.clear_for_start(path)
    plan.address = channel.Address(path, private)
    return frontend.start(plan, timeout, replaced)


def _daemon_run(app: App, options: Options) -> int:
    from . import frontend

    run_data = data.load("--run-data", options.get("--run-data", "{}"))
    return frontend.run_task(_connection_path(options), run_data)


def _daemon_stop(app: App, options: Options) -> int:
    from . import frontend

    return frontend.stop(_connection_path(options), _timeout(options, 60.0) or 60.0)


def _daemon_cancel(app: App, options: Options) -> int:
    from . import frontend

    return frontend.cancel(_connection_path(options), _timeout(options, None))


def _daemon_status(app: App, options: Options) -> int:
    from . import frontend

    return frontend.status(_connection_path(options), "--json" in options)


def _session(app: App, options: Options) -> int:
    from .authoring import rehearse

    return rehearse(
        app.command(),
        {name: options[name] for name in ("--init-data", "--path-mapping-rules", "--config") if name in options},
        [data.load("--run-data", value) for value in options.get("--run-data", ["{}"])],
        options.get("--each", []),
    )


def _show_config(app: App, options: Options) -> int:
    import json

    from . import config

    if "--config" in options:
        config.command_line_files[:] = [os.path.abspath(options["--config"])]
    managers = {"runtime": config.for_runtime(), "adaptor": app.load()({}).config_manager}
    shown = {
        name: {"config": manager.build_config().config, "origins": manager.origins()}
        for name, manager in managers.items()
    }
    print(json.dumps({"name": app.name, **shown}, indent=2))
    return DONE


def _versions(app: App) -> dict[str, Any]:
    from .versions import SemanticVersion

    return {
        "OpenJD Adaptor CLI Version": SemanticVersion.parse(CLI_VERSION),
        "%s Data Interface Version" % app.name: app.load()({}).integration_data_interface_version,
    }


def _version_info(app: App, options: Options) -> int:
    for name, version in _versions(app).items():
        print("%s: %s" % (name, version))
    return DONE


def _is_compatible(app: App, options: Options) -> int:
    from .versions import SemanticVersion

    names = ("--openjd-adaptor-cli-version", "--integration-data-interface-version")
    code = DONE
    for option, (name, installed) in zip(names, _versions(app).items()):
        if option not in options:
            raise InputError("is-compatible needs %s" % " and ".join(names))
        try:
            expected = SemanticVersion.parse(options[option])
        except ValueError as error:
            raise InputError("%s: %s" % (option, error)) from None
        fits = installed.has_compatibility_with(expected)
        code = code if fits else BAD_INPUT
        print("%s: %s is installed, %s is expected: %s" % (name, installed, expected, "ok" if fits else "incompatible"))
    return code


_DATA = "init-data path-mapping-rules config"
_FILE = "--connection-file connection.json"
_COMMANDS: dict[str, Command] = {
    "run": Command(
        _run,
        _DATA + " run-data debug",
        "start, run one task, stop, all in the foreground",
        "run --init-data '{}' --run-data '{\"frame\": 1}'",
    ),
    "daemon start": Command(
        _daemon_start,
        _DATA + " connection-file timeout debug",
        "start the adaptor in the background; returns when it is ready for tasks",
        "daemon start %s --init-data file://init.json" % _FILE,
    ),
    "daemon run": Command(
        _daemon_run,
        "run-data connection-file debug",
        "run one task on the daemon",
        "daemon run %s --run-data '{\"frame\": 1}'" % _FILE,
    ),
    "daemon stop": Command(
        _daemon_stop,
        "connection-file timeout debug",
        "stop the daemon, whatever state it is in; kills it after --timeout (60 seconds)",
        "daemon stop %s" % _FILE,
    ),
    "daemon cancel": Command(
        _daemon_cancel,
        "connection-file timeout debug",
        "cancel the running task, which is killed after --timeout (120 seconds)",
        "daemon cancel %s --timeout 30" % _FILE,
    ),
    "daemon status": Command(
        _daemon_status, "connection-file json debug", "tell what the daemon is doing", "daemon status --json %s" % _FILE
    ),
    "session": Command(
        _session,
        _DATA + " run-data each debug",
        "play a whole session as a scheduler would: daemon start, every task, daemon stop",
        "session --init-data '{}' --each frame=1-10:3",
        many=("--run-data",),
    ),
    "show-config": Command(
        _show_config, "config debug", "print the configuration, and the file that set each key", "show-config"
    ),
    "version-info": Command(_version_info, "debug", "print the versions of the interfaces", "version-info"),
    "is-compatible": Command(
        _is_compatible,
        "openjd-adaptor-cli-version integration-data-interface-version debug",
        "tell whether the installed interfaces serve the expected versions (exit code 0 or 2)",
        "is-compatible --openjd-adaptor-cli-version 0.1 --integration-data-interface-version 0.1",
    ),
}
