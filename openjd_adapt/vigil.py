"""Looks now and then whether what a daemon stands on is still there; on a thread, as a file system may never answer."""

from __future__ import annotations

import _thread
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

#: Seconds between two looks, and how many in a row must find something gone.
LOOK_SECONDS = 2.0
LOOKS = 2


def folder_is_gone(path: str) -> bool:
    """Whether there is no such folder; only a clear answer counts."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def begin(
    look: Callable[[], str], tell: Callable[[str], object], pause: Callable[[float], object] = time.sleep
) -> None:
    """Call ``look()`` from now on; when it has named what is gone :data:`LOOKS` times in a row, ``tell`` that, once.

    ``look`` returns an empty text as long as all is there. Both are called on a thread of their own.
    """
    _thread.start_new_thread(watch, (look, tell, pause))


def watch(look: Callable[[], str], tell: Callable[[str], object], pause: Callable[[float], object]) -> None:
    """What :func:`begin` does, on the calling thread."""
    found = 0
    while found < LOOKS:
        pause(LOOK_SECONDS)
        gone = look()
        found = found + 1 if gone else 0
    tell(gone)
