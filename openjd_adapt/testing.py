"""Drives an adaptor through its life in an author's test: in this process, with what it says captured.

    with Session(MyAdaptor, {"scene": "a.blend"}) as session:
        outcome = session.run({"frame": 3})
        assert outcome.is_done and outcome.progress[-1] == 100

It is the life that a daemon leads it, by the same code; only the processes around it are left out. What an adaptor
starts, such as a ``LoggingSubprocess``, is started, but for the application of an ``ApplicationAdaptor`` where the test
gives a :class:`FakeApplication`.
"""

from __future__ import annotations

import json
import logging
import os
import re
import tempfile

from . import output, session, task
from .application import NO_STANDARD_INPUT, ApplicationError, exited
from .client import Action, encode_values, run_action
from .daemon.worker import Life
from .errors import AdaptError, InputError, describe, traceback_of
from .lines import LineForwarder
from .transport.wire import Decoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from .adaptor import BaseAdaptor
    from .application_adaptor import ApplicationAdaptor
    from .lifecycle import Result
    from .lines import RegexHandler
    from .transport.wire import Message

__all__ = ["FakeApplication", "Outcome", "Session"]


def _arrived(frame: bytes) -> Message:
    """What the other end reads of a frame."""
    return next(iter(Decoder().feed(frame)))[0]


class FakeApplication:
    """Stands in for the application of an ``ApplicationAdaptor``: functions of the test answer its calls.

    ``FakeApplication(render=lambda frame: None)``: arguments and results go through JSON, as on the way to a real one.
    ``prompt``, for one that is driven by its standard input, is called with each line and returns the lines that the
    application prints for it.
    """

    def __init__(
        self, prompt: Callable[[str], Iterable[str] | None] | None = None, **functions: Callable[..., Any]
    ) -> None:
        self.functions = functions
        self.prompt = prompt
        #: What was called, in order: names and arguments.
        self.calls: list[tuple[str, dict[str, Any]]] = []
        #: The command and the environment that the adaptor would have started.
        self.command: list[str] = []
        self.environment: dict[str, str] | None = None
        self.is_running = False
        self.name = "the application"
        self._code: int | None = None
        self._stdin = False
        self._said: list[str] = []
        self._handlers: list[RegexHandler] = []
        self._adaptor: ApplicationAdaptor | None = None

    def say(self, line: str, error: bool = False) -> None:
        """Let the application print a line, on its standard output or its standard error."""
        self._said.append(line)
        level = output.STDERR if error else output.STDOUT
        out = LineForwarder(level, handlers=self._handlers, owner=self._adaptor._task if self._adaptor else None)
        out.feed(line.encode("utf-8", "backslashreplace") + b"\n")

    def die(self, returncode: int) -> None:
        """Let the application end, as if by itself; negative for a signal, as in ``subprocess``."""
        self.is_running = False
        self._code = returncode

    # What an adaptor does with its application

    def call(self, name: str, timeout: float | None = None, **args: Any) -> Any:
        """Call a function and return its result; raises as the real one does."""
        self._check("waiting for the answer to %s" % name)
        self.calls.append((name, args))
        action = Action(name, args)
        action.seal()  # raises what a real one raises for what cannot be sent
        try:
            result = run_action(name, _arrived(action.frame)["args"], self.functions)
            result = _arrived(encode_values({"result": result}, "the result of " + name, "is"))["result"]
        except Exception as error:
            self._check("waiting for the answer to %s" % name)
            failed = ApplicationError("%s failed in the application: %s" % (name, describe(error)))
            failed.detail = "" if isinstance(error, AdaptError) else traceback_of(error)
            raise failed from None
        self._check("waiting for the answer to %s" % name)
        return result

    def cast(self, name: str, **args: Any) -> None:
        """Call a function; what it raises stays in the application, which prints it. One that is gone hears nothing."""
        if not self.is_running:
            self.calls.append((name, args))
            return
        try:
            self.call(name, **args)
        except ApplicationError as error:
            self.say(error.detail or str(error), error=True)

    def write_line(self, text: str) -> None:
        """Write a line to the standard input."""
        if not self._stdin:
            raise AdaptError(NO_STANDARD_INPUT % self.name)
        self._check("a line was written to it")
        self.calls.append(("write_line", {"text": text}))
        for line in (self.prompt(text) if self.prompt else None) or ():
            self.say(line)

    def ask(self, text: str, pattern: str, timeout: float | None = None) -> re.Match[str]:
        """Write a line and return the match of ``pattern`` in one that is printed for it."""
        before = len(self._said)
        self.write_line(text)
        for line in self._said[before:]:
            match = re.search(pattern, line)
            if match:
                task.current().phase.check()
                return match
        self._check("waiting for a line with %r" % pattern)
        raise AdaptError("%s: it would wait for ever for a line with %r" % (self.name, pattern))

    def wait_until_connected(self, limit: object = None) -> None:
        """Nothing is waited for here."""

    def close(self, grace_seconds: float = 0) -> None:
        """Let the application end, as it is asked to, or because it is killed."""
        if self.is_running:
            self.die(0)

    end = close

    def serve(self, adaptor: ApplicationAdaptor) -> None:
        """Be what the adaptor opens."""
        self._adaptor = adaptor
        self._handlers = [handler for handler in [adaptor.line_handler] if handler]

        def open_application(command: Sequence[str]) -> FakeApplication:
            self.command, self.environment = list(command), adaptor.get_environment()
            self.name = os.path.basename(command[0])
            self.is_running, self._stdin = True, adaptor.stdin
            return self

        adaptor._open = open_application  # type: ignore[assignment, method-assign]

    def _check(self, while_doing: str) -> None:
        """Raise what ends a wait: the application's end, a cancel, or the failure that a watch has met."""
        task.current().phase.check()
        if not self.is_running:
            raise exited(self.name, self._code, "connection", while_doing, self._said)


