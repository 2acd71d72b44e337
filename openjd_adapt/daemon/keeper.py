"""The daemon's face: sockets, spool, results, deadlines. It never runs an author's code and never waits for any.

One thread, one loop. Output flows from the worker's pipe through the marker filter into the spool and on to the front
whose task is running; commands flow the other way. What is asked for, by whom, and until when is the desk's business.
When the worker ends, for whatever reason, all below the keeper is killed, and the keeper ends when the last front has
got its result.
"""

from __future__ import annotations

import _socket  # as in system.posix
import _thread
import os
import time
from functools import partial

from .. import session, system
from ..errors import BAD_INPUT, FAILED, AdaptError, describe_exit
from ..transport import connection_file
from ..transport.connection_file import Address, note_end
from ..transport.loop import Loop, Peer, Reception, Trickle, seconds
from ..transport.wire import MarkerFilter
from .dispatcher import HASTE_SECONDS, Desk
from .launch_spec import DEATH_SECONDS, Plan
from .spool import Delivery, Spool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from ..system import Ledger  # type: ignore[attr-defined, unused-ignore]
    from ..transport.connection_file import Address
    from ..transport.wire import Message
    from .launch_spec import Plan


# Looks now and then whether what a daemon stands on is still there; on a thread, as a file system may never answer.

#: Seconds between two looks, and how many in a row must find something gone.
LOOK_SECONDS = 2.0
LOOKS = 2


