"""Regular expressions as JSON Schema writes them (ECMA-262), made ones of ``re``, and named formats."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Match

_TOKEN = re.compile(
    r"\\u\{(?P<point>[0-9a-fA-F]{1,6})\}|\\c(?P<control>[A-Za-z])|\\k<(?P<reference>\w+)>|\(\?<(?P<name>[^\W\d]\w*)>"
    r"|(?P<escape>\\.)|(?P<class>\[\^?\]?)|(?P<end>\])|(?P<other>.)",
    re.DOTALL,
)
#: The white space of ECMA that ``re.ASCII`` leaves out.
_MORE_SPACE = "\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_OUTSIDE_CLASS = {
    ".": "[^\n\r\u2028\u2029]",
    "$": r"\Z",
    r"\s": r"[\s%s]" % _MORE_SPACE,
    r"\S": r"[^\s%s]" % _MORE_SPACE,
}
_INSIDE_CLASS = {r"\s": r"\s" + _MORE_SPACE, r"\b": r"\x08", **{char: "\\" + char for char in "[&|~"}}
_EMPTY_CLASS = {"[]": "(?!)", "[^]": r"[\s\S]"}
#: Escapes that ``re`` reads as anchors, and ECMA does not know.
_NOT_ECMA = (r"\A", r"\Z", r"\a")


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The regular expression of ``re`` for one of ECMA-262. Raises :class:`ValueError` that says what is wrong.

    ``\\d``, ``\\w`` and ``\\b`` know ASCII only, ``$`` is the very end, ``.`` is no line break. ``\\p{}`` is refused,
    and so is a look-behind of no fixed width. What only ``re`` knows, such as ``(?i)``, passes.
    """
    in_class = False

    def translate(match: Match[str]) -> str:
        nonlocal in_class
        kind = match.lastgroup
        text = match.group()
        if kind == "point":
            return "\\U%08x" % int(match.group(kind), 16)
        if kind == "control":
            return "\\x%02x" % (ord(match.group(kind)) % 32)
        if text in _NOT_ECMA:
            raise ValueError("%s is no escape" % text)
        if in_class:
            in_class = not text.endswith("]") or kind == "escape"
            return "\\[" + _INSIDE_CLASS.get(text[1:], text[1:]) if kind == "class" else _INSIDE_CLASS.get(text, text)
        if kind == "reference":
            return "(?P=%s)" % match.group(kind)
        if kind == "name":
            return "(?P<%s>" % match.group(kind)
        if text in _EMPTY_CLASS:
            return _EMPTY_CLASS[text]
        in_class = kind == "class"
        return _OUTSIDE_CLASS.get(text, text)

    try:
        return re.compile(_TOKEN.sub(translate, pattern), re.ASCII)
    except (re.error, OverflowError) as error:
        raise ValueError(str(error)) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
