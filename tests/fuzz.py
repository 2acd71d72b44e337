"""A siege of a daemon: seeded random frames at its socket, and what must hold all the while. See ``--help``.

python -m tests.fuzz --frames 1000000 --seed 1
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import fcntl
import json
import os
import random
import re
import select
import shutil
import socket
import struct
import sys
import tempfile
import threading
import time
from pathlib import Path

from openjd_adapt.transport import wire

from .conftest import HANG_SECONDS, Farm

#: How much work, in seconds of a core's time, a daemon under siege may do before it tells its status, however busy the
#: machine is; and how much memory it may gain.
STATUS_WORK_SECONDS = 2.0
MEMORY_BYTES = 16 * 1024 * 1024
#: How many connections of a kind are left open.
SLOW = 16
DEAF = 6
FLOOD = 200
#: How many answers a deaf peer asks for: those of all of them are more than the memory that may be gained.
DEAF_QUESTIONS = 20_000
#: Between two checks.
CHECK_FRAMES = 20_000
CHECK_SECONDS = 10.0

KEYS = ["hello", "do", "data", "within", "cancel", "ack", "package", "output", "result", "status", "error", "code"]
KEYS += ["ready", "contained", "note", "canceled", "gone", "init", "token", "folder", "frame", "", "\0", "é", "\ud800"]
REQUESTS = ["run", "run", "status", "cancel", "start", "Stop", "stop ", "dance", ""]


class Fault(AssertionError):
    """Something that must hold does not."""


def head(text_size, body_size=0):
    return struct.pack(">II", text_size, body_size)


def frame(message, body=b""):
    """A frame of a message, or of any bytes in its place."""
    text = message if isinstance(message, bytes) else json.dumps(message).encode()
    return head(len(text), len(body)) + text + body


HELLO = frame({"hello": wire.VERSION, "package": "/siege"})
STATUS = frame({"do": "status"})


def converse(connection, data, leave=True, timeout=HANG_SECONDS, step=1 << 20):
    """Send ``data``, ``step`` bytes at a time, and return all that is answered until the daemon hangs up.

    ``leave``: hang up first, once all is sent. Raises :class:`Fault` when nothing moves.
    """
    connection.setblocking(False)
    poll = select.poll()
    answer = b""
    view = memoryview(data)
    if leave and not view:
        connection.shutdown(socket.SHUT_WR)
    while True:
        poll.register(connection, select.POLLIN | (select.POLLOUT if view else 0))
        events = dict(poll.poll(timeout * 1000)).get(connection.fileno())
        if events is None:
            raise Fault("the daemon neither took a frame nor hung up for %g s" % timeout)
        if events & ~select.POLLOUT:
            try:
                got = connection.recv(1 << 18)
            except ConnectionResetError:
                got = b""
            if not got:
                return answer
            answer += got
        elif view:
            try:
                view = view[connection.send(view[:step]) :]
            except (BrokenPipeError, ConnectionResetError):
                view = view[:0]
            if leave and not view:
                connection.shutdown(socket.SHUT_WR)


def messages(answer):
    """The messages of an answer, without output."""
    return [message for message, _ in wire.Decoder().feed(answer) if "output" not in message]


class Siege:
    """A daemon that has started, what is thrown at it, and how it was before."""

    def __init__(self, farm, seed=0):
        self.farm = farm
        self.random = random.Random(seed)
        #: Frames by kind.
        self.counts = collections.Counter()
        #: Connections that are left open: what they have not said yet, by kind.
        self.lingering = {"slow": [], "deaf": [], "flood": []}
        record = json.loads(farm.file.read_text().splitlines()[0])
        self.address = str(farm.folder / record["address"])
        self.keeper = record["pid"]
        self._recordings = []
        self.check()
        self.memory = self.measure()
        self.gained = 0
        self._descriptors = self.count_descriptors()

    # Talking

    def recordings(self):
        """What real commands and the daemon have said to each other: what each has said, by command."""
        if not self._recordings:
            lines = json.dumps({"do": "lines", "how": "print", "count": 50})
            for command in (["run", "--run-data", lines], ["status"], ["cancel"]):
                self._recordings.append(record_session(self.farm, *command))
        return self._recordings

    def connect(self):
        connection = socket.socket(socket.AF_UNIX)
        # A connect with a timeout of Python's own fails at once where others wait to be accepted.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(HANG_SECONDS), 0))
        try:
            connection.connect(self.address)
        except OSError as error:
            connection.close()
            raise Fault("the daemon cannot be reached: %s\n%r" % (error, self.farm.daemon("status"))) from None
        return connection

    def say(self, data, **options):
        """Say all of ``data`` in a connection of its own; the answers until it is closed."""
        with contextlib.closing(self.connect()) as connection:
            return converse(connection, data, **options)

    def ask_status(self):
        """Ask for the status in a connection of its own; all that is said until it comes."""
        with contextlib.closing(self.connect()) as connection:
            connection.sendall(HELLO + STATUS)
            answer = piece = connection.recv(65536)
            while piece and not any("status" in message for message in messages(answer)):
                piece = connection.recv(65536)
                answer += piece
            return answer

    def expect_refusal(self, data):
        """As :meth:`say`, of what must be answered with an error and the end of the connection."""
        answer = self.say(data, leave=False)
        if not any("error" in message for message in messages(answer)):
            raise Fault("the daemon has refused %.200r without an error: %.200r" % (data, answer))

    def throw(self, kind):
        """Throw one volley; how many frames it had."""
        count = KINDS[kind](self, self.random)
        self.counts[kind] += count
        return count

    # What must hold

    def status(self):
        done = self.farm.daemon("status", "--json")
        if done.code != 0:
            raise Fault("daemon status: %r" % done)
        return json.loads(done.out)

    def run_task(self, text="well"):
        """A real command runs a task, and takes all output that nobody has taken."""
        done = self.farm.daemon("run", "--run-data", json.dumps({"do": "say", "text": text}))
        if done.code != 0 or done.lines[-1:] != ["INFO: " + text]:
            raise Fault("daemon run: %.2000r" % done)
        return done

    def check(self):
        """Raise :class:`Fault` unless the daemon is the same, well, and no larger."""
        pid = self.status()["pid"]
        if pid != self.keeper:
            raise Fault("the keeper was process %d and is process %d" % (self.keeper, pid))
        self.run_task()
        if hasattr(self, "memory"):
            self.gained = max(self.gained, self.measure() - self.memory)
            if self.gained > MEMORY_BYTES:
                raise Fault("the keeper has gained %d bytes of memory" % self.gained)

    def leave(self):
        """Close all connections that were left open; the keeper must close its ends, too."""
        for connections in self.lingering.values():
            while connections:
                connections.pop()[0].close()
        end = time.monotonic() + HANG_SECONDS
        while self.count_descriptors() > self._descriptors:
            if time.monotonic() > end:
                count = self.count_descriptors()
                raise Fault("the keeper had %d descriptors and has %d" % (self._descriptors, count))
            time.sleep(0.02)

    def measure(self):
        text = Path("/proc/%d/status" % self.keeper).read_text()
        return 1024 * int(re.search(r"RssAnon:\s+(\d+)", text).group(1))

    def worked_seconds(self):
        """How much of a core's time the keeper has had; 0 if it is dead."""
        try:
            fields = Path("/proc/%d/stat" % self.keeper).read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def count_descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.keeper))


