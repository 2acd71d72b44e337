"""For authors, not for farms: play a whole session with an adaptor, as a scheduler would."""

from __future__ import annotations

import functools
import json
import operator
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from . import session, system
from .errors import DONE, InputError
from .ranges import IntRange

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_BAR_WIDTH = 30


def rehearse(command: list[str], init: dict[str, str], run_data: list[dict[str, Any]], each: list[str]) -> int:
    """``daemon start``, one ``daemon run`` for each task, ``daemon stop``: real commands, one after the other.

    Prints what they print and a summary; returns the exit code of the first that failed. A signal cancels the running
    command, after which the daemon is stopped.
    """
    numbers = axes(each)
    show = _Show(sys.stdout.isatty(), functools.reduce(operator.mul, [len(one) for _, one in numbers], len(run_data)))
    try:
        folder = tempfile.mkdtemp(prefix="openjd_adapt-", dir=system.temporary_folder(session.folder()))
    except OSError as error:
        raise InputError("no folder for the session: %s" % error) from None
    try:
        daemon = ["--connection-file", os.path.join(folder, "connection.json")]
        options = [item for name, value in init.items() for item in (name, _in_file(folder, name, value))]
        code = show.phase("start", [*command, "daemon", "start", *daemon, *options])
        for number, data in enumerate(expand(run_data, numbers), 1):
            if code != DONE or show.canceled:
                break
            passed = _passed(folder, data)
            code = show.phase("task %d" % number, [*command, "daemon", "run", *daemon, "--run-data", passed])
        stopped = show.phase("stop", [*command, "daemon", "stop", *daemon], spared=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # on Windows, what somebody has open stays
    show.summary()
    return code or stopped


def axes(each: list[str]) -> list[tuple[str, IntRange]]:
    """The names and the numbers of ``NAME=RANGE``. Raises :class:`InputError`."""
    found = []
    for text in each:
        name, _, numbers = text.partition("=")
        try:
            if not name:
                raise ValueError("it must be NAME=RANGE")
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
    path = os.path.join(folder, "run-data.json")
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(data, stream)
    return "file://" + path


def _in_file(folder: str, option: str, value: str) -> str:
    """Inline data, which may hold a secret, as a file: the command lines of others can be read by everybody."""
    if option == "--config" or value.startswith("file://"):
        return value
    path = os.path.join(folder, option.strip("-") + ".json")
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(value)
    return "file://" + path


class _Show:
    """Runs the commands of a session and shows what they print: as it is, or above a progress line on a terminal."""

    def __init__(self, terminal: bool, tasks: int) -> None:
        self._terminal = terminal
        self._tasks = tasks
        self._rows: list[tuple[str, float, int, int]] = []
        self._percent = 0.0
        self._status = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._spared = False
        self.canceled = False
        self._wakeup = system.Wakeup(*system.CANCEL_SIGNALS)
        # The main thread waits in a read, which a console event of Windows does not end.
        threading.Thread(target=self._listen, name="signals", daemon=True).start()

    def phase(self, name: str, command: list[str], spared: bool = False) -> int:
        """Run one command to its end; returns its exit code.

        ``spared``: the first signal is not its own, for it does already what a cancel is to lead to.
        """
        self._spared = spared
        begin = time.monotonic()
        lines = 0
        self._percent, self._status = 0.0, ""
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **system.ASKABLE_OPTIONS,
        ) as self._process:
            assert self._process.stdout is not None
            for line in self._process.stdout:
                lines += 1
                self._print(name, line.decode("utf-8", "backslashreplace"))
            code = self._process.wait()
        self._process = None
        self._erase()
        self._rows.append((name, time.monotonic() - begin, lines, code))
        return code

    def _listen(self) -> None:
        """Cancel the running command for every signal, as a scheduler's NOTIFY_THEN_TERMINATE begins."""
        while True:
            system.wait_for({self._wakeup.fileno(): system.READ}, None)
            for _ in self._wakeup.heard():
                process = self._process
                if process and not (self._spared and not self.canceled):
                    system.ask(process)
                self.canceled = True

    def _print(self, name: str, line: str) -> None:
        self._erase()
        if line.startswith("openjd_progress: "):
            self._percent = float(line.split()[1])
        elif line.startswith("openjd_status: "):
            self._status = line.partition(": ")[2].strip()
        if not self._terminal or not line.startswith(("openjd_progress: ", "openjd_status: ")):
            sys.stdout.write(line)
        if self._terminal:
            bar = "#" * int(self._percent * _BAR_WIDTH / 100)
            text = "%s of %d [%-*s] %3.0f %% %s" % (name, self._tasks, _BAR_WIDTH, bar, self._percent, self._status)
            sys.stdout.write(text[:100])
        sys.stdout.flush()

    def _erase(self) -> None:
        if self._terminal:
            sys.stdout.write("\r\033[K")

    def summary(self) -> None:
        """A row a phase: its name, seconds, lines of output and exit code."""
        print("%-10s %9s %8s %6s" % ("phase", "seconds", "lines", "exit"))
        for name, seconds, lines, code in self._rows:
            print("%-10s %9.3f %8d %6d" % (name, seconds, lines, code))
        print("%-10s %9.3f" % ("all", sum(row[1] for row in self._rows)))
