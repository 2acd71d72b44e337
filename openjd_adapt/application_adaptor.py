"""What an author subclasses to keep an application open: ``ApplicationAdaptor``."""

from __future__ import annotations

import os
from abc import abstractmethod

from .adaptor import Adaptor, call_hook, file_of
from .errors import AdaptError, Config, InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from .application import Application
    from .lines import RegexHandler


class ApplicationAdaptor(Adaptor[Config]):
    """An adaptor that opens one application, calls its functions task by task, and closes it.

    ``self.app`` is the :class:`~openjd_adapt.application.Application`: ``self.app.call("render", frame=3)``. The order
    is ``on_start``, the application's start, ``on_ready``, ``on_run`` many times, ``on_stop``, the application's end,
    ``on_cleanup``.
    """

    #: A Python file that runs in the application when that runs ``openjd_adapt.client_script``. It is looked for beside
    #: the module of the class that names it.
    client: str | os.PathLike[str] | None = None
    #: Whether the application connects with a client; one that is driven by its standard input does not.
    connects = True
    #: Whether the application's standard input is a pipe for ``self.app.write_line``, instead of closed.
    stdin = False
    #: The encoding of the application's output.
    encoding = "utf-8"
    #: Whether standard error goes the way of standard output: the lines of both come in order, all as ``STDOUT``.
    merge_output = False
    stop_timeout: float | None = 60.0

    _app: Application | None = None

    @abstractmethod
    def get_command(self) -> Sequence[str]:
        """The application and its arguments."""

    def get_environment(self) -> dict[str, str] | None:
        """The application's whole environment, to which the server's address is added; None for the daemon's."""
        return None

    def extra_environment(self) -> dict[str, str] | None:
        """What is put over :meth:`get_environment`."""
        return None

    def get_startup_directory(self) -> str | None:
        """The folder to run the application in; None for the session's."""
        return None

    def on_ready(self) -> None:
        """Once, when the application is up and connected: load the scene."""

    @property
    def line_handler(self) -> RegexHandler | None:
        """As of any adaptor; raises :class:`InputError` for a Done, which ends what is to stay open."""
        from .watch import Done

        handler = super().line_handler
        if any(isinstance(watch, Done) for watch in self.watch):
            raise InputError("watch of %s: has a Done, but its application stays open" % type(self).__name__)
        return handler

    @property
    def app(self) -> Application:
        """The running application."""
        if self._app is None:
            raise AdaptError("the application is not running yet")
        return self._app

    def _client_path(self) -> str:
        """The client's file, which is there; empty without one."""
        if not self.client:
            return ""
        from .system.interpreter import is_there

        where = "client of " + type(self).__name__
        if not isinstance(self.client, (str, os.PathLike)):
            raise InputError("%s: %r is not a text or a path" % (where, self.client))
        named_by = next(kind for kind in type(self).__mro__ if "client" in vars(kind) or "client" in vars(self))
        beside = os.path.dirname(os.path.abspath(file_of(named_by) or "module"))
        path = os.path.join(beside, os.fspath(self.client))
        if not is_there(path):
            raise InputError("%s: there is no file %s" % (where, path))
        return path

    def _check_definition(self) -> None:
        super()._check_definition()
        self._client_path()

    def _start(self) -> None:
        call_hook(self, "on_start")
        from .process import texts

        command = texts("get_command of %s returned" % type(self).__name__, self.get_command())
        if not command:
            raise AdaptError("get_command of %s returned no program" % type(self).__name__)
        self._app = self._open(command)
        if self.connects:
            self._app.wait_until_connected()
        call_hook(self, "on_ready")

    def _open(self, command: Sequence[str]) -> Application:
        from .application import Application

        return Application(self, command)

    @property
    def _reports_itself(self) -> bool:
        """Whether methods of an author's own take what the application reports: they may do anything."""
        own = [vars(kind) for kind in type(self).__mro__ if kind not in ApplicationAdaptor.__mro__]
        return any("report_progress" in names or "update_status" in names for names in own)

    def _run(self, run_data: dict[str, Any]) -> None:
        self.app._check("no task was running")
        call_hook(self, "on_run", run_data)

    def _stop(self) -> None:
        try:
            call_hook(self, "on_stop")
        finally:
            if self._app:
                self._app.close(self._time_bounds().get("stop_timeout", float("inf")))

    def _cleanup(self) -> None:
        try:
            call_hook(self, "on_cleanup")
        finally:
            if self._app:
                self._app.end()
