"""The adaptor's process as its keeper starts it: output, control and end, with real processes."""

from __future__ import annotations

import os
import select
import signal
import sys

import pytest

from openjd_adapt import system
from openjd_adapt.daemon import launch
from openjd_adapt.system.posix_processes import Ledger

from .conftest import HANG_SECONDS, wait_until
from .test_process import all_dead

pytestmark = [pytest.mark.core, pytest.mark.posix_only]


@pytest.fixture
def start():
    """Starts workers that run a Python text; what is left of them is killed."""
    workers = []

    def begin(text, groups=None):
        started = launch.fork_worker([sys.executable, "-S", "-c", text], groups=groups and groups.descriptor)
        workers.append(system.Worker(started, system.Bell(), groups))
        return workers[-1]

    yield begin
    for worker in workers:
        if worker.returncode() is None:
            worker.kill()
            until_ended(worker)


def until_ended(worker):
    wait_until(lambda: worker.returncode() is not None)
    return worker.returncode()


def all_output(worker):
    data = b""
    while select.select([worker], [], [], HANG_SECONDS)[0]:
        piece = worker.read(4096)
        if not piece:
            return data
        data += piece
    pytest.fail("the output did not end: %r" % data)


def test_output_and_errors_come_through_one_pipe_and_end_with_the_process(start):
    worker = start("import os; os.write(1, b'out '); os.write(2, b'err ')")
    assert all_output(worker) == b"out err "
    assert until_ended(worker) == 0


def test_reading_where_there_is_nothing_does_not_block(start):
    worker = start("import time; time.sleep(300)")
    with pytest.raises(BlockingIOError):
        worker.read(4096)
    assert worker.returncode() is None


@pytest.mark.parametrize("text, code", [("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 9)", -9)])
def test_the_end_is_told_as_subprocess_tells_it(start, text, code):
    worker = start(text)
    assert until_ended(worker) == code
    assert worker.returncode() == code


@pytest.mark.parametrize("can_look", [True, False], ids=["", "as on macOS before Python 3.13"])
def test_a_kill_is_of_the_process_alone_and_the_rest_is_ended_with_all(start, monkeypatch, can_look):
    if not can_look:
        monkeypatch.delattr(os, "waitid")
    worker = start(
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(300)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(300)\n",
        Ledger(),
    )
    assert select.select([worker], [], [], HANG_SECONDS)[0]
    child = int(worker.read(100))
    worker.kill()
    assert until_ended(worker) == -signal.SIGKILL
    assert worker.end_all(HANG_SECONDS) == set()
    assert all_dead([child])


def test_the_control_goes_both_ways_and_the_process_has_no_other_descriptor(start):
    worker = start(
        "import os, socket\n"
        "control = socket.socket(fileno=3)\n"
        "control.sendall(control.recv(10) + str(sorted(map(int, os.listdir('/proc/self/fd')))[:5]).encode())\n"
    )
    worker.control.sendall(b"hello ")
    worker.control.settimeout(HANG_SECONDS)
    assert worker.control.recv(100) == b"hello [0, 1, 2, 3, 4]"  # 4 is what lists the folder


def test_what_cannot_be_started_is_told_in_the_output(start, monkeypatch):
    monkeypatch.setattr(system, "arrange", lambda wanted: os.open("/dev/null/nothing", 0))
    worker = start("")
    assert all_output(worker).decode() == "cannot start %s: Not a directory\n" % sys.executable
    assert until_ended(worker) == 127


def test_a_list_of_groups_is_shared_with_the_process(start):
    groups = Ledger()
    worker = start("import os; print(os.fstat(4).st_ino)", groups)
    assert int(all_output(worker)) == os.fstat(groups.descriptor).st_ino


def test_no_group_stays_in_the_list_when_the_process_has_ended_as_its_number_may_become_anothers(start):
    groups = Ledger()
    worker = start(
        "import os, signal, struct\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    os.setsid()\n"
        "    os.write(1, b'x')\n"
        "    signal.pause()\n"
        "os.pwrite(4, struct.pack('q', pid), 8)\n"
        "os.write(1, b'x')\n"
        "signal.pause()\n",
        groups,
    )
    data = b""
    while len(data) < 2:
        assert select.select([worker], [], [], HANG_SECONDS)[0]
        data += worker.read(2)
    entered = groups._groups()
    worker.kill()
    until_ended(worker)
    assert worker.pid in entered and not any(groups._groups())
    assert all_dead(entered)


def test_a_process_that_ends_before_anybody_listens_has_rung_the_bell():
    bell = system.Bell()
    worker = system.Worker(launch.fork_worker([sys.executable, "-S", "-c", "raise SystemExit(7)"]), bell)
    assert select.select([bell], [], [], 0)[0]
    assert until_ended(worker) == 7


def test_a_bell_that_is_rung_is_heard_once_with_all_that_it_was_rung_with():
    bell = system.Bell()
    assert bell.heard() == b""
    assert not select.select([bell], [], [], 0)[0]
    bell.ring()
    bell.ring(b"two")
    assert select.select([bell], [], [], HANG_SECONDS)[0]
    assert (bell.heard(), bell.heard()) == (b"!two", b"")
    bell.close()


def test_a_bell_that_nobody_hears_never_blocks_who_rings_it():
    bell = system.Bell()
    for _ in range(3):
        bell.ring(b"x" * 65536)
    assert len(bell.heard()) == 4096
    bell.close()
