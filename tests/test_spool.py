"""The spool keeps every byte in order and in bounded memory; the delivery shows each line to somebody who says so."""

from __future__ import annotations

import errno
import os
import random
import re
import sys
import tempfile
import tracemalloc

import pytest

from openjd_adapt.daemon.spool import FRAME_BYTES, WINDOW_BYTES, Delivery, Spool, _Part

from .fakes import Front

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


def delivery(*pieces, viewer=None):
    made = Delivery(Spool(1000))
    for piece in pieces:
        made.keep(piece)
    made.attach(viewer)
    return made


def test_frames_carry_the_offset_of_their_end_and_end_with_a_line():
    viewer = Front()
    made = delivery(*LINES[:9000], viewer=viewer)
    assert made.push(made.end)
    assert len(viewer.frames) > 1
    offset = 0
    for end, body in viewer.frames:
        offset += len(body)
        assert (end, body[-1:]) == (offset, b"\n") and len(body) <= FRAME_BYTES
    assert viewer.seen == b"".join(LINES[:9000])


def test_never_more_than_the_window_is_unacknowledged_and_all_arrives():
    viewer = Front()
    made = delivery(*LINES, viewer=viewer)
    acknowledged = 0
    while not made.push(made.end):
        sent = viewer.frames[-1][0]
        assert acknowledged < sent <= acknowledged + WINDOW_BYTES
        acknowledged = viewer.frames[len(viewer.frames) // 2][0] if acknowledged == 0 else sent
        made.acknowledge(acknowledged)
    assert viewer.seen == b"".join(LINES)


def test_an_unfinished_line_is_sent_as_it_was_kept_and_waits_only_where_the_window_has_cut_it(monkeypatch):
    viewer = Front()
    made = delivery(b"one\ntw", viewer=viewer)  # a task's last line; what may go on the sanitizer holds
    assert made.push(made.end)
    assert viewer.frames == [(4, b"one\n"), (6, b"tw")]
    monkeypatch.setattr("openjd_adapt.daemon.spool.WINDOW_BYTES", 10)
    made.keep(b"o\nthree\n")
    assert not made.push(made.end) and viewer.frames[2:] == [(8, b"o\n")]
    made.acknowledge(8)
    assert made.push(made.end) and viewer.frames[3:] == [(14, b"three\n")]


def test_each_line_of_a_progress_bar_is_sent_though_no_line_break_ends_it():
    viewer = Front()
    made = delivery(b"one\n10%\r", viewer=viewer)
    made.push(made.end)
    made.keep(b"20%\r30%")
    assert made.push(made.end)
    assert viewer.frames == [(8, b"one\n10%\r"), (12, b"20%\r"), (15, b"30%")]


def test_a_line_longer_than_a_frame_does_not_wait_for_its_end():
    viewer = Front()
    data = b"x" + "€".encode() * FRAME_BYTES
    made = delivery(data, viewer=viewer)
    assert made.push(made.end) and len(viewer.frames) > 3 and viewer.seen == data
    for _, body in viewer.frames:  # the next may go to another front, whose scheduler reads text
        body.decode()


def test_nothing_behind_the_end_of_the_task_is_shown():
    viewer = Front()
    made = delivery(b"one\ntwo", viewer=viewer)
    end = made.end
    made.keep(b" of the next task\n")
    assert made.push(end)
    assert viewer.seen == b"one\ntwo"


def test_a_second_viewer_is_shown_what_nobody_acknowledged_and_never_what_somebody_did():
    first, second = Front(), Front()
    made = delivery(b"one\n", b"two\n", b"three\n", viewer=first)
    made.push(made.end)
    made.acknowledge(4)
    made.attach(second)
    assert made.push(made.end)
    assert (first.seen, second.seen) == (b"one\ntwo\nthree\n", b"two\nthree\n")
    made.acknowledge(made.end)
    assert made.unread == 0
    third = Front()
    made.attach(third)
    assert made.push(made.end)
    assert third.frames == []


@pytest.mark.parametrize("offset", [-1, 0, 100])
def test_an_acknowledgement_of_what_was_not_sent_is_ignored(offset):
    viewer = Front()
    made = delivery(b"one\n", b"two", viewer=viewer)
    made.push(made.end)
    made.acknowledge(offset)
    assert made.unread == 7


@pytest.mark.parametrize("closed", [True, None])
def test_without_a_viewer_nothing_is_sent_and_all_is_kept(closed):
    viewer = Front() if closed else None
    if viewer:
        viewer.closed = True
    made = delivery(b"one\n", b"two\n", viewer=viewer)
    assert not made.push(made.end)
    assert (made.unread, b"".join(made.unread_output(8))) == (8, b"one\ntwo\n")


def test_the_end_of_what_is_unread_begins_with_a_line_or_at_least_a_character():
    made = delivery(b"one\n", "€€€".encode())
    ends = [b"".join(made.unread_output(size)).decode() for size in range(1, 13)]
    assert ends == ["", "", "€", "€", "€", "€€", "€€", "€€", *["€€€"] * 4]


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EIO, "the disk does not take them: " + os.strerror(errno.EIO)),
    ],
)
def test_what_the_disk_does_not_take_is_counted_and_told(number, why):
    class Full(Spool):
        full = False

        def append(self, data):
            if self.full:
                raise OSError(number, os.strerror(number))
            super().append(data)

    spool = Full()
    made = Delivery(spool)
    made.keep(b"one\n")
    spool.full = True
    made.keep(b"lost\n")
    made.keep(b"lost, too\n")
    spool.full = False
    made.keep(b"two\n")
    assert read_all(spool, 0) == b"one\nWARNING: 15 bytes of output are lost: %s\ntwo\n" % why.encode()
    spool.full = True
    made.keep(b"lost\n")
    assert (made.lost_note(), made.lost_note()) == ("5 bytes of output are lost: " + why, None)


