"""What must stay true of the package as a whole: layers, imports, size, what is loaded when."""

from __future__ import annotations

import ast
import functools
import glob
import os
import re
import subprocess
import sys
from pathlib import PurePath

import pytest

import openjd_adapt

from .conftest import HANG_SECONDS, ROOT, tool

pytestmark = pytest.mark.core

PACKAGE = ROOT / "openjd_adapt"
#: What stands aside: the reference's names, which import the package from outside, and texts for authors.
ASIDE = ("compat", "templates")
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if not set(ASIDE) & set(path.relative_to(PACKAGE).parts))

# The house, from the ground up: a module imports only from what is read before it. A folder stands for its modules.
# transport stands below data and config, whose bounds of output are the wire's. What a scheduler reads is in session,
# not in output, which loads logging: daemon run has no time for that.
PARTS = """
    errors plain_json
    system: interpreter win32 posix windows posix_processes windows_processes __init__
    transport: __init__ wire loop connection_file
    yaml ranges paths session data
    schema: faults keywords __init__
    config
    task output watch lines process
    client bootstrap server application
    lifecycle adaptor application_adaptor
    daemon: __init__ launch_spec spool dispatcher worker keeper guardian launch launch_windows frontend
    app testing
    authoring: __init__ template scaffold play
    commands usage cli entry_point __init__ __main__
"""
#: As many modules as a reader can hold, in all and at the top, and the longest chain of them.
MOST_MODULES, MOST_AT_THE_TOP, MOST_FLOORS = 56, 30, 12

#: What a copy for a node may be made without, each on its own, by its path in the package; what is left is the core.
LEFT_OUT = {
    "authoring/": ["authoring"],
    "testing.py": ["testing.py"],
    "compat/": ["compat"],
    "schema/": ["schema"],
    "Windows": ["system/windows.py", "system/windows_processes.py", "system/win32.py", "daemon/launch_windows.py"],
    "Linux": ["system/posix.py", "system/posix_processes.py", "daemon/launch.py", "daemon/guardian.py"],
}
#: What a farm has to read, in lines, and of that what a node of Linux has.
MOST_OF_THE_CORE, MOST_ON_LINUX = 12_380, 11_310


def places():
    """Each module, by its path in the package without the ending, in the order of the house."""
    for line in PARTS.split("\n"):
        folder, colon, names = line.strip().rpartition(":")
        yield from (folder + colon.replace(":", "/") + name for name in names.split())


PLACES = list(places())


def name_of(path):
    return path.relative_to(PACKAGE).with_suffix("").as_posix()


# Each costs 3 to 16 ms of an interpreter start of 11; DESIGN keeps them off the path of ``daemon run``.
COSTLY = {"argparse", "hmac", "logging", "subprocess", "typing", "tempfile", "dataclasses", "selectors", "socket"}


@functools.lru_cache(maxsize=None)
def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.lru_cache(maxsize=None)
def imports(path):
    """(level, module, name) of every import that is executed, wherever it stands; of ``import x`` the name is empty."""
    return list(find_imports(tree_of(path)))


def find_imports(tree):
    for_types = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for_types.update(id(inner) for inner in ast.walk(node))
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from ((0, alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.level, node.module or "", alias.name) for alias in node.names)


def own_imports(path):
    """The modules of the package that one imports: ``from .daemon import spool`` is daemon/spool."""
    for level, module, name in imports(path):
        if level:
            base = path.relative_to(PACKAGE).parts[:-level]
            whole = "/".join([*base, *filter(None, module.split(".")), name])
            part = whole.rpartition("/")[0]
            found = [
                place
                for place in (whole, whole + "/__init__", part, (part + "/__init__").lstrip("/"))
                if place in PLACES
            ]
            assert found, "%s imports %s, which is nowhere" % (path, whole)
            yield found[0]


@pytest.mark.once
def test_every_module_has_its_place():
    assert sorted(PLACES) == sorted(map(name_of, MODULES))


