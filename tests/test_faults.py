"""What happens when… : the faults of the README's table that no other file of tests is about, with real causes."""

from __future__ import annotations

import array
import fcntl
import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from openjd_adapt import system
from openjd_adapt.transport.wire import WINDOW_BYTES

from .conftest import ADAPTORS, HANG_SECONDS, read_until, root_only, small_disk, tool, wait_until
from .hurry import hurry
from .test_daemon import task
from .test_ends import processes, status
from .test_process import alive

pytestmark = pytest.mark.posix_only

LINES = re.compile(r"^line (\d+)", re.M)


@pytest.fixture
def cgroup(request):
    """A control group of the kind that the test names; where the host gives none, the test says so."""
    kind = request.param
    path = Path("/sys/fs/cgroup", kind, "openjd_adapt-%d" % os.getpid())
    try:
        path.mkdir()
    except OSError as error:
        pytest.skip("this host does not allow a control group of %s: %s" % (kind, error.strerror))
    yield path
    for pid in (path / "cgroup.procs").read_text().split():
        os.kill(int(pid), signal.SIGKILL)
    wait_until(lambda: not (path / "cgroup.procs").read_text())
    path.rmdir()


# Processes that do not want to end


def test_a_command_whose_grandchild_holds_its_pipe_ends_its_task_and_the_grandchild_with_the_daemon(farm):
    hurry(farm, 0.2, "process.DRAIN_SECONDS")
    farm.adaptor = str(ADAPTORS / "command.py")
    farm.daemon("start")
    done = farm.daemon("run", "--run-data", json.dumps({"args": ["sh", "-c", "setsid sleep 300 & echo up"]}))
    assert done.code == 0 and "STDOUT: up" in done.lines
    assert farm.daemon("stop").code == 0
    assert farm.pids() == []


def test_a_command_that_ignores_sigterm_is_killed_when_its_grace_is_over(farm):
    farm.adaptor = str(ADAPTORS / "command.py")
    farm.daemon("start")
    args = ["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 1; done"]
    process = farm.daemon_popen("run", "--run-data", json.dumps({"args": args, "grace": 0.2}))
    read_until(process.stdout, "STDOUT: deaf")
    process.send_signal(signal.SIGTERM)
    done = farm.finish(process)
    assert done.code == 4 and "INFO: Killing process" in done.out
    assert farm.daemon("stop").code == 0


@pytest.mark.parametrize("cgroup", ["freezer"], indirect=True)
def test_what_not_even_sigkill_ends_holds_up_nobody_for_ever_and_is_named(farm, cgroup):
    hurry(
        farm,
        0.5,
        "daemon.launch_spec.DEATH_SECONDS",
        "daemon.frontend.SILENT_SECONDS",
        "daemon.frontend.DEATH_SECONDS",
    )
    farm.daemon("start")
    process = farm.daemon_popen("run", "--run-data", '{"do": "tree"}')
    read_until(process.stdout, "tree is up")
    [sleeper] = [pid for pid in farm.pids() if Path("/proc/%d/comm" % pid).read_text() == "sleep\n"]
    (cgroup / "cgroup.procs").write_text(str(sleeper))
    (cgroup / "freezer.state").write_text("FROZEN")
    wait_until(lambda: (cgroup / "freezer.state").read_text() == "FROZEN\n")
    stop = farm.daemon("stop", "--timeout", "5")
    assert stop.code == 1 and re.search(r"does not end: .*\b%d \(sleep\)" % sleeper, stop.err), stop
    farm.finish(process)
    wait_until(lambda: set(farm.pids()) <= {sleeper, *farm.pids_named("guardian of probe")})
    (cgroup / "freezer.state").write_text("THAWED")
    farm.wait_until_nothing_is_left()
    assert farm.daemon("stop").code == 0 and list(farm.folder.glob("connection*")) == []


