"""What is released: wheel and sdist hold what they should and no more, and install clean."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

import openjd_adapt

from .conftest import ROOT
from .test_readme import BLOCKS

# pip may have to fetch what builds
pytestmark = [pytest.mark.posix_only, pytest.mark.timeout(300)]

NAME = "openjd_adapt-%s" % openjd_adapt.__version__
#: The package is copied, vendored and looked at whole: it stays of a size at which that is possible.
MOST_LINES = 15_450
MOST_KILOBYTES = 640


def python(*arguments, folder):
    done = subprocess.run(
        [sys.executable, *arguments], cwd=str(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode and re.search(rb"No matching distribution|No module named|Connection", done.stdout):
        pytest.skip("no setuptools can be had: %s" % done.stdout.decode().splitlines()[-1])
    assert done.returncode == 0, done.stdout.decode()


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """What the README's release commands make of a clone."""
    clone = tmp_path_factory.mktemp("clone")
    tracked = subprocess.check_output(["git", "ls-files"], cwd=str(ROOT)).decode().splitlines()
    for name in tracked:
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(str(ROOT / name), str(clone / name))
    for line in next(block for block in BLOCKS if block.startswith("python -m pip wheel")).splitlines():
        words = re.findall(r'"[^"]*"|\S+', line)
        assert words[0] == "python"
        python(*(word.strip('"') for word in words[1:]), folder=clone)
    return clone / "dist"


def package_files():
    """The files of the package under version control, by their paths."""
    return set(subprocess.check_output(["git", "ls-files", "openjd_adapt"], cwd=str(ROOT)).decode().splitlines())


@pytest.mark.long  # on whichever Python it is made
def test_the_wheel_has_the_package_and_nothing_else(dist):
    [path] = dist.glob("*.whl")
    assert path.name == NAME + "-py3-none-any.whl"
    with zipfile.ZipFile(str(path)) as wheel:
        names = {name for name in wheel.namelist() if not name.startswith(NAME + ".dist-info/")}
        metadata = wheel.read(NAME + ".dist-info/METADATA").decode()
    assert names == package_files()
    assert not re.search(r"^Requires-Dist: (?!.*extra ==)", metadata, re.M) and "Requires-Python: >=3.7" in metadata


@pytest.mark.long  # on whichever Python it is made
def test_the_sdist_has_the_package_and_what_describes_it(dist):
    with tarfile.open(str(dist / (NAME + ".tar.gz"))) as sdist:
        names = {name[len(NAME) + 1 :] for name in sdist.getnames() if "." in name.rpartition("/")[2]}
    assert package_files() - {"openjd_adapt/LICENSE"} <= names and {"README.md", "pyproject.toml"} <= names
    top = {name.partition("/")[0] for name in names} - {""}
    assert top <= {"openjd_adapt", "openjd_adapt.egg-info", "tests", "README.md", "pyproject.toml", "setup.cfg"}


@pytest.mark.long  # on whichever Python it is made
def test_the_wheel_installs_clean_and_runs(dist, tmp_path, farm):
    [path] = dist.glob("*.whl")
    site = str(tmp_path / "site")
    python("-m", "pip", "install", "--quiet", "--no-deps", "--target", site, str(path), folder=tmp_path)
    farm.env["PYTHONPATH"] = site
    done = farm("run", "--run-data", '{"do": "say", "text": "installed"}')
    assert done.code == 0 and "INFO: installed" in done.lines, done
    # The console script, which finds an adaptor in the current folder, as python -m does.
    farm.command = lambda *arguments: [sys.executable, site + "/bin/openjd-adapt", *arguments]
    assert farm("--version").out.startswith("openjd_adapt %s (%s/openjd_adapt)" % (openjd_adapt.__version__, site))
    assert farm("new", "my_render").code == 0
    done = farm("--adaptor", "my_render", "session", "--init-data", "output: '####.txt'", "--each", "frame=1-2")
    assert done.code == 0 and (farm.folder / "0002.txt").exists(), done


def test_the_package_keeps_its_size():
    sources = [(ROOT / name).read_bytes() for name in package_files() if name.endswith(".py")]
    lines = sum(source.count(b"\n") for source in sources)
    assert lines <= MOST_LINES and sum(map(len, sources)) <= MOST_KILOBYTES * 1024
