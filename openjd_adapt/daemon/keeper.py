"""The keeper: a daemon's sockets, output, results, deadlines. It never runs an author's code and never waits for any.

One thread, one loop. Output flows from the worker's pipe through the marker filter into the spool and on to the front
whose task is running; commands flow the other way. The dispatcher decides which request runs next, and until when.
When the worker ends, for whatever reason, all below the keeper is killed, and the keeper ends when the last front has
got its result.
"""

from __future__ import annotations

import _socket  # as in system.posix
import _thread
import os
import time

from .. import session, system
from ..errors import BAD_INPUT, FAILED, AdaptError, describe_exit
from ..transport.connection_file import ConnectionFileWriter, note_end, remove_private_folder
from ..transport.loop import Coalescer, Listener, Loop, Peer, seconds
from ..transport.wire import MarkerFilter, encode
from . import launch_spec
from .dispatcher import Dispatcher
from .spool import Delivery, Spool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from ..system import Ledger  # type: ignore[attr-defined, unused-ignore]
    from ..transport.wire import Message


#: Seconds between two looks, and how many in a row must find something gone.
LOOK_SECONDS = 2.0
LOOKS = 2
#: How long, in seconds, a worker may take to tell what ``daemon status`` asks for.
FACTS_SECONDS = 1.0
#: How long, in seconds, output is read that somebody goes on writing when the worker has ended.
DRAIN_SECONDS = 5.0


def folder_is_gone(path: str) -> bool:
    """Whether there is no such folder; only a clear answer counts."""
    try:
        os.stat(path)
    except OSError as error:
        return isinstance(error, (FileNotFoundError, NotADirectoryError))
    return False


def watch(look: Callable[[], str], tell: Callable[[str], object], pause: Callable[[float], Any] = time.sleep) -> None:
    """Call ``look()`` until it has named what is gone :data:`LOOKS` times in a row, and ``tell`` that.

    ``look`` returns an empty text as long as all is there.
    """
    found = 0
    while found < LOOKS:
        pause(LOOK_SECONDS)
        gone = look()
        found = found + 1 if gone else 0
    tell(gone)


_READ_BYTES = 256 * 1024


