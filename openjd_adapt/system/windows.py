"""Windows: events, waits, files, locks, streams and sockets. See ``system`` for the contract."""

from __future__ import annotations

import os
import select
import signal as signal  # which is a name of system, too
import socket
import threading
import time
from ctypes import byref, wintypes

from . import win32

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Any, Callable, Iterable


#: CTRL_BREAK; a command is canceled by CTRL_C, too.
TERMINATION = getattr(signal, "SIGBREAK", signal.SIGTERM)
CANCEL_SIGNALS = (TERMINATION, signal.SIGINT)

READ, WRITE, BROKEN = 1, 2, 4
#: The longest that is waited in one go, in seconds: who waits for longer asks again.
_LONGEST = 1_000_000.0


class Bell:
    """A socket pair: nothing else can be selected."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._lock = threading.RLock()

    def fileno(self) -> int:
        return self._reader.fileno()

    def ring(self, data: bytes = b"!") -> None:
        with self._lock:  # a send beside another thread's may be refused, and its ring would be lost
            while True:
                try:
                    self._writer.send(data)
                    return
                except BlockingIOError:
                    if wait_for({self.fileno(): READ}, 0):
                        return  # it has been rung often enough

    def heard(self) -> bytes:
        try:
            return self._reader.recv(4096)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        self._reader.close()
        self._writer.close()


class Wakeup(Bell):
    """A console that is closed, a user who logs off and a system that shuts down ring it as :data:`TERMINATION`."""

    #: All that there are, and whether Windows has told one of them that it will end this process.
    made: list[Wakeup] = []
    is_ending = False

    def __init__(self, *signals: int) -> None:
        super().__init__()
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in signals:
            signal.signal(number, lambda number, frame: None)  # a handler must exist; the bell tells of it
        self._handler = win32.HandlerRoutine(self._on_event)
        win32.SetConsoleCtrlHandler(self._handler, True)
        Wakeup.made.append(self)

    def _on_event(self, event: int) -> bool:
        """Called on a thread of Windows's own; it ends this process when this returns."""
        seconds = _GRANTED_SECONDS.get(event)
        if seconds is None:
            return False  # CTRL_C and CTRL_BREAK are signals
        Wakeup.is_ending = True
        self.ring(bytes([TERMINATION]))
        threading.Event().wait(seconds)
        return True


#: How long, in seconds, a process that is told of its end is let live if it does not answer: a little less than Windows
#: grants after CTRL_CLOSE (5), CTRL_LOGOFF and CTRL_SHUTDOWN (20).
_GRANTED_SECONDS = {2: 4.5, 5: 19.0, 6: 19.0}


def catch_termination(act: Callable[[], object]) -> None:
    signal.signal(TERMINATION, lambda number, frame: act())


def reset_signals(blocked: Iterable[int] = ()) -> None:
    """There is nothing that a caller could have left."""


def wait_for(interests: dict[int, int], timeout: float | None) -> dict[int, int]:
    """Only sockets can be waited for, and none is found broken."""
    reading = [descriptor for descriptor, interest in interests.items() if interest & READ]
    writing = [descriptor for descriptor, interest in interests.items() if interest & WRITE]
    longest = None if timeout is None else min(max(timeout, 0), _LONGEST)
    if not reading and not writing:
        threading.Event().wait(longest)
        return {}
    readable, writable, _ = select.select(reading, writing, [], longest)
    return {
        descriptor: (READ if descriptor in readable else 0) | (WRITE if descriptor in writable else 0)
        for descriptor in {*readable, *writable}
    }


def wait_readable(descriptor: int, timeout: float | None = None) -> bool:
    """``timeout`` may be 0, to look, and nothing else."""
    pipe = win32.handle_of(descriptor)
    waiting = wintypes.DWORD()
    try:
        if timeout is None:
            win32.ReadFile(pipe, None, 0, byref(waiting), None)  # a read of nothing ends when there is something
            return True
        win32.PeekNamedPipe(pipe, None, 0, None, byref(waiting), None)
    except OSError:
        return True
    return waiting.value > 0


