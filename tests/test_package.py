"""What must stay true of the package as a whole: layers, imports, size, what is loaded when."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys

import pytest

import openjd_adapt
from openjd_adapt import system

from .conftest import HANG_SECONDS, ROOT

PACKAGE = ROOT / "openjd_adapt"
MODULES = sorted(path for path in PACKAGE.glob("*.py"))

# The house, from the roof down; a module imports only from lines below its own.
LAYERS = """
    __main__ entry_point
    cli
    command_line
    commands
    app
    authoring stand_in testing scaffold
    fake_application
    template scaffold_texts
    frontend
    front posix_launch windows_launch
    guardian posix_keeper
    keeper
    worker
    lifecycle
    application_adaptor
    adaptor
    application managed
    prompt
    patience
    process
    stream_logger
    meter watcher
    watch
    ladder
    server
    interface
    client
    lines
    output
    config
    validators
    data
    desk
    reception ear
    loop
    plan
    spool
    channel
    address
    peer
    handshake actions
    wire
    archive
    task bootstrap session vigil private_folder
    messages paths versions ranges schema yaml
    dialects scanner
    items scalars
    applicators
    keywords
    faults formats
    patterns needles
    plain_json
    system
    posix_worker posix_endpoint windows_worker windows_endpoint
    posix_streams posix_files posix_tree posix_ledger windows_streams windows_files windows_tree
    posix posix_children windows
    win32 posix_signal
    interpreter errors
    __init__
"""
RANK = {name: -rank for rank, line in enumerate(LAYERS.split("\n")) for name in line.split()}

# Each costs 3 to 16 ms of an interpreter start of 11; DESIGN keeps them off the path of ``daemon run``.
COSTLY = {"argparse", "hmac", "logging", "subprocess", "typing", "tempfile", "dataclasses", "selectors", "socket"}


def imports(path):
    """(level, module or name) of every import that is executed, wherever it stands."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for_types.update(id(inner) for inner in ast.walk(node))
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield 0, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.level, node.module
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.level, "__init__" if alias.name == "__version__" else alias.name


def test_every_module_has_its_place():
    assert {path.stem for path in MODULES} == set(RANK)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_imports_relatively_and_downward(path):
    for level, name in imports(path):
        if level:
            assert level == 1 and RANK[name] < RANK[path.stem], "%s imports %s" % (path.stem, name)
        else:
            assert name.split(".")[0] != "openjd_adapt"


@pytest.mark.skipif(sys.version_info < (3, 10), reason="sys.stdlib_module_names is of Python 3.10")
def test_only_the_standard_library_is_imported():
    for path in MODULES:
        for level, name in imports(path):
            assert level or name.split(".")[0] in sys.stdlib_module_names, "%s imports %s" % (path.stem, name)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_says_in_one_sentence_what_it_is(path):
    assert re.match(r"[^\n]{20,118}[.:]\n?", ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "")


def test_only_the_system_modules_know_the_operating_system():
    for path in MODULES:
        if path.stem not in ("system", "win32") and not path.stem.startswith(("posix", "windows")):
            text = path.read_text(encoding="utf-8").replace('assert sys.platform != "win32"  # for type checkers', "")
            assert not re.search(r"os\.name\b|win32|\bnt\b", text), path


SYSTEMS = {
    name: {word for part in parts for word in importlib.import_module("openjd_adapt." + part).__all__}
    for name, parts in {
        "posix": [
            "posix",
            "posix_children",
            "posix_endpoint",
            "posix_files",
            "posix_ledger",
            "posix_streams",
            "posix_tree",
            "posix_worker",
        ],
        "windows": [
            "windows",
            "windows_endpoint",
            "windows_files",
            "windows_streams",
            "windows_tree",
            "windows_worker",
        ],
    }.items()
    if name == "windows" or sys.platform != "win32"
}


@pytest.mark.skipif(sys.platform == "win32", reason="the modules of Linux and macOS cannot be loaded here")
def test_the_tables_of_the_system_module_are_what_its_modules_have():
    common, forked, fresh = (
        set(re.findall(r"^``(\w+)``", part, re.M)) for part in system.__doc__.split("\nOnly where ")
    )
    assert SYSTEMS["posix"] == common | forked
    assert SYSTEMS["windows"] == common | fresh
    assert not forked & fresh


