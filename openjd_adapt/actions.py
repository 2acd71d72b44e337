"""What an adaptor asks of its application: actions, in a queue."""

from __future__ import annotations

import threading
from collections import deque

from . import plain_json
from .errors import InputError
from .wire import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Action:
    """A function of the application, by name, and its arguments: JSON values by name.

    ``call``: the number of the call that waits for the answer; None if nobody does.
    """

    def __init__(self, name: str, args: dict[str, Any] | None = None, call: int | None = None) -> None:
        self.name = name
        self.args = args
        self.call = call
        self._sealed = b""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Action) and (self.name, self.args) == (other.name, other.args)

    def __hash__(self) -> int:
        return hash(self.name)  # the arguments may hold lists

    def __repr__(self) -> str:
        return "Action(%r, %r)" % (self.name, self.args)

    def __str__(self) -> str:
        import json

        return json.dumps({"name": self.name, "args": self.args})

    @property
    def frame(self) -> bytes:
        """The action as it is sent: as it was when it was sealed, or else as it is now.

        Raises :class:`TypeError` or :class:`ValueError` if the arguments are not JSON, :class:`InputError` if they are
        too much.
        """
        return self._sealed or encode({"action": self.name, "args": self.args, "call": self.call})

    def seal(self) -> None:
        """Fix what is sent. Raises what :attr:`frame` raises."""
        self._sealed = self.frame

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


class ActionsQueue:
    """Actions that the application has not taken yet, first come first served. Safe from any thread."""

    def __init__(self) -> None:
        self._actions: deque[Action] = deque()
        self._lock = threading.Lock()
        #: Called, on the thread that enqueues, when there is something to take.
        self.on_enqueue: Callable[[], object] = bool

    def __len__(self) -> int:
        return len(self._actions)

    def __bool__(self) -> bool:
        return bool(self._actions)

    def enqueue_action(self, a: Action, front: bool = False) -> None:
        """Add an action at the end, or at the front."""
        with self._lock:
            if front:
                self._actions.appendleft(a)
            else:
                self._actions.append(a)
        self.on_enqueue()

    def dequeue_action(self) -> Action | None:
        """Take the next action; None if there is none."""
        with self._lock:
            return self._actions.popleft() if self._actions else None

    def put_back(self, action: Action) -> None:
        """Return an action that was dequeued and not handed on."""
        with self._lock:
            self._actions.appendleft(action)

    def withdraw(self, call: int) -> bool:
        """Remove the action of a call that nobody waits for any more; False if it was taken already."""
        with self._lock:
            before = len(self._actions)
            self._actions = deque(action for action in self._actions if action.call != call)
            return len(self._actions) < before
