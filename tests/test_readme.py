"""What the README says: its commands work, its code runs, its tables are complete."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from openjd_adapt import ApplicationAdaptor, Fatal, Progress, commands
from openjd_adapt.authoring import scaffold

from .conftest import ROOT, tool

pytestmark = pytest.mark.once

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", TEXT, re.S)
#: The blocks that no test here runs, by how they begin, and what does.
ELSEWHERE = {
    'python -m pip install --quiet ".[test]"': "CI runs it in a fresh clone; it is what runs these tests",
    ".ci/run": "it is CI",
    "python -m openjd_adapt compat -- blender-openjd": "test_published.py runs it, with more options",
    "python -m pip wheel": "test_distribution.py runs it",
}


def is_elsewhere(block):
    return any(block.startswith(begin) for begin in ELSEWHERE)


HERE = [block for block in BLOCKS if not is_elsewhere(block)]


def test_every_command_is_run_here_or_elsewhere():
    assert len(BLOCKS) - len(HERE) == len(ELSEWHERE)
    for name in ("test_published.py", "test_distribution.py"):
        assert (ROOT / "tests" / name).exists()


@pytest.fixture
def clone(tmp_path):
    """A copy of this project without anything that was made in it, where ``python`` is the Python of the tests."""
    folder = tmp_path / "clone"
    for name in ("openjd_adapt", "examples"):
        shutil.copytree(str(ROOT / name), str(folder / name), ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "bin").mkdir()
    (folder / "bin" / "python").write_text('#!/bin/sh\nexec "%s" "$@"\n' % sys.executable)
    (folder / "bin" / "python").chmod(0o755)
    return folder


NEW = next(block for block in HERE if " new " in block)
RENEW = next(block for block in HERE if "my_render template" in block)


@pytest.mark.posix_only
@pytest.mark.parametrize(
    "block",
    # What all but the first do is proved by others, too: of examples, scaffold, package and archive.
    [HERE[0], *(pytest.param(block, marks=pytest.mark.long) for block in HERE[1:])],
    ids=range(len(HERE)),
)
def test_its_commands_work_in_a_clone(farm, clone, block):
    if block == RENEW:
        run(farm, clone, NEW.splitlines()[0])
    run(farm, clone, block)


def test_its_commands_for_a_new_adaptor_are_those_that_are_printed_when_it_is_written():
    """And that those work, test_scaffold.py shows."""
    begin, *commands = [*NEW.splitlines(), *RENEW.splitlines()]
    assert begin == "python -m openjd_adapt new my_render --kind application"
    init_data = json.loads(scaffold.contents("/farm", "my_render", "application")["init_data.json"])
    parameters = " ".join("-p %s=%s" % (key.capitalize(), value) for key, value in init_data.items())
    facts = {"name": "my_render", "folder": "", "parameters": parameters, "script": "my-render-openjd"}
    printed = (scaffold.NEXT % facts).splitlines()
    assert [line for line in commands if "    " + line not in printed] == ["openjd check my_render/job.template.yaml"]


def run(farm, clone, block):
    if re.search(r"\bopenjd (run|check) ", block):
        tool("openjd")
    path = os.pathsep.join([str(clone / "bin"), os.path.dirname(sys.executable), os.environ["PATH"]])
    env = {**farm.env, "PATH": path}
    del env["PYTHONPATH"], env["PYTHONDONTWRITEBYTECODE"]
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=str(clone),
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout.decode()
    made = sorted(path.name for path in (clone / "renders").glob("*"))
    if "session" in block or "openjd run" in block:
        assert len(made) % 3 == 0 and made, made


@pytest.mark.posix_only
@pytest.mark.skipif(sys.version_info < (3, 9), reason="the README's Python code is checked once")
def test_its_adaptor_runs(farm):
    code = re.search(r"```python\n(.*?)```", TEXT, re.S).group(1)
    (farm.folder / "hello.py").write_text(code, encoding="utf-8")
    farm.adaptor = str(farm.folder / "hello.py")
    done = farm("session", "--init-data", '{"scene": "a.blend"}', "--each", "frame=1")
    assert done.code == 0, done


def test_its_test_of_an_adaptor_passes():
    """The adaptor that it tests is the one that is shown before."""
    code = next(code for code in re.findall(r"```py\n(.*?)```", TEXT, re.S) if "FakeApplication" in code)

    class Blender(ApplicationAdaptor):
        watch = [Progress(r"Sample (\d+)/(\d+)"), Fatal(r"^(Error: .*)")]

        def get_command(self):
            return ["blender"]

        def on_ready(self):
            self.app.call("open_scene", path=self.map_path(self.init_data["scene_file"]))

        def on_run(self, run_data):
            self.app.call("render", frame=run_data["frame"])

    names = {"Blender": Blender}
    exec(code, names)
    names["test_a_frame_is_rendered"]()


def test_every_option_and_command_stands_in_it():
    for option in set().union(*(command.options for command in commands.COMMANDS.values())):
        assert "`%s" % option in TEXT, option
    for command in commands.COMMANDS:
        assert "| `%s` |" % command in TEXT, command
    assert "--kind" in TEXT


def test_it_has_less_than_600_lines():
    assert TEXT.count("\n") < 600


def test_its_links_lead_somewhere():
    anchors = {
        re.sub(r"[^a-z0-9 -]", "", head.lower()).replace(" ", "-") for head in re.findall(r"^## (.*)", TEXT, re.M)
    }
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        elif not target.startswith("https://"):
            assert (ROOT / target).exists(), target


def is_marked_long(mark):
    """Whether a decorator, or one of ``pytestmark``, marks all of a test as long: not just some of its parameters."""
    return ast.dump(mark) == ast.dump(ast.parse("pytest.mark.long", mode="eval").body)


def forms_in(text):
    """The name of each test function in a module, and whether all of its forms are long."""
    tree = ast.parse(text)
    marks = []
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "pytestmark":
            marks = getattr(node.value, "elts", [node.value])
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node.name, any(map(is_marked_long, [*marks, *node.decorator_list]))


def forms_of(names):
    """For each of these names of a test function: of each that has it, whether all of its forms are long."""
    found = {}
    for path in (ROOT / "tests").glob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        if any(name in text for name in names):
            for name, is_long in forms_in(text):
                found.setdefault(name, []).append(is_long)
    return found


def test_every_row_of_a_table_of_behaviour_names_a_test_that_is_there_and_not_only_long():
    promised = []
    for section, least in (("## What happens when", 30), ("## Move an adaptor", 15)):
        table = TEXT.partition(section)[2].partition("\n## ")[0]
        rows = re.findall(r"^\| .* \| `…(\w+)` \|$", table, re.M)
        assert len(rows) == table.count("\n| ") - 1 > least
        promised += ["test_" + name for name in rows]
    tests = forms_of(promised)
    assert [name for name in promised if name not in tests] == []
    assert [name for name in promised if all(tests[name])] == []  # what is promised is proved in the default run
