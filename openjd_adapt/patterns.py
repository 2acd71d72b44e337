"""Regular expressions as JSON Schema writes them (ECMA-262), made ones of ``re``."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Match

_ATOM = r"\\(?:u\{[0-9a-fA-F]{1,6}\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[0-7]{1,3}|c[A-Za-z]|.)|[^\\]"
_TOKEN = re.compile(
    r"(?P<class>\[\^?(?:\\.|[^\\\]])*\]?)|\\k<(?P<reference>\w+)>|\\(?P<number>[1-9]\d?)"
    r"|\(\?<(?P<name>[^\W\d]\w*)>|(?P<atom>%s)" % _ATOM,
    re.DOTALL,
)
#: A member of a class, or a range of them.
_MEMBER = re.compile("(%s)(?:-(%s))?" % (_ATOM, _ATOM), re.DOTALL)
#: The white space of ECMA that ``re.ASCII`` leaves out, and all that is none.
_MORE_SPACE = "\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_NO_SPACE = (
    "\\x00-\\x08\\x0e-\\x1f\\x21-\u009f\u00a1-\u167f\u1681-\u1fff\u200b-\u2027\u202a-\u202e\u2030-\u205e\u2060-\u2fff"
    "\u3001-\ufefe\uff00-\U0010ffff"
)
_OUTSIDE_CLASS = {
    ".": "[^\n\r\u2028\u2029]",
    "$": r"\Z",
    r"\s": r"[\s%s]" % _MORE_SPACE,
    r"\S": r"[^\s%s]" % _MORE_SPACE,
    r"\B": r"(?!\b)",  # re before 3.14 finds no \B in an empty text
}
#: ``re`` warns of what it may one day read as set operations: "[", "--", "&&", "||", "~~".
_INSIDE_CLASS = {
    r"\s": r"\s" + _MORE_SPACE,
    r"\S": _NO_SPACE,
    **{char: "\\" + char for char in "[-&|~"},
}
_EMPTY_CLASS = {"[]": "(?!)", "[^]": r"[\s\S]"}
#: Escapes that ``re`` reads as anchors, and ECMA does not know.
_NOT_ECMA = (r"\A", r"\Z", r"\a")


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The regular expression of ``re`` for one of ECMA-262. Raises :class:`ValueError` that says what is wrong.

    ``\\d``, ``\\w`` and ``\\b`` know ASCII only, ``$`` is the very end, ``.`` is no line break. ``\\p{}`` is refused,
    and so is a look-behind of no fixed width. What only ``re`` knows, such as ``(?i)``, passes.
    """
    try:
        return re.compile(_TOKEN.sub(_translate, pattern), re.ASCII)
    except (re.error, OverflowError) as error:
        raise ValueError(str(error)) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _translate(token: Match[str]) -> str:
    text = token.group()
    kind = token.lastgroup
    # What a group has found that has found nothing is nothing to ECMA; to re it is nowhere.
    if kind == "reference":
        return "(?({0})(?P={0}))".format(token.group(kind))
    if kind == "number":
        return r"(?({0})\{0})".format(token.group(kind))
    if kind == "name":
        return "(?P<%s>" % token.group(kind)
    if kind == "atom":
        return _atom(text, _OUTSIDE_CLASS)
    if text in _EMPTY_CLASS:
        return _EMPTY_CLASS[text]
    if not text.endswith("]"):
        raise ValueError("unterminated character set")
    begin = 2 if text.startswith("[^") else 1
    return text[:begin] + _MEMBER.sub(_member, text[begin:-1]) + "]"


def _member(match: Match[str]) -> str:
    first, last = match.groups()
    if last is None:
        return _atom(first, _INSIDE_CLASS)
    for end in (first, last):
        if end in (r"\s", r"\S"):
            raise ValueError("%s is no end of a range" % end)
    return "%s-%s" % (_atom(first, _INSIDE_CLASS), _atom(last, _INSIDE_CLASS))


def _atom(text: str, special: dict[str, str]) -> str:
    """A character or an escape, with what is ``special`` to ``re``."""
    if text.startswith(r"\u{"):
        return "\\U%08x" % int(text[3:-1], 16)
    if text.startswith(r"\c") and len(text) == 3:
        return "\\x%02x" % (ord(text[2]) % 32)
    if text in _NOT_ECMA:
        raise ValueError("%s is no escape" % text)
    return special.get(text, text)
