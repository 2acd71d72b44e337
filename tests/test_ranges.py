"""Integer range expressions, as the Open Job Description's template schemas define them."""

from __future__ import annotations

import itertools

import pytest

from openjd_adapt.ranges import parse


@pytest.mark.parametrize(
    "text, numbers",
    [
        ("7", [7]),
        ("-7", [-7]),
        ("1-3", [1, 2, 3]),
        ("1-10:4", [1, 5, 9]),
        ("1-9:4", [1, 5, 9]),
        ("10-1:-4", [10, 6, 2]),
        ("-5--3", [-5, -4, -3]),
        ("-1-1", [-1, 0, 1]),
        ("-3--5:-1", [-3, -4, -5]),
        ("4-4", [4]),
        ("4-4:-2", [4]),
        ("1-2:10", [1]),
        ("1,3,7-9", [1, 3, 7, 8, 9]),
        (" 3 , 1 - 2 : 1 ", [3, 1, 2]),
        ("9,1", [9, 1]),
        ("007", [7]),
    ],
)
def test_a_range_names_its_numbers_in_its_order(text, numbers):
    assert list(itertools.chain(*parse(text))) == numbers


def test_a_huge_range_costs_nothing():
    [numbers] = parse("1-1000000000000:3")
    assert len(numbers) == 333_333_333_334


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("", "'' in the range ''"),
        ("1,", "'' in the range '1,'"),
        ("1,,2", "'' in the range '1,,2'"),
        ("a", "'a' in the range 'a'"),
        ("1,2-x", "'2-x' in the range '1,2-x'"),
        ("1.5", "is no number"),
        ("1-", "is no number"),
        ("1:2", "is no number"),
        ("1-2-3", "is no number"),
        ("- 1", "is no number"),
        ("+1", "is no number"),
        ("١", "is no number"),
        ("1-2:", "is no number"),
        ("1-9:0", "the step of '1-9:0' in the range '1-9:0' is 0"),
        ("9-1", "runs away from its end"),
        ("1-9:-1", "runs away from its end"),
    ],
)
def test_a_bad_range_is_refused_with_the_part_that_is_wrong(text, complaint):
    with pytest.raises(ValueError) as caught:
        parse(text)
    assert complaint in str(caught.value)
