"""Files that belong to their user alone."""

from __future__ import annotations

import os
from contextlib import contextmanager

from .._toolkit import part

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO, Any


@contextmanager
def secure_open(
    path: str | os.PathLike[str],
    open_mode: str,
    encoding: str | None = None,
    newline: str | None = None,
    mask: int = 0,
) -> Iterator[IO[Any]]:
    """Open a file as ``open`` does; one that is made thereby is this user's alone.

    ``mask``: further permissions of a file that is made, such as ``stat.S_IRGRP``, as far as the umask lets them be;
    without effect on Windows. Raises :class:`ValueError` for a mode that is none.
    """

    def opener(name: str, flags: int) -> int:
        if flags & os.O_CREAT:
            try:
                os.close(part("system").create_private(name, mask))
                flags &= ~os.O_EXCL
            except FileExistsError:
                pass  # for os.open to judge
        return os.open(name, flags, 0o600)

    with open(path, open_mode, encoding=encoding, newline=newline, opener=opener) as stream:
        yield stream
