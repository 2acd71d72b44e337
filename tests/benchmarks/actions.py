"""How long an application that waits takes to get an action, and to answer a call.

The reference has no answers: its action's one way is set beside the whole way of a call here, and beside one way here,
which is measured as it is there: after 10 to 30 ms in which nobody did anything and the machine may sleep. Calls follow
one another, as the ping-pong does that is their floor.

Run by ``python -m tests.benchmarks``, once with the Python of each side: ``actions.py ours|reference COUNT`` prints a
line of JSON with lists of seconds.
"""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import threading
import time

CLIENT = """
import sys, time
if sys.argv[1] == "ours":
    from openjd_adapt import ClientInterface as Base
else:
    from openjd.adaptor_runtime_client import ClientInterface as Base
class Client(Base):
    def __init__(self, path):
        super().__init__(path)
        self.actions.update({"ping": self.ping})
    def ping(self, args):
        print("at %.6f" % time.time(), flush=True)
    def close(self, args=None):
        sys.exit(0)
    def graceful_shutdown(self, signum, frame):
        sys.exit(0)
Client(sys.argv[2]).poll()
"""


class Adaptor:
    """All that a server asks of one."""

    path_mapping_rules: list = []


def one_way(side: str, count: int) -> list:
    """Seconds from ``enqueue_action`` to the function in the application."""
    if side == "ours":
        from openjd_adapt import Action, ActionsQueue, AdaptorServer
    else:
        from openjd.adaptor_runtime.application_ipc import ActionsQueue, AdaptorServer
        from openjd.adaptor_runtime_client import Action
    queue = ActionsQueue()
    server = AdaptorServer(queue, Adaptor())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    path = getattr(server, "server_path", None) or server.socket_path
    command = [sys.executable, "-c", CLIENT, side, path]
    found = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        try:
            for number in range(count + 5):
                pause()  # the application is waiting, in whatever way it does
                begin = time.time()
                queue.enqueue_action(Action("ping", {"number": number}))
                line = b""
                while not line.startswith(b"at "):  # the reference's client prints more
                    line = process.stdout.readline()
                    assert line, "the client has ended"
                found.append(float(line[3:]) - begin)
        finally:
            process.kill()  # the reference's client does not end by itself
    return found[5:]


def pause() -> None:
    time.sleep(0.01 + random.random() * 0.02)


def floor(count: int, idle: bool) -> tuple:
    """Seconds of a JSON ping-pong over a socket pair between two processes, and of its first half."""
    ours, theirs = socket.socketpair()
    code = (
        "import json, socket, time; s = socket.socket(fileno=%d)\n"
        "while True:\n"
        "    data = s.recv(65536)\n"
        "    if not data: break\n"
        "    at = time.time()\n"
        "    s.send(json.dumps({'result': json.loads(data)['n'], 'at': at}).encode())" % theirs.fileno()
    )
    with subprocess.Popen([sys.executable, "-c", code], pass_fds=[theirs.fileno()]) as process:
        theirs.close()
        both, half = [], []
        for number in range(count + 5):
            if idle:
                pause()
            begin = time.time()
            ours.send(json.dumps({"n": number}).encode())
            answer = json.loads(ours.recv(65536))
            both.append(time.time() - begin)
            half.append(answer["at"] - begin)
        ours.close()
        process.wait(20)
    return both[5:], half[5:]


def calls(count: int) -> list:
    """Seconds of a whole call and answer, as an adaptor makes it."""
    from openjd_adapt import ApplicationAdaptor

    class Kept(ApplicationAdaptor):
        def get_command(self) -> list:
            code = (
                "from openjd_adapt.client import Client\nclient = Client()\n"
                "@client.action\ndef echo(n): return n\nclient.serve_forever()"
            )
            return [sys.executable, "-c", code]

        def on_run(self, run_data: dict) -> None:
            for number in range(count):
                begin = time.perf_counter()
                self.app.call("echo", n=number)
                found.append(time.perf_counter() - begin)

    found: list = []
    adaptor = Kept({})
    adaptor._start()
    adaptor._run({})
    adaptor._stop()
    adaptor._cleanup()
    return found


if __name__ == "__main__":
    side, count = sys.argv[1], int(sys.argv[2])
    alone = one_way(side, count)
    result = {"an answer to a call": calls(count) if side == "ours" else alone, "an action after a pause": alone}
    if side == "ours":
        result["floor: a JSON ping-pong"] = floor(count, idle=False)[0]
        result["floor: one way, after a pause"] = floor(count, idle=True)[1]
    print("\n" + json.dumps(result), flush=True)
    os._exit(0)  # whatever server still runs
