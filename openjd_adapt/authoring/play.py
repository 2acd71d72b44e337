"""Plays a whole session with an adaptor, as a scheduler would."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import operator
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from .. import session, system
from ..daemon.frontend import answer
from ..data import load
from ..errors import BAD_INPUT, CANCELED, DONE, AdaptError, InputError
from ..ranges import IntRange

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, TextIO


_BAR_WIDTH = 30
_LINE_WIDTH = 100
#: The last exit code that a command can choose on every system; others tell what has ended it.
_LAST_CODE = 255


def session_of(command: list[str], options: dict[str, Any]) -> int:
    """The command ``session`` of an adaptor that ``command`` leads to."""
    return rehearse(
        command,
        {name: options[name] for name in ("--init-data", "--path-mapping-rules", "--config") if name in options},
        [load("--run-data", value) for value in options.get("--run-data", ["{}"])],
        options.get("--each", []),
        "--json" in options,
        options.get("--trace"),
    )


def rehearse(
    command: list[str],
    init: dict[str, str],
    run_data: list[dict[str, Any]],
    each: list[str],
    as_json: bool = False,
    trace: str | None = None,
) -> int:
    """``daemon start``, one ``daemon run`` for each task, ``daemon stop``: real commands, one after the other.

    Prints what they print and a summary; returns the exit code of the first that failed. A signal cancels the running
    command, after which the daemon is stopped. ``as_json``: the summary, as JSON, is all that goes to standard output.
    ``trace``: a file for the phases as trace events, which Chrome and Perfetto show.
    """
    numbers = axes(each)
    tasks = functools.reduce(operator.mul, [len(one) for _, one in numbers], len(run_data))
    if trace and _write_trace(trace, []) != DONE:
        return BAD_INPUT
    try:
        folder = tempfile.mkdtemp(prefix="openjd_adapt-", dir=system.temporary_folder(session.folder()))
    except OSError as error:
        raise InputError("no folder for the session: %s" % error) from None
    show = _Show(sys.stderr if as_json else sys.stdout, tasks)
    try:
        daemon = ["--connection-file", os.path.join(folder, "connection.json")]
        options = [item for name, value in init.items() for item in (name, _in_file(folder, name, value))]
        code = show.phase("start", [*command, "daemon", "start", *daemon, *options])
        for number, data in enumerate(expand(run_data, numbers), 1):
            if code != DONE or show.canceled:
                break
            passed = _passed(folder, data)
            code = show.phase("task %d" % number, [*command, "daemon", "run", *daemon, "--run-data", passed])
        if show.canceled and code == DONE:
            code = CANCELED  # between two commands
        stopped = show.phase("stop", [*command, "daemon", "stop", *daemon], spared=True)
    except BaseException:
        show.end([*command, "daemon", "stop", *daemon])
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # on Windows, what somebody has open stays
    if as_json:
        told = answer(json.dumps({"phases": show.phases, "exit": code or stopped}, indent=2) + "\n")
    else:
        show.summary()
        told = DONE
    written = _write_trace(trace, show.phases) if trace else DONE
    return code or stopped or told or written


def _write_trace(path: str, phases: list[dict[str, Any]]) -> int:
    """Write complete events; times are microseconds. Returns an exit code. Source: the Trace Event Format of Chrome."""
    events = [
        {
            "name": phase["phase"],
            "cat": "session",
            "ph": "X",
            "pid": 1,
            "tid": 1,
            "ts": round(phase["begin"] * 1e6),
            "dur": round(phase["seconds"] * 1e6),
            "args": {key: phase[key] for key in ("lines", "exit")},
        }
        for phase in phases
    ]
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


def expand(run_data: list[dict[str, Any]], axes: list[tuple[str, IntRange]]) -> Iterator[dict[str, Any]]:
    """The tasks' run data: every given one, for every combination of the numbers, in increasing order."""
    if not axes:
        yield from run_data
        return
    (name, numbers), rest = axes[0], axes[1:]
    for data in run_data:
        for number in numbers:
            yield from expand([{**data, name: number}], rest)


def _passed(folder: str, data: dict[str, Any]) -> str:
    """Run data as a scheduler passes it: in a file."""
    return _file(folder, "run-data.json", json.dumps(data))


def _in_file(folder: str, option: str, value: str) -> str:
    """Inline data, which may hold a secret, as a file: the command lines of others can be read by everybody."""
    if option == "--config" or value.startswith("file://"):
        return value
    # As text, what was no UTF-8 on the command line could be in no file.
    return _file(folder, option.strip("-") + ".json", json.dumps(load(option, value)))


def _file(folder: str, name: str, text: str) -> str:
    path = os.path.join(folder, name)
    try:
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise AdaptError("the session's folder: %s: %s" % (path, error.strerror)) from None
    return "file://" + path