# What is over the limit, and what the disk does not give back


def shown(made, viewer):
    """Take all that there is; returns what the viewer has seen, with a gap as the number of bytes that are lost."""
    while True:
        count = len(viewer.frames)
        made.push(made.end)
        if len(viewer.frames) == count:
            break
        made.acknowledge(viewer.frames[-1][0])
    return gaps_of(viewer.seen)


def gaps_of(seen):
    """Lines as bytes, and each gap as the number of its bytes."""
    found = []
    for line in seen.splitlines(True):
        match = re.match(rb"WARNING: (\d+) bytes of output are lost: ", line)
        found.append(int(match.group(1)) if match else line)
    return found


def descriptors():
    return len(os.listdir("/proc/self/fd"))


needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
if sys.platform == "win32":
    needs_proc = pytest.mark.posix_only  # under Wine there is one, of what Wine opens


@pytest.mark.parametrize("memory", [0, 100, 10_000])
def test_over_the_limit_the_oldest_whole_lines_go_and_the_rest_stays_in_order(memory):
    spool = Spool(memory, limit=1000)
    for number in range(1000):
        spool.append(LINES[number])
        assert spool.end - spool.start <= 1000
    kept = read_all(spool, spool.start)
    assert b"".join(LINES[:1000]).endswith(kept)
    assert len(kept) > 1000 - len(LINES[0]) - 10 and kept.startswith(b"line ")


@pytest.mark.parametrize("memory", [0, 100, 10_000])
def test_one_piece_over_the_limit_and_one_line_over_it_are_cut(memory):
    spool = Spool(memory, limit=1000)
    spool.append(b"".join(LINES[:1000]))
    assert read_all(spool, spool.start).startswith(b"line ") and spool.end - spool.start <= 1000
    spool.append(b"x" * 5000)
    assert read_all(spool, spool.start) == b"x" * 1000
    spool.append("€".encode() * 500)
    assert read_all(spool, spool.start).decode() == "€" * 333