@pytest.mark.parametrize("cgroup", ["memory"], indirect=True)
@pytest.mark.parametrize(
    "victim", ["worker", *(pytest.param(victim, marks=pytest.mark.long) for victim in ("keeper", "guardian"))]
)
def test_after_the_kernels_out_of_memory_killer_nothing_is_left(farm, cgroup, victim):
    farm.daemon("start")
    process = farm.daemon_popen("run", "--run-data", '{"do": "tree"}')
    read_until(process.stdout, "tree is up")
    pid = processes(farm)[victim]
    (cgroup / "cgroup.procs").write_text(str(pid))
    if victim == "worker":
        process.send_signal(signal.SIGTERM)
        assert farm.finish(process).code == 4
        (cgroup / "memory.limit_in_bytes").write_text(str(64 * 1024 * 1024))
        done = task(farm, {"do": "eat_memory"})
        assert done.code == 1 and "was killed by SIGKILL" in done.out
    else:
        # It holds next to nothing: a glutton beside it fills the group, and the killer is told to prefer the victim.
        # A guardian that becomes a fresh interpreter just then has nothing, and the killer takes the glutton alone.
        Path("/proc/%d/oom_score_adj" % pid).write_text("1000")
        (cgroup / "memory.limit_in_bytes").write_text(str(64 * 1024 * 1024))
        while alive(pid):
            glutton = subprocess.Popen(["sh", "-c", "read go; exec tail /dev/zero"], stdin=subprocess.PIPE)
            (cgroup / "cgroup.procs").write_text(str(glutton.pid))
            glutton.communicate(b"go\n", timeout=HANG_SECONDS)
        assert farm.finish(process).code == 1
    farm.wait_until_nothing_is_left()
    assert farm.daemon("stop").code == 0 and list(farm.folder.glob("connection*")) == []


@pytest.mark.parametrize(
    "victim",
    ["keeper", *(pytest.param(victim, marks=pytest.mark.long) for victim in ("front of run", "guardian", "worker"))],
)
def test_kill_9_while_c_code_holds_the_gil_leaves_nothing(farm, victim):
    hold = '{"do": "hold_gil", "seconds": 300}'
    if victim == "front of run":
        process = farm.popen("run", "--run-data", hold)
    else:
        farm.daemon("start")
        process = farm.daemon_popen("run", "--run-data", hold)
    read_until(process.stdout, "holding")
    os.kill(process.pid if victim == "front of run" else processes(farm)[victim], signal.SIGKILL)
    farm.wait_until_nothing_is_left()
    farm.finish(process)
    assert farm.daemon("stop").code == 0


@pytest.mark.long
def test_a_stop_that_finds_the_daemon_ending_waits_for_that_and_has_its_exit_code(farm):
    farm.daemon("start", "--init-data", json.dumps({"on_stop": {"do": "fail"}}))
    guardian = processes(farm)["guardian"]
    os.kill(guardian, signal.SIGSTOP)  # it holds the lock when the keeper has ended
    first = farm.daemon_popen("stop")
    wait_until(lambda: not list(farm.folder.glob("*.sock")))
    second = farm.daemon("stop")
    assert second.code == 1 and "killing it" not in second.err, second
    assert farm.finish(first).code == 1
    assert farm.daemon("stop").code == 0
    farm.wait_until_nothing_is_left(0)


def test_a_stopped_guardian_is_woken_by_stop_and_costs_no_failure(farm):
    hurry(farm, 0.2, "daemon.frontend.SILENT_SECONDS")
    farm.daemon("start")
    os.kill(processes(farm)["guardian"], signal.SIGSTOP)
    done = farm.daemon("stop")
    assert done.code == 0 and "ERROR" not in done.err, done
    assert farm.pids() == [] and list(farm.folder.glob("connection*")) == []


@pytest.mark.parametrize("holding", [pytest.param(False, marks=pytest.mark.long), True])
def test_after_guardian_and_keeper_were_killed_at_once_nothing_is_left(farm, holding):
    farm.daemon("start")
    tree, hold = {"do": "tree_in_groups"}, {"do": "hold_gil", "seconds": 300}
    process = farm.daemon_popen("run", "--run-data", json.dumps(hold if holding else tree))
    read_until(process.stdout, "holding" if holding else "tree is up")
    pids = processes(farm)
    for name in ("guardian", "keeper"):
        os.kill(pids[name], signal.SIGSTOP)
    for name in ("guardian", "keeper"):
        os.kill(pids[name], signal.SIGKILL)
    assert farm.finish(process).code == 1
    if not holding:  # the worker itself sees that its control has ended
        farm.wait_until_nothing_is_left()
    done = farm.daemon("stop")
    assert done.code == 0 and ("killing what it has left: %d (" % pids["worker"] in done.err) == holding
    assert farm.pids() == [] and list(farm.folder.glob("connection*")) == []


