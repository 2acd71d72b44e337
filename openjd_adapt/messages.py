"""The ``openjd_*`` lines that a scheduler reads.

Source: "Stdout/Stderr Messages" in the Open Job Description's "How Jobs Are Run".
"""

from __future__ import annotations

from . import plain_json
from .errors import one_line

#: What an application may say to the scheduler by itself.
PASSED_ON = (b"openjd_progress:", b"openjd_status:", b"openjd_fail:")


def progress(percent: float) -> str | None:
    """``openjd_progress: 12.5``, or None if ``percent`` is no number from 0 to 100."""
    try:
        value = float(percent)
    except (TypeError, ValueError, OverflowError):
        return None
    return "openjd_progress: %g" % round(value, 4) if 0 <= value <= 100 else None


def status(message: object) -> str | None:
    """``openjd_status: …`` on one line, or None if the message says nothing."""
    text = one_line(message)
    return "openjd_status: " + text if text else None


def fail(message: object) -> str:
    """``openjd_fail: …`` on one line."""
    return "openjd_fail: " + (one_line(message) or "failed without a message")


def set_env(name: str, value: str, directive: str = "openjd_env") -> str:
    """``openjd_env: NAME=value``, JSON-quoted where the plain form could not carry the value.

    Raises :class:`ValueError` for a name or a value that the environment cannot hold.
    """
    assignment = "%s=%s" % (_checked(name), value)
    if "\0" in assignment:
        raise ValueError("the value of %s has a NUL character" % name)
    plain = len(assignment.splitlines()) == 1 and not assignment[-1].isspace()
    return "%s: %s" % (directive, assignment if plain else plain_json.dumps(assignment))


def redact_env(name: str, value: str) -> str:
    """As :func:`set_env`, for a value that the scheduler must not show in its log."""
    return set_env(name, value, "openjd_redacted_env")


def unset_env(name: str) -> str:
    """``openjd_unset_env: NAME``; raises :class:`ValueError` for a name that no variable has."""
    return "openjd_unset_env: " + _checked(name)


def _checked(name: str) -> str:
    if not (name.isascii() and name.isidentifier()):
        raise ValueError("%r is not the name of an environment variable (letters, digits, underscores)" % (name,))
    return name