class Watch(threading.Thread):
    """Asks for the status over and over while a siege goes on, and remembers the longest wait, and the most work."""

    def __init__(self, siege):
        super().__init__(name="watch", daemon=True)
        self._siege = siege
        self._over = threading.Event()
        self.longest = self.hardest = 0.0
        self.fault = None

    def run(self):
        try:
            while not self._over.wait(0.1):
                begin, worked = time.monotonic(), self._siege.worked_seconds()
                answer = self._siege.ask_status()
                self.longest = max(self.longest, time.monotonic() - begin)
                self.hardest = max(self.hardest, self._siege.worked_seconds() - worked)
                pids = [message["status"]["pid"] for message in messages(answer) if "status" in message]
                if pids != [self._siege.keeper]:
                    raise Fault("asked for its status, the daemon says %.500r" % answer)
        except Fault as fault:
            self.fault = fault

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        self._over.set()
        self.join()
        if self.fault is None and self.hardest > STATUS_WORK_SECONDS:
            self.fault = Fault("the daemon worked for %.2f s before it told its status" % self.hardest)
        if self.fault and exception[0] is None:
            raise self.fault


def record_session(farm, word, *arguments):
    """Let a real command talk to the daemon; what it says, and what the daemon says."""
    record = json.loads(farm.file.read_text().splitlines()[0])
    path = farm.folder / "recorded.json"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as daemon:
        listener.bind(str(farm.folder / "recorder"))
        listener.listen(1)
        listener.settimeout(HANG_SECONDS)
        with open(str(path), "w") as stream:
            os.fchmod(stream.fileno(), 0o600)
            fcntl.flock(stream, fcntl.LOCK_EX)  # by its lock a command sees that a daemon lives
            stream.write(json.dumps({**record, "address": "recorder"}) + "\n")
            stream.flush()
            process = farm.popen("daemon", word, "--connection-file", str(path), *arguments)
            command, _ = listener.accept()
            daemon.connect(str(farm.folder / record["address"]))
            with command:
                conversation = relay(command, daemon)
    done = farm.finish(process)
    for name in ("recorded.json", "recorder"):
        (farm.folder / name).unlink()
    if done.code != 0:
        raise Fault("a recorded command failed: %r" % done)
    return conversation


