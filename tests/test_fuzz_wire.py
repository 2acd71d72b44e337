"""The wire under whatever bytes a peer may send: hypothesis looks for what raises anything but the wire's own error."""

from __future__ import annotations

import json
import os
import struct

import pytest
from hypothesis import assume, example, given, settings, strategies as st

from openjd_adapt.errors import WireError
from openjd_adapt.transport import wire

pytestmark = pytest.mark.pure

#: A sixth of those of YAML, as each is of several streams.
bounded = settings(max_examples=max(15, int(os.environ.get("OPENJD_ADAPT_EXAMPLES", "0")) // 6))

TOKEN = "5ec7e7" * 5 + "42"
MARK = b"\0" + TOKEN.encode()
HEAD = struct.Struct(">II")
MARKER_LIMIT = 4096

any_text = st.text(st.characters(), max_size=20)  # lone surrogates, too
any_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)
any_message = st.dictionaries(any_text | st.sampled_from(["hello", "package", "do", "ack"]), any_value, max_size=4)
cuts = st.lists(st.integers(min_value=0, max_value=1 << 16), max_size=6)


def pieces(stream, points):
    """``stream`` cut at ``points``, which may lie anywhere."""
    ends = sorted(point % (len(stream) + 1) for point in points)
    return [stream[begin:end] for begin, end in zip([0, *ends], [*ends, len(stream)])]


def frame(text, body=b"", text_more=0, body_more=0):
    """A frame of any text, whose head may lie about the sizes."""
    sizes = (max(0, len(text) + text_more), max(0, len(body) + body_more))
    return HEAD.pack(*(min(size, 0xFFFFFFFF) for size in sizes)) + text + body


def decode(decoder, data):
    """What ``data`` completes, and the complaint that ends the stream, if there is one."""
    frames = []
    try:
        for found in decoder.feed(data):
            frames.append(found)
    except WireError as error:
        return frames, str(error)
    return frames, None


# Frames


@bounded
@given(st.lists(st.tuples(any_message, st.binary(max_size=40)), max_size=5), cuts)
def test_any_frames_arrive_equal_wherever_the_stream_was_cut(frames, points):
    stream = b"".join(wire.encode(message, body) for message, body in frames)
    decoder = wire.Decoder()
    found = [item for piece in pieces(stream, points) for item in decoder.feed(piece)]
    # JSON joins what looks like a pair of surrogates: compared as their texts.
    expected = [(json.dumps(json.loads(json.dumps(message))), body) for message, body in frames]
    assert [(json.dumps(message), body) for message, body in found] == expected


def nested(opening, closing):
    return st.integers(min_value=1, max_value=3000).map(lambda depth: opening * depth + b"1" + closing * depth)


NASTY = [
    b"",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    b'{"ack": %s}' % (b"9" * 5000),
    b'{"ack": 1e999}',
    b'{"ack": -1e999}',
    b'{"ack": NaN, "within": -Infinity}',
    b'{"ack": 1%se-5000}' % (b"0" * 5000),
    b'{"do": "\xff\xfe"}',
    b'{"do": "\xed\xa0\x80"}',
    b'{"do": "\\ud800", "\\udfff": 0}',
    b'{"do": "\\ud8"}',
    b'{"do": 1, "do": 2}',
    b"\xef\xbb\xbf{}",
    b'{"do": 1} {}',
    b'{"do": "\0"}',
    b"[]",
    b"0",
    b'"hello"',
    b"null",
    b"NaN",
]
nasty_texts = st.one_of(
    st.binary(max_size=60),
    nested(b'{"a":', b"}"),
    nested(b"[", b"]").map(lambda text: b'{"a":' + text + b"}"),
    st.integers(min_value=4000, max_value=6000).map(lambda digits: b'{"ack": ' + b"9" * digits + b"}"),
    st.sampled_from(NASTY),
    any_message.map(lambda message: json.dumps(message).encode()),
)
nasty_frames = st.one_of(
    nasty_texts.map(frame),
    st.builds(frame, nasty_texts, st.binary(max_size=9), st.integers(-9, 9), st.integers(-9, 9)),
    st.builds(frame, nasty_texts, st.just(b""), st.integers(0, 1 << 32), st.integers(0, 1 << 32)),
    st.binary(max_size=30),
)
limits = st.sampled_from([64, wire.HANDSHAKE_LIMIT, wire.FRAME_LIMIT])


def and_the_nasty_ones(test):
    """Examples for all of ``NASTY``: chance alone would leave some of them out."""
    for text in NASTY:
        test = example(frame(b'{"hello": 1}') + frame(text), [3], wire.FRAME_LIMIT)(test)
    return test


@bounded
@given(st.lists(nasty_frames, min_size=1, max_size=4).map(b"".join), cuts, limits)
@and_the_nasty_ones
@example(frame(b'{"hello": 1}', b"", 0, 1), [], wire.HANDSHAKE_LIMIT)
def test_any_bytes_are_frames_or_an_error_of_the_wire_however_they_were_cut(stream, points, limit):
    frames, complaint = decode(wire.Decoder(limit), stream)
    decoder = wire.Decoder(limit)
    found, later = [], None
    for piece in pieces(stream, points):
        more, later = decode(decoder, piece)
        found += more
        if later:
            break
    assert (len(found), later) == (len(frames), complaint)
    assert [body for _, body in found] == [body for _, body in frames]


@bounded
@given(st.lists(nasty_frames, min_size=1, max_size=6).map(b"".join), cuts, limits)
def test_what_is_neither_a_frame_yet_nor_an_error_is_never_more_than_the_limit(stream, points, limit):
    decoder = wire.Decoder(limit)
    waiting = b""
    for piece in pieces(stream, points):
        frames, complaint = decode(decoder, piece)
        if complaint:
            return
        waiting += piece
        for _ in frames:
            waiting = waiting[HEAD.size + sum(HEAD.unpack_from(waiting)) :]
        assert len(waiting) <= HEAD.size + limit


@bounded
@given(st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF), limits, st.integers(1, 8))
@example(wire.HANDSHAKE_LIMIT, 0, wire.HANDSHAKE_LIMIT, 8)
@example(wire.HANDSHAKE_LIMIT + 1, 0, wire.HANDSHAKE_LIMIT, 8)
@example(1, 1, wire.HANDSHAKE_LIMIT, 8)
@example(0, wire.FRAME_LIMIT, wire.FRAME_LIMIT, 8)
@example(1, wire.FRAME_LIMIT, wire.FRAME_LIMIT, 8)
def test_a_head_alone_decides_whether_a_frame_is_too_large(text_size, body_size, limit, step):
    decoder = wire.Decoder(limit)
    head = HEAD.pack(text_size, body_size)
    for begin in range(0, HEAD.size, step):
        frames, complaint = decode(decoder, head[begin : begin + step])
        assert begin + step >= HEAD.size or (frames, complaint) == ([], None)
    too_large = text_size + body_size > limit or (body_size > 0 and limit == wire.HANDSHAKE_LIMIT)
    assert ("over the limit" in str(complaint)) == too_large
    assert frames == []


