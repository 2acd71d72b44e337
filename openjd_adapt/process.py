"""Child processes: their output, their end, and the end of their whole tree."""

from __future__ import annotations

import codecs
import io
import logging
import os
import threading
import time
from contextlib import suppress

from . import output, system, task
from .errors import NOT_STARTED, AdaptError, ProgramNotStarted
from .lines import LineForwarder, Watcher

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import IO, Any

    from .lines import RegexHandler


_logger = logging.getLogger(__name__)

#: How long, in seconds, a process may take to end after it was asked, unless told otherwise.
GRACE_SECONDS = 60.0
#: The part of the whole time that a process has to end after it was asked over its channel; then it gets a signal.
CHANNEL_PART = 0.5
#: What is left of a cancel's time for the adaptor's own cleanup: a tenth, but not less than this many seconds.
LEAST_RESERVE_SECONDS = 0.5
#: How long, in seconds, a process may take to die of SIGKILL before it is left to whoever outlives this one.
DEATH_SECONDS = 10.0
#: Between two looks at who of a tree still lives, in seconds.
LOOK_SECONDS = 0.05
#: How long, in seconds, a process has to end by itself when a line has said that its work is done.
DONE_SECONDS = 1.0
#: How long, in seconds, output is waited for when a process has ended but a descendant holds its pipe.
DRAIN_SECONDS = 1.0
#: How much, in bytes, may stand in a stream when its process has ended; and how long passing that on may take on a
#: host that has no time, in seconds.
PIPE_BYTES = 64 * 1024
CATCH_UP_SECONDS = 60.0


def escalate(process: LoggingSubprocess, grace: float, current: task.Task) -> None:
    """End a process and all below it, step by step, by a deadline that only comes closer: ask, wait, kill what is left.

    ``grace``: seconds that the asking may take. ``current`` is asked for the deadline of a cancel throughout, as a
    further cancel may shorten it while the escalation waits.
    """
    clock = current.clock
    begin = clock()

    def top() -> float:
        left = current.remaining()
        if left is None:
            return begin + grace
        deadline = clock() + left
        return min(begin + grace, deadline - max(LEAST_RESERVE_SECONDS, (deadline - begin) / 10))

    def try_to(ask: Callable[[], bool], lives: Callable[[], bool], part: float) -> None:
        if top() > clock() and lives() and ask():
            process._wait_while(lives, lambda: begin + part * (top() - begin))

    process._look()  # whom a wrapper that goes first leaves behind is noted now
    try_to(process.ask_over_channel, lambda: process.is_running, CHANNEL_PART)
    try_to(process._ask_by_signal, process._look, 1.0)
    process._kill()


def text(what: str, given: Any) -> str:
    """``given`` as a text; ``what`` an author has done to give it begins the line that :class:`AdaptError` says."""
    if not isinstance(given, (str, bytes, os.PathLike)):
        raise AdaptError("%s %r, not a text or a path" % (what, given))
    return os.fsdecode(given)


def texts(what: str, given: Any) -> list[str]:
    """As :func:`text`, of a list."""
    if isinstance(given, (str, bytes, os.PathLike)) or not hasattr(given, "__iter__"):
        raise AdaptError("%s %r, not a list of texts" % (what, given))
    return [text("%s a list whose item %d is" % (what, number), item) for number, item in enumerate(given, 1)]


def texts_by_name(what: str, given: Any) -> dict[str, str] | None:
    """As :func:`text`, of a dictionary, such as an environment; None stays None."""
    if given is None:
        return None
    if not hasattr(given, "items"):
        raise AdaptError("%s %r, not a dictionary of texts" % (what, given))
    return {
        text(what + " a dictionary with the name", name): text("%s a dictionary in which %s is" % (what, name), value)
        for name, value in given.items()
    }


