"""Linux and macOS: this process's children and their end, and a list of groups: all that a guardian loads."""

from __future__ import annotations

import _thread
import os
import struct
import sys
import time

assert sys.platform != "win32"  # for type checkers


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

__all__ = [
    "children",
    "kill_children",
    "Ledger",
    "signal",
]


if TYPE_CHECKING:
    import signal
else:
    try:
        import _signal as signal  # the same functions, and the numbers as numbers
    except ImportError:
        import signal


#: Between two looks at children that were killed: death by SIGKILL is quick, but no event tells of a grandchild's.
_FIRST_PAUSE_SECONDS = 0.002
_LAST_PAUSE_SECONDS = 0.2


def stat_of(pid: object) -> list[bytes] | None:
    """The fields of /proc/PID/stat from the third on (the second, a name, may hold anything), or None."""
    try:
        with open("/proc/%s/stat" % pid, "rb") as stream:
            return stream.read().rpartition(b")")[2].split()
    except OSError:
        return None


def all_parents() -> dict[int, int]:
    """The parent of every process on the host; empty without /proc."""
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return {}
    stats = ((pid, stat_of(pid)) for pid in pids)
    return {pid: int(stat[1]) for pid, stat in stats if stat}


def children() -> set[int]:
    """The pids of this process's children; empty without /proc."""
    own = os.getpid()
    return {pid for pid, parent in all_parents().items() if parent == own}


def kill_children(spare: frozenset[int] = frozenset(), timeout: float | None = None) -> set[int]:
    """Kill and reap this process's children until none but those of ``spare`` is left; returns what is left.

    Only its own unreaped children are signalled, so no pid can have been reused: what stands below them becomes a
    child when its parent dies (if this process is a subreaper), and is met in the next round. What may not be killed
    (it has become another user's) is not waited for, and what the kernel cannot end for ``timeout`` seconds (None: for
    ever) is given up. Without /proc nothing is done.
    """
    out_of_reach = set(spare)
    killed: set[int] = set()
    pause = _FIRST_PAUSE_SECONDS
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pause = _FIRST_PAUSE_SECONDS
        except ChildProcessError:
            return set()
        left = children() - out_of_reach
        if not left or (end is not None and time.monotonic() >= end):
            return left
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except PermissionError:
                out_of_reach.add(pid)
        if left <= killed:  # while new ones appear there is no pause: something forks as fast as it is killed
            time.sleep(pause)
            pause = min(2 * pause, _LAST_PAUSE_SECONDS)
        killed |= left


def send(how: Callable[[int, int], None], target: int, number: int) -> bool:
    """Signal ``target`` by ``how``; False if that is not there, or may not be signalled."""
    try:
        how(target, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


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
