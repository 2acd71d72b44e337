"""Adaptors for the chaos test, which do the work that their data name: numbered lines in many ways, children, failures.

Work is ``{"lines": [[how, count], ...]}`` and perhaps ``rounds``, ``pad`` (bytes), ``pause`` (seconds), ``late`` (lines
of a thread that outlives the task), ``tree``, ``ignore`` (the cancel) and ``fail``. A series of lines is named by the
daemon's number and a letter: m is the main thread and its direct children, c children whose output is forwarded, a the
application, t a thread, k on_cancel.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time

import openjd_adapt
from openjd_adapt import Adaptor, ApplicationAdaptor, LoggingSubprocess

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from chaos_lines import Lines, put_unmixed  # noqa: E402

ORPHAN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(2):
    if os.fork(): os._exit(0)
    os.setsid()
time.sleep(300)
"""
PUTS = {"print": print, "log": logging.getLogger("chaos").info, "write": put_unmixed}


class Working:
    """What both adaptors have in common."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.series = {name: Lines(self.init_data["record"], self.init_data["daemon"] + name) for name in "mctk"}

    def obey(self, work):
        sleep = time.sleep if work.get("ignore") else self.sleep
        pad, pause = work.get("pad", 0), work.get("pause", 0)
        if work.get("tree"):
            subprocess.Popen([sys.executable, "-c", ORPHAN])
            subprocess.Popen(["sleep", "300"])
        if work.get("late"):
            threading.Thread(target=self.write_late, args=(work["late"],), daemon=True).start()
        for _ in range(work.get("rounds", 1)):
            for how, count in work.get("lines", ()):
                if how in PUTS:
                    for _ in range(count):
                        self.series["m"].write(PUTS[how], pad)
                        sleep(pause)
                else:
                    getattr(self, "by_" + how)(count, pad, pause)
        if work.get("fail"):
            raise RuntimeError("made to fail")

    def write_late(self, count):
        for _ in range(count):
            self.series["t"].write(print, 0)
            time.sleep(0.02)

    def child(self, name, count, pad, pause):
        series = self.series[name]
        first, series.number = series.number, series.number + count
        words = [series.record, series.series, first, count, pad, pause]
        return [sys.executable, "-S", "-E", os.path.join(HERE, "chaos_lines.py"), *map(str, words)]

    def by_child(self, count, pad, pause):
        process = subprocess.Popen(self.child("m", count, pad, pause))
        try:
            while process.poll() is None:
                self.sleep(0.005)
        finally:
            process.kill()
            process.wait()

    def by_forwarded(self, count, pad, pause):
        with LoggingSubprocess(args=self.child("c", count, pad, pause)):
            pass

    def by_application(self, count, pad, pause):
        self.app.call("lines", count=count, pad=pad, pause=pause)

    def on_run(self, run_data):
        self.obey(run_data)

    def on_stop(self):
        self.obey(self.init_data["on_stop"])

    def on_cancel(self):
        self.series["k"].write(print, 0)

    def on_cleanup(self):
        self.series["m"].write(print, 0)


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
