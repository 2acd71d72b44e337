"""A keeper's spec, and its way from the command to the keeper."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from openjd_adapt.daemon import launch_spec
from openjd_adapt.transport.wire import as_json

pytestmark = pytest.mark.core


@pytest.fixture
def ends():
    pair = socket.socketpair()
    yield pair
    for end in pair:
        end.close()


@pytest.mark.parametrize("size", [0, 5_000_000], ids=["small", "more than a socket holds"])
def test_a_plan_reaches_the_keeper_whole(ends, size):
    spec = {"adaptor": "Probe", "argv": ["python"], "idle_seconds": 5.0}
    texts = {"init_data": as_json({"\udc80": "x" * size}), "path_mapping": b"{}"}
    sender = threading.Thread(target=launch_spec.send, args=(ends[0], {**spec, "data": texts}))
    sender.start()
    other = launch_spec.receive(ends[1])
    sender.join()
    data = other.pop("data")
    assert other == spec
    assert json.loads(data.decode()) == {"init_data": {"\udc80": "x" * size}, "path_mapping": {}}


def test_the_data_are_passed_on_as_they_are_whatever_they_hold(ends):
    texts = {"init_data": b'{"a":  1, "a": \xff', "path_mapping": b"", "run_data": b"]"}
    launch_spec.send(ends[0], {"data": texts})
    assert launch_spec.receive(ends[1]) == {"data": b'{"init_data":{"a":  1, "a": \xff,"path_mapping":,"run_data":]}'}


@pytest.mark.parametrize("said", [b"", b"\0\0", b"\0\0\0\x09\0\0\0\0{}"])
def test_a_command_that_is_gone_before_it_has_said_all_has_no_plan(ends, said):
    ends[0].sendall(said)
    ends[0].close()
    assert launch_spec.receive(ends[1]) is None


@pytest.mark.posix_only  # elsewhere it is a pipe's end
def test_a_keeper_that_is_gone_is_no_error_yet(ends):
    ends[1].close()
    launch_spec.send(ends[0], {"data": {"init_data": b"x" * 1_000_000}})
