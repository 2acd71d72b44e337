"""Commands whose reader stalls, whose user is in a hurry, or whose daemon ends just now; and what numbers may be."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import resource
import select
import signal
import socket
import subprocess
import threading
import time
from types import SimpleNamespace

import pytest

from openjd_adapt import cli, system
from openjd_adapt.system import posix
from openjd_adapt.transport import connection_file

from .conftest import HANG_SECONDS, Farm, read_until, wait_until
from .hurry import hurry
from .test_cli import nobody

pytestmark = pytest.mark.posix_only

MONTH = "2592000"
#: Lines of 100 bytes: more than a pipe, a socket and what is sent ahead hold.
MUCH = 7_000


def state(farm):
    return json.loads(farm.daemon("status", "--json").out)["state"]


def keeper(farm):
    return json.loads(farm.file.read_text().splitlines()[0])["pid"]


class Stalled:
    """The output of a command whose reader stalls."""

    def __init__(self):
        self.reader, self.writer = os.pipe()

    def wait_until_full(self):
        wait_until(lambda: not select.select([], [self.writer], [], 0)[1])

    def read_all(self):
        os.close(self.writer)
        self.writer = None
        with open(self.reader, "rb", closefd=False) as stream:
            return stream.read().decode()

    def close(self):
        for descriptor in {self.reader, self.writer} - {None}:
            os.close(descriptor)


def send(process, number):
    """Send a signal that may not get lost: a second one does, while the first has not been heard."""
    process.send_signal(number)

    def is_pending():
        with open("/proc/%d/status" % process.pid) as stream:
            pending = [int(line.split()[1], 16) for line in stream if line.startswith(("SigPnd", "ShdPnd"))]
        return any(signals >> (number - 1) & 1 for signals in pending)

    wait_until(lambda: not is_pending())


def cpu_seconds(process):
    with open("/proc/%d/stat" % process.pid) as stream:
        fields = stream.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def assert_waits(process):
    """That a command takes no time of a core's while it can do nothing."""
    before = cpu_seconds(process)
    time.sleep(0.5)
    assert cpu_seconds(process) - before < 0.1


def leave_lines(farm, count=MUCH):
    """Have the daemon keep lines that no command has shown."""
    done = farm.folder / "written"
    data = {"do": "lines_later", "count": count, "width": 99, "done": str(done)}
    assert farm.daemon("run", "--run-data", json.dumps(data)).code == 0
    wait_until(done.exists)


def count(text):
    return sum(line.startswith("line ") for line in text.splitlines())


@pytest.fixture(scope="module")
def last_words_of_a_daemon(tmp_path_factory):
    """The connection file of a daemon that SIGTERM has ended, and that has said much that nobody has seen."""
    farm = Farm(tmp_path_factory.mktemp("dead"))
    assert farm.daemon("start").code == 0
    leave_lines(farm)
    os.kill(keeper(farm), signal.SIGTERM)
    farm.wait_until_nothing_is_left()
    return farm.file.read_bytes()


@pytest.fixture
def dead(farm, last_words_of_a_daemon):
    """A farm with that file."""
    descriptor = system.create_private(str(farm.file))
    os.write(descriptor, last_words_of_a_daemon)
    os.close(descriptor)
    return farm


# Numbers


@pytest.mark.long
def test_a_time_may_be_a_month(farm):
    assert farm.daemon("start", "--timeout", MONTH, "--idle-timeout", MONTH).code == 0
    process = farm.daemon_popen("run", "--run-data", '{"do": "sleep", "seconds": 300}')
    read_until(process.stdout, "sleeping")
    assert farm.daemon("cancel", "--timeout", MONTH).code == 0
    assert farm.finish(process).code == 4 and state(farm) == "idle"
    assert farm.daemon("stop", "--timeout", MONTH).code == 0


# Readers that stall


@pytest.mark.long  # of ten seconds, most of them waits
def test_a_stop_that_is_shown_slowly_is_no_daemon_that_does_not_answer(farm):
    farm.daemon("start")
    leave_lines(farm, MUCH * 2)
    hurry(farm, 0.1, "daemon.frontend.KILL_MARGIN_SECONDS")
    process = farm.daemon_popen("stop", "--timeout", "3")
    text = b""
    begin = time.monotonic()
    while True:
        data = os.read(process.stdout.fileno(), 65536)
        text += data
        if not data:
            break
        if time.monotonic() - begin < 5:
            time.sleep(0.6)
    done = farm.finish(process)
    assert (done.code, done.err, count(text.decode())) == (0, "", MUCH * 2)


