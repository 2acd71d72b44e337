"""The application's end: what the Python inside Blender or Maya imports to be driven by an adaptor; and an action.

    client = Client()

    @client.action
    def render(frame): ...

    client.serve_forever()

Works from Python 3.7 on, and imports nothing of the toolkit but the wire, the connection file and path mapping.
"""

from __future__ import annotations

import _socket
import os
import signal
import sys
import threading
import time
from functools import lru_cache
from http import HTTPStatus

from . import plain_json, system
from .errors import (
    TRACEBACK_LENGTH,
    AdaptError,
    InputError,
    WireError,
    check_has_run,
    describe,
    flush_streams,
    same_process,
    traceback_of,
)
from .paths import PathMappingRule, map_path
from .system.interpreter import PACKAGE
from .transport.connection_file import ConnectionFileReader
from .transport.wire import RECEIVE_BYTES, Decoder, InOrder, check_hello, encode, hello

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeVar, overload

    from .transport.wire import Message

    Function = TypeVar("Function", bound=Callable[..., Any])


class Action:
    """A function of the application, by name, and its arguments: JSON values by name.

    ``call``: the number of the call that waits for the answer; None if nobody does.
    """

    def __init__(self, name: str, args: dict[str, Any] | None = None, call: int | None = None) -> None:
        self.name = name
        self.args = args
        self.call = call
        #: The frame that is sent, when it is enqueued.
        self.frame = b""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Action) and (self.name, self.args) == (other.name, other.args)

    def __hash__(self) -> int:
        return hash(self.name)  # the arguments may hold lists

    def __repr__(self) -> str:
        return "Action(%r, %r)" % (self.name, self.args)

    def __str__(self) -> str:
        import json

        return json.dumps({"name": self.name, "args": self.args})

    @staticmethod
    def from_json_string(json_str: str) -> Action:
        """Read what ``str(action)`` gives. Raises :class:`InputError`."""
        try:
            fields = plain_json.loads(json_str)
            return Action(fields["name"], fields["args"])
        except (ValueError, LookupError, TypeError) as error:
            raise InputError("not an action: %.200r: %s" % (json_str, error)) from None

    @staticmethod
    def from_bytes(s: bytes) -> Action:
        """As :meth:`from_json_string`, from UTF-8."""
        return Action.from_json_string(s.decode("utf-8"))


def encode_values(message: Message, what: str, verb: str) -> bytes:
    """One frame. Raises :class:`InputError`, which says ``what`` in it cannot be sent."""
    try:
        return encode(message)
    except InputError as error:
        raise InputError("%s cannot be sent: %s" % (what, error)) from None
    except (TypeError, ValueError) as error:
        raise InputError("%s %s not JSON: %s" % (what, verb, error)) from None


#: The environment variable in which an adaptor tells its application where to connect.
SERVER_VARIABLE = "OPENJD_ADAPT_SERVER"
#: The application can take an action.
_NEXT = encode({"next": True})


