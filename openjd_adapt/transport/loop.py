"""Event loop, timers, connections that never block, and the listener that takes them, for one thread."""

from __future__ import annotations

import time
from functools import partial

from .. import system
from ..errors import BAD_INPUT, WireError
from ..system.interpreter import PACKAGE
from .wire import (
    FRAME_LIMIT,
    RECEIVE_BYTES,
    STRANGER_LIMIT,
    STRANGER_SECONDS,
    Decoder,
    Doorkeeper,
    check_hello,
    encode,
    hello,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable, Iterable
    from typing import Any

    from .wire import Frame, Message


#: A peer that lets so many bytes of answers lie is not heard until it has taken some.
BACKLOG_BYTES = 1024 * 1024


class Timers:
    """What is to be called once, at its time on ``clock``, by name."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._timers: dict[str, tuple[float, Callable[[], object]]] = {}

    def set(self, name: str, seconds: float, act: Callable[[], object]) -> None:
        """Call ``act`` in ``seconds``; replaces the timer of that name."""
        self._timers[name] = (self.clock() + seconds, act)

    def has(self, name: str) -> bool:
        return name in self._timers

    def cancel(self, name: str) -> None:
        """Forget a timer, if there is one of that name."""
        self._timers.pop(name, None)

    def until_next(self) -> float | None:
        """Seconds until the next is due, not below 0; None without any."""
        if not self._timers:
            return None
        return max(0.0, min(at for at, _ in self._timers.values()) - self.clock())

    def call_due(self) -> None:
        """Call what is due."""
        now = self.clock()
        for name in [name for name, (at, _) in self._timers.items() if at <= now]:
            at, act = self._timers.get(name, (now + 1, bool))
            if at <= now:  # unless one before it has canceled it, or put it off
                del self._timers[name]
                act()


class Coalescer:
    """Tells when a stream comes in small pieces, fast: then it is better taken a little later, many at once."""

    #: A piece is small below so many bytes; pieces come fast if the next is here within so many seconds.
    SMALL_BYTES = 32 * 1024
    FAST_SECONDS = 0.004
    #: So many in a row are to be coalesced: a task's few lines and its end are none.
    PIECES = 8
    #: How long, in seconds, to let them gather.
    PAUSE_SECONDS = 0.001

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = 0.0
        self._pieces = 0

    def take(self, size: int) -> bool:
        """A piece of ``size`` bytes was read; whether to pause before the next."""
        now = self._clock()
        goes_on = size < self.SMALL_BYTES and now - self._last < self.FAST_SECONDS
        self._pieces = self._pieces + 1 if goes_on else 0
        self._last = now
        return self._pieces >= self.PIECES


class Loop:
    """Calls what is due, one thing after the other."""

    def __init__(self) -> None:
        #: What each source is watched for, and what to call with what it is ready for.
        self._watched: dict[Any, tuple[int, Callable[[int], object]]] = {}
        self.timers = Timers()

    def watch(self, source: Any, act: Callable[[], object]) -> None:
        """Call ``act`` whenever ``source``, a descriptor or what has one, can be read."""
        self._watched[source] = (system.READ, lambda events: act())

    def watch_peer(self, peer: Peer, act: Callable[[], object], backlog: int = BACKLOG_BYTES) -> None:
        """As :meth:`watch`; also sends on what waits in ``peer`` when its socket takes more.

        A peer that says much and takes no answers is not heard while more than ``backlog`` bytes of them lie, so that
        they do not fill the memory.
        """

        def on_events(events: int) -> None:
            if events & (system.WRITE | system.BROKEN):
                peer.flush()
                look()
            if events & (system.READ | system.BROKEN) and peer.backlog <= backlog:
                act()

        def look() -> None:
            interest = system.WRITE if peer.backlog else 0
            if peer.backlog <= backlog:
                interest |= system.READ
            self._watched[peer] = (interest, on_events)

        look()
        peer.on_backlog = look

    def send_only(self, peer: Peer) -> None:
        """Send on what waits in ``peer`` when its socket takes more; another thread hears it."""

        def on_events(events: int) -> None:
            peer.flush()
            look()

        def look() -> None:
            self._watched.pop(peer, None)
            if peer.backlog:
                self._watched[peer] = (system.WRITE, on_events)

        look()
        peer.on_backlog = look

    def forget(self, source: Any) -> None:
        """Watch ``source`` no longer, if it was watched."""
        self.timers.cancel(_rest(source))
        self._watched.pop(source, None)

    def rest(self, source: Any, act: Callable[[], object], seconds: float) -> None:
        """Watch ``source`` no longer, and again in so many seconds unless :meth:`forget` comes before."""
        self.forget(source)
        self.timers.set(_rest(source), seconds, lambda: self.watch(source, act))

    def turn(self) -> None:
        """Wait for the next event, and call what is due."""
        sources = {source if isinstance(source, int) else source.fileno(): source for source in self._watched}
        interests = {descriptor: self._watched[source][0] for descriptor, source in sources.items()}
        for descriptor, events in system.wait_for(interests, self.timers.until_next()).items():
            watched = self._watched.get(sources[descriptor])
            if watched:  # unless one before it has had it forgotten
                watched[1](events)
        self.timers.call_due()


def _rest(source: Any) -> str:
    return "rest of %d" % id(source)


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


#: How long, in seconds, no connection is accepted when there are no descriptors left.
ACCEPT_SECONDS = 1.0
#: How many are accepted before the others are heard again: as many as can wait.
ACCEPT_AT_ONCE = 128


def _hello() -> Message:
    return hello(PACKAGE)


class Listener:
    """Accepts connections, hears those that make themselves known; no silent, slow or unruly one holds up another."""

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
            if peer.closed or not system.wait_for({peer.fileno(): system.READ}, 0):
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