def configuration_folder() -> str:
    return os.environ.get("PROGRAMDATA") or os.path.join(os.environ.get("SYSTEMDRIVE", "C:") + os.sep, "ProgramData")


def path_of_uri(text: str) -> str:
    """``C:\\a`` or, with a slash before it, ``/C:/a``; also of a share."""
    return text[1:] if text[:1] in ("/", "\\") and text[2:3] == ":" else text


def temporary_folder(*more: str | None) -> str:
    for place in (os.environ.get("TMP"), os.environ.get("TEMP"), *more):
        if place and os.path.isdir(place):
            return os.path.abspath(place)
    return os.getcwd()


def make_private_folder(path: str) -> None:
    try:
        win32.CreateDirectory(path, byref(win32.private()))
    except FileExistsError:
        if not os.path.isdir(path) or os.path.islink(path):
            raise


def remove_private_folder(path: str, prefixes: tuple[str, ...]) -> None:
    try:
        for name in os.listdir(path):
            if name.startswith(prefixes):
                os.unlink(os.path.join(path, name))
        os.rmdir(path)
    except OSError:
        return


def read_at(descriptor: int, size: int, place: int) -> bytes:
    os.lseek(descriptor, place, os.SEEK_SET)
    return os.read(descriptor, size)


def write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def create_private(path: str, more: int = 0) -> int:
    """SYSTEM may open it, too; from the first moment on nobody else may."""
    return _open(path, win32.CREATE_NEW, byref(win32.private()))


def open_private(path: str) -> int:
    descriptor = _open(path, win32.OPEN_EXISTING, None)
    reason = why_not_private(win32.security_of(win32.handle_of(descriptor)), win32.user())
    if reason:
        os.close(descriptor)
        raise PermissionError(13, reason, path)
    return descriptor


def why_not_private(sddl: str, user: str) -> str:
    """What is wrong with owner and access list, a text in SDDL, of a file that must be that user's alone; or ""."""
    owner, _, entries = sddl.partition("D:")
    owner = owner[2:] if owner.startswith("O:") else owner
    # Files that an administrator makes may belong to all administrators.
    if owner not in (user, "BA", "SY"):
        return "belongs to another user (%s)" % owner
    if "(" not in entries:
        return "everybody may read it, as it has no access list"
    for entry in entries[entries.index("(") :].strip("()").split(")("):
        kind, _, rights, _, _, who = entry.split(";")[:6]
        if kind == "A" and rights and who not in (user, "SY", "BA"):
            return "others (%s) may read it" % who
    return ""


def _open(path: str, how: int, security: Any) -> int:
    import msvcrt

    handle = win32.CreateFile(
        path,
        win32.GENERIC_READ | win32.GENERIC_WRITE | win32.READ_CONTROL,
        win32.FILE_SHARE_ALL,  # so that it can be renamed and removed while it is open
        security,
        how,
        win32.FILE_FLAG_OPEN_REPARSE_POINT | win32.FILE_ATTRIBUTE_NORMAL,
        None,
    )
    return int(
        msvcrt.open_osfhandle(handle, os.O_RDWR | getattr(os, "O_BINARY", 0))  # type: ignore[attr-defined, unused-ignore]
    )


def give_name(draft: str, path: str) -> None:
    os.rename(draft, path)


#: Where the lock of a file lies: behind any content, as what is locked cannot be read by others here.
_LOCK_PLACE_HIGH = 0x40000000


def lock(descriptor: int, shared: bool = False) -> bool:
    how = win32.LOCKFILE_FAIL_IMMEDIATELY | (0 if shared else win32.LOCKFILE_EXCLUSIVE_LOCK)
    place = win32.Overlapped(OffsetHigh=_LOCK_PLACE_HIGH)
    try:
        win32.LockFileEx(win32.handle_of(descriptor), how, 0, 1, 0, byref(place))
    except OSError as error:
        if error.winerror == win32.ERROR_LOCK_VIOLATION:  # type: ignore[attr-defined, unused-ignore]
            return False
        raise
    return True


