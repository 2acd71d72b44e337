"""What stands in for a kept-open application in an author's test: ``FakeApplication``."""

from __future__ import annotations

import json
import os
import re
import traceback

from . import output, task
from .application import ApplicationError
from .errors import AdaptError, InputError, describe_exit
from .lines import LineForwarder
from .patience import ApplicationExited

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from .application_adaptor import ApplicationAdaptor
    from .lines import RegexHandler


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