def relay(one, other):
    """Pass on what either says until one hangs up; what each has said."""
    said = {one: b"", other: b""}
    while True:
        ready = select.select([one, other], [], [], HANG_SECONDS)[0]
        if not ready:
            raise Fault("a conversation of a command and its daemon came to a halt after %r" % list(said.values()))
        for source in ready:
            data = source.recv(1 << 16)
            if not data:
                return said[one], said[other]
            said[source] += data
            (other if source is one else one).sendall(data)


# Random values


def any_value(rnd, depth=0):
    """A JSON value of any type."""
    kind = rnd.randrange(10 if depth < 3 else 8)
    if kind == 0:
        return rnd.choice([None, True, False])
    if kind == 1:
        return rnd.choice([0, 1, -1, 60, 1 << 31, -(1 << 63), 1 << 64, 10 ** rnd.randrange(400)])
    if kind == 2:
        return rnd.choice([0.0, -0.0, 0.5, 1e308, 5e-324, float("inf"), float("-inf"), float("nan"), rnd.random()])
    if kind <= 5:
        return rnd.choice(KEYS + REQUESTS)
    if kind == 6:
        return "".join(chr(rnd.randrange(0x110000)) for _ in range(rnd.randrange(12)))
    if kind == 7:
        return rnd.randrange(1 << 20)
    if kind == 8:
        return [any_value(rnd, depth + 1) for _ in range(rnd.randrange(4))]
    return {rnd.choice(KEYS): any_value(rnd, depth + 1) for _ in range(rnd.randrange(4))}


def any_message(rnd):
    """A message of the protocol's own keys, and of others, with values of any type.

    It is not a valid stop, and cancels nothing so soon that the worker is killed: both may end a daemon.
    """
    message = {rnd.choice(KEYS): any_value(rnd) for _ in range(rnd.randrange(4))}
    if rnd.random() < 0.5:
        message["do"] = rnd.choice(REQUESTS)
        if rnd.random() < 0.7:
            message["data"] = {} if rnd.random() < 0.5 else any_value(rnd)
    if rnd.random() < 0.2:
        message[rnd.choice(["ack", "cancel", "within"])] = any_value(rnd)
    for key in ("cancel", "within"):
        value = message.get(key)
        if isinstance(value, (int, float)) and 0 <= value < 60:
            message[key] = 60 + value
    return message


def ways_to_be_no_message(rnd):
    """A frame's text that is not a JSON object."""
    return rnd.choice(
        [
            b"",
            b"[]",
            b"null",
            b"1",
            b'"do"',
            b"{",
            b'{"do": "status"',
            b'{"do": "status"} {"do": "status"}',
            b'{"do": status}',
            b"{'do': 1}",
            b'{"do": "\xff\xfe"}',
            b'{"\xed\xa0\x80": 1}',
            b"\xef\xbb\xbf{}",
            b'{"do": "\n"}',
            b'{"do": 0x1}',
            b'{"do": 01}',
            b'{"do": +1}',
            b"\0" * rnd.randrange(1, 100),
            b"[" * rnd.randrange(1, 4000),
            b'{"do":' * rnd.randrange(1, 600),
            json.dumps(any_message(rnd)).encode()[:-1],
        ]
    )


