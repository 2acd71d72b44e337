"""A toolkit and an adaptor in one zip archive, which runs whole sessions."""

from __future__ import annotations

import compileall
import glob
import os
import shutil
import subprocess
import sys
import zipapp
import zipfile

import pytest

from openjd_adapt import application, task
from openjd_adapt.authoring import scaffold
from openjd_adapt.system import interpreter

from .conftest import ADAPTORS, ROOT

#: Of the README; other Pythons that are here run the archive that this one has compiled.
PYTHONS = sorted(glob.glob(os.path.expanduser("~/.pyenv/versions/3.*/bin/python")))
PYTHONS = [pytest.param(path, marks=pytest.mark.long) for path in PYTHONS if "/3.6." not in path]
SESSION = ["session", "--init-data", "{output: renders/####.png, width: 16, height: 10}", "--each", "frame=1-2"]


def version_of(python):
    """The name of the folder in which a Python is installed."""
    return os.path.basename(os.path.dirname(os.path.dirname(python)))


def pack(folder, module, main):
    """An archive of the package, the folder or file of an adaptor, and a main; returns its path."""
    source = folder / "source"
    ignored = shutil.ignore_patterns("__pycache__")
    copy = {"ignore": ignored, "copy_function": shutil.copyfile}  # Wine has no CopyFile2, which Python 3.13 copies by
    shutil.copytree(str(ROOT / "openjd_adapt"), str(source / "openjd_adapt"), **copy)
    for path in module:
        if path.is_dir():
            shutil.copytree(str(path), str(source / path.name), **copy)
        else:
            shutil.copyfile(str(path), str(source / path.name))
    (source / "__main__.py").write_text("from openjd_adapt import EntryPoint\n" + main)
    assert compileall.compile_dir(str(source), quiet=1, legacy=True)
    target = folder / "readonly" / "adaptor.pyz"
    target.parent.mkdir()
    zipapp.create_archive(str(source), str(target), compressed=True)
    shutil.rmtree(str(source))
    target.parent.chmod(0o555)
    return target


MAIN = """
import os
if "KEPT_OPEN" in os.environ:
    from kept_open import KeptOpen as Packed
else:
    from mandelbrot.mandelbrot import Mandelbrot as Packed
EntryPoint(Packed).start()
"""


@pytest.fixture(scope="module")
def mandelbrot(tmp_path_factory):
    """An archive of an example, and of an adaptor with a client for its application."""
    adaptors = [ROOT / "examples" / "mandelbrot", ADAPTORS / "kept_open.py", ADAPTORS / "application_client.py"]
    return pack(tmp_path_factory.mktemp("mandelbrot"), adaptors, MAIN)


@pytest.fixture
def packed(farm, mandelbrot):
    """A farm whose adaptor is an archive in a folder that is not written to."""
    del farm.env["PYTHONPATH"]
    farm.command = lambda *arguments: [*farm.python, str(mandelbrot), *arguments]
    return farm


@pytest.mark.parametrize("python", [sys.executable, *PYTHONS], ids=version_of)
def test_an_archive_plays_a_session_from_a_read_only_folder(packed, mandelbrot, python):
    packed.python = [python]
    done = packed(*SESSION)
    assert done.code == 0 and done.lines.count("Mandelbrot renderer is closed") == 1, done
    assert len(os.listdir(str(packed.folder / "renders"))) == 2
    assert os.listdir(str(mandelbrot.parent)) == ["adaptor.pyz"]


@pytest.mark.once
def test_schemas_and_configuration_are_read_from_inside(packed):
    done = packed("run", "--init-data", '{"width": 16}')
    assert done.code == 2 and "'output' is a required property" in done.err, done
    shown = packed("show-config")
    assert "readonly" in shown.out and "Mandelbrot.json" in shown.out, shown


@pytest.mark.once
def test_an_archive_makes_its_own_job_template(packed):
    done = packed("template")
    assert done.code == 0 and "adaptor.pyz" in done.out and '"Frame"' in done.out, done


