"""A container with next to nothing in it: a Python, a copy of this package, one folder that can be written.

Root makes it of parts of the host here, in namespaces of their own, whose mounts and processes end with them. It has no
shell, no user database, no home and no variables; everything but ``/session`` is read-only, and its user has no name.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import NOT_ALLOWED, ROOT, Done, root_only, tool

pytestmark = [pytest.mark.posix_only, root_only]

PYTHON = "/usr/bin/python3"
#: Nobody's, in the container and as a rule on the host.
UID = 4711
BARE, OPEN = "/opt/bare.py", "/opt/open.py"
#: What the adaptor of BARE has told in a session of two tasks.
TOLD = ["opened bl\u00fc", "STDOUT: rendered frame 1", "STDOUT: rendered frame 2", "closed", "cleaned up"]
UNCONTAINED = "WARNING: this host lacks what it takes to end processes that leave their process group\n"

# Process 1 of the container, which is still outside its root. It mounts what there is, and runs commands inside, one
# after the other, with the variables that the earlier ones have set, as a scheduler does. It tells how each has
# ended, and whether all that they have started has ended by itself: every orphan is its child, so that it has none
# left exactly when no other process is left. Its own end kills whatever is there then.
INIT = """
import json, os, signal, subprocess, sys

root, session, uid, has_proc, folder, environment, commands = json.loads(sys.argv[1])

def mount(*arguments):
    subprocess.check_call(["mount", *arguments])

mount("--bind", root, root)
mount("-o", "remount,bind,ro", root)
mount("--bind", "/dev/null", root + "/dev/null")
mount("--bind", session, root + "/session")
if has_proc:
    mount("-t", "proc", "proc", root + "/proc")

def enter():
    os.chroot(root)
    os.chdir(folder)
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)

def end(number, frame):
    raise TimeoutError

signal.signal(signal.SIGALRM, end)
shown = []
for arguments in commands:
    process = subprocess.Popen(
        arguments, env=environment, preexec_fn=enter, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )
    signal.alarm(60)
    out, err = process.communicate()
    signal.alarm(0)
    out, err = (text.decode("utf-8", "backslashreplace") for text in (out, err))
    shown.append([process.returncode, out, err])
    words = [line.partition(": ") for line in out.splitlines()]
    environment.update(text.split("=", 1) for word, _, text in words if word == "openjd_env")
signal.alarm(60)
all_ended = False
try:
    while True:
        os.wait()
except ChildProcessError:
    all_ended = True
except TimeoutError:
    pass
signal.alarm(0)
print(json.dumps([shown, all_ended]))
"""

# Leaves a process to be found, by its parent or, where ``escapes`` is false, by its group.
ADAPTOR = """
import subprocess, sys
from openjd_adapt import Adaptor, EntryPoint, LoggingSubprocess

class Bare(Adaptor):
    def on_start(self):
        forgotten = [sys.executable, "-c", "import signal; signal.pause()"]
        subprocess.Popen(forgotten, start_new_session=self.init_data["escapes"])
        print("opened bl\\u00fc")

    def on_run(self, run_data):
        command = [sys.executable, "-c", "print('rendered frame %d')" % run_data["frame"]]
        with LoggingSubprocess(args=command) as process:
            process.wait()
        self.update_status(progress=100)

    def on_stop(self):
        print("closed")

    def on_cleanup(self):
        print("cleaned up")

EntryPoint(Bare).start()
"""

# The same with an application, which has a connection to the adaptor.
APPLICATION = """
import os, sys
from openjd_adapt import ApplicationAdaptor, EntryPoint

class Open(ApplicationAdaptor):
    client = "/opt/client.py"

    def get_command(self):
        return [sys.executable, self.client]

    def on_ready(self):
        print("opened", self.app.call("open_scene", scene="a"))

    def on_run(self, run_data):
        print("rendered", self.app.call("render", frame=run_data["frame"]))

EntryPoint(Open).start()
"""

CLIENT = """
from openjd_adapt import Client

client = Client()

@client.action
def open_scene(scene):
    return "scene " + scene

@client.action
def render(frame):
    return "frame %d" % frame

