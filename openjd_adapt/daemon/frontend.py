"""The short-lived commands, as conversations with a keeper: run, and daemon start, run, stop, cancel, status."""

from __future__ import annotations

import sys
import time

from .. import plain_json, session, system
from ..errors import CANCELED, DONE, FAILED, AdaptError, InputError, NoDaemonError, one_line
from ..system.interpreter import PACKAGE
from ..transport.connection_file import ConnectionFileReader, remove_drafts, remove_private_folder
from ..transport.loop import Peer, StreamWriter
from ..transport.wire import WINDOW_BYTES, check_hello, hello

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any, Callable, NoReturn

    from ..transport.wire import Frame, Message


#: How long, in seconds, a keeper may take for an answer that it has at hand, and a reader for the next piece of output
#: once the time of a request is over.
ANSWER_SECONDS = 10.0
#: How long, in seconds, what is said on standard error waits for its reader when nothing else is to be done.
UNREAD_SECONDS = 5.0
#: More than a traceback has, and a pipe holds.
_ERROR_BYTES = 65536


class Late(Exception):
    """The time that was given to a request is over."""


class Left(KeyboardInterrupt):
    """The user or the reader of the output has gone: a cancel for the keeper, and the command exits as with one."""


class DaemonClient:
    """A command's end of a connection: what it asks, what it shows, and what cancels it."""

    def __init__(
        self, peer: Peer, foreground: bool = False, errors: IO[bytes] | None = None, debug: bool = False
    ) -> None:
        """``foreground``: all ends with this process; nobody else will show output that it cannot. ``errors`` is the
        standard error of guardian and keeper, where this command starts them.
        """
        self._peer = peer
        self._foreground = foreground
        self._errors = errors
        self._debug = debug
        self._inbox: list[Frame] = []
        self._acknowledged = 0
        system.reset_signals()
        self._wakeup = system.Wakeup(*system.CANCEL_SIGNALS)
        self._interrupts = 0
        self._out = StreamWriter(1, self._wakeup)
        self._notes = StreamWriter(2)
        self._column_0 = True
        #: Nobody reads standard output any more, or not in time.
        self.muted = False
        #: When the request that is being answered is late, whether it is canceled then, and whether it was.
        self._alarm: float | None = None
        self._cancels_late = False
        self.was_late = False
        #: The keeper has said who it is, or that it is ready.
        self.is_heard = False
        #: A signal, or the end of standard output, has canceled the command; when its task will be killed, if known.
        self.canceled = False
        self.deadline: float | None = None

    def ask(self, request: Message, timeout: float | None = None, cancels: bool = False, body: bytes = b"") -> Message:
        """Send a request; show output and notes until its answer comes, and return that.

        After ``timeout`` seconds raises :class:`Late`, unless output still comes, or if it ``cancels`` does that and
        goes on. Raises :class:`AdaptError` with the keeper's exit code if it refuses, :class:`ConnectionError` if it is
        gone, and :class:`Left` if the user leaves.
        """
        self._cancels_late = cancels
        self._peer.send(request, body)
        self._alarm = None if timeout is None else time.monotonic() + timeout
        if self.canceled:
            self.cancel(self.remaining())
        answer = self.listen()
        self._cancels_late = False
        self._grant()
        return answer

    def _grant(self) -> None:
        """Who has just answered, or read, is given some time for the next step."""
        if self._alarm is not None and not self._cancels_late:
            self._alarm = max(self._alarm, time.monotonic() + ANSWER_SECONDS)

    def listen(self) -> Message:
        """Show output and notes until another message comes, and return that."""
        while True:
            while not self._inbox:
                if self._peer.closed:
                    raise ConnectionResetError("the daemon is gone")
                self._wait()
            message, body = self._inbox.pop(0)
            if "output" in message:
                self._show(body)
                self._acknowledge(message["output"])
            elif "note" in message:
                self.tell("INFO: " + message["note"])
            elif "hello" in message:
                check_hello(message, PACKAGE)
                self.is_heard = True
            elif "error" in message:
                error = AdaptError(message["error"])
                error.exit_code = message["code"]
                raise error
            else:
                self.is_heard = True
                return message

    def _acknowledge(self, offset: int) -> None:
        """Tell what was shown: once for all frames that are here, or for as much as half a window of them."""
        if self.muted and not self._foreground:
            return
        following = self._inbox and "output" in self._inbox[0][0]
        if not following or offset - self._acknowledged >= WINDOW_BYTES // 2:
            self._acknowledged = offset
            self._peer.send({"ack": offset})

    def close(self) -> None:
        """Leave, before the process ends, and not before the keeper was told all that was shown.

        From now on nothing is left to cancel: a signal to the ending interpreter must not become the exit code.
        """
        for number in system.CANCEL_SIGNALS:
            system.signal.signal(number, system.signal.SIG_IGN)
        end = time.monotonic() + ANSWER_SECONDS
        while self._peer.backlog and time.monotonic() < end:
            system.wait_for({self._peer.fileno(): system.WRITE}, end - time.monotonic())
            self._peer.flush()
        self._peer.close()
        self._out.drop("the command ends")
        self._notes.drain(UNREAD_SECONDS)
        self._out.close()
        self._notes.close()
        if self._errors:
            self._errors.close()

    def why(self) -> str:
        """Why guardian or keeper could not begin, to be put behind what has come of that; ``debug`` shows all."""
        text = b""
        if self._errors and system.wait_readable(self._errors.fileno(), 0):
            text = self._errors.read(_ERROR_BYTES) or b""
        lines = text.decode("utf-8", "backslashreplace").splitlines()
        reasons = [line for line in lines if line[:1].isalpha() and "error" in line.partition(":")[0].lower()]
        if not reasons:
            return ""
        if self._debug:
            self.tell("ERROR: " + "\n".join(lines))
        places = [line.strip() for line in lines if line.lstrip().startswith('File "')]
        why, python = reasons[-1].replace("ERROR: ", ""), "Python at %s" % sys.executable
        return ": " + "; ".join([why, *places[-1:], *[python] * (python not in why)])

    def await_end(self) -> None:
        """Wait for the end of guardian and keeper, whose standard error ends with them."""
        end = time.monotonic() + DEATH_SECONDS
        errors = self._errors
        while errors and system.wait_readable(errors.fileno(), max(0.0, end - time.monotonic())):
            if not errors.read(_ERROR_BYTES):
                return

    def remaining(self) -> float | None:
        """Seconds until the scheduler kills the task, if it said so."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def tell(self, line: str) -> None:
        """A line for people, on standard error, whose reader is not waited for before the command ends."""
        self._begin_line()
        self._notes.queue(_encoded(line))
        self._flush()

    def say(self, line: str) -> None:
        """A line for the scheduler, on standard output; it is dropped if nobody reads it in time."""
        self._begin_line()
        try:
            self._show(_encoded(line))
        except Late:
            return  # the exit code has to do

    def _begin_line(self) -> None:
        if not self._column_0:
            self._column_0 = True
            self._out.queue(b"\n")

    def _flush(self) -> None:
        """A note stands between two lines of the output, also where both streams are one."""
        self._out.flush()
        if not self._out.interest:
            self._notes.flush()

    def _show(self, data: bytes) -> None:
        """Write to standard output, ready for signals all the while."""
        self._column_0 = data[-1:] == b"\n"
        self._out.queue(data)
        self._flush()
        while self._out.interest:
            self._wait()
        if self._out.fault:
            self._lose_reader()

    def _wait(self) -> None:
        """Wait for the next event, and act on it. Raises :class:`Late` if nothing comes, or is taken, in time."""
        out, notes, peer = self._out, self._notes, self._peer
        watched = {self._wakeup.fileno(): system.READ}
        if not self.muted:
            watched[out.fileno()] = out.interest
        if notes.interest and not out.interest:
            watched[notes.fileno()] = notes.interest
        if not peer.closed:  # a keeper says no more than a window before it is told that all is shown
            watched[peer.fileno()] = system.READ | (system.WRITE if peer.backlog else 0)
        ready = system.wait_for(watched, None if self._alarm is None else max(0.0, self._alarm - time.monotonic()))
        for number in filter(None, self._wakeup.heard()):  # 0 is rung for something else than a signal
            self._on_signal(number)
        heard, written = ready.get(peer.fileno(), 0) & ~system.WRITE, ready.get(out.fileno(), 0)
        peer.flush()
        if heard:
            self._inbox.extend(peer.receive())
        self._flush()
        if out.is_broken or out.fault or written & system.BROKEN:
            self._lose_reader()
        if heard or written:
            self._grant()
        elif self._alarm is not None and time.monotonic() >= self._alarm:
            self._on_late()

    def _on_late(self) -> None:
        if self._cancels_late:
            self.was_late = not self.canceled
            self.cancel(LATE_SECONDS)
            return
        self._alarm = None
        if self._out.interest:
            self._mute()
        raise Late

    def _on_signal(self, number: int) -> None:
        if number == system.signal.SIGINT:
            self._interrupts += 1
            if self._interrupts > 1:
                raise Left("interrupted twice")
        within = session.notify_end()
        first = not self.canceled
        self.cancel(within)
        if within is not None:
            self.tell("INFO: canceling; the task has %.1f s to end" % within)
        elif first:
            self.tell("INFO: canceling; waiting for the task to end")

    def cancel(self, within: float | None) -> None:
        """Cancel the task, which is killed after ``within`` seconds, or when the keeper finds it right."""
        self.canceled = True
        if within is not None:
            self._cancels_late = False
            end = time.monotonic() + within
            self.deadline = end if self.deadline is None else min(end, self.deadline)
            self._alarm = self.deadline + ANSWER_SECONDS
        self._peer.send({"cancel": within})

    def _lose_reader(self) -> None:
        """Nobody reads standard output any more: that is a cancel."""
        if not self.muted:
            if self._out.fault:
                self.tell("ERROR: standard output: %s" % self._out.fault)
            self._mute()
            if not self._foreground:
                raise Left("standard output is closed")
            self.cancel(None)

    def _mute(self) -> None:
        self.muted = True
        self._out.drop("nobody reads it")


def leave_on(*signals: int) -> None:
    """From now on these raise :class:`Left`, whatever is being waited for."""

    def leave(number: int, frame: object) -> None:
        raise Left("a signal has come")

    for number in signals:
        system.signal.signal(number, leave)
    system.reset_signals()  # the caller may have blocked them


def answer(text: str) -> int:
    """Print what a command was asked for, as :func:`put` does; returns its exit code."""
    if sys.stdout is not sys.__stdout__:  # whoever has put something there, such as a test, wants to have it
        print(text, end="", flush=True)
        return DONE
    if put(text.encode("utf-8", "backslashreplace")):
        return DONE
    tell("ERROR: standard output cannot be written")
    return FAILED


def tell(line: str, descriptor: int = 2) -> None:
    """``LEVEL: text`` on standard error. Where that cannot be written, the exit code has to do."""
    put(_encoded(line), UNREAD_SECONDS, descriptor)


def _encoded(line: str) -> bytes:
    """``LEVEL: text``; what stands behind a line break gets the level, too, and so begins no directive."""
    line = ("\n%s: " % line.partition(":")[0]).join(line.splitlines())
    return session.sanitized((line + "\n").encode("utf-8", "backslashreplace"))


def put(data: bytes, timeout: float | None = None, descriptor: int = 1) -> bool:
    """Write all of ``data``; False if nobody reads it, or takes any of it for ``timeout`` seconds."""
    stream = StreamWriter(descriptor)
    stream.queue(data)
    try:
        return stream.drain(timeout)
    finally:
        stream.close()


SOCKET_VARIABLE = "OPENJD_ADAPTOR_SOCKET"
#: What a start that is not ready in time gets for its cancel, in seconds.
LATE_SECONDS = 10.0
#: How long after its own deadline a daemon that does not stop is killed from here, in seconds.
KILL_MARGIN_SECONDS = 5.0
#: A wait of more than this many seconds is explained.
SILENT_SECONDS = 2.0
#: What is not dead after this many seconds is given up, and named.
DEATH_SECONDS = 10.0


def conclude(client: DaemonClient, result: dict[str, Any]) -> int:
    """Show how a task ended, and return the exit code for it."""
    if result.get("gone"):
        result["message"] += client.why()
    if result["outcome"] == "failed":
        if result["code"] != FAILED:
            client.tell("ERROR: " + result["message"])
        client.say(session.fail(result["message"]))
    elif result["outcome"] == "canceled":
        client.tell("INFO: " + result["message"])
    return int(result["code"])


def _begin(spec: Message, foreground: bool) -> tuple[DaemonClient, Callable[[], str]]:
    """Start a keeper; returns the conversation with it, and what ends all of it."""
    if system.FORKS:
        from .launch import start  # type: ignore[attr-defined, unused-ignore]
    else:
        from .launch_windows import start
    peer, end, errors = start(spec)
    return DaemonClient(peer, foreground, errors, spec["debug"]), end


def run(spec: Message) -> int:
    """Start, one task, stop, all below this process; returns the exit code, that of the first phase that went wrong."""
    client, end = _begin(spec, True)
    try:
        code = _run_phases(client)
    finally:
        client.close()
        left = end()
        remove_private_folder(spec["folder"])
    if left:
        tell("ERROR: " + left)
    return code or (FAILED if left else DONE)


def _run_phases(client: DaemonClient) -> int:
    failed = DONE
    try:
        _warn_if_uncontained(client, client.listen())
        failed = conclude(client, client.ask({"do": "start"})["result"])
        if failed != DONE:
            return failed
        if client.canceled:
            failed = CANCELED
        else:
            try:
                result = client.ask({"do": "run"})["result"]  # its data were told with the init data
            except AdaptError as error:  # it is refused; what was started is stopped all the same
                result = {"outcome": "failed", "message": str(error), "code": error.exit_code}
            failed = conclude(client, result)
            if result.get("gone"):
                return failed
        result = client.ask({"do": "stop", "within": client.remaining()})["result"]
        if failed == DONE:
            return conclude(client, result)
        if result["code"] != DONE:
            client.tell("ERROR: " + result["message"])
        return failed
    except (Left, Late):
        return CANCELED
    except ConnectionError:
        if failed == DONE:
            client.say(session.fail("the keeper of the adaptor is gone" + client.why()))
        return failed or FAILED


def start(spec: Message, timeout: float | None, replaced: str | None) -> int:
    """Start the daemon of ``spec``; returns the exit code when it is ready or all of it is dead again."""
    spec["announcement"] = session.set_env(SOCKET_VARIABLE, spec["listen_at"])
    try:
        client, _ = _begin(spec, False)
    except AdaptError:
        remove_private_folder(spec["folder"], started=False)
        raise
    try:
        if replaced:
            client.tell("INFO: " + replaced)
        _warn_if_uncontained(client, client.listen())
        result = client.ask({"do": "start"}, timeout, cancels=True)["result"]
        if client.was_late and result["code"] == CANCELED:
            result.update(outcome="failed", code=FAILED, message="the start took longer than %g s" % (timeout or 0))
        code = conclude(client, result)
    except Late:
        code = FAILED if client.was_late else CANCELED
    except ConnectionError:
        return _fate_of_start(client, spec)
    except AdaptError:  # it is refused: nothing of it is left when this command ends
        client.await_end()
        raise
    finally:
        client.close()
    if code != DONE:
        _ended_by_stop(spec)
    return code


def _ended_by_stop(spec: Message) -> bool | None:
    """Wait for the daemon's end, and tell whether a stop or a signal has brought it; None if there is no such file.

    What the start that has failed leaves in a folder which nobody else knows is removed.
    """
    try:
        with ConnectionFileReader(spec["listen_at"]) as file:
            if not _await_end(file):
                return False
            stopped: bool | None = file.was_stopped
    except NoDaemonError:
        stopped = None
    remove_private_folder(spec["folder"], started=False)
    return stopped


def _fate_of_start(client: DaemonClient, spec: Message) -> int:
    """The daemon is gone without an answer: stopped by another command, or killed, perhaps before it was ready."""
    stopped = _ended_by_stop(spec)
    if stopped is None:
        stopped = client.is_heard  # and its file is removed already
        remove_drafts(spec["listen_at"], DEATH_SECONDS)
    if stopped:
        client.tell("INFO: the daemon was stopped while it started")
        return CANCELED
    why = client.why()
    client.say(session.fail("the daemon could not start" + why if why else "the daemon was killed while it started"))
    return FAILED


def _warn_if_uncontained(client: DaemonClient, ready: Message) -> None:
    if not ready["contained"]:
        client.tell("WARNING: this host lacks what it takes to end processes that leave their process group")


def run_task(path: str, run_data: bytes, source: str) -> int:
    """One task on the daemon behind the connection file ``path``; returns the exit code."""
    try:
        with ConnectionFileReader(path) as file:
            client = _connect(file)
    except NoDaemonError as error:
        return _without_daemon(path, error)
    request: Message = {"do": "run", "from": source}
    if file.wire == 1:
        request["data"], run_data = plain_json.loads(run_data.decode("ascii")), b""
    try:
        return conclude(client, client.ask(request, body=run_data)["result"])
    except (Left, Late):
        return CANCELED
    except ConnectionError:
        if client.is_heard:
            client.say(session.fail("the daemon was killed during the task"))
            return FAILED
    finally:
        client.close()
    return _without_daemon(path)  # it has ended without a word to this command, whose task has not begun


def _without_daemon(path: str, error: NoDaemonError | None = None) -> NoReturn:
    """What a dead daemon wrote last is this task's log, too, unless another command is showing it.

    Raises ``error``, or the :class:`NoDaemonError` that tells how it ended.
    """
    with ConnectionFileReader(path) as file:
        if file.claim() if error else file.wait(SILENT_SECONDS):
            leave_on(*system.CANCEL_SIGNALS)
            file.show_unread_output(put)
            error = error or NoDaemonError(file.how_it_ended)
    raise error or NoDaemonError("connection file %s: its daemon has closed the connection" % path)


def stop(path: str, timeout: float) -> int:
    """Stop the daemon behind ``path`` and remove what it leaves; returns when all of it is dead or cannot be."""
    remove_drafts(path, DEATH_SECONDS)
    try:
        file = ConnectionFileReader(path)
    except NoDaemonError as error:
        tell("INFO: nothing to stop: " + one_line(error))
        return DONE
    code: int | None = DONE
    with file:
        if not file.alive:
            tell("INFO: nothing to stop: " + one_line(file.how_it_ended))
            code = _end_orphans(file)
        else:
            code = _stop_living(file, timeout)
        leave_on(system.signal.SIGINT)  # the daemon has been asked, and who goes away now loses nothing
        if not _await_end(file):
            return FAILED
        leave_on(*system.CANCEL_SIGNALS)
        if not file.show_unread_output(lambda data: put(data, timeout + KILL_MARGIN_SECONDS)):
            tell("ERROR: connection file %s: what its daemon wrote last cannot be shown; it stays there" % path)
            return code or FAILED
        file.remove()
    return file.stop_code if code is None else code


def _stop_living(file: ConnectionFileReader, timeout: float) -> int | None:
    """Ask the daemon to stop, or kill it; returns the exit code, or None if its file is to tell that."""
    try:
        client = _connect(file)
    except (NoDaemonError, InputError) as error:
        ending = file.is_ending  # it listens no more, or nobody knows why not
        if not ending:
            tell("WARNING: %s; killing it" % error)
        file.kill()
        return None if ending else DONE
    try:
        return conclude(client, client.ask({"do": "stop", "within": timeout}, timeout + KILL_MARGIN_SECONDS)["result"])
    except Late:
        if client.muted:
            return None  # it has kept its time itself, and what cannot be shown goes to its file
        client.tell("WARNING: the daemon does not answer; killing it")
        file.kill()
        return FAILED
    except ConnectionError:
        return None  # it has ended meanwhile
    finally:
        client.close()


def _end_orphans(file: ConnectionFileReader) -> int:
    """End the worker, and all below it, of a daemon whose guardian and keeper were killed at once; the exit code."""
    orphans = system.tree_of(*file.worker)
    if orphans:
        tell("INFO: killing what it has left: %s" % system.names_of(orphans))
    left = system.kill_all(orphans, DEATH_SECONDS)
    if left:
        tell("ERROR: connection file %s: what cannot be ended: %s" % (file.path, system.names_of(left)))
    return FAILED if left else DONE


def _await_end(file: ConnectionFileReader) -> bool:
    """Wait until all of the daemon is dead, and say so if that takes long; False if it does not come to that."""
    if file.wait(SILENT_SECONDS):
        return True
    left = system.names_of(system.tree_of(*file.guardian))
    tell("INFO: waiting for the last processes of the daemon to end: " + left)
    system.wake(*file.guardian)  # nothing would end without it, if it was stopped
    if file.wait(DEATH_SECONDS):
        return True
    left = system.names_of(system.tree_of(*file.guardian))
    tell("ERROR: connection file %s: what holds its lock does not end: %s" % (file.path, left))
    return False


def cancel(path: str, timeout: float | None) -> int:
    """Cancel the task that the daemon behind ``path`` is running; returns at once."""
    canceled = _ask_briefly(path, {"do": "cancel", "within": timeout})["canceled"]
    text = "the running task is being canceled" if canceled else "no task is running"
    return answer("INFO: %s\n" % text)


_TOLD = (("progress", ", %g %%"), ("status", ", %s"), ("waiting_for", ", waiting for %s"))


def status(path: str, as_json: bool) -> int:
    """Print what the daemon behind ``path`` is doing; the facts come from ``Keeper._answer``."""
    facts = _ask_briefly(path, {"do": "status"})["status"]
    text = "{state}: {adaptor}, {tasks} task{0}, up {uptime_seconds:.0f} s, pid {pid}"
    text = text.format("s" * (facts["tasks"] != 1), **facts)
    task, application = facts.get("task"), facts.get("application")
    if task:
        text += "\n{kind} for {seconds:.0f} s".format(**task)
        text += "".join(form % task[name] for name, form in _TOLD if task.get(name) not in (None, ""))
    if application:
        text += "\napplication {name} (pid {pid}): {state}".format(**application)
    return answer((plain_json.dumps(facts) if as_json else text) + "\n")


def _ask_briefly(path: str, request: Message) -> Message:
    with ConnectionFileReader(path) as file:
        client = _connect(file)
    try:
        told = client.ask(request, ANSWER_SECONDS)
    except (ConnectionError, Late):
        raise NoDaemonError("connection file %s: its daemon does not answer" % path) from None
    finally:
        client.close()
    leave_on(*system.CANCEL_SIGNALS)  # what is printed may wait for its reader
    return told


def _connect(file: ConnectionFileReader) -> DaemonClient:
    """A conversation with a living daemon. Raises :class:`NoDaemonError` or :class:`InputError`."""
    peer = Peer(file.connect())
    peer.send(hello(PACKAGE))
    return DaemonClient(peer)
