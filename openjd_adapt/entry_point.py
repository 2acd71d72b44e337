"""What an adaptor's main calls: ``EntryPoint(MyAdaptor).start()``."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .adaptor import BaseAdaptor


try:
    #: Where a script that changes the folder before it starts, but after its imports, is led to again.
    _FOLDER = os.getcwd()
except OSError:
    _FOLDER = ""


class EntryPoint:
    """The command line of one adaptor class."""

    def __init__(self, adaptor_class: type[BaseAdaptor]) -> None:
        self.adaptor_class = adaptor_class
        #: Called in the adaptor's process when the adaptor is made, before it starts.
        self.on_bootstrap_complete: set[Callable[[], object]] = set()

    def start(self, reentry_exe: Any | None = None, timeout_in_seconds: float | None = None) -> None:
        """Run the command of ``sys.argv``; returns on success, raises :class:`SystemExit` with the code otherwise.

        In the adaptor's process, which runs the same script, it serves whatever ``sys.argv`` says, and does not return.

        ``reentry_exe``: the program that leads here again, where that is not this Python with this script.
        ``timeout_in_seconds``: the default of ``daemon start --timeout``.
        """
        from .errors import DONE, leave_unloaded

        try:
            from .app import App, checked
            from .cli import run
            from .system.interpreter import signals_kept
        except Exception as error:
            leave_unloaded(error)

        name = getattr(self.adaptor_class, "__name__", repr(self.adaptor_class))
        program = os.fspath(reentry_exe) if reentry_exe else None

        def load() -> type[BaseAdaptor]:
            return checked("EntryPoint", name, self.adaptor_class)

        app = App(name, load, sys.argv[1:], program, timeout_in_seconds, self.on_bootstrap_complete, folder=_FOLDER)
        with signals_kept():
            code = run(app)
        if code != DONE:
            raise SystemExit(code)
