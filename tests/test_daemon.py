"""``daemon start``, ``run``, ``stop``, ``status`` and ``cancel``: an adaptor that stays open between tasks."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time

import pytest

from openjd_adapt import InputError, system
from openjd_adapt.transport.connection_file import ConnectionFileReader

from .conftest import ADAPTORS, CANCEL, HANG_SECONDS, KILL, Farm, kill_command, read_until, wait_until

pytestmark = pytest.mark.core


@contextlib.contextmanager
def shared_daemon(folder, adaptor="probe.py"):
    """A farm with a daemon for several tests: each leaves it idle, and nothing unread."""
    kind = Farm
    if sys.platform == "win32":
        from .windows_farm import WindowsFarm as kind
    farm = kind(folder)
    farm.adaptor = str(ADAPTORS / adaptor)
    assert farm.daemon("start").code == 0
    yield farm
    assert farm.daemon("stop").code == 0
    farm.wait_until_nothing_is_left()


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    with shared_daemon(tmp_path_factory.mktemp("shared")) as farm:
        yield farm


def task(farm, data, **options):
    return farm.daemon("run", "--run-data", json.dumps(data), **options)


@pytest.mark.windows_core
def test_a_session_from_start_to_stop(farm):
    done = farm.daemon("start")
    assert done.code == 0
    assert done.lines == ["openjd_env: OPENJD_ADAPTOR_SOCKET=%s" % farm.file, "INFO: on_start"]
    for number in range(3):
        done = task(farm, {"do": "say", "text": "task %d" % number})
        assert (done.code, done.out, done.err) == (0, "INFO: task %d\n" % number, "")
    done = farm.daemon("stop")
    assert (done.code, done.lines) == (0, ["INFO: on_stop", "INFO: on_cleanup"])
    assert not [path for path in farm.folder.iterdir() if path.name.startswith("connection")]
    assert farm.pids() == []


@pytest.mark.posix_only
def test_a_published_integration_test_finds_the_socket_in_the_connection_file(started):
    with open(str(started.file), encoding="utf-8") as stream:
        assert stat.S_ISSOCK(os.stat(json.load(stream)["socket"]).st_mode)


def test_the_environment_variable_names_the_daemon(farm):
    start = farm("daemon", "start")
    farm.env["OPENJD_ADAPTOR_SOCKET"] = start.lines[0].partition("=")[2]
    assert farm("daemon", "run").code == 0
    assert farm("daemon", "stop").code == 0
    assert not os.path.exists(os.path.dirname(farm.env["OPENJD_ADAPTOR_SOCKET"]))  # the private folder is gone, too


@pytest.mark.posix_only
def test_a_session_whose_folder_is_not_ascii_works_in_the_locale_c(farm):
    folder = farm.folder / "s\u00e9ance \u20bf"
    folder.mkdir()
    farm.env.update(OPENJD_SESSION_WORKING_DIR=str(folder), LC_ALL="C", PYTHONUTF8="0")
    start = farm("daemon", "start")
    assert start.code == 0, start
    farm.env["OPENJD_ADAPTOR_SOCKET"] = start.lines[0].partition("=")[2]
    assert os.path.dirname(farm.env["OPENJD_ADAPTOR_SOCKET"]) == str(folder)
    data = json.dumps({"do": "say", "text": str(folder)}, ensure_ascii=False)
    assert farm("daemon", "run", "--run-data", data).lines == ["INFO: %s" % folder]
    assert farm("daemon", "stop").code == 0
    assert list(folder.iterdir()) == []
    lines = farm("daemon", "run").err.splitlines()
    assert lines and all(
        "connection file %s: there is none" % farm.env["OPENJD_ADAPTOR_SOCKET"] in line for line in lines
    )
    missing = str(folder / "missing.json")
    farm.env["A_CONFIG_PATH"] = missing
    (farm.folder / "a.py").write_text(
        "import openjd_adapt\nclass A(openjd_adapt.Adaptor):\n    def on_run(self, data): pass\n"
    )
    farm.adaptor = str(farm.folder / "a.py")
    assert "configuration file %s does not exist" % missing in farm("run").out


@pytest.mark.once
def test_without_a_connection_file_it_goes_to_the_session_folder(farm):
    farm.env["OPENJD_SESSION_WORKING_DIR"] = str(farm.folder)
    path = farm("daemon", "start").lines[0].partition("=")[2]
    assert os.path.dirname(path) == str(farm.folder)
    assert farm("daemon", "stop", "--connection-file", path).code == 0


def test_a_failed_task_exits_1_and_the_next_one_succeeds(started):
    done = task(started, {"do": "fail"})
    assert done.code == 1
    assert [line for line in done.lines if "openjd_fail" in line] == ["openjd_fail: RuntimeError: it went wrong"]
    assert done.out.count("Traceback (most recent call last)") == 1
    assert task(started, {"do": "say", "text": "well"}).out == "INFO: well\n"


@pytest.mark.parametrize(
    "data",
    [{"do": "vanish", "code": 3}, {"do": "signal", "number": int(signal.SIGSEGV)}],
)
def test_an_adaptor_that_dies_fails_its_task_and_ends_the_daemon(farm, data):
    farm.daemon("start")
    done = task(farm, data)
    assert done.code == 1
    assert done.out.count("openjd_fail: the adaptor is gone: the adaptor's process ") == 1
    farm.wait_until_nothing_is_left()
    done = task(farm, {})
    assert done.code == 3
    assert "its daemon is no longer alive: the adaptor's process" in done.err
    assert farm.daemon("stop").code == 0


def test_a_failed_start_leaves_no_process_and_its_file_tells_why(farm):
    init = json.dumps({"on_start": {"do": "fail", "text": "no licence"}})
    done = farm.daemon("start", "--init-data", init)
    assert done.code == 1
    assert "openjd_fail: RuntimeError: no licence" in done.lines
    assert done.lines[-3:-1] == ["INFO: on_stop", "INFO: on_cleanup"] or "INFO: on_cleanup" in done.lines
    assert farm.pids() == []
    done = task(farm, {})
    assert done.code == 3 and len(done.lines) == 1 and done.lines[0].startswith("openjd_fail: ")
    assert "the start failed: RuntimeError: no licence" in done.err
    done = farm.daemon("stop")
    assert done.code == 0 and "the start failed" in done.err
    assert list(farm.folder.glob("connection*")) == []


@pytest.mark.posix_only  # a shell
def test_start_returns_when_the_daemon_is_up_whoever_reads_its_output(farm):
    command = " ".join("'%s'" % word for word in farm.command("daemon", "start", "--connection-file", str(farm.file)))
    out = subprocess.run(
        ["sh", "-c", command + " | cat"], env=farm.env, stdout=subprocess.PIPE, timeout=HANG_SECONDS, check=True
    ).stdout
    assert b"INFO: on_start" in out
    assert farm.daemon("stop").code == 0


@pytest.mark.posix_only  # pass_fds
def test_start_takes_any_inherited_descriptor_along_for_nobody(farm):
    reader, writer = os.pipe()
    process = farm.daemon_popen("start", pass_fds=[writer])
    os.close(writer)
    assert farm.finish(process).code == 0
    assert os.read(reader, 1) == b""  # nobody holds the other end any more
    os.close(reader)
    assert farm.daemon("stop").code == 0


@pytest.mark.once
def test_a_start_that_takes_too_long_is_canceled_and_fails(farm):
    init = json.dumps({"on_start": {"do": "sleep", "seconds": 60}})
    done = farm.daemon("start", "--timeout", "1", "--init-data", init)
    assert done.code == 1
    assert "openjd_fail: the start took longer than 1 s" in done.lines
    assert "INFO: on_cleanup" in done.lines
    assert farm.pids() == []


def test_sigterm_cancels_a_start(farm):
    process = farm.daemon_popen("start", "--init-data", json.dumps({"on_start": {"do": "sleep", "seconds": 60}}))
    read_until(process.stdout, "sleeping")
    process.send_signal(CANCEL)
    done = farm.finish(process)
    assert done.code == 4
    assert "openjd_fail" not in done.out and "INFO: on_cleanup" in done.lines
    assert farm.pids() == []


@pytest.mark.posix_only  # process groups
def test_sigkill_to_a_starting_commands_group_leaves_nothing(farm):
    process = farm.daemon_popen("start", "--init-data", json.dumps({"on_start": {"do": "tree"}}))
    read_until(process.stdout, "tree is up")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    farm.wait_until_nothing_is_left()
    assert farm.daemon("stop").code == 0


@pytest.mark.posix_only  # signals
@pytest.mark.parametrize(
    "how",
    [
        *("fails", "SIGTERM", "its keeper is killed", "no process"),
        *(pytest.param(how, marks=pytest.mark.long) for how in ("bad data", "SIGKILL", "closed", "it is stopped")),
    ],
)
def test_a_start_that_comes_to_nothing_leaves_no_folder_of_its_own(farm, how):
    temporary = farm.folder / "temporary"
    temporary.mkdir()
    farm.env["TMPDIR"] = str(temporary)
    act = {"do": "fail", "text": "no licence"} if how == "fails" else {"do": "sleep", "seconds": 60}
    if how == "no process":
        farm.env["PYTHONPATH"] = str(farm.folder)
        (farm.folder / "sitecustomize.py").write_text("import os\nos.fork = lambda: os.dup(-1)\n")
    process = farm.popen("daemon", "start", "--init-data", "[]" if how == "bad data" else json.dumps({"on_start": act}))
    if act["do"] == "sleep" and how not in ("bad data", "no process"):
        told = read_until(process.stdout, "sleeping").splitlines()[1]
        [file] = temporary.glob("*/connection.json")
        assert told == "openjd_env: OPENJD_ADAPTOR_SOCKET=%s" % file
    if how.startswith("SIG"):
        process.send_signal(getattr(signal, how))
    elif how == "closed":
        process.stdout.close()
        assert process.wait(HANG_SECONDS) == 4
    elif how == "its keeper is killed":
        os.kill(json.loads(file.read_text().splitlines()[0])["pid"], signal.SIGKILL)
    elif how == "it is stopped":
        assert farm("daemon", "stop", "--connection-file", str(file)).code == 0
    if how != "closed":
        assert farm.finish(process).code != 0
    farm.wait_until_nothing_is_left()
    assert list(temporary.iterdir()) == []


@pytest.mark.once
def test_the_connection_file_exists_before_on_start_runs(farm):
    process = farm.daemon_popen("start", "--init-data", json.dumps({"on_start": {"do": "sleep", "seconds": 60}}))
    assert read_until(process.stdout, "sleeping").splitlines()[1].startswith("openjd_env: OPENJD_ADAPTOR_SOCKET=")
    assert farm.daemon("stop").code == 0  # so that a start can be stopped from outside
    assert farm.finish(process).code == 4
    assert farm.pids() == []


@pytest.mark.windows_core
def test_sigterm_to_daemon_run_cancels_the_task_and_the_daemon_goes_on(started):
    process = started.daemon_popen("run", "--run-data", '{"do": "sleep", "seconds": 60}')
    read_until(process.stdout, "sleeping")
    process.send_signal(CANCEL)
    done = started.finish(process)
    assert done.code == 4
    assert "INFO: on_cancel on cancel" in done.lines
    assert "openjd_fail" not in done.out and "Traceback" not in done.out
    assert task(started, {"do": "sleep", "seconds": 0.01}).out == "sleeping\nslept\n"


@pytest.mark.windows_core
def test_sigkill_to_daemon_run_cancels_the_task_and_the_next_one_shows_what_was_left(started):
    process = started.daemon_popen("run", "--run-data", '{"do": "sleep", "seconds": 60}')
    read_until(process.stdout, "sleeping")
    kill_command(process)
    process.communicate()
    done = task(started, {"do": "say", "text": "next"})
    assert done.code == 0
    assert done.lines[-2:] == ["INFO: on_cancel on cancel", "INFO: next"]


@pytest.mark.windows_core
def test_a_closed_standard_output_of_daemon_run_cancels_the_task_and_the_next_one_shows_the_rest(started):
    process = started.daemon_popen("run", "--run-data", '{"do": "sleep", "seconds": 60}')
    read_until(process.stdout, "sleeping")
    process.stdout.close()
    assert process.wait(HANG_SECONDS) == 4
    process.stderr.close()
    assert task(started, {"do": "say", "text": "next"}).lines == ["INFO: on_cancel on cancel", "INFO: next"]


@pytest.mark.once
def test_a_second_run_at_the_same_time_is_refused_at_once(started):
    process = started.daemon_popen("run", "--run-data", '{"do": "sleep", "seconds": 300}')
    read_until(process.stdout, "sleeping")
    done = task(started, {})
    assert (done.code, done.err) == (2, "ERROR: the daemon is busy with a task\n")
    process.send_signal(CANCEL)
    assert started.finish(process).code == 4


@pytest.mark.windows_core
def test_a_task_that_ignores_the_cancel_is_killed_at_the_schedulers_deadline(farm):
    farm.env["OPENJD_SESSION_WORKING_DIR"] = str(farm.folder)
    farm.daemon("start")
    process = farm.daemon_popen("run", "--run-data", '{"do": "ignore_cancel", "seconds": 300}')
    read_until(process.stdout, "ignoring")
    ends = []
    for seconds in (300, 3, 200):  # a further signal can only shorten it
        ends.append(int(time.time() + seconds))
        text = json.dumps({"NotifyEnd": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ends[-1]))})
        (farm.folder / "cancel_info.json").write_text(text)
        process.send_signal(CANCEL)
        read_until(process.stderr, "canceling; the task has ")
    done = farm.finish(process)
    assert done.code == 4 and time.time() > ends[1] - 0.5
    assert "did not end by its deadline" in done.err
    assert farm.daemon("stop").code == 0


@pytest.mark.once
def test_daemon_cancel_cancels_the_running_task(started):
    assert "no task is running" in started.daemon("cancel").out
    process = started.daemon_popen("run", "--run-data", '{"do": "sleep", "seconds": 60}')
    read_until(process.stdout, "sleeping")
    assert "is being canceled" in started.daemon("cancel").out
    assert started.finish(process).code == 4


@pytest.mark.once
def test_daemon_status_tells_what_it_is_doing(started):
    facts = json.loads(started.daemon("status", "--json").out)
    assert facts["state"] == "idle"
    assert {facts["pid"], facts["worker_pid"]} <= set(started.pids())
    process = started.daemon_popen("run", "--run-data", '{"do": "sleep", "seconds": 60}')
    read_until(process.stdout, "sleeping")
    assert started.daemon("status").out.startswith("running: probe")
    process.send_signal(CANCEL)
    started.finish(process)
    assert json.loads(started.daemon("status", "--json").out)["tasks"] == facts["tasks"] + 1


def test_stop_cancels_a_running_task_first(farm):
    farm.daemon("start")
    process = farm.daemon_popen("run", "--run-data", '{"do": "sleep", "seconds": 60}')
    read_until(process.stdout, "sleeping")
    stop = farm.daemon("stop")
    assert stop.code == 0, stop
    assert "canceling the running task first" in stop.err
    done = farm.finish(process)
    assert done.code == 4, done
    assert "INFO: on_cancel on cancel" in done.lines
    assert farm.pids() == []


def test_stop_kills_a_daemon_that_does_not_stop_in_time(farm):
    farm.daemon("start", "--init-data", json.dumps({"on_stop": {"do": "ignore_cancel", "seconds": 300}}))
    done = farm.daemon("stop", "--timeout", "0.5")
    assert done.code == 1
    assert "openjd_fail: the adaptor is gone: it was killed: the stop did not end by its deadline" in done.lines
    assert farm.pids() == []


@pytest.mark.once
def test_a_stop_over_a_task_that_ignores_its_cancel_fails_and_says_that_on_stop_never_ran(farm):
    farm.daemon("start")
    process = farm.daemon_popen("run", "--run-data", '{"do": "ignore_cancel", "seconds": 300}')
    read_until(process.stdout, "ignoring")
    done = farm.daemon("stop", "--timeout", "1")
    assert farm.finish(process).code == 4
    assert done.code == 1 and "INFO: on_stop" not in done.lines, done
    assert [line for line in done.lines if line.startswith("openjd_fail: ")] == [
        "openjd_fail: on_stop never ran: it was killed: the run ignored its cancel and did not end by its deadline"
    ]
    assert farm.pids() == []


@pytest.mark.once
def test_a_failure_in_on_stop_is_told_and_everything_is_gone_all_the_same(farm):
    farm.daemon("start", "--init-data", json.dumps({"on_stop": {"do": "fail", "text": "cannot close"}}))
    done = farm.daemon("stop")
    assert done.code == 1
    assert "openjd_fail: RuntimeError: cannot close" in done.lines and "INFO: on_cleanup" in done.lines
    assert farm.pids() == []


def test_a_daemon_keeps_the_folder_and_environment_of_its_start(farm):
    farm.env["FLAVOUR"] = "of the start"
    farm.daemon("start")
    farm.env["FLAVOUR"] = "of the run"
    done = task(farm, {"do": "where"})
    assert done.out == "cwd %s, FLAVOUR of the start\n" % farm.folder
    farm.daemon("stop")


def test_output_between_tasks_is_shown_by_the_next_command(started):
    task(started, {"do": "late", "text": "nobody was there"})
    wait_until(lambda: json.loads(started.daemon("status", "--json").out)["unread_bytes"])
    assert task(started, {"do": "say", "text": "next"}).lines == ["nobody was there", "INFO: next"]


def test_an_adaptor_finds_pythons_own_handler_of_sigint(started):
    assert "default_int_handler" in task(started, {"do": "signals"}).out


def test_init_data_of_5_mb_works_and_is_in_no_command_line(farm):
    secret = "sesame" * 900_000
    (farm.folder / "init.json").write_text(json.dumps({"blob": secret}))
    assert farm.daemon("start", "--init-data", "file://%s/init.json" % farm.folder).code == 0
    assert task(farm, {"do": "size"}).out == "init data has %d bytes\n" % len(secret)
    farm.daemon("stop")


@pytest.mark.posix_only  # /proc
def test_inline_init_data_is_in_no_command_line_of_a_daemon(farm):
    assert farm.daemon("start", "--init-data", '{"blob": "open sesame"}').code == 0
    pids = farm.pids()
    assert len(pids) == 3
    for pid in pids:
        with open("/proc/%d/cmdline" % pid, "rb") as stream:
            assert b"sesame" not in stream.read()
    farm.daemon("stop")


@pytest.mark.posix_only  # /proc
def test_the_interpreters_flags_reach_the_worker(farm):
    farm.python = [sys.executable, "-X", "utf8", "-s"]
    farm.daemon("start")
    worker = json.loads(farm.daemon("status", "--json").out)["worker_pid"]
    with open("/proc/%d/cmdline" % worker, "rb") as stream:
        words = stream.read().split(b"\0")
    assert b"-s" in words and b"utf8" in b" ".join(words) and b"-u" in words
    farm.daemon("stop")


# Connection files


@pytest.mark.posix_only  # modes of files; test_windows reads the access list
def test_the_connection_file_is_private(started):
    assert started.file.stat().st_mode & 0o777 == 0o600


def test_start_over_a_living_daemons_file_is_refused(started):
    done = started.daemon("start")
    assert done.code == 2
    assert "a daemon is already running" in done.err
    assert done.out == done.err.replace("ERROR", "openjd_fail", 1)  # no variable is told
    assert task(started, {}).code == 0


def test_start_over_a_dead_daemons_file_replaces_it_with_one_line(farm):
    farm.daemon("start")
    task(farm, {"do": "vanish", "code": 1})
    farm.wait_until_nothing_is_left()
    done = farm.daemon("start")
    assert done.code == 0
    assert done.err.count("\n") == 1 and "replaced the file of a dead daemon" in done.err
    assert farm.daemon("stop").code == 0


@pytest.mark.parametrize(
    "text", ["", "{", '{"wire": 1, "pid": 1', "[]\n", "null\n", '{"socket": "/tmp/x"}\n', "\0\xff\n"]
)
def test_what_is_no_connection_file_is_refused(tmp_path, text):
    made(tmp_path / "connection.json", text)
    with pytest.raises(InputError, match="connection.json: is truncated or no connection file$"):
        ConnectionFileReader(str(tmp_path / "connection.json"))


def made(path, text):
    descriptor = system.create_private(str(path))
    os.write(descriptor, text.encode("utf-8"))
    os.close(descriptor)


@pytest.mark.parametrize("word", ["start", "run", "stop", "status", "cancel"])
@pytest.mark.once
def test_a_file_that_is_no_connection_file_is_one_line_and_is_not_touched(farm, word):
    made(farm.file, "{")
    done = farm.daemon(word)
    assert done.code == 2
    assert done.err == "ERROR: connection file %s: is truncated or no connection file\n" % farm.file
    told = word in ("start", "run", "stop")
    assert done.out == (done.err.replace("ERROR", "openjd_fail", 1) if told else "")
    assert farm.file.read_text(encoding="utf-8") == "{"


@pytest.mark.posix_only  # modes and owners of files
def test_a_file_of_another_user_or_one_that_others_may_read_is_refused(farm):
    farm.daemon("start")
    farm.file.chmod(0o644)
    done = task(farm, {})
    assert done.code == 2 and "others may read it" in done.err
    farm.file.chmod(0o600)
    if os.getuid() == 0:
        os.chown(str(farm.file), 65534, -1)
        done = task(farm, {})
        assert done.code == 2 and "belongs to another user" in done.err
        os.chown(str(farm.file), 0, -1)
    farm.daemon("stop")


@pytest.mark.once
def test_without_a_daemon_run_status_and_cancel_exit_3_and_stop_exits_0(farm):
    for word, code in (("run", 3), ("status", 3), ("cancel", 3), ("stop", 0)):
        done = farm.daemon(word)
        assert done.code == code and done.err.count("\n") == 1, done
        assert done.out == (done.err.replace("ERROR", "openjd_fail", 1) if word == "run" else ""), done


@pytest.mark.once
def test_a_missing_folder_is_bad_input_for_start_and_no_daemon_for_the_rest(farm):
    farm.file = farm.folder / "missing" / "connection.json"
    for word, code in (("start", 2), ("run", 3), ("stop", 0)):
        done = farm.daemon(word)
        assert done.code == code and done.err.count("\n") == 1 and "Traceback" not in done.err, done


@pytest.mark.windows_core
def test_a_killed_daemon_is_told_and_cleared(farm):
    farm.daemon("start")
    keeper = json.loads(farm.daemon("status", "--json").out)["pid"]
    os.kill(keeper, KILL)
    farm.wait_until_nothing_is_left()
    done = task(farm, {})
    assert done.code == 3 and "no longer alive" in done.err
    assert farm.daemon("stop").code == 0
    assert list(farm.folder.glob("connection*")) == []


def test_a_long_path_works_and_the_longest_name(farm):
    folder = farm.folder
    for _ in range(4):
        folder = folder / ("long" * 20)
    folder.mkdir(parents=True)
    farm.file = folder / ("connection.json" if sys.platform == "win32" else "n" * 200)
    assert farm.daemon("start").code == 0
    assert task(farm, {}).code == 0
    assert farm.daemon("stop").code == 0


# Who talks to a keeper


def connect(farm):
    record = json.loads(farm.file.read_text().splitlines()[0])
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(farm.folder / record["address"]))
    return connection


@pytest.mark.posix_only  # AF_UNIX
def test_silent_and_unruly_connections_hold_up_nobody(started):
    connections = [connect(started) for _ in range(100)]
    connections[0].sendall(b"GET / HTTP/1.1\r\n\r\n")
    connections[1].sendall(b"\xff" * 100_000)
    connections[2].sendall(b"\0\0\0\x02\0\0\0\0[]")
    connections[3].sendall(b"\0\0\0\x0c")
    assert task(started, {"do": "say", "text": "well"}).out == "INFO: well\n"
    assert b"error" in connections[2].recv(4096)
    for connection in connections:
        connection.close()


@pytest.mark.posix_only  # AF_UNIX
def test_a_peer_of_another_wire_version_is_told_both_versions_and_paths(started):
    connection = connect(started)
    text = b'{"hello": 99, "package": "/elsewhere/openjd_adapt"}'
    connection.sendall(b"\0\0\0" + bytes([len(text)]) + b"\0\0\0\0" + text)
    answer = connection.recv(4096)
    assert b"wire version 2 of" in answer and b"wire version 99 of /elsewhere/openjd_adapt" in answer
    connection.close()


@pytest.mark.posix_only  # AF_UNIX
def test_an_unknown_request_is_answered_with_an_error(started):
    connection = connect(started)
    for text in (b'{"hello": 1}', b'{"do": "dance"}'):
        connection.sendall(b"\0\0\0" + bytes([len(text)]) + b"\0\0\0\0" + text)
    answer = b""
    while b"dance" not in answer:
        answer += connection.recv(4096)
    assert b"unknown request" in answer
    connection.close()
