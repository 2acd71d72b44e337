"""Linux and macOS: this process's children, and their end. See ``system`` for the contract."""

from __future__ import annotations

import os
import sys
import time

assert sys.platform != "win32"  # for type checkers

from .posix_signal import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

__all__ = ["children", "kill_children"]

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


def kill_children(spare: frozenset[int] = frozenset(), patience: float | None = None) -> set[int]:
    """Kill and reap this process's children until none but those of ``spare`` is left; returns what is left.

    Only its own unreaped children are signalled, so no pid can have been reused: what stands below them becomes a
    child when its parent dies (if this process is a subreaper), and is met in the next round. What may not be killed
    (it has become another user's) is not waited for, and what the kernel cannot end for ``patience`` seconds (None: for
    ever) is given up. Without /proc nothing is done.
    """
    out_of_reach = set(spare)
    killed: set[int] = set()
    pause = _FIRST_PAUSE_SECONDS
    end = None if patience is None else time.monotonic() + patience
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
