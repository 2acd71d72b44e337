"""Linux and macOS: signals, process trees, locks and peers. See ``system`` for the contract."""

from __future__ import annotations

import os
import signal
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    import subprocess
    from typing import Any, Callable, Iterable, NoReturn, Sequence

__all__ = [
    "GROUP_OPTIONS",
    "Tree",
    "Wakeup",
    "become_subreaper",
    "children",
    "is_locked",
    "kill_group",
    "kill_own_group",
    "reset_signals",
    "close_inherited",
    "configuration_folder",
    "ensure_standard_descriptors",
    "kill_children",
    "leave",
    "lock",
    "make_pipe",
    "peer_is_me",
    "set_title",
    "silence",
    "spawn",
    "start_time",
    "wait_for_lock",
    "wait_readable",
    "wait_unreaped",
]

#: The exit code of a process that somebody else has reaped: not known, and so no success.
UNKNOWN_EXIT = 255
#: For ``subprocess.Popen``: a child leads a session, and so a process group, of its own.
GROUP_OPTIONS: dict[str, Any] = {"start_new_session": True}

#: Between two looks at children that were killed: death by SIGKILL is quick, but no event tells of a grandchild's.
_FIRST_PAUSE_SECONDS = 0.002
_LAST_PAUSE_SECONDS = 0.2

_F_SETPIPE_SZ = 1031
_PIPE_BYTES = 1024 * 1024
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36


class Wakeup:
    """A descriptor that becomes readable when one of ``signals`` arrives; works whatever the main thread blocks in."""

    def __init__(self, *signals: int) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in signals:
            signal.signal(number, _note)

    def fileno(self) -> int:
        return self._reader

    def arrived(self) -> list[int]:
        """The numbers of the signals since the last call, in order."""
        try:
            return list(os.read(self._reader, 4096))
        except BlockingIOError:
            return []


def _note(number: int, frame: object) -> None:
    """Let the wakeup descriptor tell of the signal; a handler must exist for that."""


def _libc() -> Any:
    """The C library through ctypes, or None where there is none (some minimal Pythons)."""
    try:
        import ctypes

        return ctypes.CDLL(None, use_errno=True)
    except (ImportError, OSError):
        return None


def become_subreaper() -> bool:
    """Make orphaned descendants this process's children (Linux). False where that or /proc cannot be had."""
    libc = _libc()
    if not hasattr(libc, "prctl") or not os.path.exists("/proc/self/stat"):
        return False
    return bool(libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def set_title(title: str) -> None:
    """Show ``title`` in ``ps``, in place of a command line that may hold init data (Linux; elsewhere nothing)."""
    libc = _libc()
    stat = _stat("self")
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


def _stat(pid: object) -> list[bytes] | None:
    """The fields of /proc/PID/stat from the third on (the second, a name, may hold anything), or None."""
    try:
        with open("/proc/%s/stat" % pid, "rb") as stream:
            return stream.read().rpartition(b")")[2].split()
    except OSError:
        return None


def start_time(pid: int) -> int:
    """When ``pid`` started, in clock ticks since the host's boot; 0 where it cannot be told."""
    stat = _stat(pid)
    return int(stat[19]) if stat else 0


def _parents() -> dict[int, int]:
    """The parent of every process on the host; empty without /proc."""
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return {}
    stats = ((pid, _stat(pid)) for pid in pids)
    return {pid: int(stat[1]) for pid, stat in stats if stat}


def _descendants(pid: int) -> list[int]:
    """All below ``pid`` as it is now, parents first; empty without /proc."""
    parents = _parents()
    found = [pid]
    for ancestor in found:
        found += [child for child, parent in parents.items() if parent == ancestor]
    return found[1:]


def children() -> set[int]:
    """The pids of this process's children; empty without /proc."""
    own = os.getpid()
    return {pid for pid, parent in _parents().items() if parent == own}


def kill_children(spare: frozenset[int] = frozenset()) -> None:
    """Kill and reap this process's children until none but those of ``spare`` is left; blocks until they are dead.

    Only its own unreaped children are signalled, so no pid can have been reused: what stands below them becomes a
    child when its parent dies (if this process is a subreaper), and is met in the next round. What may not be killed
    (it has become another user's) is not waited for. Without /proc nothing is done.
    """
    out_of_reach = set(spare)
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pause = _FIRST_PAUSE_SECONDS
        except ChildProcessError:
            return
        left = children() - out_of_reach
        if not left:
            return
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except PermissionError:
                out_of_reach.add(pid)
        time.sleep(pause)
        pause = min(2 * pause, _LAST_PAUSE_SECONDS)


def kill_group(leader: int) -> None:
    """Kill what is left of the group that a child has led."""
    _send(os.killpg, leader, signal.SIGKILL)


def kill_own_group() -> NoReturn:
    """Kill this process and all of its group."""
    os.killpg(0, signal.SIGKILL)
    os._exit(1)


class Tree:
    """An unreaped child that leads a group, and all below it."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        #: What was ever seen below the child, with its start time: an orphan is no longer found below it.
        self._seen: dict[int, int] = {}

    def ask(self) -> None:
        """Ask all to end (SIGTERM)."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill all (SIGKILL)."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        for pid in _descendants(self._pid):
            self._seen.setdefault(pid, start_time(pid))
        _send(os.killpg, self._pid, number)
        for pid, started in self._seen.items():
            # The pid may have been reaped by its parent since, and be somebody else's.
            if 0 < started == start_time(pid) and _group(pid) != self._pid:
                _send(os.kill, pid, number)


def _send(how: Callable[[int, int], None], target: int, number: int) -> None:
    try:
        how(target, number)
    except (ProcessLookupError, PermissionError):
        return


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


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


def spawn(argv: Sequence[str], output: int, control: int) -> int:
    """Start ``argv`` in a session of its own and return its pid.

    It gets /dev/null as its input, ``output`` as its output and error, ``control`` as descriptor 3, and no other.
    """
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        _arrange({0: os.open(os.devnull, os.O_RDONLY), 1: output, 2: output, 3: control})
        os.execvp(argv[0], list(argv))
    except OSError as error:
        os.write(2, ("cannot start %s: %s\n" % (argv[0], error.strerror)).encode("utf-8", "replace"))
    finally:
        os._exit(127)


def wait_readable(descriptor: int, timeout: float | None = None) -> bool:
    """Wait until a pipe has something to read or has ended; False after ``timeout`` seconds."""
    import select

    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(None if timeout is None else timeout * 1000))