def perhaps_hello(rnd):
    return rnd.choice([b"", HELLO])


# Kinds of volleys


def well_formed_messages(siege, rnd):
    """Messages after a hello, in pieces of any size."""
    count = rnd.randrange(1, 800)
    data = HELLO + b"".join(frame(any_message(rnd)) for _ in range(count))
    siege.say(data, step=rnd.choice([7, 1000, 1 << 20]) if count < 50 else 1 << 20)
    return 1 + count


def messages_before_a_hello(siege, rnd):
    """Anything but a hello as the first frame is refused."""
    message = any_message(rnd)
    message["hello"] = rnd.choice([None, "1", 1.0, [], {}, wire.VERSION + 2, -1, 1 << 70, float("nan")])
    siege.expect_refusal(frame(message))
    return 1


def random_bytes(siege, rnd):
    data = perhaps_hello(rnd) + bytes(rnd.randrange(256) for _ in range(rnd.choice([1, 7, 8, 9, 100, 5000])))
    siege.say(data)
    return 1


def random_bytes_in_frames(siege, rnd):
    siege.expect_refusal(perhaps_hello(rnd) + frame(b"\x80" + bytes(rnd.randrange(256) for _ in range(40))))
    return 1


def no_json_objects(siege, rnd):
    good = [frame(any_message(rnd)) for _ in range(rnd.randrange(3))]
    siege.expect_refusal(HELLO + b"".join(good) + frame(ways_to_be_no_message(rnd)))
    return 2 + len(good)


def wrong_lengths(siege, rnd):
    text = json.dumps(any_message(rnd)).encode()
    sizes = [max(0, len(text) + rnd.randrange(-5, 6)), max(0, rnd.randrange(-5, 6))]
    siege.say(perhaps_hello(rnd) + head(*sizes) + text + frame(any_message(rnd)))
    return 1


def truncated_frames(siege, rnd):
    data = frame(any_message(rnd), b"body" * rnd.randrange(2))
    siege.say(perhaps_hello(rnd) + data[: rnd.randrange(len(data))])
    return 1


def hung_up(siege, rnd):
    """The connection is closed at any point, and nobody takes what is answered."""
    data = HELLO + b"".join(frame(any_message(rnd)) for _ in range(rnd.randrange(5))) + STATUS
    gone = contextlib.suppress(BrokenPipeError, ConnectionResetError)
    with contextlib.closing(siege.connect()) as connection, gone:
        connection.sendall(data[: rnd.randrange(len(data))])
    return 1


def deep_nesting(siege, rnd):
    # Interesting is where the interpreter's limit is about to be reached.
    depth = rnd.choice([rnd.randrange(1, 1200), rnd.randrange(-60, 20) + sys.getrecursionlimit(), 100_000])
    opening, closing = rnd.choice([(b"[", b"]"), (b'{"":', b"}"), (b'[{"":', b"}]")])
    inner = opening * depth + b"1" + closing * depth
    text = rnd.choice([b'{"do": %s}', b'{"do": "run", "data": {"": %s}}', b'{"ack": %s}', b'{"cancel": %s}']) % inner
    siege.say(HELLO + frame(text))
    siege.say(HELLO + frame({"do": "run"}, b'{"": %s}' % inner))
    siege.say(frame(b'{"hello": 9, "package": %s}' % inner))
    return 5


def huge_numbers(siege, rnd):
    number = rnd.choice([b"9" * rnd.randrange(3000, 6000), b"1e999", b"-1e999", b"NaN", b"Infinity", b"1e-999"])
    numbers = [b'{"ack": %s}', b'{"do": %s}', b'{"do": "run", "data": {"": %s}}', b'{"do": "status", "within": -%s}']
    siege.say(HELLO + frame(rnd.choice(numbers) % number.lstrip(b"-")))
    siege.say(HELLO + frame({"do": "run"}, b'{"": %s}' % number))
    siege.say(frame(b'{"hello": %s}' % number))
    return 5


