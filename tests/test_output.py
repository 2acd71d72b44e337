"""Every line's way out of the worker: prefixes, pieces, what passes as it is, and one pipe for all."""

from __future__ import annotations

import io
import logging
import subprocess
import sys

import pytest

from openjd_adapt import output
from openjd_adapt.output import PIECE_BYTES, prefixed
from openjd_adapt.session import PASSED_ON

from .conftest import HANG_SECONDS, ROOT

pytestmark = [pytest.mark.core, pytest.mark.windows_core]

# The prefix


@pytest.mark.parametrize(
    "block, expected",
    [
        (b"one\n", b"P: one\n"),
        (b"\n", b"P: \n"),
        (b"one\n\ntwo\n", b"P: one\nP: \nP: two\n"),
        (b"\xff\x00\r\n", b"P: \xff\x00\r\n"),
    ],
)
def test_every_line_gets_the_prefix_and_keeps_its_bytes(block, expected):
    assert prefixed(b"P: ", block) == expected


@pytest.mark.parametrize("directive", [item.decode() for item in PASSED_ON])
def test_a_directive_passes_as_it_is_at_the_beginning_of_a_line_only(directive):
    line = directive + " 5\n"
    block = line + " " + line + "x" + line + "P: " + line + line
    expected = line + "P:  " + line + "P: x" + line + "P: P: " + line + line
    assert prefixed(b"P: ", block.encode(), PASSED_ON) == expected.encode()
    assert prefixed(b"P: ", line.encode()) == ("P: " + line).encode()


@pytest.mark.parametrize(
    "line", ["openjd_env: A=b", "OPENJD_FAIL: x", "openjd_fail", "openjd_failed: x", "openjd_redacted_env: A=b"]
)
def test_other_directives_of_an_application_do_not_pass(line):
    assert prefixed(b"P: ", line.encode() + b"\n", PASSED_ON) == ("P: " + line + "\n").encode()


@pytest.mark.parametrize("size", [PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES, 1_000_000])
@pytest.mark.parametrize("letter", ["x", "ü", "画", "\U0001f980"])
def test_a_long_line_is_passed_on_in_pieces_that_cut_no_character(letter, size):
    text = ("a" * (size % len(letter.encode())) + letter * size)[:size]
    block = b"before\n" + text.encode() + b"\nafter\n"
    lines = prefixed(b"STDOUT: ", block).decode("utf-8").splitlines()
    assert all(line.startswith("STDOUT: ") and len(line.encode()) < 64_000 for line in lines)
    pieces = [line[len("STDOUT: ") :] for line in lines]
    assert (pieces[0], "".join(pieces[1:-1]), pieces[-1]) == ("before", text, "after")


@pytest.mark.parametrize("pattern", [b"\x80", b"\xf0", b"\xbf\xc0\xff"])
def test_a_long_line_that_is_not_utf_8_keeps_all_of_its_bytes(pattern):
    data = pattern * 200_000
    lines = prefixed(b"P: ", data + b"\n").split(b"\n")
    assert b"".join(line[3:] for line in lines) == data and max(map(len, lines)) < 64_000


# The console, as long as no worker has installed its pipe


def test_without_a_worker_all_goes_to_standard_output(capsys):
    output.say("openjd_status: Grüße \udc80")
    output.write(b"one\n\xff\n")
    assert capsys.readouterr().out == "openjd_status: Grüße \\udc80\none\n\\xff\n"


def test_a_log_record_is_shown_with_its_level_on_each_of_its_lines(capsys):
    record = logging.LogRecord("name", logging.WARNING, "", 0, "one\n%s", ("openjd_fail: two\rthree",), None)
    output.ConsoleHandler().handle(record)
    assert capsys.readouterr().out == "WARNING: one\nWARNING: openjd_fail: two\nWARNING: three\n"


@pytest.mark.parametrize(
    "program, expected",
    [
        ("print('a', end=''); output.say('openjd_progress: 1')", "a\nopenjd_progress: 1\n"),
        ("print('a'); output.say('openjd_progress: 1')", "a\nopenjd_progress: 1\n"),
        ("sys.stderr.write('a\\n'); print('b'); os.write(1, b'c\\n')", "a\nb\nc\n"),
        ("print('\\udc80\\u753b')", "\\udc80画\n"),
        ("logging.warning('a'); logging.getLogger('b').error('b')", "WARNING: a\nERROR: b\n"),
    ],
)
def test_in_a_worker_all_ways_out_are_one_pipe(program, expected):
    setup = "import logging, os, sys; logging.basicConfig(); from openjd_adapt import output; "
    program = setup + "output.install_pipe(); output.install_logging(); " + program
    out = subprocess.check_output([sys.executable, "-u", "-c", program], cwd=str(ROOT), stderr=subprocess.STDOUT)
    assert out.decode("utf-8") == expected


