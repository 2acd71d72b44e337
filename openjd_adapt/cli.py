"""The program: from ``sys.argv`` to a command and its exit code, or to what a daemon has started this program for."""

from __future__ import annotations

import os
import sys

from . import errors, system
from .app import App, adaptor_name, load_adaptor
from .commands import ACTIONS, COMMANDS, FLAG, MANY, REST, Command
from .daemon.frontend import tell
from .errors import CANCELED, DONE, AdaptError, InputError, one_line
from .session import fail
from .system import interpreter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from .commands import Options


def read(app: App, arguments: list[str]) -> tuple[Command, Options]:
    """The command and its options by name; raises :class:`InputError` with what is wrong, and leaves with help.

    ``argparse`` would cost each of a farm's millions of short commands a third of an interpreter's start; what only
    people need costs them nothing.
    """
    group = "daemon" if arguments[:1] == ["daemon"] else ""
    words = 2 if group else 1
    name = " ".join(arguments[:words])
    command = COMMANDS.get(name)
    if command is None or (command.operand and app.has_adaptor):
        _leave(app, group, "".join(arguments[words - 1 : words]))
    options: Options = {}
    rest = arguments[words:]
    if command.operand == REST and rest[:1] not in (["-h"], ["--help"]):
        return command, {REST: rest}
    following = iter(rest)
    for word in following:
        option, joined, value = word.partition("=")
        kind = command.options.get(option)
        if kind == FLAG and not joined:
            options[option] = True
        elif kind and kind != FLAG:
            if not joined:
                value = next(following, "--")
            if value.startswith("--") and not joined:
                raise InputError("%s: %s: a value must follow (see %s --help)" % (name, option, name))
            options[option] = [*options.get(option, ()), value] if kind == MANY else value
        elif command.operand and command.operand not in options and not word.startswith("-"):
            options[command.operand] = word
        else:
            _leave(app, name, word)
    if command.operand and command.operand not in options:
        raise InputError("%s: give a %s (see %s --help)" % (name, command.operand, name))
    return command, options


def _leave(app: App, name: str, word: str) -> NoReturn:
    """What a person asks for, or has misspelled, behind ``name``."""
    from . import usage  # costs another start of an interpreter

    usage.leave(app, name, word)


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
