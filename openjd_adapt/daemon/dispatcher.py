"""Who asked for what: requests become tasks, one at a time, and cancels become deadlines. The clock is handed in.

Theory of operation
===================

One worker does one task after the other: a start, runs, a stop. What it is doing is the *state*, and :attr:`Dispatcher.
_TABLE` says what each *event* does in each state. :meth:`Dispatcher.on` is the one place that looks there and moves.
An event that a state has no cell for does nothing there.

    NEW        the worker waits for its first request
    STARTING   it starts the adaptor
    IDLE       it waits for a run; the front of the last task may still be there
    RUNNING    it runs a task
    ORPHANED   it runs a canceled task whose front is gone; one run may wait for the end of that
    SHOWING    its task has ended; the front is not yet sent all output before the result
    ENDING     its task is canceled, as a stop waits
    CLOSING    its task has ended, or there was none; a stop waits for the front of that, but not for long
    STOPPING   it stops and cleans up
    LEAVING    it has done its last task, a stop or a start that failed, or was killed before it had one; its process
               ends, and the last result is sent then
    DEAD       its process has ended; fronts are still sent the rest

The events are named after who causes them. A front asks: ``start``, ``run``, ``stop``, ``cancel``; the front of the
running task is gone: ``left``. The worker has ended its task: ``started`` or ``failed`` if that was a start, else
``done``; its process has ended: ``died``. A front was sent all output before its task's result: ``shown``. The last
front has left, or there is none: ``free``, for what may wait. The command that started all this was gone before it
asked: ``abandoned``.

A task goes from the command for the worker over its result (the marker, which tells where in the output it ends) to the
last frame for its front. What waits begins when that front has left. The last task's result is sent when the process
has ended, as its last output comes before it.

What the table does not cover:

- The one run that waits (``_waiting``; a stop refuses it) and the front of the first stop (``_stopper``), for which
  it stops. A stop that cancels a task gives it half of the time. Exit codes of a stop: see ``stop_code``.
- Deadlines and time bounds. They kill the worker, which is no move; its death is.
- In IDLE a run is refused while the front of the last task has not acknowledged what it was sent, and a stop goes
  through CLOSING to STOPPING at once if there is no such front.
- In the foreground the one front stays: nothing waits until it has left, and it may be as slow as it likes.
- Who is shown output (``Delivery.viewer``), which changes with each task that begins.
"""

from __future__ import annotations

from ..errors import BAD_INPUT, CANCELED, DONE, FAILED, NO_DAEMON, InputError
from ..transport.wire import STOP_SECONDS, as_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from ..transport.loop import Peer, Timers
    from ..transport.wire import Message
    from .spool import Delivery


#: What a canceled task gets, in seconds, before it is killed, unless the scheduler (``session.notify_end``) or ``daemon
#: cancel --timeout`` says it, or a stop waits: half of that's. Source: the default of a task's notifyPeriodInSeconds.
CANCEL_SECONDS = 120.0
#: How long, in seconds, the worker may take from its last result to its end.
EXIT_SECONDS = 10.0
#: How long, in seconds, a front that takes nothing may hold up the daemon's end.
LINGER_SECONDS = 60.0
#: How long a front may hold up a stop: the daemon's end then, or, for half of the stop's time at the most, its begin.
FRONT_SECONDS = 5.0

NEW, STARTING, IDLE, RUNNING, ORPHANED, SHOWING = "NEW", "STARTING", "IDLE", "RUNNING", "ORPHANED", "SHOWING"
ENDING, CLOSING, STOPPING, LEAVING, DEAD = "ENDING", "CLOSING", "STOPPING", "LEAVING", "DEAD"
#: What ``daemon status`` calls them; all others are "stopping".
_WORDS = {NEW: "starting", STARTING: "starting", IDLE: "idle", **dict.fromkeys((RUNNING, ORPHANED, SHOWING), "running")}


class _Task:
    """The start, run or stop that the worker is busy with."""

    def __init__(self, kind: str, number: int, front: Peer | None) -> None:
        self.kind = kind
        self.number = number
        #: Whose task it is; None once that front is gone.
        self.front = front
        self.canceled = False
        self.began = 0.0
        self.deadline: float | None = None
        #: Set by the marker: the result, and where in the output the task ends.
        self.result: dict[str, Any] | None = None
        self.end = 0


