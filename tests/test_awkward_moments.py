"""What may happen at the wrong moment, to the wrong process, or in the wrong surroundings, and what comes of it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time

import pytest

from openjd_adapt.transport import connection_file
from openjd_adapt.transport.wire import FRAME_LIMIT, WINDOW_BYTES, encode, frames, hello

from .conftest import ADAPTORS, HANG_SECONDS, ROOT, read_until, wait_until
from .test_daemon import connect, task
from .test_ends import processes, status

pytestmark = pytest.mark.posix_only


def test_run_data_of_any_size_arrive_however_the_frames_are_cut(started):
    for size in (10, 5_000, 100_000):
        done = started(
            "daemon", "run", "--connection-file", str(started.file), "--run-data", json.dumps({"x": "y" * size})
        )
        assert done.code == 0, done


def test_data_over_the_limit_are_refused_before_anything_starts(farm):
    (farm.folder / "big.json").write_text(json.dumps({"x": "y" * 11_000_000}))
    done = farm("run", "--run-data", "file://%s/big.json" % farm.folder)
    assert done.code == 2 and "has more than 10485760 bytes" in done.err
    assert done.out == done.err.replace("ERROR", "openjd_fail", 1)


def test_malformed_requests_do_the_daemon_no_harm(started):
    for messages in ([{"do": ["x"]}], [{"do": "run", "data": {}, "within": "x"}], [{"ack": -1}, {"ack": "x"}]):
        connection = connect(started)
        for message in [{"hello": 1}, *messages]:
            text = json.dumps(message).encode()
            connection.sendall(b"\0\0\0" + bytes([len(text)]) + b"\0\0\0\0" + text)
        connection.recv(4096)
        connection.close()
        assert task(started, {"do": "say", "text": "well"}).lines[-1] == "INFO: well", messages


BAD_RUN_DATA = [
    (b"", "is not JSON: line 1, column 1: Expecting value"),
    (b"[]", "must be an object, not a list"),
    (b'"x"', "must be an object, not a string"),
    (b"null", "must be an object, not null"),
    (b'{"x": 1', "is not JSON: line 1, column 8: Expecting ',' delimiter"),
    (b'{"x": "\xff"}', "is not JSON: line 1, column 8: Invalid "),
    (b'{"x": NaN}', "NaN is not a number of JSON"),
    (b'{"x": 1e999}', "1e999 is out of range"),
    (b'{"x": 1, "x": 2}', "the key 'x' stands twice in one object"),
    (b'{"x":' * 100_000, "is nested too deeply"),
]


def test_run_data_that_are_no_object_fail_their_task_in_one_line_and_the_daemon_goes_on(started):
    for body, why in BAD_RUN_DATA:
        with connect(started) as connection:
            connection.settimeout(HANG_SECONDS)
            connection.sendall(encode(hello("test")) + encode({"do": "run", "from": "theirs"}, body))
            for message, _ in frames(connection.recv, FRAME_LIMIT):
                assert "output" not in message, (body[:20], message)
                if "result" in message:
                    break
        result = message["result"]
        assert (result["outcome"], result["code"]) == ("failed", 2), (body[:20], result)
        assert result["message"].startswith("theirs: " + why) and "\n" not in result["message"]
    assert task(started, {"do": "say", "text": "well"}).lines == ["INFO: well"]


@pytest.mark.parametrize("seconds", [0.5, pytest.param(13, marks=pytest.mark.long)])  # longer than any patience
def test_a_reader_that_pauses_gets_everything_at_the_end_of_run_and_of_stop(farm, seconds):
    lines = {"do": "lines", "how": "write", "count": 60_000}
    farm.daemon("start", "--init-data", json.dumps({"on_stop": {**lines, "fail": True}}))
    run = farm.popen("run", "--init-data", json.dumps({"on_stop": lines}))
    stop = farm.daemon_popen("stop")
    for process in (run, stop):
        assert select.select([process.stdout], [], [], HANG_SECONDS)[0]
    time.sleep(seconds)
    done = farm.finish(run)
    assert done.code == 0 and "line 59999" in done.lines and done.lines[-1] == "INFO: on_cleanup"
    done = farm.finish(stop)
    assert done.code == 1 and "line 59999" in done.lines
    assert done.lines[-1] == "openjd_fail: RuntimeError: after the lines"


def test_a_run_that_waits_for_a_gone_ones_task_can_be_canceled(farm):
    farm.daemon("start")
    first = farm.daemon_popen("run", "--run-data", '{"do": "ignore_cancel", "seconds": 300}')
    read_until(first.stdout, "ignoring")
    first.kill()
    first.communicate()
    second = farm.daemon_popen("run", "--run-data", "{}")
    read_until(second.stderr, "waiting for the canceled task")
    second.send_signal(signal.SIGTERM)
    done = farm.finish(second)
    assert done.code == 4 and "canceled before it began" in done.err
    done = farm.daemon("stop", "--timeout", "0.2")
    assert done.code == 1 and "on_stop never ran" in done.out  # as the first task ignores its cancel


def test_shown_lines_are_never_shown_again_by_the_stop_that_waited_for_them(farm):
    farm.daemon("start", "--init-data", json.dumps({"on_cancel": {"do": "lines", "how": "print", "count": 3000}}))
    process = farm.daemon_popen("run", "--run-data", '{"do": "sleep", "seconds": 300}')
    read_until(process.stdout, "sleeping")
    stop = farm.daemon("stop")
    done = farm.finish(process)
    assert done.code == 4 and stop.code == 0
    assert [line for line in done.lines if line.startswith("line ")] == ["line %d" % n for n in range(3000)]
    assert [line for line in stop.lines if line.startswith("line ")] == []


def test_what_on_cancel_prints_belongs_to_its_task(started):
    process = started.daemon_popen("run", "--run-data", '{"do": "poll"}')
    read_until(process.stdout, "polling")
    process.send_signal(signal.SIGTERM)
    assert "INFO: on_cancel on cancel" in started.finish(process).lines
    assert task(started, {"do": "say", "text": "next"}).lines == ["INFO: next"]


def test_a_cancel_while_the_adaptor_loads_cleans_up(farm):
    (farm.folder / "slow.py").write_text(
        "import os, time\n"
        "from openjd_adapt import Adaptor\n"
        "print('loading', flush=True)\n"
        "while not os.path.exists('heard'): time.sleep(0.05)\n"
        "class Slow(Adaptor):\n"
        "    def on_start(self): print('on_start')\n"
        "    def on_run(self, run_data): pass\n"
        "    def on_cleanup(self): print('on_cleanup')\n"
    )
    farm.adaptor = str(farm.folder / "slow.py")
    process = farm.daemon_popen("start")
    read_until(process.stdout, "loading")
    process.send_signal(signal.SIGTERM)
    read_until(process.stderr, "canceling")
    assert status(farm)["state"] == "starting"  # the keeper has had the cancel before, and so has the worker
    (farm.folder / "heard").touch()
    done = farm.finish(process)
    assert done.code == 4 and done.lines == ["on_cleanup"]


def test_a_second_cancel_of_a_start_does_not_disturb_its_on_stop(farm):
    init = {"on_start": {"do": "sleep", "seconds": 300}, "on_stop": {"do": "sleep", "seconds": 0.7}}
    process = farm.daemon_popen("start", "--init-data", json.dumps(init))
    read_until(process.stdout, "sleeping")
    process.send_signal(signal.SIGTERM)
    out = read_until(process.stdout, "sleeping")
    process.send_signal(signal.SIGTERM)
    done = farm.finish(process)
    assert done.code == 4
    assert (out + done.out).count("INFO: on_cancel") == 1 and "slept" in done.lines


def main_of(farm, *before):
    """A main of an author's that does something to the process before the entry point."""
    (farm.folder / "main.py").write_text(
        "import signal, sys\nsys.path.insert(0, %r)\nfrom tests.adaptors.probe import Probe\n"
        "from openjd_adapt import EntryPoint\n%s\nEntryPoint(Probe).start()\n" % (str(ROOT), "\n".join(before))
    )
    farm.command = lambda *arguments: [sys.executable, str(farm.folder / "main.py"), *arguments]


