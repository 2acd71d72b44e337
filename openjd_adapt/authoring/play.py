"""Plays a whole session with an adaptor, as a scheduler would."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from subprocess import DEVNULL, PIPE, STDOUT, Popen

from .. import session, system
from ..daemon.frontend import UNREAD_SECONDS, answer
from ..data import load, source
from ..errors import BAD_INPUT, CANCELED, DONE, AdaptError, InputError
from ..ranges import IntRange, as_chunk
from ..system import interpreter
from ..transport.loop import StreamWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


_BAR_WIDTH = 30
_LINE_WIDTH = 100
_HIDDEN = "********"


def rehearse(command: list[str], place: str | None, options: dict[str, Any]) -> int:
    """``daemon start``, one ``daemon run`` for each task, ``daemon stop``: real commands in the folder ``place``.

    ``options`` are those of the command line. Prints what the commands print and a summary; returns the exit code of
    the first that failed. A signal cancels the running command, after which the daemon is stopped.
    """
    run_data = [load("--run-data", value) for value in options.get("--run-data", ["{}"])]
    numbers, chunk = axes(options.get("--each", [])), _chunk(options)
    tasks = len(run_data)
    for _, one in numbers:
        tasks *= len(one)
    if chunk:
        tasks = tasks // len(one) * len(range(0, len(one), chunk))
    as_json, trace = "--json" in options, options.get("--trace")
    if trace and _write_trace(trace, []) != DONE:
        return BAD_INPUT
    try:
        folder = tempfile.mkdtemp(prefix="openjd_adapt-", dir=system.temporary_folder(session.folder()))
    except OSError as error:
        raise InputError("no folder for the session: %s" % error) from None
    show = _Show(2 if as_json else 1, tasks, place)
    try:
        given = [name for name in ("--init-data", "--path-mapping-rules", "--config") if name in options]
        tasks_from = [name for name in ("--run-data", "--each") if name in options]
        for name, *others in (["--init-data"], ["--path-mapping-rules"], ["--run-data", *tasks_from]):
            show.sources[source(name, _place(folder, name))] = " and ".join(others or [name])
        init = [word for name in given for word in (name, _in_file(folder, name, options[name]))]
        daemon = ["--connection-file", os.path.join(folder, "connection.json")]
        try:
            code = show.phase("start", [*command, "daemon", "start", *daemon, *init])
            for number, data in enumerate(expand(run_data, numbers, chunk), 1):
                if code != DONE or show.canceled:
                    break
                passed = _file(folder, "--run-data", data)
                code = show.phase("task %d" % number, [*command, "daemon", "run", *daemon, "--run-data", passed])
            if show.canceled and code == DONE:
                code = CANCELED  # between two commands
        finally:
            stopped = show.phase("stop", [*command, "daemon", "stop", *daemon])
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # on Windows, what somebody has open stays
    told = DONE
    if as_json:
        told = answer(json.dumps({"phases": show.phases, "exit": code or stopped}, indent=2) + "\n")
    else:
        show.summary()
    written = _write_trace(trace, show.phases) if trace else DONE
    return code or stopped or told or written


def _write_trace(path: str, phases: list[dict[str, Any]]) -> int:
    """Write complete events; times are microseconds. Returns an exit code. Source: the Trace Event Format of Chrome."""
    events = []
    for phase in phases:
        event = {"name": phase["phase"], "cat": "session", "ph": "X", "pid": 1, "tid": 1}
        event.update(ts=round(phase["begin"] * 1e6), dur=round(phase["seconds"] * 1e6))
        events.append({**event, "args": {"lines": phase["lines"], "exit": phase["exit"]}})
    try:
        with open(path, "w", encoding="ascii") as stream:
            json.dump({"traceEvents": events, "displayTimeUnit": "ms"}, stream)
    except OSError as error:
        print("ERROR: --trace: %s: %s" % (path, error.strerror), file=sys.stderr)
        return BAD_INPUT
    return DONE


def axes(each: list[str]) -> list[tuple[str, IntRange]]:
    """The names and the numbers of ``NAME=RANGE``. Raises :class:`InputError`."""
    found: list[tuple[str, IntRange]] = []
    for text in each:
        name, mark, numbers = text.partition("=")
        try:
            if not name or not mark:
                raise ValueError("it must be NAME=RANGE")
            if name in dict(found):
                raise ValueError("%s has a range already; give both in one, as in 1-2,5-6" % name)
            found.append((name, IntRange.parse(numbers)))
        except ValueError as error:
            raise InputError("--each %s: %s" % (text, error)) from None
    return found


def _chunk(options: dict[str, Any]) -> int:
    """How many numbers a chunk has; 0 if tasks are no chunks. Raises :class:`InputError`."""
    given = options.get("--chunk")
    if given is None:
        return 0
    if not (given.isascii() and given.isdigit() and int(given[:10]) > 0 and len(given) < 10):
        raise InputError("--chunk: %r is not a whole number above 0" % given)
    if not options.get("--each"):
        raise InputError("--chunk: give the numbers, too, by --each NAME=RANGE")
    return int(given)


def expand(
    run_data: Iterable[dict[str, Any]], axes: list[tuple[str, IntRange]], chunk: int = 0
) -> Iterable[dict[str, Any]]:
    """The tasks' run data: every given one, for every combination of the numbers, in increasing order.

    ``chunk``: so many numbers of the last axis are one task's, as a range expression.
    """
    if not axes:
        return run_data
    (name, numbers), *others = axes
    size = 0 if others else chunk
    return expand(({**data, name: value} for data in run_data for value in _values(numbers, size)), others, chunk)


def _values(numbers: IntRange, chunk: int) -> Iterable[int | str]:
    if not chunk:
        return numbers
    return (as_chunk(numbers[begin : begin + chunk]) for begin in range(0, len(numbers), chunk))


def _in_file(folder: str, option: str, value: str) -> str:
    """Inline data, which may hold a secret, as a file: the command lines of others can be read by everybody."""
    if option == "--config" or value.startswith("file://"):
        return value
    # As text, what was not UTF-8 on the command line could be in no file.
    return _file(folder, option, load(option, value))


def _place(folder: str, option: str) -> str:
    """What an option is given for a file of the session's."""
    return "file://" + os.path.join(folder, option.strip("-") + ".json")


