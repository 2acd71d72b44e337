"""What is measured: by group, a function that takes one side and gives the values of each of its figures."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import time
from pathlib import Path

from .sides import Side

LINE = "x" * 99
#: How many lines a side is given, so that each works for about a second.
LINES = {"ours": 2_000_000, "reference": 60_000}
#: The same with callbacks.
WATCHED = {"ours": 400_000, "reference": 40_000}
RECORDS = {"ours": 200_000, "reference": 50_000}
STAMPS = 40
CROWD = "i=0; while [ $i -lt 1000 ]; do sleep 600 & i=$((i + 1)); done; echo there; wait"
UNREAD = {"ours": 1_000_000, "reference": 20_000}


def producer(count: int) -> list:
    return ["sh", "-c", "yes %s | head -n %d" % (LINE, count)]


def net(seconds: float, empty: float) -> float:
    """What is left of the time of a command when that of an empty one is taken away."""
    return max(seconds - empty, 1e-9)


def interpreter(side: Side) -> dict:
    code = "import time; begin = time.perf_counter(); %s; print(time.perf_counter() - begin)" % side.entry_point
    out, _ = side.popen([side.python, "-c", code]).communicate()
    return {"floor: a bare interpreter": [side.bare()], "import of the entry point": [float(out)]}


def commands(side: Side) -> dict:
    found = {"run": [side.seconds(*side.run())], "daemon start": [side.start()]}
    time.sleep(2)  # whatever a start leaves for later: the guardian becomes a fresh interpreter
    found["memory: an idle daemon"] = [side.memory()]
    found["daemon run"] = [side.seconds(*side.task()) for _ in range(5)]
    found["daemon run, a task of 50 ms"] = [side.seconds(*side.task(sleep=0.05)) for _ in range(3)]
    found["latency of a line"] = latencies(side)
    found["daemon stop"] = [side.stop()]
    return found


def starts(side: Side) -> dict:
    """Whole commands in starts of a bare interpreter, one of which is measured before each of them."""
    acts = {
        "run": lambda: side.seconds(*side.run()),
        "daemon start": side.start,
        "daemon run": lambda: side.seconds(*side.task()),
        "daemon stop": side.stop,
    }
    found: dict = {}
    for _ in range(3):
        for name, act in acts.items():
            bare = side.bare()
            found.setdefault("starts: " + name, []).append(act() / bare)
    return found


def crowd(side: Side) -> dict:
    """``run`` beside a thousand more processes, as a multiple of the same without them."""
    alone = statistics.median(side.seconds(*side.run()) for _ in range(5))
    crowd = subprocess.Popen(["sh", "-c", CROWD], stdout=subprocess.PIPE, start_new_session=True)
    try:
        crowd.stdout.readline()
        return {"times: run beside 1,000 processes": [side.seconds(*side.run()) / alone for _ in range(5)]}
    finally:
        os.killpg(crowd.pid, signal.SIGKILL)
        crowd.communicate()


def latencies(side: Side) -> list:
    found = []
    with side.popen(side.command(*side.task(stamps=STAMPS))) as process:
        for line in process.stdout:
            if b" at " in line:
                found.append(time.time() - float(line.rpartition(b" ")[2]))
    assert process.returncode == 0 and len(found) == STAMPS, (process.returncode, len(found))
    return found


def ends(side: Side) -> dict:
    """Seconds from ``kill -9`` of the process that a daemon's file names until all of it, its task and that one's
    process are dead. What the reference leaves then does not end by itself."""
    if side.name == "reference":
        return {}
    found = []
    for _ in range(5):
        side.start()
        with side.popen(side.command(*side.task(command=["sh", "-c", "echo up; sleep 600"]))) as process:
            while b"up" not in process.stdout.readline():
                pass
            os.kill(json.loads(Path(side.file[1]).read_text().splitlines()[0])["pid"], signal.SIGKILL)
            begin = time.perf_counter()
            while side.pids():
                time.sleep(0.001)
            found.append(time.perf_counter() - begin)
        side.stop()
    return {"kill -9 until all is dead": found}


def streams(side: Side) -> dict:
    """Seconds for each line, net of what the same command takes without any."""
    found = {"floor: a line through cat": [piped(LINES["ours"])]}
    alone = statistics.median(side.seconds(*side.run(command=["true"])) for _ in range(3))
    found["a line, run"] = [per_line(side, side.run(command=producer(LINES[side.name])), LINES, alone)]
    for callbacks in (10, 50):
        data = {"command": producer(WATCHED[side.name]), "callbacks": callbacks}
        found["a line, run, %d callbacks" % callbacks] = [per_line(side, side.run(**data), WATCHED, alone)]
    found["a line, run, 50 patterns by watch"] = [
        per_line(side, side.run(watched=producer(WATCHED[side.name])), WATCHED, alone)
    ]
    found["a log record, run"] = [per_line(side, side.run(records=RECORDS[side.name]), RECORDS, alone)]
    side.start()
    try:
        empty = statistics.median(side.seconds(*side.task(command=["true"])) for _ in range(3))
        found["a line, daemon run"] = [per_line(side, side.task(command=producer(LINES[side.name])), LINES, empty)]
        found["a log record, daemon run"] = [per_line(side, side.task(records=RECORDS[side.name]), RECORDS, empty)]
    finally:
        side.stop()
    return found


def per_line(side: Side, arguments: tuple, counts: dict, empty: float) -> float:
    """Seconds for each line that came. The reference now and then loses the last ones of a task in its daemon."""
    seconds, lines = side.lines(*arguments)
    assert lines >= counts[side.name] or side.name == "reference", (arguments, lines)
    return net(seconds, empty) / min(lines, counts[side.name])


def piped(count: int) -> float:
    begin = time.perf_counter()
    subprocess.run(["sh", "-c", "yes %s | head -n %d | cat | wc -l" % (LINE, count)], stdout=subprocess.DEVNULL)
    return (time.perf_counter() - begin) / count


def unread(side: Side) -> dict:
    """Bytes of memory for each line of a task whose reader does not read."""
    marker = side.home / "all written"
    side.start()
    try:
        before = side.memory()
        count = UNREAD[side.name]
        task = side.task(command=producer(count), marker=str(marker))
        with side.popen(side.command(*task)) as process:
            while not marker.exists():
                time.sleep(0.05)
            grown = side.memory(spare=process.pid) - before
            subprocess.run(["wc", "-l"], stdin=process.stdout, stdout=subprocess.DEVNULL)
    finally:
        side.stop()
        if marker.exists():
            marker.unlink()
    return {"memory: an unread line": [max(grown, 1) / count]}


def actions(side: Side) -> dict:
    return side.script("actions", "100")


def paths(side: Side) -> dict:
    return side.script("paths", "2000")


def data(side: Side) -> dict:
    return side.script("data", "5")


GROUPS = {
    function.__name__: function
    for function in (interpreter, commands, starts, crowd, ends, streams, unread, actions, paths, data)
}
#: By figure: the ratio to the reference that was asked for, the one that was aimed at, and the one below which
#: something has gone wrong, whatever else the machine does meanwhile.
RATIOS = {
    "import of the entry point": (4, 6, 3),
    "daemon start": (15, 25, 8),
    "daemon run": (4, 6, 2.5),
    "daemon run, a task of 50 ms": (10, 14, 5),
    "latency of a line": (200, 400, 50),
    "a line, daemon run": (15, 30, 5),
    "a line, run": (15, 30, 5),
    "a line, run, 10 callbacks": (4, 8, 2),
    "a line, run, 50 callbacks": (2, 4, 1.2),
    "a log record, run": (1.5, 3, 0.7),
    "a log record, daemon run": (1.5, 3, 1),
    "an answer to a call": (40, 60, 10),
    "a mapped path": (20, 100, 8),
    "memory: an idle daemon": (1.3, 1.6, 1.15),
    "memory: an unread line": (40, 100, 10),
}
