"""Other users on the host: a scheduler runs sessions as one; no other can read, command or fool a user's daemon.

Root starts the processes here as the users that it makes or, where no entry in the user database is needed, as bare
uids. They run a copy of the package, because a checkout and a Python below root's home are often closed to them.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import pytest

from .conftest import HANG_SECONDS, ROOT, Done, Farm, missing, module, read_until, tool, wait_until

pytestmark = pytest.mark.posix_only

WORDS = ["start", "run", "status", "cancel", "stop"]

# Says hello to a daemon's socket, asks for its state, and shows the answer.
TALK = """
import socket, sys
from openjd_adapt.transport import wire
connection = socket.socket(socket.AF_UNIX)
connection.settimeout(60)
try:
    connection.connect(sys.argv[1])
    connection.sendall(wire.encode(wire.hello("test")) + wire.encode({"do": "status"}))
    print(connection.recv(4096))
except OSError as error:
    print(type(error).__name__)
"""

# Runs each of the given command lines in a fork of its own: a refused one takes little more than its imports.
EACH = """
import json, os, sys
import openjd_adapt.daemon.launch
from openjd_adapt import cli
def run(words, streams):
    for number, stream in enumerate(streams, 1):
        os.dup2(stream, number)
    sys.argv[1:] = words
    code = 70  # of one that raises
    try:
        code = cli.main()
    finally:
        sys.stdout.flush()
        os._exit(code)
for words in json.loads(sys.argv[1]):
    pipes = [os.pipe(), os.pipe()]
    pid = os.fork()
    if pid == 0:
        run(words, [writer for _, writer in pipes])
    told = []
    for reader, writer in pipes:
        os.close(writer)
        with open(reader, "rb") as stream:
            told.append(stream.read().decode())
    print(json.dumps([os.waitpid(pid, 0)[1] >> 8, *told]), flush=True)
"""

# Waits at a socket of its own for so many connections, one after the other, and shows what it is told.
LISTEN = """
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.settimeout(60)
listener.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o777)
listener.listen()
print("listening", flush=True)
for _ in range(int(sys.argv[2])):
    connection = listener.accept()[0]
    connection.settimeout(60)
    print(connection.recv(4096), flush=True)
"""

# Shows all that this user can read of the host's command lines and environments.
SPY = """
import json, os
for pid in filter(str.isdigit, os.listdir("/proc")):
    for what in ("cmdline", "environ"):
        try:
            with open("/proc/%s/%s" % (pid, what), "rb") as stream:
                print(json.dumps([int(pid), what, stream.read().decode("latin-1")]))
        except OSError:
            continue
"""


STATE_AND_UID = re.compile(r"^State:\s+(\S).*?^Uid:\s+(\d+)", re.MULTILINE | re.DOTALL)


def processes_of(uid: int) -> list:
    """The living processes of a user; who they are can be read even where root may not read their environment."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            state, owner = STATE_AND_UID.search(status.read_text(errors="replace")).groups()
        except OSError:
            continue
        if int(owner) == uid and state not in "ZX":
            found.append(int(status.parent.name))
    return found


def owner(path: Path) -> object:
    try:
        return path.lstat().st_uid
    except FileNotFoundError:
        return None  # another test's, and gone meanwhile


def as_user(uid: int) -> list:
    # The shell comes between because setpriv itself still has root's rights when it looks for the program.
    switch = ["setpriv", "--reuid=%d" % uid, "--regid=%d" % uid, "--clear-groups", "--"]
    return [*switch, "sh", "-c", 'exec "$0" "$@"']


def is_open_to_all(folder: str) -> bool:
    return all(os.stat(str(path)).st_mode & stat.S_IXOTH for path in [Path(folder), *Path(folder).parents])


