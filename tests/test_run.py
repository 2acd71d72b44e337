"""``run``: one adaptor's whole life in the foreground."""

from __future__ import annotations

import json
import os
import signal
import sys

import pytest

from openjd_adapt.transport import wire

from .conftest import ADAPTORS, CANCEL, HANG_SECONDS, read_until, without_pids
from .test_daemon import shared_daemon, task

pytestmark = pytest.mark.core


def run(farm, data, init=None, **options):
    return farm("run", "--run-data", json.dumps(data), "--init-data", json.dumps(init or {}), **options)


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    """A daemon whose tasks run a command each: what becomes of that does not depend on who runs the task."""
    with shared_daemon(tmp_path_factory.mktemp("commands"), "command.py") as farm:
        yield farm


@pytest.mark.windows_core
def test_the_phases_follow_one_another(farm):
    done = run(farm, {"do": "say", "text": "on_run"})
    assert (done.code, done.err) == (0, "")
    assert done.lines == ["INFO: on_start", "INFO: on_run", "INFO: on_stop", "INFO: on_cleanup"]


@pytest.mark.windows_core
def test_a_failed_task_exits_1_with_one_fail_line_and_the_authors_traceback_once(farm):
    done = run(farm, {"do": "fail"})
    assert done.code == 1
    assert done.out.count("openjd_fail: ") == 1
    assert "openjd_fail: RuntimeError: it went wrong" in done.lines
    assert done.out.count("Traceback (most recent call last)") == 1
    assert "lifecycle.py" not in done.out  # it begins with the author's frames
    assert "ERROR:     raise RuntimeError(text)" in done.lines
    assert done.lines[-2:] == ["INFO: on_stop", "INFO: on_cleanup"]


@pytest.mark.parametrize(
    "data, message",
    [
        ({"do": "exit", "code": 0}, "the adaptor called sys.exit(0)"),
        pytest.param(
            {"do": "vanish", "code": 3},
            "the adaptor is gone: the adaptor's process exited with code 3",
            marks=pytest.mark.long,
        ),
        ({"do": "vanish", "code": 0}, "the adaptor is gone: the adaptor's process exited with code 0"),
        pytest.param(
            {"do": "signal", "number": int(signal.SIGSEGV)},
            "the adaptor is gone: the adaptor's process was killed by SIGSEGV",
            marks=pytest.mark.posix_only,
        ),
    ],
)
def test_an_adaptor_that_leaves_fails_the_task(farm, data, message):
    done = run(farm, data)
    assert done.code == 1
    assert [line for line in done.lines if line.startswith("openjd_fail")] == ["openjd_fail: " + message]


@pytest.mark.parametrize(
    "program, how",
    [
        ("import sys; sys.exit(3)", "exited with code 3"),
        pytest.param(
            "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
            "was killed by SIGSEGV",
            marks=[pytest.mark.posix_only, pytest.mark.long],  # how an end is named, test_process tells
        ),
    ],
)
@pytest.mark.once
def test_a_failed_command_fails_the_task(farm, program, how):
    farm.adaptor = str(ADAPTORS / "command.py")
    done = run(farm, {"args": [sys.executable, "-c", program]})
    assert done.code == 1
    name = os.path.basename(sys.executable)
    assert [line for line in done.lines if line.startswith("openjd_fail")] == ["openjd_fail: %s %s" % (name, how)]
    assert "on_postrun" not in done.out and "Traceback" not in done.out


@pytest.mark.posix_only  # /bin/echo
def test_a_command_that_succeeds_calls_the_hooks_in_order(commands):
    done = task(commands, {"args": ["/bin/echo", "done 70"]})
    assert done.code == 0
    assert without_pids(done.lines) == [
        "on_prerun",
        "get_managed_process",
        'INFO: Running: /bin/echo "done 70"',
        "STDOUT: done 70",
        "openjd_progress: 70",
        "on_postrun",
    ]


@pytest.mark.once
def test_a_command_that_cannot_be_started_is_one_line(commands):
    done = task(commands, {"args": ["/nowhere/blender"]})
    assert done.code == 1
    assert "Traceback" not in done.out
    assert done.lines[-1].startswith("openjd_fail: cannot start /nowhere/blender: ")


