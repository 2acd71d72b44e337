"""What ``new`` writes works as it is: its tests pass, its session runs, its template is accepted and runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest

from openjd_adapt import InputError, __version__, cli
from openjd_adapt.app import App
from openjd_adapt.authoring import scaffold

from .conftest import ROOT, root_only, small_disk, tool

KINDS = list(scaffold.KINDS)
TEMPLATES = ROOT / "openjd_adapt" / "authoring" / "templates"


@pytest.fixture
def new(farm):
    """Runs the command ``new`` in a farm's folder."""
    farm.command = lambda *arguments: [*farm.python, "-m", "openjd_adapt", "new", *arguments]
    farm.env["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    farm.env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # who begins has pytest alone, and that starts much sooner
    return farm


def run(farm, *command, check=True):
    """Run a command of an author's in the farm's folder."""
    done = subprocess.run(
        command, cwd=str(farm.folder), env=farm.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
    )
    assert not check or done.returncode == 0, done.stdout
    return done.stdout


def commands_of(done):
    """The commands that are printed for what comes next: session, tests, openjd, template."""
    return [line.strip() for line in done.lines if line.startswith("    ")]


FRAMES = ["0001.txt", "0002.txt", "0003.txt"]


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.posix_only  # a shell
@pytest.mark.parametrize(
    "kind", ["application", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("command", "prompt"))]
)
def test_what_was_written_works_by_the_commands_that_it_names(new, kind):
    done = new("my_render", "--kind", kind)
    assert done.code == 0 and done.err == "", done
    session, tests, openjd, renewed, *_ = commands_of(done)
    run(new, "bash", "-c", session)
    assert [path.name for path in sorted((new.folder / "renders").iterdir())] == FRAMES
    passed = run(new, "bash", "-c", tests + " -q -p no:cacheprovider")
    assert " passed" in passed and " skipped" not in passed and " failed" not in passed
    template = new.folder / "my_render" / "job.template.yaml"
    written = template.read_text()
    run(new, "bash", "-c", renewed)
    assert template.read_text() == written


@pytest.mark.posix_only  # a shell
@pytest.mark.parametrize("kind", KINDS)
def test_the_job_template_is_accepted_and_renders_three_frames_by_the_command_that_is_named(new, kind):
    tool("openjd")
    _, _, openjd, *_ = commands_of(new("my_render", "--kind", kind))
    run(new, "bash", "-c", "openjd check my_render/job.template.yaml && " + openjd)
    assert sorted(os.listdir(str(new.folder / "renders"))) == FRAMES


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_passes_the_checks_that_this_project_has_for_itself(new, kind):
    ruff = tool("ruff")
    new("my_render", "--kind", kind)
    rules = ["--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    run(new, ruff, "check", *rules, "--ignore", "I001", "my_render")  # what is first-party is known here only
    run(new, ruff, "format", "--check", *rules, "my_render")


#: Names that the written code has for something else.
NAMES = ["render", "session", "data", "package", "fake_application", "entry_point"]
# Runs one command of each of these packages.
EACH = """
import importlib, sys
word, *names = sys.argv[1:]
for name in names:
    sys.argv[1:] = [word]
    try:
        importlib.import_module(name + ".__main__").main()
    except SystemExit as end:
        assert not end.code, end
"""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.once
def test_a_name_that_the_written_code_has_for_something_else_works_too(new, kind):
    for name in NAMES:
        scaffold._check(str(new.folder), name)
        scaffold._write(str(new.folder / name), scaffold.contents(str(new.folder), name, kind))
    tests = [sys.executable, "-m", "pytest", *NAMES, "-q", "-p", "no:cacheprovider", "-k", "refused or frame or fails"]
    assert "\n%d passed" % (3 * len(NAMES)) in run(new, *tests)
    assert run(new, sys.executable, "-c", EACH, "--help", *NAMES).count("usage: ") == len(NAMES)


def test_no_class_has_the_name_of_another_one_in_the_written_code():
    text = "\n".join(path.read_text() for path in TEMPLATES.rglob("*.py"))
    others = set(re.findall(r"(?<=class )[A-Z]\w+", text))
    for names in re.findall(r"^from [\w.]+ import (.*)$", text, re.MULTILINE):
        others |= set(names.split(", "))
    assert len(others) > 5 and others - {"MyRender"} == scaffold._TAKEN


@pytest.mark.posix_only  # a shell
@pytest.mark.long  # pip
@pytest.mark.timeout(300)
def test_each_kind_is_installed_by_pip_and_runs_by_its_console_script(new, tmp_path):
    openjd = tool("openjd")
    place = tmp_path / "environment"
    run(new, sys.executable, "-m", "venv", str(place))
    [site] = place.glob("lib/*/site-packages")
    (site / "toolkit.pth").write_text(str(ROOT))
    for kind in KINDS:
        new("one_" + kind, "--kind", kind)
    del new.env["PYTHONPATH"]
    pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps"]
    run(new, *pip, *("./one_" + kind for kind in KINDS))
    for kind in KINDS:
        shutil.rmtree(str(new.folder / ("one_" + kind)))
        command = str(place / "bin" / ("one-%s-openjd" % kind))
        (new.folder / "job.yaml").write_text(run(new, command, "template"))
        scene = [] if kind == "command" else ["-p", "Scene=my.scene"]
        run(new, openjd, "run", "job.yaml", *scene, "-p", "Output=%s/%s-####.txt" % (new.folder, kind))
    made = sorted(path.name for path in new.folder.glob("*.txt"))
    assert made == ["%s-%s" % (kind, frame) for kind in sorted(KINDS) for frame in FRAMES]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.once
def test_a_vendored_toolkit_writes_imports_of_its_own_name(monkeypatch, kind):
    monkeypatch.setattr(scaffold, "_TOOLKIT", "studio._vendor.toolkit")
    written = scaffold.contents("/farm", "my_render", kind)
    assert "dependencies = []\n" in written["pyproject.toml"]
    for path, text in written.items():
        if path.endswith(".py"):
            assert "openjd_adapt" not in text and ("toolkit" in text or path in ("program.py", "tests/__init__.py")), (
                path
            )
            # An application finds the toolkit by its last name: its folder is on the path there.
            assert ("from toolkit.client import Client" in text) == (path == "client.py"), path


@pytest.mark.posix_only
@pytest.mark.long
def test_what_a_vendored_toolkit_has_written_works_with_it(new):
    copy = {"ignore": shutil.ignore_patterns("__pycache__")}
    shutil.copytree(str(ROOT / "openjd_adapt"), str(new.folder / "studio" / "_vendor" / "toolkit"), **copy)
    del new.env["PYTHONPATH"]
    python = [sys.executable, "-m"]
    run(new, *python, "studio._vendor.toolkit", "new", "my_render", "--kind", "application")
    run(new, *python, "my_render", "session", "--init-data", "file://my_render/init_data.json", "--each", "frame=1-3")
    assert sorted(os.listdir(str(new.folder / "renders"))) == FRAMES
    run(new, *python, "pytest", "my_render", "-q", "-p", "no:cacheprovider")


def test_nothing_is_overwritten(new):
    (new.folder / "my_render").mkdir()
    (new.folder / "my_render" / "__init__.py").write_text("mine")
    done = new("my_render")
    assert done.code == 2 and "is there already; nothing was written" in done.err and done.out == ""
    assert done.err.count("\n") == 1
    assert files(new.folder) == {"my_render/__init__.py".replace("/", os.sep): b"mine"}


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["json"], "there is a module json already, which a package of that name would hide; json_adaptor would do"),
        (["My-Render"], "'My-Render' cannot be a package; use up to 64 lower case letters, "),
        (["MyRender"], "such as my_render"),
        (["a" * 65], "such as " + "a" * 64),
        (["class"], "'class' cannot be a package; "),
        (["none"], "such as none_adaptor"),
        (["3dsmax"], "such as my_3dsmax"),
        (["nowhere/my_render"], "there is no such folder"),
        ([], "new: give a NAME (see new --help)"),
        (["x", "--kind", "other"], "new: --kind: 'other' is none of: command, application, prompt"),
    ],
)
def test_what_cannot_be_written_is_refused_in_one_line(tmp_path, monkeypatch, capfd, arguments, complaint):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        app = App("ADAPTOR", None, [], has_adaptor=False)
        command, options = cli.read(app, ["new", *arguments])
        command.act(app, options)
    assert complaint in str(caught.value) and "\n" not in str(caught.value)
    assert files(tmp_path) == {} and capfd.readouterr() == ("", "")


