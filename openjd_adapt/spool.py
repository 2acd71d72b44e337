"""The output: a byte stream that keeps what nobody has acknowledged, in bounded memory, and its delivery to a front."""

from __future__ import annotations

from collections import deque

from .wire import WINDOW_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO

    from .peer import Peer

#: What is kept in memory, in bytes; what is more goes to a private temporary file.
MEMORY_LIMIT = 8 * 1024 * 1024

#: The most output that one frame carries, in bytes.
FRAME_BYTES = 64 * 1024
#: Small pieces are joined up to this size, so that a reader is not served line by line.
_CHUNK_BYTES = 64 * 1024


class Spool:
    """Append at ``end``, read from any offset not below ``start``, discard up to an offset.

    ``[start, _border)`` lies in memory, ``[_border, end)`` in the file. While the file holds anything unread, all
    that is new goes there, so that the order is kept.
    """

    def __init__(self, memory_limit: int = MEMORY_LIMIT) -> None:
        self._limit = memory_limit
        self._chunks: deque[bytes] = deque()
        #: Offset of the oldest byte that is kept.
        self.start = 0
        #: Offset behind the newest byte.
        self.end = 0
        self._border = 0
        self._file: IO[bytes] | None = None
        self._file_start = 0

    def append(self, data: bytes) -> None:
        """Add ``data`` at the end. Raises :class:`OSError` if it cannot be kept (a full disk)."""
        if not data:
            return
        if self._border < self.end or self.end - self.start + len(data) > self._limit:
            self._write(data)
        else:
            if self._chunks and len(self._chunks[-1]) + len(data) <= _CHUNK_BYTES:
                self._chunks[-1] += data
            else:
                self._chunks.append(data)
            self._border += len(data)
        self.end += len(data)

    def _write(self, data: bytes) -> None:
        if self._file is None:
            import tempfile

            self._file = tempfile.TemporaryFile(prefix="openjd_adapt-", buffering=0)  # noqa: SIM115
        if self._border == self.end:
            self._file.truncate(0)
            self._file_start = self.end
        self._file.seek(self.end - self._file_start)
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) or 0 :]

    def read(self, offset: int, size: int) -> bytes:
        """At most ``size`` bytes from ``offset`` on; fewer where a stored piece ends, none at the end."""
        if offset >= self._border:
            if self._file is None or offset >= self.end:
                return b""
            self._file.seek(offset - self._file_start)
            return self._file.read(min(size, self.end - offset))
        position = self.start
        for chunk in self._chunks:
            if offset < position + len(chunk):
                return chunk[offset - position : offset - position + size]
            position += len(chunk)
        return b""

    def discard(self, offset: int) -> None:
        """Forget what lies before ``offset``."""
        while self._chunks and self.start < offset:
            chunk = self._chunks.popleft()
            if self.start + len(chunk) > offset:
                self._chunks.appendleft(chunk[offset - self.start :])
                self.start = offset
            else:
                self.start += len(chunk)
        self.start = max(self.start, offset)
        self._border = max(self._border, self.start)

    def tail(self, size: int) -> bytes:
        """The last ``size`` bytes that are kept."""
        offset = max(self.start, self.end - size)
        pieces = []
        while offset < self.end:
            piece = self.read(offset, self.end - offset)
            if not piece:
                break  # the disk does not give back what it took
            pieces.append(piece)
            offset += len(piece)
        return b"".join(pieces)


class Delivery:
    """Brings the spool to one front at a time: every line at least once, acknowledged ones never again, in order."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._sent = 0
        self._lost = 0
        #: The front that is shown output; it stays for its acknowledgements until it leaves or another one follows.
        self.viewer: Peer | None = None

    @property
    def unread(self) -> int:
        """Bytes that nobody has acknowledged."""
        return self._spool.end - self._spool.start

    @property
    def end(self) -> int:
        """The offset behind the newest byte."""
        return self._spool.end

    def keep(self, data: bytes) -> None:
        """Take output; what a full disk does not take is counted, and told as soon as there is room again."""
        try:
            if self._lost and data:
                self._spool.append(b"\nWARNING: %d bytes of output are lost: the disk is full\n" % self._lost)
                self._lost = 0
            self._spool.append(data)
        except OSError:
            self._lost += len(data)

    def lost_note(self) -> str | None:
        """What is to be said of output that was lost and not told yet."""
        lost, self._lost = self._lost, 0
        return "%d bytes of output are lost: the disk is full" % lost if lost else None

    def attach(self, viewer: Peer | None) -> None:
        """Begin with ``viewer``, at the first byte that nobody has acknowledged."""
        self.viewer = viewer
        self._sent = self._spool.start

    def acknowledge(self, offset: int) -> None:
        """The viewer has shown all before ``offset``."""
        if self._spool.start < offset <= self._sent:
            self._spool.discard(offset)

    def push(self, end: int, complete: bool) -> bool:
        """Send the viewer what its window allows; whether all before ``end`` is sent.

        Frames end with a line, unless it is longer than a frame, or ``complete`` says that ``end`` ends the output.
        """
        viewer = self.viewer
        while viewer and not viewer.closed:
            limit = min(end, self._spool.start + WINDOW_BYTES)
            data = self._lines(limit, complete and limit == end)
            if not data:
                break
            self._sent += len(data)
            viewer.send({"output": self._sent}, data)
        return self._sent >= end

    def _lines(self, limit: int, complete: bool) -> bytes:
        """The next bytes to send, all of them before ``limit``; none while the only line is unfinished."""
        data = b""
        while self._sent + len(data) < limit and len(data) < FRAME_BYTES and b"\n" not in data:
            size = min(FRAME_BYTES - len(data), limit - self._sent - len(data))
            data += self._spool.read(self._sent + len(data), size)
        cut = data.rfind(b"\n") + 1
        if cut:
            return data[:cut]
        return data if complete or len(data) >= FRAME_BYTES else b""

    def last_words(self, size: int) -> bytes:
        """The end of what nobody has acknowledged, at most ``size`` bytes."""
        return self._spool.tail(size)
