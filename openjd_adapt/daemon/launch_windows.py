"""Windows: starts a keeper as a process of its own; what ``launch`` does elsewhere.

There is no guardian: all below the keeper is in a job that ends with it. In ``run`` the keeper is in a job of the
command's.
"""

from __future__ import annotations

from ..errors import AdaptError, InputError
from ..system.windows_processes import is_doomed, settle, start_keeper, starter_of_keeper
from ..transport.connection_file import bind
from ..transport.loop import Peer
from .keeper import keep
from .launch_spec import LaunchSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


#: What must live as long as this process, so that its keeper does.
_jobs: list[Any] = []


def start_daemon(spec: LaunchSpec) -> Peer:
    """Start a keeper and the worker; returns the connection of the front that starts them."""
    return _start(spec, False)


def start_below(spec: LaunchSpec) -> Peer:
    """Start a keeper and the worker, which end with this process at the latest; returns the keeper's connection."""
    return _start(spec, True)


def end_below(spare: frozenset[int]) -> set[int]:
    """End what the keeper of :func:`start_below` has left; returns what is left."""
    for job in _jobs:
        job.kill()
    return set()


def _start(spec: LaunchSpec, foreground: bool) -> Peer:
    try:
        connection, job = start_keeper(spec.keeper_argv, foreground)
    except OSError as error:
        raise AdaptError("cannot start a process: %s" % error.strerror) from None
    _jobs.append(job)
    spec.send(connection)
    return Peer(connection)


def serve() -> None:
    """Be the keeper that a command has started: take its spec, and keep."""
    connection = starter_of_keeper()
    spec = LaunchSpec.receive(connection)
    if spec is None:
        return
    starter = Peer(connection)
    try:
        if spec.listen_at:
            spec.address = bind(spec.listen_at[0], spec.folder, spec.listen_at[1])
            if is_doomed():
                starter.send({"note": _DOOMED})
                spec.address.danger = _DANGER
        keep(spec, starter, None, None)
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
