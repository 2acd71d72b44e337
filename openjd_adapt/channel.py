"""A private local socket, and the connection file that says how to reach it.

The file is JSON lines: the first is written by the keeper before the adaptor starts, the second (how the daemon ended,
and the last output that nobody has seen) when it ends. It is locked from before it has its name until all of the
daemon is dead: that lock, not the file's existence, tells whether a daemon lives.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import stat

from . import system
from .errors import InputError, NoDaemonError
from .peer import PACKAGE, Peer
from .wire import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


#: A folder in which no socket can be made; ENOENT: a long path, and no /proc to shorten it.
_NO_SOCKET_HERE = (errno.EPERM, errno.EOPNOTSUPP, errno.EINVAL, errno.EACCES, errno.EROFS, errno.ENOENT)
_SUN_PATH_BYTES = 100
_RECORD_LIMIT = 1024 * 1024


class ConnectionFile:
    """A connection file as a reader finds it; keeps it open, so that its lock can be asked and waited for."""

    def __init__(self, path: str) -> None:
        """Open and read ``path``.

        Raises :class:`NoDaemonError` if there is none, :class:`InputError` if it is no connection file or not private
        to this user.
        """
        self.path = path
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
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
        facts = os.fstat(self._descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise InputError("connection file %s: is no regular file" % self.path)
        if facts.st_uid != os.geteuid():
            raise InputError("connection file %s: belongs to another user (uid %d)" % (self.path, facts.st_uid))
        if facts.st_mode & 0o077:
            raise InputError("connection file %s: others may read it; it must have mode 0600" % self.path)
        lines = os.pread(self._descriptor, _RECORD_LIMIT, 0).split(b"\n")
        try:
            records = [json.loads(line.decode("utf-8")) for line in lines[:-1]]
            record: dict[str, Any] = records[0]
            self.pid: int = record["pid"]
            self.host: str = record["host"]
            self.started: int = record["started"]
            self._private_folder: bool = record["private_folder"]
            self.adaptor: str = record["adaptor"]
            self.address: str = os.path.join(os.path.dirname(self.path), record["address"])
            #: How the daemon ended, and the end of its output that nobody has seen; None while it lives.
            self.ended: dict[str, Any] | None = records[1] if len(records) > 1 else None
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise InputError("connection file %s: is truncated or no connection file" % self.path) from None

    @property
    def alive(self) -> bool:
        """Whether anything of the daemon still lives."""
        if system.is_locked(self._descriptor):
            return True
        self._read()
        return False

    def claim(self) -> bool:
        """Whether the daemon is dead and nobody else has claimed what it has left."""
        return system.lock(self._descriptor) and self._still_has_its_name()

    def _still_has_its_name(self) -> bool:
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False

    @property
    def owner_is_here(self) -> bool:
        """Whether the pid may be signalled: same host, and still the process that wrote the file."""
        return self.host == socket.gethostname() and 0 < self.started == system.start_time(self.pid)

    def wait(self) -> None:
        """Block until all of the daemon is dead, and claim what it has left."""
        system.wait_for_lock(self._descriptor)
        self._read()

    def connect(self) -> Peer:
        """A connection to the living daemon. Raises :class:`NoDaemonError` or :class:`InputError`."""
        if not self.alive:
            raise NoDaemonError(self.obituary)
        if self.host != socket.gethostname():
            raise NoDaemonError("connection file %s: its daemon runs on the host %s" % (self.path, self.host))
        connection = socket.socket(socket.AF_UNIX)
        try:
            _at_short_path(self.address, connection.connect)
        except OSError as error:
            connection.close()
            raise NoDaemonError(
                "connection file %s: its daemon cannot be reached: %s" % (self.path, error.strerror)
            ) from None
        if not system.peer_is_me(connection):
            connection.close()
            raise InputError("connection file %s: the socket %s belongs to another user" % (self.path, self.address))
        return Peer(connection)

    @property
    def obituary(self) -> str:
        """One line on how the daemon ended."""
        how = self.ended["how"] if self.ended else "it was killed"
        return "connection file %s: its daemon is no longer alive: %s" % (self.path, how)

    @property
    def stop_code(self) -> int:
        """The exit code of the stop that has ended the daemon; 0 if it ended otherwise."""
        return int(self.ended["code"]) if self.ended else 0

    @property
    def last_words(self) -> bytes:
        """What the daemon wrote last and nobody has seen."""
        return str(self.ended["output"]).encode("utf-8", "surrogateescape") if self.ended else b""

    def remove(self) -> None:
        """Remove what a dead daemon left, once claimed: the file and, if it was killed, its socket."""
        if not self._still_has_its_name():
            return  # somebody has been faster, and there may be a new daemon by that name
        for path in (self.address, self.path):
            try:
                os.unlink(path)
            except FileNotFoundError:
                continue
        if self._private_folder:
            try:
                os.rmdir(os.path.dirname(self.path))
            except OSError:
                return  # somebody has put something there

    def close(self) -> None:
        os.close(self._descriptor)


class Address:
    """The listening end: a locked connection file without a name yet, and the socket beside it."""

    def __init__(self, path: str, private_folder: bool = False) -> None:
        """Bind the socket of a daemon whose file will be ``path``, in a folder made just for it or not.

        Raises :class:`InputError`.
        """
        self.path = path
        self._private_folder = private_folder
        self._draft = "%s.%d" % (path, os.getpid())
        self.listener = socket.socket(socket.AF_UNIX)
        try:
            self.descriptor = os.open(self._draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise InputError("connection file %s: %s" % (path, error.strerror)) from None
        try:
            system.lock(self.descriptor)
            self.socket_path = self._bind()
        except OSError as error:
            os.unlink(self._draft)
            raise InputError("connection file %s: cannot make its lock and socket: %s" % (path, error)) from None
        self.listener.listen(128)
        self.listener.setblocking(False)

    def _bind(self) -> str:
        """Bind beside the file, so that a container that shares the folder can connect; else in a private folder."""
        mask = os.umask(0o177)
        try:
            try:
                _at_short_path(self._draft + ".sock", self.listener.bind)
                return self._draft + ".sock"
            except OSError as error:
                if error.errno not in _NO_SOCKET_HERE:
                    raise
            import tempfile

            path = os.path.join(tempfile.mkdtemp(prefix="openjd_adapt-"), "socket")
            self.listener.bind(path)
            return path
        finally:
            os.umask(mask)

    def publish(self, adaptor: str) -> None:
        """Write the file and give it its name, whole or not at all. Raises :class:`InputError`.

        The pid that it names is this process's.
        """
        beside = os.path.dirname(self.socket_path) == os.path.dirname(self.path)
        record = {
            "wire": VERSION,
            "package": PACKAGE,
            "adaptor": adaptor,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "started": system.start_time(os.getpid()),
            "private_folder": self._private_folder,
            "address": os.path.basename(self.socket_path) if beside else self.socket_path,
        }
        try:
            self._append(record)
            self._give_name()
        except FileExistsError:
            raise InputError("connection file %s: another daemon has just been started with it" % self.path) from None
        except OSError as error:
            raise InputError("connection file %s: %s" % (self.path, error.strerror)) from None
        finally:
            if os.path.exists(self._draft):
                os.unlink(self._draft)

    def _give_name(self) -> None:
        """Unlike a rename, a link never replaces what another daemon has put there."""
        try:
            os.link(self._draft, self.path)
        except (PermissionError, NotImplementedError):  # a file system without links
            if os.path.exists(self.path):
                raise FileExistsError from None
            os.rename(self._draft, self.path)

    def note_end(self, how: str, output: bytes, code: int) -> None:
        """Write how the daemon ended, with the exit code for a stop, unless that stands there already."""
        if os.pread(self.descriptor, _RECORD_LIMIT, 0).count(b"\n") != 1:
            return
        try:
            self._append({"how": how, "output": output.decode("utf-8", "surrogateescape"), "code": code})
        except OSError:
            return  # a full disk: the lock still tells that the daemon is dead

    def _append(self, record: dict[str, Any]) -> None:
        line = json.dumps(record).encode("ascii") + b"\n"
        os.pwrite(self.descriptor, line, os.fstat(self.descriptor).st_size)

    def abandon(self) -> None:
        """Nobody will listen here after all."""
        os.unlink(self._draft)
        self.remove_socket()

    def remove_socket(self) -> None:
        """Remove the socket, and its folder where it has one of its own."""
        try:
            os.unlink(self.socket_path)
            if os.path.dirname(self.socket_path) != os.path.dirname(self.path):
                os.rmdir(os.path.dirname(self.socket_path))
        except OSError:
            return


def clear_for_start(path: str) -> str | None:
    """Make room for a new daemon's connection file at ``path``; what was replaced, in words, or None.

    Raises :class:`InputError` if a living daemon's file, or something else, stands there.
    """
    try:
        old = ConnectionFile(path)
    except NoDaemonError:
        return None
    try:
        if not old.claim():
            raise InputError("connection file %s: a daemon is already running (pid %d)" % (path, old.pid))
        old.remove()
    finally:
        old.close()
    return "replaced the file of a dead daemon: " + old.obituary


def _at_short_path(path: str, act: Any) -> None:
    """Bind or connect at ``path``, however long it is."""
    if len(os.fsencode(path)) <= _SUN_PATH_BYTES:
        act(path)
        return
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        act("/proc/self/fd/%d/%s" % (folder, os.path.basename(path)))
    finally:
        os.close(folder)
