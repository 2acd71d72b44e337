"""The connection file: what a daemon leaves in it, when it counts as gone, and whom it means. The socket is real."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from openjd_adapt import system
from openjd_adapt.errors import InputError, NoDaemonError
from openjd_adapt.system import posix
from openjd_adapt.transport import connection_file
from openjd_adapt.transport.connection_file import ConnectionFileReader, abandon, bind, note_end

from .conftest import HANG_SECONDS
from .test_process import alive, all_dead

pytestmark = [pytest.mark.core, pytest.mark.posix_only]


class Life:
    """A daemon as its connection file shows it: this process listens."""

    def __init__(self, folder, name="connection.json"):
        self.path = folder / name
        self.writer = bind(str(self.path), str(folder / "private"))
        self.writer.publish("Probe")
        self._open = True

    def dies(self):
        """Its lock is free, as the system makes it when the last of its processes has ended."""
        if self._open:
            self._open = False
            self.writer.listener.close()
            os.close(self.writer.descriptor)

    @property
    def lines(self):
        return self.path.read_bytes().split(b"\n")


@pytest.fixture
def daemon(tmp_path):
    made = Life(tmp_path)
    yield made
    made.dies()


@pytest.fixture
def tiny_daemon(tiny_disk):
    """A daemon whose connection file lies on a disk of 256 KiB."""
    made = Life(tiny_disk)
    yield made
    made.dies()


@pytest.fixture
def read():
    """Opens connection files, and closes them afterwards."""
    files = []

    def open_file(path):
        files.append(ConnectionFileReader(str(path)))
        return files[-1]

    yield open_file
    for file in files:
        file.close()


def pieces_of(data):
    """What :meth:`Delivery.unread_output` is for a spool that holds ``data``."""

    def unread_output(size):
        for offset in range(len(data) - size, len(data), 50_000):
            yield data[offset : offset + 50_000]

    return unread_output


def unread(file):
    shown = []
    file.show_unread_output(shown.append)
    return b"".join(shown)


LINES = b"".join(b"line %d\n" % number for number in range(400_000))


# The output that nobody has seen


@pytest.mark.parametrize("size", [0, 1, 100_000, len(LINES)])
def test_all_that_nobody_has_seen_is_shown_to_the_first_who_asks_and_to_nobody_else(daemon, read, size):
    data = LINES[len(LINES) - size :]
    note_end(daemon.writer.descriptor, "it was stopped", 1, len(data), pieces_of(data), stopped=True)
    daemon.dies()
    file = read(daemon.path)
    assert file.claim() and not file.alive
    assert unread(file) == data
    assert unread(file) == b""
    again = read(daemon.path)
    assert unread(again) == b""
    assert (again.how_it_ended.rpartition(": ")[2], again.stop_code, again.was_stopped) == ("it was stopped", 1, True)
    assert os.stat(str(daemon.path)).st_size < 2000


def test_unread_output_is_bytes_of_any_kind_and_no_line_of_it_is_taken_for_a_record(daemon, read):
    data = b'\0\xff{"how": "forged", "code": 0, "lost": 9}\n\n{}\nno line break'
    note_end(daemon.writer.descriptor, "it fell", 1, len(data), pieces_of(data))
    daemon.dies()
    file = read(daemon.path)
    assert (unread(file), file.ended["how"]) == (data, "it fell")


def test_two_who_have_read_the_file_before_its_output_was_shown_show_it_once(daemon, read):
    def broken(size):
        if size:
            raise OSError(errno.EIO, "Input/output error")
        return iter([b""])

    note_end(daemon.writer.descriptor, "it fell", 1, 4, broken)
    daemon.dies()
    first, second = read(daemon.path), read(daemon.path)
    assert unread(first) == b"WARNING: 4 bytes of output are lost: the disk did not take them\n"
    assert unread(second) == b""


def test_a_daemon_that_was_killed_has_no_unread_output(daemon, read):
    daemon.dies()
    file = read(daemon.path)
    assert unread(file) == b""
    assert (file.how_it_ended.rpartition(": ")[2], file.stop_code, file.was_stopped) == ("it was killed", 0, False)


def test_a_daemon_that_knew_what_might_kill_it_from_outside_has_it_in_its_end_record(tmp_path, read):
    writer = bind(str(tmp_path / "connection.json"), str(tmp_path / "private"))
    writer.danger = "from outside, most likely by a scheduler"
    writer.publish("Probe")
    writer.listener.close()
    os.close(writer.descriptor)
    file = read(tmp_path / "connection.json")
    assert not file.alive
    assert file.how_it_ended.endswith("no longer alive: it was killed: from outside, most likely by a scheduler")


def test_how_a_daemon_ended_is_noted_once(daemon, read):
    note_end(daemon.writer.descriptor, "it was stopped", 0, 4, pieces_of(b"one\n"))
    note_end(daemon.writer.descriptor, "its keeper was killed", 1, 4, pieces_of(b"two\n"))
    daemon.dies()
    file = read(daemon.path)
    assert (file.ended["how"], unread(file)) == ("it was stopped", b"one\n")


def test_how_a_daemon_ended_is_noted_anew_by_the_guardian_of_a_keeper_that_was_killed_over_it(daemon, read):
    with daemon.path.open("ab") as stream:
        stream.write(b'{"how": "it was sto')
    assert read(daemon.path).ended is None
    note_end(daemon.writer.descriptor, "its keeper was killed by SIGKILL", 1)
    daemon.dies()
    assert read(daemon.path).ended["how"] == "its keeper was killed by SIGKILL"


def test_a_reader_that_opened_the_file_while_the_daemon_lived_learns_how_it_ended(daemon, read):
    file = read(daemon.path)
    assert file.alive and file.ended is None
    note_end(daemon.writer.descriptor, "it was stopped", 0, 4, pieces_of(b"one\n"), stopped=True)
    daemon.dies()
    assert file.wait(30)
    assert (file.was_stopped, unread(file)) == (True, b"one\n")


def test_a_full_disk_keeps_the_last_16_kib_and_the_first_who_asks_is_told_what_is_lost(tiny_daemon, read):
    note_end(tiny_daemon.writer.descriptor, "it fell", 1, len(LINES), pieces_of(LINES))
    tiny_daemon.dies()
    lost = b"WARNING: %d bytes of output are lost: the disk did not take them\n" % (len(LINES) - 16 * 1024)
    assert unread(read(tiny_daemon.path)) == lost + LINES[-16 * 1024 :]
    assert unread(read(tiny_daemon.path)) == b""
    assert read(tiny_daemon.path).ended == {"how": "it fell", "code": 1, "stopped": False}


def fill(folder):
    """Leave no room on a disk."""
    with (folder / "ballast").open("wb", buffering=0) as stream:
        for size in (4096, 512, 64, 1):
            try:
                while True:
                    stream.write(bytes(size))
            except OSError:
                continue


def test_a_disk_that_is_all_full_keeps_at_least_how_the_daemon_ended(tiny_daemon, read):
    # The first page of the file has room for a second line where not a single one is free.
    fill(tiny_daemon.path.parent)
    note_end(tiny_daemon.writer.descriptor, "it fell", 1, len(LINES), pieces_of(LINES))
    tiny_daemon.dies()
    file = read(tiny_daemon.path)
    assert file.ended["how"] == "it fell"
    assert unread(file) == b"WARNING: %d bytes of output are lost: the disk did not take them\n" % len(LINES)
    assert unread(read(tiny_daemon.path)) == b""


@pytest.mark.parametrize("room", [0, 10])
def test_a_disk_that_takes_nothing_leaves_the_file_as_it_was_and_the_lock_tells_that_the_daemon_is_dead(
    daemon, read, monkeypatch, room
):
    before = daemon.path.read_bytes()

    def full(descriptor, data):
        os.write(descriptor, data[: len(before) + room - os.fstat(descriptor).st_size])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(system, "write_all", full)
    note_end(daemon.writer.descriptor, "it fell", 1, 4, pieces_of(b"one\n"))
    monkeypatch.undo()
    assert daemon.path.read_bytes() == before
    daemon.dies()
    file = read(daemon.path)
    assert file.claim() and unread(file) == b"" and file.ended is None


def test_a_spool_that_does_not_give_back_its_output_costs_the_output_and_not_the_end(daemon, read):
    def broken(size):
        yield b"half of it"
        if size:
            raise OSError(errno.EIO, "Input/output error")

    note_end(daemon.writer.descriptor, "it fell", 1, 30_000, broken)
    daemon.dies()
    file = read(daemon.path)
    assert file.ended["how"] == "it fell"
    assert unread(file).startswith(b"WARNING: 30000 bytes of output are lost: the disk did not take them\n")


def test_a_new_daemon_shows_what_the_dead_one_wrote_last_and_takes_its_place(daemon):
    note_end(daemon.writer.descriptor, "it fell", 1, 4, pieces_of(b"one\n"))
    with pytest.raises(InputError, match="its daemon is ending, or another command is showing what it wrote last"):
        connection_file.clear_for_start(str(daemon.path), pytest.fail)
    daemon.dies()
    with pytest.raises(InputError, match="what its dead daemon wrote last cannot be shown"):
        connection_file.clear_for_start(str(daemon.path), lambda data: False)
    shown = []
    replaced = connection_file.clear_for_start(str(daemon.path), shown.append)
    assert shown == [b"one\n"] and replaced.startswith("replaced the file of a dead daemon: ")
    assert replaced.endswith("it fell") and list(daemon.path.parent.iterdir()) == []
    assert connection_file.clear_for_start(str(daemon.path), pytest.fail) is None


def test_what_is_lost_is_told_again_where_that_cannot_be_shown(daemon, read):
    note_end(daemon.writer.descriptor, "it fell", 1, lost=7)
    daemon.dies()
    assert read(daemon.path).show_unread_output(lambda data: False) is False
    assert unread(read(daemon.path)) == b"WARNING: 7 bytes of output are lost: the disk did not take them\n"
    assert unread(read(daemon.path)) == b""


@pytest.mark.parametrize("act", ["wait", "claim"])
def test_who_has_had_the_lock_of_a_dead_daemon_lets_go_of_it_with_the_file(daemon, read, act):
    daemon.dies()
    with ConnectionFileReader(str(daemon.path)) as file:
        assert file.wait(HANG_SECONDS) if act == "wait" else file.claim()
        assert read(daemon.path).alive  # as it seems to all others
    assert not read(daemon.path).alive and read(daemon.path).claim()


def test_a_listener_that_lets_go_of_its_file_frees_the_lock_and_one_that_cannot_bind_leaves_no_descriptor(
    tmp_path, monkeypatch
):
    before = len(os.listdir("/proc/self/fd"))
    daemon = Life(tmp_path)
    daemon.writer.close()
    assert len(os.listdir("/proc/self/fd")) == before

    def fail(path, act):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(posix, "_at_short_path", fail)
    with pytest.raises(InputError, match="No space left"):
        bind(str(tmp_path / "other.json"), str(tmp_path / "private"))
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("holder", ["who only looks", "a guardian without its keeper"])
def test_a_claim_waits_for_what_holds_the_lock_for_a_moment_only(daemon, read, monkeypatch, holder):
    if holder != "who only looks":
        monkeypatch.setattr(system, "start_time", lambda pid: 0)  # the keeper that the file means is no more
        monkeypatch.setattr(connection_file, "_GLANCE_SECONDS", 0)
    file = read(daemon.path)
    wait, asked = system.wait_for_lock, []

    def free_then_wait(descriptor, timeout):
        asked.append(timeout)
        daemon.dies()
        return wait(descriptor, timeout)

    monkeypatch.setattr(system, "wait_for_lock", free_then_wait)
    assert file.claim() and asked[0] > 0


# When it counts as gone


def test_a_file_that_is_as_it_was_written_is_not_gone_also_when_its_end_is_noted(daemon):
    assert not daemon.writer.is_gone()
    note_end(daemon.writer.descriptor, "it was stopped", 0)
    assert not daemon.writer.is_gone()


def test_a_file_that_was_removed_or_moved_away_is_gone(daemon):
    daemon.path.rename(daemon.path.with_name("elsewhere"))
    assert daemon.writer.is_gone()
    daemon.path.with_name("elsewhere").rename(daemon.path)
    assert not daemon.writer.is_gone()
    daemon.path.unlink()
    assert daemon.writer.is_gone()


def test_a_file_whose_folder_was_removed_or_has_become_a_file_is_gone(tmp_path):
    folder = tmp_path / "session"
    folder.mkdir()
    daemon = Life(folder)
    folder.rename(tmp_path / "elsewhere")
    assert daemon.writer.is_gone()
    folder.write_text("")
    assert daemon.writer.is_gone()
    daemon.dies()


def test_another_daemons_file_in_its_place_is_its_end(daemon, tmp_path):
    other = Life(tmp_path, "other.json")
    other.path.rename(daemon.path)
    assert daemon.writer.is_gone()
    other.dies()


@pytest.mark.parametrize("part", [0, 1, 20, -1])
def test_a_file_that_is_empty_or_half_written_is_no_end(daemon, part):
    # What a copy or a file system that is late shows. The end of the first line is missing, or all of it.
    line = daemon.lines[0]
    daemon.path.write_bytes(line[: part if part >= 0 else len(line)])
    assert not daemon.writer.is_gone()


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EMFILE, errno.ELOOP])
def test_a_file_system_that_fails_is_no_end(daemon, monkeypatch, number):
    def fail(path, mode):
        raise OSError(number, os.strerror(number), path)

    monkeypatch.setattr(connection_file, "open", fail, raising=False)
    gone = daemon.writer.is_gone()
    monkeypatch.undo()
    assert not gone


def test_a_file_that_may_not_be_read_any_more_is_no_end(daemon):
    daemon.path.parent.chmod(0)
    pid = os.fork()
    if pid == 0:
        try:
            if os.geteuid() == 0:
                os.setuid(12345)  # root may read everything
            with pytest.raises(PermissionError):
                daemon.path.stat()
            os._exit(daemon.writer.is_gone())
        finally:
            os._exit(9)
    status = os.waitpid(pid, 0)[1]
    daemon.path.parent.chmod(0o700)
    assert status == 0


# Whom it means


def test_a_link_in_the_place_of_the_file_is_refused(daemon, tmp_path):
    link = tmp_path / "link.json"
    link.symlink_to(daemon.path)
    with pytest.raises(InputError, match="link.json: is a symbolic link"):
        ConnectionFileReader(str(link))
    link.unlink()
    link.symlink_to(tmp_path / "nothing")
    with pytest.raises(InputError, match="is a symbolic link"):
        ConnectionFileReader(str(link))


def test_a_file_that_is_missing_is_no_daemon_and_one_that_is_no_regular_file_is_refused(tmp_path):
    with pytest.raises(NoDaemonError, match="there is none"):
        ConnectionFileReader(str(tmp_path / "none"))
    os.mkfifo(str(tmp_path / "fifo"), 0o600)
    with pytest.raises(InputError, match="is not a regular file"):
        ConnectionFileReader(str(tmp_path / "fifo"))
    with pytest.raises(InputError, match="Is a directory"):
        ConnectionFileReader(str(tmp_path))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_file_that_others_may_use_is_refused(daemon, mode):
    daemon.path.chmod(mode)
    with pytest.raises(InputError, match="it must have mode 0600"):
        ConnectionFileReader(str(daemon.path))


def test_a_refused_file_leaves_no_descriptor_behind(daemon):
    before = len(os.listdir("/proc/self/fd"))
    daemon.path.chmod(0o644)
    for _ in range(3):
        with pytest.raises(InputError):
            ConnectionFileReader(str(daemon.path))
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_connection_is_accepted_and_where_there_is_none_that_is_told_at_once(daemon, read):
    file = read(daemon.path)
    front = file.connect()
    connection = system.accept(daemon.writer.listener)
    assert system.peer_is_me(connection)
    with pytest.raises(BlockingIOError):
        system.accept(daemon.writer.listener)
    connection.close()
    front.close()


def test_a_peer_of_whom_the_system_tells_nothing_is_no_daemon_and_leaves_no_descriptor(daemon, read, monkeypatch):
    def gone(connection):
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")  # as macOS does

    file, before = read(daemon.path), len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(system, "peer_is_me", gone)
    with pytest.raises(NoDaemonError, match="its daemon does not answer: Transport endpoint"):
        file.connect()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_leads_to_its_daemon_and_is_not_inherited(daemon, read):
    file = read(daemon.path)
    front = file.connect()
    connection = system.accept(daemon.writer.listener)
    assert system.peer_is_me(connection)
    assert fcntl.fcntl(file._descriptor, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    connection.close()
    front.close()


@pytest.fixture
def sleepers():
    """Starts processes that wait for a signal, which is their end at the latest afterwards; gives their pids."""
    processes = []

    def start():
        command = [sys.executable, "-S", "-c", "import os, signal; os.write(1, b'x'); signal.pause()"]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        assert processes[-1].stdout.read(1) == b"x"
        return processes[-1].pid

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def keeper(tmp_path, sleepers):
    """Writes the connection file of a process, with some fields changed, and without those that are None."""
    pid = sleepers()

    def write(**change):
        record = {
            "wire": 1,
            "package": "/somewhere",
            "adaptor": "Probe",
            "pid": pid,
            "host": socket.gethostname(),
            "started": system.start_time(pid),
            "guardian": [0, 0],
            "folder": "",
            "address": "connection.json.sock",
            **change,
        }
        path = tmp_path / "connection.json"
        record = {name: value for name, value in record.items() if value is not None}
        path.write_text(json.dumps(record) + "\n")
        path.chmod(0o600)
        return path

    write.pid = pid
    return write


def test_the_keeper_that_the_file_means_is_killed(keeper, read):
    assert read(keeper()).kill() is True
    assert all_dead([keeper.pid])


@pytest.mark.parametrize("change", [{"started": 0}, {"started": 1}, {"host": "another"}], ids=str)
def test_a_pid_that_may_be_another_processs_by_now_is_not_signalled(keeper, read, change):
    assert read(keeper(**change)).kill() is False
    assert alive(keeper.pid)


@pytest.mark.parametrize("meant", [True, False])
def test_a_guardian_that_was_stopped_goes_on_when_its_keeper_is_killed_if_it_is_still_meant(
    keeper, read, sleepers, meant
):
    guardian = sleepers()
    os.kill(guardian, signal.SIGSTOP)
    os.waitid(os.P_PID, guardian, os.WSTOPPED)
    assert read(keeper(guardian=[guardian, system.start_time(guardian) + (not meant)])).kill() is True
    went_on = os.waitid(os.P_PID, guardian, os.WCONTINUED | os.WNOHANG)
    assert (went_on is not None) == meant


def test_what_is_left_below_the_guardian_is_told_only_if_that_is_still_meant(read, keeper):
    own = [os.getpid(), system.start_time(os.getpid())]

    def left(**change):
        return system.tree_of(*read(keeper(**change)).guardian)

    assert keeper.pid in left(guardian=own)
    assert left(guardian=[own[0], own[1] + 1]) == {}
    assert left(guardian=own, host="another") == {}
    assert left(guardian=[0, 0]) == {}


def test_the_record_of_a_neighbouring_version_is_read_whatever_it_has_not_or_has_more(keeper, read):
    file = read(keeper(folder=None, guardian=None, package=None, wire=None, news={"a": 1}))
    assert (file.adaptor, file.pid, file.ended, file.guardian) == ("Probe", keeper.pid, None, (0, 0))
    with open(file.path, "ab") as stream:
        stream.write(b'{"how": "it was stopped", "output": "one", "code": 0}\n')
    dead = read(file.path)
    assert (dead.was_stopped, dead.stop_code, unread(dead)) == (True, 0, b"")
    assert dead.claim()
    dead.remove()
    assert not os.path.exists(dead.path)


@pytest.mark.parametrize("name", ["pid", "host", "started", "adaptor", "address"])
def test_a_record_without_what_every_version_has_is_no_connection_file(keeper, name):
    with pytest.raises(InputError, match="is truncated or no connection file"):
        ConnectionFileReader(str(keeper(**{name: None})))


# Private folders of a session


def test_the_socket_of_a_daemon_lies_in_the_sessions_folder_where_none_can_lie_beside_the_file(
    tmp_path, monkeypatch, read
):
    bind = posix._at_short_path

    def not_beside_the_file(path, act):
        if os.path.dirname(path) == str(tmp_path):
            raise OSError(errno.EPERM, "Operation not permitted")
        bind(path, act)

    monkeypatch.setattr(posix, "_at_short_path", not_beside_the_file)
    daemon = Life(tmp_path)
    file = read(daemon.path)
    assert file.endpoint.path.startswith(str(tmp_path / "private" / "socket"))
    assert os.stat(str(tmp_path / "private")).st_mode & 0o777 == 0o700
    file.connect().close()
    daemon.dies()
    assert file.claim()
    file.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def without_proc(monkeypatch):
    """As on macOS, where nothing shortens a path."""
    is_dir = os.path.isdir
    monkeypatch.setattr(os.path, "isdir", lambda path: "/proc/" not in str(path) and is_dir(path))


def test_where_nothing_shortens_a_long_path_each_server_of_a_session_has_a_socket_of_its_own(tmp_path, without_proc):
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    with tempfile.TemporaryDirectory(prefix="g", dir="/tmp") as short:
        private = os.path.join(short, "private")
        writers = [bind(str(folder / name), private) for name in ("daemon.json", "application-1.json", "another.json")]
        assert len(os.listdir(private)) == 3
        for writer in writers:
            writer.publish("Probe")
            file = ConnectionFileReader(writer.path)
            file.endpoint.connect().close()
            file.close()
            writer.close()
        connection_file.remove_private_folder(private)
        assert not os.path.exists(private)


def test_where_nothing_shortens_a_path_that_is_too_long_for_any_socket_one_line_names_it(tmp_path, without_proc):
    private = tmp_path / ("long" * 30)
    with pytest.raises(InputError, match="cannot make its lock and socket: .*too long: '%s/socket" % private):
        bind(str(tmp_path / ("connection" * 10)), str(private))


@pytest.mark.parametrize("platform", [sys.platform, "darwin"])
def test_only_its_user_may_use_a_socket_and_the_umask_of_other_threads_is_left_alone(tmp_path, monkeypatch, platform):
    if sys.platform != platform:
        monkeypatch.setattr(os, "lchmod", os.chmod, raising=False)
        monkeypatch.setattr(sys, "platform", platform)
    before = os.umask(0)
    try:
        monkeypatch.setattr(os, "umask", None)
        writer = bind(str(tmp_path / "connection.json"), str(tmp_path / "private"))
    finally:
        monkeypatch.undo()
        os.umask(before)
    [path] = tmp_path.glob("*.sock")
    assert path.stat().st_mode & 0o777 == 0o600
    abandon(writer.values)


def test_a_private_folder_that_somebody_has_planted_is_not_used(tmp_path, monkeypatch):
    def no_socket_here(path, act):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(posix, "_at_short_path", no_socket_here)
    (tmp_path / "private").symlink_to(tmp_path)
    with pytest.raises(InputError, match="cannot make its lock and socket: .*is not a private folder"):
        bind(str(tmp_path / "connection.json"), str(tmp_path / "private"))
    assert [path.name for path in tmp_path.iterdir()] == ["private"]


def test_nobody_can_guess_a_private_folders_name(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    names = {connection_file.new_private_folder() for _ in range(100)}
    assert len(names) == 100 and all(os.path.dirname(name) == str(tmp_path) for name in names)
    assert min(map(len, names)) >= len(str(tmp_path)) + 30 and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("length", [49, 50, 200])
def test_an_applications_address_fits_below_a_long_temporary_folder(tmp_path, monkeypatch, length):
    """As macOS's is, with 49 bytes; from there on a link makes it short, which goes with the folder."""
    temporary = Path(tempfile.mkdtemp(prefix="x" * (length - len("/tmp/") - 8), dir="/tmp"))
    monkeypatch.setenv("TMPDIR", str(temporary))
    try:
        folder = connection_file.new_private_folder()
        assert len(str(temporary)) == length and os.path.dirname(folder) == str(temporary)
        writer = bind(os.path.join(folder, "application-%s.json" % os.urandom(4).hex()), folder)
        writer.publish("Probe")
        address = json.loads(Path(writer.path).read_text())["socket"]
        assert address.startswith(folder) == (length == 49)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(address)
        Life.dies(SimpleNamespace(writer=writer, _open=True))
        connection_file.remove_private_folder(folder)
        assert list(temporary.iterdir()) == [] and not os.path.lexists(os.path.dirname(address))
    finally:
        shutil.rmtree(str(temporary))


