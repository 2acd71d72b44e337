"""The end of process trees. What acts on all children of its process runs in a process of its own here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from openjd_adapt.system import posix_processes
from openjd_adapt.system.posix_processes import Ledger, Tree, send_signal, start_time

from .conftest import ADAPTORS, HANG_SECONDS, NOT_ALLOWED
from .test_process import alive, all_dead

pytestmark = [
    pytest.mark.core,
    pytest.mark.posix_only,
    pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs /proc"),
]

# What the programs below begin with. say() and heard() are a pipe by which whoever was forked tells that it is there.
PRELUDE = """
import atexit, errno, os, signal, sys, time
from openjd_adapt import system
reader, writer = os.pipe()
def say(text="x"):
    os.write(writer, text.encode())
def heard(count):
    data = b""
    while len(data) < count:
        data += os.read(reader, count - len(data))
    return data
def child(run):
    pid = os.fork()
    if pid == 0:
        run()
        os._exit(0)
    return pid
def stay():
    say()
    while True:
        signal.pause()
assert system.become_subreaper()
atexit.register(system.kill_children)  # what fails leaves nobody who holds the pipes
"""


@pytest.fixture
def own_process(farm):
    """Runs a program in a process of its own, of which nothing may be left; returns the words that it has printed."""

    def run(program):
        command = [sys.executable, "-c", PRELUDE + program]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        done = farm.finish(subprocess.Popen(command, env=farm.env, start_new_session=True, **pipes))
        assert (done.code, done.err) == (0, ""), done
        assert farm.pids() == []
        return done.out.split()

    return run


@pytest.fixture
def namespace(farm):
    """The same in PID namespaces of its own, which end with it: for what a host may not be left with."""
    unshare = ["unshare", "-pf", "--kill-child"]

    def run(program, own_proc=True):
        if subprocess.call([*unshare, "--mount-proc", "true"], stderr=subprocess.DEVNULL) != 0:
            pytest.skip(NOT_ALLOWED + " PID namespaces")
        if own_proc:
            unshare.append("--mount-proc")
        prelude = PRELUDE if own_proc else PRELUDE.replace("assert", "assert not")
        command = [*unshare, sys.executable, "-c", prelude + program]
        done = farm.finish(subprocess.Popen(command, env=farm.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        assert (done.code, done.err) == (0, ""), done
        return done.out.split()

    return run


@pytest.fixture
def sleeper():
    """A child that waits for a signal; it is killed and reaped afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", "import os, signal; os.write(1, b'x'); signal.pause()"],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout.read(1) == b"x"
    yield process.pid
    process.kill()
    process.stdout.close()
    process.wait()


# All children


def test_children_that_live_and_those_that_have_ended_are_killed_and_reaped(own_process):
    assert own_process("""
for _ in range(3):
    child(stay)
    child(lambda: None)
heard(3)
print(system.kill_children(), system.children())
""") == ["set()", "set()"]


def test_without_children_there_is_nothing_to_do(own_process):
    assert own_process("print(system.kill_children(), system.kill_children(frozenset(), 0))") == ["set()", "set()"]


def test_a_tree_of_forks_is_ended_in_whatever_sessions_it_lives(own_process):
    assert own_process("""
def grow(depth):
    if depth % 2:
        os.setsid()
    if depth:
        for _ in range(3):
            child(lambda: grow(depth - 1))
    stay()
child(lambda: grow(3))
heard(1 + 3 + 9 + 27)
print(system.kill_children(), system.children())
""") == ["set()", "set()"]


@pytest.mark.parametrize("pause", [0, 0.001, 0.02])
def test_a_process_that_forks_leaves_its_session_and_exits_over_and_over_does_not_escape(own_process, pause):
    assert own_process(
        """
os.set_blocking(writer, False)
def comet():
    while True:
        if os.fork():
            os._exit(0)
        os.setsid()
        try:
            say()
        except BlockingIOError:
            pass
        time.sleep(%r)
child(comet)
heard(20)
print(system.kill_children(), system.children())
"""
        % pause
    ) == ["set()", "set()"]


