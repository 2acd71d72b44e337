"""The short-lived commands: they talk to a keeper, pass on what it sends, and turn signals into cancels."""

from __future__ import annotations

import json
import os
import select
import signal
import time

from . import channel, messages, system
from .errors import CANCELED, DONE, FAILED, AdaptError, NoDaemonError
from .wire import check_hello, hello

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .channel import ConnectionFile, Peer
    from .keeper import Plan
    from .wire import Frame, Message

SOCKET_VARIABLE = "OPENJD_ADAPTOR_SOCKET"
SESSION_FOLDER_VARIABLE = "OPENJD_SESSION_WORKING_DIR"
#: What a start that takes longer than ``--timeout`` gets for its cancel, in seconds.
LATE_START_SECONDS = 10.0
#: How long after its own deadline a daemon that does not stop is killed from here, in seconds.
KILL_MARGIN_SECONDS = 5.0
#: A wait of more than this many seconds is explained.
PATIENCE_SECONDS = 2.0
#: A pipe that poll() calls writable takes this much without blocking (POSIX, PIPE_BUF).
_WRITE_BYTES = 4096


class _Left(Exception):
    """The user or the reader of the output has gone; the keeper takes that for a cancel."""


class Front:
    """A command's end of a connection: what it asks, what it shows, and what cancels it.

    ``foreground``: everything ends with this process, so that nobody else will show output that it cannot.
    """

    def __init__(self, peer: Peer, foreground: bool = False) -> None:
        self._peer = peer
        self._foreground = foreground
        self._inbox: list[Frame] = []
        self._wakeup = system.Wakeup(signal.SIGTERM, signal.SIGINT)
        self._interrupts = 0
        self._column_0 = True
        self._muted = False
        self._alarm: float | None = None
        #: A signal, or the end of standard output, has canceled the command; when its task will be killed, if known.
        self.canceled = False
        self.deadline: float | None = None
        #: The time of :meth:`ask` was over.
        self.late = False

    def ask(self, request: Message, timeout: float | None = None) -> Message:
        """Send a request; show output and notes until its answer comes, and return that.

        After ``timeout`` seconds the task is canceled, and :attr:`late` set. Raises :class:`AdaptError` with the
        keeper's exit code if it refuses, :class:`ConnectionError` if it is gone.
        """
        self._peer.send(request)
        if self.canceled:
            self._peer.send({"cancel": self.remaining()})
        self._alarm = None if timeout is None else time.monotonic() + timeout
        return self.listen()

    def listen(self) -> Message:
        """Show output and notes until another message comes, and return that."""
        while True:
            message, body = self._next_frame()
            if "output" in message:
                self._show(body)
                if not self._muted or self._foreground:
                    self._peer.send({"ack": message["output"]})
            elif "note" in message:
                self.tell("INFO: " + message["note"])
            elif "hello" in message:
                check_hello(message, channel.PACKAGE)
            elif "error" in message:
                error = AdaptError(message["error"])
                error.exit_code = message["code"]
                raise error
            else:
                return message

    def close(self) -> None:
        """Leave; done before the process ends, so that the keeper knows that all was shown."""
        self._peer.close()

    def remaining(self) -> float | None:
        """Seconds until the scheduler kills the task, if it said so."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def tell(self, line: str) -> None:
        """A line for people, on standard error."""
        self._start_line()
        _write_all(2, line.encode("utf-8", "backslashreplace") + b"\n")

    def say(self, line: str) -> None:
        """A line for the scheduler, on standard output."""
        self._start_line()
        self._show(line.encode("utf-8", "backslashreplace") + b"\n")

    def _start_line(self) -> None:
        if not self._column_0:
            self._show(b"\n")

    def _next_frame(self) -> Frame:
        while not self._inbox:
            if self._peer.closed:
                raise ConnectionResetError("the daemon is gone")
            if self._wait(False):
                self._inbox += self._peer.receive()
        return self._inbox.pop(0)

    def _show(self, data: bytes) -> None:
        """Write to standard output, ready for signals all the while."""
        view = memoryview(data)
        while view and not self._muted:
            if self._wait(True):
                try:
                    view = view[os.write(1, view[:_WRITE_BYTES]) :]
                except OSError:
                    self._lose_reader()
        self._column_0 = data[-1:] == b"\n"

    def _wait(self, writing: bool) -> bool:
        """Wait for the peer, or if ``writing`` for standard output; True if that is ready. Signals are acted on."""
        watched = {self._wakeup.fileno(): select.POLLIN}
        if not self._muted:
            watched[1] = select.POLLOUT if writing else 0
        if not self._peer.closed and (not writing or self._peer.backlog):
            events = (0 if writing else select.POLLIN) | (select.POLLOUT if self._peer.backlog else 0)
            watched[self._peer.fileno()] = events
        poll = select.poll()
        for descriptor, events in watched.items():
            poll.register(descriptor, events)
        ready = dict(poll.poll(self._patience()))
        if self._alarm is not None and time.monotonic() >= self._alarm:
            self._alarm = None
            self.late = True
            self._cancel(LATE_START_SECONDS)
        for number in self._wakeup.arrived():
            self._on_signal(number)
        if self._peer.backlog and ready.get(self._peer.fileno(), 0) & select.POLLOUT:
            self._peer.flush()
        if ready.get(1, 0) & (select.POLLERR | select.POLLHUP | select.POLLNVAL):
            self._lose_reader()
        if writing:
            return bool(ready.get(1, 0))
        return not self._peer.closed and bool(ready.get(self._peer.fileno(), 0) & ~select.POLLOUT)

    def _patience(self) -> float | None:
        return None if self._alarm is None else max(0.0, self._alarm - time.monotonic()) * 1000

    def _on_signal(self, number: int) -> None:
        if number == signal.SIGINT:
            self._interrupts += 1
            if self._interrupts > 1:
                raise _Left("interrupted twice")
        within = notify_end()
        if within is not None:
            self.tell("INFO: canceling; the task has %.1f s to end" % within)
        elif not self.canceled:
            self.tell("INFO: canceling; waiting for the task to end")
        self._cancel(within)

    def _cancel(self, within: float | None) -> None:
        self.canceled = True
        if within is not None:
            end = time.monotonic() + within
            self.deadline = end if self.deadline is None else min(end, self.deadline)
        self._peer.send({"cancel": within})

    def _lose_reader(self) -> None:
        """Nobody reads standard output any more: that is a cancel."""
        if not self._muted:
            self._muted = True
            if not self._foreground:
                raise _Left("standard output is closed")
            self._cancel(None)


def notify_end() -> float | None:
    """Seconds until the scheduler kills what it has just asked to end; None if it did not say, or said it long ago.

    Source: "Canceling" in the Open Job Description's "How Jobs Are Run" (``cancel_info.json``, ``NotifyEnd``).
    """
    import calendar

    folder = os.environ.get(SESSION_FOLDER_VARIABLE) or os.curdir
    try:
        with open(os.path.join(folder, "cancel_info.json"), "rb") as stream:
            end = time.strptime(json.loads(stream.read().decode("utf-8"))["NotifyEnd"], "%Y-%m-%dT%H:%M:%SZ")
    except (OSError, ValueError, LookupError, TypeError):
        return None
    # A time in the past is an earlier cancel's, whose file has stayed.
    remaining = calendar.timegm(end) - time.time()
    return remaining if remaining > 0 else None


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except OSError:
        return  # nobody reads it


def conclude(front: Front, result: dict[str, Any]) -> int:
    """Show how a task ended, and return the exit code for it."""
    if result["outcome"] == "failed" and result["code"] == FAILED:
        front.say(messages.fail(result["message"]))
    elif result["outcome"] == "failed":
        front.tell("ERROR: " + result["message"])
    elif result["outcome"] == "canceled":
        front.tell("INFO: " + result["message"])
    return int(result["code"])


def run(plan: Plan, run_data: dict[str, Any]) -> int:
    """Start, one task, stop, all below this process; returns the exit code, that of the first phase that went wrong."""
    from .guardian import start_below

    front = Front(start_below(plan), foreground=True)
    try:
        _warn_if_uncontained(front, front.listen())
        code = conclude(front, front.ask({"do": "start"})["result"])
        if code != DONE:
            return code
        code = CANCELED
        if not front.canceled:
            result = front.ask({"do": "run", "data": run_data})["result"]
            code = conclude(front, result)
            if result.get("gone"):
                return code
        stop = {"do": "stop"} if front.remaining() is None else {"do": "stop", "within": front.remaining()}
        result = front.ask(stop)["result"]
        if code != DONE:
            if result["code"] != DONE:
                front.tell("ERROR: " + result["message"])
            return code
        return conclude(front, result)
    except _Left:
        return CANCELED
    except ConnectionError:
        front.say(messages.fail("the keeper of the adaptor is gone"))
        return FAILED
    finally:
        front.close()
        system.kill_children()


def start(plan: Plan, timeout: float | None, replaced: str | None) -> int:
    """Start a daemon at the address of ``plan``; returns the exit code when it is ready or all of it is dead again."""
    from .guardian import start_daemon

    assert plan.address is not None
    path = plan.address.path
    front = Front(start_daemon(plan))
    try:
        if replaced:
            front.tell("INFO: " + replaced)
        _warn_if_uncontained(front, front.listen())
        front.say(messages.set_env(SOCKET_VARIABLE, path))
        result = front.ask({"do": "start"}, timeout)["result"]
        if front.late and result["code"] == CANCELED:
            result.update(outcome="failed", code=FAILED, message="the start took longer than %g s" % (timeout or 0))
        code = conclude(front, result)
    except _Left:
        return CANCELED
    except ConnectionError:
        front.say(messages.fail("the daemon was killed while it started"))
        code = FAILED
    finally:
        front.close()
    if code != DONE:
        _await_end(channel.ConnectionFile(path))
    return code


def _warn_if_uncontained(front: Front, ready: Message) -> None:
    if not ready["contained"]:
        front.tell("WARNING: this host lacks what it takes to end processes that leave their process group")


def run_task(path: str, run_data: dict[str, Any]) -> int:
    """One task on the daemon behind the connection file ``path``; returns the exit code."""
    file = _open_living(path)
    front = Front(file.connect())
    front._peer.send(hello(channel.PACKAGE))
    try:
        return conclude(front, front.ask({"do": "run", "data": run_data})["result"])
    except _Left:
        return CANCELED
    except ConnectionError:
        front.say(messages.fail("the daemon was killed during the task"))
        return FAILED
    finally:
        front.close()


def stop(path: str, timeout: float) -> int:
    """Stop the daemon behind ``path`` and remove what it leaves; returns when all of it is dead."""
    try:
        file = channel.ConnectionFile(path)
    except NoDaemonError as error:
        _write_all(2, ("INFO: nothing to stop: %s\n" % error).encode())
        return DONE
    code = DONE
    if not file.alive:
        _write_all(2, ("INFO: nothing to stop: %s\n" % file.obituary).encode())
    else:
        code = _stop_living(file, timeout)
        _await_end(file)
    _write_all(1, file.last_words)
    file.remove()
    return code


def _stop_living(file: ConnectionFile, timeout: float) -> int:
    try:
        front = Front(file.connect())
    except NoDaemonError as error:
        _write_all(2, ("WARNING: %s; killing it\n" % error).encode())
        _kill(file)
        return DONE
    front._peer.send(hello(channel.PACKAGE))
    try:
        return conclude(front, front.ask({"do": "stop", "within": timeout}, timeout + KILL_MARGIN_SECONDS)["result"])
    except _Left:
        return CANCELED
    except ConnectionError:
        return DONE  # it has ended by itself meanwhile
    finally:
        front.close()
        if front.late:
            _kill(file)


def _kill(file: ConnectionFile) -> None:
    """Kill the keeper; the guardian sees to the rest."""
    if file.owner_is_here:
        os.kill(file.pid, signal.SIGKILL)


def _await_end(file: ConnectionFile) -> None:
    """Wait until all of the daemon is dead, and say so if that takes long."""

    def explain(number: int, frame: object) -> None:
        _write_all(2, b"INFO: waiting for the last processes of the daemon to end\n")

    signal.signal(signal.SIGALRM, explain)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE_SECONDS)
    file.wait()
    signal.setitimer(signal.ITIMER_REAL, 0)


def cancel(path: str, timeout: float | None) -> int:
    """Cancel the task that the daemon behind ``path`` is running; returns at once."""
    answer = _ask_briefly(path, {"do": "cancel", "within": timeout})
    text = "the running task is being canceled" if answer["canceled"] else "no task is running"
    _write_all(1, ("INFO: %s\n" % text).encode())
    return DONE


def status(path: str, as_json: bool) -> int:
    """Print what the daemon behind ``path`` is doing."""
    facts = _ask_briefly(path, {"do": "status"})["status"]
    text = "{state}: {adaptor}, {tasks} tasks, up {uptime_seconds:.0f} s, pid {pid}".format(**facts)
    _write_all(1, (json.dumps(facts) if as_json else text).encode() + b"\n")
    return DONE


def _ask_briefly(path: str, request: Message) -> Message:
    file = _open_living(path)
    front = Front(file.connect())
    front._peer.send(hello(channel.PACKAGE))
    try:
        return front.ask(request)
    except ConnectionError:
        raise NoDaemonError("connection file %s: its daemon has just ended" % path) from None
    finally:
        front.close()


def _open_living(path: str) -> ConnectionFile:
    """The file of a living daemon. What a dead one wrote last is shown; raises :class:`NoDaemonError`."""
    file = channel.ConnectionFile(path)
    if not file.alive:
        _write_all(1, file.last_words)
        raise NoDaemonError(file.obituary)
    return file
