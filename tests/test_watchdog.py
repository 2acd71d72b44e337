"""The look at what a daemon stands on: only what is clearly gone, and is so twice, is told."""

from __future__ import annotations

import errno
import os
import threading
from types import SimpleNamespace

import pytest

from openjd_adapt.daemon import keeper
from openjd_adapt.transport.loop import Loop

pytestmark = pytest.mark.core


class Enough(Exception):
    """The history of a test is over, and nothing was told."""


def watch(looks):
    """Watch what finds ``looks`` one after the other; returns what was told and how often it looked and paused."""
    told, taken, pauses = [], [], []
    remaining = iter(looks)

    def look():
        taken.append(next(remaining, None))
        if taken[-1] is None:
            raise Enough
        return taken[-1]

    try:
        keeper.watch(look, told.append, pauses.append)
    except Enough:
        taken.pop()
    assert set(pauses) == {keeper.LOOK_SECONDS} and len(pauses) >= len(taken)
    return told, len(taken)


def test_what_is_gone_twice_in_a_row_is_told_once_and_nobody_looks_any_more():
    assert watch(["", "", "its file", "its file", "its file", "its file"]) == (["its file"], 4)


def test_what_is_gone_for_one_look_is_not_told():
    assert watch(["", "its file", "", "its file", "", ""]) == ([], 6)


def test_what_was_found_last_is_told():
    assert watch(["its file", "its folder"]) == (["its folder"], 2)


def test_there_is_a_pause_before_the_first_look():
    order = []
    keeper.watch(lambda: order.append("look") or "gone", order.append, lambda seconds: order.append("pause"))
    assert order == ["pause", "look", "pause", "look", "gone"]


def test_it_looks_on_a_thread_of_its_own_as_a_look_may_never_return(monkeypatch):
    told = threading.Event()
    threads = []
    monkeypatch.setattr(keeper, "watch", lambda look, tell: threads.append(threading.get_ident()) or told.set())
    daemon = SimpleNamespace(_loop=Loop(), _spec={"owner": None})
    keeper.Keeper._watch_paths(daemon, SimpleNamespace(is_gone=lambda: False))
    assert told.wait(30)
    assert threads != [threading.get_ident()]


def test_a_folder_is_gone_when_it_or_one_above_it_is_missing_or_no_folder(tmp_path):
    assert not keeper.folder_is_gone(str(tmp_path))
    assert keeper.folder_is_gone(str(tmp_path / "none"))
    assert keeper.folder_is_gone(str(tmp_path / "none" / "below"))
    (tmp_path / "file").write_text("")
    assert keeper.folder_is_gone(str(tmp_path / "file" / "below"))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.ETIMEDOUT])
def test_a_file_system_that_fails_does_not_make_a_folder_gone(monkeypatch, tmp_path, number):
    def fail(path):
        raise OSError(number, os.strerror(number), path)

    monkeypatch.setattr(keeper.os, "stat", fail)
    gone = keeper.folder_is_gone(str(tmp_path))
    monkeypatch.undo()
    assert not gone