class Client:
    """A connection to the adaptor that has started this application; takes actions, one by one, on the calling thread.

    ``server_path``: where to connect; None for what the environment says. Raises :class:`AdaptError` if nobody can be
    reached there, or speaks another version of the wire.
    """

    def __init__(self, server_path: str | None = None) -> None:
        path = server_path or os.environ.get(SERVER_VARIABLE)
        if not path:
            raise InputError("no adaptor: %s is not set; was this application started by one?" % SERVER_VARIABLE)
        with ConnectionFileReader(path) as file:
            self._connection = file.connect()
        self._connection.settimeout(None)  # whatever the application has made the default
        self._decoder = Decoder()
        self._gone = False
        self._inbox: list[Message] = []
        self._functions: dict[str, Callable[..., Any]] = {}
        #: The adaptor knows that the application can take an action; whether it is told so with each answer.
        self._asked = False
        self._asks_ahead = False
        #: An action is running.
        self._performs = False
        self._send = InOrder(self._send_now)  # progress and status may come from any thread, or a signal handler
        self._send(encode(hello(PACKAGE)))
        answer = self._receive(None)
        if answer is None:
            raise WireError("the adaptor has closed the connection")
        check_hello(answer, PACKAGE)
        #: The adaptor's path mapping rules.
        self.rules = [PathMappingRule.from_dict(rule=rule) for rule in answer.get("rules", [])]
        python = "Python %s (%s)" % (sys.version.split()[0], sys.executable)
        self._send(encode({"about": "%s, openjd_adapt of %s" % (python, PACKAGE)}))

    if TYPE_CHECKING:

        @overload
        def action(self, function: Function) -> Function: ...
        @overload
        def action(self, function: str) -> Callable[[Function], Function]: ...

    def action(self, function: Any) -> Any:
        """Let the adaptor call a function by its name, or by another: a decorator, ``@client.action`` or
        ``@client.action("name")``. Arguments and result are JSON values.
        """
        name = function if isinstance(function, str) else function.__name__

        def register(function: Any) -> Any:
            self._functions[name] = function
            return function

        return register if function is name else register(function)

    def serve_forever(self) -> None:
        """Take actions until the adaptor asks the application to end, or is gone. Not from within an action."""
        if self._performs:
            raise AdaptError("an action cannot serve: the adaptor waits for its answer")
        self._asks_ahead = True
        try:
            while self.poll_once(None):
                pass
        finally:
            self._asks_ahead = False

    def poll_once(self, timeout: float | None = 0) -> bool:
        """Take one action if there is one within ``timeout`` seconds (None: however long it takes).

        For applications that own the event loop: call it from a timer, or when :meth:`fileno` can be read. While an
        action runs the event loop, nothing is taken. False when the adaptor asks the application to end, or is gone.
        """
        if self._performs:
            return True
        message = self.take(timeout)
        if message is None:
            return not self._gone
        if "action" in message:
            self.perform(message, self._functions)
        return "close" not in message

    def fileno(self) -> int:
        """The descriptor that can be read when :meth:`poll_once` has something to do, for event loops that can wait."""
        self._asks_ahead = True
        if not self._performs:
            self._ask()
        return self._connection.fileno()

    def take(self, timeout: float | None) -> Message | None:
        """The next action, not performed yet, or ``{"close": true}``; None if there is none in time or ever again."""
        self._ask()
        end = None if timeout is None else time.monotonic() + timeout
        message = self._receive(end)
        while message is not None and not message.keys() & {"action", "close"}:
            message = self._receive(end)  # that was something of a later version's
        self._asked = message is None
        return message

    def progress(self, percent: float) -> None:
        """Tell the adaptor how far the running action is, from 0 to 100; from any thread."""
        self._tell("progress", percent)

    def status(self, text: str) -> None:
        """Tell the adaptor what the running action is doing; from any thread."""
        self._tell("status", text)

    def map_path(self, path: str | os.PathLike[str]) -> str:
        """Where ``path`` lies on this host, by the rules that the adaptor has."""
        return map_path(self.rules, path)

    def close(self) -> None:
        """Close the connection; whoever waits for an action is told that the adaptor is gone."""
        self._gone = True
        try:
            self._connection.shutdown(_socket.SHUT_RDWR)
        except OSError:
            pass  # it is closed
        self._connection.close()

    def perform(self, message: Message, functions: Mapping[str, Callable[..., Any]]) -> None:
        """Perform an action by the function of its name, and send the answer if one is wanted."""
        name, call = message["action"], message["call"]
        answer = b""
        self._performs = True
        try:
            result = run_action(name, message["args"] or {}, functions)
            if call is not None:
                answer = encode_values({"answer": call, "result": result}, "the result of " + name, "is")
        except Exception as error:
            text = describe(error)[:TRACEBACK_LENGTH]
            trace = "" if isinstance(error, AdaptError) else traceback_of(error)
            if call is not None:
                answer = encode({"answer": call, "error": text, "traceback": trace})
            else:
                _print(sys.stderr, "%s", trace or text)
        finally:
            self._performs = False
        flush_streams()  # what was printed comes before the answer
        if self._asks_ahead and not self._asked:
            self._asked = True
            answer += _NEXT  # with the answer, which saves the adaptor a wake
        self._send(answer)

    def _ask(self) -> None:
        if not self._asked:
            self._asked = True
            self._send(_NEXT)

    def _tell(self, what: str, value: object) -> None:
        """Report a value; one that cannot be told ends no render."""
        try:
            self._send(encode_values({what: value}, "the " + what, "is"))
        except InputError as error:
            _print(sys.stderr, "WARNING: %s", error)

    def _send_now(self, frames: bytes) -> None:
        try:
            self._connection.sendall(frames)
        except OSError:
            return  # the adaptor is gone, but what it has said may still lie unread
        except BaseException:
            self.close()  # half a frame may be on its way, behind which nothing can be said
            raise

    def _receive(self, end: float | None) -> Message | None:
        """The next message; None if there is none until ``end``, or the adaptor is gone. Raises what is an error."""
        wanted = {self._connection.fileno(): system.READ}
        while not self._inbox and not self._gone:
            # Who waits for ever does so in the read itself, which wakes sooner than a poll.
            if end is not None and not system.wait_for(wanted, max(0.0, end - time.monotonic())):
                return None
            try:
                data = self._connection.recv(RECEIVE_BYTES)
            except OSError:
                data = b""
            self._gone = not data
            self._inbox += [message for message, _ in self._decoder.feed(data)]
        message = self._inbox.pop(0) if self._inbox else None
        if message and "error" in message:
            raise WireError(message["error"])
        return message


