"""Linux and macOS: starts guardian and keeper; what ``launch_windows`` does elsewhere.

Both are forked before any thread exists, the keeper by the guardian: so each is in its place, with what it inherits,
before it becomes a fresh interpreter. That carries nothing of what an author imports, and no guardian or keeper of a
large application is as large as that. Where the executable is no Python, they stay forks.
"""

from __future__ import annotations

import _socket  # as in system.posix
import gc
import os
import sys
import time

assert sys.platform != "win32"  # for type checkers

from .. import system
from ..errors import AdaptError
from ..system.interpreter import Fresh
from ..system.posix import signal
from ..transport.connection_file import ConnectionFileWriter, bind
from ..transport.loop import Peer
from .launch_spec import DEATH_SECONDS, LaunchSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable


#: Blocked from before there is a process until it can hear them.
_HEARD_LATER = {signal.SIGTERM, signal.SIGINT}


def start_daemon(spec: LaunchSpec) -> Peer:
    """Start a guardian, its keeper and the worker; returns the connection of the front that starts them.

    The connection file is theirs from then on: its lock is free when all of them are dead. Raises :class:`InputError`.
    """
    assert spec.listen_at is not None
    fresh = _prepare()
    address = bind(spec.listen_at[0], spec.folder, spec.listen_at[1])
    ours, theirs = _socket.socketpair()
    shared = (theirs.fileno(), address.listener.fileno(), address.descriptor)
    try:
        _fork(lambda: _guard(fresh, spec.adaptor, theirs, address), shared)
    except OSError as error:
        address.abandon()
        raise AdaptError("cannot start a process: %s" % error.strerror) from None
    theirs.close()
    address.listener.close()
    os.close(address.descriptor)
    spec.send(ours)
    return Peer(ours)


def start_below(spec: LaunchSpec) -> Peer:
    """Start a keeper and the worker below this process, which is their guardian; returns the connection to the keeper.

    The caller ends with :func:`end_below`.
    """
    contained = system.become_subreaper()
    ours, theirs = _socket.socketpair()
    try:
        _fork_keeper(_prepare(), spec.adaptor, theirs, None, None if contained else system.Ledger())
    except OSError as error:
        raise AdaptError("cannot start a process: %s" % error.strerror) from None
    theirs.close()
    spec.send(ours)
    return Peer(ours)


def end_below(spare: frozenset[int]) -> set[int]:
    """End what the keeper of :func:`start_below` has left, but for the children ``spare``; returns what is left."""
    return system.kill_children(spare, DEATH_SECONDS)


def _prepare() -> Fresh:
    """How guardian and keeper begin. Where they stay forks, all that they would import later is imported here.

    A frozen program may have unpacked that into a folder that goes when the command ends.
    """
    fresh = Fresh()
    if not fresh.is_possible:
        import calendar  # noqa: F401
        import contextlib
        import fcntl  # noqa: F401
        import importlib  # noqa: F401
        import json  # noqa: F401
        import select  # noqa: F401
        import subprocess  # noqa: F401
        import tempfile  # noqa: F401
        import traceback  # noqa: F401

        from . import guardian, keeper  # noqa: F401

        with contextlib.suppress(ImportError):  # a Python without it: process groups only
            import ctypes  # noqa: F401

        time.strptime("2000", "%Y")  # which imports a module of its own
    return fresh


def _guard(fresh: Fresh, adaptor: str, starter: _socket.socket, address: ConnectionFileWriter) -> None:
    from .guardian import SIGNALS

    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    groups = None if system.become_subreaper() else system.Ledger()
    keeper, lifeline = _fork_keeper(fresh, adaptor, starter, address, groups)
    starter.close()
    address.listener.close()
    arguments = {"keeper": keeper, "address": address.to_dict(), "groups": groups and groups.descriptor}
    shared = [lifeline, address.descriptor] + ([groups.descriptor] if groups else [])
    _become(fresh, "guardian", "guardian of " + adaptor, arguments, shared)


def _fork_keeper(
    fresh: Fresh,
    adaptor: str,
    starter: _socket.socket,
    address: ConnectionFileWriter | None,
    groups: system.Ledger | None,
) -> tuple[int, int]:
    """Fork a keeper; returns its pid and the pipe's end that must stay open as long as this process lives."""
    lifeline, our_end = os.pipe()
    shared = [starter.fileno(), lifeline]
    if groups:
        shared.append(groups.descriptor)
    if address:
        shared += [address.listener.fileno(), address.descriptor]
    arguments = {
        "starter": starter.fileno(),
        "lifeline": lifeline,
        "address": address and address.to_dict(),
        "groups": groups and groups.descriptor,
    }

    def be_keeper() -> None:
        system.become_subreaper()
        _become(fresh, "keeper", "keeper of " + adaptor, arguments, shared)

    pid = _fork(be_keeper, shared)
    os.close(lifeline)
    return pid, our_end


def _fork(run: Callable[[], None], shared: Iterable[int]) -> int:
    """Fork a process that calls ``run`` in a session of its own, with ``shared`` as its only descriptors."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.flush()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD_LATER)
    try:
        pid = os.fork()
    except OSError:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        raise
    if pid:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return pid
    code = 1
    try:
        os.setsid()
        system.silence()
        system.close_inherited([0, 1, 2, *shared])
        gc.freeze()  # objects whose descriptors have just been closed must not be collected and close others
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        system.reset_signals(_HEARD_LATER)
        run()
        code = 0
    finally:
        os._exit(code)  # nothing is run that the command has registered for its own end


def _become(fresh: Fresh, module: str, title: str, arguments: dict[str, Any], shared: Iterable[int]) -> None:
    """Call ``serve`` of a module with ``arguments``: in a fresh interpreter, or else here."""
    command, environment = fresh.command(module, title, arguments)
    try:
        for descriptor in shared:
            os.set_inheritable(descriptor, True)
        if command:
            os.execve(command[0], command, environment)
    except OSError:
        pass  # it has vanished since this process was started
    from importlib import import_module

    for descriptor in shared:
        os.set_inheritable(descriptor, False)
    system.set_title("openjd_adapt " + title)
    import_module("." + module, __package__).serve(**arguments)
