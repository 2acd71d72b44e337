"""YAML as job templates embed it: what PyYAML's ``safe_load`` reads, without anchors, tags and the like.

A value is equal to PyYAML's or the text is refused; nothing is guessed. What is meant to differ: a timestamp stays
text, and refused are duplicate keys, what the format has beyond data (anchors, aliases, tags, directives, several
documents, complex keys, merge keys, ``=``), more than 100 levels and numbers of more than 1,000 characters. Some of
PyYAML's rules are not those of the specification: plain text ends at a tab, a block scalar may begin in its key's
column, quotes and flow collections may go on without indentation.
"""

from __future__ import annotations

import re

from .errors import Copied

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Match, NoReturn, Union

    Scalar = Union[None, bool, int, float, str]

#: What ends a line; the kinds that a value has as ``\n`` are made that at the begin.
BREAKS = "\n\u2028\u2029"
_BREAK = re.compile("[%s]" % BREAKS)


class YAMLDecodeError(Copied, ValueError):
    """Text that cannot be read: malformed, or beyond what is supported.

    ``message`` says what is wrong, ``line`` and ``column`` (both from 1) where; ``str()`` has all three.
    """

    def __init__(self, message: str, text: str, position: int) -> None:
        begins = [0, *(match.end() for match in _BREAK.finditer(text, 0, position))]
        self.message = message
        self.line = len(begins)
        self.column = position - begins[-1] + 1
        super().__init__("line %d, column %d: %s" % (self.line, self.column, message))


# YAML's scalars: what plain text stands for (null, a boolean, a number or itself), escapes, and folded lines.

#: What a number may have, in characters: conversion takes quadratic time in older Pythons, and newer ones refuse more.
NUMBER_LIMIT = 1000

_WORDS = {
    word: value
    for value, words in (
        (None, "~ null Null NULL"),
        (True, "yes Yes YES true True TRUE on On ON"),
        (False, "no No NO false False FALSE off Off OFF"),
        (float("inf"), ".inf .Inf .INF +.inf +.Inf +.INF"),
        (float("-inf"), "-.inf -.Inf -.INF"),
        (float("nan"), ".nan .NaN .NAN"),  # one object, by which a mapping finds it: it is not equal to itself
    )
    for word in words.split()
}
#: Plain text to which YAML 1.1 gives a meaning that JSON has no value for.
_SPECIAL = {"<<": "merge keys (<<)", "=": "default values (=)"}

_INTEGER = re.compile("[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]+|0|[1-9][0-9_]*(?::[0-5]?[0-9])*)")
_FLOAT = re.compile(
    r"[-+]?[0-9][0-9_]*(?:\.[0-9_]*(?:[eE][-+][0-9]+)?|(?::[0-5]?[0-9])+\.[0-9_]*)|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?"
)

#: What is not itself within quotes. A run of blanks is one match, so that no blank is looked at twice.
_GAP_IN_QUOTES = "(?P<gap>[ \t%s]*[%s][ \t]*)|[ \t]+" % (BREAKS, BREAKS)
_PART = {
    "'": re.compile("(?P<quote>'')|" + _GAP_IN_QUOTES),
    '"': re.compile(
        r"\\(?:(?P<name>[0abt\tnvfre \"/\\N_LP])|x(?P<x>[0-9a-fA-F]{2})|u(?P<u>[0-9a-fA-F]{4})|U(?P<U>[0-9a-fA-F]{8})"
        r"|[%s](?P<joined>[ \t%s]*)|(?P<unknown>.?))|" % (BREAKS, BREAKS) + _GAP_IN_QUOTES,
        re.DOTALL,
    ),
}
_NAMES = dict(zip('0abt\tnvfre "/\\N_LP', '\0\a\b\t\t\n\v\f\r\x1b "/\\\x85\xa0\u2028\u2029'))


