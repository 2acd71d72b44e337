"""Two short histories of the chaos test; ``python -m tests.chaos`` plays long and new ones."""

from __future__ import annotations

import pytest

from . import chaos

pytestmark = pytest.mark.posix_only

STEPS = 40


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [11, 21])
def test_whatever_comes_in_whatever_order_nothing_is_left_and_nothing_is_lost(seed):
    history = []
    try:
        chaos.play(STEPS, seed, history.append)
    except chaos.Fault as fault:
        again = "python -m tests.chaos --steps %d --seed %d" % (STEPS, seed)
        pytest.fail("%s\nagain: %s\n%s" % (fault, again, "\n".join(history)))
