"""Copies of the package for a node, made without what no session needs: what is left works, and says what is not."""

from __future__ import annotations

import compileall
import functools
import os
import shutil
import subprocess
import sys

import pytest

from openjd_adapt.errors import PartLeftOut, needed_by

from .conftest import ADAPTORS, HANG_SECONDS
from .test_package import LEFT_OUT, PACKAGE

PARTS = ("authoring/", "testing.py", "compat/", "schema/", "Linux" if sys.platform == "win32" else "Windows")
#: What the commands for authors need.
NEEDS = {
    "session": ["authoring/"],
    "template": ["authoring/"],
    "new made": ["authoring/", "schema/"],
    "compat": ["compat/"],
}
LACKS = "this copy of openjd_adapt has no %s, which %s needs"


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """Makes a copy without some parts, perhaps as a zip; returns what PYTHONPATH must have for it."""

    @functools.lru_cache(maxsize=None)
    def make(*parts, zipped=False):
        place = tmp_path_factory.mktemp("node")
        gone = {PACKAGE / path for part in parts for path in LEFT_OUT[part]}
        for path in PACKAGE.rglob("*.*"):
            if path.suffix != ".pyc" and not gone & {path, *path.parents}:
                target = place / path.relative_to(PACKAGE.parent)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(path), str(target))
        assert compileall.compile_dir(str(place), quiet=1, legacy=zipped)
        return shutil.make_archive(str(place), "zip", str(place)) if zipped else str(place)

    return make


@pytest.fixture
def node(farm):
    """A farm that is given a copy, and adaptors in a folder of their own."""

    def use(copy):
        for name in ("probe.py", "checked.py"):
            shutil.copyfile(str(ADAPTORS / name), str(farm.folder / name))
        farm.adaptor = str(farm.folder / "probe.py")
        farm.env["PYTHONPATH"] = copy
        # Without site: a package that is installed to be edited would serve as the parts that are left out.
        farm.python = [sys.executable, "-S"]
        return farm

    return use


def play(farm):
    """A session, and a task in the foreground."""
    said = ["INFO: on_start", "INFO: said", "INFO: on_stop", "INFO: on_cleanup"]
    task = ("--run-data", '{"do": "say", "text": "said"}')
    done = [farm.daemon("start"), farm.daemon("run", *task), farm.daemon("stop"), farm("run", *task)]
    for each in done:
        assert each.code == 0 and each.err == "", each
    assert [line for each in done for line in each.lines if line in said] == said * 2


def check_tools(farm, *left_out):
    """Each command for authors works, or says in one line what it has not."""
    of_adaptor = farm.command
    for words, needed in NEEDS.items():
        farm.command = of_adaptor
        if words in ("new made", "compat"):  # which are about no adaptor
            farm.command = lambda *arguments: [*farm.python, "-m", "openjd_adapt", *arguments]
        done = farm(*words.split())
        lacking = [LACKS % (part, "the command " + words.split()[0]) for part in needed if part in left_out]
        if lacking:
            assert (done.code, done.out, done.err.splitlines()) == (2, "", ["ERROR: " + lacking[0]]), done
        else:
            assert done.code == 0, done
    farm.command = of_adaptor


@pytest.mark.core  # an old Python tells a module less of itself when that comes from an archive
@pytest.mark.parametrize("zipped", [pytest.param(False, marks=pytest.mark.long), True], ids=["folder", "zip"])
def test_the_smallest_copy_plays_a_session(node, copy, zipped):
    play(node(copy(*PARTS, zipped=zipped)))


@pytest.mark.once
def test_the_smallest_copy_says_what_it_has_not(node, copy):
    check_tools(node(copy(*PARTS)), *PARTS)


@pytest.mark.long
@pytest.mark.parametrize("zipped", [False, True], ids=["folder", "zip"])
@pytest.mark.parametrize(
    "parts", [(), *((part,) for part in PARTS), PARTS], ids=lambda parts: "+".join(parts) or "none"
)
def test_each_part_may_be_left_out_on_its_own(node, copy, parts, zipped):
    farm = node(copy(*parts, zipped=zipped))
    play(farm)
    check_tools(farm, *parts)


@pytest.mark.once
def test_without_schema_an_adaptor_that_has_schemas_runs_nothing(node, copy):
    """What nobody can check is not passed on."""
    farm = node(copy(*PARTS))
    farm.adaptor = str(farm.folder / "checked.py")
    path = farm.folder / "schemas" / "run_data.schema.json"
    path.parent.mkdir()
    path.write_text("{}")
    done = farm("run")
    told = LACKS % ("schema/", "the schema %s" % path)
    assert (done.code, done.out, done.err) == (2, "openjd_fail: %s\n" % told, "ERROR: %s\n" % told), done