def test_a_cancel_is_heard_though_nobody_reads_what_the_command_prints(started):
    hurry(started, 0.2, "daemon.frontend.UNREAD_SECONDS")
    leave_lines(started)
    for already_there in (0, 60):  # whether a pipe's last page has room for a line is chance
        with contextlib.closing(Stalled()) as stalled:
            os.write(stalled.writer, b"x" * already_there)
            out = {"stdout": stalled.writer, "stderr": stalled.writer}
            process = started.daemon_popen("run", "--run-data", '{"do": "poll"}', **out)
            stalled.wait_until_full()
            assert state(started) == "running"
            process.send_signal(signal.SIGTERM)
            wait_until(lambda: state(started) != "running")
            for _ in range(2):
                send(process, signal.SIGINT)
            assert process.wait(HANG_SECONDS) == 4


@pytest.mark.long
def test_a_start_whose_reader_stalls_keeps_its_timeout_and_does_not_spin(farm):
    hurry(farm, 1.0, "daemon.frontend.LATE_SECONDS")
    init = json.dumps({"on_start": {"do": "slow_lines", "count": 3_000_000, "seconds": 300}})
    with contextlib.closing(Stalled()) as stalled:
        process = farm.daemon_popen("start", "--timeout", "1", "--init-data", init, stdout=stalled.writer)
        stalled.wait_until_full()
        [worker] = farm.pids_named("_worker")
        assert_waits(process)
        wait_until(lambda: worker not in farm.pids())
        assert "openjd_fail: the start took longer than 1 s" in stalled.read_all().splitlines()
    assert process.wait(HANG_SECONDS) == 1
    process.stderr.close()
    assert farm.daemon("stop").code == 0


@pytest.fixture
def unread():
    """A pipe that nobody reads, and that is full."""
    with contextlib.closing(Stalled()) as stalled:
        os.set_blocking(stalled.writer, False)
        with contextlib.suppress(BlockingIOError):
            while os.write(stalled.writer, bytes(4096)):
                pass
        os.set_blocking(stalled.writer, True)
        yield stalled.writer


@pytest.mark.long
def test_a_standard_error_that_nobody_reads_keeps_no_stop_from_its_deadline(farm, unread):
    hurry(farm, 0.2, "daemon.frontend.UNREAD_SECONDS")
    farm.daemon("start", "--init-data", json.dumps({"on_stop": {"do": "ignore_cancel", "seconds": 300}}))
    task = farm.daemon_popen("run", "--run-data", '{"do": "sleep", "seconds": 300}')
    read_until(task.stdout, "sleeping")
    stop = farm.daemon_popen("stop", "--timeout", "1", stderr=unread)  # which is told that a task is canceled
    assert farm.finish(task).code == 4
    assert stop.communicate(timeout=HANG_SECONDS) and stop.returncode == 1
    assert farm.pids() == [] and not farm.file.exists()


@pytest.mark.parametrize("word", ["run", "daemon run", "daemon start"])
@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_a_standard_error_that_nobody_reads_keeps_no_signal_from_being_heard(farm, unread, word, number):
    hurry(farm, 0.2, "daemon.frontend.UNREAD_SECONDS")
    sleep = {"do": "sleep", "seconds": 300}
    if word == "daemon run":
        farm.daemon("start")
    options = ["--init-data", json.dumps({"on_start": sleep})] if word == "daemon start" else []
    options += ["--connection-file", str(farm.file)] if word != "run" else []
    options += ["--run-data", json.dumps(sleep)] if word != "daemon start" else []
    process = farm.popen(*word.split(), *options, stderr=unread)
    read_until(process.stdout, "sleeping")
    process.send_signal(number)
    out, _ = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 4 and b"on_cancel" in out
    assert farm.daemon("stop").code == 0


@pytest.mark.long
def test_a_standard_error_that_nobody_reads_costs_no_exit_code(farm, unread):
    hurry(farm, 0.2, "daemon.frontend.UNREAD_SECONDS")
    for words, code in ((["daemon", "status"], 2), (["run", "--run-data", '{"do": "fail"}'], 1), (["run"], 0)):
        process = farm.popen(*words, stderr=unread)
        process.communicate(timeout=HANG_SECONDS)
        assert process.returncode == code


