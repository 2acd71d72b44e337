"""The process above a daemon's keeper: it only watches, and sees to it that nothing outlives the keeper.

It lives as long as the daemon, and so imports next to nothing before that ends. In ``run`` the command is the guardian.
"""

from __future__ import annotations

import os
import sys

assert sys.platform != "win32"  # for type checkers

from ..system.posix import signal
from ..system.posix_processes import Ledger, kill_children

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


#: Blocked from before there is a keeper, and taken one by one, so that it is never signalled after it was reaped.
SIGNALS = {signal.SIGTERM, signal.SIGCHLD}


def serve(keeper: int, writer: dict[str, Any], groups: int | None) -> None:
    """Watch over a child until it has ended, then end everything that it has left, however long that takes.

    ``writer`` is :attr:`ConnectionFileWriter.values`; ``groups`` the descriptor of a :class:`Ledger`, if there is one.
    """
    signal.signal(signal.SIGCHLD, lambda number, frame: None)  # what is ignored by default may not wait
    pid, status = os.waitpid(keeper, os.WNOHANG)
    while not pid:
        if signal.sigwait(SIGNALS) == signal.SIGTERM:
            os.kill(keeper, signal.SIGTERM)
        pid, status = os.waitpid(keeper, os.WNOHANG)
    if groups is not None:
        Ledger(groups).kill()
    kill_children()
    if not status and not os.path.exists(writer["draft"]):
        return  # the keeper has tidied up, and a stop waits for the end of this process

    from ..errors import FAILED, describe_exit
    from ..transport.connection_file import abandon, note_end, remove_private_folder

    # It was killed, or had nothing to keep: then its file has no name.
    how = describe_exit(-os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))
    note_end(writer["descriptor"], "its keeper " + how, FAILED)
    abandon(writer)
    remove_private_folder(writer["private_folder"])