@pytest.mark.long
def test_without_schema_no_job_template_is_made_of_schemas(node, copy):
    farm = node(copy("schema/"))
    path = farm.folder / "schemas" / "init_data.schema.json"
    path.parent.mkdir()
    path.write_text("{}")
    done = farm("template")
    assert (done.code, done.out) == (2, ""), done
    assert done.err.splitlines() == ["ERROR: " + LACKS % ("schema/", "the schema %s" % path)]


SCRIPT = """
from openjd_adapt import Adaptor, EntryPoint

class Script(Adaptor):
    def on_run(self, run_data): pass

EntryPoint(Script).start()
"""


COMMANDS = ("run", "daemon start", "daemon run", "daemon stop", "session", "new made", "--help")


@pytest.mark.parametrize(
    "zipped, commands",
    [
        (True, ("daemon start",)),
        *(pytest.param(zipped, COMMANDS, marks=pytest.mark.long) for zipped in (False, True)),
    ],
    ids=["zip", "folder, all", "zip, all"],
)
def test_a_copy_for_another_system_says_so_in_one_line(node, copy, zipped, commands):
    own, lacks = ("Windows", "windows") if sys.platform == "win32" else ("Linux", "posix")
    told = "ERROR: this copy of openjd_adapt was made for another system: it has no openjd_adapt.system." + lacks
    farm = node(copy(own, zipped=zipped))
    (farm.folder / "script.py").write_text(SCRIPT)
    adaptor = farm.command("run")[:-1]
    package, script = [*farm.python, "-m", "openjd_adapt"], [*farm.python, "script.py"]
    for begin in (adaptor, package, script):
        farm.command = lambda *words, begin=begin: [*begin, *words]
        for words in commands:
            done = farm(*words.split())
            assert (done.code, done.err.splitlines()) == (2, [told]), done
            farm_sees = told.replace("ERROR", "openjd_fail") if words in ("run", "daemon start", "daemon run") else ""
            assert done.out.strip() == farm_sees, done
    for code in ("import openjd_adapt.client", "from openjd_adapt import LoggingSubprocess"):
        farm.command = lambda code: [*farm.python, "-c", code]
        assert told.replace("ERROR: ", "openjd_adapt.errors.PartLeftOut: ") == farm(code).err.splitlines()[-1]


@pytest.mark.once
def test_without_schema_a_configuration_that_has_one_is_not_taken(node, copy):
    farm = node(copy(*PARTS))
    path = farm.folder / "Probe.schema.json"
    for each in (path, farm.folder / "Probe.json"):
        each.write_text("{}")
    done = farm("show-config")
    assert (done.code, done.out) == (2, ""), done
    assert done.err.splitlines() == ["ERROR: " + LACKS % ("schema/", "the schema %s" % path)]


def test_an_import_of_what_is_not_there_is_an_import_error_that_names_it(node, copy):
    farm = node(copy(*PARTS))
    program = (
        "import openjd_adapt\n"
        "for code in ('import openjd_adapt.testing', 'from openjd_adapt import AdaptorDataValidator'):\n"
        "    try: exec(code)\n"
        "    except ImportError as error: print(error)\n"
    )
    command = [*farm.python, "-c", program]
    out = subprocess.check_output(command, env=farm.env, cwd=str(farm.folder), timeout=HANG_SECONDS).decode()
    own = "No module named 'openjd_adapt.testing'"  # Python's: another text would take a hook in every import
    assert out.splitlines() == [own, LACKS % ("schema/", "AdaptorDataValidator")]


def test_what_may_be_left_out_is_an_error_of_bad_input():
    with pytest.raises(PartLeftOut, match=LACKS % ("schema/", "all")) as raised, needed_by("all"):
        raise ModuleNotFoundError(name="openjd_adapt.schema")
    assert raised.value.exit_code == 2 and isinstance(raised.value, ImportError)


@pytest.mark.parametrize(
    "error",
    [
        ModuleNotFoundError(name="openjd_adapt.schema.keywords"),
        ModuleNotFoundError(name="openjd_adapt.errors"),
        ModuleNotFoundError(name="openjd_adapt.system.posix_children"),
        ModuleNotFoundError(name="studio.system.posix"),
        ModuleNotFoundError(name="studio.schema"),
        ModuleNotFoundError("no name"),
        ImportError(name="openjd_adapt.schema"),
        KeyError("openjd_adapt.schema"),
    ],
    ids=repr,
)
def test_no_other_error_is_taken_for_a_part_that_is_left_out(error):
    """Else a broken copy looks like a small one."""
    with pytest.raises(type(error)) as raised, needed_by("all"):
        raise error
    assert raised.value is error