client.serve_forever()
"""

# What there is in the container, as its user sees it.
LOOK = """
import json, os, pwd

def known(uid):
    try:
        return bool(pwd.getpwuid(uid))
    except KeyError:
        return False

places = [folder for folder, _, _ in os.walk("/") if not folder.startswith("/proc/")]
print(json.dumps({
    "ids": [os.getuid(), os.geteuid(), os.getgid(), os.getgroups()],
    "has_name": known(os.getuid()),
    "variables": sorted(set(os.environ) - {"LC_CTYPE"}),
    "writable": [place for place in places if os.access(place, os.W_OK)],
    "top": os.listdir("/"),
    "programs": os.listdir("/usr/bin"),
    "devices": os.listdir("/dev"),
    "has_proc": os.path.exists("/proc/self/stat"),
}))
"""


def copy_into(root: Path, path: str) -> None:
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, str(target))


def libraries_of(path: str) -> set:
    """The shared libraries that a program or library needs, with the dynamic loader."""
    shown = subprocess.check_output(["ldd", path]).decode()
    return set(re.findall(r"(/\S+) \(0x", shown))


def make_root(root: Path) -> None:
    """A root folder with nothing but a Python, this package, and adaptors."""
    program = "import _ctypes, json, os, sys; print(json.dumps([sys.version_info[:2], os.__file__, _ctypes.__file__]))"
    found = subprocess.run([PYTHON, "-I", "-c", program], stdout=subprocess.PIPE)
    if found.returncode or json.loads(found.stdout.decode())[0] < [3, 7]:
        pytest.skip("%s is not a Python from 3.7 on, with ctypes" % PYTHON)
    _, module, extension = json.loads(found.stdout.decode())
    library = os.path.dirname(module)
    for path in {PYTHON} | libraries_of(PYTHON) | libraries_of(extension):
        copy_into(root, path)
    left_out = shutil.ignore_patterns(
        *("test", "tests", "config-*", "*-packages", "ensurepip", "idlelib", "lib2to3", "distutils", "pydoc_data"),
        *("sitecustomize.py", "*.opt-*.pyc"),
    )
    shutil.copytree(library, str(root / library.lstrip("/")), ignore=left_out)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(str(ROOT / "openjd_adapt"), str(root / "opt" / "openjd_adapt"), ignore=ignored)
    for name, text in (("bare", ADAPTOR), ("open", APPLICATION), ("client", CLIENT)):
        (root / "opt" / (name + ".py")).write_text(text)
    for name in ("dev", "proc", "session"):
        (root / name).mkdir()
    (root / "dev" / "null").touch()
    # Nobody can write there what is compiled, and each process would compile it again.
    subprocess.check_call([PYTHON, "-m", "compileall", "-q", str(root / "opt" / "openjd_adapt")])
    subprocess.check_call(["chmod", "-R", "a+rX", str(root)])


def in_namespaces(*command: str) -> list:
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", *command]


@pytest.fixture(scope="module")
def bare_root(tmp_path_factory):
    if not os.path.exists(PYTHON):
        pytest.skip("there is no %s" % PYTHON)
    for name in ("unshare", "mount", "ldd"):
        tool(name)
    root = tmp_path_factory.mktemp("container") / "root"
    root.mkdir()
    if subprocess.run(in_namespaces("mount", "--bind", str(root), str(root))).returncode:
        pytest.skip(NOT_ALLOWED + " mounts in namespaces of their own")
    try:
        make_root(root)
        yield root
        assert mounts_below(root) == []
    finally:
        # Whatever has gone wrong: what is mounted below a folder must not be removed with it.
        for place in reversed(mounts_below(root)):
            subprocess.check_call(["umount", "-l", place])
        shutil.rmtree(str(root))


def mounts_below(root: Path) -> list:
    """What is mounted there outside the container's namespace, outermost first."""
    places = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [place for place in places if place == str(root) or place.startswith(str(root) + "/")]


