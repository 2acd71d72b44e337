"""The command line: from its words to a command of the table in ``commands``, and to the command's options.

What is spelled exactly is read by the table directly, because a farm runs millions of short commands; argparse, built
from the same table, does the rest: help and errors.
"""

from __future__ import annotations

from .commands import COMMANDS, FLAG, MANY, ONCE, OPTIONS, Command
from .errors import DONE, FAILED, InputError
from .front import answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from .app import App
    from .commands import Options


def read(app: App, arguments: list[str]) -> tuple[Command, Options]:
    """The command and its options by name; asks argparse where something is not spelled exactly."""
    words = 2 if arguments[:1] == ["daemon"] else 1
    command = COMMANDS.get(" ".join(arguments[:words]))
    if command is None:
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
        epilog="Exit codes: 0 done, 1 failed, 2 bad input, 3 no daemon, 4 canceled." + app.hint,
        allow_abbrev=False,
    )
    groups = {"": parser.add_subparsers(metavar="COMMAND", required=True)}
    for name, command in COMMANDS.items():
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
            action = {FLAG: "store_true", ONCE: "store", MANY: "append"}[kind]
            extra: Options = {} if kind == FLAG else {"metavar": option[2:].upper().replace("-", "_")}
            sub.add_argument(option, action=action, help=OPTIONS[option][1], default=argparse.SUPPRESS, **extra)
    found = vars(parser.parse_args(arguments))
    return found.pop("command"), {"--" + name.replace("_", "-"): value for name, value in found.items()}
