"""Every line's way out of the worker: ``print``, log records, ``openjd_*`` messages and the lines of applications.

All end in one pipe, the worker's descriptors 1 and 2, so that they keep the order in which they were made. Bytes are
moved as they are; they become text only where a callback or a handler of the author looks at a line.
"""

from __future__ import annotations

import codecs
import io
import logging
import os
import select
import sys
import threading
from functools import partial

from . import task
from .messages import PASSED_ON

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from typing import Any, Callable, Iterator, Sequence

STDOUT = logging.ERROR + 1  #: level of the lines of an application's standard output
STDERR = logging.ERROR + 2  #: level of the lines of an application's standard error
ADAPTOR_OUTPUT = logging.ERROR + 3  #: level of what an adaptor passes on for a daemon
for _level, _name in ((STDOUT, "STDOUT"), (STDERR, "STDERR"), (ADAPTOR_OUTPUT, "ADAPTOR_OUTPUT")):
    logging.addLevelName(_level, _name)

#: Longer lines are passed on in pieces that stay under the 64,000 characters of a log line, prefix included.
PIECE_BYTES = 63_900
_CHARACTER_BYTES = 4  # the most that UTF-8 takes for one
#: A read of this size rarely makes a block in which a line can be over :data:`PIECE_BYTES`.
READ_BYTES = 60_000


class _Pipe:
    """The worker's way out: one writer at a time, no short write lost, and whether a line is unfinished."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._mid_line = False

    def write(self, data: bytes, column_0: bool = False) -> None:
        if not data:
            return
        with self._lock:
            if column_0 and self._mid_line:
                data = b"\n" + data
            self._mid_line = data[-1:] != b"\n"
            view = memoryview(data)
            while view:
                try:
                    view = view[os.write(self._descriptor, view) :]
                except BlockingIOError:  # a child has made the common pipe non-blocking
                    select.select([], [self._descriptor], [])


class _Raw(io.RawIOBase):
    """A standard stream's lowest layer, over the common pipe."""

    def __init__(self, pipe: _Pipe, descriptor: int) -> None:
        self._pipe = pipe
        self._descriptor = descriptor

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def write(self, data: Any) -> int:
        self._pipe.write(bytes(data))
        return len(data)


class _Outlet:
    """Where the process writes: sys.stdout as it stands, until the worker installs the pipe."""

    pipe: _Pipe | None = None
    streams: tuple[io.TextIOWrapper, ...] = ()


def install_pipe() -> None:
    """Send sys.stdout and sys.stderr through one pipe: line-buffered, UTF-8, in the order of the writes.

    The pipe is descriptor 1 under a number of its own, so that an adaptor may do with 1 what it likes.
    """
    descriptor = os.dup(1)
    _open_streams(descriptor)
    # A forked child must not wait for a lock that another thread held at the fork.
    os.register_at_fork(after_in_child=partial(_open_streams, descriptor))


def _open_streams(descriptor: int) -> None:
    pipe = _Pipe(descriptor)
    streams = tuple(
        io.TextIOWrapper(
            io.BufferedWriter(_Raw(pipe, number)), encoding="utf-8", errors="backslashreplace", line_buffering=True
        )
        for number in (1, 2)
    )
    for name, stream, old in zip(("stdout", "stderr"), streams, _Outlet.streams or (sys.stdout, sys.stderr)):
        if getattr(sys, name) is old:
            setattr(sys, name, stream)
    _Outlet.streams = streams
    _Outlet.pipe = pipe


def flush() -> None:
    """Pass on what ``print`` has buffered."""
    for stream in _Outlet.streams or (sys.stdout, sys.stderr):
        if not stream.closed:
            stream.flush()


def write(data: bytes, column_0: bool = True) -> None:
    """Write whole lines after what was printed before, at the beginning of a line unless ``column_0`` is False."""
    if _Outlet.pipe is None:
        sys.stdout.write(data.decode("utf-8", "backslashreplace"))
        sys.stdout.flush()
        return
    flush()
    _Outlet.pipe.write(data, column_0)