@pytest.mark.once
def test_each_module_imports_relatively_and_downward():
    for path in MODULES:
        own = PLACES.index(name_of(path))
        for name in own_imports(path):
            # The package's own first module has nothing but the version for those below.
            assert PLACES.index(name) < own or name == "__init__", "%s imports %s" % (name_of(path), name)
        absolute = [name for level, name, _ in imports(path) if not level and name.split(".")[0] == "openjd_adapt"]
        assert absolute == [], path


@pytest.mark.once
def test_the_house_is_no_larger_and_no_higher_than_it_should_be():
    floors = {"__init__": 1}
    for name in PLACES:
        below = [floors[other] for other in own_imports(PACKAGE / (name + ".py")) if other != name]
        floors[name] = 1 + max(below, default=0)
    assert len(MODULES) <= MOST_MODULES and max(floors.values()) <= MOST_FLOORS
    assert sum("/" not in name for name in PLACES) <= MOST_AT_THE_TOP


def is_in(name, part):
    """Whether a module is of what may be left out."""
    return any(path in (name + ".py", name.split("/")[0]) for path in LEFT_OUT[part])


def lines_without(*parts):
    """The lines of a copy that is made without some parts."""
    kept = [path for path in MODULES if not any(is_in(name_of(path), part) for part in parts)]
    return sum(path.read_bytes().count(b"\n") for path in kept)


@pytest.mark.once
def test_the_core_is_no_larger_than_the_readme_says():
    core = ("authoring/", "testing.py", "compat/", "schema/")
    assert lines_without(*core) <= MOST_OF_THE_CORE and lines_without(*core, "Windows") <= MOST_ON_LINUX
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("**A smaller copy**")[2].partition("What asks")[0]
    assert re.findall(r"\d+,\d+", text) == [f"{most:,}" for most in (MOST_OF_THE_CORE, MOST_ON_LINUX)]
    assert {*re.findall(r"`([^` ]+(?:/|\.py))`", text)} == {*core, *LEFT_OUT["Windows"], *LEFT_OUT["Linux"]}


@pytest.mark.once
def test_only_these_modules_ask_for_what_may_be_left_out():
    """The modules of a system are asked for on it alone, and of the rest test_copies shows what is said."""
    asked = {(name_of(path), name) for path in MODULES for name in own_imports(path)}
    assert {
        (name, part) for name, other in asked for part in LEFT_OUT if is_in(other, part) and not is_in(name, part)
    } == {
        ("authoring/scaffold", "schema/"),
        ("cli", "Windows"),
        ("commands", "authoring/"),
        ("config", "schema/"),
        ("usage", "authoring/"),
        ("daemon/frontend", "Linux"),
        ("daemon/frontend", "Windows"),
        ("system/__init__", "Linux"),
        ("system/__init__", "Windows"),
    }


@pytest.mark.skipif(sys.version_info < (3, 10), reason="sys.stdlib_module_names is of Python 3.10")
@pytest.mark.once
def test_only_the_standard_library_is_imported():
    for path in MODULES:
        for level, name, _ in imports(path):
            assert level or name.split(".")[0] in sys.stdlib_module_names, "%s imports %s" % (path.stem, name)


@pytest.mark.once
def test_each_module_says_in_one_sentence_what_it_is():
    for path in MODULES:
        assert re.match(r"[^\n]{20,118}[.:]\n?", ast.get_docstring(tree_of(path)) or ""), path


@pytest.mark.once
def test_only_the_system_modules_know_the_operating_system():
    for path in MODULES:
        if path.parent.name != "system":
            text = path.read_text(encoding="utf-8").replace('assert sys.platform != "win32"  # for type checkers', "")
            assert not re.search(r"os\.name\b|win32|\bnt\b", text), path


