"""What a daemon costs in the long run: a million lines that nobody reads, 2,000 tasks, and kills at random moments."""

from __future__ import annotations

import io
import json
import os
import random
import re
import signal
import time
from pathlib import Path

import pytest

from openjd_adapt.transport.loop import Peer
from openjd_adapt.transport.wire import hello

from .conftest import ADAPTORS, HANG_SECONDS, wait_until
from .test_daemon import connect, task
from .test_ends import processes, status
from .test_output_ways import ROUNDS

pytestmark = pytest.mark.posix_only

#: Seeds of rounds of kills: a few, whose victims are the worker, a start's group, a front and the keeper; and in the
#: long form 10, or as many as CI asks for.
FEW = (0, 1, 3, 8)
KILLS = 10 * ROUNDS


def own_kib(pid):
    """The memory of a process: of a page that it shares, such as after a fork, its share."""
    text = Path("/proc/%d/smaps_rollup" % pid).read_text()
    found = re.search(r"^Pss_Anon:\s+(\d+) kB", text, re.M) or re.search(r"^Pss:\s+(\d+) kB", text, re.M)
    return int(found.group(1))


# 21 MB are far more than stays in memory.
@pytest.mark.parametrize(
    "count, width", [(60_000, 350), pytest.param(1_000_000, 75, marks=[pytest.mark.long, pytest.mark.timeout(600)])]
)
def test_a_million_lines_without_a_front_cost_little_memory_and_the_next_front_gets_all_in_order(started, count, width):
    keeper = status(started)["pid"]
    task(started, {})
    before = own_kib(keeper)
    done = started.folder / "done"
    task(started, {"do": "lines_later", "count": count, "width": width - 1, "done": str(done)})
    while not done.exists():  # however long that takes: the test has a limit
        time.sleep(0.05)
    wait_until(lambda: status(started)["unread_bytes"] == count * width)
    assert own_kib(keeper) - before < 16 * 1024
    process = started.daemon_popen("run", "--run-data", "{}")
    lines = io.BufferedReader(process.stdout, 65536)
    numbers = [int(line.split()[1]) for line in lines if line.startswith(b"line ")]
    assert process.wait(HANG_SECONDS) == 0
    assert numbers == list(range(count))


class Front:
    """A command's end of a conversation, without a process of its own."""

    def __init__(self, farm):
        connection = connect(farm)
        self._peer = Peer(connection)
        connection.setblocking(True)
        self._peer.send(hello("test"))

    def run(self, data):
        self._peer.send({"do": "run", "data": data})
        while True:
            for message, _ in self._peer.receive():
                if "output" in message:
                    self._peer.send({"ack": message["output"]})
                if "result" in message:
                    self._peer.close()
                    return message["result"]


@pytest.mark.long
@pytest.mark.timeout(300)
def test_2000_tasks_on_one_daemon_cost_no_memory_descriptors_or_threads(started):
    def facts():
        pids = processes(started).values()
        folders = [Path("/proc/%d" % pid) for pid in pids]
        return sum(map(own_kib, pids)), [
            [len(os.listdir(str(folder / kind))) for kind in ("fd", "task")] for folder in folders
        ]

    def tasks(count):
        for _ in range(count):
            assert Front(started).run({"do": "lines", "how": "log", "count": 10})["outcome"] == "done"

    tasks(200)
    memory, counts = facts()
    tasks(2000)
    later_memory, later_counts = facts()
    assert later_memory - memory < 1024 and later_counts == counts
    assert status(started)["tasks"] == 2200


def many(part):
    return pytest.param(range(part, KILLS, 2), marks=[pytest.mark.long, pytest.mark.timeout(300 + 60 * KILLS)])


@pytest.mark.parametrize("seeds", [FEW, many(0), many(1)], ids=["few", "even", "odd"])
def test_kill_9_at_random_moments_leaves_no_process_and_no_file_after_the_next_stop(farm, seeds):
    folder = farm.folder / "temporary"
    folder.mkdir()
    farm.env["TMPDIR"] = str(folder)
    for seed in seeds:
        chance = random.Random(seed)
        farm.adaptor = str(ADAPTORS / chance.choice(["probe.py", "kept_open.py"]))
        what = kill_at_a_random_moment(farm, chance)
        done = farm.daemon("stop")
        assert done.code == 0, (seed, what, done)
        assert farm.pids() == [], (seed, what)
        left = [path for path in farm.folder.rglob("*") if path != folder]
        assert left == [], (seed, what, left)


def kill_at_a_random_moment(farm, chance):
    """A start, perhaps a task, and SIGKILL to one of the processes or to a command's group meanwhile; what it was."""
    victim = chance.choice(["start", "start's group", "front", "front's group", "guardian", "keeper", "worker", "last"])
    start = farm.daemon_popen("start")
    if victim.startswith("start"):
        time.sleep(chance.uniform(0, 0.3))
        send = os.killpg if victim.endswith("group") else os.kill
        send(start.pid, signal.SIGKILL)
        start.communicate()
        return victim
    assert farm.finish(start).code == 0
    pids = processes(farm)
    pids["last"] = max(farm.pids())  # the application, if there is one
    front = None
    if victim.startswith("front") or chance.random() < 0.7:
        data = {"do": "tree"} if "probe" in farm.adaptor else {"call": "sleep", "args": {"seconds": 300}}
        front = farm.daemon_popen("run", "--run-data", json.dumps(data))
        time.sleep(chance.uniform(0, 0.5))
    if front and victim == "front":
        front.kill()
    elif front and victim == "front's group":
        os.killpg(front.pid, signal.SIGKILL)
    else:
        os.kill(pids[victim], signal.SIGKILL)
    if front:
        front.communicate(timeout=HANG_SECONDS)
    if victim in ("guardian", "keeper", "worker"):
        farm.wait_until_nothing_is_left()
    return victim
