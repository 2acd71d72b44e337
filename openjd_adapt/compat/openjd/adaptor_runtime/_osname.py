"""The name of an operating system, equal to each of its aliases."""

from __future__ import annotations

import platform

_ALIASES = {
    "macOS": ("darwin", "mac", "mac os", "macos", "os x"),
    "Windows": ("nt", "windows"),
    "Linux": ("linux",),
    "Posix": ("posix",),
}
_NAMES = {alias: name for name, aliases in _ALIASES.items() for alias in aliases}


class OSName(str):
    """``Linux``, ``macOS``, ``Windows`` or ``Posix``, from any of its aliases; without one, that of this host.

    Compares equal to every alias. Raises :class:`ValueError` for a name that is none.
    """

    LINUX = "Linux"
    MACOS = "macOS"
    WINDOWS = "Windows"
    POSIX = "Posix"

    def __new__(cls, name: str | None = None) -> OSName:
        return str.__new__(cls, cls.resolve_os_name(platform.system() if name is None else name))

    @staticmethod
    def resolve_os_name(name: str) -> str:
        """The name that an alias, such as ``darwin``, ``nt`` or ``linux2``, stands for."""
        alias = name.strip().lower()
        for begin in ("win", "linux"):
            if alias.startswith(begin):
                alias = {"win": "windows"}.get(begin, begin)
        if alias not in _NAMES:
            raise ValueError("%r is not an operating system; known are %s" % (name, ", ".join(sorted(_NAMES))))
        return _NAMES[alias]

    @staticmethod
    def is_macos(name: str | None = None) -> bool:
        return str(OSName(name)) == OSName.MACOS

    @staticmethod
    def is_windows(name: str | None = None) -> bool:
        return str(OSName(name)) == OSName.WINDOWS

    @staticmethod
    def is_linux(name: str | None = None) -> bool:
        return str(OSName(name)) == OSName.LINUX

    @staticmethod
    def is_posix(name: str | None = None) -> bool:
        return str(OSName(name)) != OSName.WINDOWS

    def __eq__(self, other: object) -> bool:
        try:
            return str(self) == OSName.resolve_os_name(str(other))
        except ValueError:
            return False

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__
