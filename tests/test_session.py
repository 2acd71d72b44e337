"""What a scheduler's session tells: where its folder is, and how long a cancel leaves."""

from __future__ import annotations

import json
import time

import pytest

from openjd_adapt import session

pytestmark = pytest.mark.core

#: 2026-01-02T03:04:05Z
NOW = 1767323045.0


@pytest.fixture
def scheduler(tmp_path, monkeypatch):
    """Writes ``cancel_info.json`` into the session's folder, with the text or for a time that is so far away."""
    monkeypatch.setenv("OPENJD_SESSION_WORKING_DIR", str(tmp_path))
    monkeypatch.setattr(session.time, "time", lambda: NOW)

    def write(text=None, seconds=0):
        if text is None:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW + seconds))
            text = json.dumps({"NotifyEnd": stamp})
        (tmp_path / "cancel_info.json").write_text(text, encoding="utf-8")

    return write


def test_the_folder_is_the_schedulers_and_none_without_one(monkeypatch):
    monkeypatch.setenv("OPENJD_SESSION_WORKING_DIR", "/somewhere")
    assert session.folder() == "/somewhere"
    monkeypatch.setenv("OPENJD_SESSION_WORKING_DIR", "")
    assert session.folder() is None
    monkeypatch.delenv("OPENJD_SESSION_WORKING_DIR")
    assert session.folder() is None


def test_the_time_that_is_left_is_counted_to_the_end_that_the_scheduler_named(scheduler):
    scheduler('{"NotifyEnd": "2026-01-02T03:04:35Z", "Other": 1}')
    assert session.notify_end() == 30


@pytest.mark.posix_only
def test_the_end_is_in_utc_whatever_the_zone_of_the_host_is(scheduler, monkeypatch):
    scheduler(seconds=30)
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    left = session.notify_end()
    monkeypatch.undo()
    time.tzset()
    assert left == 30


def test_outside_a_session_the_file_of_the_commands_folder_counts(scheduler, tmp_path, monkeypatch):
    scheduler(seconds=30)
    monkeypatch.delenv("OPENJD_SESSION_WORKING_DIR")
    monkeypatch.chdir(tmp_path)
    assert session.notify_end() == 30


def test_without_a_file_the_scheduler_did_not_say(scheduler):
    assert session.notify_end() is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "\0",
        "[]",
        "7",
        "null",
        '"NotifyEnd"',
        "{}",
        '{"NotifyEnd": null}',
        '{"NotifyEnd": 1767323075}',
        '{"NotifyEnd": []}',
        '{"NotifyEnd": ""}',
        '{"NotifyEnd": "soon"}',
        '{"NotifyEnd": "2026-01-02 03:04:35"}',
        '{"NotifyEnd": "2026-13-02T03:04:35Z"}',
        "[" * 100_000,
    ],
)
def test_a_file_that_is_broken_or_half_written_counts_as_none(scheduler, text):
    scheduler(text)
    assert session.notify_end() is None


def test_a_file_that_is_no_text_or_no_file_counts_as_none(scheduler, tmp_path):
    (tmp_path / "cancel_info.json").write_bytes(b'{"NotifyEnd": "\xff"}')
    assert session.notify_end() is None
    (tmp_path / "cancel_info.json").unlink()
    (tmp_path / "cancel_info.json").mkdir()
    assert session.notify_end() is None


@pytest.mark.parametrize("seconds", [0, -1, -3600, -10_000_000])
def test_an_end_in_the_past_is_that_of_an_earlier_cancel_and_does_not_count(scheduler, seconds):
    scheduler(seconds=seconds)
    assert session.notify_end() is None


@pytest.mark.parametrize("seconds, left", [(1, 1), (599, 599), (600, 600), (601, 600), (3600, 600), (1e9, 600)])
def test_nobody_gets_more_than_ten_minutes_as_the_clock_may_have_been_set_back_since(scheduler, seconds, left):
    scheduler(seconds=seconds)
    assert session.notify_end() == left


def test_a_clock_that_is_set_on_or_back_shortens_the_time_or_bounds_it(scheduler, monkeypatch):
    scheduler(seconds=90)
    for step, left in [(0, 90), (60, 30), (3600, None), (-3600, 600)]:
        monkeypatch.setattr(session.time, "time", lambda step=step: NOW + step)
        assert session.notify_end() == left
