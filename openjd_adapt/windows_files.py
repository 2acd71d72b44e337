"""Windows: folders, private files, locks. See ``system`` for the contract."""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

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

#: Where the lock of a file lies: behind any content, as what is locked cannot be read by others here.
_LOCK_PLACE_HIGH = 0x40000000
_LOCK_PAUSE_SECONDS = 0.02


def configuration_folder() -> str:
    """Where the host's configuration lies."""
    return os.environ.get("PROGRAMDATA") or os.path.join(os.environ.get("SYSTEMDRIVE", "C:") + os.sep, "ProgramData")


def path_of_uri(text: str) -> str:
    """The path that stands behind ``file://``: ``C:\\a`` or, with a slash before it, ``/C:/a``; also of a share."""
    return text[1:] if text[:1] in ("/", "\\") and text[2:3] == ":" else text


#: A path that is longer, in characters, is given the form that is not limited; Windows's own limit is 260, and some
#: names that the toolkit makes are longer than those that it is given.
_SHORT_PATH = 200


def long_path(path: str) -> str:
    """A path as it may be as long as the file system allows: ``\\\\?\\C:\\a``, ``\\\\?\\UNC\\host\\share\\a``.

    Only where it is long, for the sake of whoever reads it. Source: "Maximum Path Length Limitation".
    """
    import ntpath

    full = ntpath.abspath(path)
    if len(full) < _SHORT_PATH or full.startswith(("\\\\?\\", "\\\\.\\")):
        return path
    return "\\\\?\\UNC\\" + full[2:] if full.startswith("\\\\") else "\\\\?\\" + full


def temporary_folder(*more: str | None) -> str:
    """A folder for private ones: the user's, or the first that is there of ``more``, or the current one."""
    for place in (os.environ.get("TMP"), os.environ.get("TEMP"), *more):
        if place and os.path.isdir(place):
            return os.path.abspath(place)
    return os.getcwd()


def make_private_folder(path: str) -> None:
    """Make a folder that this user alone may enter, or take one that this user has made. Raises :class:`OSError`."""
    from ctypes import byref

    from . import win32

    try:
        win32.CreateDirectory(path, byref(win32.private()))
    except FileExistsError:
        if not os.path.isdir(path) or os.path.islink(path):
            raise


def remove_private_folder(path: str, prefixes: tuple[str, ...]) -> None:
    """Remove such a folder, and in it the files whose names begin with one of ``prefixes``, as far as there are any."""
    try:
        for name in os.listdir(path):
            if name.startswith(prefixes):
                os.unlink(os.path.join(path, name))
        os.rmdir(path)
    except OSError:
        return


def read_at(descriptor: int, size: int, place: int) -> bytes:
    """At most ``size`` bytes of an open file from ``place`` on."""
    os.lseek(descriptor, place, os.SEEK_SET)
    return os.read(descriptor, size)


def write_at(descriptor: int, data: bytes | memoryview, place: int) -> int:
    """Write some of ``data`` at ``place``; returns how much."""
    os.lseek(descriptor, place, os.SEEK_SET)
    return os.write(descriptor, data)


def create_private(path: str) -> int:
    """Make a file that this user and SYSTEM alone may open, from the first moment on.

    Raises :class:`FileExistsError` if there is one of that name.
    """
    from ctypes import byref

    from . import win32

    return _open(path, win32.CREATE_NEW, byref(win32.private()))


def open_private(path: str) -> int:
    """Open such a file. Raises :class:`OSError`, with a reason, if it is not this user's alone, or no file at all."""
    import msvcrt

    from . import win32

    descriptor = _open(path, win32.OPEN_EXISTING, None)
    reason = why_not_private(
        win32.security_of(msvcrt.get_osfhandle(descriptor)),  # type: ignore[attr-defined, unused-ignore]
        win32.user(),
    )
    if reason:
        os.close(descriptor)
        raise PermissionError(13, reason, path)
    return descriptor


def why_not_private(sddl: str, user: str) -> str:
    """What is wrong with owner and access list, a text in SDDL, of a file that must be that user's alone; or ""."""
    owner, _, entries = sddl.partition("D:")
    owner = owner[2:] if owner.startswith("O:") else owner
    # Files that an administrator makes may belong to all administrators.
    if owner not in (user, "BA", "SY"):
        return "belongs to another user (%s)" % owner
    if "(" not in entries:
        return "everybody may read it, as it has no access list"
    for entry in entries[entries.index("(") :].strip("()").split(")("):
        kind, _, rights, _, _, who = entry.split(";")[:6]
        if kind == "A" and rights and who not in (user, "SY", "BA"):
            return "others (%s) may read it" % who
    return ""


def _open(path: str, how: int, security: Any) -> int:
    import msvcrt

    from . import win32

    handle = win32.CreateFile(
        path,
        win32.GENERIC_READ | win32.GENERIC_WRITE | win32.READ_CONTROL,
        win32.FILE_SHARE_ALL,  # so that it can be renamed and removed while it is open
        security,
        how,
        win32.FILE_FLAG_OPEN_REPARSE_POINT | win32.FILE_ATTRIBUTE_NORMAL,
        None,
    )
    return int(
        msvcrt.open_osfhandle(handle, os.O_RDWR | getattr(os, "O_BINARY", 0))  # type: ignore[attr-defined, unused-ignore]
    )


def give_name(draft: str, path: str) -> None:
    """Rename a file, but never over another: raises :class:`FileExistsError`."""
    os.rename(draft, path)


def _lock(descriptor: int, shared: bool = False) -> bool:
    import msvcrt
    from ctypes import byref

    from . import win32

    how = win32.LOCKFILE_FAIL_IMMEDIATELY | (0 if shared else win32.LOCKFILE_EXCLUSIVE_LOCK)
    place = win32.Overlapped(OffsetHigh=_LOCK_PLACE_HIGH)
    handle = msvcrt.get_osfhandle(descriptor)  # type: ignore[attr-defined, unused-ignore]
    try:
        win32.LockFileEx(handle, how, 0, 1, 0, byref(place))
    except OSError as error:
        if error.winerror == win32.ERROR_LOCK_VIOLATION:  # type: ignore[attr-defined, unused-ignore]
            return False
        raise
    return True


def lock(descriptor: int) -> bool:
    """Lock an open file for the life of its handle. False if another holds it."""
    return _lock(descriptor)


def is_locked(descriptor: int) -> bool:
    """Whether another holds the lock of an open file."""
    import msvcrt
    from ctypes import byref

    from . import win32

    if not _lock(descriptor, shared=True):
        return True
    place = win32.Overlapped(OffsetHigh=_LOCK_PLACE_HIGH)
    win32.UnlockFileEx(msvcrt.get_osfhandle(descriptor), 0, 1, 0, byref(place))  # type: ignore[attr-defined, unused-ignore]
    return False


def wait_for_lock(descriptor: int, timeout: float) -> bool:
    """Wait until nobody else holds the lock of an open file, and hold it; False after ``timeout`` seconds.

    Windows can wait for a lock, but not for so long and no longer; so it is asked again and again.
    """
    end = time.monotonic() + timeout
    while not _lock(descriptor):
        if time.monotonic() >= end:
            return False
        time.sleep(_LOCK_PAUSE_SECONDS)
    return True
