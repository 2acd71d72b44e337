"""Clients in applications that own the event loop: Qt, Tk, asyncio. No action runs within another."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from openjd_adapt import ApplicationAdaptor
from openjd_adapt.application import Application, ApplicationError
from openjd_adapt.errors import Canceled

from .conftest import HANG_SECONDS, ROOT, missing, tool, wait_until

pytestmark = [pytest.mark.posix_only, pytest.mark.once]

#: What they have in common: ``turn()`` runs the event loop for a moment, where that can be nested.
BEGIN = """
import os, sys, time
from openjd_adapt.client import Client
client = Client()
stack, turns = [], []
@client.action("render")
def render_frame(frame, until=None):
    stack.append(frame)
    print("renders", *stack, flush=True)
    while until and not os.path.exists(until):
        turn()
    stack.pop()
    return frame
@client.action
def polls():
    return len(turns)
@client.action
def serve():
    client.serve_forever()
def poll():
    turns.append(1)
    if not client.poll_once():
        print("ends in order", flush=True)
        leave()
"""
QT = """
from PyQt5.QtCore import QCoreApplication, QSocketNotifier, QTimer
from PyQt5.QtWidgets import QApplication, QLabel
app = QApplication(sys.argv)
QLabel("a window").show()
turn, leave = app.processEvents, app.quit
notifier = QSocketNotifier(client.fileno(), QSocketNotifier.Read)
notifier.activated.connect(poll)
app.exec_()
"""
TIMER = """
from PyQt5.QtCore import QCoreApplication, QTimer
app = QCoreApplication(sys.argv)
turn, leave = app.processEvents, app.quit
timer = QTimer()
timer.timeout.connect(poll)
timer.start(5)
app.exec_()
"""
TK = """
import tkinter
root = tkinter.Tk()
turn, leave = root.update, root.quit
root.createfilehandler(client, tkinter.READABLE, lambda file, mask: poll())
root.mainloop()
"""
ASYNCIO = """
import asyncio
loop = asyncio.new_event_loop()
turn, leave = lambda: time.sleep(0.01), loop.stop
loop.add_reader(client, poll)
loop.run_forever()
"""
#: Debian's, for which there are packages.
PYTHON = "/usr/bin/python3"
LOOPS = {"asyncio": (ASYNCIO, ""), "qt": (QT, "PyQt5"), "qt by a timer": (TIMER, "PyQt5"), "tk": (TK, "tkinter")}


class Interactive(ApplicationAdaptor):
    def get_command(self):
        raise NotImplementedError  # the tests give it

    def get_environment(self):
        return {**os.environ, "PYTHONPATH": str(ROOT), "QT_QPA_PLATFORM": "offscreen"}

    def on_run(self, run_data):
        raise NotImplementedError


@pytest.fixture(params=LOOPS)
def app(request, current):
    """An application whose client lives in that event loop."""
    code, package = LOOPS[request.param]
    command = [PYTHON if package else sys.executable, "-c", BEGIN + code]
    if package and subprocess.call([PYTHON, "-c", "import " + package], stderr=subprocess.DEVNULL):
        pytest.skip(missing(package))
    if package == "tkinter":
        command = [tool("xvfb-run"), "-a", *command]
    app = Application(Interactive({}), command)
    app.wait_until_connected(HANG_SECONDS)
    yield app
    current.end()
    app.close(HANG_SECONDS)  # a display that is killed leaves its lock
    app.end()


def lines(app):
    """Its own, and not those of its libraries."""
    return [line for line in app.process.last_lines(99) if line.startswith(("renders", "ends"))]


def test_an_action_that_runs_the_event_loop_is_not_interrupted_by_another(app, current, tmp_path):
    """As the frame of a task that is canceled: the next one waits until that is over."""
    gate = tmp_path / "gate"

    def cancel():
        wait_until(lambda: lines(app))
        current.cancel()

    threading.Thread(target=cancel, daemon=True).start()
    with pytest.raises(Canceled):
        app.call("render", HANG_SECONDS, frame=1, until=str(gate))
    current.end()
    current.begin()
    threading.Timer(0.2, gate.touch).start()
    assert [app.call("render", HANG_SECONDS, frame=frame) for frame in (2, 3)] == [2, 3]
    assert lines(app) == ["renders 1", "renders 2", "renders 3"]
    with pytest.raises(ApplicationError, match="an action cannot serve"):
        app.call("serve", HANG_SECONDS)


def test_who_waits_for_the_connection_looks_when_there_is_something_and_ends_when_asked(app, request):
    app.cast("render", frame=1)
    before = app.call("polls", HANG_SECONDS)
    if "timer" not in request.node.name:
        assert before == 2 and app.call("polls", HANG_SECONDS) == 3
    app.close(HANG_SECONDS)
    assert app.process.returncode == 0 and lines(app)[-1] == "ends in order"
