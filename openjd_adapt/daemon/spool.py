"""The output: a byte stream that keeps what nobody has acknowledged, in bounded memory, and its delivery to a front."""

from __future__ import annotations

import errno
import io

from ..session import CHARACTER_BYTES, CONTINUATION, character_end
from ..transport.wire import OUTPUT_LIMIT_BYTES, OUTPUT_MEMORY_BYTES, WINDOW_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Iterator

    from ..transport.loop import Peer


#: The most output that one frame carries, in bytes; in memory, small pieces are joined up to this size.
FRAME_BYTES = 64 * 1024
#: The size of a temporary file, in bytes: its room on the disk is free again when all of it is read.
SEGMENT_BYTES = 32 * 1024 * 1024


class _Part:
    """A part of the stream, in memory or in an unlinked temporary file."""

    def __init__(self, start: int, in_memory: bool, folder: str | None) -> None:
        self.start = start
        self.end = start
        self.in_memory = in_memory
        self.file: IO[bytes] = io.BytesIO()
        if not in_memory:
            import tempfile

            self.file = tempfile.TemporaryFile(prefix="openjd_adapt-", buffering=0, dir=folder)  # noqa: SIM115

    def append(self, data: bytes) -> None:
        """Write all of ``data`` or, as far as anybody sees, nothing. Raises :class:`OSError`."""
        self.file.seek(self.end - self.start)
        view = memoryview(data)
        while view:
            view = view[self.file.write(view) :]
        self.end += len(data)

    def read(self, offset: int, size: int) -> bytes:
        """Some bytes. Raises :class:`OSError` where the disk does not give them back."""
        self.file.seek(offset - self.start)
        data = self.file.read(min(size, self.end - offset))
        if not data:
            raise OSError(errno.EIO, "a temporary file has become shorter")
        return data


