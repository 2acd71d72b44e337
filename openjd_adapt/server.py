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

from . import address, private_folder, system, task
from .actions import ActionsQueue
from .ear import Ear
from .errors import BAD_INPUT, AdaptError, InputError
from .loop import Loop
from .peer import PACKAGE
from .reception import Reception
from .wire import FRAME_LIMIT, hello

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .actions import Action
    from .peer import Peer
    from .task import Task
    from .wire import Message

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
        self._folder = task.private_folder or private_folder.new_name()
        try:
            system.make_private_folder(self._folder)
        except OSError as error:
            raise AdaptError("no folder for the application's socket: %s" % error) from None
        path = os.path.join(self._folder, "%s%d.json" % (private_folder.APPLICATION_NAME, next(_numbers)))
        try:
            self._address = address.bind(path, self._folder)
            self._address.publish(type(adaptor).__name__)
        except InputError as error:  # it is no input that is wrong, but the disk
            raise AdaptError(str(error)) from None
        self._loop = Loop()
        # An application is heard whatever it has not taken yet: it gets one action at a time, and may be answering.
        self._reception = Reception(
            self._loop, self._hear, self._lose, self._greeting, self._address.key, backlog=FRAME_LIMIT
        )
        self._reception.listen(self._address.listener)
        self._application: Peer | None = None
        self._ear: Ear | None = None
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
                self._reception.drop_closed()
                if self._application and not self._ear:
                    self._ear = self._new_ear(self._application)
        finally:
            self._stop_listening()
            self._close()
            self.on_gone()

    def _new_ear(self, application: Peer) -> Ear:
        bell, ring = self._listeners_bell, self._ring
        return Ear(self._loop, application, bell, read=self._read, ring_server=ring, backlog=FRAME_LIMIT)

    def _close(self) -> None:
        self._reception.close()
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
        """As :meth:`Ear.listen`; where nobody has connected yet, as :meth:`Task.wait_for`."""
        ear = self._ear
        if ear:
            ear.listen(waiting, condition, timeout)
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
        if self._ear:
            self._ear.return_later()
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
            self._reception.read(peer)
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
        if self._ear:
            self._ear.close()
            self._ear = None
