"""The adaptor's end of a kept-open application: its process, and calls of its functions."""

from __future__ import annotations

import itertools
import logging
import os
import threading

from . import archive, task
from .actions import Action, ActionsQueue
from .client import SERVER_VARIABLE
from .errors import AdaptError, InputError, one_line
from .ladder import GRACE_SECONDS
from .lines import RegexHandler
from .patience import Patience
from .peer import PACKAGE
from .process import LoggingSubprocess
from .prompt import Prompt
from .server import AdaptorServer

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Mapping, Sequence
    from typing import Any

    from .adaptor import BaseAdaptor
    from .wire import Message

_logger = logging.getLogger(__name__)


def __getattr__(name: str) -> str:
    """``client_script``: what an application's Python runs to become a client; it finds this package by itself."""
    if name != "client_script":
        raise AttributeError("module %r has no attribute %r" % (__name__, name))
    return archive.on_disk(os.path.join(PACKAGE, "bootstrap.py"))


class ApplicationError(AdaptError):
    """A function of the application has failed there; ``detail`` is its traceback."""


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
        reports_take_long: bool = False,
    ) -> None:
        """Start ``command`` with the server's address in its environment; for the rest see ``ApplicationAdaptor``.

        ``reports_take_long``: what the adaptor does with what the application reports must not hold up who waits.
        """
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
        self._about = ""
        handler = handler or RegexHandler([])
        self.name = os.path.basename(command[0])
        try:
            self.process = LoggingSubprocess(
                args=command,
                startup_directory=startup_directory,
                stdout_handler=handler,
                stderr_handler=handler,
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
        wait = task.Task.wait_for if reports_take_long else self._server.listen
        self._patience = Patience(self.name, self.process, wait, no_output_timeout)
        self._prompt = Prompt(self.name, self.process, handler, self._patience)
        threading.Thread(target=self._server.serve_forever, name="application server", daemon=True).start()

    @property
    def server_path(self) -> str:
        """What the application's client is told in the environment."""
        return self._server.server_path

    def limit_phase(self, limit: tuple[float, str] | None) -> None:
        """Until when, on the clock of :func:`time.monotonic`, the phase that begins may wait, and that in words."""
        self._patience.phase_limit = limit

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
            self._patience.wait(lambda: number in self._answers, timeout, "the answer to %s" % name)
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
        self._patience.wait(lambda: self._patience.connected, timeout, "its client to connect")
        _logger.info("%s is connected: %s", self.name, self._about)

    def write_line(self, text: str) -> None:
        """Write a line to the application's standard input, if that was asked for, and wait until it is taken."""
        self._prompt.write_line(text)

    def ask(self, text: str, pattern: str, timeout: float | None = None) -> re.Match[str]:
        """Write a line to the standard input and wait for one in which ``pattern`` is found; raises as :meth:`call`.

        An answer that comes after a cancel or a timeout is dropped, and nothing else is asked before.
        """
        return self._prompt.ask(text, pattern, timeout)

    def close(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Ask the application to end over its connection, or by closing its input, then end it with all below it.

        Half of ``grace_seconds``, or of what a canceled task has left, is for the asking; one that is busy
        with a canceled call is not asked over its connection.
        """
        self.process.terminate(grace_seconds)

    def _ask_to_end(self) -> bool:
        asked = self._prompt.close()
        if self._patience.connected and not self._patience.gone and self._owed <= self._waiting:
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

    def _hear(self, message: Message) -> None:
        """What the application says; what an author's methods raise fails the task, whatever thread listens."""
        self._patience.reporting = threading.get_ident()
        try:
            self._take(message)
        except RecursionError:
            raise  # of what is nested too deeply to be told; that ends the connection
        except BaseException as failure:  # a cancel, too, must not end who listens
            task.fail(failure)
        finally:
            self._patience.reporting = None
        self._patience.wake()

    def _take(self, message: Message) -> None:
        if "about" in message:
            self._about = one_line(message["about"]) or "a client that does not say what it is"
            self._patience.connected = True
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
        self._patience.gone = True
        self._patience.wake()


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
