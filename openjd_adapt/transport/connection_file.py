"""The file by which a daemon is found: its writer, its reader, its lock, and the private folder of a session."""

from __future__ import annotations

import _socket
import os
import time

from .. import plain_json, system
from ..errors import InputError, NoDaemonError, WireError
from ..system.interpreter import PACKAGE
from .wire import HANDSHAKE_LIMIT, HANDSHAKE_SECONDS, KEY_BYTES, VERSION, Claimant, encode, frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable


# A session's private folder, in the temporary one: for sockets and files that can lie nowhere else.

#: How the names begin of what an adaptor's process makes in a private folder.
APPLICATION_NAME = "application-"
#: The connection file of a daemon for which nobody names one.
UNNAMED = "connection.json"


def new_private_folder(*places: str | None) -> str:
    """A path for a private folder that nobody can guess; ``places`` are for a host without the usual ones."""
    return os.path.join(system.temporary_folder(*places), "openjd_adapt-" + os.urandom(12).hex())


def remove_private_folder(path: str, started: bool = True) -> None:
    """Remove it, and the sockets and files that a session's processes have made there, if they have.

    A connection file stays there for a stop, unless no command is left that knows its daemon to have ``started``.
    """
    system.remove_private_folder(path, ("socket", APPLICATION_NAME) + (() if started else (UNNAMED,)))


# The connection file and its socket, as those see them who listen there.
#
# The file has two lines of JSON: the first is written by the keeper before the adaptor starts, the second (how the
# daemon ended) when it ends; behind it stands the output that nobody has seen. It is locked from before it has its name
# until all of the daemon is dead: that lock, not the file's existence, tells whether a daemon lives.

#: What is read of a connection file in one go, in bytes; its lines are shorter.
RECORD_LIMIT = 1024 * 1024
#: How much of the last output a file keeps if its disk has no room for all of it, in bytes.
_UNREAD_OUTPUT_BYTES = 16 * 1024
_LOST = b"WARNING: %d bytes of output are lost: the disk did not take them\n"


class ConnectionFileWriter:
    """The listening end: a locked connection file, at first a draft without its name, and the socket beside it."""

    def __init__(self, values: dict[str, Any], listener: _socket.socket) -> None:
        """``values`` are those that :func:`bind` gives."""
        #: What makes a writer of it in a process that inherits its descriptors, before it is published.
        self.values = values
        self.path: str = values["path"]
        self.descriptor: int = values["descriptor"]
        self.endpoint = system.Endpoint(values["endpoint"], os.path.dirname(self.path))
        self.listener = listener
        self._record = b""
        #: What may kill the daemon from outside, as far as it knows; in words for its how_it_ended.
        self.danger = ""
        #: What peers must know; None where the kernel tells who they are.
        self.key = os.urandom(KEY_BYTES) if system.KEYED else None
        listener.setblocking(False)

    def publish(self, adaptor: str, worker: int = 0) -> None:
        """Write the file, of this process and its ``worker``, and name it, or nothing. Raises :class:`InputError`."""
        record = {
            "wire": VERSION,
            "package": PACKAGE,
            "adaptor": adaptor,
            "pid": os.getpid(),
            "host": _socket.gethostname(),
            "started": system.start_time(os.getpid()),
            "guardian": [os.getppid(), system.start_time(os.getppid())],
            "worker": [worker, worker and system.start_time(worker)],
            "private_folder": False,  # the version before wants it
            "danger": self.danger,
            "folder": self.values["private_folder"],
            "address": self.endpoint.text,
            "socket": self.endpoint.address,  # for clients in other languages, and tests of published adaptors
            "key": (self.key or b"").hex(),
        }
        try:
            self._record = line_of(record)
            _append(self.descriptor, self._record)
            system.give_name(self.values["draft"], self.path)
        except FileExistsError:
            raise InputError("connection file %s: another daemon has just been started with it" % self.path) from None
        except OSError as error:
            raise InputError("connection file %s: %s" % (self.path, error.strerror)) from None
        finally:
            _remove_if_there(self.values["draft"])

    def is_gone(self) -> bool:
        """Whether clearly the file is no longer there, or another daemon's stands there; a late disk tells nothing."""
        try:
            with open(self.path, "rb") as stream:
                line = stream.readline(RECORD_LIMIT)
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False
        return line.endswith(b"\n") and line != self._record

    def close(self) -> None:
        """Let go of lock and socket, which are from now on those of the processes that have inherited them, if any."""
        self.listener.close()
        os.close(self.descriptor)


