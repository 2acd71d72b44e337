"""An event loop for one thread: descriptors that became ready, connections that take more, timers."""

from __future__ import annotations

import selectors
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from .peer import Peer


class Loop:
    """Calls what is due, one thing after the other."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: dict[str, tuple[float, Callable[[], object]]] = {}

    def watch(self, source: Any, act: Callable[[], object]) -> None:
        """Call ``act`` whenever ``source``, a descriptor or what has one, can be read."""
        self._selector.register(source, selectors.EVENT_READ, lambda events: act())

    def watch_peer(self, peer: Peer, act: Callable[[], object]) -> None:
        """As :meth:`watch`; also sends on what waits in ``peer`` when its socket takes more."""

        def on_events(events: int) -> None:
            if events & selectors.EVENT_WRITE:
                peer.flush()
                if not peer.backlog:
                    self._selector.modify(peer, selectors.EVENT_READ, on_events)
            if events & selectors.EVENT_READ:
                act()

        self._selector.register(peer, selectors.EVENT_READ, on_events)
        peer.on_backlog = lambda: self._selector.modify(peer, selectors.EVENT_READ | selectors.EVENT_WRITE, on_events)

    def forget(self, source: Any) -> None:
        """Watch ``source`` no longer, if it was watched."""
        try:
            self._selector.unregister(source)
        except KeyError:
            return

    def set_timer(self, name: str, seconds: float, act: Callable[[], object]) -> None:
        """Call ``act`` once, in ``seconds``; replaces the timer of that name."""
        self._timers[name] = (time.monotonic() + seconds, act)

    def has_timer(self, name: str) -> bool:
        return name in self._timers

    def cancel_timer(self, name: str) -> None:
        """Forget a timer, if there is one of that name."""
        self._timers.pop(name, None)

    def turn(self) -> None:
        """Wait for the next event, and call what is due."""
        for key, events in self._selector.select(self._patience()):
            key.data(events)
        now = time.monotonic()
        for name in [name for name, (at, _) in self._timers.items() if at <= now]:
            _, act = self._timers.pop(name)
            act()

    def _patience(self) -> float | None:
        if not self._timers:
            return None
        return max(0.0, min(at for at, _ in self._timers.values()) - time.monotonic())
