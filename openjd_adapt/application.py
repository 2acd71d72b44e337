"""The adaptor's end of a kept-open application: its process, and calls of its functions."""

from __future__ import annotations

import itertools
import logging
import os
import re
import threading
import time

from . import archive, task
from .actions import Action, ActionsQueue
from .client import SERVER_VARIABLE
from .errors import AdaptError, Canceled, InputError, describe_exit, one_line
from .ladder import GRACE_SECONDS
from .lines import RegexCallback, RegexHandler
from .peer import PACKAGE
from .process import LoggingSubprocess
from .server import AdaptorServer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import IO, Any

    from .adaptor import BaseAdaptor
    from .wire import Message

_logger = logging.getLogger(__name__)

#: How long, in seconds, an application may take to exit when its connection has closed.
EXIT_SECONDS = 2.0
#: How many of an application's last lines are told when it has died.
LAST_LINES = 5


def __getattr__(name: str) -> str:
    """``client_script``: what an application's Python runs to become a client; it finds this package by itself."""
    if name != "client_script":
        raise AttributeError("module %r has no attribute %r" % (__name__, name))
    return archive.on_disk(os.path.join(PACKAGE, "bootstrap.py"))


class ApplicationError(AdaptError):
    """A function of the application has failed there; ``detail`` is its traceback."""


class ApplicationExited(AdaptError):
    """The application has ended, or has closed its connection, while something was asked of it.

    ``returncode`` is negative for a signal, and None if the process has not ended.
    """

    def __init__(self, message: str, returncode: int | None) -> None:
        super().__init__(message)
        self.returncode = returncode


class TimedOut(AdaptError):
    """What was waited for has not come in time."""


