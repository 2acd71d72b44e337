"""Passes one stream of a process on, line by line, on a thread of its own: ``StreamLogger``."""

from __future__ import annotations

import logging
import os
import threading
import time

from . import output, system
from .lines import LineForwarder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import IO, Any

#: How much, in bytes, may stand in a stream when its process has ended; and how long passing that on may take on a
#: host that has no time, in seconds.
PIPE_BYTES = 64 * 1024
CATCH_UP_SECONDS = 60.0


class StreamLogger(threading.Thread):
    """A thread that passes a stream on, line by line, until it ends: to the output, to ``handlers`` and to ``loggers``.

    ``stream`` may be of bytes (``encoding`` is the application's) or of text. Loggers are only asked if a handler
    of the author's own is attached to them.
    """

    def __init__(
        self,
        *args: Any,
        stream: IO[Any],
        loggers: Sequence[logging.Logger],
        level: int = logging.INFO,
        handlers: Sequence[logging.Handler] = (),
        encoding: str = "utf-8",
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._stream = stream
        self._forwarder = LineForwarder(level, loggers, handlers, encoding)
        self._state = threading.Condition()
        self._in_hand = False
        self._taken = 0
        self._ended = False
        #: When the stream has brought something last, on the clock of :func:`time.monotonic`.
        self.last_output = time.monotonic()

    def run(self) -> None:
        """Read until the stream ends."""
        try:
            if hasattr(self._stream, "read1"):
                self._read_bytes()
            else:
                for line in self._stream:
                    self._forwarder.feed(line.encode("utf-8", "backslashreplace"))
        finally:
            self._forwarder.close()
            with self._state:
                self._ended = True
                self._state.notify_all()

    def _read_bytes(self) -> None:
        """Read and pass on, so that what was written is at any moment either in the stream or marked as in hand."""
        try:
            descriptor = self._stream.fileno()
        except OSError:  # no file, but a buffer
            self._forwarder.feed(self._stream.read())
            return
        while True:
            system.wait_readable(descriptor)
            with self._state:
                self._in_hand = True
            chunk = os.read(descriptor, output.READ_BYTES)
            if not chunk:
                return
            self.last_output = time.monotonic()
            self._forwarder.feed(chunk)
            with self._state:
                self._taken += len(chunk)
                self._in_hand = False
                self._state.notify_all()

    def settle(self, timeout: float) -> None:
        """Wait until what stands in the stream now is passed on, ``timeout`` seconds at the most."""
        if threading.current_thread() is self:
            return  # a callback: what it was called for is in hand
        with self._state:
            self._state.wait_for(
                lambda: self._ended or not (self._in_hand or system.wait_readable(self._stream.fileno(), 0)), timeout
            )

    def catch_up(self) -> None:
        """Wait until what the process had written when it ended is passed on, and not for what others write."""
        if not self.is_alive():
            return
        with self._state:
            last = self._taken + PIPE_BYTES
            self._state.wait_for(
                lambda: (
                    self._ended
                    or self._taken > last
                    or not (self._in_hand or system.wait_readable(self._stream.fileno(), 0))
                ),
                CATCH_UP_SECONDS,
            )

    def close(self) -> None:
        """Close the stream, if it has been read to its end."""
        if not self.is_alive():
            self._stream.close()

    def last_lines(self, count: int) -> list[str]:
        """The last ``count`` lines that were passed on."""
        return self._forwarder.tail.decode("utf-8", "backslashreplace").splitlines()[-count:]
