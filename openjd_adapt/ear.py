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
    another listens, it leaves the connection alone, and looks later whether that still does.
    """

    def __init__(self, loop: Loop, peer: Peer, read: Callable[[], object], backlog: int) -> None:
        """``read`` takes in what lies in the connection of ``peer``; ``backlog`` is as in :meth:`Loop.watch_peer`."""
        self._loop = loop
        self._peer = peer
        self._read = read
        self._backlog = backlog
        #: Held by the thread that listens.
        self._listening = threading.Lock()
        self._bell = system.Bell()
        #: The thread that listens sleeps, or is about to, and is to be rung.
        self._sleeps = False
        #: Another thread than the server's has listened since that looked last.
        self._lent = False
        self._closed = False
        self._watch()

    def listen(self, waiting: Task, condition: Callable[[], bool], timeout: float | None) -> None:
        """Wait until ``condition`` may hold; this thread reads what the application says meanwhile, if no other does.

        May return early, and does after ``timeout`` seconds. Raises what :meth:`Task.check` raises.
        """
        if not self._listening.acquire(blocking=False):
            waiting.wait_for(lambda: condition() or not self._listening.locked(), timeout)
            return
        try:
            closed = self._closed or self._peer.closed
            if not closed:
                self._sleep_and_read(waiting, condition, timeout)
        finally:
            self._listening.release()
            waiting.changed()  # another may want to listen now
        if closed:
            waiting.wait_for(condition, timeout)

    def _sleep_and_read(self, waiting: Task, condition: Callable[[], bool], timeout: float | None) -> None:
        self._lent = True
        bell, peer = self._bell.fileno(), self._peer.fileno()
        waiting.bells.append(self._ring)
        self._sleeps = True  # from here on whoever changes something rings
        try:
            if condition():
                return
            waiting.check()
            ready = system.wait_for({bell: system.READ, peer: system.READ}, timeout)
        finally:
            self._sleeps = False
            waiting.bells.remove(self._ring)
        if bell in ready:
            self._bell.heard()
        if peer in ready:
            self._read()

    def _ring(self) -> None:
        if self._sleeps:
            self._bell.ring()

    # On the server's thread.

    def close(self) -> None:
        """Listen no more, before the connection is closed; waits for the thread that does."""
        self._closed = True
        self._loop.timers.cancel("listen again")
        self._ring()
        with self._listening:
            self._bell.close()

    def _watch(self) -> None:
        self._loop.watch_peer(self._peer, self._hear, self._backlog)

    def _hear(self) -> None:
        if self._listening.acquire(blocking=False):
            try:
                self._read()
            finally:
                self._listening.release()
        else:
            self._leave()

    def _leave(self) -> None:
        self._lent = False
        self._loop.watch_peer(self._peer, None, self._backlog)
        self._loop.timers.set("listen again", QUIET_SECONDS, self._look)

    def _look(self) -> None:
        if self._lent or self._listening.locked():
            self._leave()
        else:
            self._watch()