class _Show:
    """Runs the commands of a session and shows what they print: as it is, or on a terminal above a progress line."""

    def __init__(self, out: TextIO, tasks: int) -> None:
        self._out = out
        if isinstance(out, io.TextIOWrapper):
            out.reconfigure(errors="backslashreplace")
        self._terminal = out.isatty()
        self._coloured = self._terminal and not os.environ.get("NO_COLOR")
        self._tasks = tasks
        self._born = time.monotonic()
        #: What is known of each phase: begin and seconds, lines of output, exit code.
        self.phases: list[dict[str, Any]] = []
        self._percent = 0.0
        self._status = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._spared = False
        self._killed = False
        self.canceled = False
        self._wakeup = system.Wakeup(*system.CANCEL_SIGNALS, *_hangup())
        # The main thread waits in a read, which a console event of Windows does not end.
        threading.Thread(target=self._listen, name="signals", daemon=True).start()

    def phase(self, name: str, command: list[str], spared: bool = False) -> int:
        """Run one command to its end; returns its exit code.

        ``spared``: the first signal is not its own, for it does already what a cancel is to lead to.
        """
        self._spared = spared
        self._killed = False
        begin = time.monotonic()
        lines = 0
        self._percent, self._status = 0.0, ""
        self._draw(name)
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **system.ASKABLE_OPTIONS,
        ) as self._process:
            assert self._process.stdout is not None
            if self.canceled and not spared:
                self._cancel(self._process)  # the signal came while there was nobody to hand it on to
            for line in self._process.stdout:
                lines += 1
                self._print(name, line.decode("utf-8", "backslashreplace"))
            code = self._process.wait()
        self._process = None
        if self.canceled and (self._killed or not DONE <= code <= _LAST_CODE):
            code = CANCELED  # it ended before it could hear of that
        self._erase()
        seconds = time.monotonic() - begin
        self.phases.append(
            {
                "phase": name,
                "begin": round(begin - self._born, 6),
                "seconds": round(seconds, 6),
                "lines": lines,
                "exit": code,
            }
        )
        return code

    def _cancel(self, process: subprocess.Popen[bytes], number: int = system.TERMINATION) -> None:
        self._killed = not system.ask(process, number)

    def end(self, command: list[str]) -> None:
        """Stop the daemon though nobody is there to see it."""
        null = subprocess.DEVNULL
        subprocess.call(command, stdin=null, stdout=null, stderr=null, **system.ASKABLE_OPTIONS)

    def _write(self, text: str) -> None:
        try:
            self._out.write(text)
            self._out.flush()
        except OSError:
            self._lose_reader()

    def _lose_reader(self) -> None:
        """Nobody sees any of it any more: that is a cancel, as with every command."""
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._out.fileno())
        os.close(null)
        self._terminal = self._coloured = False
        if self._process and not self._spared:
            self._cancel(self._process)
        self.canceled = True

    def _listen(self) -> None:
        """Cancel the running command for every signal, as a scheduler's NOTIFY_THEN_TERMINATE begins."""
        while True:
            system.wait_for({self._wakeup.fileno(): system.READ}, None)
            for number in self._wakeup.heard():
                process = self._process
                if process and not (self._spared and not self.canceled):
                    self._cancel(process, number)
                self.canceled = True

    def _print(self, name: str, line: str) -> None:
        self._erase()
        progress = _PROGRESS.match(line)  # an application may print anything behind it
        if progress:
            self._percent = min(float(progress.group(1)), 100.0)
        elif line.startswith("openjd_status: "):
            self._status = line.partition(": ")[2].strip()
        if not self._terminal or not line.startswith(("openjd_progress: ", "openjd_status: ")):
            colour = next((colour for begin, colour in _COLOURS.items() if line.startswith(begin)), "")
            self._write(self._painted(line.rstrip("\n"), colour) + line[len(line.rstrip("\n")) :])
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
        return "\033[%sm%s\033[0m" % (colour, text) if self._coloured and colour else text

    def summary(self) -> None:
        """A row a phase: its name, seconds, lines of output and exit code."""
        rows = ["%-10s %9s %8s %6s" % ("phase", "seconds", "lines", "exit")]
        for phase in self.phases:
            row = "%(phase)-10s %(seconds)9.3f %(lines)8d %(exit)6d" % phase
            rows.append(self._painted(row, _RED if phase["exit"] else ""))
        rows.append("%-10s %9.3f" % ("all", sum(phase["seconds"] for phase in self.phases)))
        self._write("\n".join(rows) + "\n")


def _hangup() -> list[int]:
    """The signal of a terminal that is closed, unless the caller wants it ignored (``nohup``)."""
    number = getattr(signal, "SIGHUP", None)
    return [number] if number and signal.getsignal(number) != signal.SIG_IGN else []


_PROGRESS = re.compile(r"openjd_progress: (\d+(?:\.\d*)?)\s*$")
_RED, _YELLOW, _DIM = "31", "33", "2"
#: How lines that begin so are shown on a terminal.
_COLOURS = {"ERROR: ": _RED, "openjd_fail: ": _RED, "WARNING: ": _YELLOW, "INFO: ": _DIM, "DEBUG: ": _DIM}
