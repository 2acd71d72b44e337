"""A daemon whose socket gets everything but what it is for: it stays well, small and quick."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from openjd_adapt.transport import wire

from . import fuzz
from .conftest import HANG_SECONDS, ROOT, Farm, wait_until
from .fuzz import HELLO, STATUS, Fault, Siege, Watch, frame, messages
from .hurry import hurry

pytestmark = pytest.mark.posix_only

#: More than the connections of any crowd here, and fewer than any host's hard limit.
DESCRIPTORS = 3000


@contextlib.contextmanager
def started(folder, handshake_seconds=None):
    """A farm with a daemon that has started; ``handshake_seconds``: what it gives unknown peers, if not the usual."""
    farm = Farm(folder)
    if handshake_seconds:
        hurry(farm, handshake_seconds, "transport.wire.HANDSHAKE_SECONDS")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, DESCRIPTORS), hard))
    assert farm.daemon("start").code == 0
    yield farm
    assert farm.daemon("stop").code == 0
    farm.wait_until_nothing_is_left(0)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def besieged(tmp_path_factory):
    with started(tmp_path_factory.mktemp("siege")) as farm:
        yield Siege(farm)


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    with started(tmp_path_factory.mktemp("crowd"), 300.0) as farm:
        yield Siege(farm)


def as_before(siege):
    siege.memory = siege.measure()
    siege.counts.clear()
    yield siege
    siege.leave()
    siege.check()


@pytest.fixture
def siege(besieged):
    """A siege of a daemon that has started; afterwards the daemon must be as it was before."""
    yield from as_before(besieged)


@pytest.fixture
def crowd(patient):
    """The same of a daemon that gives unknown peers longer than a test waits: it would hang if it waited for one."""
    yield from as_before(patient)


def hear(connection, *keys):
    """The value of the first of ``keys`` that comes in a message, and the output before that."""
    decoder = wire.Decoder()
    output = b""
    while True:
        data = connection.recv(65536)
        assert data, "the daemon has hung up"
        for message, body in decoder.feed(data):
            output += body
            for key in keys:
                if key in message:
                    return message[key], output


@pytest.fixture
def introduce():
    """Makes connections that have said hello."""
    with contextlib.ExitStack() as stack:

        def connect(siege):
            connection = stack.enter_context(contextlib.closing(siege.connect()))
            connection.settimeout(HANG_SECONDS)
            connection.sendall(HELLO)
            hear(connection, "hello")
            return connection

        yield connect


# Everything at once


@pytest.mark.parametrize("seed, frames", [(1, 5000), pytest.param(2, 50_000, marks=pytest.mark.long)])
def test_random_frames_do_a_daemon_no_harm(siege, seed, frames):
    siege.random.seed(seed)
    fuzz.besiege(siege, frames)
    assert set(siege.counts) == set(fuzz.KINDS)


@pytest.mark.long
def test_the_same_as_a_command_tells_how_many_frames_it_has_thrown():
    command = [sys.executable, "-m", "tests.fuzz", "--frames", "100", "--seed", "7"]
    done = subprocess.run(command, cwd=str(ROOT), stdout=subprocess.PIPE, timeout=HANG_SECONDS)
    progress, last = done.stdout.decode().splitlines()
    assert "messages " in progress and "the longest wait for the status" in progress
    frames, faults = last.split(", ")[:2]
    assert (done.returncode, faults) == (0, "0 faults") and int(frames.split()[0]) >= 100


@pytest.mark.long
def test_a_siege_notices_a_daemon_that_dies(farm):
    assert farm.daemon("start").code == 0
    siege = Siege(farm)
    os.kill(siege.keeper, signal.SIGKILL)
    farm.wait_until_nothing_is_left()
    with pytest.raises(Fault, match="was killed by SIGKILL"):
        siege.check()
    with pytest.raises(Fault, match="cannot be reached"), Watch(siege) as watch:
        watch.join(HANG_SECONDS)
    assert farm.daemon("stop").code == 0


# Frames


BAD_FRAMES = [
    frame(b""),
    frame(b"[]"),
    frame(b"{"),
    frame(b'"do"'),
    frame(b'{"do": "\xff"}'),
    frame(b"[" * 4000),
    fuzz.head(0xFFFFFFFF),
    fuzz.head(1, 0xFFFFFFFF),
]


def test_a_bad_frame_is_answered_with_an_error_and_the_end_of_the_connection(siege):
    for data in BAD_FRAMES:
        siege.expect_refusal(data)
        siege.expect_refusal(HELLO + data)
        siege.expect_refusal(HELLO + STATUS + data + STATUS)


def largest(accepted, end):
    """The largest number below ``end`` that is ``accepted``, as all before it are."""
    begin = 1
    while end - begin > 1:
        middle = (begin + end) // 2
        begin, end = (middle, end) if accepted(middle) else (begin, middle)
    return begin


@pytest.mark.parametrize("opening, closing", [(b"[", b"]"), (b'{"":', b"}")], ids=["lists", "objects"])
def test_run_data_nested_as_deeply_as_can_be_read_do_the_daemon_no_harm(siege, opening, closing):
    def answers(depth):
        text = b'{"do": "run", "data": {"": %s1%s}}' % (opening * depth, closing * depth)
        return messages(siege.say(HELLO + frame(text)))

    def is_json(depth):
        return not any("not JSON" in message.get("error", "") for message in answers(depth))

    # How deep that is depends on the interpreter; what is done with the data may reach less deep than reading them.
    deepest = largest(is_json, 300_000)
    for depth in range(max(1, deepest - 20), deepest + 2):
        assert answers(depth), depth
    siege.check()


@pytest.mark.long
def test_run_data_that_grow_over_the_limit_when_they_are_passed_on_are_refused(siege):
    text = b'{"do": "run", "data": {"x": "%s"}}' % ("ü".encode() * (wire.FRAME_LIMIT // 6 + 1))
    errors = [message.get("error", "") for message in messages(siege.say(HELLO + frame(text)))]
    assert "over the limit" in "".join(errors)
    siege.memory = siege.measure()  # what the allocator keeps of one frame of 22 MB


# Conversations


def unread(siege):
    return siege.status()["unread_bytes"]


def test_a_replayed_conversation_gains_nothing(siege):
    said, heard = siege.recordings()[0]
    assert b'"ack"' in said and b"line 49" in heard
    late = json.dumps({"do": "late", "text": "nobody was there"})
    assert siege.farm.daemon("run", "--run-data", late).code == 0
    wait_until(lambda: unread(siege))
    for _ in range(3):
        with contextlib.closing(siege.connect()) as connection:
            connection.sendall(said)
            result, output = hear(connection, "result")
            assert result["outcome"] == "done" and output.startswith(b"nobody was there\nline 0\n")
    # The acknowledgements were of another time: all of it is shown again to who really asks.
    lines = ["line %d" % number for number in range(50)]
    assert siege.run_task("next").lines == ["nobody was there", *lines * 3, "INFO: next"]


@pytest.mark.long
def test_a_reflected_conversation_gains_nothing(siege):
    recordings = siege.recordings()
    tasks = siege.status()["tasks"]
    for _, heard in recordings:
        answer = siege.say(heard * 3)
        first, *rest = messages(answer)
        assert "hello" in first and rest  # the daemon's own hello is one, and nothing else that it says is a request
        assert all("unknown request None" in message["error"] for message in rest)
        siege.say(answer)
    assert (siege.status()["tasks"], unread(siege)) == (tasks, 0)


@contextlib.contextmanager
def paused(pid):
    """What is said to a paused process is all there when it goes on."""
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: "State:\tT" in Path("/proc/%d/status" % pid).read_text())
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def run(data):
    return frame({"do": "run", "data": data})


def test_a_second_request_of_a_front_takes_no_result_of_anothers_task(siege, introduce):
    first, second = introduce(siege), introduce(siege)
    first.sendall(run({}))
    hear(first, "result")
    with paused(siege.keeper):
        second.sendall(run({"do": "say", "text": "of the second"}))
        first.sendall(run({"do": "fail", "text": "of the first"}))
    answer, output = hear(second, "result", "error")
    if answer == "the daemon is busy with a task":  # the first was heard first
        answer, output = hear(first, "result")
        assert answer["message"] == "RuntimeError: of the first" and b"of the second" not in output
    else:
        assert (answer["outcome"], output) == ("done", b"INFO: of the second\n")


def test_a_stop_at_the_moment_of_a_run_is_not_taken_for_its_end(farm, introduce):
    assert farm.daemon("start").code == 0
    siege = Siege(farm)
    first, second = introduce(siege), introduce(siege)
    first.sendall(run({}))
    hear(first, "result")
    with paused(siege.keeper):
        second.sendall(run({"do": "say", "text": "of the second"}))
        first.sendall(frame({"do": "stop", "within": HANG_SECONDS}))
    answer, output = hear(second, "result", "error")
    if answer != "the daemon is stopping":  # unless the first was heard first
        assert answer["outcome"] == "canceled" or b"of the second" in output, answer
    second.close()
    result, output = hear(first, "result")
    assert result["outcome"] == "done" and output.endswith(b"INFO: on_stop\nINFO: on_cleanup\n")
    first.close()
    farm.wait_until_nothing_is_left()
    assert farm.daemon("stop").code == 0


# Crowds


def test_a_flood_of_connections_that_never_speak_holds_up_nobody(crowd):
    with Watch(crowd):
        for _ in range(2):
            crowd.throw("flood")
            crowd.run_task()


def test_500_idle_connections_hold_up_nobody(crowd):
    idle = crowd.lingering["flood"]
    for number in range(1000):
        idle.append((crowd.connect(), None))
        if number % 2:
            idle[-1][0].sendall(HELLO)
    crowd.status()
    crowd.run_task()
    assert crowd.count_descriptors() > 1000


@pytest.mark.long
def test_a_flood_over_the_limit_of_descriptors_ends_by_itself(farm):
    farm.python = ["sh", "-c", 'ulimit -n 64; exec "$0" "$@"', sys.executable]
    assert farm.daemon("start").code == 0
    siege = Siege(farm)
    connections = [siege.connect() for _ in range(100)]
    siege.check()  # the oldest ones make room
    [message] = messages(fuzz.converse(connections[0], b"", leave=False))
    assert message["error"] == "the peer did not make itself known, and others wait"
    for connection in connections:
        connection.close()
    assert farm.daemon("stop").code == 0


def test_slow_senders_hold_up_nobody(crowd, introduce):
    known = [introduce(crowd) for _ in range(20)]
    unknown = [(crowd.connect(), None) for _ in range(20)]
    crowd.lingering["slow"] += unknown
    with Watch(crowd):
        for position in range(len(STATUS)):
            for connection in known:
                connection.sendall(STATUS[position : position + 1])
            for connection, _ in unknown:
                connection.sendall(HELLO[position : position + 1])
        crowd.run_task()
        for connection in known:
            assert hear(connection, "status")[0]["pid"] == crowd.keeper
            connection.close()


@pytest.mark.long
def test_who_has_begun_to_say_hello_has_no_more_time_for_it(tmp_path):
    with started(tmp_path, 1.0) as farm, contextlib.closing(Siege(farm).connect()) as peer:
        for byte in HELLO:
            peer.sendall(bytes([byte]))
            if select.select([peer], [], [], 0.2)[0]:
                break
        [message] = messages(fuzz.converse(peer, b"", leave=False))
        assert message["error"] == "the peer did not make itself known within 1 s"


def test_a_peer_that_never_reads_its_answers_costs_no_memory(siege, introduce):
    connection = introduce(siege)
    count = fuzz.ask_without_listening(connection, 200_000) - 1
    siege.check()
    # It has lost nothing by that: when it listens after all, it is told all that it has asked for.
    connection.settimeout(HANG_SECONDS)
    decoder = wire.Decoder()
    answers = 0
    while answers < count:
        answers += sum("status" in message for message, _ in decoder.feed(connection.recv(1 << 16)))


ASKERS = """
import select, socket, sys
from tests.fuzz import HELLO, STATUS

questions = STATUS * 1000
poll = select.poll()
askers = {}
for _ in range(32):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(sys.argv[1])
    connection.setblocking(False)
    askers[connection.fileno()] = [connection, HELLO + questions]
    poll.register(connection, select.POLLIN | select.POLLOUT)
print("asking", flush=True)
while True:
    for descriptor, events in poll.poll():
        connection, data = askers[descriptor]
        if events & select.POLLIN:
            connection.recv(1 << 20)
        if events & select.POLLOUT:
            askers[descriptor][1] = data[connection.send(data) :] or questions
"""


@pytest.mark.long
def test_32_peers_that_ask_without_end_hold_up_nobody(siege):
    # A process of its own, so that it is not a burden for this one, which measures.
    command = [sys.executable, "-c", ASKERS, siege.address]
    with subprocess.Popen(command, cwd=str(ROOT), stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == b"asking\n"
            siege.status()
            siege.run_task()
        finally:
            process.kill()
