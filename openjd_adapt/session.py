"""The scheduler's session: what it tells its commands (a folder, the time of a cancel), and the lines that it reads."""

from __future__ import annotations

import os
import time

from . import plain_json
from .errors import as_utf8, one_line
from .system.interpreter import long_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The ``openjd_*`` lines that a scheduler reads.
#
# Source: "Stdout/Stderr Messages" in the Open Job Description's "How Jobs Are Run".

#: What an application may say to the scheduler by itself.
PASSED_ON = (b"openjd_progress:", b"openjd_status:", b"openjd_fail:")
#: For a line that only begins like one of these, indented or in another case, a scheduler fails the action.
_ENVIRONMENT = ("openjd_env", "openjd_redacted_env", "openjd_unset_env")
_SECRET = b"openjd_redacted_env"
#: A scheduler takes what is longer, in characters, for more than one line: LOG_LINE_MAX_LENGTH of openjd-sessions.
LINE_LIMIT = 64_000
CHARACTER_BYTES = 4  # the most that UTF-8 takes for one
CONTINUATION = bytes(range(0x80, 0xC0))  # what may stand there behind the first


def progress(percent: float, begin: float = 0.0, end: float = 100.0) -> str | None:
    """``openjd_progress: 12.5``, limited to 0 to 100; None if ``percent`` is not a finite number.

    ``begin``, ``end``: the part of the task that 0 to 100 stand for.
    """
    value = _percent(percent)
    return None if value is None else "openjd_progress: %g" % round(begin + (end - begin) * value / 100, 1)


def _percent(value: Any) -> float | None:
    try:
        percent = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return min(100.0, max(0.0, percent)) if percent - percent == 0 else None


def status(message: object) -> str | None:
    """``openjd_status: …``, in one line, or None if the message says nothing."""
    text = one_line(message)
    return "openjd_status: " + text if text else None


def fail(message: object) -> str:
    """``openjd_fail: …``, in one line."""
    return "openjd_fail: " + (one_line(message) or "failed without a message")


def set_env(name: str, value: str, directive: str = "openjd_env") -> str:
    """``openjd_env: NAME=value``, JSON-quoted where the plain form could not carry the value.

    ``openjd_redacted_env`` is the directive for a value that the scheduler must not show in its log.

    Raises :class:`ValueError` for a name or a value that the environment cannot hold.
    """
    assignment = "%s=%s" % (_checked(name), as_utf8(value))
    if "\0" in assignment:
        raise ValueError("the value of %s has a NUL character" % name)
    is_text = assignment.encode("utf-8", "replace").decode("utf-8") == assignment
    plain = is_text and len(assignment.splitlines()) == 1 and not assignment[-1].isspace()
    line = "%s: %s" % (directive, assignment if plain else plain_json.dumps(assignment))
    if len(line) > LINE_LIMIT:
        raise ValueError("the value of %s is too long: a scheduler reads %d characters of a line" % (name, LINE_LIMIT))
    return line


def unset_env(name: str) -> str:
    """``openjd_unset_env: NAME``; raises :class:`ValueError` for a name that no variable has."""
    return "openjd_unset_env: " + _checked(name)


def _checked(name: str) -> str:
    if not _is_name(name):
        raise ValueError("%r is not the name of an environment variable (letters, digits, underscores)" % (name,))
    return name


def _is_name(name: str) -> bool:
    return name.isascii() and name.isidentifier()


def read(line: str) -> tuple[str, Any]:
    """What a scheduler takes a line for: the directive and its value; two empty texts if it is none for it.

    The value of ``openjd_progress`` is a number, that of ``openjd_env`` and ``openjd_redacted_env`` a pair of texts,
    the variable's name and value, and that of the others a text.
    """
    directive, colon, text = line.partition(": ")
    value: Any = text if colon else None
    if directive == "openjd_progress":
        value = _percent(text)
        value = value if value is not None and value == float(text) else None  # a scheduler limits nothing
    elif directive in ("openjd_env", "openjd_redacted_env"):
        value = _assignment(text.lstrip())
    elif directive == "openjd_unset_env":
        value = text.lstrip() if _is_name(text.lstrip()) else None
    return (directive, value) if directive.startswith("openjd_") and value is not None else ("", "")