def test_a_new_viewer_is_told_at_its_beginning_how_much_is_lost_and_then_shown_the_rest():
    made = Delivery(Spool(100, limit=1000))
    for line in LINES[:1000]:
        made.keep(line)
    viewer = Front()
    made.attach(viewer)
    gap, *lines = shown(made, viewer)
    assert lines == LINES[1000 - len(lines) : 1000]
    assert gap == len(b"".join(LINES[: 1000 - len(lines)]))
    assert made.unread == 0


def test_a_viewer_in_the_middle_is_told_where_the_lines_are_lost(monkeypatch):
    monkeypatch.setattr("openjd_adapt.daemon.spool.WINDOW_BYTES", 100)
    viewer = Front()
    made = Delivery(Spool(100, limit=1000))
    made.attach(viewer)
    for line in LINES[:1000]:
        made.keep(line)
        made.push(made.end)
    # It is sent its window and no more, however much is lost meanwhile.
    before = gaps_of(viewer.seen)
    assert before == LINES[: len(before)] and 0 < len(before) < 20
    made.acknowledge(viewer.frames[-1][0])
    found = shown(made, viewer)
    gap, lines = found[len(before)], found[len(before) + 1 :]
    assert lines == LINES[1000 - len(lines) : 1000] and len(lines) > 50
    assert gap == len(b"".join(LINES[len(before) : 1000 - len(lines)]))


def test_the_gap_is_told_again_to_the_next_viewer_only_if_nobody_has_acknowledged_it():
    first, second, third = Front(), Front(), Front()
    made = Delivery(Spool(100, limit=20))
    made.keep(b"one\n" * 10)
    made.attach(first)
    made.push(made.end)
    made.attach(second)
    made.push(made.end)
    assert gaps_of(first.seen) == gaps_of(second.seen) == [20, *[b"one\n"] * 5]
    made.acknowledge(second.frames[0][0])
    made.attach(third)
    made.push(made.end)
    assert gaps_of(third.seen) == [b"one\n"] * 5


def test_the_last_words_are_what_the_limit_has_left():
    made = Delivery(Spool(100, limit=20))
    made.keep(b"one\n" * 10)
    assert (b"".join(made.unread_output(1000)), made.unread) == (b"one\n" * 5, 20)


@needs_proc
def test_the_room_on_the_disk_is_given_back_segment_by_segment_as_it_is_read(monkeypatch):
    monkeypatch.setattr("openjd_adapt.daemon.spool.SEGMENT_BYTES", 1000)
    before = descriptors()
    spool = Spool(0)
    for _ in range(50):
        spool.append(bytes(200))
    assert descriptors() == before + 10
    for read in range(0, 10_001, 200):
        spool.discard(read)
        assert descriptors() == before + 10 - read // 1000
    spool.append(bytes(200))
    assert read_all(spool, spool.start) == bytes(200)


@needs_proc
def test_the_limit_bounds_the_room_on_the_disk(monkeypatch):
    monkeypatch.setattr("openjd_adapt.daemon.spool.SEGMENT_BYTES", 1000)
    before = descriptors()
    spool = Spool(0, limit=5000)
    for _ in range(500):
        spool.append(b"x" * 99 + b"\n")
        assert descriptors() <= before + 6
    sizes = [os.fstat(segment.file.fileno()).st_size for segment in spool._parts]
    assert max(sizes) <= 1000 and sum(sizes) <= 6000
    spool.discard(spool.end)
    assert descriptors() == before


class Broken:
    """Files whose disk does not give back what it took while ``how`` says why: all of them or but one."""

    how = None

    def __init__(self, monkeypatch, only=None):
        original = _Part.read

        def read(part, offset, size):
            if only in (None, part) and not part.in_memory:
                if self.how == "fails":
                    raise OSError(errno.EIO, "Input/output error")
                if self.how == "is shorter than it was":
                    os.ftruncate(part.file.fileno(), 0)
            return original(part, offset, size)

        monkeypatch.setattr(_Part, "read", read)


BREAKS = ["fails", "is shorter than it was"]


