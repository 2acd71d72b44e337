"""Whoever is killed, at whatever moment: the next stop clears, and nothing is left. On all systems."""

from __future__ import annotations

import contextlib
import json
import os
import random
import time
from pathlib import Path

import pytest

from .conftest import ADAPTORS, HANG_SECONDS, KILL

KILLS = int(os.environ.get("OPENJD_ADAPT_KILLS", "2"))
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
    while kills < KILLS:
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


def first_child(pid):
    """The oldest child of a process that has one; waits for it. None if the process has ended."""
    while True:
        try:
            found = Path("/proc/%d/task/%d/children" % (pid, pid)).read_text().split()
        except OSError:
            return None
        if found:
            return int(found[0])


@pytest.mark.posix_only
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "begin, depth", [("start", 0), ("start", 1), ("start", 2), ("start", 3), ("run", 0), ("run", 1), ("run", 2)]
)
def test_kills_in_the_first_moments_of_a_start_leave_nothing(farm, begin, depth):
    """In the first tenth of a second in which there is the process at this depth: front, guardian (in ``run`` the
    front is that), keeper, worker.
    """
    chance = random.Random(depth)
    for _ in range((KILLS + 1) // 2):
        process = farm.daemon_popen("start") if begin == "start" else farm.popen("run")
        victim = process.pid
        for _ in range(depth):
            victim = victim and first_child(victim)
        if victim:
            time.sleep(chance.uniform(0, 0.1))
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, KILL)
        process.communicate(timeout=HANG_SECONDS)
        assert process.returncode in (0, 1, -KILL), process.returncode
        assert farm.daemon("stop").code in (0, 1)
        farm.wait_until_nothing_is_left()
        assert not [path for path in farm.folder.iterdir() if path.name.startswith(farm.file.name)]
