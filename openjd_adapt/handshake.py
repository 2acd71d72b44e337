"""How two ends that share a key prove that to each other without saying it, where the kernel does not tell who is who.

Each says a nonce, and proves itself by a keyed hash of its role and both nonces: a proof that was overheard, or comes
back to where it was made, fits nowhere else. The one that connects hears the proof before it says its own. No I/O.
"""

from __future__ import annotations

import os

from .errors import WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .wire import Message

KEY_BYTES = 32
_NONCE_BYTES = 32


class Claimant:
    """The end that connects."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._nonce = os.urandom(_NONCE_BYTES)

    def first(self) -> Message:
        """What to say first."""
        return {"nonce": _text(self._nonce)}

    def answer(self, message: Message) -> Message:
        """What to say to the first answer. Raises :class:`WireError` if the other end does not know the key."""
        nonces = self._nonce + _bytes(message, "nonce", _NONCE_BYTES)
        _check(message, self._key, b"server", nonces)
        return {"proof": _text(_proof(self._key, b"client", nonces))}


class Doorkeeper:
    """The end that listens, for one connection."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._nonces = b""
        #: The other end has proved that it knows the key.
        self.satisfied = False

    def hear(self, message: Message) -> Message | None:
        """What to say to a message, if anything. Raises :class:`WireError` if it does not belong here."""
        if self._nonces:
            _check(message, self._key, b"client", self._nonces)
            self.satisfied = True
            return None
        own = os.urandom(_NONCE_BYTES)
        self._nonces = _bytes(message, "nonce", _NONCE_BYTES) + own
        return {"nonce": _text(own), "proof": _text(_proof(self._key, b"server", self._nonces))}


def _proof(key: bytes, role: bytes, nonces: bytes) -> bytes:
    import hmac  # which costs, and is not needed where the kernel tells who is who

    return hmac.new(key, role + nonces, "sha256").digest()


def _check(message: Message, key: bytes, role: bytes, nonces: bytes) -> None:
    import hmac

    if not hmac.compare_digest(_bytes(message, "proof", 32), _proof(key, role, nonces)):
        raise WireError("the peer does not know the key of the connection file")


def _text(data: bytes) -> str:
    return data.hex()


def _bytes(message: Message, name: str, size: int) -> bytes:
    try:
        data = bytes.fromhex(message[name])
    except (LookupError, TypeError, ValueError):
        data = b""
    if len(data) != size:
        raise WireError("the peer did not prove that it knows the key of the connection file")
    return data
