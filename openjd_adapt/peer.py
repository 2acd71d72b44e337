"""A connection that never blocks: frames in and out, whatever the pace of the other end."""

from __future__ import annotations

import os

from .wire import FRAME_LIMIT, STRANGER_LIMIT, Decoder, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable, Iterable

    from .wire import Frame, Message

#: The folder of the package, which a peer of another version is told.
PACKAGE = os.path.dirname(os.path.abspath(__file__))

#: Larger reads cost more than they save: the C library maps new memory for each.
RECEIVE_BYTES = 64 * 1024
#: So much is sent at once by threads that are not the loop's.
_AT_ONCE_BYTES = 2 * 1024
#: Who is heard among many says little at a time, so that one that asks without end holds up nobody.
_STRANGER_RECEIVE_BYTES = 4 * 1024


class Peer:
    """One end of a connection that never blocks: frames in and out, whatever the pace of the other end."""

    def __init__(
        self, connection: _socket.socket, limit: int = FRAME_LIMIT, receive_bytes: int = RECEIVE_BYTES
    ) -> None:
        connection.setblocking(False)
        self._receive_bytes = receive_bytes
        self._socket = connection
        self._decoder = Decoder(limit)
        self._outgoing = bytearray()
        self._deaf = False
        #: The other end is gone, or this end was closed.
        self.closed = False
        #: What is wrong with what it said last, which it is told before it is closed; empty for nothing.
        self.fault = ""
        #: Called when a message, or a part of it, has to wait until the socket takes more.
        self.on_backlog: Callable[[], object] = bool

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def backlog(self) -> int:
        """Bytes that wait until the socket takes more."""
        return len(self._outgoing)

    def trust(self) -> None:
        """The peer made itself known: allow frames of full size."""
        self._decoder.limit = FRAME_LIMIT

    def send(self, message: Message, body: bytes = b"") -> None:
        """Queue a frame and send what the socket takes now. Raises :class:`InputError` as :func:`encode` does."""
        self.send_frames(encode(message, body))

    def send_frames(self, data: bytes) -> None:
        """As :meth:`send`, for what is encoded already."""
        if self._deaf:
            return
        self._outgoing += data
        self.flush()
        if self.backlog:
            self.on_backlog()

    def send_at_once(self, data: bytes) -> bool:
        """Send a small frame if nothing waits and the socket takes it; False if nothing of it was sent.

        For a thread that is not the loop's, while no other sends.
        """
        if self._deaf or self._outgoing or len(data) > _AT_ONCE_BYTES:
            return False
        try:
            sent = self._socket.send(data)
        except OSError:
            return False
        self._outgoing += data[sent:]  # nothing: a socket whose other end has read all takes so little whole
        return True

    def refuse(self, reason: str, code: int) -> None:
        """Answer with an error; ``code`` is the exit code that a front is to leave with."""
        self.send({"error": reason, "code": code})

    def flush(self) -> None:
        """Send what the socket takes now."""
        try:
            while self._outgoing:
                sent = self._socket.send(self._outgoing)
                del self._outgoing[:sent]
        except BlockingIOError:
            return
        except OSError:
            self._deaf = True  # it hears nothing more, but what it said may still lie unread
            self._outgoing.clear()

    def receive(self) -> Iterable[Frame]:
        """The frames that one read completes; the end of the stream sets :attr:`closed`. Raises :class:`WireError`."""
        try:
            data = self._socket.recv(self._receive_bytes)
        except BlockingIOError:
            return ()
        except OSError:
            data = b""
        self.closed = not data
        return self._decoder.feed(data)

    def close(self) -> None:
        self.closed = True
        self._socket.close()


def stranger(connection: _socket.socket) -> Peer:
    """A peer that has not made itself known."""
    return Peer(connection, STRANGER_LIMIT, _STRANGER_RECEIVE_BYTES)
