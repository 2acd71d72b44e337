"""Applications kept open: call and answer, their ends, and what is looked for in their lines."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import openjd_adapt

from .conftest import ADAPTORS, CANCEL, HANG_SECONDS, KILL, ROOT, Farm, read_until, root_only, wait_until
from .test_daemon import task

KEPT_OPEN = str(ADAPTORS / "kept_open.py")


@pytest.fixture
def kept(farm):
    """A farm whose adaptor keeps a stand-in application open."""
    farm.adaptor = KEPT_OPEN
    return farm


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Such a farm for all tests of this file that leave it as it was."""
    kind = Farm
    if sys.platform == "win32":
        from .windows_farm import WindowsFarm as kind
    farm = kind(tmp_path_factory.mktemp("shared"))
    farm.adaptor = KEPT_OPEN
    yield farm
    farm.wait_until_nothing_is_left()


def run(farm, data, **init):
    return farm("run", "--run-data", json.dumps(data), "--init-data", json.dumps(init))


@pytest.fixture(scope="module")
def open_daemon(shared):
    """A daemon with an open application, which every test leaves idle."""
    done = shared.daemon("start")
    assert done.code == 0, done
    shared.application = int(re.search(r"ready, pid (\d+)", done.out).group(1))
    yield shared
    assert shared.daemon("stop").code == 0


@pytest.mark.parametrize("value", [None, [True, 1, 1.5, "é\n\0", [1, [2]], {"a": {"b": []}}]])
def test_a_call_returns_the_functions_result(open_daemon, value):
    done = task(open_daemon, {"call": "echo", "args": {"value": value}})
    assert (done.code, done.out) == (0, "result %r\n" % (value,))


def test_one_application_serves_all_tasks(open_daemon):
    pids = {task(open_daemon, {"call": "pid"}).out for _ in range(2)}
    assert pids == {"result %d\n" % open_daemon.application}


@pytest.fixture(scope="module")
def played(shared):
    """A whole run, in an application whose Python has neither site nor environment."""
    rules = [{"source_path_format": "WINDOWS", "source_path": "Z:\\", "destination_path": "/mnt/z"}]
    done = shared(
        *("run", "--path-mapping-rules", json.dumps({"path_mapping_rules": rules})),
        *("--init-data", '{"flags": ["-I", "-S"]}'),
        *("--run-data", json.dumps({"call": "map_path", "args": {"path": "z:\\a\\b"}})),
    )
    assert done.code == 0, done
    return done


@pytest.mark.once
def test_an_application_is_named_when_it_starts_and_when_it_connects(played):
    running, connected = played.lines[:2]
    assert re.match(r"INFO: Running: \S+ -I -S .* \(pid \d+\)$", running)
    assert connected.startswith("INFO: python") and " is connected: Python " in connected


@pytest.mark.posix_only  # paths are mapped to this host's form
def test_paths_are_mapped_in_the_application_by_the_adaptors_rules(played):
    assert "result '/mnt/z/a/b'" in played.lines


def test_an_application_is_asked_to_end_over_its_connection(played):
    assert "STDOUT: application ends" in played.lines


def test_a_client_in_a_python_without_site_and_environment(played):
    assert " -I -S " in played.lines[0] and " is connected: " in played.lines[1]


@pytest.mark.once
def test_an_exception_of_the_application_shows_its_traceback_once(open_daemon):
    done = task(open_daemon, {"call": "fail"})
    assert done.code == 1
    assert done.out.count("Traceback") == 1
    assert "application_client.py" in done.out and 'client.py", line' not in done.out.replace(
        "application_client.py", ""
    )
    assert done.lines[-1] == "openjd_fail: fail failed in the application: RuntimeError: no such object"
    assert task(open_daemon, {"call": "pid"}).code == 0


