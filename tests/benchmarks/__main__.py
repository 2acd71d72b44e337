"""Measures this package beside the reference, openjd-adaptor-runtime, in one run; the two alternate.

    python -m tests.benchmarks [--rounds N] [--reference PYTHON]

PYTHON is a Python that has the reference; without it a virtual environment is made. Prints seconds: median, minimum and
maximum of each, the ratio of the medians, and the floor (a bare start of the interpreter).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
REFERENCE = "openjd-adaptor-runtime==0.9.6"
LINES = 40
#: How often a script repeats what it measures.
COUNTS = {"actions": 100, "data": 5}

ADAPTOR = """
import logging, time
{imports}
log = logging.getLogger(__name__)
class Noop(Adaptor):
    @property
    def integration_data_interface_version(self):
        return SemanticVersion(0, 1)
    def on_run(self, run_data):
        for _ in range(run_data.get("lines", 0)):
            time.sleep(0.05)
            log.info("at %.6f", time.time())
"""
IMPORTS = {
    "ours": ("from openjd_adapt import Adaptor, SemanticVersion", "from openjd_adapt import EntryPoint"),
    "reference": (
        "from openjd.adaptor_runtime.adaptors import Adaptor, SemanticVersion",
        "from openjd.adaptor_runtime import EntryPoint",
    ),
}


class Side:
    """One of the two packages: the same adaptor, the same commands."""

    def __init__(self, name: str, python: str, folder: Path) -> None:
        self.name = name
        self.python = python
        self.home = folder / name
        package = self.home / "Noop"
        package.mkdir(parents=True)
        adaptor, entry = IMPORTS[name]
        (package / "__init__.py").write_text(ADAPTOR.format(imports=adaptor))
        (package / "__main__.py").write_text("%s\nfrom . import Noop\nEntryPoint(Noop).start()\n" % entry)
        (package / "Noop.json").write_text('{"log_level": "INFO"}')
        path = [str(self.home), str(ROOT)] if name == "ours" else [str(self.home)]
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "PYTHONPATH": os.pathsep.join(path)}
        self.file = self.home / "connection.json"
        self.times: dict = {}

    def call(self, *arguments: str) -> float:
        begin = time.perf_counter()
        subprocess.run(
            [self.python, "-m", "Noop", *arguments],
            env=self.env,
            cwd=str(self.home),
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return time.perf_counter() - begin

    def note(self, what: str, seconds: float) -> None:
        self.times.setdefault(what, []).append(seconds)

    def round(self) -> None:
        begin = time.perf_counter()
        subprocess.run([self.python, "-c", ""], env=self.env, check=True)
        self.note("(floor) bare interpreter", time.perf_counter() - begin)
        self.note("run, no-op", self.call("run", "--init-data", "{}", "--run-data", "{}"))
        file = ("--connection-file", str(self.file))
        self.note("daemon start, no-op", self.call("daemon", "start", *file, "--init-data", "{}"))
        for _ in range(3):
            self.note("daemon run, no-op", self.call("daemon", "run", *file, "--run-data", "{}"))
        for seconds in self.latencies(file):
            self.note("latency of a log line", seconds)
        self.note("daemon stop", self.call("daemon", "stop", *file))
        for script in ("actions", "data"):
            for what, times in self.script(script).items():
                self.times.setdefault(what, []).extend(times)
        if self.file.exists():
            self.file.unlink()

    def latencies(self, file: tuple) -> list:
        command = [self.python, "-m", "Noop", "daemon", "run", *file, "--run-data", '{"lines": %d}' % LINES]
        with subprocess.Popen(command, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            found = []
            for line in process.stdout:
                if b" at " in line:
                    found.append(time.time() - float(line.rpartition(b" ")[2]))
        assert process.returncode == 0 and len(found) == LINES, (process.returncode, len(found))
        return found

    def script(self, name: str) -> dict:
        """The times that a script of this folder measures within one process."""
        command = [self.python, str(ROOT / "tests" / "benchmarks" / (name + ".py")), self.name, str(COUNTS[name])]
        out = subprocess.check_output(command, env=self.env, stderr=subprocess.DEVNULL)
        return json.loads(out.decode().splitlines()[-1])


def make_reference(folder: Path) -> str:
    """A virtual environment with the reference; returns its Python."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = str(folder / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", REFERENCE], check=True)
    return python


def show(ours: Side, reference: Side) -> None:
    print("%-36s %26s %26s %7s" % ("milliseconds", "ours: median min max", "reference: median min max", "ratio"))
    for what, mine in ours.times.items():
        theirs = reference.times.get(what)
        row = "%-36s %s" % (what, _cell(mine))
        if theirs:
            row += " %s %6.1fx" % (_cell(theirs), statistics.median(theirs) / statistics.median(mine))
        print(row)


def _cell(times: list) -> str:
    return "%8.2f %8.2f %8.2f" % (1e3 * statistics.median(times), 1e3 * min(times), 1e3 * max(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--reference", metavar="PYTHON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="openjd_adapt-bench-") as name:
        folder = Path(name)
        python = options.reference or make_reference(folder / "venv")
        ours, reference = Side("ours", sys.executable, folder), Side("reference", python, folder)
        for _ in range(options.rounds):
            for side in (ours, reference):
                side.round()
        show(ours, reference)


if __name__ == "__main__":
    main()