def resolve(text: str, source: str = "", begin: int = 0) -> Scalar:
    """The value that plain ``text`` stands for by YAML 1.1 as PyYAML reads it; a timestamp stands for itself.

    Raises :class:`YAMLDecodeError` for ``<<`` and ``=``, and for a number that is too long or has no digits.
    ``begin`` is where the text stands in ``source``.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text in _SPECIAL:
        raise YAMLDecodeError("%s are not supported; put quotes around text" % _SPECIAL[text], source, begin)
    if text[:1] not in "+-.0123456789":
        return text
    is_integer = _INTEGER.fullmatch(text)
    if not is_integer and not _FLOAT.fullmatch(text):
        return text
    if len(text) > NUMBER_LIMIT:
        message = "a number may have %d characters at the most; put quotes around text" % NUMBER_LIMIT
        raise YAMLDecodeError(message, source, begin)
    digits = text.lstrip("+-").replace("_", "")
    base = {"0b": 2, "0x": 16}.get(digits[:2], 8 if digits[0] == "0" else 10)
    number: float = 0
    unit = 1
    try:
        for part in reversed(digits.split(":")):  # in the order that PyYAML adds in, for the last bit
            number += (int(part, base) if is_integer else float(part)) * unit
            unit *= 60
    except ValueError:
        raise YAMLDecodeError("%s is a number without digits; put quotes around text" % text, source, begin) from None
    except OverflowError:
        raise YAMLDecodeError("%s is out of range" % text, source, begin) from None
    return -number if text[0] == "-" else number


def unquote(raw: str, quote: str, source: str = "", begin: int = 0) -> str:
    """The text of a quoted scalar from what stands between its quotes, which begins at ``begin`` in ``source``."""
    if ("\\" if quote == '"' else "'") not in raw and not _BREAK.search(raw):
        return raw

    def text_of(match: Match[str]) -> str:
        kind = match.lastgroup
        if kind is None:
            return match.group()
        text = match.group(kind)
        if kind == "gap":
            return fold(text)
        if kind == "joined":
            return _breaks(text)
        if kind == "quote":
            return "'"
        if kind == "name":
            return _NAMES[text]
        message = (
            "%s is not an escape; in double quotes write \\\\ for a backslash, or use single quotes" % match.group()
        )
        if kind != "unknown":
            if int(text, 16) <= 0x10FFFF:
                return chr(int(text, 16))
            message = "an escape names no character; the last is \\U0010FFFF"
        raise YAMLDecodeError(message, source, begin + match.start())

    return _PART[quote].sub(text_of, raw)


def fold(gap: str) -> str:
    """What line breaks, and blanks around them, in a folded scalar come to: one is a blank, of several the first goes.

    As in PyYAML, U+2028 and U+2029 are kept.
    """
    breaks = _breaks(gap)
    return breaks[1:] or " " if breaks[0] == "\n" else breaks


def _breaks(gap: str) -> str:
    return gap.replace(" ", "").replace("\t", "")


# Where a YAML text is being read: the token that comes next, and the scalars, as text, that stand there.

#: How far the colon may be from its key's begin, in characters.
KEY_LIMIT = 1024
#: How deep collections may be nested.
DEPTH_LIMIT = 100
KEY_TOO_LONG = "a key may have %d characters at the most" % KEY_LIMIT

_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_GAP = re.compile(" *(?:#[^%s]*)?([%s])?" % (BREAKS, BREAKS))
#: What stands between two lines of plain text, and what the second begins with if it is a comment.
_NEXT_LINE = re.compile("([ %s]*[%s])( *)(#?)" % (BREAKS, BREAKS))
_WHITE = "[ \t%s]" % BREAKS
_SEPARATE = re.compile(_WHITE + r"|\Z")
_MARKER = re.compile(r"(?:---|\.\.\.)(?:%s|\Z)" % _WHITE)
_COLON = re.compile(r" *:(?=%s|\Z)" % _WHITE)
_QUOTED = {"'": re.compile("'([^']*(?:''[^']*)*)'(?!')"), '"': re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)}
#: With its indicators, and the blanks and line breaks below it.
_BLOCK_HEADER = re.compile(r"([|>]([-+]?[1-9]?|[1-9][-+])(?: +(?:#[^%s]*)?)?)(?:[%s]|\Z)([ %s]*)" % ((BREAKS,) * 3))
_BLOCK_LINE = re.compile("( *)([^%s]*)([%s]?)" % (BREAKS, BREAKS))

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
    "-": "an item (-) cannot stand here",
    ":": "a key is missing before the colon",
    "": "the text ends where a value should be",
    **{char: "a block scalar (%s) cannot stand here" % char for char in "|>"},
    **{char: "%s cannot stand here; put quotes around text that begins with it" % char for char in "@`,[]{}"},
}


class Scanner:
    """A place in a text, which :meth:`next` and the methods that read a scalar move on, never back.

    Raises :class:`YAMLDecodeError`, also for characters that no YAML may hold.
    """

    def __init__(self, text: str) -> None:
        self.text = text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x85", "\n")
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

    def next(self, length: int = 0) -> bool:
        """Go to the token behind ``length`` characters, over blanks and comments; whether it is on another line."""
        new_line = False
        self.at += length
        while True:
            gap = _GAP.match(self.text, self.at)
            assert gap
            self.at = gap.end()
            if gap.lastindex is None:
                break
            self.line_begin = self.at
            new_line = True
        self.column = self.at - self.line_begin
        self.char = self.text[self.at : self.at + 1]
        if not self.char or (not self.column and self.char in "-." and _MARKER.match(self.text, self.at)):
            self.char = ""
            self.column = -1
        elif self.char == "\t":
            self.refuse("a tab cannot stand here; use blanks")
        return new_line

    def at_marker(self, marker: str) -> bool:
        """Whether the document ends here by ``---`` or ``...``."""
        return not self.char and self.text.startswith(marker, self.at)

    def at_item(self) -> bool:
        """Whether the token is the - of a block sequence's item."""
        return self.char == "-" and _SEPARATE.match(self.text, self.at + 1) is not None

    def colon(self, begin: int, line_begin: int) -> bool:
        """Whether what was read from ``begin`` on, in that line, is a block mapping's key; if so, pass its colon."""
        match = _COLON.match(self.text, self.at)
        if not match or self.line_begin != line_begin:
            return False
        if match.end() - 1 - begin > KEY_LIMIT:
            self.refuse(KEY_TOO_LONG, begin)
        self.at = match.end()
        return True

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
        return unquote(match.group(1), quote, self.text, match.start(1))

    def plain_line(self, end: re.Pattern[str]) -> str:
        """The plain text here, up to the end of its line; ``end`` is :data:`IN_BLOCK` or :data:`IN_FLOW`."""
        char = self.char
        if char in _REFUSED and (char not in _TEXT_INDICATORS[end] or _SEPARATE.match(self.text, self.at + 1)):
            self.refuse(_REFUSED[char])
        return self._words(self.at, end)

    def _words(self, begin: int, end: re.Pattern[str]) -> str:
        """The plain text of one line that begins there, "" if there is none; if there is, then stand behind it."""
        match = end.search(self.text, begin)
        assert match
        words = self.text[begin : match.start()].rstrip(" ")
        if words:
            self.at = begin + len(words)
        return words

    def plain_rest(self, text: str, end: re.Pattern[str], least_column: int) -> str:
        """``text`` and the lines that continue it, folded; each begins at ``least_column`` or further right."""
        texts = [text]
        while True:
            match = _NEXT_LINE.match(self.text, self.at)
            if not match or len(match.group(2)) < least_column or match.group(3):
                break
            line_begin = match.end(1)
            words = "" if _MARKER.match(self.text, line_begin) else self._words(match.end(), end)
            if not words:
                break
            texts += [fold(match.group(1)), words]
            self.line_begin = line_begin
        return "".join(texts)

    def block_scalar(self, indent: int) -> str:
        """The literal or folded scalar here, in a collection at ``indent``; then stand at its last line's end."""
        text = self.text
        header = _BLOCK_HEADER.match(text, self.at)
        if not header:
            self.refuse("behind %s only an indentation (1-9), + or -, and a comment can stand" % self.char)
        folded = self.char == ">"
        chomping = header.group(2).strip("123456789")
        digit = header.group(2).strip("+-")
        self.at = header.end(1)
        columns = max(indent + 1, 1)
        if digit:
            columns += int(digit) - 1
        else:
            columns = max(columns, *map(len, _BREAK.split(header.group(3))))
        chunks: list[str] = []
        breaks: list[str] = []
        last = ""  # the break behind the last line
        last_is_text = False
        for line in _BLOCK_LINE.finditer(text, header.start(3)):
            blanks, words, line_break = line.groups()
            if line_break and not words and len(blanks) <= columns:
                breaks.append(line_break)
                continue
            begin = line.start() + columns
            if len(blanks) < columns or begin == len(text):
                break
            is_text = text[begin] not in " \t"
            if not (folded and last == "\n" and last_is_text and is_text):
                chunks.append(last)
            elif not breaks:
                chunks.append(" ")
            self.at = line.end(2)
            chunks += [*breaks, text[begin : self.at]]
            last, last_is_text, breaks = line_break, is_text, []
        if chomping != "-":
            chunks.append(last)
        if chomping == "+":
            chunks += breaks
        return "".join(chunks)