class Application:
    """One application of an adaptor's, from its start to its end."""

    def __init__(
        self,
        adaptor: BaseAdaptor,
        *,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        startup_directory: str | None = None,
        handler: RegexHandler | None = None,
        encoding: str = "utf-8",
        stdin: bool = False,
        no_output_timeout: float | None = None,
        client: str | None = None,
    ) -> None:
        """Start ``command`` with the server's address in its environment; for the rest see ``ApplicationAdaptor``."""
        self._adaptor = adaptor
        self._queue = ActionsQueue()
        self._server = AdaptorServer(self._queue, adaptor)
        self._server.on_message = self._hear
        self._server.on_gone = self._lose
        self._numbers = itertools.count(1)
        self._waiting: set[int] = set()
        #: The calls that it has been given and has not answered, whether somebody waits for that or has given it up.
        self._owed: set[int] = set()
        self._answers: dict[int, Message] = {}
        #: The line that it was asked and has not answered, whether somebody waits for that or has given it up.
        self._unanswered: list[str] = []
        #: The tasks that have waited for the application, and are woken by what it says.
        self._tasks: set[task.Task] = set()
        self._about = ""
        self._gone = False
        self._writing = False
        self._no_output_timeout = no_output_timeout
        self._handler = handler or RegexHandler([])
        #: Until when, on the clock of :func:`time.monotonic`, the running phase may wait, and that in words.
        self.phase_limit: tuple[float, str] | None = None
        threading.Thread(target=self._server.serve_forever, name="application server", daemon=True).start()
        self.name = os.path.basename(command[0])
        try:
            self.process = LoggingSubprocess(
                args=command,
                startup_directory=startup_directory,
                stdout_handler=self._handler,
                stderr_handler=self._handler,
                encoding=encoding,
                env={
                    **(os.environ if environment is None else environment),
                    SERVER_VARIABLE: self.server_path,
                    "OPENJD_ADAPT_PATH": os.path.dirname(PACKAGE),
                    **({"OPENJD_ADAPT_CLIENT": archive.on_disk(os.path.abspath(client))} if client else {}),
                },
            )
        except BaseException:
            self._server.shutdown()
            raise
        self.process.ask_over_channel = self._ask_to_end
        if not stdin and self.process.stdin:
            self.process.stdin.close()

    @property
    def server_path(self) -> str:
        """What the application's client is told in the environment."""
        return self._server.server_path

    def call(self, name: str, timeout: float | None = None, **args: Any) -> Any:
        """Call a function of the application and return its result; arguments and result are JSON values.

        Raises :class:`ApplicationError` if the function raises, :class:`ApplicationExited` as soon as the application
        is gone, :class:`AdaptError` after ``timeout`` seconds or ``no_output_timeout`` seconds without output, and
        :class:`Canceled`. An answer that comes later is dropped.
        """
        number = next(self._numbers)
        action = _sealed(name, args, number)
        self._waiting.add(number)
        self._owed.add(number)
        try:
            self._enqueue(action)
            self._wait(lambda: number in self._answers, timeout, "the answer to %s" % name)
            answer = self._answers[number]
            self.process.settle()  # what the application printed before it answered comes before what follows
            task.current().check()
        except BaseException:
            if self._queue.withdraw(number):
                self._owed.discard(number)
            raise
        finally:
            self._waiting.discard(number)
            self._answers.pop(number, None)
        if "error" in answer:
            error = ApplicationError("%s failed in the application: %s" % (name, answer["error"]))
            error.detail = str(answer.get("traceback") or "")
            raise error
        return answer.get("result")

    def cast(self, name: str, **args: Any) -> None:
        """Call a function of the application without waiting for it; what it returns or raises stays there."""
        self._enqueue(_sealed(name, args, None))

    def wait_until_connected(self, timeout: float | None = None) -> None:
        """Wait until the application's client has connected; raises as :meth:`call`."""
        self._wait(lambda: bool(self._about), timeout, "its client to connect")
        _logger.info("%s is connected: %s", self.name, self._about)

    def write_line(self, text: str) -> None:
        """Write a line to the application's standard input, if that was asked for, and wait until it is taken."""
        self._write_line(text, None)

    def _write_line(self, text: str, timeout: float | None) -> None:
        if self.process.stdin is None or self.process.stdin.closed:
            raise AdaptError("%s has no standard input; set stdin = True" % self.name)
        self._wait(lambda: not self._writing, timeout, "it to read the line before")
        broken: list[Exception] = []
        self._writing = True
        arguments = self.process.stdin, text.encode("utf-8") + b"\n", broken
        threading.Thread(target=self._write, args=arguments, name="a line to %s" % self.name, daemon=True).start()
        self._wait(lambda: not self._writing, timeout, "it to read a line")
        if broken:
            self.process.wait_quietly(EXIT_SECONDS)
            raise self._exited("a line was written to it", "standard input")

    def _write(self, stdin: IO[bytes], data: bytes, broken: list[Exception]) -> None:
        """On a thread, as an application that does not read blocks it for as long as it likes."""
        try:
            stdin.write(data)
            stdin.flush()
        except (OSError, ValueError) as error:  # nobody reads it, or it was closed meanwhile
            broken.append(error)
        self._writing = False
        self._wake()

    def ask(self, text: str, pattern: str, timeout: float | None = None) -> re.Match[str]:
        """Write a line to the standard input and wait for one in which ``pattern`` is found; raises as :meth:`call`.

        An answer that comes later, after a cancel or a timeout, is dropped, and until then nothing else is asked, as it
        would be taken for the next one's.
        """
        self._wait(lambda: not self._unanswered, timeout, "the late answer to %r" % " ".join(self._unanswered))
        found: list[re.Match[str]] = []
        given_up = threading.Event()

        def notice(match: re.Match[str]) -> None:
            if not found:
                found.append(match)
                self._expect_no_more(expected)
                self._unanswered.clear()
                if given_up.is_set():
                    _logger.info("%s has answered %r, which nobody waits for any more", self.name, text)
                self._wake()

        expected = RegexCallback([re.compile(pattern)], notice)
        self._handler.regex_callbacks = [*self._handler.regex_callbacks, expected]
        self._unanswered.append(text)
        try:
            self._write_line(text, timeout)
            self._wait(lambda: bool(found), timeout, "a line with %r" % pattern)
        except (Canceled, TimedOut):
            given_up.set()
            raise
        except BaseException:
            self._expect_no_more(expected)
            self._unanswered.clear()
            raise
        return found[0]

    def _expect_no_more(self, expected: RegexCallback) -> None:
        self._handler.regex_callbacks = [entry for entry in self._handler.regex_callbacks if entry is not expected]

    def close(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Ask the application to end over its connection, or by closing its input, then end it with all below it.

        Half of ``grace_seconds``, or of what a canceled task has left, is for the asking; one that is busy
        with a canceled call is not asked over its connection.
        """
        self.process.terminate(grace_seconds)

    def _ask_to_end(self) -> bool:
        asked = False
        if self.process.stdin and not self.process.stdin.closed and not self._writing:
            self.process.close_stdin()
            asked = True
        if self._about and not self._gone and self._owed <= self._waiting:
            self._server.close_application()
            asked = True
        return asked

    def end(self) -> None:
        """Kill what is left of the application and close its server."""
        try:
            self.process.terminate(0)
        finally:
            self._server.shutdown()

    def _enqueue(self, action: Action) -> None:
        task.current().calls += 1
        self._queue.enqueue_action(action)

    def _wait(self, condition: Callable[[], bool], timeout: float | None, what: str) -> None:
        """Wait for ``condition`` as long as the application lives, ``timeout`` allows, and output comes."""
        current = task.current()
        self.process.tell(current)
        self._tasks.add(current)
        began = time.monotonic()
        while not condition():
            if not self.process.is_running or self._gone:
                self._see_out(current, condition)
                if condition():
                    return
                raise self._exited("waiting for " + what)
            now = time.monotonic()
            limits = [] if self.phase_limit is None else [self.phase_limit]
            if timeout is not None:
                limits.append((began + timeout, "%g s" % timeout))
            if self._no_output_timeout is not None:
                silent = "%g s without output" % self._no_output_timeout
                limits.append((max(self.process.last_output, began) + self._no_output_timeout, silent))
            if limits and min(limits)[0] <= now:
                raise TimedOut("%s: waited %s for %s" % (self.name, min(limits)[1], what))
            self._server.listen(
                current,
                lambda: condition() or not self.process.is_running or self._gone,
                min(limits)[0] - now if limits else None,
            )

    def _see_out(self, current: task.Task, condition: Callable[[], bool]) -> None:
        """The application is going: give its exit a moment, so that its code can be told, and what it said last."""
        if self.process.wait_quietly(EXIT_SECONDS) and self._about:
            current.wait_for(lambda: condition() or self._gone, EXIT_SECONDS)

    def _exited(self, while_doing: str, closed: str = "connection") -> ApplicationExited:
        code = self.process.returncode
        how = "has closed its " + closed if code is None else describe_exit(code)
        lines = " | ".join(one_line(line) for line in self.process.last_lines(LAST_LINES))
        tail = "; its last lines: " + lines if lines else ""
        return ApplicationExited("%s %s while %s%s" % (self.name, how, while_doing, tail), code)

    def _hear(self, message: Message) -> None:
        """What the application says; what an author's methods raise fails the task, whatever thread listens."""
        try:
            self._take(message)
        except RecursionError:
            raise  # of what is nested too deeply to be told; that ends the connection
        except Exception as failure:
            task.current().fail(failure)
        self._wake()

    def _take(self, message: Message) -> None:
        if "about" in message:
            self._about = one_line(message["about"]) or "a client that does not say what it is"
        elif "answer" in message:
            self._take_answer(message)
        elif "progress" in message:
            percent = message["progress"]
            if isinstance(percent, (int, float)):
                self._adaptor.report_progress(percent)
            else:
                _logger.warning("%s has reported a progress that is no number: %.100r", self.name, percent)
        elif "status" in message:
            self._adaptor.update_status(status_message=message["status"])

    def _take_answer(self, message: Message) -> None:
        call = message["answer"]
        if type(call) is not int or call not in self._owed:
            _logger.warning("%s has answered a call that nobody made: %.100r", self.name, call)
            return
        self._answers[call] = message
        self._owed.discard(call)
        if call not in self._waiting:
            self._answers.pop(call, None)  # it was given up, or is just being so

    def _lose(self) -> None:
        self._gone = True
        self._wake()

    def _wake(self) -> None:
        for waiting in tuple(self._tasks):
            waiting.changed()


def _sealed(name: str, args: dict[str, Any], number: int | None) -> Action:
    """An action that can be sent. Raises :class:`InputError`."""
    action = Action(name, args, number)
    try:
        action.seal()
    except InputError as error:
        raise InputError("the arguments of %s cannot be sent: %s" % (name, error)) from None
    except (TypeError, ValueError) as error:
        raise InputError("the arguments of %s are not JSON: %s" % (name, error)) from None
    return action
