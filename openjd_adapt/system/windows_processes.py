"""Windows: child processes, the jobs that hold them, and an adaptor's process. See ``system`` for the contract."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from ctypes import byref, sizeof
from functools import partial

from ..errors import flush_streams
from . import interpreter, win32
from .windows import CANCEL_SIGNALS, Wakeup, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any, Callable, Iterable, Mapping, NoReturn, Sequence

    from .windows import Bell


_NO_WINDOW = getattr(subprocess, "CREATE_NO_WINDOW", 0)
_NEW_GROUP = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
CREATE_SUSPENDED = 0x4
#: A child has a hidden console and a process group of its own.
OWN_GROUP = _NO_WINDOW | _NEW_GROUP
#: The child begins when its :class:`Tree` is made, so that all that it starts is in that.
GROUP_OPTIONS: dict[str, Any] = {"creationflags": OWN_GROUP | CREATE_SUSPENDED}
#: A child of this console's.
ASKABLE_OPTIONS: dict[str, Any] = {"creationflags": _NEW_GROUP}
#: How long, in seconds, the asking of a process may take.
_ASK_SECONDS = 10.0

#: What a process that is killed ends with.
KILLED_EXIT = 1
_PAUSE_SECONDS = 0.01

#: The longest command line that Windows takes, in characters.
COMMAND_LIMIT = 32_766
#: What cmd.exe, which runs a batch file, may take for something else in an argument, however it is quoted.
_NOT_FOR_BATCH = set('"%!^&|<>\r\n')


def prepare_command(command: list[str], environment: Mapping[str, str] | None) -> list[str]:
    """The program is looked for on PATH with the endings of PATHEXT.

    Raises :class:`ValueError` for a command line that is too long, and for arguments of a batch file that cannot be
    passed safely.
    """
    import shutil

    path = None if environment is None else next((v for k, v in environment.items() if k.upper() == "PATH"), "")
    prepared = [shutil.which(command[0], path=path) or command[0], *command[1:]]
    if prepared[0].lower().endswith((".bat", ".cmd")):
        for argument in prepared:
            wrong = " ".join(map(repr, sorted(_NOT_FOR_BATCH.intersection(argument))))
            if wrong:
                raise ValueError("a batch file cannot be given %r, which has %s" % (argument, wrong))
    length = len(subprocess.list2cmdline(prepared))
    if length > COMMAND_LIMIT:
        raise ValueError("its command line has %d characters; Windows takes %d" % (length, COMMAND_LIMIT))
    return prepared


def quoted(words: list[str]) -> str:
    return subprocess.list2cmdline(words)


class Job:
    """A job object: all processes that are assigned to it, and all that they start."""

    def __init__(self, ends_with_owner: bool = True) -> None:
        self._handle = win32.CreateJobObject(None, None)
        if not ends_with_owner:
            return
        limits = win32.ExtendedLimits()
        limits.BasicLimitInformation.LimitFlags = win32.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
        win32.SetInformationJobObject(
            self._handle, win32.JobObjectExtendedLimitInformation, byref(limits), sizeof(limits)
        )

    def start(self, process: subprocess.Popen[bytes]) -> None:
        """Take in a child that was created suspended, and let it begin.

        Kills it and raises :class:`OSError` where the host does not allow that.
        """
        handle = int(process._handle)  # type: ignore[attr-defined, unused-ignore]
        try:
            win32.AssignProcessToJobObject(self._handle, handle)
        except OSError as error:
            process.kill()
            reason = "this host does not let a process into a job object of its own: %s" % error.strerror
            raise OSError(error.errno, reason) from None
        win32.ResumeProcess(handle)

    def kill(self) -> None:
        """Kill all of them."""
        win32.TerminateJobObject(self._handle, KILLED_EXIT)

    def active(self) -> int:
        """How many of them live."""
        facts = win32.Accounting()
        what = win32.JobObjectBasicAccountingInformation
        win32.QueryInformationJobObject(self._handle, what, byref(facts), sizeof(facts), None)
        return int(facts.ActiveProcesses)


def is_doomed() -> bool:
    """Whether this process is in a job of somebody else's that will end it with its owner."""
    limits = win32.ExtendedLimits()
    what = win32.JobObjectExtendedLimitInformation
    try:
        win32.QueryInformationJobObject(None, what, byref(limits), sizeof(limits), None)
    except OSError:
        return False  # it is in none
    return bool(limits.BasicLimitInformation.LimitFlags & win32.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE)