# Copies that are broken, and Pythons that lack something: whoever cannot begin leaves the reason where a farm shows it


@pytest.fixture
def broken(farm):
    """A farm with a copy of which a module is replaced; without a text it is missing."""

    def use(path, text):
        place = farm.folder / "copy" / "openjd_adapt"
        shutil.copytree(str(PACKAGE), str(place))  # with what is compiled, which is valid for all but the broken one
        (place / path).unlink()
        if text:
            (place / path).write_text(text)
        farm.env["PYTHONPATH"] = str(place.parent)
        farm.python = [sys.executable, "-S"]
        return farm

    return use


SYNTAX = "def broken(:\n"
LACKING = "import no_such_module\n"
#: The command, what is broken, and a part of the reason: one each of front, guardian, keeper and worker.
BROKEN_COPIES = [
    ("daemon start", "cli.py", LACKING, "the Python at PYTHON lacks no_such_module: openjd_adapt needs the whole "),
    ("daemon start", "daemon/guardian.py", LACKING, ": ModuleNotFoundError: "),  # as the adaptor starts, or before
    ("run", "daemon/keeper.py", LACKING, "the keeper of the adaptor is gone: ModuleNotFoundError: "),
    ("daemon start", "output.py", SYNTAX, "openjd_adapt cannot be loaded by the Python at PYTHON: SyntaxError: "),
]
MORE_BROKEN_COPIES = [
    ("daemon start", "cli.py", SYNTAX, "openjd_adapt cannot be loaded by the Python at PYTHON: SyntaxError: "),
    (
        "daemon run",
        "plain_json.py",
        "",
        "openjd_adapt cannot be loaded by the Python at PYTHON: ImportError: ",
    ),
    ("daemon start", "paths.py", LACKING, "the Python at PYTHON lacks no_such_module: "),  # a command needs it late
    ("daemon start", "daemon/keeper.py", SYNTAX, "the daemon could not start: SyntaxError: "),
    ("daemon start", "daemon/spool.py", "", "the daemon could not start: ModuleNotFoundError: "),
    ("daemon start", "daemon/worker.py", LACKING, "the Python at PYTHON lacks no_such_module: "),
    (
        "run",
        "daemon/worker.py",
        "",
        "openjd_adapt cannot be loaded by the Python at PYTHON: ModuleNotFoundError: ",
    ),
]


@pytest.mark.posix_only  # on Windows a keeper that cannot be imported is only gone
@pytest.mark.parametrize(
    "words, path, text, reason",
    [*BROKEN_COPIES, *(pytest.param(*row, marks=pytest.mark.long) for row in MORE_BROKEN_COPIES)],
)
def test_who_cannot_begin_tells_the_farm_why_in_one_line(broken, words, path, text, reason):
    farm = broken(path, text)
    run = functools.partial(farm, "run") if words == "run" else functools.partial(farm.daemon, words.split()[1])
    for more in ([], ["--debug"]):
        done = run(*more)
        assert "openjd_fail: " in done.out, done
        [told, *_] = [line for line in done.lines if line.startswith("openjd_fail: ")]
        assert done.code in (1, 2) and reason.replace("PYTHON", sys.executable) in told, done
        assert sys.executable in told and ("no_such_module" if text == LACKING else os.path.basename(path)[:-3]) in told
        assert ("Traceback (most recent call last):" in done.out + done.err) == bool(more), done
        farm.wait_until_nothing_is_left()
        farm.file.exists() and farm.file.unlink()


@pytest.mark.posix_only
@pytest.mark.parametrize(
    "name", ["errno", "json", *(pytest.param(name, marks=pytest.mark.long) for name in ("_socket", "logging"))]
)
def test_what_a_python_lacks_is_one_line(farm, name):
    """As Debian's python3-minimal lacks json, which no command needs for what it does."""
    (farm.folder / "sitecustomize.py").write_text("import sys\nsys.modules[%r] = None\n" % name)
    farm.env["PYTHONPATH"] += os.pathsep + str(farm.folder)
    done = farm("run")
    assert "Traceback" not in done.out + done.err, done
    told = [line for line in done.lines if line.startswith("openjd_fail: the Python at %s lacks " % sys.executable)]
    assert (done.code, told) == (0, []) if name == "json" else len(told) == 1 and done.code in (1, 2), done
