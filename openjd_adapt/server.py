"""Hands actions to an application and takes its answers: the adaptor's end of the wire that applications speak.

After the hellos (the server's has ``rules``, the path mapping rules) they say:

    application  {"about": text}, {"next": true} when it can take an action, {"progress": percent}, {"status": text},
                 {"answer": call, "result": value} or {"answer": call, "error": text, "traceback": text}
    server       {"action": name, "args": {}, "call": number, or null where no answer is wanted}, {"close": true},
                 {"error": text, "code": exit code}
"""

from __future__ import annotations

import itertools
import logging
import os
import threading
from collections import deque

from . import system, task
from .errors import BAD_INPUT, AdaptError, InputError
from .system.interpreter import PACKAGE
from .transport import connection_file
from .transport.loop import Listener, Loop
from .transport.wire import FRAME_LIMIT, hello

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .client import Action
    from .task import Task
    from .transport.loop import Peer
    from .transport.wire import Message


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


#: The server's thread listens again when no other has for so long, in seconds.
QUIET_SECONDS = 0.02


class ReaderHandOff:
    """Has one thread at a time read from the application: one that waits for it, or else the server's.

    A thread that reads its own answer needs no other to wake it, which is much of what a call costs. Calls follow one
    another, and to tell the server's thread where each begins and ends would cost as much again: when it is woken while
    another listens, it stays away from the connection, and looks a little later whether that was all. If somebody is
    still listening then, it stays away until that one is done, and is told so.
    """

    def __init__(
        self,
        loop: Loop,
        peer: Peer,
        bell: system.Bell,
        *,
        read: Callable[[], object],
        ring_server: Callable[[], object],
        backlog: int,
    ) -> None:
        """``bell`` wakes the thread that listens, and ``ring_server`` has the server's thread :meth:`return_later`.

        ``read`` takes in what lies in the connection of ``peer``; ``backlog`` is as in :meth:`Loop.watch_peer`.
        """
        self._loop = loop
        self._peer = peer
        self._bell = bell
        self._read = read
        self._ring_server = ring_server
        self._backlog = backlog
        #: Held by the thread that listens.
        self._listening = threading.Lock()
        #: Another thread than the server's has listened since that looked last.
        self._used = False
        #: The server's thread stays away: for a moment, or until whoever listens is done.
        self._away = False
        self._awaited = False
        self._closed = False
        self._watch()

    def listen(self, waiting: Task, condition: Callable[[], bool], timeout: float | None) -> None:
        """Wait until ``condition`` may hold; this thread reads what the application says meanwhile, if no other does.

        May return early, and does after ``timeout`` seconds. Raises what :meth:`Task.check` raises.
        """
        if not self._listening.acquire(blocking=False):
            waiting.wait_for(lambda: condition() or not self._listening.locked(), timeout)
        elif self._closed or self._peer.closed:
            self._listening.release()
            waiting.wait_for(condition, timeout)
        else:
            try:
                self._sleep_and_read(waiting, condition, timeout)
            finally:
                self._listening.release()
                waiting.changed()  # another may want to listen now
                if self._awaited:
                    self._awaited = False
                    self._ring_server()

    def _sleep_and_read(self, waiting: Task, condition: Callable[[], bool], timeout: float | None) -> None:
        self._used = True
        bell, peer = self._bell.fileno(), self._peer.fileno()
        waiting.add_bell(self._bell.ring)  # from here on whoever changes something rings
        try:
            if condition():
                return
            waiting.check()
            ready = system.wait_for({bell: system.READ, peer: system.READ}, timeout)
        finally:
            waiting.remove_bell(self._bell.ring)
        if bell in ready:
            self._bell.heard()
        if peer in ready:
            self._read()

    # On the server's thread.

    def close(self) -> None:
        """Listen no more, before the connection is closed; waits for the thread that does."""
        self._closed = True
        self._loop.timers.cancel("return")
        self._bell.ring()  # one that has found it open, and is about to sleep, wakes at once
        with self._listening:
            return

    def return_later(self) -> None:
        """Whoever listened for long has stopped; another may begin at once."""
        if self._away and not self._closed and not self._loop.timers.has("return"):
            self._loop.timers.set("return", QUIET_SECONDS, self._return)

    def _return(self) -> None:
        self._awaited = True  # before the look: who stops listening just now either sees this, or is not seen
        if self._listening.locked():
            return
        self._awaited = False
        if self._used:
            self._stay_away()
        else:
            self._watch()

    def _stay_away(self) -> None:
        self._used = False
        self._away = True
        self._loop.send_only(self._peer)
        self.return_later()

    def _watch(self) -> None:
        self._away = False
        self._loop.watch_peer(self._peer, self._hear, self._backlog)

    def _hear(self) -> None:
        if self._listening.acquire(blocking=False):
            try:
                self._read()
            finally:
                self._listening.release()
        else:
            self._stay_away()


