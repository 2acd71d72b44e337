"""What a session remembers of its tasks: who was killed in mid-write goes on, and nobody goes on with other data."""

from __future__ import annotations

import json

import pytest

from openjd_adapt import AdaptError, InputError
from openjd_adapt.authoring import play
from openjd_adapt.authoring.play import Journal

pytestmark = pytest.mark.once

DATA = [{"scene": "a.blend", "password": "hunter2"}, [{}], [["frame", "1-9"]], 0]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "made" / "journal"


def opened(folder, part=1, parts=3, adaptor="Blender", data=DATA):
    return Journal(str(folder), part, parts, adaptor, data)


def test_what_a_part_has_done_all_parts_know_however_the_tasks_are_split_anew(folder):
    opened(folder, 1).add(1, 0, 2.5)
    other = opened(folder, 3)
    other.add(7, 0, 1)
    other.add(8, 1, 1)  # has failed
    assert opened(folder, 1).done == opened(folder, 2, 2).done == {1, 7}
    line = json.loads((folder / "part-1-of-3.jsonl").read_text().splitlines()[1])
    assert line.pop("host") and line == {"task": 1, "exit": 0, "seconds": 2.5}


def test_who_was_killed_at_any_byte_of_a_line_has_done_what_has_a_whole_one(folder):
    journal = opened(folder)
    journal.add(1, 0, 1)
    journal.add(2, 0, 1)
    del journal
    path = folder / "part-1-of-3.jsonl"
    whole = path.read_bytes()
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        assert opened(folder, 2).done == set(range(1, max(1, whole[:size].count(b"\n")))), size  # who only looks
        journal = opened(folder)
        done = journal.done
        journal.add(3, 0, 1)
        del journal
        assert opened(folder).done == done | {3}, size
        assert len(path.read_bytes().splitlines()) == len(done) + 2


@pytest.mark.parametrize("change", [{"adaptor": "Maya"}, {"data": [{}, [{}], [["frame", "1-9"]], 0]}, {"data": [{}]}])
@pytest.mark.parametrize("part", [1, 2])
def test_a_journal_of_another_adaptor_or_other_data_is_refused_and_stays(folder, part, change):
    opened(folder).add(1, 0, 1)
    with pytest.raises(InputError, match=r"^--continue: .*part-1-of-3.jsonl is of another adaptor or other data; "):
        opened(folder, part, **change)
    assert opened(folder).done == {1} and [path.name for path in folder.iterdir()] == ["part-1-of-3.jsonl"]


@pytest.mark.parametrize(
    "line",
    ["", "x", "[]", "7", "\0\0", '{"task": 1}', '{"exit": 0}', '{"task": "x", "exit": 0}', '{"task": [], "exit": 0}'],
)
def test_a_line_that_is_not_a_journals_is_told_with_its_place(folder, line):
    opened(folder).add(1, 0, 1)
    path = folder / "part-1-of-3.jsonl"
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(InputError, match=r"part-1-of-3.jsonl: line 3 is not a journal's$"):
        opened(folder, 2)


def test_a_session_waits_for_one_that_is_at_its_part_and_not_for_ever(folder, monkeypatch):
    first = opened(folder)
    monkeypatch.setattr(play, "PREDECESSOR_SECONDS", 0.05)
    with pytest.raises(InputError, match="part-1-of-3.jsonl: another session is at this part$"):
        opened(folder)
    opened(folder, 2)
    monkeypatch.setattr(play, "tell", lambda line: (told.append(line), first.__dict__.clear()))
    told = []
    opened(folder).add(1, 0, 1)
    assert len(told) == 1 and told[0].endswith(
        "part-1-of-3.jsonl: another session is at this part; waiting for its end"
    )


def test_data_which_may_be_secret_do_not_stand_in_it(folder):
    opened(folder).add(1, 0, 1)
    assert "hunter2" not in (folder / "part-1-of-3.jsonl").read_text()


def test_a_folder_that_is_none_and_one_that_cannot_be_made_are_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"^--continue: .*file: is not a folder$"):
        opened(tmp_path / "file")
    with pytest.raises(InputError, match=r"^--continue: .*inner: "):
        opened(tmp_path / "file" / "inner")


@pytest.mark.posix_only
def test_on_a_full_disk_the_task_that_cannot_be_written_is_named_and_those_before_are_kept(tiny_disk):
    journal = opened(tiny_disk)
    (tiny_disk / "large").write_bytes(bytes(248 * 1024))
    task = 0
    with pytest.raises(AdaptError) as caught:
        for task in range(1, 1000):
            journal.add(task, 0, 1)
    assert caught.value.exit_code == 1
    assert str(caught.value).endswith("part-1-of-3.jsonl: task %d: No space left on device" % task)
    with pytest.raises(InputError, match="part-.*.jsonl: No space left on device$"):
        opened(tiny_disk, 2)
    (tiny_disk / "large").unlink()
    del journal, caught
    journal = opened(tiny_disk)
    journal.add(task, 0, 1)
    assert journal.done == set(range(1, task)) and opened(tiny_disk, 3).done == set(range(1, task + 1))