# Hellos


@bounded
@given(any_message | st.fixed_dictionaries({"hello": any_value, "package": any_value}), any_text)
@example({"hello": 10**4000, "package": []}, "/here")
@example({"hello": -(10**4000)}, "\ud800")
@example({"hello": float("nan"), "package": "x" * 5000}, "")
def test_any_message_is_a_hello_or_an_error_of_the_wire(message, package):
    version = message.get("hello")
    fits = isinstance(version, int) and abs(version - wire.VERSION) <= 1
    try:
        wire.check_hello(message, package)
    except WireError:
        assert not fits
    else:
        assert fits


@bounded
@given(st.integers(min_value=1, max_value=1500), st.sampled_from([(b"[", b"]"), (b'{"":', b"}")]))
def test_a_hello_nested_however_deeply_is_judged_by_the_wire(depth, brackets):
    opening, closing = brackets
    text = b'{"hello": 99, "package": %s1%s}' % (opening * depth, closing * depth)
    assume(len(text) <= wire.HANDSHAKE_LIMIT)
    frames, complaint = decode(wire.Decoder(wire.HANDSHAKE_LIMIT), frame(text))
    for message, _ in frames:
        try:
            wire.check_hello(message, "/here")
        except WireError as error:
            complaint = str(error)
    assert complaint


