"""An adaptor that runs a command for each task, and watches what it prints; on either package."""

from __future__ import annotations

import re
import sys

from openjd.adaptor_runtime import EntryPoint
from openjd.adaptor_runtime.adaptors import CommandAdaptor, SemanticVersion
from openjd.adaptor_runtime.app_handlers import RegexCallback, RegexHandler
from openjd.adaptor_runtime.process import ManagedProcess


class Process(ManagedProcess):
    def __init__(self, run_data, handler):
        super().__init__(run_data, stdout_handler=handler, stderr_handler=handler)

    def get_executable(self):
        return sys.executable

    def get_arguments(self):
        return ["-u", "-c", self.run_data["code"]]


class PublishedCommand(CommandAdaptor):
    @property
    def integration_data_interface_version(self):
        return SemanticVersion(major=2, minor=1)

    def get_managed_process(self, run_data):
        return Process(run_data, RegexHandler([RegexCallback([re.compile(r"^frame (\d+)%")], self._progress)]))

    def _progress(self, match):
        self.update_status(progress=float(match.group(1)), status_message="rendering")

    def on_prerun(self):
        print("prerun", flush=True)

    def on_postrun(self):
        print("postrun %s" % self.map_path("/a/scene"), flush=True)


if __name__ == "__main__":
    EntryPoint(PublishedCommand).start()
