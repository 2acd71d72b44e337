"""Interface versions, Major.Minor."""

from __future__ import annotations

from collections import namedtuple


class SemanticVersion(namedtuple("SemanticVersion", "major minor")):
    """A version of an interface: a breaking change moves ``major``, an addition moves ``minor``. Orders as a tuple."""

    __slots__ = ()

    def __str__(self) -> str:
        return "%d.%d" % self

    def has_compatibility_with(self, other: SemanticVersion) -> bool:
        """True if what is installed in this version serves one who expects ``other``.

        Before 1.0 every version stands alone; after it, a newer minor version serves an older one.
        """
        if self.major != other.major:
            return False
        return bool(self.minor == other.minor if self.major == 0 else self.minor >= other.minor)

    @classmethod
    def parse(cls, version_str: str) -> SemanticVersion:
        """Read ``"1.2"``; raises :class:`ValueError` for anything else."""
        parts = version_str.split(".")
        if len(parts) == 2 and all(part.isascii() and part.isdigit() for part in parts):
            return cls(int(parts[0]), int(parts[1]))
        raise ValueError("%r is not a version of the form Major.Minor" % version_str)
