"""What the tests share: a farm that runs commands, and the check that nothing is left behind."""

from __future__ import annotations

import compileall
import contextlib
import gc
import importlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

# Machines are shared: no test fails by the time that it took.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
#: How long a test waits for what is bound to happen, in seconds: only a hang takes as long.
HANG_SECONDS = 60.0

ROOT = Path(__file__).resolve().parent.parent
ADAPTORS = ROOT / "tests" / "adaptors"
# Real texts, each with the value that PyYAML gives; beside the project, not in it.
CORPUS = ROOT.parent / "shared" / "corpus"
_MARK = "OPENJD_ADAPT_TEST"


for _number in [getattr(signal, _name, None) for _name in ("SIGHUP", "SIGINT")]:
    if _number and signal.getsignal(_number) is signal.SIG_IGN:
        # Whoever runs the tests ignores it (nohup, a shell's background): every command would inherit that. A handler
        # is not inherited, and one that does nothing spares this process all the same.
        signal.signal(_number, lambda *_: None)

#: What a scheduler cancels a command by, and what kills a process outright.
CANCEL = getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM)
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


def kill_command(process: subprocess.Popen) -> None:
    """Kill a command as a scheduler does: with its process group, where there are any."""
    if hasattr(os, "killpg"):
        os.killpg(process.pid, KILL)
    else:
        # Wine 8 never closes a socket whose process dies within select() or send(), and nobody learns of the end: let
        # the command show and acknowledge what there is, and wait.
        time.sleep(1)
        process.kill()


#: The line that begins a daemon's output, or a run's.
_VERSIONS = re.compile(r"^INFO: openjd_adapt \S+ \(.*\), adaptor .*\n", re.MULTILINE)


class Done:
    """A command that has ended: exit code, standard output and error, seconds; ``versions`` are lines of their own."""

    def __init__(self, code: int, out: str, err: str, seconds: float) -> None:
        self.code = code
        self.versions = _VERSIONS.findall(out)
        self.out = _VERSIONS.sub("", out)
        self.err = err
        self.seconds = seconds

    def __repr__(self) -> str:
        return "exit code %d after %.2f s\n--- out\n%s--- err\n%s" % (self.code, self.seconds, self.out, self.err)

    @property
    def lines(self) -> list:
        return self.out.splitlines()


def without_pids(lines) -> list:
    """Lines of a log, without the pids of what was started."""
    return [re.sub(r" \(pid \d+\)$", "", line) for line in lines]


class Farm:
    """Runs an adaptor's commands in a folder of its own, as a scheduler does: each leads a session."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token = uuid.uuid4().hex
        self.adaptor = str(ADAPTORS / "probe.py")
        self.file = folder / "connection.json"
        self.python = [sys.executable]
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("OPENJD_", "PYTHON"))},
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(folder),
            _MARK: self.token,
        }

    def command(self, *arguments: str) -> list:
        return [*self.python, "-m", "openjd_adapt", "--adaptor", self.adaptor, *arguments]

    def popen(self, *arguments: str, **options) -> subprocess.Popen:
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.Popen(
            self.command(*arguments), cwd=str(self.folder), env=self.env, bufsize=0, start_new_session=True, **options
        )

    def finish(self, process: subprocess.Popen, timeout: float = HANG_SECONDS) -> Done:
        begin = time.monotonic()
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            kill_command(process)
            process.communicate()
            raise
        seconds = time.monotonic() - begin
        return Done(process.returncode, *(text.decode("utf-8", "backslashreplace") for text in (out, err)), seconds)

    def __call__(self, *arguments: str, timeout: float = HANG_SECONDS) -> Done:
        return self.finish(self.popen(*arguments), timeout)

    def daemon(self, word: str, *arguments: str, timeout: float = HANG_SECONDS) -> Done:
        return self("daemon", word, "--connection-file", str(self.file), *arguments, timeout=timeout)

    def daemon_popen(self, word: str, *arguments: str, **options) -> subprocess.Popen:
        return self.popen("daemon", word, "--connection-file", str(self.file), *arguments, **options)

    def pids(self) -> list:
        """The living processes that one of these commands has started, whoever their parent is now."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    if ("%s=%s" % (_MARK, self.token)).encode() in (entry / "environ").read_bytes():
                        found.append(int(entry.name))
                except OSError:
                    continue
        return found

    def pids_named(self, title: str) -> list:
        """Those of :meth:`pids` whose command line has ``title``."""
        return [pid for pid in self.pids() if title.encode() in Path("/proc/%d/cmdline" % pid).read_bytes()]

    def wait_until_nothing_is_left(self, seconds: float = HANG_SECONDS) -> None:
        end = time.monotonic() + seconds
        while self.pids():
            if time.monotonic() > end:
                left = [Path("/proc/%d/cmdline" % pid).read_bytes().replace(b"\0", b" ") for pid in self.pids()]
                for pid in self.pids():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                pytest.fail("left behind: %r" % left)
            time.sleep(0.02)


