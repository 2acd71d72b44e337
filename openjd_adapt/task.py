"""The running task, as an adaptor's waits see it: whether it was canceled, has failed, and until when it may go on."""

from __future__ import annotations

import threading
import time

from .errors import Canceled, describe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable


class Task:
    """What may end a wait early: a cancel, or a failure that another thread met.

    One object serves an adaptor for all of its tasks; :meth:`begin` makes it new.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._changed = threading.Condition()  # whose lock the thread that holds it may take again
        #: Set by a cancel, clear again for the next task.
        self.cancelled = threading.Event()
        self._wakers: list[Callable[[], object]] = []
        self.begin()

    def begin(self, within: float | None = None) -> None:
        """A new task: neither canceled nor failed; ``within`` seconds are left for it if a cancel brought it about."""
        with self._changed:
            #: Whether it can be canceled.
            self.is_active = True
            self.cancelled.clear()
            self._untold = False
            self._failure: BaseException | None = None
            self._deadline = None if within is None else self.clock() + within

    def end(self, error: BaseException | None = None) -> BaseException | None:
        """The task is over, with ``error`` of its hook or without; returns what it ends with, None for success.

        From now on a cancel only sets the deadline, and the waits of what cleans up are not ended by it.
        """
        with self._changed:
            ending = Canceled("canceled") if self.cancelled.is_set() else error or self._failure
            self.is_active = False
            self.cancelled.clear()
            self._failure = None
        return ending

    def cancel(self, within: float | None = None) -> bool:
        """Cancel; ``within`` seconds are left, which a further call can only shorten.

        False if the task is over or canceled already: then there is nobody else to tell.
        """
        if within is not None:
            self.hurry(within)
        with self._changed:
            first = self.is_active and not self.cancelled.is_set()
            if first:
                self._untold = True
                self.cancelled.set()
                self.changed()
        return first

    def take_cancel(self) -> bool:
        """Whether a cancel has come of which on_cancel has not been told; true once a task."""
        with self._changed:
            untold, self._untold = self._untold, False
        return untold

    def hurry(self, within: float) -> None:
        """Set the deadline without a cancel; a further one can only shorten it."""
        with self._changed:
            end = self.clock() + within
            self._deadline = end if self._deadline is None else min(end, self._deadline)
            self.changed()

    def fail(self, failure: BaseException) -> None:
        """Fail the task from another thread; the first failure counts."""
        with self._changed:
            self._failure = self._failure or failure
            self.changed()

    def changed(self) -> None:
        """Wake the waits, whose conditions another thread may have made true."""
        with self._changed:
            self._changed.notify_all()
            for wake in self._wakers:
                wake()

    def add_waker(self, wake: Callable[[], object]) -> None:
        """Call ``wake``, from any thread, when a wait that is not one of this object's is to look what has changed."""
        with self._changed:
            self._wakers.append(wake)

    def remove_waker(self, wake: Callable[[], object]) -> None:
        """Call it no more; afterwards nobody is in it."""
        with self._changed:
            self._wakers.remove(wake)

    def remaining(self) -> float | None:
        """Seconds until the deadline of the cancel, not below 0; None without one."""
        return None if self._deadline is None else max(0.0, self._deadline - self.clock())

    def check(self) -> None:
        """Raise what has ended the task, if anything has: its failure, or :class:`Canceled`."""
        if self._failure is not None:
            raise self._failure
        if self.cancelled.is_set():
            raise Canceled("the task was canceled")

    def wait_for(self, condition: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until ``condition()`` holds, for ``timeout`` seconds at the most; whether it held.

        Raises what :meth:`check` raises as soon as that comes first.
        """
        with self._changed:
            longest = None if timeout is None else min(timeout, threading.TIMEOUT_MAX)
            self._changed.wait_for(lambda: condition() or self._failure or self.cancelled.is_set(), longest)
            if condition():
                return True
            self.check()
            return False

    def wait_until(self, condition: Callable[[], bool], end: Callable[[], float]) -> None:
        """Wait until ``condition()`` holds or the clock reaches ``end()``, asked again when the deadline has changed.

        Neither a cancel nor a failure ends this wait: it is for what has to end because of them.
        """
        with self._changed:
            while not condition() and end() > self.clock():
                self._changed.wait(min(end() - self.clock(), threading.TIMEOUT_MAX))

    def sleep(self, seconds: float) -> None:
        """Sleep; ends early as :meth:`wait_for` does."""
        self.wait_for(lambda: False, seconds)


#: Where this process makes its sockets, if somebody removes them should it be killed.
private_folder: str | None = None

#: The task of a process that runs no adaptor: nothing cancels it.
IDLE = Task()
_current = [IDLE]


def current() -> Task:
    """The task that this process is running, which the waits of child processes end with; else :data:`IDLE`."""
    return _current[-1]


def fail(failure: BaseException) -> None:
    """Fail the running task; where there is none, the log is told."""
    if current() is not IDLE:
        current().fail(failure)
        return
    import logging

    logging.getLogger(__name__).error("between two tasks: %s", describe(failure), exc_info=failure)


def enter(task: Task) -> None:
    """Make ``task`` the current one until :func:`leave`."""
    _current.append(task)


def leave() -> None:
    """Go back to the task before the last :func:`enter`."""
    _current.pop()
