"""The program: from ``sys.argv`` to a command and its exit code, or to what a daemon has started this program for.

What is spelled exactly is read by the table in ``commands`` directly, because a farm runs millions of short commands;
argparse, built from the same table, does the rest: help and errors.
"""

from __future__ import annotations

import sys

from . import errors, system
from .app import KEEPER, WORKER, App, adaptor_name, load_adaptor
from .commands import COMMANDS, FLAG, MANY, ONCE, OPTIONS, REST, Command
from .daemon.frontend import answer
from .errors import CANCELED, DONE, FAILED, AdaptError, InputError, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from .commands import Options


def read(app: App, arguments: list[str]) -> tuple[Command, Options]:
    """The command and its options by name; asks argparse where something is not spelled exactly."""
    words = 2 if arguments[:1] == ["daemon"] else 1
    command = COMMANDS.get(" ".join(arguments[:words]))
    if command is None or command.operand:
        return _ask_argparse(app, arguments)
    options: Options = {}
    rest = iter(arguments[words:])
    for argument in rest:
        name, separator, value = argument.partition("=")
        if name not in command.options:
            return _ask_argparse(app, arguments)
        kind = command.kind(name)
        if kind == FLAG and not separator:
            options[name] = True
            continue
        following = value if separator else next(rest, None)
        if kind == FLAG or following is None or (not separator and following.startswith("--")):
            return _ask_argparse(app, arguments)
        if kind == MANY:
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

        def _print_message(self, message: str, file: object = None) -> None:
            if answer(message) != DONE:
                raise SystemExit(FAILED)

    parser = Parser(
        prog=app.title,
        description="Runs the adaptor %s." % app.name,
        epilog="Exit codes: 0 done, 1 failed, 2 bad input, 3 no daemon, 4 canceled.",
        allow_abbrev=False,
    )
    groups = {"": parser.add_subparsers(metavar="COMMAND", required=True)}
    for name, command in COMMANDS.items():
        if command.operand and app.has_adaptor:
            continue
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
        if command.operand:
            sub.add_argument(command.operand, nargs=argparse.REMAINDER if command.operand == REST else None)
        for option in command.options:
            kind = command.kind(option)
            action = {FLAG: "store_true", ONCE: "store", MANY: "append"}[kind]
            extra: Options = {} if kind == FLAG else {"metavar": option[2:].upper().replace("-", "_")}
            extra.update(action=action, help=OPTIONS[option][1], default=argparse.SUPPRESS)
            sub.add_argument(option, dest=option, **extra)
    found = vars(parser.parse_args(arguments))
    return found.pop("command"), found


def main() -> None:
    """The command line of the package itself, which is told the adaptor. Exits with the command's code."""
    arguments = sys.argv[1:]
    name, separator, value = arguments[0].partition("=") if arguments else ("", "", "")
    if name != "--adaptor":
        sys.exit(run(App("ADAPTOR", _no_adaptor, [], has_adaptor=False), arguments))
    used = 1 if separator else 2
    value = value if separator else "".join(arguments[1:2])
    sys.exit(run(App(adaptor_name(value), lambda: load_adaptor(value), ["--adaptor", value]), arguments[used:]))


def _no_adaptor() -> NoReturn:
    raise InputError("no adaptor: begin with --adaptor package.module:Class or --adaptor path/to/file.py")


def run(app: App, arguments: list[str]) -> int:
    """Run one command; returns its exit code. Errors of the toolkit become one line on standard error."""
    system.ensure_standard_descriptors()
    if arguments[:1] == [WORKER]:
        from .daemon.worker import serve

        serve(app.load, app.on_bootstrap_complete)
        return DONE
    if arguments[:1] == [KEEPER]:
        from .daemon import launch_windows

        launch_windows.serve()
        system.finish(DONE)
        return DONE

    code = _run(app, arguments)
    system.finish(code)
    return code


def _run(app: App, arguments: list[str]) -> int:
    try:
        with errors.needed_by("the command " + "".join(arguments[:1])):
            command, options = read(app, arguments)
            return command.act(app, options)
    except KeyboardInterrupt:
        return CANCELED
    except AdaptError as error:
        from .daemon.frontend import tell

        if "--debug" in arguments and "--" not in arguments:  # behind it stands another command
            import traceback

            tell(traceback.format_exc().rstrip())
        tell("ERROR: " + one_line(error))
        return error.exit_code