def loads(text: str) -> Any:
    """The value of the one document in ``text``, None if it is empty. Raises :class:`YAMLDecodeError`.

    Source: YAML 1.1, and PyYAML where that differs.
    """
    scan = Scanner(text)
    scan.next()
    new_line = True
    if scan.at_marker("---"):
        new_line = scan.next(3)
    elif scan.at_marker("..."):
        scan.refuse("a document cannot begin with its end")
    value = _block_node(scan, -1, 0, new_line) if scan.char else None
    if scan.char:
        scan.refuse("this belongs to nothing before it; is its indentation right?")
    while scan.at_marker("..."):
        scan.next(3)
    if scan.at < len(scan.text):
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
        if _COLON.match(scan.text, scan.at):
            scan.refuse("complex keys are not supported", begin)
    else:
        value = scan.quoted() if char in "'\"" else scan.plain_line(IN_BLOCK)
        if scan.colon(begin, line_begin):
            if not new_line:
                scan.refuse(
                    "a mapping cannot begin on the line of its key; if this is text, put quotes around all of it", begin
                )
            return _mapping(scan, column, value if char in "'\"" else resolve(value, scan.text, begin), begin, depth)
        if char not in "'\"":
            value = resolve(scan.plain_rest(value, IN_BLOCK, indent + 1), scan.text, begin)
    if not scan.next() and scan.char:
        if scan.char != ":":
            scan.refuse("there is more behind the value; put quotes around all of it")
        if scan.line_begin == line_begin:
            scan.refuse("a blank is missing behind this colon")
        scan.refuse("a key cannot go on from an earlier line; is its indentation right, and a blank behind each colon?")
    return value


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
        key = scan.quoted() if scan.char in "'\"" else resolve(scan.plain_line(IN_BLOCK), scan.text, begin)
        if not scan.colon(begin, line_begin):
            scan.refuse("a key must be followed by a colon and a blank, on its line", begin)


