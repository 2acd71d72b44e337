"""Every line's way out of the worker: ``print``, log records, ``openjd_*`` messages and the lines of applications.

All end in one pipe, so that they keep the order in which they were made.
"""

from __future__ import annotations

import _thread
import io
import logging
import os
import sys
import time
from collections import deque
from contextlib import contextmanager
from functools import partial
from operator import attrgetter

from . import session, system, task
from .errors import as_utf8, flush_streams, traceback_of
from .session import character_end, redacted
from .transport.wire import InOrder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any


STDOUT = logging.ERROR + 1  #: level of the lines of an application's standard output
STDERR = logging.ERROR + 2  #: level of the lines of an application's standard error
ADAPTOR_OUTPUT = logging.ERROR + 3  #: level of what an adaptor passes on for a daemon
for _level, _name in ((STDOUT, "STDOUT"), (STDERR, "STDERR"), (ADAPTOR_OUTPUT, "ADAPTOR_OUTPUT")):
    logging.addLevelName(_level, _name)

#: Longer lines are passed on in pieces that stay under the 64,000 characters of a log line, prefix included.
PIECE_BYTES = 63_900
#: A read of this size rarely makes a block in which a line can be over :data:`PIECE_BYTES`.
READ_BYTES = 60_000
#: Progress is reported this often, in seconds, at the most.
REPORT_SECONDS = 0.1
#: Where the consoles that an author's main sets up write.
_CONSOLES = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)


class Way(InOrder):
    """The process's way out: one writer at a time, and whether a line is unfinished."""

    def __init__(self, put: Callable[[bytes], object]) -> None:
        super().__init__(self._write)
        self._put = put
        self._mid_line = False
        #: The standard streams that lead here, once they are opened.
        self.streams: tuple[io.TextIOWrapper, ...] = ()

    def open_streams(self) -> None:
        """Lead sys.stdout and sys.stderr here: line-buffered, UTF-8, in the order of the writes."""
        text = partial(io.TextIOWrapper, encoding="utf-8", errors="backslashreplace", newline="\n", line_buffering=True)
        sys.stdout, sys.stderr = self.streams = text(_Raw(self, 1)), text(_Raw(self, 2))  # type: ignore[arg-type]
        _ways.append(self)

    def _write(self, data: bytes | Callable[[], bytes], column_0: bool = False) -> None:
        """A function is called for the data when all that was written before is out."""
        if callable(data):
            data = data()
        if not data:
            return
        if column_0 and self._mid_line:
            data = b"\n" + data
        self._mid_line = data[-1:] != b"\n"
        self._put(data)


class _Raw(io.RawIOBase):
    """A standard stream's lowest layer: nothing is buffered here, and no lock is held."""

    def __init__(self, way: Way, descriptor: int) -> None:
        self._way = way
        self._descriptor = descriptor

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def write(self, data: Any) -> int:
        data = bytes(data)
        self._way(data)
        return len(data)


#: The last is the way that is taken: sys.stdout as it stands, until the worker installs the pipe.
_ways = [Way(lambda data: print(data.decode("utf-8", "backslashreplace"), end="", flush=True))]


def install_pipe() -> None:
    """Send all that this process writes through one pipe.

    It is descriptor 1 under a number of its own, so that an adaptor may do with 1 what it likes.
    """
    way = Way(partial(system.write_all, os.dup(1)))
    way.open_streams()
    if hasattr(os, "register_at_fork"):  # a child must not write an unfinished line again, nor wait for other threads
        os.register_at_fork(before=flush, after_in_child=way.reset)


@contextmanager
def diverted(put: Callable[[bytes], object]) -> Iterator[None]:
    """Hand all that this process would write to ``put``, one call at a time, for the length of a block."""
    before = sys.stdout, sys.stderr
    Way(put).open_streams()
    try:
        yield
    finally:
        flush()
        _ways.pop()
        sys.stdout, sys.stderr = before


def flush() -> None:
    """Pass on what ``print`` has buffered."""
    flush_streams(*_ways[-1].streams)


def write(data: bytes | Callable[[], bytes], column_0: bool = True) -> None:
    """Write whole lines after what was printed before, at the beginning of a line unless ``column_0`` is False."""
    flush()
    _ways[-1](data, column_0)


