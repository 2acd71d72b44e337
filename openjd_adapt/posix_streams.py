"""Linux and macOS: standard input, output and error, and what else is open. See ``system`` for the contract."""

from __future__ import annotations

import os
import sys

assert sys.platform != "win32"  # for type checkers

from .posix import WRITE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable

    from .posix import Bell

__all__ = [
    "close_inherited",
    "ensure_standard_descriptors",
    "silence",
    "StandardOutput",
]


class StandardOutput:
    """Standard output, for a loop that must never block in a write."""

    #: What to wait for until :meth:`write` makes progress.
    INTEREST = WRITE
    #: Whether nobody reads it any more, where waiting for it does not tell.
    is_broken = False

    def __init__(self, wakeup: Bell) -> None:
        """``wakeup`` is rung for what waiting does not tell: nothing here."""

    def fileno(self) -> int:
        return 1

    def write(self, data: memoryview) -> int:
        """Write some of ``data``; how much. Raises :class:`OSError`, :class:`BlockingIOError` if it took nothing."""
        return os.write(1, data[:_ATOMIC_BYTES])


#: A pipe that poll() calls writable takes this much without blocking (POSIX, PIPE_BUF).
_ATOMIC_BYTES = 4096


def ensure_standard_descriptors() -> None:
    """Open /dev/null where the caller left standard input, output or error closed, lest a socket takes its place.

    ``sys.stdout`` and ``sys.stderr`` are there afterwards, which Python leaves None for what is closed.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, "w", encoding="utf-8", closefd=False))  # noqa: SIM115


def silence() -> None:
    """Leave /dev/null as standard input, output and error: who stays must not hold the command's."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    if null > 2:
        os.close(null)


def close_inherited(keep: Iterable[int]) -> None:
    """Close every descriptor but those of ``keep``, whoever opened it."""
    bound = os.sysconf("SC_OPEN_MAX")
    for folder in ("/proc/self/fd", "/dev/fd"):
        if os.path.isdir(folder):
            bound = max(int(name) for name in os.listdir(folder)) + 1
            break
    start = 0
    for descriptor in [*sorted(keep), bound]:
        if start < descriptor:  # closerange(0, 0) closes all where it is made of close_range(0, -1)
            os.closerange(start, descriptor)
        start = descriptor + 1