def test_public_names_have_docstrings_and_are_loaded_on_first_use():
    for name in openjd_adapt.__all__:
        value = getattr(openjd_adapt, name)
        assert isinstance(value, int) or value.__doc__, name
    assert set(openjd_adapt.__all__) <= set(dir(openjd_adapt))
    with pytest.raises(AttributeError, match="has no attribute 'Missing'"):
        _ = openjd_adapt.Missing


def test_importing_the_package_imports_nothing_else_and_does_nothing():
    program = (
        "import sys, signal; before = set(sys.modules); import openjd_adapt; "
        "print(sorted(set(sys.modules) - before), signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)"
    )
    out = subprocess.check_output([sys.executable, "-c", program], cwd=str(ROOT))
    assert out.decode().split("]")[0].replace("'__future__', ", "") == "['openjd_adapt'"
    assert b"True" in out


def test_what_an_adaptors_module_imports_loads_none_of_the_costly_modules():
    names = "Adaptor, CommandAdaptor, ApplicationAdaptor, ManagedProcess, EntryPoint, SemanticVersion, Progress, Fatal"
    program = (
        "import sys; before = set(sys.modules); from openjd_adapt import %s; "
        "print(*sorted(name for name in sys.modules if name not in before))" % names
    )
    loaded = set(subprocess.check_output([sys.executable, "-c", program], cwd=str(ROOT)).decode().split())
    assert loaded & (COSTLY | {"json", "threading"}) == set()
    assert {name for name in loaded if name.startswith("openjd_adapt.")} == {
        "openjd_adapt." + name
        for name in (
            "adaptor",
            "application_adaptor",
            "entry_point",
            "errors",
            "ladder",
            "managed",
            "versions",
            "watch",
        )
    }


@pytest.mark.posix_only
def test_daemon_run_loads_none_of_the_costly_modules(started):
    command = started.command("daemon", "run", "--connection-file", str(started.file))
    command[1:1] = ["-X", "importtime"]
    done = subprocess.run(command, env=started.env, stderr=subprocess.PIPE, timeout=HANG_SECONDS, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.decode().splitlines()}
    bare = subprocess.run([sys.executable, "-X", "importtime", "-m", "__future__"], stderr=subprocess.PIPE, check=True)
    site = {line.rpartition("|")[2].strip() for line in bare.stderr.decode().splitlines()}
    assert loaded & ((COSTLY | {"enum", "json", "re", "signal", "threading"}) - site) == set()
    assert "probe" not in loaded  # the adaptor is the worker's


@pytest.mark.posix_only
def test_the_top_level_is_the_cards():
    out = subprocess.check_output(["git", "ls-files"], cwd=str(ROOT)).decode()
    top = {line.split("/")[0] for line in out.splitlines()}
    assert {name for name in top if not name.startswith(".")} == {
        "pyproject.toml",
        "openjd_adapt",
        "tests",
        "examples",
        "README.md",
    }


def test_the_package_works_under_another_name_and_parent(farm):
    import shutil

    target = farm.folder / "studio" / "_vendor" / "toolkit"
    ignored = shutil.ignore_patterns("__pycache__")
    # Wine has no CopyFile2, which Python 3.13 copies by.
    shutil.copytree(str(PACKAGE), str(target), ignore=ignored, copy_function=shutil.copyfile)
    (farm.folder / "mine.py").write_text(
        "from studio._vendor.toolkit import Adaptor\n"
        "class Mine(Adaptor):\n"
        "    def on_run(self, run_data): print('vendored')\n"
    )
    farm.env["PYTHONPATH"] = str(farm.folder)
    for words in (["start"], ["run"], ["stop"]):
        command = [sys.executable, "-m", "studio._vendor.toolkit", "--adaptor", "mine:Mine", "daemon", *words]
        done = subprocess.run(
            [*command, "--connection-file", str(farm.file)],
            env=farm.env,
            cwd=str(farm.folder),
            stdout=subprocess.PIPE,
            timeout=HANG_SECONDS,
        )
        assert done.returncode == 0
        assert words != ["run"] or done.stdout == b"vendored\n"
