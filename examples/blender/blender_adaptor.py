"""Opens a scene once in the real Blender, headless, and renders one frame a task with Cycles on the CPU."""

from __future__ import annotations

import os

import openjd_adapt
from openjd_adapt import ApplicationAdaptor, Fatal, Progress, Status


class Blender(ApplicationAdaptor):
    """Init data: ``scene_file``, ``output`` (``####`` becomes the frame), ``samples``. Run data: ``frame``."""

    client = "blender_client.py"
    watch = [
        Progress(r"Sample (\d+)/(\d+)"),
        Status(r"^Saved: (.*)"),
        Fatal(r"^(Error: .*)"),
    ]
    start_timeout = 600
    stop_timeout = 20

    def get_command(self) -> list:
        blender = self.config.config["blender"]
        return [
            blender,
            "--background",
            "--factory-startup",
            "--python-exit-code",
            "1",
            "--python",
            openjd_adapt.client_script,
        ]

    def on_ready(self) -> None:
        self.update_status(status_message="Blender %s" % self.app.call("version"))
        self.app.call("open_scene", path=self.map_path(self.init_data["scene_file"]))

    def on_run(self, run_data: dict) -> None:
        frame = int(run_data["frame"])
        path = os.path.abspath(self.map_path(self.init_data["output"]).replace("####", "%04d" % frame))
        self.app.call("render", frame=frame, path=path, samples=self.init_data.get("samples"))
        self.report_progress(100)
