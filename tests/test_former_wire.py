"""Version 1 of the wire: commands, daemons and applications of then work together with those of now.

The bytes were recorded from the last package that spoke it, at /opt/farm: what ``fuzz.record_session`` gives of
commands to a daemon of ``adaptors/probe.py``, and ``fuzz.relay`` of a client with one action. Who has asked stands
first.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import threading

import pytest

from openjd_adapt import Action, ActionsQueue, AdaptorServer, Client, PathMappingRule
from openjd_adapt.transport import wire

from .conftest import HANG_SECONDS
from .test_daemon import connect

pytestmark = [pytest.mark.core, pytest.mark.posix_only]

HELLO = b'\0\0\0.\0\0\0\0{"hello":1,"package":"/opt/farm/openjd_adapt"}'
DONE = b'\0\0\x003\0\0\0\0{"result":{"outcome":"done","message":"","code":0}}'
RUN = (
    b'\0\0\0T\0\0\0\0{"do":"run","data":{"do":"say","text":"caf\\u00e9 \\ud83d\\ude00"},"from":"--run-data"}',
    b'\0\0\0\r\0\0\0\x11{"output":95}INFO: caf\xc3\xa9 \xf0\x9f\x98\x80\n' + DONE,
)
IDLE = (
    b'\0\0\0w\0\0\0\0{"status":{"state":"idle","adaptor":"probe","pid":9,"worker_pid":10,"tasks":1,'
    b'"uptime_seconds":1.346,"unread_bytes":0}}'
)
STATUS = (b'\0\0\0\x0f\0\0\0\0{"do":"status"}', IDLE)
CANCEL = (b'\0\0\0\x1d\0\0\0\0{"do":"cancel","within":null}', b'\0\0\0\x12\0\0\0\0{"canceled":false}')
STOP = (
    b'\0\0\0\x1b\0\0\0\0{"do":"stop","within":60.0}',
    b'\0\0\0\x0e\0\0\0\x1f{"output":126}INFO: on_stop\nINFO: on_cleanup\n' + DONE,
)
#: What an application says before and behind its first action, and what an adaptor says to it.
ABOUT = (
    b'\0\0\0T\0\0\0\0{"about":"Python 3.11.2 (/usr/bin/python3), openjd_adapt of /opt/farm/openjd_adapt"}'
    b'\0\0\0\r\0\0\0\0{"next":true}'
)
ANSWER = (
    b'\0\0\0\x0f\0\0\0\0{"progress":50}\0\0\0\x11\0\0\0\0{"status":"half"}'
    b'\0\0\x005\0\0\0\0{"answer":7,"result":{"sum":3,"mapped":"/local/a/b"}}\0\0\0\r\0\0\0\0{"next":true}'
)
RULES = (
    b'\0\0\0\x8c\0\0\0\0{"hello":1,"package":"/opt/farm/openjd_adapt","rules":[{"source_path_format":"POSIX",'
    b'"source_path":"/mnt/a","destination_path":"/local/a"}]}'
)
ACTION = b'\0\0\0.\0\0\0\0{"action":"add","args":{"a":1,"b":2},"call":7}'


def frames(data):
    return list(wire.Decoder().feed(data))


class Conversation:
    """Frames over a connection, one by one; the first of either end is its hello."""

    def __init__(self, connection):
        connection.settimeout(HANG_SECONDS)
        self.connection = connection
        self.heard = wire.frames(connection.recv, wire.FRAME_LIMIT)

    def say(self, data):
        self.connection.sendall(data)

    def hear(self, count):
        return [next(self.heard) for _ in range(count)]

    def hear_hello(self):
        ((message, _),) = self.hear(1)
        assert message["hello"] == wire.VERSION == 2
        return message


@contextlib.contextmanager
def conversation(connection):
    with connection:
        yield Conversation(connection)


def test_commands_of_version_1_are_served(farm):
    assert farm.daemon("start").code == 0
    for request, expected in (RUN, STATUS, CANCEL, STOP):
        with conversation(connect(farm)) as daemon:
            daemon.say(HELLO + request)
            daemon.hear_hello()
            output = b""
            for heard, body in daemon.heard:
                output += body
                if "output" not in heard:
                    break
                daemon.say(wire.encode({"ack": heard["output"]}))
            *shown, (answer, _) = frames(expected)
            assert output == b"".join(body for _, body in shown)
            assert heard.keys() == answer.keys()
            if "status" in heard:
                assert heard["status"].keys() >= answer["status"].keys()
            else:
                assert heard == answer
    farm.wait_until_nothing_is_left()
    assert farm.daemon("stop").err.endswith("its daemon is no longer alive: it was stopped\n")


@contextlib.contextmanager
def listening(folder, **record):
    """A listener of version 1 with a connection file: its path, and what accepts a conversation."""
    with socket.socket(socket.AF_UNIX) as listener, open(str(folder / "former.json"), "w") as stream:
        listener.bind(str(folder / "former"))
        listener.listen(1)
        listener.settimeout(HANG_SECONDS)
        os.fchmod(stream.fileno(), 0o600)
        fcntl.flock(stream, fcntl.LOCK_EX)  # by its lock a reader sees that somebody lives
        known = {"wire": 1, "adaptor": "probe", "pid": os.getpid(), "started": 1, "host": socket.gethostname()}
        stream.write(json.dumps({**known, "address": "former"}) + "\n")
        stream.flush()
        yield stream.name, lambda: conversation(listener.accept()[0])


@pytest.mark.parametrize(
    "recorded, command, shown",
    [
        (RUN, ["run", "--run-data", '{"do": "say", "text": "café \U0001f600"}'], "INFO: café \U0001f600\n"),
        (STATUS, ["status"], "idle: probe, 1 task, up 1 s, pid 9\n"),
        (CANCEL, ["cancel"], "INFO: no task is running\n"),
    ],
    ids=["run", "status", "cancel"],
)
def test_a_command_is_served_by_a_daemon_of_version_1(farm, recorded, command, shown):
    with listening(farm.folder) as (path, accept):
        process = farm.popen("daemon", command[0], "--connection-file", path, *command[1:])
        with accept() as front:
            front.hear_hello()
            assert front.hear(1) == frames(recorded[0])
            front.say(HELLO + recorded[1])
            done = farm.finish(process)
    assert (done.code, done.out, done.err) == (0, shown, "")


RULE = {"source_path_format": "POSIX", "source_path": "/mnt/a", "destination_path": "/local/a"}


class Rules:
    path_mapping_rules = [PathMappingRule.from_dict(rule=RULE)]


def test_an_application_of_version_1_is_served():
    queue, said = ActionsQueue(), []
    server = AdaptorServer(queue, Rules())
    server.on_message = said.append
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        queue.enqueue_action(Action("add", {"a": 1, "b": 2}, 7))
        connection = socket.socket(socket.AF_UNIX)
        with open(server.server_path) as stream:
            connection.connect(
                os.path.join(os.path.dirname(server.server_path), json.loads(stream.readline())["address"])
            )
        with conversation(connection) as adaptor:
            adaptor.say(HELLO + ABOUT)
            assert adaptor.hear_hello()["rules"] == [RULE]
            assert adaptor.hear(1) == frames(ACTION)
            queue.enqueue_action(Action("close"))
            adaptor.say(ANSWER)
            assert adaptor.hear(1) == [({"action": "close", "args": None, "call": None}, b"")]
        assert said == [message for message, _ in frames(ABOUT + ANSWER) if "next" not in message]
    finally:
        server.shutdown()
        thread.join()


def test_an_application_is_served_by_an_adaptor_of_version_1(tmp_path):
    heard = []

    def serve():
        with accept() as application:
            application.hear_hello()
            application.say(RULES)
            application.hear(2)
            application.say(ACTION)
            heard.extend(application.hear(3))

    with listening(tmp_path) as (path, accept):
        thread = threading.Thread(target=serve)
        thread.start()
        client = Client(path)

        @client.action
        def add(a, b):
            client.progress(50)
            client.status("half")
            return {"sum": a + b, "mapped": client.map_path("/mnt/a/b")}

        assert client.poll_once(HANG_SECONDS)
        thread.join()
        client.close()
    assert heard == frames(ANSWER)[:3]
