"""Linux and macOS: one way to start what a command needs; ``launch_windows`` does it elsewhere.

    front      the command: binds the connection file and forks the guardian; in ``run`` it is that itself
    guardian   in a session of its own, a subreaper: forks the keeper, and watches
    keeper     in a session of its own, a subreaper: makes the worker's pipe and control, forks the worker, and keeps
    worker     in a session of its own: becomes the adaptor's interpreter while the other two still start

Each is forked before any thread exists, and so is in its place, with what it inherits, before guardian and keeper
become fresh interpreters. Those carry nothing of what an author imports, and are not as large as a large application.
Where the executable is not Python itself, they stay forks. Then the front sends the keeper the launch spec.
"""

from __future__ import annotations

import _socket  # as in system.posix
import gc
import marshal
import os
import sys

assert sys.platform != "win32"  # for type checkers

from .. import system
from ..errors import AdaptError, flush_streams
from ..system import interpreter
from ..system.posix import signal
from ..transport.connection_file import ConnectionFileWriter, abandon, bind
from ..transport.loop import Peer
from . import launch_spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any, Callable, Iterable, NoReturn, Sequence

    from ..transport.wire import Message


#: Blocked from before there is a process until it can hear them.
_HEARD_LATER = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
#: What guardian and keeper import only when they need it; the first is of time.strptime.
_IMPORTED_LATER = ("_strptime", "calendar", "ctypes", "fcntl", "json", "select", "subprocess", "tempfile", "traceback")
#: How long, in seconds, the guardian stays a fork: a fresh interpreter would take the time of those that start.
GUARDIAN_SECONDS = 1.0
_NO_ROOM = "cannot start a process: %s"


def start(spec: Message) -> tuple[Peer, Callable[[], str], IO[bytes]]:
    """Start a keeper and the worker; returns the connection of the front that starts them, what ends all of them, and
    their standard error: what cannot begin says there why.

    Those of a daemon have a guardian above them, and the connection file is theirs from then on: its lock is free when
    all of them are dead. In the foreground this process is the guardian, and calls what is returned, which tells what
    cannot be ended. Raises :class:`InputError`.
    """
    if not interpreter.can_be_fresh():
        _import_all()
    writer = bind(spec["listen_at"], spec["folder"]) if spec["listen_at"] else None
    spare = frozenset(() if writer else system.children())  # what the author's main or the caller has started is theirs
    theirs, errors = None, -1
    try:
        ours, theirs = _socket.socketpair()
        reader, errors = os.pipe()
        for descriptor in (reader, errors):
            os.set_blocking(descriptor, False)  # nobody waits for the other end
        if writer:
            _fork(lambda: _guard(spec, theirs, writer), errors)
        else:
            _fork_keeper(spec, theirs, None, errors)
    except OSError as error:
        if writer:
            abandon(writer.values)
        raise AdaptError(_NO_ROOM % error.strerror) from None
    finally:
        if theirs:
            theirs.close()
        if errors > -1:
            os.close(errors)
        if writer:
            writer.close()
    launch_spec.send(ours, spec)

    def end() -> str:
        left = system.kill_children(spare, launch_spec.DEATH_SECONDS)
        system.become_subreaper(False)  # what the author's main starts from now on is as it was before
        return launch_spec.describe_left(left)

    return Peer(ours), end, open(reader, "rb", buffering=0)


def _import_all() -> None:
    """Where guardian and keeper stay forks, import now what they would import later.

    A frozen program may have unpacked that into a folder that goes when the command ends.
    """
    from importlib import import_module

    from . import guardian, keeper  # noqa: F401

    for name in _IMPORTED_LATER:
        try:
            import_module(name)
        except ImportError:
            continue  # a Python without ctypes: process groups only


def _guard(spec: Message, starter: _socket.socket, writer: ConnectionFileWriter) -> None:
    keeper, lifeline, groups = _fork_keeper(spec, starter, writer, 2)
    arguments = {"keeper": keeper, "writer": writer.values, "groups": groups}
    from . import guardian  # noqa: F401 - where it cannot be loaded, the start is to fail

    _become("guardian", spec, arguments, [lifeline, writer.descriptor, groups], GUARDIAN_SECONDS)


def _fork_keeper(
    spec: Message, starter: _socket.socket, writer: ConnectionFileWriter | None, errors: int
) -> tuple[int, int, int | None]:
    """Fork a keeper below this process, its guardian; returns its pid, the pipe's end that must stay open as long as
    this process lives, and the descriptor of the list of groups that they share where this host loses orphans.
    """
    groups = None if system.become_subreaper() else system.Ledger().descriptor
    lifeline, our_end = os.pipe()
    pid = _fork(lambda: _keep(spec, starter, writer, lifeline, groups), errors)
    os.close(lifeline)
    return pid, our_end, groups


