"""A private local socket, and the connection file that says how to reach it, as those see it who listen there.

The file has two lines of JSON: the first is written by the keeper before the adaptor starts, the second (how the daemon
ended) when it ends; behind it stands the output that nobody has seen. It is locked from before it has its name until
all of the daemon is dead: that lock, not the file's existence, tells whether a daemon lives.
"""

from __future__ import annotations

import _socket
import os

from . import plain_json, system
from .errors import FAILED, InputError
from .handshake import KEY_BYTES
from .peer import PACKAGE
from .wire import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable

#: What is read of a connection file in one go, in bytes; its lines are shorter.
RECORD_LIMIT = 1024 * 1024
#: How much of the last output a file keeps if its disk has no room for all of it, in bytes.
_LAST_WORDS_BYTES = 16 * 1024


class Address:
    """The listening end: a locked connection file without a name yet, and the socket beside it."""

    def __init__(
        self,
        path: str,
        private_folder: str,
        made_for_it: bool,
        draft: str,
        descriptor: int,
        endpoint: system.Endpoint,
        listener: _socket.socket,
    ) -> None:
        """What :func:`bind` makes."""
        #: Where the file will be, in a folder made just for it or not, and where it is until then.
        self.path = path
        self._made_for_it = made_for_it
        self._draft = draft
        self.descriptor = descriptor
        self._private_folder = private_folder
        self._endpoint = endpoint
        self.listener = listener
        self._record = b""
        #: What may kill the daemon from outside, as far as it knows; in words for its obituary.
        self.danger = ""
        #: What peers must know; None where the kernel tells who they are.
        self.key = os.urandom(KEY_BYTES) if system.KEYED else None
        listener.setblocking(False)

    def to_dict(self) -> dict[str, Any]:
        """The address for a process that inherits its descriptors, before it is published; see :meth:`from_dict`."""
        return {
            "path": self.path,
            "private_folder": self._private_folder,
            "made_for_it": self._made_for_it,
            "draft": self._draft,
            "descriptor": self.descriptor,
            "endpoint": self._endpoint.text,
            "listener": self.listener.fileno(),
        }

    @staticmethod
    def from_dict(values: dict[str, Any]) -> Address:
        """The address that :meth:`to_dict` has made an object of, in the process that has inherited it."""
        endpoint = system.Endpoint(values["endpoint"], os.path.dirname(values["path"]))
        return Address(**{**values, "endpoint": endpoint, "listener": _socket.socket(fileno=values["listener"])})

    def publish(self, adaptor: str) -> None:
        """Write the file and give it its name, whole or not at all. Raises :class:`InputError`.

        The pid that it names is this process's.
        """
        record = {
            "wire": VERSION,
            "package": PACKAGE,
            "adaptor": adaptor,
            "pid": os.getpid(),
            "host": _socket.gethostname(),
            "started": system.start_time(os.getpid()),
            "guardian": [os.getppid(), system.start_time(os.getppid())],
            "private_folder": self._made_for_it,
            "danger": self.danger,
            "folder": self._private_folder,
            "address": self._endpoint.text,
            "key": (self.key or b"").hex(),
        }
        try:
            self._record = line_of(record)
            _append(self.descriptor, self._record)
            system.give_name(self._draft, self.path)
        except FileExistsError:
            raise InputError("connection file %s: another daemon has just been started with it" % self.path) from None
        except OSError as error:
            raise InputError("connection file %s: %s" % (self.path, error.strerror)) from None
        finally:
            if os.path.exists(self._draft):
                os.unlink(self._draft)

    def is_gone(self) -> bool:
        """Whether the file is no longer there, or another daemon's stands in its place.

        Only a clear answer counts: a file system that is late or fails tells nothing.
        """
        try:
            with open(self.path, "rb") as stream:
                line = stream.readline(RECORD_LIMIT)
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False
        return line.endswith(b"\n") and line != self._record

    def abandon(self) -> None:
        """Nobody will listen here after all."""
        os.unlink(self._draft)
        self.remove_socket()

    def remove_socket(self) -> None:
        """Remove the socket, unless somebody has done so."""
        self._endpoint.remove()


def bind(path: str, private_folder: str, made_for_it: bool = False) -> Address:
    """Bind the socket of a daemon whose file will be ``path``, in a folder made just for it or not.

    ``private_folder``: the session's, for a socket that cannot lie beside the file. Raises :class:`InputError`.
    """
    draft = draft_of(path)
    try:
        descriptor = system.create_private(draft)
    except OSError as error:
        raise InputError("connection file %s: %s" % (path, error.strerror)) from None
    try:
        system.lock(descriptor)
        endpoint, listener = system.Endpoint.listen(draft, private_folder)
    except OSError as error:
        os.unlink(draft)
        raise InputError("connection file %s: cannot make its lock and socket: %s" % (path, error)) from None
    listener.listen(128)
    return Address(path, private_folder, made_for_it, draft, descriptor, endpoint, listener)


def draft_of(path: str) -> str:
    """Where a connection file is that this process makes, until it is published."""
    return "%s.%d" % (path, os.getpid())


def note_end(
    descriptor: int,
    how: str,
    code: int,
    unseen: int = 0,
    last_words: Callable[[int], Iterable[bytes]] = lambda size: (),
    lost: int = 0,
) -> None:
    """Write into a connection file how the daemon ended, unless that stands there already.

    ``code`` is the exit code for a stop. Behind it goes the output that nobody has seen, ``unseen`` bytes, of which
    ``last_words(size)`` gives the end; on a full disk as much as there is room for. ``lost`` bytes are lost already,
    and nobody was told.
    """
    written = system.read_at(descriptor, RECORD_LIMIT, 0)
    if written.count(b"\n") != 1:
        return
    begin = written.index(b"\n") + 1
    os.ftruncate(descriptor, begin)  # what a keeper was killed over
    for size in (unseen, min(unseen, _LAST_WORDS_BYTES), 0):
        try:
            _append(descriptor, line_of({"how": how, "code": code, "lost": unseen - size + lost}))
            for piece in last_words(size):
                _append(descriptor, piece)
            return
        except OSError:
            os.ftruncate(descriptor, begin)  # without any of it, the lock still tells that the daemon is dead


def note_death(values: dict[str, Any], how: str) -> None:
    """Tidy up for a keeper that could not; ``values`` is what :meth:`Address.to_dict` gives."""
    note_end(values["descriptor"], how, FAILED)
    system.Endpoint(values["endpoint"], os.path.dirname(values["path"])).remove()
    if os.path.exists(values["draft"]):
        os.unlink(values["draft"])


def _append(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[system.write_at(descriptor, view, os.fstat(descriptor).st_size) :]


def line_of(record: dict[str, Any]) -> bytes:
    """A line of a connection file."""
    return plain_json.dumps(record).encode("ascii") + b"\n"