@pytest.mark.parametrize(
    "before",
    [
        "signal.signal(signal.SIGPIPE, signal.SIG_DFL)\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)",
        pytest.param(
            "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGTERM})", marks=pytest.mark.long
        ),
    ],
)
def test_what_a_main_has_done_to_signals_does_no_harm(farm, before):
    main_of(farm, before)
    farm.daemon("start")
    process = farm.daemon_popen("run", "--run-data", '{"do": "sleep", "seconds": 300}')
    read_until(process.stdout, "sleeping")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    process = farm.daemon_popen("run", "--run-data", '{"do": "sleep", "seconds": 300}')
    read_until(process.stdout, "sleeping")
    process.send_signal(signal.SIGTERM)
    assert farm.finish(process).code == 4
    os.kill(status(farm)["pid"], signal.SIGKILL)
    farm.wait_until_nothing_is_left()
    assert farm.daemon("stop").code == 0


def test_run_leaves_alone_what_its_caller_has_started(farm):
    script = "sleep 300 >/dev/null 2>&1 & echo $!; exec %s" % " ".join(farm.command("run"))
    done = subprocess.run(["sh", "-c", script], env=farm.env, stdout=subprocess.PIPE, timeout=HANG_SECONDS)
    assert done.returncode == 0
    os.kill(int(done.stdout.split()[0]), signal.SIGKILL)  # raises if it is gone