class Tree(Job):
    """What is left of it when it is released ends with the daemon. Raises :class:`OSError` as :meth:`Job.start`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        super().__init__(ends_with_owner=False)
        self._process = process
        self.start(process)

    def ask(self) -> bool:
        """CTRL_BREAK, from a process that attaches to its console; one without a console cannot be asked."""
        if not interpreter.is_python():
            return _ask_from_here(self._process.pid)
        command = [sys.executable, "-I", "-S", "-c", _ASK, str(self._process.pid)]
        null = subprocess.DEVNULL
        try:
            code = subprocess.call(
                command, creationflags=_NO_WINDOW, timeout=_ASK_SECONDS, stdin=null, stdout=null, stderr=null
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        return code == 0

    def pids(self) -> list[int]:
        return [*tree_of(self._process.pid, start_time(self._process.pid))]

    def look(self) -> bool:
        """The job knows them all."""
        return self.active() > (self._process.poll() is None)

    def release(self) -> None:
        win32.CloseHandle(self._handle)


_ASK = (
    "import ctypes, sys; k = ctypes.WinDLL('kernel32'); pid = int(sys.argv[1]); k.FreeConsole()\n"
    "sys.exit(not (k.AttachConsole(pid) and k.GenerateConsoleCtrlEvent(1, pid)))"
)


def _ask_from_here(pid: int) -> bool:
    """The same by this process itself, which loses its hidden console by that: later children may get windows."""
    win32.FreeConsole()
    try:
        win32.AttachConsole(pid)
        win32.GenerateConsoleCtrlEvent(win32.CTRL_BREAK_EVENT, pid)
    except OSError:
        return False
    finally:
        win32.FreeConsole()
    return True


def ask(process: subprocess.Popen[bytes], number: int = 0) -> bool:
    """One that cannot be asked is killed: without a console it fails, and on some Pythons raises SystemError."""
    try:
        process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM))
    except (OSError, SystemError):
        process.kill()
        return False
    return True


# Who is who


def start_time(pid: int) -> int:
    """In units of 100 ns since 1601."""
    return _times(pid)[0]


def lives(pid: int, started: int) -> bool:
    """Somebody may hold a handle of one that has ended."""
    begin, end = _times(pid)
    return 0 < started == begin and not end


def _times(pid: int) -> tuple[int, int]:
    """When a process has started, and when it has ended; 0 for what is not so, or cannot be told."""
    times = [win32.ULONGLONG() for _ in range(4)]
    try:
        process = win32.OpenProcess(win32.PROCESS_QUERY_LIMITED_INFORMATION, False, pid)
        try:
            win32.GetProcessTimes(process, *map(byref, times))
        finally:
            win32.CloseHandle(process)
    except OSError:
        return 0, 0
    return int(times[0].value), int(times[1].value)


def names_of(pids: Iterable[int]) -> str:
    """By their numbers alone."""
    return ", ".join(map(str, sorted(pids))) or "unknown"


def tree_of(pid: int, started: int) -> dict[int, int]:
    """What a keeper has started ends with its job, and there is no guardian."""
    return {}


def kill_all(processes: Mapping[int, int], timeout: float) -> set[int]:
    return set()


def wait_unreaped(process: subprocess.Popen[bytes]) -> int:
    """Its handle keeps its pid from becoming another's."""
    return process.wait()


# Ends


def kill_children(spare: frozenset[int] = frozenset(), timeout: float | None = None) -> set[int]:
    """What this process has started dies with its job."""
    return set()


def kill(pid: int, started: int) -> bool:
    if not 0 < started == start_time(pid):
        return False
    try:
        os.kill(pid, signal.SIGTERM)  # which ends any process at once here
    except OSError:
        return False
    return True


def wake(pid: int, started: int) -> None:
    """Nothing stops a process here."""


def kill_own_tree() -> NoReturn:
    """The job ends the rest."""
    os._exit(KILLED_EXIT)


#: The keeper is started anew, and there is no guardian.
FORKS = False
#: A thread tells of it.
CHILD_SIGNALS: tuple[int, ...] = ()

_BREAKAWAY = getattr(subprocess, "CREATE_BREAKAWAY_FROM_JOB", 0)
_PUMP_BYTES = 64 * 1024
#: How long, in seconds, output is waited for when all that could write any is dead.
_DRAIN_SECONDS = 2.0


class Worker:
    def __init__(self, started: tuple[subprocess.Popen[bytes], Job, int, int], bell: Bell, groups: None = None) -> None:
        self._process, self._job, control, output = started
        self.pid = self._process.pid
        self.control = _socket_for(None, control)
        self._output = _socket_for(output, None)
        self._output.setblocking(False)
        threading.Thread(target=self._tell_end, args=(bell,), name="end of the adaptor", daemon=True).start()

    def _tell_end(self, bell: Bell) -> None:
        self._process.wait()
        bell.ring(b"\0")

    def fileno(self) -> int:
        return self._output.fileno()

    def read(self, size: int) -> bytes:
        try:
            return self._output.recv(size)
        except socket.timeout:
            raise BlockingIOError from None
        except ConnectionError:
            return b""

    def kill(self) -> None:
        self._process.kill()

    def returncode(self) -> int | None:
        return self._process.poll()

    def end_all(self, timeout: float) -> set[int]:
        self._job.kill()
        end = time.monotonic() + timeout
        while self._job.active() and time.monotonic() < end:
            time.sleep(_PAUSE_SECONDS)
        self._output.settimeout(_DRAIN_SECONDS)
        return {self.pid} if self._job.active() else set()


