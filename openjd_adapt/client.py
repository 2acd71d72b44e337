"""The application's end: what the Python inside Blender or Maya imports to be driven by an adaptor.

    client = Client()

    @client.action
    def render(frame): ...

    client.serve_forever()

Works from Python 3.7 on, and imports nothing of the toolkit but the wire, the channel and path mapping.
"""

from __future__ import annotations

import os
import platform
import select
import signal
import sys
import threading
import traceback

from .channel import ConnectionFile
from .errors import AdaptError, InputError, WireError
from .paths import PathMappingRule, map_path
from .peer import PACKAGE
from .wire import check_hello, hello

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from .wire import Message

    Function = TypeVar("Function", bound=Callable[..., Any])

#: The environment variable in which an adaptor tells its application where to connect.
SERVER_VARIABLE = "OPENJD_ADAPT_SERVER"


class Client:
    """A connection to the adaptor that has started this application; takes actions, one by one, on the calling thread.

    ``server_path``: where to connect; None for what the environment says. Raises :class:`AdaptError` if nobody can be
    reached there, or speaks another version of the wire.
    """

    def __init__(self, server_path: str | None = None) -> None:
        path = server_path or os.environ.get(SERVER_VARIABLE)
        if not path:
            raise InputError("no adaptor: %s is not set; was this application started by one?" % SERVER_VARIABLE)
        file = ConnectionFile(path)
        self._peer = file.connect()
        file.close()
        self._inbox: list[Message] = []
        self._functions: dict[str, Callable[..., Any]] = {}
        self._asked = False
        self._say(hello(PACKAGE))
        answer = self._receive(None)
        if answer is None or "error" in answer:
            raise WireError(answer["error"] if answer else "the adaptor has closed the connection")
        check_hello(answer, PACKAGE)
        #: The adaptor's path mapping rules.
        self.rules = [PathMappingRule.from_dict(rule=rule) for rule in answer.get("rules", [])]
        python = "Python %s (%s)" % (platform.python_version(), sys.executable)
        self._say({"about": "%s, openjd_adapt of %s" % (python, PACKAGE)})

    def action(self, function: Function) -> Function:
        """Let the adaptor call ``function`` by its name; a decorator. Arguments and result are JSON values."""
        self._functions[function.__name__] = function
        return function

    def serve_forever(self) -> None:
        """Take actions until the adaptor asks the application to end, or is gone."""
        while self.poll_once(None):
            pass

    def poll_once(self, timeout: float | None = 0) -> bool:
        """Take one action if there is one within ``timeout`` seconds (None: however long it takes).

        For applications that own the event loop: call it from a timer. False when the adaptor asks the application to
        end, or is gone.
        """
        if not self._asked:
            self._asked = True
            self._say({"next": True})
        message = self._receive(timeout)
        if message is None:
            return not self._peer.closed
        if "action" in message:
            self._asked = False
            self._perform(message)
        elif "error" in message:
            raise WireError(message["error"])
        return "close" not in message

    def progress(self, percent: float) -> None:
        """Tell the adaptor how far the running action is, from 0 to 100."""
        self._say({"progress": percent})

    def status(self, text: str) -> None:
        """Tell the adaptor what the running action is doing."""
        self._say({"status": text})

    def map_path(self, path: str) -> str:
        """Where ``path`` lies on this host, by the rules that the adaptor has."""
        return map_path(self.rules, path)

    def close(self) -> None:
        """Close the connection."""
        self._peer.close()

    def _perform(self, message: Message) -> None:
        name, arguments, call = message["action"], message["args"] or {}, message["call"]
        try:
            function = self._functions.get(name)
            if function is None:
                known = ", ".join(sorted(self._functions)) or "none"
                raise AdaptError("the application has no action %r; it has: %s" % (name, known))
            result = function(**arguments)
            if call is not None:
                self._answer(name, call, result)
        except AdaptError as error:
            self._report(call, str(error), "")
        except Exception as error:
            text = "%s: %s" % (type(error).__name__, error)
            place = error.__traceback__ and error.__traceback__.tb_next
            self._report(call, text, "".join(traceback.format_exception(type(error), error, place)))

    def _answer(self, name: str, call: int, result: Any) -> None:
        try:
            self._say({"answer": call, "result": result})
        except (TypeError, ValueError) as error:
            raise AdaptError("the result of %s is not JSON: %s" % (name, error)) from None

    def _report(self, call: int | None, text: str, trace: str) -> None:
        if call is None:
            sys.stderr.write(trace or text + "\n")
        else:
            self._say({"answer": call, "error": text, "traceback": trace})

    def _say(self, message: Message) -> None:
        if "answer" in message:  # what was printed comes before the answer
            for stream in filter(None, (sys.stdout, sys.stderr)):
                stream.flush()
        self._peer.send(message)
        while self._peer.backlog:
            select.select([], [self._peer], [])
            self._peer.flush()

    def _receive(self, timeout: float | None) -> Message | None:
        """The next message; None if there is none in time or the adaptor is gone (then the peer is closed)."""
        while not self._inbox:
            if self._peer.closed or not select.select([self._peer], [], [], timeout)[0]:
                return None
            self._inbox += [message for message, _ in self._peer.receive()]
        return self._inbox.pop(0)


class ClientInterface:
    """The reference's client: a subclass fills :attr:`actions` and calls :meth:`poll`.

    ``server_path``: what the adaptor has passed as ``AdaptorServer.server_path``. SIGTERM and SIGINT call
    :meth:`graceful_shutdown` where this is the main thread.
    """

    def __init__(self, server_path: str) -> None:
        self._client = Client(server_path)
        self._mapped: dict[str, str] = {}
        #: The functions that the adaptor may call, by name; each gets its arguments as one dict, or None.
        self.actions: dict[str, Callable[..., Any]] = {"close": self.close}
        self._open = True
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self.graceful_shutdown)

    def poll(self) -> None:
        """Take actions until :meth:`close`, or until the adaptor is gone."""
        while self._open:
            self._client._functions = {name: _as_one(function) for name, function in self.actions.items()}
            if not self._client.poll_once(None):
                return

    def map_path(self, path: str) -> str:
        """Where ``path`` lies on this host; says what it did, once a path."""
        if path not in self._mapped:
            self._mapped[path] = self._client.map_path(path)
            print("Mapped the path %s to %s" % (path, self._mapped[path]), flush=True)
        return self._mapped[path]

    def path_mapping_rules(self) -> list[PathMappingRule]:
        """The adaptor's rules."""
        return list(self._client.rules)

    def close(self, args: dict[str, Any] | None = None) -> None:
        """Leave :meth:`poll` after this action; a subclass also closes its application here."""
        self._open = False

    def graceful_shutdown(self, signum: int, frame: Any) -> None:
        """Called for SIGTERM and SIGINT; a subclass may do more."""
        self._open = False
        raise SystemExit(128 + signum)


def _as_one(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda **arguments: function(arguments or None)
