"""start -> run ... -> stop -> cleanup, and cancel: the states as a table, and the one place that moves them."""

from __future__ import annotations

import enum
import logging

from . import output, task
from .errors import CANCELED, DONE, FAILED, AdaptError, Canceled, describe, same_process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from .adaptor import BaseAdaptor


_logger = logging.getLogger(__name__)


class AdaptorState(str, enum.Enum):
    """Where an adaptor is in its life."""

    NOT_STARTED = "not_started"
    START = "start"
    RUN = "run"
    STOP = "stop"
    CLEANUP = "cleanup"
    CANCELED = "canceled"

    def __str__(self) -> str:
        return str(self.value)


_S = AdaptorState

#: The states that each state may be entered from.
ENTERED_FROM: dict[AdaptorState, frozenset[AdaptorState]] = {
    _S.START: frozenset({_S.NOT_STARTED}),
    _S.RUN: frozenset({_S.START, _S.RUN, _S.CANCELED}),
    _S.CANCELED: frozenset({_S.START, _S.RUN, _S.STOP, _S.CANCELED}),
    _S.STOP: frozenset({_S.START, _S.RUN, _S.CANCELED}),
    _S.CLEANUP: frozenset({_S.NOT_STARTED, _S.START, _S.RUN, _S.STOP, _S.CANCELED}),
}


class AdaptorRunner:
    """Moves one adaptor through its life. A phase that may not follow raises :class:`AdaptError` and is not called."""

    def __init__(self, *, adaptor: BaseAdaptor) -> None:
        self.adaptor = adaptor
        self.state = AdaptorState.NOT_STARTED
        adaptor._task.bounds, adaptor._task.report = adaptor._time_bounds, adaptor._throttle.report

    def _start(self) -> None:
        self._enter(AdaptorState.START, self.adaptor._start)

    def _run(self, run_data: dict[str, Any]) -> None:
        self._enter(AdaptorState.RUN, self.adaptor._run, run_data)

    def _stop(self) -> None:
        self._enter(AdaptorState.STOP, self.adaptor._stop)

    def _cleanup(self) -> None:
        if self.state is not AdaptorState.CLEANUP:
            self._enter(AdaptorState.CLEANUP, self.adaptor._cleanup)

    def _enter(self, state: AdaptorState, phase: Callable[..., None], *arguments: Any) -> None:
        """Call a hook as a task, which a callback's exception fails, and which can be canceled if it starts or runs.

        Whatever a canceled hook does in the end, it ends as :class:`Canceled`.
        """
        if self.state not in ENTERED_FROM[state]:
            raise AdaptError("an adaptor cannot go from %s to %s" % (self.state, state))
        self.state = state
        self.adaptor._may_set_env = state is AdaptorState.START
        current = self.adaptor._task
        can_be_canceled = state in (AdaptorState.START, AdaptorState.RUN)
        late = current.enter(can_be_canceled)
        error = late and _before(state, late)
        task.enter(current)
        try:
            if error and can_be_canceled:  # what stops and cleans up is called all the same
                raise error
            current.phase.check()
            current.phase.bound = "%s_timeout" % state
            if can_be_canceled:  # a bound that is wrong must not keep it from its stop
                current.phase.limit(0.0)
            phase(*arguments)
            if can_be_canceled:  # nor one that it has set itself
                current.phase.limit(0.0)
        except BaseException as raised:
            if error not in (None, raised):
                output.write_lines("ERROR", describe(error))
            error = raised
        task.leave()
        self.adaptor._may_set_env = False
        self.adaptor._throttle.flush()
        began = current.phase.began
        ending = current.end(error)
        _logger.debug("%s took %.3f s", state, current.clock() - began)
        if isinstance(ending, Canceled):
            ending = Canceled("the %s was canceled" % state)
            if state is not AdaptorState.CLEANUP:
                self.state = AdaptorState.CANCELED
        if ending is not None:
            raise ending


def _before(state: AdaptorState, late: BaseException) -> AdaptError:
    """The error of a phase because of something that has failed after the one before it."""
    if not isinstance(late, AdaptError):
        output.report_traceback(late)
    return AdaptError("before this %s began: %s" % ("task" if state is AdaptorState.RUN else state, describe(late)))


class Result:
    """How a task ended, as the last frame of a task carries it."""

    def __init__(self, outcome: str, message: str = "", code: int = DONE, error: BaseException | None = None) -> None:
        self.outcome = outcome
        self.message = message
        self.code = code
        #: What an author's code has raised, for whoever is in the same process.
        self.error = error

    def to_dict(self) -> dict[str, Any]:
        return {"outcome": self.outcome, "message": self.message, "code": self.code}

    def report(self) -> None:
        """Print a failure that is not the task's result."""
        if self.outcome == "failed":
            output.write_lines("ERROR", self.message)


def attempt(*phases: Callable[[], None], debug: bool = False) -> Result:
    """Call ``phases`` one after the other, each whatever came before; the result is that of the first that went wrong.

    An author's traceback is printed once; a later failure is printed, too. ``debug``: the toolkit's own errors have a
    traceback, too (``--debug``).
    """
    first = Result("done")
    for phase in phases:
        result = _attempt(phase, debug)
        if first.outcome == "done":
            first = result
        else:
            result.report()
    return first


def _attempt(phase: Callable[[], None], debug: bool) -> Result:
    try:
        with same_process(output.report_traceback):
            phase()
    except Canceled as canceled:
        return Result("canceled", str(canceled), CANCELED)
    except AdaptError as error:
        if debug:
            output.report_traceback(error)
        if error.detail:
            output.write_lines("ERROR", error.detail.rstrip("\n"))
        return Result("failed", describe(error), error.exit_code)
    except BaseException as error:
        output.report_traceback(error)
        text = describe(error)
        if isinstance(error, SystemExit) and isinstance(error.code, (int, str, type(None))):
            text = "the adaptor called sys.exit(%r)" % (error.code,)
        return Result("failed", text, FAILED, error)
    return Result("done")