def _keep(
    spec: Message, starter: _socket.socket, writer: ConnectionFileWriter | None, lifeline: int, groups: int | None
) -> None:
    system.become_subreaper()
    worker = fork_worker(spec["argv"], spec["argv_folder"], groups)
    arguments = {"starter": starter.fileno(), "lifeline": lifeline, "groups": groups, "worker": worker, "writer": None}
    shared = [starter.fileno(), lifeline, groups, worker["control"], worker["output"]]
    if writer:
        arguments["writer"] = writer.values
        shared += [writer.listener.fileno(), writer.descriptor]
    _become("keeper", spec, arguments, shared)


def fork_worker(argv: Sequence[str], folder: str | None = None, groups: int | None = None) -> dict[str, int]:
    """Fork a worker below this process, its keeper, that becomes ``argv`` in ``folder``; returns what makes a
    :class:`system.Worker` of it.

    It gets /dev/null as its input, the pipe as its output and error, and the descriptors that ``system`` names.
    """

    def become_adaptor() -> NoReturn:
        try:
            if groups is not None:
                system.Ledger(groups).enter(os.getpid())
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            system.arrange([0, 2, 2, theirs.fileno(), *([] if groups is None else [groups])])
            if folder:
                os.chdir(folder)
            control = system.CONTROL_DESCRIPTOR
            role = interpreter.as_role(interpreter.WORKER, control, control)
            os.execvpe(argv[0], list(argv), {**interpreter.environment(), **role})
        except Exception as error:  # the descriptors may not do for an import
            reason = getattr(error, "strerror", None) or error
            os.write(2, ("cannot start %s: %s\n" % (argv[0], reason)).encode("utf-8", "replace"))
        finally:
            os._exit(127)

    output, errors = os.pipe()
    control, theirs = _socket.socketpair()
    try:
        system.enlarge(output)
        return {"pid": _fork(become_adaptor, errors), "output": output, "control": control.detach()}
    finally:
        os.close(errors)
        theirs.close()


def _fork(run: Callable[[], None], errors: int) -> int:
    """Fork a process that calls ``run`` in a session of its own, with ``errors`` as its standard error, and ends."""
    flush_streams()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD_LATER)
    pid = -1
    try:
        pid = os.fork()
    finally:
        if pid:  # the new process has its own time for that
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        system.silence(errors)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        system.reset_signals(_HEARD_LATER)
        run()
        code = 0
    except OSError as error:
        os.write(2, b"ERROR: %s\n" % (_NO_ROOM % error.strerror).encode("utf-8"))
    except Exception:
        import traceback

        os.write(2, traceback.format_exc().encode("utf-8", "backslashreplace"))
    finally:
        os._exit(code)  # nothing is run that the command has registered for its own end


def _become(
    module: str, spec: Message, arguments: dict[str, Any], shared: Iterable[int | None], later: float = 0.0
) -> None:
    """Call ``serve`` of a module with ``arguments`` and what is ``shared``: in a fresh interpreter, or else here.

    ``later``: in so many seconds, if no signal comes until then.
    """
    kept = [descriptor for descriptor in shared if descriptor is not None]
    path = spec["listen_at"] or ""
    title = "%s of %s" % (module, spec["adaptor"])
    if path and os.path.dirname(path) != spec["folder"]:  # of a private folder nobody else may know
        title += ", " + path
    gc.freeze()  # objects whose descriptors are closed must not be collected and close others
    system.close_inherited([0, 1, 2, *kept])
    system.set_title("openjd_adapt " + title)
    heard = signal.sigtimedwait(_HEARD_LATER, later) if later and hasattr(signal, "sigtimedwait") else None
    if heard:  # its time has come already
        os.kill(os.getpid(), heard.si_signo)
    elif interpreter.can_be_fresh():
        reader, writer = os.pipe()
        os.set_blocking(writer, False)  # nobody reads yet
        os.write(writer, marshal.dumps(arguments))
        os.dup2(reader, 0)
        for descriptor in kept:
            os.set_inheritable(descriptor, True)
        command = interpreter.fresh_command(module, title)
        try:
            os.execv(command[0], command)
        except OSError:  # it has vanished since this process was started
            os.dup2(1, 0)
    from importlib import import_module

    import_module("." + module, __package__).serve(**arguments)
