"""An ApplicationAdaptor over a Python that stands in for an application, for tests."""

from __future__ import annotations

import os
import sys

import openjd_adapt
from openjd_adapt import ApplicationAdaptor, Fatal, Ignore, Progress, Status, Warn, application
from openjd_adapt.watch import Watch

HERE = os.path.dirname(os.path.abspath(__file__))


class Seen(Watch):
    """Leaves a file, so that a test knows that the line, and all before it, has come to the adaptor."""

    def act(self, adaptor, match):
        open(match.group(1), "w").close()


class KeptOpen(ApplicationAdaptor):
    client = os.path.join(HERE, "application_client.py")
    watch = [
        Progress(r"Sample (\d+)/(\d+)"),
        Status(r"now (.*)"),
        Fatal(r"^Fatal: (.*)"),
        Warn(r"^Careful: (.*)"),
        Ignore(r"^noise"),
        Seen(r"^seen (.*)"),
    ]

    def on_start(self):
        self.no_output_timeout = self.init_data.get("no_output_timeout")
        self.start_timeout = self.init_data.get("start_timeout")
        self.run_timeout = self.init_data.get("run_timeout")
        self.stop_timeout = self.init_data.get("stop_timeout", 5)
        application.EXIT_SECONDS = self.init_data.get("exit_seconds", application.EXIT_SECONDS)

    def get_command(self):
        python = self.init_data.get("python", sys.executable)
        return [python, *self.init_data.get("flags", []), openjd_adapt.client_script]

    def get_environment(self):
        # An application's Python that ignores PYTHONPATH.
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return {**kept, "ACT": self.init_data.get("act", "")}

    def on_ready(self):
        print("ready, pid", self.app.call("pid"))

    def on_run(self, run_data):
        if "cast" in run_data:
            self.app.cast(run_data["cast"], **run_data.get("args", {}))
        elif "times" in run_data:
            for number in range(run_data["times"]):
                assert self.app.call("echo", value=number) == number
        else:
            for _ in range(run_data.get("repeat", 1)):
                result = self.app.call(run_data["call"], run_data.get("timeout"), **run_data.get("args", {}))
                print("result %r" % (result,))
