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
from .client import encode_values, run_action
from .daemon.worker import Life
from .errors import AdaptError, describe, traceback_of
from .lines import LineForwarder
from .paths import PathMappingRule
from .transport.wire import Decoder, as_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from .adaptor import BaseAdaptor
    from .application_adaptor import ApplicationAdaptor
    from .lifecycle import Result

__all__ = ["FakeApplication", "Outcome", "Session"]


def _delivered(value: Any, what: str, verb: str = "is") -> Any:
    """What the other end gets of a value. Raises :class:`InputError`, which says ``what``, if it cannot be sent."""
    message, _ = next(Decoder().feed(encode_values({"value": value}, what, verb)))
    return message["value"]


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
        self._adaptor: ApplicationAdaptor | None = None

    def say(self, line: str, error: bool = False) -> None:
        """Let the application print a line, on its standard output or its standard error."""
        self._said.append(line)
        adaptor = self._adaptor
        level = output.STDERR if error else output.STDOUT
        handlers = [adaptor.line_handler] if adaptor and adaptor.line_handler else []
        out = LineForwarder(level, handlers=handlers, owner=adaptor._task if adaptor else None)
        out.feed(line.encode("utf-8", "backslashreplace") + b"\n")
        for handler in handlers:
            getattr(handler, "tell_fatal", bool)()  # each line is looked at by itself

    def die(self, returncode: int) -> None:
        """Let the application end, as if by itself; negative for a signal, as in ``subprocess``."""
        self.is_running = False
        self._code = returncode

    # What an adaptor does with its application

    def call(self, name: str, timeout: float | None = None, **args: Any) -> Any:
        """Call a function and return its result; raises as the real one does."""
        doing = "waiting for the answer to %s" % name
        self._check(doing)
        self.calls.append((name, args))
        arguments = _delivered(args, "the arguments of " + name, "are")
        try:
            result = _delivered(run_action(name, arguments, self.functions), "the result of " + name)
        except Exception as error:
            self._check(doing)
            failed = ApplicationError("%s failed in the application: %s" % (name, describe(error)))
            failed.detail = "" if isinstance(error, AdaptError) else traceback_of(error)
            raise failed from None
        self._check(doing)
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

    def write_line(self, text: str, timeout: float | None = None) -> None:
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

    def wait_until_connected(self, timeout: float | None = None) -> None:
        """Nothing is waited for here."""

    def close(self, grace_seconds: float = 0) -> None:
        """Let the application end, as it is asked to, or because it is killed."""
        if self.is_running:
            self.die(0)

    end = close

    def serve(self, adaptor: ApplicationAdaptor) -> None:
        """Be what the adaptor opens."""
        self._adaptor = adaptor

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

    ``init_data``, ``path_mapping`` (a ``pathmapping-1.0`` document, or just its rules, in a list) and ``configuration``
    are what the options of the command line give; ``application`` stands in for the application of an
    ``ApplicationAdaptor``. Data go through JSON, as on the way to a real one; :class:`InputError` if they cannot.
    Phases do not raise what the adaptor raises, but for a ``KeyboardInterrupt``: they return an :class:`Outcome`. Only
    ``with`` raises :class:`AssertionError`, if the start or the stop is not a success.
    """

    def __init__(
        self,
        adaptor: type[BaseAdaptor],
        init_data: dict[str, Any] | None = None,
        *,
        path_mapping: dict[str, Any] | list[dict[str, str]] | list[PathMappingRule] | None = None,
        configuration: dict[str, Any] | None = None,
        application: FakeApplication | None = None,
    ) -> None:
        if isinstance(path_mapping, list):
            rules = [rule.to_dict() if isinstance(rule, PathMappingRule) else rule for rule in path_mapping]
            path_mapping = {"path_mapping_rules": rules} if rules else None
        init: dict[str, Any] = {
            "config": [],
            "init_data": _delivered(init_data or {}, "init data:"),
            "init_data_from": "init data",
            "path_mapping": _delivered(path_mapping or {}, "path mapping rules:"),
            "log_level": "INFO",
            "debug": False,
        }
        layer = _delivered(configuration or {}, "configuration:")
        #: The adaptor, once it has been made by :meth:`start`.
        self.adaptor: Any = None
        self.application = application
        self._folder = tempfile.TemporaryDirectory(prefix="openjd_adapt-")
        if layer:  # an empty one would have to fulfil the schema, too
            init["config"].append(os.path.join(self._folder.name, "configuration.json"))
            with open(init["config"][0], "w", encoding="ascii") as stream:
                json.dump(layer, stream)
        self._life = Life(lambda: adaptor, init, on_made=self._serve)
        self._started = False
        #: What the phase has written, and in which line it is to be canceled.
        self._output = bytearray()
        self._cancel_at: bytes | None = None
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
        request = {"do": "run", "body": as_json(_delivered(run_data or {}, "run data:")), "from": "run data"}
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
        self._output = bytearray()
        self._cancel_at = None if cancel_at is None else cancel_at.encode("utf-8", "backslashreplace")
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
        return Outcome(phase, result, session.sanitized(bytes(self._output)).decode())

    def _take(self, data: bytes) -> None:
        self._output += data
        # Only in what is new: it may be cut anywhere.
        if self._cancel_at is not None and self._cancel_at in self._output[-len(data) - len(self._cancel_at) :]:
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