class Outcome:
    """How a phase ended, and what the scheduler has seen of it."""

    def __init__(self, phase: str, result: Result, text: str) -> None:
        self.phase = phase
        #: ``done``, ``failed`` or ``canceled``; why, in words; and the exit code that the command would have.
        self.outcome, self.message, self.code = result.outcome, result.message, result.code
        #: Whether the phase was a success.
        self.is_done = self.outcome == "done"
        #: The lines in their order, as they go to the scheduler's log.
        self.lines = text.split("\n")
        if not self.lines[-1]:
            self.lines.pop()
        #: Every progress that was reported, in percent, and every status message.
        self.progress: list[float] = []
        self.statuses: list[str] = []
        #: The environment variables that are set for the session, also those whose value is not to be shown.
        self.variables: dict[str, str] = {}
        for directive, value in map(session.read, self.lines):
            if directive == "openjd_progress":
                self.progress.append(value)
            elif directive == "openjd_status":
                self.statuses.append(value)
            elif directive in ("openjd_env", "openjd_redacted_env"):
                self.variables[value[0]] = value[1]
            elif directive == "openjd_unset_env":
                self.variables.pop(value, None)

    def __repr__(self) -> str:
        head = "the %s is %s%s" % (self.phase, self.outcome, self.message and ": " + self.message)
        return "\n".join([head, *("    " + line for line in self.lines)])


