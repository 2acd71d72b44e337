"""The toolkit on Windows: real processes, jobs, consoles and files. In CI under Wine; elsewhere these are left out."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from .conftest import ADAPTORS, HANG_SECONDS, ROOT, wait_until

pytestmark = [pytest.mark.windows_core, pytest.mark.windows_only]


def wait_for(process, text):
    """Read the process's output up to the line that has ``text``."""
    read = b""
    while text not in read:
        line = process.stdout.readline()
        assert line, read
        read += line
    return read


def test_the_mandelbrot_session_renders_pictures(farm):
    farm.adaptor = str(ROOT / "examples" / "mandelbrot" / "mandelbrot.py")
    init = "{width: 16, height: 10, output: renders/m_####.png}"
    done = farm("session", "--init-data", init, "--each", "frame=1-3")
    assert done.code == 0, done
    assert len(list((farm.folder / "renders").iterdir())) == 3


@pytest.fixture
def isolated(tmp_path):
    """A Python like those in applications: what it may import stands in a file beside it, and nothing else counts."""
    home = os.path.dirname(sys.base_prefix + os.sep)
    folder = tmp_path / "embedded"
    folder.mkdir()
    for name in os.listdir(home):
        if name.lower().endswith((".exe", ".dll")):
            shutil.copyfile(os.path.join(home, name), str(folder / name))

    def write(*places):
        paths = [os.path.join(home, "Lib"), os.path.join(home, "DLLs"), *places]
        (folder / ("python%d%d._pth" % sys.version_info[:2])).write_text("\n".join(paths) + "\n")
        return str(folder / "python.exe")

    return write


def test_an_application_whose_python_is_isolated_by_a_pth_file_becomes_a_client(farm, isolated):
    python = isolated()
    assert (
        subprocess.check_output([python, "-c", "import sys; print(sys.flags.isolated)"], env=farm.env).strip() == b"1"
    )
    farm.adaptor = str(ADAPTORS / "kept_open.py")
    init_data = json.dumps({"python": python})
    done = farm("run", "--init-data", init_data, "--run-data", '{"call": "echo", "args": {"value": 7}}')
    assert done.code == 0 and "result 7" in done.lines, done


def test_the_toolkit_in_a_python_that_is_isolated_by_a_pth_file_plays_a_session(farm, isolated):
    farm.python = [isolated(str(ROOT))]
    done = farm("session", "--run-data", '{"do": "say", "text": "in an embedded Python"}')
    assert done.code == 0 and "INFO: in an embedded Python" in done.lines, done


@pytest.mark.parametrize("words", [["run"], ["daemon", "start"]])
def test_after_the_command_was_killed_nothing_is_left(farm, words):
    arguments = ["--connection-file", str(farm.file)] if words[0] == "daemon" else []
    init = json.dumps({"on_start": {"do": "sleep", "seconds": 300}})
    process = farm.popen(*words, *arguments, "--init-data", init)
    wait_for(process, b"sleeping")
    process.kill()
    process.communicate()
    farm.wait_until_nothing_is_left()


def test_the_connection_file_lets_in_its_user_and_the_system_alone(farm):
    from openjd_adapt.system import win32, windows

    assert farm.daemon("start").code == 0
    descriptor = windows.open_private(str(farm.file))
    import msvcrt

    sddl = win32.security_of(msvcrt.get_osfhandle(descriptor))
    os.close(descriptor)
    assert set(sddl.partition("D:")[2].strip("()").split(")(")) == {"A;;FA;;;SY", "A;;FA;;;" + win32.user()}
    assert farm.daemon("stop").code == 0


# Commands

