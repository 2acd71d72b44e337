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

from . import config, output
from .errors import AdaptError, InputError
from .fake_application import FakeApplication
from .worker import Life

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .adaptor import BaseAdaptor

#: What the toolkit reports; an application may print anything behind the word.
_NUMBER = re.compile(r"\d+(\.\d*)?$")

__all__ = ["FakeApplication", "Outcome", "Session"]


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
        }
        self._life = Life(lambda: adaptor, init, None, self._serve)
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
            self._life.expect(request)
            result = self._life.perform(request)
            self._life.await_on_cancel()
        finally:
            if self._life.ended:
                self._folder.cleanup()
            root.removeHandler(console)
            self._level = root.level
            root.setLevel(level)
            config.command_line_files.clear()
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
