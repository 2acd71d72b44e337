"""Windows: standard input, output and error. See ``system`` for the contract."""

from __future__ import annotations

import os
import sys
import threading
import time

from .windows import READ, Bell

__all__ = [
    "ensure_standard_descriptors",
    "StandardOutput",
]

#: How often it is asked whether anybody reads standard output.
_READER_SECONDS = 0.25
_CHUNK_BYTES = 64 * 1024


class StandardOutput:
    """Standard output, for a loop that must never block in a write: a thread writes, chunk by chunk.

    Another looks whether its reader is still there, and rings ``wakeup`` when it has gone: Windows tells nobody.
    """

    #: What to wait for until :meth:`write` makes progress.
    INTEREST = READ

    def __init__(self, wakeup: Bell) -> None:
        #: Whether nobody reads it any more.
        self.is_broken = False
        self._wakeup = wakeup
        self._bell = Bell()
        self._bell.ring()  # the first chunk can be taken at once
        self._work = threading.Semaphore(0)
        self._chunk = b""
        self._busy = False
        self._error: OSError | None = None
        threading.Thread(target=self._serve, name="standard output", daemon=True).start()
        threading.Thread(target=self._watch_reader, name="reader of standard output", daemon=True).start()

    def fileno(self) -> int:
        return self._bell.fileno()

    def write(self, data: memoryview) -> int:
        """Write some of ``data``; how much. Raises :class:`OSError`, :class:`BlockingIOError` if it took nothing.

        A chunk counts as written when it is: until then the same data must be passed again.
        """
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

    def _serve(self) -> None:
        while True:
            self._work.acquire()
            view = memoryview(self._chunk)
            try:
                while view:
                    view = view[os.write(1, view) :]
            except OSError as error:
                self._error = error
            self._busy = False
            self._bell.ring()

    def _watch_reader(self) -> None:
        import msvcrt

        from . import win32

        pipe = msvcrt.get_osfhandle(1)  # type: ignore[attr-defined, unused-ignore]
        here = win32.has_reader(pipe)
        while here:
            time.sleep(_READER_SECONDS)
            here = win32.has_reader(pipe)
        if here is False:
            self.is_broken = True
            self._wakeup.ring(b"\0")


def ensure_standard_descriptors() -> None:
    """Open NUL where the caller left standard input, output or error closed, lest another file takes its place.

    ``sys.stdout`` and ``sys.stderr`` are there afterwards, and UTF-8 with LF whatever the code page says.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is None:  # as in a process without a console
            setattr(sys, name, open(descriptor, "w", encoding="utf-8", newline="\n", closefd=False))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
