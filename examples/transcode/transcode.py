"""Encodes a film in parts with ffmpeg, one part a task."""

from __future__ import annotations

import os
import re
import subprocess

from openjd_adapt import AdaptError, CommandAdaptor, InputError, ManagedProcess, RegexCallback, RegexHandler


class Transcode(CommandAdaptor):
    """Init data: ``input``, ``input_format`` (where the input is not a file), ``output`` (``####`` becomes the part),
    ``part_seconds``. Run data: ``part``, from 1 on."""

    def on_prerun(self) -> None:
        program = self.config.config["ffmpeg"]
        try:
            banner = subprocess.run([program, "-version"], stdout=subprocess.PIPE, check=True).stdout.decode()
        except (OSError, subprocess.CalledProcessError) as error:
            raise AdaptError("cannot use ffmpeg: %s" % error) from error
        version = re.match(r"ffmpeg version n?(\d+)\.(\d+)", banner)
        self.version = (int(version.group(1)), int(version.group(2))) if version else (0, 0)
        folder = os.path.dirname(self.map_path(self.init_data["output"]))
        os.makedirs(folder or ".", exist_ok=True)
        self.update_status(status_message="using " + banner.split(" Copyright")[0])

    def on_postrun(self) -> None:
        self.update_status(progress=100)

    def get_managed_process(self, run_data: dict) -> ManagedProcess:
        return Ffmpeg(self, run_data)


class Ffmpeg(ManagedProcess):
    """One run of ffmpeg, with progress from its ``-progress`` lines and failure from its error lines."""

    grace_seconds = 10

    def __init__(self, adaptor: Transcode, run_data: dict) -> None:
        self.adaptor = adaptor
        self.seconds = float(adaptor.init_data["part_seconds"])
        progress = RegexCallback([re.compile(r"^out_time_us=(\d+)")], self.on_progress)
        error = RegexCallback([re.compile(r"\[(?:error|fatal)\] (.*)")], self.on_error)
        super().__init__(run_data, stdout_handler=RegexHandler([progress]), stderr_handler=RegexHandler([error]))

    def get_executable(self) -> str:
        return self.adaptor.config.config["ffmpeg"]

    def get_arguments(self) -> list:
        data = self.adaptor.init_data
        part = int(self.run_data["part"])
        if part < 1:
            raise InputError("run data: part is %d; the first is 1" % part)
        file_input = not data.get("input_format")
        return [
            *["-hide_banner", "-nostdin", "-y", "-loglevel", "level+warning", "-progress", "pipe:1"],
            *([] if file_input else ["-f", data["input_format"]]),
            *["-i", self.adaptor.map_path(data["input"]) if file_input else data["input"]],
            *["-ss", str((part - 1) * self.seconds), "-t", str(self.seconds)],
            # ffmpeg 5.1 has renamed the option, and later ones refuse the old name.
            *(["-fps_mode", "cfr"] if self.adaptor.version >= (5, 1) else ["-vsync", "cfr"]),
            *["-c:v", "libx264", "-preset", self.adaptor.config.config["preset"], "-pix_fmt", "yuv420p"],
            self.adaptor.map_path(data["output"]).replace("####", "%04d" % part),
        ]

    def on_progress(self, match: re.Match) -> None:
        self.adaptor.update_status(progress=min(100.0, int(match.group(1)) / self.seconds / 10_000))

    def on_error(self, match: re.Match) -> None:
        raise AdaptError("ffmpeg: " + match.group(1))