@bounded
@given(st.text(st.characters(), max_size=3000))
@example("\U0001f980" * 3000)
@example("\ud800" * 3000)
def test_a_hello_of_any_package_fits_an_unknown_peer_and_is_understood(package):
    [(message, body)] = wire.Decoder(wire.HANDSHAKE_LIMIT).feed(wire.encode(wire.hello(package)))
    wire.check_hello(message, "/here")
    assert body == b""
    assert len(message["package"]) >= min(len(package), 80)


# Markers


results = st.fixed_dictionaries(
    {"outcome": st.sampled_from(["done", "failed", "canceled"]), "message": any_text, "code": st.integers(0, 4)}
)
near_markers = st.one_of(
    st.integers(0, len(MARK) - 1).map(lambda size: MARK[:size]),
    st.integers(1, len(MARK)).map(lambda size: MARK[size:]),
    st.sampled_from([b"\0", b"\n", b"\0\n", b"{}\n", TOKEN.encode(), b"\0" + TOKEN.encode()[::-1]]),
    st.binary(max_size=12),
)
streams = st.lists(results | near_markers, max_size=10)


def marker(piece):
    return piece if isinstance(piece, bytes) else wire.encode_marker(TOKEN, piece, MARKER_LIMIT)


def plain(pieces):
    """Neighbouring bytes made one, empty ones left out; results as their texts, in which surrogates are escaped."""
    found = []
    for piece in pieces:
        if isinstance(piece, dict):
            found.append(json.dumps(json.loads(json.dumps(piece))))
        elif found and isinstance(found[-1], bytes):
            found[-1] += piece
        elif piece:
            found.append(piece)
    return found


@bounded
@given(streams, cuts)
@example([b"\0" * 40, {"outcome": "done", "message": "\0", "code": 0}, MARK[:-1]], [39, 41, 42])
def test_any_output_and_results_come_out_of_any_cut_as_they_went_in(parts, points):
    assume(not any(MARK in piece for piece in plain(parts) if isinstance(piece, bytes)))
    markers = wire.MarkerFilter(TOKEN)
    found = [item for piece in pieces(b"".join(map(marker, parts)), points) for item in markers.feed(piece)]
    assert plain([*found, markers.rest()]) == plain(parts)


@bounded
@given(streams, cuts)
def test_nothing_is_held_back_but_what_may_become_a_marker(parts, points):
    assume(not any(MARK in piece for piece in plain(parts) if isinstance(piece, bytes)))
    markers = wire.MarkerFilter(TOKEN)
    waiting = b""
    for piece in pieces(b"".join(map(marker, parts)), points):
        waiting += piece
        for item in markers.feed(piece):
            size = len(item) if isinstance(item, bytes) else waiting.index(b"\n") + 1
            waiting = waiting[size:]
        assert MARK.startswith(waiting) or (waiting.startswith(MARK) and len(waiting) <= MARKER_LIMIT)


@bounded
@given(st.binary(max_size=200), st.integers(1, 40))
def test_output_without_a_nul_is_never_held_back(data, size):
    data = data.replace(b"\0", b" ")
    markers = wire.MarkerFilter(TOKEN)
    for begin in range(0, len(data), size):
        assert markers.feed(data[begin : begin + size]) == [data[begin : begin + size]]


@bounded
@given(st.text(max_size=200), st.integers(1, 80), st.integers(-2, 2))
@example("\0\n" * 2000, 1, -1)
@example(TOKEN * 20, 1, 0)
@example(TOKEN * 20, 1, -1)
def test_any_message_fits_a_marker_and_is_only_cut_where_it_must_be(text, times, spare):
    result = {"outcome": "failed", "message": text * times, "code": 1}
    whole = len(wire.encode_marker(TOKEN, result, 1 << 20))
    for limit in (512, MARKER_LIMIT, max(512, whole + spare)):
        encoded = wire.encode_marker(TOKEN, result, limit)
        assert len(encoded) <= limit
        assert (encoded.count(b"\0"), encoded.index(b"\n")) == (1, len(encoded) - 1)
        [found] = [item for item in wire.MarkerFilter(TOKEN).feed(encoded) if item]
        assert result["message"].startswith(found["message"])
        assert {**found, "message": ""} == {**result, "message": ""}
        assert (found == result) == (whole <= limit)