COMMAND = str(ADAPTORS / "command.py")
#: Says what it gets, and leaves on CTRL_BREAK with code 5.
LISTENER = (
    "import signal, sys, time\n"
    "def leave(number, frame):\n"
    "    print('asked by', number, flush=True)\n"
    "    sys.exit(5)\n"
    "signal.signal(signal.SIGBREAK, leave)\n"
    "print('listening', flush=True)\n"
    "while True: time.sleep(0.1)\n"
)
#: Starts two below it, one of which leaves its group, and never ends.
FAMILY = (
    "import subprocess, sys, time\n"
    "code = 'import time; time.sleep(300)'\n"
    "subprocess.Popen([sys.executable, '-c', code])\n"
    "subprocess.Popen([sys.executable, '-c', code], creationflags=0x208)\n"
    "print('all there', flush=True)\n"
    "time.sleep(300)\n"
)


def command(code, **more):
    return json.dumps({"args": [sys.executable, "-c", code], **more})


def test_a_commands_lines_come_prefixed_and_its_exit_code_counts(farm):
    farm.adaptor = COMMAND
    done = farm("run", "--run-data", command("print('done 50'); raise SystemExit(3)"))
    assert done.code == 1, done
    assert "STDOUT: done 50" in done.lines and "openjd_progress: 50" in done.lines
    assert [line for line in done.lines if line.startswith("openjd_fail")][0].endswith("exited with code 3")


def test_a_cancel_reaches_a_command_as_ctrl_break(farm):
    farm.adaptor = COMMAND
    process = farm.popen("run", "--run-data", command(LISTENER, grace=300))
    wait_for(process, b"STDOUT: listening")
    process.send_signal(signal.CTRL_BREAK_EVENT)
    done = farm.finish(process)
    assert done.code == 4, done
    assert "STDOUT: asked by 21" in done.lines


def test_a_command_that_does_not_listen_is_killed_with_all_below_it(farm):
    farm.adaptor = COMMAND
    assert farm.daemon("start").code == 0
    before = set(farm.pids())
    process = farm.daemon_popen("run", "--run-data", command(FAMILY, grace=0.5))
    wait_for(process, b"STDOUT: all there")
    process.send_signal(signal.CTRL_BREAK_EVENT)
    assert farm.finish(process).code == 4
    wait_until(lambda: set(farm.pids()) == before)
    assert farm.daemon("stop").code == 0


# Applications


def test_an_applications_functions_are_called_and_it_is_closed(farm):
    farm.adaptor = str(ADAPTORS / "kept_open.py")
    assert farm.daemon("start").code == 0
    done = farm.daemon("run", "--run-data", json.dumps({"call": "echo", "args": {"value": "ünï"}}))
    assert done.code == 0 and "result 'ünï'" in done.lines, done
    done = farm.daemon("run", "--run-data", json.dumps({"call": "fail"}))
    assert done.code == 1 and "openjd_fail: fail failed in the application: RuntimeError: no such object" in done.lines
    done = farm.daemon("stop")
    assert done.code == 0, done


@pytest.mark.parametrize("words", [["run"], ["daemon", "start"]])
def test_a_keeper_that_cannot_begin_tells_the_farm_why(farm, words):
    place = farm.folder / "copy" / "openjd_adapt"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(str(ROOT / "openjd_adapt"), str(place), ignore=ignore, copy_function=shutil.copyfile)  # as Wine can
    with (place / "daemon" / "keeper.py").open("a") as stream:  # the command imports it, too
        stream.write("import sys\nif sys.argv[-1] == '_keeper':\n    import no_such_module\n")
    farm.env["PYTHONPATH"] = str(place.parent)
    done = farm(*words, *(["--connection-file", str(farm.file)] if words[0] == "daemon" else []))
    [told] = [line for line in done.lines if line.startswith("openjd_fail: ")]
    assert done.code == 1 and "lacks no_such_module" in told and told.count(sys.executable) == 1, done
    assert not farm.file.exists()


# Kills


@pytest.mark.parametrize("name", ["_keeper", "_worker"])
def test_after_kill_9_to_any_process_of_a_daemon_nothing_is_left(farm, name):
    farm.adaptor = COMMAND
    assert farm.daemon("start").code == 0
    pids = json.loads(farm.daemon("status", "--json").out)
    process = farm.daemon_popen("run", "--run-data", command(FAMILY))
    wait_for(process, b"STDOUT: all there")
    os.kill(pids["pid" if name == "_keeper" else "worker_pid"], signal.SIGTERM)
    done = farm.finish(process)
    assert done.code == 1 and "openjd_fail: " in done.out, done
    farm.wait_until_nothing_is_left()
    assert farm.daemon("stop").code == 0
    assert not farm.file.exists()


