"""The event loop: what is due is called, once and in time, and no peer fills the memory with what it does not take."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading

import pytest

from openjd_adapt import system
from openjd_adapt.transport.loop import BACKLOG_BYTES, Coalescer, Loop, Peer, StreamWriter, Timers
from openjd_adapt.transport.wire import encode

from .conftest import HANG_SECONDS
from .fakes import Clock

pytestmark = [pytest.mark.core, pytest.mark.windows_core]


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def timers(clock):
    return Timers(clock)


def test_what_is_due_is_called_at_its_time_and_once(clock, timers):
    called = []
    timers.set("later", 10, lambda: called.append("later"))
    timers.set("soon", 5, lambda: called.append("soon"))
    for seconds, so_far in [(0, []), (4.9, []), (0.1, ["soon"]), (4.9, ["soon"])]:
        clock.now += seconds
        timers.call_due()
        assert called == so_far
    for seconds in (0.1, 99):
        clock.now += seconds
        timers.call_due()
        assert called == ["soon", "later"]


def test_what_is_waited_for_is_the_time_until_the_next_is_due_not_below_zero_and_endless_without_any(clock, timers):
    assert timers.until_next() is None
    timers.set("later", 10, bool)
    timers.set("soon", 5, bool)
    assert timers.until_next() == 5
    clock.now += 7
    assert timers.until_next() == 0
    timers.call_due()
    assert timers.until_next() == 3
    timers.cancel("later")
    assert timers.until_next() is None


def test_a_timer_that_is_set_again_is_called_at_its_new_time_alone(clock, timers):
    called = []
    timers.set("one", 5, lambda: called.append("old"))
    timers.set("one", 10, lambda: called.append("new"))
    clock.now += 7
    timers.call_due()
    assert called == []
    clock.now += 7
    timers.call_due()
    assert called == ["new"]


def test_a_canceled_timer_is_not_called_and_canceling_one_that_is_not_there_does_nothing(clock, timers):
    timers.set("one", 5, lambda: pytest.fail("called"))
    assert timers.until_next() == 5
    timers.cancel("one")
    timers.cancel("one")
    assert timers.until_next() is None
    clock.now += 7
    timers.call_due()


def test_a_timer_that_another_one_cancels_when_both_are_due_is_not_called(clock, timers):
    timers.set("one", 5, lambda: timers.cancel("two"))
    timers.set("two", 5, lambda: pytest.fail("called"))
    clock.now += 5
    timers.call_due()


def test_a_timer_that_another_one_puts_off_when_both_are_due_waits_for_its_new_time(clock, timers):
    called = []
    timers.set("one", 5, lambda: timers.set("two", 10, lambda: called.append("two")))
    timers.set("two", 5, lambda: pytest.fail("called at its old time"))
    clock.now += 5
    timers.call_due()
    assert called == [] and timers.until_next() == 10
    clock.now += 10
    timers.call_due()
    assert called == ["two"]


def test_a_timer_may_set_itself_anew_without_being_called_again_at_once(clock, timers):
    called = []

    def again():
        called.append(clock.now)
        timers.set("one", 0, again)

    timers.set("one", 0, again)
    timers.call_due()
    assert len(called) == 1 and timers.until_next() == 0


# The loop, with real descriptors. A turn of it waits for nothing here: a timer is due at once.


@pytest.fixture
def loop():
    return Loop()


def turn(loop):
    loop.timers.set("at once", 0, bool)
    loop.turn()


@pytest.fixture
def pair():
    """A peer, and the socket at its other end, which waits for nothing."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    peer = Peer(ours)
    yield peer, theirs
    peer.close()
    theirs.close()


def read_all(sock):
    """All that lies in a socket now."""
    data = b""
    while True:
        try:
            piece = sock.recv(1 << 20)
        except BlockingIOError:
            return data
        if not piece:
            return data
        data += piece


@pytest.mark.posix_only  # a pipe, which Windows cannot select
def test_what_can_be_read_is_told_in_the_next_turn_until_it_is_forgotten(loop):
    reader, writer = os.pipe()
    told = []
    loop.watch(reader, lambda: told.append(os.read(reader, 1)))
    turn(loop)
    assert told == []
    os.write(writer, b"abc")
    turn(loop)
    turn(loop)
    assert told == [b"a", b"b"]
    loop.forget(reader)
    loop.forget(reader)
    turn(loop)
    assert told == [b"a", b"b"]
    os.close(reader)
    os.close(writer)


@pytest.mark.posix_only  # Windows cannot select nothing
def test_a_turn_waits_no_longer_than_until_the_next_timer_and_calls_it(loop):
    called = []
    loop.timers.set("soon", 0.02, lambda: called.append(1))
    while not called:
        loop.turn()


