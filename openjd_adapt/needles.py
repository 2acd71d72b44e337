"""Texts that a pattern cannot match without: a block of lines that has none of them need not be looked at by line."""

from __future__ import annotations

import functools
import re

try:
    from re import _parser  # type: ignore[attr-defined, unused-ignore]
except ImportError:  # before Python 3.11
    import sre_parse as _parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, Iterator

    #: One of these texts is in whatever matches.
    Needles = tuple[str, ...]

#: More alternatives than this cost more to look for than they save.
_MOST = 16
#: Flags that change which text a literal stands for.
_LOOSE = re.VERBOSE | re.LOCALE


class Haystack:
    """A block of lines in which patterns are looked for."""

    def __init__(self, text: str) -> None:
        self._text = text
        # Case is folded as the patterns do it where all is ASCII; other letters have partners of their own.
        self._folded: str | None = None

    def may_have(self, pattern: re.Pattern[str]) -> bool:
        """Whether ``pattern`` may be found in a line of the block; only a clear no is one."""
        texts = needles(pattern) if isinstance(pattern, re.Pattern) else ()
        if not texts:
            return True
        text = self._text
        if pattern.flags & re.IGNORECASE:
            if not text.isascii():
                return True
            text = self._folded = self._folded or text.lower()
        return any(needle in text for needle in texts)


@functools.lru_cache(maxsize=1024)
def needles(pattern: re.Pattern[str]) -> Needles:
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


def _best(candidates: Iterable[Needles]) -> Needles:
    """The hardest to find of the candidates: whose shortest text is the longest."""
    return max(candidates, key=lambda texts: min(map(len, texts)), default=())


def _of_sequence(items: Iterable[tuple[Any, Any]]) -> Iterator[Needles]:
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


def _of_branches(branches: Iterable[Any]) -> Iterator[Needles]:
    """What one of several branches needs, if each needs something."""
    found = [_best(_of_sequence(branch)) for branch in branches]
    texts = tuple(text for branch in found for text in branch)
    if all(found) and len(texts) <= _MOST:
        yield texts
