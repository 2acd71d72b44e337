"""Who hears what an application says: the thread that waits for it, or else the server's."""

from __future__ import annotations

import threading

from . import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .loop import Loop
    from .peer import Peer
    from .task import Task

#: The server's thread listens again when no other has for so long, in seconds.
QUIET_SECONDS = 0.02


class Ear:
    """Has one thread at a time read from the application: one that waits for it, or else the server's.

    A thread that reads its own answer needs no other to wake it, which is much of what a call costs. Calls follow one
    another, and to tell the server's thread where each begins and ends would cost as much again: when it is woken while
    another listens, it stays away from the connection, and looks a little later whether that was all. If somebody is
    still listening then, it stays away until that one is done, and is told so.
    """

    def __init__(
        self,
        loop: Loop,
        peer: Peer,
        bell: system.Bell,
        *,
        read: Callable[[], object],
        ring_server: Callable[[], object],
        backlog: int,
    ) -> None:
        """``bell`` wakes the thread that listens, and ``ring_server`` has the server's thread :meth:`return_later`.

        ``read`` takes in what lies in the connection of ``peer``; ``backlog`` is as in :meth:`Loop.watch_peer`.
        """
        self._loop = loop
        self._peer = peer
        self._bell = bell
        self._read = read
        self._ring_server = ring_server
        self._backlog = backlog
        #: Held by the thread that listens.
        self._listening = threading.Lock()
        #: Another thread than the server's has listened since that looked last.
        self._used = False
        #: The server's thread stays away: for a moment, or until whoever listens is done.
        self._away = False
        self._awaited = False
        self._closed = False
        self._watch()

    def listen(self, waiting: Task, condition: Callable[[], bool], timeout: float | None) -> None:
        """Wait until ``condition`` may hold; this thread reads what the application says meanwhile, if no other does.

        May return early, and does after ``timeout`` seconds. Raises what :meth:`Task.check` raises.
        """
        if not self._listening.acquire(blocking=False):
            waiting.wait_for(lambda: condition() or not self._listening.locked(), timeout)
        elif self._closed or self._peer.closed:
            self._listening.release()
            waiting.wait_for(condition, timeout)
        else:
            try:
                self._sleep_and_read(waiting, condition, timeout)
            finally:
                self._listening.release()
                waiting.changed()  # another may want to listen now
                if self._awaited:
                    self._awaited = False
                    self._ring_server()

    def _sleep_and_read(self, waiting: Task, condition: Callable[[], bool], timeout: float | None) -> None:
        self._used = True
        bell, peer = self._bell.fileno(), self._peer.fileno()
        waiting.add_bell(self._bell.ring)  # from here on whoever changes something rings
        try:
            if condition():
                return
            waiting.check()
            ready = system.wait_for({bell: system.READ, peer: system.READ}, timeout)
        finally:
            waiting.remove_bell(self._bell.ring)
        if bell in ready:
            self._bell.heard()
        if peer in ready:
            self._read()

    # On the server's thread.

    def close(self) -> None:
        """Listen no more, before the connection is closed; waits for the thread that does."""
        self._closed = True
        self._loop.timers.cancel("return")
        self._bell.ring()  # one that has found it open, and is about to sleep, wakes at once
        with self._listening:
            return

    def return_later(self) -> None:
        """Whoever listened for long has stopped; another may begin at once."""
        if self._away and not self._closed and not self._loop.timers.has("return"):
            self._loop.timers.set("return", QUIET_SECONDS, self._return)

    def _return(self) -> None:
        self._awaited = True  # before the look: who stops listening just now either sees this, or is not seen
        if self._listening.locked():
            return
        self._awaited = False
        if self._used:
            self._stay_away()
        else:
            self._watch()

    def _stay_away(self) -> None:
        self._used = False
        self._away = True
        self._loop.send_only(self._peer)
        self.return_later()

    def _watch(self) -> None:
        self._away = False
        self._loop.watch_peer(self._peer, self._hear, self._backlog)

    def _hear(self) -> None:
        if self._listening.acquire(blocking=False):
            try:
                self._read()
            finally:
                self._listening.release()
        else:
            self._stay_away()