def _sequence(scan: Scanner, column: int, depth: int, in_mapping: bool) -> list[Any]:
    """The block sequence at ``column``, where, if it is ``in_mapping``, that mapping's keys may stand, too."""
    _check_depth(scan, depth, scan.at)
    items = []
    while True:
        scan.next(1)
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
    closing = "]" if scan.char == "[" else "}"
    items: list[Any] = []
    mapping: dict[Scalar, Any] = {}
    scan.next(1)
    while scan.char != closing:
        item_begin, line_begin = scan.at, scan.line_begin
        item = _flow_node(scan, depth)
        value = None
        if scan.char == ":":
            if scan.line_begin != line_begin:
                scan.refuse("a key and its colon must stand on one line")
            if scan.at - item_begin > KEY_LIMIT:
                scan.refuse(KEY_TOO_LONG, item_begin)
            scan.next(1)
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
            scan.next(1)
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
        value = resolve(scan.plain_rest(scan.plain_line(IN_FLOW), IN_FLOW, 0), scan.text, begin)
    scan.next()
    return value


def _check_depth(scan: Scanner, depth: int, begin: int) -> None:
    """Refuse the collection that begins there, in ``depth`` others, if it is one too many."""
    if depth >= DEPTH_LIMIT:
        scan.refuse("more than %d levels are not supported" % DEPTH_LIMIT, begin)


def _check_key(scan: Scanner, key: Any, mapping: dict[Scalar, Any], begin: int) -> None:
    if isinstance(key, (list, dict)):
        scan.refuse(
            "complex keys are not supported; put quotes around text that begins with " + scan.text[begin], begin
        )
    if key in mapping:
        scan.refuse("the key %r stands twice in one mapping" % (key,), begin)
