"""The process above the keeper: it only watches, and sees to it that nothing outlives the keeper.

For a daemon it is a process of its own; for ``run`` it is the command itself, in which the front works. Both are forked
without exec, before any thread exists.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys

from . import system
from .channel import Address, remove_private_folder
from .errors import FAILED, AdaptError, describe_exit
from .keeper import DEATH_SECONDS, keep
from .peer import Peer

assert sys.platform != "win32"  # for type checkers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterable

    from .keeper import Plan


def start_daemon(plan: Plan) -> Peer:
    """Start a guardian, its keeper and the worker; returns the connection of the front that starts them.

    The address is theirs from then on: its lock is free when all of them are dead. Raises :class:`InputError`.
    """
    assert plan.listen_at is not None
    address = plan.address = Address(plan.listen_at[0], plan.folder, plan.listen_at[1])
    ours, theirs = socket.socketpair()
    shared = (theirs.fileno(), address.listener.fileno(), address.descriptor)
    try:
        _fork(lambda: _guard(plan, theirs), shared, "guardian of " + plan.adaptor)
    except OSError as error:
        address.abandon()
        raise AdaptError("cannot start a process: %s" % error.strerror) from None
    theirs.close()
    address.listener.close()
    os.close(address.descriptor)
    return Peer(ours)


def start_below(plan: Plan) -> Peer:
    """Start a keeper and the worker below this process, which is their guardian; returns the connection to the keeper.

    The caller ends with :func:`end_below`.
    """
    contained = system.become_subreaper()
    ours, theirs = socket.socketpair()
    try:
        _fork_keeper(plan, theirs, None if contained else system.Ledger())
    except OSError as error:
        raise AdaptError("cannot start a process: %s" % error.strerror) from None
    theirs.close()
    return Peer(ours)


def end_below(plan: Plan, spare: frozenset[int]) -> set[int]:
    """End what the keeper of :func:`start_below` has left, but for the children ``spare``; returns what is left."""
    left = system.kill_children(spare, DEATH_SECONDS)
    remove_private_folder(plan.folder)
    return left


def _guard(plan: Plan, starter: socket.socket) -> None:
    """Watch over a keeper until it has ended, then end everything that it has left, however long that takes."""
    assert plan.address is not None
    # Signals are taken one by one, so that the keeper is never signalled after it was reaped.
    signals = {signal.SIGTERM, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)  # what is ignored by default may not wait
    groups = None if system.become_subreaper() else system.Ledger()
    keeper = _fork_keeper(plan, starter, groups)
    starter.close()
    plan.address.listener.close()
    pid, status = 0, 0
    while pid != keeper:
        if signal.sigwait(signals) == signal.SIGTERM:
            os.kill(keeper, signal.SIGTERM)
        pid, status = os.waitpid(keeper, os.WNOHANG)
    if groups:
        groups.kill()
    system.kill_children()
    if status:
        how = describe_exit(-os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))
        plan.address.note_end("its keeper " + how, FAILED)
        plan.address.remove_socket()
    remove_private_folder(plan.folder)


def _fork_keeper(plan: Plan, starter: socket.socket, groups: system.Ledger | None) -> int:
    lifeline, our_end = os.pipe()
    shared = [starter.fileno(), lifeline]
    if groups:
        shared.append(groups.descriptor)
    if plan.address:
        shared += [plan.address.listener.fileno(), plan.address.descriptor]
    pid = _fork(lambda: _keep(plan, starter, lifeline, groups), shared, "keeper of " + plan.adaptor)
    os.close(lifeline)
    return pid  # our_end stays open as long as this process lives


def _keep(plan: Plan, starter: socket.socket, lifeline: int, groups: system.Ledger | None) -> None:
    system.become_subreaper()
    keep(plan, Peer(starter), lifeline, groups)


def _fork(run: Callable[[], None], shared: Iterable[int], title: str) -> int:
    """Fork a process that calls ``run`` in a session of its own, with ``shared`` as its only descriptors."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        system.silence()
        system.close_inherited([0, 1, 2, *shared])
        gc.freeze()  # objects whose descriptors have just been closed must not be collected and close others
        system.reset_signals()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        system.set_title("openjd_adapt " + title)
        run()
        code = 0
    finally:
        system.leave(code)
