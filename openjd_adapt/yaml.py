"""YAML as job templates embed it: what PyYAML's ``safe_load`` reads, without anchors, tags and the like.

A value is equal to PyYAML's or the text is refused; nothing is guessed. What is meant to differ: a timestamp stays
text, and refused are duplicate keys, what the format has beyond data (anchors, aliases, tags, directives, several
documents, complex keys, merge keys, ``=``), more than 100 levels and numbers of more than 1,000 characters. Some of
PyYAML's rules are not those of the specification: plain text ends at a tab, a block scalar may begin in its key's
column, quotes and flow collections may go on without indentation.
"""

from __future__ import annotations

import re
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Match, NoReturn, Union

    Scalar = Union[None, bool, int, float, str]


# YAML's scalars: what plain text stands for (null, a boolean, a number or itself), escapes, and folded lines.

#: What ends a line; ``\r\n`` is one break.
BREAKS = "\n\r\x85\u2028\u2029"
#: What a number may have, in characters: conversion takes quadratic time in older Pythons, and newer ones refuse more.
NUMBER_LIMIT = 1000

_WORDS = {
    word: value
    for value, words in ((None, "null"), (True, "yes true on"), (False, "no false off"))
    for lower in words.split()
    for word in (lower, lower.capitalize(), lower.upper())
}
_WORDS["~"] = None
#: Plain text to which YAML 1.1 gives a meaning that JSON has no value for.
_SPECIAL = {"<<": "merge keys (<<)", "=": "default values (=)"}

_INTEGER = re.compile(r"([-+]?)(?:0b([01_]+)|0x([0-9a-fA-F_]+)|0([0-7_]+)|(0|[1-9][0-9_]*(?::[0-5]?[0-9])*))", re.ASCII)
_FLOAT = re.compile(
    r"([-+]?)(?:([0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?)|([0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*)|(\.(?:inf|Inf|INF)))"
    r"|(\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?)|\.(?:nan|NaN|NAN)",
    re.ASCII,
)
#: One and the same, by which a mapping finds it again: it is not equal to itself.
_NAN = float("nan")
_KEPT_BREAK = re.compile("(\r\n|[%s])" % BREAKS)
_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0abt\tnvfre \"/\\N_LP]))|\\(?P<unknown>.?)",
    re.DOTALL,
)
_ESCAPED = dict(zip('0abt\tnvfre "/\\N_LP', '\0\a\b\t\t\n\v\f\r\x1b "/\\\x85\xa0\u2028\u2029'))


class ScalarError(ValueError):
    """A scalar that cannot be read; ``offset`` is where in its text, in characters."""

    def __init__(self, message: str, offset: int = 0) -> None:
        super().__init__(message)
        self.offset = offset


