"""Windows: signals and waits, and a process's own end. See ``system`` for the contract."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, NoReturn

__all__ = [
    "Bell",
    "BROKEN",
    "CANCEL_SIGNALS",
    "catch_termination",
    "finish",
    "is_readable",
    "leave",
    "READ",
    "reset_signals",
    "signal",
    "takes_more",
    "TERMINATION",
    "wait_for",
    "wait_readable",
    "Wakeup",
    "WRITE",
]

#: How others ask a process to end (CTRL_BREAK), and what cancels a command (that, and CTRL_C).
TERMINATION = getattr(signal, "SIGBREAK", signal.SIGTERM)
CANCEL_SIGNALS = (TERMINATION, signal.SIGINT)

#: What a descriptor is waited for, and found ready for; broken is found without being asked for.
READ, WRITE, BROKEN = 1, 2, 4
#: The longest that is waited in one go, in seconds: who waits for longer asks again.
_LONGEST = 1_000_000.0


class Bell:
    """Rung by any thread, it makes its descriptor readable for a loop. A socket pair: nothing else can be selected."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._lock = threading.Lock()

    def fileno(self) -> int:
        return self._reader.fileno()

    def ring(self, data: bytes = b"!") -> None:
        """Make it readable; ``data`` is what :meth:`heard` gives."""
        with self._lock:  # a send beside another thread's may be refused, and its ring would be lost
            while True:
                try:
                    self._writer.send(data)
                    return
                except BlockingIOError:
                    if is_readable(self._reader):
                        return  # it has been rung often enough

    def heard(self) -> bytes:
        """All that it was rung with since the last call."""
        try:
            return self._reader.recv(4096)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        self._reader.close()
        self._writer.close()


class Wakeup(Bell):
    """A bell that ``signals`` ring, too, each with its number; works whatever the main thread blocks in.

    A console that is closed, a user who logs off and a system that shuts down ring it as :data:`TERMINATION`.
    """

    def __init__(self, *signals: int) -> None:
        super().__init__()
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in signals:
            signal.signal(number, _note)
        from . import win32

        self._handler = win32.HandlerRoutine(self._on_event)
        win32.SetConsoleCtrlHandler(self._handler, True)
        _Closing.wakeups.append(self)

    def _on_event(self, event: int) -> bool:
        """Called on a thread of Windows's own; it ends this process when this returns."""
        seconds = _GRANTED_SECONDS.get(event)
        if seconds is None:
            return False  # CTRL_C and CTRL_BREAK are signals
        _Closing.began = True
        self.ring(bytes([TERMINATION]))
        threading.Event().wait(seconds)
        return True

    def forget(self) -> None:
        """Listen to Windows no longer: an interpreter that ends must not be called."""
        from . import win32

        win32.SetConsoleCtrlHandler(self._handler, False)


#: How long, in seconds, a process that is told of its end is let live if it does not answer: a little less than Windows
#: grants after CTRL_CLOSE (5), CTRL_LOGOFF and CTRL_SHUTDOWN (20).
_GRANTED_SECONDS = {2: 4.5, 5: 19.0, 6: 19.0}


class _Closing:
    """Whether Windows has told this process that it will be ended, and who listens to that."""

    began = False
    wakeups: list[Wakeup] = []


def _note(number: int, frame: object) -> None:
    """Let the wakeup bell tell of the signal; a handler must exist for that."""


def catch_termination(act: Callable[[], object]) -> None:
    """Call ``act`` on the main thread when this process gets CTRL_BREAK."""
    signal.signal(TERMINATION, lambda number, frame: act())


def reset_signals() -> None:
    """There is nothing that a caller could have left."""


def wait_for(interests: dict[int, int], timeout: float | None) -> dict[int, int]:
    """Wait until one of the sockets is ready for what is wanted, or broken; empty after ``timeout`` seconds."""
    reading = [descriptor for descriptor, interest in interests.items() if interest & READ]
    writing = [descriptor for descriptor, interest in interests.items() if interest & WRITE]
    ready: dict[int, int] = {}
    if not reading and not writing:
        threading.Event().wait(None if timeout is None else min(timeout, _LONGEST))
        return ready
    readable, writable, _ = select.select(reading, writing, [], None if timeout is None else min(timeout, _LONGEST))
    for descriptor in readable:
        ready[descriptor] = READ
    for descriptor in writable:
        ready[descriptor] = ready.get(descriptor, 0) | WRITE
    return ready


def takes_more(descriptor: int) -> bool:
    """Whether a line can be written without waiting for its reader: nobody can tell."""
    return True


def is_readable(connection: Any) -> bool:
    """Whether a socket has something to read, or has ended."""
    return bool(select.select([connection], [], [], 0)[0])


def wait_readable(descriptor: int, timeout: float | None = None) -> bool:
    """Wait until a pipe has something to read or has ended; ``timeout`` may be 0, to look, and nothing else."""
    import msvcrt
    from ctypes import byref

    from . import win32

    pipe = msvcrt.get_osfhandle(descriptor)  # type: ignore[attr-defined, unused-ignore]
    waiting = win32.DWORD()
    try:
        if timeout is None:
            win32.ReadFile(pipe, None, 0, byref(waiting), None)  # a read of nothing ends when there is something
            return True
        win32.PeekNamedPipe(pipe, None, 0, None, byref(waiting), None)
    except OSError:
        return True
    return waiting.value > 0


def finish(code: int) -> None:
    """The last that a command does: where Windows waits for this process in a thread, it must not end otherwise."""
    for wakeup in _Closing.wakeups:
        wakeup.forget()
    if _Closing.began:
        for stream in (sys.stdout, sys.stderr):
            if stream:
                stream.flush()
        os._exit(code)


def leave(code: int) -> NoReturn:
    """End this process without running what its parent registered for its own end."""
    os._exit(code)