def _assignment(text: str) -> tuple[str, str] | None:
    quoted = text.startswith('"')
    try:
        name, equals, value = (plain_json.loads(text) if quoted else text).partition("=")
    except ValueError:
        return None
    return (name, value) if equals and _is_name(name) and text.startswith(name, quoted) else None


# What reaches a scheduler: text in UTF-8, in which only what is a directive looks like one.


class Sanitizer:
    """Makes a stream of bytes, whoever has written them, fit for a scheduler."""

    def __init__(self) -> None:
        #: An unfinished line: a directive, or a character, may be cut there.
        self._held = b""

    def feed(self, data: bytes, final: bool = False) -> bytes:
        """What can be shown after ``data``; ``final``: all of it, as nothing follows that goes on its last line."""
        data = self._held + data
        end = len(data) if final else max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        if len(data) - end > LINE_LIMIT * CHARACTER_BYTES:
            data = data[:end] + redacted(data[end:])  # stays short, whatever more of a secret comes
            if len(data) - end > LINE_LIMIT:
                end = character_end(data, len(data) - 2)
        self._held = data[end:]
        return sanitized(data[:end])


def character_end(data: bytes, size: int) -> int:
    """The largest end up to ``size`` that does not cut a UTF-8 character."""
    if len(data) <= size + 1:
        return len(data)
    end = size
    while end > size - CHARACTER_BYTES and data[end] in CONTINUATION:
        end -= 1
    return end


def sanitized(lines: bytes) -> bytes:
    """``lines`` with ``\\xNN`` for what is not UTF-8, and nothing that looks like a directive and is none."""
    try:
        lines.decode()
    except UnicodeDecodeError:
        lines = lines.decode("utf-8", "backslashreplace").encode()
    lowered = _lowered(lines)
    if b"openjd_" in lowered and b"_env" in lowered:
        return b"".join(map(_sanitized_line, lines.splitlines(keepends=True)))  # at "\r", too, as a scheduler does
    return lines


def _lowered(lines: bytes) -> bytes:
    return lines.lower() if b"_" in lines else b""  # no directive is without, and that is told sixty times as fast


def _sanitized_line(line: bytes) -> bytes:
    text = line.decode()
    if len(text) <= LINE_LIMIT and read(text.rstrip("\r\n"))[0] in _ENVIRONMENT:
        return line
    malformed = text.lstrip().lower().startswith(_ENVIRONMENT)
    return (b"STDOUT: " if malformed else b"") + redacted(line)


def redacted(lines: bytes) -> bytes:
    """``lines`` without what stands behind ``openjd_redacted_env``: where it is no directive, nobody else hides it."""
    if _SECRET not in _lowered(lines):
        return lines
    return b"".join(map(_redacted_line, lines.splitlines(keepends=True)))


def _redacted_line(line: bytes) -> bytes:
    end = line.lower().find(_SECRET) + len(_SECRET)
    return line if end < len(_SECRET) else line[:end] + b": ********" + line[len(line.rstrip(b"\r\n")) :]


# What a scheduler's session tells its commands: its folder, and how long a cancel leaves them.

#: More seconds no scheduler gives (notifyPeriodInSeconds of the template schemas): the clock was set back since then.
LONGEST_NOTICE_SECONDS = 600.0


def folder() -> str | None:
    """The session's working folder; None outside a session."""
    return os.environ.get("OPENJD_SESSION_WORKING_DIR") or None


def notify_end() -> float | None:
    """Seconds until the scheduler kills what it has just asked to end; None if it did not say: see ``CANCEL_SECONDS``.

    Source: "Canceling" in the Open Job Description's "How Jobs Are Run" (``cancel_info.json``, ``NotifyEnd``).
    """
    try:
        import calendar

        with open(long_path(os.path.join(folder() or os.curdir, "cancel_info.json")), "rb") as stream:
            end = time.strptime(plain_json.loads(stream.read().decode("utf-8"))["NotifyEnd"], "%Y-%m-%dT%H:%M:%SZ")
    except (OSError, ImportError, ValueError, LookupError, TypeError, RecursionError):
        return None  # also if the disk with Python on it is gone by now
    # A time in the past is an earlier cancel's, whose file has stayed.
    remaining = calendar.timegm(end) - time.time()
    return min(remaining, LONGEST_NOTICE_SECONDS) if remaining > 0 else None