def resolve(text: str) -> Scalar:
    """The value that plain ``text`` stands for by YAML 1.1 as PyYAML reads it; a timestamp stands for itself.

    Raises :class:`ScalarError` for ``<<`` and ``=``, and for a number that is too long or has no digits.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[:1] in "+-.0123456789":
        return _number(text)
    if text in _SPECIAL:
        raise ScalarError("%s are not supported; put quotes around it if it is text" % _SPECIAL[text])
    return text


def _number(text: str) -> Scalar:
    integer = _INTEGER.fullmatch(text)
    number = integer or _FLOAT.fullmatch(text)
    if not number:
        return text
    if len(text) > NUMBER_LIMIT:
        raise ScalarError("a number may have %d characters at the most; put quotes around text" % NUMBER_LIMIT)
    return _integer(number) if integer else _float(number)


def _integer(match: Match[str]) -> int:
    sign, binary, hexadecimal, octal, decimal = (group and group.replace("_", "") for group in match.groups())
    try:
        if decimal:
            number = 0
            for part in decimal.split(":"):
                number = number * 60 + int(part)
        elif octal is not None:
            number = int("0" + octal, 8)
        else:
            number = int(binary, 2) if hexadecimal is None else int(hexadecimal, 16)
    except ValueError:
        raise ScalarError("%s is a number without digits; put quotes around text" % match.group()) from None
    return -number if sign == "-" else number


def _float(match: Match[str]) -> float:
    sign, decimal, sexagesimal, infinity, fraction = (group and group.replace("_", "") for group in match.groups())
    number = 0.0
    if sexagesimal:
        base = 1
        try:
            for part in reversed(sexagesimal.split(":")):  # in the order that PyYAML adds in, for the last bit
                number += float(part) * base
                base *= 60
        except OverflowError:
            raise ScalarError("%s is out of range" % match.group()) from None
    else:
        number = float(decimal or fraction or (infinity and "inf") or _NAN)
    return -number if sign == "-" else number


def fold(breaks: list[str]) -> str:
    """What line breaks between two texts of a folded scalar come to: one is a blank, of several the first falls away.

    As in PyYAML, U+2028 and U+2029 are kept; "" as the first is a break that was escaped.
    """
    first, rest = breaks[0], "".join(breaks[1:])
    return rest or " " if first == "\n" else first + rest


def normal(line_break: str) -> str:
    """A line break as it stands in a value."""
    return line_break if line_break in "\u2028\u2029" else "\n"


def unquote(raw: str, quote: str) -> str:
    """The text of a quoted scalar from what stands between its quotes. Raises :class:`ScalarError`."""
    if quote == "'":
        return "".join(_folded(raw, escapes=False)).replace("''", "'")
    if "\\" not in raw:
        return "".join(_folded(raw, escapes=False))
    for match in _ESCAPE.finditer(raw):
        if match.group("unknown") not in (None, *BREAKS):
            raise ScalarError(
                "%s is no escape; in double quotes write \\\\ for a backslash, or use single quotes" % match.group(),
                match.start(),
            )
    try:
        return "".join([_ESCAPE.sub(_unescape, text) for text in _folded(raw, escapes=True)])
    except (ValueError, OverflowError):
        raise ScalarError("an escape names no character; the last is \\U0010FFFF") from None


def _unescape(match: Match[str]) -> str:
    return _ESCAPED[match.group(4)] if match.group(4) else chr(int(match.group(match.lastindex or 0), 16))


def _folded(raw: str, escapes: bool) -> list[str]:
    """The texts of a quoted scalar's lines, without the blanks around its line breaks, and what those come to."""
    pieces = _KEPT_BREAK.split(raw)
    if len(pieces) == 1:
        return pieces
    folded: list[str] = []
    breaks: list[str] = []
    for index in range(0, len(pieces), 2):
        text = pieces[index].lstrip(" \t") if index else pieces[0]
        if index == len(pieces) - 1:
            return [*folded, fold(breaks), text]
        line_break = normal(pieces[index + 1])
        bare = text.rstrip(" \t")
        if escapes and (len(bare) - len(bare.rstrip("\\"))) % 2:  # the last backslash escapes what follows it:
            if bare != text:
                bare = text[: len(bare) + 1]  # a blank, which stays
            else:
                bare, line_break = bare[:-1], ""  # the line break
        if not bare and line_break:
            breaks.append(line_break)
            continue
        folded += [fold(breaks), bare] if breaks else [bare]
        breaks = [line_break]
    raise AssertionError("the last line returns")


# Where a YAML text is being read: the token that comes next, and the scalars, as text, that stand there.

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


#: How deep collections may be nested.
DEPTH_LIMIT = 100

_CLOSING = {"[": "]", "{": "}"}


def loads(text: str) -> Any:
    """The value of the one document in ``text``, None if it is empty. Raises :class:`YAMLDecodeError`.

    Source: YAML 1.1, and PyYAML where that differs.
    """
    scan = Scanner(text)
    scan.next()
    new_line = True
    if scan.at_marker("---"):
        new_line = scan.skip(3)
    elif scan.at_marker("..."):
        scan.refuse("a document cannot begin with its end")
    value = _block_node(scan, -1, 0, new_line) if scan.char else None
    if scan.char:
        scan.refuse("this belongs to nothing before it; is its indentation right?")
    while scan.at_marker("..."):
        scan.skip(3)
    if scan.at < len(text):
        scan.refuse("several documents are not supported")
    return value


def _block_node(scan: Scanner, indent: int, depth: int, new_line: bool) -> Any:
    """The node here, in a collection whose items stand at the column ``indent``; then go to the token behind it.

    ``new_line`` says whether a block collection may begin here, as it may not behind a key on the same line.
    """
    char, begin, line_begin, column = scan.char, scan.at, scan.line_begin, scan.column
    if scan.at_item():
        if not new_line:
            scan.refuse("a sequence cannot begin on the line of its key")
        return _sequence(scan, column, depth, False)
    value: Any
    if char in "|>":
        value = scan.block_scalar(indent)
    elif char in "[{":
        value = _flow_collection(scan, depth)
        if scan.at_colon():
            scan.refuse("complex keys are not supported", begin)
    else:
        value = scan.quoted() if char in "'\"" else scan.plain_line(IN_BLOCK)
        if scan.colon(begin, line_begin):
            if not new_line:
                scan.refuse(_TWO_COLONS, begin)
            return _mapping(scan, column, value if char in "'\"" else scan.resolve(value, begin), begin, depth)
        if char not in "'\"":
            value = scan.resolve(scan.plain_rest(value, IN_BLOCK, indent + 1), begin)
    if not scan.next() and scan.char:
        if scan.char != ":":
            scan.refuse("there is more behind the value; put quotes around all of it")
        scan.refuse("a blank is missing behind this colon" if scan.line_begin == line_begin else _KEY_OF_LINES)
    return value


