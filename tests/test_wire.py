"""The wire, byte by byte: frames, limits, the handshake, and the marker that ends a task in the worker's output."""

from __future__ import annotations

import json
import struct
import threading
import time

import pytest

from openjd_adapt.errors import InputError, WireError
from openjd_adapt.transport import wire

from .conftest import HANG_SECONDS, wait_until

pytestmark = [pytest.mark.core, pytest.mark.windows_core]

TOKEN = "5ec7e7" * 5 + "42"
FRAMES = [
    ({"do": "run", "data": {"frame": 1}}, b""),
    ({}, b""),
    ({"output": 9}, b'{"no": "JSON"}\n\xff\x00\n'),
    ({"text": "Grüße, \U0001f980 \ud800"}, b""),
    ({"output": 300}, bytes(range(256))),
]
STREAM = b"".join(wire.encode(message, body) for message, body in FRAMES)


def head(text_size, body_size=0):
    return struct.pack(">II", text_size, body_size)


def test_frames_arrive_whole_wherever_the_stream_was_cut():
    for cut in range(len(STREAM) + 1):
        decoder = wire.Decoder()
        assert [*decoder.feed(STREAM[:cut]), *decoder.feed(STREAM[cut:])] == FRAMES, cut


def test_frames_arrive_as_soon_as_their_last_byte_does():
    decoder = wire.Decoder()
    for message, body in FRAMES:
        frame = wire.encode(message, body)
        found = [list(decoder.feed(frame[i : i + 1])) for i in range(len(frame))]
        assert found == [[]] * (len(frame) - 1) + [[(message, body)]]


def test_the_limits_are_those_that_every_version_knows():
    assert (wire.FRAME_LIMIT, wire.HANDSHAKE_LIMIT, wire.HANDSHAKE_SECONDS) == (64 * 1024 * 1024, 4096, 5.0)


@pytest.mark.parametrize("sizes", [(wire.FRAME_LIMIT + 1, 0), (1, wire.FRAME_LIMIT), (0xFFFFFFFF, 0xFFFFFFFF)])
def test_a_frame_over_the_limit_is_refused_by_its_head_alone(sizes):
    with pytest.raises(WireError, match="over the limit of %d" % wire.FRAME_LIMIT):
        list(wire.Decoder().feed(head(*sizes)))


def test_a_frame_of_exactly_the_limit_passes_and_a_byte_more_is_not_sent():
    text_size = len(wire.encode({"output": 1})) - len(head(0))
    body = bytes(wire.FRAME_LIMIT - text_size)
    assert list(wire.Decoder().feed(wire.encode({"output": 1}, body))) == [({"output": 1}, body)]
    with pytest.raises(InputError, match="%d bytes are over the limit" % (wire.FRAME_LIMIT + 1)):
        wire.encode({"output": 1}, body + b"x")


def test_an_unknown_peer_may_send_4096_bytes_and_not_one_more():
    text = json.dumps({"hello": 1, "pad": ""})
    text = json.dumps({"hello": 1, "pad": "x" * (wire.HANDSHAKE_LIMIT - len(text))}).encode()
    assert list(wire.Decoder(wire.HANDSHAKE_LIMIT).feed(head(len(text)) + text)) == [(json.loads(text.decode()), b"")]
    with pytest.raises(WireError, match="4097 bytes is over the limit of 4096"):
        list(wire.Decoder(wire.HANDSHAKE_LIMIT).feed(head(4097)))


def test_an_unknown_peer_may_send_no_body_until_it_is_known():
    frame = wire.encode({"hello": 1}, b"x")
    decoder = wire.Decoder(wire.HANDSHAKE_LIMIT)
    with pytest.raises(WireError):
        list(decoder.feed(frame))
    decoder = wire.Decoder(wire.HANDSHAKE_LIMIT)
    found = []
    for message, body in decoder.feed(wire.encode({"hello": 1}) + frame + wire.encode({"pad": "x" * 5000})):
        found.append((message, body))
        decoder.limit = wire.FRAME_LIMIT
    assert found == [({"hello": 1}, b""), ({"hello": 1}, b"x"), ({"pad": "x" * 5000}, b"")]


def test_what_stands_before_a_bad_frame_arrives():
    frames = wire.Decoder().feed(wire.encode({"ack": 1}) + head(2) + b"[]")
    assert next(frames) == ({"ack": 1}, b"")
    with pytest.raises(WireError):
        next(frames)


@pytest.mark.parametrize(
    "text, complaint",
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"a": "\xff"}', "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b'{"a":' * 200_000 + b"1" + b"}" * 200_000, "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b"[]", "list, not an object"),
        (b'"hello"', "str, not an object"),
        (b"null", "NoneType, not an object"),
    ],
)
def test_what_is_no_object_is_refused(text, complaint):
    with pytest.raises(WireError, match=complaint):
        list(wire.Decoder().feed(head(len(text)) + text))


@pytest.mark.parametrize(
    "package", ["/opt/openjd_adapt", "/long" * 800, ("/" + "画" * 85) * 15], ids=["short", "long", "long and wide"]
)
def test_a_hello_is_short_enough_for_an_unknown_peer_and_understood(package):
    frame = wire.encode(wire.hello(package))
    [(message, _)] = wire.Decoder(wire.HANDSHAKE_LIMIT).feed(frame)
    wire.check_hello(message, "/here")
    assert package.endswith(message["package"])


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_neighbours_in_version_work_together(step):
    wire.check_hello({"hello": wire.VERSION + step, "package": "/there", "unknown": []}, "/here")


