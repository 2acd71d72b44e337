"""Programs that PyInstaller makes of an adaptor: without Python or script, and with files that go."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from openjd_adapt.app import App
from openjd_adapt.system import interpreter

from .conftest import CANCEL, ROOT, module, read_until, tool, without_pids
from .test_ends import status
from .test_package import imports

pytestmark = [pytest.mark.posix_only, pytest.mark.timeout(300)]  # a build takes its time

#: What it imports late is in nobody's memory before the first task, and some of it has files of its own.
SCRIPT = """
from openjd_adapt import Adaptor, EntryPoint

class Frozen(Adaptor):
    def on_start(self):
        print("opened", self.init_data.get("scene"), flush=True)

    def on_run(self, run_data):
        import logging, sqlite3
        from openjd_adapt import LoggingSubprocess
        logging.getLogger("frozen").warning("a record of sqlite3 %s", sqlite3.apilevel)
        with LoggingSubprocess(args=["echo", "frame%s" % run_data["frame"]]) as process:
            process.wait()
        print("did", run_data["frame"], flush=True)
        self.sleep(run_data.get("seconds", 0))

    def on_stop(self):
        print("closed")

if __name__ == "__main__":
    EntryPoint(Frozen).start()
"""
INIT_DATA = ["--init-data", '{"scene": "a.blend"}']


def task_lines(frame):
    child = ["INFO: Running: echo frame%d" % frame, "STDOUT: frame%d" % frame]
    return ["WARNING: a record of sqlite3 2.0", *child, "did %d" % frame]


#: One analysis, which takes most of the time, for both kinds of program.
SPEC = """
found = Analysis(["frozen.py"], pathex=[%r])
code = PYZ(found.pure)
EXE(code, found.scripts, found.binaries, found.datas, name="onefile")
program = EXE(code, found.scripts, exclude_binaries=True, name="program")
COLLECT(program, found.binaries, found.datas, name="onedir")
"""
PROGRAMS = {"onefile": "dist/onefile", "onedir": "dist/onedir/program"}


def build(folder):
    """Let PyInstaller make the programs in ``folder``, without being told anything about the package."""
    module("PyInstaller")
    tool("objdump")
    (folder / "frozen.py").write_text(SCRIPT)
    (folder / "frozen.spec").write_text(SPEC % str(ROOT))
    done = subprocess.run(
        [sys.executable, "-m", "PyInstaller", "--log-level", "WARN", "frozen.spec"],
        cwd=str(folder),
        env={**os.environ, "PYINSTALLER_CONFIG_DIR": str(folder / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=280,  # a hang, though a build may take a minute
    )
    if b"PythonLibraryNotFoundError" in done.stdout:
        pytest.skip("PyInstaller needs a Python with a shared library")
    assert done.returncode == 0, done.stdout.decode()


@pytest.fixture(scope="module", params=[pytest.param(kind, marks=pytest.mark.long) for kind in PROGRAMS])
def program(request, tmp_path_factory):
    """Kind and path of a program. The first test that needs one builds both for all, whatever process they run in."""
    import fcntl

    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "frozen"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "built").exists():
            build(folder)
            (folder / "built").touch()
    return request.param, folder / PROGRAMS[request.param]


@pytest.fixture
def frozen(farm, program):
    """A farm whose adaptor is a program, and whose temporary folder is its own, as :func:`temporary` tells."""
    farm.command = lambda *arguments: [str(program[1]), *arguments]
    (farm.folder / "temporary").mkdir()
    farm.env.pop("PYTHONPATH")
    farm.env["TMPDIR"] = str(farm.folder / "temporary")
    return farm


def temporary(farm):
    """What is in the temporary folder."""
    return os.listdir(farm.env["TMPDIR"])


def start(farm):
    """A daemon. When this returns, the program that has started it is gone, with all that it had unpacked."""
    done = farm.daemon("start", *INIT_DATA)
    assert (done.code, done.lines[1:]) == (0, ["opened a.blend"]), done


def test_a_program_runs_one_task_in_the_foreground(frozen):
    done = frozen("run", *INIT_DATA, "--run-data", '{"frame": 7}')
    assert (done.code, done.err) == (0, ""), done
    assert without_pids(done.lines) == ["opened a.blend", *task_lines(7), "closed"]
    assert temporary(frozen) == []


def test_a_programs_daemon_serves_tasks_when_the_command_that_started_it_is_gone(frozen):
    start(frozen)
    for frame in (1, 2):
        done = frozen.daemon("run", "--run-data", '{"frame": %d}' % frame)
        assert (done.code, without_pids(done.lines), done.err) == (0, task_lines(frame), ""), done
    facts = status(frozen)
    assert (facts["state"], facts["adaptor"], facts["tasks"]) == ("idle", "Frozen", 2)
    done = frozen.daemon("stop")
    assert (done.code, done.lines) == (0, ["closed"]), done
    assert frozen.pids() == [] and temporary(frozen) == []


def test_a_program_plays_a_session(frozen):
    done = frozen("session", *INIT_DATA, "--each", "frame=1-2")
    assert done.code == 0, done
    assert without_pids(done.lines[1:11]) == ["opened a.blend", *task_lines(1), *task_lines(2), "closed"]
    assert frozen.pids() == [] and temporary(frozen) == []


def test_sigterm_cancels_a_programs_task_and_the_next_one_runs(frozen):
    start(frozen)
    process = frozen.daemon_popen("run", "--run-data", '{"frame": 1, "seconds": 300}')
    read_until(process.stdout, "did 1")
    process.send_signal(CANCEL)
    done = frozen.finish(process)
    assert done.code == 4 and "INFO: the run was canceled" in done.err, done
    assert without_pids(frozen.daemon("run", "--run-data", '{"frame": 2}').lines) == task_lines(2)
    assert frozen.daemon("stop").code == 0
    assert temporary(frozen) == []


def test_when_a_programs_keeper_is_killed_nothing_lives_on(frozen, program):
    start(frozen)
    os.kill(status(frozen)["pid"], signal.SIGKILL)
    frozen.wait_until_nothing_is_left()
    done = frozen.daemon("run", "--run-data", '{"frame": 1}')
    assert done.code == 3 and "its keeper was killed by SIGKILL" in done.err, done
    assert frozen.daemon("stop").code == 0
    unpacked = [name for name in temporary(frozen) if name.startswith("_MEI")]
    # What the adaptor's process has unpacked is left: PyInstaller's own process, which removes it, is killed, too.
    assert len(unpacked) == (program[0] == "onefile") and temporary(frozen) == unpacked


def test_a_programs_keeper_has_all_that_it_needs_late(frozen):
    """The scheduler's deadline, which it reads at SIGTERM, needs modules that nothing needs before."""
    frozen.env["OPENJD_SESSION_WORKING_DIR"] = str(frozen.folder)
    start(frozen)
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 300))
    (frozen.folder / "cancel_info.json").write_text(json.dumps({"NotifyEnd": end}))
    os.kill(status(frozen)["pid"], signal.SIGTERM)
    frozen.wait_until_nothing_is_left()
    done = frozen.daemon("stop")
    assert done.code == 0 and "it was stopped by SIGTERM" in done.err and "closed" in done.lines, done
    assert temporary(frozen) == []


