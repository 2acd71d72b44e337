"""The command line; tells the log which package serves where another of the same name is installed, too."""

from __future__ import annotations

import logging
import os
import sys

from ._toolkit import toolkit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_logger = logging.getLogger(__name__)
_RUNTIME = os.path.dirname(os.path.abspath(__file__))


class EntryPoint(toolkit.EntryPoint):  # type: ignore[misc]
    """The command line of one adaptor class."""

    def start(self, reentry_exe: Any = None, timeout_in_seconds: float | None = None) -> None:
        """Run the command of ``sys.argv``.

        ``timeout_in_seconds`` is not used: in the reference it bounds every request to a daemon, and not the start,
        which would be cut short by it here.
        """
        self.on_bootstrap_complete.add(_tell_of_others)
        super().start(reentry_exe)


def _tell_of_others() -> None:
    others = _others()
    if others:
        _logger.info(
            "openjd_adapt %s (%s) serves as openjd.adaptor_runtime, and not the package in %s",
            *(toolkit.__version__, os.path.dirname(toolkit.__file__), ", ".join(others)),
        )


def _others() -> list[str]:
    """Where packages of this name lie that the path would have given without this one."""
    places = [os.path.join(folder or os.curdir, "openjd", "adaptor_runtime") for folder in sys.path]
    found = [place for place in places if os.path.isfile(os.path.join(place, "__init__.py"))]
    return [place for place in found if os.path.realpath(place) != os.path.realpath(_RUNTIME)]