@pytest.mark.parametrize("version", [wire.VERSION - 2, wire.VERSION + 2, 99])
def test_peers_far_apart_in_version_get_one_line_with_both_versions_and_both_paths(version):
    with pytest.raises(WireError) as caught:
        wire.check_hello({"hello": version, "package": "/the/re"}, "/he/re")
    for part in ("version %d of /he/re" % wire.VERSION, "version %d of /the/re" % version):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("message", [{}, {"do": "status"}, {"hello": None}, {"hello": "1"}, {"hello": 1.0}])
def test_a_first_message_without_a_version_is_no_hello(message):
    with pytest.raises(WireError, match="did not say hello"):
        wire.check_hello(message, "/here")


MARK = b"\0" + TOKEN.encode()
PIECES = [
    b"one\n\0two" + MARK[:-1] + b"\n\0\0" + MARK[:7],
    {"outcome": "done", "message": "", "code": 0},
    {"outcome": "failed", "message": "Ärger\nmore", "code": 1},
    b"three without an end" + MARK[:1] + MARK[:20] + b"x",
    {"outcome": "canceled", "message": "", "code": 4},
    b"four\n",
]
OUTPUT = b"".join(wire.encode_marker(TOKEN, piece, 4096) if isinstance(piece, dict) else piece for piece in PIECES)


def joined(pieces):
    """Neighbouring bytes made one, empty ones left out."""
    found = []
    for piece in pieces:
        if found and isinstance(piece, bytes) and isinstance(found[-1], bytes):
            found[-1] += piece
        elif piece != b"":
            found.append(piece)
    return found


def test_results_and_output_are_told_apart_wherever_the_stream_was_cut():
    for cut in range(len(OUTPUT) + 1):
        markers = wire.MarkerFilter(TOKEN)
        found = markers.feed(OUTPUT[:cut]) + markers.feed(OUTPUT[cut:])
        assert joined([*found, markers.rest()]) == PIECES, cut


@pytest.mark.parametrize("size", [1, 2, 7, 33, len(OUTPUT)])
def test_results_and_output_are_told_apart_in_reads_of_any_size(size):
    markers = wire.MarkerFilter(TOKEN)
    found = [piece for i in range(0, len(OUTPUT), size) for piece in markers.feed(OUTPUT[i : i + size])]
    assert joined([*found, markers.rest()]) == PIECES


@pytest.mark.parametrize("text", [b"no end of line", b"\0", b"a\0b", b"\0" + b"5" * 40, b"\0\0\0\n"])
def test_output_that_cannot_become_a_marker_is_not_held_back(text):
    markers = wire.MarkerFilter(TOKEN)
    held = b"\0" if text.endswith(b"\0") else b""
    assert joined(markers.feed(text)) == joined([text[: len(text) - len(held)]])
    assert (markers.rest(), markers.rest()) == (held, b"")


@pytest.mark.parametrize("limit", [512, 4096])
@pytest.mark.parametrize("letter", ["x", "\n", "ü", "\U0001f980"])
def test_a_message_that_is_too_long_for_one_write_is_cut_to_it(limit, letter):
    result = {"outcome": "failed", "message": letter * 5000, "code": 1}
    marker = wire.encode_marker(TOKEN, result, limit)
    assert limit // 2 < len(marker) <= limit
    [found] = joined(wire.MarkerFilter(TOKEN).feed(marker))
    assert result["message"].startswith(found["message"])
    assert {**found, "message": ""} == {**result, "message": ""}


def test_a_message_that_fits_is_not_cut():
    result = {"outcome": "failed", "message": "x" * 3000, "code": 1}
    assert joined(wire.MarkerFilter(TOKEN).feed(wire.encode_marker(TOKEN, result, 4096))) == [result]


# What is given to one after the other


def test_what_interrupts_an_act_on_its_own_thread_waits_for_its_end():
    done = []

    def act(item):
        if item == 1:
            tell(2)
            tell(3)
        done.append(item)

    tell = wire.InOrder(act)
    tell(1)
    tell(4)
    assert done == [1, 2, 3, 4]


def test_an_act_that_fails_holds_up_no_later_one():
    done = []

    def act(item):
        if item == 1:
            tell(2)
            raise ValueError
        done.append(item)

    tell = wire.InOrder(act)
    with pytest.raises(ValueError):
        tell(1)
    tell(3)
    assert done == [2, 3]


def test_a_call_returns_when_what_it_gave_is_done_though_another_thread_does_it():
    done, taken, go = [], threading.Event(), threading.Event()

    class Given(list):
        def append(self, item):
            super().append(item)
            if item == ("last",):
                go.set()
                assert taken.wait(HANG_SECONDS)

    def act(item):
        if item == "first":
            assert go.wait(HANG_SECONDS)
        else:
            taken.set()
            time.sleep(0.1)  # in which a call that does not wait returns
        done.append(item)

    tell = wire.InOrder(act)
    tell._waiting = Given()
    thread = threading.Thread(target=tell, args=("first",))
    thread.start()
    wait_until(lambda: tell._busy)
    tell("last")
    assert done == ["first", "last"]
    thread.join()


def test_many_threads_give_and_each_ones_order_stays():
    done, inside = [], []

    def act(name, number):
        inside.append(name)
        done.append((name, number))
        assert inside == [name]
        inside.clear()

    tell = wire.InOrder(act)
    threads = [threading.Thread(target=lambda n=name: [tell(n, i) for i in range(2000)]) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in "abc":
        assert [number for each, number in done if each == name] == list(range(2000))