def bind(path: str, private_folder: str) -> ConnectionFileWriter:
    """Bind the socket of a daemon whose file will be ``path``.

    ``private_folder``: the session's, for a file that nobody has named, and a socket that cannot lie beside the file.
    Raises :class:`InputError`.
    """
    draft = "%s.%d" % (path, os.getpid())
    try:
        if os.path.dirname(path) == private_folder:
            system.make_private_folder(private_folder)
        descriptor = system.create_private(draft)
    except OSError as error:
        raise InputError("connection file %s: %s" % (path, error.strerror)) from None
    try:
        if not system.lock(descriptor) or not _is_at(draft, descriptor):  # that of a killed start looks like this one
            raise BlockingIOError("another command has just cleared it away")
        endpoint, listener = system.Endpoint.listen(draft, private_folder)
    except OSError as error:
        os.close(descriptor)
        _remove_if_there(draft)
        raise InputError("connection file %s: cannot make its lock and socket: %s" % (path, error)) from None
    listener.listen(128)
    values = {"path": path, "private_folder": private_folder, "draft": draft, "endpoint": endpoint.text}
    return ConnectionFileWriter({**values, "descriptor": descriptor, "listener": listener.fileno()}, listener)


def note_end(
    descriptor: int,
    how: str,
    code: int,
    unseen: int = 0,
    unread_output: Callable[[int], Iterable[bytes]] = lambda size: (),
    lost: int = 0,
    stopped: bool = False,
) -> None:
    """Write into a connection file how the daemon ended, unless that stands there already.

    ``code`` is the exit code for a stop; ``stopped`` tells that a stop has ended it. Behind it goes the output that
    nobody has seen, ``unseen`` bytes, of which ``unread_output(size)`` gives the end; on a full disk as much as there
    is room for. A line before it tells what is lost then, with the ``lost`` bytes of which nobody was told.
    """
    written = system.read_at(descriptor, RECORD_LIMIT, 0)
    if written.count(b"\n") != 1:
        return
    begin = written.index(b"\n") + 1
    os.ftruncate(descriptor, begin)  # what a keeper was killed over
    record = line_of({"how": how, "code": code, "stopped": stopped})
    for size in (unseen, min(unseen, _UNREAD_OUTPUT_BYTES), 0):
        gone = unseen - size + lost
        try:
            _append(descriptor, record + (_LOST % gone if gone else b""))
            for piece in unread_output(size):
                _append(descriptor, piece)
            return
        except OSError:
            os.ftruncate(descriptor, begin)  # without any of it, the lock still tells that the daemon is dead


def abandon(values: dict[str, Any]) -> None:
    """Nobody listens there after all, or any more; ``values`` is what :attr:`ConnectionFileWriter.values` gives."""
    system.Endpoint(values["endpoint"], os.path.dirname(values["path"])).remove()
    _remove_if_there(values["draft"])


