"""The stop escalation as histories: what is asked of a process, when, and when it is killed. Nothing waits."""

from __future__ import annotations

import random

import pytest

from openjd_adapt.process import escalate
from openjd_adapt.task import Task

from .fakes import Clock

pytestmark = pytest.mark.core

NEVER = float("inf")


class History:
    """A process that ends when its history says, below a task that is canceled when its history says."""

    def __init__(self, *, asked=True, after_channel=NEVER, after_signal=NEVER, ended=False, cancels=(), wrapper=NEVER):
        """``asked``: whether it can be asked over its channel; ``after_…``: seconds from that question to its end.

        ``cancels``: when a cancel comes, and how many seconds it leaves. ``wrapper``: how many seconds after its first
        question the process ends; the others are of what it has started, then.
        """
        self.clock = Clock()
        self.begin = self.clock.now
        self.task = Task(self.clock)
        self.log = []
        self._asked = asked
        self._after = {"channel": after_channel, "signal": after_signal}
        self._end = self.begin if ended else NEVER
        self._wrapper, self._wrapper_end = wrapper, NEVER
        self._cancels = sorted((self.begin + at, within) for at, within in cancels)
        self._pass_to(self.begin)

    def _note(self, what):
        self.log.append((round(self.clock.now - self.begin, 6), what))

    def _pass_to(self, moment):
        self.clock.now = moment
        while self._cancels and self._cancels[0][0] <= moment:
            self.task.cancel(self._cancels.pop(0)[1])

    def _ask(self, how):
        self._note(how)
        self._end = min(self._end, self.clock.now + self._after[how])
        self._wrapper_end = min(self._wrapper_end, self.clock.now + self._wrapper)

    @property
    def is_running(self):
        return self.clock.now < min(self._end, self._wrapper_end)

    def _look(self):
        return self.clock.now < self._end

    def ask_over_channel(self):
        if self._asked:
            self._ask("channel")
        return self._asked

    def _ask_by_signal(self):
        self._ask("signal")
        return True

    def _wait_while(self, lives, end):
        while lives() and end() > self.clock.now:
            cancel = self._cancels[0][0] if self._cancels else NEVER
            ends = [moment for moment in (self._end, self._wrapper_end) if moment > self.clock.now]
            self._pass_to(min(end(), cancel, *ends))

    def _kill(self):
        self._note("kill")

    def escalate(self, grace):
        escalate(self, grace, self.task)
        return self.log


def test_it_is_asked_over_its_channel_then_by_a_signal_then_killed():
    assert History().escalate(10) == [(0, "channel"), (5, "signal"), (10, "kill")]


def test_the_signal_has_all_of_the_time_where_there_is_no_channel_to_ask_over():
    assert History(asked=False).escalate(10) == [(0, "signal"), (10, "kill")]


@pytest.mark.parametrize(
    "history, log",
    [
        ({"after_channel": 0}, [(0, "channel"), (0, "kill")]),
        ({"after_channel": 2}, [(0, "channel"), (2, "kill")]),
        ({"after_channel": 7}, [(0, "channel"), (5, "signal"), (7, "kill")]),
        ({"after_signal": 3}, [(0, "channel"), (5, "signal"), (8, "kill")]),
        ({"asked": False, "after_signal": 3}, [(0, "signal"), (3, "kill")]),
    ],
)
def test_what_ends_is_asked_for_nothing_more_and_what_it_has_left_is_killed(history, log):
    assert History(**history).escalate(10) == log


@pytest.mark.parametrize(
    "history, log",
    [
        ({"asked": False, "after_signal": 3}, [(0, "signal"), (3, "kill")]),
        ({"asked": False}, [(0, "signal"), (10, "kill")]),
        ({"asked": False, "cancels": [(0, 4)]}, [(0, "signal"), (3.5, "kill")]),
        # What was asked over its channel, and has not ended with the wrapper, is asked by a signal at once.
        ({"after_signal": 3}, [(0, "channel"), (1, "signal"), (4, "kill")]),
    ],
)
def test_what_stands_behind_a_wrapper_that_goes_first_has_its_grace_all_the_same(history, log):
    assert History(wrapper=1, **history).escalate(10) == log


