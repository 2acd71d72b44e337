"""Linux and macOS: signals, waits, files, locks, streams and sockets. See ``system`` for the contract."""

from __future__ import annotations

import _socket  # socket costs a short command, and a daemon's memory, more than all of this package does
import errno
import os
import stat
import sys
import time

assert sys.platform != "win32"  # for type checkers

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as signal
    from typing import Callable, Iterable, NoReturn, Sequence
else:
    import _signal as signal  # the same functions, and the numbers as numbers


TERMINATION = signal.SIGTERM
CANCEL_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Bell:
    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def fileno(self) -> int:
        return self._reader

    def ring(self, data: bytes = b"!") -> None:
        try:
            os.write(self._writer, data)
        except BlockingIOError:
            return  # it has been rung often enough

    def heard(self) -> bytes:
        try:
            return os.read(self._reader, 4096)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        os.close(self._reader)
        os.close(self._writer)


class Wakeup(Bell):
    """The signals may have been blocked until now, so that none was lost."""

    def __init__(self, *signals: int) -> None:
        super().__init__()
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in signals:
            signal.signal(number, lambda number, frame: None)  # a handler must exist; the descriptor tells of it
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)


def catch_termination(act: Callable[[], object]) -> None:
    """A forked child dies of SIGTERM as usual, unless the author has set a handler of his own."""
    import threading

    masks = threading.local()

    def before() -> None:
        masks.old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def after() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, masks.old)

    def after_in_child() -> None:
        # Python forgets what has reached its own handler by now; what is blocked is not lost.
        if signal.getsignal(signal.SIGTERM) is hear:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        after()

    def hear(number: int, frame: object) -> None:
        act()

    signal.signal(signal.SIGTERM, hear)
    os.register_at_fork(before=before, after_in_parent=after, after_in_child=after_in_child)


def reset_signals(blocked: Iterable[int] = ()) -> None:
    """A broken pipe and a child's end are told as they are by default in Python."""
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


#: As ``select`` has them, which is imported by who waits only: POLLIN, POLLOUT, and POLLERR, POLLHUP and POLLNVAL.
READ, WRITE, BROKEN = 1, 4, 8 | 16 | 32


def wait_for(interests: dict[int, int], timeout: float | None) -> dict[int, int]:
    import select

    poll = select.poll()
    for descriptor, interest in interests.items():
        poll.register(descriptor, interest)
    # poll() takes 24 days at the most: who waits for longer asks again. Below 0 it would wait for ever.
    return dict(poll.poll(None if timeout is None else min(max(timeout, 0) * 1000, 2**31 - 1)))


def wait_readable(descriptor: int, timeout: float | None = None) -> bool:
    return bool(wait_for({descriptor: READ}, timeout))


def finish(code: int) -> None:
    """Nothing is left to do."""


def hand_over(command: list[str], environment: dict[str, str]) -> NoReturn:
    """This process becomes the other program, which gets its signals from now on, as a shell would have started it."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    os.execvpe(command[0], command, environment)


read_at = os.pread


def write_all(descriptor: int, data: bytes) -> None:
    """Somebody may have made the descriptor non-blocking."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            wait_for({descriptor: WRITE}, None)


def configuration_folder() -> str:
    return "/etc"


def path_of_uri(text: str) -> str:
    return text


def temporary_folder(*more: str | None) -> str:
    """As :func:`tempfile.gettempdir`, which costs a third of an interpreter start."""
    places = [os.environ.get("TMPDIR"), "/tmp", "/var/tmp", *more]
    for place in filter(None, places):
        if os.path.isdir(place) and os.access(place, os.W_OK | os.X_OK):
            return os.path.abspath(place)
    return os.getcwd()


def make_private_folder(path: str) -> None:
    try:
        os.mkdir(path, 0o700)
        os.chmod(path, 0o700)  # whatever the umask has taken away
    except FileExistsError:
        facts = os.lstat(path)
        if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o077:
            raise PermissionError(errno.EPERM, "is not a private folder of this user's", path) from None


