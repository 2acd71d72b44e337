"""What can go wrong, as classes and as exit codes, and how it is told in one line."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


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


class NoDaemonError(AdaptError, ConnectionError):
    """No living daemon stands behind the connection file."""

    exit_code = NO_DAEMON


class WireError(AdaptError, ConnectionError):
    """The other end said something that the wire does not allow."""


class ProcessFailed(AdaptError):
    """A managed process ended with a code that is not a success, or by a signal.

    ``returncode`` is negative for a signal, as in :attr:`subprocess.Popen.returncode`.
    """

    def __init__(self, message: str, returncode: int) -> None:
        super().__init__(message)
        self.returncode = returncode


class Canceled(BaseException):
    """The running task was canceled.

    A ``BaseException``, so that ``except Exception`` in an adaptor does not swallow it.
    """


def one_line(text: object) -> str:
    """``text`` with every run of white space, line breaks included, made one blank."""
    return " ".join(str(text).split())


def describe(error: BaseException) -> str:
    """An exception in one line: its kind, and its text if that can be made."""
    name = type(error).__name__
    try:
        return one_line("%s: %s" % (name, error)).rstrip(": ")
    except Exception:
        return name


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
