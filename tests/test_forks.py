"""A process that an author's code has forked and that comes back into the toolkit: it ends, and touches nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from .conftest import HANG_SECONDS, ROOT, read_until
from .test_daemon import task

pytestmark = pytest.mark.posix_only

FORKS = """
import os, sys, threading
from openjd_adapt import Adaptor, ApplicationAdaptor, LoggingSubprocess, RegexCallback, RegexHandler
def fork(way):
    pid = os.fork()
    if pid:
        print("the child has left with", os.waitpid(pid, 0)[1] >> 8)
        return
    print("in the child")
    if way == "exec": os.execv("/no-such-renderer", ["x"])
    if way == "raise": raise ValueError("in the child" + chr(10) + "openjd_fail: x")
    if way.startswith("exit"): sys.exit(eval(way[4:]))

class Forks(Adaptor):
    def on_start(self):
        fork("return")
    def on_run(self, run_data):
        if "fail" in run_data: raise RuntimeError("of the task")
        if "way" in run_data: fork(run_data["way"])
        if "cancel" in run_data:
            print("waiting")
            self.sleep(300)
    def on_cancel(self):
        fork("raise")
    def on_stop(self):
        fork("exec")
    def on_cleanup(self):
        fork("exit0")
"""


@pytest.fixture
def forks(farm):
    path = farm.folder / "forks.py"
    path.write_text(FORKS)
    farm.adaptor = str(path)
    return farm


def test_a_forked_child_that_comes_back_ends_and_every_task_keeps_its_result_and_output(forks):
    done = forks.daemon("start")
    assert done.code == 0 and done.lines[1:] == ["in the child", "the child has left with 0"], done
    for way, code, said in [
        ("return", 0, ""),
        ("exec", 1, "ERROR: FileNotFoundError: [Errno 2] No such file or directory"),
        ("raise", 1, "ERROR: openjd_fail: x"),
        ("exit0", 0, ""),
        ("exit3", 3, ""),
        ("exit None", 0, ""),
        ("exit'text'", 1, "ERROR: SystemExit: text"),
    ]:
        done = task(forks, {"way": way})
        assert done.code == 0, done
        assert done.lines[0] == "in the child" and done.lines[-1] == "the child has left with %d" % code
        assert done.lines[-2] == (said or "in the child")
        if way in ("return", "raise"):
            done = task(forks, {"fail": True})
            assert done.code == 1 and done.lines[-1] == "openjd_fail: RuntimeError: of the task"
            assert "ERROR: RuntimeError: of the task" in done.lines and "the child" not in done.out
            done = task(forks, {})
            assert (done.code, done.out, done.err) == (0, "", "")
    done = forks.daemon("stop")
    assert done.code == 0 and done.out.count("the child has left with") == 2 and "FileNotFoundError" in done.out


def test_a_child_that_on_cancel_has_forked_ends(forks):
    forks.daemon("start")
    process = forks.daemon_popen("run", "--run-data", json.dumps({"cancel": True}))
    read_until(process.stdout, "waiting")
    assert forks.daemon("cancel").code == 0
    done = forks.finish(process)
    assert done.code == 4 and done.lines[-2:] == ["ERROR: openjd_fail: x", "the child has left with 1"]
    assert task(forks, {}).out == ""
    assert forks.daemon("stop").code == 0


@pytest.mark.parametrize("phase", ["stop", "cleanup"])
def test_a_forked_child_does_not_end_the_application_of_its_parent(phase):
    program = FORKS + (
        "class Kept(ApplicationAdaptor):\n"
        "    get_command = on_run = print\n"
        "    def on_%s(self): fork('raise')\n"
        "class App:\n"
        "    def close(self, grace): print('closed')\n"
        "    def end(self): print('closed')\n"
        "kept = Kept({})\n"
        "kept._app = App()\n"
        "kept._%s()\n"
    ) % (phase, phase)
    out = subprocess.check_output([sys.executable, "-c", program], cwd=str(ROOT), timeout=HANG_SECONDS).decode()
    assert out.count("closed") == 1 and out.endswith("the child has left with 1\nclosed\n"), out


#: Further ways of a child to come back, which test_a_forked_child_that_comes_back knows, too.
WAYS = [("exec", 1), ("exit3", 3)]


@pytest.mark.parametrize("way, code", [("return", 0), *(pytest.param(*row, marks=pytest.mark.long) for row in WAYS)])
def test_a_child_that_a_callback_has_forked_passes_no_line_on(way, code):
    program = FORKS + (
        "import re\n"
        "from openjd_adapt import output\n"
        "from openjd_adapt.lines import LineForwarder\n"
        "handler = RegexHandler([RegexCallback([re.compile('first')], lambda match: fork(%r))])\n"
        "LineForwarder(output.STDOUT, handlers=[handler]).feed(b'first' + bytes([10]) + b'next' + bytes([10]))\n"
    )
    command = [sys.executable, "-u", "-c", program % way]
    out = subprocess.check_output(command, cwd=str(ROOT), timeout=HANG_SECONDS).decode().splitlines()
    assert out[:2] == ["STDOUT: first", "in the child"] and ("FileNotFoundError" in "".join(out)) == (way == "exec")
    assert out[-2:] == ["the child has left with %d" % code, "STDOUT: next"]


@pytest.mark.parametrize("way, code", [("return", 0), *(pytest.param(*row, marks=pytest.mark.long) for row in WAYS)])
@pytest.mark.parametrize("client", ["Client", "ClientInterface"])
def test_a_child_that_an_action_has_forked_sends_nothing_and_ends(client, way, code):
    program = FORKS + (
        "from openjd_adapt.client import Action, Client, ClientInterface\n"
        "if %r == 'Client':\n"
        "    client = Client.__new__(Client)\n"
        "    client._asks_ahead, client._send = False, lambda data: print('sent')\n"
        "    client.perform({'action': 'render', 'args': {'way': %r}, 'call': 1}, {'render': fork})\n"
        "else:\n"
        "    client = ClientInterface('')\n"
        "    client.actions['render'] = lambda args: fork(args['way'])\n"
        "    client._perform_action(Action('render', {'way': %r}))\n"
        "    print('sent')\n"
    ) % (client, way, way)
    done = subprocess.run(
        [sys.executable, "-u", "-c", program], cwd=str(ROOT), stdout=-1, stderr=-1, timeout=HANG_SECONDS
    )
    out = done.stdout.decode().splitlines()
    assert out == ["in the child", "the child has left with %d" % code, "sent"]
    assert (b"FileNotFoundError" in done.stderr) == (way == "exec") and done.returncode == 0
