"""Linux and macOS: where a daemon listens, and who may connect. See ``system`` for the contract."""

from __future__ import annotations

import _socket  # socket costs a short command, and a daemon's memory, more than all of this package does
import errno
import os
import sys
import time

assert sys.platform != "win32"  # for type checkers

from .posix_files import make_private_folder

__all__ = [
    "accept",
    "Endpoint",
    "KEYED",
    "peer_is_me",
]

#: Whether a peer must prove that it knows the connection file's key; here the kernel says who it is.
KEYED = False
#: The name of a socket in a private folder, which is removed with that.
SOCKET_NAME = "socket"
_SUN_PATH_BYTES = 100
#: How long, in seconds, a daemon may be too busy to take one more connection.
CONNECT_SECONDS = 10.0
_LOOK_SECONDS = 0.05
#: A folder in which no socket can be made; ENOENT: a long path, and no /proc to shorten it.
_NO_SOCKET_HERE = (
    errno.EPERM,
    errno.EOPNOTSUPP,
    errno.EINVAL,
    errno.EACCES,
    errno.EROFS,
    errno.ENOENT,
    errno.ENAMETOOLONG,
)


class Endpoint:
    """Where a daemon listens: an AF_UNIX socket beside the connection file or in a private folder."""

    def __init__(self, text: str, folder: str) -> None:
        """``text`` is what stands in a connection file of ``folder``."""
        self.text = text
        self._path = os.path.join(folder, text)

    def __str__(self) -> str:
        return "the socket " + self._path

    @staticmethod
    def listen(draft: str, private_folder: str) -> tuple[Endpoint, _socket.socket]:
        """Bind beside the file ``draft``, so that a container that shares the folder can connect; else in a folder."""
        listener = _socket.socket(_socket.AF_UNIX)
        mask = os.umask(0o177)
        try:
            path = draft + ".sock"
            try:
                _at_short_path(path, listener.bind)
                endpoint = Endpoint(os.path.basename(path), os.path.dirname(path))
            except OSError as error:
                if error.errno not in _NO_SOCKET_HERE:
                    raise
                make_private_folder(private_folder)
                path = os.path.join(private_folder, SOCKET_NAME)
                _at_short_path(path, listener.bind)
                endpoint = Endpoint(path, "")
        except BaseException:
            listener.close()
            raise
        finally:
            os.umask(mask)
        return endpoint, listener

    def connect(self) -> _socket.socket:
        """A connection. Raises :class:`OSError`, also if nobody takes it for :data:`CONNECT_SECONDS`."""
        connection = _socket.socket(_socket.AF_UNIX)
        connection.setblocking(False)
        end = time.monotonic() + CONNECT_SECONDS
        try:
            while True:
                try:
                    _at_short_path(self._path, connection.connect)
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
        """Remove the socket, unless somebody has done so."""
        try:
            os.unlink(self._path)
        except OSError:
            return


def _at_short_path(path: str, act: object) -> None:
    """Bind or connect at ``path``, however long it is."""
    if len(os.fsencode(path)) <= _SUN_PATH_BYTES:
        act(path)  # type: ignore[operator]
        return
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        short = "/proc/self/fd/%d/%s" % (folder, os.path.basename(path))
        if len(os.fsencode(short)) > _SUN_PATH_BYTES:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        act(short)  # type: ignore[operator]
    finally:
        os.close(folder)


#: Whether ``_socket`` alone can accept, as it does in every CPython.
_ACCEPTS = hasattr(_socket.socket, "_accept")


def accept(listener: _socket.socket) -> _socket.socket:
    """The next connection. Raises :class:`OSError`."""
    if _ACCEPTS:
        descriptor, _ = listener._accept()  # type: ignore[attr-defined]
        return _socket.socket(fileno=descriptor)
    import socket

    with socket.socket(fileno=os.dup(listener.fileno())) as same:
        return same.accept()[0]


def peer_is_me(connection: _socket.socket) -> bool:
    """Whether the other end of a connected AF_UNIX socket runs as this process's user."""
    import struct

    if hasattr(_socket, "SO_PEERCRED"):
        credentials = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
        return bool(struct.unpack("3i", credentials)[1] == os.geteuid())
    # macOS: SOL_LOCAL, LOCAL_PEERCRED, struct xucred (version, uid, ...)
    return bool(struct.unpack_from("2I", connection.getsockopt(0, 1, 76))[1] == os.geteuid())
