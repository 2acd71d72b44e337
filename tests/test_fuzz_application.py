"""Applications that say what they should not: the server goes on, and a call is answered or fails at once."""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import sys
import threading
from pathlib import Path

import pytest

from openjd_adapt import Action, ActionsQueue, AdaptorServer, ApplicationAdaptor, InputError, application
from openjd_adapt.application import Application, ApplicationError, ApplicationExited
from openjd_adapt.output import ProgressThrottle
from openjd_adapt.transport import wire
from openjd_adapt.transport.wire import Decoder

from .conftest import ADAPTORS, HANG_SECONDS
from .fuzz import HELLO, KEYS, any_value, frame, head, ways_to_be_no_message
from .test_daemon import task

pytestmark = pytest.mark.posix_only

#: More than fits into a frame, which is smaller here.
TOO_LARGE = "y" * 300_000


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """The process stays when its client leaves here: its exit code is not worth a wait."""
    monkeypatch.setattr(application, "EXIT_SECONDS", 0.01)
    ProgressThrottle.waiting.clear()  # and what it reports is no other test's


@pytest.fixture
def small_frames(monkeypatch):
    monkeypatch.setattr(wire, "FRAME_LIMIT", 200_000)


class Silent(ApplicationAdaptor):
    stdin = True

    def get_command(self):
        return ["cat"]

    def on_run(self, run_data):
        """Nothing: here it is only asked for its rules, and told of progress."""


class Client:
    """An application's end of the wire that says whatever it is told to, before it takes actions as it should."""

    def __init__(self, server_path):
        record = json.loads(Path(server_path).read_text().splitlines()[0])
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(HANG_SECONDS)
        self._socket.connect(os.path.join(os.path.dirname(server_path), record["address"]))
        self._decoder = Decoder()
        self.say(HELLO)
        self._socket.recv(65536)
        self.say(frame({"about": "a client of the tests"}))

    def say(self, data):
        self._socket.sendall(data)

    def actions(self):
        """The actions that come one by one, until the server hangs up."""
        with contextlib.suppress(OSError):
            self.say(frame({"next": True}))
            while True:
                data = self._socket.recv(65536)
                if not data:
                    return
                for message, _ in self._decoder.feed(data):
                    if "action" in message:
                        yield message
                        self.say(frame({"next": True}))

    def answer(self):
        """Answer every action with its arguments, on a thread of its own."""

        def serve():
            for action in self.actions():
                self.say(frame({"answer": action["call"], "result": action["args"]}))

        threading.Thread(target=serve, daemon=True).start()

    def close(self):
        self._socket.close()


class Pair:
    """An application that runs for as long as the test, and its client."""

    def __init__(self):
        self.app = Application(Silent({}), ["cat"])
        self.client = Client(self.app._server.server_path)

    def call(self, **args):
        """A call, and how it ended: with its arguments, or with the error that says that the application is gone."""
        try:
            return self.app.call("echo", timeout=HANG_SECONDS, **args)
        except ApplicationExited as error:
            assert "has closed its connection" in str(error)
            return error

    def end(self):
        self.client.close()
        self.app.process.terminate(0)
        ender = threading.Thread(target=self.app.end, daemon=True)
        ender.start()
        ender.join(HANG_SECONDS)
        assert not ender.is_alive(), "the server has not ended"


@pytest.fixture
def pair():
    pair = Pair()
    yield pair
    pair.end()


WRONG = [
    {"answer": []},
    {"answer": {}},
    {"answer": [[1]], "result": 1},
    {"answer": None, "error": "x"},
    {"answer": "1"},
    {"answer": float("nan")},
    {"answer": float("inf")},
    {"answer": -1, "error": [], "traceback": {}},
    {"answer": 10**400},
    {"progress": "x"},
    {"progress": "50"},
    {"progress": None},
    {"progress": []},
    {"progress": {"percent": 5}},
    {"progress": True},
    {"progress": float("nan")},
    {"progress": float("-inf")},
    {"progress": 10**400},
    {"status": {"text": []}},
    {"status": None},
    {"status": ""},
    {"status": 5},
    {"status": "\ud800"},
    {"status": "openjd_fail: not from here\nopenjd_fail: nor from here"},
    {"about": 5},
    {"about": None},
    {"about": []},
    {"about": "\ud800\0\n"},
    {"next": None},
    {"next": [], "answer": []},
    {"hello": []},
    {"close": True},
    {"error": 5, "code": "x"},
    {"action": [], "args": 5, "call": {}},
    {},
]


@pytest.mark.parametrize("message", WRONG, ids=lambda message: "%.60s" % json.dumps(message))
def test_after_a_message_with_a_wrong_value_the_next_call_is_answered(pair, message):
    pair.client.say(frame(message))
    pair.client.answer()
    assert pair.call(x=1) == {"x": 1}


@pytest.mark.parametrize("call", [4711, "x", None, [], {}, [{"a": 1}], True, 1.5], ids=str)
def test_an_answer_to_a_call_that_nobody_made_is_said(pair, caplog, call):
    pair.client.say(frame({"answer": call, "result": "of nothing"}))
    pair.client.answer()
    assert pair.call(x=1) == {"x": 1}
    assert "has answered a call that nobody made: %r" % (call,) in caplog.text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "50", None], ids=str)
def test_progress_that_is_not_a_number_is_said(pair, caplog, value):
    pair.client.say(frame({"progress": value}))
    pair.client.answer()
    assert pair.call(x=1) == {"x": 1}
    assert "has reported a progress that is not a number: %r" % (value,) in caplog.text