def make_pipe() -> tuple[int, int]:
    """A pipe (reading end, writing end) that holds as much as the system gives without being asked twice."""
    import fcntl

    reader, writer = os.pipe()
    try:
        fcntl.fcntl(writer, _F_SETPIPE_SZ, _PIPE_BYTES)
    except OSError:
        pass  # not Linux, or the user's pipes hold much already: the usual size does, too
    return reader, writer


def _arrange(wanted: dict[int, int]) -> None:
    """Make the descriptors ``wanted`` (target: source) this process's only ones."""
    high = {target: _above(source, len(wanted)) for target, source in wanted.items()}
    for target, source in high.items():
        os.dup2(source, target)
    close_inherited(wanted)


def _above(descriptor: int, floor: int) -> int:
    """A copy of ``descriptor`` that no target of :func:`_arrange` overwrites."""
    import fcntl

    return fcntl.fcntl(descriptor, fcntl.F_DUPFD, floor)


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


def configuration_folder() -> str:
    """Where the host's configuration lies."""
    return "/etc"


def reset_signals() -> None:
    """Undo what the caller or an author's main may have set: no signal is blocked, a broken pipe and a child's end are
    told as they are by default in Python."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def ensure_standard_descriptors() -> None:
    """Open /dev/null where the caller left standard input, output or error closed, lest a socket takes its place."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def silence() -> None:
    """Leave /dev/null as standard input, output and error: who stays must not hold the command's."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    if null > 2:
        os.close(null)


def lock(descriptor: int) -> bool:
    """Lock an open file for the life of its description, forks included. False if another holds it."""
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(descriptor: int) -> bool:
    """Whether another holds the lock of an open file."""
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def wait_for_lock(descriptor: int) -> None:
    """Block until nobody else holds the lock of an open file, and hold it."""
    import fcntl

    fcntl.flock(descriptor, fcntl.LOCK_EX)


def peer_is_me(connection: socket.socket) -> bool:
    """Whether the other end of a connected AF_UNIX socket runs as this process's user."""
    import socket
    import struct

    if hasattr(socket, "SO_PEERCRED"):
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return bool(struct.unpack("3i", credentials)[1] == os.geteuid())
    # macOS: SOL_LOCAL, LOCAL_PEERCRED, struct xucred (version, uid, ...)
    return bool(struct.unpack_from("2I", connection.getsockopt(0, 1, 76))[1] == os.geteuid())


def leave(code: int) -> NoReturn:
    """End this process without running what its parent registered for its own end."""
    os._exit(code)