def test_a_process_that_forks_as_fast_as_it_can_does_not_escape(own_process):
    assert own_process("""
def rain():
    while True:
        if os.fork() == 0:
            os.setsid()
            say()
            time.sleep(0.5)
            os._exit(0)
        time.sleep(0.002)
child(rain)
heard(20)
print(system.kill_children(), system.children())
""") == ["set()", "set()"]


def test_spared_children_live_on_and_are_not_waited_for(own_process):
    assert own_process("""
spared = child(stay)
child(stay)
heard(2)
print(system.kill_children(frozenset([spared])) - {spared}, system.children() == {spared})
print(os.waitpid(spared, os.WNOHANG))
print(system.kill_children())
""") == ["set()", "True", "(0,", "0)", "set()"]


def test_what_does_not_die_is_given_up_after_the_patience_and_named(own_process):
    # It stands for what hangs in the kernel: a SIGKILL to it does nothing.
    assert own_process("""
immortal = child(stay)
child(stay)
heard(2)
kill = os.kill
os.kill = lambda pid, number: None if pid == immortal else kill(pid, number)
begin = time.monotonic()
left = system.kill_children(timeout=0.3)
print(left == {immortal}, 0.3 <= time.monotonic() - begin, system.children() == left)
os.kill = kill
print(system.kill_children(timeout=60))
""") == ["True", "True", "True", "set()"]


def test_without_patience_it_waits_until_the_last_has_died(own_process):
    assert (
        own_process("""
tried = []
kill = os.kill
def late(pid, number):
    tried.append(pid)
    if len(tried) > 5:
        kill(pid, number)
os.kill = late
child(stay)
heard(1)
print(system.kill_children(), len(tried))
""")[0]
        == "set()"
    )


def test_what_has_become_another_users_is_not_waited_for(own_process):
    assert own_process("""
foreign = child(stay)
child(stay)
heard(2)
kill = os.kill
def forbid(pid, number):
    if pid == foreign:
        raise PermissionError(errno.EPERM, "Operation not permitted")
    kill(pid, number)
os.kill = forbid
print(system.kill_children() == system.children() == {foreign})
os.kill = kill
print(system.kill_children())
""") == ["True", "set()"]


def test_the_group_of_a_child_dies_though_its_leader_has_ended_and_nobody_finds_the_rest(own_process):
    assert own_process("""
import ctypes
ctypes.CDLL(None).prctl(36, 0, 0, 0, 0)  # no subreaper any more
def lead():
    os.setsid()
    child(stay)
    os._exit(0)
child(lead)
heard(1)
os.close(writer)
print(system.kill_children(), os.read(reader, 1))  # the pipe ends with the last that holds it
""") == ["set()", "b''"]


def test_the_groups_of_spared_children_are_spared(own_process):
    assert own_process("""
def lead():
    os.setsid()
    if os.fork() == 0:
        child(stay)
        os._exit(0)
    os.wait()
    stay()
spared = child(lead)
heard(2)
print(system.kill_children(frozenset([spared])), system.children() == {spared}, os.waitpid(spared, os.WNOHANG))
system.kill_children()
""") == ["set()", "True", "(0,", "0)"]


@pytest.mark.timeout(2 * HANG_SECONDS)
@pytest.mark.once
@pytest.mark.parametrize("count, most", [(200, 300), pytest.param(1500, 600, marks=pytest.mark.long)])
def test_a_process_that_forks_itself_for_ever_beside_many_others_does_not_outrun_its_end(namespace, count, most):
    assert namespace(
        """
others = [child(stay) for _ in range(%d)]
heard(%d)
def bomb():
    os.setsid()
    say("B")
    while True:
        os.fork()
child(bomb)
heard(1)
while len(system.tree_of(os.getpid(), system.start_time(os.getpid()))) < %d:
    pass
print(system.kill_children(frozenset(others)), system.children() == {*others})
"""
        % (count, count, most)
    ) == ["set()", "True"]