@pytest.mark.once
def test_a_call_that_does_not_fit_is_a_clear_error_and_the_daemon_goes_on(open_daemon):
    for data, message in [
        ({"call": "dance"}, "the application has no action 'dance'; it has: echo, execute, fail, "),
        ({"call": "echo", "args": {"valeu": 1}}, "unexpected keyword argument 'valeu'"),
        ({"call": "not_json"}, "the result of not_json is not JSON: "),
    ]:
        done = task(open_daemon, data)
        assert done.code == 1 and message in done.lines[-1]
    assert task(open_daemon, {"call": "pid"}).code == 0


@pytest.mark.posix_only  # /proc; test_windows kills an application with its family
def test_sigkill_of_the_application_fails_its_call_at_once_with_exit_code_and_last_lines(kept):
    kept.daemon("start")
    process = kept.daemon_popen("run", "--run-data", '{"call": "sleep", "args": {"seconds": 300}}')
    read_until(process.stdout, "STDOUT: sleeping")
    worker = json.loads(kept.daemon("status", "--json").out)["worker_pid"]
    application = int(Path("/proc/%d/task/%d/children" % (worker, worker)).read_text())
    os.kill(application, signal.SIGKILL)
    done = kept.finish(process)
    assert done.code == 1
    assert re.match(
        r"openjd_fail: \S+ was killed by SIGKILL while waiting for the answer to sleep; its last lines: sleeping$",
        done.lines[-1],
    )
    assert kept.daemon("stop").code == 0


def test_a_killed_worker_leaves_no_folder(kept):
    (kept.folder / "tmp").mkdir()
    kept.env["TMPDIR"] = kept.env["TMP"] = str(kept.folder / "tmp")  # here, and on Windows
    kept.daemon("start")
    assert len(os.listdir(kept.env["TMPDIR"])) == 1
    os.kill(json.loads(kept.daemon("status", "--json").out)["worker_pid"], KILL)
    kept.wait_until_nothing_is_left()
    assert os.listdir(kept.env["TMPDIR"]) == []
    assert kept.daemon("stop").code == 0


def test_an_application_that_leaves_in_a_call_is_told_with_its_exit_code(kept):
    done = run(kept, {"call": "leave"}, exit_seconds=HANG_SECONDS)
    assert done.code == 1 and " exited with code 5 while waiting for the answer to leave" in done.out


def test_an_application_that_dies_before_it_connects_fails_the_start(kept):
    done = run(kept, {}, act="die")
    assert done.code == 1
    fail = [line for line in done.lines if line.startswith("openjd_fail: ")]
    assert len(fail) == 1 and "exited with code 9 while waiting for its client to connect" in fail[0]
    assert "cannot get a licence" in fail[0]


@pytest.mark.parametrize(
    "init, message",
    [
        ({"start_timeout": 0.3}, "took longer than 0.3 s (start_timeout), waiting for its client to connect"),
        pytest.param(
            {"no_output_timeout": 0.3},
            "no output for 0.3 s (no_output_timeout), waiting for its client to connect",
            marks=pytest.mark.long,
        ),
    ],
)
@pytest.mark.once
def test_a_wait_that_is_too_long_says_what_was_waited_for(kept, init, message):
    done = run(kept, {}, act="never connect", **init)
    assert done.code == 1 and message in done.out, done
    assert kept.pids() == []


@pytest.mark.parametrize(
    "data, init, message",
    [
        ({"timeout": 0.2}, {}, "took longer than 0.2 s, waiting for the answer to sleep"),
        # test_calls shows each limit without a process.
        pytest.param(
            {},
            {"run_timeout": 0.2},
            "took longer than 0.2 s (run_timeout), waiting for the answer to sleep",
            marks=pytest.mark.long,
        ),
    ],
)
@pytest.mark.once
def test_a_call_that_takes_too_long_fails_and_says_so(kept, data, init, message):
    done = run(kept, {"call": "sleep", "args": {"seconds": 300}, **data}, **init)
    assert done.code == 1 and message in done.out, done
    assert kept.pids() == []


def until_it_exists(path):
    """The arguments of a call that lasts until there is a file."""
    code = "import os, time; print('waiting', flush=True)\nwhile not os.path.exists(%r): time.sleep(0.01)" % str(path)
    return {"code": code}


