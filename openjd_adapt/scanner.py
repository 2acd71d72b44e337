"""Where a YAML text is being read: the token that comes next, and the scalars, as text, that stand there."""

from __future__ import annotations

import re
import sys

from .scalars import BREAKS, ScalarError, fold, normal, resolve, unquote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from .scalars import Scalar

#: How far the colon may be from its key's begin, in characters.
KEY_LIMIT = 1024
KEY_TOO_LONG = "a key may have %d characters at the most" % KEY_LIMIT

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_BREAK = re.compile("\r\n|[%s]" % BREAKS)
_GAP = re.compile(" *(?:#[^%s]*)?(\r\n|[%s])?" % (BREAKS, BREAKS))
_BLANK_LINE = re.compile(" *(\r\n|[%s])" % BREAKS)
_BLANKS = re.compile(" *")
_TO_LINE_END = re.compile("[^%s]*" % BREAKS)
_WHITE = "[ \t%s]" % BREAKS
_SEPARATE = re.compile(_WHITE + r"|\Z")
_MARKER = re.compile(r"(?:---|\.\.\.)(?:%s|\Z)" % _WHITE)
_COLON = re.compile(r" *:(?=%s|\Z)" % _WHITE)
_QUOTED = {"'": re.compile("'([^']*(?:''[^']*)*)'(?!')"), '"': re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)}
_BLOCK_HEADER = re.compile(r"[|>](?:([-+])([1-9])?|([1-9])([-+])?)?(?: +(?:#[^%s]*)?)?(?=[%s]|\Z)" % (BREAKS, BREAKS))

#: Where plain text ends that stands in a block collection, and where in a flow collection. It may not hold a tab.
IN_BLOCK = re.compile(r"[\t%s]| #|:(?=%s|\Z)|\Z" % (BREAKS, _WHITE))
IN_FLOW = re.compile(r"[\t%s,?\[\]{}]| #|:(?=[ \t%s,\[\]{}]|\Z)|\Z" % (BREAKS, BREAKS))
#: What may begin plain text there if it does not stand alone.
_TEXT_INDICATORS = {IN_BLOCK: ("?", ":", "-"), IN_FLOW: ("-",)}

_REFUSED = {
    "&": "anchors (&) are not supported; put quotes around text that begins with &",
    "*": "aliases (*) are not supported; put quotes around text that begins with *",
    "!": "tags (!) are not supported; put quotes around text that begins with !",
    "?": "complex keys (?) are not supported; put quotes around text that holds or begins with ?",
    "%": "directives (%) are not supported; put quotes around text that begins with %",
    "|": "a block scalar (|) cannot stand here",
    ">": "a block scalar (>) cannot stand here",
    "-": "an item (-) cannot stand here",
    ":": "a key is missing before the colon",
    "": "the text ends where a value should be",
    **{char: "%s cannot stand here; put quotes around text that begins with it" % char for char in "@`,[]{}"},
}


class YAMLDecodeError(ValueError):
    """Text that cannot be read: malformed, or beyond what is supported.

    ``message`` says what is wrong, ``line`` and ``column`` (both from 1) where; ``str()`` has all three.
    """

    def __init__(self, message: str, text: str, position: int) -> None:
        begins = [0, *(match.end() for match in _BREAK.finditer(text, 0, position))]
        self.message = message
        self.line = len(begins)
        self.column = position - begins[-1] + 1
        super().__init__("line %d, column %d: %s" % (self.line, self.column, message))