def _file(folder: str, option: str, data: dict[str, Any]) -> str:
    """Write data as a scheduler passes them; returns what the option is given for them."""
    place = _place(folder, option)
    try:
        with open(place[len("file://") :], "w", encoding="ascii") as stream:
            json.dump(data, stream)
    except OSError as error:
        raise AdaptError("the session's folder: %s: %s" % (folder, error.strerror)) from None
    return place


class _Show:
    """Runs the commands of a session and shows what they print: as it is, or on a terminal above a progress line."""

    def __init__(self, descriptor: int, tasks: int, folder: str | None = None) -> None:
        self._out = StreamWriter(descriptor)
        #: Rung by a cancel: who waits for a reader then waits no longer than UNREAD_SECONDS.
        self._hurry = system.Bell()
        environment = {**os.environ, **interpreter.as_role(interpreter.SESSION)}
        self._place: dict[str, Any] = {"cwd": folder, "env": environment, **system.ASKABLE_OPTIONS}
        self._terminal = os.isatty(descriptor)
        self._tasks = tasks
        self._born = time.monotonic()
        #: What is known of each phase: begin and seconds, lines of output, exit code.
        self.phases: list[dict[str, Any]] = []
        self._percent = 0.0
        self._status = ""
        #: How the lines of commands name the session's files, and what the user has given that they hold.
        self.sources: dict[str, str] = {}
        #: Values that are shown in no line, as openjd-sessions does it.
        self._secrets: set[str] = set()
        self._process: Popen[bytes] | None = None
        self._spared = False
        self._killed = False
        self.canceled = False
        signals = [*system.CANCEL_SIGNALS]
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as of nohup
            signals.append(signal.SIGHUP)  # the terminal is closed
        self._wakeup = system.Wakeup(*signals)
        # The main thread waits in a read, which a console event of Windows does not end.
        threading.Thread(target=self._listen, name="signals", daemon=True).start()

    def phase(self, name: str, command: list[str]) -> int:
        """Run one command to its end; returns its exit code."""
        # A first signal is not handed on to the stop, which does already what a cancel is to lead to.
        self._spared = name == "stop"
        self._killed = False
        begin = time.monotonic()
        lines = 0
        self._percent, self._status = 0.0, ""
        self._draw(name)
        with Popen(command, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, **self._place) as self._process:
            assert self._process.stdout is not None
            if self.canceled and not self._spared:
                self._cancel()  # the signal came while there was nobody to hand it on to
            for line in self._process.stdout:
                lines += 1
                self._print(name, line.decode("utf-8", "backslashreplace"))
            code = self._process.wait()
        self._process = None
        if self.canceled and (self._killed or not 0 <= code <= 255):  # other codes tell what has ended it
            code = CANCELED  # it ended before it could hear of that
        self._erase()
        times = {"begin": round(begin - self._born, 6), "seconds": round(time.monotonic() - begin, 6)}
        self.phases.append({"phase": name, **times, "lines": lines, "exit": code})
        return code

    def _cancel(self, number: int = system.TERMINATION) -> None:
        """Cancel the session, and its running command by a signal, unless that is spared."""
        # Noted before it is looked for a process: who starts one looks the other way round, so that one of both hands
        # it on.
        again, self.canceled = self.canceled, True
        self._hurry.ring()
        process = self._process
        if process and (again or not self._spared):
            self._killed = not system.ask(process, number)

    def _write(self, text: str) -> None:
        out = self._out
        out.queue(text.encode("utf-8", "backslashreplace"))
        while out.interest:
            hurries = self.canceled
            watched = {out.fileno(): out.interest, **({} if hurries else {self._hurry.fileno(): system.READ})}
            if not system.wait_for(watched, UNREAD_SECONDS if hurries else None):
                out.drop("nobody reads it")
            out.flush()
        if out.fault and not self.canceled:  # nobody sees any of it any more: that is a cancel, as with every command
            self._cancel()

    def _listen(self) -> None:
        """Cancel the running command for every signal, as a scheduler's NOTIFY_THEN_TERMINATE begins."""
        while True:
            system.wait_for({self._wakeup.fileno(): system.READ}, None)
            for number in self._wakeup.heard():
                self._cancel(number)

    def _print(self, name: str, line: str) -> None:
        self._erase()
        text = line.rstrip("\n")
        end = line[len(text) :]
        directive, value = session.read(text)
        if directive == "openjd_redacted_env":
            self._secrets.update(filter(None, value[1].splitlines()))
            text = "%s: %s=%s" % (directive, value[0], _HIDDEN)
        for made, given in self.sources.items():
            text = text.replace(made, given)
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, _HIDDEN)
        if directive == "openjd_progress":
            self._percent = value
        elif directive == "openjd_status":
            self._status = text.partition(":")[2].strip()
        if not self._terminal or directive not in ("openjd_progress", "openjd_status"):
            colour = next((colour for begin, colour in _COLOURS.items() if line.startswith(begin)), "")
            self._write(self._painted(text, colour) + end)
        self._draw(name)

    def _draw(self, name: str) -> None:
        """The progress line, on a terminal."""
        if self._terminal:
            bar = "#" * int(self._percent * _BAR_WIDTH / 100)
            place = "%s of %d" % (name, self._tasks) if name.startswith("task") else name
            text = "%s [%-*s] %3.0f %% %s" % (place, _BAR_WIDTH, bar, self._percent, self._status)
            width = _LINE_WIDTH
            with contextlib.suppress(OSError):  # it may be gone
                width = min(width, (os.get_terminal_size(self._out.fileno()).columns or width + 1) - 1)
            self._write(text[:width].rstrip())

    def _erase(self) -> None:
        if self._terminal:
            self._write("\r\033[K")

    def _painted(self, text: str, colour: str) -> str:
        paints = colour and self._terminal and not os.environ.get("NO_COLOR")
        return "\033[%sm%s\033[0m" % (colour, text) if paints else text

    def summary(self) -> None:
        """A row a phase: its name, seconds, lines of output and exit code."""
        rows = ["%-10s %9s %8s %6s" % ("phase", "seconds", "lines", "exit")]
        for phase in self.phases:
            row = "%(phase)-10s %(seconds)9.3f %(lines)8d %(exit)6d" % phase
            rows.append(self._painted(row, _RED if phase["exit"] else ""))
        rows.append("%-10s %9.3f" % ("all", sum(phase["seconds"] for phase in self.phases)))
        self._write("\n".join(rows) + "\n")


_RED, _YELLOW, _DIM = "31", "33", "2"
#: How lines that begin so are shown on a terminal.
_COLOURS = {"ERROR: ": _RED, "openjd_fail: ": _RED, "WARNING: ": _YELLOW, "INFO: ": _DIM, "DEBUG: ": _DIM}
