"""An event loop for one thread: descriptors that became ready, connections that take more, timers."""

from __future__ import annotations

import time

from . import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from .peer import Peer


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

    def patience(self) -> float | None:
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


class Trickle:
    """Tells when a stream comes in small pieces, fast: then it is better taken a little later, many at once."""

    #: A piece is small below so many bytes; pieces come fast if the next is here within so many seconds.
    SMALL_BYTES = 32 * 1024
    FAST_SECONDS = 0.004
    #: So many in a row make a trickle: a task's few lines and its end are none.
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
        for descriptor, events in system.wait_for(interests, self.timers.patience()).items():
            watched = self._watched.get(sources[descriptor])
            if watched:  # unless one before it has had it forgotten
                watched[1](events)
        self.timers.call_due()


def _rest(source: Any) -> str:
    return "rest of %d" % id(source)
