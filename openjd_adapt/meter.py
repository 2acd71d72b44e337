"""Progress as often as it comes, reported as often as somebody can read it."""

from __future__ import annotations

import time
from contextlib import contextmanager

from . import messages, output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Progress is reported this often, in seconds, at the most.
REPORT_SECONDS = 0.1


class Meter:
    """Reports progress not too often, scaled to a part of the task, and never loses the last value."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = float("-inf")
        self._waiting: str | None = None
        #: The part of the task, in percent, that 0 to 100 stand for.
        self.span = (0.0, 100.0)

    def report(self, percent: float) -> None:
        """Report, now or when the next value or the task's end comes."""
        begin, end = self.span
        line = messages.progress(begin + (end - begin) * min(100.0, max(0.0, percent)) / 100)
        if line is None:
            return
        self._waiting = line
        if self._clock() - self._last >= REPORT_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Report what has waited."""
        line, self._waiting = self._waiting, None
        if line:
            self._last = self._clock()
            output.say(line)

    @contextmanager
    def within(self, begin: float, end: float) -> Iterator[None]:
        """Let 0 to 100 stand for another part of the task for the length of a block."""
        before, self.span = self.span, (begin, end)
        try:
            yield
        finally:
            self.span = before
