"""Linux and macOS: child processes, all below them, and an adaptor's process. See ``system`` for the contract."""

from __future__ import annotations

import _socket  # as in system.posix
import _thread
import os
import sys
import time

assert sys.platform != "win32"  # for type checkers

from .posix import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from typing import Any, Callable, Iterable, Mapping, NoReturn

    from .posix import Bell


#: The exit code of a process that somebody else has reaped: not known, and so no success.
UNKNOWN_EXIT = 255
#: A child leads a session, and so a process group, of its own.
GROUP_OPTIONS: dict[str, Any] = {"start_new_session": True}
ASKABLE_OPTIONS = GROUP_OPTIONS
#: Whether guardian and keeper can be forked.
FORKS = True
CHILD_SIGNALS = (signal.SIGCHLD,)

_PR_SET_CHILD_SUBREAPER = 36


def prepare_command(command: list[str], environment: Mapping[str, str] | None) -> list[str]:
    return command


def quoted(words: list[str]) -> str:
    import shlex  # which loads re

    return " ".join(map(shlex.quote, words))


def become_subreaper(on: bool = True) -> bool:
    """Make orphaned descendants this process's children (Linux), or no more. False where it cannot have or see them."""
    try:
        import _ctypes as c  # ctypes itself costs a start half a bare interpreter

        prctl = c.dlsym(c.dlopen(None, 0), "prctl")  # type: ignore[arg-type]
        failed = c.call_function(prctl, (_PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0))
    except (ImportError, OSError, AttributeError):
        return False  # some minimal Pythons have no ctypes, and macOS has no prctl
    return not failed and _sees_children()


def set_title(title: str) -> None:
    """Show ``title`` in ``ps``, in place of a command line that may hold init data (Linux; elsewhere nothing)."""
    stat = stat_of("self")
    start, end = map(int, stat[45:47]) if stat else (0, 0)  # arg_start and arg_end, fields 48 and 49 of proc(5)
    if 0 < start < end:
        size = end - start
        try:
            with open("/proc/self/mem", "r+b", buffering=0) as memory:
                memory.seek(start)
                memory.write(title.encode("utf-8", "replace")[: size - 1].ljust(size, b"\0"))
        except OSError:
            return  # a host where no process may write its own


# Who is who. /proc counts only if it is that of this process's PID namespace: another's numbers mean others.


def has_proc() -> bool:
    """Whether /proc tells of this process and those that it sees."""
    try:
        return os.readlink("/proc/self") == str(os.getpid())
    except OSError:
        return False


def _sees_children() -> bool:
    return has_proc() and os.path.exists("/proc/self/task/%d/children" % os.getpid())  # CONFIG_PROC_CHILDREN


def stat_of(pid: object) -> list[bytes] | None:
    """The fields of /proc/PID/stat from the third on (the second, a name, may hold anything), or None."""
    try:
        with open("/proc/%s/stat" % pid, "rb") as stream:
            return stream.read().rpartition(b")")[2].split() if has_proc() else None
    except OSError:
        return None


#: Of a larger tree not all is read, as it may grow for ever: what is left of it is the keeper's to kill.
_MOST_DESCENDANTS = 1000
#: How often the children of a process are read until two readings agree: the kernel may skip some while others end.
_READINGS = 8


def children(pid: int | None = None) -> set[int]:
    """The children of a process, or this one, unreaped ones included; empty where that cannot be told."""
    pid = os.getpid() if pid is None else pid
    found: set[int] = set()
    last = -1
    for _ in range(_READINGS if has_proc() else 0):
        try:
            for thread in os.listdir("/proc/%d/task" % pid):
                with open("/proc/%d/task/%s/children" % (pid, thread), "rb") as stream:
                    found.update(map(int, stream.read().split()))
        except OSError:
            continue  # a thread, or the process, has ended meanwhile
        if len(found) == last:
            break
        last = len(found)
    return found


def start_time(pid: int) -> int:
    """In clock ticks since the host's boot; on macOS, where ``ps`` tells it, in seconds since 1970."""
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


