"""Commands whose reader stalls, whose user is in a hurry, or whose daemon ends just now; and what numbers may be."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import threading
import time

import pytest

from openjd_adapt import address, cli, private_folder

from .conftest import read_until
from .test_ends import processes

MONTH = "2592000"
#: More than a pipe, a socket and what is sent ahead hold.
MUCH = 60_000


def state(farm):
    return json.loads(farm.daemon("status", "--json").out)["state"]


def cpu_seconds(process):
    with open("/proc/%d/stat" % process.pid) as stream:
        fields = stream.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def leave_lines(farm, count=MUCH):
    """Have the daemon keep lines that no command has shown."""
    done = farm.folder / "written"
    data = {"do": "lines_later", "count": count, "done": str(done)}
    assert farm.daemon("run", "--run-data", json.dumps(data)).code == 0
    while not done.exists():
        time.sleep(0.02)


def count(text):
    return sum(line.startswith("line ") for line in text.splitlines())


def end_by_signal(farm):
    """End the daemon so that what nobody has seen stands in its file."""
    os.kill(processes(farm)["keeper"], signal.SIGTERM)
    farm.wait_until_nothing_is_left(20)


# Numbers


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
    leave_lines(farm, 100_000)
    process = farm.daemon_popen("stop", "--timeout", "0.5")
    text = b""
    begin = time.monotonic()
    while True:
        data = os.read(process.stdout.fileno(), 65536)
        text += data
        if not data:
            break
        if time.monotonic() - begin < 8:
            time.sleep(0.6)
    done = farm.finish(process)
    assert (done.code, done.err, count(text.decode())) == (0, "", 100_000)


@pytest.mark.parametrize("seconds", [40, 60])  # whether a pipe's last page has room for a line is chance
def test_a_cancel_is_heard_though_nobody_reads_what_the_command_prints(farm, seconds):
    farm.daemon("start")
    data = json.dumps({"do": "slow_lines", "count": MUCH, "seconds": seconds})
    process = farm.daemon_popen("run", "--run-data", data, stderr=subprocess.STDOUT)
    read_until(process.stdout, "line 1")
    time.sleep(1.5)  # the pipe is full
    process.send_signal(signal.SIGTERM)
    end = time.monotonic() + 20
    while state(farm) == "running" and time.monotonic() < end:
        time.sleep(0.05)
    assert state(farm) != "running"
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
    assert process.wait(20) == 4
    process.stdout.close()
    farm.daemon("stop", "--timeout", "0.5")  # which kills the task


@pytest.mark.long  # of ten seconds, most of them waits
def test_a_start_whose_reader_stalls_keeps_its_timeout_and_does_not_spin(farm):
    start = {"do": "slow_lines", "count": MUCH, "seconds": 60}
    process = farm.daemon_popen("start", "--timeout", "2", "--init-data", json.dumps({"on_start": start}))
    time.sleep(4)
    assert cpu_seconds(process) < 1
    done = farm.finish(process)
    assert done.code == 1 and "openjd_fail: the start took longer than 2 s" in done.lines, done
    assert farm.daemon("stop").code == 0


def test_a_stop_whose_reader_stalls_does_not_spin(farm):
    farm.daemon("start")
    leave_lines(farm)
    process = farm.daemon_popen("stop", "--timeout", "0.5")
    time.sleep(3)
    assert cpu_seconds(process) < 1
    assert farm.finish(process).code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("word", ["stop", "run"])
def test_a_command_that_shows_last_words_to_nobody_leaves_by_a_signal_and_they_stay(farm, word, number):
    farm.daemon("start")
    leave_lines(farm)
    end_by_signal(farm)
    process = farm.daemon_popen(word)
    read_until(process.stdout, "line 1")
    time.sleep(0.3)
    process.send_signal(number)
    assert process.wait(20) == 4
    process.stdout.close()
    process.stderr.close()
    done = farm.daemon("stop")
    assert done.code == 0 and count(done.out) == MUCH


@pytest.mark.parametrize("word", ["stop", "start"])
def test_last_words_that_cannot_be_shown_stay(farm, word):
    farm.daemon("start")
    leave_lines(farm)
    end_by_signal(farm)
    with open("/dev/full", "wb") as full:
        process = farm.daemon_popen(word, stdout=full)
    assert b"wrote last cannot be shown" in process.stderr.read() and process.wait(20)
    process.stderr.close()
    done = farm.daemon("stop")
    assert done.code == 0 and count(done.out) == MUCH


def test_a_pipe_that_somebody_has_made_non_blocking_gets_all(farm):
    farm.daemon("start")
    leave_lines(farm)
    end_by_signal(farm)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    process = farm.daemon_popen("stop", stdout=writer)
    os.close(writer)
    time.sleep(0.5)
    with open(reader, "rb") as stream:
        assert count(stream.read().decode()) == MUCH
    assert process.wait(20) == 0
    process.stderr.close()


def test_a_status_that_cannot_be_printed_is_no_success(started):
    with open("/dev/full", "wb") as full:
        process = started.daemon_popen("status", stdout=full)
    assert b"standard output cannot be written" in process.stderr.read() and process.wait(20) == 1
    process.stderr.close()


# Users in a hurry


def test_a_stop_that_is_interrupted_twice_leaves_at_once(farm):
    farm.daemon("start", "--init-data", json.dumps({"on_stop": {"do": "ignore_cancel", "seconds": 20}}))
    process = farm.daemon_popen("stop")
    time.sleep(0.7)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert farm.finish(process).code == 4 and time.monotonic() - begin < 5
    assert farm.daemon("stop", "--timeout", "1").code == 1  # it is killed


@pytest.mark.long  # of ten seconds, most of them waits
def test_a_session_whose_user_insists_leaves_its_task_and_its_stop(farm):
    process = farm.popen("session", "--run-data", '{"do": "ignore_cancel", "seconds": 8}')
    read_until(process.stdout, "ignoring")
    begin = time.monotonic()
    for _ in range(4):  # twice for the task, twice for the stop
        process.send_signal(signal.SIGINT)
        time.sleep(0.4)
    done = farm.finish(process)
    assert done.code == 4 and time.monotonic() - begin < 7 and "\nstop " in done.out
    farm.wait_until_nothing_is_left(20)  # the daemon finds its file gone


def test_an_interrupt_before_anybody_listens_is_a_cancel():
    def interrupted():
        raise KeyboardInterrupt

    assert cli._coded(interrupted, False) == 4


# Daemons that end, or hang


@pytest.mark.long  # of ten seconds, most of them waits
def test_a_daemon_that_hangs_with_all_its_places_taken_is_killed_by_stop(farm):
    farm.daemon("start")
    os.kill(processes(farm)["keeper"], signal.SIGSTOP)
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


def test_a_task_that_a_daemon_has_never_heard_of_has_not_failed(farm):
    lair = address.bind(str(farm.file), private_folder.new_name())
    lair.publish("probe")

    def hang_up():
        lair.listener.setblocking(True)
        connection, _ = lair.listener._accept()
        os.close(connection)

    threading.Thread(target=hang_up, daemon=True).start()
    done = farm.daemon("run")
    assert done.code == 3 and "its daemon has closed the connection" in done.err and "openjd_fail" not in done.out
    lair.remove_socket()
    os.close(lair.descriptor)


# Surroundings


def test_text_that_the_standard_output_of_a_session_cannot_have_is_escaped(farm):
    farm.env["PYTHONIOENCODING"] = "ascii"
    done = farm("session", "--run-data", json.dumps({"do": "say", "text": "é→"}))
    assert done.code == 0 and r"\xe9\u2192" in done.out and "all " in done.out


def test_a_failed_session_whose_json_nobody_reads_has_its_exit_code(farm):
    process = farm.popen("session", "--json", "--init-data", "1", stderr=subprocess.DEVNULL)
    process.stdout.close()
    assert process.wait(60) == 2


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
    farm.wait_until_nothing_is_left(20)  # the daemon finds its file gone


@pytest.mark.parametrize("word", ["stop", "status", "run"])
def test_a_path_that_is_no_text_is_told_all_the_same(farm, word):
    done = farm("daemon", word, "--connection-file", os.fsdecode(b"/nowhere/\xff"))
    assert done.code == (0 if word == "stop" else 3) and r"\udcff" in done.err and "Traceback" not in done.err


def test_a_connection_file_may_have_the_longest_name(farm):
    farm.file = farm.folder / ("n" * 200)
    assert farm.daemon("start").code == 0
    assert farm.daemon("run", "--run-data", '{"do": "say", "text": "well"}').lines[-1] == "INFO: well"
    assert farm.daemon("stop").code == 0


@pytest.mark.parametrize(
    "words",
    [
        ["--adaptor", "json:X", "daemon", "stop", "--connection-file", "c.json"],
        ["--adaptor", "any.py", "run"],
        ["--adaptor", "any.py", "show-config"],
        ["new", "my_render"],
    ],
)
def test_a_relative_path_without_a_current_folder_is_told(farm, words):
    gone = farm.folder / "gone"
    gone.mkdir()
    command = ["/bin/sh", "-c", 'rmdir "$PWD"; exec "$@"', "sh", *farm.python, "-m", "openjd_adapt", *words]
    done = subprocess.run(command, cwd=str(gone), env=farm.env, stderr=subprocess.PIPE, timeout=30)
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
