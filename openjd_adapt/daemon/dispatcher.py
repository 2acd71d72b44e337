"""Who asked for what: requests become tasks, one at a time, and cancels become deadlines. The clock is handed in.

A daemon is starting, started, or stopping, until its worker has ended. A task goes from the command for the worker over
its result (the marker, which tells where in the output it ends) to the last frame for its front; what waits for it
begins when that front has left.
"""

from __future__ import annotations

from functools import partial

from ..errors import BAD_INPUT, CANCELED, DONE, FAILED, NO_DAEMON, InputError
from ..transport.wire import STOP_SECONDS

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
#: How long, in seconds, a front that takes nothing may hold up the daemon's end, or the stop behind its task.
LINGER_SECONDS = 60.0
#: And how long one may that is to see the end of a daemon which has ended.
FRONT_SECONDS = 5.0


class _Task:
    """The start, run or stop that the worker is busy with."""

    def __init__(self, kind: str, number: int, front: Peer | None) -> None:
        self.kind = kind
        self.number = number
        #: Whose task it is; None once that front is gone.
        self.front = front
        self.canceled = False
        self.deadline: float | None = None
        #: Set by the marker: the result, and where in the output the task ends.
        self.result: dict[str, Any] | None = None
        self.end = 0

    @property
    def ends_worker(self) -> bool:
        """Whether the worker leaves after this task, so that its result waits for the last output."""
        failed = self.result is not None and self.result["code"] != DONE
        return self.kind == "stop" or (self.kind == "start" and failed)


def _failed(message: str) -> dict[str, Any]:
    return {"outcome": "failed", "message": message, "code": FAILED}