def remove_private_folder(path: str, prefixes: tuple[str, ...]) -> None:
    """What somebody may have put in its place is not followed."""
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        if os.fstat(folder).st_uid == os.geteuid():
            for name in os.listdir(folder):
                if name.startswith(prefixes):
                    os.unlink(name, dir_fd=folder)
            if os.path.islink(_short_way(path)):
                os.unlink(_short_way(path))
            os.rmdir(path)
    except OSError:
        return
    finally:
        os.close(folder)


def _short_way(folder: str) -> str:
    """Where a link leads to a private folder whose own path is too long for the addresses of sockets."""
    return os.path.join("/tmp", os.path.basename(folder))


def create_private(path: str, more: int = 0) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600 | more)


def open_private(path: str) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(error.errno, "is a symbolic link", path) from None
        raise
    facts = os.fstat(descriptor)
    reason = ""
    if not stat.S_ISREG(facts.st_mode):
        reason = "is not a regular file"
    elif facts.st_uid != os.geteuid():
        reason = "belongs to another user (uid %d)" % facts.st_uid
    elif facts.st_mode & 0o077:
        reason = "others may read it; it must have mode 0600"
    if reason:
        os.close(descriptor)
        raise PermissionError(errno.EPERM, reason, path)
    return descriptor


def give_name(draft: str, path: str) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):  # a file system without links
        if os.path.exists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path) from None
        os.rename(draft, path)


def lock(descriptor: int, shared: bool = False) -> bool:
    """Forks share it, as they share the description."""
    import fcntl

    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(descriptor: int) -> bool:
    import fcntl

    if not lock(descriptor, shared=True):
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