@pytest.mark.once
def test_an_exception_of_a_callback_fails_the_task_and_the_reading_goes_on(commands):
    program = "print('callback: boom', flush=True); [print('line', n, flush=True) for n in range(5)]"
    done = task(commands, {"args": [sys.executable, "-c", program]})
    assert done.code == 1
    assert "openjd_fail: ValueError: the callback said callback: boom" in done.lines
    assert done.out.count("Traceback") == 1


@pytest.mark.posix_only  # /usr/bin/env; Windows adds variables of its own
def test_the_environment_of_a_process_is_what_get_environment_gives(commands):
    done = task(commands, {"args": ["/usr/bin/env"], "env": {"ONLY": "this"}})
    assert [line for line in done.lines if line.startswith("STDOUT: ")] == ["STDOUT: ONLY=this"]


@pytest.mark.once
@pytest.mark.parametrize("hook", ["on_stop", pytest.param("on_cleanup", marks=pytest.mark.long)])
def test_a_failure_in_stop_or_cleanup_is_a_failure(farm, hook):
    done = run(farm, {}, {hook: {"do": "fail", "text": "in " + hook}})
    assert done.code == 1
    assert "openjd_fail: RuntimeError: in " + hook in done.lines
    assert "INFO: on_cleanup" in done.lines


@pytest.mark.once
def test_a_failure_in_cleanup_never_hides_the_one_before(farm):
    done = run(farm, {"do": "fail", "text": "first"}, {"on_cleanup": {"do": "fail", "text": "second"}})
    assert done.code == 1
    assert [line for line in done.lines if "openjd_fail" in line] == ["openjd_fail: RuntimeError: first"]
    assert "ERROR: RuntimeError: second" in done.lines  # it is told all the same


@pytest.mark.once
def test_a_failed_start_stops_and_cleans_up(farm):
    done = run(farm, {}, {"on_start": {"do": "fail", "text": "no licence"}})
    assert done.code == 1
    assert "openjd_fail: RuntimeError: no licence" in done.lines
    assert done.out.count("INFO: on_stop") == done.out.count("INFO: on_cleanup") == 1


@pytest.mark.windows_core
def test_sigterm_cancels_and_exits_4_without_a_failure(farm):
    process = farm.popen("run", "--run-data", '{"do": "sleep", "seconds": 300}')
    read_until(process.stdout, "sleeping")
    process.send_signal(CANCEL)
    done = farm.finish(process)
    assert done.code == 4
    assert "INFO: on_cancel on cancel" in done.lines
    assert done.lines[-2:] == ["INFO: on_stop", "INFO: on_cleanup"]
    assert "openjd_fail" not in done.out and "Traceback" not in done.out and "slept" not in done.out


@pytest.mark.once
@pytest.mark.parametrize("do", ["raise_on_cancel", pytest.param("poll", marks=pytest.mark.long)])
def test_whatever_a_canceled_task_does_in_the_end_it_is_canceled(farm, do):
    process = farm.popen("run", "--run-data", json.dumps({"do": do}))
    read_until(process.stdout, "ing\n")
    process.send_signal(CANCEL)
    done = farm.finish(process)
    assert done.code == 4
    assert "openjd_fail" not in done.out and "Traceback" not in done.out


@pytest.mark.posix_only  # SIGINT; a group of its own hears no CTRL_C on Windows
def test_a_second_interrupt_leaves_at_once_and_leaves_nothing(farm):
    process = farm.popen("run", "--run-data", '{"do": "ignore_cancel", "seconds": 300}')
    read_until(process.stdout, "ignoring")
    process.send_signal(signal.SIGINT)
    read_until(process.stderr, "canceling")
    process.send_signal(signal.SIGINT)
    assert farm.finish(process).code == 4


def test_a_closed_standard_output_cancels(farm):
    process = farm.popen("run", "--run-data", '{"do": "sleep", "seconds": 300}')
    read_until(process.stdout, "sleeping")
    process.stdout.close()
    assert process.wait(HANG_SECONDS) == 4
    process.stderr.close()


