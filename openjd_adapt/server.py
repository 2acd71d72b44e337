"""Hands actions to an application and takes its answers: the adaptor's end of the wire that applications speak.

After the hellos (the server's has ``rules``, the path mapping rules) they say:

    application  {"about": text}, {"next": true} when it can take an action, {"progress": percent}, {"status": text},
                 {"answer": call, "result": value} or {"answer": call, "error": text, "traceback": text}
    server       {"action": name, "args": {}, "call": number, or null where no answer is wanted}, {"close": true},
                 {"error": text, "code": exit code}
"""

from __future__ import annotations

import atexit
import os
import threading
from collections import deque
from functools import partial

from . import system, task
from .client import encode_values
from .errors import AdaptError, InputError
from .system.interpreter import PACKAGE
from .transport import connection_file
from .transport.loop import Listener, Loop
from .transport.wire import FRAME_LIMIT, encode, hello

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .client import Action
    from .task import Phase
    from .transport.loop import Peer
    from .transport.wire import Message


class ActionsQueue:
    """Actions that the application has not taken yet, first come first served. Safe from any thread.

    Each is kept with its call, so that one step of the deque does all: no thread and no signal handler gets in between.
    """

    def __init__(self) -> None:
        self._actions: deque[tuple[int | None, Action]] = deque()
        #: Called, on the thread that enqueues, when there is something to take.
        self.on_enqueue: Callable[[], object] = bool

    def __len__(self) -> int:
        return len(self._actions)

    def enqueue_action(self, a: Action, front: bool = False) -> None:
        """Add an action at the end, or at the front, as it is now. Raises :class:`InputError` if it cannot be sent."""
        a.frame = encode_values({"action": a.name, "args": a.args, "call": a.call}, "the arguments of " + a.name, "are")
        add = self._actions.appendleft if front else self._actions.append
        add((a.call, a))
        self.on_enqueue()

    def dequeue_action(self) -> Action | None:
        """Take the next action; None if there is none."""
        try:
            return self._actions.popleft()[1]
        except IndexError:
            return None

    def withdraw(self, a: Action) -> bool:
        """Remove the action of a call that nobody waits for any more; False if it was taken already."""
        try:
            self._actions.remove((a.call, a))  # compares numbers alone: no other has that of a call
        except ValueError:
            return False
        return True


#: How long, in seconds, the server's thread stays away when it has found another listening.
AWAY_SECONDS = 0.02
#: The application is to end.
_CLOSE = encode({"close": True})


def private_folder() -> str:
    """The session's private folder; outside of a session, a new one, which goes with this process at the latest."""
    folder = task.private_folder or connection_file.new_private_folder()
    try:
        system.make_private_folder(folder)
    except OSError as error:
        raise AdaptError("no folder for what an application needs: %s" % error) from None
    own = os.getpid()

    def remove() -> None:
        if os.getpid() == own:  # and not a fork, which ends, too
            connection_file.remove_private_folder(folder)

    if not task.private_folder:
        atexit.register(remove)
    return folder


