"""What is looked for in an application's lines, declared: ``watch = [Progress(r"(\\d+)%"), Fatal("^Error: (.*)")]``."""

from __future__ import annotations

import logging
import re
import time

from . import messages, output
from .errors import AdaptError
from .lines import RegexCallback, RegexHandler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .adaptor import BaseAdaptor

_logger = logging.getLogger(__name__)

#: Progress is reported this often, in seconds, at the most.
REPORT_SECONDS = 0.1


class Watch:
    """A pattern that is searched for in every line of an application, and what it means."""

    def __init__(self, pattern: str) -> None:
        self.regex = re.compile(pattern)

    def act(self, adaptor: BaseAdaptor, match: re.Match[str]) -> None:
        """What a match means."""

    @staticmethod
    def text(match: re.Match[str]) -> str:
        """The first group, or the whole line."""
        return str(match.group(1)) if match.re.groups else match.string.strip()


class Progress(Watch):
    """Progress in percent (one group), or done and all (two groups)."""

    def act(self, adaptor: BaseAdaptor, match: re.Match[str]) -> None:
        values = [float(group) for group in match.groups() if group is not None]
        if values and (len(values) == 1 or values[1]):
            adaptor.report_progress(values[0] if len(values) == 1 else 100.0 * values[0] / values[1])


class Status(Watch):
    """The first group, or the line, is the task's status."""

    def act(self, adaptor: BaseAdaptor, match: re.Match[str]) -> None:
        adaptor.update_status(status_message=self.text(match))


class Fatal(Watch):
    """The task fails with the first group, or the line."""

    def act(self, adaptor: BaseAdaptor, match: re.Match[str]) -> None:
        raise AdaptError(self.text(match))


class Warn(Watch):
    """The first group, or the line, is logged as a warning."""

    def act(self, adaptor: BaseAdaptor, match: re.Match[str]) -> None:
        _logger.warning("%s", self.text(match))


class Ignore(Watch):
    """The line is not passed on."""


class Watcher(RegexHandler):
    """The watches of an adaptor, as what is called for each line."""

    def __init__(self, adaptor: BaseAdaptor, watches: Sequence[Watch]) -> None:
        self._hidden = [watch.regex for watch in watches if isinstance(watch, Ignore)]

        def callback(watch: Watch) -> Callable[[re.Match[str]], None]:
            return lambda match: watch.act(adaptor, match)

        acting = [watch for watch in watches if not isinstance(watch, Ignore)]
        super().__init__([RegexCallback([watch.regex], callback(watch)) for watch in acting])

    def hides(self, line: str) -> bool:
        """Whether the line is not to be passed on."""
        return any(regex.search(line) for regex in self._hidden)


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