@pytest.mark.long
def test_a_child_that_makes_the_common_pipe_non_blocking_does_no_harm(farm):
    code = "import os; os.set_blocking(1, False)"
    (farm.folder / "child.py").write_text(
        "import subprocess, sys\n"
        "from openjd_adapt import Adaptor\n"
        "class Child(Adaptor):\n"
        "    def on_run(self, run_data):\n"
        "        subprocess.check_call([sys.executable, '-c', %r])\n"
        "        for n in range(20_000): print('line', n, 'x' * 80)\n" % code
    )
    farm.adaptor = str(farm.folder / "child.py")
    farm.daemon("start")
    process = farm.daemon_popen("run")
    wait_until(lambda: status(farm)["unread_bytes"] > WINDOW_BYTES)  # nobody takes more
    done = farm.finish(process)
    assert done.code == 0 and done.lines[-1].startswith("line 19999 ") and len(done.lines) == 20_000
    farm.daemon("stop")


@pytest.mark.parametrize(
    "what",
    [
        "os.close(1)",
        *(
            pytest.param(what, marks=pytest.mark.long)
            for what in ("os.dup2(os.open(os.devnull, os.O_WRONLY), 1)", "sys.stdout.close()")
        ),
    ],
)
def test_an_adaptor_that_loses_its_standard_output_still_ends_its_task(farm, what):
    (farm.folder / "loser.py").write_text(
        "import os, sys\n"
        "from openjd_adapt import Adaptor\n"
        "class Loser(Adaptor):\n"
        "    def on_run(self, run_data): %s\n" % what
    )
    farm.adaptor = str(farm.folder / "loser.py")
    assert farm("run").code == 0


def test_forked_children_of_an_adaptor_can_print_while_its_threads_do(farm):
    (farm.folder / "forker.py").write_text(
        "import os, threading\n"
        "from openjd_adapt import Adaptor\n"
        "class Forker(Adaptor):\n"
        "    def on_run(self, run_data):\n"
        "        done = threading.Event()\n"
        "        def chatter():\n"
        "            while not done.is_set(): print('chatter')\n"
        "        threading.Thread(target=chatter, daemon=True).start()\n"
        "        for n in range(20):\n"
        "            pid = os.fork()\n"
        "            if pid == 0:\n"
        "                print('child', n); os._exit(0)\n"
        "            os.waitpid(pid, 0)\n"
        "        done.set()\n"
    )
    farm.adaptor = str(farm.folder / "forker.py")
    done = farm("run")
    assert done.code == 0
    assert [line for line in done.lines if line.startswith("child")] == ["child %d" % n for n in range(20)]