class Container:
    """Runs commands in a fresh container, one after the other; what they have left in its folder stays."""

    def __init__(self, root: Path, session: Path, has_proc: bool) -> None:
        self.root = root
        self.session = session
        self.has_proc = has_proc
        #: The variables of the first command, and the current folder of all.
        self.env = {"TMPDIR": "/session"}
        self.cwd = "/"
        session.mkdir()
        os.chown(str(session), UID, UID)
        session.chmod(0o700)

    def __call__(self, *commands: list) -> list:
        """How each has ended. Afterwards no process of theirs may be left."""
        commands = [[PYTHON, *arguments] for arguments in commands]
        given = json.dumps([str(self.root), str(self.session), UID, self.has_proc, self.cwd, self.env, commands])
        done = subprocess.run(
            in_namespaces(sys.executable, "-c", INIT, given),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=100,  # whose end takes the container with it
        )
        assert done.returncode == 0, done.stderr.decode()
        shown, all_ended = json.loads(done.stdout.decode())
        results = [Done(code, out, err, 0.0) for code, out, err in shown]
        assert all_ended, results
        return results

    def left(self) -> list:
        """What lies in the folder that can be written."""
        return sorted(str(path.relative_to(self.session)) for path in self.session.rglob("*"))


@pytest.fixture
def container(bare_root, tmp_path):
    """A container with /proc."""
    command = in_namespaces("mount", "-t", "proc", "proc", str(bare_root / "proc"))
    if subprocess.run(command, stderr=subprocess.DEVNULL).returncode:
        pytest.skip(NOT_ALLOWED + " to mount /proc")
    return Container(bare_root, tmp_path / "session", has_proc=True)


@pytest.fixture
def container_without_proc(bare_root, tmp_path):
    return Container(bare_root, tmp_path / "session", has_proc=False)


#: Whatever says which folder can be written.
everywhere = pytest.mark.parametrize(
    "variable", ["TMPDIR", pytest.param("OPENJD_SESSION_WORKING_DIR", marks=pytest.mark.long)]
)


def session_of_two(container: Container, *options: str, escapes: bool = True, warning: str = "") -> str:
    """Play a session of two tasks; returns the path of the connection file that the scheduler was told."""
    start, first, second, stop = results = container(
        [BARE, "daemon", "start", "--init-data", json.dumps({"escapes": escapes}), *options],
        [BARE, "daemon", "run", "--run-data", '{"frame": 1}'],
        [BARE, "daemon", "run", "--run-data", '{"frame": 2}'],
        [BARE, "daemon", "stop"],
    )
    assert [done.code for done in results] == [0, 0, 0, 0], results
    assert [done.err for done in results] == [warning, "", "", ""], results
    told, opened = start.lines
    assert opened == "opened bl\u00fc"
    assert [without_commands(done) for done in (first, second)] == [
        ["STDOUT: rendered frame 1", "openjd_progress: 100"],
        ["STDOUT: rendered frame 2", "openjd_progress: 100"],
    ]
    assert stop.lines == ["closed", "cleaned up"]
    variable, _, path = told.partition("=")
    assert variable == "openjd_env: OPENJD_ADAPTOR_SOCKET"
    return path


def without_commands(done: Done) -> list:
    """The lines of output but those that name a command that is run."""
    return [line for line in done.lines if not line.startswith("INFO: Running: ")]


def test_the_container_has_no_more_than_a_python_and_one_folder_that_can_be_written(container):
    [done] = container(["-c", LOOK])
    assert (done.code, done.err) == (0, ""), done
    seen = json.loads(done.out)
    assert set(seen.pop("top")) <= {"dev", "lib", "lib64", "opt", "proc", "session", "usr"}
    assert seen == {
        "ids": [UID, UID, UID, []],
        "has_name": False,
        "variables": ["TMPDIR"],
        "writable": ["/session"],
        "programs": ["python3"],
        "devices": ["null"],
        "has_proc": True,
    }


