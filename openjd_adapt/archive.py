"""Files beside the package or an adaptor, also where these lie in a zip archive, as ``python -m zipapp`` makes it."""

from __future__ import annotations

import os

from . import private_folder, system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from zipimport import zipimporter


def exists(path: str) -> bool:
    """Whether there is such a file, in the file system or in an archive of it.

    Raises :class:`OSError` where that cannot be told: what nobody may look at is not what is not there.
    """
    try:
        os.stat(system.long_path(path))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        try:
            read(path)
        except OSError:
            return False
    return True


def read(path: str, limit: int = -1) -> bytes:
    """What a file holds, at most ``limit`` bytes of it. Raises :class:`OSError` as ``open`` does."""
    try:
        with open(system.long_path(path), "rb") as stream:
            return stream.read(limit)
    except OSError:
        archive = _archive_of(path)
        if archive is None:
            raise
        return archive.get_data(os.path.abspath(path))


def on_disk(path: str) -> str:
    """A file that other programs can open: ``path``, or a copy of it in the session's private folder.

    The copy is removed with the folder when the session ends or, outside of one, this process.
    """
    if os.path.exists(path) or not exists(path):
        return path
    import atexit
    import logging

    from . import task

    folder = task.private_folder or private_folder.new_name()
    system.make_private_folder(folder)
    if not task.private_folder:
        atexit.register(private_folder.remove, folder)
    copy = os.path.join(folder, private_folder.APPLICATION_NAME + os.path.basename(path))
    with open(copy, "wb") as stream:
        stream.write(read(path))
    logging.getLogger(__name__).info("%s lies in an archive; a copy of it is %s", path, copy)
    return copy


def _archive_of(path: str) -> zipimporter | None:
    """The archive that a path leads into; None where it leads into none."""
    place = os.path.abspath(path)
    while not os.path.exists(place) and place != os.path.dirname(place):
        place = os.path.dirname(place)
    if not os.path.isfile(place):
        return None
    import zipimport

    try:
        return zipimport.zipimporter(place)
    except zipimport.ZipImportError:
        return None