def test_only_consoles_that_a_main_has_set_up_are_taken_down(monkeypatch):
    elsewhere = [logging.StreamHandler(io.StringIO()), logging.NullHandler()]
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.StreamHandler(sys.__stderr__), *elsewhere])
    output.install_logging()
    assert logging.getLogger().handlers[:-1] == elsewhere
    assert isinstance(logging.getLogger().handlers[-1], output.ConsoleHandler)


# What interrupts a write, and what a fork copies of it

INTERRUPTED = """
import gc, logging, os, signal, sys, threading
from openjd_adapt import output, system, task
real, waits = system.write_all, ["the handler"]
class Leaves:
    def __del__(self): act()
class Raises:
    def __del__(self): raise ValueError("left")
def slow(descriptor, data):
    if waits and data == b"INFO: first\\n":
        waits.clear()
        interrupt()
    real(descriptor, data)
system.write_all = slow
output.install_pipe()
output.install_logging()
logging.getLogger().setLevel("INFO")
task.enter(task.Task())
throttle = output.ProgressThrottle()
def act(*_):
    print("printed")
    logging.info("logged")
    throttle.report(5)
    throttle.report(6)
    output.say("said")
    sys.stdout.flush()
def interrupt():
    %s
signal.signal(signal.SIGUSR1, act)
logging.info("first")
throttle.flush()
print("last")
"""


@pytest.mark.posix_only
@pytest.mark.parametrize("how", ["os.kill(os.getpid(), signal.SIGUSR1)", "Leaves(); gc.collect()"])
def test_what_interrupts_a_write_is_written_behind_it(how):
    command = [sys.executable, "-u", "-c", INTERRUPTED % how]
    out = subprocess.check_output(command, cwd=str(ROOT), timeout=HANG_SECONDS).decode().splitlines()
    assert [line for line in out if not line.startswith("openjd")] == [
        "INFO: first",
        "printed",
        "INFO: logged",
        "said",
        "last",
    ]
    assert [line for line in out if line.startswith("openjd")] == ["openjd_progress: 6"]  # the newest


def test_a_finalizer_that_raises_while_a_line_is_written_is_told():
    text = INTERRUPTED.replace("signal.SIGUSR1", "signal.SIGTERM")  # Windows has no other
    command = [sys.executable, "-u", "-c", text % "Raises()"]
    out = subprocess.check_output(command, cwd=str(ROOT), timeout=HANG_SECONDS).decode().splitlines()
    assert out[0] == "INFO: first" and "ValueError: left" in out and out[-1] == "last"


FORKED = """
import os, subprocess, threading
from openjd_adapt import output, system
real, inside, go_on = system.write_all, threading.Event(), threading.Event()
def slow(descriptor, data):
    if data == b"slow\\n":
        inside.set()
        go_on.wait()
    real(descriptor, data)
system.write_all = slow
output.install_pipe()
"""


@pytest.mark.posix_only
def test_an_unfinished_line_is_written_once_however_many_children_are_forked():
    text = FORKED + (
        "print('progress: ', end='')\n"
        "for _ in range(2): subprocess.call(['true'], preexec_fn=os.setsid)\n"
        "if not os.fork(): print('child', end='', flush=True); os._exit(0)\n"
        "os.wait()\n"
        "print('done')\n"
    )
    out = subprocess.check_output([sys.executable, "-uWignore", "-c", text], cwd=str(ROOT), timeout=HANG_SECONDS)
    assert out == b"progress: childdone\n"


@pytest.mark.posix_only
def test_a_forked_child_does_not_wait_for_a_thread_that_it_does_not_have():
    text = FORKED + (
        "thread = threading.Thread(target=print, args=['slow'])\n"
        "thread.start()\n"
        "inside.wait()\n"
        "if not os.fork(): print('child'); os._exit(0)\n"
        "os.wait()\n"
        "go_on.set()\n"
        "thread.join()\n"
    )
    out = subprocess.check_output([sys.executable, "-uWignore", "-c", text], cwd=str(ROOT), timeout=HANG_SECONDS)
    assert out == b"child\nslow\n"