def test_a_proc_of_another_pid_namespace_tells_nothing_about_anybody(namespace):
    program = """
pid = child(stay)
heard(1)
stat = system.posix_processes.stat_of
print([stat(each) for each in (1, pid, os.getpid())] == [None] * 3, system.start_time(pid), system.children())
print(system.tree_of(1, 1), system.send_signal(pid, 1, 9), system.kill_children(timeout=0), os.waitpid(pid, 1))
tree = system.Tree(type("Process", (), {"pid": pid}))
print(tree.look())
tree.kill()
"""
    assert namespace(program, own_proc=False) == ["True", "0", "set()", "{}", "False", "set()", "(0,", "0)", "False"]


def test_a_run_in_a_pid_namespace_without_its_own_proc_does_its_task_and_warns(farm, namespace):
    farm.adaptor = str(ADAPTORS / "command.py")
    command = farm.command(
        "run", "--run-data", json.dumps({"args": ["sh", "-c", "sleep 300 & sleep 0.1; echo done 1"]})
    )
    namespace("")  # where there are none, this says so
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    done = farm.finish(subprocess.Popen(["unshare", "-pf", "--kill-child", *command], env=farm.env, **pipes))
    assert done.code == 0 and "STDOUT: done 1" in done.lines, done
    assert done.err == "WARNING: this host lacks what it takes to end processes that leave their process group\n"


def test_no_more_than_ones_own_children_are_read_to_end_them(own_process):
    assert own_process("""
import builtins
read, opened = [], builtins.open
def noting(path, *more):
    read.append(str(path))
    return opened(path, *more)
child(stay)
heard(1)
builtins.open = noting
print(system.kill_children())
own = "/proc/%d/task/%d/children" % (os.getpid(), os.getpid())
print({*read} == {own})
""") == ["set()", "True"]


# One process of somebody else's


@pytest.mark.parametrize("what", ["missing", "forbidden"])
def test_where_a_process_cannot_be_held_it_is_signalled_by_its_pid_under_the_same_conditions(
    sleeper, monkeypatch, what
):
    if what == "missing":
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    else:

        def forbid(pid):
            raise PermissionError

        monkeypatch.setattr(os, "pidfd_open", forbid, raising=False)
    assert send_signal(sleeper, start_time(sleeper), signal.SIGKILL) is True
    assert all_dead([sleeper])


@pytest.mark.parametrize("other", [-1, 1, -10_000_000, None])
def test_a_process_with_another_start_time_or_one_that_is_not_known_is_not_signalled(sleeper, other):
    started = 0 if other is None else start_time(sleeper) + other
    assert send_signal(sleeper, started, signal.SIGKILL) is False
    assert alive(sleeper)


def test_where_no_start_time_can_be_told_nobody_is_signalled(sleeper, monkeypatch):
    monkeypatch.setattr(posix_processes, "start_time", lambda pid: 0)
    assert send_signal(sleeper, 0, signal.SIGKILL) is False
    assert alive(sleeper)


def test_a_pid_that_nobody_has_is_not_signalled():
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    assert send_signal(process.pid, 1, signal.SIGKILL) is False
    assert send_signal(0, 0, signal.SIGKILL) is False


def test_a_process_is_signalled_also_where_standard_streams_are_closed(own_process):
    assert (
        own_process("""
living = child(stay)
heard(1)
for descriptor in (0, 1):
    os.set_inheritable(os.dup(descriptor), True)
    os.close(descriptor)
sent = system.send_signal(living, system.start_time(living), signal.SIGKILL)
os.write(2, b"" if sent and os.waitpid(living, 0) == (living, 9) else b"was not sent")
os._exit(0)
""")
        == []
    )


def test_a_signal_leaves_no_descriptor_behind(sleeper):
    before = len(os.listdir("/proc/self/fd"))
    for started in (start_time(sleeper), 1):
        send_signal(sleeper, started, signal.SIGCONT)
    assert len(os.listdir("/proc/self/fd")) == before


def test_start_times_are_told_for_those_that_live_and_0_for_others(sleeper):
    assert 0 < start_time(os.getpid()) <= start_time(sleeper)
    assert start_time(2**22 + 1) == 0


def test_a_name_is_told_for_those_that_live(sleeper):
    assert posix_processes.name_of(sleeper).startswith("python")
    assert posix_processes.name_of(2**22 + 1) == ""


# Trees