class Session:
    """An adaptor from its start to its cleanup; ``with`` starts and stops it.

    ``init_data``, ``path_mapping`` (a ``pathmapping-1.0`` document) and ``configuration`` are what the options of the
    command line give; ``application`` stands in for the application of an ``ApplicationAdaptor``. Data go through JSON,
    as on the way to a real one; :class:`InputError` if they cannot. Phases do not raise what the adaptor raises, but
    for a ``KeyboardInterrupt``: they return an :class:`Outcome`. Only ``with`` raises :class:`AssertionError`, if the
    start or the stop is not a success.
    """

    def __init__(
        self,
        adaptor: type[BaseAdaptor],
        init_data: dict[str, Any] | None = None,
        *,
        path_mapping: dict[str, Any] | None = None,
        configuration: dict[str, Any] | None = None,
        application: FakeApplication | None = None,
    ) -> None:
        delivered = _delivered("init data", init_data or {})
        #: The adaptor, once it has been made by :meth:`start`.
        self.adaptor: Any = None
        self.application = application
        self._folder = tempfile.TemporaryDirectory(prefix="openjd_adapt-")
        files: list[str] = []
        if configuration:
            files.append(os.path.join(self._folder.name, "configuration.json"))
            with open(files[0], "w", encoding="ascii") as stream:
                json.dump(configuration, stream)
        init = {
            "config": files,
            "init_data": delivered,
            "init_data_from": "init data",
            "path_mapping": path_mapping or {},
            "log_level": "INFO",
            "debug": False,
        }
        self._life = Life(lambda: adaptor, init, on_made=self._serve)
        self._started = False
        self._cancel_at: str | None = None
        self._texts: list[str] = []
        #: What was written last, in which a line to cancel at may have begun.
        self._tail = ""
        #: The level of the root logger within the phases, once the start has set it.
        self._level: int | None = None

    def _serve(self, adaptor: BaseAdaptor) -> None:
        self.adaptor = adaptor
        if self.application:
            self.application.serve(self.adaptor)

    def start(self) -> Outcome:
        """Make the adaptor and start it; if that fails, it is stopped and cleaned up, as far as it has come."""
        if self._started:
            raise AdaptError("start: the session has been started already; make another Session for another life")
        self._started = True
        return self._perform("start", {"do": "start"})

    def run(self, run_data: dict[str, Any] | None = None, *, cancel_at: str | None = None) -> Outcome:
        """One task. ``cancel_at``: it is canceled as soon as a line that contains this is written."""
        if not self.adaptor:
            raise AdaptError("run: there is no adaptor; start the session first, by start() or with")
        request = {"do": "run", "data": _delivered("run data", run_data or {}), "from": "run data"}
        return self._perform("task", request, cancel_at)

    def stop(self) -> Outcome:
        """Stop the adaptor and clean up."""
        return self._perform("stop", {"do": "stop"})

    def cancel(self, within: float | None = None) -> None:
        """Cancel the running phase, from another thread or from a function of the application.

        ``within``: seconds until the scheduler would kill it.
        """
        self._life.cancel(within)

    def _perform(self, phase: str, request: dict[str, Any], cancel_at: str | None = None) -> Outcome:
        root = logging.getLogger()
        level = root.level
        if self._level is not None:
            root.setLevel(self._level)
        console = output.ConsoleHandler()
        self._texts, self._tail, self._cancel_at = [], "", cancel_at
        root.addHandler(console)
        task.enter(self._life.task)
        try:
            with output.diverted(self._take):
                self._life.task.begin()
                result = self._life.perform(request)
        finally:
            task.leave()
            if self._life.ended:
                self._folder.cleanup()
            root.removeHandler(console)
            self._level = root.level
            root.setLevel(level)
        if isinstance(result.error, KeyboardInterrupt):
            raise result.error  # whoever runs the tests wants no other one
        shown = session.sanitized("".join(self._texts).encode("utf-8", "backslashreplace"))
        return Outcome(phase, result, shown.decode())

    def _take(self, data: bytes) -> None:
        text = data.decode("utf-8", "backslashreplace")
        self._texts.append(text)
        if self._cancel_at is not None:
            text = self._tail + text
            self._tail = text[-len(self._cancel_at) :]
            if self._cancel_at in text:
                self._cancel_at = None
                self._life.cancel(None)

    def __enter__(self) -> Session:
        outcome = self.start()
        if not outcome.is_done:
            raise AssertionError(repr(outcome))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, place: object) -> None:
        outcome = self.stop()
        if kind is None and not outcome.is_done:
            raise AssertionError(repr(outcome))


def _delivered(what: str, value: Any) -> Any:
    """The data as a farm delivers them."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InputError("%s: is not JSON: %s" % (what, error)) from None
