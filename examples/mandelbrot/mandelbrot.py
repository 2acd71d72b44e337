"""A renderer that stays open: zooms into the Mandelbrot set, one PNG picture a task, in pure Python."""

from __future__ import annotations

import os
import struct
import zlib

from openjd_adapt import Adaptor


class Mandelbrot(Adaptor):
    """The schemas beside this file say what init data, run data and configuration are; the toolkit checks them."""

    def on_start(self) -> None:
        self.width = self.init_data.get("width", 160)
        self.height = self.init_data.get("height", 100)
        self.title = self.init_data.get("title", "Mandelbrot set")
        self.output = self.map_path(self.init_data["output"])
        os.makedirs(os.path.dirname(self.output) or ".", exist_ok=True)
        # What is costly to set up, and the reason to stay open: the colour of each number of steps.
        steps = self.config.config.get("steps", 80)
        self.palette = [bytes((9 * n % 256, 5 * n % 256, (64 + 3 * n) % 256)) for n in range(steps)] + [b"\0\0\0"]
        print("Mandelbrot renderer is ready: %d x %d, %d steps" % (self.width, self.height, steps))

    def on_run(self, run_data: dict) -> None:
        frame = run_data["frame"]
        self.update_status(progress=0, status_message="rendering frame %d" % frame)
        rows = []
        for y in range(self.height):
            self.sleep(0)  # raises Canceled when the task is canceled
            rows.append(b"\0" + b"".join(self.pixel(x, y, frame) for x in range(self.width)))
            if y % 10 == 9:
                self.update_status(progress=100 * (y + 1) / self.height)
        path = self.output.replace("####", "%04d" % frame)
        with open(path, "wb") as stream:
            stream.write(png(self.width, self.height, b"".join(rows), self.title))
        self.update_status(progress=100, status_message="wrote %s" % path)

    def pixel(self, x: int, y: int, frame: int) -> bytes:
        scale = 3.0 / self.width * 0.8**frame
        c = complex(-0.743643 + (x - self.width / 2) * scale, 0.131825 + (y - self.height / 2) * scale)
        z = 0j
        for step in range(len(self.palette) - 1):
            z = z * z + c
            if abs(z) > 2:
                return self.palette[step]
        return self.palette[-1]

    def on_stop(self) -> None:
        print("Mandelbrot renderer is closed")


def png(width: int, height: int, rows: bytes, title: str) -> bytes:
    """An 8-bit RGB picture; each row begins with its filter byte. Source: PNG specification, chapters 5 and 11."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    text = b"Title\0\0\0\0\0" + title.encode("utf-8")
    chunks = (b"IHDR", head), (b"iTXt", text), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join([chunk(kind, data) for kind, data in chunks])
