"""The adaptor's end of a kept-open application: its process, and calls of its functions."""

from __future__ import annotations

import itertools
import logging
import os
import re
import threading
import time

from . import system, task
from .client import SERVER_VARIABLE, Action
from .errors import AdaptError, Canceled, TimedOut, describe_exit, one_line, same_process
from .lines import RegexCallback, RegexHandler
from .output import report_traceback
from .process import GRACE_SECONDS, LoggingSubprocess, launch_options
from .server import ActionsQueue, AdaptorServer, private_folder
from .system import interpreter
from .system.interpreter import PACKAGE
from .transport import connection_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import IO, Any

    from .application_adaptor import ApplicationAdaptor
    from .transport.wire import Message


_logger = logging.getLogger(__name__)

#: How long, in seconds, an application may take to exit when its connection has closed.
EXIT_SECONDS = 2.0
#: How many of an application's last lines are told when it has died.
LAST_LINES = 5
#: What an adaptor is told that has not asked for a pipe.
NO_STANDARD_INPUT = "%s has no standard input; set stdin = True"


class ApplicationError(AdaptError):
    """A function of the application has failed there; ``detail`` is its traceback."""


class ApplicationExited(AdaptError):
    """The application has ended, or has closed its connection, while something was asked of it.

    ``returncode`` is negative for a signal, and None if the process has not ended.
    """

    def __init__(self, message: str, returncode: int | None) -> None:
        super().__init__(message)
        self.returncode = returncode


def exited(name: str, returncode: int | None, closed: str, while_doing: str, lines: Sequence[str]) -> ApplicationExited:
    """The error that tells how an application has ended or, without a return code, that it has closed something."""
    how = "has closed its " + closed if returncode is None else describe_exit(returncode)
    tail = "; its last lines: " + " | ".join(map(one_line, lines[-LAST_LINES:])) if lines else ""
    return ApplicationExited("%s %s while %s%s" % (name, how, while_doing, tail), returncode)


def __getattr__(name: str) -> str:
    """``client_script``: what an application's Python runs to become a client; it finds this package by itself."""
    if name != "client_script":
        raise AttributeError("module %r has no attribute %r" % (__name__, name))
    return _on_disk(os.path.join(PACKAGE, "bootstrap.py"))


def _on_disk(path: str) -> str:
    """A file that other programs can open: ``path``, or a copy of it in the session's private folder.

    The copy is removed with the folder when the session ends or, outside of one, this process.
    """
    if os.path.exists(path) or not interpreter.is_there(path):
        return path
    copy = os.path.join(private_folder(), connection_file.APPLICATION_NAME + os.path.basename(path))
    with open(copy, "wb") as stream:
        stream.write(interpreter.read_bytes(path))
    _logger.info("%s lies in an archive; a copy of it is %s", path, copy)
    return copy