def test_a_cancel_ends_a_call_and_a_late_answer_is_dropped(open_daemon, tmp_path):
    data = {"call": "execute", "args": until_it_exists(tmp_path / "enough")}
    process = open_daemon.daemon_popen("run", "--run-data", json.dumps(data))
    read_until(process.stdout, "waiting")
    process.send_signal(CANCEL)
    assert open_daemon.finish(process).code == 4
    (tmp_path / "enough").touch()
    assert task(open_daemon, {"call": "echo", "args": {"value": "new"}}).lines[-1] == "result 'new'"


@pytest.mark.once
def test_a_stop_after_a_canceled_call_does_not_wait_for_it(kept):
    kept.daemon("start", "--init-data", '{"stop_timeout": 600}')
    process = kept.daemon_popen("run", "--run-data", '{"call": "sleep", "args": {"seconds": 600}}')
    read_until(process.stdout, "sleeping")
    process.send_signal(CANCEL)
    assert kept.finish(process).code == 4
    done = kept.daemon("stop", "--timeout", "600")
    assert done.code == 0, done
    assert kept.pids() == []


def test_an_answer_to_a_call_that_nobody_made_is_said_and_does_no_harm(open_daemon):
    done = task(open_daemon, {"call": "lie", "args": {"call": 4711}})
    assert (done.code, done.lines[-1]) == (0, "result None")
    assert "has answered a call that nobody made: 4711" in done.out


def test_an_application_that_dies_between_two_tasks_is_told_at_once_and_fails_the_next(kept):
    assert kept.daemon("start").code == 0
    dies = "import os, threading; print('bye'); threading.Timer(0.3, os._exit, [9]).start()"
    done = kept.daemon("run", "--run-data", json.dumps({"call": "execute", "args": {"code": dies}}))
    assert done.code == 0, done
    time.sleep(1)
    done = kept.daemon("run", "--run-data", '{"call": "pid"}')
    told = " exited with code 9 while no task was running; its last lines: "
    assert done.code == 1 and [line for line in done.lines if line.startswith("ERROR: ") and told in line], done
    assert done.lines[-1].startswith("openjd_fail: ") and told in done.lines[-1], done
    assert kept.daemon("stop").code == 0


@pytest.mark.once
def test_a_cast_is_not_waited_for(open_daemon, tmp_path):
    assert task(open_daemon, {"cast": "execute", "args": until_it_exists(tmp_path / "enough")}).code == 0
    (tmp_path / "enough").touch()
    assert task(open_daemon, {"call": "echo", "args": {"value": 1}}).lines[-1] == "result 1"


def test_an_application_with_its_own_event_loop(kept):
    assert "result 'x'" in run(kept, {"call": "echo", "args": {"value": "x"}}, act="own loop").lines


def test_the_bootstrap_can_be_execed(tmp_path):
    script = "exec(open(%r).read())" % openjd_adapt.client_script
    program = "import os; os.environ.update(OPENJD_ADAPT_PATH=%r, OPENJD_ADAPT_CLIENT=%r); %s"
    (tmp_path / "client.py").write_text("import openjd_adapt; print(openjd_adapt.__version__)")
    command = [sys.executable, "-I", "-S", "-c", program % (str(ROOT), str(tmp_path / "client.py"), script)]
    assert subprocess.check_output(command, timeout=HANG_SECONDS).decode().strip() == openjd_adapt.__version__


def test_lines_are_watched_as_declared(open_daemon):
    lines = ["Sample 1/4", "now compositing", "noise 1", "Careful: low memory", "Sample 4/4"]
    done = task(open_daemon, {"call": "lines", "args": {"lines": lines}})
    assert done.code == 0
    assert "noise" not in done.out
    assert "openjd_status: compositing" in done.lines and "WARNING: low memory" in done.lines
    progress = [line for line in done.lines if line.startswith("openjd_progress")]
    assert progress in (["openjd_progress: 25", "openjd_progress: 100"], ["openjd_progress: 100"])  # too soon for 25