@pytest.mark.long
def test_a_reader_of_a_dead_daemons_file_removes_no_new_ones(farm):
    farm.daemon("start")
    old = connection_file.ConnectionFileReader(str(farm.file))
    assert farm.daemon("stop").code == 0
    assert farm.daemon("start").code == 0
    assert not old.claim()
    old.remove()
    assert task(farm, {}).code == 0
    old.close()
    farm.daemon("stop")


@pytest.mark.parametrize(
    "moment, victim",
    [
        *(("task", victim) for victim in ("guardian", "keeper", "worker", "front")),
        *(pytest.param("idle", victim, marks=pytest.mark.long) for victim in ("guardian", "keeper", "worker")),
    ],
)
def test_after_sigkill_to_any_one_process_nothing_is_left(farm, victim, moment):
    farm.daemon("start")
    process = None
    if moment == "task":
        process = farm.daemon_popen("run", "--run-data", '{"do": "tree"}')
        read_until(process.stdout, "tree is up")
    os.kill(process.pid if victim == "front" else processes(farm)[victim], signal.SIGKILL)
    if process:
        done = farm.finish(process)
        assert done.code == (-signal.SIGKILL if victim == "front" else 1)
        assert victim == "front" or done.out.count("openjd_fail: ") == 1, done
    if victim != "front":
        farm.wait_until_nothing_is_left()
    assert farm.daemon("stop").code == 0
    assert farm.pids() == [] and list(farm.folder.glob("connection*")) == []


@pytest.mark.parametrize("word", ["stop", pytest.param("start", marks=pytest.mark.long)])
def test_a_start_whose_keeper_is_killed_ends_and_holds_up_no_command_beside_it(farm, word):
    process = farm.daemon_popen("start", "--init-data", '{"on_start": {"do": "sleep", "seconds": 300}}')
    read_until(process.stdout, "sleeping")
    os.kill(processes(farm)["keeper"], signal.SIGKILL)
    if word == "start":  # beside a start that has not ended it is refused
        process.wait(HANG_SECONDS)
    beside = farm.daemon(word)
    assert beside.code == 0 and "waiting for the last" not in beside.err, beside
    done = farm.finish(process)
    assert (done.code, done.out, done.err) == (1, "openjd_fail: the daemon was killed while it started\n", "")
    assert farm.daemon("stop").code == 0 and list(farm.folder.glob("connection*")) == []


def test_after_sigkill_to_the_keeper_of_run_nothing_is_left(farm):
    process = farm.popen("run", "--run-data", '{"do": "tree"}')
    read_until(process.stdout, "tree is up")
    [keeper] = farm.pids_named("keeper of probe")
    os.kill(keeper, signal.SIGKILL)
    done = farm.finish(process)
    assert done.code == 1 and "openjd_fail: the keeper of the adaptor is gone" in done.lines
    assert farm.pids() == []


def test_without_proc_and_ctypes_the_workers_group_is_killed_and_one_line_says_so(farm):
    if os.geteuid() != 0 or subprocess.call(["unshare", "-m", "true"]) != 0:
        pytest.skip("needs unshare -m, which this user may not use")
    farm.adaptor = str(ADAPTORS / "probe.py")
    words = farm.command("run", "--run-data", '{"do": "lines", "how": "print", "count": 3}')
    script = "mount -t tmpfs none /proc && exec %s" % " ".join("'%s'" % word for word in words)
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script],
        env=farm.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=HANG_SECONDS,
    )
    assert done.returncode == 0, done
    assert b"line 2" in done.stdout
    assert done.stderr == (b"WARNING: this host lacks what it takes to end processes that leave their process group\n")