@pytest.mark.long
def test_a_start_over_the_file_of_a_killed_daemon_ends_what_that_has_left(farm):
    farm.daemon("start")
    process = farm.daemon_popen("run", "--run-data", '{"do": "hold_gil", "seconds": 300}')
    read_until(process.stdout, "holding")
    pids = processes(farm)
    for name in ("guardian", "keeper"):
        os.kill(pids[name], signal.SIGSTOP)
    for name in ("guardian", "keeper"):
        os.kill(pids[name], signal.SIGKILL)
    farm.finish(process)
    assert farm.daemon("start").code == 0 and pids["worker"] not in farm.pids()
    assert farm.daemon("stop").code == 0


def test_a_hung_keeper_is_killed_by_stop_and_a_hung_guardian_is_woken_for_that(farm):
    hurry(farm, 0.2, "daemon.frontend.KILL_MARGIN_SECONDS")
    farm.daemon("start")
    pids = processes(farm)
    os.kill(pids["keeper"], signal.SIGSTOP)
    os.kill(pids["guardian"], signal.SIGSTOP)
    done = farm.daemon("stop", "--timeout", "0.2")
    assert done.code == 1 and "the daemon does not answer; killing it" in done.err
    assert farm.pids() == [] and list(farm.folder.glob("connection*")) == []


@pytest.fixture
def without_ctypes(farm):
    """A farm whose Pythons have no ctypes, and so no subreapers."""
    (farm.folder / "lacking").mkdir()
    for name in ("ctypes.py", "_ctypes.py"):
        (farm.folder / "lacking" / name).write_text("raise ImportError('this Python has no ctypes')")
    farm.env["PYTHONPATH"] += os.pathsep + str(farm.folder / "lacking")
    return farm


@pytest.mark.parametrize(
    "victim", ["keeper", *(pytest.param(victim, marks=pytest.mark.long) for victim in ("worker", "guardian"))]
)
def test_without_ctypes_the_groups_of_applications_are_killed_all_the_same(without_ctypes, victim):
    farm = without_ctypes
    farm.adaptor = str(ADAPTORS / "command.py")
    done = farm.daemon("start")
    assert done.code == 0 and "this host lacks" in done.err
    data = {"args": ["sh", "-c", "sleep 300 & echo up; wait"]}
    process = farm.daemon_popen("run", "--run-data", json.dumps(data))
    read_until(process.stdout, "STDOUT: up")
    os.kill(processes(farm)[victim], signal.SIGKILL)
    assert farm.finish(process).code == 1
    farm.wait_until_nothing_is_left()
    assert farm.daemon("stop").code == 0


@pytest.mark.long
def test_without_ctypes_a_worker_that_holds_the_gil_dies_with_its_keeper(without_ctypes):
    farm = without_ctypes
    (farm.folder / "stuck.py").write_text(
        "import re, openjd_adapt\n"
        "class Stuck(openjd_adapt.Adaptor):\n"
        "    def on_run(self, run_data):\n"
        "        print('stuck')\n"
        "        re.match('(a+)+$', 'a' * 64 + 'b')\n"
    )
    farm.adaptor = str(farm.folder / "stuck.py")
    farm.daemon("start")
    process = farm.daemon_popen("run")
    read_until(process.stdout, "stuck")
    os.kill(processes(farm)["keeper"], signal.SIGKILL)
    assert farm.finish(process).code == 1
    farm.wait_until_nothing_is_left()
    assert farm.daemon("stop").code == 0


# What a process becomes that is asked to end: its parent, and the wrapper before that, have gone when it has saved.
SAVER = """
import os, signal, time
def save(*_):
    parent = os.getpid()
    if os.fork() == 0:
        while os.getppid() == parent:
            time.sleep(0.01)
        time.sleep(0.3)
        os.write(1, b"saved\\n")
    os._exit(0)
signal.signal(signal.SIGTERM, save)
print("up", flush=True)
while True:
    time.sleep(1)
"""


def test_what_is_forked_by_who_is_asked_has_the_grace_of_their_group(farm):
    farm.adaptor = str(ADAPTORS / "command.py")
    words = ["sh", "-c", '"$0" -c "$1"; echo', sys.executable, SAVER]
    process = farm.popen("run", "--run-data", json.dumps({"args": words, "grace": HANG_SECONDS}))
    read_until(process.stdout, "STDOUT: up")
    process.send_signal(signal.SIGTERM)
    done = farm.finish(process)
    assert done.code == 4 and "STDOUT: saved" in done.lines, done