def _failed(message: str) -> dict[str, Any]:
    return {"outcome": "failed", "message": message, "code": FAILED}


def _refuse(text: str, code: int) -> Callable[..., None]:
    """An action: the front that asks is refused, with the exit code that it is to leave with."""
    return lambda self, front, *rest: front.refuse(text, code)


_TOO_EARLY = _refuse("the daemon is still starting", BAD_INPUT)
_TWICE = _refuse("the daemon has already started", BAD_INPUT)
_BUSY = _refuse("the daemon is busy with a task", BAD_INPUT)
_NO_MORE_RUNS = _refuse("the daemon is stopping", NO_DAEMON)
_NO_MORE_STARTS = _refuse("the daemon is being stopped", CANCELED)


class Dispatcher:
    """The tasks of one worker, from its start to its end, and the fronts that they are for."""

    def __init__(
        self,
        timers: Timers,
        delivery: Delivery,
        *,
        command: Callable[..., object],
        kill: Callable[[str], object],
        hear: Callable[[Peer], object] = bool,
        foreground: bool = False,
        idle_seconds: float | None = None,
    ) -> None:
        """``command`` sends the worker a frame, ``kill`` ends it for a reason, ``hear`` reads what a peer has said.

        ``foreground``: there is but one front, which stays. ``idle_seconds``: without a task for so long it stops.
        """
        self._timers = timers
        self._delivery = delivery
        self._command = command
        self._kill = kill
        self._hear = hear
        self._foreground = foreground
        self._idle_seconds = idle_seconds
        self._state = NEW
        self._task: _Task | None = None
        #: The run that waits: its front, and the frame that asks for it.
        self._waiting: tuple[Peer, Message, bytes] | None = None
        #: Whose stop it is, when that is due, and how the connection file tells of it.
        self._stopper: Peer | None = None
        self._stop_end = 0.0
        self._stop_reason = "it was stopped"
        self._linger_seconds = LINGER_SECONDS
        #: How many starts, runs and stops have begun; the last one's number.
        self._number = 0
        #: How many runs have ended.
        self.tasks = 0
        #: Whether a command was told how the start has ended.
        self.start_is_told = False
        #: How the worker has ended, in words; None while it lives.
        self.ended: str | None = None
        #: Whether a stop has ended it, and the exit code of the last stop.
        self.stopped = False
        self.stop_code = DONE

    def on(self, event: str, *arguments: Any) -> None:
        """Move: go to the state that the table names and do what it says. What fails before it begins moves nothing."""
        before = self._state
        cell = self._TABLE[before].get(event)
        action, self._state = cell if isinstance(cell, tuple) else (cell, before)
        if action:
            try:
                action(self, *arguments)
            except (InputError, ValueError):  # of what was asked, which has not begun
                self._state = before
                raise

    @property
    def state(self) -> str:
        """What the daemon is doing, in a word."""
        word = _WORDS.get(self._state, "stopping")
        return "canceling" if word == "running" and self._task and self._task.canceled else word

    @property
    def running(self) -> dict[str, Any] | None:
        """The task that the worker is busy with, for ``daemon status``."""
        task = self._task
        if task is None or task.result is not None:
            return None
        return {"number": task.number, "kind": task.kind, "seconds": round(self._timers.clock() - task.began, 3)}

    # What fronts ask for

    def run(self, front: Peer, message: Message, body: bytes) -> None:
        """A task, now or when the canceled one of a front that is gone has ended."""
        self._hear_viewer(front)
        try:
            self.on("run", front, message, body)
        except (InputError, ValueError) as error:  # other clients than ours may say what is too much here, or NaN
            front.refuse(str(error), BAD_INPUT)

    def stop(self, front: Peer | None, within: float | None, why: str = "") -> None:
        """Stop after the running task, which is canceled and gets half of the time; a further stop can only shorten it.

        ``why``: for the connection file, if nobody has asked for it by a command.
        """
        self._hear_viewer(front)
        self.on("stop", front, within, why)

    def cancel_running(self, within: float | None) -> bool:
        """Cancel the running task, whosever it is; False if none is running."""
        if self._task is None or self._task.result is not None:
            return False
        self.on("cancel", within)
        return True

    def cancel(self, front: Peer, within: float | None) -> None:
        """A front cancels what it has asked for: its task, or what waits for the running one."""
        if self._task and self._task.front is front:
            self.cancel_running(within)
        elif self._waiting and self._waiting[0] is front:
            self._waiting = None
            front.send({"result": {"outcome": "canceled", "message": "canceled before it began", "code": CANCELED}})
        elif self._stopper is front and within is not None:
            self._shorten_stop(within)

    def acknowledge(self, front: Peer, offset: object) -> None:
        """A front has shown all before ``offset``."""
        if front is not self._delivery.viewer or not isinstance(offset, int):
            return
        self._delivery.acknowledge(offset)
        if self.ended is not None:
            self._linger()
        self.push()

    def leave(self, front: Peer) -> None:
        """A front is gone: what it had asked for is canceled, but for a stop, which goes on for nobody."""
        if self._waiting and self._waiting[0] is front:
            self._waiting = None
        if self._stopper is front:
            self._stopper = None
        if self._delivery.viewer is front:
            self._delivery.viewer = None
            if self._task is None:
                self.on("free")
        task = self._task
        if task and task.front is front:
            task.front = None
            self.on("left" if task.result is None else "shown")

    # What the worker does

    def finish(self, result: dict[str, Any]) -> None:
        """The marker of the running task: what stands before it in the output is the task's."""
        task = self._task
        number = result.pop("number", None)
        if task is None or task.result is not None or number != task.number:
            self._delivery.keep(b"\nWARNING: a result of task %r came beside its own; it is not taken\n" % number)
            return
        task.result = result
        task.end = self._delivery.end
        self._timers.cancel("deadline")
        self._timers.cancel("bound")
        self.on("done" if task.kind != "start" else "started" if result["code"] == DONE else "failed")

    def bound(self, seconds: float, name: str) -> None:
        """The task's waits end after ``seconds``, by the adaptor's attribute ``name``; what does not wait is killed."""
        task = self._task
        if task and task.result is None:
            why = "it was killed: the %s has not ended %g s after %s (%g s) was over"
            why %= (task.kind, CANCEL_SECONDS, name, seconds)
            self._timers.set("bound", seconds + CANCEL_SECONDS, lambda: self._kill(why))

    def push(self) -> None:
        """Show the running task's front what there is, then its result."""
        task = self._task
        if task is None or task.front is not self._delivery.viewer:
            return
        shown = self._delivery.push(task.end if task.result else self._delivery.end)
        if task.result and (shown or task.front is None):
            self.on("shown")

    # Actions: tasks

    def _begin(self, kind: str, front: Peer | None, command: Message, body: bytes = b"") -> None:
        """Give the worker a task, and its front all output that nobody has acknowledged.

        Raises :class:`InputError` before anything has begun if the command cannot be sent.
        """
        self._command({**command, "number": self._number + 1}, body)
        self._number += 1
        self._timers.cancel("idle")
        task = self._task = _Task(kind, self._number, front)
        task.began = self._timers.clock()
        if "within" in command:
            self._set_deadline(task, command["within"])
        self._delivery.attach(front)
        self.push()

    def _hear_viewer(self, front: Peer | None) -> None:
        """The last acknowledgements of the front before this one, and that it is gone, may still lie in its socket."""
        if self._delivery.viewer and self._delivery.viewer is not front:
            self._hear(self._delivery.viewer)

    def _begin_run(self, front: Peer, message: Message, body: bytes) -> None:
        if self._delivery.is_awaited_by_other_than(front):
            raise InputError("the daemon is busy: the command of the last task still shows its output")
        run_data = as_json(message["data"]) if "data" in message else body  # a front of version 1 has it there
        self._begin("run", front, {"do": "run", "from": str(message.get("from") or "run data")}, run_data)

    def _wait(self, front: Peer, message: Message, body: bytes) -> None:
        if self._waiting:
            _BUSY(self, front)
        else:
            front.send({"note": "waiting for the canceled task of a command that is gone"})
            self._waiting = front, message, body

    def _ask_again(self) -> None:
        """Let the run that waits ask again: it begins, or is refused."""
        waiting, self._waiting = self._waiting, None
        if waiting:
            self.run(*waiting)

    def _cancel(self, within: float | None = None) -> None:
        """Cancel a task without a result; a further cancel can only shorten its time. A stop only has to hurry."""
        task = self._task
        assert task
        deadline = self._set_deadline(task, CANCEL_SECONDS if within is None else within)
        task.canceled = task.canceled or task.kind != "stop"
        self._command({"cancel" if task.canceled else "hurry": max(0.0, deadline - self._timers.clock())})

    def _set_deadline(self, task: _Task, within: float) -> float:
        end = self._timers.clock() + within
        task.deadline = end if task.deadline is None else min(end, task.deadline)
        self._timers.set("deadline", task.deadline - self._timers.clock(), lambda: self._on_deadline(task))
        return task.deadline

    def _on_deadline(self, task: _Task) -> None:
        ignored = "ignored its cancel and " * task.canceled
        self._kill("it was killed: the %s %sdid not end by its deadline" % (task.kind, ignored))

    def _deliver(self) -> None:
        """All of the task's output is sent: now its result."""
        task = self._task
        assert task and task.result
        self._task = None
        self.tasks += task.kind == "run"
        if task.front:
            note = self._delivery.lost_note()
            if note:
                task.front.send({"note": note})
            task.front.send({"result": task.result})
            self.start_is_told = True
        if self._state == IDLE and self._idle_seconds is not None:
            why = " after %g s without a task" % self._idle_seconds
            self._timers.set("idle", self._idle_seconds, lambda: self.stop(None, None, why))
        if task.front is None or self._state == DEAD or self._foreground:
            self.on("free")  # otherwise when that front has acknowledged the rest and left

    # Actions: the stop

    def _prepare_stop(self, front: Peer | None, within: float | None, why: str) -> None:
        """The first stop: cancel the running task. Without one stop now, or when the last one's front has the rest."""
        self._ask_again()
        self._timers.cancel("idle")
        self._stopper = front
        self._stop_reason += why
        within = STOP_SECONDS if within is None else within
        self._stop_end = self._timers.clock() + within
        task = self._task
        if task and not task.result:
            for concerned in filter(None, (front, task.front if why else None)):
                concerned.send({"note": "canceling the running task first" + (why and "; the daemon stops" + why)})
            self._cancel(within / 2)
        elif task or (not self._foreground and self._delivery.is_awaited_by_other_than(front)):
            self._hurry()
        else:
            self.on("free")

    def _hurry(self) -> None:
        """The stop waits for the front of a finished task to take the rest and to leave: not for ever."""
        if not self._foreground:  # there nobody else would show it
            left = max(0.0, self._stop_end - self._timers.clock())
            self._timers.set("late front", min(FRONT_SECONDS, left / 2), self._drop)

    def _drop(self) -> None:
        """Go on without the viewer, which is told how its task went; what it did not take is kept for the next."""
        viewer = self._delivery.viewer
        if viewer and self._state == CLOSING:
            self._delivery.viewer = None
            if self._task and self._task.front is viewer:
                viewer.send({"note": "the rest of this task's output is kept for the next command"})
                self.on("shown")
            self.on("free")

    def _begin_stop(self) -> None:
        self._timers.cancel("late front")
        left = max(0.0, self._stop_end - self._timers.clock())
        self._begin("stop", self._stopper, {"do": "stop", "within": left})

    def _stop_sooner(self, front: Peer | None, within: float | None, why: str) -> None:
        """A further stop."""
        if front:
            front.send({"note": "the daemon is already stopping"})
        if self._state in (LEAVING, DEAD):
            self._linger_seconds = FRONT_SECONDS
        if self._state == DEAD:
            self._linger()
        elif within is not None:
            self._shorten_stop(within)

    def _shorten_stop(self, within: float) -> None:
        end = self._timers.clock() + within
        if end < self._stop_end:
            self._stop_end = end
            if self._state == CLOSING:
                self._hurry()
        self.cancel_running(within if self._state == STOPPING else within / 2)

    # Actions: the worker's end

    def _let_exit(self) -> None:
        self._timers.set("exit", EXIT_SECONDS, lambda: self._kill("it was killed: it did not exit after its end"))

    def _conclude(self, how: str, killed: bool, left: str) -> None:
        """The worker has died, and all of its output is here: ``how``, in words, whether it was ``killed`` from here,
        and what it has ``left`` that cannot be ended, if anything.
        """
        self.ended = how + (left and "; " + left)
        self._linger()
        task = self._task
        if task is None:
            self.on("free")
            return
        if task.result is None:
            task.result = {**_failed("the adaptor is gone: " + self.ended), "gone": True}
            if task.canceled:
                task.result.update(outcome="canceled", code=CANCELED)
        if task.kind == "stop":
            self.stop_code = int(task.result["code"])
        task.end = self._delivery.end
        self.push()

    def _conclude_unstopped(self, how: str, killed: bool, left: str) -> None:
        """The worker has died while a stop waited."""
        self.stop_code = FAILED
        if self._stopper:
            self._stopper.send({"result": _failed("on_stop never ran: " + how + (left and "; " + left))})
        self._conclude(how, killed, left)

    def _conclude_last(self, how: str, killed: bool, left: str) -> None:
        """The worker has left as it should, unless it had to be killed."""
        task = self._task
        if task and task.result and not killed:
            self.stopped = task.kind == "stop"
            how = self._stop_reason if self.stopped else "the start failed: " + task.result["message"]
        elif task and task.front:
            task.front.send({"note": "the adaptor has stopped, but not its process: " + how})
        if task and task.kind == "stop" and task.result and task.result["code"] == DONE and left:
            task.result = _failed(left)
        self._conclude(how, killed, left)

    def _begin_dead(self, front: Peer) -> None:
        """If the worker has died before it was asked for anything, the front gets its last output and its end."""
        if self._number:
            _TWICE(self, front)
            return
        self._begin("start", front, {"do": "start"})
        self._conclude(self.ended or "", False, "")

    def _refuse_dead(self, front: Peer, message: Message, body: bytes) -> None:
        front.refuse("the daemon is gone: " + (self.ended or ""), NO_DAEMON)

    def _linger(self) -> None:
        """Wait for the viewer to take the rest and to leave, as long as it goes on taking; in the foreground always."""
        if not self._foreground:
            self._timers.set("linger", self._linger_seconds, lambda: setattr(self._delivery, "viewer", None))

    # The table. A cell is what is done and the state that follows, which is there before it is done; a cell without a
    # state stays in its own.

    _DIED = {"died": (_conclude, DEAD)}
    #: What all states from the start on to a stop, and all from a stop on, have in common.
    _STARTED = {**_DIED, "start": _TWICE}
    _STOPPED = {**_DIED, "start": _NO_MORE_STARTS, "run": _NO_MORE_RUNS, "stop": _stop_sooner}

    _TABLE: dict[str, dict[str, Any]] = {
        NEW: {
            **_DIED,
            "start": (lambda self, front: self._begin("start", front, {"do": "start"}), STARTING),
            "run": _TOO_EARLY,
            "stop": (_prepare_stop, CLOSING),
            "abandoned": (lambda self, why: self._kill(why), LEAVING),
        },
        STARTING: {
            **_STARTED,
            "run": _TOO_EARLY,
            "stop": (_prepare_stop, ENDING),
            "cancel": _cancel,
            "left": _cancel,
            "started": (None, SHOWING),
            "failed": (_let_exit, LEAVING),
        },
        IDLE: {**_STARTED, "run": (_begin_run, RUNNING), "stop": (_prepare_stop, CLOSING), "free": _ask_again},
        RUNNING: {
            **_STARTED,
            "run": _BUSY,
            "stop": (_prepare_stop, ENDING),
            "cancel": _cancel,
            "left": (_cancel, ORPHANED),
            "done": (None, SHOWING),
        },
        ORPHANED: {
            **_STARTED,
            "run": _wait,
            "stop": (_prepare_stop, ENDING),
            "cancel": _cancel,
            "done": (None, SHOWING),
        },
        SHOWING: {**_STARTED, "run": _BUSY, "stop": (_prepare_stop, CLOSING), "shown": (_deliver, IDLE)},
        ENDING: {
            **_STOPPED,
            "died": (_conclude_unstopped, DEAD),
            "cancel": _cancel,
            "started": (_hurry, CLOSING),
            "done": (_hurry, CLOSING),
            "failed": (_let_exit, LEAVING),
        },
        CLOSING: {
            **_STOPPED,
            "shown": _deliver,
            "free": (_begin_stop, STOPPING),
            "died": (_conclude_unstopped, DEAD),
        },
        STOPPING: {**_STOPPED, "cancel": _cancel, "done": (_let_exit, LEAVING)},
        LEAVING: {**_STOPPED, "died": (_conclude_last, DEAD)},
        DEAD: {"start": _begin_dead, "run": _refuse_dead, "stop": _stop_sooner, "shown": _deliver, "free": _ask_again},
    }
