"""Linux and macOS: signals, descriptors, locks and peers. See ``system`` for the contract."""

from __future__ import annotations

import errno
import os
import signal
import stat
import sys

assert sys.platform != "win32"  # for type checkers

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Callable, Iterable, NoReturn

    from .peer import Peer

__all__ = [
    "BROKEN",
    "Bell",
    "CANCEL_SIGNALS",
    "READ",
    "StandardOutput",
    "TERMINATION",
    "WRITE",
    "Wakeup",
    "catch_termination",
    "close_inherited",
    "configuration_folder",
    "ensure_standard_descriptors",
    "finish",
    "hand_over",
    "is_locked",
    "is_readable",
    "leave",
    "lock",
    "long_path",
    "make_private_folder",
    "path_of_uri",
    "peer_is_me",
    "remove_private_folder",
    "reset_signals",
    "silence",
    "temporary_folder",
    "wait_for",
    "wait_for_lock",
    "wait_readable",
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
    """A bell that ``signals`` ring, too, each with its number; works whatever the main thread blocks in."""

    def __init__(self, *signals: int) -> None:
        super().__init__()
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in signals:
            signal.signal(number, _note)


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
        for descriptor, events in poll.poll(None if timeout is None else timeout * 1000)
    }


class StandardOutput:
    """Standard output, for a loop that must never block in a write."""

    #: What to wait for until :meth:`write` makes progress.
    INTEREST = WRITE
    #: Whether nobody reads it any more, where waiting for it does not tell.
    is_broken = False

    def __init__(self, wakeup: Bell) -> None:
        """``wakeup`` is rung for what waiting does not tell: nothing here."""

    def fileno(self) -> int:
        return 1

    def write(self, data: memoryview) -> int:
        """Write some of ``data``; how much. Raises :class:`OSError`, :class:`BlockingIOError` if it took nothing."""
        return os.write(1, data[:_ATOMIC_BYTES])


#: A pipe that poll() calls writable takes this much without blocking (POSIX, PIPE_BUF).
_ATOMIC_BYTES = 4096


def is_readable(connection: _socket.socket | Peer) -> bool:
    """Whether a socket has something to read, or has ended."""
    return wait_readable(connection.fileno(), 0)


def wait_readable(descriptor: int, timeout: float | None = None) -> bool:
    """Wait until a pipe has something to read or has ended; False after ``timeout`` seconds."""
    import select

    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(None if timeout is None else timeout * 1000))


def close_inherited(keep: Iterable[int]) -> None:
    """Close every descriptor but those of ``keep``, whoever opened it."""
    bound = os.sysconf("SC_OPEN_MAX")
    for folder in ("/proc/self/fd", "/dev/fd"):
        if os.path.isdir(folder):
            bound = max(int(name) for name in os.listdir(folder)) + 1
            break
    start = 0
    for descriptor in [*sorted(keep), bound]:
        if start < descriptor:  # closerange(0, 0) closes all where it is made of close_range(0, -1)
            os.closerange(start, descriptor)
        start = descriptor + 1


def configuration_folder() -> str:
    """Where the host's configuration lies."""
    return "/etc"


def path_of_uri(text: str) -> str:
    """The path that stands behind ``file://``."""
    return text


def temporary_folder() -> str:
    """A folder for private ones: the first that can be written of ``TMPDIR``, the system's, and the current one.

    As :func:`tempfile.gettempdir`, which costs a third of an interpreter start.
    """
    places = [os.environ.get("TMPDIR"), "/tmp", "/var/tmp"]
    for place in filter(None, places):
        if os.path.isdir(place) and os.access(place, os.W_OK | os.X_OK):
            return os.path.abspath(place)
    return os.getcwd()


def make_private_folder(path: str) -> None:
    """Make a folder that this user alone may enter, or take one that this user has made. Raises :class:`OSError`."""
    try:
        os.mkdir(path, 0o700)
        os.chmod(path, 0o700)  # whatever the umask has taken away
    except FileExistsError:
        facts = os.lstat(path)
        if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o077:
            raise PermissionError(errno.EPERM, "is not a private folder of this user's", path) from None


def remove_private_folder(path: str, prefixes: tuple[str, ...]) -> None:
    """Remove such a folder, and in it the files whose names begin with one of ``prefixes``, as far as they are there.

    What somebody may have put in its place is not followed.
    """
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        if os.fstat(folder).st_uid == os.geteuid():
            for name in os.listdir(folder):
                if name.startswith(prefixes):
                    os.unlink(name, dir_fd=folder)
            os.rmdir(path)
    except OSError:
        return
    finally:
        os.close(folder)


def reset_signals() -> None:
    """Undo what the caller or an author's main may have set: no signal is blocked, a broken pipe and a child's end are
    told as they are by default in Python."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def ensure_standard_descriptors() -> None:
    """Open /dev/null where the caller left standard input, output or error closed, lest a socket takes its place.

    ``sys.stdout`` and ``sys.stderr`` are there afterwards, which Python leaves None for what is closed.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, "w", encoding="utf-8", closefd=False))  # noqa: SIM115


def long_path(path: str) -> str:
    """The path as it is: only Windows limits some forms of paths."""
    return path


def silence() -> None:
    """Leave /dev/null as standard input, output and error: who stays must not hold the command's."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    if null > 2:
        os.close(null)


def lock(descriptor: int) -> bool:
    """Lock an open file for the life of its description, forks included. False if another holds it."""
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(descriptor: int) -> bool:
    """Whether another holds the lock of an open file."""
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def wait_for_lock(descriptor: int, timeout: float) -> bool:
    """Block until nobody else holds the lock of an open file, and hold it; False after ``timeout`` seconds.

    Takes SIGALRM for itself.
    """
    import fcntl

    def give_up(number: int, frame: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, give_up)
    # It goes on ringing, as the first may come just before the wait begins; a time of 0 would switch it off.
    signal.setitimer(signal.ITIMER_REAL, max(timeout, 0.001), 0.1)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except TimeoutError:
        return False
    return True


def peer_is_me(connection: _socket.socket) -> bool:
    """Whether the other end of a connected AF_UNIX socket runs as this process's user."""
    import _socket
    import struct

    if hasattr(_socket, "SO_PEERCRED"):
        credentials = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
        return bool(struct.unpack("3i", credentials)[1] == os.geteuid())
    # macOS: SOL_LOCAL, LOCAL_PEERCRED, struct xucred (version, uid, ...)
    return bool(struct.unpack_from("2I", connection.getsockopt(0, 1, 76))[1] == os.geteuid())


def finish(code: int) -> None:
    """The last that a command does, before it ends as any interpreter."""


def hand_over(command: list[str], environment: dict[str, str]) -> NoReturn:
    """Become another program, which gets this process's signals from now on. Raises :class:`OSError`."""
    os.execvpe(command[0], command, environment)


def leave(code: int) -> NoReturn:
    """End this process without running what its parent registered for its own end."""
    os._exit(code)