def definitions(path):
    """What a module defines: of a function its arguments, of a class its methods with theirs, of all else nothing."""
    for node in tree_of(path).body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, [argument.arg for argument in node.args.args]
        elif isinstance(node, ast.ClassDef):
            functions = [inner for inner in node.body if isinstance(inner, ast.FunctionDef)]
            yield (
                node.name,
                {
                    inner.name: [argument.arg for argument in inner.args.args]
                    for inner in functions
                    if not inner.name.startswith("_")
                },
            )
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            for target in getattr(node, "targets", None) or [node.target]:
                for name in getattr(target, "elts", [target]):
                    yield name.id, None


@pytest.mark.once
def test_both_systems_keep_the_contract_that_names_each_name_once():
    contract = ast.get_docstring(tree_of(PACKAGE / "system/__init__.py"))
    both, _, others = contract.partition("Only where")
    described = [name for row in re.findall(r"^    (\w[\w, ]*):", both, re.M) for name in row.split(", ")]
    forked, fresh = (re.findall(r"\w+", names) for names in re.findall(r": ([^.]+)\.", others))
    posix, windows = (
        {name: what for part in parts for name, what in definitions(PACKAGE / "system" / (part + ".py"))}
        for parts in (["posix", "posix_processes"], ["windows", "windows_processes"])
    )
    assert len(described) == len(set(described))
    own = set(described) - {"signal", "ensure_standard_descriptors", "wait_for_lock"}
    assert own | set(forked) <= set(posix) and own | set(fresh) <= set(windows)
    assert not set(forked) & set(windows) and not set(fresh) & set(posix)
    for name in own:
        ours, theirs = posix[name], windows[name]
        if isinstance(ours, dict):  # a class: what both have
            ours, theirs = ({key: each[key] for key in set(ours) & set(theirs)} for each in (ours, theirs))
        assert ours == theirs or None in (ours, theirs), name
    for path in MODULES:
        if "system/__init__" in own_imports(path):
            used = re.findall(r"(?<![\w.])system\.(\w+)", path.read_text(encoding="utf-8"))
            assert set(used) <= {*described, *forked, "long_path", "posix"}, path


def test_public_names_have_docstrings_and_are_loaded_on_first_use():
    for name in openjd_adapt.__all__:
        value = getattr(openjd_adapt, name)
        assert isinstance(value, int) or value.__doc__, name
    assert set(openjd_adapt.__all__) <= set(dir(openjd_adapt))
    with pytest.raises(AttributeError, match="has no attribute 'Missing'"):
        _ = openjd_adapt.Missing


