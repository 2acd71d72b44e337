"""Every line's way from an adaptor to the scheduler: nothing lost, nothing twice, in order, however slow the reader."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from .conftest import ADAPTORS, HANG_SECONDS, read_until, wait_until
from .test_daemon import shared_daemon, task

# How often the longest of these tests is repeated; CI says 10.
ROUNDS = int(os.environ.get("OPENJD_ADAPT_ROUNDS", "1"))


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    with shared_daemon(tmp_path_factory.mktemp("shared")) as farm:
        yield farm


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    """The same, of an adaptor whose tasks run a command each."""
    with shared_daemon(tmp_path_factory.mktemp("commands"), "command.py") as farm:
        yield farm


@pytest.mark.timeout(60 + 60 * ROUNDS)
@pytest.mark.parametrize("count", [20_000, pytest.param(200_000, marks=pytest.mark.long)])
@pytest.mark.parametrize(
    "how, prefix",
    [
        *(pytest.param(*row, marks=pytest.mark.once) for row in (("log", "INFO: "), ("write", ""))),
        ("print", ""),
        ("child", "STDOUT: "),
    ],
)
def test_every_line_and_then_the_failure_arrive_in_that_very_run(started, how, prefix, count):
    expected = ["%sline %d" % (prefix, number) for number in range(count)]
    for _ in range(ROUNDS):
        done = task(started, {"do": "lines", "how": how, "count": count, "fail": True})
        assert done.code == 1
        lines = [line for line in done.lines if not line.startswith("INFO: Running: ")]
        assert lines[:count] == expected
        assert lines[-1] == "openjd_fail: RuntimeError: after the lines"
        assert sum("Traceback" in line for line in lines) == 1


@pytest.mark.posix_only  # a shell's echo, and printf by libc
@pytest.mark.parametrize("word", ["run", "daemon"])
@pytest.mark.parametrize("count", [30, pytest.param(200, marks=pytest.mark.long)])
def test_all_ways_of_output_keep_the_order_in_which_they_were_made(started, word, count):
    data = json.dumps({"do": "interleave", "count": count})
    if word == "run":
        lines = started("run", "--run-data", data).lines[1:-2]
    else:
        lines = started.daemon("run", "--run-data", data).lines
    expected = []
    for n in range(count):
        expected += ["INFO: log %d" % n, "print %d" % n, "write %d" % n, "printf %d" % n, "echo %d" % n]
        expected.append("openjd_progress: %d" % (n % 101))
    assert lines == expected


@pytest.mark.once
def test_with_unbuffered_python_and_a_slow_reader_nothing_is_lost(farm):
    farm.env["PYTHONUNBUFFERED"] = "1"
    process = farm.popen("run", "--run-data", json.dumps({"do": "lines", "how": "print", "count": 40_000}))
    data = b""
    while True:
        chunk = os.read(process.stdout.fileno(), 20_000)
        if not chunk:
            break
        data += chunk
        time.sleep(0.01)  # the slowness is what is tested
    assert farm.finish(process).code == 0
    expected = b"".join(b"line %d\n" % n for n in range(40_000))
    assert data.partition(b"\n")[2] == b"INFO: on_start\n" + expected + b"INFO: on_stop\nINFO: on_cleanup\n"


@pytest.mark.posix_only  # libc
def test_c_code_that_holds_the_gil_gets_8_mb_out_in_one_call(started):
    done = task(started, {"do": "hold_gil", "size": 8_000_000})
    assert done.code == 0
    assert done.out == "holding\n" + ("x" * 99 + "\n") * 80_000


@pytest.mark.posix_only  # libc
def test_while_c_code_holds_the_gil_status_answers_and_a_cancel_ends_it_at_its_deadline(farm):
    farm.daemon("start")
    process = farm.daemon_popen("run", "--run-data", json.dumps({"do": "hold_gil", "seconds": 300}))
    read_until(process.stdout, "holding")
    assert farm.daemon("status").out.startswith("running")
    begin = time.monotonic()
    farm.daemon("cancel", "--timeout", "0.5")
    assert farm.finish(process).code == 4
    assert time.monotonic() - begin > 0.4
    assert farm.daemon("stop").code == 0


@pytest.mark.once
def test_a_log_line_is_no_directive_and_fails_no_healthy_task(started):
    for text in ("openjd_fail: x", "a\nopenjd_fail: x\ropenjd_progress: 7\nopenjd_env: A=B\n"):
        done = task(started, {"do": "say", "text": text})
        assert done.code == 0
        assert all(line.startswith("INFO: ") for line in done.lines)


@pytest.mark.once
def test_an_exceptions_text_is_no_directive(started):
    done = task(started, {"do": "fail", "text": "a\nopenjd_env: A=B"})
    assert done.code == 1
    assert done.lines[-1] == "openjd_fail: RuntimeError: a openjd_env: A=B"
    assert not any(line.startswith("openjd_env") for line in done.lines)


@pytest.mark.once
def test_what_only_looks_like_a_directive_reaches_no_scheduler_as_one(farm):
    lines = ["  openjd_env: A=1", "OPENJD_UNSET_ENV: A", "openjd_redacted_env S=secret", "openjd_env: B=2", "\udce9"]
    said = "\n".join(lines).encode("utf-8", "surrogateescape")
    process = farm.daemon_popen("start", "--init-data", json.dumps({"on_start": {"do": "raw", "data": said.hex()}}))
    out, _ = process.communicate(timeout=HANG_SECONDS)
    assert out.splitlines()[2:] == [
        b"INFO: on_start",
        b"STDOUT:   openjd_env: A=1",
        b"STDOUT: OPENJD_UNSET_ENV: A",
        b"STDOUT: openjd_redacted_env: ********",
        b"openjd_env: B=2",
        rb"\xe9",
    ]
    assert farm.daemon("stop").code == 0


def test_bytes_that_are_not_utf8_are_shown_as_numbers(commands):
    program = r"import os; os.write(1, b'\xff\xfe caf\xc3\xa9 \0 nul\n')"
    process = commands.daemon_popen("run", "--run-data", json.dumps({"args": [sys.executable, "-c", program]}))
    out, _ = process.communicate(timeout=HANG_SECONDS)
    assert rb"STDOUT: \xff\xfe caf" + b"\xc3\xa9 \0 nul\n" in out


def test_a_line_of_5_mb_arrives_in_pieces_that_a_scheduler_can_read(commands):
    program = "import sys; sys.stdout.write('0123456789' * 500_000 + chr(10))"
    done = task(commands, {"args": [sys.executable, "-c", program]})
    pieces = [line for line in done.lines if line.startswith("STDOUT: ")]
    assert max(map(len, pieces)) < 64_000
    assert "".join(piece[len("STDOUT: ") :] for piece in pieces) == "0123456789" * 500_000


@pytest.mark.posix_only  # a shell
def test_an_applications_own_messages_pass_and_other_directives_do_not(commands):
    text = (
        "openjd_progress: 5\nopenjd_status: s\nopenjd_fail: f\nopenjd_env: A=B\n  OPENJD_ENV: A=B\nx openjd_fail: y\n"
        "openjd_redacted_env: S=secret\n"
    )
    done = task(commands, {"args": ["/bin/sh", "-c", "printf '%s'" % text]})
    assert done.code == 0
    assert [line for line in done.lines if "openjd" in line.lower() and not line.startswith("INFO: ")] == [
        "openjd_progress: 5",
        "openjd_status: s",
        "openjd_fail: f",
        "STDOUT: openjd_env: A=B",
        "STDOUT:   OPENJD_ENV: A=B",
        "STDOUT: x openjd_fail: y",
        "STDOUT: openjd_redacted_env: ********",
    ]
    assert "secret" not in done.out  # nor in the line that tells what is run


@pytest.mark.posix_only  # a shell
def test_progress_bars_that_end_lines_with_carriage_returns_become_lines(commands):
    done = task(commands, {"args": ["/bin/sh", "-c", r"printf 'done 1\rdone 2\r\ndone 3\n'"]})
    assert [line for line in done.lines if "done" in line and "Running" not in line] == [
        "STDOUT: done %d" % n for n in (1, 2, 3)
    ]
    assert [line for line in done.lines if line.startswith("openjd")] == ["openjd_progress: %d" % n for n in (1, 2, 3)]


@pytest.mark.once
def test_a_progress_bar_that_the_adaptor_prints_is_shown_while_it_runs(started):
    process = started.daemon_popen("run", "--run-data", json.dumps({"do": "bar"}))
    assert os.read(process.stdout.fileno(), 100) == b"10%\r"
    assert started.daemon("cancel").code == 0
    assert started.finish(process).code == 4


OWN_STREAM = """
import io, sys
from openjd_adapt import Adaptor

