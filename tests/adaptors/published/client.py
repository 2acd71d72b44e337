"""The application's end of the adaptor beside it, as published ones are written; the application is a plain Python."""

from __future__ import annotations

import os
import sys
import time

try:
    from adaptor_runtime_client import ClientInterface
except ImportError:
    from openjd.adaptor_runtime_client import ClientInterface


class PublishedClient(ClientInterface):
    def __init__(self, server_path):
        super().__init__(server_path=server_path)
        self.actions.update({"scene": self.open_scene, "render": self.render})

    def open_scene(self, data):
        print("opened", self.map_path(data["scene"]), self.map_path(data["scene"]), flush=True)

    def render(self, data):
        if data.get("hang"):
            print("done 1%", flush=True)
            time.sleep(100)
        if data.get("complain"):
            print("Error: no licence", file=sys.stderr, flush=True)
            return
        if data.get("crash"):
            raise RuntimeError("crashed on purpose")
        print("done 50%", flush=True)
        print("finished frame %d" % data["frame"], flush=True)

    def close(self, args=None):
        print("closed", flush=True)

    def graceful_shutdown(self, signum, frame):
        sys.exit(0)


if __name__ == "__main__":
    path = os.environ["PUBLISHED_SERVER_PATH"]
    if not os.path.exists(path):
        raise OSError("no server at %s" % path)
    PublishedClient(path).poll()
    print("left", flush=True)