class Host:
    """A folder that all users can enter, with a copy of the package, and a Python that all users can run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkout = folder / "checkout"
        for part in ("openjd_adapt", "tests/adaptors", "examples/mandelbrot"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(str(ROOT / part), str(self.checkout / part), ignore=ignored)
        # Parallel runs of these tests must not take each other's processes for their own.
        numbers = range(20_000 + os.getpid() * 4 % 40_000, 65_000)
        self.uids = [uid for uid in numbers[:20] if not is_known(uid) and not processes_of(uid)]
        self.python = self._find_python()
        # As an installation is: those who run it may not write there.
        subprocess.check_call([self.python, "-m", "compileall", "-q", str(self.checkout)])
        subprocess.check_call(["chmod", "-R", "a+rX", str(folder)])

    def _find_python(self) -> str:
        folders = [*os.environ.get("PATH", "").split(os.pathsep), "/usr/local/bin", "/usr/bin"]
        program = "import ctypes, sys; sys.exit(sys.version_info < (3, 7))"
        for python in [sys.executable, *(os.path.join(folder, "python3") for folder in folders)]:
            command = [*as_user(self.uids[0]), python, "-c", program]
            if subprocess.run(command, stderr=subprocess.DEVNULL, cwd="/").returncode == 0:
                return python
        pytest.skip("no Python from 3.7 on, with ctypes, that another user can run")

    def make_folder(self, name: str, owner: int, mode: int) -> Path:
        folder = self.folder / name
        folder.mkdir()
        os.chown(str(folder), owner, owner)
        folder.chmod(mode)
        return folder


def is_known(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


class Tenant(Farm):
    """A farm whose commands run as a user of their own."""

    def __init__(self, host: Host, uid: int, folder: Path, temporary: Path) -> None:
        super().__init__(folder)
        self.uid = uid
        self.adaptor = str(host.checkout / "tests" / "adaptors" / "probe.py")
        self.python = [*as_user(uid), host.python]
        self.env.update(PYTHONPATH=str(host.checkout), TMPDIR=str(temporary))

    def pids(self) -> list:
        return processes_of(self.uid)

    def start(self, *arguments: str) -> Path:
        """Start a daemon; returns the connection file that the scheduler is told."""
        done = self("daemon", "start", *arguments)
        assert done.code == 0, done
        path = Path(done.lines[0].partition("OPENJD_ADAPTOR_SOCKET=")[2])
        assert path.lstat().st_uid == self.uid
        return path

    def on(self, path: Path, word: str, *arguments: str) -> object:
        return self("daemon", word, "--connection-file", str(path), *arguments)

    def on_each(self, path: Path, words: list) -> list:
        """What several commands come to that the daemon behind ``path`` is not to obey, by one process."""
        lines = [["--adaptor", self.adaptor, "daemon", word, "--connection-file", str(path)] for word in words]
        told = self.show(EACH, json.dumps(lines), cwd=str(self.folder)).splitlines()
        assert len(told) == len(words)
        return [Done(*json.loads(line), 0) for line in told]

    def program(self, text: str, *arguments: str, cwd: str = "/") -> subprocess.Popen:
        command = [*self.python, "-c", text, *arguments]
        return subprocess.Popen(command, env=self.env, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def show(self, text: str, *arguments: str, cwd: str = "/") -> str:
        process = self.program(text, *arguments, cwd=cwd)
        out = process.communicate(timeout=HANG_SECONDS)[0].decode()
        assert process.returncode == 0, out
        return out

    def do(self, *command: str) -> None:
        """What the user does by hand."""
        subprocess.check_call([*as_user(self.uid), *command], cwd="/")

    def keeper(self, path: Path) -> int:
        """The pid of the living and idle daemon behind ``path``."""
        done = self.on(path, "status", "--json")
        assert done.code == 0, done
        facts = json.loads(done.out)
        assert facts["state"] == "idle", done
        return facts["pid"]


@pytest.fixture(scope="module")
def host():
    if os.geteuid() != 0:
        pytest.skip(missing("root"))
    tool("setpriv")
    places = [place for place in (tempfile.gettempdir(), "/tmp", "/var/tmp") if is_open_to_all(place)]
    if not places:
        pytest.skip("no temporary folder that other users can enter")
    folder = Path(tempfile.mkdtemp(prefix="openjd_adapt-users-", dir=places[0]))
    folder.chmod(0o755)
    try:
        yield Host(folder)
    finally:
        shutil.rmtree(str(folder))


class Town:
    """Two users and root with one temporary folder, as /tmp is, and a lobby in which all may do everything."""

    def __init__(self, host: Host) -> None:
        self.temporary = host.make_folder("tmp", 0, 0o1777)
        self.lobby = host.make_folder("lobby", 0, 0o777)
        self.alice, self.mallory, self.root = (
            Tenant(host, uid, host.make_folder("home-%d" % uid, uid, 0o700), self.temporary)
            for uid in (host.uids[0], host.uids[1], 0)
        )


@pytest.fixture
def town(host):
    """Afterwards no process of the users lives, and nothing lies in the temporary folder."""
    town = Town(host)
    yield town
    try:
        town.alice.wait_until_nothing_is_left()
        town.mallory.wait_until_nothing_is_left()
        assert os.listdir(str(town.temporary)) == []
    finally:
        for folder in (town.temporary, town.lobby, town.alice.folder, town.mallory.folder, town.root.folder):
            shutil.rmtree(str(folder))


def assert_each_refused(tenant, path, words, reason):
    for done in tenant.on_each(path, words):
        assert_refused(done, path, reason)


def assert_refused(done, path, reason):
    """Exit code 2 and one line that says where and why, which is told to the scheduler, too, if it is its command."""
    assert done.code == 2 and done.out in ("", done.err.replace("ERROR: ", "openjd_fail: ")), done
    assert re.match(r"ERROR: connection file %s: .*(?:%s).*\n\Z" % (re.escape(str(path)), reason), done.err), done


# A scheduler that runs sessions as another user


@pytest.fixture(scope="module")
def job_user(host):
    """The name of a user with a home and a group, as farms have one for jobs."""
    module("openjd.sessions")
    tool("sudo")
    name = "openjd-%d" % os.getpid()
    home = str(host.folder / "job-home")
    # Debian's sh, as a login shell, stays above the command, and openjd-sessions does not find whom to kill then.
    command = [tool("useradd"), "--user-group", "--create-home", "--home-dir", home, "--shell", tool("bash"), name]
    subprocess.check_call(command)
    yield name
    subprocess.check_call([tool("userdel"), name])


class Scheduler:
    """Plays a session of the Mandelbrot example with openjd-sessions, which runs its commands through sudo."""

    def __init__(self, host: Host, user: str, **parameters) -> None:
        self.user = user
        self.uid = pwd.getpwnam(user).pw_uid
        self.pictures = host.make_folder("pictures", self.uid, 0o755)
        self.temporary = host.make_folder("tmp", 0, 0o1777)
        self.sessions = host.make_folder("sessions", 0, 0o755)
        self.template = host.checkout / "examples" / "mandelbrot" / "mandelbrot.template.yaml"
        self.parameters = {"OutputDir": str(self.pictures), "Python": host.python, **parameters}
        self.variables = {"PYTHONPATH": str(host.checkout), "TMPDIR": str(self.temporary)}
        self.log = host.folder / "scheduler.log"
        #: What the actions came to, and what the user had left in the session's folder before that was removed.
        self.results: list = []
        self.left: list = []
        self.is_killed = False

    def terminate_without_notice(self):
        """Use the template's default cancelation, TERMINATE: SIGKILL to the command's process group."""
        text = re.sub(r" +cancelation:\n +mode: .*\n +notifyPeriodInSeconds: .*\n", "", self.template.read_text())
        assert "cancelation" not in text
        self.template = self.template.with_name("terminate.template.yaml")
        self.template.write_text(text)

    def play(self, in_mid_task=None) -> None:
        """Play the session; ``in_mid_task`` is called when the first task has made progress."""
        command = [sys.executable, str(ROOT / "tests" / "scheduler.py"), str(self.template), self.user]
        command += [str(self.sessions), json.dumps(self.parameters), json.dumps(self.variables)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        try:
            self.folder = Path(read_until(self.process.stdout, "folder ").split()[-1])
            out = ""
            if in_mid_task:
                out = read_until(self.process.stdout, "progress")
                assert len(processes_of(self.uid)) >= 4  # guardian, keeper, worker, and the command of the task
                in_mid_task()
            out += self.process.communicate(timeout=HANG_SECONDS)[0].decode()
        finally:
            self.process.kill()
            self.process.communicate()
        assert self.process.returncode == (-signal.SIGKILL if self.is_killed else 0), self.log.read_text()
        if self.is_killed:
            return
        *self.results, self.left = (json.loads(line) for line in out.splitlines() if line.startswith("["))

    def cancel(self):
        self.process.stdin.write(b"cancel\n")
        self.process.stdin.flush()

    def die(self):
        self.is_killed = True
        self.process.kill()

    def kill_keeper(self):
        record = json.loads((self.folder / "mandelbrot.json").read_text().splitlines()[0])
        os.kill(record["pid"], signal.SIGKILL)

    def kill_everything(self):
        for pid in processes_of(self.uid):
            with contextlib.suppress(ProcessLookupError):  # one that its guardian has killed meanwhile
                os.kill(pid, signal.SIGKILL)

    def assert_nothing_is_left(self):
        wait_until(lambda: not processes_of(self.uid))  # the last one lets go of its lock before it is gone from /proc
        assert self.left == []
        assert os.listdir(str(self.sessions)) == [], self.log.read_text()
        assert "could not be deleted" not in self.log.read_text()
        assert os.listdir(str(self.temporary)) == []
        assert [path for path in Path(tempfile.gettempdir()).iterdir() if owner(path) == self.uid] == []


@pytest.fixture
def scheduler(host, job_user):
    scheduler = Scheduler(host, job_user)
    yield scheduler
    scheduler.kill_everything()
    for folder in (scheduler.pictures, scheduler.temporary, scheduler.sessions):
        shutil.rmtree(str(folder))


SLOW = {"Width": "4000", "Height": "3000"}


def test_a_session_as_another_user_runs_all_tasks_and_leaves_nothing(scheduler):
    scheduler.parameters.update({"Width": "32", "Height": "24"})
    scheduler.play()
    assert scheduler.results == [["enter", "success", 0], *[["task", "success", 0]] * 3, ["exit", "success", 0]]
    scheduler.assert_nothing_is_left()
    assert [owner(path) for path in scheduler.pictures.iterdir()] == [scheduler.uid] * 3
    assert scheduler.log.read_text().count("Mandelbrot renderer is ready") == 1


@pytest.mark.parametrize("notify", [True, pytest.param(False, marks=pytest.mark.long)])
def test_a_cancel_in_mid_task_as_another_user_leaves_nothing(scheduler, notify):
    scheduler.parameters.update(SLOW)
    if not notify:
        scheduler.terminate_without_notice()
    scheduler.play(scheduler.cancel)
    states = [result[:2] for result in scheduler.results]
    assert states == [["enter", "success"], ["task", "canceled"], ["exit", "success"]], scheduler.log.read_text()
    scheduler.assert_nothing_is_left()
    # The deadline stands in a file of the scheduler's user.
    told = re.search(r"INFO: canceling; the task has (2\d|30)\.\d s to end", scheduler.log.read_text())
    assert bool(told) == notify, scheduler.log.read_text()


@pytest.mark.long
@pytest.mark.parametrize("kill", ["kill_keeper", "kill_everything"])
def test_a_daemon_killed_in_mid_task_as_another_user_fails_the_task_and_leaves_nothing(scheduler, kill):
    scheduler.parameters.update(SLOW)
    scheduler.play(getattr(scheduler, kill))
    states = [result[:2] for result in scheduler.results]
    assert states == [["enter", "success"], ["task", "failed"], ["exit", "success"]], scheduler.log.read_text()
    scheduler.assert_nothing_is_left()
    assert "INFO: nothing to stop: connection file" in scheduler.log.read_text()


@pytest.mark.long  # the owner is looked for every two seconds; test_ends has one of the same user
def test_kill_9_of_a_scheduler_that_names_itself_ends_its_daemon_of_another_user(scheduler):
    scheduler.parameters.update(SLOW)
    scheduler.variables["OPENJD_ADAPT_OWNER"] = "$$"
    scheduler.play(scheduler.die)
    wait_until(lambda: not processes_of(scheduler.uid))
    assert scheduler.folder.exists()  # which would have been another reason to end
    assert os.listdir(str(scheduler.temporary)) == []


# Two users on one host


def test_two_users_with_one_temporary_folder_work_at_once(town):
    paths = [town.alice.start(), town.mallory.start()]
    for tenant, path in zip((town.alice, town.mallory), paths):
        assert path.parent.parent == town.temporary
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        tenant.env["OPENJD_ADAPTOR_SOCKET"] = str(path)
    process = town.alice.popen("daemon", "run", "--run-data", '{"do": "poll"}')
    read_until(process.stdout, "polling")
    assert town.mallory("daemon", "run", "--run-data", '{"do": "say", "text": "mine"}').out == "INFO: mine\n"
    assert town.mallory("daemon", "cancel").out == "INFO: no task is running\n"  # alice's is not meant
    assert town.mallory("daemon", "stop").code == 0
    assert town.alice("daemon", "status").out.startswith("running: probe")
    assert town.alice("daemon", "cancel").code == 0
    assert town.alice.finish(process).code == 4
    assert town.alice("daemon", "stop").code == 0


def test_nobody_else_can_command_a_users_daemon(town):
    path = town.alice.start()
    pid = town.alice.keeper(path)
    # What the folder keeps another user from, and what the file says to root, whom no folder keeps out.
    assert_each_refused(town.mallory, path, WORDS, "Permission denied")
    assert_each_refused(town.root, path, WORDS, r"belongs to another user \(uid %d\)" % town.alice.uid)
    assert town.alice.keeper(path) == pid
    assert town.alice.on(path, "stop").code == 0


def test_a_connection_file_that_others_may_read_is_refused_whoever_asks(town):
    path = town.alice.start()
    pid = town.alice.keeper(path)
    path.parent.chmod(0o777)
    for mode in (0o666, 0o604, 0o640):
        path.chmod(mode)
        words = WORDS if mode == 0o666 else ["status"]
        assert_each_refused(town.alice, path, words, "others may read it; it must have mode 0600")
        reason = r"belongs to another user \(uid %d\)" % town.alice.uid if mode == 0o666 else "Permission denied"
        assert_refused(town.mallory.on(path, "status"), path, reason)
    path.chmod(0o600)
    assert town.alice.keeper(path) == pid
    assert town.alice.on(path, "stop").code == 0


def test_a_direct_connection_of_another_user_gets_no_answer(town):
    path = town.alice.start()
    pid = town.alice.keeper(path)
    address = path.parent / json.loads(path.read_text().splitlines()[0])["address"]
    assert '"hello"' in town.alice.show(TALK, str(address))
    assert town.mallory.show(TALK, str(address)) == "PermissionError\n"
    path.parent.chmod(0o777)
    assert town.mallory.show(TALK, str(address)) == "PermissionError\n"
    address.chmod(0o777)
    for other in (town.mallory, town.root):
        # Connected, and dropped for its uid; what it had said unread makes that a reset.
        assert other.show(TALK, str(address)) in ("b''\n", "ConnectionResetError\n", "BrokenPipeError\n")
    assert town.alice.keeper(path) == pid
    assert town.alice.on(path, "stop").code == 0


# What another user plants


@pytest.fixture
def planted(town):
    """The path of a connection file in a folder in which another user may do everything."""
    return town.lobby / "connection.json"


def test_another_users_connection_file_is_refused(town, planted):
    town.mallory.start("--connection-file", str(planted))
    pid = town.mallory.keeper(planted)
    reason = r"belongs to another user \(uid %d\)" % town.mallory.uid
    # Mode 0600 alone would keep alice out; root passes every mode.
    assert_each_refused(town.alice, planted, ["start", "run"], "Permission denied")
    assert_each_refused(town.root, planted, ["start", "run"], reason)
    planted.chmod(0o666)
    assert_each_refused(town.alice, planted, ["start", "run"], reason)
    planted.chmod(0o600)
    assert town.mallory.keeper(planted) == pid
    assert json.loads(town.mallory.on(planted, "status", "--json").out)["tasks"] == 0
    assert town.mallory.on(planted, "stop").code == 0


@pytest.mark.parametrize("kind", ["fifo", "socket", "folder"])
def test_what_is_no_regular_file_is_refused_at_once(town, planted, kind):
    if kind == "fifo":
        town.mallory.do("mkfifo", "-m", "666", str(planted))
    elif kind == "folder":
        town.mallory.do("mkdir", str(planted))
    else:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(planted))
        listener.close()
        os.chown(str(planted), town.mallory.uid, town.mallory.uid)
        planted.chmod(0o777)
    # Who opens a FIFO may wait for ever.
    assert_each_refused(town.alice, planted, WORDS, "is not a regular file|Is a directory|No such device or address")
    assert os.listdir(str(town.lobby)) == ["connection.json"]


def test_a_link_to_a_daemons_file_is_refused_in_place_of_it_and_removes_nothing_when_that_is_dead(town, planted):
    path = town.alice.folder / "connection.json"
    town.alice.start("--connection-file", str(path))
    pid = town.alice.keeper(path)
    town.mallory.do("ln", "-s", str(path), str(planted))
    assert_each_refused(town.alice, planted, WORDS, "symbolic link")
    assert town.alice.keeper(path) == pid
    os.kill(pid, signal.SIGKILL)
    town.alice.wait_until_nothing_is_left()
    assert_each_refused(town.alice, planted, ["start", "run", "stop"], "symbolic link")
    assert planted.is_symlink() and path.is_file()
    assert town.alice.on(path, "stop").code == 0


@pytest.mark.parametrize("target", ["file", "private file", "nothing"])
def test_start_does_not_write_where_a_planted_link_leads(town, planted, target):
    victim = town.alice.folder / "important.txt"
    if target != "nothing":
        victim.write_text("important")
        victim.chmod(0o600 if target == "private file" else 0o644)
        os.chown(str(victim), town.alice.uid, town.alice.uid)
    town.mallory.do("ln", "-s", str(victim), str(planted))
    assert_refused(town.alice.on(planted, "start"), planted, ".")
    assert (victim.read_text() if victim.exists() else None) == (None if target == "nothing" else "important")
    assert os.readlink(str(planted)) == str(victim)
    assert os.listdir(str(town.lobby)) == ["connection.json"]


@pytest.mark.parametrize("name", ["{path}.$$", "{path}.$$.sock"])
@pytest.mark.parametrize("exists", [True, False])
def test_start_does_not_write_through_a_link_planted_for_its_draft(town, planted, name, exists):
    victim = town.alice.folder / "important.txt"
    if exists:
        victim.write_text("important")
        os.chown(str(victim), town.alice.uid, town.alice.uid)
    # Draft and socket bear the command's pid, which the shell keeps when it becomes the command.
    name = name.format(path=planted)
    plant = 'ln -s "$0" "%s" && chown -h %d "%s" && exec "$@"' % (name, town.mallory.uid, name)
    town.alice.python = ["sh", "-c", plant, str(victim), *town.alice.python]
    done = town.alice.on(planted, "start")
    assert_refused(done, planted, "File exists|Address already in use")
    assert (victim.read_text() if victim.exists() else None) == ("important" if exists else None)
    [left] = town.lobby.iterdir()
    assert left.is_symlink() and os.readlink(str(left)) == str(victim)


def test_a_planted_socket_is_told_nothing(town, planted):
    town.alice.start("--connection-file", str(planted))
    pid = town.alice.keeper(planted)
    address = town.lobby / json.loads(planted.read_text().splitlines()[0])["address"]
    town.mallory.do("mv", str(address), str(town.lobby / "moved"))
    fake = town.mallory.program(LISTEN, str(address), "3")
    read_until(fake.stdout, "listening")
    words = ["run", "status", "cancel"]
    assert_each_refused(town.alice, planted, words, "the socket .* belongs to another user")
    assert fake.communicate(timeout=HANG_SECONDS)[0] == b"b''\n" * 3
    address.unlink()
    town.mallory.do("mv", str(town.lobby / "moved"), str(address))
    assert town.alice.keeper(planted) == pid
    assert town.alice.on(planted, "stop").code == 0
    assert os.listdir(str(town.lobby)) == []


def test_a_stop_kills_a_daemon_whose_socket_somebody_has_planted_and_tells_it_nothing(town, planted):
    town.alice.start("--connection-file", str(planted))
    address = town.lobby / json.loads(planted.read_text().splitlines()[0])["address"]
    town.mallory.do("mv", str(address), str(town.lobby / "moved"))
    fake = town.mallory.program(LISTEN, str(address), "1")
    read_until(fake.stdout, "listening")
    done = town.alice.on(planted, "stop")
    assert done.code == 0 and re.search("the socket .* belongs to another user; killing it", done.err)
    assert fake.communicate(timeout=HANG_SECONDS)[0] == b"b''\n"
    town.alice.wait_until_nothing_is_left()


@pytest.mark.parametrize(
    "word, plant, mode",
    [
        ("start", "touch", 0o1777),
        *(
            pytest.param(*case, marks=pytest.mark.long)
            for case in [("stop", "mkdir", 0o777), ("start", "mkdir", 0o777), ("stop", "touch", 0o1777)]
        ),
    ],
)
def test_what_is_planted_at_a_dead_daemons_address_does_not_hold_up_its_user(town, planted, word, plant, mode):
    town.lobby.chmod(mode)
    town.alice.start("--connection-file", str(planted))
    address = town.lobby / json.loads(planted.read_text().splitlines()[0])["address"]
    os.kill(town.alice.keeper(planted), signal.SIGKILL)
    town.alice.wait_until_nothing_is_left()
    town.mallory.do(plant, str(address))
    done = town.alice.on(planted, word)
    assert done.code == 0 and "Traceback" not in done.err, done
    if word == "start":
        assert town.alice.on(planted, "stop").code == 0
    assert list(town.lobby.iterdir()) == [address]


def test_where_all_may_rename_everything_a_replaced_folder_is_refused(town):
    town.temporary.chmod(0o777)  # as /tmp should not be: others can move a private folder away
    path = town.alice.start()
    pid = town.alice.keeper(path)
    os.kill(pid, signal.SIGSTOP)  # it looks for its file every few seconds, and ends when that is not there
    aside = town.temporary / "aside"
    town.mallory.do("mv", str(path.parent), str(aside))
    town.mallory.do("mkdir", "-m", "777", str(path.parent))
    town.mallory.start("--connection-file", str(path))
    path.chmod(0o666)
    assert_each_refused(town.alice, path, ["start", "run"], "belongs to another user")
    path.chmod(0o600)
    assert json.loads(town.mallory.on(path, "status", "--json").out)["tasks"] == 0
    assert town.mallory.on(path, "stop").code == 0
    town.mallory.do("rm", "-r", str(path.parent))
    town.mallory.do("mv", str(aside), str(path.parent))
    os.kill(pid, signal.SIGCONT)
    assert town.alice.keeper(path) == pid
    assert town.alice.on(path, "stop").code == 0


@pytest.mark.parametrize("daemon", [False, pytest.param(True, marks=pytest.mark.long)])
def test_what_has_become_another_users_is_named_and_fails_the_end(host, town, daemon):
    alice = town.alice
    alice.adaptor = str(host.checkout / "tests" / "adaptors" / "command.py")
    lift = town.lobby / "lift"
    shutil.copyfile(tool("setpriv"), str(lift))
    lift.chmod(0o4755)
    data = json.dumps({"args": ["sh", "-c", "%s --reuid=0 sleep 300 & while kill -0 $!; do :; done" % lift]})
    if daemon:
        path = alice.start()
        assert alice.on(path, "run", "--run-data", data).code == 0
        done = alice.on(path, "stop")
    else:
        done = alice("run", "--run-data", data)
    named = re.search(r"openjd_fail: what the adaptor has started cannot be ended: (\d+) \(sleep\)\n", done.out)
    assert named and done.code == 1, done
    os.kill(int(named.group(1)), signal.SIGKILL)


# Secrets


@pytest.fixture
def secret():
    return "secret-" + uuid.uuid4().hex


@pytest.fixture
def discreet(host, town):
    """A user of the adaptor that tells no secrets, at the level DEBUG."""
    town.alice.adaptor = str(host.checkout / "tests" / "adaptors" / "discreet.py")
    config = town.alice.folder / "config.json"
    config.write_text('{"log_level": "DEBUG"}')
    config.chmod(0o644)
    town.alice.config = ["--config", str(config)]
    return town.alice


def private_file(tenant, name, data):
    path = tenant.folder / name
    path.write_text(json.dumps(data))
    path.chmod(0o600)
    os.chown(str(path), tenant.uid, tenant.uid)
    return "file://%s" % path


def spied(town, spy, but=()):
    """Command lines and environments as ``spy`` sees them, without those of the processes ``but``."""
    seen = [json.loads(line) for line in spy.show(SPY).splitlines()]
    pids = set(town.alice.pids()) - set(but)
    by_alice = [(what, text) for pid, what, text in seen if pid in pids]
    lines = [text for what, text in by_alice if what == "cmdline"]
    # The spy must have seen what there is: the keeper, and the adaptor's child.
    assert any("keeper of" in line for line in lines) and any(line.startswith("sleep\0") for line in lines), lines
    assert bool([what for what, _ in by_alice if what == "environ"]) == (spy is town.alice)
    return "\n".join(text for pid, _, text in seen if pid not in but)


@pytest.mark.parametrize("way", ["inline", pytest.param("file", marks=pytest.mark.long)])
def test_no_other_user_finds_a_secret_of_a_daemon(town, discreet, secret, way):
    data = {"password": secret + "-init"}
    init = json.dumps(data) if way == "inline" else private_file(discreet, "init.json", data)
    start = discreet("daemon", "start", *discreet.config, "--init-data", init)
    assert start.code == 0 and "DEBUG: the level is DEBUG" in start.lines, start
    path = Path(start.lines[0].partition("=")[2])
    run_data = private_file(discreet, "run.json", {"password": secret + "-run"})
    process = discreet.popen("daemon", "run", "--connection-file", str(path), "--run-data", run_data)
    shown = read_until(process.stdout, "running")
    for spy in (town.mallory, town.alice):
        assert secret not in spied(town, spy)
    assert secret not in path.read_text()
    assert discreet.on(path, "cancel").code == 0
    run = discreet.finish(process)
    assert run.code == 4, run
    stop = discreet.on(path, "stop")
    assert stop.code == 0, stop
    for done in (start, run, stop):
        shown += done.out + done.err
    assert secret not in shown


@pytest.mark.parametrize(
    "command, way",
    [
        ("run", "inline"),
        ("session", "inline"),  # which has its daemon start read a file
        pytest.param("daemon start", "inline", marks=pytest.mark.long),
        *(pytest.param(command, "file", marks=pytest.mark.long) for command in ("daemon start", "run", "session")),
    ],
)
def test_no_other_user_finds_a_secret_of_a_starting_adaptor(town, discreet, secret, command, way):
    data = {"password": secret, "wait": True}
    init = json.dumps(data) if way == "inline" else private_file(discreet, "init.json", data)
    process = discreet.popen(*command.split(), *discreet.config, "--init-data", init)
    shown = read_until(process.stdout, "starting")
    # The outermost command's own line is what the user typed.
    for spy in (town.mallory, town.alice):
        assert secret not in spied(town, spy, but=[process.pid] if way == "inline" else [])
    if command == "daemon start":
        assert secret not in Path(re.search("OPENJD_ADAPTOR_SOCKET=(.*)", shown).group(1)).read_text()
    process.send_signal(signal.SIGTERM)
    done = discreet.finish(process)
    assert done.code == 4, done
    assert secret not in shown + done.out + done.err
