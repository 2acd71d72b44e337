"""Windows: private files, and the address at which a daemon listens. See ``system`` for the contract."""

from __future__ import annotations

import os
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "KEYED",
    "Endpoint",
    "create_private",
    "give_name",
    "open_private",
    "read_at",
    "write_at",
]

#: Whether a peer must prove that it knows the connection file's key: TCP does not tell who it is.
KEYED = True
_HOST = "127.0.0.1"


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


class Endpoint:
    """Where a daemon listens: a TCP port of this host's, which only processes of this host can reach."""

    def __init__(self, text: str, folder: str) -> None:
        """``text`` is what stands in a connection file, ``127.0.0.1:port``. Raises :class:`ValueError`."""
        self.text = text
        host, _, port = text.rpartition(":")
        if host != _HOST:
            raise ValueError("%s is no address of this host" % text)
        self._port = int(port)

    def __str__(self) -> str:
        return self.text

    @staticmethod
    def listen(draft: str, private_folder: str) -> tuple[Endpoint, socket.socket]:
        """Bind a port that nobody else can bind, too."""
        listener = socket.socket(socket.AF_INET)
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        listener.bind((_HOST, 0))
        return Endpoint("%s:%d" % listener.getsockname(), ""), listener

    def connect(self) -> socket.socket:
        """A connection. Raises :class:`OSError`."""
        connection = socket.socket(socket.AF_INET)
        try:
            connection.connect((_HOST, self._port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            connection.close()
            raise
        return connection

    def remove(self) -> None:
        """Nothing is left of a port."""
