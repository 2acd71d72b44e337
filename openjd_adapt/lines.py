"""An application's lines: passed on as they come, watched by callbacks and by an author's logging handlers.

Bytes are moved as they are, chunk by chunk; they become lines and text only where somebody looks at them. A block of
lines that has none of the texts that a pattern cannot match without is not looked at by line.
"""

from __future__ import annotations

import codecs
import functools
import logging
import re
from functools import partial

from . import task
from .output import CHARACTER_BYTES, PIECE_BYTES, ConsoleHandler, character_end, prefixed, write
from .session import PASSED_ON
from .watch import Ignore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from .adaptor import BaseAdaptor
    from .watch import Watch

    #: One of these texts is in whatever matches.
    Literals = tuple[str, ...]


try:
    from re import _parser  # type: ignore[attr-defined, unused-ignore]
except ImportError:  # before Python 3.11
    import sre_parse as _parser


#: More alternatives than this cost more to look for than they save.
_MOST = 16
#: Flags that change which text a literal stands for.
_LOOSE = re.VERBOSE | re.LOCALE


class Prefilter:
    """A block of lines in which patterns are looked for."""

    def __init__(self, text: str) -> None:
        self._text = text
        # Case is folded as the patterns do it where all is ASCII; other letters have partners of their own.
        self._folded: str | None = None

    def may_have(self, pattern: re.Pattern[str]) -> bool:
        """Whether ``pattern`` may be found in a line of the block; only a clear no is one."""
        texts = literals_of(pattern) if isinstance(pattern, re.Pattern) else ()
        if not texts:
            return True
        text = self._text
        if pattern.flags & re.IGNORECASE:
            if not text.isascii():
                return True
            text = self._folded = self._folded or text.lower()
        return any(literal in text for literal in texts)


@functools.lru_cache(maxsize=1024)
def literals_of(pattern: re.Pattern[str]) -> Literals:
    """Texts of which a line that ``pattern`` is found in has at least one; none where that cannot be told.

    Of a pattern that ignores case they are in ASCII and lower case.
    """
    if not isinstance(pattern.pattern, str) or pattern.flags & _LOOSE:
        return ()
    try:
        candidates = list(_of_sequence(_parser.parse(pattern.pattern)))
    except (re.error, RecursionError, ValueError):
        return ()
    if pattern.flags & re.IGNORECASE:
        candidates = [tuple(text.lower() for text in texts) for texts in candidates if all(map(str.isascii, texts))]
    return _best(candidates)


def _best(candidates: Iterable[Literals]) -> Literals:
    """The hardest to find of the candidates: whose shortest text is the longest."""
    return max(candidates, key=lambda texts: min(map(len, texts)), default=())


def _of_sequence(items: Iterable[tuple[Any, Any]]) -> Iterator[Literals]:
    """What each part of a sequence cannot match without. Literals beside each other are one text."""
    run = ""
    for name, value in items:
        kind = str(name)
        if kind == "LITERAL" and value != 10:  # a line has no line break
            run += chr(value)
            continue
        if kind == "AT":  # takes no character, so that what is around it stands together
            continue
        if run:
            yield (run,)
            run = ""
        if kind == "SUBPATTERN":
            _, added, removed, inner = value
            if not added and not removed:
                yield from _of_sequence(inner)
        elif kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT") and value[0] > 0:
            yield from _of_sequence(value[2])
        elif kind == "ATOMIC_GROUP":
            yield from _of_sequence(value)
        elif kind == "BRANCH":
            yield from _of_branches(value[1])
    if run:
        yield (run,)


def _of_branches(branches: Iterable[Any]) -> Iterator[Literals]:
    """What one of several branches needs, if each needs something."""
    found = [_best(_of_sequence(branch)) for branch in branches]
    texts = tuple(text for branch in found for text in branch)
    if all(found) and len(texts) <= _MOST:
        yield texts


