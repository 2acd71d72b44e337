"""A keeper's spec, and its way from the command to the keeper."""

from __future__ import annotations

import socket
import threading

import pytest

from openjd_adapt.daemon import launch_spec

pytestmark = pytest.mark.core


@pytest.fixture
def ends():
    pair = socket.socketpair()
    yield pair
    for end in pair:
        end.close()


@pytest.mark.parametrize("size", [0, 5_000_000], ids=["small", "more than a socket holds"])
def test_a_plan_reaches_the_keeper_whole(ends, size):
    spec = {"adaptor": "Probe", "argv": ["python"], "idle_seconds": 5.0, "init_data": {"\udc80": "x" * size}}
    sender = threading.Thread(target=launch_spec.send, args=(ends[0], spec))
    sender.start()
    other = launch_spec.receive(ends[1])
    sender.join()
    assert other == spec


@pytest.mark.parametrize("said", [b"", b"\0\0", b"\0\0\0\x09\0\0\0\0{}"])
def test_a_command_that_is_gone_before_it_has_said_all_has_no_plan(ends, said):
    ends[0].sendall(said)
    ends[0].close()
    assert launch_spec.receive(ends[1]) is None


@pytest.mark.posix_only  # elsewhere it is a pipe's end
def test_a_keeper_that_is_gone_is_no_error_yet(ends):
    ends[1].close()
    launch_spec.send(ends[0], {"init_data": "x" * 1_000_000})