def run_action(name: str, arguments: dict[str, Any], functions: Mapping[str, Callable[..., Any]]) -> Any:
    """The result of the function of that name; raises what that raises, and :class:`AdaptError`."""
    function = functions.get(name)
    if function is None:
        known = ", ".join(sorted(functions)) or "none"
        raise AdaptError("the application has no action %r; it has: %s" % (name, known))
    with same_process(_print_traceback):
        result = function(**arguments)
    check_has_run("the action " + name, result)
    return result


def _print(stream: Any, text: str, *values: object) -> None:
    """Print a line of the toolkit's own. Never raises, whatever the line, the encoding and the stream are."""
    try:
        line = text % values + "\n"
        try:
            stream.write(line)
        except UnicodeError:
            stream.write(line.encode("ascii", "backslashreplace").decode("ascii"))
    except Exception:  # as in flush_streams
        pass
    flush_streams()


def _print_traceback(error: BaseException) -> None:
    _print(sys.stderr, "%s", traceback_of(error))


#: How many paths, those that it was asked for last, a client knows the places of.
MAPPED_PATHS = 4096


class ClientInterface:
    """The reference's client, as published ones are written: a subclass fills :attr:`actions` and calls :meth:`poll`.

    ``server_path``: what the adaptor has passed as ``AdaptorServer.server_path``; it is connected to on first use. The
    signals by which an application is asked to end call :meth:`graceful_shutdown` where this is the main thread.
    """

    def __init__(self, server_path: str) -> None:
        self.server_path = server_path
        #: The functions that the adaptor may call, by name; each gets its arguments as one dict, or None.
        self.actions: dict[str, Callable[..., Any]] = {"close": self.close}
        self._connection: Client | None = None
        self._connecting = threading.RLock()
        self._mapped = lru_cache(MAPPED_PATHS)(self._map)
        self._open = True
        if threading.current_thread() is threading.main_thread():
            for number in {signal.SIGTERM, getattr(signal, "SIGBREAK", signal.SIGTERM)}:
                signal.signal(number, self.graceful_shutdown)

    def poll(self) -> None:
        """Take actions until ``close``, or until the adaptor is gone. An exception of an action ends it, too."""
        while self._open:
            status, reason, action = self._request_next_action()
            if status == HTTPStatus.GONE:
                return
            if status != HTTPStatus.OK:
                _print(sys.stderr, "ERROR: the adaptor gave no action: %s %s", status, reason)
            elif action is not None:
                _print(sys.stdout, "Performing the action %s", action)
                self._perform_action(action)
                self._open = self._open and action.name != "close"

    def map_path(self, path: str) -> str:
        """Where ``path`` lies on this host; says what it did, once a path among the last :data:`MAPPED_PATHS`."""
        return self._mapped(path)

    def _map(self, path: str) -> str:
        mapped = self._connect().map_path(path)
        _print(sys.stdout, "Mapped the path %s to %s", path, mapped)
        return mapped

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
        if message is None:
            return HTTPStatus.GONE, "the adaptor has closed the connection", None
        close = "action" not in message
        action = Action("close") if close else Action(message["action"], message["args"], message["call"])
        return HTTPStatus.OK, HTTPStatus.OK.phrase, action

    def _perform_action(self, a: Action) -> None:
        """Call the function of the action's name. What it raises is the caller's, unless the adaptor waits for it."""
        if a.call is not None:
            functions = {name: _as_one(function) for name, function in self.actions.items()}
            self._connect().perform({"action": a.name, "args": a.args, "call": a.call}, functions)
        elif a.name in self.actions:
            with same_process(_print_traceback):
                returned = self.actions[a.name](a.args)
            check_has_run("the action " + a.name, returned)
        else:
            _print(sys.stderr, "ERROR: there is no action %s; there are: %s", a.name, ", ".join(sorted(self.actions)))

    def _connect(self) -> Client:
        with self._connecting:
            self._connection = self._connection or Client(self.server_path)
        return self._connection


def _as_one(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda **arguments: function(arguments or None)