def test_nothing_is_asked_of_a_process_that_has_ended_but_what_it_has_left_is_killed():
    assert History(ended=True).escalate(10) == [(0, "kill")]


@pytest.mark.parametrize("cancels", [(), [(0, 600)], [(0, None)]])
def test_without_grace_it_is_killed_at_once(cancels):
    assert History(cancels=cancels).escalate(0) == [(0, "kill")]


@pytest.mark.parametrize(
    "within, killed",
    [
        (100, 90),  # a tenth is the adaptor's own
        (8, 7.2),
        (4, 3.5),  # but not less than half a second
        (0.6, 0.1),
    ],
)
def test_a_cancels_deadline_shortens_all_steps_and_leaves_a_tenth_and_half_a_second_at_least(within, killed):
    log = History(cancels=[(0, within)]).escalate(600)
    assert log == [(0, "channel"), (pytest.approx(killed / 2), "signal"), (pytest.approx(killed), "kill")]


@pytest.mark.parametrize("within", [0.5, 0.1, 0])
def test_a_deadline_that_leaves_nothing_for_asking_kills_at_once(within):
    assert History(cancels=[(0, within)]).escalate(600) == [(0, "kill")]


@pytest.mark.parametrize("cancels", [[(0, 600)], [(0, None)], [(3, 600)], [(7, None)]])
def test_a_deadline_behind_the_grace_changes_nothing(cancels):
    assert History(cancels=cancels).escalate(10) == [(0, "channel"), (5, "signal"), (10, "kill")]


def test_a_cancel_that_comes_while_a_step_waits_shortens_that_very_wait():
    # at 2 it is 6 seconds from the beginning to the deadline, at 7 it is 8: a tenth or half a second is kept of each
    assert History(cancels=[(2, 4)]).escalate(100) == [(0, "channel"), (2.7, "signal"), (5.4, "kill")]
    assert History(cancels=[(7, 1)]).escalate(10) == [(0, "channel"), (5, "signal"), (7.2, "kill")]


def test_a_cancel_that_leaves_no_time_kills_while_a_step_waits():
    assert History(cancels=[(2, 0)]).escalate(100) == [(0, "channel"), (2, "kill")]
    assert History(cancels=[(60, 0)]).escalate(100) == [(0, "channel"), (50, "signal"), (60, "kill")]


@pytest.mark.parametrize("second", [(1, 600), (1, None), (3, 600), (3, None), (4, 600)])
def test_a_further_cancel_never_lengthens_a_wait(second):
    assert History(cancels=[(0, 5), second]).escalate(100) == [(0, "channel"), (2.25, "signal"), (4.5, "kill")]


@pytest.mark.parametrize("seed", range(100))
def test_whatever_cancels_come_it_is_killed_in_time_and_asked_as_long_as_there_is_any(seed):
    chance = random.Random(seed)
    cancels = [
        (chance.uniform(0, 40), chance.choice([None, chance.uniform(0, 60)])) for _ in range(chance.randrange(4))
    ]
    grace = chance.uniform(1, 50)
    history = History(asked=chance.random() < 0.5, cancels=cancels)
    log = history.escalate(grace)
    killed = log[-1][0]
    assert [what for _, what in log].count("kill") == 1 and log[-1][1] == "kill"
    assert killed <= grace + 1e-6
    for at, within in cancels:
        if within is not None and at <= killed:
            assert killed <= max(at, at + within - max(0.5, (at + within) / 10)) + 1e-6
    # It was not killed sooner than the grace or one of the deadlines that were known by then wanted it.
    tops = [at + within - max(0.5, (at + within) / 10) for at, within in cancels if within is not None and at <= killed]
    assert killed == pytest.approx(max(0, min([grace, *tops])), abs=1e-5) or killed in [
        pytest.approx(at, abs=1e-5) for at, _ in cancels
    ]
