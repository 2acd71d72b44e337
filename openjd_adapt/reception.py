"""Who talks to the keeper: connections are accepted, must make themselves known, and are heard until they are gone."""

from __future__ import annotations

from functools import partial

from . import system
from .errors import BAD_INPUT, WireError
from .handshake import Doorkeeper
from .loop import BACKLOG_BYTES
from .peer import PACKAGE, stranger
from .wire import STRANGER_SECONDS, check_hello, hello

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Any, Callable

    from .loop import Loop
    from .peer import Peer
    from .wire import Message

#: How long, in seconds, no connection is accepted when there are no descriptors left.
ACCEPT_SECONDS = 1.0
#: How many are accepted before the others are heard again: as many as can wait.
ACCEPT_AT_ONCE = 128


def _hello() -> Message:
    return hello(PACKAGE)


class Reception:
    """The connections of a keeper. No silent, slow or unruly one holds up another."""

    def __init__(
        self,
        loop: Loop,
        on_message: Callable[[Peer, Message], None],
        on_gone: Callable[[Peer], None],
        greeting: Callable[[], Message] = _hello,
        key: bytes | None = None,
        backlog: int = BACKLOG_BYTES,
    ) -> None:
        """``on_message`` gets what known peers say; ``on_gone`` those that have left; ``greeting`` gives the hello.

        ``key``: what strangers must know; None where the kernel tells who they are. ``backlog``: who lets more bytes
        lie is not heard meanwhile.
        """
        self._key = key
        self._backlog = backlog
        self._greeting = greeting
        self._loop = loop
        self._on_message = on_message
        self._on_gone = on_gone
        self._peers: set[Peer] = set()
        #: Those that have not made themselves known yet, the oldest first.
        self._strangers: dict[Peer, Doorkeeper | None] = {}

    def listen(self, listener: _socket.socket) -> None:
        """Accept connections from now on."""
        self._loop.watch(listener, partial(self._accept, listener))

    def add(self, peer: Peer) -> None:
        """Hear a front that is known already."""
        self._peers.add(peer)
        self._loop.watch_peer(peer, partial(self.read, peer), self._backlog)

    def read(self, peer: Peer) -> None:
        """Take in what lies in the connection of ``peer``."""
        if peer.closed:
            return
        try:
            for message, _ in peer.receive():
                self._hear(peer, message)
        except (WireError, RecursionError) as error:
            # What could be read may be nested too deeply for what is done with it, if only for its repr().
            peer.fault = str(error)
            peer.closed = True

    def read_all(self, peer: Peer) -> None:
        """As :meth:`read`, until nothing more lies there or ``peer`` has said very much."""
        for _ in range(ACCEPT_AT_ONCE):
            if peer.closed or not system.is_readable(peer):
                return
            self.read(peer)

    def drop_closed(self) -> None:
        """Forget the connections that have closed."""
        for peer in [peer for peer in self._peers if peer.closed]:
            self._peers.discard(peer)
            self._strangers.pop(peer, None)
            if peer.fault:
                peer.refuse(peer.fault, BAD_INPUT)
            self._loop.forget(peer)  # after that: what it does not take at once has it watched
            self._loop.timers.cancel(_timer(peer))
            peer.close()
            self._on_gone(peer)

    def close(self) -> None:
        """Close every connection."""
        for peer in self._peers:
            self._loop.forget(peer)
            peer.close()

    def _accept(self, listener: _socket.socket) -> None:
        """Accept all that wait, lest the last of them waits for as many turns as there are."""
        for _ in range(ACCEPT_AT_ONCE):
            try:
                connection = system.accept(listener)
            except ConnectionAbortedError:
                continue  # it has gone away again
            except BlockingIOError:
                return
            except OSError:
                self._make_room(listener)
                return
            if system.peer_is_me(connection):
                self._welcome(connection)
            else:
                connection.close()

    def _make_room(self, listener: _socket.socket) -> None:
        """No descriptor is left: the oldest stranger goes; if there is none, time may help, and nobody spins."""
        if self._strangers:
            self._dismiss(next(iter(self._strangers)), "the peer did not make itself known, and others wait")
        else:
            self._loop.forget(listener)
            self._loop.timers.set("accept again", ACCEPT_SECONDS, partial(self.listen, listener))

    def _welcome(self, connection: _socket.socket) -> None:
        peer = stranger(connection)
        self._strangers[peer] = Doorkeeper(self._key) if self._key else None
        self.add(peer)
        late = "the peer did not make itself known within %g s" % STRANGER_SECONDS
        self._loop.timers.set(_timer(peer), STRANGER_SECONDS, partial(self._dismiss, peer, late))

    def _dismiss(self, peer: Peer, reason: str) -> None:
        peer.refuse(reason, BAD_INPUT)
        peer.closed = True

    def _hear(self, peer: Peer, message: Message) -> None:
        if peer not in self._strangers:
            self._on_message(peer, message)
            return
        doorkeeper = self._strangers[peer]
        if doorkeeper and not doorkeeper.satisfied:
            answer = doorkeeper.hear(message)
            if answer:
                peer.send(answer)
            return
        check_hello(message, PACKAGE)
        del self._strangers[peer]
        self._loop.timers.cancel(_timer(peer))
        peer.trust()
        peer.send(self._greeting())


def _timer(peer: Peer) -> str:
    return "stranger %d" % id(peer)


def seconds(value: Any) -> float | None:
    """A number of seconds from a message; None for anything else."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e9:
        return float(value)
    return None
