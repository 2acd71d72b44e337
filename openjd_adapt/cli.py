"""The program: from ``sys.argv`` to a command and its exit code, or to what a daemon has started this program for."""

from __future__ import annotations

import sys

from . import system
from .app import KEEPER, WORKER, App, adaptor_name, load_adaptor
from .errors import CANCELED, DONE, AdaptError, InputError, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn


def main() -> None:
    """The command line of the package itself, which is told the adaptor. Exits with the command's code."""
    arguments = sys.argv[1:]
    if arguments and arguments[0] in TOOLS:
        from importlib import import_module

        system.ensure_standard_descriptors()
        tool = import_module("." + TOOLS[arguments[0]], __package__)
        sys.exit(_coded(lambda: tool.run(arguments[1:]), False))
    name, separator, value = arguments[0].partition("=") if arguments else ("", "", "")
    if name != "--adaptor":
        sys.exit(run(App("ADAPTOR", _no_adaptor, [], hint=_HINT), arguments))
    used = 1 if separator else 2
    value = value if separator else "".join(arguments[1:2])
    sys.exit(run(App(adaptor_name(value), lambda: load_adaptor(value), ["--adaptor", value]), arguments[used:]))


#: The commands of the package itself that are about no adaptor, and the modules whose ``run`` they call.
TOOLS = {"compat": "stand_in", "new": "scaffold"}
_HINT = " A new adaptor: new NAME. One that was written for openjd-adaptor-runtime: compat -- COMMAND ..."


def _no_adaptor() -> NoReturn:
    raise InputError("no adaptor: begin with --adaptor package.module:Class or --adaptor path/to/file.py")


def run(app: App, arguments: list[str]) -> int:
    """Run one command; returns its exit code. Errors of the toolkit become one line on standard error."""
    system.ensure_standard_descriptors()
    if arguments[:1] == [WORKER]:
        from .worker import serve

        serve(app.load, app.bootstrapped)
        return DONE
    if arguments[:1] == [KEEPER]:
        from . import windows_launch

        windows_launch.serve()
        system.finish(DONE)
        return DONE

    def act() -> int:
        from .command_line import read

        command, options = read(app, arguments)
        return command.act(app, options)

    code = _coded(act, "--debug" in arguments)
    system.finish(code)
    return code


def _coded(act: Callable[[], int], debug: bool) -> int:
    """The exit code of what ``act`` does; an error of the toolkit is shown, too."""
    try:
        return act()
    except KeyboardInterrupt:
        return CANCELED
    except AdaptError as error:
        from .front import tell

        if debug:
            import traceback

            tell(traceback.format_exc().rstrip())
        tell("ERROR: " + one_line(error))
        return error.exit_code