class Spool:
    """Append at ``end``, read from any offset not below ``start``, discard up to an offset.

    The stream lies in parts, one behind the other: in memory as long as that has room, then in files until half of the
    memory is free again. What is over ``limit`` is discarded at the start, by whole lines.
    """

    def __init__(
        self, memory_limit: int = OUTPUT_MEMORY_BYTES, limit: int = OUTPUT_LIMIT_BYTES, folder: str | None = None
    ) -> None:
        """``folder``: where the files are made; None for the system's temporary one."""
        self._memory_limit = memory_limit
        self._folder = folder
        #: What is kept at the most, in bytes.
        self.limit = limit
        self._parts: list[_Part] = []
        self._in_memory = 0
        self._spilling = False
        #: Offset of the oldest byte that is kept.
        self.start = 0
        #: Offset behind the newest byte.
        self.end = 0

    def append(self, data: bytes) -> None:
        """Add ``data`` at the end. Raises :class:`OSError` if it cannot be kept (a full disk)."""
        has_room = self._in_memory + len(data) <= self._memory_limit
        self._spilling = not has_room or (self._spilling and self._in_memory > self._memory_limit // 2)
        try:
            self._write(data, in_memory=not self._spilling)
        except OSError:
            if not has_room:
                raise
            self._write(data, in_memory=True)
        self.end += len(data)
        if self.end - self.start > self.limit:
            self.discard(self.line_behind(self.end - self.limit))

    def _write(self, data: bytes, in_memory: bool) -> None:
        """Add ``data`` to the last part, if it is of that kind and has room; else to a new one."""
        part = self._parts[-1] if self._parts else None
        limit = FRAME_BYTES if in_memory else SEGMENT_BYTES
        if part is None or part.in_memory is not in_memory or part.end - part.start + len(data) > limit:
            part = _Part(self.end, in_memory, self._folder)
            self._parts.append(part)
        part.append(data)
        if in_memory:
            self._in_memory += len(data)

    def line_behind(self, offset: int) -> int:
        """The first beginning of a line from ``offset`` on, if one is near; else of a character."""
        try:
            piece = self.read(offset - 1, FRAME_BYTES)
        except OSError:
            return offset
        if b"\n" in piece:
            return offset + piece.find(b"\n")
        head = piece[1:CHARACTER_BYTES]
        return offset + len(head) - len(head.lstrip(CONTINUATION))

    def read(self, offset: int, size: int) -> bytes:
        """At most ``size`` bytes from ``offset`` on; fewer where a part ends, none at the end.

        Raises :class:`OSError` where the disk does not give it back.
        """
        for part in self._parts:
            if offset < part.end:
                return part.read(offset, size)
        return b""

    def discard(self, offset: int) -> None:
        """Forget what lies before ``offset``."""
        self.start = max(self.start, offset)
        while self._parts and self._parts[0].end <= self.start:
            part = self._parts.pop(0)
            if part.in_memory:
                self._in_memory -= part.end - part.start
            part.file.close()

    def give_up(self, offset: int) -> None:
        """Forget what lies before and in the part that holds ``offset``: the disk does not give it back."""
        self.discard(next((part.end for part in self._parts if offset < part.end), self.end))

    def pieces(self, offset: int) -> Iterator[bytes]:
        """All from ``offset`` on, piece by piece. Raises :class:`OSError` where the disk does not give it back."""
        while offset < self.end:
            piece = self.read(offset, FRAME_BYTES)
            yield piece
            offset += len(piece)


class Delivery:
    """Brings the spool to one front at a time: every line at least once, acknowledged ones never again, in order."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        #: What was sent to the viewer, and what some viewer has acknowledged: offsets.
        self._sent = 0
        self._acknowledged = 0
        #: Bytes that the disk has not taken, and of which nobody was told yet; and what is to be said of them.
        self.lost = 0
        self._loss = ""
        self._mid_line = False
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
        """Take output; what the disk does not take is counted, and told as soon as it takes something again."""
        if not data:
            return
        try:
            if self.lost:
                line = ("WARNING: %s\n" % self._loss).encode("utf-8", "backslashreplace")
                self._spool.append(b"\n" + line if self._mid_line else line)
                self.lost = 0
            self._spool.append(data)
        except OSError as error:
            self.lost += len(data)
            full = error.errno == errno.ENOSPC
            why = "the disk is full" if full else "the disk does not take them: %s" % error.strerror
            self._loss = "%d bytes of output are lost: %s" % (self.lost, why)
        else:
            self._mid_line = data[-1:] != b"\n"

    def lost_note(self) -> str | None:
        """What is to be said of output that was lost and not told yet."""
        note = self._loss if self.lost else None
        self.lost = 0
        return note

    def attach(self, viewer: Peer | None) -> None:
        """Begin with ``viewer``, at the first byte that nobody has acknowledged."""
        self.viewer = viewer
        self._sent = self._acknowledged

    def is_awaited_by_other_than(self, front: Peer | None) -> bool:
        """Whether another viewer, still there, has been sent what it has not acknowledged yet."""
        viewer = self.viewer
        if viewer is None or viewer is front or viewer.closed:
            return False
        return self._acknowledged < self._sent

    def acknowledge(self, offset: int) -> None:
        """The viewer has shown all before ``offset``."""
        if self._acknowledged < offset <= self._sent:
            self._acknowledged = offset
            self._spool.discard(offset)

    def push(self, end: int) -> bool:
        """Send the viewer what its window allows; whether all before ``end`` is sent.

        Frames end with a line, unless it is longer than a frame, or unfinished where it was kept.
        """
        viewer = self.viewer
        while viewer and not viewer.closed:
            if self._sent < self._spool.start:
                if self._acknowledged < self._sent:
                    break  # one that takes nothing is not sent a line for every loss
                self._tell_gap(viewer)
            try:
                data = self._lines(end)
            except OSError:
                self._spool.give_up(self._sent)
                continue
            if not data:
                break
            self._sent += len(data)
            viewer.send({"output": self._sent}, data)
        return self._sent >= end

    def _tell_gap(self, viewer: Peer) -> None:
        """Where the oldest output had to go, a line stands for it."""
        text = b"WARNING: %d bytes of output are lost: nobody read them in time, and at most %d are kept\n"
        gap = self._spool.start - self._sent
        self._sent = self._spool.start
        viewer.send({"output": self._sent}, text % (gap, self._spool.limit))

    def _lines(self, end: int) -> bytes:
        """The next bytes to send, before ``end``: whole lines, of which a progress bar ends each with ``\\r``."""
        room = self._acknowledged + WINDOW_BYTES - self._sent
        size = min(FRAME_BYTES, room, end - self._sent)
        data = self._spool.read(self._sent, size) if size > 0 else b""
        cut = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        if not cut and len(data) == FRAME_BYTES:
            cut = character_end(data, len(data) - 2)
        if not cut and len(data) == room < end - self._sent:
            return b""  # the rest of the line is there, but the viewer has to take some before
        return data[: cut or None]

    def unread_output(self, size: int) -> Iterator[bytes]:
        """The end of what nobody has acknowledged, at most ``size`` bytes."""
        begin = self._spool.end - size
        return self._spool.pieces(self._spool.line_behind(begin) if begin > self._spool.start else self._spool.start)