class AdaptorServer:
    """Serves one application, which takes the actions of a queue one by one.

    ``adaptor`` is asked for its ``path_mapping_rules``. A second application, another user's, or one with a wire of an
    unknown version is refused.

    One thread at a time reads from the application: one that waits for it (:meth:`listen`), or else the server's. A
    thread that reads its own answer needs no other to wake it, which is much of what a call costs. Calls follow one
    another, and to tell the server's thread where each begins and ends would cost as much again: when it is woken while
    another listens, it stays away from the connection for a moment.
    """

    def __init__(self, actions_queue: ActionsQueue, adaptor: Any) -> None:
        self.actions_queue = actions_queue
        #: Called with what the application says beside taking actions, on the thread that listens.
        self.on_message: Callable[[Message], object] = bool
        #: Called on the server's thread when the application has closed its connection.
        self.on_gone: Callable[[], object] = bool
        #: Whose application this is; asked for its rules.
        self.adaptor = adaptor
        self._folder = private_folder()
        #: The path of the connection file, which the application's client is told.
        self.server_path = os.path.join(
            self._folder, "%s%s.json" % (connection_file.APPLICATION_NAME, os.urandom(4).hex())
        )
        try:
            self._file = connection_file.bind(self.server_path, self._folder)
            self._file.publish(type(adaptor).__name__)
            #: What wakes the server's thread, and another that listens.
            self._wakeup = system.Bell()
            self._listening_wakeup = system.Bell()
        except (InputError, OSError) as error:  # it is not the input that is wrong, but the disk or the host
            raise AdaptError("an application cannot be served: %s" % error) from None
        self._loop = Loop()
        self._loop.watch(self._wakeup, self._on_wakeup)
        # An application is heard whatever it has not taken yet: it gets one action at a time, and may be answering.
        key, read = self._file.key, self._on_readable
        self._listener = Listener(self._loop, self._hear, self._lose, self._greeting, key, FRAME_LIMIT, read)
        self._listener.listen(self._file.listener)
        self._application: Peer | None = None
        #: Held by the thread that reads from the application; which that is, if it is not the server's.
        self._listening = threading.Lock()
        self._reader: int | None = None
        #: The application waits for an action: whoever holds the lock may send it one, and nobody sends anything else.
        self._asked = False
        self._handing = threading.RLock()  # what is told meanwhile may enqueue more
        self._closing = False
        #: Held by who serves, for ever.
        self._serving = threading.Lock()
        self._stopping = False
        self._stopped = threading.Event()
        actions_queue.on_enqueue = self._offer

    def serve_forever(self) -> None:
        """Serve on this thread until :meth:`shutdown`, which may have been called already."""
        if not self._serving.acquire(blocking=False):
            return
        try:
            while not self._stopping:
                self._loop.turn()
                self._listener.drop_closed()
        finally:
            self._stopping = True
            self._await_listener()
            self._close()
            self.on_gone()

    def _close(self) -> None:
        self._listener.close()
        with self._handing:
            self._application = None
            self._file.endpoint.remove()
            # Windows may keep the name of an open file until it is closed.
            for end in (partial(os.unlink, self.server_path), self._file.close, partial(os.rmdir, self._folder)):
                try:
                    end()
                except OSError:
                    pass  # somebody has been faster, or another server of this process's is in the folder
            self._wakeup.close()
            self._listening_wakeup.close()
            self._stopped.set()

    def shutdown(self) -> None:
        """End :meth:`serve_forever`, which runs on another thread, and wait for that; does nothing the second time."""
        self._stopping = True
        self.serve_forever()  # if nobody does: only its end
        self._wake()
        self._stopped.wait()

    def listen(self, waiting: Phase, condition: Callable[[], bool], timeout: float | None) -> None:
        """Wait until ``condition`` may hold; this thread reads what the application says meanwhile, if no other does.

        May return early, and does after ``timeout`` seconds. Raises what ``waiting.check()`` raises.
        """
        me, application = threading.get_ident(), self._connected
        if self._reader == me:
            raise AdaptError("a signal handler cannot wait for the application: it has interrupted a wait for it")
        # Not without an application: the server's thread, which hears the next one first, would do so unguarded.
        if application and self._listening.acquire(blocking=False):
            self._reader = me
            try:
                if application is self._connected:
                    self._sleep_and_read(application, waiting, condition, timeout)
                    return
            finally:
                self._reader = None
                self._listening.release()
                waiting.task.changed()  # another may want to listen now
        waiting.wait_for(lambda: condition() or bool(self._connected and not self._listening.locked()), timeout)

    @property
    def _connected(self) -> Peer | None:
        """The application, if it can be listened to."""
        application = self._application
        return None if application is None or application.closed or self._stopping else application

    def _sleep_and_read(self, peer: Peer, waiting: Phase, condition: Callable[[], bool], timeout: float | None) -> None:
        wakeup, connection = self._listening_wakeup.fileno(), peer.fileno()
        waiting.task.add_waker(self._listening_wakeup.ring)  # from here on it tells of whatever changes
        try:
            if condition():
                return
            waiting.check()
            ready = system.wait_for({wakeup: system.READ, connection: system.READ}, timeout)
        finally:
            waiting.task.remove_waker(self._listening_wakeup.ring)
        if wakeup in ready:
            self._listening_wakeup.heard()
        if connection in ready:
            self._listener.read(peer)
            if peer.closed:
                self._wake()

    def _on_readable(self, peer: Peer) -> None:
        """On the server's thread, for the application and those that it refuses."""
        if self._listening.acquire(blocking=False):
            try:
                self._listener.read(peer)
            finally:
                self._listening.release()
        elif peer is self._application:
            self._loop.watch_peer(peer, None)
            self._loop.timers.set(peer, AWAY_SECONDS, partial(self._listener.add, peer))
        else:
            self._listener.read(peer)

    def _await_listener(self) -> None:
        """Wait for another thread that listens, which finds the application gone, and may be waiting for the lock."""
        self._listening_wakeup.ring()  # one that is about to sleep wakes at once
        with self._listening:
            return

    def close_application(self) -> None:
        """Ask the application to end when it is done with what it has taken."""
        self._closing = True
        self._offer()

    def _wake(self) -> None:
        """Have the server's thread look after the application; from any thread."""
        with self._handing:
            if not self._stopped.is_set():
                self._wakeup.ring()

    def _on_wakeup(self) -> None:
        self._wakeup.heard()
        with self._handing:
            self._hand_over()

    def _offer(self) -> None:
        """Hand over on this thread, which may be any; what does not fit into the socket is left to the server's."""
        with self._handing:
            application = self._application
            if application and not application.backlog:
                self._hand_over()
            if application and application.backlog:
                self._wake()

    def _hand_over(self) -> None:
        """Give the application the next action, if it waits for one and there is one."""
        if not (self._application and self._asked):
            return
        action = self.actions_queue.dequeue_action()
        if action or self._closing:
            self._asked = False  # what enqueues meanwhile, on this thread, hands over nothing
            self._application.send_frames(action.frame if action else _CLOSE)

    def _greeting(self) -> Message:
        return {**hello(PACKAGE), "rules": [rule.to_dict() for rule in self.adaptor.path_mapping_rules]}

    def _hear(self, peer: Peer, message: Message, body: bytes) -> None:
        if self._application not in (None, peer):
            peer.reject("another application is connected to this adaptor already")
            return
        self._application = peer
        if "next" in message:
            self._asked = True
            self._offer()
        else:
            self.on_message(message)

    def _lose(self, peer: Peer) -> None:
        with self._handing:
            if peer is not self._application:
                return
            self._application = None
            self._asked = False
        self._await_listener()
        self.on_gone()