@pytest.mark.posix_only  # process groups
def test_sigkill_to_the_process_group_leaves_nothing(farm):
    process = farm.popen("run", "--run-data", '{"do": "tree"}')
    read_until(process.stdout, "tree is up")
    assert len(farm.pids()) >= 5
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    farm.wait_until_nothing_is_left()


@pytest.mark.posix_only  # setsid
def test_what_an_adaptor_leaves_running_ends_with_it(farm):
    process = farm.popen("run", "--run-data", '{"do": "tree", "seconds": 0}')
    assert farm.finish(process).code == 0
    assert farm.pids() == []


@pytest.mark.posix_only  # a shell
def test_cancel_ends_a_commands_whole_tree(farm):
    farm.adaptor = str(ADAPTORS / "command.py")
    stubborn = "trap '' TERM; (trap '' TERM; setsid sleep 300 & sleep 300) & echo up; wait; sleep 300"
    process = farm.popen("run", "--run-data", json.dumps({"args": ["/bin/sh", "-c", stubborn], "grace": 0.5}))
    read_until(process.stdout, "up")
    process.send_signal(CANCEL)
    done = farm.finish(process)
    assert done.code == 4, done
    assert farm.pids() == []


def test_a_runs_without_a_home_or_a_known_user(farm):
    del farm.env["HOME"]
    assert run(farm, {}).code == 0


@pytest.mark.posix_only  # preexec_fn
def test_no_descriptor_is_needed(farm):
    process = farm.popen("run", stdin=None, stdout=None, stderr=None, preexec_fn=lambda: os.closerange(0, 3))
    assert process.wait(HANG_SECONDS) == 0


@pytest.mark.once
def test_a_missing_file_of_the_runtimes_configuration_is_told_once(farm):
    farm.env["RUNTIME_CONFIG_PATH"] = str(farm.folder / "missing.json")
    done = farm("run")
    assert done.code == 0 and (done.out + done.err).count("missing.json does not exist") == 1
    assert done.err.startswith("WARNING: The configuration file ")


LIMITED = """
import os, sys
from openjd_adapt import Adaptor, EntryPoint
from openjd_adapt.transport import wire

class Limited(Adaptor):
    def on_start(self): print("on_start")
    def on_run(self, run_data): print("on_run")
    def on_stop(self): print("on_stop")
    def on_cleanup(self): print("on_cleanup")

if sys.argv[1] == "run":  # the limit of the command alone
    wire.FRAME_LIMIT = int(os.environ["LIMIT"])
EntryPoint(Limited).start()
"""


@pytest.fixture
def limited(farm):
    """A farm of which only the command has the limit that ``LIMIT`` says."""
    (farm.folder / "main.py").write_text(LIMITED)
    farm.command = lambda *arguments: [*farm.python, str(farm.folder / "main.py"), *arguments]
    return farm


@pytest.mark.once
@pytest.mark.parametrize("option", ["--init-data", "--run-data"])
def test_data_that_cannot_be_sent_are_an_error_before_anything_is_started(limited, option):
    limited.env["LIMIT"] = "10000"
    done = limited("run", option, json.dumps({"text": "x" * 10_000}))
    assert (done.code, done.err) == (2, "ERROR: %s: data of 10011 bytes are over the limit of 10000 bytes\n" % option)
    assert done.out == done.err.replace("ERROR", "openjd_fail", 1)


@pytest.mark.parametrize("limit", [1_000_000, pytest.param(wire.FRAME_LIMIT, marks=pytest.mark.long)])
@pytest.mark.windows_core
def test_init_data_and_run_data_may_each_be_as_large_as_a_frame_allows(limited, limit):
    limited.env["LIMIT"] = str(limit)
    path = limited.folder / "large.json"
    # Six bytes each, as they are sent: two thirds of a frame, or as much as a file may have.
    path.write_text('{"text": "%s"}' % ("é" * min(limit // 9, 5_000_000)), encoding="utf-8")
    done = limited("run", "--init-data", "file://%s" % path, "--run-data", "file://%s" % path)
    assert done.code == 0 and done.lines == ["on_start", "on_run", "on_stop", "on_cleanup"], done.err[-500:]
