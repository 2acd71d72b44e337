"""Guardian and keeper: each is a fresh interpreter where the program is a Python, and a fork where it is none."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from openjd_adapt.system.interpreter import can_be_fresh, fresh_command, is_python

from .conftest import ROOT, wait_until
from .test_ends import processes

pytestmark = [pytest.mark.core, pytest.mark.windows_core]

SCRIPT = """
import sys
{before}
import sqlite3
from openjd_adapt import Adaptor, EntryPoint

class Large(Adaptor):
    def on_run(self, run_data):
        print("did", run_data["frame"])

EntryPoint(Large).start()
"""


@pytest.fixture
def script(farm):
    """A farm whose adaptor is a script of its own, in a folder of its own, that begins with what is given."""

    def write(before=""):
        path = farm.folder / "program" / "large.py"
        path.parent.mkdir()
        path.write_text(SCRIPT.format(before=before))
        farm.command = lambda *arguments: [*farm.python, str(path), *arguments]
        return farm

    return write


def fresh(pid):
    """A process of a daemon's, when it has become a fresh interpreter."""
    wait_until(lambda: b"\0-c\0" in Path("/proc/%d/cmdline" % pid).read_bytes())
    return pid


def play(farm, when=int):
    """A whole session; what was true of the daemon's processes meanwhile: name, command line, files that are mapped."""
    assert farm.daemon("start").code == 0
    found = {}
    for name, pid in processes(farm).items():
        place = Path("/proc/%d" % (pid if name == "worker" else when(pid)))
        command = (place / "cmdline").read_bytes().replace(b"\0", b" ").strip().decode()
        found[name] = (command, (place / "maps").read_text())
    assert "did 7" in farm.daemon("run", "--run-data", '{"frame": 7}').lines
    assert farm.daemon("stop").code == 0
    return found


@pytest.mark.posix_only
def test_what_an_adaptor_imports_is_in_neither_guardian_nor_keeper(script):
    farm = script()
    found = play(farm, fresh)
    assert "sqlite" in found["worker"][1]
    for name in ("guardian", "keeper"):
        command, maps = found[name]
        assert command.endswith("%s of Large, %s" % (name, farm.file)) and "sqlite" not in maps


@pytest.mark.posix_only
@pytest.mark.parametrize("when", [int, fresh])
def test_a_guardian_ends_what_its_keeper_has_left_and_notes_why_be_it_a_fork_still_or_fresh(farm, when):
    assert farm.daemon("start").code == 0
    pids = processes(farm)
    when(pids["guardian"])
    os.kill(pids["keeper"], signal.SIGKILL)
    farm.wait_until_nothing_is_left()
    assert "its keeper was killed by SIGKILL" in farm.daemon("run").err


#: A program that is not a Python has a command of its own that leads to its adaptor.
COMMAND = "\nfrom openjd_adapt.app import App\nApp.command = lambda self: [%r, sys.argv[0]]" % sys.executable


@pytest.mark.posix_only
@pytest.mark.parametrize(
    "before",
    [
        pytest.param("sys.frozen = True", id="frozen"),
        pytest.param("sys.executable = '/nowhere/python'", id="vanished meanwhile", marks=pytest.mark.long),
    ],
)
def test_where_the_program_is_no_python_guardian_and_keeper_are_forks_of_the_command(script, before):
    farm = script(before + COMMAND)
    found = play(farm)
    for name in ("guardian", "keeper"):
        command, maps = found[name]
        title = "openjd_adapt %s of Large, %s" % (name, farm.file)
        assert title.startswith(command) and command.startswith("openjd_adapt %s of Large" % name)  # as far as it fits
        assert "sqlite" in maps


@pytest.mark.posix_only
@pytest.mark.parametrize("number", [1, 2, 3], ids=["guardian", "keeper", "worker"])
def test_a_host_that_has_no_room_for_another_process_is_told_as_that(script, number):
    farm = script(
        "import errno, os\n"
        "fork, count = os.fork, [0]\n"
        "def none_left():\n"
        "    count[0] += 1\n"
        "    if count[0] == %d:\n"
        "        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))\n"
        "    return fork()\n"
        "os.fork = none_left" % number
    )
    done = farm.daemon("start")
    assert done.code == 1 and "openjd_fail: " in done.out, done
    assert "cannot start a process: Resource temporarily unavailable" in done.out and "Traceback" not in done.err, done
    assert [path.name for path in farm.folder.iterdir()] == ["program"]


@pytest.mark.posix_only
@pytest.mark.parametrize("whom", ["_guard", "_fork_keeper", "_keep", "fork_worker"])
def test_a_start_whose_processes_die_before_they_are_ready_has_failed_and_leaves_nothing(script, whom):
    farm = script("import os, openjd_adapt.daemon.launch as p; p.%s = lambda *_: os.kill(os.getpid(), 9)" % whom)
    done = farm.daemon("start")
    assert done.code == 1 and done.out == "openjd_fail: the daemon was killed while it started\n", done
    assert [path.name for path in farm.folder.iterdir()] == ["program"]


@pytest.mark.posix_only
def test_such_a_start_leaves_no_folder_that_was_made_for_it(script):
    farm = script("import os, openjd_adapt.daemon.launch as p; p._guard = lambda *_: os.kill(os.getpid(), 9)")
    (farm.folder / "temporary").mkdir()
    farm.env["TMPDIR"] = str(farm.folder / "temporary")
    assert farm("daemon", "start").code == 1
    assert os.listdir(farm.env["TMPDIR"]) == []


