"""A private local socket, and the connection file that says how to reach it.

The file has two lines of JSON: the first is written by the keeper before the adaptor starts, the second (how the daemon
ended) when it ends; behind it stands the output that nobody has seen. It is locked from before it has its name until
all of the daemon is dead: that lock, not the file's existence, tells whether a daemon lives.
"""

from __future__ import annotations

import binascii
import errno
import json
import os
import signal
import socket
import stat

from . import system
from .errors import InputError, NoDaemonError
from .peer import PACKAGE, Peer
from .wire import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterator


#: A folder in which no socket can be made; ENOENT: a long path, and no /proc to shorten it.
_NO_SOCKET_HERE = (errno.EPERM, errno.EOPNOTSUPP, errno.EINVAL, errno.EACCES, errno.EROFS, errno.ENOENT)
_SUN_PATH_BYTES = 100
_RECORD_LIMIT = 1024 * 1024
#: How much of the last output a file keeps if its disk has no room for all of it, in bytes.
_LAST_WORDS_BYTES = 16 * 1024
#: The names of what processes of a session make in its private folder.
SOCKET_NAME = "socket"
APPLICATION_NAME = "application-"


def private_folder_name() -> str:
    """A path for a private folder, which nobody can guess and whoever needs it first makes."""
    return os.path.join(system.temporary_folder(), "openjd_adapt-" + binascii.hexlify(os.urandom(12)).decode("ascii"))


def remove_private_folder(path: str) -> None:
    """Remove a session's private folder, and the sockets and files that its processes have made there, if they have."""
    system.remove_private_folder(path, (SOCKET_NAME, APPLICATION_NAME))