# A host that has no room


@pytest.mark.parametrize(
    "most", [6, 13, *(pytest.param(most, marks=pytest.mark.long) for most in [*range(7, 13), *range(14, 18), 20])]
)
def test_without_descriptors_one_line_says_so_and_nothing_is_left(farm, most):
    import resource

    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    farm.adaptor = str(ADAPTORS / "command.py")
    words = ["run", "--run-data", json.dumps({"args": ["echo", "done 1"]})]
    done = farm.finish(farm.popen(*words, preexec_fn=limit))
    assert (done.code, done.out.count("openjd_fail: ")) in [(0, 0), (1, 1)], done
    assert "Traceback" not in done.out + done.err and "fault of openjd_adapt" not in done.out + done.err, done
    if most < 9:
        done = farm.finish(farm.daemon_popen("start", preexec_fn=limit))
        assert (done.code, done.err) == (1, "ERROR: cannot start a process: Too many open files\n"), done
        assert not list(farm.folder.glob("connection.json*"))


@pytest.mark.parametrize("nth", [1, pytest.param(2, marks=pytest.mark.long), 4])
def test_without_room_for_a_thread_one_line_says_so_and_nothing_is_left(farm, nth):
    (farm.folder / "full").mkdir()
    (farm.folder / "full" / "sitecustomize.py").write_text(
        "import itertools, threading\n"
        "start, count = threading.Thread.start, itertools.count(1)\n"
        "def start_if_there_is_room(thread):\n"
        '    if next(count) >= %d: raise RuntimeError("can\'t start new thread")\n'
        "    start(thread)\n"
        "threading.Thread.start = start_if_there_is_room\n" % nth
    )
    farm.env["PYTHONPATH"] += os.pathsep + str(farm.folder / "full")
    farm.adaptor = str(ADAPTORS / "command.py")
    done = farm("run", "--run-data", json.dumps({"args": ["sleep", "300"], "grace": 0}))
    assert done.code == 1 and (done.out + done.err).count("can't start new thread") == 1, done
    assert done.out.count("openjd_fail: ") == 1 and "Traceback" not in done.out + done.err, done


# Fronts that do not read


@pytest.mark.parametrize("seconds", [0.5, pytest.param(61, marks=[pytest.mark.long, pytest.mark.timeout(300)])])
def test_a_front_that_is_stopped_for_a_minute_holds_up_nobody_and_then_shows_everything(farm, seconds):
    farm.daemon("start")
    process = farm.daemon_popen("run", "--run-data", '{"do": "sleep", "seconds": 300}')
    read_until(process.stdout, "sleeping")
    process.kill()
    process.communicate()
    count = 5 * WINDOW_BYTES // len("line 100000\n")
    lines = json.dumps({"do": "slow_lines", "count": count, "seconds": min(seconds, 10)})
    process = farm.daemon_popen("run", "--run-data", lines)
    out = read_until(process.stdout, "line 1\n")
    os.kill(process.pid, signal.SIGSTOP)
    end = time.monotonic() + seconds
    while time.monotonic() < end or status(farm)["unread_bytes"] < 3 * WINDOW_BYTES:  # and the task goes on
        time.sleep(seconds / 10)
    os.kill(process.pid, signal.SIGCONT)
    done = farm.finish(process)
    assert done.code == 0
    assert [int(number) for number in LINES.findall(out + done.out)] == list(range(count))
    assert farm.daemon("stop").code == 0


def test_output_over_the_bound_loses_the_oldest_and_a_line_says_how_much(farm):
    (farm.folder / "runtime.json").write_text('{"output_memory_bytes": 65536, "output_limit_bytes": 300000}')
    farm.env["RUNTIME_CONFIG_PATH"] = str(farm.folder / "runtime.json")
    farm.daemon("start")
    write_what_nobody_reads(farm)
    done = task(farm, {"do": "say", "text": "next"})
    numbers = [int(number) for number in LINES.findall(done.out)]
    assert numbers == list(range(numbers[0], UNREAD)) and UNREAD // 4 < len(numbers) < UNREAD
    # The task's own line costs one more, if it comes before the gap was acknowledged.
    lost = re.findall(r"^WARNING: (\d+) bytes of output are lost: nobody read them in time", done.out, re.M)
    assert sum(map(int, lost)) == sum(len("line %d\n" % number) for number in range(numbers[0]))
    assert farm.daemon("stop").code == 0


