"""An adaptor for tests with a scheduler: notes in the job's folder what is called, and on which node."""

from __future__ import annotations

import os
import time

from openjd_adapt import Adaptor


class Frames(Adaptor):
    def note(self, what):
        with open("notes", "a") as stream:  # a line this short is written whole, whoever else writes
            stream.write("%s %s\n" % (what, os.environ.get("SLURMD_NODENAME")))

    def on_start(self):
        self.note("start")

    def on_run(self, run_data):
        frame = run_data["frame"]
        self.note("begin %d" % frame)
        if frame in self.init_data.get("failing", ()):
            raise RuntimeError("frame %d cannot be rendered" % frame)
        if frame in self.init_data.get("hanging", ()):
            self.sleep(300)
        if frame in self.init_data.get("deaf", ()):
            time.sleep(300)
        if frame in self.init_data.get("hanging_once", ()) and not os.path.exists("hung"):
            open("hung", "w").close()
            self.sleep(300)
        self.sleep(self.init_data.get("seconds", 0))
        self.note("frame %d" % frame)

    def on_cancel(self):
        self.note("cancel")

    def on_stop(self):
        self.note("stop")

    def on_cleanup(self):
        self.note("cleanup")
