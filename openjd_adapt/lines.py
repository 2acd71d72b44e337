"""An application's lines: passed on as they come, watched by callbacks and by an author's logging handlers.

Bytes are moved as they are, chunk by chunk; they become lines and text only where somebody looks at them. A block of
lines that has none of the texts that a pattern cannot match without is not looked at by line.
"""

from __future__ import annotations

import codecs
import logging
import re
import threading
from functools import lru_cache, partial

from . import task
from .errors import InputError, check_has_run, same_process
from .output import PIECE_BYTES, ConsoleHandler, kept, prefixed, report_traceback, write
from .session import CHARACTER_BYTES, PASSED_ON, character_end, redacted
from .watch import Done, Fatal, Ignore, Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from .adaptor import BaseAdaptor

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
#: Control sequences and operating system commands. Source: ECMA-48, 5.4 and 8.3.89.
_ESCAPES = re.compile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)|[@-Z\\\\^_])")
#: How an application's own line of progress begins.
_PROGRESS = PASSED_ON[0]
#: How long, in seconds, the lines may take that follow a fatal one and tell more.
FATAL_SECONDS = 1.0
#: How much of the end of a stream is kept for the case that the application dies.
TAIL_BYTES = 2048


class Prefilter:
    """A block of lines in which patterns are looked for, by texts that they need: few lines are worth a look.

    To search the block itself, with patterns made MULTILINE, took twenty times as long (15.8 ms where this takes 0.8).
    """

    def __init__(self, text: str) -> None:
        self._text = text
        # Case is folded as the patterns do it where all is ASCII; other letters have partners of their own.
        self._folded: str | None = None
        self._awake: dict[int, tuple[list[RegexCallback], list[RegexCallback]]] = {}

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

    def awake(self, handler: RegexHandler) -> list[RegexCallback]:
        """The callbacks of ``handler`` that a line of the block may call; looked for again when they have changed."""
        known, awake = self._awake.get(id(handler), (None, []))
        if known != handler.regex_callbacks:
            known = handler.regex_callbacks[:]
            awake = [
                entry
                for entry in known
                if type(entry).get_match is not RegexCallback.get_match or any(map(self.may_have, entry.regex_list))
            ]
            self._awake[id(handler)] = known, awake
        return awake


@lru_cache(maxsize=1024)
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
        elif kind == "BRANCH":
            found = [_best(_of_sequence(branch)) for branch in value[1]]
            texts = tuple(text for branch in found for text in branch)
            if all(found) and len(texts) <= _MOST:  # each branch needs something
                yield texts
    if run:
        yield (run,)


class RegexCallback:
    """Call ``callback(match)`` for a line in which one of ``regex_list`` is found (the first that is).

    ``exit_if_matched``: the callbacks after this one are not tried on that line. ``only_run_if_first_matched``: this
    one is tried only if none before it has matched.
    """

    def __init__(
        self,
        regex_list: Sequence[re.Pattern[str]],
        callback: Callable[[re.Match[str]], object],
        exit_if_matched: bool = False,
        only_run_if_first_matched: bool = False,
    ) -> None:
        self.regex_list = list(regex_list)
        self.callback = callback
        self.exit_if_matched = exit_if_matched
        self.only_run_if_first_matched = only_run_if_first_matched

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RegexCallback) and vars(self) == vars(other)

    def get_match(self, msg: str) -> re.Match[str] | None:
        """The match of the first pattern that is found in ``msg``."""
        return next(filter(None, (regex.search(msg) for regex in self.regex_list)), None)


