"""What a keeper is to do, and how it gets that from the command that starts it."""

from __future__ import annotations

from ..transport.wire import OUTPUT_LIMIT_BYTES, OUTPUT_MEMORY_BYTES, encode, messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Any

    from ..transport.connection_file import ConnectionFileWriter


#: How long, in seconds, what was killed may take to die before the keeper goes on without it; the guardian does not.
DEATH_SECONDS = 5.0

#: The largest spec, in bytes: what is too large for the worker is refused by the keeper, which can say so.
_LIMIT = 2**32 - 1


class LaunchSpec:
    """What a keeper is to do."""

    def __init__(self, adaptor: str, argv: list[str], init: dict[str, Any], folder: str) -> None:
        """``argv``: the worker's command; ``init``: its first frame; ``folder``: a path for a private folder."""
        self.adaptor = adaptor
        self.argv = argv
        self.init = init
        self.folder = folder
        #: The command of the keeper's process, where it is started as the worker is.
        self.keeper_argv: list[str] = []
        #: The path of the connection file, and whether its folder was made just for it; None in the foreground.
        self.listen_at: tuple[str, bool] | None = None
        #: What listens there, once it does.
        self.address: ConnectionFileWriter | None = None
        #: After so many seconds without a task the daemon stops; None for never.
        self.idle_seconds: float | None = None
        #: How much of the output is kept in memory, and in all, in bytes.
        self.memory_bytes = OUTPUT_MEMORY_BYTES
        self.limit_bytes = OUTPUT_LIMIT_BYTES

    def send(self, connection: _socket.socket) -> None:
        """Hand it to the keeper, but for its :attr:`address`. A keeper that is gone is found to be gone later."""
        values = {name: value for name, value in vars(self).items() if name != "address"}
        try:
            connection.sendall(encode(values, limit=_LIMIT))
        except ConnectionError:
            return

    @staticmethod
    def receive(connection: _socket.socket) -> LaunchSpec | None:
        """In the keeper: what :meth:`send` has sent; None if the command is gone before it has said all."""
        try:
            values = next(messages(connection.recv, _LIMIT), None)
        except ConnectionError:
            return None
        if values is None:
            return None
        spec = LaunchSpec(values["adaptor"], values["argv"], values["init"], values["folder"])
        vars(spec).update(values)
        return spec
