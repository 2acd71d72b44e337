"""Windows: the processes of keeper and adaptor, started anew and reached over their pipes. See ``system``.

A socket pair stands in for each pair of pipes, as nothing else can be selected; threads pump between the two. Pipes,
and not sockets, go to the process, as they reach it through whatever launcher stands between (a virtual environment's,
a console script's).
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading

from . import interpreter
from .windows import CANCEL_SIGNALS
from .windows_tree import CREATE_SUSPENDED, OWN_GROUP, Job, kill_below, prepare_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Sequence

    from .windows import Bell

__all__ = [
    "CHILD_SIGNALS",
    "FORKS",
    "Worker",
    "hand_over",
    "settle",
    "start_keeper",
    "starter_of_keeper",
    "worker_control",
]

#: Whether guardian and keeper can be forked: here the keeper is started anew, and there is no guardian.
FORKS = False
#: What tells of the end of a process's children: a thread does.
CHILD_SIGNALS: tuple[int, ...] = ()

_BREAKAWAY = getattr(subprocess, "CREATE_BREAKAWAY_FROM_JOB", 0)
_PUMP_BYTES = 64 * 1024
#: How long, in seconds, output is waited for when all that could write any is dead.
_DRAIN_SECONDS = 2.0


class Worker:
    """The process of an adaptor, with all below this process: their output, the control, their end."""

    def __init__(self, argv: Sequence[str], bell: Bell, groups: None = None) -> None:
        """``bell`` rings when the process has ended."""
        self._job = Job()
        self._process, self.is_contained, control, output = _start(argv, self._job, errors=True)
        self.pid = self._process.pid
        self.control = _socket_for(None, control)
        self._output = _socket_for(output, None)
        self._output.setblocking(False)
        threading.Thread(target=self._tell_end, args=(bell,), name="end of the adaptor", daemon=True).start()

    def _tell_end(self, bell: Bell) -> None:
        self._process.wait()
        bell.ring(b"\0")

    def fileno(self) -> int:
        return self._output.fileno()

    def read(self, size: int) -> bytes:
        """Some of the output, b"" at its end. Raises :class:`BlockingIOError` if there is none now."""
        try:
            return self._output.recv(size)
        except socket.timeout:
            raise BlockingIOError from None
        except ConnectionError:
            return b""

    def kill(self) -> None:
        """Kill the process alone; :meth:`returncode` tells when that is done."""
        self._process.kill()

    def returncode(self) -> int | None:
        """How the process has ended, None while it lives."""
        return self._process.poll()

    def end_all(self, patience: float) -> set[int]:
        """Kill all that the process, which has ended, has left; returns what does not die within so many seconds."""
        self._job.kill()
        if not self.is_contained:
            kill_below(self.pid)
        ended = self._job.wait(patience)
        self._output.settimeout(_DRAIN_SECONDS)
        return set() if ended else {self.pid}


def worker_control() -> socket.socket:
    """In the adaptor's process: its end of the control, which comes over standard input."""
    return _socket_for(_take_over(0), None)


def start_keeper(argv: Sequence[str], foreground: bool) -> tuple[socket.socket, Job | None]:
    """Start a keeper; returns the connection to it and, if it is to die with this process, its job."""
    job = Job() if foreground else None
    _, _, writer, reader = _start(argv, job, errors=False)
    return _socket_for(reader, writer), job


def starter_of_keeper() -> socket.socket:
    """In the keeper's process: its connection to the command that has started it."""
    return _socket_for(_take_over(0), _take_over(1))


def _start(argv: Sequence[str], job: Job | None, errors: bool) -> tuple[subprocess.Popen[bytes], bool, int, int]:
    """Start a process with pipes; returns it, whether all that it will start is in ``job``, and our ends.

    What it reads comes from the first, what it writes to its output (and, if wanted, its errors) goes to the second.
    Without a job it leaves the caller's, if that lets it. The ends are plain descriptors: a file that is closed while a
    thread reads it would block, as at the end of the interpreter.
    """
    their_input, ours = os.pipe()
    output, theirs = os.pipe()
    options: dict[str, Any] = {"stdin": their_input, "stdout": theirs, "close_fds": True}
    options["stderr"] = theirs if errors else subprocess.DEVNULL
    options["env"] = interpreter.environment()
    try:
        if job is None:
            try:
                process = subprocess.Popen(list(argv), creationflags=OWN_GROUP | _BREAKAWAY, **options)
            except OSError:
                process = subprocess.Popen(list(argv), creationflags=OWN_GROUP, **options)
            return process, False, ours, output
        from . import win32

        process = subprocess.Popen(list(argv), creationflags=OWN_GROUP | CREATE_SUSPENDED, **options)
        handle = int(process._handle)  # type: ignore[attr-defined, unused-ignore]
        contained = job.assign(handle)
        win32.ResumeProcess(handle)
        return process, contained, ours, output
    finally:
        os.close(their_input)
        os.close(theirs)


def _take_over(descriptor: int) -> int:
    """A copy of a standard descriptor, with NUL left in its place."""
    copy = os.dup(descriptor)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, descriptor)
    os.close(null)
    return copy


def _socket_for(reader: int | None, writer: int | None) -> socket.socket:
    """A socket that says what comes out of ``reader``, and whose messages go into ``writer``; each may be None."""
    ours, theirs = socket.socketpair()
    if reader is not None:
        threading.Thread(target=_read_on, args=(reader, theirs), name="pump in", daemon=True).start()
    if writer is not None:
        pump = threading.Thread(target=_write_on, args=(theirs, writer), name="pump out", daemon=True)
        pump.start()
        if reader is not None:  # what an adaptor's process is told does not matter when its keeper ends
            _pumps.append(pump)
    return ours


def hand_over(command: list[str], environment: dict[str, str]) -> int:
    """Run another program; returns its exit code. The console's events reach it by themselves.

    Raises :class:`OSError`.
    """
    for number in CANCEL_SIGNALS:
        signal.signal(number, lambda number, frame: None)
    return subprocess.call(prepare_command(command, environment), env=environment)


#: The threads that bring to its pipe what was sent.
_pumps: list[threading.Thread] = []


def settle() -> None:
    """What was sent over connections that are closed now reaches the other process before this one ends."""
    for pump in _pumps:
        pump.join(_DRAIN_SECONDS)


def _read_on(reader: int, end: socket.socket) -> None:
    try:
        data = os.read(reader, _PUMP_BYTES)
        while data:
            end.sendall(data)
            data = os.read(reader, _PUMP_BYTES)
    except OSError:
        pass  # the pipe was broken, or nobody listens any more
    try:
        end.shutdown(socket.SHUT_WR)
    except OSError:
        return


def _write_on(end: socket.socket, writer: int) -> None:
    try:
        data = end.recv(_PUMP_BYTES)
        while data:
            view = memoryview(data)
            while view:
                view = view[os.write(writer, view) :]
            data = end.recv(_PUMP_BYTES)
    except OSError:
        pass  # nobody reads it
    os.close(writer)