def test_a_path_names_the_folder_and_the_package(new):
    (new.folder / "tools").mkdir()
    assert new("tools/my_tool").code == 0
    text = (new.folder / "tools" / "my_tool" / "__init__.py").read_text()
    assert "class MyTool(CommandAdaptor)" in text


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_the_templates_own_names_is_left(kind):
    for path, text in scaffold.contents("/farm", "tool", kind).items():
        assert not re.search("my[-_]?render", path + text, re.IGNORECASE), path


@pytest.mark.parametrize("kind", KINDS)
def test_the_templates_are_what_is_written_by_their_own_name(kind):
    written = scaffold.contents("/farm", "my_render", kind)
    del written["job.template.yaml"]
    written["pyproject.toml"] = written["pyproject.toml"].replace("~=" + __version__, "")
    assert sorted(written.values()) == sorted((TEMPLATES / path).read_text() for path in scaffold.KINDS[kind])


def test_every_template_is_of_some_kind_and_none_is_a_test_of_this_project():
    found = {path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*") if path.is_file()}
    assert {path for path in found if not path.endswith(".pyc")} == set().union(*scaffold.KINDS.values())
    assert [path for path in found if re.search(r"(^|/)test_|_test\.py$", path)] == []


def test_templates_that_git_has_given_windows_line_ends_are_written_with_one_a_line(monkeypatch):
    before = scaffold.contents("/farm", "my_render", "command")
    read = scaffold.read_text
    monkeypatch.setattr(scaffold, "read_text", lambda *place: read(*place).replace("\n", "\r\n"))
    assert scaffold.contents("/farm", "my_render", "command") == before


def test_a_folder_that_standard_output_could_not_name_is_named_all_the_same(new):
    (new.folder / "dé").mkdir()
    new.env["PYTHONIOENCODING"] = "ascii"
    done = new("dé/my_render")
    assert done.code == 0 and done.err == "" and "dé" in done.out and commands_of(done)


@root_only
@pytest.mark.posix_only
def test_a_full_disk_leaves_nothing_of_it(new):
    with small_disk(new.folder / "tiny", 8 * 1024) as folder:
        done = new("tiny/my_render")
        assert done.code == 2 and "No space left on device; nothing was written" in done.err
        assert os.listdir(str(folder)) == []


def test_every_file_is_of_the_kind_that_was_asked_for():
    for kind in KINDS:
        written = scaffold.contents("/farm", "my_render", kind)
        assert ("client.py" in written) == (kind == "application") != ("program.py" in written)
        assert "tests/test_my_render.py" in written and "MyRender.json" in written