def say(line: str) -> None:
    """Write one line of the runtime's own, such as ``openjd_progress: 50``."""
    write(line.encode("utf-8", "backslashreplace") + b"\n")


def prefixed(prefix: bytes, block: bytes, passed_on: Sequence[bytes] = ()) -> bytes:
    """``block``, lines that each end in a line break, with ``prefix`` before each and none over the limit.

    Lines that begin with one of ``passed_on`` stay as they are.
    """
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
    while line:
        end = _character_end(line, PIECE_BYTES)
        pieces.append(prefix + line[:end].rstrip(b"\n") + b"\n")
        line = line[end:]
    return b"".join(pieces)


def _character_end(data: bytes, size: int) -> int:
    """The largest end up to ``size`` that does not cut a UTF-8 character."""
    if len(data) <= size + 1:
        return len(data)
    end = size
    while end > size - _CHARACTER_BYTES and data[end] & 0xC0 == 0x80:
        end -= 1
    return end


class ConsoleHandler(logging.Handler):
    """Log records as ``LEVEL: line``, the prefix on every line of a record."""

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "passed_on", False):
            return
        try:
            text = self.format(record)
            prefix = ("%s: " % record.levelname).encode("utf-8", "backslashreplace")
            lines = text.replace("\r", "\n").encode("utf-8", "backslashreplace")
            write(prefixed(prefix, lines + b"\n"))
        except Exception:
            self.handleError(record)


def install_logging() -> None:
    """Send every log record through the outlet once; consoles that the author's main has set up are taken down.

    Handlers that write elsewhere stay.
    """
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if type(handler) is logging.StreamHandler and handler.stream in _CONSOLES:
            root.removeHandler(handler)
    root.addHandler(ConsoleHandler())


_CONSOLES = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)


class RegexCallback:
    """Call ``callback(match)`` for a line in which one of ``regex_list`` is found (the first that is).

    ``exit_if_matched``: the callbacks after this one are not tried on that line. ``only_run_if_first_matched``: this
    one is tried only if none before it has matched.
    """

    def __init__(
        self,
        regex_list: Sequence[re.Pattern[str]],
        callback: Callable[[re.Match[str]], None],
        exit_if_matched: bool = False,
        only_run_if_first_matched: bool = False,
    ) -> None:
        self.regex_list = regex_list
        self.callback = callback
        self.exit_if_matched = exit_if_matched
        self.only_run_if_first_matched = only_run_if_first_matched

    def get_match(self, msg: str) -> re.Match[str] | None:
        """The match of the first pattern that is found in ``msg``."""
        for regex in self.regex_list:
            match = regex.search(msg)
            if match:
                return match
        return None


