"""A rehearsal's tasks: every given run data, for every combination of the numbers of ``--each``."""

from __future__ import annotations

import itertools

import pytest

from openjd_adapt import InputError
from openjd_adapt.authoring import axes, expand


@pytest.mark.parametrize(
    "run_data, each, expected",
    [
        ([], [], []),
        ([], ["frame=1-3"], []),
        ([{}], [], [{}]),
        ([{"a": 1}, {"a": 2}], [], [{"a": 1}, {"a": 2}]),
        ([{}], ["frame=1-5:2,9"], [{"frame": 1}, {"frame": 3}, {"frame": 5}, {"frame": 9}]),
        ([{"frame": 7, "a": 1}], ["frame=-1--2:-1"], [{"frame": -2, "a": 1}, {"frame": -1, "a": 1}]),
        ([{}], ["y=1-2", "x=8,9"], [{"y": 1, "x": 8}, {"y": 1, "x": 9}, {"y": 2, "x": 8}, {"y": 2, "x": 9}]),
        ([{"a": 1}, {"a": 2}], ["x=8,9"], [{"a": 1, "x": 8}, {"a": 1, "x": 9}, {"a": 2, "x": 8}, {"a": 2, "x": 9}]),
    ],
)
def test_the_last_axis_runs_fastest_and_the_run_data_slowest(run_data, each, expected):
    assert list(expand(run_data, axes(each))) == expected


def test_the_given_run_data_are_not_changed_and_not_shared():
    data = {"a": 1}
    first, second = expand([data], axes(["x=1-2"]))
    first["a"] = 2
    assert (data, second) == ({"a": 1}, {"a": 1, "x": 2})


def test_a_huge_range_is_not_built_before_it_is_used():
    first = itertools.islice(expand([{}], axes(["x=1-1000000000000"])), 2)
    assert list(first) == [{"x": 1}, {"x": 2}]


@pytest.mark.parametrize(
    "each, complaint",
    [
        ("=1-3", "--each =1-3: it must be NAME=RANGE"),
        ("", "--each : it must be NAME=RANGE"),
        ("frame", "--each frame: '' in the range ''"),
        ("frame=", "--each frame=: '' in the range ''"),
        ("frame=3-1", "--each frame=3-1: '3-1' in the range '3-1' runs away from its end"),
        ("frame=a=b", "--each frame=a=b: 'a=b' in the range 'a=b'"),
    ],
)
def test_a_bad_axis_is_refused_with_the_option(each, complaint):
    with pytest.raises(InputError) as caught:
        axes(["x=1", each])
    assert str(caught.value).startswith(complaint)
