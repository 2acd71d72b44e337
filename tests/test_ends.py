"""What ends a daemon that nobody has stopped: its ground is gone, it is idle, SIGTERM."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from openjd_adapt import system

from .conftest import ROOT, module, read_until, wait_until
from .hurry import hurry
from .test_daemon import task


def status(farm):
    return json.loads(farm.daemon("status", "--json").out)


def processes(farm):
    """The pids of guardian, keeper and worker; Windows needs no guardian."""
    facts = status(farm)
    if sys.platform == "win32":
        return {"keeper": facts["pid"], "worker": facts["worker_pid"]}
    guardian = int(re.search(r"PPid:\s+(\d+)", Path("/proc/%d/status" % facts["pid"]).read_text()).group(1))
    return {"guardian": guardian, "keeper": facts["pid"], "worker": facts["worker_pid"]}


def take_away(path):
    """Remove a file that a daemon holds open; Wine leaves such a one its name, and so it is given another there."""
    if sys.platform == "win32":
        path.rename(path.with_name("was " + path.name))
    else:
        path.unlink()


def phases_of(path):
    """An adaptor's init data that note its last phases in a file, for when nobody can read its output."""
    return json.dumps(
        {
            "on_stop": {"do": "note", "path": str(path), "text": "stop"},
            "on_cleanup": {"do": "note", "path": str(path), "text": "cleanup"},
        }
    )


@pytest.fixture
def watchful(farm):
    """A farm whose daemons look often whether what they stand on is there."""
    hurry(farm, 0.1, "daemon.keeper.LOOK_SECONDS")
    return farm


def test_a_daemon_whose_connection_file_is_gone_stops_cleans_up_and_ends(watchful):
    farm = watchful
    farm.daemon("start", "--init-data", phases_of(farm.folder / "notes"))
    take_away(farm.file)
    farm.wait_until_nothing_is_left()
    assert (farm.folder / "notes").read_text() == "stop cleanup "
    assert sorted(path.name for path in farm.folder.glob("[!w]*")) == ["notes"]


@pytest.mark.posix_only  # Windows removes no folder in which a file is open; the next test is for it, too
def test_a_daemon_whose_session_folder_is_gone_stops_cleans_up_and_ends(watchful):
    farm = watchful
    session = farm.folder / "session"
    session.mkdir()
    farm.env["OPENJD_SESSION_WORKING_DIR"] = str(session)
    done = farm("daemon", "start", "--init-data", phases_of(farm.folder / "notes"))
    assert done.code == 0 and str(session) in done.out
    shutil.rmtree(str(session))
    farm.wait_until_nothing_is_left()
    assert (farm.folder / "notes").read_text() == "stop cleanup "


@pytest.mark.once
def test_a_session_folder_elsewhere_ends_the_daemon_too(watchful):
    farm = watchful
    session = farm.folder / "session"
    session.mkdir()
    farm.env["OPENJD_SESSION_WORKING_DIR"] = str(session)
    farm.daemon("start")
    session.rmdir()
    farm.wait_until_nothing_is_left()
    done = farm.daemon("run")
    assert done.code == 3 and "its session's folder is gone" in done.err
    assert "INFO: on_cleanup" in done.lines


def test_a_task_that_runs_when_the_connection_file_goes_is_canceled_and_told_why(watchful):
    farm = watchful
    farm.daemon("start")
    process = farm.daemon_popen("run", "--run-data", '{"do": "sleep", "seconds": 300}')
    read_until(process.stdout, "sleeping")
    take_away(farm.file)
    done = farm.finish(process)
    assert done.code == 4 and "as its connection file is gone" in done.err


def test_another_daemons_file_in_its_place_ends_the_first_and_spares_the_second(farm):
    hurry(farm, 1.0, "daemon.keeper.LOOK_SECONDS")  # time for the second to be in place when the first looks
    farm.daemon("start")
    first = processes(farm)
    take_away(farm.file)
    assert farm.daemon("start").code == 0
    second = processes(farm)
    wait_until(lambda: not set(farm.pids()) & set(first.values()))
    assert processes(farm) == second
    assert farm.daemon("stop").code == 0