class Application:
    """One application of an adaptor's, from its start to its end."""

    def __init__(self, adaptor: ApplicationAdaptor, command: Sequence[str]) -> None:
        """Start ``command`` as ``adaptor`` says, with the server's address in its environment."""
        options = launch_options(adaptor)
        client = adaptor._client_path()
        #: What looks at the lines of its output.
        self._handler = adaptor.line_handler or RegexHandler([])
        self._adaptor = adaptor
        self._queue = ActionsQueue()
        self._server = AdaptorServer(self._queue, adaptor)
        self._server.on_message = self._hear
        self._server.on_gone = self._lose
        self._numbers = itertools.count(1)
        #: For each call that has no answer yet, where to put that; something else stands there if nobody awaits it.
        self._owed: dict[int, list[Message]] = {}
        #: What its client has said of itself, when that has connected; whether the connection was closed.
        self._about = ""
        self._gone = False
        #: The thread that hands what the application reports to the adaptor, while it does.
        self._reporting: int | None = None
        #: Held while a line is written to its standard input.
        self._turn = threading.Lock()
        #: Held until it has answered what was asked there, whoever waits for that; the text by what takes the answer.
        self._asking = threading.Lock()
        self._questions: dict[Callable[[re.Match[str]], None], str] = {}
        self.name = os.path.basename(command[0])
        # What an author's method does with what the application reports must not hold up who waits.
        self._listen = task.Phase.wait_for if adaptor._reports_itself else self._server.listen
        serving = threading.Thread(target=self._server.serve_forever, name="application server", daemon=True)
        try:
            options["env"] = {
                **(os.environ if options["env"] is None else options["env"]),
                SERVER_VARIABLE: self._server.server_path,
                "OPENJD_ADAPT_PATH": os.path.dirname(PACKAGE),
                **({"OPENJD_ADAPT_CLIENT": _on_disk(client)} if client else {}),
            }
            task.start(serving)  # first: where that fails, no process is left
            self.process = LoggingSubprocess(
                args=command,
                stdout_handler=self._handler,
                stderr_handler=self._handler,
                on_end=self._on_end,
                **options,
            )
        except BaseException:
            self._server.shutdown()
            raise
        self.process.ask_over_channel = self._ask_to_end
        if not adaptor.stdin:
            self.process.close_stdin()
            self.process.stdin = None

    def call(self, name: str, timeout: float | None = None, **args: Any) -> Any:
        """Call a function of the application and return its result; arguments and result are JSON values.

        Raises :class:`ApplicationError` if the function raises, :class:`ApplicationExited` as soon as the application
        is gone, :class:`AdaptError` after ``timeout`` seconds or ``no_output_timeout`` seconds without output, and
        :class:`Canceled`. An answer that comes later is dropped.
        """
        number = next(self._numbers)
        action = Action(name, args, number)
        answers = self._owed[number] = []
        try:
            phase = task.current().phase
            self._queue.enqueue_action(action)
            self._wait(lambda: bool(answers), timeout, "the answer to %s" % name)
            self.process.settle()  # what the application printed before it answered comes before what follows
            phase.check()
        except BaseException:
            if self._queue.withdraw(action) or not action.frame:
                self._owed.pop(number, None)
            else:
                answers.append({})
            raise
        [answer] = answers
        if "error" in answer:
            error = ApplicationError("%s failed in the application: %s" % (name, answer["error"]))
            error.detail = str(answer.get("traceback") or "")
            raise error
        return answer.get("result")

    def cast(self, name: str, **args: Any) -> None:
        """Call a function of the application without waiting for it; what it returns or raises stays there."""
        self._queue.enqueue_action(Action(name, args))

    def wait_until_connected(self, timeout: float | None = None) -> None:
        """Wait until the application's client has connected; raises as :meth:`call`."""
        self._wait(lambda: bool(self._about), timeout, "its client to connect")
        _logger.info("%s is connected: %s", self.name, self._about)

    def write_line(self, text: str, timeout: float | None = None) -> None:
        """Write a line to the standard input, if that was asked for, and wait until it is taken; as :meth:`call`."""
        self._write(self._take_turn(timeout), text, timeout)

    def _take_turn(self, timeout: float | None) -> IO[bytes]:
        stdin = self.process.stdin
        if stdin is None:
            raise AdaptError(NO_STANDARD_INPUT % self.name)
        if stdin.closed:
            raise self._exited("a line was written to it", "standard input")
        self._take(self._turn, timeout, "it to read the line before")
        return stdin

    def _take(self, lock: threading.Lock, timeout: float | None, what: str) -> None:
        while not lock.acquire(blocking=False):
            self._wait(lambda: not lock.locked(), timeout, what)

    def _write(self, stdin: IO[bytes], text: str, timeout: float | None) -> None:
        """In one's turn, and on a thread: an application that does not read blocks that for as long as it likes."""
        data = text.encode("utf-8", "surrogateescape") + b"\n"
        taken: list[bool] = []  # whether all of the line was, once that is known

        def write() -> None:
            try:
                with open(os.dup(stdin.fileno()), "wb", buffering=0) as own:  # which nobody closes meanwhile
                    system.write_all(own.fileno(), data)
                taken.append(True)
            except (OSError, ValueError):  # nobody reads it, or it was closed before
                taken.append(False)
            self._turn.release()
            self._wake()

        try:
            task.start(threading.Thread(target=write, name="a line to " + self.name, daemon=True))
        except AdaptError:
            self._turn.release()
            raise
        self._wait(lambda: bool(taken), timeout, "it to read a line")
        if not taken[0]:
            self.process.wait_quietly(EXIT_SECONDS)
            raise self._exited("a line was written to it", "standard input")

    def ask(self, text: str, pattern: str, timeout: float | None = None) -> re.Match[str]:
        """Write a line to the standard input and wait for one in which ``pattern`` is found; raises as :meth:`call`.

        An answer that comes after a cancel or a timeout is dropped, and nothing else is asked before.
        """
        found: list[re.Match[str]] = []
        is_asked = given_up = False

        def notice(match: re.Match[str]) -> None:
            if not found:
                found.append(match)
                self._expect_no_more(notice)
                if given_up:
                    _logger.info("%s has answered %r, which nobody waits for any more", self.name, text)

        expected = RegexCallback([re.compile(pattern)], notice)
        self._take(self._asking, timeout, "the answer to %r" % " ".join(self._questions.values()))
        self._questions[notice] = text
        try:
            stdin = self._take_turn(timeout)
            self._handler.regex_callbacks = [*self._handler.regex_callbacks, expected]
            is_asked = True
            self._write(stdin, text, timeout)
            self._wait(lambda: bool(found), timeout, "a line with %r" % pattern)
        except BaseException as error:
            given_up = is_asked and isinstance(error, (Canceled, TimedOut))
            if not given_up:
                self._expect_no_more(notice)
            raise
        return found[0]

    def _expect_no_more(self, notice: Callable[[re.Match[str]], None]) -> None:
        entries = self._handler.regex_callbacks
        self._handler.regex_callbacks = [entry for entry in entries if entry.callback is not notice]
        if self._questions.pop(notice, None) is not None:  # not by who asks and by who answers
            self._asking.release()
        self._wake()

    def close(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Ask the application to end over its connection, or by closing its input, then end it with all below it.

        Half of ``grace_seconds``, or of what a canceled task has left, is for the asking; one that is busy
        with a canceled call is not asked over its connection, and one that owes an answer at its prompt is not waited
        for.
        """
        self.process.terminate(grace_seconds)

    def _ask_to_end(self) -> bool:
        asked = False
        if self.process.stdin and not self.process.stdin.closed and not self._turn.locked():
            _logger.debug("asking %s to end by the end of its input", self.name)
            self.process.close_stdin()
            asked = not self._questions
        if self._about and not self._gone and not any(self._owed.values()):
            _logger.debug("asking %s to end over its connection", self.name)
            self._server.close_application()
            asked = True
        return asked

    def end(self) -> None:
        """Kill what is left of the application and close its server."""
        try:
            self.process.terminate(0)
        finally:
            self._server.shutdown()

    def _wait(self, condition: Callable[[], bool], timeout: float | None, what: str) -> None:
        """Wait until ``condition()`` holds, for ``timeout`` seconds at the most; ``what`` says in words for what.

        Raises :class:`ApplicationExited`, :class:`TimedOut`, and what ends the task.
        """
        if self._reporting == threading.get_ident():
            raise AdaptError("%s cannot be waited for in what it has just reported" % self.name)
        current = task.current().phase
        began = time.monotonic()
        if condition():
            return
        with current.waiting(what):
            while not condition():
                if self._is_over():
                    # Its exit gets a moment, so that its code can be told, and so does what it said last.
                    if self.process.wait_quietly(EXIT_SECONDS) and self._about:
                        current.wait_for(lambda: condition() or self._gone, EXIT_SECONDS)
                    if condition():
                        return
                    current.check()  # it may have said more of why
                    raise self._exited("waiting for " + what)
                end, why = current.limit(began)
                if timeout is not None:
                    end, why = min((end, why), (began + timeout, "took longer than %g s" % timeout))
                left = end - time.monotonic()
                if left <= 0:
                    raise TimedOut("%s: %s, waiting for %s" % (self.name, why, what))
                self._listen(current, lambda: condition() or self._is_over(), left)

    def _on_end(self) -> None:
        """One that dies between two tasks is told at once."""
        if self._adaptor._task.is_between:
            self.process.wait_quietly(EXIT_SECONDS)  # for what it said last
            _logger.error("%s", self._exited("no task was running"))

    def _check(self, while_doing: str) -> None:
        if not self.process.is_running:
            raise self._exited(while_doing)

    def facts(self) -> dict[str, Any]:
        """What ``daemon status`` tells of it."""
        code = self.process.returncode
        return {"name": self.name, "pid": self.process.pid, "state": "running" if code is None else describe_exit(code)}

    def _is_over(self) -> bool:
        return self._gone or not self.process.is_running

    def _exited(self, while_doing: str, closed: str = "connection") -> ApplicationExited:
        return exited(self.name, self.process.returncode, closed, while_doing, self.process.last_lines(LAST_LINES))

    def _wake(self) -> None:
        """Let the waits look at their conditions; from any thread."""
        task.wake(self._adaptor._task)

    def _hear(self, message: Message) -> None:
        """What the application says; what an author's methods raise fails the task, whatever thread listens."""
        self._reporting = threading.get_ident()
        phase = task.current(self._adaptor._task).phase
        try:
            with same_process(report_traceback):
                self._take_message(message)
        except RecursionError:
            raise  # of what is nested too deeply to be told; that ends the connection
        except BaseException as failure:  # a cancel, too, must not end who listens
            phase.task.fail(failure, phase)
        finally:
            self._reporting = None
        self._wake()

    def _take_message(self, message: Message) -> None:
        if "about" in message:
            self._about = one_line(message["about"]) or "a client that does not say what it is"
        elif "answer" in message:
            call = message["answer"]
            answers = self._owed.pop(call, None) if type(call) is int else None
            if answers is None:
                _logger.warning("%s has answered a call that nobody made: %.100r", self.name, call)
            else:
                answers.append(message)
        elif "progress" in message:
            percent = message["progress"]
            if isinstance(percent, (int, float)) and percent - percent == 0:
                self._adaptor.report_progress(percent)
            else:
                _logger.warning("%s has reported a progress that is not a number: %.100r", self.name, percent)
        elif "status" in message:
            self._adaptor.update_status(status_message=message["status"])

    def _lose(self) -> None:
        self._gone = True
        self._wake()
