"""Event loop, timers, connections that never block, and the listener that takes them, for one thread."""

from __future__ import annotations

import _socket  # as in system.posix
import time

from .. import system
from ..errors import BAD_INPUT, WireError
from ..system.interpreter import PACKAGE
from . import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from .wire import Frame, Message


#: A peer that lets so many bytes of answers lie is not heard until it has taken some.
BACKLOG_BYTES = 1024 * 1024


class Timers:
    """What is to be called once, at its time on ``clock``, by name."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._timers: dict[Any, tuple[float, Callable[[], object]]] = {}

    def set(self, name: Any, seconds: float, act: Callable[[], object]) -> None:
        """Call ``act`` in ``seconds``; replaces the timer of that name."""
        self._timers[name] = (self.clock() + seconds, act)

    def cancel(self, name: Any) -> None:
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
    FAST_SECONDS = 0.01
    #: So many in a row are to be coalesced: a task's few lines and its end are none.
    PIECES = 8
    #: How long, in seconds, to let them gather.
    PAUSE_SECONDS = 0.003

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
    """Calls what is due, one thing after the other, without ``selectors``: see "How it works" in the README."""

    def __init__(self) -> None:
        #: What tells, before each turn, what a source is to be watched for, and what to call with what it is ready for.
        self._watched: dict[Any, tuple[Callable[[], int], Callable[[int], object]]] = {}
        self.timers = Timers()

    def watch(self, source: Any, act: Callable[[], object]) -> None:
        """Call ``act`` whenever ``source``, a descriptor or what has one, can be read."""
        self._watched[source] = (lambda: system.READ, lambda events: act())

    def watch_peer(self, peer: Peer, act: Callable[[], object] | None, backlog: int = BACKLOG_BYTES) -> None:
        """As :meth:`watch`, but nothing is called where ``act`` is None, as another thread hears the peer.

        Also sends on what waits in ``peer`` when its socket takes more. A peer that says much and takes no answers is
        not heard while more than ``backlog`` bytes of them lie, so that they do not fill the memory.
        """

        def interest() -> int:
            waiting = peer.backlog
            read = system.READ if act and waiting <= backlog else 0
            return read | system.WRITE if waiting else read

        def on_events(events: int) -> None:
            if events & (system.WRITE | system.BROKEN):
                peer.flush()
            if act and events & (system.READ | system.BROKEN) and peer.backlog <= backlog:
                act()

        self._watched[peer] = (interest, on_events)

    def forget(self, source: Any) -> None:
        """Watch ``source`` no longer, if it was watched, and cancel the timer that has it as its name."""
        self.timers.cancel(source)
        self._watched.pop(source, None)

    def rest(self, source: Any, act: Callable[[], object], seconds: float) -> None:
        """Watch ``source`` no longer, and again in so many seconds unless :meth:`forget` comes before."""
        self.forget(source)
        self.timers.set(source, seconds, lambda: self.watch(source, act))

    def turn(self) -> None:
        """Wait for the next event, and call what is due."""
        sources: dict[int, Any] = {}
        interests: dict[int, int] = {}
        for source, (interest, _) in self._watched.items():
            wanted = interest()
            if wanted:  # else its end, which is found without being asked for, would come in every turn
                descriptor = source if isinstance(source, int) else source.fileno()
                sources[descriptor] = source
                interests[descriptor] = wanted
        for descriptor, events in system.wait_for(interests, self.timers.until_next()).items():
            watched = self._watched.get(sources[descriptor])
            if watched:  # unless one before it has had it forgotten
                watched[1](events)
        self.timers.call_due()


class Peer:
    """One end of a connection that never blocks: frames in and out, whatever the pace of the other end."""

    def __init__(self, connection: _socket.socket, limit: int = wire.FRAME_LIMIT) -> None:
        connection.setblocking(False)
        #: Who is heard among many says little at a time, so that one that asks without end holds up nobody.
        self._receive_bytes = min(limit, wire.RECEIVE_BYTES)
        self._socket = connection
        self.decoder = wire.Decoder(limit)
        self._outgoing = bytearray()
        #: The other end is gone, or this end was closed.
        self.closed = False
        #: Why it is rejected, which it is told before it is closed; empty for nothing.
        self.fault = ""

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def backlog(self) -> int:
        """Bytes that wait until the socket takes more."""
        return len(self._outgoing)

    def send(self, message: Message, body: bytes = b"") -> None:
        """Queue a frame and send what the socket takes now. Raises :class:`InputError` as :func:`encode` does."""
        self.send_frames(wire.encode(message, body))

    def send_frames(self, data: bytes) -> None:
        """As :meth:`send`, for what is encoded already.

        While nothing waits also for a thread that is not the loop's, if no other sends: the rest is left to the loop.
        """
        if self._outgoing:
            self._outgoing += data
            self.flush()
        else:
            self._outgoing += memoryview(data)[self._send_now(data) :]

    def refuse(self, reason: str, code: int) -> None:
        """Answer with an error; ``code`` is the exit code that a front is to leave with."""
        self.send({"error": reason, "code": code})

    def reject(self, fault: str) -> None:
        """Have its listener close it, and tell it why before that, once."""
        self.fault = fault
        self.closed = True

    def flush(self) -> None:
        """Send of what waits as much as the socket takes now."""
        sent = 1
        while self._outgoing and sent:
            sent = self._send_now(self._outgoing)
            del self._outgoing[:sent]

    def _send_now(self, data: bytes | bytearray) -> int:
        """Send what the socket takes now, and return how much. Where that fails it is all, and the connection ends."""
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            try:  # to end it for both; what the other end has said can still be read
                self._socket.shutdown(_socket.SHUT_RDWR)
            except OSError:
                pass  # it has ended already
            return len(data)

    def receive(self) -> Iterable[Frame]:
        """The frames that one read completes; the end of the stream sets :attr:`closed`. Raises :class:`WireError`."""
        try:
            data = self._socket.recv(self._receive_bytes)
        except BlockingIOError:
            return ()
        except OSError:
            data = b""
        self.closed = not data
        return self.decoder.feed(data)

    def close(self) -> None:
        self.closed = True
        self._socket.close()


class StreamWriter(system.StandardStream):
    """A standard stream of a command: what waits for its reader, and is written without ever blocking."""

    def __init__(self, descriptor: int, wakeup: system.Bell | None = None) -> None:
        super().__init__(descriptor, wakeup)
        self._waiting: list[memoryview] = []
        #: Why nothing more is written; empty as long as somebody may read it.
        self.fault = ""

    @property
    def interest(self) -> int:
        """What it is to be waited for until it takes more; 0 if nothing waits."""
        return self.INTEREST if self._waiting else 0

    def queue(self, data: bytes) -> None:
        """Have ``data`` wait for :meth:`flush`."""
        if data and not self.fault:
            self._waiting.append(memoryview(data))

    def flush(self) -> None:
        """Write of what waits as much as the stream takes now."""
        try:
            while self._waiting and system.wait_for({self.fileno(): self.interest}, 0):
                rest = self._waiting[0][self.write(self._waiting[0]) :]
                self._waiting[:1] = [rest] if rest else []
        except BlockingIOError:
            return
        except OSError as error:
            self.drop(error.strerror or str(error))

    def drop(self, why: str) -> None:
        """Write nothing more."""
        self.fault = self.fault or why
        self._waiting.clear()

    def drain(self, timeout: float | None) -> bool:
        """Write all that waits; False if nobody reads it, or takes any of it for ``timeout`` seconds."""
        while self._waiting and system.wait_for({self.fileno(): self.interest}, timeout):
            self.flush()
        if self._waiting:
            self.drop("nobody reads it")
        return not self.fault


#: How long, in seconds, no connection is accepted when there are no descriptors left.
ACCEPT_SECONDS = 1.0
#: How many are accepted before the others are heard again: as many as can wait.
ACCEPT_AT_ONCE = 128


class Listener:
    """Accepts connections, hears those that make themselves known; no silent, slow or unruly one holds up another."""

    def __init__(
        self,
        loop: Loop,
        on_message: Callable[[Peer, Message, bytes], None],
        on_gone: Callable[[Peer], None],
        greeting: Callable[[], Message] | None = None,
        key: bytes | None = None,
        backlog: int = BACKLOG_BYTES,
        on_readable: Callable[[Peer], None] | None = None,
    ) -> None:
        """``on_message`` gets frames of known peers; ``on_gone`` those that have left; ``greeting`` gives the hello.

        ``key``: what peers must prove to know; None where the kernel tells who they are. ``backlog``: who lets more
        bytes lie is not heard meanwhile. ``on_readable`` is called instead of :meth:`read`, and is to call that.
        """
        self._key = key
        self._backlog = backlog
        self._greeting = greeting or (lambda: wire.hello(PACKAGE))
        self._loop = loop
        self._on_message = on_message
        self._on_gone = on_gone
        self._on_readable = on_readable or self.read
        #: The oldest first, each with what verifies it; with None when it has made itself known.
        self._peers: dict[Peer, wire.Verifier | None] = {}

    def listen(self, listener: _socket.socket) -> None:
        """Accept connections from now on."""
        self._loop.watch(listener, lambda: self._accept(listener))

    def add(self, peer: Peer) -> None:
        """Hear a peer that is known already, or again."""
        self._peers.setdefault(peer)
        self._loop.watch_peer(peer, lambda: self._on_readable(peer), self._backlog)

    def read(self, peer: Peer) -> None:
        """Take in what lies in the connection of ``peer``."""
        if peer.closed:
            return
        try:
            for message, body in peer.receive():
                self._hear(peer, message, body)
        except (WireError, RecursionError) as error:
            # What could be read may be nested too deeply for what is done with it, if only for its repr().
            peer.reject(str(error))

    def read_all(self, peer: Peer) -> None:
        """As :meth:`read`, until nothing more lies there or ``peer`` has said very much."""
        for _ in range(ACCEPT_AT_ONCE):
            if peer.closed or not system.wait_for({peer.fileno(): system.READ}, 0):
                return
            self.read(peer)

    def drop_closed(self) -> None:
        """Forget the connections that have closed."""
        for peer in [peer for peer in self._peers if peer.closed]:
            del self._peers[peer]
            if peer.fault:
                peer.refuse(peer.fault, BAD_INPUT)
            self._loop.forget(peer)
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
        """No descriptor is left: the oldest unknown peer goes; if there is none, time may help, and nobody spins."""
        unknown = [peer for peer, verifier in self._peers.items() if verifier]
        if unknown:
            unknown[0].reject("the peer did not make itself known, and others wait")
        else:
            self._loop.rest(listener, lambda: self._accept(listener), ACCEPT_SECONDS)

    def _welcome(self, connection: _socket.socket) -> None:
        peer = Peer(connection, wire.HANDSHAKE_LIMIT)
        self._peers[peer] = wire.Verifier(self._key)
        self.add(peer)
        late = "the peer did not make itself known within %g s" % wire.HANDSHAKE_SECONDS
        self._loop.timers.set(peer, wire.HANDSHAKE_SECONDS, lambda: peer.reject(late))

    def _hear(self, peer: Peer, message: Message, body: bytes) -> None:
        verifier = self._peers[peer]
        if verifier is None:
            self._on_message(peer, message, body)
        elif not verifier.satisfied:
            answer = verifier.hear(message)
            if answer:
                peer.send(answer)
        else:
            wire.check_hello(message, PACKAGE)
            self._peers[peer] = None
            self._loop.timers.cancel(peer)
            peer.decoder.limit = wire.FRAME_LIMIT
            peer.send(self._greeting())


def seconds(value: Any) -> float | None:
    """A number of seconds from a message; None for anything else."""
    return float(value) if type(value) in (int, float) and 0 <= value < 1e9 else None