def folder_is_gone(path: str) -> bool:
    """Whether there is no such folder; only a clear answer counts."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def begin(
    look: Callable[[], str], tell: Callable[[str], object], pause: Callable[[float], object] = time.sleep
) -> None:
    """Call ``look()`` from now on; when it has named what is gone :data:`LOOKS` times in a row, ``tell`` that, once.

    ``look`` returns an empty text as long as all is there. Both are called on a thread of their own.
    """
    _thread.start_new_thread(watch, (look, tell, pause))


def watch(look: Callable[[], str], tell: Callable[[str], object], pause: Callable[[float], object]) -> None:
    """What :func:`begin` does, on the calling thread."""
    found = 0
    while found < LOOKS:
        pause(LOOK_SECONDS)
        gone = look()
        found = found + 1 if gone else 0
    tell(gone)


_READ_BYTES = 256 * 1024


class Keeper:
    """A daemon, or the middle of a ``run``: from the start of the worker to the end of everything below it."""

    def __init__(self, plan: Plan, starter: Peer, lifeline: int | None, groups: Ledger | None) -> None:
        """``starter`` is the front that starts all this; ``lifeline`` a pipe that ends with the process above, if any.

        ``groups``: where process groups are written down, on a host where orphans become nobody's children.
        """
        self._plan = plan
        self._delivery = Delivery(Spool(plan.memory_bytes, plan.limit_bytes, os.path.dirname(plan.folder)))
        self._filter = MarkerFilter(plan.init["token"])
        self._born = time.monotonic()
        self._kill_reason = ""
        self._loop = Loop()
        self._trickle = Trickle()
        key = plan.address.key if plan.address else None
        self._reception = Reception(self._loop, self._on_message, self._on_gone, key=key)
        self._desk = Desk(
            self._loop.timers,
            self._delivery,
            command=self._command,
            kill=self._kill,
            hear=self._reception.read_all,
            foreground=plan.address is None,
            idle_seconds=plan.idle_seconds,
        )
        self._wakeup = system.Wakeup(system.TERMINATION, *system.CHILD_SIGNALS)
        self._loop.watch(self._wakeup, self._on_signals)
        if lifeline is not None:
            self._loop.watch(lifeline, partial(self._on_lifeline, lifeline))
        if plan.address:
            plan.address.publish(plan.adaptor)
            self._reception.listen(plan.address.listener)
        self._start_worker(plan, groups)
        self._starter = starter
        self._reception.add(starter)
        starter.send({"ready": plan.address.path if plan.address else None, "contained": self._worker.is_contained})
        if plan.address:
            self._watch_ground(plan.address)

    def _start_worker(self, plan: Plan, groups: Ledger | None) -> None:
        try:
            self._worker = system.Worker(plan.argv, self._wakeup, groups)
        except OSError as error:
            raise AdaptError("cannot start the adaptor's process: %s" % error.strerror) from None
        self._control = Peer(self._worker.control)
        self._loop.watch(self._worker, self._on_output)
        self._loop.watch_peer(self._control, self._on_control)
        self._command({"init": plan.init, "groups": groups is not None})

    def _watch_ground(self, address: Address) -> None:
        """A daemon whose connection file or session folder is gone can be reached by nobody: it stops."""
        folder = session.folder()
        folder = folder if folder and not folder_is_gone(folder) else None

        def look() -> str:
            if address.is_gone():
                return "its connection file"
            return "its session's folder" if folder and folder_is_gone(folder) else ""

        def on_gone() -> None:
            self._loop.forget(bell)
            self._desk.stop(None, None, ", as %s is gone" % bell.heard().decode("ascii"))

        bell = system.Bell()
        self._loop.watch(bell, on_gone)
        begin(look, lambda what: bell.ring(what.encode("ascii")))

    def serve(self) -> None:
        """Serve until the worker has ended and the last front has got its result."""
        while self._desk.ended is None or self._delivery.viewer is not None:
            self._loop.turn()
            self._reception.drop_closed()
        if self._plan.address:
            note_end(
                self._plan.address.descriptor,
                self._desk.ended,
                self._desk.stop_code,
                self._delivery.unread,
                self._delivery.last_words,
                self._delivery.lost,
            )

    # What fronts say

    def _on_message(self, front: Peer, message: Message) -> None:
        if "ack" in message:
            self._desk.acknowledge(front, message["ack"])
        elif "cancel" in message:
            self._desk.cancel(front, seconds(message["cancel"]))
        else:
            request = message.get("do")
            act = self._REQUESTS.get(request) if isinstance(request, str) else None
            if act is None:
                front.refuse("unknown request %.100r" % (request,), BAD_INPUT)
            else:
                act(self, front, message)

    def _on_gone(self, front: Peer) -> None:
        if front is self._starter and self._desk.is_untouched:
            self._desk.give_up("the command that started it was gone before it had started")
        self._desk.leave(front)

    def _cancel(self, front: Peer, message: Message) -> None:
        front.send({"canceled": self._desk.cancel_running(seconds(message.get("within")))})

    def _tell_status(self, front: Peer, message: Message) -> None:
        status = {
            "state": self._desk.state,
            "adaptor": self._plan.adaptor,
            "pid": os.getpid(),
            "worker_pid": self._worker.pid,
            "tasks": self._desk.tasks,
            "uptime_seconds": round(time.monotonic() - self._born, 3),
            "unread_bytes": self._delivery.unread,
        }
        front.send({"status": status})

    _REQUESTS: dict[str, Callable[[Keeper, Peer, Message], None]] = {
        "start": lambda self, front, message: self._desk.start(front),
        "run": lambda self, front, message: self._desk.run(front, message.get("data"), message.get("from")),
        "stop": lambda self, front, message: self._desk.stop(front, seconds(message.get("within"))),
        "cancel": _cancel,
        "status": _tell_status,
    }

    # The worker

    def _command(self, message: Message) -> None:
        self._control.send(message)

    def _on_output(self) -> None:
        """Take what the worker has written; of a trickle not each drop, which would wake the front, too."""
        size = self._read_output()
        if size and self._trickle.take(size):
            self._loop.rest(self._worker, self._on_output, Trickle.PAUSE_SECONDS)

    def _read_output(self) -> int:
        """Take one read's worth from the worker's pipe; how many bytes, 0 if there is nothing now."""
        try:
            data = self._worker.read(_READ_BYTES)
        except BlockingIOError:
            return 0
        if not data:
            self._loop.forget(self._worker)
        for piece in self._filter.feed(data):
            if isinstance(piece, dict):
                self._desk.finish(piece)
            else:
                self._delivery.keep(piece)
            self._desk.push()
        return len(data)

    def _on_control(self) -> None:
        """The worker was asked to end by somebody; when its end closes, SIGCHLD tells the rest."""
        if any("terminate" in message for message, _ in self._control.receive()):
            self._stop_by_signal()
        if self._control.closed:
            self._loop.forget(self._control)

    # Ends

    def _on_signals(self) -> None:
        if system.TERMINATION in self._wakeup.heard():
            self._stop_by_signal()
        if self._desk.ended is None:
            returncode = self._worker.returncode()
            if returncode is not None:
                self._on_worker_end(returncode)

    def _stop_by_signal(self) -> None:
        self._desk.stop(None, session.notify_end(), " by SIGTERM")

    def _on_lifeline(self, lifeline: int) -> None:
        self._loop.forget(lifeline)
        self._kill("it was killed: the process that watched over it is gone")

    def _kill(self, reason: str) -> None:
        """Kill the worker; SIGCHLD brings on the rest."""
        if self._desk.ended is None:
            self._kill_reason = self._kill_reason or reason
            self._worker.kill()

    def _on_worker_end(self, returncode: int) -> None:
        """The worker is dead: end all that it has left, and take what they have written."""
        left = self._worker.end_all(DEATH_SECONDS)
        patience = time.monotonic() + HASTE_SECONDS
        while self._read_output() and time.monotonic() < patience:
            pass  # where processes can escape, one may go on writing for ever
        self._delivery.keep(self._filter.rest())
        how = self._kill_reason or "the adaptor's process " + describe_exit(returncode)
        if left:
            how += "; what does not die of SIGKILL: " + ", ".join(
                "%d (%s)" % (pid, system.name_of(pid)) for pid in left
            )
        self._desk.worker_has_ended(how, killed=bool(self._kill_reason))


def keep(plan: Plan, starter: Peer, lifeline: int | None, groups: Ledger | None) -> None:
    """Be the keeper until everything has ended. What goes wrong before the worker runs is told to the starter."""
    try:
        Keeper(plan, starter, lifeline, groups).serve()
    except AdaptError as error:
        if plan.address:
            note_end(plan.address.descriptor, str(error), FAILED)
        starter.send({"error": str(error), "code": error.exit_code})
    except Exception as error:
        _report_fault(plan, starter, error)
    finally:
        system.kill_children(patience=DEATH_SECONDS)
        if plan.address:
            plan.address.remove_socket()
        connection_file.remove_private_folder(plan.folder)


def _report_fault(plan: Plan, starter: Peer, error: Exception) -> None:
    """Leave the traceback of a fault of the keeper itself where somebody will look."""
    import traceback

    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    if plan.address:
        how = "its keeper failed, which is a fault of openjd_adapt: " + text
        note_end(plan.address.descriptor, how, FAILED)
    starter.send({"error": "the keeper failed, which is a fault of openjd_adapt: " + text, "code": FAILED})


# Linux and macOS: the keeper's process, from what it inherits of the command that starts it.


def serve(starter: int, lifeline: int, address: dict[str, Any] | None, groups: int | None) -> None:
    """Be the keeper that a command has started: take its plan, and keep.

    ``starter``, ``lifeline`` and ``groups`` are descriptors of what :class:`Keeper` asks for, ``address`` is what
    :meth:`Address.to_dict` gives.
    """
    connection = _socket.socket(fileno=starter)
    plan = Plan.receive(connection)
    if plan is None:
        return  # the command was killed before it had said what to do; the guardian tidies up
    plan.address = Address.from_dict(address) if address else None
    keep(plan, Peer(connection), lifeline, None if groups is None else system.Ledger(groups))  # type: ignore[attr-defined, unused-ignore]
