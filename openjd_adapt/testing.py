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
import traceback

from . import output, task
from .application import ApplicationError, ApplicationExited
from .daemon.worker import Life
from .errors import AdaptError, InputError, describe_exit
from .lines import LineForwarder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from .adaptor import BaseAdaptor
    from .application_adaptor import ApplicationAdaptor
    from .lines import RegexHandler

__all__ = [
    "FakeApplication",
    "Outcome",
    "Session",
]


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
        self._said: list[str] = []
        self._handlers: list[RegexHandler] = []

    def say(self, line: str, error: bool = False) -> None:
        """Let the application print a line, on its standard output or its standard error."""
        self._said.append(line)
        out = LineForwarder(output.STDERR if error else output.STDOUT, handlers=self._handlers)
        out.feed(line.encode("utf-8", "backslashreplace") + b"\n")

    def die(self, returncode: int) -> None:
        """Let the application end, as if by itself; negative for a signal, as in ``subprocess``."""
        self.is_running = False
        self._code = returncode

    # What an adaptor does with its application

    def limit_phase(self, limit: tuple[float, str] | None) -> None:
        """As of the real one; nothing is waited for here."""

    def call(self, name: str, timeout: float | None = None, **args: Any) -> Any:
        """Call a function and return its result; raises as the real one does."""
        self._check("waiting for the answer to %s" % name)
        self.calls.append((name, args))
        function = self.functions.get(name)
        if function is None:
            known = ", ".join(sorted(self.functions)) or "none"
            raise ApplicationError("%s failed in the application: no action %r; it has: %s" % (name, name, known))
        try:
            given = json.loads(json.dumps(args))
        except (TypeError, ValueError) as error:
            raise InputError("the arguments of %s are not JSON: %s" % (name, error)) from None
        try:
            result = json.loads(json.dumps(function(**given)))
        except Exception as error:
            self._check("waiting for the answer to %s" % name)
            failed = ApplicationError("%s failed in the application: %s: %s" % (name, type(error).__name__, error))
            failed.detail = traceback.format_exc()
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
                task.current().check()
                return match
        self._check("waiting for a line with %r" % pattern)
        raise AdaptError("%s: it would wait for ever for a line with %r" % (self.name, pattern))

    def wait_until_connected(self, timeout: float | None = None) -> None:
        """It is connected."""

    def close(self, grace_seconds: float = 0) -> None:
        """Ask the application to end."""
        self.is_running = False

    def end(self) -> None:
        """Kill it."""
        self.is_running = False

    def serve(self, adaptor: ApplicationAdaptor) -> None:
        """Be what the adaptor opens."""
        self._handlers = [handler for handler in [adaptor.line_handler] if handler]

        def open_application(command: Sequence[str]) -> FakeApplication:
            self.command, self.environment = list(command), adaptor.get_environment()
            self.name = os.path.basename(command[0])
            self.is_running = True
            return self

        adaptor._open = open_application  # type: ignore[assignment, method-assign]

    def _check(self, while_doing: str) -> None:
        """Raise what ends a wait: the application's end, a cancel, or the failure that a watch has met."""
        task.current().check()
        if not self.is_running:
            how = "has ended" if self._code is None else describe_exit(self._code)
            raise ApplicationExited("%s %s while %s" % (self.name, how, while_doing), self._code)


#: What the toolkit reports; an application may print anything behind the word.
_NUMBER = re.compile(r"\d+(\.\d*)?$")


class Outcome:
    """How a phase ended, and what the scheduler has seen of it."""

    def __init__(self, phase: str, outcome: str, message: str, code: int, text: str) -> None:
        self.phase = phase
        #: ``done``, ``failed`` or ``canceled``; why, in words; and the exit code that the command would have.
        self.outcome = outcome
        self.message = message
        self.code = code
        #: The lines in their order, as they go to the scheduler's log.
        self.lines = text.split("\n")[:-1] if text.endswith("\n") else text.split("\n") if text else []

    @property
    def is_done(self) -> bool:
        """Whether the phase was a success."""
        return self.outcome == "done"

    @property
    def progress(self) -> list[float]:
        """Every progress that was reported, in percent."""
        return [float(text) for text in self._said("openjd_progress") if _NUMBER.match(text)]

    @property
    def statuses(self) -> list[str]:
        """Every status message."""
        return self._said("openjd_status")

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that are set for the session, also those whose value is not to be shown."""
        found: dict[str, str] = {}
        for directive, _, text in (line.partition(": ") for line in self.lines):
            if directive in ("openjd_env", "openjd_redacted_env"):
                name, _, value = (json.loads(text) if text.startswith('"') else text).partition("=")
                found[name] = value
            elif directive == "openjd_unset_env":
                found.pop(text, None)
        return found

    def _said(self, directive: str) -> list[str]:
        begin = directive + ": "
        return [line[len(begin) :] for line in self.lines if line.startswith(begin)]

    def __repr__(self) -> str:
        head = "the %s is %s%s" % (self.phase, self.outcome, self.message and ": " + self.message)
        return "\n".join([head, *("    " + line for line in self.lines)])


class Session:
    """An adaptor from its start to its cleanup; ``with`` starts and stops it.

    ``init_data``, ``path_mapping`` (a ``pathmapping-1.0`` document) and ``configuration`` are what the options of the
    command line give; ``application`` stands in for the application of an ``ApplicationAdaptor``. Data go through JSON,
    as on the way to a real one; :class:`InputError` if they cannot. Phases do not raise what the adaptor raises, but
    for a ``KeyboardInterrupt``: they return an :class:`Outcome`. Only ``with`` raises :class:`AssertionError`, if the
    start or the stop is no success.
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
        init = {
            "config": [self._write("configuration.json", configuration)] if configuration else [],
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

    def _write(self, name: str, value: Any) -> str:
        path = os.path.join(self._folder.name, name)
        with open(path, "w", encoding="utf-8") as stream:
            json.dump(value, stream)
        return path

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
        self._cancel_at = cancel_at
        try:
            return self._perform("task", request)
        finally:
            self._cancel_at = None

    def stop(self) -> Outcome:
        """Stop the adaptor and clean up."""
        return self._perform("stop", {"do": "stop"})

    def cancel(self, within: float | None = None) -> None:
        """Cancel the running phase, from another thread or from a function of the application.

        ``within``: seconds until the scheduler would kill it.
        """
        self._life.cancel(within)

    def _perform(self, phase: str, request: dict[str, Any]) -> Outcome:
        root = logging.getLogger()
        level = root.level
        if self._level is not None:
            root.setLevel(self._level)
        console = output.ConsoleHandler()
        self._texts, self._tail = [], ""
        undo = output.divert(self._take)
        root.addHandler(console)
        try:
            self._life.task.begin()
            result = self._life.perform(request)
            self._life.await_on_cancel()
        finally:
            if self._life.ended:
                self._folder.cleanup()
            root.removeHandler(console)
            self._level = root.level
            root.setLevel(level)
            undo()
        if isinstance(result.error, KeyboardInterrupt):
            raise result.error  # whoever runs the tests wants no other one
        return Outcome(phase, result.outcome, result.message, result.code, "".join(self._texts))

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
        raise InputError("%s: is no JSON: %s" % (what, error)) from None