def is_locked(descriptor: int) -> bool:
    if not lock(descriptor, shared=True):
        return True
    place = win32.Overlapped(OffsetHigh=_LOCK_PLACE_HIGH)
    win32.UnlockFileEx(win32.handle_of(descriptor), 0, 1, 0, byref(place))
    return False


#: How often it is asked whether anybody reads standard output.
_READER_SECONDS = 0.25
_CHUNK_BYTES = 64 * 1024


class StandardStream:
    """A thread writes, chunk by chunk.

    Where there is a ``wakeup``, another looks whether the reader is still there, and rings that when it has gone:
    Windows tells nobody.
    """

    INTEREST = READ

    def __init__(self, descriptor: int, wakeup: Bell | None = None) -> None:
        self.is_broken = False
        self._descriptor = descriptor
        self._bell = Bell()
        self._bell.ring()  # the first chunk can be taken at once
        self._work = threading.Semaphore(0)
        self._chunk = b""
        self._busy = False
        self._error: OSError | None = None
        threading.Thread(target=self._serve, name="standard stream", daemon=True).start()
        if wakeup:
            threading.Thread(target=self._watch_reader, args=(wakeup,), name="its reader", daemon=True).start()

    def fileno(self) -> int:
        return self._bell.fileno()

    def write(self, data: memoryview) -> int:
        """A chunk counts as written when it is: until then the same data must be passed again."""
        self._bell.heard()
        if self._error:
            raise self._error
        if self._busy:
            raise BlockingIOError
        if self._chunk:
            written, self._chunk = len(self._chunk), b""
            self._bell.ring()
            return written
        self._chunk = bytes(data[:_CHUNK_BYTES])
        self._busy = True
        self._work.release()
        raise BlockingIOError

    def close(self) -> None:
        """Its thread ends when it has nothing to write."""
        self._work.release()

    def _serve(self) -> None:
        while self._work.acquire() and self._busy:
            try:
                write_all(self._descriptor, self._chunk)
            except OSError as error:
                self._error = error
            self._busy = False
            self._bell.ring()

    def _watch_reader(self, wakeup: Bell) -> None:
        pipe = win32.handle_of(self._descriptor)
        while win32.has_reader(pipe):
            time.sleep(_READER_SECONDS)
        if win32.has_reader(pipe) is False:  # None: it is no pipe
            self.is_broken = True
            wakeup.ring(b"\0")


KEYED = True
_HOST = "127.0.0.1"


class Endpoint:
    """A TCP port of this host's, which only processes of this host can reach."""

    def __init__(self, text: str, folder: str) -> None:
        """``text`` is ``127.0.0.1:port``. Raises :class:`ValueError`."""
        self.text = self.path = self.address = text
        host, _, port = text.rpartition(":")
        if host != _HOST:
            raise ValueError("%s is not an address of this host" % text)
        self._port = int(port)

    @staticmethod
    def listen(draft: str, private_folder: str) -> tuple[Endpoint, socket.socket]:
        """Bind a port that nobody else can bind, too."""
        listener = socket.socket(socket.AF_INET)
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        listener.bind((_HOST, 0))
        return Endpoint("%s:%d" % listener.getsockname(), ""), listener

    def connect(self) -> socket.socket:
        connection = socket.create_connection((_HOST, self._port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def remove(self) -> None:
        """Nothing is left of a port."""


def accept(listener: _socket.socket) -> socket.socket:
    assert isinstance(listener, socket.socket)
    return listener.accept()[0]


def peer_is_me(connection: socket.socket) -> bool:
    """TCP does not tell; peers prove it by the connection file's key."""
    return True
