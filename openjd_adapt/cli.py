"""The program: from ``sys.argv`` to a command and its exit code, or to what a daemon has started this program for.

Options with their values, as a scheduler gives them, are read by the table in ``commands`` directly, because a farm
runs millions of short commands; argparse, built from the same table, does the rest: flags, help and errors.
"""

from __future__ import annotations

import os
import sys

from . import errors, system
from .app import App, adaptor_name, load_adaptor
from .commands import ACTIONS, COMMANDS, HELP, ONCE, OPTIONS, REST, Command
from .daemon.frontend import answer, tell
from .errors import CANCELED, DONE, FAILED, AdaptError, InputError, one_line
from .session import fail
from .system import interpreter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from .commands import Options


def read(app: App, arguments: list[str]) -> tuple[Command, Options]:
    """The command and its options by name; argparse reads what is more than options that each have a value."""
    words = 1 + (arguments[:1] == ["daemon"])
    command = COMMANDS.get(" ".join(arguments[:words]))
    names, values = arguments[words::2], arguments[words + 1 :: 2]
    if command is None or command.operand or len(names) != len(values):
        return _ask_argparse(app, arguments)
    if any(command.options.get(name) != ONCE for name in names) or any(value.startswith("--") for value in values):
        return _ask_argparse(app, arguments)
    return command, dict(zip(names, values))


def _ask_argparse(app: App, arguments: list[str]) -> tuple[Command, Options]:
    """Show help, or raise :class:`InputError` with what is wrong."""
    import argparse

    class Parser(argparse.ArgumentParser):
        def __init__(self, **options: Any) -> None:
            super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options)

        def error(self, message: str) -> NoReturn:
            raise InputError("%s: %s (see --help)" % (self.prog, message))

        def _print_message(self, message: str, file: object = None) -> None:
            if answer(message) != DONE:
                raise SystemExit(FAILED)

    parser = Parser(
        prog=app.title,
        description="Runs the adaptor %s." % app.name,
        epilog="Exit codes: 0 done, 1 failed, 2 bad input, 3 no daemon, 4 canceled.",
    )
    groups = {"": parser.add_subparsers(metavar="COMMAND", required=True)}
    for name, command in COMMANDS.items():
        if command.operand and app.has_adaptor:
            continue
        group, _, word = name.rpartition(" ")
        if group not in groups:
            inner = groups[""].add_parser(group, help=HELP[group], description=HELP[group])
            groups[group] = inner.add_subparsers(metavar="COMMAND", required=True)
        sub = groups[group].add_parser(
            word,
            help=HELP[name],
            description=HELP[name][0].upper() + HELP[name][1:] + ".",
            epilog=("Example: %s %s %s" % (parser.prog, name, command.example)).rstrip(),
        )
        sub.set_defaults(command=command)
        if command.operand:
            sub.add_argument(command.operand, nargs=argparse.REMAINDER if command.operand == REST else None)
        for option, kind in command.options.items():
            sub.add_argument(option, action=kind, help=OPTIONS[option], default=argparse.SUPPRESS)
    found = vars(parser.parse_args(arguments))
    names = {option[2:].replace("-", "_"): option for option in OPTIONS}
    return found.pop("command"), {names.get(name, name): value for name, value in found.items()}


def main() -> int:
    """The command line of the package itself, which is told the adaptor; returns the command's exit code."""
    arguments = sys.argv[1:]
    name, separator, value = "".join(arguments[:1]).partition("=")
    if name != "--adaptor":
        return run(App("ADAPTOR", _no_adaptor, arguments, has_adaptor=False))
    if not separator:
        value = "".join(arguments[1:2])
    return run(App(adaptor_name(value), lambda: load_adaptor(value), arguments[1 if separator else 2 :]))


def _no_adaptor() -> NoReturn:
    raise InputError("no adaptor: begin with --adaptor package.module:Class or --adaptor path/to/file.py")


def run(app: App) -> int:
    """Run one command; returns its exit code. A process that was started for another role plays that, and ends here."""
    system.ensure_standard_descriptors()
    code = _run(app)
    system.finish(code)
    return code


def _run(app: App) -> int:
    words = app.words
    try:
        interpreter.take_role()
        if interpreter.role in (interpreter.WORKER, interpreter.KEEPER):
            _serve(app)
        with errors.needed_by("the command " + "".join(words[:1])):
            command, options = read(app, words)
            if interpreter.role and command is COMMANDS["session"]:
                raise InputError("this session plays itself: the script runs the command session, whatever it is given")
            return command.act(app, options)
    except KeyboardInterrupt:
        return CANCELED
    except (AdaptError, ImportError, SyntaxError) as caught:
        error = caught if isinstance(caught, AdaptError) else errors.cannot_load(caught)
        if interpreter.role == interpreter.WORKER and error is caught:
            raise  # to whoever has called EntryPoint.start() in an adaptor's hook
        if "--debug" in words and "--" not in words:  # behind it stands another command
            tell("ERROR: " + errors.traceback_of(caught))
        for line in (error, *error.detail.splitlines()):
            tell("ERROR: " + one_line(line))
        if " ".join(words[: 1 + (words[:1] == ["daemon"])]) in ACTIONS and error.exit_code != CANCELED:
            tell(fail(error), 1)  # all that a farm shows
        return error.exit_code


def _serve(app: App) -> NoReturn:
    """Play the role that this process was started for, and end: the rest of the script is for the command."""
    if interpreter.role == interpreter.WORKER:
        from .daemon.worker import serve

        serve(app.load, app.on_bootstrap_complete)
    from .daemon import launch_windows

    launch_windows.serve()
    system.finish(DONE)
    os._exit(DONE)