@pytest.fixture
def farm(tmp_path):
    """A farm; afterwards no process of its commands may live."""
    kind = Farm
    if sys.platform == "win32":
        from .windows_farm import WindowsFarm as kind
    farm = kind(tmp_path)
    yield farm
    farm.wait_until_nothing_is_left()


@pytest.fixture
def current():
    """A running task in this process, which a callback's exception fails."""
    from openjd_adapt import task

    made = task.Task()
    task.enter(made)
    yield made
    task.leave()


@pytest.fixture
def elsewhere(tmp_path):
    """A second farm, for the reference."""
    (tmp_path / "reference").mkdir()
    farm = Farm(tmp_path / "reference")
    yield farm
    farm.wait_until_nothing_is_left()


@pytest.fixture
def started(farm):
    """A farm with a daemon that has started; it is stopped afterwards."""
    done = farm.daemon("start")
    assert done.code == 0, done
    yield farm
    done = farm.daemon("stop", "--timeout", "20")
    assert done.code == 0, done


def wait_until(condition) -> None:
    """Wait until ``condition()`` holds."""
    end = time.monotonic() + HANG_SECONDS
    while not condition():
        if time.monotonic() > end:
            pytest.fail("it did not come to that")
        time.sleep(0.01)


def read_until(stream, text: str) -> str:
    """Read lines up to the first that contains ``text``; returns what was read."""
    read = ""
    for line in iter(stream.readline, b""):
        read += line.decode("utf-8", "backslashreplace")
        if text in read:
            return read
    pytest.fail("%r did not appear in:\n%s" % (text, read))


_DEV = 'pip install ".[dev]"'
#: What tests need and may not find, and what brings it.
BRINGS = {
    **{name: "apt-get install " + name for name in ("blender", "faketime", "ffmpeg", "sudo")},
    "PyQt5": "apt-get install python3-pyqt5",
    "tkinter": "apt-get install python3-tk",
    "xvfb-run": "apt-get install xvfb",
    **dict.fromkeys(("useradd", "userdel"), "apt-get install passwd"),
    "objdump": "apt-get install binutils",
    **dict.fromkeys(("setpriv", "unshare"), "apt-get install util-linux"),
    **dict.fromkeys(("munged", "sbatch", "slurmctld", "slurmd"), "apt-get install munge slurm-client slurmctld slurmd"),
    "bash": "apt-get install bash",
    **dict.fromkeys(("jedi", "jsonschema", "mypy", "openjd", "PyInstaller", "ruff", "yaml"), _DEV),
    "corpus": "it lies beside the project where that is developed, in shared/corpus",
    "published adaptors": "tests/published.sh DEST, and OPENJD_ADAPT_PUBLISHED=DEST/bin",
    "reference": "pip install --target DEST openjd-adaptor-runtime==0.9.6, and OPENJD_ADAPT_REFERENCE=DEST",
    **dict.fromkeys(("python2.7", "python3.6"), "pyenv install 2.7 3.6"),
    "root": "run the tests as root",
    "setuptools": "pip install --upgrade setuptools",
}


def missing(name: str) -> str:
    """Why a test is skipped that needs what is not here."""
    return "needs %s: %s" % (name, BRINGS[name])


def tool(name: str) -> str:
    """The path of a program that may be absent; where it is, the test is skipped."""
    path = shutil.which(name) or shutil.which(name, path=os.path.dirname(sys.executable))
    if path is None:
        pytest.skip(missing(name))
    return path


def module(name: str):
    """A module that may be absent; where it is, the test is skipped."""
    try:
        return importlib.import_module(name)
    except ImportError:
        pytest.skip(missing(name.partition(".")[0]))


#: For tests that need what only root may do: mount, other users.
root_only = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason=missing("root"))