def test_modules_in_the_sessions_folder_take_the_place_of_none(script):
    farm = script()
    for name in ("json", "signal", "os", "struct", "__future__", "openjd_adapt"):
        (farm.folder / (name + ".py")).write_text("raise SystemExit('another')")
    assert farm.daemon("start").code == 0
    assert "did 7" in farm.daemon("run", "--run-data", '{"frame": 7}').lines
    assert farm.daemon("stop").code == 0


@pytest.mark.posix_only
@pytest.mark.parametrize("number", [1, 2], ids=["guardian", "keeper"])
def test_sigterm_right_after_a_fork_is_heard_later(script, number):
    farm = script(
        "import os\n"
        "fork, count = os.fork, [0]\n"
        "def fork_into_a_signal():\n"
        "    count[0] += 1\n"
        "    pid = fork()\n"
        "    if pid == 0 and count[0] == %d:\n"
        "        os.kill(os.getpid(), 15)\n"
        "    return pid\n"
        "os.fork = fork_into_a_signal" % number
    )
    done = farm.daemon("start")
    assert done.code in (0, 4) and "killed" not in done.out + done.err, done  # it may be heard when all is started
    farm.wait_until_nothing_is_left()
    done = farm.daemon("stop")
    assert done.code == 0 and ("it was stopped by SIGTERM" in done.err or "was canceled" in done.err), done


def test_a_script_that_has_closed_its_standard_output_starts_all_the_same(script):
    farm = script("'_worker' in sys.argv or sys.stdout.close()")
    done = farm("run", "--run-data", '{"frame": 7}')
    assert done.code == 0 and "did 7" in done.lines and done.err == "", done


@pytest.mark.posix_only
def test_a_program_that_is_no_python_and_has_no_ctypes_warns_and_works(script):
    farm = script(
        "sys.modules['ctypes'] = sys.modules['_ctypes'] = None\nsys.executable = '/opt/blender/blender'" + COMMAND
    )
    done = farm.daemon("start")
    assert done.code == 0 and done.err.startswith("WARNING: this host lacks what it takes"), done
    assert "did 7" in farm.daemon("run", "--run-data", '{"frame": 7}').lines
    assert farm.daemon("stop").code == 0


@pytest.mark.posix_only
def test_a_private_folders_name_stands_in_no_command_line(started):
    command_lines = [Path("/proc/%d/cmdline" % pid).read_bytes() for pid in started.pids()]
    assert len(command_lines) == 3 and not any(b"openjd_adapt-" in line for line in command_lines)


DIES_BEFORE_IT_IS_ASKED = """
import os, time
if sys.argv[-1] == "_worker":
    print("no such library")
    sys.stdout.flush()
    os._exit(3)
from openjd_adapt.daemon import frontend
ask = frontend.DaemonClient.ask
frontend.DaemonClient.ask = lambda *words, **named: time.sleep(0.5) or ask(*words, **named)
"""


@pytest.mark.posix_only
@pytest.mark.parametrize("words", [["run"], ["daemon", "start"]])
def test_an_adaptor_that_is_gone_before_its_command_asks_for_the_start_is_told(script, words):
    farm = script(DIES_BEFORE_IT_IS_ASKED)
    done = farm.daemon(words[1]) if words[1:] else farm(*words)
    gone = "openjd_fail: the adaptor is gone: the adaptor's process exited with code 3"
    assert done.code == 1 and done.lines == ["no such library", gone], done


@pytest.mark.posix_only
@pytest.mark.parametrize("rounds", [1, pytest.param(10, marks=pytest.mark.long)])
@pytest.mark.parametrize("whom", ["guardian of probe", "keeper of probe"])
def test_sigterm_as_soon_as_there_is_a_process_is_heard(farm, whom, rounds):
    """It is blocked until somebody listens, so that it neither kills the process nor is lost."""
    for _ in range(rounds):
        process = farm.daemon_popen("start", "--init-data", '{"on_start": {"do": "sleep", "seconds": 300}}')
        while not farm.pids_named(whom):
            assert process.poll() is None, farm.finish(process)
        os.kill(farm.pids_named(whom)[0], signal.SIGTERM)
        done = farm.finish(process)
        assert done.code in (1, 4) and "killed" not in done.out + done.err, done
        farm.wait_until_nothing_is_left()
        assert farm.daemon("stop").code == 0


def test_a_fresh_interpreter_imports_the_package_by_its_last_name_and_runs_with_the_flags_of_this_one():
    command = fresh_command("guardian", "guardian of x")
    assert command[0] == sys.executable and command[-3] == "-c" and command[-1] == "guardian of x" and "-S" in command
    code = command[-2]
    assert "from openjd_adapt.daemon import guardian" in code and ascii(str(ROOT)) in code and code.isascii()


@pytest.mark.parametrize("name", ["/opt/blender/blender", "/opt/maya/bin/maya.bin", "/opt/happy", "", None])
def test_an_application_is_no_python(monkeypatch, name):
    assert is_python()
    monkeypatch.setattr(sys, "executable", name)
    assert not is_python() and not can_be_fresh()


@pytest.mark.parametrize("name", ["/usr/bin/python3.11", "/opt/maya/bin/mayapy", "/hfs/hython.exe", "/x/pypy3"])
def test_what_runs_code_is_a_python_unless_it_is_frozen(monkeypatch, name):
    monkeypatch.setattr(sys, "executable", name)
    assert is_python()
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert not is_python()