class Own(Adaptor):
    def on_start(self):
        sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8")  # buffers what it is given
        print("started")

    def on_run(self, run_data):
        print("ran")
        if run_data["fails"]:
            raise ValueError("failed")

    def on_cleanup(self):
        print("cleaned up")
"""


@pytest.mark.once
def test_what_an_adaptor_prints_over_a_stream_of_its_own_comes_before_its_tasks_result(farm):
    path = farm.folder / "own.py"
    path.write_text(OWN_STREAM)
    farm.adaptor = str(path)
    assert farm.daemon("start").lines[-1] == "started"
    assert farm.daemon("run", "--run-data", '{"fails": false}').lines == ["ran"]
    failed = farm.daemon("run", "--run-data", '{"fails": true}').lines
    assert (failed[:2], failed[-1]) == (
        ["ran", "ERROR: Traceback (most recent call last):"],
        "openjd_fail: ValueError: failed",
    )
    assert "cleaned up" in farm.daemon("stop").lines


@pytest.mark.posix_only  # a shell
def test_a_grandchild_that_holds_the_pipe_blocks_nobody(farm):
    farm.adaptor = str(ADAPTORS / "command.py")
    done = farm("run", "--run-data", json.dumps({"args": ["/bin/sh", "-c", "sleep 300 & echo out"]}))
    assert done.code == 0
    assert "STDOUT: out" in done.lines
    assert farm.pids() == []


@pytest.mark.once
def test_each_record_comes_once_though_the_authors_main_set_up_a_console(farm):
    farm.env["LOG_FILE"] = str(farm.folder / "log.txt")
    process = subprocess.run(
        [sys.executable, str(ADAPTORS / "basic_config.py"), "run"],
        env=farm.env,
        stdout=subprocess.PIPE,
        timeout=HANG_SECONDS,
    )
    assert process.returncode == 0
    assert process.stdout.splitlines()[1:] == [b"INFO: once", b"WARNING: from a library"]
    own = (farm.folder / "log.txt").read_text()  # the author's handlers go on
    assert own.splitlines()[1:] == ["once", "from a library"]


@pytest.mark.once
@pytest.mark.parametrize(
    "level, expected",
    [
        ("DEBUG", ["INFO: once", "DEBUG: too quiet to be heard"]),
        pytest.param("WARNING", [], marks=pytest.mark.long),
    ],
)
def test_log_level_takes_effect(farm, level, expected):
    config = farm.folder / "main.json"
    config.write_text(json.dumps({"log_level": level}))
    farm.env["MAIN_CONFIG_PATH"] = str(config)
    process = subprocess.run(
        [sys.executable, str(ADAPTORS / "basic_config.py"), "run"],
        env=farm.env,
        stdout=subprocess.PIPE,
        timeout=HANG_SECONDS,
    )
    lines = [line for line in process.stdout.decode().splitlines() if re.search("once|quiet", line)]
    assert lines == expected


@pytest.mark.posix_only  # /proc, libc
def test_output_that_nobody_reads_takes_little_memory_and_all_of_it_arrives(farm):
    farm.daemon("start")
    process = farm.daemon_popen("run", "--run-data", json.dumps({"do": "hold_gil", "size": 40_000_000}))
    read_until(process.stdout, "holding")
    wait_until(lambda: json.loads(farm.daemon("status", "--json").out)["unread_bytes"] > 35_000_000)
    keeper = json.loads(farm.file.read_text().splitlines()[0])["pid"]
    with open("/proc/%d/status" % keeper) as stream:
        resident = int(re.search(r"VmRSS:\s+(\d+) kB", stream.read()).group(1))
    assert resident < 40_000
    done = farm.finish(process)
    assert done.code == 0
    assert done.out == ("x" * 99 + "\n") * 400_000
    farm.daemon("stop")


@pytest.mark.long  # the stop waits five seconds for it, as test_desk proves without a process
@pytest.mark.posix_only  # SIGSTOP
def test_a_stopped_front_holds_up_neither_the_task_nor_the_stop(farm):
    farm.daemon("start")
    process = farm.daemon_popen("run", "--run-data", json.dumps({"do": "lines", "how": "write", "count": 50_000}))
    read_until(process.stdout, "line 0")
    process.send_signal(signal.SIGSTOP)
    assert farm.daemon("stop").code == 0
    process.send_signal(signal.SIGKILL)
    process.communicate()