@pytest.mark.once
def test_what_the_application_prints_before_it_answers_comes_before_what_the_task_prints_then(open_daemon):
    lines = ["line %d" % number for number in range(300)]
    done = task(open_daemon, {"call": "lines", "args": {"lines": lines}, "repeat": 20})
    assert done.lines == [*("STDOUT: " + line for line in lines), "result None"] * 20


@pytest.mark.once
def test_a_fatal_line_fails_the_running_task_with_its_text(open_daemon):
    done = task(open_daemon, {"call": "lines", "args": {"lines": ["Fatal: texture wood.png is missing"]}})
    assert done.code == 1 and done.lines[-1] == "openjd_fail: texture wood.png is missing"
    assert "Traceback" not in done.out
    assert task(open_daemon, {"call": "pid"}).code == 0


def say_between_two_tasks(farm, folder, *lines):
    """Let the application print lines after a task has ended, and wait until the adaptor has read them."""
    gate, seen = folder / "gate", folder / "seen"
    code = "import os, time\nwhile not os.path.exists(%r): time.sleep(0.01)\n" % str(gate)
    code += "print(%r, flush=True)" % "\n".join([*lines, "seen %s" % seen])
    assert task(farm, {"cast": "execute", "args": {"code": code}}).code == 0
    gate.touch()
    wait_until(seen.exists)


@pytest.mark.once
def test_a_fatal_line_between_two_tasks_fails_the_next_one_and_says_so(open_daemon, tmp_path):
    say_between_two_tasks(open_daemon, tmp_path, "Fatal: frame is broken")
    done = task(open_daemon, {"call": "pid"})
    assert done.code == 1 and done.lines[-1] == "openjd_fail: before this task began: frame is broken"
    assert "result" not in done.out and "Traceback" not in done.out
    assert task(open_daemon, {"call": "pid"}).code == 0


@pytest.mark.once
def test_what_is_reported_between_two_tasks_is_not_the_next_ones(open_daemon, tmp_path):
    reports = ["Sample 3/4", "now idle", "openjd_progress: 77", "openjd_fail: it was not me"]
    say_between_two_tasks(open_daemon, tmp_path, *reports)
    done = task(open_daemon, {"call": "echo", "args": {"value": 1}})
    assert done.code == 0 and set(map("STDOUT: ".__add__, reports)) <= set(done.lines)
    assert not [line for line in done.lines if line.startswith("openjd_")]
    done = task(open_daemon, {"call": "lines", "args": {"lines": reports[2:3]}})
    assert "openjd_progress: 77" in done.lines


@pytest.mark.once
def test_a_fatal_line_between_the_last_task_and_the_stop_fails_the_stop_which_is_done_all_the_same(kept, tmp_path):
    assert kept.daemon("start").code == 0
    say_between_two_tasks(kept, tmp_path, "Fatal: frame is broken")
    done = kept.daemon("stop")
    assert done.code == 1 and "before this stop began: frame is broken" in done.out + done.err, done
    assert "STDOUT: application ends" in done.lines


@pytest.mark.once
def test_progress_of_the_client_is_limited_and_its_last_value_never_lost(open_daemon):
    percents = [n / 10 for n in range(1001)]
    done = task(open_daemon, {"call": "report", "args": {"percents": percents}})
    reported = [line for line in done.lines if line.startswith("openjd_progress")]
    assert len(reported) <= 2 + done.seconds * 11
    assert reported[-1] == "openjd_progress: 100" and "openjd_status: reported" in done.lines