# Files, commands, consoles


@pytest.mark.parametrize("form", ["file://%s", "file:///%s"])
def test_data_come_from_a_file_by_its_drive(farm, form):
    path = farm.folder / "ünï data.yaml"
    path.write_text("do: say\ntext: 'hällo'\n", encoding="utf-8")
    done = farm("run", "--run-data", form % str(path).replace("\\", "/" if form.count("/") == 3 else "\\"))
    assert done.code == 0 and "INFO: hällo" in done.lines, done


def test_print_ends_lines_as_everywhere(farm):
    process = farm.popen("run", "--run-data", json.dumps({"do": "lines", "how": "print", "count": 3}))
    out, _ = process.communicate(timeout=HANG_SECONDS)
    assert b"line 0\nline 1\nline 2\n" in out and b"\r" not in out


def test_a_batch_file_is_found_and_given_plain_arguments_but_none_that_cmd_would_read(tmp_path):
    from openjd_adapt.system import windows_processes

    (tmp_path / "tool.bat").write_text("@echo off\r\n")
    environment = {"PATH": str(tmp_path)}
    prepared = windows_processes.prepare_command(["tool", "a b", "C:\\x"], environment)
    assert prepared[0].lower().endswith("tool.bat") and prepared[1:] == ["a b", "C:\\x"]
    for argument in ("50%", 'say "x"', "a&b", "a|b", "^", "two\nlines"):
        with pytest.raises(ValueError, match="a batch file cannot be given"):
            windows_processes.prepare_command(["tool", argument], environment)


def test_a_command_line_that_is_too_long_is_told(farm):
    farm.adaptor = COMMAND
    path = farm.folder / "long.json"
    path.write_text(json.dumps({"args": [sys.executable, "-c", "x" * 40_000]}))
    done = farm("run", "--run-data", "file://%s" % path)
    assert done.code == 1 and "Windows takes 32766" in done.out, done


