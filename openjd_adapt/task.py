"""The running task, as an adaptor's waits see it: whether it was canceled, has failed, and until when it may go on."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager

from .errors import AdaptError, Canceled, TimedOut, describe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Callable


_logger = logging.getLogger(__name__)


class Phase:
    """One task, or what comes after it: what has ended it, if anything has. A wait keeps to the phase it began in."""

    def __init__(self, task: Task, runs: bool = True, succeeded: bool = True) -> None:
        self.task = task
        #: Whether a failure is this one's; else it is held for the next one, if this one, or the last, has succeeded.
        self.runs = runs
        self.succeeded = succeeded
        self.canceled = False
        self.failure: BaseException | None = None
        #: The adaptor's attribute that bounds all of it, once a hook has begun.
        self.bound = ""
        #: What is waited for, in words.
        self.waiting_for = ""
        self.began = task.clock()
        self._bounded = 0.0

    def limit(self, began: float) -> tuple[float, str]:
        """When a wait that began then is over, on the task's clock, and by which time bound, in words.

        Raises :class:`InputError` for a bound that is not one: an author may set it at any moment.
        """
        since = {
            self.bound: (self.began, "took longer than"),
            "no_output_timeout": (max(self.task.last_output, began), "no output for"),
            "no_progress_timeout": (max(self.task.last_progress, self.began), "no progress for"),
        }
        ends = [(float("inf"), "")]
        for name, seconds in self.task.bounds().items() if self.bound else ():
            if name in since:
                ends.append((since[name][0] + seconds, "%s %g s (%s)" % (since[name][1], seconds, name)))
            if name == self.bound and seconds != self._bounded:
                self._bounded = seconds
                self.task.on_bound(seconds, name)
        return min(ends)

    def check(self) -> None:
        """Raise what has ended it, if anything has: its failure, or :class:`Canceled`."""
        if self.failure is not None:
            raise self.failure
        if self.canceled:
            raise Canceled("the task was canceled")

    def wait_for(self, condition: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until ``condition()`` holds or ``timeout`` seconds are over; whether it held. Raises as ``check``."""
        with self.task.changing:
            longest = None if timeout is None else min(timeout, threading.TIMEOUT_MAX)
            self.task.changing.wait_for(lambda: condition() or self.failure or self.canceled, longest)
            if condition():
                return True
            self.check()
            return False

    def wait_within_bounds(
        self, condition: Callable[[], bool], who: str, what: str, timeout: float = float("inf")
    ) -> bool:
        """As :meth:`wait_for` ``what``; raises :class:`TimedOut`, of ``who``, when a bound is over before."""
        clock = self.task.clock
        began = clock()
        if condition():
            return True
        with self.waiting(what):
            while True:
                end, why = self.limit(began)
                if self.wait_for(condition, max(0.0, min(end, began + timeout) - clock())):
                    return True
                if clock() >= began + timeout:
                    return False
                if clock() >= self.limit(began)[0]:
                    raise TimedOut("%s: %s" % (who, why))

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Tell ``daemon status``, and who debugs, that ``what`` is waited for in this block."""
        before, self.waiting_for = self.waiting_for, what
        began = self.task.clock()
        _logger.debug("waiting for %s", what)
        try:
            yield
        finally:
            self.waiting_for = before
            _logger.debug("waited %.3f s for %s", self.task.clock() - began, what)


class Task:
    """What may end a wait early: a cancel, or a failure elsewhere. One object serves an adaptor all its life."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.changing = threading.Condition()  # whose lock the thread that holds it may take again
        #: Set by a cancel, clear again for the next task.
        self.cancelled = threading.Event()
        self._wakers: list[Callable[[], object]] = []
        #: What calls the adaptor's cancel() beside the task, which is not over before that.
        self.canceling: threading.Thread | None = None
        #: The last line of progress, the last status, and what the lines of an application's own are reported by.
        self.progress: str | None = None
        self.status = ""
        self.report: Callable[[Any], object] | None = None
        #: When there was output of an application, and progress, for the last time.
        self.last_output = self.last_progress = clock()
        #: The adaptor's time bounds, in seconds, by its attributes.
        self.bounds: Callable[[], dict[str, float]] = dict
        #: Told how long a phase may take, and which attribute says that.
        self.on_bound: Callable[[float, str], object] = lambda seconds, name: None
        #: What has failed after a task that was a success, and fails the next one.
        self._late: BaseException | None = None
        self.begin()

    def begin(self, within: float | None = None) -> None:
        """A new task: neither canceled nor failed; ``within`` seconds are left for it if a cancel brought it about."""
        with self.changing:
            self.phase = Phase(self)
            #: Whether it can be canceled.
            self.is_active = True
            #: Whether all that belongs to the last task is over, and the next has not begun: nothing is reported.
            self.is_between = False
            self.cancelled.clear()
            self._untold = False
            self.progress, self.status = None, ""
            self._deadline = None if within is None else self.clock() + within

    def enter(self, can_be_canceled: bool) -> BaseException | None:
        """A hook is called; returns what has failed since the last task ended with success, if anything has."""
        with self.changing:
            self.is_active = self.is_active or can_be_canceled
            self.phase.runs = True
            late, self._late = self._late, None
        return late

    def end(self, error: BaseException | None = None) -> BaseException | None:
        """The task is over, with ``error`` of its hook or without; returns what it ends with, None for success.

        Waits for the adaptor's on_cancel: until then the task counts as canceled, and what cleans up has not begun.
        From now on a cancel only sets the deadline, and the waits of what cleans up are not ended by it.
        """
        while True:
            with self.changing:
                canceling, self.canceling = self.canceling, None
                if not canceling:
                    return self._end(error)
            canceling.join()

    def _end(self, error: BaseException | None) -> BaseException | None:
        with self.changing:
            over = self.phase
            ending = Canceled("canceled") if over.canceled else error or over.failure
            over.runs, over.succeeded = False, over.succeeded and ending is None
            self.phase = Phase(self, runs=False, succeeded=over.succeeded)
            self.is_active = False
            self.cancelled.clear()
        return ending

    def rest(self) -> None:
        """All that belongs to the task is over, also to one whose hook was not called."""
        if self.phase.runs:
            self.end()
        with self.changing:
            self.is_between = True

    def cancel(self, within: float | None = None) -> bool:
        """Cancel, with a deadline as by :meth:`hurry`; False if the task is over or canceled already."""
        if within is not None:
            self.hurry(within)
        with self.changing:
            first = self.is_active and not self.phase.canceled
            if first:
                self._untold = self.phase.canceled = True
                self.cancelled.set()
                self.changed()
        return first

    def take_cancel(self) -> bool:
        """Whether a cancel has come of which on_cancel has not been told; true once a task."""
        with self.changing:
            untold, self._untold = self._untold, False
        return untold

    def hurry(self, within: float) -> None:
        """Set the deadline without a cancel; a further one can only shorten it."""
        with self.changing:
            end = self.clock() + within
            self._deadline = end if self._deadline is None else min(end, self._deadline)
            self.changed()

    def fail(self, failure: BaseException, phase: Phase | None = None) -> None:
        """Fail ``phase``, or the running one, from another thread; the first failure counts.

        What comes after a success fails the next task, so that it is not lost; after a failure, the log is told.
        """
        with self.changing:
            phase = phase or self.phase
            if phase is self.phase and phase.runs:
                phase.failure = phase.failure or failure
                self.changed()
                return
            if phase.succeeded:
                self._late = self._late or failure
                return
        if not isinstance(failure, Canceled):
            _logger.error("between two tasks: %s", describe(failure), exc_info=failure)

    def changed(self) -> None:
        """Wake the waits, whose conditions another thread may have made true."""
        with self.changing:
            self.changing.notify_all()
            for wake in self._wakers:
                wake()

    def add_waker(self, wake: Callable[[], object]) -> None:
        """Call ``wake``, from any thread, when a wait that is not one of this object's is to look what has changed."""
        with self.changing:
            self._wakers.append(wake)

    def remove_waker(self, wake: Callable[[], object]) -> None:
        """Call it no more; afterwards nobody is in it."""
        with self.changing:
            self._wakers.remove(wake)

    def remaining(self) -> float | None:
        """Seconds until the deadline of the cancel, not below 0; None without one."""
        return None if self._deadline is None else max(0.0, self._deadline - self.clock())

    def wait_until(self, condition: Callable[[], bool], end: Callable[[], float]) -> None:
        """Wait until ``condition()`` holds or the clock reaches ``end()``, which may come closer meanwhile.

        Neither a cancel nor a failure ends this wait: it is for what has to end because of them.
        """
        with self.changing:
            while not condition() and end() > self.clock():
                self.changing.wait(min(end() - self.clock(), threading.TIMEOUT_MAX))

    def sleep(self, seconds: float) -> None:
        """Sleep; ends early as :meth:`Phase.wait_for` does."""
        self.phase.wait_within_bounds(bool, "the adaptor", "%g s to be over" % seconds, seconds)


#: Where this process makes its sockets, if somebody removes them should it be killed.
private_folder: str | None = None

#: The task of a process that runs no adaptor: nothing cancels it, and nothing fails it.
IDLE = Task()
IDLE.phase = Phase(IDLE, runs=False, succeeded=False)
_current: list[Task] = []


def current(otherwise: Task = IDLE) -> Task:
    """The task that this process is running, which the waits of child processes end with; ``otherwise`` without any."""
    return _current[-1] if _current else otherwise


def wake(also: Task = IDLE) -> None:
    """Wake the waits of ``also`` and of all that this process is running, whose conditions a thread has made true."""
    for waiting in {IDLE, also, *_current}:
        waiting.changed()


def start(thread: threading.Thread) -> None:
    """Start a thread. Raises :class:`AdaptError` where the host has no room for another one."""
    try:
        thread.start()
    except RuntimeError as error:
        raise AdaptError("%s: the limit of this user's processes, or of memory, is reached" % error) from None


def enter(task: Task) -> None:
    """Make ``task`` the current one until :func:`leave`."""
    _current.append(task)


def leave() -> None:
    """Go back to the task before the last :func:`enter`."""
    _current.pop()