@contextlib.contextmanager
def small_disk(folder: Path, size: int):
    """A file system of ``size`` bytes of its own, mounted at ``folder``."""
    folder.mkdir()
    subprocess.check_call(["mount", "-t", "tmpfs", "-o", "size=%d" % size, "none", str(folder)])
    try:
        yield folder
    finally:
        subprocess.check_call(["umount", "-l", str(folder)])


@pytest.fixture
def tiny_disk(tmp_path):
    """A folder with a file system of its own, of 256 KiB."""
    if os.geteuid() != 0:
        pytest.skip(missing("root"))
    with small_disk(tmp_path / "tiny", 256 * 1024) as folder:
        yield folder


#: How the reason begins of a test that no installation helps: the host's kernel or its sandbox says no.
NOT_ALLOWED = "this host does not allow"


def _skipped(reporter) -> list:
    return [report for report in reporter.stats.get("skipped", []) if NOT_ALLOWED not in str(report.longrepr)]


if sys.platform == "win32":
    #: A whole module that is posix_only imports what is not there. test_windows has the like of most.
    collect_ignore = [
        path.name
        for path in Path(__file__).parent.glob("test_*.py")
        if re.search(
            r"^pytestmark = (\[[^\]]*|pytest\.mark\.)posix_only", path.read_text(encoding="utf-8"), re.MULTILINE
        )
    ]


def pytest_collection_finish():
    """What the tests themselves are stays: no collection of garbage need look at it again."""
    gc.collect()
    gc.freeze()


def pytest_make_parametrize_id(config, val, argname):
    """A long text gives a test no name: what runs is put into the environment, which Windows limits."""
    return "%s of %d" % (argname, len(val)) if isinstance(val, (str, bytes)) and len(val) > 500 else None


def under_wine() -> bool:
    """Whether this Windows is none."""
    import ctypes

    return hasattr(ctypes.WinDLL("ntdll"), "wine_get_version")


def pytest_collection_modifyitems(config, items):
    """What only another system can prove is left out."""
    elsewhere = {
        "real_macos_only": sys.platform == "darwin",
        "real_windows_only": sys.platform == "win32" and not under_wine(),
        "posix_only": sys.platform != "win32",
        "windows_only": sys.platform == "win32",
    }
    names = [name for name, here in elsewhere.items() if not here and name not in config.getoption("markexpr")]
    left_out = {item: name for item in items for name in names if item.get_closest_marker(name)}
    _left_out.update(left_out.values())
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]


#: How many tests are left out here, by the marker that tells why.
_left_out: Counter = Counter()


def pytest_terminal_summary(terminalreporter):
    """A line for each reason to skip and to leave out; in CI everything is installed: a skipped test is a failure."""
    if _left_out:
        terminalreporter.write_line("left out here: " + ", ".join("%d %s" % (n, name) for name, n in _left_out.items()))
    reasons = Counter(report.longrepr[2] for report in terminalreporter.stats.get("skipped", []))
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line("%4d %s" % (count, reason.replace("Skipped: ", "SKIPPED ", 1)))
    skipped = _skipped(terminalreporter)
    if os.environ.get("OPENJD_ADAPT_NO_SKIP") and skipped:
        terminalreporter.section("%d tests were skipped, and none may be here" % len(skipped))


def pytest_configure(config):
    """Compile once what the commands of the tests load: they write nothing there, and each would compile it again."""
    if not hasattr(config, "workerinput"):
        for folder in (ROOT / "openjd_adapt", ADAPTORS, ROOT / "examples"):
            compileall.compile_dir(str(folder), quiet=2)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """Workers of pytest-xdist, where that is here, take what is left from one another: some tests are long."""
    if getattr(config.option, "numprocesses", None) and config.option.dist == "no":
        config.option.dist = "worksteal"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """Two workers a core: half of the tests' time is waiting for processes."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return None if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ else min(2 * cores, 16)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Each worker of pytest-xdist has left out the same."""
    _left_out.update(Counter(getattr(node, "workeroutput", {}).get("left_out", {})) - _left_out)


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = dict(_left_out)
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and os.environ.get("OPENJD_ADAPT_SKIPPED"):
        names = "".join(report.nodeid + "\n" for report in _skipped(reporter))
        Path(os.environ["OPENJD_ADAPT_SKIPPED"]).write_text(names, encoding="utf-8")
    if reporter and os.environ.get("OPENJD_ADAPT_NO_SKIP") and _skipped(reporter):
        session.exitstatus = 1
