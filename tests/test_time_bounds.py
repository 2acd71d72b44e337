"""Time bounds, the same on every kind of adaptor; and what ``daemon status`` tells of what takes its time."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time

import pytest

from openjd_adapt import Adaptor, ApplicationAdaptor, CommandAdaptor, Done, ManagedProcess
from openjd_adapt.testing import Session

from .conftest import ADAPTORS, CANCEL, KILL, read_until, wait_until
from .hurry import hurry

pytestmark = pytest.mark.core


class Sleeper(Adaptor):
    def on_start(self):
        self.sleep(self.init_data.get("start", 0))

    def on_run(self, run_data):
        self.run_timeout = run_data.get("run_timeout", self.run_timeout)
        for _ in range(run_data.get("times", 1)):
            self.report_progress(run_data.get("percent", 0))
            self.sleep(run_data["seconds"])

    def on_stop(self):
        self.sleep(self.init_data.get("stop", 0))


class Python(CommandAdaptor):
    grace = 0.0

    def get_managed_process(self, run_data):
        class Process(ManagedProcess):
            grace_seconds = self.grace

            def get_executable(self):
                return sys.executable

            def get_arguments(self):
                return ["-uc", run_data["code"]]

        return Process(run_data)


def ends(kind, run_data, init_data=None, **bounds):
    """How a task ends, with these bounds: the message."""
    with Session(type(kind.__name__, (kind,), bounds), init_data) as session:
        outcome = session.run(run_data)
        assert outcome.code == 1
        return outcome.message


PYTHON = sys.executable.replace("\\", "/").rpartition("/")[2]


def test_a_wait_of_an_adaptor_ends_by_its_task_s_bound():
    assert ends(Sleeper, {"seconds": 100}, run_timeout=0.1) == "the adaptor: took longer than 0.1 s (run_timeout)"


def test_an_adaptor_may_set_its_bounds_at_any_moment():
    told = ends(Sleeper, {"seconds": 100, "run_timeout": 0.1})
    assert told == "the adaptor: took longer than 0.1 s (run_timeout)"


def test_a_start_and_a_stop_have_bounds_of_their_own():
    kind = type("Bounded", (Sleeper,), {"start_timeout": 0.1, "stop_timeout": 0.2})
    assert Session(kind, {"start": 100}).start().message == "the adaptor: took longer than 0.1 s (start_timeout)"
    session = Session(kind, {"stop": 100})
    assert session.start().is_done
    assert session.run({"seconds": 0.3}).is_done  # which is nobody's bound
    assert session.stop().message == "the adaptor: took longer than 0.2 s (stop_timeout)"


def test_a_command_that_is_silent_for_too_long_is_ended():
    told = ends(Python, {"code": "import time; print(1); time.sleep(100)"}, no_output_timeout=0.5)
    assert told == "%s: no output for 0.5 s (no_output_timeout)" % PYTHON


def test_a_command_that_takes_too_long_is_ended_though_it_prints_all_the_time():
    code = "import time\nwhile True: print('alive'); time.sleep(0.01)"
    told = ends(Python, {"code": code}, run_timeout=0.5, no_output_timeout=30)
    assert told == "%s: took longer than 0.5 s (run_timeout)" % PYTHON


def test_output_moves_the_bound_of_silence_on():
    with Session(type("Talks", (Python,), {"no_output_timeout": 1.0})) as session:
        assert session.run({"code": "import time\nfor _ in range(8): print(1); time.sleep(0.2)"}).is_done


def test_progress_that_does_not_change_is_none():
    told = ends(Sleeper, {"seconds": 0.02, "times": 1000, "percent": 50}, no_progress_timeout=0.5)
    assert told == "the adaptor: no progress for 0.5 s (no_progress_timeout)"


def test_the_configuration_comes_before_the_class():
    kind = type("Bounded", (Sleeper,), {"run_timeout": 100})
    with Session(kind, configuration={"run_timeout": 0.1}) as session:
        assert session.run({"seconds": 100}).message == "the adaptor: took longer than 0.1 s (run_timeout)"
    with Session(kind, configuration={"run_timeout": None}) as session:
        assert session.run({"seconds": 0}).is_done


@pytest.mark.parametrize("value", [0, -1, "5", True, float("nan"), float("inf")])
def test_what_is_not_a_bound_is_told_at_the_start(value):
    name = "no_output_timeout"
    started = Session(type("Wrong", (Sleeper,), {name: value})).start()
    assert (started.code, started.message) == (2, "Wrong: %s is %r, not a number of seconds above 0" % (name, value))


@pytest.mark.parametrize("value", [0, "5", True])
def test_so_is_one_of_a_configuration(value):
    started = Session(Sleeper, configuration={"run_timeout": value}).start()
    assert started.code == 2
    assert started.message.endswith("configuration.json: run_timeout is %r, not a number of seconds above 0" % (value,))


def test_a_bound_that_an_adaptor_sets_wrongly_fails_the_task_and_not_the_stop():
    class Late(Sleeper):
        def on_run(self, run_data):
            self.stop_timeout = self.run_timeout = "never"
            self.sleep(0)

    with Session(Late) as session:
        assert session.run().message == "Late: run_timeout is 'never', not a number of seconds above 0"
        session.adaptor.stop_timeout = session.adaptor.run_timeout = None


def test_a_wrong_bound_fails_the_task_that_has_set_it_and_keeps_no_stop_from_asking():
    class Kept(ApplicationAdaptor):
        connects, stdin = False, True

        def get_command(self):
            return [sys.executable, "-uc", "import sys; print('asked' if sys.stdin.read() == 'save\\n' else 'killed')"]

        def on_run(self, run_data):
            self.stop_timeout = "x"

        def on_stop(self):
            self.app.write_line("save")

    session = Session(Kept)
    assert session.start().is_done
    assert session.run().message == "Kept: stop_timeout is 'x', not a number of seconds above 0"
    stopped = session.stop()
    assert stopped.is_done and "STDOUT: asked" in stopped.lines, stopped


@pytest.mark.posix_only  # on Windows an application is asked otherwise, and has helpers
def test_who_debugs_sees_phases_waits_signals_and_whom_they_go_to():
    code = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(100)']).pid); time.sleep(100)"
    )
    kind = type("Silent", (Python,), {"grace": 0.2, "watch": [Done(r"\d")]})
    with Session(kind, configuration={"log_level": "DEBUG"}) as session:
        outcome = session.run({"code": code})
    parent = re.findall(r"\(pid (\d+)\)", "\n".join(outcome.lines))[0]
    [child] = [line[8:] for line in outcome.lines if line.startswith("STDOUT: ")]
    both = ", ".join(sorted([parent, child], key=int))
    told = [re.sub(r" \(py\S+\)", "", line[7:]) for line in outcome.lines if line.startswith("DEBUG: ")]
    end, tree = "the end of %s (pid %s)" % (PYTHON, parent), "process %s and all below it to end" % parent
    assert [re.sub(r"\d+\.\d{3} s", "N s", line) for line in told] == [
        "%s is %s, in %s" % (sys.executable, sys.executable, os.getcwd()),
        "waiting for " + end,
        "waited N s for " + end,
        "asking by a signal: " + both,
        "waiting for " + tree,
        "waited N s for " + tree,
        "killing: " + both,
        "run took N s",
    ]


@pytest.mark.posix_only  # on Windows a worker tells its keeper nothing
def test_who_waits_for_nothing_is_killed_later(farm):
    farm.adaptor = str(ADAPTORS / "busy.py")
    hurry(farm, 0.3, "daemon.dispatcher.CANCEL_SECONDS")
    begin = time.monotonic()
    done = farm("run", "--run-data", '{"seconds": 100}')
    assert done.code == 1 and time.monotonic() - begin < 50, done
    told = "it was killed: the run has not ended 0.3 s after run_timeout (0.2 s) was over"
    assert done.lines[-1] == "openjd_fail: the adaptor is gone: " + told, done


def test_progress_that_changes_moves_its_bound_on():
    class Moves(Sleeper):
        no_progress_timeout = 0.6

        def on_run(self, run_data):
            for percent in range(8):
                self.report_progress(percent)
                self.sleep(0.2)

    with Session(Moves) as session:
        assert session.run().is_done


# What ``daemon status`` tells of the task


def facts(farm):
    return json.loads(farm.daemon("status", "--json").out)


@pytest.mark.posix_only
def test_the_status_tells_what_a_task_does_and_waits_for(farm):
    farm.adaptor = str(ADAPTORS / "waits.py")
    assert farm.daemon("start").code == 0
    assert facts(farm)["task"] is None
    process = farm.daemon_popen("run")
    read_until(process.stdout, "frame 3")
    wait_until(lambda: facts(farm)["task"].get("waiting_for"))
    task = facts(farm)["task"]
    assert (task["number"], task["kind"], task["progress"], task["status"]) == (2, "run", 12.3, "frame 3")
    assert task["seconds"] > 0 and task["waiting_for"] == "300 s to be over"
    told = farm.daemon("status").out.splitlines()
    assert told[1].startswith("run for ") and told[1].endswith(" s, 12.3 %, frame 3, waiting for 300 s to be over")
    process.send_signal(CANCEL)
    assert farm.finish(process).code == 4
    assert facts(farm)["task"] is None
    assert farm.daemon("stop").code == 0


@pytest.mark.posix_only
def test_the_status_of_a_task_that_does_not_come_to_answer_tells_what_the_keeper_knows(farm):
    farm.adaptor = str(ADAPTORS / "waits.py")
    assert farm.daemon("start").code == 0
    worker = facts(farm)["worker_pid"]
    os.kill(worker, signal.SIGSTOP)
    process = farm.daemon_popen("run")
    wait_until(lambda: facts(farm)["task"])
    assert set(facts(farm)["task"]) == {"number", "kind", "seconds"}
    os.kill(worker, signal.SIGCONT)
    process.send_signal(CANCEL)
    assert farm.finish(process).code == 4
    assert farm.daemon("stop").code == 0


@pytest.mark.posix_only
def test_the_status_tells_of_the_application(farm):
    farm.adaptor = str(ADAPTORS / "kept_open.py")
    assert farm.daemon("start").code == 0
    found = facts(farm)["application"]
    assert found["pid"] > 1 and found["state"] == "running"
    os.kill(found["pid"], KILL)
    wait_until(lambda: facts(farm)["application"]["state"] != "running")
    assert (
        farm.daemon("status")
        .out.splitlines()[1]
        .startswith("application %s (pid %d): " % (found["name"], found["pid"]))
    )
    assert farm.daemon("stop").code == 0