@pytest.mark.parametrize("moment", ["holds its lock", "has removed it"])
def test_a_start_whose_draft_is_taken_for_a_killed_ones_before_it_is_locked_is_refused_and_leaves_nothing(
    tmp_path, monkeypatch, moment
):
    create, before = system.create_private, len(os.listdir("/proc/self/fd"))
    held = []

    def lose(draft):
        descriptor = create(draft)
        if moment == "holds its lock":
            held.append(system.open_private(draft))
            assert system.lock(held[0])
        else:
            connection_file.remove_drafts(str(tmp_path / "connection.json"))
        return descriptor

    monkeypatch.setattr(system, "create_private", lose)
    with pytest.raises(InputError, match="cannot make its lock and socket: another command"):
        bind(str(tmp_path / "connection.json"), str(tmp_path / "private"))
    for descriptor in held:
        os.close(descriptor)
    assert list(tmp_path.iterdir()) == [] and len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("text", [b"precious", b"{}", b'{"wire"'])
def test_a_file_that_only_has_a_drafts_name_is_left_alone(tmp_path, text):
    path = tmp_path / "beauty"
    picture = tmp_path / "beauty.0001"
    picture.write_bytes(text)
    picture.chmod(0o600)
    connection_file.remove_drafts(str(path))
    assert picture.read_bytes() == text


