"""Private folders, locks and temporary folders of Linux and macOS."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from openjd_adapt import system
from openjd_adapt.system import posix

from .conftest import HANG_SECONDS, ROOT, root_only

pytestmark = [pytest.mark.core, pytest.mark.posix_only]

NAMES = ("socket", "application-")


@pytest.fixture
def private(tmp_path):
    path = tmp_path / "private"
    posix.make_private_folder(str(path))
    return path


def mode(path):
    return os.lstat(str(path)).st_mode & 0o7777


# Private folders


@pytest.mark.parametrize("mask", [0, 0o022, 0o077, 0o177, 0o777])
def test_a_private_folder_is_this_users_alone(tmp_path, mask):
    before = os.umask(mask)
    try:
        posix.make_private_folder(str(tmp_path / "private"))
    finally:
        os.umask(before)
    assert mode(tmp_path / "private") == 0o700


def test_whoever_needs_it_second_takes_the_one_that_is_there(private):
    (private / "socket").write_text("")
    posix.make_private_folder(str(private))
    assert (private / "socket").exists()


@pytest.mark.parametrize("bits", [0o701, 0o710, 0o750, 0o755, 0o777, 0o1777])
def test_a_folder_that_others_may_enter_is_refused(private, bits):
    private.chmod(bits)
    with pytest.raises(PermissionError, match="is not a private folder of this user's"):
        posix.make_private_folder(str(private))


@pytest.mark.parametrize("what", ["a file", "a link to a private folder", "a link to nothing", "a fifo"])
def test_what_somebody_has_planted_in_its_place_is_refused(tmp_path, private, what):
    path = tmp_path / "planted"
    if what == "a file":
        path.write_text("")
        path.chmod(0o600)
    elif what == "a fifo":
        os.mkfifo(str(path), 0o600)
    else:
        path.symlink_to(private if what == "a link to a private folder" else tmp_path / "nothing")
    with pytest.raises(PermissionError, match="is not a private folder of this user's"):
        posix.make_private_folder(str(path))
    assert os.path.lexists(str(path)) and not (tmp_path / "nothing").exists()


@root_only
def test_a_folder_of_another_user_is_refused_and_not_removed(private):
    os.chown(str(private), 12345, -1)
    with pytest.raises(PermissionError):
        posix.make_private_folder(str(private))
    (private / "socket").write_text("")
    posix.remove_private_folder(str(private), NAMES)
    assert (private / "socket").exists()


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_private_folder_is_removed_with_all_that_was_made_in_it(private, number):
    for name in ("socket", "application-1", "application-2.json")[:number]:
        (private / name).write_text("")
    posix.remove_private_folder(str(private), NAMES)
    assert not private.exists()


def test_what_others_have_put_into_a_private_folder_stays(private):
    for name in ("socket", "my-socket", "notes.txt"):
        (private / name).write_text("")
    posix.remove_private_folder(str(private), NAMES)
    assert sorted(os.listdir(str(private))) == ["my-socket", "notes.txt"]


def test_a_link_in_a_private_folder_is_removed_and_not_followed(tmp_path, private):
    (tmp_path / "precious").write_text("precious")
    (private / "socket").symlink_to(tmp_path / "precious")
    posix.remove_private_folder(str(private), NAMES)
    assert not private.exists() and (tmp_path / "precious").read_text() == "precious"


def test_a_link_in_the_place_of_a_private_folder_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o700)
    (victim / "socket").write_text("")
    (tmp_path / "planted").symlink_to(victim)
    posix.remove_private_folder(str(tmp_path / "planted"), NAMES)
    assert (victim / "socket").exists()


def test_a_link_that_is_put_in_its_place_while_it_is_emptied_is_not_followed(tmp_path, private, monkeypatch):
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o700)
    (victim / "socket").write_text("precious")
    (private / "socket").write_text("")
    names = os.listdir

    def list_and_replace(folder):
        found = names(folder)
        private.rename(tmp_path / "elsewhere")
        private.symlink_to(victim)
        return found

    monkeypatch.setattr(posix.os, "listdir", list_and_replace)
    posix.remove_private_folder(str(private), NAMES)
    monkeypatch.undo()
    assert os.listdir(str(tmp_path / "elsewhere")) == []
    assert (victim / "socket").read_text() == "precious" and private.is_symlink()


@pytest.mark.parametrize("what", ["missing", "a file", "with a folder of such a name", ""])
def test_what_cannot_be_removed_is_left_and_is_no_error(tmp_path, private, what):
    if what == "with a folder of such a name":
        (private / "socket").mkdir()
        posix.remove_private_folder(str(private), NAMES)
        assert (private / "socket").is_dir()
        return
    path = tmp_path / "other"
    if what == "a file":
        path.write_text("")
    posix.remove_private_folder(str(path) if what else "", NAMES)
    assert path.exists() == (what == "a file")


# Locks


@pytest.fixture
def two(tmp_path):
    """Two openings of one file, as two processes have them."""
    (tmp_path / "file").write_text("")
    descriptors = [os.open(str(tmp_path / "file"), os.O_RDWR) for _ in range(2)]
    yield descriptors
    for descriptor in descriptors:
        os.close(descriptor)


def test_a_lock_has_one_holder_and_everybody_can_tell(two):
    first, second = two
    assert not posix.is_locked(second)
    assert posix.lock(first)
    assert posix.is_locked(second) and not posix.lock(second)
    assert posix.lock(first)


def test_to_ask_for_a_lock_does_not_take_it(two):
    first, second = two
    assert not posix.is_locked(second)
    assert posix.lock(first)


def test_a_free_lock_is_had_at_once_and_held(two):
    first, second = two
    assert system.wait_for_lock(first, 600)
    assert posix.is_locked(second)


@pytest.mark.parametrize("timeout", [0.1, 0.0001, 0])
def test_a_lock_that_stays_is_given_up_in_time_and_not_had_later(two, timeout):
    first, second = two
    posix.lock(first)
    begin = time.monotonic()
    assert system.wait_for_lock(second, timeout) is False
    assert timeout <= time.monotonic() - begin
    os.close(first)
    two[0] = os.open(os.devnull, os.O_RDONLY)
    assert posix.lock(second)


def test_a_wait_for_a_lock_ends_in_time_also_where_the_parent_has_blocked_the_alarm(two):
    first, second = two
    posix.lock(first)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    try:
        assert system.wait_for_lock(second, 0.1) is False
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.mark.parametrize("after", [1, 30])
def test_a_lock_that_is_freed_while_it_is_waited_for_is_had_then(two, monkeypatch, after):
    import fcntl

    first, second = two
    posix.lock(first)
    sleep, pauses = time.sleep, []

    def free_then_sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == after:
            fcntl.flock(first, fcntl.LOCK_UN)
        sleep(seconds)

    monkeypatch.setattr(system.time, "sleep", free_then_sleep)
    assert system.wait_for_lock(second, 600)
    monkeypatch.undo()
    assert posix.is_locked(first) and len(pauses) == after


def test_a_lock_can_be_waited_for_in_any_thread(two):
    first, second = two
    posix.lock(first)
    found = []
    thread = threading.Thread(target=lambda: found.append(system.wait_for_lock(second, 0.01)))
    thread.start()
    thread.join(HANG_SECONDS)
    assert found == [False]


def test_a_lock_is_free_when_its_holder_is_dead(two, tmp_path):
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reader)
            descriptor = os.open(str(tmp_path / "file"), os.O_RDWR)
            os.write(writer, b"1" if posix.lock(descriptor) else b"0")
            signal.pause()
        finally:
            os._exit(1)
    os.close(writer)
    assert os.read(reader, 1) == b"1" and posix.is_locked(two[0])
    os.close(reader)
    os.kill(pid, signal.SIGKILL)
    had = system.wait_for_lock(two[0], HANG_SECONDS)
    os.waitpid(pid, 0)
    assert had


# Where private folders are made


def test_private_folders_are_made_in_tmpdir_as_an_absolute_path(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert posix.temporary_folder() == str(tmp_path)
    monkeypatch.chdir(tmp_path.parent)
    monkeypatch.setenv("TMPDIR", tmp_path.name)
    assert posix.temporary_folder() == str(tmp_path)


@pytest.mark.parametrize("value", [None, "", "missing", "file"])
def test_without_a_usable_tmpdir_they_are_made_in_the_systems(tmp_path, monkeypatch, value):
    (tmp_path / "file").write_text("")
    if value is None:
        monkeypatch.delenv("TMPDIR", raising=False)
    else:
        monkeypatch.setenv("TMPDIR", value and str(tmp_path / value))
    assert posix.temporary_folder() == "/tmp"


@pytest.mark.parametrize("usable, place", [(["/var/tmp"], "/var/tmp"), ([], None)])
def test_where_nothing_of_the_systems_can_be_written_it_is_the_next_and_last_the_current_folder(
    tmp_path, monkeypatch, usable, place
):
    # as in a container whose file system is read-only but for one folder
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(posix.os, "access", lambda path, how: path in usable)
    assert posix.temporary_folder() == (place or str(tmp_path))


# Waits and streams


def test_a_wait_whose_time_is_over_already_does_not_last_for_ever():
    reader, writer = os.pipe()
    assert posix.wait_for({reader: posix.READ}, -0.5) == {} and not posix.wait_readable(reader, -1)
    assert posix.wait_for({writer: posix.WRITE}, -0.5) == {writer: posix.WRITE}
    os.close(writer)
    assert posix.wait_for({reader: 0}, -0.5)[reader] & posix.BROKEN
    os.close(reader)


def test_the_numbers_of_what_is_waited_for_are_those_of_poll():
    import select

    assert (posix.READ, posix.WRITE) == (select.POLLIN, select.POLLOUT)
    assert posix.BROKEN == select.POLLERR | select.POLLHUP | select.POLLNVAL


@pytest.mark.parametrize("name", ["PIPE", "XFSZ"])
def test_a_program_that_takes_this_ones_place_gets_signals_as_by_a_shell(name):
    command = ["sh", "-c", "kill -%s $$" % name]
    code = "import os, sys; from openjd_adapt import system; system.hand_over(sys.argv[1:], {**os.environ})"
    assert subprocess.call([sys.executable, "-c", code, *command], cwd=str(ROOT)) == -signal.Signals["SIG" + name]
