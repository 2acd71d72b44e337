"""Windows: starts a keeper as a process of its own; what ``launch`` does elsewhere.

There is no guardian: all below the keeper is in a job that ends with it. In ``run`` the keeper is in a job of the
command's.
"""

from __future__ import annotations

from ..errors import FAILED, AdaptError, InputError
from ..system.windows_processes import is_doomed, start_keeper, start_worker, starter_of_keeper
from ..transport.connection_file import abandon, bind
from ..transport.loop import Peer
from . import launch_spec
from .keeper import Keeper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Callable

    from ..transport.wire import Message


def start(spec: Message) -> tuple[Peer, Callable[[], str], IO[bytes]]:
    """As ``launch.start``; in the foreground all end with the front, with which their job goes."""
    try:
        connection, job, errors = start_keeper(spec["keeper_argv"], spec["listen_at"] is None)
    except OSError as error:
        raise AdaptError("cannot start a process: %s" % error.strerror) from None

    def end() -> str:
        if job:
            job.kill()
        return ""

    launch_spec.send(connection, spec)
    return Peer(connection), end, errors


def serve() -> None:
    """Be the keeper that a command has started: take its spec, and keep."""
    connection = starter_of_keeper()
    spec = launch_spec.receive(connection)
    if spec is None:
        return
    starter = Peer(connection)
    writer = None
    try:
        if spec["listen_at"]:
            writer = bind(spec["listen_at"], spec["folder"])
            if is_doomed():
                starter.send({"note": _DOOMED})
                writer.danger = _DANGER
        Keeper(spec, starter, start_worker(spec["argv"], spec["argv_folder"]), writer).keep()
    except InputError as error:
        starter.refuse(str(error), error.exit_code)
    except OSError as error:
        if writer:
            abandon(writer.values)
        starter.refuse("cannot start the adaptor's process: %s" % error.strerror, FAILED)
    finally:
        starter.close()


_DOOMED = (
    "the scheduler's job object ends what a command leaves, and does not let it go: this daemon may be killed when the"
    " command ends"
)
_DANGER = "from outside, most likely by the scheduler's job object, which ends what a command leaves"