class Dispatcher:
    """The tasks of one worker, from its start to its end, and the fronts that they are for."""

    def __init__(
        self,
        timers: Timers,
        delivery: Delivery,
        *,
        command: Callable[[Message], object],
        kill: Callable[[str], object],
        hear: Callable[[Peer], object] = bool,
        foreground: bool = False,
        idle_seconds: float | None = None,
    ) -> None:
        """``command`` goes to the worker, ``kill`` ends it for a reason, ``hear`` takes in what lies in a connection.

        ``foreground``: there is but one front, which stays. ``idle_seconds``: without a task for so long it stops.
        """
        self._timers = timers
        self._delivery = delivery
        self._command = command
        self._kill = kill
        self._hear = hear
        self._foreground = foreground
        self._idle_seconds = idle_seconds
        self._phase = "starting"
        self._task: _Task | None = None
        #: What follows the running task: its front, and what to do.
        self._next: tuple[Peer | None, Callable[[], None]] | None = None
        self._stop_end = 0.0
        self._stop_reason = "it was stopped"
        #: How many starts, runs and stops have begun; the last one's number.
        self._number = 0
        #: How many tasks have ended.
        self.tasks = 0
        #: How the worker has ended, in words; None while it lives.
        self.ended: str | None = None
        #: Whether a stop has ended it, and the exit code of the last stop.
        self.stopped = False
        self.stop_code = DONE

    @property
    def state(self) -> str:
        """What the daemon is doing, in a word."""
        if self._phase != "started":
            return self._phase
        if self._task is None:
            return "idle"
        return "canceling" if self._task.canceled else "running"

    # What fronts ask for

    def start(self, front: Peer) -> None:
        """The first task: start the adaptor."""
        if self._phase == "stopping":
            front.refuse("the daemon is being stopped", CANCELED)
        elif self._phase != "starting" or self._task:
            front.refuse("the daemon has already started", BAD_INPUT)
        else:
            self._begin("start", front, {"do": "start"})
            if self.ended is not None:  # the worker has died before it was asked for anything
                self.worker_has_ended(self.ended, killed=False)

    def run(self, front: Peer, data: Any, source: object = None) -> None:
        """A task, now or when the canceled one of a front that is gone has ended; its data come from ``source``."""
        self._hear_viewer(front)
        if not isinstance(data, dict):
            front.refuse("run data must be an object", BAD_INPUT)
        elif self._phase == "stopping" or self.ended:
            front.refuse("the daemon is stopping", NO_DAEMON)
        elif self._phase == "starting":
            front.refuse("the daemon is still starting", BAD_INPUT)
        elif self._task is None and self._delivery.is_awaited_by_other_than(front):
            front.refuse("the daemon is busy: the command of the last task still shows its output", BAD_INPUT)
        elif self._task is None:
            try:
                self._begin("run", front, {"do": "run", "data": data, "from": str(source or "run data")})
            except InputError as error:  # other clients than ours may say in fewer bytes what is too much here
                front.refuse(str(error), BAD_INPUT)
        elif self._task.front is None and self._next is None:
            front.send({"note": "waiting for the canceled task of a command that is gone"})
            self._next = (front, partial(self.run, front, data, source))
        else:
            front.refuse("the daemon is busy with a task", BAD_INPUT)

    def stop(self, front: Peer | None, within: float | None, why: str = "") -> None:
        """Stop after the running task, which is canceled and gets half of the time; a further stop can only shorten it.

        ``why``: for the connection file, if nobody has asked for it by a command.
        """
        self._hear_viewer(front)
        if self._phase == "stopping" or self.ended:
            if front:
                front.send({"note": "the daemon is already stopping"})
            if self.ended:
                self._linger(FRONT_SECONDS)
            elif within is not None:
                self._shorten_stop(within)
            return
        if self._next and self._next[0]:
            self._next[0].refuse("the daemon is stopping", NO_DAEMON)
        self._phase = "stopping"
        self._timers.cancel("idle")
        self._stop_reason += why
        within = STOP_SECONDS if within is None else within
        self._stop_end = self._timers.clock() + within
        self._next = (front, partial(self._begin_stop, front))
        task = self._task
        if task is None and not self._delivery.is_awaited_by_other_than(front):
            self._go_on()
        elif task is None or task.result is not None:
            self._hurry()
        else:
            for concerned in filter(None, (front, task.front if why else None)):
                concerned.send({"note": "canceling the running task first" + (why and "; the daemon stops" + why)})
            self._cancel(task, within / 2)

    def _begin_stop(self, front: Peer | None) -> None:
        self._begin("stop", front, {"do": "stop", "within": max(0.0, self._stop_end - self._timers.clock())})

    def _shorten_stop(self, within: float) -> None:
        self._stop_end = min(self._stop_end, self._timers.clock() + within)
        task = self._task
        if task and task.result is None:
            self._cancel(task, within if task.kind == "stop" else within / 2)

    def cancel_running(self, within: float | None) -> bool:
        """Cancel the running task, whosever it is; False if none is running."""
        task = self._task
        if task is None or task.result is not None:
            return False
        self._cancel(task, within)
        return True

    def cancel(self, front: Peer, within: float | None) -> None:
        """A front cancels what it has asked for: its task, or what waits for the running one."""
        task = self._task
        if task and task.front is front:
            if task.result is None:
                self._cancel(task, within)
        elif self._next and self._next[0] is front and self._phase != "stopping":
            self._next = None
            front.send({"result": {"outcome": "canceled", "message": "canceled before it began", "code": CANCELED}})
        elif self._next and self._next[0] is front and within is not None:
            self._shorten_stop(within)

    def acknowledge(self, front: Peer, offset: object) -> None:
        """A front has shown all before ``offset``."""
        if front is not self._delivery.viewer or not isinstance(offset, int):
            return
        self._delivery.acknowledge(offset)
        if self._timers.has("linger"):
            self._linger()
        self.push()

    def leave(self, front: Peer) -> None:
        """A front is gone: what it had asked for is canceled, but for a stop."""
        if self._delivery.viewer is front:
            self._delivery.viewer = None
            if self._task is None:
                self._go_on()
        if self._next and self._next[0] is front:
            # A stop goes on for nobody: a viewer that has left already would never leave again.
            self._next = (None, partial(self._begin_stop, None)) if self._phase == "stopping" else None
        task = self._task
        if task and task.front is front:
            task.front = None
            if task.result is not None:
                self._finish_if_due(task)
            elif task.kind != "stop":
                self._cancel(task, None)

    def give_up(self, why: str) -> None:
        """End a daemon if nothing was asked of it yet; who comes to stop it meanwhile need only wait."""
        if self._phase == "starting" and self._task is None:
            self._phase = "stopping"
            self._kill(why)

    # Tasks

    def _begin(self, kind: str, front: Peer | None, command: Message) -> None:
        """Give the worker a task, and its front all output that nobody has acknowledged.

        Raises :class:`InputError` before anything has begun if the command cannot be sent.
        """
        self._command({**command, "number": self._number + 1})
        self._number += 1
        self._timers.cancel("idle")
        task = self._task = _Task(kind, self._number, front)
        if "within" in command:
            self._set_deadline(task, command["within"])
        self._hear_viewer(front)  # if it asks for more, this task is running already
        self._delivery.attach(front)
        self.push()

    def _hear_viewer(self, front: Peer | None) -> None:
        """The last acknowledgements of the front before this one, and that it is gone, may still lie in its socket."""
        if self._delivery.viewer and self._delivery.viewer is not front:
            self._hear(self._delivery.viewer)

    def _cancel(self, task: _Task, within: float | None) -> None:
        """Cancel a task without a result; a further cancel can only shorten its time. A stop only has to hurry."""
        deadline = self._set_deadline(task, CANCEL_SECONDS if within is None else within)
        task.canceled = task.canceled or task.kind != "stop"
        self._command({"cancel" if task.canceled else "hurry": max(0.0, deadline - self._timers.clock())})

    def _set_deadline(self, task: _Task, within: float) -> float:
        end = self._timers.clock() + within
        task.deadline = end if task.deadline is None else min(end, task.deadline)
        self._timers.set("deadline", task.deadline - self._timers.clock(), partial(self._on_deadline, task))
        return task.deadline

    def _on_deadline(self, task: _Task) -> None:
        if task is self._task and task.result is None:
            ignored = "ignored its cancel and " * task.canceled
            self._kill("it was killed: the %s %sdid not end by its deadline" % (task.kind, ignored))

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
        if task.kind == "start" and result["code"] == DONE and self._phase == "starting":
            self._phase = "started"
        if task.ends_worker:
            late = partial(self._kill, "it was killed: it did not exit after its end")
            self._timers.set("exit", EXIT_SECONDS, late)
        elif self._next:
            self._hurry()

    def _hurry(self) -> None:
        """Something waits for the front of a finished task to take the rest and to leave: not for ever."""
        self._timers.set("late front", FRONT_SECONDS, self._drop)

    def _drop(self) -> None:
        """Go on without the viewer, which is told how its task went; what it did not take is kept for the next."""
        viewer = self._delivery.viewer
        if not viewer or not self._next:
            return
        task = self._task
        if task and task.ends_worker and self.ended is None:
            viewer.closed = True  # its result is due when the worker has ended, and is not waited for
            return
        self._delivery.viewer = None
        if task and task.front is viewer:
            viewer.send({"note": "the rest of this task's output is kept for the next command"})
            self._finish_if_due(task)
        self._go_on()

    def push(self) -> None:
        """Show the running task's front what there is, then its result."""
        task = self._task
        if task is None or task.front is not self._delivery.viewer:
            return
        complete = task.result is not None and not (task.ends_worker and self.ended is None)
        shown = self._delivery.push(task.end if task.result else self._delivery.end, complete)
        if shown or task.front is None:
            self._finish_if_due(task)

    def _finish_if_due(self, task: _Task) -> None:
        """Deliver the result, which stands behind all of the task's output, and go on."""
        if task.result is None or (task.ends_worker and self.ended is None):
            return
        self._task = None
        self.tasks += task.kind == "run"
        if task.front:
            note = self._delivery.lost_note()
            if note:
                task.front.send({"note": note})
            task.front.send({"result": task.result})
        if self._phase == "started" and self._idle_seconds is not None and not self.ended:
            stop = partial(self.stop, None, None, " after %g s without a task" % self._idle_seconds)
            self._timers.set("idle", self._idle_seconds, stop)
        if task.front is None or self.ended or self._foreground:
            self._go_on()  # otherwise when that front has acknowledged the rest and left; in the foreground it stays

    def _go_on(self) -> None:
        """Begin what has waited for the task before it."""
        (front, begin), self._next = self._next or (None, None), None
        self._timers.cancel("late front")
        if begin and self.ended is None:
            begin()
        elif begin and front and self._phase != "stopping":
            front.refuse("the daemon is gone: " + (self.ended or ""), NO_DAEMON)

    # The worker's end

    def worker_has_ended(self, how: str, killed: bool, left: str = "") -> None:
        """All of the worker's output is here; ``how`` it has ended, and whether it was ``killed`` by :attr:`_kill`.

        ``left`` names what it has left that cannot be ended.
        """
        how += left and "; " + left
        self.ended = how
        self._linger()
        task = self._task
        if self._next and self._phase == "stopping" and not (task and task.ends_worker):
            front, self._next = self._next[0], None
            self.stop_code = FAILED
            if front:
                front.send({"result": _failed("on_stop never ran: " + how)})
        if task is None:
            self._go_on()
            return
        if task.result is None:
            canceled = task.canceled
            code = CANCELED if canceled else FAILED
            outcome = "canceled" if canceled else "failed"
            task.result = {"outcome": outcome, "message": "the adaptor is gone: " + how, "code": code, "gone": True}
        elif task.ends_worker and not killed:
            self.stopped = task.kind == "stop"
            self.ended = self._stop_reason if self.stopped else "the start failed: " + task.result["message"]
            if self.stopped and left:
                self.ended += "; " + left
                task.result = _failed(left) if task.result["code"] == DONE else task.result
        if task.kind == "stop":
            self.stop_code = int(task.result["code"])
        task.end = self._delivery.end
        self.push()

    def _linger(self, seconds: float = LINGER_SECONDS) -> None:
        """Wait for the viewer to take the rest and to leave, as long as it goes on taking; in the foreground always."""
        if not self._foreground:
            self._timers.set("linger", seconds, partial(setattr, self._delivery, "viewer", None))