def start_worker(argv: Sequence[str], folder: str | None) -> tuple[subprocess.Popen[bytes], Job, int, int]:
    """Start an adaptor's process in a job of its own, and in ``folder``."""
    job = Job()
    process, control, output = _start(argv, job, interpreter.WORKER, subprocess.STDOUT, folder)
    return process, job, control, output


def worker_control() -> socket.socket:
    """It comes over standard input."""
    return _socket_for(_take_over(0), None)


def start_keeper(argv: Sequence[str], foreground: bool) -> tuple[socket.socket, Job | None, IO[bytes]]:
    """Start a keeper; returns the connection to it, its job if it is to die with this process, and its errors."""
    job = Job() if foreground else None
    errors, theirs = os.pipe()
    try:
        _, writer, reader = _start(argv, job, interpreter.KEEPER, theirs)
    finally:
        os.close(theirs)
    return _socket_for(reader, writer), job, open(errors, "rb", buffering=0)


def starter_of_keeper() -> socket.socket:
    """In the keeper's process: its connection to the command that has started it."""
    return _socket_for(_take_over(0), _take_over(1))


def _start(
    argv: Sequence[str], job: Job | None, role: str, errors: int, folder: str | None = None
) -> tuple[subprocess.Popen[bytes], int, int]:
    """Start a process with pipes, in ``job``; returns it and our ends.

    What it reads comes from the first, what it writes to its output goes to the second.
    Without a job it leaves the caller's, if that lets it. The ends are plain descriptors: a file that is closed while a
    thread reads it would block, as at the end of the interpreter.
    """
    their_input, ours = os.pipe()
    output, theirs = os.pipe()
    options: dict[str, Any] = {"stdin": their_input, "stdout": theirs, "stderr": errors, "cwd": folder}
    options["env"] = {**interpreter.environment(), **interpreter.as_role(role, their_input)}
    try:
        if job:
            process = subprocess.Popen(list(argv), **GROUP_OPTIONS, **options)
            job.start(process)
            return process, ours, output
        try:
            process = subprocess.Popen(list(argv), creationflags=OWN_GROUP | _BREAKAWAY, **options)
        except OSError:
            process = subprocess.Popen(list(argv), creationflags=OWN_GROUP, **options)
        return process, ours, output
    finally:
        os.close(their_input)
        os.close(theirs)


def _take_over(descriptor: int) -> int:
    """A copy of a standard descriptor, with NUL left in its place."""
    copy = os.dup(descriptor)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, descriptor)
    os.close(null)
    return copy


def _socket_for(reader: int | None, writer: int | None) -> socket.socket:
    """A socket that says what comes out of ``reader``, and whose messages go into ``writer``; each may be None."""
    ours, theirs = socket.socketpair()
    if reader is not None:
        _pump(partial(os.read, reader, _PUMP_BYTES), theirs.sendall, partial(theirs.shutdown, socket.SHUT_WR))
    if writer is not None:
        pump = _pump(partial(theirs.recv, _PUMP_BYTES), partial(write_all, writer), partial(os.close, writer))
        if reader is not None:  # what an adaptor's process is told does not matter when its keeper ends
            _pumps.append(pump)
    else:  # what is said to nobody must not fill the socket
        _pump(partial(theirs.recv, _PUMP_BYTES), bool, bool)
    return ours


def _pump(read: Callable[[], bytes], write: Callable[[bytes], object], end: Callable[[], object]) -> threading.Thread:
    """A thread that passes on what ``read`` gives until that ends, or nobody takes it."""

    def run() -> None:
        try:
            for data in iter(read, b""):
                write(data)
        except OSError:
            pass
        try:
            end()
        except OSError:
            return

    pump = threading.Thread(target=run, name="pump", daemon=True)
    pump.start()
    return pump


def hand_over(command: list[str], environment: dict[str, str]) -> int:
    """The other program is a child, whose exit code this returns; the console's events reach it by themselves."""
    for number in CANCEL_SIGNALS:
        signal.signal(number, lambda number, frame: None)
    return subprocess.call(prepare_command(command, environment), env=environment)


#: The threads that bring to its pipe what was sent.
_pumps: list[threading.Thread] = []


def finish(code: int) -> None:
    """Windows must not call an interpreter that ends; where it waits for this process in a thread, this is the end."""
    for pump in _pumps:
        pump.join(_DRAIN_SECONDS)
    for wakeup in Wakeup.made:
        win32.SetConsoleCtrlHandler(wakeup._handler, False)
    if Wakeup.is_ending:
        flush_streams()
        os._exit(code)
