"""Plays a whole session with an adaptor, as a scheduler would."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import threading
import time
from itertools import islice
from subprocess import DEVNULL, PIPE, STDOUT, Popen

from .. import session, system
from ..daemon.frontend import UNREAD_SECONDS, answer, tell
from ..data import load, source
from ..errors import BAD_INPUT, CANCELED, DONE, AdaptError, InputError
from ..ranges import IntRange, as_chunk
from ..system import interpreter
from ..transport.loop import StreamWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any


#: How long a session waits for one that is at the same part, in seconds: a cluster starts a lost job again while the
#: former attempt is still being canceled, which takes no longer where nobody says how long it may.
PREDECESSOR_SECONDS = 240.0
#: Seconds between two looks whether the session's owner lives.
LOOK_SECONDS = 2.0
_BAR_WIDTH = 30
_LINE_WIDTH = 100
_HIDDEN = "********"


def rehearse(
    command: list[str],
    place: str | None,
    options: dict[str, Any],
    adaptor: str = "",
    owner: list[int] | None = None,
) -> int:
    """``daemon start``, one ``daemon run`` for each task, ``daemon stop``: real commands in the folder ``place``.

    ``options`` are those of the command line, ``adaptor`` the name for a journal. Prints what the commands print and a
    summary; returns the exit code of the first that failed, or ``CANCELED``. A signal, or the end of ``owner``, a pid
    with its start time, cancels the running command, after which the daemon is stopped.
    """
    run_data = [load("--run-data", value) for value in options.get("--run-data", ["{}"])]
    numbers, chunk = axes(options.get("--each", [])), _chunk(options)
    tasks = len(run_data)
    for _, one in numbers:
        tasks *= len(one)
    if chunk:
        tasks = tasks // len(one) * len(range(0, len(one), chunk))
    part, parts = part_of(options)
    as_json, trace = "--json" in options, options.get("--trace")
    if trace and _write_trace(trace, []) != DONE:
        return BAD_INPUT
    journal = None
    if "--continue" in options:
        init_data = load("--init-data", options.get("--init-data", "{}"))
        all_data = [init_data, run_data, [(name, str(one)) for name, one in numbers], chunk]
        journal = Journal(options["--continue"], part, parts, adaptor, all_data)
    done = journal.done if journal else set()
    own = share(tasks, part, parts)
    numbered = enumerate(islice(expand(run_data, numbers, chunk), own.start, own.stop), own.start + 1)
    todo = ((number, data) for number, data in numbered if number not in done)
    show = _Show(2 if as_json else 1, tasks, place, owner)
    code = _play(command, options, todo, journal, show)
    if not show.phases:
        tell("INFO: nothing to do: part %d of %d of %d tasks has none that is not done" % (part, parts, tasks))
    told = DONE
    if as_json:
        told = answer(json.dumps({"phases": show.phases, "exit": code}, indent=2) + "\n")
    else:
        show.summary()
    written = _write_trace(trace, show.phases) if trace else DONE
    return code or told or written


def _play(
    command: list[str],
    options: dict[str, Any],
    tasks: Iterator[tuple[int, dict[str, Any]]],
    journal: Journal | None,
    show: _Show,
) -> int:
    """Run the tasks, each with its number, in one daemon; with ``--keep-going``, after each failure in a new one."""
    code, task = DONE, next(tasks, None)
    if not task:
        return code
    try:
        folder = tempfile.mkdtemp(prefix="openjd_adapt-", dir=system.temporary_folder(session.folder()))
    except OSError as error:
        raise InputError("no folder for the session: %s" % error) from None
    try:
        given = [name for name in ("--init-data", "--path-mapping-rules", "--config") if name in options]
        tasks_from = [name for name in ("--run-data", "--each") if name in options]
        for name, *others in (["--init-data"], ["--path-mapping-rules"], ["--run-data", *tasks_from]):
            show.sources[source(name, _place(folder, name))] = " and ".join(others or [name])
        init = [word for name in given for word in (name, _in_file(folder, name, options[name]))]
        if system.start_time(os.getpid()):  # else, without /proc, nobody can tell whether it lives
            init += ["--owner", str(os.getpid())]  # the daemon ends with this process, whatever kills it
        daemon = ["--connection-file", os.path.join(folder, "connection.json")]
        while task:
            begun = task
            try:
                ended = show.phase("start", [*command, "daemon", "start", *daemon, *init])
                while task and ended == DONE and not show.canceled:
                    number, data = task
                    passed = _file(folder, "--run-data", data)
                    ended = show.phase("task %d" % number, [*command, "daemon", "run", *daemon, "--run-data", passed])
                    if journal:
                        journal.add(number, ended, show.phases[-1]["seconds"])
                    task = next(tasks, None)
                if show.canceled and ended == DONE:
                    ended = CANCELED  # between two commands
            finally:
                stopped = show.phase("stop", [*command, "daemon", "stop", *daemon])
            code = code or ended or stopped
            if ended == CANCELED or task and show.canceled:
                return CANCELED
            if task is begun or "--keep-going" not in options:  # a start that has failed would fail again
                break
        return code
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # on Windows, what somebody has open stays


# A journal: which of a session's tasks are done, a file for each part.
#
# Its first line says whose tasks they are, and each that follows how one ended. A line is on the disk before the next
# task begins. Who is killed within one leaves it without its end: that line counts for nothing, and is removed.


class Journal:
    """What the journals of a folder tell, whatever the split was when they were written; the writer of one of them,
    which is locked as long as this lives.
    """

    def __init__(self, folder: str, part: int, parts: int, adaptor: str, data: Any) -> None:
        """``data``: all that the tasks are made of, as JSON values; another session's journals are refused.

        Raises :class:`InputError`, also where ``folder`` cannot be made or written.
        """
        # No data stand there, as they may be secret: their hash tells them apart.
        text = json.dumps(data, sort_keys=True).encode("ascii")
        self._head = {"journal": 1, "adaptor": adaptor, "data": hashlib.sha256(text).hexdigest()}
        #: The numbers of the tasks that are done.
        self.done: set[int] = set()
        self._path = os.path.join(folder, "part-%d-of-%d.jsonl" % (part, parts))
        try:
            os.makedirs(folder, exist_ok=True)
            for name in os.listdir(folder):
                path = os.path.join(folder, name)
                if name.startswith("part-") and name.endswith(".jsonl") and path != self._path:
                    with open(path, "rb") as stream:
                        self._read(path, stream.read())
            self._stream = open(self._path, "a+b", buffering=0)  # noqa: SIM115
            self._begin()
        except OSError as error:
            reason = "is not a folder" if isinstance(error, FileExistsError) else error.strerror
            raise InputError("--continue: %s: %s" % (error.filename or self._path, reason)) from None

    def _begin(self) -> None:
        try:
            if not system.lock(self._stream.fileno()):
                tell("INFO: --continue: %s: another session is at this part; waiting for its end" % self._path)
                if not system.wait_for_lock(self._stream.fileno(), PREDECESSOR_SECONDS):
                    raise InputError("--continue: %s: another session is at this part" % self._path)
        except OSError:
            pass  # a file system without locks, as some clusters have
        self._stream.seek(0)
        whole = self._read(self._path, self._stream.read())
        self._stream.truncate(whole)
        if not whole:
            self._write(self._head)

    def _read(self, path: str, text: bytes) -> int:
        """Take in a journal; returns the bytes of its whole lines."""
        whole = text[: text.rfind(b"\n") + 1]
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                record = json.loads(line.decode("ascii"))
                if number > 1 and record["exit"] == DONE:
                    self.done.add(int(record["task"]))
            except (ValueError, LookupError, TypeError):
                raise InputError("--continue: %s: line %d is not a journal's" % (path, number)) from None
            if number == 1 and record != self._head:
                raise InputError("--continue: %s is of another adaptor or other data; name another folder" % path)
        return len(whole)

    def add(self, task: int, code: int, seconds: float) -> None:
        """Write how a task has ended. Raises :class:`AdaptError` if that cannot be done."""
        try:
            self._write({"task": task, "exit": code, "seconds": round(seconds, 3), "host": platform.node()})
        except OSError as error:
            raise AdaptError("--continue: %s: task %d: %s" % (self._path, task, error.strerror)) from None

    def _write(self, record: dict[str, Any]) -> None:
        system.write_all(self._stream.fileno(), json.dumps(record).encode("ascii") + b"\n")
        os.fsync(self._stream.fileno())


# The phases, for tools and for people.


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


def part_of(options: dict[str, Any]) -> tuple[int, int]:
    """Which part of how many, from 1 on. Raises :class:`InputError`."""
    given = options.get("--part", "1/1")
    part, slash, parts = given.partition("/")
    are_numbers = slash and all(word.isascii() and word.isdigit() and len(word) < 10 for word in (part, parts))
    if not (are_numbers and 1 <= int(part) <= int(parts)):
        raise InputError("--part: %r is not K/N, with K from 1 to N" % given)
    return int(part), int(parts)


def share(tasks: int, part: int, parts: int) -> range:
    """The tasks of one part, by their numbers from 0 on; no part has more than one more than another."""
    return range((part - 1) * tasks // parts, part * tasks // parts)


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

    def __init__(self, descriptor: int, tasks: int, folder: str | None = None, owner: list[int] | None = None) -> None:
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
        self._owner = owner
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
            system.wait_for({self._wakeup.fileno(): system.READ}, LOOK_SECONDS if self._owner else None)
            if self._owner and not system.lives(*self._owner):
                self._owner = None
                self._cancel()
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
