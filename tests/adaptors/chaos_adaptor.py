"""Adaptors for the chaos test, which do the work that their data name: numbered lines in many ways, children, failures.

Work is ``{"lines": [[how, count], ...]}`` and perhaps ``rounds``, ``pad`` (characters), ``odd`` (some no UTF-8),
``pause`` (seconds), ``late`` (lines of a thread that outlives the task), ``alarm`` (seconds between signals whose
handler logs), ``garbage`` (objects that log when they are collected), ``tree``, ``ignore`` (the cancel) and ``fail``.
A series of lines is named by the daemon's number and a letter: m is the main thread and its direct children, c children
whose output is forwarded, a the application, t a thread, k on_cancel, f forked children, h a signal handler, d what is
collected.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time

import openjd_adapt
from openjd_adapt import Adaptor, ApplicationAdaptor, LoggingSubprocess, ManagedProcess

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from chaos_forks import fork_and_wait  # noqa: E402
from chaos_lines import MALFORMED, Lines, padding, put_unmixed  # noqa: E402

ORPHAN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(2):
    if os.fork(): os._exit(0)
    os.setsid()
time.sleep(300)
"""
log = logging.getLogger("chaos").info
PUTS = {"print": print, "log": log, "write": put_unmixed}
#: What stands between an adaptor and its renderer: the program and its first arguments, the renderer's follow.
WRAPPERS = {
    "none": [],
    "shell": ["sh", "-c", '"$@"; echo done', "sh"],
    "session": ["sh", "-c", 'setsid "$@"; echo done', "sh"],
    "python": [sys.executable, "-S", "-E", "-c", "import subprocess, sys; subprocess.call(sys.argv[1:])"],
}


class Renderer(ManagedProcess):
    def get_executable(self):
        return self.run_data[0]

    def get_arguments(self):
        return self.run_data[1:]


class Garbage:
    """Logs when the garbage collector finds it, wherever that is."""

    def __init__(self, lines):
        self.lines, self.itself, self.pid = lines, self, os.getpid()

    def __del__(self):
        if os.getpid() == self.pid:
            self.lines.write(log, enter=False)


class Working:
    """What both adaptors have in common."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.series = {name: Lines(self.init_data["record"], self.init_data["daemon"] + name) for name in "mctkfhd"}
        self.unfinished = 0

    def obey(self, work):
        with self.interrupted(work.get("alarm", 0), work.get("garbage", False)):
            self.do_work(work)

    def do_work(self, work):
        sleep = time.sleep if work.get("ignore") else self.sleep
        pad, odd, pause = work.get("pad", 0), work.get("odd", False), work.get("pause", 0)
        if work.get("tree"):
            subprocess.Popen([sys.executable, "-c", ORPHAN])
            subprocess.Popen(["sleep", "300"])
        if work.get("late"):
            threading.Thread(target=self.write_late, args=(work["late"],), daemon=True).start()
        for _ in range(work.get("rounds", 1)):
            for how, count in work.get("lines", ()):
                if how in PUTS:
                    for _ in range(count):
                        self.series["m"].write(PUTS[how], padding(pad, odd))
                        if work.get("garbage"):
                            Garbage(self.series["d"])
                        sleep(pause)
                elif isinstance(count, str):
                    getattr(self, "by_" + how)(count)
                else:
                    getattr(self, "by_" + how)(count, pad, odd, pause)
        if "render" in work:
            self.render(*work["render"])
        if work.get("fail"):
            raise RuntimeError("made to fail")

    @contextlib.contextmanager
    def interrupted(self, alarm, garbage):
        thresholds = gc.get_threshold()
        if garbage:
            gc.set_threshold(50, 5, 5)
        if alarm:
            signal.signal(signal.SIGALRM, lambda *_: self.series["h"].write(log, enter=False))
            signal.setitimer(signal.ITIMER_REAL, alarm, alarm)
        try:
            yield
        finally:
            if alarm:
                signal.setitimer(signal.ITIMER_REAL, 0)
            if garbage:
                gc.set_threshold(*thresholds)

    def write_late(self, count):
        for number in range(count):
            self.series["t"].write((print, log)[number % 2])
            time.sleep(0.02)

    def script(self, name, *arguments):
        return [sys.executable, "-S", "-E", os.path.join(HERE, name), *map(str, arguments)]

    def child(self, name, count, *how):
        series = self.series[name]
        first, series.number = series.number, series.number + count
        return self.script("chaos_lines.py", series.record, series.series, first, count, *how)

    def by_child(self, count, *how):
        process = subprocess.Popen(self.child("m", count, *how))
        try:
            while process.poll() is None:
                self.sleep(0.005)
        finally:
            process.kill()
            process.wait()

    def by_forwarded(self, count, *how):
        with LoggingSubprocess(args=self.child("c", count, *how)):
            pass

    def by_application(self, count, pad, odd, pause):
        self.app.call("lines", count=count, pad=pad, odd=odd, pause=pause)

    def by_fork(self, kind):
        forked = self.series["f"]

        def write():
            if kind == "logs":
                Lines(forked.record, forked.series, forked.number).write(log)

        fork_and_wait(kind, self.sleep, write)
        forked.number += kind == "logs"

    def by_unfinished(self, kind):
        """An unfinished line, while processes are forked: it must appear once."""
        self.unfinished += 1
        name = "U:%s:%d" % (self.init_data["daemon"], self.unfinished)
        print(name + "~", end="")
        if kind == "called":
            for _ in range(2):
                subprocess.call(["true"], preexec_fn=os.setsid)
        else:
            self.by_fork(kind)
        print(name + ".")

    def by_directives(self, kind):
        if kind == "printed":
            for text in MALFORMED:
                print(text)
        elif kind == "of a child":
            subprocess.call(self.script("chaos_lines.py", "-", "", 0, 0, 0, 0, 0))
        elif kind == "forwarded":
            with LoggingSubprocess(args=self.script("chaos_lines.py", "-", "", 0, 1, 0, 0, 0)):
                pass
        else:
            self.app.call("directives")

    def by_application_fork(self, kind):
        self.app.call("fork", kind=kind)

    def render(self, wrapper, checkpoint, stopped, managed):
        command = WRAPPERS[wrapper] + self.script("chaos_renderer.py", checkpoint, *["stopped"] * stopped)
        if managed:
            Renderer(command).run()
        else:
            with LoggingSubprocess(args=command):
                pass

    def on_run(self, run_data):
        self.obey(run_data)

    def on_stop(self):
        self.obey(self.init_data["on_stop"])

    def on_cancel(self):
        self.series["k"].write(print)

    def on_cleanup(self):
        self.series["m"].write(print)


class Chaos(Working, Adaptor):
    def on_start(self):
        self.obey(self.init_data["on_start"])


class ChaosApplication(Working, ApplicationAdaptor):
    client = os.path.join(HERE, "chaos_client.py")
    stop_timeout = 5

    def get_command(self):
        return [sys.executable, openjd_adapt.client_script]

    def get_environment(self):
        own = {"CHAOS_RECORD": self.init_data["record"], "CHAOS_SERIES": self.init_data["daemon"] + "a"}
        return {**os.environ, **own}

    def on_ready(self):
        self.obey(self.init_data["on_start"])