class RegexHandler(logging.Handler):
    """The callbacks that are tried, in order, on every line; may serve both streams of a process at once."""

    def __init__(self, regex_callbacks: Sequence[RegexCallback], level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self.regex_callbacks = regex_callbacks

    def matches(self, line: str) -> Iterator[tuple[RegexCallback, re.Match[str]]]:
        """The callbacks that ``line`` calls, with their matches."""
        matched = False
        for entry in self.regex_callbacks:
            if matched and entry.only_run_if_first_matched:
                continue
            match = entry.get_match(line)
            if match:
                matched = True
                yield entry, match
                if entry.exit_if_matched:
                    return

    def emit(self, record: logging.LogRecord) -> None:
        for entry, match in self.matches(record.getMessage()):
            entry.callback(match)


class LineForwarder:
    """Passes an application's output on, line by line as far as anyone looks at lines, chunk by chunk otherwise.

    ``\\r\\n`` and ``\\r`` end a line, too (progress bars). An exception of a callback fails the running task and does
    not stop the forwarding.
    """

    def __init__(
        self,
        level: int,
        loggers: Sequence[logging.Logger] = (),
        handlers: Sequence[logging.Handler] = (),
        encoding: str = "utf-8",
        passed_on: Sequence[bytes] = PASSED_ON,
    ) -> None:
        self._level = level
        self._prefix = ("%s: " % logging.getLevelName(level)).encode("utf-8")
        self._loggers = loggers
        self._handlers = handlers
        self._passed_on = passed_on
        self._task = task.current()
        self._partial = b""
        self._continued = False
        self._after_return = False
        utf8 = codecs.lookup(encoding).name in ("utf-8", "ascii")
        self._decoder = None if utf8 else codecs.getincrementaldecoder(encoding)("backslashreplace")

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the stream."""
        self._take(self._decoder.decode(chunk).encode("utf-8", "backslashreplace") if self._decoder else chunk)

    def _take(self, chunk: bytes) -> None:
        if not chunk:
            return
        if self._after_return and chunk[:1] == b"\n":
            chunk = chunk[1:]
        self._after_return = chunk[-1:] == b"\r"
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        data = self._partial + chunk
        end = data.rfind(b"\n") + 1
        if end:
            self._pass_on(data[:end])
        self._partial = data[end:]
        while len(self._partial) > PIECE_BYTES + _CHARACTER_BYTES:
            cut = _character_end(self._partial, PIECE_BYTES)
            self._pass_on(self._partial[:cut] + b"\n")
            self._continued = True
            self._partial = self._partial[cut:]

    def close(self) -> None:
        """The stream has ended: pass on an unfinished line."""
        if self._decoder:
            self._take(self._decoder.decode(b"", final=True).encode("utf-8", "backslashreplace"))
        if self._partial:
            self._pass_on(self._partial + b"\n")
            self._partial = b""

    def _pass_on(self, block: bytes) -> None:
        """Pass on whole lines; the first may go on a piece that is out already, and then begins no line."""
        if self._continued:
            end = block.index(b"\n") + 1
            self._show(block[:end], ())
            block = block[end:]
            self._continued = False
        if block:
            self._show(block, self._passed_on)

    def _show(self, block: bytes, passed_on: Sequence[bytes]) -> None:
        if not self._handlers and not any(_has_author_handlers(logger) for logger in self._loggers):
            write(prefixed(self._prefix, block, passed_on))
            return
        begin = position = 0
        for line in block[:-1].split(b"\n"):
            position += len(line) + 1
            try:
                for call in self._calls(line.decode("utf-8", "backslashreplace")):
                    if begin < position:
                        write(prefixed(self._prefix, block[begin:position], passed_on))
                        begin = position
                    call()
            except BaseException as failure:
                self._task.fail(failure)
        if begin < position:
            write(prefixed(self._prefix, block[begin:], passed_on))

    def _calls(self, line: str) -> Iterator[Callable[[], object]]:
        """What is to be called for ``line``, after it was passed on itself: an author's logging, then callbacks."""
        for logger in self._loggers:
            if _has_author_handlers(logger) and logger.isEnabledFor(self._level):
                yield partial(logger.handle, self._record(logger.name, line))
        for handler in self._handlers:
            if isinstance(handler, RegexHandler) and type(handler).emit is RegexHandler.emit:
                for entry, match in handler.matches(line):
                    yield partial(entry.callback, match)
            else:
                yield partial(handler.handle, self._record("", line))

    def _record(self, name: str, line: str) -> logging.LogRecord:
        record = logging.LogRecord(name, self._level, "", 0, line, None, None)
        record.passed_on = True
        return record


def _has_author_handlers(logger: logging.Logger) -> bool:
    """Whether a record of ``logger`` would reach a handler other than the console."""
    place: logging.Logger | None = logger
    while place:
        if any(not isinstance(handler, ConsoleHandler) for handler in place.handlers):
            return True
        place = place.parent if place.propagate else None
    return False
