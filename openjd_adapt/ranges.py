"""Integer range expressions of the Open Job Description: ``1-10:2``, ``1,3,7-10``, ``-5--1``, ``10-1:-3``."""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import chain
from operator import index, itemgetter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, Tuple

    #: How bad a text is, the text without its last part, and that part.
    Text = Tuple[int, Any, str]


#: Every number is nearer to 0 than this, so that no range has more numbers than ``len`` can say.
LIMIT = 2**62

_PART = re.compile(r"{0}(?: ?- ?{0}(?: ?: ?{0})?)?".format("(-? ?[0-9]+)"))


class IntRange:
    """A set of integers, made from an expression or from numbers: what a range or a chunk (``CHUNK[INT]``) names.

    Its numbers are iterated in increasing order, and are not stored one by one: ``1-1000000000`` costs nothing. Two are
    equal if they have the same numbers. ``str`` gives an expression whose parts ascend and end in a number of the set:
    of these the shortest in characters, and of several such the one of the fewest parts. (``300-1:-100`` is shorter
    than ``100-300:100``, but nobody sees what it names, and an application may read the plain ones only.)

    Source: 3.4.1.1.1 ``<IntRangeExpr>`` and 3.4.1.5 in the Open Job Description's "Template Schemas".
    """

    __slots__ = ("_runs", "_starts", "first", "last")

    def __init__(self, parts: list[range]) -> None:
        """For :meth:`parse` and :meth:`from_numbers`; ``parts`` ascend, one after the other."""
        if not parts:
            raise ValueError("a range has at least one number")
        self._runs = _runs(parts)
        self._starts = [run.start for run in self._runs]
        #: The smallest and the largest number; a ``CONTIGUOUS`` chunk has all between them.
        self.first, self.last = self._starts[0], self._starts[-1]
        if max(-self.first, self.last) >= LIMIT:
            raise ValueError("a number of the range is too large: the limit is 2**62")

    @classmethod
    def parse(cls, expression: str | int) -> IntRange:
        """The numbers that an expression names; a number names itself. Raises :class:`ValueError` that tells the part.

        White space may stand between numbers and signs. Parts stand in any order, but must not overlap: the numbers of
        one lie before those of another. (The specification compares the ends as written, the implementations the
        numbers.) ``10-1`` is refused, as it lacks its step of -1: by the letter of the specification it names just 10,
        which nobody means by it, and no implementation takes it.
        """
        text = str(expression)
        parts = sorted(((_part(part, text), part) for part in text.split(",")), key=lambda pair: pair[0][0])
        for (one, before), (two, after) in zip(parts, parts[1:]):
            if one[-1] >= two[0]:
                raise ValueError("%s in the range %s overlaps %s" % (_show(after), _show(text), _show(before)))
        return cls([part for part, _ in parts])

    @classmethod
    def from_numbers(cls, numbers: Iterable[int]) -> IntRange:
        """The range of these integers, in any order and any number of times; :class:`ValueError` if there are none."""
        if isinstance(numbers, range):
            return cls([numbers if numbers.step > 0 else numbers[::-1]] if numbers else [])
        return cls([range(number, number + 1) for number in sorted({index(number) for number in numbers})])

    def __iter__(self) -> Iterator[int]:
        return chain.from_iterable(self._runs)

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and number in self._runs[bisect_right(self._starts, number) - 1]

    def __eq__(self, other: object) -> bool:
        return self._runs == other._runs if isinstance(other, IntRange) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self._runs))

    def __str__(self) -> str:
        parts, text = [], _shortest(self._runs)
        while text[1] is not None:
            parts.append(text[2])
            text = text[1]
        return ",".join(reversed(parts))

    def __repr__(self) -> str:
        return "IntRange.parse(%r)" % str(self)


def _part(part: str, text: str) -> range:
    """The numbers of one part, ascending."""
    match = _PART.fullmatch(" ".join(part.split()))
    if match:
        first, last, step = (_number(match.group(n) or other) for n, other in ((1, ""), (2, match.group(1)), (3, "1")))
    if not match:
        wrong = "is not a number, nor a range such as 1-10 or 1-10:2"
    elif max(abs(first), abs(last), abs(step)) >= LIMIT:
        wrong = "has a number that is too large: the limit is 2**62"
    elif step == 0:
        wrong = "has a step of 0"
    elif (last - first) * step < 0:
        wrong = "runs away from its end; give the step the other sign"
    else:
        return range(first, last + 1, step) if step > 0 else range(first, last - 1, step)[::-1]
    raise ValueError("%s in the range %s %s" % (_show(part), _show(text), wrong))


def _number(written: str) -> int:
    # 20 digits are enough to see that it is too large; int() takes long for very many, or refuses in words of its own.
    digits = written.lstrip("- 0")[:20]
    return int(digits or "0") * (-1 if written.startswith("-") else 1)


def _show(text: str) -> str:
    return repr(text.strip() if len(text) <= 60 else text.strip()[:60] + "...")


def _runs(parts: list[range]) -> list[range]:
    """The longest runs of equal gaps: each from its first number to the first of the next run, which it leaves out.

    They depend on the numbers only, however these were written. The last run is the last number.
    """
    runs: list[range] = []
    start = end = parts[0][0]
    step = 0
    for part in parts:
        for last, gap in ((part[0], part[0] - end), (part[-1], part.step)):
            if last != end and gap != step:
                if step:
                    runs.append(range(start, end, step))
                start, step = end, gap
            end = last
    if step:
        runs.append(range(start, end, step))
    return [*runs, range(end, end + 1)]


def _shortest(runs: list[range]) -> Text:
    """The shortest text, in one pass.

    Where two runs meet, either may write the number between them. Other than that, a part that leaves out an end of its
    run makes the text longer, and so does a text without a part, unless it is of four numbers or fewer: ``-100,0,100``.
    """
    left: Text = (0, None, "")  # the shortest text of all numbers before the run
    done = nothing = (LIMIT, None, "")  # that with the run's first number, too, which the run before has written
    for run in runs:
        done = _best(done, _and(left, run.start))
        if len(run) == 1:
            left, done = done, nothing
            continue
        through, within = [_and(left, run.start, run.stop, run.step)], []
        if len(run) > 2:
            through.append(_and(done, run[1], run.stop, run.step))
            within.append(_and(left, run.start, run[-1], run.step))
        if len(run) > 3:
            within.append(_and(done, run[1], run[-1], run.step))
        if len(run) < 5:
            for number in run[1:]:
                done = _and(done, number)
            within.append(done)
        left, done = _best(*within), _best(*through)
    return left


def _best(*texts: Text) -> Text:
    return min(texts, key=itemgetter(0))


def _and(text: Text, first: int, last: int | None = None, step: int = 1) -> Text:
    part = str(first) if last is None else "%d-%d" % (first, last) + (":%d" % step if step > 1 else "")
    # Characters count first; of two that have as many, the one of fewer parts is better.
    return (text[0] + ((1 + len(part)) << 32) + 1, text, part)
