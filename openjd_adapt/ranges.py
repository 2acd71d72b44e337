"""Integer range expressions of the Open Job Description: ``1-10:2``, ``1,3,7-10``, ``-5--1``, ``10-1:-3``."""

from __future__ import annotations

import re

_PART = re.compile(r"(-?\d+)(?:\s*-\s*(-?\d+)(?:\s*:\s*(-?\d+))?)?", re.ASCII)


def parse(text: str) -> list[range]:
    """The ranges that an expression names, in its order; no list of numbers is built.

    Raises :class:`ValueError` that says which part is wrong.
    Source: "Integer Range Expressions" of the Open Job Description's template schemas.
    """
    return [_part(part.strip(), text) for part in text.split(",")]


def _part(part: str, text: str) -> range:
    match = _PART.fullmatch(part)
    if not match:
        raise ValueError("%r in the range %r is no number and no range such as 1-10 or 1-10:2" % (part, text))
    first = int(match.group(1))
    if match.group(2) is None:
        return range(first, first + 1)
    last = int(match.group(2))
    step = int(match.group(3) or 1)
    if step == 0:
        raise ValueError("the step of %r in the range %r is 0" % (part, text))
    if (last - first) * step < 0:
        raise ValueError("%r in the range %r runs away from its end; give the step the other sign" % (part, text))
    return range(first, last + (1 if step > 0 else -1), step)
