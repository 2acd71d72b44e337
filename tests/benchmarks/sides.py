"""The two sides of a benchmark: this package and the reference, each with the same adaptor and the same commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
REFERENCE = "openjd-adaptor-runtime==0.9.6"
_MARK = "OPENJD_ADAPT_BENCHMARK"

#: What an adaptor's task does is in its run data.
ADAPTOR = """
import logging, re, time
{imports}
log = logging.getLogger(__name__)
PATTERN = r"^Pass %d: ([0-9]+)%% of frame"
class Bench(Adaptor):
    @property
    def integration_data_interface_version(self):
        return SemanticVersion(0, 1)
    def on_run(self, data):
        time.sleep(data.get("sleep", 0))
        for _ in range(data.get("stamps", 0)):
            time.sleep(0.05)
            log.info("at %.6f", time.time())
        for number in range(data.get("records", 0)):
            log.info("record %d", number)
        if "command" in data:
            patterns = [PATTERN % n for n in range(data.get("callbacks", 0))]
            handler = RegexHandler([RegexCallback([re.compile(pattern)], print) for pattern in patterns])
            with LoggingSubprocess(args=data["command"], stdout_handler=handler):
                pass
        if "watched" in data:
            watching = Watching({{}})
            with LoggingSubprocess(args=data["watched"], stdout_handler=watching.line_handler):
                pass
        if "marker" in data:
            open(data["marker"], "w").close()
"""
#: The same patterns as declarations, and what the reference has in their place.
WATCHING = {
    "ours": """
class Watching(Bench):
    watch = [Warn(PATTERN % n) for n in range(50)]
""",
    "reference": """
class Watching:
    def __init__(self, init_data):
        self.line_handler = RegexHandler([RegexCallback([re.compile(PATTERN % n)], print) for n in range(50)])
""",
}
NAMES = {
    "ours": ("openjd_adapt", "openjd_adapt", "openjd_adapt", "openjd_adapt"),
    "reference": tuple("openjd.adaptor_runtime" + part for part in ("", ".adaptors", ".app_handlers", ".process")),
}
IMPORTS = """from {1} import Adaptor, SemanticVersion
from {2} import RegexCallback, RegexHandler
from {3} import LoggingSubprocess"""
EXTRA = {"ours": "\nfrom openjd_adapt import Warn", "reference": ""}


class Side:
    """One of the two packages."""

    def __init__(self, name: str, python: str, folder: Path) -> None:
        self.name = name
        self.python = python
        self.home = folder / name
        package = self.home / "Bench"
        package.mkdir(parents=True)
        names = NAMES[name]
        (package / "__init__.py").write_text(
            ADAPTOR.format(imports=IMPORTS.format(*names) + EXTRA[name]) + WATCHING[name]
        )
        (package / "__main__.py").write_text(
            "from %s import EntryPoint\nfrom . import Bench\nEntryPoint(Bench).start()\n" % names[0]
        )
        (package / "Bench.json").write_text('{"log_level": "INFO"}')
        self.entry_point = "from %s import EntryPoint" % names[0]
        path = [str(self.home), str(ROOT)] if name == "ours" else [str(self.home)]
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "PYTHONPATH": os.pathsep.join(path),
            _MARK: str(self.home),
        }
        self.file = ("--connection-file", str(self.home / "connection.json"))
        #: The seconds of whole commands without anything to do, for what is measured net of them.
        self.empty: dict = {}

    def command(self, *arguments: str) -> list:
        return [self.python, "-m", "Bench", *arguments]

    def popen(self, command: list, **options) -> subprocess.Popen:
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, **options}
        return subprocess.Popen(command, env=self.env, cwd=str(self.home), **options)

    def seconds(self, *arguments: str) -> float:
        """How long a command takes; its output is thrown away."""
        begin = time.perf_counter()
        code = self.popen(self.command(*arguments), stdout=subprocess.DEVNULL).wait()
        seconds = time.perf_counter() - begin
        assert code == 0, (self.name, arguments, code)
        return seconds

    def bare(self) -> float:
        """How long the same Python takes for nothing."""
        begin = time.perf_counter()
        self.popen([self.python, "-c", "pass"]).communicate()
        return time.perf_counter() - begin

    def lines(self, *arguments: str) -> tuple:
        """How long a command takes whose output a program in C reads, and how many lines that has got."""
        begin = time.perf_counter()
        with self.popen(self.command(*arguments)) as process:
            counted = subprocess.check_output(["wc", "-l"], stdin=process.stdout)
        assert process.returncode == 0, (self.name, arguments)
        return time.perf_counter() - begin, int(counted)

    def run(self, **data) -> tuple:
        return ("run", "--init-data", "{}", "--run-data", json.dumps(data))

    def task(self, **data) -> tuple:
        return ("daemon", "run", *self.file, "--run-data", json.dumps(data))

    def start(self) -> float:
        return self.seconds("daemon", "start", *self.file, "--init-data", "{}")

    def stop(self) -> float:
        seconds = self.seconds("daemon", "stop", *self.file)
        end = time.monotonic() + 20
        while self.pids() and time.monotonic() < end:
            time.sleep(0.01)
        Path(self.file[1]).unlink(missing_ok=True)  # the reference may leave it
        return seconds

    def pids(self) -> list:
        """The processes of this side."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and ("%s=%s" % (_MARK, self.home)).encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def memory(self, spare: int = 0) -> int:
        """The bytes of memory that the processes of this side, but for ``spare``, take: Pss, where a page that several
        processes share counts for each of them by its part."""
        total = 0
        for pid in self.pids():
            if pid != spare:
                for line in Path("/proc/%d/smaps_rollup" % pid).read_text().splitlines():
                    total += int(line.split()[1]) * 1024 if line.startswith("Pss:") else 0
        return total

    def script(self, name: str, *arguments: str) -> dict:
        """What a script of this folder, which measures within one process, has found."""
        command = [self.python, str(ROOT / "tests" / "benchmarks" / (name + ".py")), self.name, *arguments]
        out = subprocess.check_output(command, env=self.env, stderr=subprocess.DEVNULL)
        return json.loads(out.decode().splitlines()[-1])


def make_reference(folder: Path) -> str:
    """A virtual environment with the reference; returns its Python."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = str(folder / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", REFERENCE], check=True)
    return python