def _remove_if_there(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def _is_at(path: str, descriptor: int) -> bool:
    """Whether an open file still has this name."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _append(descriptor: int, data: bytes) -> None:
    os.lseek(descriptor, 0, os.SEEK_END)
    system.write_all(descriptor, data)


def line_of(record: dict[str, Any]) -> bytes:
    """A line of a connection file."""
    return plain_json.dumps(record).encode("ascii") + b"\n"


# A connection file as others find it: is its daemon alive, how is it reached, how did it end, what is left of it.

#: How a draft begins once it is written.
_BEGIN = b'{"wire": '
#: How long, in seconds, what a dead daemon has left may take to die, when another is to start in its place.
_DEATH_SECONDS = 5.0
#: Between two looks whether a start has given its daemon's file its name.
_LOOK_SECONDS = 0.02
#: How long, in seconds, a claim waits for who only looks at the lock, and for the end of a daemon without its keeper.
_GLANCE_SECONDS = 0.2
_END_SECONDS = 2.0


class ConnectionFileReader:
    """A connection file as a reader finds it; keeps it open, so that its lock can be asked and waited for.

    To be used with ``with``: who has waited for the lock, or claimed the file, holds the lock until it is closed, and
    is a living daemon to all others.
    """

    def __init__(self, path: str) -> None:
        """Open and read ``path``.

        Raises :class:`NoDaemonError` if there is none, :class:`InputError` if it is not a connection file, or not this
        user's alone.
        """
        self.path = path
        try:
            self._descriptor = system.open_private(path)
        except FileNotFoundError:
            raise NoDaemonError("connection file %s: there is none, so there is no daemon" % path) from None
        except OSError as error:
            raise InputError("connection file %s: %s" % (path, error.strerror)) from None
        try:
            self._read()
        except BaseException:
            self.close()
            raise

    def _read(self) -> None:
        lines = system.read_at(self._descriptor, RECORD_LIMIT, 0).split(b"\n")
        try:
            record: dict[str, Any] = plain_json.loads(lines[0].decode("utf-8")) if len(lines) > 1 else {}
            self.wire: int = record.get("wire", 1)
            self.pid: int = record["pid"]
            self.host: str = record["host"]
            self.started: int = record["started"]
            self._danger: str = record.get("danger", "")
            self._private_folder: str = record.get("folder", "")
            known = [record.get(name, [0, 0]) if self._is_here else [0, 0] for name in ("guardian", "worker")]
            #: Pid and start time; zeros where the file tells none of this host's.
            self.guardian, self.worker = [(pid, started) for pid, started in known]
            self.adaptor: str = record["adaptor"]
            self.endpoint = system.Endpoint(record["address"], os.path.dirname(self.path))
            self._key = bytes.fromhex(record.get("key", ""))
            #: How the daemon ended, and how many bytes of output that nobody has seen follow; None while it lives.
            self.ended: dict[str, Any] | None = plain_json.loads(lines[1].decode("utf-8")) if len(lines) > 2 else None
            ended = self.ended or {"how": "", "code": 0}
            #: Whether a command or a signal has stopped it; in the records of the version before only the text tells.
            self.was_stopped = bool(ended.get("stopped", ended["how"].startswith("it was stopped")))
            #: The exit code of the stop that has ended the daemon; 0 if it ended otherwise.
            self.stop_code = int(ended["code"])
            self._output_begin = sum(len(line) + 1 for line in lines[:2])
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise InputError("connection file %s: is truncated or no connection file" % self.path) from None

    @property
    def alive(self) -> bool:
        """Whether anything of the daemon still lives."""
        if system.is_locked(self._descriptor):
            return True
        self._read()
        return False

    @property
    def is_ending(self) -> bool:
        """Whether the daemon has noted how it ended, whatever of it still lives."""
        self._read()
        return self.ended is not None

    def claim(self) -> bool:
        """Whether the daemon is dead and nobody else has claimed what it has left."""
        has_keeper = self._is_here and system.start_time(self.pid) == self.started
        timeout = _GLANCE_SECONDS if has_keeper else _END_SECONDS
        return system.wait_for_lock(self._descriptor, timeout) and _is_at(self.path, self._descriptor)

    @property
    def _is_here(self) -> bool:
        return self.host == _socket.gethostname()

    def kill(self) -> bool:
        """Kill the keeper, if the file still means it; the guardian then ends the rest. False if it does not."""
        system.wake(*self.guardian)  # nothing would end without it, if it was stopped
        return self._is_here and system.kill(self.pid, self.started)

    def wait(self, timeout: float) -> bool:
        """Block until all of the daemon is dead, and claim what it has left; False after ``timeout`` seconds."""
        if not system.wait_for_lock(self._descriptor, timeout):
            return False
        self._read()
        return True

    def connect(self) -> _socket.socket:
        """A connection to the living daemon. Raises :class:`NoDaemonError` or :class:`InputError`."""
        if not self._is_here:
            elsewhere = "connection file %s: its daemon runs on the host %s" % (self.path, self.host)
            raise NoDaemonError(elsewhere if self.alive else self.how_it_ended)
        connection = None
        try:
            connection = self.endpoint.connect()
            if not system.peer_is_me(connection):
                raise WireError("it belongs to another user")
            if system.KEYED:
                self._prove(connection)
        except OSError as error:
            if connection:
                connection.close()
            if not self.alive:  # asked only now, as it costs a command whose daemon lives
                raise NoDaemonError(self.how_it_ended) from None
            if isinstance(error, WireError):
                what = "who listens at the socket %s: %s" % (self.endpoint.path, error)
                raise InputError("connection file %s: %s" % (self.path, what)) from None
            what = "does not answer" if connection else "cannot be reached"
            why = "connection file %s: its daemon %s: %s" % (self.path, what, error.strerror or error)
            raise NoDaemonError(why) from None
        return connection

    def _prove(self, connection: _socket.socket) -> None:
        """Prove to the daemon that the file's key is known here, and have it prove the same."""
        claimant = Claimant(self._key)
        connection.settimeout(HANDSHAKE_SECONDS)
        connection.sendall(encode(claimant.first()))
        answer, _ = next(frames(connection.recv, HANDSHAKE_LIMIT), (None, b""))
        if answer is None:
            raise WireError("it has closed the connection")
        connection.sendall(encode(claimant.answer(answer)))

    @property
    def how_it_ended(self) -> str:
        """One line on how the daemon ended."""
        how = self.ended["how"] if self.ended else "it was killed" + (self._danger and ": " + self._danger)
        return "connection file %s: its daemon is no longer alive: %s" % (self.path, how)

    def show_unread_output(self, show: Callable[[bytes], object]) -> bool:
        """Hand what the daemon wrote last and nobody has seen to ``show``, once: then it is taken out of the file.

        If ``show`` returns False, so does this, and all stays there. The caller has claimed the file.
        """
        self._read()  # somebody may have shown it since
        if not self.ended:
            return True
        offset = self._output_begin
        data = system.read_at(self._descriptor, RECORD_LIMIT, offset)
        while data:
            if show(data) is False:
                return False
            offset += len(data)
            data = system.read_at(self._descriptor, RECORD_LIMIT, offset)
        os.ftruncate(self._descriptor, self._output_begin)
        return True

    def remove(self) -> None:
        """Remove what a dead daemon left, once claimed: the file and, if it was killed, its socket."""
        if not _is_at(self.path, self._descriptor):
            return  # somebody has been faster, and there may be a new daemon by that name
        self.endpoint.remove()
        try:
            os.unlink(self.path)
        except OSError as error:
            raise InputError("connection file %s: cannot be removed: %s" % (self.path, error.strerror)) from None
        self.close()  # Windows keeps its name until then
        remove_private_folder(self._private_folder)

    def __enter__(self) -> ConnectionFileReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; once is enough."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def clear_for_start(path: str, show: Callable[[bytes], object]) -> str | None:
    """Make room for a new daemon's connection file at ``path``; what was replaced, in words, or None.

    What a dead daemon wrote last goes to ``show``. Raises :class:`InputError` if a living daemon's file, or something
    else, stands there.
    """
    remove_drafts(path)
    try:
        old = ConnectionFileReader(path)
    except NoDaemonError:
        return None
    with old:
        if not old.claim():
            what = "a daemon is already running (pid %d)" % old.pid
            if old.is_ending:
                what = "its daemon is ending, or another command is showing what it wrote last"
            raise InputError("connection file %s: %s" % (path, what))
        system.kill_all(system.tree_of(*old.worker), _DEATH_SECONDS)
        if not old.show_unread_output(show):
            raise InputError("connection file %s: what its dead daemon wrote last cannot be shown" % path)
        old.remove()
    return "replaced the file of a dead daemon: " + old.how_it_ended


def remove_drafts(path: str, timeout: float = 0) -> None:
    """Remove what starts have left beside ``path`` that were killed before they had a daemon.

    Those that are under way are waited for, until they have a daemon or are dead, for ``timeout`` seconds at the most.
    """
    end = time.monotonic() + timeout
    folder, name = os.path.split(path)
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for other in names:
        if other.startswith(name + ".") and other[len(name) + 1 :].isdigit():
            _remove_draft(os.path.join(folder, other), end)


def _remove_draft(draft: str, end: float) -> None:
    try:
        descriptor = system.open_private(draft)
    except OSError:
        return
    try:
        # What begins otherwise is somebody's frame 1, which only has such a name.
        is_draft = system.read_at(descriptor, len(_BEGIN), 0) in (b"", _BEGIN)
        while is_draft and not system.wait_for_lock(descriptor, _LOOK_SECONDS):  # no event tells of a file's name
            if not os.path.exists(draft) or time.monotonic() >= end:
                return
        if is_draft:
            _remove_if_there(draft + ".sock")
            _remove_if_there(draft)
    except OSError:
        return  # somebody has put something there
    finally:
        os.close(descriptor)
