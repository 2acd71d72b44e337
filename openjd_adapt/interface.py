"""The reference's client: a class to derive from, with a dict of actions, as published clients are written."""

from __future__ import annotations

import signal
import sys
import threading
from http import HTTPStatus

from .actions import Action
from .client import Client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .paths import PathMappingRule


class ClientInterface:
    """Takes an adaptor's actions; a subclass fills :attr:`actions` and calls :meth:`poll`.

    ``server_path``: what the adaptor has passed as ``AdaptorServer.server_path``; it is connected to on first use. The
    signals by which an application is asked to end call :meth:`graceful_shutdown` where this is the main thread.
    """

    def __init__(self, server_path: str) -> None:
        self.server_path = server_path
        #: The functions that the adaptor may call, by name; each gets its arguments as one dict, or None.
        self.actions: dict[str, Callable[..., Any]] = {"close": self.close}
        self._connection: Client | None = None
        self._mapped: dict[str, str] = {}
        self._open = True
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGTERM", "SIGBREAK"):
                if hasattr(signal, name):
                    signal.signal(getattr(signal, name), self.graceful_shutdown)

    def poll(self) -> None:
        """Take actions until ``close``, or until the adaptor is gone. An exception of an action ends it, too."""
        while self._open:
            status, reason, action = self._request_next_action()
            if status == HTTPStatus.GONE:
                return
            if status != HTTPStatus.OK:
                print("ERROR: the adaptor gave no action: %s %s" % (status, reason), file=sys.stderr, flush=True)
            elif action is not None:
                print("Performing the action %s" % action, flush=True)
                self._perform_action(action)
                self._open = self._open and action.name != "close"

    def map_path(self, path: str) -> str:
        """Where ``path`` lies on this host; says what it did, once a path."""
        if path not in self._mapped:
            self._mapped[path] = self._connect().map_path(path)
            print("Mapped the path %s to %s" % (path, self._mapped[path]), flush=True)
        return self._mapped[path]

    def path_mapping_rules(self) -> list[PathMappingRule]:
        """The adaptor's rules."""
        return list(self._connect().rules)

    def close(self, args: dict[str, Any] | None = None) -> None:
        """The last action; a subclass closes its application here."""
        self._open = False

    def graceful_shutdown(self, signum: int, frame: Any) -> None:
        """The application is asked to end by a signal; a subclass may do more."""
        self._open = False
        raise SystemExit(128 + signum)

    # Where clients with an event loop of their own, and tests, get in between.

    def _request_next_action(self) -> tuple[int, str, Action | None]:
        """Wait for the next action: a status of HTTP's and its reason, and the action if the status is 200."""
        message = self._connect().take(None)
        while message is not None and not message.keys() & {"action", "close"}:
            message = self._connect().take(None)  # what a later version says
        if message is None:
            return HTTPStatus.GONE, "the adaptor has closed the connection", None
        if "action" not in message:
            return HTTPStatus.OK, HTTPStatus.OK.phrase, Action("close")
        return HTTPStatus.OK, HTTPStatus.OK.phrase, Action(message["action"], message["args"], message["call"])

    def _perform_action(self, a: Action) -> None:
        """Call the function of the action's name. What it raises is the caller's, unless the adaptor waits for it."""
        if a.call is not None:
            functions = {name: _as_one(function) for name, function in self.actions.items()}
            self._connect().perform({"action": a.name, "args": a.args, "call": a.call}, functions)
        elif a.name in self.actions:
            self.actions[a.name](a.args)
        else:
            known = ", ".join(sorted(self.actions))
            print("ERROR: there is no action %s; there are: %s" % (a.name, known), file=sys.stderr, flush=True)

    def _connect(self) -> Client:
        if self._connection is None:
            self._connection = Client(self.server_path)
        return self._connection


def _as_one(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda **arguments: function(arguments or None)
