"""A short chaos: a history that is the same every time, and one that is new. ``tests/chaos.py`` plays long ones."""

from __future__ import annotations

import random

import pytest

from . import chaos
from .test_output_ways import ROUNDS

#: The number of steps; where CI asks for the long form, a few times as many.
STEPS = 30 + 5 * ROUNDS


@pytest.mark.timeout(60 + 5 * STEPS)
@pytest.mark.parametrize("seed", [4, random.SystemRandom().randrange(10**6)], ids=["known", "new"])
def test_whatever_comes_in_whatever_order_nothing_is_left_and_nothing_is_lost(seed):
    history = []
    try:
        chaos.play(STEPS, seed, history.append)
    except chaos.Fault as fault:
        pytest.fail(
            "%s\nagain: python -m tests.chaos --steps %d --seed %d\n%s" % (fault, STEPS, seed, "\n".join(history))
        )
