"""What can go wrong, as classes and as exit codes, and how it is told in one line."""

from __future__ import annotations

import os
import sys
from _collections_abc import AsyncGenerator, Awaitable, Generator

# An editor that reads False here (jedi) does not know what self.config is.
TYPE_CHECKING = bool()  # noqa: UP018
if TYPE_CHECKING:
    from typing import Any, Callable, Generic as Generic, NoReturn

    from typing_extensions import TypeVar  # never run: type checkers bring it along

    from .config import Configuration

    #: The configuration that an adaptor has: ``Adaptor[MyConfiguration]``.
    Config = TypeVar("Config", bound=Configuration, default=Configuration, covariant=True)
else:

    class Plain:
        """In place of ``typing.Generic``, which costs a short command: ``Adaptor[MyConfiguration]`` is a subclass."""

        def __class_getitem__(cls, parameter):
            names = {"__module__": cls.__module__, "_config_cls": parameter}
            return type(cls.__name__, (cls,), names) if parameter else cls

    globals().update(Generic=Plain, Config=None)  # where editors do not see them beside those above


DONE = 0  #: the command did what it was asked
FAILED = 1  #: the adaptor or its application failed
BAD_INPUT = 2  #: bad usage or bad input: nothing was tried
NO_DAEMON = 3  #: there is no daemon to talk to
CANCELED = 4  #: the task was canceled


class Copied(Exception):
    """An error that survives ``copy`` and ``pickle``, whatever arguments it is made with: a process pool tells it."""

    def __reduce__(self) -> tuple[object, ...]:
        reduced: Any = super().__reduce__()
        kind, args, *state = reduced
        return (_copy, (kind, args), *state)


def _copy(kind: type[Exception], args: tuple[object, ...]) -> Exception:
    """An error without a call of its ``__init__``; what that has set follows as its state."""
    base: Any = kind
    while base.__module__ != "builtins":  # the one that makes it; ``kind.__new__`` may be that of another base
        base = base.__base__
    error: Exception = base.__new__(kind, *args)
    error.args = error.args or args  # an OSError with an __init__ of its own has none yet
    return error


class AdaptError(Copied):
    """The root of the toolkit's errors; its text is one line for the person who reads a farm's log."""

    exit_code = FAILED
    #: More for the log, in lines, such as a traceback from elsewhere.
    detail = ""


class InputError(AdaptError, ValueError):
    """Bad usage or bad input: an option, a file or a document that cannot be used as it is."""

    exit_code = BAD_INPUT


class MissingFile(InputError, FileNotFoundError):
    """A file that was named is not there."""


class PartLeftOut(InputError, ImportError):
    """A part of the package is needed that this copy of it does not have."""


def cannot_load(error: Exception) -> InputError:
    """What to tell of a module that cannot be imported here, in one line: the package's own, or Python's."""
    if isinstance(error, InputError):
        return error
    python, name = "the Python at %s" % sys.executable, getattr(error, "name", None) or ""
    if isinstance(error, ModuleNotFoundError) and not name.startswith(str(__package__)):
        return InputError("%s lacks %s: %s needs the whole standard library" % (python, name, __package__))
    return InputError("%s cannot be loaded by %s: %s" % (__package__, python, describe(error)))


def leave_unloaded(caught: Exception) -> NoReturn:
    """Say why the command line cannot be loaded, and exit: nothing that a command speaks with is there."""
    error = cannot_load(caught)
    if "--debug" in sys.argv:
        sys.excepthook(type(caught), caught, caught.__traceback__)
    print("ERROR: %s" % error, file=sys.stderr)
    if {"run", "start"} & {*sys.argv[1:]}:  # all that a farm shows
        print("openjd_fail: %s" % error)
    sys.exit(error.exit_code)


class needed_by:
    """``with needed_by("the command session"):`` where a part may be imported that a copy may be made without."""

    def __init__(self, user: str) -> None:
        self._user = user

    def __enter__(self) -> None:
        """Nothing is to be done before."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raise :class:`PartLeftOut` if it is such a part, and nothing else, that was not found."""
        package, _, part = (isinstance(error, ModuleNotFoundError) and error.name or "").rpartition(".")
        if package == __package__ and part in ("authoring", "compat", "schema"):
            raise PartLeftOut("this copy of %s has no %s/, which %s needs" % (package, part, self._user)) from None


class ProgramNotStarted(AdaptError, OSError):
    """The system cannot start a program."""


class ProgramNotFound(ProgramNotStarted, FileNotFoundError):
    """The program, or the folder to start it in, is not there."""


class ProgramNotAllowed(ProgramNotStarted, PermissionError):
    """The program may not be run, or the folder not be entered."""


