"""What a keeper says where it cannot even begin; the rest is seen from outside, by test_run and test_daemon."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from openjd_adapt import system
from openjd_adapt.daemon import keeper
from openjd_adapt.transport.loop import Peer
from openjd_adapt.transport.wire import Decoder

pytestmark = pytest.mark.core


def test_what_the_host_does_not_give_a_keeper_is_told_as_that_and_not_as_a_fault_of_ours(monkeypatch, tmp_path):
    def no_room(*arguments):
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(system, "Worker", no_room)
    monkeypatch.setattr(system, "Wakeup", lambda *signals: system.Bell())  # the signals are this process's own
    monkeypatch.setattr(system, "kill_children", lambda **options: set())  # and so are its children
    spec = {"token": "t", "folder": str(tmp_path / "private"), "idle_seconds": None}
    spec.update(memory_bytes=1000, limit_bytes=1000)
    ours, theirs = socket.socketpair()
    keeper.Keeper(spec, Peer(theirs), None).keep()
    ours.settimeout(60)
    ((message, _),) = Decoder().feed(ours.recv(10_000))
    ours.close()
    text = "the keeper failed: [Errno %d] %s" % (errno.EAGAIN, os.strerror(errno.EAGAIN))
    assert message == {"error": text, "code": 1}