def test_a_console_that_is_closed_cancels_and_the_process_leaves_with_its_code(farm):
    # Nothing but the system can send this event; so it is the handler that is called, on a thread, as the system does.
    code = (
        "import sys, threading\n"
        "from openjd_adapt.system import windows, windows_processes\n"
        "wakeup = windows.Wakeup(*windows.CANCEL_SIGNALS)\n"
        "threading.Thread(target=wakeup._on_event, args=(2,), daemon=True).start()\n"
        "print(windows.wait_for({wakeup.fileno(): windows.READ}, 60) != {}, windows.TERMINATION in wakeup.heard())\n"
        "windows_processes.finish(4)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], env=farm.env, stdout=subprocess.PIPE)
    out, _ = process.communicate(timeout=HANG_SECONDS)
    assert (out.split(), process.returncode) == ([b"True", b"True"], 4)


@pytest.mark.real_windows_only  # Wine does not say which limits the job around a process has
def test_a_job_that_ends_with_the_command_is_warned_of(farm):
    # The farm's own job is one.
    done = farm.daemon("start")
    assert done.code == 0
    assert "INFO: the scheduler's job object ends what a command leaves" in done.err, done
    farm.end_job()
    done = farm.daemon("run")
    assert done.code == 3 and "it was killed: from outside, most likely by the scheduler's job object" in done.err, done
    assert farm.daemon("stop").code == 0


def test_configuration_lies_where_programdata_says(farm):
    farm.env["PROGRAMDATA"] = str(farm.folder / "data")
    path = farm.folder / "data" / "openjd" / "adaptors" / "Probe" / "Probe.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"colour": "blue"}')
    shown = json.loads(farm("show-config", "--json").out)["adaptor"]
    assert shown["config"]["colour"] == "blue" and shown["origins"]["colour"] == str(path)


# Places


def long_folder(farm):
    """A folder whose path is longer than Windows's own limit for paths, which only the unlimited form can have."""
    folder = str(farm.folder)
    while len(folder) < 300:
        folder = os.path.join(folder, "a folder with a long name, ünï %d" % len(folder))
    os.makedirs("\\\\?\\" + folder)
    return folder


def share(farm):
    """A folder of a share: under Wine, one of its prefix."""
    place = os.path.join("Z:" + os.environ["WINEPREFIX"].replace("/", "\\"), "dosdevices", "unc", "farm", "share")
    name = farm.token
    os.makedirs(os.path.join(place, name))
    return r"\\farm\share\%s" % name


@pytest.mark.parametrize("place", [long_folder, share])
def test_a_sessions_folder_may_have_a_long_path_or_lie_on_a_share(farm, place):
    if place is share and "WINEPREFIX" not in os.environ:
        pytest.skip("only Wine makes a share as simply as a folder")
    folder = place(farm)
    farm.env["OPENJD_SESSION_WORKING_DIR"] = folder
    data = os.path.join(folder, "run data.json")
    with open("\\\\?\\" + data if place is long_folder else data, "w", encoding="utf-8") as stream:
        json.dump({"do": "say", "text": "hällo"}, stream)
    done = farm("daemon", "start")
    assert done.code == 0, done
    farm.file = [line.partition("=")[2] for line in done.lines if line.startswith("openjd_env")][0]
    done = farm.daemon("run", "--run-data", "file://" + data)
    assert done.code == 0 and "INFO: hällo" in done.lines, done
    assert farm.daemon("stop").code == 0
    assert not os.path.exists(farm.file)


def test_names_may_have_blanks_and_letters_of_any_script(farm):
    folder = farm.folder / "ünï 木 folder"
    folder.mkdir()
    adaptor = folder / "my adaptör.py"
    adaptor.write_text((ADAPTORS / "command.py").read_text(encoding="utf-8"), encoding="utf-8")
    farm.adaptor = str(adaptor)
    farm.file = folder / "connection 木.json"
    assert farm.daemon("start").code == 0
    done = farm.daemon("run", "--run-data", command("import os; print(ascii(os.getcwd()))", cwd=str(folder)))
    assert done.code == 0, done
    assert "STDOUT: " + ascii(str(folder)) in done.lines, done
    assert farm.daemon("stop").code == 0


# Streams


def test_errors_and_a_sessions_lines_are_utf_8_whatever_the_code_page(farm):
    done = farm("run", "--run-data", '"ünï": [')
    assert done.code == 2 and "ERROR: --run-data: " in done.err and "\\x" not in done.err, done
    done = farm("show-config", "--config", "木.json")
    assert "木.json" in done.err, done
    done = farm("session", "--run-data", '{"do": "say", "text": "木"}')
    assert done.code == 0 and "INFO: 木" in done.lines, done


def test_a_reader_of_the_output_that_goes_away_cancels_a_task_that_prints_nothing(farm):
    assert farm.daemon("start").code == 0
    process = farm.daemon_popen("run", "--run-data", json.dumps({"do": "sleep", "seconds": 300}))
    wait_until(lambda: '"running"' in farm.daemon("status", "--json").out)
    process.stdout.close()
    assert process.wait(HANG_SECONDS) == 4
    process.stderr.close()
    assert farm.daemon("stop").code == 0


def test_a_command_without_standard_streams_works(farm):
    # As a service starts it: no console, and no handles.
    detached = 0x8
    for words in (["start"], ["run"], ["stop"]):
        command = farm.command("daemon", words[0], "--connection-file", str(farm.file))
        process = subprocess.Popen(command, cwd=str(farm.folder), env=farm.env, creationflags=detached)
        assert process.wait(HANG_SECONDS) == 0, words


# Cancel


def test_ctrl_break_cancels_a_session_which_then_stops_its_daemon(farm):
    process = farm.popen("session", *["--run-data", json.dumps({"do": "sleep", "seconds": 300})] * 3)
    wait_for(process, b"sleeping")
    process.send_signal(signal.CTRL_BREAK_EVENT)
    done = farm.finish(process)
    assert done.code == 4, done
    assert "task 2" not in done.out and "stop " in done.out, done


def test_a_process_without_a_console_cannot_be_asked_and_is_killed_at_once(farm):
    farm.adaptor = COMMAND
    assert farm.daemon("start").code == 0
    code = "import ctypes, time; ctypes.windll.kernel32.FreeConsole(); print('alone', flush=True); time.sleep(300)"
    process = farm.daemon_popen("run", "--run-data", command(code, grace=300))
    wait_for(process, b"STDOUT: alone")
    process.send_signal(signal.CTRL_BREAK_EVENT)
    done = farm.finish(process)
    assert done.code == 4, done
    assert farm.daemon("stop").code == 0


@pytest.mark.parametrize(
    "program", ["sys.frozen = True; sys.executable = 'happy.exe'", "sys.executable = 'editor.exe'"]
)
def test_a_process_is_asked_without_a_python_to_do_it(farm, program):
    code = (
        "import re, sys, threading; from openjd_adapt import LoggingSubprocess, RegexCallback, RegexHandler\n"
        "up = threading.Event(); callback = RegexCallback([re.compile('listening')], lambda match: up.set())\n"
        "args = [sys.executable, '-c', %r]; handler = RegexHandler([callback])\n"
        "process = LoggingSubprocess(args=args, stdout_handler=handler)\n"
        "assert up.wait(60); %s; process.terminate(60); print('ended with', process.returncode)\n"
    ) % (LISTENER, program)
    out = subprocess.check_output([sys.executable, "-c", code], env=farm.env, timeout=HANG_SECONDS).decode()
    assert "asked by" in out and out.splitlines()[-1] == "ended with 5"


# Where jobs are forbidden


@pytest.fixture
def _no_jobs(monkeypatch):
    """As before Windows 8, where a process is in one job at the most, and the scheduler's has this one."""
    from openjd_adapt.system import win32

    def forbid(job, process):
        raise PermissionError(13, "Access is denied")

    monkeypatch.setattr(win32, "AssignProcessToJobObject", forbid)


@pytest.mark.usefixtures("_no_jobs")
def test_where_jobs_are_forbidden_a_process_is_not_started_and_one_line_says_why(tmp_path):
    from openjd_adapt import LoggingSubprocess, ProgramNotStarted

    path = tmp_path / "begun"
    with pytest.raises(ProgramNotStarted, match="does not let a process into a job object of its own: Access is de"):
        LoggingSubprocess(args=[sys.executable, "-c", "open(%r, 'w')" % str(path)])
    assert not path.exists()


@pytest.mark.usefixtures("_no_jobs")
def test_where_jobs_are_forbidden_no_adaptors_process_is_started(tmp_path):
    from openjd_adapt.system import windows_processes

    path = tmp_path / "begun"
    with pytest.raises(OSError, match="does not let a process into a job object of its own"):
        windows_processes.start_worker([sys.executable, "-c", "open(%r, 'w')" % str(path)], None)
    assert not path.exists()


# Kills


def test_after_an_application_with_two_grandchildren_was_killed_nothing_is_left(farm):
    farm.adaptor = str(ADAPTORS / "kept_open.py")
    assert farm.daemon("start").code == 0
    before = set(farm.pids())
    code = "import os; print('i am', os.getpid(), flush=True)\n" + FAMILY
    process = farm.daemon_popen("run", "--run-data", json.dumps({"call": "execute", "args": {"code": code}}))
    pid = int(wait_for(process, b"STDOUT: i am ").rpartition(b"i am ")[2])
    wait_for(process, b"STDOUT: all there")
    assert set(farm.pids()) - before  # the grandchildren
    os.kill(pid, signal.SIGTERM)
    done = farm.finish(process)
    assert done.code == 1 and "openjd_fail: " in done.out, done
    assert farm.daemon("stop").code == 0
    farm.wait_until_nothing_is_left()