@pytest.mark.parametrize("text", [b"", b'{"wire": 1, "package": "x"'])
def test_what_a_killed_start_has_left_is_removed(tmp_path, text):
    draft = tmp_path / "connection.json.4711"
    draft.write_bytes(text)
    draft.chmod(0o600)
    connection_file.remove_drafts(str(tmp_path / "connection.json"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("end", ["published", "dead", "neither"])
def test_a_start_that_is_under_way_is_waited_for_until_it_has_its_file_or_is_dead(tmp_path, monkeypatch, end):
    path, draft = tmp_path / "connection.json", tmp_path / "connection.json.4711"
    holder = system.create_private(str(draft))
    system.lock(holder)
    wait, looks = system.wait_for_lock, []

    def look(descriptor, timeout):
        looks.append(timeout)
        if len(looks) == 3 and end == "published":
            system.give_name(str(draft), str(path))
            draft.unlink()
        if len(looks) == 3 and end == "dead":
            os.close(holder)
        return wait(descriptor, timeout)

    monkeypatch.setattr(system, "wait_for_lock", look)
    connection_file.remove_drafts(str(path), 60 if end != "neither" else 0.3)
    if end == "neither":
        assert draft.exists() and len(looks) > 3
    else:
        assert len(looks) == 3 and path.exists() == (end == "published") and not draft.exists()
    if end != "dead":
        os.close(holder)
