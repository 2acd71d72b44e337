"""Progress as often as it comes, reported as often as somebody can read it."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

from . import messages, output, task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Progress is reported this often, in seconds, at the most.
REPORT_SECONDS = 0.1


class Meter:
    """Reports progress not too often, scaled to a part of the task, and never loses the last value."""

    #: The one that was used last; a process has one scheduler to report to.
    latest: Meter | None = None

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = float("-inf")
        self._lock = threading.Lock()
        self._waiting: str | None = None
        #: A thread that reports what waits, as long as values come; and what ends it.
        self._ticker: threading.Thread | None = None
        self._over = threading.Event()
        #: The part of the task, in percent, that 0 to 100 stand for.
        self.span = (0.0, 100.0)

    def report(self, percent: float) -> None:
        """Report, now or a moment later if no other value comes until then."""
        begin, end = self.span
        line = messages.progress(begin + (end - begin) * min(100.0, max(0.0, percent)) / 100)
        if line is None or percent != percent:
            return
        with self._lock:
            Meter.latest = self
            self._waiting = line
            if self._ticker and self._ticker.is_alive():  # not in a child that was forked from here
                return
            if self._clock() - self._last >= REPORT_SECONDS:
                self._say()
            elif task.is_running():  # its end ends the thread
                self._over = threading.Event()
                self._ticker = threading.Thread(target=self._tick, args=(self._over,), name="progress", daemon=True)
                self._ticker.start()

    def _tick(self, over: threading.Event) -> None:
        while not over.wait(REPORT_SECONDS):
            with self._lock:
                if over.is_set():
                    return
                if not self._waiting:
                    self._ticker = None
                    return
                self._say()

    def _say(self) -> None:
        """Called with the lock held."""
        line, self._waiting = self._waiting, None
        if line:
            self._last = self._clock()
            output.say(line)

    def drop(self) -> None:
        """Forget what has waited: newer progress is reported otherwise."""
        with self._lock:
            self._waiting = None

    def flush(self) -> None:
        """Report what has waited: the task is over."""
        with self._lock:
            self._over.set()
            ticker, self._ticker = self._ticker, None
            self._say()
        if ticker:
            ticker.join()

    @contextmanager
    def within(self, begin: float, end: float) -> Iterator[None]:
        """Let 0 to 100 stand for another part of the task for the length of a block."""
        before, self.span = self.span, (begin, end)
        try:
            yield
        finally:
            self.span = before
