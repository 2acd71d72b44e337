"""Linux and macOS: the process of an adaptor, as its keeper starts it. See ``system`` for the contract."""

from __future__ import annotations

import _socket  # as in posix_endpoint
import os
import sys

assert sys.platform != "win32"  # for type checkers

from . import interpreter
from .posix_children import kill_children
from .posix_ledger import Ledger
from .posix_signal import signal
from .posix_streams import close_inherited
from .posix_tree import has_ended

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from .posix import Bell

__all__ = ["CHILD_SIGNALS", "FORKS", "Worker", "settle", "worker_control", "worker_groups"]

#: Whether guardian and keeper can be forked.
FORKS = True

#: What tells of the end of a process's children.
CHILD_SIGNALS = (signal.SIGCHLD,)

_F_SETPIPE_SZ = 1031
_PIPE_BYTES = 1024 * 1024
#: The descriptors that a worker finds: its end of the control, and a daemon's groups if it has a list of them.
_CONTROL_DESCRIPTOR = 3
_GROUPS_DESCRIPTOR = 4


class Worker:
    """The process of an adaptor, with all below this process: their output, the control, their end."""

    def __init__(self, argv: Sequence[str], bell: Bell, groups: Ledger | None = None) -> None:
        """``bell`` rings when the process has ended (here by SIGCHLD); ``groups`` is for hosts that lose orphans."""
        self._groups = groups
        self._returncode: int | None = None
        self._output, output = os.pipe()
        self.control, theirs = _socket.socketpair()
        self.pid = _spawn(argv, output, [theirs.fileno()] + ([groups.descriptor] if groups else []))
        if groups:
            groups.enter(self.pid)
        os.close(output)
        theirs.close()
        os.set_blocking(self._output, False)

    @property
    def is_contained(self) -> bool:
        """Whether nothing that it starts can escape."""
        return self._groups is None

    def fileno(self) -> int:
        return self._output

    def read(self, size: int) -> bytes:
        """Some of the output, b"" at its end. Raises :class:`BlockingIOError` if there is none now."""
        return os.read(self._output, size)

    def kill(self) -> None:
        """Kill the process alone; :meth:`returncode` tells when that is done."""
        os.kill(self.pid, signal.SIGKILL)

    def returncode(self) -> int | None:
        """How the process has ended, None while it lives. Orphans that have become this process's are taken note of."""
        while self._returncode is None:
            if self._groups and has_ended(self.pid):
                self._groups.kill()
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return None
            if pid == self.pid:
                self._returncode = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
            if pid == 0:
                return None
        return self._returncode

    def end_all(self, patience: float) -> set[int]:
        """Kill all that the process, which has ended, has left; returns what does not die within so many seconds."""
        if self._groups:
            self._groups.cross_out(self.pid)
            self._groups.kill()
        return kill_children(patience=patience)


def settle() -> None:
    """What was sent is with the kernel, which delivers it."""


def worker_control() -> _socket.socket:
    """In the adaptor's process: its end of the control."""
    os.set_inheritable(_CONTROL_DESCRIPTOR, False)
    return _socket.socket(fileno=_CONTROL_DESCRIPTOR)


def worker_groups() -> Ledger:
    """In the adaptor's process: the list of groups, if the keeper says that there is one."""
    os.set_inheritable(_GROUPS_DESCRIPTOR, False)
    return Ledger(_GROUPS_DESCRIPTOR)


def _spawn(argv: Sequence[str], output: int, shared: Sequence[int]) -> int:
    """Start ``argv`` in a session of its own and return its pid.

    It gets /dev/null as its input, ``output`` as its output and error, ``shared`` from descriptor 3 on, and no other.
    """
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        _enlarge(output)  # here, so that the keeper, which lives on, needs no fcntl
        inherited = {0: os.open(os.devnull, os.O_RDONLY), 1: output, 2: output}
        _arrange({**inherited, **dict(enumerate(shared, 3))})
        os.execvpe(argv[0], list(argv), interpreter.environment())
    except OSError as error:
        os.write(2, ("cannot start %s: %s\n" % (argv[0], error.strerror)).encode("utf-8", "replace"))
    finally:
        os._exit(127)


def _enlarge(pipe: int) -> None:
    """Let a pipe hold as much as the system gives without being asked twice."""
    import fcntl

    try:
        fcntl.fcntl(pipe, _F_SETPIPE_SZ, _PIPE_BYTES)
    except OSError:
        pass  # not Linux, or the user's pipes hold much already: the usual size does, too


def _arrange(wanted: dict[int, int]) -> None:
    """Make the descriptors ``wanted`` (target: source) this process's only ones."""
    high = {target: _above(source, len(wanted)) for target, source in wanted.items()}
    for target, source in high.items():
        os.dup2(source, target)
    close_inherited(wanted)


def _above(descriptor: int, floor: int) -> int:
    """A copy of ``descriptor`` that no target of :func:`_arrange` overwrites."""
    import fcntl

    return fcntl.fcntl(descriptor, fcntl.F_DUPFD, floor)
