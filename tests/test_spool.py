"""The spool keeps every byte in order and in bounded memory; the delivery shows each line to somebody who says so."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from openjd_adapt.spool import FRAME_BYTES, WINDOW_BYTES, Delivery, Spool

LINES = [b"line %d\n" % number for number in range(60_000)]


def read_all(spool, offset):
    found = piece = spool.read(offset, 50_000)
    while piece:
        piece = spool.read(offset + len(found), 50_000)
        found += piece
    return found


@pytest.mark.parametrize("limit", [0, 10, 1000, 8 * 1024 * 1024])
def test_what_is_appended_is_read_in_order_whether_it_lies_in_memory_or_in_the_file(limit):
    spool = Spool(limit)
    for line in LINES[:20_000]:
        spool.append(line)
    data = b"".join(LINES[:20_000])
    assert (spool.start, spool.end) == (0, len(data))
    assert read_all(spool, 0) == read_all(spool, 0) == data


def test_order_survives_the_way_into_the_file_and_back_to_memory():
    spool = Spool(100)
    data = b""
    for round_ in range(5):
        for line in LINES[round_ * 100 : (round_ + 1) * 100]:
            spool.append(line)
            data += line
        assert read_all(spool, spool.start) == data[spool.start :]
        spool.discard(spool.end - 7 * (round_ % 2))
        assert (spool.start, spool.end) == (len(data) - 7 * (round_ % 2), len(data))


def test_small_reads_and_small_discards_lose_nothing():
    spool = Spool(64)
    spool.append(b"".join(LINES[:500]))
    found = b""
    while spool.start < spool.end:
        piece = spool.read(spool.start, 3)
        assert 0 < len(piece) <= 3
        found += piece
        spool.discard(spool.start + len(piece))
    assert found == b"".join(LINES[:500])
    assert spool.read(spool.start, 3) == b""


def test_a_discard_of_what_is_gone_already_does_nothing():
    spool = Spool()
    spool.append(b"abcdef")
    spool.discard(4)
    spool.discard(2)
    assert (spool.start, spool.read(4, 9)) == (4, b"ef")


@pytest.mark.parametrize("limit", [100, 8 * 1024 * 1024])
def test_any_offset_that_is_kept_can_be_read_at_once(limit):
    spool = Spool(limit)
    data = b"".join(LINES)
    spool.append(data)
    for offset in (len(data) - 9, len(data) // 2, 0):
        assert spool.read(offset, 9) == data[offset : offset + 9]


@pytest.mark.parametrize("limit", [100, 8 * 1024 * 1024])
def test_what_a_discard_names_is_forgotten_though_it_was_never_read(limit):
    spool = Spool(limit)
    data = b"".join(LINES)
    spool.append(data)
    spool.discard(len(data) - 9)
    assert (spool.start, read_all(spool, spool.start)) == (len(data) - 9, data[-9:])


@pytest.mark.parametrize("size", [0, 1, 9, 10_000_000])
@pytest.mark.parametrize("limit", [100, 8 * 1024 * 1024])
def test_the_pieces_from_an_offset_on_are_all_that_is_kept_there(limit, size):
    spool = Spool(limit)
    data = b"".join(LINES)
    spool.append(data)
    assert len(spool.read(0, 7)) == 7
    spool.discard(7)
    begin = max(7, len(data) - size)
    assert b"".join(spool.pieces(begin)) == data[begin:]


def test_what_is_over_the_limit_lies_in_the_file_and_stays_there():
    spool = Spool(1_000_000)
    tracemalloc.start()
    try:
        for _ in range(20):
            spool.append(bytes(1_000_000))
        assert spool.read(10_000_000, 9) == b"".join(spool.pieces(spool.end - 9)) == bytes(9)
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("seed", range(20))
def test_a_random_history_is_that_of_one_byte_string(seed):
    chance = random.Random(seed)
    spool = Spool(chance.choice([0, 50, 500, 5000]))
    model, read = b"", 0
    for _ in range(1500):
        act = chance.random()
        if act < 0.45:
            data = bytes(chance.choices(b"abc\n", k=chance.choice([0, 1, 20, 700])))
            spool.append(data)
            model += data
        elif act < 0.85:
            size = chance.randrange(1, 900)
            piece = spool.read(read, size)
            assert len(piece) <= size and bool(piece) == (read < len(model))
            assert piece == model[read : read + len(piece)]
            read += len(piece)
        elif act < 0.95:
            spool.discard(chance.randrange(spool.start, read + 1))
        elif act < 0.98:
            read = spool.start
        else:
            size = chance.randrange(2000)
            begin = max(spool.start, len(model) - size)
            assert b"".join(spool.pieces(begin)) == model[begin:]
        assert spool.end == len(model) and spool.start <= read
    assert read_all(spool, spool.start) == model[spool.start :]


class Viewer:
    """A front as the delivery sees it: notes what it is sent."""

    def __init__(self):
        self.closed = False
        self.frames = []

    def send(self, message, body):
        self.frames.append((message["output"], body))

    @property
    def seen(self):
        return b"".join(body for _, body in self.frames)


def delivery(*pieces, viewer=None):
    made = Delivery(Spool(1000))
    for piece in pieces:
        made.keep(piece)
    made.attach(viewer)
    return made


def test_frames_carry_the_offset_of_their_end_and_end_with_a_line():
    viewer = Viewer()
    made = delivery(*LINES[:9000], viewer=viewer)
    assert made.push(made.end, complete=False)
    assert len(viewer.frames) > 1
    offset = 0
    for end, body in viewer.frames:
        offset += len(body)
        assert (end, body[-1:]) == (offset, b"\n") and len(body) <= FRAME_BYTES
    assert viewer.seen == b"".join(LINES[:9000])


def test_never_more_than_the_window_is_unacknowledged_and_all_arrives():
    viewer = Viewer()
    made = delivery(*LINES, viewer=viewer)
    acknowledged = 0
    while not made.push(made.end, complete=False):
        sent = viewer.frames[-1][0]
        assert acknowledged < sent <= acknowledged + WINDOW_BYTES
        acknowledged = viewer.frames[len(viewer.frames) // 2][0] if acknowledged == 0 else sent
        made.acknowledge(acknowledged)
    assert viewer.seen == b"".join(LINES)


def test_an_unfinished_line_is_held_until_the_output_is_complete():
    viewer = Viewer()
    made = delivery(b"one\ntw", viewer=viewer)
    assert not made.push(made.end, complete=False)
    assert viewer.frames == [(4, b"one\n")]
    made.keep(b"o\nthree")
    assert not made.push(made.end, complete=False)
    assert made.push(made.end, complete=True)
    assert viewer.frames == [(4, b"one\n"), (8, b"two\n"), (13, b"three")]


def test_a_line_longer_than_a_frame_does_not_wait_for_its_end():
    viewer = Viewer()
    made = delivery(b"x" * (FRAME_BYTES + 10), viewer=viewer)
    assert not made.push(made.end, complete=False)
    assert viewer.frames == [(FRAME_BYTES, b"x" * FRAME_BYTES)]


def test_nothing_behind_the_end_of_the_task_is_shown():
    viewer = Viewer()
    made = delivery(b"one\ntwo", viewer=viewer)
    end = made.end
    made.keep(b" of the next task\n")
    assert made.push(end, complete=True)
    assert viewer.seen == b"one\ntwo"


def test_a_second_viewer_is_shown_what_nobody_acknowledged_and_never_what_somebody_did():
    first, second = Viewer(), Viewer()
    made = delivery(b"one\n", b"two\n", b"three\n", viewer=first)
    made.push(made.end, complete=True)
    made.acknowledge(4)
    made.attach(second)
    assert made.push(made.end, complete=True)
    assert (first.seen, second.seen) == (b"one\ntwo\nthree\n", b"two\nthree\n")
    made.acknowledge(made.end)
    assert made.unread == 0
    third = Viewer()
    made.attach(third)
    assert made.push(made.end, complete=True)
    assert third.frames == []


@pytest.mark.parametrize("offset", [-1, 0, 100])
def test_an_acknowledgement_of_what_was_not_sent_is_ignored(offset):
    viewer = Viewer()
    made = delivery(b"one\n", b"two", viewer=viewer)
    made.push(made.end, complete=False)
    made.acknowledge(offset)
    assert made.unread == 7


@pytest.mark.parametrize("closed", [True, None])
def test_without_a_viewer_nothing_is_sent_and_all_is_kept(closed):
    viewer = Viewer() if closed else None
    if viewer:
        viewer.closed = True
    made = delivery(b"one\n", viewer=viewer)
    assert not made.push(made.end, complete=True)
    assert (made.unread, b"".join(made.last_words(3))) == (4, b"ne\n")


def test_what_a_full_disk_does_not_take_is_counted_and_told():
    class Full(Spool):
        full = False

        def append(self, data):
            if self.full:
                raise OSError("no space left on device")
            super().append(data)

    spool = Full()
    made = Delivery(spool)
    made.keep(b"one\n")
    spool.full = True
    made.keep(b"lost\n")
    made.keep(b"lost, too\n")
    spool.full = False
    made.keep(b"two\n")
    assert read_all(spool, 0) == b"one\nWARNING: 15 bytes of output are lost: the disk is full\ntwo\n"
    spool.full = True
    made.keep(b"lost\n")
    assert (made.lost_note(), made.lost_note()) == ("5 bytes of output are lost: the disk is full", None)
