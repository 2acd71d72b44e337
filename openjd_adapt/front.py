"""A command's end of a connection to a keeper: what it asks and shows, and how signals become cancels."""

from __future__ import annotations

import os
import sys
import time

from . import session, system
from .errors import DONE, FAILED, AdaptError
from .peer import PACKAGE
from .wire import WINDOW_BYTES, check_hello, hello

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from .peer import Peer
    from .wire import Frame, Message

#: How long, in seconds, a keeper may take for an answer that it has at hand.
ANSWER_SECONDS = 10.0


class Late(Exception):
    """The time that was given to a request is over."""


class Left(Exception):
    """The user or the reader of the output has gone; the keeper takes that for a cancel."""


class Front:
    """A command's end of a connection: what it asks, what it shows, and what cancels it.

    ``foreground``: everything ends with this process, so that nobody else will show output that it cannot.
    """

    def __init__(self, peer: Peer, foreground: bool = False) -> None:
        self._peer = peer
        self._foreground = foreground
        self._inbox: list[Frame] = []
        self._acknowledged = 0
        system.reset_signals()
        self._wakeup = system.Wakeup(*system.CANCEL_SIGNALS)
        self._interrupts = 0
        self._out = system.StandardOutput(self._wakeup)
        self._column_0 = True
        self._muted = False
        self._showing = False
        self._mentions: list[str] = []
        self._alarm: float | None = None
        self._on_late: Callable[[], object] | None = None
        #: The keeper has said who it is.
        self.is_heard = False
        #: A signal, or the end of standard output, has canceled the command; when its task will be killed, if known.
        self.canceled = False
        self.deadline: float | None = None

    def greet(self) -> None:
        """Say hello to a keeper that does not know this command yet."""
        self._peer.send(hello(PACKAGE))

    def ask(
        self, request: Message, timeout: float | None = None, on_late: Callable[[], object] | None = None
    ) -> Message:
        """Send a request; show output and notes until its answer comes, and return that.

        After ``timeout`` seconds, calls ``on_late`` and goes on, or raises :class:`Late` unless output still comes.
        Raises :class:`AdaptError` with the keeper's exit code if it refuses, :class:`ConnectionError` if it is gone,
        and :class:`Left` if the user leaves.
        """
        self._on_late = on_late
        self._peer.send(request)
        if self.canceled:
            self._peer.send({"cancel": self.remaining()})
        self._alarm = None if timeout is None else time.monotonic() + timeout
        answer = self.listen()
        self._alarm = self._on_late = None
        return answer

    def listen(self) -> Message:
        """Show output and notes until another message comes, and return that."""
        while True:
            message, body = self._next_frame()
            if "output" in message:
                self._show(body)
                self._acknowledge(message["output"])
                if self._alarm is not None and not self._on_late:  # the keeper lives, and keeps the time itself
                    self._alarm = max(self._alarm, time.monotonic() + ANSWER_SECONDS)
            elif "note" in message:
                self.tell("INFO: " + message["note"])
            elif "hello" in message:
                check_hello(message, PACKAGE)
                self.is_heard = True
            elif "error" in message:
                error = AdaptError(message["error"])
                error.exit_code = message["code"]
                raise error
            else:
                return message

    def _acknowledge(self, offset: int) -> None:
        """Tell what was shown: once for all frames that are here, or for as much as half a window of them."""
        if self._muted and not self._foreground:
            return
        following = self._inbox and "output" in self._inbox[0][0]
        if not following or offset - self._acknowledged >= WINDOW_BYTES // 2:
            self._acknowledged = offset
            self._peer.send({"ack": offset})

    def close(self) -> None:
        """Leave, before the process ends, and not before the keeper was told all that was shown.

        From now on nothing is left to cancel: a signal to the ending interpreter must not become the exit code.
        """
        for number in system.CANCEL_SIGNALS:
            system.signal.signal(number, system.signal.SIG_IGN)
        self._tell_mentioned()
        end = time.monotonic() + ANSWER_SECONDS
        while self._peer.backlog and time.monotonic() < end:
            system.wait_for({self._peer.fileno(): system.WRITE}, end - time.monotonic())
            self._peer.flush()
        self._peer.close()
        system.settle()

    def remaining(self) -> float | None:
        """Seconds until the scheduler kills the task, if it said so."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def tell(self, line: str) -> None:
        """A line for people, on standard error."""
        self._start_line()
        tell(line)

    def say(self, line: str) -> None:
        """A line for the scheduler, on standard output."""
        self._start_line()
        self._show(line.encode("utf-8", "backslashreplace") + b"\n")

    def _mention(self, line: str) -> None:
        """As :meth:`tell`, but not within a line, and never waiting for the reader: that would keep signals unheard."""
        self._mentions.append(line)
        self._tell_mentioned()

    def _tell_mentioned(self) -> None:
        while self._mentions and not self._showing and system.takes_more(2):
            self.tell(self._mentions.pop(0))

    def _start_line(self) -> None:
        if not self._column_0:
            self._show(b"\n")

    def _next_frame(self) -> Frame:
        while not self._inbox:
            if self._peer.closed:
                raise ConnectionResetError("the daemon is gone")
            if self._wait(False):
                self._inbox.extend(self._peer.receive())
            elif self._is_late() and not self._on_late:
                self._alarm = None
                raise Late
        return self._inbox.pop(0)

    def _show(self, data: bytes) -> None:
        """Write to standard output, ready for signals all the while."""
        view = memoryview(data)
        self._showing = True
        while view and not self._muted:
            if self._wait(True):
                try:
                    view = view[self._out.write(view) :]
                except BlockingIOError:
                    continue
                except OSError as error:
                    self.tell("ERROR: standard output: %s" % error.strerror)
                    self._lose_reader()
        self._column_0 = data[-1:] == b"\n"
        self._showing = False
        self._tell_mentioned()

    def _wait(self, writing: bool) -> bool:
        """Wait for the peer, or if ``writing`` for standard output; True if that is ready. Signals are acted on."""
        watched = {self._wakeup.fileno(): system.READ}
        if not self._muted:
            watched[self._out.fileno()] = self._out.INTEREST if writing else 0
        if not self._peer.closed and (not writing or self._peer.backlog):
            events = (0 if writing else system.READ) | (system.WRITE if self._peer.backlog else 0)
            watched[self._peer.fileno()] = events
        ready = system.wait_for(watched, None if writing and not self._on_late else self._patience())
        for number in filter(None, self._wakeup.heard()):  # 0 is rung for something else than a signal
            self._on_signal(number)
        if self._peer.backlog and ready.get(self._peer.fileno(), 0) & system.WRITE:
            self._peer.flush()
        if self._out.is_broken or ready.get(self._out.fileno(), 0) & system.BROKEN:
            self._lose_reader()
        on_late = self._on_late
        if on_late and self._is_late():
            self._alarm = self._on_late = None
            on_late()
        self._tell_mentioned()
        if writing:
            return bool(ready.get(self._out.fileno(), 0))
        return not self._peer.closed and bool(ready.get(self._peer.fileno(), 0) & ~system.WRITE)

    def _is_late(self) -> bool:
        return self._alarm is not None and time.monotonic() >= self._alarm

    def _patience(self) -> float | None:
        return None if self._alarm is None else max(0.0, self._alarm - time.monotonic())

    def _on_signal(self, number: int) -> None:
        if number == system.signal.SIGINT:
            self._interrupts += 1
            if self._interrupts > 1:
                raise Left("interrupted twice")
        within = session.notify_end()
        first = not self.canceled
        self.cancel(within)
        if within is not None:
            self._mention("INFO: canceling; the task has %.1f s to end" % within)
        elif first:
            self._mention("INFO: canceling; waiting for the task to end")

    def cancel(self, within: float | None) -> None:
        """Cancel the task, which is killed after ``within`` seconds, or when the keeper finds it right."""
        self.canceled = True
        self._on_late = None
        if within is not None:
            end = time.monotonic() + within
            self.deadline = end if self.deadline is None else min(end, self.deadline)
            self._alarm = self.deadline + ANSWER_SECONDS
        self._peer.send({"cancel": within})

    def _lose_reader(self) -> None:
        """Nobody reads standard output any more: that is a cancel."""
        if not self._muted:
            self._muted = True
            if not self._foreground:
                raise Left("standard output is closed")
            self.cancel(None)


def leave_on(*signals: int) -> None:
    """From now on these raise :class:`Left`, whatever is being waited for."""

    def leave(number: int, frame: object) -> None:
        raise Left("a signal has come")

    for number in signals:
        system.signal.signal(number, leave)


def answer(text: str) -> int:
    """Print what a command was asked for; returns its exit code."""
    if sys.stdout is not sys.__stdout__:  # whoever has put something there, such as a test, wants to have it
        print(text, end="", flush=True)
        return DONE
    if write_all(1, text.encode("utf-8", "backslashreplace")):
        return DONE
    tell("ERROR: standard output cannot be written")
    return FAILED


def tell(line: str) -> None:
    """A line on standard error. Where that cannot be written, the exit code has to do."""
    write_all(2, line.encode("utf-8", "backslashreplace") + b"\n")


def write_all(descriptor: int, data: bytes) -> bool:
    """Write all of ``data``; False if nobody reads it."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:  # somebody has made it so
            system.wait_for({descriptor: system.WRITE}, None)
        except OSError:
            return False
    return True