#: How much of the end of a stream is kept for the case that the application dies.
TAIL_BYTES = 2048


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
        self.regex_list = list(regex_list)
        self.callback = callback
        self.exit_if_matched = exit_if_matched
        self.only_run_if_first_matched = only_run_if_first_matched

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RegexCallback) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

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
        self.regex_callbacks = list(regex_callbacks)

    @property
    def only_calls_back(self) -> bool:
        """Whether nothing but its callbacks looks at lines, whatever it is derived into."""
        kind = type(self)
        own = (RegexHandler.emit, RegexHandler.hides, RegexHandler.matches)
        return (kind.emit, kind.hides, kind.matches) == own

    def awake(self, block: Prefilter) -> list[RegexCallback]:
        """The callbacks that a line of ``block`` may call."""
        return [
            entry
            for entry in self.regex_callbacks
            if type(entry).get_match is not RegexCallback.get_match or any(map(block.may_have, entry.regex_list))
        ]

    def matches(
        self, line: str, callbacks: Sequence[RegexCallback] | None = None
    ) -> Iterator[tuple[RegexCallback, re.Match[str]]]:
        """Those of ``callbacks``, or of all, that ``line`` calls, with their matches."""
        matched = False
        for entry in self.regex_callbacks if callbacks is None else callbacks:
            if matched and entry.only_run_if_first_matched:
                continue
            match = entry.get_match(line)
            if match:
                matched = True
                yield entry, match
                if entry.exit_if_matched:
                    return

    def hides(self, line: str) -> bool:
        """Whether the line is not to be passed on."""
        return False

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
        #: The end of what was passed on.
        self.tail = b""
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
        while len(self._partial) > PIECE_BYTES + CHARACTER_BYTES:
            cut = character_end(self._partial, PIECE_BYTES)
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
        self.tail = (self.tail + block[-TAIL_BYTES:])[-TAIL_BYTES:]
        if self._continued:
            end = block.index(b"\n") + 1
            self._show(block[:end], ())
            block = block[end:]
            self._continued = False
        if block:
            self._show(block, self._passed_on)

    def _show(self, block: bytes, passed_on: Sequence[bytes]) -> None:
        known = self._callbacks()
        try:
            watching = self._watching(block)
        except BaseException as failure:  # what stands in for a callback is none
            self._task.fail(failure)
            watching = []
        if not watching and not any(map(_has_author_handlers, self._loggers)):
            write(prefixed(self._prefix, block, passed_on))
            return
        begin = position = 0
        for line in block[:-1].split(b"\n"):
            position += len(line) + 1
            text = line.decode("utf-8", "backslashreplace")
            if any(handler.hides(text) for handler, _ in watching if isinstance(handler, RegexHandler)):
                end = position - len(line) - 1
                if begin < end:
                    write(prefixed(self._prefix, block[begin:end], passed_on))
                begin = position
            try:
                for call in self._calls(text, watching):
                    if begin < position:
                        write(prefixed(self._prefix, block[begin:position], passed_on))
                        begin = position
                    call()
            except BaseException as failure:
                self._task.fail(failure)
            if begin == position and known != self._callbacks():  # one of them has changed what is watched for
                watching = [(handler, None) for handler in self._handlers]
        if begin < position:
            write(prefixed(self._prefix, block[begin:], passed_on))

    def _callbacks(self) -> list[list[RegexCallback]]:
        return [handler.regex_callbacks[:] for handler in self._handlers if isinstance(handler, RegexHandler)]

    def _watching(self, block: bytes) -> list[tuple[logging.Handler, Sequence[RegexCallback] | None]]:
        """The handlers that may do something with a line of ``block``; of those that only call back, the callbacks."""
        watching: list[tuple[logging.Handler, Sequence[RegexCallback] | None]] = []
        prefilter: Prefilter | None = None
        for handler in self._handlers:
            if isinstance(handler, RegexHandler) and handler.only_calls_back:
                prefilter = prefilter or Prefilter(block.decode("utf-8", "backslashreplace"))
                callbacks = handler.awake(prefilter)
                if callbacks:
                    watching.append((handler, callbacks))
            else:
                watching.append((handler, None))
        return watching

    def _calls(
        self, line: str, watching: Sequence[tuple[logging.Handler, Sequence[RegexCallback] | None]]
    ) -> Iterator[Callable[[], object]]:
        """What is to be called for ``line``, after it was passed on itself: an author's logging, then callbacks."""
        for logger in self._loggers:
            if _has_author_handlers(logger) and logger.isEnabledFor(self._level):
                yield partial(logger.handle, self._record(logger.name, line))
        for handler, callbacks in watching:
            if isinstance(handler, RegexHandler) and type(handler).emit is RegexHandler.emit:
                for entry, match in handler.matches(line, callbacks):
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


class Watcher(RegexHandler):
    """The watches of an adaptor: what is called for each line, and which lines are hidden."""

    def __init__(self, adaptor: BaseAdaptor, watches: Sequence[Watch]) -> None:
        self._hidden = [watch.regex for watch in watches if isinstance(watch, Ignore)]

        def callback(watch: Watch) -> Callable[[re.Match[str]], None]:
            return lambda match: watch.act(adaptor, match)

        acting = [watch for watch in watches if not isinstance(watch, Ignore)]
        super().__init__([RegexCallback([watch.regex], callback(watch)) for watch in acting])

    def hides(self, line: str) -> bool:
        """Whether the line is not to be passed on."""
        return any(regex.search(line) for regex in self._hidden)