def test_what_type_checkers_are_told_are_the_public_names_from_where_they_are_loaded():
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    told = {alias.asname: node.module for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    told.update((node.target.id, "application") for node in stub.body if isinstance(node, ast.AnnAssign))
    assert told.pop("__version__") and told == openjd_adapt._MODULES
    assert openjd_adapt.__all__ == sorted(told)
    statements = re.findall(r"    from \. import ([\w, ]+)", (PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    assert ", ".join(map(str.strip, statements)).split(", ") == sorted(openjd_adapt._HOMES)


def test_importing_the_package_imports_nothing_else_and_does_nothing():
    program = (
        "import sys, signal; before = set(sys.modules); import openjd_adapt; "
        "print(sorted(set(sys.modules) - before), signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)"
    )
    out = subprocess.check_output([sys.executable, "-c", program], cwd=str(ROOT))
    assert out.decode().split("]")[0].replace("'__future__', ", "") == "['openjd_adapt'"
    assert b"True" in out


@pytest.mark.once
@pytest.mark.parametrize("version", ["2.7", "3.6"])
def test_a_python_that_is_too_old_is_told_in_one_line(tmp_path, version):
    found = glob.glob(os.path.expanduser("~/.pyenv/versions/%s.*/bin/python" % version))
    python = found[0] if found else tool("python" + version)

    def told(*words, code=2):
        process = subprocess.Popen(
            [python, "-B", *words], cwd=str(ROOT), stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
        )
        out, err = process.communicate()
        assert process.returncode == code
        return out, err.splitlines()

    line = "openjd_adapt needs Python 3.7 or newer; %s is %s." % (python, version)
    for words in (["daemon", "start"], ["--help"]):
        out, [text] = told("-m", "openjd_adapt", *words)
        assert text.startswith("ERROR: " + line)
        assert out == ("openjd_fail: %s\n" % text[7:] if "start" in words else "")
    # An application, which goes on.
    script = tmp_path / "script.py"
    script.write_text("import sys; sys.path.insert(0, %r); import openjd_adapt.client" % str(ROOT))
    assert told(str(script), code=1)[1][-1].startswith("ImportError: " + line)
    for name in ("__init__", "__main__", "bootstrap"):
        code = "compile(open('openjd_adapt/%s.py').read(), 'it', 'exec')" % name
        assert told("-c", code, code=0) == ("", [])


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
            "watch",
        )
    }


#: What the commands of a task and of a stop load beyond ``python -m __future__``: each costs every task of a farm.
SHORT = {
    *("openjd_adapt" + name for name in ("", ".__main__", ".app", ".cli", ".commands", ".daemon", ".daemon.frontend")),
    *("openjd_adapt." + name for name in ("data", "errors", "plain_json", "session")),
    *("openjd_adapt.system" + name for name in ("", ".interpreter", ".posix")),
    *("openjd_adapt.transport" + name for name in ("", ".connection_file", ".loop", ".wire")),
    *("_json", "_socket", "atexit", "errno", "gc", "select", "time"),
}


@pytest.mark.posix_only
def test_the_commands_of_a_task_and_of_a_stop_load_these_modules_alone(started):
    bare = subprocess.run([sys.executable, "-X", "importtime", "-m", "__future__"], stderr=subprocess.PIPE, check=True)
    site = {line.rpartition("|")[2].strip() for line in bare.stderr.decode().splitlines()}
    for word, more in (("run", set()), ("stop", {"fcntl"})):
        command = started.command("daemon", word, "--connection-file", str(started.file))
        command[1:1] = ["-X", "importtime"]
        done = subprocess.run(command, env=started.env, stderr=subprocess.PIPE, timeout=HANG_SECONDS, check=True)
        loaded = {line.rpartition("|")[2].strip() for line in done.stderr.decode().splitlines()}
        assert loaded - site - {"__future__"} <= SHORT | more


@pytest.mark.posix_only
@pytest.mark.once
def test_a_wheel_is_told_of_every_file_that_is_no_module():
    """What else it is told, and that it takes what it is told, test_distribution.py shows."""
    told = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("[tool.setuptools.package-data]\n")[2]
    patterns = {
        package: re.findall(r'"(.*?)"', names)
        for package, names in re.findall(r'^"?([\w*]+)"? = \[(.*?)\]', told.partition("\n\n")[0], re.M)
    }
    out = subprocess.check_output(["git", "ls-files", "openjd_adapt"], cwd=str(ROOT)).decode()
    for path in map(PurePath, out.splitlines()):
        own = patterns["openjd_adapt"] if len(path.parts) == 2 else []
        assert any(path.match(pattern) for pattern in ["*.py", *patterns["*"], *own]), path


@pytest.mark.posix_only
@pytest.mark.once
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

    del farm.env["PYTHONDONTWRITEBYTECODE"]  # each process would compile the copy
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


def test_who_asks_all_modules_for_something_loads_none():
    """As Blender does when it ends, over sys.modules itself."""
    code = (
        "import sys, openjd_adapt.client, openjd_adapt.cli\n"
        "for module in sys.modules.values():\n"
        "    for name in ('__addon_enabled__', 'bl_info', 'no_such_name'):\n"
        "        getattr(module, name, None)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=str(ROOT), check=True)