@root_only
def test_a_full_disk_is_told_and_stops_neither_the_application_nor_the_next_task(farm):
    (farm.folder / "runtime.json").write_text('{"output_memory_bytes": 65536}')
    farm.env["RUNTIME_CONFIG_PATH"] = str(farm.folder / "runtime.json")
    with small_disk(farm.folder / "disk", 256 * 1024) as disk:
        farm.env["TMPDIR"] = str(disk)
        farm.daemon("start")
        write_what_nobody_reads(farm)
        done = task(farm, {"do": "say", "text": "next"})
        assert done.code == 0 and re.search(r"\b\d+ bytes of output are lost: the disk is full", done.out + done.err)
        numbers = [int(number) for number in LINES.findall(done.out)]
        assert numbers == sorted(set(numbers)) and numbers[0] == 0 and UNREAD // 8 < len(numbers) < UNREAD
        assert task(farm, {"do": "lines", "how": "print", "count": 3}).lines == ["line 0", "line 1", "line 2"]
        assert farm.daemon("stop").code == 0
        assert list(disk.iterdir()) == []


@root_only
def test_a_full_disk_under_the_connection_file_is_one_line_and_leaves_nothing(farm):
    with small_disk(farm.folder / "disk", 64 * 1024) as disk:
        (disk / "filler").write_bytes(b"x" * (shutil.disk_usage(str(disk)).free - 4096))
        farm.file = disk / "connection.json"
        with (disk / "more").open("wb", buffering=0) as stream:
            try:
                while stream.write(b"x" * 512):
                    pass
            except OSError:
                pass
        done = farm.daemon("start")
        assert done.code == 2 and "No space left on device" in done.err and done.err.count("\n") == 1, done
        assert sorted(path.name for path in disk.iterdir()) == ["filler", "more"]


#: So many lines are more than those two bounds.
UNREAD = 40_000


def write_what_nobody_reads(farm):
    """Lines between two tasks; returns when the daemon has taken all of them, or as much as it can."""
    done = farm.folder / "done"
    task(farm, {"do": "lines_later", "count": UNREAD, "done": str(done)})
    wait_until(done.exists)
    pipe = os.open("/proc/%d/fd/1" % status(farm)["worker_pid"], os.O_WRONLY)

    def is_empty():
        left = array.array("i", [0])
        fcntl.ioctl(pipe, termios.FIONREAD, left)
        return left[0] == 0

    wait_until(is_empty)
    os.close(pipe)
    status(farm)  # whoever answers has dealt with what it has read


# What comes out of an application


#: A line's size in bytes: more than what is kept in memory, and what the README promises.
long_lines = pytest.mark.parametrize("size", [10_000_000, pytest.param(50_000_000, marks=pytest.mark.long)])


@long_lines
def test_a_line_of_50_mb_arrives_whole(started, size):
    process = started.daemon_popen("run", "--run-data", json.dumps({"do": "long_line", "size": size}))
    assert process.stdout is not None
    shown = sum(chunk.count(b"x") for chunk in iter(lambda: process.stdout.read(1 << 20), b""))
    assert (started.finish(process).code, shown) == (0, size)


@long_lines
def test_a_line_of_50_mb_of_an_application_arrives_in_pieces_that_a_scheduler_takes(farm, size):
    farm.adaptor = str(ADAPTORS / "command.py")
    program = "head -c %d /dev/zero | tr '\\\\0' x; echo; echo after"
    done = farm("run", "--run-data", json.dumps({"args": ["sh", "-c", program.replace("\\\\0", "\\0") % size]}))
    assert done.code == 0 and done.lines[-2:] == ["STDOUT: after", "on_postrun"]
    assert done.out.count("x") - done.out.count("exit") >= size
    assert max(map(len, done.lines)) < 64_000


def test_nul_bytes_arrive_as_they_are_and_what_is_not_utf_8_as_numbers(farm):
    data = b"\0\0abc\xff\xfe\xc3\n" + bytes(range(256)) + b"\n\0"
    process = farm.popen("run", "--run-data", json.dumps({"do": "raw", "data": data.hex()}))
    out, _ = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 0
    assert out.partition(b"INFO: on_start\n")[2].startswith(data.decode("utf-8", "backslashreplace").encode())


# Files and clocks that lie