class ConnectionFile:
    """A connection file as a reader finds it; keeps it open, so that its lock can be asked and waited for."""

    def __init__(self, path: str) -> None:
        """Open and read ``path``.

        Raises :class:`NoDaemonError` if there is none, :class:`InputError` if it is no connection file or not private
        to this user.
        """
        self.path = path
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise NoDaemonError("connection file %s: there is none, so there is no daemon" % path) from None
        except OSError as error:
            reason = "is a symbolic link" if error.errno == errno.ELOOP else error.strerror
            raise InputError("connection file %s: %s" % (path, reason)) from None
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
            record: dict[str, Any] = json.loads(lines[0].decode("utf-8")) if len(lines) > 1 else {}
            self.pid: int = record["pid"]
            self.host: str = record["host"]
            self.started: int = record["started"]
            self._private_folder: bool = record["private_folder"]
            self._folder: str = record.get("folder", "")
            guardian = record.get("guardian", [0, 0])
            self._guardian: tuple[int, int] = (guardian[0], guardian[1])
            self.adaptor: str = record["adaptor"]
            self.address: str = os.path.join(os.path.dirname(self.path), record["address"])
            #: How the daemon ended, and how many bytes of output that nobody has seen follow; None while it lives.
            self.ended: dict[str, Any] | None = json.loads(lines[1].decode("utf-8")) if len(lines) > 2 else None
            self._end_begin = len(lines[0]) + 1
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

    def claim(self) -> bool:
        """Whether the daemon is dead and nobody else has claimed what it has left."""
        return system.lock(self._descriptor) and self._still_has_its_name()

    def _still_has_its_name(self) -> bool:
        try:
            return os.path.samestat(os.lstat(self.path), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False

    @property
    def _is_here(self) -> bool:
        return self.host == socket.gethostname()

    def kill(self) -> bool:
        """Kill the keeper, if the file still means it; the guardian then ends the rest. False if it does not."""
        if not self._is_here:
            return False
        system.send_signal(*self._guardian, signal.SIGCONT)  # one that was stopped would end nothing
        return system.send_signal(self.pid, self.started, signal.SIGKILL)

    def left(self) -> list[int]:
        """The pids of what is still below the guardian."""
        pid, started = self._guardian
        return system.descendants(pid) if self._is_here and 0 < started == system.start_time(pid) else []

    def wait(self, timeout: float) -> bool:
        """Block until all of the daemon is dead, and claim what it has left; False after ``timeout`` seconds."""
        if not system.wait_for_lock(self._descriptor, timeout):
            return False
        self._read()
        return True

    def connect(self) -> Peer:
        """A connection to the living daemon. Raises :class:`NoDaemonError` or :class:`InputError`."""
        if not self.alive:
            raise NoDaemonError(self.obituary)
        if not self._is_here:
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
    def was_stopped(self) -> bool:
        """Whether a command or a signal has stopped it."""
        return bool(self.ended and self.ended["how"].startswith("it was stopped"))

    @property
    def stop_code(self) -> int:
        """The exit code of the stop that has ended the daemon; 0 if it ended otherwise."""
        return int(self.ended["code"]) if self.ended else 0

    def show_last_words(self, show: Callable[[bytes], object]) -> None:
        """Hand what the daemon wrote last and nobody has seen to ``show``, once: then it is taken out of the file.

        It stays there if ``show`` returns False. The caller has claimed the file.
        """
        self._read()  # somebody may have shown it since
        if not self.ended:
            return
        lost = self.ended.get("lost")  # not in the records of the version before
        if lost:
            show(b"WARNING: %d bytes of output are lost: the disk was full\n" % lost)
        offset = self._output_begin
        data = os.pread(self._descriptor, _RECORD_LIMIT, offset)
        while data:
            if show(data) is False:
                return
            offset += len(data)
            data = os.pread(self._descriptor, _RECORD_LIMIT, offset)
        os.ftruncate(self._descriptor, self._output_begin)
        if lost:
            record = _line({**self.ended, "lost": 0})
            os.pwrite(self._descriptor, record, self._end_begin)  # it is shorter than what it replaces
            os.ftruncate(self._descriptor, self._end_begin + len(record))

    def remove(self) -> None:
        """Remove what a dead daemon left, once claimed: the file and, if it was killed, its socket."""
        if not self._still_has_its_name():
            return  # somebody has been faster, and there may be a new daemon by that name
        try:
            os.unlink(self.address)
        except OSError:
            pass  # it is gone, or somebody has put something there
        try:
            os.unlink(self.path)
        except OSError as error:
            raise InputError("connection file %s: cannot be removed: %s" % (self.path, error.strerror)) from None
        remove_private_folder(self._folder)
        if self._private_folder:
            try:
                os.rmdir(os.path.dirname(self.path))
            except OSError:
                return  # somebody has put something there

    def close(self) -> None:
        os.close(self._descriptor)


class Address:
    """The listening end: a locked connection file without a name yet, and the socket beside it."""

    def __init__(self, path: str, folder: str, private_folder: bool = False) -> None:
        """Bind the socket of a daemon whose file will be ``path``, in a folder made just for it or not.

        ``folder``: the session's private one, for a socket that cannot lie beside the file. Raises :class:`InputError`.
        """
        self.path = path
        self._folder = folder
        self._private_folder = private_folder
        self._record = b""
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
            system.make_private_folder(self._folder)
            path = os.path.join(self._folder, SOCKET_NAME)
            _at_short_path(path, self.listener.bind)
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
            "guardian": [os.getppid(), system.start_time(os.getppid())],
            "private_folder": self._private_folder,
            "folder": self._folder,
            "address": os.path.basename(self.socket_path) if beside else self.socket_path,
        }
        try:
            self._record = _line(record)
            self._append(self._record)
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

    def is_gone(self) -> bool:
        """Whether the file is no longer there, or another daemon's stands in its place.

        Only a clear answer counts: a file system that is late or fails tells nothing.
        """
        try:
            with open(self.path, "rb") as stream:
                line = stream.readline(_RECORD_LIMIT)
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False
        return line.endswith(b"\n") and line != self._record

    def note_end(
        self,
        how: str,
        code: int,
        unseen: int = 0,
        last_words: Callable[[int], Iterator[bytes]] = lambda size: iter(()),
        lost: int = 0,
    ) -> None:
        """Write how the daemon ended, with the exit code for a stop, unless that stands there already.

        Behind it goes the output that nobody has seen, ``unseen`` bytes, of which ``last_words(size)`` gives the end;
        on a full disk as much as there is room for. ``lost`` bytes are lost already, and nobody was told.
        """
        written = os.pread(self.descriptor, _RECORD_LIMIT, 0)
        if written.count(b"\n") != 1:
            return
        begin = written.index(b"\n") + 1
        os.ftruncate(self.descriptor, begin)  # what a keeper was killed over
        for size in (unseen, min(unseen, _LAST_WORDS_BYTES), 0):
            try:
                self._append(_line({"how": how, "code": code, "lost": unseen - size + lost}))
                for piece in last_words(size):
                    self._append(piece)
                return
            except OSError:
                os.ftruncate(self.descriptor, begin)  # without any of it, the lock still tells that the daemon is dead

    def _append(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.pwrite(self.descriptor, view, os.fstat(self.descriptor).st_size) :]

    def abandon(self) -> None:
        """Nobody will listen here after all."""
        os.unlink(self._draft)
        self.remove_socket()

    def remove_socket(self) -> None:
        """Remove the socket, unless somebody has done so."""
        try:
            os.unlink(self.socket_path)
        except OSError:
            return


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record).encode("ascii") + b"\n"


def clear_for_start(path: str, show: Callable[[bytes], object]) -> str | None:
    """Make room for a new daemon's connection file at ``path``; what was replaced, in words, or None.

    What a dead daemon wrote last goes to ``show``. Raises :class:`InputError` if a living daemon's file, or something
    else, stands there.
    """
    remove_drafts(path)
    try:
        old = ConnectionFile(path)
    except NoDaemonError:
        return None
    try:
        if not old.claim():
            raise InputError("connection file %s: a daemon is already running (pid %d)" % (path, old.pid))
        old.show_last_words(show)
        old.remove()
    finally:
        old.close()
    return "replaced the file of a dead daemon: " + old.obituary


def remove_drafts(path: str) -> None:
    """Remove what starts have left beside ``path`` that were killed before they had a daemon."""
    folder, name = os.path.split(path)
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for draft in names:
        if draft.startswith(name + ".") and draft[len(name) + 1 :].isdigit():
            _remove_draft(os.path.join(folder, draft))


def _remove_draft(draft: str) -> None:
    try:
        descriptor = os.open(draft, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        facts = os.fstat(descriptor)
        if stat.S_ISREG(facts.st_mode) and facts.st_uid == os.geteuid() and system.lock(descriptor):
            for path in (draft + ".sock", draft):
                if os.path.lexists(path):
                    os.unlink(path)
    except OSError:
        return  # somebody has put something there
    finally:
        os.close(descriptor)


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
