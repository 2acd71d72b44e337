"""Linux and macOS: which processes stand below which, and their end. See ``system`` for the contract."""

from __future__ import annotations

import os
import sys
import time

assert sys.platform != "win32"  # for type checkers

from .posix_children import all_parents, send, stat_of
from .posix_signal import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from typing import Any, Mapping, NoReturn

__all__ = [
    "ASKABLE_OPTIONS",
    "GROUP_OPTIONS",
    "Tree",
    "UNCONTAINED",
    "ask",
    "become_subreaper",
    "descendants",
    "has_ended",
    "kill",
    "kill_own_group",
    "name_of",
    "prepare_command",
    "set_title",
    "start_time",
    "wait_unreaped",
    "wake",
]

#: The exit code of a process that somebody else has reaped: not known, and so no success.
UNKNOWN_EXIT = 255
#: For ``subprocess.Popen``: a child leads a session, and so a process group, of its own.
GROUP_OPTIONS: dict[str, Any] = {"start_new_session": True}
#: For ``subprocess.Popen``: a child that :func:`ask` can ask.
ASKABLE_OPTIONS = GROUP_OPTIONS
#: What a host lacks where what an adaptor starts can escape: subreapers, or /proc.
UNCONTAINED = "this host lacks what it takes to end processes that leave their process group"

_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36


def _libc() -> Any:
    """The C library through ctypes, or None where there is none (some minimal Pythons)."""
    try:
        import ctypes

        return ctypes.CDLL(None, use_errno=True)
    except (ImportError, OSError):
        return None


def prepare_command(command: list[str], environment: Mapping[str, str] | None) -> list[str]:
    """What to start for a command."""
    return command


def become_subreaper() -> bool:
    """Make orphaned descendants this process's children (Linux). False where that or /proc cannot be had."""
    libc = _libc()
    if not hasattr(libc, "prctl") or not os.path.exists("/proc/self/stat"):
        return False
    return bool(libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def set_title(title: str) -> None:
    """Show ``title`` in ``ps``, in place of a command line that may hold init data (Linux; elsewhere nothing)."""
    libc = _libc()
    stat = stat_of("self")
    if libc is None or stat is None:
        return
    import ctypes

    start, end = int(stat[45]), int(stat[46])  # arg_start and arg_end, fields 48 and 49 of proc(5)
    if 0 < start < end:
        text = title.encode("utf-8", "replace")[: end - start - 1]
        ctypes.memset(start, 0, end - start)
        ctypes.memmove(start, text, len(text))
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_NAME, b"openjd_adapt", 0, 0, 0)


# Who is who


def start_time(pid: int) -> int:
    """When ``pid`` started, in clock ticks since the host's boot; 0 where it cannot be told.

    macOS, where ``ps`` tells it: in seconds since 1970.
    """
    stat = stat_of(pid)
    if stat:
        return int(stat[19])
    return _start_time_by_ps(pid) if os.uname().sysname == "Darwin" else 0


def _start_time_by_ps(pid: int) -> int:
    import calendar
    import subprocess

    try:
        shown = subprocess.check_output(["ps", "-o", "lstart=", "-p", str(pid)], env={"LC_ALL": "C", "TZ": "UTC"})
        return calendar.timegm(time.strptime(shown.decode("ascii").strip()))
    except (OSError, ValueError, subprocess.SubprocessError):
        return 0


def name_of(pid: int) -> str:
    """The name of a process; empty where it cannot be told."""
    try:
        with open("/proc/%d/comm" % pid, "rb") as stream:
            return stream.read().decode("utf-8", "backslashreplace").strip()
    except OSError:
        return ""


def descendants(pid: int) -> list[int]:
    """All below ``pid`` as it is now, parents first; empty without /proc."""
    parents = all_parents()
    found = [pid]
    for ancestor in found:
        found += [child for child, parent in parents.items() if parent == ancestor]
    return found[1:]


# The end of a child


def has_ended(pid: int) -> bool:
    """Whether the child ``pid`` has ended; it stays a zombie, so that its pid and group are still its own.

    Always False where the system cannot look without reaping (macOS before Python 3.13).
    """
    if not hasattr(os, "waitid"):
        return False
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def wait_unreaped(process: subprocess.Popen[bytes]) -> int:
    """Block until a child has ended; leave it a zombie, so that its pid cannot become another's. Returns its exit code.

    Where the system cannot do that (macOS before Python 3.13) it is reaped.
    """
    if not hasattr(os, "waitid"):
        return process.wait()
    try:
        result = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    except ChildProcessError:
        return UNKNOWN_EXIT  # an author's own SIGCHLD handler has reaped it
    assert result is not None
    return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status


# The end of others


class Tree:
    """An unreaped child that leads a group, and all below it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._pid = process.pid
        #: What was ever seen below the child, with its start time: an orphan is no longer found below it.
        self._seen: dict[int, int] = {}

    def ask(self) -> bool:
        """Ask all to end (SIGTERM); whether that could be done."""
        self._signal(signal.SIGTERM)
        return True

    def kill(self) -> None:
        """Kill all (SIGKILL)."""
        self._signal(signal.SIGKILL)

    def release(self) -> None:
        """Let go of it, when the child is reaped."""

    def _signal(self, number: int) -> None:
        for pid in descendants(self._pid):
            self._seen.setdefault(pid, start_time(pid))
        send(os.killpg, self._pid, number)
        for pid, started in self._seen.items():
            if _group(pid) != self._pid:
                send_signal(pid, started, number)


def ask(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> bool:
    """Ask a child, a command of ours, to end: as a scheduler does, or for SIGINT as a terminal. That can be done."""
    process.send_signal(signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)
    return True


def send_signal(pid: int, started: int, number: int) -> bool:
    """Signal a process that somebody else may reap at any time, if it is still the one that started then.

    False if it is not, or if that cannot be told (``started`` is 0). The process is held by a descriptor meanwhile
    (Linux 5.3, Python 3.9), so that its pid cannot become another's between the look and the signal.
    """
    try:
        held = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None  # type: ignore[attr-defined, unused-ignore]
    except ProcessLookupError:
        return False
    except OSError:
        held = None  # an older kernel, or a sandbox that forbids it
    try:
        if not 0 < started == start_time(pid):
            return False
        if held is None:
            return send(os.kill, pid, number)
        return send(signal.pidfd_send_signal, held, number)  # type: ignore[attr-defined, unused-ignore]
    finally:
        if held is not None:
            os.close(held)


def wake(pid: int, started: int) -> None:
    """Let a process that was stopped go on."""
    send_signal(pid, started, signal.SIGCONT)


def kill(pid: int, started: int) -> bool:
    """Kill a process if it is still the one that started then; False if it is not, or if that cannot be told."""
    return send_signal(pid, started, signal.SIGKILL)


def kill_own_group() -> NoReturn:
    """Kill this process and all of its group."""
    os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0