@pytest.mark.parametrize("how", BREAKS)
def test_a_disk_that_does_not_give_back_what_it_took_costs_a_gap_that_is_told(monkeypatch, how):
    monkeypatch.setattr("openjd_adapt.daemon.spool.SEGMENT_BYTES", 1000)
    broken = Broken(monkeypatch)
    viewer = Front()
    made = Delivery(Spool(100))
    for line in LINES[:1000]:
        made.keep(line)
    made.attach(viewer)
    broken.how = how
    in_memory, gaps = b"", 0
    for line in shown(made, viewer):
        if isinstance(line, int):
            gaps += line
        else:
            in_memory += line
    assert b"".join(LINES[:1000]).startswith(in_memory) and len(in_memory) <= 100
    assert gaps + len(in_memory) == made.end and made.unread == 0
    broken.how = None
    made.keep(b"and on\n")
    assert shown(made, viewer)[-1] == b"and on\n"


def test_the_gap_is_the_segment_that_is_broken_and_all_around_it_is_shown(monkeypatch):
    made = Delivery(Spool(0))
    monkeypatch.setattr("openjd_adapt.daemon.spool.SEGMENT_BYTES", 1000)
    for line in LINES[:1000]:
        made.keep(line)
    second = made._spool._parts[1]
    broken = Broken(monkeypatch, second)
    broken.how = "fails"
    viewer = Front()
    made.attach(viewer)
    found = shown(made, viewer)
    data = b"".join(LINES[:1000])
    place = next(at for at, line in enumerate(found) if isinstance(line, int))
    before, after = b"".join(found[:place]), b"".join(found[place + 1 :])
    assert (before, found[place], after) == (data[: second.start], second.end - second.start, data[second.end :])


@pytest.mark.parametrize("how", BREAKS)
def test_last_words_that_the_disk_does_not_give_back_are_an_error_and_no_hang(monkeypatch, how):
    broken = Broken(monkeypatch)
    made = Delivery(Spool(100))
    made.keep(b"".join(LINES[:1000]))
    broken.how = how
    with pytest.raises(OSError):
        list(made.unread_output(made.unread))


@pytest.mark.parametrize("how", BREAKS)
def test_a_disk_that_gives_nothing_back_still_takes_what_comes_and_keeps_to_the_limit(monkeypatch, how):
    broken = Broken(monkeypatch)
    broken.how = how
    made = Delivery(Spool(0, limit=1000))
    for line in LINES[:1000]:
        made.keep(line)
        assert made.unread <= 1000
    assert (made.end, made.lost_note()) == (len(b"".join(LINES[:1000])), None)


class Disk:
    """Files on a disk that takes only so much."""

    def __init__(self, monkeypatch, room):
        self.room = room
        original = _Part.append

        def append(part, data):
            if part.in_memory:
                return original(part, data)
            if len(data) > self.room:
                original(part, data[: self.room])
                part.end -= self.room  # some was written before the disk was full
                raise OSError(errno.ENOSPC, "No space left on device")
            self.room -= len(data)
            return original(part, data)

        monkeypatch.setattr(_Part, "append", append)


def test_what_memory_still_has_room_for_does_not_mix_up_what_a_full_disk_refused_before(monkeypatch):
    disk = Disk(monkeypatch, room=0)
    spool = Spool(1000)
    spool.append(b"a" * 990)
    with pytest.raises(OSError):
        spool.append(b"b" * 500)
    spool.append(b"c" * 5)
    disk.room = 1000
    spool.append(b"d" * 500)
    assert read_all(spool, 0) == b"a" * 990 + b"c" * 5 + b"d" * 500


def test_a_piece_that_a_full_disk_took_in_part_is_not_kept_in_part(monkeypatch):
    disk = Disk(monkeypatch, room=150)
    spool = Spool(0)
    spool.append(b"a" * 100)
    with pytest.raises(OSError):
        spool.append(b"b" * 100)
    assert spool.end == 100
    disk.room = 1000
    spool.append(b"c" * 10)
    assert read_all(spool, 0) == b"a" * 100 + b"c" * 10


