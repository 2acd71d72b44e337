"""Child processes: how they end, what they print, and that nothing of their trees is left. All processes are real."""

from __future__ import annotations

import errno
import io
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from unittest import mock

import pytest

import openjd_adapt.process
from openjd_adapt import (
    AdaptError,
    Canceled,
    LoggingSubprocess,
    ManagedProcess,
    ProcessFailed,
    RegexCallback,
    RegexHandler,
    StreamLogger,
    system,
    task,
)
from openjd_adapt.process import DRAIN_SECONDS

from .conftest import HANG_SECONDS

pytestmark = [pytest.mark.core, pytest.mark.windows_core]

# What the programs below begin with; stay() tells that it is up and blocks until a signal ends it.
PRELUDE = """
import os, signal, sys, time
ASKED = getattr(signal, "SIGBREAK", signal.SIGTERM)
def stay(word="up"):
    os.write(1, b"%s %d\\n" % (word.encode(), os.getpid()))
    while True:
        time.sleep(0.05)
def ignore_the_question():
    signal.signal(ASKED, signal.SIG_IGN)
"""
# The return codes of who was killed, and of who has died of being asked.
KILLED = -signal.SIGKILL if os.name == "posix" else 1
DIED_OF_THE_QUESTION = -signal.SIGTERM if os.name == "posix" else 0xC000013A
# A process, its child in the same group, one in a session of its own, and below that one in yet another session.
FAMILY = """
if os.fork() == 0:
    stay()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
    stay()
stay()
"""
# Forks twice; in a session of its own the first ends when it is asked to, the second does not.
ORPHAN = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        ignore_the_question()
    stay()
stay()
"""


def python(program, *arguments):
    return [sys.executable, "-S", "-c", PRELUDE + program, *arguments]


class Watched:
    """A process whose lines ``word pid`` are noted, and waited for without polling."""

    def __init__(self, program, **options):
        self.pids = []
        self._changed = threading.Condition()
        self.handler = RegexHandler([RegexCallback([re.compile(r"^up (\d+)")], self._note)])
        self.process = LoggingSubprocess(args=python(program), stdout_handler=self.handler, **options)

    def _note(self, match):
        with self._changed:
            self.pids.append(int(match.group(1)))
            self._changed.notify_all()

    def wait_until_up(self, count=1):
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.pids) >= count, HANG_SECONDS)
        return self.process


@pytest.fixture
def watch():
    """Starts processes; what a failed test leaves of them is killed."""
    made = []

    def start(program, count=1, **options):
        made.append(Watched(program, **options))
        made[-1].wait_until_up(count)
        return made[-1].process, made[-1].pids

    yield start
    for watched in made:
        for pid in filter(alive, watched.pids):
            kill(pid)
        watched.process.terminate(0)


class Noted(task.Task):
    """A task that tells when somebody waits for something in it."""

    def __init__(self):
        super().__init__()
        self.waiting = threading.Event()

    def begin(self, within=None):
        super().begin(within)
        wait_for = self.phase.wait_for
        self.phase.wait_for = lambda condition, timeout=None: wait_for(
            lambda: self.waiting.set() or condition(), timeout
        )

    def cancel_when_waited_for(self):
        threading.Thread(target=lambda: self.waiting.wait(HANG_SECONDS) and self.cancel(), daemon=True).start()


@pytest.fixture
def current():
    made = Noted()
    task.enter(made)
    yield made
    task.leave()


def kill(pid):
    os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))


#: Of the Win32 API.
SYNCHRONIZE, WAIT_TIMEOUT = 0x100000, 258


def alive(pid):
    if sys.platform == "win32":
        import ctypes

        kernel = ctypes.WinDLL("kernel32")
        process = kernel.OpenProcess(SYNCHRONIZE, False, pid)
        lives = process and kernel.WaitForSingleObject(process, 0) == WAIT_TIMEOUT
        kernel.CloseHandle(process)
        return bool(lives)
    try:
        return Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def all_dead(pids):
    """Whether all are dead in the end: what was killed with its tree may die a moment after its parent."""
    end = time.monotonic() + HANG_SECONDS
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.01)
    return not any(map(alive, pids))


def run(program, *arguments, **options):
    process = LoggingSubprocess(args=python(program, *arguments), **options)
    process.wait()
    return process


# The end


@pytest.mark.parametrize(
    "program, returncode",
    [
        ("", 0),
        ("sys.exit(3)", 3),
        ("os._exit(255)", 255),
        pytest.param("os.kill(os.getpid(), signal.SIGSEGV)", -signal.SIGSEGV, marks=pytest.mark.posix_only),
        pytest.param("os.kill(os.getpid(), signal.SIGKILL)", KILLED, marks=pytest.mark.posix_only),
    ],
)
def test_the_return_code_is_the_exit_code_or_the_signal(program, returncode):
    process = run(program)
    assert (process.returncode, process.is_running, process.stdin.closed) == (returncode, False, True)
    assert not alive(process.pid)


def test_a_running_process_has_no_return_code_and_leads_a_group_of_its_own(watch):
    process, [pid] = watch("stay()")
    assert (process.returncode, process.is_running, process.pid) == (None, True, pid)
    if hasattr(os, "getpgid"):
        assert os.getpgid(pid) == pid
    process.terminate(0)
    assert (process.returncode, process.is_running, process.stdin.closed) == (KILLED, False, True)
    assert not alive(pid)


def test_terminate_asks_first_and_shows_all_that_the_process_says_then(watch, capsys):
    process, _ = watch("signal.signal(ASKED, lambda *_: (print('bye ' * 12000), sys.exit(7))); stay()")
    process.terminate(HANG_SECONDS)
    assert process.returncode == 7
    assert capsys.readouterr().out.count("bye") == 12000


def test_terminate_without_grace_kills_at_once(watch, capsys):
    process, _ = watch("signal.signal(ASKED, lambda *_: (print('bye'), sys.exit(7))); stay()")
    process.terminate(0)
    assert process.returncode == KILLED
    assert "bye" not in capsys.readouterr().out


def test_a_process_that_ignores_the_question_is_killed_after_its_grace(watch):
    process, _ = watch("ignore_the_question(); stay()")
    begin = time.monotonic()
    process.terminate(0.3)
    assert process.returncode == KILLED
    assert time.monotonic() - begin >= 0.29


@pytest.mark.parametrize("within", [0, 0.6])
def test_the_deadline_of_a_cancel_shortens_the_grace(watch, current, within):
    process, _ = watch("ignore_the_question(); stay()")
    current.cancel(within)
    process.terminate(600)
    assert process.returncode == KILLED


# Two that are asked: the second, in a group of its own or not, ends only when the first, the wrapper, has gone.
BEHIND_A_WRAPPER = """
def save(*_):
    while os.getppid() == wrapper:
        time.sleep(0.01)
    print("saved")
    sys.exit()