@pytest.mark.parametrize("about", ["", " \n", None, [], 0])
def test_a_client_is_connected_whatever_it_says_about_itself(about):
    pair = Pair()
    try:
        pair.client.say(frame({"about": about}))
        pair.app.wait_until_connected(HANG_SECONDS)
    finally:
        pair.end()


@pytest.mark.parametrize("number", [True, 1.0])
def test_only_a_calls_own_number_answers_it(pair, number):
    def serve():
        for action in pair.client.actions():
            pair.client.say(frame({"answer": number, "result": "of nothing"}))
            pair.client.say(frame({"answer": action["call"], "result": action["args"]}))

    threading.Thread(target=serve, daemon=True).start()
    assert pair.call(x=1) == {"x": 1}


@pytest.mark.parametrize(
    "answer",
    [
        {"error": None},
        {"error": ["a", {"list": 1}]},
        {"error": "x", "traceback": ["no", "text"]},
        {"error": "\ud800", "traceback": 5},
        {"error": {}, "result": 1},
    ],
)
def test_an_answer_with_an_error_of_any_type_fails_its_call(pair, answer):
    def serve():
        for action in pair.client.actions():
            pair.client.say(frame({"answer": action["call"], **answer}))

    threading.Thread(target=serve, daemon=True).start()
    with pytest.raises(ApplicationError, match="echo failed in the application: ") as caught:
        pair.call(x=1)
    assert isinstance(caught.value.detail, str)


@pytest.mark.parametrize("seed", range(4))
def test_after_random_messages_of_its_own_keys_the_next_call_is_answered(pair, seed):
    rnd = random.Random(seed)
    keys = ["about", "next", "progress", "status", "answer", "result", "error", "traceback", "call", "action", "close"]
    said = []
    for _ in range(500):
        message = {rnd.choice(keys): any_value(rnd), rnd.choice(KEYS): any_value(rnd)}
        if type(message.get("answer")) is int:
            message["answer"] += 1 << 40  # an answer to a call that is made would be one
        said.append(frame(message))
    pair.client.say(b"".join(said))
    pair.client.answer()
    assert pair.call(x=seed) == {"x": seed}


@pytest.mark.parametrize("seed", range(4))
def test_after_a_frame_that_is_no_message_a_call_fails_at_once(pair, seed):
    rnd = random.Random(seed)
    data = rnd.choice([frame(ways_to_be_no_message(rnd)), head(0xFFFFFFFF), frame(b"[" * 100_000)])
    pair.client.say(data)
    assert isinstance(pair.call(), ApplicationExited)


@pytest.mark.parametrize("key", ["about", "status", "progress", "answer", "next", "error"])
def test_what_is_nested_however_deeply_is_heard_or_ends_the_connection(key):
    limit = sys.getrecursionlimit()
    for depth in [10, 500, *range(limit - 60, limit + 10, 5), 100_000]:
        pair = Pair()
        try:
            pair.client.say(frame(b'{"%s": %s%s}' % (key.encode(), b"[" * depth, b"]" * depth)))
            pair.client.answer()
            result = pair.call(x=1)
            assert result == {"x": 1} or isinstance(result, ApplicationExited), depth
        finally:
            pair.end()


# What is asked of it


def test_arguments_over_the_limit_fail_their_call_and_the_next_one_is_answered(pair, small_frames):
    pair.client.answer()
    with pytest.raises(InputError, match="over the limit"):
        pair.app.call("echo", timeout=HANG_SECONDS, blob=TOO_LARGE)
    with pytest.raises(InputError, match="over the limit"):
        pair.app.cast("echo", blob=TOO_LARGE)
    assert pair.call(x=1) == {"x": 1}


def test_arguments_that_change_after_their_cast_do_the_next_call_no_harm(pair):
    changing = []
    pair.app.cast("echo", x=changing)
    changing.append(object())
    pair.client.answer()
    assert pair.call(x=1) == {"x": 1}


@pytest.mark.parametrize(
    "args", [{"x": object()}, {"x": float("nan")}, {"x": {1, 2}}, {("a", "b"): 1}, {"x": TOO_LARGE}]
)
def test_an_action_that_cannot_be_said_does_those_behind_it_no_harm(args, small_frames):
    queue = ActionsQueue()
    server = AdaptorServer(queue, Silent({}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with contextlib.suppress(InputError):  # whom it is told is left open, as long as it is not the thread that serves
        queue.enqueue_action(Action("bad", args))
    queue.enqueue_action(Action("good", {"x": 1}))
    client = Client(server.server_path)
    assert next(client.actions())["action"] == "good"
    client.close()
    server.shutdown()
    thread.join(HANG_SECONDS)
    assert not thread.is_alive()


# In a daemon


def test_what_is_of_a_wrong_type_is_said_and_the_daemon_goes_on(farm):
    farm.adaptor = str(ADAPTORS / "kept_open.py")
    assert farm.daemon("start").code == 0
    done = task(farm, {"call": "lie", "args": {"call": [{"a": 1}]}})
    assert (done.code, done.lines[-1:]) == (0, ["result None"]), done
    assert "has answered a call that nobody made: [{'a': 1}]" in done.out
    done = task(farm, {"call": "report", "args": {"percents": ["x", None, [], {}, "50", 25]}})
    assert (done.code, done.lines[-1:]) == (0, ["result None"]), done
    assert "openjd_progress: 25" in done.lines and "'x'" in done.out
    assert task(farm, {"call": "pid"}).code == 0
    assert farm.daemon("stop").code == 0