@pytest.mark.posix_only  # the size of AF_UNIX's buffers
def test_what_a_peer_does_not_take_at_once_is_sent_on_as_it_takes_it(loop, pair):
    peer, theirs = pair
    loop.watch_peer(peer, lambda: pytest.fail("it has said nothing"))
    message = {"output": 1}
    body = os.urandom(3_000_000)
    peer.send(message, body)
    assert peer.backlog > 0
    data = b""
    while peer.backlog:
        data += read_all(theirs)
        turn(loop)
    assert data + read_all(theirs) == encode(message, body)


@pytest.mark.posix_only  # a pipe, which Windows cannot select
def test_a_peer_with_a_large_backlog_is_not_heard_until_it_takes_its_answers(loop, pair):
    peer, theirs = pair
    other_reader, other_writer = os.pipe()
    heard, others = [], []
    answer = b"x" * (BACKLOG_BYTES // 4)

    def on_readable():
        for message, _ in peer.receive():
            heard.append(message["n"])
            peer.send({"output": 0}, answer)

    loop.watch_peer(peer, on_readable)
    loop.watch(other_reader, lambda: others.append(os.read(other_reader, 1)))
    for number in range(40):
        theirs.send(encode({"n": number}))
        turn(loop)
    deaf_from = len(heard)
    # The rest of its questions lies in the socket: what it is owed does not grow any more, and others are served.
    assert BACKLOG_BYTES <= peer.backlog < BACKLOG_BYTES + 2 * len(answer) and deaf_from < 40
    os.write(other_writer, b"abc")
    for _ in range(3):
        turn(loop)
    assert len(heard) == deaf_from and len(others) == 3
    # What it has said wakes nobody meanwhile: a turn lasts until its timer.
    woken = []
    loop.timers.set("at once", 0.05, lambda: woken.append(1))
    loop.turn()
    assert woken == [1]

    data = b""
    while len(heard) < 40 or peer.backlog:
        data += read_all(theirs)
        turn(loop)
    data += read_all(theirs)
    assert heard == list(range(40)) and data == 40 * encode({"output": 0}, answer)
    os.close(other_reader)
    os.close(other_writer)


def test_a_peer_that_another_thread_hears_is_only_sent_what_waits(loop, pair):
    peer, theirs = pair
    loop.watch_peer(peer, lambda: pytest.fail("another thread hears it"))
    loop.watch_peer(peer, None)
    theirs.send(encode({"n": 1}))
    peer.send({"output": 1}, bytes(3 * BACKLOG_BYTES))
    data = b""
    while peer.backlog:
        data += read_all(theirs)
        turn(loop)
    data += read_all(theirs)
    assert data == encode({"output": 1}, bytes(3 * BACKLOG_BYTES))
    woken = []
    loop.timers.set("in a moment", 0.05, lambda: woken.append(1))
    loop.turn()
    assert woken == [1]  # what lies there to be read, or that nothing is left to send, wakes nobody


def test_a_peer_that_goes_away_with_a_large_backlog_is_found_gone(loop, pair):
    peer, theirs = pair
    loop.watch_peer(peer, lambda: list(peer.receive()))
    peer.send({"output": 1}, bytes(3 * BACKLOG_BYTES))
    theirs.close()
    for _ in range(3):
        if not peer.closed:
            turn(loop)
    assert peer.closed and peer.backlog == 0


@pytest.mark.posix_only  # Windows keeps nothing of what lies unread in a connection that has ended
@pytest.mark.parametrize("number", [errno.ENOBUFS, errno.ENOMEM, errno.EPIPE], ids=errno.errorcode.get)
def test_a_peer_whose_socket_fails_is_gone_for_both_ends_once_what_it_said_is_read(loop, number):
    class Failing(socket.socket):
        def send(self, data):
            raise OSError(number, os.strerror(number))

    ours, theirs = socket.socketpair()
    peer, heard = Peer(Failing(fileno=ours.detach())), []
    loop.watch_peer(peer, lambda: heard.extend(message for message, _ in peer.receive()))
    with theirs:
        theirs.send(encode({"n": 1}))
        peer.send({"output": 1})
        assert peer.backlog == 0
        while not peer.closed:
            loop.turn()
        assert heard == [{"n": 1}] and theirs.recv(1) == b""
    peer.close()


# A command's standard streams


@contextlib.contextmanager
def stalled(kind, monkeypatch):
    """Both ends of a stream whose reader takes nothing, and that holds something already."""
    if kind == "a terminal":
        import pty  # Windows has none
        import tty

        reader, writer = pty.openpty()
        tty.setraw(writer)
    elif kind == "a socket":
        reader, writer = (end.detach() for end in socket.socketpair())
    else:
        reader, writer = os.pipe()
    if kind == "another user's pipe":
        monkeypatch.setattr(os, "open", lambda path, flags: (_ for _ in ()).throw(PermissionError(13, path)))
    yield reader, writer
    monkeypatch.undo()
    os.close(reader)
    os.close(writer)


def read_some(reader, size):
    """So many bytes of a descriptor, as they come."""
    data = b""
    while len(data) < size:
        data += os.read(reader, size - len(data))
    return data


@pytest.mark.posix_only
@pytest.mark.parametrize("kind", ["a pipe", "another user's pipe", "a terminal", "a socket"])
def test_a_stream_takes_what_its_reader_leaves_room_for_and_never_blocks(kind, monkeypatch):
    with stalled(kind, monkeypatch) as (reader, writer):
        stream = StreamWriter(writer)
        data = b"".join(b"line %d\n" % number for number in range(100_000))
        stream.queue(data)
        stream.flush()
        assert stream.interest == system.WRITE and not stream.fault
        assert os.get_blocking(writer)  # who shares it with the command finds it as it was
        lot = 100_000 if kind != "a terminal" else 3_000
        read = b""
        while len(read) < 5 * lot:
            assert system.wait_for({reader: system.READ}, HANG_SECONDS)
            read += os.read(reader, lot)
            stream.flush()
        assert data.startswith(read) and stream.interest
        stream.drop("the test is over")
        assert not stream.drain(HANG_SECONDS)
        stream.close()
        os.fstat(writer)  # it is still open


@pytest.mark.posix_only
def test_a_stream_gets_all_in_order_and_who_waits_for_its_reader_does_so_as_long_as_that_takes_some():
    reader, writer = os.pipe()
    stream, pieces, read = StreamWriter(writer), [b"a" * 300_000, b"", b"b" * 300_000], []
    for piece in pieces:
        stream.queue(piece)
    thread = threading.Thread(target=lambda: read.append(read_some(reader, 600_000)))
    thread.start()
    assert stream.drain(HANG_SECONDS) and stream.drain(0) and not stream.interest
    thread.join()
    assert read == [b"".join(pieces)]
    stream.queue(b"x" * 1_000_000)
    assert not stream.drain(0.01) and stream.fault == "nobody reads it" and not stream.interest
    os.close(reader)
    os.close(writer)
    stream.close()


@pytest.mark.posix_only
def test_a_stream_that_cannot_be_written_says_why_and_takes_nothing_more(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    for descriptor, why in ((writer, "Broken pipe"), (os.open("/dev/full", os.O_WRONLY), "No space left on device")):
        stream = StreamWriter(descriptor)
        stream.queue(b"x")
        assert not stream.drain(None) and stream.fault == why
        stream.queue(b"y")
        assert not stream.interest
        stream.close()
        os.close(descriptor)


@pytest.mark.posix_only
def test_a_file_is_written_where_its_owner_was(tmp_path):
    with open(tmp_path / "log", "wb", buffering=0) as log:
        log.write(b"before\n")
        stream = StreamWriter(log.fileno())
        stream.queue(b"x" * 10_000 + b"\n")
        assert stream.drain(None)
        stream.close()
        log.write(b"after\n")
    assert (tmp_path / "log").read_bytes() == b"before\n" + b"x" * 10_000 + b"\nafter\n"


# What comes in small pieces


def test_small_pieces_in_quick_succession_are_let_gather_and_nothing_else(clock):
    coalescer = Coalescer(clock)

    def pieces(count, size=100, seconds=0.001):
        told = []
        for _ in range(count):
            clock.now += seconds
            told.append(coalescer.take(size))
        return told

    assert not any(pieces(Coalescer.PIECES))  # a task's few lines and its end
    assert all(pieces(5))
    assert not any(pieces(100, size=Coalescer.SMALL_BYTES))  # much at once
    assert not any(pieces(100, seconds=1))  # now and then
    assert pieces(Coalescer.PIECES)[-1]


def test_a_source_that_rests_is_watched_again_unless_it_is_forgotten():
    loop, heard = Loop(), []
    ours, theirs = socket.socketpair()
    bell = system.Bell()
    loop.watch(bell, bell.heard)  # Windows cannot select nothing
    with ours, theirs:
        loop.watch(ours, lambda: heard.append(ours.recv(9)))
        loop.rest(ours, lambda: heard.append(ours.recv(9)), 0.01)
        theirs.send(b"one")
        while not heard:
            loop.turn()
        assert heard == [b"one"]
        loop.rest(ours, lambda: heard.append(b"again"), 0.01)
        loop.forget(ours)
        theirs.send(b"two")
        loop.timers.set("end", 0.1, lambda: heard.append("end"))
        while heard[-1] != "end":
            loop.turn()
        assert heard == [b"one", "end"]
