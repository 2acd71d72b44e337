"""An adaptor that opens an application once, and renders many frames by lines that it writes at its prompt."""

import os
import sys

from openjd_adapt import ApplicationAdaptor, Fatal, Progress

#: Stands in for the application that you drive: put its command here, such as ["gnuplot"] or ["python", "-iqu"].
APPLICATION = [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "program.py")]


class MyRender(ApplicationAdaptor):
    """Init data: ``scene``, ``output`` (``####`` becomes the frame). Run data: ``frame``. Configured: ``quality``."""

    apply_defaults = True
    connects, stdin = False, True
    watch = [Progress(r"^(\d+)%"), Fatal(r"^Error: (.*)")]

    def get_command(self):
        return APPLICATION

    def on_ready(self):
        self.app.ask("open " + self.map_path(self.init_data["scene"]), "opened ")

    def on_run(self, run_data):
        frame = run_data["frame"]
        output = self.map_path(self.init_data["output"]).replace("####", "%04d" % frame)
        os.makedirs(os.path.dirname(os.path.abspath(output)), exist_ok=True)
        line = "render %d %d %s" % (frame, self.config.config["quality"], os.path.abspath(output))
        # The answer names the frame, so that no other frame's is taken for it. What answers nothing of itself can be
        # made to: behind the work, let it print such a line.
        self.app.ask(line, "frame %d written" % frame)
