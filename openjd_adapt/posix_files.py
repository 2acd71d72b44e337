"""Linux and macOS: folders, private files, locks. See ``system`` for the contract."""

from __future__ import annotations

import errno
import os
import stat
import sys

assert sys.platform != "win32"  # for type checkers

from .posix_signal import signal

__all__ = [
    "configuration_folder",
    "create_private",
    "give_name",
    "is_locked",
    "lock",
    "long_path",
    "make_private_folder",
    "open_private",
    "path_of_uri",
    "read_at",
    "remove_private_folder",
    "temporary_folder",
    "wait_for_lock",
    "write_at",
]

read_at = os.pread
write_at = os.pwrite


def configuration_folder() -> str:
    """Where the host's configuration lies."""
    return "/etc"


def path_of_uri(text: str) -> str:
    """The path that stands behind ``file://``."""
    return text


def long_path(path: str) -> str:
    """The path as it is: only Windows limits some forms of paths."""
    return path


def temporary_folder(*more: str | None) -> str:
    """A folder for private ones: the first that can be written of ``TMPDIR``, the system's, ``more``, the current one.

    As :func:`tempfile.gettempdir`, which costs a third of an interpreter start.
    """
    places = [os.environ.get("TMPDIR"), "/tmp", "/var/tmp", *more]
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


def create_private(path: str) -> int:
    """Make a file that this user alone may open; raises :class:`FileExistsError` if there is one of that name."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def open_private(path: str) -> int:
    """Open such a file. Raises :class:`OSError`, with a reason, if it is not this user's alone, or no file at all."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(error.errno, "is a symbolic link", path) from None
        raise
    facts = os.fstat(descriptor)
    reason = ""
    if not stat.S_ISREG(facts.st_mode):
        reason = "is no regular file"
    elif facts.st_uid != os.geteuid():
        reason = "belongs to another user (uid %d)" % facts.st_uid
    elif facts.st_mode & 0o077:
        reason = "others may read it; it must have mode 0600"
    if reason:
        os.close(descriptor)
        raise PermissionError(errno.EPERM, reason, path)
    return descriptor


def give_name(draft: str, path: str) -> None:
    """Rename a file, but never over another: raises :class:`FileExistsError`."""
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):  # a file system without links
        if os.path.exists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path) from None
        os.rename(draft, path)


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
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise TimeoutError

    signal.signal(signal.SIGALRM, give_up)
    try:
        try:
            # It goes on ringing, as the first may come just before the wait begins; a time of 0 would switch it off.
            signal.setitimer(signal.ITIMER_REAL, max(timeout, 0.001), 0.1)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except TimeoutError:
        return lock(descriptor)  # The last ring may come when it is held already.
    return True