@pytest.mark.posix_only  # /proc
@pytest.mark.parametrize("calls", [300, pytest.param(10_000, marks=pytest.mark.long)])
def test_thousands_of_calls_in_a_row_cost_no_memory_threads_or_descriptors(open_daemon, calls):
    def facts():
        worker = json.loads(open_daemon.daemon("status", "--json").out)["worker_pid"]
        found = []
        for pid in (worker, open_daemon.application):
            status = Path("/proc/%d/status" % pid).read_text()
            resident, threads = (
                int(re.search(r"%s:\s+(\d+)" % name, status).group(1)) for name in ("VmRSS", "Threads")
            )
            found.append((resident, threads, len(os.listdir("/proc/%d/fd" % pid))))
        return found

    assert task(open_daemon, {"times": 200}).code == 0
    before = facts()
    assert task(open_daemon, {"times": calls}).code == 0
    for (resident, *rest), (later, *later_rest) in zip(before, facts()):  # a thread of the start may just have ended
        assert later - resident < max(256, calls // 10) and all(now <= then for now, then in zip(later_rest, rest))


# Other clients


def server_socket(farm):
    """The path of the socket on which the adaptor's server waits for the application."""
    environ = Path("/proc/%d/environ" % farm.application).read_bytes().split(b"\0")
    [path] = [value.partition(b"=")[2].decode() for value in environ if value.startswith(b"OPENJD_ADAPT_SERVER=")]
    record = json.loads(Path(path).read_text().splitlines()[0])
    return os.path.join(os.path.dirname(path), record["address"])


def server(farm):
    """A connection to the adaptor's server for applications, as any program of this user may make it."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(server_socket(farm))
    return connection


def say(connection, message):
    text = json.dumps(message).encode()
    connection.sendall(len(text).to_bytes(4, "big") + b"\0\0\0\0" + text)


@pytest.mark.posix_only  # AF_UNIX
def test_a_second_client_is_refused(open_daemon):
    connection = server(open_daemon)
    say(connection, {"hello": 1})
    assert b'"rules"' in connection.recv(4096)
    say(connection, {"next": True})
    assert b"another application is connected" in connection.recv(4096)
    connection.close()
    assert task(open_daemon, {"call": "pid"}).code == 0


@root_only
def test_another_users_client_is_kept_out_by_the_folder_and_by_its_uid(open_daemon):
    path = server_socket(open_daemon)
    program = (
        "import os, socket, sys\n"
        "connection = socket.socket(socket.AF_UNIX)\n"
        "os.setuid(65534)\n"
        "try:\n"
        "    connection.connect(sys.argv[1])\n"
        "    print(connection.recv(100))\n"
        "except OSError as error:\n"
        "    print(type(error).__name__)\n"
    )
    command = [sys.executable, "-c", program, path]
    assert subprocess.check_output(command, timeout=HANG_SECONDS).strip() == b"PermissionError"
    os.chmod(os.path.dirname(path), 0o755)
    os.chmod(path, 0o777)
    # Connected, and dropped for its uid.
    assert subprocess.check_output(command, timeout=HANG_SECONDS).strip() == b"b''"
    os.chmod(path, 0o600)
    os.chmod(os.path.dirname(path), 0o700)
    assert task(open_daemon, {"call": "pid"}).code == 0


@pytest.mark.posix_only  # AF_UNIX
def test_a_client_that_talks_nonsense_or_dies_in_a_frame_does_no_harm(open_daemon):
    for data in (b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\x20\0\0\0\0{"):
        connection = server(open_daemon)
        connection.sendall(data)
        connection.close()
    assert task(open_daemon, {"call": "pid"}).code == 0


@pytest.mark.posix_only  # AF_UNIX
def test_a_client_of_another_wire_version_is_told_both(open_daemon):
    connection = server(open_daemon)
    say(connection, {"hello": 7, "package": "/app/openjd_adapt"})
    assert b"wire version 2 of" in connection.recv(4096)
    connection.close()


@pytest.mark.once
def test_a_client_without_an_adaptor_says_so():
    command = [sys.executable, "-c", "from openjd_adapt import Client; Client()"]
    done = subprocess.run(command, cwd=str(ROOT), stderr=subprocess.PIPE, timeout=HANG_SECONDS)
    assert b"OPENJD_ADAPT_SERVER is not set; was this application started by one?" in done.stderr
