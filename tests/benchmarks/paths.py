"""How long the application's end takes to map a path: ``paths.py ours|reference COUNT`` prints seconds as JSON.

Each path is another one, as in a scene that names many files.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

CLIENT = """
import json, sys, time, io
if sys.argv[1] == "ours":
    from openjd_adapt import ClientInterface as Base
else:
    from openjd.adaptor_runtime_client import ClientInterface as Base
class Client(Base):
    def close(self, args=None):
        sys.exit(0)
    def graceful_shutdown(self, signum, frame):
        sys.exit(0)
client = Client(sys.argv[2])
paths = ["/studio/show/shot_%d/texture.exr" % number for number in range(int(sys.argv[3]))]
client.map_path("/studio")
out, sys.stdout = sys.stdout, io.StringIO()
begin = time.perf_counter()
mapped = [client.map_path(path) for path in paths]
seconds = time.perf_counter() - begin
sys.stdout = out
assert mapped[-1] == "/mnt" + paths[-1][len("/studio"):], mapped[-1]
print(json.dumps(seconds / len(paths)), flush=True)
"""


def main() -> None:
    side, count = sys.argv[1], sys.argv[2]
    if side == "ours":
        from openjd_adapt import ActionsQueue, Adaptor, AdaptorServer
    else:
        from openjd.adaptor_runtime.adaptors import Adaptor
        from openjd.adaptor_runtime.application_ipc import ActionsQueue, AdaptorServer

    class Mine(Adaptor):
        integration_data_interface_version = None

        def on_run(self, run_data: dict) -> None:
            pass

    rule = {"source_path_format": "POSIX", "source_path": "/studio", "destination_path": "/mnt"}
    server = AdaptorServer(ActionsQueue(), Mine({}, path_mapping_data={"path_mapping_rules": [rule]}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    command = [sys.executable, "-c", CLIENT, side, server.server_path, count]
    out = subprocess.check_output(command, stderr=subprocess.DEVNULL)
    print("\n" + json.dumps({"a mapped path": [float(out.decode().splitlines()[-1])]}), flush=True)
    os._exit(0)  # whatever server still runs


if __name__ == "__main__":
    main()