@pytest.mark.long
def test_a_note_is_written_as_soon_as_somebody_reads_and_between_two_lines(started):
    with contextlib.closing(Stalled()) as stalled:
        out = {"stdout": stalled.writer, "stderr": stalled.writer}
        leave_lines(started)
        process = started.daemon_popen("run", "--run-data", '{"do": "poll"}', **out)
        stalled.wait_until_full()
        assert state(started) == "running"
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: state(started) != "running")
        text = stalled.read_all()
    assert process.wait(HANG_SECONDS) == 4
    lines = text.splitlines()
    assert count(text) == MUCH and "INFO: canceling; waiting for the task to end" in lines
    assert {len(line) for line in lines if line.startswith("line ")} == {99}


def test_a_terminal_that_nobody_reads_keeps_no_start_from_its_timeout(farm):
    hurry(farm, 0.5, "daemon.frontend.LATE_SECONDS", "daemon.frontend.ANSWER_SECONDS", "daemon.frontend.UNREAD_SECONDS")
    init = json.dumps({"on_start": {"do": "slow_lines", "count": 3_000_000, "seconds": 300}})
    reader, terminal = os.openpty()
    process = farm.daemon_popen("start", "--timeout", "1", "--init-data", init, stdout=terminal, stderr=terminal)
    assert process.wait(HANG_SECONDS) == 1
    assert b"line 0" in os.read(reader, 4096)
    os.close(terminal)
    os.close(reader)
    farm.wait_until_nothing_is_left()