def test_a_stale_connection_file_whose_pid_is_another_processs_harms_nobody(farm):
    farm.daemon("start")
    os.kill(status(farm)["pid"], signal.SIGKILL)
    farm.wait_until_nothing_is_left()
    bystander = subprocess.Popen(["sleep", "300"])
    first = json.loads(farm.file.read_text().splitlines()[0])
    own, other = first["started"], system.start_time(bystander.pid) + 1
    for word, started, code in [
        *(("run", own, 3), ("status", own, 3), ("cancel", own, 3), ("stop", own, 0)),
        *(("run", other, 3), ("stop", other, 0), ("stop", 0, 0)),
    ]:
        them = [bystander.pid, started]
        record = {**first, "pid": bystander.pid, "started": started, "guardian": them, "worker": them}
        farm.file.touch(0o600)
        farm.file.write_text(json.dumps(record) + "\n")
        assert farm.daemon(word).code == code
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


@pytest.mark.long
def test_a_lock_that_nobody_of_ours_holds_is_waited_for_not_for_ever_and_no_bystander_is_killed(farm):
    hurry(farm, 0.2, "daemon.frontend.SILENT_SECONDS", "daemon.frontend.DEATH_SECONDS")
    farm.daemon("start")
    record = json.loads(farm.file.read_text().splitlines()[0])
    assert farm.daemon("stop").code == 0
    bystander = subprocess.Popen(["sleep", "300"])
    record.update(pid=bystander.pid, started=system.start_time(bystander.pid) + 1, host=socket.gethostname())
    farm.file.touch(0o600)
    farm.file.write_text(json.dumps(record) + "\n")
    with farm.file.open("r+") as held:
        assert system.lock(held.fileno())
        done = farm.daemon("stop", "--timeout", "1")
        assert done.code == 1 and "what holds its lock does not end" in done.err
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()
    assert farm.daemon("stop").code == 0


def test_a_clock_that_is_set_back_changes_no_deadline(farm):
    tool("faketime")
    [library] = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    clock = farm.folder / "clock"
    clock.write_text("+0")
    farm.env.update(
        LD_PRELOAD=library, FAKETIME_TIMESTAMP_FILE=str(clock), FAKETIME_NO_CACHE="1", DONT_FAKE_MONOTONIC="1"
    )
    farm.daemon("start")
    process = farm.daemon_popen("run", "--run-data", '{"do": "spin", "seconds": 300}')
    read_until(process.stdout, "spinning")
    clock.write_text("-3600")
    assert farm.daemon("cancel", "--timeout", "0.3").code == 0
    done = farm.finish(process)
    assert done.code == 4 and "did not end by its deadline" in done.err
    assert farm.daemon("stop").code == 0
    clock.write_text("+0")
    farm.daemon("start", "--idle-timeout", "1")
    clock.write_text("-3600")
    farm.wait_until_nothing_is_left()
    assert farm.daemon("stop").code == 0


@pytest.mark.long
@pytest.mark.parametrize("cgroup", ["freezer"], indirect=True)
def test_a_run_names_what_not_even_sigkill_ends_and_fails(farm, cgroup):
    hurry(farm, 0.5, "daemon.launch_spec.DEATH_SECONDS")
    (farm.folder / "leaver.py").write_text(
        "import os, subprocess, openjd_adapt\n"
        "class Leaver(openjd_adapt.Adaptor):\n"
        "    def on_run(self, run_data):\n"
        "        print('left', subprocess.Popen(['sleep', '300']).pid)\n"
        "        while not os.path.exists(run_data['until']):\n"
        "            self.sleep(0.01)\n"
    )
    farm.adaptor = str(farm.folder / "leaver.py")
    process = farm.popen("run", "--run-data", json.dumps({"until": str(farm.folder / "frozen")}))
    sleeper = int(read_until(process.stdout, "left").split()[-1])
    (cgroup / "cgroup.procs").write_text(str(sleeper))
    (cgroup / "freezer.state").write_text("FROZEN")
    wait_until(lambda: (cgroup / "freezer.state").read_text() == "FROZEN\n")
    (farm.folder / "frozen").touch()
    done = farm.finish(process)
    assert done.code == 1 and "cannot be ended: " in done.err and "%d (sleep)" % sleeper in done.err
    (cgroup / "freezer.state").write_text("THAWED")
    farm.wait_until_nothing_is_left()
