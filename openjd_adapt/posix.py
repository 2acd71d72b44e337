"""Linux and macOS: signals and waits, and a process's own end. See ``system`` for the contract."""

from __future__ import annotations

import os
import sys

assert sys.platform != "win32"  # for type checkers

from .posix_signal import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Callable, Iterable, NoReturn

    from .peer import Peer

__all__ = [
    "Bell",
    "BROKEN",
    "CANCEL_SIGNALS",
    "catch_termination",
    "finish",
    "hand_over",
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

#: How others ask a process to end, and what cancels a command.
TERMINATION = signal.SIGTERM
CANCEL_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Bell:
    """Rung by any thread, it makes its descriptor readable for a loop."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def fileno(self) -> int:
        return self._reader

    def ring(self, data: bytes = b"!") -> None:
        """Make it readable; ``data`` is what :meth:`heard` gives."""
        try:
            os.write(self._writer, data)
        except BlockingIOError:
            return  # it has been rung often enough

    def heard(self) -> bytes:
        """All that it was rung with since the last call."""
        try:
            return os.read(self._reader, 4096)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        os.close(self._reader)
        os.close(self._writer)


class Wakeup(Bell):
    """A bell that ``signals`` ring, too, each with its number; works whatever the main thread blocks in.

    They may have been blocked until now, so that none was lost.
    """

    def __init__(self, *signals: int) -> None:
        super().__init__()
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in signals:
            signal.signal(number, _note)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)


def _note(number: int, frame: object) -> None:
    """Let the wakeup descriptor tell of the signal; a handler must exist for that."""


def catch_termination(act: Callable[[], object]) -> None:
    """Call ``act`` on the main thread when this process gets SIGTERM. A forked child dies of it as usual."""
    import threading

    masks = threading.local()

    def before() -> None:
        masks.old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def after() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, masks.old)

    def after_in_child() -> None:
        # Python forgets what has reached its own handler by now; what is blocked is not lost.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        after()

    signal.signal(signal.SIGTERM, lambda number, frame: act())
    os.register_at_fork(before=before, after_in_parent=after, after_in_child=after_in_child)


def reset_signals(blocked: Iterable[int] = ()) -> None:
    """Undo what the caller or an author's main may have set: a broken pipe and a child's end are told as they are by
    default in Python, and no signal is blocked but those of ``blocked``."""
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


#: What a descriptor is waited for, and found ready for; broken is found without being asked for.
READ, WRITE, BROKEN = 1, 2, 4


def wait_for(interests: dict[int, int], timeout: float | None) -> dict[int, int]:
    """Wait until one of the descriptors is ready for what is wanted, or broken; empty after ``timeout`` seconds."""
    import select

    poll = select.poll()
    for descriptor, interest in interests.items():
        poll.register(
            descriptor, (select.POLLIN if interest & READ else 0) | (select.POLLOUT if interest & WRITE else 0)
        )
    return {
        descriptor: (READ if events & select.POLLIN else 0)
        | (WRITE if events & select.POLLOUT else 0)
        | (BROKEN if events & (select.POLLERR | select.POLLHUP | select.POLLNVAL) else 0)
        for descriptor, events in poll.poll(_milliseconds(timeout))
    }


def is_readable(connection: _socket.socket | Peer) -> bool:
    """Whether a socket has something to read, or has ended."""
    return wait_readable(connection.fileno(), 0)


def wait_readable(descriptor: int, timeout: float | None = None) -> bool:
    """Wait until a pipe has something to read or has ended; False after ``timeout`` seconds."""
    import select

    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(_milliseconds(timeout)))


def _milliseconds(timeout: float | None) -> float | None:
    """For poll(), which takes 24 days at the most: who waits for longer asks again."""
    return None if timeout is None else min(timeout * 1000, 2**31 - 1)


def takes_more(descriptor: int) -> bool:
    """Whether a line can be written without waiting for its reader."""
    return bool(wait_for({descriptor: WRITE}, 0))


def finish(code: int) -> None:
    """The last that a command does, before it ends as any interpreter."""


def leave(code: int) -> NoReturn:
    """End this process without running what its parent registered for its own end."""
    os._exit(code)


def hand_over(command: list[str], environment: dict[str, str]) -> NoReturn:
    """Become another program, which gets this process's signals from now on. Raises :class:`OSError`."""
    os.execvpe(command[0], command, environment)
