"""An adaptor that is told secrets and tells none: it waits in its tasks, and in its start if it is told so."""

from __future__ import annotations

import logging
import subprocess

from openjd_adapt import Adaptor

log = logging.getLogger("discreet")


class Discreet(Adaptor):
    def on_start(self):
        log.debug("the level is DEBUG")
        if self.init_data.get("wait"):
            self.wait("starting")

    def on_run(self, run_data):
        self.wait("running")

    def wait(self, what):
        subprocess.Popen(["sleep", "300"])
        print(what)
        self.cancelled.wait(60)