class Scanner:
    """A place in a text, which :meth:`next` and the methods that read a scalar move on, never back.

    Raises :class:`YAMLDecodeError`, also for characters that no YAML may hold.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        #: The place, in characters.
        self.at = text[:1].count("\ufeff")
        self.line_begin = self.at
        #: The first character of the token there, "" at the document's end.
        self.char = ""
        #: How many characters stand before the token in its line; -1 at the document's end.
        self.column = -1
        unprintable = _UNPRINTABLE.search(text)
        if unprintable:
            self.refuse("the character U+%04X is not allowed" % ord(unprintable.group()), unprintable.start())

    def refuse(self, message: str, at: int | None = None) -> NoReturn:
        raise YAMLDecodeError(message, self.text, self.at if at is None else at)

    def next(self) -> bool:
        """Go to the next token, over blanks, comments and line breaks; whether it stands on another line."""
        text = self.text
        at = self.at
        new_line = False
        while True:
            gap = _GAP.match(text, at)
            assert gap
            at = gap.end()
            if gap.lastindex is None:
                break
            self.line_begin = at
            new_line = True
        self.at = at
        self.column = at - self.line_begin
        self.char = text[at : at + 1]
        if not self.char or (not self.column and self.char in "-." and _MARKER.match(text, at)):
            self.char = ""
            self.column = -1
        elif self.char == "\t":
            self.refuse("a tab cannot stand here; use blanks")
        return new_line

    def skip(self, length: int) -> bool:
        """Go to the token behind the ``length`` characters here; whether it stands on another line."""
        self.at += length
        return self.next()

    def at_marker(self, marker: str) -> bool:
        """Whether the document ends here by ``---`` or ``...``."""
        return not self.char and self.text.startswith(marker, self.at)

    def at_item(self) -> bool:
        """Whether the token is the - of a block sequence's item."""
        return self.char == "-" and _SEPARATE.match(self.text, self.at + 1) is not None

    def at_colon(self) -> bool:
        """Whether a colon that ends a key stands here or behind blanks."""
        return _COLON.match(self.text, self.at) is not None

    def colon(self, begin: int, line_begin: int) -> bool:
        """Whether what was read from ``begin`` on, in that line, is a block mapping's key; if so, pass its colon."""
        match = _COLON.match(self.text, self.at)
        if not match or self.line_begin != line_begin:
            return False
        if match.end() - 1 - begin > KEY_LIMIT:
            self.refuse(KEY_TOO_LONG, begin)
        self.at = match.end()
        return True

    def resolve(self, text: str, begin: int) -> Scalar:
        """The value of plain text that begins at ``begin``."""
        try:
            return resolve(text)
        except ScalarError as error:
            self.refuse(str(error), begin)

    def quoted(self) -> str:
        """The quoted scalar here. Its lines need no indentation."""
        quote = self.char
        match = _QUOTED[quote].match(self.text, self.at)
        if not match:
            self.refuse("this %s has no second one" % quote)
        for line_break in _BREAK.finditer(self.text, match.start(1), match.end(1)):
            self.line_begin = line_break.end()
            if _MARKER.match(self.text, self.line_begin):
                self.refuse("a document cannot end within quotes", self.line_begin)
        self.at = match.end()
        try:
            return unquote(match.group(1), quote)
        except ScalarError as error:
            self.refuse(str(error), match.start(1) + error.offset)

    def plain_line(self, end: re.Pattern[str]) -> str:
        """The plain text here, up to the end of its line; ``end`` is :data:`IN_BLOCK` or :data:`IN_FLOW`."""
        char = self.char
        if char in _REFUSED and (char not in _TEXT_INDICATORS[end] or _SEPARATE.match(self.text, self.at + 1)):
            self.refuse(_REFUSED[char])
        return self._words(end)

    def _words(self, end: re.Pattern[str]) -> str:
        match = end.search(self.text, self.at)
        assert match
        words = self.text[self.at : match.start()].rstrip(" ")
        self.at += len(words)
        return words

    def plain_rest(self, text: str, end: re.Pattern[str], least_column: int) -> str:
        """``text`` and the lines that continue it, folded; each begins at ``least_column`` or further right."""
        texts = [text]
        while True:
            before, line_begin = self.at, self.line_begin
            breaks = []
            match = _BLANK_LINE.match(self.text, before)
            while match:
                breaks.append(normal(match.group(1)))
                line_begin = match.end()
                match = _BLANK_LINE.match(self.text, line_begin)
            begin = self._behind(_BLANKS, line_begin)
            if (
                not breaks
                or begin - line_begin < least_column
                or self.text.startswith("#", begin)
                or _MARKER.match(self.text, line_begin)
            ):
                return "".join(texts)
            self.at = begin
            words = self._words(end)
            if not words:
                self.at = before
                return "".join(texts)
            texts += [fold(breaks), words]
            self.line_begin = line_begin

    def block_scalar(self, indent: int) -> str:
        """The literal or folded scalar here, in a collection at ``indent``; then stand at its last line's end."""
        text = self.text
        header = _BLOCK_HEADER.match(text, self.at)
        if not header:
            self.refuse("behind %s only an indentation (1-9), + or -, and a comment can stand" % self.char)
        folded = self.char == ">"
        chomping = header.group(1) or header.group(4)
        digit = header.group(2) or header.group(3)
        self.at = header.end()
        at, _ = self._line_break(self.at)
        least = max(indent + 1, 1)
        columns = least + int(digit) - 1 if digit else max(least, self._widest_begin(at))
        chunks: list[str] = []
        breaks: list[str] = []
        last = ""  # the break behind the last line
        last_is_text = False
        while True:
            line_begin = at
            at = self._behind(_BLANKS, at, at + columns)
            if _BREAK.match(text, at):
                at, line_break = self._line_break(at)
                breaks.append(line_break)
                continue
            if at == len(text) or at - line_begin < columns:
                break
            is_text = text[at] not in " \t"
            if not (folded and last == "\n" and last_is_text and is_text):
                chunks.append(last)
            elif not breaks:
                chunks.append(" ")
            self.at = self._behind(_TO_LINE_END, at)
            chunks += [*breaks, text[at : self.at]]
            at, last = self._line_break(self.at)
            last_is_text = is_text
            breaks = []
        if chomping != "-":
            chunks.append(last)
        if chomping == "+":
            chunks += breaks
        return "".join(chunks)

    def _widest_begin(self, at: int) -> int:
        """How many blanks the lines from ``at`` on begin with at the most, up to the first with more than blanks."""
        widest = 0
        while True:
            end = self._behind(_BLANKS, at)
            widest = max(widest, end - at)
            at, line_break = self._line_break(end)
            if not line_break:
                return widest

    def _line_break(self, at: int) -> tuple[int, str]:
        """The place behind the line break at ``at``, and what it is in a value: "" if none is there."""
        match = _BREAK.match(self.text, at)
        return (match.end(), normal(match.group())) if match else (at, "")

    def _behind(self, pattern: re.Pattern[str], at: int, limit: int = sys.maxsize) -> int:
        """Where the match of ``pattern``, which may be empty, ends that begins at ``at``."""
        match = pattern.match(self.text, at, limit)
        assert match
        return match.end()