class Keeper:
    """A daemon, or the middle of a ``run``: from the start of the worker to the end of everything below it."""

    def __init__(self, spec: Message, starter: Peer, worker: Any, writer: ConnectionFileWriter | None = None) -> None:
        """``starter`` is the front that starts all this; ``writer`` that of a daemon's connection file; of ``worker``
        a :class:`system.Worker` is made.
        """
        self._spec = spec
        self._starter = starter
        self._started = worker
        self._writer = writer
        self._delivery = Delivery(Spool(spec["memory_bytes"], spec["limit_bytes"], os.path.dirname(spec["folder"])))
        self._filter = MarkerFilter(spec["token"])
        self._sanitizer = session.Sanitizer()
        self._born = time.monotonic()
        self._kill_reason = ""
        #: Who has asked for the status and was not answered yet.
        self._asking: list[Peer] = []
        self._loop = Loop()
        self._coalescer = Coalescer()
        key = writer.key if writer else None
        self._listener = Listener(self._loop, self._on_message, self._on_gone, key=key)
        self._dispatcher = Dispatcher(
            self._loop.timers,
            self._delivery,
            command=lambda *frame: self._control.send(*frame),
            kill=self._kill,
            hear=self._listener.read_all,
            foreground=writer is None,
            idle_seconds=spec["idle_seconds"],
        )

    def keep(self, lifeline: int | None = None, groups: Ledger | None = None) -> None:
        """Serve until everything has ended. What goes wrong before the worker runs is told to the starter.

        ``lifeline`` is a pipe that ends with the process above, if there is one; ``groups`` is where process groups are
        written down, on a host where orphans become nobody's children.
        """
        try:
            self._start(lifeline, groups)
            self._serve()
        except Exception as error:
            how, code = str(error), FAILED
            if isinstance(error, AdaptError):
                code = error.exit_code
            elif isinstance(error, OSError):  # of what the host has not: descriptors, memory, room on a disk
                how = "the keeper failed: " + how
            else:
                import traceback

                how = "the keeper failed, which is a fault of openjd_adapt: " + traceback.format_exc()
            if self._writer:
                note_end(self._writer.descriptor, how, FAILED)
            self._starter.refuse(how, code)
        finally:
            system.kill_children(timeout=launch_spec.DEATH_SECONDS)
            if self._writer:
                self._writer.endpoint.remove()
            remove_private_folder(self._spec["folder"], self._dispatcher.start_is_told)

    def _start(self, lifeline: int | None, groups: Ledger | None) -> None:
        self._wakeup = system.Wakeup(system.TERMINATION, *system.CHILD_SIGNALS)
        self._loop.watch(self._wakeup, self._on_signals)
        if lifeline is not None:
            self._loop.watch(lifeline, lambda: self._on_lifeline(lifeline))
        self._worker = system.Worker(self._started, self._wakeup, groups)
        if self._writer:
            self._writer.publish(self._spec["adaptor"], self._worker.pid)
            self._listener.listen(self._writer.listener)
        self._control = Peer(self._worker.control)
        self._loop.watch(self._worker, self._on_output)
        self._loop.watch_peer(self._control, self._on_control)
        data = self._spec.pop("data")  # as it has come, and not needed here any more
        self._control.send_frames(encode({"init": self._spec, "groups": groups is not None}, data, launch_spec.LIMIT))
        self._listener.add(self._starter)
        self._delivery.attach(self._starter)  # which is waited for, as the worker may be dead before it asks
        self._starter.send({"ready": self._spec["listen_at"], "contained": groups is None})
        if self._writer:
            self._watch_paths(self._writer)

    def _watch_paths(self, writer: ConnectionFileWriter) -> None:
        """A daemon whose connection file or session folder is gone can be reached by nobody, and one whose owner has
        ended by nobody who knows it: it stops.

        That is looked for on a thread of its own, as a file system may never answer.
        """
        owner = self._spec["owner"]
        folder = session.folder()
        folder = folder if folder and not folder_is_gone(folder) else None

        def look() -> str:
            if writer.is_gone():
                return "its connection file"
            if owner and not system.lives(*owner):
                return "its owner, process %d," % owner[0]
            return "its session's folder" if folder and folder_is_gone(folder) else ""

        def on_gone() -> None:
            self._loop.forget(waker)
            self._dispatcher.stop(None, None, ", as %s is gone" % waker.heard().decode("ascii"))

        waker = system.Bell()
        self._loop.watch(waker, on_gone)
        try:
            _thread.start_new_thread(watch, (look, lambda what: waker.ring(what.encode("ascii"))))
        except RuntimeError as error:
            raise AdaptError("the daemon: %s: the limit of this user's processes is reached" % error) from None

    def _serve(self) -> None:
        """Serve until the worker has ended and the last front has got its result."""
        end, output = self._dispatcher, self._delivery
        while end.ended is None or output.viewer is not None:
            self._loop.turn()
            self._listener.drop_closed()
        if self._writer:
            unread = output.unread, output.unread_output, output.lost
            note_end(self._writer.descriptor, end.ended, end.stop_code, *unread, end.stopped)

    # What fronts say

    def _on_message(self, front: Peer, message: Message, body: bytes) -> None:
        if "ack" in message:
            self._dispatcher.acknowledge(front, message["ack"])
        elif "cancel" in message:
            self._dispatcher.cancel(front, seconds(message["cancel"]))
        else:
            request = message.get("do")
            act = self._REQUESTS.get(request) if isinstance(request, str) else None
            if act is None:
                front.refuse("unknown request %.100r" % (request,), BAD_INPUT)
            else:
                act(self, front, message, body)

    def _on_gone(self, front: Peer) -> None:
        if front is self._starter:
            self._dispatcher.on("abandoned", "the command that started it was gone before it had started")
        self._dispatcher.leave(front)

    def _cancel(self, front: Peer, message: Message, body: bytes) -> None:
        front.send({"canceled": self._dispatcher.cancel_running(seconds(message.get("within")))})

    def _tell_status(self, front: Peer, message: Message, body: bytes) -> None:
        """What only the worker knows it is asked, but not waited for where it does not come to answer."""
        self._asking.append(front)
        if self._dispatcher.ended is not None or not system.FORKS:  # on Windows a worker is told, and tells nothing
            self._answer({})
        elif len(self._asking) == 1:
            self._control.send({"tell": True})
            self._loop.timers.set("status", FACTS_SECONDS, lambda: self._answer({}))

    def _answer(self, facts: Message) -> None:
        application, running = facts.pop("application", None), self._dispatcher.running
        status = {
            "state": self._dispatcher.state,
            "adaptor": self._spec["adaptor"],
            "pid": os.getpid(),
            "worker_pid": self._worker.pid,
            "tasks": self._dispatcher.tasks,
            "uptime_seconds": round(time.monotonic() - self._born, 3),
            "unread_bytes": self._delivery.unread,
            "task": running and {**running, **facts},
            "application": application,
        }
        self._loop.timers.cancel("status")
        fronts, self._asking = self._asking, []
        for front in fronts:
            front.send({"status": status})

    _REQUESTS: dict[str, Callable[[Keeper, Peer, Message, bytes], None]] = {
        "start": lambda self, front, message, body: self._dispatcher.on("start", front),
        "run": lambda self, *frame: self._dispatcher.run(*frame),
        "stop": lambda self, front, message, body: self._dispatcher.stop(front, seconds(message.get("within"))),
        "cancel": _cancel,
        "status": _tell_status,
    }

    # The worker

    def _on_output(self) -> None:
        """Take what the worker has written; small pieces a little later, many at once, as each wakes the front, too."""
        size = self._read_output()
        if size and self._coalescer.take(size):
            self._loop.rest(self._worker, self._on_output, Coalescer.PAUSE_SECONDS)

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
                self._delivery.keep(self._sanitizer.feed(b"", final=True))
                self._dispatcher.finish(piece)
            else:
                self._delivery.keep(self._sanitizer.feed(piece))
            self._dispatcher.push()
        return len(data)

    def _on_control(self) -> None:
        """What the worker says; when its end closes, SIGCHLD tells the rest."""
        for message, _ in self._control.receive():
            if "terminate" in message:  # somebody has asked it to end
                self._stop_by_signal()
            elif "told" in message:
                self._answer(message["told"])
            elif "bound" in message:
                self._dispatcher.bound(message["bound"], message["name"])
        if self._control.closed:
            self._loop.forget(self._control)

    # Ends

    def _on_signals(self) -> None:
        if system.TERMINATION in self._wakeup.heard():
            self._stop_by_signal()
        if self._dispatcher.ended is None:
            returncode = self._worker.returncode()
            if returncode is not None:
                self._on_worker_end(returncode)

    def _stop_by_signal(self) -> None:
        self._dispatcher.stop(None, session.notify_end(), " by SIGTERM")

    def _on_lifeline(self, lifeline: int) -> None:
        self._loop.forget(lifeline)
        self._kill("it was killed: the process that watched over it is gone")

    def _kill(self, reason: str) -> None:
        """Kill the worker; SIGCHLD brings on the rest."""
        if self._dispatcher.ended is None:
            self._kill_reason = self._kill_reason or reason
            self._worker.kill()

    def _on_worker_end(self, returncode: int) -> None:
        """The worker is dead: end all that it has left, and take what they have written."""
        left = self._worker.end_all(launch_spec.DEATH_SECONDS)
        end = time.monotonic() + DRAIN_SECONDS
        while self._read_output() and time.monotonic() < end:
            pass  # where processes can escape, one may go on writing for ever
        self._delivery.keep(self._sanitizer.feed(self._filter.rest(), final=True))
        how = self._kill_reason or "the adaptor's process " + describe_exit(returncode)
        self._dispatcher.on("died", how, bool(self._kill_reason), launch_spec.describe_left(left))


def serve(
    starter: int, lifeline: int, groups: int | None, worker: dict[str, int], writer: dict[str, Any] | None
) -> None:
    """Linux and macOS: be the keeper that a command has started; take its spec, and keep.

    ``starter``, ``lifeline`` and ``groups`` are descriptors, ``worker`` is what ``launch.fork_worker`` gives, and
    ``writer`` is :attr:`ConnectionFileWriter.values`.
    """
    connection = _socket.socket(fileno=starter)
    listed = None if groups is None else system.Ledger(groups)  # type: ignore[attr-defined, unused-ignore]
    spec = launch_spec.receive(connection)
    if spec is None:  # the command was killed before it had said what to do; the guardian tidies up
        if listed:
            listed.kill()
        system.kill_children()
        return
    inherited = ConnectionFileWriter(writer, _socket.socket(fileno=writer["listener"])) if writer else None
    Keeper(spec, Peer(connection), worker, inherited).keep(lifeline, listed)
