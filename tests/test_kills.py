"""Whoever is killed, at whatever moment: the next stop clears, and nothing is left. On all systems."""

from __future__ import annotations

import json
import os
import random
import time

import pytest

from .conftest import ADAPTORS, HANG_SECONDS, KILL

pytestmark = pytest.mark.windows_core

ADAPTORS_AND_TASKS = [
    ("probe.py", {}),
    ("kept_open.py", {"call": "execute", "args": {"code": "import time; print('here', flush=True); time.sleep(0.3)"}}),
]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("adaptor, task", ADAPTORS_AND_TASKS)
def test_kills_at_random_moments_leave_nothing(farm, adaptor, task):
    """A start, a task and a stop, in which a process is killed with a random delay; OPENJD_ADAPT_KILLS: so often."""
    farm.adaptor = str(ADAPTORS / adaptor)
    chance = random.Random(5)
    kills = 0
    while kills < int(os.environ.get("OPENJD_ADAPT_KILLS", "2")):
        for words in (["start"], ["run", "--run-data", json.dumps(task)], ["stop"]):
            process = farm.daemon_popen(*words)
            time.sleep(chance.uniform(0, 0.8))
            victims = sorted(set(farm.pids()) - {os.getpid()})
            if chance.random() < 0.5 and victims:
                try:
                    os.kill(chance.choice(victims), KILL)
                    kills += 1
                except OSError:
                    pass  # it has just ended
            process.communicate(timeout=HANG_SECONDS)
        assert farm.daemon("stop").code in (0, 1)
        farm.wait_until_nothing_is_left()
        assert not farm.file.exists()
