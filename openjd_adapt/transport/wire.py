"""Frames and handshake: what the processes of a session say to one another, as bytes. No I/O.

A frame is two 4-byte big-endian lengths, a JSON object (UTF-8) of the first, and a raw body of the second. Only output
has a body, and init and run data, which are JSON that the keeper passes on unread. The first frame of either end is its
hello; unknown fields are ignored, unknown requests answered with an error. In version 1, which is served, run data
stood in the request, as "data".

What fronts and keeper say (a front's first frame is its hello, its second one request):

    front   {"do": "start"} {"do": "run", "from": "--run-data"} with the run data as body, {"do": "stop", "within": s}
            {"do": "cancel", "within": s} {"do": "status"}, then while its task runs {"cancel": seconds or null} and
            {"ack": offset}
    keeper  {"ready": path or null, "contained": bool} to the front that started it, {"canceled": bool} to a cancel,
            {"output": offset of the body's end} with a body, {"note": text}, {"error": text, "code": exit code},
            {"status": {}}, and as the last of a task {"result": {"outcome": done | failed | canceled, "message": text,
            "code": exit code}}, with "gone": true if the adaptor is dead
"""

from __future__ import annotations

import _thread
import os

from .. import plain_json
from ..errors import InputError, WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Dict, Tuple

    Message = Dict[str, Any]
    Frame = Tuple[Message, bytes]


VERSION = 2
#: The largest frame, in bytes; and the largest before the peer is known, which has no body.
FRAME_LIMIT = 64 * 1024 * 1024
HANDSHAKE_LIMIT = 4096
#: Larger reads cost more than they save: the C library maps new memory for each.
RECEIVE_BYTES = 64 * 1024
#: The most output that a front may have unacknowledged, in bytes.
WINDOW_BYTES = 256 * 1024
#: How much of the output that nobody has read is kept in memory, and in all, in bytes; if more comes, the oldest goes.
OUTPUT_MEMORY_BYTES = 8 * 1024 * 1024
OUTPUT_LIMIT_BYTES = 1024 * 1024 * 1024
#: How long, in seconds, a peer may take to make itself known.
HANDSHAKE_SECONDS = 5.0
#: How long, in seconds, a daemon may take to stop, if nobody says otherwise.
STOP_SECONDS = 60.0

#: So much of the end of a path a hello has room for, whatever the characters are as JSON.
_PACKAGE_CHARACTERS = 300

_HEAD_BYTES = 8


def encode(message: Message, body: bytes = b"", limit: int | None = None) -> bytes:
    """One frame. Raises :class:`InputError` if it would be larger, or nested deeper, than the wire allows."""
    text = as_json(message, "", len(body), limit)
    return b"".join((len(text).to_bytes(4, "big"), len(body).to_bytes(4, "big"), text, body))


def as_json(value: object, where: str = "", beside: int = 0, limit: int | None = None) -> bytes:
    """The JSON of a value, for a frame with ``beside`` more bytes. Raises as :func:`encode`; ``where`` is put first."""
    try:
        text = plain_json.dumps(value).encode("ascii")
    except RecursionError:
        raise InputError(where + "data are nested too deeply") from None
    size, limit = len(text) + beside, limit or FRAME_LIMIT
    if size > limit:
        raise InputError("%sdata of %d bytes are over the limit of %d bytes" % (where, size, limit))
    return text


class Decoder:
    """Bytes in, frames out, however the bytes were cut."""

    def __init__(self, limit: int = FRAME_LIMIT) -> None:
        #: Raise it to :data:`FRAME_LIMIT` when the peer is known.
        self.limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that ``data`` completes, each judged when it is asked for, so that one may raise :attr:`limit`.

        Raises :class:`WireError`, after which the stream has no meaning.
        """
        self._buffer += data
        while len(self._buffer) >= _HEAD_BYTES:
            text_size = int.from_bytes(self._buffer[:4], "big")
            body_size = int.from_bytes(self._buffer[4:_HEAD_BYTES], "big")
            if text_size + body_size > self.limit or (body_size and self.limit == HANDSHAKE_LIMIT):
                raise WireError("a frame of %d bytes is over the limit of %d" % (text_size + body_size, self.limit))
            end = _HEAD_BYTES + text_size + body_size
            if len(self._buffer) < end:
                return
            text = bytes(self._buffer[_HEAD_BYTES : _HEAD_BYTES + text_size])
            body = bytes(self._buffer[_HEAD_BYTES + text_size : end])
            del self._buffer[:end]
            yield _message(text), body


def _message(text: bytes) -> Message:
    try:
        message = plain_json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise WireError("a frame is not JSON: %s" % error) from None
    if not isinstance(message, dict):
        raise WireError("a frame is %s, not an object" % type(message).__name__)
    return message


def frames(receive: Callable[[int], bytes], limit: int) -> Iterator[Frame]:
    """What the other end says until it is gone; ``receive`` is as a socket's ``recv``. Raises :class:`WireError`."""
    decoder = Decoder(limit)
    data = receive(RECEIVE_BYTES)
    while data:
        yield from decoder.feed(data)
        data = receive(RECEIVE_BYTES)


