"""The process of one task, as an author describes it: ``ManagedProcess``."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod

from .errors import AdaptError, ProcessFailed, describe_exit
from .ladder import GRACE_SECONDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from .lines import RegexHandler


class ManagedProcess(ABC):
    """The process that a :class:`~openjd_adapt.CommandAdaptor` runs for one task."""

    #: The exit codes that are a success.
    success_exit_codes: Sequence[int] = (0,)
    #: Seconds between asking the process to end and killing it.
    grace_seconds: float = GRACE_SECONDS

    #: What the adaptor watches for, beside the handlers.
    _watcher: RegexHandler | None = None

    def __init__(
        self,
        run_data: dict[str, Any],
        *,
        stdout_handler: RegexHandler | None = None,
        stderr_handler: RegexHandler | None = None,
    ) -> None:
        self.run_data = run_data
        self.stdout_handler = stdout_handler
        self.stderr_handler = stderr_handler

    @abstractmethod
    def get_executable(self) -> str:
        """The program to run."""

    def get_arguments(self) -> list[str]:
        """Its arguments."""
        return []

    def get_startup_directory(self) -> str | None:
        """The folder to run it in; None for the session's."""
        return None

    def get_environment(self) -> dict[str, str] | None:
        """Its whole environment; None for a copy of the daemon's."""
        return None

    def run(self) -> None:
        """Run the process to its end; leaves nothing of its tree, whatever ends the wait.

        Raises :class:`ProcessFailed` if it ends with a code that is no success, or by a signal.
        """
        from .process import LoggingSubprocess

        args = [self.get_executable(), *self.get_arguments()]
        folder, environment = self.get_startup_directory(), self.get_environment()
        given: dict[str, object] = {"get_arguments: item %d" % number: item for number, item in enumerate(args)}
        given["get_executable: it"] = given.pop("get_arguments: item 0")
        given["get_startup_directory: it"] = folder or ""
        given.update(("get_environment: %s" % name, value) for name, value in (environment or {}).items())
        for what, value in given.items():
            if not isinstance(value, (str, bytes, os.PathLike)):
                raise AdaptError("%s is %r, no text" % (what, value))
        process = LoggingSubprocess(
            args=args,
            startup_directory=folder,
            stdout_handler=self.stdout_handler,
            stderr_handler=self.stderr_handler,
            env=environment,
            watcher=self._watcher,
        )
        process.close_stdin()
        try:
            process._wait_for_end()
        except BaseException:
            process.terminate(self.grace_seconds)
            raise
        process.terminate(0)  # what it has left in its group
        returncode = process.returncode or 0
        if returncode not in self.success_exit_codes:
            raise ProcessFailed("%s %s" % (os.path.basename(process.args[0]), describe_exit(returncode)), returncode)