def any_body(rnd):
    """Run data: perhaps an object, perhaps JSON, perhaps not."""
    kind = rnd.randrange(5)
    if kind == 0:
        return bytes(rnd.randrange(256) for _ in range(rnd.randrange(2000)))
    if kind == 1:
        return ways_to_be_no_message(rnd)
    text = json.dumps({"text": any_value(rnd)} if kind == 2 else any_value(rnd), ensure_ascii=rnd.random() < 0.5)
    return text.encode("utf-8", "surrogatepass")


def bodies(siege, rnd):
    """An unknown peer may send no body; a known one's are the data of its run, or nobody asks what they hold."""
    siege.expect_refusal(frame({"hello": 1}, b"x" * rnd.randrange(1, 100)))
    count = rnd.randrange(1, 100)
    data = b"".join(frame(any_message(rnd), any_body(rnd)) for _ in range(count))
    siege.say(HELLO + data)
    return 2 + count


def run_data_in_bodies(siege, rnd):
    """A task of any run data ends with an answer, and is none if they are no object."""
    body = any_body(rnd)
    answer = {}
    with contextlib.closing(siege.connect()) as connection:
        connection.settimeout(HANG_SECONDS)
        connection.sendall(HELLO + frame({"do": "run", "from": any_value(rnd)}, body))
        for answer, _ in wire.frames(connection.recv, wire.FRAME_LIMIT):
            if "output" in answer:
                connection.sendall(frame({"ack": answer["output"]}))
            elif "result" in answer or "error" in answer:
                break
    done = answer.get("result", {}).get("outcome") == "done"
    if not answer.keys() & {"result", "error"} or done and not isinstance(json.loads(body.decode()), dict):
        raise Fault("the answer to run data of %.200r is %.200r" % (body, answer))
    return 2


def oversize_heads(siege, rnd):
    """What is too large is refused by its head; what is just not too large is waited for."""
    siege.expect_refusal(head(rnd.randrange(wire.HANDSHAKE_LIMIT + 1, 1 << 32)) + b"{")
    siege.expect_refusal(HELLO + head(wire.FRAME_LIMIT + 1 - rnd.randrange(3), rnd.randrange(3, 1 << 32)) + b"{")
    siege.say(HELLO + head(wire.FRAME_LIMIT - 8, 8) + b'{"do": "' + b"x" * rnd.randrange(100_000))
    return 5


def replayed_conversations(siege, rnd):
    """What a command has said once is said again, in one connection or two, perhaps not to its end."""
    said, _ = rnd.choice(siege.recordings())
    times = rnd.randrange(1, 20)
    data = said * times
    siege.say(data[: rnd.choice([len(data), rnd.randrange(len(data))])])
    return 2 * times


def reflected_conversations(siege, rnd):
    """The daemon is told what it has said itself."""
    _, heard = rnd.choice(siege.recordings())
    times = rnd.randrange(1, 50)
    answer = siege.say(heard * times)
    siege.say(answer)
    return 3 * times


def slow_senders(siege, rnd):
    """Every sender that was left open says one more byte."""
    senders = siege.lingering["slow"]
    if len(senders) < SLOW:
        data = perhaps_hello(rnd) + frame({"do": "status", "x": "y" * rnd.randrange(20)})
        senders.append((siege.connect(), iter(data)))
    count = 0
    for sender in list(senders):
        connection, rest = sender
        byte = next(rest, None)
        try:
            if byte is not None:
                connection.send(bytes([byte]))
                continue
        except (BrokenPipeError, ConnectionResetError):
            pass  # it was unknown for too long
        connection.close()
        senders.remove(sender)
        count += 1
    return count


def deaf_peers(siege, rnd):
    """Peers that ask and ask, never take an answer, and stay."""
    peers = siege.lingering["deaf"]
    if len(peers) >= DEAF:
        peers.pop(0)[0].close()
    connection = siege.connect()
    peers.append((connection, None))
    return ask_without_listening(connection, DEAF_QUESTIONS)


def ask_without_listening(connection, count):
    """Ask ``count`` times for the status, or as often as the daemon takes it; how often that was."""
    connection.settimeout(0.1)
    data = HELLO + STATUS * count
    sent = 0
    with contextlib.suppress(socket.timeout, BrokenPipeError, ConnectionResetError):
        while sent < len(data):
            sent += connection.send(data[sent : sent + 65536])
    return 1 + max(0, sent - len(HELLO)) // len(STATUS)