class InOrder:
    """Calls ``act`` with what it is given, one after the other, in the order in which any thread has given it.

    A signal handler or a ``__del__`` may interrupt ``act`` and give more on the very thread that is in it: that waits
    for ``act`` to return, where a plain lock would wait for its own thread. All else is done when the call returns.
    """

    def __init__(self, act: Callable[..., object]) -> None:
        self._act = act
        self.reset()

    def reset(self) -> None:
        """In a forked child: forget what other threads were doing."""
        self._lock = _thread.RLock()
        self._waiting: list[tuple[Any, ...]] = []
        self._busy = False

    def __call__(self, *given: Any) -> None:
        self._waiting.append(given)
        while True:
            with self._lock:  # even if nothing waits: another thread may be in the very act
                if self._busy:
                    return
                self._busy = True
                try:
                    while self._waiting:
                        self._act(*self._waiting.pop(0))
                finally:
                    self._busy = False
            if not self._waiting:  # an interruption just before the block's end has found it busy, too
                return


def hello(package: str) -> Message:
    """The first message of either end: the wire's version, and the folder of the package that speaks it."""
    return {"hello": VERSION, "package": package[-_PACKAGE_CHARACTERS:]}


def check_hello(message: Message, package: str) -> None:
    """Raise :class:`WireError` unless ``message`` is the hello of a version that works together with this one."""
    version = message.get("hello")
    if not isinstance(version, int):
        raise WireError("the peer did not say hello")
    if abs(version - VERSION) > 1:
        raise WireError(
            "wire version %d of %s and wire version %d of %s do not work together"
            % (VERSION, package, version, str(message.get("package"))[:1024])
        )


def encode_marker(token: str, result: Message, limit: int) -> bytes:
    """The end of a task, for the worker's output: a NUL, the secret ``token``, the result as JSON, a line break.

    At most ``limit`` bytes, so that one write puts it down unmixed; a message that is too long for that is cut.
    """
    while True:
        marker = b"\0%s%s\n" % (token.encode("ascii"), plain_json.dumps(result).encode("ascii"))
        if len(marker) <= limit:
            return marker
        result = {**result, "message": result["message"][: len(result["message"]) * 3 // 4]}


class MarkerFilter:
    """The worker's output in, output and results out, however the bytes were cut."""

    def __init__(self, token: str) -> None:
        self._mark = b"\0" + token.encode("ascii")
        self._held = b""

    def feed(self, data: bytes) -> list[bytes | Message]:
        """What ``data`` adds: bytes that are output, and a dict for each result, in the order of the stream."""
        data = self._held + data
        found: list[bytes | Message] = []
        begin = data.find(self._mark)
        while begin >= 0:
            end = data.find(b"\n", begin)
            if end < 0:
                break
            found += [data[:begin], plain_json.loads(data[begin + len(self._mark) : end].decode("ascii"))]
            data = data[end + 1 :]
            begin = data.find(self._mark)
        if begin < 0:
            begin = data.rfind(b"\0", max(0, len(data) - len(self._mark)))
            if begin < 0 or not self._mark.startswith(data[begin:]):
                begin = len(data)
        self._held = data[begin:]
        found.append(data[:begin])
        return found

    def rest(self) -> bytes:
        """What was held back because it might have become a marker; the stream has ended."""
        held, self._held = self._held, b""
        return held


# How two ends that share a key prove that to each other without saying it, where the kernel does not tell who is who.
#
# Each says a nonce, and proves itself by a keyed hash of its role and both nonces: a proof that was overheard, or comes
# back to where it was made, fits nowhere else. The one that connects hears the proof before it says its own. No I/O.

KEY_BYTES = 32
_NONCE_BYTES = 32


class Claimant:
    """The end that connects."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._nonce = os.urandom(_NONCE_BYTES)

    def first(self) -> Message:
        """What to say first."""
        return {"nonce": self._nonce.hex()}

    def answer(self, message: Message) -> Message:
        """What to say to the first answer. Raises :class:`WireError` if the other end does not know the key."""
        nonces = self._nonce + _bytes(message, "nonce", _NONCE_BYTES)
        _check(message, self._key, b"server", nonces)
        return {"proof": _proof(self._key, b"client", nonces).hex()}


class Verifier:
    """The end that listens, for one connection."""

    def __init__(self, key: bytes | None) -> None:
        self._key = key or b""
        self._nonces = b""
        #: The other end has proved that it knows the key, or there is none.
        self.satisfied = not key

    def hear(self, message: Message) -> Message | None:
        """What to say to a message, if anything. Raises :class:`WireError` if it does not belong here."""
        if self._nonces:
            _check(message, self._key, b"client", self._nonces)
            self.satisfied = True
            return None
        own = os.urandom(_NONCE_BYTES)
        self._nonces = _bytes(message, "nonce", _NONCE_BYTES) + own
        return {"nonce": own.hex(), "proof": _proof(self._key, b"server", self._nonces).hex()}


def _proof(key: bytes, role: bytes, nonces: bytes) -> bytes:
    import hmac  # which costs, and is not needed where the kernel tells who is who

    return hmac.new(key, role + nonces, "sha256").digest()


def _check(message: Message, key: bytes, role: bytes, nonces: bytes) -> None:
    import hmac

    if not hmac.compare_digest(_bytes(message, "proof", 32), _proof(key, role, nonces)):
        raise WireError("the peer does not know the key of the connection file")


def _bytes(message: Message, name: str, size: int) -> bytes:
    try:
        data = bytes.fromhex(message[name])
    except (LookupError, TypeError, ValueError):
        data = b""
    if len(data) != size:
        raise WireError("the peer did not prove that it knows the key of the connection file")
    return data
