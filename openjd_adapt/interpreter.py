"""This Python itself: whether its program can be started as one, and how."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def is_python() -> bool:
    """Whether ``sys.executable`` runs code, and is neither a frozen program nor an application with a Python inside."""
    name = os.path.basename(sys.executable or "").lower()
    return not getattr(sys, "frozen", False) and ("py" in name or "hython" in name)


def flags() -> list[str]:
    """The flags with which this interpreter was started."""
    import subprocess

    found: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return found


def environment() -> dict[str, str]:
    """What a process gets that runs this program again and may outlive this one.

    A one-file program of PyInstaller unpacks itself into a folder that goes when it ends, and what it starts of itself
    uses that folder, unless it is told to unpack itself again.
    """
    found = dict(os.environ)
    unpacked = getattr(sys, "_MEIPASS", None)
    if unpacked:
        found["PYINSTALLER_RESET_ENVIRONMENT"] = "1"
        if "LD_LIBRARY_PATH" in found:
            places = [place for place in found["LD_LIBRARY_PATH"].split(os.pathsep) if place != unpacked]
            found["LD_LIBRARY_PATH"] = os.pathsep.join(places)
    return found


class Fresh:
    """A new interpreter that runs a part of this package, and has neither ``site`` nor anything of an author's."""

    def __init__(self) -> None:
        #: The command up to the code; empty where no new one can be had.
        self._command = [sys.executable, *flags(), "-S", "-c"] if is_python() else []
        self._root, self._name = os.path.split(os.path.abspath(sys.modules[__package__].__path__[0]))
        if not os.path.exists(self._root):
            self._command = []  # what is frozen, or deep in an archive

    @property
    def is_possible(self) -> bool:
        """Whether one can be had here."""
        return bool(self._command)

    def command(self, module: str, title: str, arguments: dict[str, Any]) -> list[str]:
        """The command that calls ``serve`` of ``module`` with ``arguments``; empty where that cannot be.

        The package is imported by its last name, so that the parents of a vendored copy are not. ``title`` is for
        whoever looks at the processes.
        """
        if not self._command:
            return []
        given = ", ".join("%s=%s" % (name, ascii(value)) for name, value in arguments.items())
        return [*self._command, _CODE % (ascii(self._root), self._name, self._name, module, module, given), title]


_CODE = """import sys
sys.path.insert(0, %s)
import %s
sys.path = [place for place in sys.path[1:] if place]
from %s import %s
%s.serve(%s)
import os
os._exit(0)
"""
