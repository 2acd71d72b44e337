"""An adaptor that opens an application once, and renders many frames in it."""

import os
import sys

import openjd_adapt
from openjd_adapt import ApplicationAdaptor, Fatal, Progress


class MyRender(ApplicationAdaptor):
    """Init data: ``scene``, ``output`` (``####`` becomes the frame). Run data: ``frame``. Configured: ``quality``."""

    apply_defaults = True
    client = "client.py"
    watch = [Progress(r"^(\d+)%"), Fatal(r"^Error: (.*)")]

    def get_command(self):
        # A Python stands in for the application that you drive. For Blender, say:
        # return ["blender", "--background", "--python", openjd_adapt.client_script]
        return [sys.executable, openjd_adapt.client_script]

    def on_ready(self):
        self.app.call("open_scene", path=self.map_path(self.init_data["scene"]))

    def on_run(self, run_data):
        frame = run_data["frame"]
        output = self.map_path(self.init_data["output"]).replace("####", "%04d" % frame)
        os.makedirs(os.path.dirname(os.path.abspath(output)), exist_ok=True)
        self.app.call("render", frame=frame, output=os.path.abspath(output), quality=self.config.config["quality"])
