"""The daemon's face: sockets, spool, results, deadlines. It never runs an author's code and never waits for any.

One thread, one loop. Output flows from the worker's pipe through the marker filter into the spool and on to the front
whose task is running; commands flow the other way. When the worker ends, for whatever reason, all below the keeper is
killed, and the keeper ends when the last front has got its result.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from functools import partial

from . import system
from .errors import BAD_INPUT, CANCELED, DONE, FAILED, NO_DAEMON, AdaptError, describe_exit
from .loop import Loop
from .peer import Peer
from .reception import Reception, seconds
from .spool import Delivery, Spool
from .wire import MarkerFilter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from .channel import Address
    from .wire import Message

_READ_BYTES = 256 * 1024
#: What a canceled task gets, in seconds, if nobody says when it will be killed. Source: the template schemas' default
#: notifyPeriodInSeconds of a task.
CANCEL_SECONDS = 120.0
#: What a daemon gets to stop, in seconds, if nobody says otherwise.
STOP_SECONDS = 60.0
#: How long, in seconds, the worker may take from its last result to its end.
EXIT_SECONDS = 10.0
#: How long, in seconds, a front that takes nothing may hold up the daemon's end, or the stop behind its task.
LINGER_SECONDS = 60.0
HASTE_SECONDS = 5.0
#: How much of the output that nobody has seen the connection file keeps when the daemon has ended, in bytes.
LAST_WORDS_BYTES = 16 * 1024


class Plan:
    """What a keeper is to do: the worker's command, its init frame, and where to listen (None in the foreground)."""

    def __init__(self, adaptor: str, argv: list[str], init: dict[str, Any], address: Address | None) -> None:
        self.adaptor = adaptor
        self.argv = argv
        self.init = init
        self.address = address


class _Task:
    """The start, run or stop that the worker is busy with."""

    def __init__(self, kind: str, front: Peer | None) -> None:
        self.kind = kind
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