def test_an_answer_that_nobody_reads_leaves_by_a_signal_and_one_that_cannot_be_printed_is_no_success(started, unread):
    process = started.daemon_popen("status", stdout=unread)
    assert_waits(process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(HANG_SECONDS) == 4
    process.stderr.close()
    with open("/dev/full", "wb") as full:
        process = started.daemon_popen("status", stdout=full)
    assert b"standard output cannot be written" in process.stderr.read() and process.wait(HANG_SECONDS) == 1
    process.stderr.close()


def test_a_stop_that_can_show_nothing_ends_the_daemon_by_its_time_and_what_nobody_has_seen_stays(farm, unread):
    hurry(farm, 0.3, "daemon.frontend.KILL_MARGIN_SECONDS", "daemon.frontend.ANSWER_SECONDS")
    farm.daemon("start")
    leave_lines(farm)
    process = farm.daemon_popen("stop", "--timeout", "1", stdout=unread)
    _, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 1 and b"what its daemon wrote last cannot be shown; it stays there" in err
    assert farm.pids() == [] and b"killing it" not in err
    done = farm.daemon("stop")
    assert done.code == 0 and count(done.out) == MUCH and "INFO: on_stop" in done.lines


def test_a_task_whose_output_nobody_reads_ends_by_the_schedulers_deadline(farm, unread):
    hurry(farm, 0.3, "daemon.frontend.ANSWER_SECONDS")
    farm.env["OPENJD_SESSION_WORKING_DIR"] = str(farm.folder)
    farm.daemon("start")
    process = farm.daemon_popen("run", "--run-data", '{"do": "sleep", "seconds": 300}', stdout=unread)
    wait_until(lambda: state(farm) == "running")
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
    (farm.folder / "cancel_info.json").write_text(json.dumps({"NotifyEnd": end}))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 4
    assert farm.daemon("stop").code == 0


@pytest.mark.long
def test_a_stop_whose_reader_stalls_does_not_spin(farm):
    farm.daemon("start")
    leave_lines(farm)
    with contextlib.closing(Stalled()) as stalled:
        process = farm.daemon_popen("stop", stdout=stalled.writer)
        stalled.wait_until_full()
        assert_waits(process)
        stalled.read_all()
    assert process.wait(HANG_SECONDS) == 0
    process.stderr.close()


@pytest.mark.long
def test_a_command_that_shows_last_words_to_nobody_leaves_by_a_signal_and_they_stay(dead):
    for word, number in itertools.product(["stop", "run"], [signal.SIGINT, signal.SIGTERM]):
        with contextlib.closing(Stalled()) as stalled:
            process = dead.daemon_popen(word, stdout=stalled.writer)
            stalled.wait_until_full()
            process.send_signal(number)
            assert process.wait(HANG_SECONDS) == 4
        process.stderr.close()
    done = dead.daemon("stop")
    assert done.code == 0 and count(done.out) == MUCH


def test_last_words_that_cannot_be_shown_stay(dead):
    for word in ("stop", "start"):
        with open("/dev/full", "wb") as full:
            process = dead.daemon_popen(word, stdout=full)
        assert b"wrote last cannot be shown" in process.stderr.read() and process.wait(HANG_SECONDS)
        process.stderr.close()
    done = dead.daemon("stop")
    assert done.code == 0 and count(done.out) == MUCH


@pytest.mark.long
def test_a_pipe_that_somebody_has_made_non_blocking_gets_all(dead):
    with contextlib.closing(Stalled()) as stalled:
        os.set_blocking(stalled.writer, False)
        process = dead.daemon_popen("stop", stdout=stalled.writer)
        stalled.wait_until_full()
        assert count(stalled.read_all()) == MUCH
    assert process.wait(HANG_SECONDS) == 0
    process.stderr.close()


# Users in a hurry


@pytest.mark.long
def test_a_stop_that_is_interrupted_twice_leaves_at_once(farm):
    farm.daemon("start", "--init-data", json.dumps({"on_stop": {"do": "ignore_cancel", "seconds": 300}}))
    process = farm.daemon_popen("stop", "--timeout", "300")
    read_until(process.stdout, "ignoring")
    process.send_signal(signal.SIGINT)
    read_until(process.stderr, "canceling")
    process.send_signal(signal.SIGINT)
    assert farm.finish(process).code == 4
    assert farm.daemon("stop", "--timeout", "0.5").code == 1  # it is killed


def test_a_start_that_is_canceled_without_notice_is_killed_when_its_timeout_is_over_and_leaves_nothing(farm):
    hurry(farm, 0.2, "daemon.frontend.LATE_SECONDS")
    init = json.dumps({"on_start": {"do": "ignore_cancel", "seconds": 300}})
    process = farm.daemon_popen("start", "--timeout", "2", "--init-data", init)
    read_until(process.stdout, "ignoring")
    process.send_signal(signal.SIGTERM)
    done = farm.finish(process)
    assert done.code == 4 and "did not end by its deadline" in done.err and "openjd_fail" not in done.out, done
    assert farm.pids() == []


@pytest.mark.long  # of ten seconds, most of them waits
def test_a_session_whose_user_insists_leaves_its_task_and_its_stop(farm):
    process = farm.popen("session", "--run-data", '{"do": "ignore_cancel", "seconds": 15}')
    for text in ("ignoring", "canceling the running task first"):
        read_until(process.stdout, text)
        process.send_signal(signal.SIGINT)
        read_until(process.stdout, "canceling; waiting")
        process.send_signal(signal.SIGINT)
    done = farm.finish(process)
    assert done.code == 4 and "\nstop " in done.out
    assert farm.pids()  # it has not waited for the task
    farm.wait_until_nothing_is_left()  # the daemon finds its file gone


def test_an_interrupt_before_anybody_listens_is_a_cancel(monkeypatch):
    def interrupted(app, arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "read", interrupted)
    assert cli._run(SimpleNamespace(words=["run"])) == 4


# Daemons that end, or hang


@pytest.mark.parametrize("seconds", [0.5, pytest.param(posix.CONNECT_SECONDS, marks=pytest.mark.long)])
def test_a_daemon_that_hangs_with_all_its_places_taken_is_killed_by_stop(farm, seconds):
    farm.daemon("start")
    hurry(farm, seconds, "system.posix.CONNECT_SECONDS")
    os.kill(keeper(farm), signal.SIGSTOP)
    [path] = farm.folder.glob("*.sock")
    waiting = []
    for _ in range(150):
        one = socket.socket(socket.AF_UNIX)
        one.setblocking(False)
        try:
            one.connect(str(path))
        except BlockingIOError:
            break
        waiting.append(one)
    done = farm.daemon("status")
    assert done.code == 3 and "cannot be reached: Connection timed out" in done.err
    done = farm.daemon("stop", "--timeout", "1")
    assert "killing it" in done.err and farm.pids() == []


def test_a_task_that_a_daemon_has_never_heard_of_was_not_begun(farm):
    writer = connection_file.bind(str(farm.file), connection_file.new_private_folder())
    writer.publish("probe")

    def hang_up():
        writer.listener.setblocking(True)
        connection, _ = writer.listener._accept()
        os.close(connection)

    threading.Thread(target=hang_up, daemon=True).start()
    hurry(farm, 0.3, "daemon.frontend.SILENT_SECONDS")
    done = farm.daemon("run")
    assert done.code == 3 and "its daemon has closed the connection" in done.err and "killed" not in done.out
    writer.endpoint.remove()
    os.close(writer.descriptor)


# Surroundings


@pytest.mark.long
def test_a_session_shows_what_its_commands_print_as_utf_8_whatever_python_takes_for_its_encoding(farm):
    farm.env["PYTHONIOENCODING"] = "ascii"
    done = farm("session", "--run-data", json.dumps({"do": "say", "text": "é→"}))
    assert done.code == 0 and "INFO: é→" in done.lines and "all " in done.out


def test_a_failed_session_whose_json_nobody_reads_has_its_exit_code(farm):
    with nobody() as stdout:
        process = farm.popen("session", "--json", "--init-data", "1", stdout=stdout, stderr=subprocess.DEVNULL)
        assert process.wait(HANG_SECONDS) == 2


@pytest.mark.long
def test_a_session_whose_folder_is_gone_says_so(farm):
    scratch = farm.folder / "scratch"
    scratch.mkdir()
    farm.env["TMPDIR"] = str(scratch)
    (farm.folder / "vandal.py").write_text(
        "import glob, shutil\nfrom openjd_adapt import Adaptor\n"
        "class Vandal(Adaptor):\n"
        "    def on_run(self, run_data):\n"
        "        [shutil.rmtree(path) for path in glob.glob(%r)]\n" % str(scratch / "*")
    )
    farm.adaptor = str(farm.folder / "vandal.py")
    done = farm("session", "--run-data", "{}", "--run-data", "{}")
    assert done.code == 1 and "ERROR: the session's folder: " in done.err and "Traceback" not in done.err, done
    for pid in farm.pids():  # the daemon finds its file gone, some seconds later
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("word", ["stop", "status", "run"])
def test_a_path_that_is_no_text_is_told_all_the_same(farm, word):
    done = farm("daemon", word, "--connection-file", os.fsdecode(b"/nowhere/\xff"))
    assert done.code == (0 if word == "stop" else 3) and r"\xff" in done.err and "Traceback" not in done.err


@pytest.mark.parametrize(
    "words",
    [
        ["--adaptor", "json:X", "daemon", "stop", "--connection-file", "c.json"],
        ["--adaptor", "any.py", "run"],
        pytest.param(["--adaptor", "any.py", "show-config"], marks=pytest.mark.long),
        pytest.param(["new", "my_render"], marks=pytest.mark.long),
    ],
)
def test_a_relative_path_without_a_current_folder_is_told(farm, words):
    gone = farm.folder / "gone"
    gone.mkdir()
    command = ["/bin/sh", "-c", 'rmdir "$PWD"; exec "$@"', "sh", *farm.python, "-m", "openjd_adapt", *words]
    done = subprocess.run(command, cwd=str(gone), env=farm.env, stderr=subprocess.PIPE, timeout=HANG_SECONDS)
    assert done.returncode == 2 and b"relative to the current folder, which is gone" in done.stderr, done.stderr
    assert b"Traceback" not in done.stderr


def test_an_adaptor_may_detach_what_is_below_its_standard_output(farm):
    (farm.folder / "detaching.py").write_text(
        "import codecs, sys\nfrom openjd_adapt import Adaptor\n"
        "class Detaching(Adaptor):\n"
        "    def on_start(self):\n"
        "        sys.stdout = codecs.getwriter('utf-8')(sys.stdout.detach())\n"
        "    def on_run(self, run_data):\n"
        "        print('still here')\n"
        "        self.update_status(status_message='well')\n"
    )
    farm.adaptor = str(farm.folder / "detaching.py")
    done = farm("run")
    assert done.code == 0 and {"still here", "openjd_status: well"} <= set(done.lines), done


def test_a_host_may_allow_few_descriptors(farm):
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)

    def limited():
        resource.setrlimit(resource.RLIMIT_NOFILE, (32, limit[1]))

    done = farm.finish(farm.popen("run", "--run-data", '{"do": "say", "text": "well"}', preexec_fn=limited))
    assert done.code == 0 and "INFO: well" in done.lines
