"""Windows: the address at which a daemon listens. See ``system`` for the contract."""

from __future__ import annotations

import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

__all__ = [
    "accept",
    "Endpoint",
    "KEYED",
    "peer_is_me",
]

#: Whether a peer must prove that it knows the connection file's key: TCP does not tell who it is.
KEYED = True
_HOST = "127.0.0.1"


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


def accept(listener: _socket.socket) -> socket.socket:
    """The next connection. Raises :class:`OSError`."""
    assert isinstance(listener, socket.socket)
    return listener.accept()[0]


def peer_is_me(connection: socket.socket) -> bool:
    """The kernel does not tell; peers prove it by the connection file's key."""
    return True
