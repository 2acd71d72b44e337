"""examples/slurm with a real Slurm: three nodes on this host, in a folder and a PID namespace of their own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from .conftest import ADAPTORS, HANG_SECONDS, NOT_ALLOWED, ROOT, root_only, tool, wait_until
from .hurry import hurry

pytestmark = [pytest.mark.posix_only, pytest.mark.once, pytest.mark.long, root_only, pytest.mark.timeout(300)]

NODES = ["n1", "n2", "n3"]
SCRIPT = str(ROOT / "examples" / "slurm" / "render.sh")

#: Processes are tracked without cgroups, which a container may not have; jobs start and end without a pause.
CONFIGURATION = """
ClusterName=test
SlurmUser=root
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0
KillWait=2
MinJobAge=3600
SlurmdTimeout=10
{nodes}
PartitionName=all Nodes={names} Default=YES State=UP
"""

#: The first process of the namespace: all others end with it, which ends with the tests. It starts what it is told.
FIRST = """
import os, subprocess, sys, threading, time
def start():
    for line in sys.stdin:
        name, *command = line.split()
        with open(name + ".log", "ab") as log:
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    os._exit(0)
threading.Thread(target=start, daemon=True).start()
while True:
    try:
        os.wait()
    except ChildProcessError:
        time.sleep(0.05)
