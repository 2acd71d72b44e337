"""The short-lived commands, as conversations with a keeper: run, and daemon start, run, stop, cancel, status."""

from __future__ import annotations

import os
from functools import partial

from . import messages, plain_json, system
from .channel import ConnectionFile, await_drafts, remove_own_draft
from .errors import CANCELED, DONE, FAILED, AdaptError, InputError, NoDaemonError
from .front import ANSWER_SECONDS, Front, Late, Left, answer, leave_on, tell, write_all
from .interpreter import FACTS_VARIABLE
from .peer import Peer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Iterable

    from .plan import Plan
    from .wire import Message

SOCKET_VARIABLE = "OPENJD_ADAPTOR_SOCKET"
#: What a start that is not ready in time gets for its cancel, in seconds.
LATE_SECONDS = 10.0
#: How long after its own deadline a daemon that does not stop is killed from here, in seconds.
KILL_MARGIN_SECONDS = 5.0
#: A wait of more than this many seconds is explained; what is not dead after that many is given up.
PATIENCE_SECONDS = 2.0
DEATH_SECONDS = 10.0

#: Put bytes on standard output.
show = partial(write_all, 1)


def conclude(front: Front, result: dict[str, Any]) -> int:
    """Show how a task ended, and return the exit code for it."""
    _tell_facts(result)
    if result["outcome"] == "failed" and result["code"] == FAILED:
        front.say(messages.fail(result["message"]))
    elif result["outcome"] == "failed":
        front.tell("ERROR: " + result["message"])
    elif result["outcome"] == "canceled":
        front.tell("INFO: " + result["message"])
    return int(result["code"])


def _tell_facts(result: dict[str, Any]) -> None:
    """Tell a session that runs this command how often the application was called."""
    path = os.environ.get(FACTS_VARIABLE)
    if path:
        try:
            with open(path, "w", encoding="ascii") as stream:
                stream.write("%d" % result.get("calls", 0))
        except OSError:
            return  # it goes without, rather than that a task fails for it


def _starter() -> ModuleType:
    """What starts a keeper on this system."""
    if system.FORKS:
        from . import posix_launch

        return posix_launch
    from . import windows_launch

    return windows_launch


def run(plan: Plan, request: Message) -> int:
    """Start, one task, stop, all below this process; returns the exit code, that of the first phase that went wrong."""
    starter = _starter()
    spare = frozenset(system.children())  # what the author's main or the caller has started is theirs
    front = Front(starter.start_below(plan), foreground=True)
    try:
        code = _run_phases(front, request)
    finally:
        front.close()
        left = starter.end_below(plan, spare)
    if left:
        front.tell("ERROR: what the adaptor has started does not die, not even of SIGKILL: " + _names(left))
        return code or FAILED
    return code


def _run_phases(front: Front, request: Message) -> int:
    failed = DONE
    try:
        _warn_if_uncontained(front, front.listen())
        failed = conclude(front, front.ask({"do": "start"})["result"])
        if failed != DONE:
            return failed
        if front.canceled:
            failed = CANCELED
        else:
            try:
                result = front.ask(request)["result"]
            except AdaptError as error:  # it cannot be sent, or is refused; what was started is stopped all the same
                result = {"outcome": "failed", "message": str(error), "code": error.exit_code}
            failed = conclude(front, result)
            if result.get("gone"):
                return failed
        within = front.remaining()
        result = front.ask({"do": "stop"} if within is None else {"do": "stop", "within": within})["result"]
        if failed == DONE:
            return conclude(front, result)
        if result["code"] != DONE:
            front.tell("ERROR: " + result["message"])
        return failed
    except (Left, Late):
        return CANCELED
    except ConnectionError:
        if failed == DONE:
            front.say(messages.fail("the keeper of the adaptor is gone"))
        return failed or FAILED


def start(plan: Plan, timeout: float | None, replaced: str | None) -> int:
    """Start a daemon at the address of ``plan``; returns the exit code when it is ready or all of it is dead again."""
    assert plan.listen_at is not None
    path, made_for_it = plan.listen_at
    front = Front(_starter().start_daemon(plan))
    ready = late = False
    try:
        if replaced:
            front.tell("INFO: " + replaced)
        _warn_if_uncontained(front, front.listen())
        ready = True
        front.say(messages.set_env(SOCKET_VARIABLE, path))

        def give_up() -> None:
            nonlocal late
            late = True
            front.cancel(LATE_SECONDS)

        result = front.ask({"do": "start"}, timeout, give_up)["result"]
        if late and result["code"] == CANCELED:
            result.update(outcome="failed", code=FAILED, message="the start took longer than %g s" % (timeout or 0))
        code = conclude(front, result)
    except (Left, Late):
        return CANCELED
    except ConnectionError:
        code = _fate_of_start(front, path, ready)
        if made_for_it:
            _remove_empty_folder(os.path.dirname(path))
    finally:
        front.close()
    if code != DONE:
        try:
            _await_end(ConnectionFile(path))
        except NoDaemonError:
            return code  # it never was, or somebody has stopped it meanwhile
    return code


def _fate_of_start(front: Front, path: str, ready: bool) -> int:
    """The daemon is gone without an answer: stopped by another command, or killed, perhaps before it was ``ready``."""
    try:
        file = ConnectionFile(path)
        stopped = file.wait(DEATH_SECONDS) and file.was_stopped
    except NoDaemonError:
        stopped = ready  # and its file is removed already
        remove_own_draft(path, DEATH_SECONDS)
    if stopped:
        front.tell("INFO: the daemon was stopped while it started")
        return CANCELED
    front.say(messages.fail("the daemon was killed while it started"))
    return FAILED