#: What the system's errors become when a program is started; all others a :class:`ProgramNotStarted`.
NOT_STARTED: dict[type[BaseException], type[ProgramNotStarted]] = {
    FileNotFoundError: ProgramNotFound,
    PermissionError: ProgramNotAllowed,
}


class NoDaemonError(AdaptError, ConnectionError):
    """No living daemon stands behind the connection file."""

    exit_code = NO_DAEMON


class WireError(AdaptError, ConnectionError):
    """The other end said something that the wire does not allow."""


class TimedOut(AdaptError):
    """What was waited for has not come in time."""


class ProcessFailed(AdaptError):
    """A managed process ended with a code that is not a success, or by a signal: then ``returncode`` is negative."""

    def __init__(self, message: str, returncode: int) -> None:
        super().__init__(message)
        self.returncode = returncode


class Canceled(BaseException):
    """The running task was canceled. An adaptor's ``except Exception`` does not swallow it."""


def as_utf8(text: str) -> str:
    """A text of the system's, read by its locale (``LC_ALL=C`` knows ASCII), read anew as UTF-8 if it is that."""
    try:
        return text if text.isascii() else os.fsencode(text).decode("utf-8")
    except UnicodeError:
        return text


def one_line(text: object) -> str:
    """``text`` with each run of white space as one blank, and ``\\xNN`` for what controls or was a byte, not UTF-8."""
    line = " ".join(as_utf8(str(text)).split())
    return line if line.isprintable() else "".join(map(_shown, line))


def _shown(character: str) -> str:
    hidden = character < " " or "\x7f" <= character < "\xa0" or "\udc80" <= character <= "\udcff"
    return "\\x%02x" % (ord(character) & 0xFF) if hidden else character


def describe(error: BaseException) -> str:
    """An exception in one line: its text if that can be made, behind its kind where it is not the toolkit's own."""
    kind = type(error).__name__
    try:
        text = one_line(error)
    except BaseException:
        return kind
    return text if text and isinstance(error, AdaptError) else ("%s: %s" % (kind, text)).rstrip(": ")


#: How many characters of a traceback are told.
TRACEBACK_LENGTH = 1024 * 1024


def traceback_of(error: BaseException) -> str:
    """The traceback from the author's first frame on; as much of it as can be made."""
    import traceback

    place = error.__traceback__
    own = __name__.rpartition(".")[0] + "."
    while place and place.tb_frame.f_globals.get("__name__", "").startswith(own):
        place = place.tb_next
    place = place or error.__traceback__
    text = describe(error)
    try:
        text = "Traceback (most recent call last):\n%s%s" % ("".join(traceback.format_tb(place)), text)
        text = "".join(traceback.format_exception(type(error), error, place)).rstrip("\n")
    except Exception:  # the chain of what led to it is longer than the stack, or what an author has written fails
        pass
    return text[-TRACEBACK_LENGTH:]


def flush_streams(*streams: Any) -> None:
    """Pass on what was printed, whatever somebody has put in place of the standard streams or of ``streams``."""
    for stream in streams or (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # it is none, is not a stream, was closed, or nobody reads it
            pass


class same_process:
    """``with same_process(report):`` around an author's code: a child that it has forked and that comes out here ends.

    Results, locks and what is to be ended or cleaned up are its parent's.
    """

    def __init__(self, report: Callable[[BaseException], object]) -> None:
        self._report = report
        self._pid = os.getpid()

    def __enter__(self) -> None:
        """Nothing is to be done before."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Leave with the code that an interpreter would have left with."""
        if os.getpid() == self._pid:
            return
        code = DONE if error is None else FAILED
        try:
            if isinstance(error, SystemExit) and isinstance(error.code, (int, type(None))):
                code = (error.code or DONE) & 0xFF
            elif error is not None:
                self._report(error)
            flush_streams()
        finally:
            os._exit(code)


def check_has_run(what: str, returned: object) -> None:
    """Raise :class:`AdaptError` if ``what`` has returned something that somebody would have to run."""
    if isinstance(returned, (Awaitable, Generator, AsyncGenerator, map, filter)):
        getattr(returned, "close", bool)()  # which spares the log a warning
        kind = type(returned).__name__
        raise AdaptError("%s has run nothing, it has returned a %s: write it as a plain function" % (what, kind))


def describe_exit(returncode: int) -> str:
    """How a process ended, in words: ``exited with code 3``, ``was killed by SIGSEGV``."""
    if returncode >= 0:
        return "exited with code %d" % returncode
    import signal

    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = "signal %d" % -returncode
    return "was killed by %s" % name
