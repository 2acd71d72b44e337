"""Linux and macOS: starts guardian and keeper; what ``launch_windows`` does elsewhere.

Both are forked before any thread exists, the keeper by the guardian: so each is in its place, with what it inherits,
before it becomes a fresh interpreter. That carries nothing of what an author imports, and no guardian or keeper of a
large application is as large as that. Where the executable is not Python itself, they stay forks.
"""

from __future__ import annotations

import _socket  # as in system.posix
import gc
import os
import sys

assert sys.platform != "win32"  # for type checkers

from .. import system
from ..errors import AdaptError, flush_streams
from ..system.interpreter import can_be_fresh, fresh_command
from ..system.posix import signal
from ..transport.connection_file import ConnectionFileWriter, bind
from ..transport.loop import Peer
from . import launch_spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any, Callable, Iterable

    from ..transport.wire import Message


#: Blocked from before there is a process until it can hear them.
_HEARD_LATER = {signal.SIGTERM, signal.SIGINT}
#: What guardian and keeper import only when they need it; the first is of time.strptime.
_IMPORTED_LATER = ("_strptime", "calendar", "ctypes", "fcntl", "json", "select", "subprocess", "tempfile", "traceback")


def start(spec: Message) -> tuple[Peer, Callable[[], str], IO[bytes]]:
    """Start a keeper and the worker; returns the connection of the front that starts them, what ends all of them, and
    their standard error: what cannot begin says there why.

    Those of a daemon have a guardian above them, and the connection file is theirs from then on: its lock is free when
    all of them are dead. In the foreground this process is the guardian, and calls what is returned, which tells what
    cannot be ended. Raises :class:`InputError`.
    """
    if not can_be_fresh():
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
            _fork(lambda: _guard(spec["adaptor"], theirs, writer), errors)
        else:
            _fork_keeper(spec["adaptor"], theirs, None, errors)
    except OSError as error:
        if writer:
            writer.abandon()
        raise AdaptError("cannot start a process: %s" % error.strerror) from None
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


def _guard(adaptor: str, starter: _socket.socket, writer: ConnectionFileWriter) -> None:
    from .guardian import SIGNALS

    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    keeper, lifeline, groups = _fork_keeper(adaptor, starter, writer, 2)
    arguments = {"keeper": keeper, "writer": writer.values, "groups": groups}
    _become("guardian", adaptor, arguments, [lifeline, writer.descriptor, groups])


def _fork_keeper(
    adaptor: str, starter: _socket.socket, writer: ConnectionFileWriter | None, errors: int
) -> tuple[int, int, int | None]:
    """Fork a keeper below this process, its guardian; returns its pid, the pipe's end that must stay open as long as
    this process lives, and the descriptor of the list of groups that they share where this host loses orphans.
    """
    groups = None if system.become_subreaper() else system.Ledger().descriptor
    lifeline, our_end = os.pipe()
    arguments: dict[str, Any] = {"starter": starter.fileno(), "lifeline": lifeline, "groups": groups, "writer": None}
    shared = [starter.fileno(), lifeline, groups]
    if writer:
        arguments["writer"] = writer.values
        shared += [writer.listener.fileno(), writer.descriptor]
    pid = _fork(lambda: _become("keeper", adaptor, arguments, shared), errors)
    os.close(lifeline)
    return pid, our_end, groups


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
        system.become_subreaper()
        system.silence(errors)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        system.reset_signals(_HEARD_LATER)
        run()
        code = 0
    except Exception:
        import traceback

        os.write(2, traceback.format_exc().encode("utf-8", "backslashreplace"))
    finally:
        os._exit(code)  # nothing is run that the command has registered for its own end


def _become(module: str, adaptor: str, arguments: dict[str, Any], shared: Iterable[int | None]) -> None:
    """Call ``serve`` of a module with ``arguments`` and what is ``shared``: in a fresh interpreter, or else here."""
    kept = [descriptor for descriptor in shared if descriptor is not None]
    system.close_inherited([0, 1, 2, *kept])
    gc.freeze()  # objects whose descriptors have just been closed must not be collected and close others
    title = "%s of %s" % (module, adaptor)
    if can_be_fresh():
        command, environment = fresh_command(module, title, arguments)
        for descriptor in kept:
            os.set_inheritable(descriptor, True)
        try:
            os.execve(command[0], command, environment)
        except OSError:
            pass  # it has vanished since this process was started
    from importlib import import_module

    system.set_title("openjd_adapt " + title)
    import_module("." + module, __package__).serve(**arguments)