def _remove_empty_folder(path: str) -> None:
    try:
        os.rmdir(path)
    except OSError:
        return  # the file that stands there tells how the daemon has ended


def _warn_if_uncontained(front: Front, ready: Message) -> None:
    if not ready["contained"]:
        front.tell("WARNING: " + system.UNCONTAINED)


def run_task(path: str, request: Message) -> int:
    """One task on the daemon behind the connection file ``path``; returns the exit code."""
    try:
        front = _connect(path)
    except NoDaemonError as error:
        return _without_daemon(path, error)
    try:
        return conclude(front, front.ask(request)["result"])
    except (Left, Late):
        return CANCELED
    except ConnectionError:
        if front.is_heard:
            front.say(messages.fail("the daemon was killed during the task"))
            return FAILED
    finally:
        front.close()
    return _without_daemon(path)  # it has ended without a word to this command, whose task has not begun


def _without_daemon(path: str, error: NoDaemonError | None = None) -> int:
    """What a dead daemon wrote last is this task's log, too, unless another command is showing it.

    Raises ``error``, or the :class:`NoDaemonError` that tells how it ended; returns the exit code if a signal comes
    before that.
    """
    file = ConnectionFile(path)
    try:
        if file.claim() if error else file.wait(PATIENCE_SECONDS):
            leave_on(*system.CANCEL_SIGNALS)
            file.show_last_words(show)
            error = error or NoDaemonError(file.obituary)
    except Left:
        return CANCELED
    finally:
        file.close()
    raise error or NoDaemonError("connection file %s: its daemon has closed the connection" % path)


def stop(path: str, timeout: float) -> int:
    """Stop the daemon behind ``path`` and remove what it leaves; returns when all of it is dead or cannot be."""
    await_drafts(path, DEATH_SECONDS)
    try:
        file = ConnectionFile(path)
    except NoDaemonError as error:
        tell("INFO: nothing to stop: %s" % error)
        return DONE
    code: int | None = DONE
    try:
        if not file.alive:
            tell("INFO: nothing to stop: %s" % file.obituary)
        else:
            code = _stop_living(file, timeout)
        leave_on(system.signal.SIGINT)  # the daemon has been asked, and who goes away now loses nothing
        if not _await_end(file):
            return FAILED
        leave_on(*system.CANCEL_SIGNALS)
        if not file.show_last_words(show):
            tell("ERROR: connection file %s: what its daemon wrote last cannot be shown; it stays there" % path)
            return code or FAILED
        file.remove()
    except Left:
        return CANCELED
    return file.stop_code if code is None else code


def _stop_living(file: ConnectionFile, timeout: float) -> int | None:
    """Ask the daemon to stop, or kill it; returns the exit code, or None if its file is to tell that."""
    try:
        front = Front(Peer(file.connect()))
    except (NoDaemonError, InputError) as error:
        ending = file.is_ending  # it listens no more, or nobody knows why not
        if not ending:
            tell("WARNING: %s; killing it" % error)
        file.kill()
        return None if ending else DONE
    front.greet()
    try:
        return conclude(front, front.ask({"do": "stop", "within": timeout}, timeout + KILL_MARGIN_SECONDS)["result"])
    except Late:
        front.tell("WARNING: the daemon does not answer; killing it")
        file.kill()
        return FAILED
    except ConnectionError:
        return None  # it has ended meanwhile
    finally:
        front.close()


def _await_end(file: ConnectionFile) -> bool:
    """Wait until all of the daemon is dead, and say so if that takes long; False if it does not come to that."""
    if file.wait(PATIENCE_SECONDS):
        return True
    left = file.left()
    tell("INFO: waiting for the last processes of the daemon to end: %s" % _names(left))
    if file.wait(DEATH_SECONDS):
        return True
    tell("ERROR: connection file %s: what holds its lock does not end: %s" % (file.path, _names(file.left())))
    return False


def _names(pids: Iterable[int]) -> str:
    return ", ".join("%d (%s)" % (pid, system.name_of(pid)) for pid in sorted(pids)) or "unknown"


def cancel(path: str, timeout: float | None) -> int:
    """Cancel the task that the daemon behind ``path`` is running; returns at once."""
    canceled = _ask_briefly(path, {"do": "cancel", "within": timeout})["canceled"]
    text = "the running task is being canceled" if canceled else "no task is running"
    return answer("INFO: %s\n" % text)


def status(path: str, as_json: bool) -> int:
    """Print what the daemon behind ``path`` is doing."""
    facts = _ask_briefly(path, {"do": "status"})["status"]
    text = "{state}: {adaptor}, {tasks} tasks, up {uptime_seconds:.0f} s, pid {pid}".format(**facts)
    return answer((plain_json.dumps(facts) if as_json else text) + "\n")


def _ask_briefly(path: str, request: Message) -> Message:
    front = _connect(path)
    try:
        return front.ask(request, ANSWER_SECONDS)
    except (ConnectionError, Late):
        raise NoDaemonError("connection file %s: its daemon does not answer" % path) from None
    except Left:
        raise SystemExit(CANCELED) from None
    finally:
        front.close()


def _connect(path: str) -> Front:
    """A conversation with a living daemon; raises :class:`NoDaemonError`."""
    file = ConnectionFile(path)
    if not file.alive:
        raise NoDaemonError(file.obituary)
    front = Front(Peer(file.connect()))
    front.greet()
    return front
