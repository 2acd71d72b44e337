"""The launch spec: what a keeper is to do, and how it gets that from the command that starts it.

It is a message with what the worker is told first (see ``commands`` and ``worker``) and

    adaptor        its name
    argv           the worker's command
    argv_folder    where that leads to the adaptor; null for the current folder
    keeper_argv    the keeper's command, where it is started as the worker is
    announcement   the line that tells a scheduler the connection file when the adaptor is made; for a daemon alone
    folder         a path for a private folder
    listen_at      the path of the connection file; null in the foreground
    idle_seconds   after so many without a task the daemon stops; null for never
    owner          pid and start time of a process that the daemon ends with; null for none
    memory_bytes   how much of the output is kept in memory
    limit_bytes    and in all
    data           the JSON of init data, path mapping rules and, in ``run``, run data: in the command by name; from
                   there on one object, the body of the frame, which the keeper passes on unread
"""

from __future__ import annotations

from .. import system
from ..transport.wire import encode, frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

    from ..transport.wire import Message


#: How long, in seconds, what was killed may take to die before the keeper goes on without it; the guardian does not.
DEATH_SECONDS = 5.0

#: The largest spec, in bytes: each of its data has room in a frame of the usual size, as the command has checked.
LIMIT = 2**32 - 1


def describe_left(pids: set[int]) -> str:
    """What is said of processes that not even SIGKILL has ended, or that are another user's by now."""
    return pids and "what the adaptor has started cannot be ended: " + system.names_of(pids) or ""


def send(connection: _socket.socket, spec: Message) -> None:
    """Hand it to the keeper. One that is gone is found to be gone later."""
    data = b",".join(b'"%s":%s' % (name.encode("ascii"), text) for name, text in spec["data"].items())
    try:
        connection.sendall(encode({**spec, "data": None}, b"{%s}" % data, LIMIT))
    except OSError:
        return


def receive(connection: _socket.socket) -> Message | None:
    """In the keeper: what :func:`send` has sent; None if the command is gone before it has said all."""
    try:
        spec, body = next(frames(connection.recv, LIMIT))
    except (OSError, StopIteration):
        return None
    return {**spec, "data": body}
