"""Integer range expressions of the Open Job Description: ``1-10:2``, ``1,3,7-10``, ``-5--1``, ``10-1:-3``."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from itertools import accumulate, chain
from operator import index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, overload


#: Every number is nearer to 0 than this, so that no range has more numbers than ``len`` can say.
LIMIT = 2**62

_PART = re.compile(r"{0}(?: ?- ?{0}(?: ?: ?{0})?)?".format("(-? ?[0-9]+)"))


class IntRange:
    """A set of integers, made from an expression or from numbers: what a range or a chunk (``CHUNK[INT]``) names.

    Its numbers are iterated in increasing order, and are not stored one by one: ``1-1000000000`` costs nothing. Two are
    equal if they have the same numbers. ``str`` gives the longest runs of equal gaps, from the first number on, as an
    expression whose parts ascend.

    Indexes and slices are as a list's, and cost nothing either: ``numbers[-1]`` is the last number, ``numbers[10:20]``
    the :class:`IntRange` of ten. Raises :class:`IndexError` for a place that it has not, and :class:`ValueError` for a
    slice that has no number, or a step below 0: a range ascends.

    Source: 3.4.1.1.1 ``<IntRangeExpr>`` and 3.4.1.5 in the Open Job Description's "Template Schemas".
    """

    __slots__ = ("_ends", "_runs", "_starts", "first", "last")

    def __init__(self, parts: list[range]) -> None:
        """For :meth:`parse` and :meth:`from_numbers`; ``parts`` ascend, one after the other."""
        if not parts:
            raise ValueError("a range has at least one number")
        #: The smallest and the largest number.
        self.first, self.last = parts[0][0], parts[-1][-1]
        if max(-self.first, self.last) >= LIMIT:
            raise ValueError("a number of the range is too large: the limit is 2**62")
        self._runs = _runs(parts)
        self._starts = [run[0] for run in self._runs]
        #: How many numbers the range has, up to the end of each run.
        self._ends = list(accumulate(map(len, self._runs)))

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
        return self._ends[-1]

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, place: int) -> int: ...

        @overload
        def __getitem__(self, place: slice) -> IntRange: ...

    def __getitem__(self, place: int | slice) -> int | IntRange:
        places: Any = range(len(self))[place]
        if isinstance(places, int):
            run = bisect_right(self._ends, places)
            return self._runs[run][places - self._ends[run]]
        if places.step < 0:
            raise ValueError("a range ascends; no slice of it has a step of %d" % places.step)
        return IntRange(list(self._parts(places)))

    def _parts(self, places: range) -> Iterator[range]:
        """The numbers at these places."""
        while places:
            run = bisect_right(self._ends, places[0])
            begin = self._ends[run] - len(self._runs[run])
            within = places[: bisect_left(places, self._ends[run])]
            yield self._runs[run][within[0] - begin : within[-1] - begin + 1 : within.step]
            places = places[len(within) :]

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and number in self._runs[bisect_right(self._starts, number) - 1]

    @property
    def is_contiguous(self) -> bool:
        """Whether all numbers from :attr:`first` to :attr:`last` are there, as in a ``CONTIGUOUS`` chunk."""
        return len(self) == self.last - self.first + 1

    def __eq__(self, other: object) -> bool:
        return self._runs == other._runs if isinstance(other, IntRange) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self._runs))

    def __str__(self) -> str:
        return ",".join(map(_text, self._runs))

    def __repr__(self) -> str:
        return "IntRange.parse(%r)" % str(self)


def as_chunk(numbers: IntRange) -> str:
    """The expression of a chunk, as ``CONTIGUOUS`` ones are written where it can be one: ``7-7``, ``7-8``."""
    return "%d-%d" % (numbers.first, numbers.last) if numbers.is_contiguous else str(numbers)


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
    """The longest runs of equal gaps, from the first number on. They depend on the numbers only, not on the parts.

    A run of two gives its second number to the one that follows: 1, 3, 4, 5 are ``1,3-5``.
    """
    runs = parts[:1]
    for part in parts[1:]:
        while part:
            run = runs[-1]
            gap = part[0] - run[-1]
            if len(run) == 1 or run.step == gap:
                joined = part if len(part) == 1 or part.step == gap else part[:1]
                runs[-1] = range(run[0], joined[-1] + 1, gap)
                part = part[len(joined) :]
            elif len(run) == 2:
                runs[-1:] = [run[:1], run[1:]]
            else:
                runs.append(part)
                break
    return runs


def _text(run: range) -> str:
    if len(run) <= 2:  # 7,8, not 7-8: so do the tests of the specification
        return ",".join(map(str, run))
    return "%d-%d" % (run[0], run[-1]) + (":%d" % run.step if run.step > 1 else "")