def test_a_daemon_without_a_task_for_its_idle_timeout_stops_and_its_file_tells_so(farm):
    assert farm.daemon("start", "--idle-timeout", "0.5").code == 0
    farm.wait_until_nothing_is_left()
    done = farm.daemon("run")
    assert done.code == 3 and done.lines[:-1] == ["INFO: on_stop", "INFO: on_cleanup"]
    assert "it was stopped after 0.5 s without a task" in done.err
    assert farm.daemon("stop").code == 0 and list(farm.folder.glob("connection*")) == []


def test_a_daemon_whose_owner_ends_stops_and_its_file_tells_so(watchful):
    owner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    try:
        started = watchful.daemon("start", "--owner", str(owner.pid), "--init-data", phases_of(watchful.folder / "n"))
        assert started.code == 0, started
        time.sleep(0.5)
        assert watchful.daemon("run").code == 0
    finally:
        owner.kill()  # and nobody has reaped it when the daemon looks
    watchful.wait_until_nothing_is_left()
    owner.wait()
    assert (watchful.folder / "n").read_text().split() == ["stop", "cleanup"]
    assert "it was stopped, as its owner, process %d, is gone" % owner.pid in watchful.daemon("stop").err


@pytest.mark.long  # the one before shows it without a scheduler
def test_kill_9_of_a_scheduler_that_names_itself_ends_its_daemon_and_the_application(watchful):
    module("openjd.sessions")
    farm = watchful
    template = ROOT / "examples" / "mandelbrot" / "mandelbrot.template.yaml"
    parameters = {"OutputDir": str(farm.folder), "Python": sys.executable, "Width": "4000", "Height": "3000"}
    variables = {name: farm.env[name] for name in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")}
    command = [sys.executable, str(ROOT / "tests" / "scheduler.py"), str(template), "", str(farm.folder)]
    command += [json.dumps(parameters), json.dumps({**variables, "OPENJD_ADAPT_OWNER": "$$"})]
    with subprocess.Popen(command, env=farm.env, stdin=-1, stdout=-1, stderr=subprocess.DEVNULL) as scheduler:
        folder = Path(read_until(scheduler.stdout, "folder ").split()[-1])
        read_until(scheduler.stdout, "progress")
        assert len(farm.pids()) >= 5  # the scheduler, guardian, keeper, worker, and the command of the task
        scheduler.kill()
    farm.wait_until_nothing_is_left()
    assert folder.exists()  # which would have been another reason to end


@pytest.mark.parametrize("value", ["0", "1", "-5", "x", "4000000", "99999999999"])
def test_an_owner_that_is_not_there_is_bad_input(farm, value):
    done = farm.daemon("start", "--owner", value)
    assert (done.code, done.err) == (2, "ERROR: --owner: there is no process %s\n" % value)
    farm.env["OPENJD_ADAPT_OWNER"] = value
    assert farm.daemon("start").err == "ERROR: OPENJD_ADAPT_OWNER: there is no process %s\n" % value
    assert not farm.file.exists()


def test_the_idle_timeout_does_not_end_a_task_that_runs_longer(farm):
    farm.daemon("start", "--idle-timeout", "8")
    done = farm.daemon("run", "--run-data", '{"do": "sleep", "seconds": 10}')
    assert done.code == 0 and done.lines == ["sleeping", "slept"]
    assert farm.daemon("stop").code == 0


@pytest.mark.parametrize("value", ["0", "-1", "soon", "inf"])
@pytest.mark.once
def test_an_idle_timeout_that_is_no_number_of_seconds_is_bad_input(farm, value):
    done = farm.daemon("start", "--idle-timeout", value)
    assert done.code == 2 and done.err.startswith("ERROR: --idle-timeout: ") and done.err.count("\n") == 1


@pytest.mark.posix_only  # SIGTERM
@pytest.mark.parametrize(
    "whom, word, code",
    [
        ("keeper", "stop", 0),
        *(pytest.param(whom, "run", 3, marks=pytest.mark.long) for whom in ("guardian", "worker", "all")),
    ],
)
def test_sigterm_to_any_process_of_a_daemon_cancels_stops_and_cleans_up(farm, whom, word, code):
    farm.daemon("start")
    process = farm.daemon_popen("run", "--run-data", '{"do": "sleep", "seconds": 300}')
    read_until(process.stdout, "sleeping")
    for name, pid in processes(farm).items():
        if whom in (name, "all"):
            os.kill(pid, signal.SIGTERM)
    done = farm.finish(process)
    assert done.code == 4 and "the daemon stops by SIGTERM" in done.err
    farm.wait_until_nothing_is_left()
    after = farm.daemon(word)
    assert after.code == code and "it was stopped by SIGTERM" in after.err
    assert after.lines[:2] == ["INFO: on_stop", "INFO: on_cleanup"]
    assert [line.partition(": ")[0] for line in after.lines[2:]] == ["openjd_fail"] * (code == 3)


@pytest.mark.posix_only  # SIGTERM
def test_sigterm_to_a_daemon_ends_it_by_the_schedulers_deadline_whatever_the_task_does(farm):
    farm.env["OPENJD_SESSION_WORKING_DIR"] = str(farm.folder)
    farm.daemon("start")
    process = farm.daemon_popen("run", "--run-data", '{"do": "ignore_cancel", "seconds": 300}')
    read_until(process.stdout, "ignoring")
    end = time.gmtime(time.time() + 2)
    (farm.folder / "cancel_info.json").write_text(json.dumps({"NotifyEnd": time.strftime("%Y-%m-%dT%H:%M:%SZ", end)}))
    os.kill(processes(farm)["keeper"], signal.SIGTERM)
    farm.finish(process)
    farm.wait_until_nothing_is_left()


@pytest.mark.posix_only  # fork
@pytest.mark.parametrize("how", ["run", pytest.param("daemon", marks=pytest.mark.long)])
def test_a_thread_that_is_no_daemon_thread_is_named_and_the_process_ends_without_it(farm, how):
    hurry(farm, 0.2, "daemon.worker.THREADS_SECONDS")
    (farm.folder / "threads.py").write_text(
        "import atexit, concurrent.futures, threading\n"
        "from openjd_adapt import Adaptor\n"
        "class Threads(Adaptor):\n"
        "    def on_run(self, run_data):\n"
        "        atexit.register(print, 'atexit')\n"
        "        self.pool = concurrent.futures.ThreadPoolExecutor(2, thread_name_prefix='idle')\n"
        "        self.pool.submit(print, 'pool')\n"
        "        if run_data['hang']: threading.Thread(target=threading.Event().wait, name='upload').start()\n"
    )
    farm.adaptor = str(farm.folder / "threads.py")
    for hang in (False, True) if how == "run" else (True,):
        data = ("--run-data", json.dumps({"hang": hang}))
        if how == "run":
            done = farm("run", *data)
        else:
            assert farm.daemon("start").code == 0 and farm.daemon("run", *data).code == 0
            done = farm.daemon("stop")
        assert (done.code, done.err) == (0, "") and "atexit" in done.lines
        assert ("ends without these threads: upload; end them" in done.out) == hang, done


@pytest.mark.posix_only
def test_a_forked_child_of_the_adaptor_dies_of_sigterm_and_the_daemon_does_not(started):
    assert task(started, {"do": "fork_and_terminate"}).lines == ["the child died of signal 15"]
    assert task(started, {"do": "say", "text": "still here"}).lines == ["INFO: still here"]


@pytest.mark.posix_only
def test_an_authors_own_handler_of_sigterm_stays_in_what_he_forks(farm):
    done = farm("run", "--run-data", '{"do": "fork_with_a_handler"}')
    assert done.code == 0 and "the author's handler\nthe child has left with 5\n" in done.out, done


def test_a_start_that_another_command_stops_is_canceled_and_not_failed(farm):
    process = farm.daemon_popen("start", "--init-data", '{"on_start": {"do": "sleep", "seconds": 300}}')
    read_until(process.stdout, "sleeping")
    assert farm.daemon("stop").code == 0
    done = farm.finish(process)
    assert done.code == 4 and "openjd_fail" not in done.out


def test_what_a_start_left_that_was_killed_before_it_had_a_daemon_goes_with_the_next_stop_or_start(farm):
    def leave():
        for name in ("connection.json.1234", "connection.json.1234.sock"):
            os.close(system.create_private(str(farm.folder / name)))

    leave()
    assert farm.daemon("stop").code == 0 and list(farm.folder.glob("connection*")) == []
    leave()
    assert farm.daemon("start").code == 0
    assert not (farm.folder / "connection.json.1234").exists()
    with open(str(farm.folder / "connection.json.99"), "w") as locked:  # a start that is under way
        assert system.lock(locked.fileno())
        assert farm.daemon("stop").code == 0
        assert [path.name for path in farm.folder.glob("connection*")] == ["connection.json.99"]