@pytest.mark.parametrize(
    "variables, cwd, place",
    [
        ({"OPENJD_SESSION_WORKING_DIR": "/session"}, "/", "/session/openjd_adapt-Bare-[0-9]+.json"),
        *(
            pytest.param(variables, cwd, "/session/openjd_adapt-[0-9a-f]{24}/connection.json", marks=pytest.mark.long)
            for variables, cwd in [({"TMPDIR": "/session"}, "/"), ({}, "/session")]
        ),
    ],
    ids=["the scheduler's folder", "TMPDIR", "the current folder"],
)
def test_a_whole_session_needs_one_folder_that_can_be_written_and_leaves_nothing(container, variables, cwd, place):
    container.env, container.cwd = variables, cwd
    assert re.match(place + r"\Z", session_of_two(container))
    assert container.left() == []


@pytest.mark.long
def test_a_daemon_needs_no_folder_but_that_of_its_connection_file_and_leaves_alone_what_lies_there(container):
    container.env = {}
    (container.session / "scene.txt").write_text("the scheduler's")
    path = "/session/connection.json"
    assert session_of_two(container, "--connection-file", path) == path
    assert container.left() == ["scene.txt"]


def test_a_task_in_the_foreground_needs_no_folder_that_can_be_written(container):
    container.env = {}
    container.session.chmod(0o500)
    [done] = container([BARE, "run", "--init-data", '{"escapes": true}', "--run-data", '{"frame": 1}'])
    assert (done.code, done.err) == (0, ""), done
    frame = ["STDOUT: rendered frame 1", "openjd_progress: 100"]
    assert without_commands(done) == ["opened bl\u00fc", *frame, "closed", "cleaned up"]


@pytest.mark.long
@everywhere
def test_the_session_command_plays_all_tasks_and_leaves_nothing(container, variable):
    container.env = {variable: "/session"}
    [done] = container([BARE, "session", "--init-data", '{"escapes": true}', "--each", "frame=1-2"])
    assert (done.code, done.err) == (0, ""), done
    assert [line for line in done.lines if line in TOLD] == TOLD, done
    assert container.left() == []


def test_the_session_command_says_in_one_line_that_it_has_no_folder(container):
    container.env = {}
    [done] = container([BARE, "session"])
    assert done.code == 2 and done.err.startswith("ERROR: no folder for the session: "), done
    assert done.err.count("\n") == 1 and done.out == ""


@pytest.mark.long
@everywhere
def test_an_application_is_opened_once_and_called_for_every_task(container, variable):
    container.env = {variable: "/session"}
    start, *tasks, stop = results = container(
        [OPEN, "daemon", "start"],
        [OPEN, "daemon", "run", "--run-data", '{"frame": 1}'],
        [OPEN, "daemon", "run", "--run-data", '{"frame": 2}'],
        [OPEN, "daemon", "stop"],
    )
    assert [(done.code, done.err) for done in results] == [(0, "")] * 4, results
    assert start.lines[-1] == "opened scene a"
    assert [done.lines for done in tasks] == [["rendered frame 1"], ["rendered frame 2"]]
    assert stop.lines == []
    assert container.left() == []


@pytest.mark.long
def test_an_applications_socket_lies_in_the_connection_files_folder_where_there_is_no_other(container):
    container.env = {}
    file = ["--connection-file", "/session/connection.json"]
    results = container([OPEN, "daemon", "start", *file], [OPEN, "daemon", "stop", *file])
    assert [(done.code, done.err) for done in results] == [(0, "")] * 2, results
    assert container.left() == []


@pytest.mark.long  # test_awkward_moments has it for a task in the foreground
@everywhere
def test_without_proc_one_line_warns_and_the_session_is_the_same(container_without_proc, variable):
    container = container_without_proc
    container.env = {variable: "/session"}
    assert not json.loads(container(["-c", LOOK])[0].out)["has_proc"]
    session_of_two(container, escapes=False, warning=UNCONTAINED)
    assert container.left() == []


@pytest.mark.long
def test_without_proc_the_session_command_warns_once_and_plays_all_tasks(container_without_proc):
    container = container_without_proc
    [done] = container([BARE, "session", "--init-data", '{"escapes": false}', "--each", "frame=1-2"])
    assert done.code == 0, done
    assert (done.out + done.err).count(UNCONTAINED) == 1, done
    assert [line for line in done.lines if line in TOLD] == TOLD, done
    assert container.left() == []