wrapper = os.getpid()
if os.fork() == 0:
    %s
    signal.signal(ASKED, save)
stay()
"""


@pytest.mark.posix_only  # fork
@pytest.mark.parametrize("own_group", ["", "os.setsid()"])
def test_what_stands_behind_a_wrapper_has_its_grace_though_that_goes_first(watch, capsys, own_group):
    process, pids = watch(BEHIND_A_WRAPPER % own_group, count=2)
    process.terminate(HANG_SECONDS)
    assert (process.returncode, "saved" in capsys.readouterr().out) == (DIED_OF_THE_QUESTION, True)
    assert all_dead(pids)


@pytest.mark.posix_only  # SIGSTOP
def test_a_process_that_was_stopped_hears_the_question(watch):
    process, _ = watch("os.kill(os.getpid(), signal.SIGSTOP) if os.write(1, b'up %d\\n' % os.getpid()) else 0")
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    process.terminate(HANG_SECONDS)
    assert process.returncode == -signal.SIGTERM


@pytest.mark.posix_only  # os.killpg
@pytest.mark.parametrize("pid", [None, True, 1, 0, -1, "another"])
def test_what_stands_for_a_process_in_an_authors_test_is_never_signalled(monkeypatch, pid):
    sent = []
    for name in ("kill", "killpg"):
        monkeypatch.setattr(os, name, lambda *what: sent.append(what))
    monkeypatch.setattr(os, "pidfd_open", lambda *what: sent.append(what), raising=False)
    with mock.patch("subprocess.Popen") as popen:
        if pid is not None:  # else it is a mock, too, which os.kill takes for 1
            popen.return_value.pid = os.getppid() if pid == "another" else pid
        LoggingSubprocess(args=["maya"]).terminate(0.01)
    assert popen.called and sent == []


@pytest.mark.posix_only  # a handle keeps the pid
def test_the_pid_of_a_process_that_an_authors_handler_has_reaped_is_not_signalled(watch, monkeypatch):
    process, [pid] = watch("stay()")
    kill(pid)
    os.waitpid(pid, 0)
    sent = []
    for name in ("kill", "killpg"):
        monkeypatch.setattr(os, name, lambda *what: sent.append(what))
    process.terminate(0.01)
    assert sent == [] and process.returncode in (255, KILLED)  # whoever was first


def test_terminate_may_be_called_again_and_after_the_end(watch):
    process, _ = watch("signal.signal(ASKED, signal.SIG_DFL); stay()")
    process.terminate(HANG_SECONDS)
    process.terminate()
    process.wait()
    ended = run("sys.exit(3)")
    ended.terminate()
    assert (process.returncode, ended.returncode) == (DIED_OF_THE_QUESTION, 3)


@pytest.mark.posix_only  # a handle keeps the pid
def test_two_threads_that_terminate_never_signal_a_pid_that_was_given_back(watch, monkeypatch):
    class Tree(system.Tree):
        def ask(self):
            super().ask()
            asked.set()

        def kill(self):
            if threading.current_thread() is late:
                done.wait(0.5)  # the other thread has ended the process by then, or waits for this one
            given_back.append(not os.path.exists("/proc/%d" % process.pid))
            super().kill()

    monkeypatch.setattr(system, "Tree", Tree)
    asked, done, given_back = threading.Event(), threading.Event(), []
    process, _ = watch("stay()")
    late = threading.Thread(target=process.terminate, args=(HANG_SECONDS,), daemon=True)
    late.start()
    assert asked.wait(HANG_SECONDS)
    process.terminate(HANG_SECONDS)
    done.set()
    late.join(HANG_SECONDS)
    assert given_back and not any(given_back)


# The tree


@pytest.mark.posix_only  # sessions; test_windows ends a family
@pytest.mark.parametrize("grace", [0, 0.3])
@pytest.mark.parametrize("deaf", ["", "ignore_the_question()"])
def test_nothing_of_the_tree_survives_in_whatever_session_it_lives(watch, grace, deaf):
    process, pids = watch(deaf + FAMILY, count=4)
    assert len({os.getsid(pid) for pid in pids}) == 3 and all(map(alive, pids))
    process.terminate(grace)
    assert all_dead(pids)


@pytest.mark.posix_only  # fork
def test_a_double_fork_that_was_seen_while_its_parent_lived_does_not_escape_by_ignoring_the_question(watch):
    process, pids = watch(ORPHAN, count=3)
    process.terminate(0.3)
    assert all_dead(pids)


@pytest.mark.posix_only  # fork
def test_a_descendant_that_holds_the_pipes_delays_the_end_of_a_wait_by_a_second_at_most(watch):
    process, pids = watch("os.fork() or (os.setsid(), stay()); os._exit(5)")
    process.wait()
    assert process.returncode == 5 and all(map(alive, pids))
    assert DRAIN_SECONDS == 1


# What a process gets


@pytest.mark.posix_only  # /usr/bin/env; Windows adds variables of its own
def test_env_is_the_whole_environment_and_ours_stays_as_it_is(capsys):
    before = dict(os.environ)
    LoggingSubprocess(args=["/usr/bin/env"], env={"A": "b c"}).wait()
    assert capsys.readouterr().out == "STDOUT: A=b c\n"
    assert dict(os.environ) == before


def test_without_env_a_process_gets_ours(capsys, monkeypatch):
    monkeypatch.setenv("FLAVOUR", "cherry")
    run("print(os.environ['FLAVOUR'])")
    assert capsys.readouterr().out == "STDOUT: cherry\n"


def test_it_runs_in_its_startup_directory_or_in_ours(tmp_path, capsys):
    run("print(os.getcwd())", startup_directory=str(tmp_path))
    run("print(os.getcwd())")
    assert capsys.readouterr().out == "STDOUT: %s\nSTDOUT: %s\n" % (tmp_path.resolve(), os.getcwd())


def test_arguments_arrive_as_they_are_given(capsys):
    run("print(sys.argv[1:])", "a b", '"', "$HOME", "*", "", "/x")
    assert capsys.readouterr().out == "STDOUT: ['a b', '\"', '$HOME', '*', '', '/x']\n"


def test_stdin_is_a_pipe_that_the_adaptor_writes_and_closes(capsys):
    process = LoggingSubprocess(args=[Path(sys.executable), "-c", "import sys; print(sys.stdin.read())"])
    process.stdin.write(b"one\ntwo")
    process.stdin.close()
    process.wait()
    assert capsys.readouterr().out == "STDOUT: one\nSTDOUT: two\n"


@pytest.mark.parametrize(
    "options, kind, told",
    [
        ({"args": "maya"}, AdaptError, "args= of LoggingSubprocess is 'maya', not a list of texts"),
        (
            {"args": ["x", 5]},
            AdaptError,
            "args= of LoggingSubprocess is a list whose item 2 is 5, not a text or a path",
        ),
        ({"env": "A=1"}, AdaptError, "env= of LoggingSubprocess is 'A=1', not a dictionary of texts"),
        (
            {"env": {5: "a"}},
            AdaptError,
            "env= of LoggingSubprocess is a dictionary with the name 5, not a text or a path",
        ),
        ({"encoding": "no-such"}, ValueError, "encoding: Python does not know 'no-such'"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line_before_anything_is_started(options, kind, told, monkeypatch):
    started = []
    monkeypatch.setattr("subprocess.Popen", lambda *args, **options: started.append(args))
    with pytest.raises(kind) as caught:
        LoggingSubprocess(**{"args": [sys.executable], **options})
    assert (str(caught.value), started) == (told, [])


@pytest.mark.parametrize("which", ["STDOUT of", "STDERR of", "end of"])
def test_a_process_that_cannot_be_followed_is_killed_with_all_below_it(which, monkeypatch):
    def start_unless(thread):
        if thread.name.startswith(which):
            raise RuntimeError("can't start new thread")
        start(thread)

    made, popen, start = [], subprocess.Popen, threading.Thread.start
    monkeypatch.setattr("subprocess.Popen", lambda *args, **options: made.append(popen(*args, **options)) or made[0])
    monkeypatch.setattr(threading.Thread, "start", start_unless)
    with pytest.raises(AdaptError, match="^can't start new thread"):
        LoggingSubprocess(args=python("stay()"))
    assert made[0].returncode == KILLED and made[0].stdin.closed


def test_a_process_of_which_no_tree_can_be_made_is_killed(monkeypatch):
    def refuse(process):
        made.append(process)
        raise OSError(errno.ENOSPC, "No space left on device")

    made = []
    monkeypatch.setattr("openjd_adapt.system.Tree", refuse)
    with pytest.raises(AdaptError, match="^cannot start .*: .*No space left on device"):
        LoggingSubprocess(args=python("stay()"))
    assert made[0].returncode is not None


def test_what_a_process_left_unread_is_nobodys_loss_whatever_the_system_calls_it(monkeypatch):
    class Gone(io.BytesIO):
        def close(self):
            super().close()
            raise OSError(errno.EINVAL, "Invalid argument")  # as Windows does

    process = LoggingSubprocess(args=[sys.executable, "-c", ""])
    process.stdin.close()
    process.stdin = Gone()
    process.wait()
    assert process.returncode == 0


@pytest.mark.parametrize(
    "args, options, names",
    [
        (["/no/such/program"], {}, "/no/such/program"),
        (["no-such-program"], {}, "no-such-program"),
        ([__file__], {}, os.path.basename(__file__)),
        ([sys.executable], {"startup_directory": "/no/such/folder"}, "/no/such/folder"),
        ([sys.executable, "a\0b"], {}, sys.executable),
    ],
)
def test_what_cannot_be_started_is_named_in_one_line(args, options, names):
    with pytest.raises(AdaptError) as caught:
        LoggingSubprocess(args=args, **options)
    assert str(caught.value).startswith("cannot start " + args[0]) and names in str(caught.value)
    assert "\n" not in str(caught.value)


# Output


def test_what_stood_in_the_pipes_at_the_end_is_waited_for_however_slowly_it_is_taken(monkeypatch):
    monkeypatch.setattr(openjd_adapt.process, "DRAIN_SECONDS", 0.05)  # which is for who holds the pipes
    seen = []

    def take(match):
        time.sleep(0.001)
        seen.append(match.group(1))

    handler = RegexHandler([RegexCallback([re.compile(r"^(\d+)$")], take)])
    command = [sys.executable, "-c", "print(*range(500), sep='\\n')"]
    with LoggingSubprocess(args=command, stdout_handler=handler) as process:
        process.wait()
    assert len(seen) == 500


@pytest.mark.posix_only  # a descendant that goes on for ever, and has the pipe
def test_a_descendant_that_writes_without_end_holds_up_no_wait():
    code = "import os; os.fork() or os.execvp('yes', ['yes', 'x' * 900])"
    process = LoggingSubprocess(args=[sys.executable, "-c", code])
    process.wait()
    process.terminate(0)
    os.killpg(process.pid, signal.SIGKILL)


def test_all_output_is_shown_before_a_wait_returns_though_both_streams_are_full(capsys):
    run("for n in range(500): print('out', n, 'x' * 999); print('err', n, 'x' * 999, file=sys.stderr)")
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "out" in line] == ["STDOUT: out %d %s" % (n, "x" * 999) for n in range(500)]
    assert [line for line in lines if "err" in line] == ["STDERR: err %d %s" % (n, "x" * 999) for n in range(500)]


def test_each_stream_has_its_handler(capsys):
    seen = {"out": [], "err": []}
    handlers = {
        "std%s_handler" % name: RegexHandler(
            [RegexCallback([re.compile(".+")], lambda m, s=seen[name]: s.append(m[0]))]
        )
        for name in seen
    }
    run("print('one'); print('two', file=sys.stderr)", **handlers)
    assert seen == {"out": ["one"], "err": ["two"]}


def test_the_encoding_is_the_applications(capsys):
    run("sys.stdout.buffer.write(b'Gr\\xf6\\xdfe\\r\\n')", encoding="cp1252")
    assert capsys.readouterr().out == "STDOUT: Größe\n"


@pytest.mark.parametrize("stream", [io.BytesIO(b"one\ntwo"), io.StringIO("one\ntwo")])
def test_a_stream_of_bytes_or_text_can_be_passed_on_without_a_process(stream, capsys):
    logger = StreamLogger(stream=stream, loggers=[], level=logging.INFO)
    logger.start()
    logger.join()
    assert capsys.readouterr().out == "INFO: one\nINFO: two\n"


# Waits and with


def test_a_cancel_ends_a_wait_and_leaves_the_process_to_the_adaptor(watch, current):
    process, [pid] = watch("stay()")
    current.cancel_when_waited_for()
    with pytest.raises(Canceled):
        process.wait()
    assert process.is_running and alive(pid)


def test_an_exception_of_a_callback_ends_a_wait(current):
    handler = RegexHandler([RegexCallback([re.compile("up")], lambda match: 1 // 0)])
    process = LoggingSubprocess(args=python("stay()"), stdout_handler=handler)
    with pytest.raises(ZeroDivisionError):
        process.wait()
    assert process.is_running
    process.terminate(0)


def test_an_exception_of_a_callback_outside_of_an_adaptor_is_raised_by_the_wait_for_its_own_process_alone():
    handler = RegexHandler([RegexCallback([re.compile("up")], lambda match: 1 // 0)])
    failed, other = (LoggingSubprocess(args=python("stay()"), stdout_handler=given) for given in (handler, None))
    with pytest.raises(ZeroDivisionError):
        failed.wait()
    run("")
    for process in (failed, other):
        process.terminate(0)
    task.IDLE.phase.check()


def test_an_exception_of_a_callback_in_a_task_ends_its_waits_though_the_process_was_started_before_it():
    gate = threading.Event()
    handler = RegexHandler([RegexCallback([re.compile("up")], lambda match: gate.wait(HANG_SECONDS) and 1 // 0)])
    process = LoggingSubprocess(args=python("stay()"), stdout_handler=handler)
    made = Noted()
    task.enter(made)
    try:
        gate.set()
        with pytest.raises(ZeroDivisionError):
            process.wait()
    finally:
        task.leave()
        process.terminate(0)


def test_an_exception_of_a_callback_after_the_end_of_the_process_is_not_lost(current):
    def fail_when_it_has_ended(match):
        while process.is_running:
            time.sleep(0.01)
        raise ZeroDivisionError

    handler = RegexHandler([RegexCallback([re.compile("last")], fail_when_it_has_ended)])
    process = LoggingSubprocess(args=python("sys.stdin.read(); print('last')"), stdout_handler=handler)
    process.stdin.close()
    with pytest.raises(ZeroDivisionError):
        process.wait()


def test_a_thread_that_waits_from_one_task_into_the_next_sees_the_end(watch):
    first = Noted()
    task.enter(first)
    process, _ = watch("stay()")
    waiter = threading.Thread(target=process.wait, daemon=True)
    waiter.start()
    assert first.waiting.wait(HANG_SECONDS)
    task.leave()
    kill(process.pid)
    waiter.join(HANG_SECONDS)
    assert not waiter.is_alive()


def test_a_with_block_waits_for_the_process():
    with LoggingSubprocess(args=python("sys.stdin.read(); sys.exit(3)")) as process:
        process.stdin.close()
    assert process.returncode == 3


@pytest.mark.parametrize("error", [ValueError("in the body"), Canceled(), KeyboardInterrupt()], ids=repr)
def test_a_with_block_that_raises_terminates_the_process_and_raises_that(watch, error):
    process, _ = watch("stay()")
    with pytest.raises(type(error)) as caught, process:
        raise error
    assert caught.value is error and process.returncode == DIED_OF_THE_QUESTION


def test_a_with_block_whose_wait_is_canceled_leaves_nothing(watch, current):
    process, pids = watch("stay()")
    current.cancel_when_waited_for()
    with pytest.raises(Canceled), process:
        assert process.is_running
    assert all_dead(pids)


# The process of a CommandAdaptor


class Command(ManagedProcess):
    def __init__(self, program, **options):
        super().__init__({}, **options)
        self.program = program

    def get_executable(self):
        return sys.executable

    def get_arguments(self):
        return python(self.program)[1:]


class Lenient(Command):
    success_exit_codes = (0, 3)


@pytest.mark.parametrize(
    "program, how, returncode",
    [
        ("sys.exit(1)", "exited with code 1", 1),
        pytest.param(
            "os.kill(os.getpid(), signal.SIGSEGV)",
            "was killed by SIGSEGV",
            -signal.SIGSEGV,
            marks=pytest.mark.posix_only,
        ),
        pytest.param("os.kill(os.getpid(), 40)", "was killed by signal 40", -40, marks=pytest.mark.posix_only),
    ],
)
def test_a_command_that_fails_is_named_with_the_way_it_ended(program, how, returncode):
    with pytest.raises(ProcessFailed) as caught:
        Command(program).run()
    assert str(caught.value) == "%s %s" % (os.path.basename(sys.executable), how)
    assert caught.value.returncode == returncode


def test_the_exit_codes_that_are_a_success_are_the_authors_choice():
    Command("").run()
    Lenient("sys.exit(3)").run()
    with pytest.raises(ProcessFailed):
        Lenient("sys.exit(1)").run()


@pytest.mark.parametrize(
    "hook, returned, text",
    [
        (
            "get_arguments",
            ["-c", 5],
            "get_arguments of Command returned a list whose item 2 is 5, not a text or a path",
        ),
        ("get_executable", None, "get_executable of Command returned None, not a text or a path"),
        ("get_startup_directory", 5, "get_startup_directory of Command returned 5, not a text or a path"),
        (
            "get_environment",
            {"A": "a", "B": 1},
            "get_environment of Command returned a dictionary in which B is 1, not a text or a path",
        ),
        ("get_arguments", "--version", "get_arguments of Command returned '--version', not a list of texts"),
        ("get_arguments", None, "get_arguments of Command returned None, not a list of texts"),
        ("get_environment", ["A=a"], "get_environment of Command returned ['A=a'], not a dictionary of texts"),
        ("get_environment", "A=a", "get_environment of Command returned 'A=a', not a dictionary of texts"),
    ],
)
def test_what_is_no_text_is_named_with_the_hook_that_returned_it(hook, returned, text):
    command = Command("")
    setattr(command, hook, lambda: returned)
    with pytest.raises(AdaptError) as caught:
        command.run()
    assert str(caught.value) == text


def test_a_command_has_no_input_to_wait_for(capsys):
    Command("print(repr(sys.stdin.read()))").run()
    assert capsys.readouterr().out == "STDOUT: ''\n"


@pytest.mark.posix_only  # fork; test_windows ends a family
@pytest.mark.parametrize("ending", ["sys.exit(0)", "stay('waiting')"])
def test_a_command_leaves_nothing_of_its_group_whether_it_ends_or_is_canceled(ending, current):
    pids = []

    def note(match):
        pids.append(int(match.group(1)))
        if "stay" in ending:
            current.cancel(5)

    handler = RegexHandler([RegexCallback([re.compile(r"^up (\d+)")], note)])
    program = "reader, writer = os.pipe()\nif os.fork() == 0:\n    os.close(reader); os.write(writer, b'x'); stay()\n"
    command = Command(program + "os.read(reader, 1); " + ending, stdout_handler=handler)
    if "stay" in ending:
        with pytest.raises(Canceled):
            command.run()
    else:
        command.run()
    assert len(pids) <= 1 and all_dead(pids)