def launch_options(author: Any) -> dict[str, Any]:
    """What an author's attributes and hooks say of how a process is to run, for :class:`LoggingSubprocess`.

    Raises :class:`AdaptError` with the class and the name of what is wrong.
    """
    name = type(author).__name__
    returned = "%%s of %s returned" % name
    folder = author.get_startup_directory()
    if folder is not None:
        folder = text(returned % "get_startup_directory", folder)
    environment = texts_by_name(returned % "get_environment", author.get_environment())
    extra = texts_by_name(returned % "extra_environment", author.extra_environment())
    if extra:
        environment = {**(os.environ if environment is None else environment), **extra}
    try:
        codecs.lookup(author.encoding)
    except (LookupError, TypeError):
        raise AdaptError("encoding of %s: Python does not know %r" % (name, author.encoding)) from None
    options = {"startup_directory": folder, "env": environment}
    return {**options, "encoding": author.encoding, "merge_output": author.merge_output}


class StreamLogger(threading.Thread):
    """A thread that passes a stream on, line by line, until it ends: to the output, to ``handlers`` and to ``loggers``.

    ``stream`` may be of bytes (``encoding`` is the application's) or of text. Loggers are only asked if a handler
    of the author's own is attached to them.
    """

    def __init__(
        self,
        *args: Any,
        stream: IO[Any],
        loggers: Sequence[logging.Logger],
        level: int = logging.INFO,
        handlers: Sequence[logging.Handler] = (),
        encoding: str = "utf-8",
        owner: task.Task | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._stream = stream
        self._forwarder = LineForwarder(level, loggers, handlers, encoding, owner)
        self._state = threading.Condition()
        self._in_hand = False
        self._taken = 0
        self._ended = False

    def run(self) -> None:
        """Read until the stream ends."""
        try:
            if isinstance(self._stream, io.BufferedReader):
                self._read(self._stream.fileno())
            else:  # text, or bytes in memory
                for line in self._stream:
                    self._forwarder.feed(line if isinstance(line, bytes) else line.encode("utf-8", "backslashreplace"))
        finally:
            self._forwarder.close()
            with self._state:
                self._ended = True
                self._state.notify_all()

    def _read(self, descriptor: int) -> None:
        """Read and pass on, so that what was written is at any moment either in the stream or marked as in hand."""
        while True:
            system.wait_readable(descriptor)
            with self._state:
                self._in_hand = True
            chunk = os.read(descriptor, output.READ_BYTES)
            if not chunk:
                return
            self._forwarder.feed(chunk)
            with self._state:
                self._taken += len(chunk)
                self._in_hand = False
                self._state.notify_all()

    def settle(self, timeout: float) -> None:
        """Wait, ``timeout`` seconds at the most, until what stands in the stream now is passed on."""
        with self._state:
            if self._ended:
                return
            descriptor = self._stream.fileno()
            last = self._taken + output.READ_BYTES + PIPE_BYTES
            self._state.wait_for(
                lambda: self._ended or self._taken > last or not (self._in_hand or system.wait_readable(descriptor, 0)),
                timeout,
            )


class LoggingSubprocess:
    """A child process in a group of its own, whose output is passed on as it appears.

    ``args``: the program and its arguments. ``env``: its whole environment; None gives it a copy of this one's.
    Its standard input is an open pipe, :attr:`stdin`, that is closed with the process. As a context manager it
    waits for the process, or terminates it if the body raises.

    Raises :class:`ProgramNotStarted` if the program cannot be started, :class:`ProgramNotFound` if there is none.
    """

    def __init__(
        self,
        *,
        args: Sequence[str],
        startup_directory: str | None = None,
        logger: logging.Logger = _logger,
        stdout_handler: RegexHandler | None = None,
        stderr_handler: RegexHandler | None = None,
        encoding: str = "utf-8",
        env: Mapping[str, str] | None = None,
        watcher: RegexHandler | None = None,
        merge_output: bool = False,
        on_end: Callable[[], object] = bool,
    ) -> None:
        """``watcher`` looks at the lines of both streams, after the stream's own handler. ``merge_output``: standard
        error goes the way of standard output, and the lines of both come in the order in which they were written.
        ``on_end`` is called, on a thread, when the process has ended.
        """
        import subprocess  # which costs the memory of adaptors that start nothing a twentieth

        command = texts("args= of LoggingSubprocess is", args)
        if not command:
            raise ValueError("args: must begin with a program")
        environment = texts_by_name("env= of LoggingSubprocess is", env)
        try:
            codecs.lookup(encoding)
        except LookupError:
            raise ValueError("encoding: Python does not know %r" % encoding) from None
        self.args = command
        #: How the process is asked to end before it gets a signal; False if it cannot be asked so.
        self.ask_over_channel: Callable[[], bool] = bool
        self._logger = logger
        self._on_end = on_end
        self._end = threading.Event()
        self._returncode: int | None = None
        #: What a callback's failure ends where no task runs: outside of an adaptor the waits for this process alone.
        self._task = task.current(task.Task())
        #: Guards the pid: it is signalled and given back under this lock only.
        self._pid_lock = threading.RLock()
        self._reaped = False
        self._readers: list[StreamLogger] = []
        self._watchers = [each for each in (stdout_handler, stderr_handler, watcher) if isinstance(each, Watcher)]
        for each in self._watchers:
            each.is_done = False  # that was the process before
        try:
            self._process = subprocess.Popen(
                system.prepare_command(command, environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if merge_output else subprocess.PIPE,
                cwd=startup_directory,
                env=environment,
                **system.GROUP_OPTIONS,
            )
            #: The pipe to the process's standard input.
            self.stdin: IO[bytes] | None = self._process.stdin
            try:
                self._tree = system.Tree(self._process)
            except BaseException:  # nobody would ever end it
                self._process.kill()
                self._process.wait()
                raise
        except (OSError, ValueError) as error:
            kind = NOT_STARTED.get(type(error), ProgramNotStarted)
            where = " in " + os.fspath(startup_directory) if startup_directory else ""
            raise kind("cannot start %s%s: %s" % (command[0], where, error)) from error
        logger.info("Running: %s (pid %d)", subprocess.list2cmdline(command), self.pid)
        if logger.isEnabledFor(logging.DEBUG):
            import shutil

            logger.debug("%s is %s, in %s", command[0], shutil.which(command[0]), startup_directory or os.getcwd())
        out = self._process.stdout, output.STDOUT, stdout_handler
        err = self._process.stderr, output.STDERR, stderr_handler
        try:
            for stream, level, handler in [out] if merge_output else [out, err]:
                reader = StreamLogger(
                    name="%s of %s" % (logging.getLevelName(level), command[0]),
                    daemon=True,
                    stream=stream,  # type: ignore[arg-type]
                    loggers=[logger],
                    level=level,
                    handlers=[each for each in (handler, watcher) if each],
                    encoding=encoding,
                    owner=self._task,
                )
                task.start(reader)
                self._readers.append(reader)
            task.start(threading.Thread(target=self._watch, name="end of %s" % command[0], daemon=True))
        except BaseException:
            self._kill()
            self._watch()
            self._reap()
            self._drain()
            raise

    def _watch(self) -> None:
        """Tell the waits that the process has ended. It stays a zombie, so that its group can still be killed."""
        self._returncode = system.wait_unreaped(self._process)
        self._end.set()
        task.wake(self._task)
        self._on_end()

    @property
    def pid(self) -> int:
        """The process's id, which is its group's, too."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None while the process runs."""
        return self._returncode

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended yet."""
        return not self._end.is_set()

    def __enter__(self) -> LoggingSubprocess:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        try:
            if error is None:
                self.wait()
        finally:
            self.terminate()

    def wait(self) -> None:
        """Close the process's standard input; wait for its end, or until it is done, and for all that it has written.

        A cancel of the running task ends the wait with :class:`Canceled`, and an exception of one of the callbacks with
        that exception; the process goes on in both cases. A descendant that holds the pipes is waited for one second at
        the most.
        """
        self._wait_for_end()
        if not self.is_running:
            self._reap()

    @property
    def is_done(self) -> bool:
        """Whether a line has said that the work is done, whatever becomes of the process."""
        return any(watcher.is_done for watcher in self._watchers)

    def _wait_for_end(self) -> None:
        self.close_stdin()
        phase = task.current(self._task).phase
        name = os.path.basename(self.args[0])
        phase.wait_within_bounds(
            lambda: self._end.is_set() or self.is_done, name, "the end of %s (pid %d)" % (name, self.pid)
        )
        if self.is_done:  # what it does last may be to close its files
            phase.wait_for(self._end.is_set, DONE_SECONDS)
        if not self.is_running:
            self._drain()
        phase.check()

    def _reap(self) -> None:
        """Give the pid back: from now on it may be anybody's."""
        with self._pid_lock:
            if not self._reaped:
                self._tree.release()
                self._process.wait()
                self._reaped = True

    def _signal(self, signal_tree: Callable[[], object]) -> bool:
        """Signal the process and those below it, unless its pid was given back; whether they could be signalled."""
        with self._pid_lock:
            return not self._reaped and bool(signal_tree())

    def wait_quietly(self, timeout: float) -> bool:
        """Wait for the end alone, whatever becomes of the task; whether the process has ended in time."""
        ended = self._end.wait(timeout)
        if ended:
            self._drain()
        return ended

    def settle(self) -> None:
        """Wait until what the process has written so far is passed on; one that never pauses is not waited for long."""
        if self._is_in_callback():
            return  # what it was called for is in hand, and the other stream may wait for the handler's lock
        for reader in self._readers:
            reader.settle(DRAIN_SECONDS)

    def last_lines(self, count: int) -> list[str]:
        """The last lines that were written to standard output, and then those to standard error."""
        tails = [reader._forwarder.tail.decode("utf-8", "backslashreplace") for reader in self._readers]
        return [line for tail in tails for line in tail.splitlines()][-count:]

    def terminate(self, grace_time_s: float = GRACE_SECONDS) -> None:
        """End the process and all below it: ask it, wait ``grace_time_s`` seconds at the most, kill.

        The time that a canceled task has left shortens the wait. Returns when the process has ended. Does nothing
        after a successful :meth:`wait`. Raises :class:`AdaptError` if the system cannot kill it.
        """
        if self._reaped:
            return
        escalate(self, grace_time_s, task.current(self._task))
        if not self._end.wait(DEATH_SECONDS):
            raise AdaptError("process %d (%s) cannot be ended, not even by SIGKILL" % (self.pid, self.args[0]))
        self._reap()
        self._drain()

    def _ask_by_signal(self) -> bool:
        self._logger.info("Asking process %d to end", self.pid)
        self._show_tree("asking by a signal: %s")
        return self._signal(self._tree.ask)

    def _show_tree(self, what: str) -> None:
        if self._logger.isEnabledFor(logging.DEBUG):
            with self._pid_lock:
                pids = [] if self._reaped else self._tree.pids()
                if pids:
                    self._logger.debug(what, system.names_of(pids))

    def _look(self) -> bool:
        """Note what stands below the process and in the groups of all these; whether any of them lives."""
        return self._signal(self._tree.look) or self.is_running

    def _wait_while(self, lives: Callable[[], bool], end: Callable[[], float]) -> None:
        """Wait for the process's end, and while ``lives()``, until ``end()``.

        That is asked again when the cancel's deadline has changed. No event tells of the end of what is not a child.
        """
        current = task.current(self._task)
        with current.phase.waiting("process %d and all below it to end" % self.pid):
            current.wait_until(self._end.is_set, end)
            while lives() and end() > current.clock():
                next_look = current.clock() + LOOK_SECONDS
                current.wait_until(bool, lambda: min(end(), next_look))  # noqa: B023

    def _kill(self) -> None:
        if self.is_running:
            self._logger.info("Killing process %d and all below it", self.pid)
        self._show_tree("killing: %s")
        self._signal(self._tree.kill)

    def _drain(self) -> None:
        """Wait for what the process has written; a descendant that holds its pipes is not waited for long."""
        self.close_stdin()
        end = time.monotonic() + DRAIN_SECONDS
        for reader in [] if self._is_in_callback() else self._readers:
            reader.join(max(0.0, end - time.monotonic()))
            reader.settle(CATCH_UP_SECONDS)
            if not reader.is_alive():
                reader._stream.close()
        for watcher in self._watchers:
            watcher.tell_fatal()

    def _is_in_callback(self) -> bool:
        return threading.current_thread() in self._readers

    def close_stdin(self) -> None:
        """Close the process's standard input, if that has not been done."""
        if self.stdin:
            with suppress(OSError):  # what the process did not read is nobody's loss
                self.stdin.close()
