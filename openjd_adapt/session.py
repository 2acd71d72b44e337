"""What a scheduler's session tells its commands: its folder, and how long a cancel leaves them."""

from __future__ import annotations

import os
import time

from . import plain_json, system

FOLDER_VARIABLE = "OPENJD_SESSION_WORKING_DIR"
#: The longest time that a scheduler may give, in seconds: more is a clock that was set back since then.
#: Source: the template schemas' bound of notifyPeriodInSeconds.
LONGEST_NOTICE_SECONDS = 600.0


def folder() -> str | None:
    """The session's working folder; None outside a session."""
    return os.environ.get(FOLDER_VARIABLE) or None


def notify_end() -> float | None:
    """Seconds until the scheduler kills what it has just asked to end; None if it did not say, or said it long ago.

    Source: "Canceling" in the Open Job Description's "How Jobs Are Run" (``cancel_info.json``, ``NotifyEnd``).
    """
    try:
        import calendar

        with open(system.long_path(os.path.join(folder() or os.curdir, "cancel_info.json")), "rb") as stream:
            end = time.strptime(plain_json.loads(stream.read().decode("utf-8"))["NotifyEnd"], "%Y-%m-%dT%H:%M:%SZ")
    except (OSError, ImportError, ValueError, LookupError, TypeError, RecursionError):
        return None  # also if the disk with Python on it is gone by now
    # A time in the past is an earlier cancel's, whose file has stayed.
    remaining = calendar.timegm(end) - time.time()
    return min(remaining, LONGEST_NOTICE_SECONDS) if remaining > 0 else None
