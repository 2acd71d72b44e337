"""The reference's names for adaptors: thin files that hand on the toolkit's own, in whose folder they lie."""

from ._entrypoint import EntryPoint

__all__ = ["EntryPoint"]