class Keeper:
    """A daemon, or the middle of a ``run``: from the start of the worker to the end of everything below it."""

    def __init__(self, plan: Plan, starter: Peer, lifeline: int, contained: bool) -> None:
        """``starter`` is the front that starts all this; ``lifeline`` a pipe that ends with the process above.

        ``contained``: whether orphans become this process's children.
        """
        self._plan = plan
        self._delivery = Delivery(Spool())
        self._filter = MarkerFilter(plan.init["token"])
        self._task: _Task | None = None
        #: What follows the running task: its front, and what to do.
        self._next: tuple[Peer | None, Callable[[], None]] | None = None
        self._phase = "starting"
        self._contained = contained
        self._stop_end = 0.0
        self._tasks = 0
        self._born = time.monotonic()
        self._kill_reason = ""
        self._folders: list[str] = []
        self._how_ended: str | None = None
        self._stop_code = DONE
        self._loop = Loop()
        self._reception = Reception(self._loop, self._on_message, self._on_gone)
        self._wakeup = system.Wakeup(signal.SIGCHLD, signal.SIGTERM)
        self._loop.watch(self._wakeup, self._on_signals)
        self._loop.watch(lifeline, partial(self._on_lifeline, lifeline))
        if plan.address:
            plan.address.publish(plan.adaptor)
            self._reception.listen(plan.address.listener)
        self._start_worker(plan)
        self._starter = starter
        self._reception.add(starter)
        starter.send({"ready": plan.address.path if plan.address else None, "contained": contained})

    def _start_worker(self, plan: Plan) -> None:
        self._output, output = system.make_pipe()
        ours, theirs = socket.socketpair()
        self._worker = system.spawn(plan.argv, output, theirs.fileno())
        os.close(output)
        theirs.close()
        os.set_blocking(self._output, False)
        self._control = Peer(ours)
        self._loop.watch(self._output, self._read_output)
        self._loop.watch_peer(self._control, self._on_control)
        self._control.send({"init": plan.init})

    def serve(self) -> None:
        """Serve until the worker has ended and the last front has got its result."""
        while self._how_ended is None or self._delivery.viewer is not None:
            self._loop.turn()
            self._reception.drop_closed()
        if self._plan.address:
            self._plan.address.note_end(self._how_ended, self._delivery.last_words(LAST_WORDS_BYTES), self._stop_code)

    # What fronts say

    def _on_message(self, front: Peer, message: Message) -> None:
        if "ack" in message:
            self._on_ack(front, message["ack"])
        elif "cancel" in message:
            self._on_cancel(front, seconds(message["cancel"]))
        else:
            request = message.get("do")
            act = self._REQUESTS.get(request) if isinstance(request, str) else None
            if act is None:
                self._reception.refuse(front, "unknown request %.100r" % (request,), BAD_INPUT)
            else:
                act(self, front, message)

    def _on_cancel(self, front: Peer, within: float | None) -> None:
        """A front cancels what it has asked for: its task, or what waits for the running one."""
        task = self._task
        if task and task.front is front:
            if task.result is None:
                self._cancel(task, within)
        elif self._next and self._next[0] is front and self._phase != "stopping":
            self._next = None
            front.send({"result": {"outcome": "canceled", "message": "canceled before it began", "code": CANCELED}})
        elif self._next and self._next[0] is front and within is not None:
            self._stop_end = min(self._stop_end, time.monotonic() + within)
            if task and task.result is None:
                self._set_deadline(task, within / 2)

    def _on_ack(self, front: Peer, offset: object) -> None:
        if front is not self._delivery.viewer or not isinstance(offset, int):
            return
        self._delivery.acknowledge(offset)
        if self._loop.has_timer("linger"):
            self._linger()
        self._push()

    def _on_gone(self, front: Peer) -> None:
        """A front is gone: what it had asked for is canceled, but for a stop."""
        if self._delivery.viewer is front:
            self._delivery.viewer = None
            if self._task is None:
                self._go_on()
        if self._next and self._next[0] is front and self._phase != "stopping":
            self._next = None
        task = self._task
        if task and task.front is front:
            task.front = None
            if task.result is not None:
                self._finish_if_due(task)
            elif task.kind != "stop":
                self._cancel(task, None)
        elif front is self._starter and self._phase == "starting" and task is None:
            self._kill("the command that started it was gone before it had started")

    def _request_start(self, front: Peer, message: Message) -> None:
        if self._phase == "stopping":
            self._reception.refuse(front, "the daemon is being stopped", CANCELED)
        elif self._phase != "starting" or self._task:
            self._reception.refuse(front, "the daemon has already started", BAD_INPUT)
        else:
            self._begin("start", front, {"do": "start"})

    def _request_run(self, front: Peer, message: Message) -> None:
        refuse = partial(self._reception.refuse, front)
        if not isinstance(message.get("data"), dict):
            refuse("run data must be an object", BAD_INPUT)
        elif self._phase == "starting":
            refuse("the daemon is still starting", BAD_INPUT)
        elif self._phase == "stopping" or self._how_ended:
            refuse("the daemon is stopping", NO_DAEMON)
        elif self._task is None:
            self._begin("run", front, {"do": "run", "data": message["data"]})
        elif self._task.front is None and self._next is None:
            front.send({"note": "waiting for the canceled task of a command that is gone"})
            self._next = (front, partial(self._request_run, front, message))
        else:
            refuse("the daemon is busy with a task", BAD_INPUT)

    def _request_stop(self, front: Peer | None, message: Message) -> None:
        """Stop after the running task, which is canceled and gets half of the time."""
        if self._phase == "stopping" or self._how_ended:
            if front:
                front.send({"note": "the daemon is already stopping"})
            if self._how_ended:
                self._linger(HASTE_SECONDS)
            return
        if self._next and self._next[0]:
            self._reception.refuse(self._next[0], "the daemon is stopping", NO_DAEMON)
        self._phase = "stopping"
        within = seconds(message.get("within")) or STOP_SECONDS
        self._stop_end = time.monotonic() + within
        self._next = (front, partial(self._begin_stop, front))
        task = self._task
        if task is None:
            self._go_on()
        elif task.result is not None:
            self._hurry()
        else:
            if front:
                front.send({"note": "canceling the running task first"})
            self._cancel(task, within / 2)

    def _begin_stop(self, front: Peer | None) -> None:
        self._begin("stop", front, {"do": "stop", "within": max(0.0, self._stop_end - time.monotonic())})

    def _request_cancel(self, front: Peer, message: Message) -> None:
        task = self._task
        running = task is not None and task.result is None
        if task and running:
            self._cancel(task, seconds(message.get("within")))
        front.send({"canceled": running})

    def _request_status(self, front: Peer, message: Message) -> None:
        state = self._phase
        if state == "started":
            state = "idle" if self._task is None else "canceling" if self._task.canceled else "running"
        status = {
            "state": state,
            "adaptor": self._plan.adaptor,
            "pid": os.getpid(),
            "worker_pid": self._worker,
            "tasks": self._tasks,
            "uptime_seconds": round(time.monotonic() - self._born, 3),
            "unread_bytes": self._delivery.unread,
        }
        front.send({"status": status})

    _REQUESTS: dict[Any, Callable[[Any, Peer, Message], None]] = {
        "start": _request_start,
        "run": _request_run,
        "stop": _request_stop,
        "cancel": _request_cancel,
        "status": _request_status,
    }

    # Tasks

    def _begin(self, kind: str, front: Peer | None, command: Message) -> None:
        """Give the worker a task, and its front all output that nobody has acknowledged."""
        if self._delivery.viewer and self._delivery.viewer is not front:
            self._reception.read(self._delivery.viewer)  # its last acknowledgements may still lie in the socket
        task = self._task = _Task(kind, front)
        self._delivery.attach(front)
        self._control.send({name: command[name] for name in ("do", "data", "within") if name in command})
        if "within" in command:
            self._set_deadline(task, command["within"])
        self._push()

    def _cancel(self, task: _Task, within: float | None) -> None:
        """Cancel a task without a result; a further cancel can only shorten its time. A stop only has to hurry."""
        self._set_deadline(task, CANCEL_SECONDS if within is None else within)
        if task.kind != "stop" and task.deadline is not None:
            task.canceled = True
            self._control.send({"cancel": max(0.0, task.deadline - time.monotonic())})

    def _set_deadline(self, task: _Task, within: float) -> None:
        end = time.monotonic() + within
        task.deadline = end if task.deadline is None else min(end, task.deadline)
        self._loop.set_timer("deadline", task.deadline - time.monotonic(), partial(self._on_deadline, task))

    def _on_deadline(self, task: _Task) -> None:
        if task is self._task and task.result is None:
            self._kill("it was killed: the %s did not end by its deadline" % task.kind)

    def _on_result(self, result: dict[str, Any]) -> None:
        """The marker of the running task: what stands before it in the output is the task's."""
        task = self._task
        if task is None or task.result is not None:
            return
        task.result = result
        task.end = self._delivery.end
        self._loop.cancel_timer("deadline")
        if task.kind == "start" and result["code"] == DONE and self._phase == "starting":
            self._phase = "started"
        if task.ends_worker:
            late = partial(self._kill, "it was killed: it did not exit after its end")
            self._loop.set_timer("exit", EXIT_SECONDS, late)
        elif self._next:
            self._hurry()

    def _hurry(self) -> None:
        """Something waits for the front of a finished task to take the rest and to leave: not for ever."""
        self._loop.set_timer("late front", HASTE_SECONDS, self._forsake)

    def _forsake(self) -> None:
        """Go on without the viewer; what it did not take is kept for the next."""
        if self._delivery.viewer and self._next:
            self._delivery.viewer.closed = True

    def _push(self) -> None:
        """Show the running task's front what there is, then its result."""
        task = self._task
        if task is None:
            return
        complete = task.result is not None and not (task.ends_worker and self._how_ended is None)
        shown = self._delivery.push(task.end if task.result else self._delivery.end, complete)
        if shown or task.front is None:
            self._finish_if_due(task)

    def _finish_if_due(self, task: _Task) -> None:
        """Deliver the result, which stands behind all of the task's output, and go on."""
        if task.result is None or (task.ends_worker and self._how_ended is None):
            return
        self._task = None
        self._tasks += task.kind == "run"
        note = self._delivery.lost_note()
        if task.front:
            if note:
                task.front.send({"note": note})
            task.front.send({"result": task.result})
        if task.front is None or self._how_ended or not self._plan.address:
            self._go_on()  # otherwise when that front has acknowledged the rest and left; in the foreground it stays

    def _go_on(self) -> None:
        """Begin what has waited for the task before it."""
        (front, begin), self._next = self._next or (None, None), None
        self._loop.cancel_timer("late front")
        if begin and self._how_ended is None:
            begin()
        elif begin and front and self._phase != "stopping":
            self._reception.refuse(front, "the daemon is gone: " + (self._how_ended or ""), NO_DAEMON)

    # What the worker says

    def _read_output(self) -> bool:
        """Take one read's worth from the worker's pipe; False if there is nothing now."""
        try:
            data = os.read(self._output, _READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self._loop.forget(self._output)
        for piece in self._filter.feed(data):
            if isinstance(piece, dict):
                self._on_result(piece)
            else:
                self._delivery.keep(piece)
            self._push()
        return bool(data)

    def _on_control(self) -> None:
        """The worker tells of folders of its own; when its end closes, SIGCHLD tells the rest."""
        self._folders += [str(message.get("folder")) for message, _ in self._control.receive()]
        if self._control.closed:
            self._loop.forget(self._control)

    # Ends

    def _on_signals(self) -> None:
        if signal.SIGTERM in self._wakeup.arrived():
            self._request_stop(None, {})
        self._reap()

    def _on_lifeline(self, lifeline: int) -> None:
        self._loop.forget(lifeline)
        self._kill("it was killed: the process that watched over it is gone")

    def _kill(self, reason: str) -> None:
        """Kill the worker; SIGCHLD brings on the rest."""
        if self._how_ended is None:
            self._kill_reason = self._kill_reason or reason
            os.kill(self._worker, signal.SIGKILL)

    def _reap(self) -> None:
        """Take note of ended children: of the worker, or of orphans that have become this process's."""
        while self._how_ended is None:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._worker:
                self._on_worker_end(-os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))

    def _on_worker_end(self, returncode: int) -> None:
        if not self._contained:
            system.kill_group(self._worker)
        system.kill_children()
        patience = time.monotonic() + HASTE_SECONDS
        while self._read_output() and time.monotonic() < patience:
            pass  # where processes can escape, one may go on writing for ever
        self._delivery.keep(self._filter.rest())
        if not self._control.closed:
            self._on_control()
        for folder in self._folders:
            _remove_folder(folder)
        self._how_ended = self._kill_reason or "the adaptor's process " + describe_exit(returncode)
        self._linger()
        task = self._task
        if task is None:
            self._go_on()
            return
        if task.result is None:
            canceled = task.canceled and task.kind != "stop"
            message = "the adaptor is gone: " + self._how_ended
            code = CANCELED if canceled else FAILED
            outcome = "canceled" if canceled else "failed"
            task.result = {"outcome": outcome, "message": message, "code": code, "gone": True}
        elif not self._kill_reason:
            stopped = task.kind == "stop"
            self._how_ended = "it was stopped" if stopped else "the start failed: " + task.result["message"]
        if task.kind == "stop":
            self._stop_code = int(task.result["code"])
        task.end = self._delivery.end
        self._push()

    def _linger(self, patience: float = LINGER_SECONDS) -> None:
        """Wait for the viewer to take the rest and to leave, as long as it goes on taking; in the foreground always."""
        if self._plan.address:
            self._loop.set_timer("linger", patience, partial(setattr, self._delivery, "viewer", None))


def _remove_folder(folder: str) -> None:
    """Remove a folder that the worker has made, and the files in it, unless the worker has done so."""
    try:
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
        os.rmdir(folder)
    except OSError:
        return


def keep(plan: Plan, starter: Peer, lifeline: int) -> None:
    """Be the keeper until everything has ended. What goes wrong before the worker runs is told to the starter."""
    contained = system.become_subreaper()
    try:
        Keeper(plan, starter, lifeline, contained).serve()
    except AdaptError as error:
        if plan.address:
            plan.address.note_end(str(error), b"", FAILED)
        starter.send({"error": str(error), "code": error.exit_code})
    except Exception as error:
        _report_fault(plan, starter, error)
    finally:
        system.kill_children()
        if plan.address:
            plan.address.remove_socket()


def _report_fault(plan: Plan, starter: Peer, error: Exception) -> None:
    """Leave the traceback of a fault of the keeper itself where somebody will look."""
    import traceback

    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    if plan.address:
        plan.address.note_end("its keeper failed: %r" % error, text.encode("utf-8", "backslashreplace"), FAILED)
    starter.send({"error": "the keeper failed, which is a fault of openjd_adapt: " + text, "code": FAILED})
