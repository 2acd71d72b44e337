"""An adaptor that runs one command a task."""

import os
import sys

from openjd_adapt import CommandAdaptor, Fatal, ManagedProcess, Progress

#: Stands in for the program that you drive: put its command here.
PROGRAM = [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "program.py")]


class MyRender(CommandAdaptor):
    """Init data: ``output`` (``####`` becomes the frame). Run data: ``frame``. Configured: ``quality``."""

    apply_defaults = True
    watch = [Progress(r"^(\d+)%"), Fatal(r"^Error: (.*)")]

    def get_managed_process(self, run_data):
        return Render(self, run_data)


class Render(ManagedProcess):
    """One frame. A non-zero exit code fails the task, a cancel ends the process."""

    def __init__(self, adaptor, run_data):
        super().__init__(run_data)
        self.adaptor = adaptor

    def get_executable(self):
        return PROGRAM[0]

    def get_arguments(self):
        frame = self.run_data["frame"]
        output = self.adaptor.map_path(self.adaptor.init_data["output"]).replace("####", "%04d" % frame)
        os.makedirs(os.path.dirname(os.path.abspath(output)), exist_ok=True)
        return [*PROGRAM[1:], str(frame), output, str(self.adaptor.config.config["quality"])]
