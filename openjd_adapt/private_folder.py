"""A session's private folder, in the temporary one: for sockets and files that can lie nowhere else."""

from __future__ import annotations

import os

from . import system

#: How the names begin of what an adaptor's process makes there.
APPLICATION_NAME = "application-"


def new_name(*places: str | None) -> str:
    """A path for a private folder, which nobody can guess and whoever needs it first makes.

    ``places`` are folders for it where the usual ones cannot be written, as in a minimal container.
    """
    return os.path.join(system.temporary_folder(*places), "openjd_adapt-" + os.urandom(12).hex())


def remove(path: str) -> None:
    """Remove it, and the sockets and files that a session's processes have made there, if they have."""
    system.remove_private_folder(path, ("socket", APPLICATION_NAME))