def test_a_line_that_a_full_disk_has_cut_is_ended_before_the_loss_is_told(monkeypatch):
    disk = Disk(monkeypatch, room=0)
    made = Delivery(Spool(10))
    made.keep(b"one\ntw")
    made.keep(b"o\nthree\n")
    disk.room = 1000
    made.keep(b"four\n")
    viewer = Front()
    made.attach(viewer)
    assert shown(made, viewer) == [b"one\n", b"tw\n", 8, b"four\n"]


@pytest.mark.posix_only
def test_a_real_full_disk_loses_nothing_silently_and_takes_what_comes_when_there_is_room_again(tiny_disk, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tiny_disk))
    monkeypatch.setattr("openjd_adapt.daemon.spool.SEGMENT_BYTES", 64 * 1024)
    viewer = Front()
    made = Delivery(Spool(1000))
    pieces = [b"".join(LINES[at : at + 1000]) for at in range(0, 60_000, 1000)]
    for piece in pieces:
        made.keep(piece)
    assert made.end < 300_000 < len(b"".join(pieces))
    made.attach(viewer)
    shown(made, viewer)
    made.keep(b"there is room again\n")
    found = shown(made, viewer)
    lost = [size for size in found if isinstance(size, int)]
    lines = [line for line in found if not isinstance(line, int)]
    assert lines.pop() == b"there is room again\n"
    numbers = [int(line.split()[1]) for line in lines]
    assert numbers == sorted(set(numbers)) and lines == [LINES[number] for number in numbers]
    assert sum(lost) + len(b"".join(lines)) == len(b"".join(pieces))


class Recorded(Spool):
    """Notes all that it has taken."""

    taken = b""

    def append(self, data):
        super().append(data)
        self.taken += data


@pytest.mark.parametrize("seed", range(40))
def test_in_a_random_history_every_byte_is_shown_in_its_place_or_told_to_be_lost(monkeypatch, seed):
    chance = random.Random(seed)
    monkeypatch.setattr("openjd_adapt.daemon.spool.SEGMENT_BYTES", chance.choice([50, 700, 10_000]))
    monkeypatch.setattr("openjd_adapt.daemon.spool.WINDOW_BYTES", chance.choice([100, 1000, 1_000_000]))
    disk = Disk(monkeypatch, room=1_000_000)
    spool = Recorded(chance.choice([0, 50, 500, 5000]), limit=chance.choice([200, 1000, 20_000]))
    made = Delivery(spool)
    kept = acknowledged = place = 0
    viewer = Front()
    made.attach(viewer)
    for _ in range(800):
        act = chance.random()
        if act < 0.5:
            data = bytes(chance.choices(b"abc\n", k=chance.choice([0, 1, 20, 150])))
            made.keep(data)
            kept += len(data)
        elif act < 0.8:
            made.push(made.end)
        elif act < 0.9 and viewer.frames:
            # a front acknowledges what it has shown, one frame after the other
            acknowledged = max(acknowledged, chance.choice(viewer.frames)[0])
            made.acknowledge(acknowledged)
        elif act < 0.95:
            viewer = Front()
            place = acknowledged
            made.attach(viewer)
        else:
            disk.room = chance.choice([0, 10, 300, 1_000_000])
        assert spool.end - spool.start <= spool.limit
        # Each frame begins where the one before has ended.
        position = place
        for end, body in viewer.frames:
            gap = re.match(rb"WARNING: (\d+) bytes of output are lost: nobody", body)
            assert position + int(gap.group(1)) == end if gap else body == spool.taken[position:end]
            position = end
    told = [int(size) for size in re.findall(rb"WARNING: (\d+) bytes of output are lost: the disk", spool.taken)]
    output = re.sub(rb"\n?WARNING: \d+ bytes of output are lost: the disk is full\n", b"", spool.taken)
    assert len(output) + sum(told) + made.lost in range(kept - len(told), kept + 1)