class RegexHandler(logging.Handler):
    """The callbacks that are tried, in order, on every line; may serve both streams of a process at once."""

    def __init__(self, regex_callbacks: Sequence[RegexCallback], level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self.regex_callbacks = list(regex_callbacks)

    def only_calls_back(self) -> bool:
        """Whether a record does no more here than to call the callbacks, under the handler's lock."""
        own = (getattr(getattr(self, name), "__func__", None) for name in ("handle", "filter", "emit"))
        return not self.filters and [*own] == [logging.Handler.handle, logging.Handler.filter, RegexHandler.emit]

    def emit(self, record: logging.LogRecord) -> None:
        self._call_back(record.getMessage(), self.regex_callbacks[:])

    def _call_back(self, line: str, entries: Iterable[RegexCallback], before: Callable[[], object] = bool) -> None:
        """Call those of ``entries`` that ``line`` calls, ``before`` before each; one line at a time."""
        matched = False
        self.acquire()  # which another stream may have, too
        try:
            for entry in entries:
                match = None if matched and entry.only_run_if_first_matched else entry.get_match(line)
                if not match:
                    continue
                matched = True
                before()
                with same_process(report_traceback):  # within the lock, which logging makes anew in a child
                    returned: object = entry.callback(match)
                if returned is not None:
                    name = getattr(entry.callback, "__qualname__", entry.callback)
                    check_has_run("the callback %s" % name, returned)
                if entry.exit_if_matched:
                    return
        finally:
            self.release()


class Watcher(RegexHandler):
    """The watches of an adaptor: what is called for each line, and which lines are hidden."""

    def __init__(self, adaptor: BaseAdaptor, watches: Sequence[Watch]) -> None:
        where = "watch of " + type(adaptor).__name__
        if not isinstance(watches, (list, tuple)):
            raise InputError("%s: %r is not a list of watches" % (where, watches))
        for watch in watches:
            if not isinstance(watch, Watch):
                raise InputError("%s: %r is no watch, such as Progress(pattern)" % (where, watch))
        acting = [watch for watch in watches if not isinstance(watch, Ignore)]
        super().__init__([RegexCallback([watch.regex], partial(self._act, watch)) for watch in acting])
        ends = [watch.regex.pattern for watch in watches if isinstance(watch, Fatal)]
        for watch in watches:
            if isinstance(watch, Done) and watch.regex.pattern in ends:
                raise InputError("%s: Done and Fatal have the same pattern %r" % (where, watch.regex.pattern))
        self._adaptor = adaptor
        #: A line has said that the work is done.
        self.is_done = False
        #: Ends the wait for the lines that follow a fatal one, if there is such a wait.
        self.tell_fatal: Callable[[], object] = bool
        #: A line in which one of these is found is not passed on.
        self.hidden = [watch.regex for watch in watches if isinstance(watch, Ignore)]

    def _act(self, watch: Watch, match: re.Match[str]) -> None:
        if isinstance(watch, Done):
            self.is_done = True
            task.wake(self._adaptor._task)
        elif isinstance(watch, Fatal) and watch.lines > 1:
            self._collect(watch, match)
        else:
            watch.act(self._adaptor, match)

    def _collect(self, watch: Fatal, match: re.Match[str]) -> None:
        """Let the lines that follow tell more, but not for long."""
        if self.tell_fatal is not bool:
            return  # the first counts
        phase = task.current(self._adaptor._task).phase
        said = [watch.text(match)]

        def follow(match: re.Match[str]) -> None:
            said.append(match.string.strip())
            if len(said) == watch.lines:
                tell()

        def tell() -> None:
            self.acquire()
            try:
                if self.tell_fatal is tell:
                    self.tell_fatal = bool
                    self.regex_callbacks = [entry for entry in self.regex_callbacks if entry is not following]
                    phase.task.fail(watch.error(said), phase)
            finally:
                self.release()

        following = RegexCallback([re.compile("")], follow)
        self.regex_callbacks = [*self.regex_callbacks, following]
        self.tell_fatal = tell
        timer = threading.Timer(FATAL_SECONDS, tell)
        timer.daemon = True
        task.start(timer)


class LineForwarder:
    """Passes an application's output on, line by line as far as anyone looks at lines, chunk by chunk otherwise.

    ``\\r\\n`` and ``\\r`` end a line, too (progress bars). What a callback raises stops no forwarding: it fails
    the task that runs or, where none does, ``owner``.
    """

    def __init__(
        self,
        level: int,
        loggers: Sequence[logging.Logger] = (),
        handlers: Sequence[logging.Handler] = (),
        encoding: str = "utf-8",
        owner: task.Task | None = None,
    ) -> None:
        self._level = level
        self._prefix = ("%s: " % logging.getLevelName(level)).encode("utf-8")
        self._loggers = [each.logger if isinstance(each, logging.LoggerAdapter) else each for each in loggers]
        self._handlers = handlers
        self._hidden = [regex for handler in handlers if isinstance(handler, Watcher) for regex in handler.hidden]
        self._owner = owner or task.current()
        #: The end of what was passed on.
        self.tail = b""
        self._partial = b""
        self._continued = False
        self._after_return = False
        utf8 = codecs.lookup(encoding).name in ("utf-8", "ascii")
        self._decoder = None if utf8 else codecs.getincrementaldecoder(encoding)("backslashreplace")

    def feed(self, chunk: bytes, final: bool = False) -> None:
        """Take the next bytes of the stream; ``final``: there are no more."""
        current = task.current(self._owner)
        current.last_output = current.clock()
        if self._decoder:
            chunk = self._decoder.decode(chunk, final).encode("utf-8", "backslashreplace")
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
        if len(self._partial) > PIECE_BYTES:
            self._partial = redacted(self._partial)
        while len(self._partial) > PIECE_BYTES + CHARACTER_BYTES:
            cut = character_end(self._partial, PIECE_BYTES)
            self._pass_on(self._partial[:cut] + b"\n")
            self._continued = True
            self._partial = self._partial[cut:]

    def close(self) -> None:
        """The stream has ended: pass on an unfinished line."""
        self.feed(b"", final=True)
        if self._partial:
            self._pass_on(self._partial + b"\n")

    def _pass_on(self, block: bytes) -> None:
        """Pass on whole lines; the first may go on a piece that is out already, and then begins no line."""
        begin = block.rfind(b"\n", 0, max(0, len(block) - TAIL_BYTES)) + 1
        self.tail = (self.tail + redacted(block[begin:]))[-TAIL_BYTES:]
        if self._continued:
            end = block.index(b"\n") + 1
            self._show(block[:end], ())
            block = block[end:]
            self._continued = False
        if block:
            self._show(block, PASSED_ON)

    def _show(self, block: bytes, passed_on: Sequence[bytes]) -> None:
        phase = task.current(self._owner).phase
        if phase.task.is_between:
            passed_on = ()  # the scheduler would take it for the next task's
        outlets = [_Outlet(logger, self._level) for logger in self._loggers]
        as_they_are = not outlets or any(outlet.shows_all for outlet in outlets)
        outlets = [outlet for outlet in outlets if outlet.looks]
        prefilter = Prefilter(_plain(block) if self._handlers else "")
        hidden = list(filter(prefilter.may_have, self._hidden))
        try:
            watching = self._watching(prefilter)
        except BaseException as failure:  # what stands in for a callback is none
            phase.task.fail(failure, phase)
            watching = []
        if not outlets and not watching and not (hidden and as_they_are):
            if as_they_are:
                self._put(block, passed_on)
            return
        unshown: list[bytes] = []
        guard = same_process(report_traceback)

        def show() -> None:
            if unshown:
                self._put(b"\n".join(unshown) + b"\n", passed_on)
                unshown.clear()

        for line, harmless in zip(block[:-1].split(b"\n"), redacted(block)[:-1].split(b"\n")):
            text = _plain(line)
            is_hidden = any(regex.search(text) for regex in hidden)
            if as_they_are and not is_hidden:
                unshown.append(line)
            try:
                with guard:
                    for outlet in outlets:
                        show()
                        shown = None if as_they_are or is_hidden else passed_on
                        outlet.log(harmless.decode("utf-8", "backslashreplace"), shown)
                    for handler, regex_handler in watching:
                        if regex_handler:
                            regex_handler._call_back(text, prefilter.awake(regex_handler), show)
                        else:
                            show()
                            name = self._loggers[0].name if self._loggers else ""
                            handler.handle(_record(name, self._level, text, None))
            except BaseException as failure:
                phase.task.fail(failure, phase)
        show()

    def _put(self, block: bytes, passed_on: Sequence[bytes]) -> None:
        """Write lines; progress among them is reported as what the adaptor reports: limited, and not too often."""
        report = task.current(self._owner).report
        if report and passed_on and _PROGRESS in block:
            lines = block.split(b"\n")
            for line in [line for line in lines if line.startswith(_PROGRESS)]:
                report(line[len(_PROGRESS) :].decode("utf-8", "backslashreplace"))
                lines.remove(line)
            block = b"\n".join(lines)
        if block:
            write(prefixed(self._prefix, block, passed_on))

    def _watching(self, block: Prefilter) -> list[tuple[logging.Handler, RegexHandler | None]]:
        """The handlers, if one of them may do something with a line of ``block``; twice, if it only calls back."""
        watching = []
        is_awake = False
        for handler in self._handlers:
            if self._level >= handler.level:
                only = handler if isinstance(handler, RegexHandler) and handler.only_calls_back() else None
                is_awake = is_awake or only is None or bool(block.awake(only))
                watching.append((handler, only))
        return watching if is_awake else []


def _plain(lines: bytes) -> str:
    """Lines as callbacks see them: as text, and without colours and other escape sequences of a terminal."""
    text = lines.decode("utf-8", "backslashreplace")
    return _ESCAPES.sub("", text) if "\x1b" in text else text


def _record(name: str, level: int, line: str, passed_on: Sequence[bytes] | None) -> logging.LogRecord:
    record = logging.LogRecord(name, level, "", 0, line, None, None)
    record.passed_on = passed_on
    return record


class _Outlet:
    """Where a logger leads lines of a level: to consoles, which show them, and to handlers of an author's own."""

    def __init__(self, logger: logging.Logger, level: int) -> None:
        self._logger = logger
        self._level = level
        places = [logger]
        while places[-1].propagate and places[-1].parent:
            places.append(places[-1].parent)
        handlers = [handler for place in places for handler in place.handlers]
        if places[-1].parent is None and not any(isinstance(handler, ConsoleHandler) for handler in handlers):
            handlers.append(ConsoleHandler())  # outside of the worker, where nobody has set one up
        self._handlers = [handler for handler in handlers if handler.level <= level]
        # The root's level is that of log records, log_level.
        least = next((place.level for place in places if place.level and place.parent), logging.NOTSET)
        if logger.disabled or level < least or level <= logger.manager.disable:
            self._handlers = []
        plain = [isinstance(each, ConsoleHandler) and not each.filters for each in self._handlers]
        #: Whether every line is shown as it is; whether each has to be looked at.
        self.shows_all = any(plain) and not logger.filters
        self.looks = bool(plain) and not (all(plain) and self.shows_all)

    def log(self, line: str, passed_on: Sequence[bytes] | None) -> None:
        """Hand a line to the handlers; see :class:`ConsoleHandler`."""
        record = kept(self._logger, _record(self._logger.name, self._level, line, passed_on))
        if record:
            for handler in self._handlers:
                handler.handle(record)