def say(line: str) -> None:
    """Write one line of the runtime's own, such as ``openjd_progress: 50``."""
    write(_encoded(line))


def _encoded(line: str) -> bytes:
    return line.encode("utf-8", "backslashreplace") + b"\n"


def write_lines(level: str, text: str, passed_on: Sequence[bytes] = ()) -> None:
    """Write ``text`` with its level before each of its lines, so that none is a directive but of ``passed_on``."""
    write(prefixed(_encoded(level + ": ")[:-1], _encoded(as_utf8(text.replace("\r", "\n"))), passed_on))


def report_traceback(error: BaseException) -> None:
    """Write the traceback of what an author's code has raised."""
    flush_streams()  # what it has printed before, over whatever stream it has set up
    write_lines("ERROR", traceback_of(error))


def prefixed(prefix: bytes, block: bytes, passed_on: Sequence[bytes] = ()) -> bytes:
    """Whole lines, with ``prefix`` before each that does not begin with one of ``passed_on``; none over the limit."""
    if block.find(b"\n") == len(block) - 1 <= PIECE_BYTES and not passed_on:
        return prefix + block
    if len(block) > PIECE_BYTES and max(map(len, block.split(b"\n"))) > PIECE_BYTES:
        return b"".join(_in_pieces(prefix, line + b"\n", passed_on) for line in block[:-1].split(b"\n"))
    data = (b"\n" + block[:-1]).replace(b"\n", b"\n" + prefix)
    if b"openjd_" in block:
        for directive in passed_on:
            data = data.replace(b"\n" + prefix + directive, b"\n" + directive)
    return data[1:] + b"\n"


def _in_pieces(prefix: bytes, line: bytes, passed_on: Sequence[bytes]) -> bytes:
    if len(line) <= PIECE_BYTES:
        return prefixed(prefix, line, passed_on)
    pieces = []
    line = redacted(line)  # of which a piece alone would not tell that it is a secret
    while line:
        end = character_end(line, PIECE_BYTES)
        pieces.append(prefix + line[:end].rstrip(b"\n") + b"\n")
        line = line[end:]
    return b"".join(pieces)


def kept(filterer: logging.Filterer, record: logging.LogRecord) -> logging.LogRecord | None:
    """What the filters of a logger or a handler make of a record: since Python 3.12 it may be another one."""
    result: Any = filterer.filter(record)
    return result if isinstance(result, logging.LogRecord) else record if result else None


class ConsoleHandler(logging.Handler):
    """Log records as ``LEVEL: line``, the prefix on every line of a record.

    One of an application's line says what may begin it as it is (``passed_on``), or None if it is not to be shown here.
    """

    def handle(self, record: logging.LogRecord) -> Any:
        """As of any handler, but without a lock: the pipe has one."""
        accepted = None if getattr(record, "passed_on", ()) is None else kept(self, record)
        if accepted:
            self.emit(accepted)
        return accepted or False

    def emit(self, record: logging.LogRecord) -> None:
        try:
            plain = self.formatter is None and not (record.exc_info or record.exc_text or record.stack_info)
            text = record.getMessage() if plain else self.format(record)
            write_lines(record.levelname, text, getattr(record, "passed_on", ()))
        except Exception:
            self.handleError(record)


def install_logging() -> None:
    """Send every log record through the pipe once: consoles that the author's main has set up are taken down."""
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if type(handler) is logging.StreamHandler and handler.stream in _CONSOLES:
            root.removeHandler(handler)
    root.addHandler(ConsoleHandler())


#: What makes a record and leads it to the handlers; another package may put its own in its place.
_STEPS = ("findCaller", "makeRecord", "handle", "filter", "callHandlers")
_steps_of = attrgetter("LogRecord.__init__", "LogRecord.getMessage", "Logger._log", *map("Logger.%s".__mod__, _STEPS))
_STANDARD = _steps_of(logging)


class _Shortcut:
    """``Logger._log``: where only the console would see a record, its line is written without making one.

    Else it is the standard library's, called by whom it always was, as it counts frames: in what an author's handlers,
    filters, formatters, factories and classes of loggers see nothing changes.
    """

    def __get__(self, logger: logging.Logger | None, kind: type | None = None) -> Any:
        if logger is None or not _only_console_sees(logger):
            return _STANDARD[2].__get__(logger, kind)
        return partial(_log_line, logger)


