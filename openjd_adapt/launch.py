"""Starts a keeper as a process of its own, where none can be forked; what ``guardian`` does elsewhere.

There is no guardian: all below the keeper is in a job that ends with it. In ``run`` the keeper is in a job of the
command's.
"""

from __future__ import annotations

import json
import os
import struct

from .channel import Address, remove_private_folder
from .errors import FAILED, AdaptError, InputError
from .keeper import Plan, keep
from .peer import Peer
from .windows_tree import is_doomed
from .windows_worker import settle, start_keeper, starter_of_keeper

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any

_LENGTH = struct.Struct(">I")

#: What must live as long as this process, so that its keeper does.
_jobs: list[Any] = []


def start_daemon(plan: Plan) -> Peer:
    """Start a keeper and the worker; returns the connection of the front that starts them."""
    return _start(plan, False)


def start_below(plan: Plan) -> Peer:
    """Start a keeper and the worker, which end with this process at the latest; returns the keeper's connection."""
    return _start(plan, True)


def end_below(plan: Plan, spare: frozenset[int]) -> set[int]:
    """End what the keeper of :func:`start_below` has left; returns what is left."""
    for job in _jobs:
        job.kill()
    remove_private_folder(plan.folder)
    return set()


def _start(plan: Plan, foreground: bool) -> Peer:
    try:
        connection, job = start_keeper(plan.keeper_argv, foreground)
    except OSError as error:
        raise AdaptError("cannot start a process: %s" % error.strerror) from None
    _jobs.append(job)
    text = json.dumps(plan.to_dict()).encode("ascii")
    connection.sendall(_LENGTH.pack(len(text)) + text)
    return Peer(connection)


def serve() -> None:
    """Be the keeper that a command has started: take its plan, and keep."""
    connection = starter_of_keeper()
    size = _LENGTH.unpack(_read(connection, _LENGTH.size))[0]
    plan = Plan.from_dict(json.loads(_read(connection, size)))
    starter = Peer(connection)
    try:
        if plan.listen_at:
            plan.address = Address(plan.listen_at[0], plan.folder, plan.listen_at[1])
            if is_doomed():
                starter.send({"note": _DOOMED})
                plan.address.danger = _DANGER
        keep(plan, starter, None, None)
    except InputError as error:
        starter.send({"error": str(error), "code": error.exit_code})
    finally:
        starter.close()
        settle()


_DOOMED = (
    "the scheduler's job object ends what a command leaves, and does not let it go: this daemon may be killed when the"
    " command ends"
)
_DANGER = "from outside, most likely by the scheduler's job object, which ends what a command leaves"


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(min(size - len(data), 1024 * 1024))
        if not more:
            os._exit(FAILED)  # the command that started this was killed before it had said what to do
        data += more
    return data