_TWO_COLONS = "a mapping cannot begin on the line of its key; if this is text, put quotes around all of it"
_KEY_OF_LINES = (
    "a key cannot go on from an earlier line; is the indentation right, and is there a blank behind each colon?"
)


def _mapping(scan: Scanner, column: int, key: Scalar, begin: int, depth: int) -> dict[Scalar, Any]:
    """The block mapping at ``column`` whose first key, which begins at ``begin``, was read with its colon."""
    _check_depth(scan, depth, begin)
    mapping: dict[Scalar, Any] = {}
    while True:
        _check_key(scan, key, mapping, begin)
        new_line = scan.next()
        if _is_below(scan, column):
            mapping[key] = _block_node(scan, column, depth + 1, new_line)
        elif scan.column == column and scan.at_item():
            mapping[key] = _sequence(scan, column, depth + 1, True)
        else:
            mapping[key] = None
        if scan.column < column:
            return mapping
        if scan.column > column:
            scan.refuse("this is indented further than the mapping that it would belong to")
        begin, line_begin = scan.at, scan.line_begin
        key = scan.quoted() if scan.char in "'\"" else scan.resolve(scan.plain_line(IN_BLOCK), begin)
        if not scan.colon(begin, line_begin):
            scan.refuse("a key must be followed by a colon and a blank, on its line", begin)


def _sequence(scan: Scanner, column: int, depth: int, in_mapping: bool) -> list[Any]:
    """The block sequence at ``column``, where, if it is ``in_mapping``, that mapping's keys may stand, too."""
    _check_depth(scan, depth, scan.at)
    items = []
    while True:
        scan.skip(1)
        items.append(_block_node(scan, column, depth + 1, True) if _is_below(scan, column) else None)
        if scan.column < column or (in_mapping and scan.column == column and not scan.at_item()):
            return items
        if scan.column > column:
            scan.refuse("this is indented further than the sequence that it would belong to")
        if not scan.at_item():
            scan.refuse("an item of a sequence must begin with - and a blank")


def _is_below(scan: Scanner, column: int) -> bool:
    """Whether what stands here is the value of the key or item at ``column``."""
    return scan.column > column or (scan.column == column and scan.char in ("|", ">"))


def _flow_collection(scan: Scanner, depth: int) -> Any:
    """The ``[…]`` or ``{…}`` here; then stand right behind it."""
    begin = scan.at
    _check_depth(scan, depth, begin)
    closing = _CLOSING[scan.char]
    items: list[Any] = []
    mapping: dict[Scalar, Any] = {}
    scan.skip(1)
    while scan.char != closing:
        item_begin, line_begin = scan.at, scan.line_begin
        item = _flow_node(scan, depth)
        value = None
        if scan.char == ":":
            if scan.line_begin != line_begin:
                scan.refuse("a key and its colon must stand on one line")
            if scan.at - item_begin > KEY_LIMIT:
                scan.refuse(KEY_TOO_LONG, item_begin)
            scan.skip(1)
            value = None if scan.char in (",", closing) else _flow_node(scan, depth)
            if closing == "]":
                _check_key(scan, item, {}, item_begin)
                item = {item: value}
        if closing == "]":
            items.append(item)
        else:
            _check_key(scan, item, mapping, item_begin)
            mapping[item] = value
        if scan.char == ",":
            scan.skip(1)
        elif not scan.char:
            scan.refuse("this is not closed by a %s" % closing, begin)
        elif scan.char == "?":
            scan.refuse("put quotes around text with a ? within [] or {}")
        elif scan.char != closing:
            scan.refuse("a comma or %s is missing before this" % closing)
    scan.at += 1
    return items if closing == "]" else mapping


def _flow_node(scan: Scanner, depth: int) -> Any:
    """The node here, in a flow collection; then go to the token behind it."""
    value: Any
    if scan.char in ("[", "{"):
        value = _flow_collection(scan, depth + 1)
    elif scan.char in ("'", '"'):
        value = scan.quoted()
    else:
        begin = scan.at
        value = scan.resolve(scan.plain_rest(scan.plain_line(IN_FLOW), IN_FLOW, 0), begin)
    scan.next()
    return value


def _check_depth(scan: Scanner, depth: int, begin: int) -> None:
    """Refuse the collection that begins there, in ``depth`` others, if it is one too many."""
    if depth >= DEPTH_LIMIT:
        scan.refuse("more than %d levels are not supported" % DEPTH_LIMIT, begin)


def _check_key(scan: Scanner, key: Any, mapping: dict[Scalar, Any], begin: int) -> None:
    if isinstance(key, (list, dict)):
        scan.refuse(
            "complex keys are not supported; put quotes around text that begins with %s" % scan.text[begin], begin
        )
    if key in mapping:
        scan.refuse("the key %r stands twice in one mapping" % (key,), begin)