def _only_console_sees(logger: logging.Logger) -> bool:
    place: Any = logger
    while place is not logging.root:
        if place is None or place.handlers or not place.propagate:
            return False
        place = place.parent
    handlers = logging.root.handlers[:]
    if [type(each) for each in handlers] != [ConsoleHandler] or handlers[0].formatter or handlers[0].filters:
        return False
    if type(logger) not in (logging.Logger, logging.RootLogger) or logger.filters or logger.disabled:
        return False
    is_own = vars(logger).keys().isdisjoint(_STEPS) and logging.getLogRecordFactory() is logging.LogRecord
    return is_own and bool(_steps_of(logging) == _STANDARD)


def _log_line(logger: logging.Logger, level: int, msg: object, args: Any, *more: Any, **named: Any) -> None:
    if not more and not named:
        try:
            if level >= logging.root.handlers[0].level:
                write_lines(logging.getLevelName(level), str(msg) % args if args else str(msg))
            return
        except Exception:
            pass  # it is of names, for a mapping, or wrong, which the handler tells
    if sys.version_info >= (3, 8) and len(more) <= 3:
        named["stacklevel"] = named.get("stacklevel", 1) + 1
    _STANDARD[2](logger, level, msg, args, *more, **named)


def spare_records() -> None:
    """Make log records only where somebody but the console sees them, and the standard library's own makes them."""
    if all(getattr(step, "__globals__", None) is vars(logging) for step in _STANDARD + _steps_of(logging)):
        logging.Logger._log = _Shortcut()  # type: ignore[method-assign, assignment]


def progress_line(percent: float, span: tuple[float, float] = (0.0, 100.0)) -> str | None:
    """As :func:`session.progress`, None for what is no change; says once that something was not a number."""
    line, current = session.progress(percent, *span), task.current()
    if line is None and not ProgressThrottle.has_warned:
        ProgressThrottle.has_warned = True
        logging.getLogger(__name__).warning(
            "Progress %.100r is not a number: it and its like are not reported", percent
        )
    if line is None or line == current.progress:
        return None
    current.progress, current.last_progress = line, current.clock()
    return line


class ProgressThrottle:
    """Reports progress not too often, scaled to a part of the task, and never loses the last value."""

    has_warned = False  # of what was no number
    #: What waits, if anything does; of all throttles, for a process has one scheduler to report to.
    waiting: deque[str] = deque(maxlen=1)

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = float("-inf")
        #: When what waits is reported, unless a later value or the end of the task does.
        self._due = float("-inf")
        #: The part of the task, in percent, that 0 to 100 stand for.
        self.span = (0.0, 100.0)

    def report(self, percent: float) -> None:
        """Report, now or a moment later if no other value comes until then."""
        line = progress_line(percent, self.span)
        if line is None or task.current().is_between:
            return
        self.waiting.append(line)
        now = self._clock()
        if now - self._last >= REPORT_SECONDS:
            self.flush()
        elif now >= self._due and task.current() is not task.IDLE:  # whose end flush tells
            self._due = self._last + REPORT_SECONDS
            # Not as a threading.Thread, whose start takes a lock: a signal handler may be here.
            try:
                _thread.start_new_thread(self._report_late, (self._due - now,))
            except RuntimeError:  # the host has no room for another
                self.flush()

    def _report_late(self, seconds: float) -> None:
        time.sleep(seconds)
        if self.waiting:  # else the process may be ending, and its streams be taken apart
            self.flush()

    def flush(self) -> None:
        """Report what waits; afterwards no other thread is about to."""
        write(self._take)

    def _take(self) -> bytes:
        try:
            line = self.waiting.pop()
        except IndexError:
            return b""
        if task.current().is_between:
            return b""
        self._last = self._clock()
        return _encoded(line)

    @contextmanager
    def within(self, begin: float, end: float) -> Iterator[None]:
        """Let 0 to 100 stand for another part of the task for the length of a block."""
        before, self.span = self.span, (begin, end)
        try:
            yield
        finally:
            self.span = before
