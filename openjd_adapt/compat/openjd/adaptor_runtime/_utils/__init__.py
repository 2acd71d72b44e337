"""What adaptors use of the reference's inner helpers."""

from ._secure_open import secure_open

__all__ = ["secure_open"]
