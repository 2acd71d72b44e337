"""Linux and macOS: a list of process groups, for hosts that lose orphans. See ``system`` for the contract."""

from __future__ import annotations

import _thread
import os
import struct
import sys

assert sys.platform != "win32"  # for type checkers

from .posix_children import send
from .posix_signal import signal

__all__ = ["Ledger"]


def _unlinked_file() -> int:
    try:
        descriptor = os.memfd_create("openjd_adapt")  # Linux, Python 3.8
    except (AttributeError, OSError):
        import tempfile

        descriptor, path = tempfile.mkstemp(prefix="openjd_adapt-")
        os.unlink(path)
    os.fchmod(descriptor, 0o600)
    return descriptor


class Ledger:
    """The process groups of a daemon, for hosts where its orphans are nobody's to find: they die by this list.

    Guardian, keeper and worker share it as an unlinked file. A group is entered as soon as it is there, and crossed out
    before its leader is reaped, so that none is killed whose number may be another's by now.
    """

    _ENTRY = struct.Struct("q")

    def __init__(self, descriptor: int | None = None) -> None:
        """A new list, or the one that ``descriptor`` is of."""
        self.descriptor = _unlinked_file() if descriptor is None else descriptor
        self._writing = _thread.allocate_lock()

    def enter(self, group: int) -> None:
        """Add a group."""
        with self._writing:
            self._write(self._place(0), group)

    def cross_out(self, group: int) -> None:
        """Take a group out again."""
        with self._writing:
            self._write(self._place(group), 0)

    def kill(self) -> None:
        """Kill all groups of the list."""
        for group in self._groups():
            if group:
                send(os.killpg, group, signal.SIGKILL)

    def _groups(self) -> list[int]:
        size = os.fstat(self.descriptor).st_size
        return [group for (group,) in self._ENTRY.iter_unpack(os.pread(self.descriptor, size, 0))]

    def _place(self, group: int) -> int:
        groups = self._groups()
        return groups.index(group) if group in groups else len(groups)

    def _write(self, place: int, group: int) -> None:
        os.pwrite(self.descriptor, self._ENTRY.pack(group), place * self._ENTRY.size)