"""


class Slurm:
    """A cluster of three nodes with a processor each; its commands run outside of its namespace."""

    def __init__(self, folder: Path) -> None:
        for name in ("slurmctld", "slurmd", "munged", "sbatch", "unshare"):
            tool(name)
        if subprocess.call(["unshare", "-pf", "--mount-proc", "true"]) != 0:
            pytest.skip(NOT_ALLOWED + " PID namespaces")
        self.folder = folder
        sockets = [socket.socket() for _ in range(4)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in sockets]
        for each in sockets:
            each.close()
        host = socket.gethostname()
        form = "NodeName=%s NodeHostname=%s NodeAddr=127.0.0.1 Port=%d CPUs=1 State=UNKNOWN"
        nodes = "\n".join(form % (name, host, port) for name, port in zip(NODES, ports[1:]))
        facts = {"folder": folder, "host": host, "ports": ports, "nodes": nodes, "names": ",".join(NODES)}
        (folder / "slurm.conf").write_text(CONFIGURATION.format(**facts))
        (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")  # loaded, and not used
        (folder / "munge.key").write_bytes(os.urandom(128))
        (folder / "munge.key").chmod(0o400)
        (folder / "state").mkdir()
        self.env = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
        self._first = subprocess.Popen(
            ["unshare", "-pf", "--mount-proc", "--kill-child", sys.executable, "-c", FIRST],
            cwd=str(folder),
            env=self.env,
            stdin=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        files = ["--%s=%s/munge.%s" % (what.replace("_", "-"), folder, what) for what in ("socket", "pid_file")]
        files += [
            "--key-file=%s/munge.key" % folder,
            "--log-file=%s/munge.log" % folder,
            "--seed-file=%s/seed" % folder,
        ]
        self._start("munged", "munged", "--foreground", "--force", *files)
        wait_until((folder / "munge.socket").exists)
        self._start("slurmctld", "slurmctld", "-D")
        for node in NODES:
            self.start_node(node)
        wait_until(lambda: self._told("sinfo", "--noheader", "--format=%t %D") == "idle 3")

    def _start(self, name, *command):
        self._first.stdin.write((" ".join([name, *command]) + "\n").encode())

    def start_node(self, node):
        self._start(node, "slurmd", "-D", "-N", node)

    def end(self):
        self._first.stdin.close()
        assert self._first.wait(HANG_SECONDS) == 0

    def _told(self, *command):
        done = subprocess.run(command, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.stdout.decode().strip()

    def control(self, *words):
        assert self._told("scontrol", *words) == ""

    def cancel(self, job):
        assert self._told("scancel", job) == ""

    def jobs(self, job):
        """What the controller knows of each task of an array."""
        return [
            dict(re.findall(r"(\w+)=(\S*)", line))
            for line in self._told("scontrol", "-o", "show", "job", job).split("\n")
        ]

    def wait_for(self, job, *states, limit=HANG_SECONDS):
        """Wait until all tasks of an array are in one of these states; returns what is known of them."""
        end = time.monotonic() + limit
        while True:
            found = self.jobs(job)
            if all(each.get("JobState") in states for each in found):
                return found
            assert time.monotonic() < end, found
            time.sleep(0.1)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    made = Slurm(tmp_path_factory.mktemp("slurm"))
    yield made
    made.end()


class Job:
    """Arrays that render by an adaptor which notes what it is called for."""

    def __init__(self, slurm, farm):
        self.slurm = slurm
        self.farm = farm
        self.id = ""

    def submit(self, array, each, *options, journal="journal", **init_data):
        """``options`` are those of sbatch."""
        data = ["--init-data", json.dumps(init_data), "--each", "frame=" + each, "--continue", journal]
        env = {**self.farm.env, "SLURM_CONF": self.slurm.env["SLURM_CONF"], "PYTHON": sys.executable}
        command = ["sbatch", "--parsable", "--array=" + array, "--output=log.%a", *options, SCRIPT]
        done = subprocess.run(
            [*command, str(ADAPTORS / "frames.py"), *data],
            cwd=str(self.farm.folder),
            env=env,
            stdout=subprocess.PIPE,
        )
        assert done.returncode == 0
        self.id = done.stdout.decode().strip()
        return self

    def notes(self):
        path = self.farm.folder / "notes"
        return [line.rpartition(" ")[0] for line in path.read_text().splitlines()] if path.exists() else []

    def nodes(self):
        """How many frames each node has rendered."""
        lines = (self.farm.folder / "notes").read_text().splitlines()
        return Counter(line.split()[-1] for line in lines if line.startswith("frame"))

    def frames(self):
        return sorted(int(note.split()[1]) for note in self.notes() if note.startswith("frame"))

    def wait_for_note(self, note):
        wait_until(lambda: note in self.notes())

    def log(self, part=1):
        return (self.farm.folder / ("log.%d" % part)).read_text()

    def session(self):
        """The pid of the only session, as it is seen here."""
        return min(self.farm.pids_named("session"))

    def nothing_is_left(self):
        self.farm.wait_until_nothing_is_left()


@pytest.fixture
def job(cluster, farm):
    made = Job(cluster, farm)
    yield made
    if made.id:
        cluster._told("scancel", made.id)


def parent_of(pid):
    return int(re.search(r"PPid:\t(\d+)", Path("/proc/%d/status" % pid).read_text()).group(1))


def test_an_array_over_three_nodes_renders_each_frame_once_and_goes_on_after_one_that_fails(cluster, job):
    done = cluster.wait_for(job.submit("1-3", "1-60").id, "COMPLETED")
    assert job.frames() == list(range(1, 61)) and job.nodes() == dict.fromkeys(NODES, 20), done
    assert Counter(job.notes())["start"] == 3
    # The journals are those of all parts, and nothing is to be done any more.
    cluster.wait_for(job.submit("1-4", "1-60").id, "COMPLETED")
    assert len(job.frames()) == 60 and "INFO: nothing to do" in job.log(4)
    # One frame fails: those after it are rendered, and the task of the array that had it fails.
    done = cluster.wait_for(job.submit("1-2", "1-6", journal="other", failing=[2]).id, "COMPLETED", "FAILED")
    assert [(each["JobState"], each["ExitCode"]) for each in sorted(done, key=lambda each: each["ArrayTaskId"])] == [
        *(("FAILED", "1:0"), ("COMPLETED", "0:0")),
    ]
    assert len(job.frames()) == 65 and "openjd_fail: RuntimeError: frame 2 cannot be rendered" in job.log(1)


def test_scancel_cancels_the_task_stops_and_cleans_up_and_leaves_nothing(cluster, job):
    job.submit("1-1", "1-3", hanging=[2])
    job.wait_for_note("begin 2")
    cluster.cancel(job.id)
    job.nothing_is_left()
    assert job.notes() == ["start", "begin 1", "frame 1", "begin 2", "cancel", "stop", "cleanup"]
    [ended] = cluster.wait_for(job.id, "CANCELLED")
    assert re.search(r"\ntask 2 .* 4\n", job.log()), ended


def test_before_the_time_limit_a_task_is_canceled_and_what_ignores_that_is_killed_after_it(cluster, job):
    hurry(job.farm, 4.0, "transport.wire.STOP_SECONDS")  # what a daemon has whose owner is gone
    deaf = job.submit("1-1", "1-3", "--time=1", "--signal=B:TERM@1", journal="deaf", deaf=[1]).id
    job.wait_for_note("begin 1")
    job.submit("1-1", "2-3", "--time=1", hanging=[3])  # TERM comes 60 s before the limit
    job.wait_for_note("begin 3")
    [ended] = cluster.wait_for(job.id, "FAILED")
    assert ended["ExitCode"] == "4:0" and job.notes()[-3:] == ["cancel", "stop", "cleanup"]
    [ended] = cluster.wait_for(deaf, "TIMEOUT", limit=150)  # the controller looks every 30 s
    assert ended["ExitCode"] == "0:9"
    job.nothing_is_left()
    assert "frame 1" not in job.notes() and job.notes().count("cancel") == 2


def test_a_requeued_job_goes_on_where_it_was(cluster, job):
    job.submit("1-1", "1-4", hanging_once=[3])
    wait_until((job.farm.folder / "hung").exists)
    cluster.control("requeue", job.id)
    [ended] = cluster.wait_for(job.id, "COMPLETED")
    assert job.frames() == [1, 2, 3, 4] and ended["Restarts"] == "1"
    assert Counter(job.notes())["begin 3"] == 2 and job.notes().count("stop") == 2


def test_kill_9_of_slurmstepd_cancels_the_session_within_seconds(cluster, job):
    job.submit("1-1", "1-3", hanging=[1])
    job.wait_for_note("begin 1")
    os.kill(parent_of(job.session()), signal.SIGKILL)
    job.nothing_is_left()
    assert job.notes() == ["start", "begin 1", "cancel", "stop", "cleanup"]


def test_kill_9_of_slurmd_harms_no_running_session(cluster, job):
    job.submit("1-1", "1-6", "--nodelist=n2", seconds=0.3)
    job.wait_for_note("begin 2")
    [slurmd] = [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if path.read_bytes() == b"slurmd\0-D\0-N\0n2\0"
        and str(cluster.folder).encode() in (path.parent / "environ").read_bytes()
    ]
    os.kill(slurmd, signal.SIGKILL)
    wait_until(lambda: len(job.frames()) == 6)
    job.nothing_is_left()
    cluster.start_node("n2")
    cluster.wait_for(job.id, "COMPLETED")
    assert job.frames() == [1, 2, 3, 4, 5, 6]


def test_a_node_that_is_drained_ends_its_part_and_gets_no_other(cluster, job):
    job.submit("1-3", "1-12", seconds=0.3)
    wait_until(lambda: job.notes().count("start") == 3)
    cluster.control("update", "NodeName=n1", "State=DRAIN", "Reason=test")
    try:
        cluster.wait_for(job.id, "COMPLETED")
        assert job.frames() == list(range(1, 13)) and job.nodes() == dict.fromkeys(NODES, 4)
        cluster.wait_for(job.submit("1-3", "1-12", journal="other").id, "COMPLETED")
        assert len(job.frames()) == 24 and job.nodes()["n1"] == 4
    finally:
        cluster.control("update", "NodeName=n1", "State=RESUME")