def test_a_tree_never_signals_a_pid_that_has_become_somebody_elses(sleeper, monkeypatch):
    leader = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
    below = [[sleeper], []]
    monkeypatch.setattr(posix_processes, "descendants", lambda pid: below.pop(0))
    tree = Tree(leader)
    monkeypatch.setattr(posix_processes, "send", lambda how, target, number: None)
    tree.ask()
    monkeypatch.undo()
    # As if what was seen below had ended, and its pid were another's by now.
    monkeypatch.setattr(posix_processes, "start_time", lambda pid: 1)
    tree.kill()
    monkeypatch.undo()
    assert alive(sleeper)
    leader.communicate(b"")
    assert leader.returncode == -signal.SIGKILL


# The ledger


def test_all_groups_of_a_ledger_are_killed_and_those_that_were_crossed_out_are_not(own_process):
    assert own_process("""
def group():
    os.setsid()
    child(stay)
    stay()
ledger = system.Ledger()
leaders = [child(group) for _ in range(4)]
heard(8)
for leader in leaders:
    ledger.enter(leader)
ledger.cross_out(leaders[1])
ledger.cross_out(12345678)
ledger.kill()
# The leaders and what is below them, which has become this process's.
dead = [os.waitpid(-1, 0) for _ in range(6)]
print({status for _, status in dead} == {signal.SIGKILL}, {*leaders} - {pid for pid, _ in dead} == {leaders[1]})
print(os.waitpid(-1, os.WNOHANG), len(system.descendants(leaders[1])))
system.kill_children()
""") == ["True", "True", "(0,", "0)", "1"]


def test_a_ledger_is_shared_by_the_processes_that_have_its_descriptor(own_process):
    assert own_process("""
def group():
    os.setsid()
    stay()
ledger = system.Ledger()
first, second = child(group), child(group)
heard(2)
ledger.enter(first)
def other():
    shared = system.Ledger(os.dup(ledger.descriptor))
    shared.enter(second)
    shared.cross_out(first)
    shared.cross_out(second)
    shared.enter(second)
os.waitpid(child(other), 0)
ledger.kill()
print(os.waitpid(second, 0) == (second, signal.SIGKILL), os.waitpid(first, os.WNOHANG))
system.kill_children()
""") == ["True", "(0,", "0)"]


def test_a_worker_that_kills_its_own_tree_kills_all_groups_of_its_ledger_whatever_place_its_own_has(own_process):
    assert own_process("""
def worker():
    os.setsid()
    ledger = system.Tree.groups = system.Ledger()
    ledger.enter(os.getpid())
    def lead():
        os.setsid()
        child(stay)
        os._exit(0)
    leader = child(lead)
    ledger.enter(leader)
    heard(1)
    os.waitid(os.P_PID, leader, os.WEXITED | os.WNOWAIT)
    system.kill_own_tree()
import ctypes
ctypes.CDLL(None).prctl(36, 0, 0, 0, 0)  # no subreaper: the orphan is nobody's to find
pid = child(worker)
os.close(writer)
print(os.waitpid(pid, 0)[1], os.read(reader, 1))  # the pipe ends with the last that holds it
""") == ["9", "b''"]


def test_the_places_of_what_is_crossed_out_are_used_again():
    ledger = Ledger()
    for group in range(1_000_000, 1_000_100):
        ledger.enter(group)
        ledger.cross_out(group)
    assert os.fstat(ledger.descriptor).st_size == 8
    os.close(ledger.descriptor)


def test_groups_that_are_gone_and_an_empty_ledger_are_no_error():
    ledger = Ledger()
    ledger.kill()
    process = subprocess.Popen([sys.executable, "-S", "-c", ""], start_new_session=True)
    ledger.enter(process.pid)
    process.wait()
    ledger.kill()
    os.close(ledger.descriptor)


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_ledger_has_no_name_that_anybody_could_write_to(monkeypatch, tmp_path, in_memory):
    import tempfile

    if not in_memory:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ledger = Ledger()
    assert os.listdir(str(tmp_path)) == [] and os.fstat(ledger.descriptor).st_mode & 0o777 == 0o600
    os.close(ledger.descriptor)
