"""How long an application is waited for: as long as it lives, time is left, and output comes."""

from __future__ import annotations

import threading
import time

from . import task
from .errors import AdaptError, describe_exit, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .process import LoggingSubprocess

#: How long, in seconds, an application may take to exit when its connection has closed.
EXIT_SECONDS = 2.0
#: How many of an application's last lines are told when it has died.
LAST_LINES = 5


class ApplicationExited(AdaptError):
    """The application has ended, or has closed its connection, while something was asked of it.

    ``returncode`` is negative for a signal, and None if the process has not ended.
    """

    def __init__(self, message: str, returncode: int | None) -> None:
        super().__init__(message)
        self.returncode = returncode


class TimedOut(AdaptError):
    """What was waited for has not come in time."""


class Patience:
    """The waits for one application, on whatever thread."""

    def __init__(
        self,
        name: str,
        process: LoggingSubprocess,
        wait: Callable[[task.Task, Callable[[], bool], float | None], object],
        no_output_timeout: float | None,
    ) -> None:
        """``name`` is the application's, for messages; ``no_output_timeout``: seconds, None for as long as it likes.

        ``wait`` is :meth:`Task.wait_for` or :meth:`Ear.listen`.
        """
        self._name = name
        self._process = process
        self._wait = wait
        self._no_output_timeout = no_output_timeout
        #: The thread that hands what the application reports to the adaptor, while it does.
        self.reporting: int | None = None
        #: As in :meth:`Application.limit_phase`.
        self.phase_limit: tuple[float, str] | None = None
        #: The application's client has connected; its connection was closed.
        self.connected = False
        self.gone = False
        #: The tasks that have waited for the application, and are woken by what it says.
        self._tasks: set[task.Task] = set()

    def wait(self, condition: Callable[[], bool], timeout: float | None, what: str) -> None:
        """Wait until ``condition()`` holds, for ``timeout`` seconds at the most; ``what`` says in words for what.

        Raises :class:`ApplicationExited`, :class:`TimedOut`, and what ends the task.
        """
        if self.reporting == threading.get_ident():
            raise AdaptError("%s cannot be waited for in what it has just reported" % self._name)
        current = task.current()
        self._process.tell(current)
        self._tasks.add(current)
        began = time.monotonic()
        while not condition():
            if self._is_over():
                self._see_out(current, condition)
                if condition():
                    return
                raise self.exited("waiting for " + what)
            end, limit = self._limit(began, timeout)
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                raise TimedOut("%s: waited %s for %s" % (self._name, limit, what))
            self._wait(current, lambda: condition() or self._is_over(), left)

    def _limit(self, began: float, timeout: float | None) -> tuple[float | None, str]:
        """When a wait that began then is over, None for never, and by which limit, in words."""
        limits = [] if self.phase_limit is None else [self.phase_limit]
        if timeout is not None:
            limits.append((began + timeout, "%g s" % timeout))
        if self._no_output_timeout is not None:
            silent = "%g s without output" % self._no_output_timeout
            limits.append((max(self._process.last_output, began) + self._no_output_timeout, silent))
        return min(limits) if limits else (None, "")

    def _is_over(self) -> bool:
        return self.gone or not self._process.is_running

    def _see_out(self, current: task.Task, condition: Callable[[], bool]) -> None:
        """The application is going: give its exit a moment, so that its code can be told, and what it said last."""
        if self._process.wait_quietly(EXIT_SECONDS) and self.connected:
            current.wait_for(lambda: condition() or self.gone, EXIT_SECONDS)

    def exited(self, while_doing: str, closed: str = "connection") -> ApplicationExited:
        """The error that tells how the application has ended, or that it has closed something without that."""
        code = self._process.returncode
        how = "has closed its " + closed if code is None else describe_exit(code)
        lines = " | ".join(one_line(line) for line in self._process.last_lines(LAST_LINES))
        tail = "; its last lines: " + lines if lines else ""
        return ApplicationExited("%s %s while %s%s" % (self._name, how, while_doing, tail), code)

    def wake(self) -> None:
        """Let the waits look at their conditions; from any thread."""
        for waiting in tuple(self._tasks):
            waiting.changed()
