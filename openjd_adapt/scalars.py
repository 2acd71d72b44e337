"""YAML's scalars: what plain text stands for (null, a boolean, a number or itself), escapes, and folded lines."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Match, Union

    Scalar = Union[None, bool, int, float, str]

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
_BREAK = re.compile("(\r\n|[%s])" % BREAKS)
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
    pieces = _BREAK.split(raw)
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