_logger = logging.getLogger(__name__)
_numbers = itertools.count(1)


class AdaptorServer:
    """Serves one application, which takes the actions of a queue one by one.

    ``adaptor`` is asked for its ``path_mapping_rules``. A second application, another user's, or one with a wire of an
    unknown version is refused.
    """

    def __init__(self, actions_queue: ActionsQueue, adaptor: Any) -> None:
        self.actions_queue = actions_queue
        #: Called with what the application says beside taking actions, on the thread that listens.
        self.on_message: Callable[[Message], object] = bool
        #: Called on the server's thread when the application has closed its connection.
        self.on_gone: Callable[[], object] = bool
        #: Whose application this is; asked for its rules.
        self.adaptor = adaptor
        self._folder = task.private_folder or connection_file.new_private_folder()
        try:
            system.make_private_folder(self._folder)
        except OSError as error:
            raise AdaptError("no folder for the application's socket: %s" % error) from None
        path = os.path.join(self._folder, "%s%d.json" % (connection_file.APPLICATION_NAME, next(_numbers)))
        try:
            self._address = connection_file.bind(path, self._folder)
            self._address.publish(type(adaptor).__name__)
        except InputError as error:  # it is no input that is wrong, but the disk
            raise AdaptError(str(error)) from None
        self._loop = Loop()
        # An application is heard whatever it has not taken yet: it gets one action at a time, and may be answering.
        self._listener = Listener(
            self._loop, self._hear, self._lose, self._greeting, self._address.key, backlog=FRAME_LIMIT
        )
        self._listener.listen(self._address.listener)
        self._application: Peer | None = None
        self._hand_off: ReaderHandOff | None = None
        #: The application waits for an action: whoever holds the lock may send it one, and nobody sends anything else.
        self._asked = False
        self._handing = threading.RLock()  # what is told meanwhile may enqueue more
        self._closing = False
        self._serving = False
        self._stopping = False
        self._stopped = threading.Event()
        self._bell = system.Bell()
        self._listeners_bell = system.Bell()
        self._loop.watch(self._bell, self._wake)
        actions_queue.on_enqueue = self._offer

    @property
    def server_path(self) -> str:
        """The path of the connection file, which the application's client is told."""
        return self._address.path

    def serve_forever(self) -> None:
        """Serve on this thread until :meth:`shutdown`, which may have been called already."""
        with self._handing:
            if self._stopped.is_set():
                return
            self._serving = True
        try:
            while not self._stopping:
                self._loop.turn()
                self._listener.drop_closed()
                if self._application and not self._hand_off:
                    self._hand_off = self._new_hand_off(self._application)
        finally:
            self._stop_listening()
            self._close()
            self.on_gone()

    def _new_hand_off(self, application: Peer) -> ReaderHandOff:
        bell, ring = self._listeners_bell, self._ring
        return ReaderHandOff(self._loop, application, bell, read=self._read, ring_server=ring, backlog=FRAME_LIMIT)

    def _close(self) -> None:
        self._listener.close()
        with self._handing:
            self._remove()
            self._stopped.set()

    def _remove(self) -> None:
        self._address.listener.close()
        self._address.remove_socket()
        for remove, path in ((os.unlink, self._address.path), (os.rmdir, self._folder)):
            try:
                remove(path)
            except OSError:
                pass  # somebody has been faster, or another server of this process's is in the folder
        os.close(self._address.descriptor)
        self._bell.close()
        self._listeners_bell.close()

    def shutdown(self) -> None:
        """End :meth:`serve_forever`, which runs on another thread, and wait for that; does nothing the second time."""
        self._stopping = True
        with self._handing:
            if not self._serving and not self._stopped.is_set():
                self._close()
        self._ring()
        self._stopped.wait()

    def listen(self, waiting: Task, condition: Callable[[], bool], timeout: float | None) -> None:
        """As :meth:`ReaderHandOff.listen`; where nobody has connected yet, as :meth:`Task.wait_for`."""
        hand_off = self._hand_off
        if hand_off:
            hand_off.listen(waiting, condition, timeout)
        else:
            waiting.wait_for(condition, timeout)

    def close_application(self) -> None:
        """Ask the application to end when it is done with what it has taken."""
        self._closing = True
        self._ring()

    def _ring(self) -> None:
        """Have the server's thread look after the queue; from any thread."""
        with self._handing:
            if not self._stopped.is_set():
                self._bell.ring()

    def _offer(self) -> None:
        """An application that waits gets a small action at once; all else is the server's thread's, which is woken."""
        with self._handing:
            if self._application and self._asked:
                action = self.actions_queue.dequeue_action()
                if action and self._sends_at_once(self._application, action):
                    self._asked = False
                    return
                if action:
                    self.actions_queue.put_back(action)
                elif not self._closing:
                    return
        self._ring()

    def _sends_at_once(self, application: Peer, action: Action) -> bool:
        try:
            return application.send_at_once(action.frame)
        except (TypeError, ValueError):
            return False  # it is no JSON, which the server's thread tells

    def _wake(self) -> None:
        self._bell.heard()
        if self._hand_off:
            self._hand_off.return_later()
        with self._handing:
            self._hand_over()

    def _hand_over(self) -> None:
        """Give the application the next action, if it waits for one and there is one."""
        if self._application is None or not self._asked:
            return
        action = self.actions_queue.dequeue_action()
        while action:
            try:
                self._application.send_frames(action.frame)
                self._asked = False
                return
            except (TypeError, ValueError) as error:
                # Who enqueued it is not here to be told, but the application is to get what follows.
                _logger.error("%s is not handed to the application: %s", action.name, error)
                if action.call is not None:
                    self.on_message({"answer": action.call, "error": "its arguments are not JSON: %s" % error})
            action = self.actions_queue.dequeue_action() if self._asked else None
        if self._closing and self._asked:
            self._asked = False
            self._application.send({"close": True})

    def _greeting(self) -> Message:
        rules = [rule.to_dict() for rule in self.adaptor.path_mapping_rules]
        return {**hello(PACKAGE), "rules": rules}

    def _hear(self, peer: Peer, message: Message) -> None:
        if self._application not in (None, peer):
            peer.refuse("another application is connected to this adaptor already", BAD_INPUT)
            peer.closed = True  # it is told once, however much it says
            return
        self._application = peer
        if "next" in message:
            with self._handing:  # else a thread that has just sent an action would take it back
                self._asked = True
            self._offer()
        else:
            self.on_message(message)

    def _read(self) -> None:
        """Take in what the application says; its end is the server's thread's to notice."""
        peer = self._application
        if peer:
            self._listener.read(peer)
            if peer.closed:
                self._ring()

    def _lose(self, peer: Peer) -> None:
        with self._handing:
            if peer is not self._application:
                return
            self._application = None
            self._asked = False
        self._stop_listening()
        self.on_gone()

    def _stop_listening(self) -> None:
        """Not with the lock held, which the thread that listens may be waiting for."""
        if self._hand_off:
            self._hand_off.close()
            self._hand_off = None