def test_an_applications_client_is_copied_out_for_it_and_removed_with_the_session(packed):
    farm = packed
    farm.env["KEPT_OPEN"] = "1"
    (farm.folder / "temporary").mkdir()
    farm.env["TMPDIR"] = str(farm.folder / "temporary")
    done = farm.daemon("start")
    assert done.code == 0 and "lies in an archive; a copy of it is" in done.out, done
    done = farm.daemon("run", "--run-data", '{"call": "echo", "args": {"value": [1, "x"]}}')
    assert done.code == 0 and "result [1, 'x']" in done.lines, done
    assert farm.daemon("stop").code == 0
    assert os.listdir(farm.env["TMPDIR"]) == []


def test_the_references_names_are_importable_from_inside(mandelbrot):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1] + '/openjd_adapt/compat')\n"
        "from openjd.adaptor_runtime.adaptors import Adaptor; import openjd.adaptor_runtime_client as client\n"
        "print(Adaptor.__module__, client.Action.__module__, client.__file__)"
    )
    out = subprocess.check_output([sys.executable, "-I", "-c", code, str(mandelbrot)]).decode().split()
    assert out[:2] == ["openjd_adapt.adaptor", "openjd_adapt.client"] and out[2].startswith(str(mandelbrot))


@pytest.mark.once
@pytest.mark.parametrize(
    "kind",
    [next(iter(scaffold.KINDS)), *(pytest.param(kind, marks=pytest.mark.long) for kind in list(scaffold.KINDS)[1:])],
)
def test_a_new_adaptor_is_written_from_inside(farm, mandelbrot, kind):
    farm.env["PYTHONPATH"] = str(mandelbrot)
    farm.command = lambda *arguments: [*farm.python, "-m", "openjd_adapt", "new", *arguments]
    assert farm("my_render", "--kind", kind).code == 0
    for path, text in scaffold.contents(str(farm.folder), "my_render", kind).items():
        assert path == "job.template.yaml" or (farm.folder / "my_render" / path).read_text() == text


@pytest.fixture
def zipped(tmp_path):
    """A path into an archive."""
    with zipfile.ZipFile(str(tmp_path / "a.zip"), "w") as made:
        made.writestr("folder/file.txt", b"inside")
    return str(tmp_path / "a.zip" / "folder" / "file.txt")


def test_a_file_is_found_on_the_disk_or_in_an_archive(zipped, tmp_path):
    (tmp_path / "file.txt").write_bytes(b"outside")
    assert (
        interpreter.read_bytes(str(tmp_path / "file.txt")) == b"outside" and interpreter.read_bytes(zipped) == b"inside"
    )
    assert interpreter.is_there(zipped) and interpreter.is_there(str(tmp_path))


@pytest.mark.parametrize("path", ["a.zip/folder/other", "a.zip/other", "nowhere/file", "plain.txt/file"])
def test_what_is_in_neither_is_not_there(zipped, tmp_path, path):
    (tmp_path / "plain.txt").write_bytes(b"no archive")
    path = str(tmp_path.joinpath(*path.split("/")))
    assert not interpreter.is_there(path) and application._on_disk(path) == path
    with pytest.raises(OSError):
        interpreter.read_bytes(path)


def test_what_no_file_can_be_called_is_not_there(zipped):
    assert not interpreter.is_there("a\0b") and not interpreter.is_there(zipped + "\0")


def test_a_copy_is_made_in_the_sessions_private_folder_and_only_if_there_is_need(zipped, tmp_path, monkeypatch):
    monkeypatch.setattr(task, "private_folder", str(tmp_path / "private"))
    copy = application._on_disk(zipped)
    assert os.path.dirname(copy) == str(tmp_path / "private") and interpreter.read_bytes(copy) == b"inside"
    assert application._on_disk(copy) == copy


def test_a_path_need_be_neither_absolute_nor_tidy(zipped, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("a.zip/folder/file.txt", str(tmp_path / "a.zip" / "folder" / ".." / "folder" / "file.txt")):
        assert interpreter.read_bytes(path.replace("/", os.sep)) == b"inside"


def test_a_copy_outside_of_a_session_goes_with_the_process(zipped, tmp_path):
    (tmp_path / "temporary").mkdir()
    env = {**os.environ, "TMPDIR": str(tmp_path / "temporary"), "PYTHONPATH": str(ROOT)}
    code = "import sys; from openjd_adapt import application; print(open(application._on_disk(sys.argv[1])).read())"
    assert subprocess.check_output([sys.executable, "-c", code, zipped], env=env).strip() == b"inside"
    assert os.listdir(str(tmp_path / "temporary")) == []
