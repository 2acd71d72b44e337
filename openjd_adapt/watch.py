"""What is looked for in an application's lines, declared: ``watch = [Progress(r"(\\d+)%"), Fatal("^Error: (.*)")]``."""

from __future__ import annotations

import re

from .errors import AdaptError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .adaptor import BaseAdaptor


class Watch:
    """A pattern that is searched for in every line of an application, and what it means."""

    def __init__(self, pattern: str) -> None:
        self.regex = re.compile(pattern)

    def __repr__(self) -> str:
        return "%s(%r)" % (type(self).__name__, self.regex.pattern)

    def act(self, adaptor: BaseAdaptor, match: re.Match[str]) -> object:
        """What a match means."""

    @staticmethod
    def text(match: re.Match[str]) -> str:
        """The first group that has found something, or the whole line."""
        return next((group for group in match.groups() if group and group.strip()), match.string.strip())


class Progress(Watch):
    """Progress in percent (one group), or done and all (two groups); what is not a number is passed over."""

    def __init__(self, pattern: str) -> None:
        super().__init__(pattern)
        if self.regex.groups not in (1, 2):
            hint = "give it one group, the percentage, or two, done and all; others are written (?:...)"
            raise ValueError("Progress(%r): has %d groups; %s" % (pattern, self.regex.groups, hint))

    def act(self, adaptor: BaseAdaptor, match: re.Match[str]) -> None:
        *_, match = self.regex.finditer(match.string)  # of several marks in a line the last counts
        try:
            values = [float(group) for group in match.groups() if group]
        except ValueError:
            return
        finite = all(value - value == 0 for value in values)
        if values and finite and (len(values) == 1 or values[1]):
            adaptor.report_progress(values[0] if len(values) == 1 else 100.0 * values[0] / values[1])


class Status(Watch):
    """The first group, or the line, is the task's status."""

    def act(self, adaptor: BaseAdaptor, match: re.Match[str]) -> None:
        adaptor.update_status(status_message=self.text(match))


class Done(Watch):
    """The work is done though the process may never exit: it is ended a second later, and the task counts as done.

    Of an application that stays open nothing says that: an ``ApplicationAdaptor`` may not have it.
    """


class Fatal(Watch):
    """The task fails with the first group, or the line; ``message``, such as what to do, stands behind that.

    ``lines``: how many lines tell it, with the matched one; what follows is waited for no longer than a second.
    """

    def __init__(self, pattern: str, message: str = "", lines: int = 1) -> None:
        super().__init__(pattern)
        self.message = message
        self.lines = lines

    def error(self, said: list[str]) -> AdaptError:
        """The failure that these lines tell."""
        return AdaptError(" | ".join(said) + (self.message and " (%s)" % self.message))

    def act(self, adaptor: BaseAdaptor, match: re.Match[str]) -> None:
        raise self.error([self.text(match)])


class Warn(Watch):
    """The first group, or the line, is logged as a warning."""

    def act(self, adaptor: BaseAdaptor, match: re.Match[str]) -> None:
        import logging

        logging.getLogger(__name__).warning("%s", self.text(match))


class Ignore(Watch):
    """The line is not passed on."""
