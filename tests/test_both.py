"""The same two adaptors on the reference and here: a scheduler sees the same, but for a table of differences."""

from __future__ import annotations

import json
import os
import re
import sys

import pytest

from .conftest import ADAPTORS, ROOT
from .published import REFERENCE, needs_reference

COMPAT = str(ROOT / "openjd_adapt" / "compat")

#: What the reference writes otherwise: the pattern of a line's beginning, what stands for it here, and why.
THEIRS = {
    r"ADAPTOR_OUTPUT: ": ("", "the lines of a task are the same whether it runs in a daemon or not"),
    r"INFO: [\w-]+ version: .*": (None, "version-info says so when it is asked"),
    r"WARNING: Could not determine package version .*": (None, "an adaptor need not be a package's"),
    r"INFO: Creating empty configuration .*": (None, "nothing is written but what was asked for"),
    r"INFO: Applying user-level configuration: .*": (None, "show-config says what comes from where"),
    r"INFO: (INFO|WARNING): .*": (None, "what is told once need not be told again"),
    r"INFO: (\[|=====).*": (None, "there is no bootstrap log; all that a start writes comes as it is written"),
    r"INFO: (Initializing|Started) backend process.*": (None, "a start that goes well is told by its exit code"),
    r"INFO: (Waiting for File|Retrying in|Checking for bootstrap logs|Verifying|Connected) .*": (None, "likewise"),
    r"INFO: Running in background daemon mode.": (None, "likewise"),
    r"INFO: Daemon background process stopped.": (None, "likewise"),
    r"INFO: Running process with args: .*": (None, "init data may be secret, and are in no log"),
    r"INFO: (Asked to wait|Finished waiting) for the subprocess .*": (None, "its lines and its end tell that"),
    r"INFO: Loading '\w+' schema .*": (None, "only a schema that is wrong is worth a line"),
    r"INFO: Running command: ": ("INFO: Running: ", "other words"),
    r"STDOUT: Performing action: ": ("STDOUT: Performing the action ", "other words"),
    r"STDOUT: Requesting Path Mapping for path .*": (None, "nobody is asked: the client has the rules"),
    r"STDOUT: Mapped path '(.*)' to '(.*)'\.": (r"STDOUT: Mapped the path \1 to \2", "other words"),
    r"openjd_env: .*": (None, "the value is a place of its own"),
    r"openjd_progress: (\d+)\.0": (r"openjd_progress: \1", "a whole number is written as one"),
    r"openjd_fail: Error encountered while running adaptor: ": ("openjd_fail: ", "the kind of the error stands there"),
    r"ERROR: Error running the adaptor: .*": (None, "openjd_fail has said so"),
    r"$": (None, "no line is empty that nobody has made so"),
}
#: The same of the lines that only this package writes.
OURS = {
    r"INFO: Running: (.*) \(pid \d+\)": (r"INFO: Running: \1", "who looks for it in ps knows it"),
    r"openjd_env: .*": (None, "as above"),
    r"openjd_fail: RuntimeError: ": ("openjd_fail: ", "as above"),
    r"ERROR: (Traceback|  |RuntimeError).*": (
        None,
        "an author's error is shown with its place",
    ),
    r"(prerun|postrun) through a daemon": (None, "what is printed through a daemon is lost on the reference"),
}
#: By adaptor: init data, tasks and their exit codes.
ADAPTOR_DATA = {
    "published": ({"scene": "/a/x"}, [({"frame": 1}, 0), ({"frame": 2, "complain": True}, 1)]),
    "published_command": ({}, [({"code": "print('frame 50%'); print('done')"}, 0)]),
}


def as_there(lines: list, table: dict, used: set) -> list:
    """Lines with the differences of a table undone; which of them were found goes into ``used``."""
    result = []
    for line in lines:
        for pattern, (replacement, _) in table.items():
            found = re.match(pattern, line)
            if found:
                used.add(pattern)
                line = None if replacement is None else found.expand(replacement) + line[found.end() :]
            if line is None:
                break
        else:
            result.append(line)
    return sorted(result, key=lambda line: line.startswith("STDERR"))  # two pipes have no order


def session(farm, package: str, module: str) -> list:
    """All lines of an adaptor's tasks, each run alone and then all in a daemon."""
    place = COMPAT if package == "ours" else REFERENCE
    farm.env["PYTHONPATH"] = os.pathsep.join([place, str(ADAPTORS)])
    farm.command = lambda *arguments: [sys.executable, "-m", module, *arguments]
    data, tasks = ADAPTOR_DATA[module]
    init = ("--init-data", json.dumps(data))
    alone = [farm("run", *init, "--run-data", json.dumps(task)) for task, _ in tasks]
    start = farm.daemon("start", *init)
    together = [farm.daemon("run", "--run-data", json.dumps(task)) for task, _ in tasks]
    stop = farm.daemon("stop")
    codes = [code for _, code in tasks]
    assert [done.code for done in [*alone, start, *together, stop]] == [*codes, 0, *codes, 0]
    lines = [line for done in alone for line in done.lines] + start.lines
    lines += [re.sub("^((pre|post)run).*", r"\1 through a daemon", line) for done in together for line in done.lines]
    return [line.replace(place, "PACKAGE") for line in [*lines, *stop.lines]]


@pytest.mark.posix_only
@needs_reference
def test_what_a_scheduler_sees_is_what_it_sees_of_the_reference_but_for_a_table_of_differences(farm, elsewhere):
    used: tuple = (set(), set())
    for module in ADAPTOR_DATA:
        there = as_there(session(elsewhere, "reference", module), THEIRS, used[0])
        here = as_there(session(farm, "ours", module), OURS, used[1])
        assert here == there and len(here) > 8
    assert (set(THEIRS) - used[0], set(OURS) - used[1]) == (set(), set())


@needs_reference
def test_scripts_that_read_the_references_versions_and_configuration_read_the_same_here(farm, elsewhere):
    read = []
    for place, path in ((elsewhere, REFERENCE), (farm, COMPAT)):
        place.env["PYTHONPATH"] = os.pathsep.join([path, str(ADAPTORS)])
        place.command = lambda *arguments: [sys.executable, "-m", "published", *arguments]
        read.append([place(word).lines for word in ("version-info", "show-config")])
    for there, here in zip(*read):
        there = [line for line in there if line and not re.match("(INFO|WARNING): ", line)]
        assert there and set(there) <= {line.partition("  # ")[0] for line in here}
