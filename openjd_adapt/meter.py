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

    #: What waits, if anything does; of all meters, for a process has one scheduler to report to.
    waiting: str | None = None

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = float("-inf")
        self._lock = threading.Lock()
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
            Meter.waiting = line
            if self._ticker and self._ticker.is_alive():  # not in a child that was forked from here
                return
            if self._clock() - self._last >= REPORT_SECONDS:
                self._say()
            elif task.current() is not task.IDLE:  # its end ends the thread
                self._ticker = threading.Thread(target=self._tick, name="progress", daemon=True)
                self._ticker.start()

    def _tick(self) -> None:
        while not self._over.wait(REPORT_SECONDS):
            with self._lock:
                if self._over.is_set() or not Meter.waiting:
                    self._ticker = None
                    return
                self._say()

    def _say(self) -> None:
        """Called with the lock held."""
        line, Meter.waiting = Meter.waiting, None
        if line:
            self._last = self._clock()
            output.say(line)

    def flush(self) -> None:
        """Report what has waited: the task is over."""
        with self._lock:
            self._over.set()
            ticker = self._ticker
            self._say()
        if ticker:
            ticker.join()
        self._over.clear()

    @contextmanager
    def within(self, begin: float, end: float) -> Iterator[None]:
        """Let 0 to 100 stand for another part of the task for the length of a block."""
        before, self.span = self.span, (begin, end)
        try:
            yield
        finally:
            self.span = before