def floods(siege, rnd):
    """Connections that say nothing, or half a hello, and stay until the next flood."""
    connections = siege.lingering["flood"]
    while connections:
        connections.pop()[0].close()
    for _ in range(FLOOD):
        connection = siege.connect()
        connections.append((connection, None))
        connection.send(HELLO[: rnd.randrange(len(HELLO))])
    return FLOOD


KINDS = {
    "messages": well_formed_messages,
    "before hello": messages_before_a_hello,
    "bytes": random_bytes,
    "framed bytes": random_bytes_in_frames,
    "no object": no_json_objects,
    "lengths": wrong_lengths,
    "truncated": truncated_frames,
    "hung up": hung_up,
    "deep": deep_nesting,
    "huge": huge_numbers,
    "bodies": bodies,
    "run data": run_data_in_bodies,
    "oversize": oversize_heads,
    "replayed": replayed_conversations,
    "reflected": reflected_conversations,
    "slow": slow_senders,
    "deaf": deaf_peers,
    "flood": floods,
}
#: Most frames are well-formed messages, which reach the most code; a flood tells little and costs much.
WEIGHTS = [10 if kind == "messages" else 0.1 if kind == "flood" else 0.2 if kind == "deaf" else 2 for kind in KINDS]


def besiege(siege, frames, seconds=float("inf"), report=lambda line: None):
    """Throw volleys of all kinds until ``frames`` are thrown or ``seconds`` are over.

    Raises :class:`Fault` as soon as something does not hold.
    """
    begin = time.monotonic()
    checked, checked_at = 0, begin
    siege.recordings()  # before anything else is said
    with Watch(siege) as watch:
        for kind in KINDS:
            siege.throw(kind)
        while sum(siege.counts.values()) < frames and time.monotonic() - begin < seconds and watch.fault is None:
            siege.throw(siege.random.choices(list(KINDS), WEIGHTS)[0])
            total, now = sum(siege.counts.values()), time.monotonic()
            if total - checked >= CHECK_FRAMES and now - checked_at >= CHECK_SECONDS:
                siege.check()
                checked, checked_at = total, now
                report(progress(siege, now - begin, watch))
        siege.check()
        siege.leave()
        siege.check()
        report(progress(siege, time.monotonic() - begin, watch))


def progress(siege, seconds, watch):
    total = sum(siege.counts.values())
    counts = ", ".join("%s %d" % item for item in siege.counts.most_common())
    facts = (total, seconds, counts, watch.longest, siege.gained // 1024)
    return "%d frames in %.0f s (%s); the longest wait for the status %.3f s, memory gained %d KiB" % facts


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--frames", type=int, default=100_000, help="how many frames to throw (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="what to throw (%(default)s)")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="how long to throw at the most")
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="siege-"))
    farm = Farm(folder)
    begin = time.monotonic()
    total = 0
    faults = []
    siege = None
    try:
        done = farm.daemon("start")
        if done.code != 0:
            raise Fault("daemon start: %r" % done)
        siege = Siege(farm, options.seed)
        besiege(siege, options.frames, options.seconds, lambda line: print(line, flush=True))
    except Fault as fault:
        faults.append(fault)
    finally:
        total = sum(siege.counts.values()) if siege else 0
        faults += end(farm)
        shutil.rmtree(str(folder), ignore_errors=True)
    for fault in faults:
        print("FAULT: %s" % fault, flush=True)
    print("%d frames, %d faults, seed %d, %.0f s" % (total, len(faults), options.seed, time.monotonic() - begin))
    return 1 if faults else 0


def end(farm):
    """Stop the daemon; what was wrong with that."""
    faults = []
    done = farm.daemon("stop", "--timeout", "20")
    if done.code != 0 or done.lines[-2:] != ["INFO: on_stop", "INFO: on_cleanup"]:
        faults.append(Fault("daemon stop: %r" % done))
    limit = time.monotonic() + HANG_SECONDS
    while farm.pids() and time.monotonic() < limit:
        time.sleep(0.02)
    if farm.pids():
        faults.append(Fault("processes are left: %r" % farm.pids()))
        for pid in farm.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
    left = sorted(path.name for path in farm.folder.iterdir() if path.name.startswith("connection"))
    if left:
        faults.append(Fault("files are left: %s" % ", ".join(left)))
    return faults


if __name__ == "__main__":
    sys.exit(main())