class StandardStream:
    INTEREST = WRITE
    is_broken = False

    def __init__(self, descriptor: int, wakeup: Bell | None = None) -> None:
        """A pipe or a terminal is opened again, as to make it non-blocking is not ours to do to who shares it."""
        import select

        self._descriptor = self._given = descriptor
        is_terminal = os.isatty(descriptor)
        # What a pipe takes that poll() calls writable, and a terminal, without blocking.
        self._most_bytes = 1 if is_terminal else select.PIPE_BUF
        try:
            if is_terminal or stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                self._descriptor = os.open("/proc/self/fd/%d" % descriptor, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
                self._most_bytes = _CHUNK_BYTES
        except OSError:
            return  # there is no /proc, or another user has opened it: then in pieces that cannot block

    def fileno(self) -> int:
        return self._descriptor

    def write(self, data: memoryview) -> int:
        return os.write(self._descriptor, data[: self._most_bytes])

    def close(self) -> None:
        if self._descriptor != self._given:
            os.close(self._descriptor)


_CHUNK_BYTES = 64 * 1024


def silence(errors: int) -> None:
    """Leave /dev/null as standard input and output, and ``errors``: who stays must not hold the command's."""
    null = os.open(os.devnull, os.O_RDWR)
    for source, descriptor in ((errors, 2), (null, 0), (null, 1)):
        os.dup2(source, descriptor)
    if null > 2:
        os.close(null)


def arrange(sources: Sequence[int]) -> None:
    """Make the descriptors ``sources`` 0 and those that follow, and this process's only ones."""
    import fcntl

    copies = [fcntl.fcntl(source, fcntl.F_DUPFD, len(sources)) for source in sources]  # which no target overwrites
    for target, source in enumerate(copies):
        os.dup2(source, target)
    close_inherited(range(len(sources)))


_F_SETPIPE_SZ = 1031
_PIPE_BYTES = 1024 * 1024


def enlarge(pipe: int) -> None:
    """Let a pipe hold as much as the system gives without being asked twice."""
    import fcntl

    try:
        fcntl.fcntl(pipe, _F_SETPIPE_SZ, _PIPE_BYTES)
    except OSError:
        pass  # not Linux, or the user's pipes hold much already: the usual size does, too


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


KEYED = False
#: How the name of a socket in a private folder begins, which is removed with that.
SOCKET_NAME = "socket"
_SUN_PATH_BYTES = 100
#: How long, in seconds, a daemon may be too busy to take one more connection.
CONNECT_SECONDS = 10.0
_LOOK_SECONDS = 0.05
#: A folder in which no socket can be made.
_NO_SOCKET_HERE = (errno.EPERM, errno.EOPNOTSUPP, errno.EINVAL, errno.EACCES, errno.EROFS, errno.ENAMETOOLONG)


class Endpoint:
    """An AF_UNIX socket beside the connection file or in a private folder."""

    def __init__(self, text: str, folder: str) -> None:
        self.text = text
        self.path = os.path.join(folder, text)

    @property
    def address(self) -> str:
        """The absolute path, by a link where it is too long for clients that know no other way."""
        folder, name = os.path.split(self.path)
        fits = len(os.fsencode(self.path)) <= _SUN_PATH_BYTES or not os.path.islink(_short_way(folder))
        return self.path if fits else os.path.join(_short_way(folder), name)

    @staticmethod
    def listen(draft: str, private_folder: str) -> tuple[Endpoint, _socket.socket]:
        """Bind beside the file ``draft``, so that a container that shares the folder can connect; else in a folder."""
        listener = _socket.socket(_socket.AF_UNIX)
        try:
            if sys.platform == "linux":
                os.fchmod(listener.fileno(), 0o600)  # what the file gets; the umask is that of all threads
            # A session's daemon and applications share the private folder, and paths there are to stay short.
            short = os.path.join(private_folder, SOCKET_NAME + os.urandom(3).hex())
            path = short if os.path.dirname(draft) == private_folder else draft + ".sock"
            try:
                _at_short_path(path, listener.bind)
                text = os.path.basename(path)
            except OSError as error:
                if error.errno not in _NO_SOCKET_HERE:
                    raise
                make_private_folder(private_folder)
                path = text = short
                _at_short_path(path, listener.bind)
            if sys.platform != "linux":
                os.lchmod(path, 0o600)  # nobody connects before it listens
            if os.path.dirname(path) == private_folder and len(os.fsencode(path)) > _SUN_PATH_BYTES:
                try:
                    os.symlink(private_folder, _short_way(private_folder))
                except OSError:
                    pass  # it is there, or this host has no such folder
        except BaseException:
            listener.close()
            raise
        return Endpoint(text, os.path.dirname(path)), listener

    def connect(self) -> _socket.socket:
        """Raises :class:`OSError`, also if nobody takes it for :data:`CONNECT_SECONDS`."""
        connection = _socket.socket(_socket.AF_UNIX)
        connection.setblocking(False)
        end = time.monotonic() + CONNECT_SECONDS
        try:
            while True:
                try:
                    _at_short_path(self.path, connection.connect)
                    break
                except BlockingIOError:  # as many wait as can; nothing tells when there is room
                    if time.monotonic() > end:
                        raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from None
                    time.sleep(_LOOK_SECONDS)
            connection.setblocking(True)
        except BaseException:
            connection.close()
            raise
        return connection

    def remove(self) -> None:
        try:
            os.unlink(self.path)
        except OSError:
            return


def _at_short_path(path: str, act: Callable[[str], object]) -> None:
    """Bind or connect at ``path``, however long it is."""
    if len(os.fsencode(path)) <= _SUN_PATH_BYTES:
        act(path)
        return
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        short = "/proc/self/fd/%d/%s" % (folder, os.path.basename(path))
        if len(os.fsencode(short)) > _SUN_PATH_BYTES or not os.path.isdir(os.path.dirname(short)):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), path)
        act(short)
    finally:
        os.close(folder)


def accept(listener: _socket.socket) -> _socket.socket:
    return _socket.socket(fileno=listener._accept()[0])  # type: ignore[attr-defined]


def peer_is_me(connection: _socket.socket) -> bool:
    if hasattr(_socket, "SO_PEERCRED"):
        credentials = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)  # pid, uid, gid
    else:
        credentials = connection.getsockopt(0, 1, 76)  # macOS: SOL_LOCAL, LOCAL_PEERCRED: version, uid, and more
    return int.from_bytes(credentials[4:8], sys.byteorder) == os.geteuid()
