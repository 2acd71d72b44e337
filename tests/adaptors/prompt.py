"""An ApplicationAdaptor over a program that is driven by its standard input, for tests."""

from __future__ import annotations

import sys

from openjd_adapt import ApplicationAdaptor

PROGRAM = """
import os, sys, time
print("ready", flush=True)
for line in sys.stdin:
    if line.startswith("slow"):
        print("thinking", flush=True)
        while not os.path.exists("enough"):
            time.sleep(0.01)
    print("answer to", line.strip(), flush=True)
print("end of input", flush=True)
"""


class Prompt(ApplicationAdaptor):
    connects = False
    stdin = True

    def get_command(self):
        return [sys.executable, "-c", PROGRAM]

    def on_run(self, run_data):
        match = self.app.ask(run_data["line"], r"answer to (.*)", run_data.get("timeout", 60))
        print("matched %s" % match.group(1))
