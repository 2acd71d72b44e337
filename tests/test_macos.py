"""What only a real macOS can prove: no subreapers, no /proc. On such a host: pytest -m real_macos_only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import uuid

import pytest

from openjd_adapt import system

from .conftest import ADAPTORS, HANG_SECONDS, read_until, wait_until

pytestmark = [pytest.mark.posix_only, pytest.mark.real_macos_only]


def pids_with(token):
    """The processes whose command line has ``token``; there is no /proc to ask."""
    shown = subprocess.check_output(["ps", "-axww", "-o", "pid=,stat=,command="]).decode("utf-8", "replace")
    rows = (line.split(None, 2) for line in shown.splitlines() if token in line and "ps -axww" not in line)
    return [int(pid) for pid, state, _ in rows if not state.startswith("Z")]


@pytest.mark.parametrize("victim", ["worker", "keeper"])
def test_the_group_of_an_application_dies_with_the_worker_or_the_keeper(farm, victim):
    farm.adaptor = str(ADAPTORS / "command.py")
    token = uuid.uuid4().hex
    assert farm.daemon("start").code == 0
    script = "sh -c 'sleep 300; : %s' & echo up; wait; : %s" % (token, token)
    process = farm.daemon_popen("run", "--run-data", json.dumps({"args": ["sh", "-c", script]}))
    read_until(process.stdout, "STDOUT: up")
    status = json.loads(farm.daemon("status", "--json").out)
    os.kill({"worker": status["worker_pid"], "keeper": status["pid"]}[victim], signal.SIGKILL)
    assert farm.finish(process).code == 1
    wait_until(lambda: not pids_with(token))
    assert farm.daemon("stop").code == 0


def test_a_process_has_a_start_time_and_another_one_has_another():
    sleeper = subprocess.Popen(["sleep", "300"])
    time.sleep(1.1)  # ps tells whole seconds
    later = subprocess.Popen(["sleep", "300"])
    try:
        started = system.start_time(sleeper.pid)
        assert 0 < started == system.start_time(sleeper.pid) < system.start_time(later.pid)
        assert not system.send_signal(sleeper.pid, started + 1, signal.SIGKILL)
        assert system.send_signal(sleeper.pid, started, signal.SIGKILL)
        assert sleeper.wait(HANG_SECONDS) == -signal.SIGKILL
    finally:
        later.kill()
        later.wait()


def test_a_whole_session_works(farm):
    assert farm.daemon("start").code == 0
    assert farm.daemon("run", "--run-data", '{"do": "say", "text": "well"}').lines == ["INFO: well"]
    assert farm.daemon("stop").lines == ["INFO: on_stop", "INFO: on_cleanup"]