def names_of(pids: Iterable[int]) -> str:
    return ", ".join("%d (%s)" % (pid, name_of(pid)) for pid in sorted(pids)) or "unknown"


def descendants(*pids: int) -> list[int]:
    """All below ``pids``, parents first; what forks itself for ever is not followed for ever."""
    known = set(pids)
    found = list(pids)
    for pid in found:
        new = children(pid) - known if len(known) < _MOST_DESCENDANTS else set()
        known |= new
        found += new
    return found[len(pids) :]


# The end of a child


def _end_of(pid: int, options: int) -> os.waitid_result | None:
    """How the child ``pid`` has ended; it stays a zombie, so that its pid and group are still its own.

    None if it has not, or where the system cannot look without reaping (macOS before Python 3.13). Raises
    :class:`ChildProcessError` if it was reaped, or is not a child: as in an author's test, where something stands for a
    process.
    """
    if type(pid) is not int or pid <= 1:
        raise ChildProcessError
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | options) if hasattr(os, "waitid") else None


def is_own(pid: int) -> bool:
    """Whether ``pid`` is a child that was not reaped, and so nobody else's."""
    try:
        _end_of(pid, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def wait_unreaped(process: subprocess.Popen[bytes]) -> int:
    """It stays a zombie. Where the system cannot do that it is reaped."""
    try:
        result = _end_of(process.pid, 0)
    except ChildProcessError:
        return UNKNOWN_EXIT  # an author's own SIGCHLD handler has reaped it
    if result is None:
        return process.wait()
    return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status


#: Between two looks at children that were killed: death by SIGKILL is quick, but no event tells of a grandchild's.
_FIRST_PAUSE_SECONDS = 0.002
_LAST_PAUSE_SECONDS = 0.2
#: How long, in seconds, a process that nobody watches any more goes on killing what it has started.
_LAST_SECONDS = 5.0


def kill_children(spare: frozenset[int] = frozenset(), timeout: float | None = None) -> set[int]:
    """Only unreaped children are signalled, so no pid can have been reused, and the groups that they are in.

    What stands below them becomes a child when its parent dies (if this process is a subreaper), and is met in the next
    round. Each round reads this process's children alone, and a group dies at once: else what forks itself for ever, or
    beside a thousand others, is faster. What may not be killed (it has become another user's) is not waited for, and
    what the kernel cannot end for ``timeout`` seconds is given up. Without /proc nothing is done.
    """
    spared = {os.getpgrp(), *map(_group_of, spare)}
    out_of_reach: set[int] = set()
    killed: set[int] = set()
    pause = _FIRST_PAUSE_SECONDS
    end = None if timeout is None else time.monotonic() + timeout
    alone = 0  # how many readings in a row had nothing to kill: only ECHILD proves that there are none
    while True:
        left = children() - spare
        for pid in left - out_of_reach:
            group = _group_of(pid)
            if group not in spared:
                send(os.killpg, group, signal.SIGKILL)
            if not send(os.kill, pid, signal.SIGKILL):
                out_of_reach.add(pid)  # it is there, as nobody has reaped it
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pause = _FIRST_PAUSE_SECONDS
        except ChildProcessError:
            return set()
        alone = alone + 1 if left <= out_of_reach else 0
        done = alone > 1 and bool(spare or out_of_reach) or not _sees_children()
        if done or (end is not None and time.monotonic() >= end):
            left = children() - spare
            return left | set(descendants(*left))
        if left <= killed:  # while new ones appear there is no pause: something forks as fast as it is killed
            time.sleep(pause)
            pause = min(2 * pause, _LAST_PAUSE_SECONDS)
        killed |= left


def _group_of(pid: int) -> int:
    """The process group of a child; 0 if that is gone."""
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


# The end of others


def send(how: Callable[[int, int], None], target: int, number: int) -> bool:
    """Signal ``target`` by ``how``; False if that is not there, or may not be signalled.

    Every signal goes this way: what stands in for a process in an author's test has a pid that :func:`os.kill` takes
    for 1, and 1, 0 and negative numbers mean all processes or groups.
    """
    if type(target) is not int or target <= 1:
        return False
    try:
        how(target, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


class Tree:
    """The child is signalled only as long as it is unreaped."""

    #: Where the groups of this process's children are written down, if nobody could find them otherwise.
    groups: Ledger | None = None

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._pid = process.pid
        if self.groups:
            self.groups.enter(self._pid)
        #: Who was ever seen below the child, or in a group with them, by start time: an orphan is not found below it.
        self._noted: dict[int, int] = {}

    def look(self) -> bool:
        """Where there is no /proc only macOS, whose kernel counts no zombies, tells whether a group has somebody."""
        own = is_own(self._pid)
        if not has_proc():
            return own and os.uname().sysname == "Darwin" and hasattr(os, "waitid") and send(os.killpg, self._pid, 0)
        roots = [pid for pid, started in self._noted.items() if lives(pid, started)]
        groups = set(map(_group_of, roots)) - {0, os.getpgrp()}
        if own:
            roots.append(self._pid)
            groups.add(self._pid)
        # Orphans become children of the process above this one, which is the keeper.
        orphans = [pid for pid in children(os.getppid()) if _group_of(pid) in groups]
        self._noted.update((pid, start_time(pid)) for pid in orphans + descendants(*roots, *orphans))
        return any(lives(pid, started) for pid, started in self._noted.items())

    def pids(self) -> list[int]:
        own = [self._pid] if (stat_of(self._pid) or [b"Z"])[0] != b"Z" else []
        return own + [pid for pid, started in self._noted.items() if lives(pid, started)]

    def ask(self) -> bool:
        self.look()
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)  # what is stopped hears it only when it goes on
        return True

    def kill(self) -> None:
        self._signal(signal.SIGSTOP)  # else what forks itself for ever is faster than the look
        self.look()
        self._signal(signal.SIGKILL)

    def release(self) -> None:
        """Let go of it, before the child is reaped: its group's number may be another's then."""
        if self.groups:
            self.groups.cross_out(self._pid)

    def _signal(self, number: int) -> None:
        group = self._pid if is_own(self._pid) and send(os.killpg, self._pid, number) else 0
        for pid, started in self._noted.items():
            if _group_of(pid) != group:  # who is in the group has heard it already
                send_signal(pid, started, number)


def ask(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> bool:
    process.send_signal(signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)
    return True


def send_signal(pid: int, started: int, number: int) -> bool:
    """Signal a process that somebody else may reap at any time, if it is still the one that started then.

    False if it is not, or if that cannot be told (``started`` is 0). The process is held by a descriptor meanwhile
    (Linux 5.3, Python 3.9), so that its pid cannot become another's between the look and the signal.
    """

    def send_to_held(_: int, number: int) -> None:
        signal.pidfd_send_signal(held, number)  # type: ignore[attr-defined, unused-ignore]

    try:
        held = os.pidfd_open(pid)  # type: ignore[attr-defined, unused-ignore]
    except (AttributeError, OSError):
        held = -1  # an older Python or kernel, a sandbox that forbids it, or there is no such process
    try:
        return 0 < started == start_time(pid) and send(send_to_held if held >= 0 else os.kill, pid, number)
    finally:
        if held >= 0:
            os.close(held)


def kill(pid: int, started: int) -> bool:
    return send_signal(pid, started, signal.SIGKILL)


def wake(pid: int, started: int) -> None:
    send_signal(pid, started, signal.SIGCONT)


def lives(pid: int, started: int) -> bool:
    """On macOS also if it has ended and was not reaped."""
    return 0 < started == start_time(pid) and (stat_of(pid) or [b"?"])[0] not in (b"Z", b"X")


def tree_of(pid: int, started: int) -> dict[int, int]:
    found = [pid, *descendants(pid)] if lives(pid, started) else []
    return {each: start_time(each) for each in found}


def kill_all(processes: Mapping[int, int], timeout: float) -> set[int]:
    end = time.monotonic() + timeout
    while True:
        left = {pid for pid, started in processes.items() if lives(pid, started)}
        for pid in left:
            kill(pid, processes[pid])
        if not left or time.monotonic() >= end:
            return left
        time.sleep(_FIRST_PAUSE_SECONDS)


def kill_own_tree() -> NoReturn:
    """Orphans that have left their groups stay: they were another process's children, which is dead.

    Only now this becomes a subreaper: before, it would have had to reap what somebody here waits for.
    """
    try:
        if Tree.groups:
            Tree.groups.kill()
        become_subreaper()
        kill_children(timeout=_LAST_SECONDS)
    finally:
        os.killpg(0, signal.SIGKILL)
        os._exit(1)


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

    Guardian, keeper and worker share it as an unlinked file: a new one, or that of ``descriptor``. A group is entered
    as soon as it is there, and crossed out before its leader is reaped, so that none is killed whose number may be
    another's by now.
    """

    _ENTRY_BYTES = 8

    def __init__(self, descriptor: int | None = None) -> None:
        self.descriptor = _unlinked_file() if descriptor is None else descriptor
        self._writing = _thread.allocate_lock()

    def enter(self, group: int) -> None:
        self._replace(0, group)

    def cross_out(self, group: int) -> None:
        self._replace(group, 0)

    def kill(self) -> None:
        """Kill all groups of the list but this process's, which would not live to kill the rest, and cross them out."""
        for group in {*self._groups()} - {os.getpgrp()}:
            send(os.killpg, group, signal.SIGKILL)
            self.cross_out(group)

    def _groups(self) -> list[int]:
        data, step = os.pread(self.descriptor, os.fstat(self.descriptor).st_size, 0), self._ENTRY_BYTES
        return [int.from_bytes(data[place : place + step], sys.byteorder) for place in range(0, len(data), step)]

    def _replace(self, old: int, new: int) -> None:
        """Write ``new`` in the place of ``old``, or behind all."""
        with self._writing:
            groups = self._groups()
            place = groups.index(old) if old in groups else len(groups)
            os.pwrite(self.descriptor, new.to_bytes(self._ENTRY_BYTES, sys.byteorder), place * self._ENTRY_BYTES)


# An adaptor's process

#: The descriptors that a worker finds: its end of the control, and a daemon's groups if it has a list of them.
CONTROL_DESCRIPTOR = 3
_GROUPS_DESCRIPTOR = 4


class Worker:
    """Its end is told by SIGCHLD. ``groups`` is for hosts that lose orphans."""

    def __init__(self, started: dict[str, int], bell: Bell, groups: Ledger | None = None) -> None:
        self.pid = started["pid"]
        self.control = _socket.socket(fileno=started["control"])
        self._output = started["output"]
        self._groups = groups
        self._returncode: int | None = None
        os.set_blocking(self._output, False)
        bell.ring(b"\0")  # it may have ended before anybody listened

    def fileno(self) -> int:
        return self._output

    def read(self, size: int) -> bytes:
        return os.read(self._output, size)

    def kill(self) -> None:
        if self._returncode is None:  # else its pid may be another's
            send(os.kill, self.pid, signal.SIGKILL)

    def returncode(self) -> int | None:
        """Orphans that have become this process's are reaped, too."""
        while self._returncode is None:
            try:
                if self._groups and _end_of(self.pid, os.WNOHANG):
                    self._groups.kill()  # before their leader is reaped
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return None
            if pid == self.pid:
                self._returncode = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
            if pid == 0:
                return None
        return self._returncode

    def end_all(self, timeout: float) -> set[int]:
        if self._groups:
            self._groups.kill()  # if the system could not tell before; nobody else can have these numbers so soon
        return kill_children(timeout=timeout)


def worker_control() -> _socket.socket:
    os.set_inheritable(CONTROL_DESCRIPTOR, False)
    return _socket.socket(fileno=CONTROL_DESCRIPTOR)


def worker_groups() -> None:
    """In the adaptor's process, if the keeper says that there is a list of groups: write all into it from now on."""
    os.set_inheritable(_GROUPS_DESCRIPTOR, False)
    Tree.groups = Ledger(_GROUPS_DESCRIPTOR)
