"""An application that is driven by its standard input: lines to it, and those of its output that answer."""

from __future__ import annotations

import logging
import os
import re
import threading

from .errors import AdaptError, Canceled
from .lines import RegexCallback
from .patience import EXIT_SECONDS, TimedOut

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .lines import RegexHandler
    from .patience import Patience
    from .process import LoggingSubprocess

_logger = logging.getLogger(__name__)


class _Line:
    """A line that is under way."""

    def __init__(self) -> None:
        self.taken = False
        self.broken = False


class Prompt:
    """The standard input of one application, and the watch for answers."""

    def __init__(self, name: str, process: LoggingSubprocess, handler: RegexHandler, patience: Patience) -> None:
        """``name`` is the application's, for messages; ``handler`` looks at the lines of its output."""
        self._name = name
        self._process = process
        self._handler = handler
        self._patience = patience
        #: One line is under way at a time.
        self._turn = threading.Lock()
        #: The line that it was asked and has not answered, whether somebody waits for that or has given it up.
        self._unanswered: list[str] = []

    def write_line(self, text: str, timeout: float | None = None) -> None:
        """Write a line and wait until it is taken; raises as :meth:`Patience.wait`."""
        self._take_turn(timeout)
        self._write_in_turn(text, timeout)

    def _take_turn(self, timeout: float | None) -> None:
        stdin = self._process.stdin
        if stdin is None or stdin.closed:
            raise AdaptError("%s has no standard input; set stdin = True" % self._name)
        while not self._turn.acquire(blocking=False):
            self._patience.wait(lambda: not self._turn.locked(), timeout, "it to read the line before")

    def _write_in_turn(self, text: str, timeout: float | None) -> None:
        line = _Line()
        arguments = line, text.encode("utf-8") + b"\n"
        threading.Thread(target=self._write, args=arguments, name="a line to " + self._name, daemon=True).start()
        self._patience.wait(lambda: line.taken, timeout, "it to read a line")
        if line.broken:
            self._process.wait_quietly(EXIT_SECONDS)
            raise self._patience.exited("a line was written to it", "standard input")

    def _write(self, line: _Line, data: bytes) -> None:
        """On a thread, as an application that does not read blocks it for as long as it likes; nothing waits for it."""
        try:
            stdin = self._process.stdin
            descriptor = os.dup(stdin.fileno() if stdin else -1)  # its own, which nobody closes under it
            try:
                while data:
                    data = data[os.write(descriptor, data) :]
            finally:
                os.close(descriptor)
        except (OSError, ValueError):  # nobody reads it, or it was closed meanwhile
            line.broken = True
        line.taken = True
        self._turn.release()
        self._patience.wake()

    def ask(self, text: str, pattern: str, timeout: float | None) -> re.Match[str]:
        """Write a line and wait for one in which ``pattern`` is found; raises as :meth:`Patience.wait`.

        An answer that comes later, after a cancel or a timeout, is dropped, and until then nothing else is asked, as it
        would be taken for the next one's.
        """
        late = "the late answer to %r" % " ".join(self._unanswered)
        self._patience.wait(lambda: not self._unanswered, timeout, late)
        found: list[re.Match[str]] = []
        given_up = threading.Event()

        def notice(match: re.Match[str]) -> None:
            if not found:
                found.append(match)
                self._expect_no_more(expected)
                if given_up.is_set():
                    _logger.info("%s has answered %r, which nobody waits for any more", self._name, text)
                self._patience.wake()

        expected = RegexCallback([re.compile(pattern)], notice)
        self._take_turn(timeout)
        self._handler.regex_callbacks = [*self._handler.regex_callbacks, expected]
        self._unanswered.append(text)
        try:
            self._write_in_turn(text, timeout)
            self._patience.wait(lambda: bool(found), timeout, "a line with %r" % pattern)
        except (Canceled, TimedOut):
            given_up.set()
            raise
        except BaseException:
            self._expect_no_more(expected)
            raise
        return found[0]

    def _expect_no_more(self, expected: RegexCallback) -> None:
        self._handler.regex_callbacks = [entry for entry in self._handler.regex_callbacks if entry is not expected]
        self._unanswered.clear()

    def close(self) -> bool:
        """Close the standard input, by which some applications are asked to end; False if that cannot be done."""
        stdin = self._process.stdin
        if stdin is None or stdin.closed or self._turn.locked():
            return False
        self._process.close_stdin()
        return True