#: Not of guardian and keeper: hmac proves a key where the kernel does not tell who is who, ntpath is for long paths,
#: both as on Windows; socket is for a Python whose _socket cannot accept, and none is frozen.
OTHERS = {"hmac", "ntpath", "shlex", "socket"}


def test_where_guardian_and_keeper_are_forks_all_that_they_import_later_is_imported_before(farm):
    def modules(code):
        code += "; import sys; print(*sys.modules)"
        return set(subprocess.check_output([sys.executable, "-S", "-c", code], env=farm.env).decode().split())

    theirs = modules("from openjd_adapt.daemon import guardian, keeper, launch")
    later = set()
    for name in theirs:
        if name.startswith("openjd_adapt."):
            path = ROOT / name.replace(".", "/")
            path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
            later.update(found for level, found, _ in imports(path) if not level)
    before = modules("import sys; sys.frozen = True; from openjd_adapt.daemon import launch; launch._import_all()")
    assert {"ctypes", "tempfile", "traceback"} <= later
    assert later - before - OTHERS == set() and "_strptime" in before


def test_a_frozen_program_is_its_own_command(monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", "/opt/happy/happy")
    monkeypatch.setattr(sys, "orig_argv", ["happy", "--adaptor", "happy", "run", "--debug"], raising=False)
    app = App("Happy", lambda: None, ["run", "--debug"])
    assert app.command() == ["/opt/happy/happy", "--adaptor", "happy"]
    assert app.of_role("_worker") == [*app.command(), "run", "--debug", "_worker"]
    assert App("Happy", lambda: None, [], "/opt/other").command() == ["/opt/other"]


def test_what_may_outlive_a_program_that_has_unpacked_itself_is_to_unpack_its_own(monkeypatch):
    monkeypatch.setenv("LD_LIBRARY_PATH", "/tmp/_MEI1:/opt/lib")
    assert interpreter.environment() == os.environ
    monkeypatch.setattr(sys, "_MEIPASS", "/tmp/_MEI1", raising=False)
    changed = {"PYINSTALLER_RESET_ENVIRONMENT": "1", "LD_LIBRARY_PATH": "/opt/lib"}
    assert interpreter.environment() == {**os.environ, **changed}
    monkeypatch.delenv("LD_LIBRARY_PATH")
    assert "LD_LIBRARY_PATH" not in interpreter.environment()
