"""An ApplicationAdaptor over a program that is driven by its standard input, for tests."""

from __future__ import annotations

import sys

from openjd_adapt import ApplicationAdaptor

PROGRAM = """
import sys
print("ready", flush=True)
for line in sys.stdin:
    print("answer to", line.strip(), flush=True)
print("end of input", flush=True)
"""


class Prompt(ApplicationAdaptor):
    connects = False
    stdin = True

    def get_command(self):
        return [sys.executable, "-c", PROGRAM]

    def on_run(self, run_data):
        match = self.app.ask(run_data["line"], r"answer to (.*)", 10)
        print("matched %s" % match.group(1))
