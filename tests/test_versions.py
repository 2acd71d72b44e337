"""Interface versions: what is installed serves who expects it, or does not; and the versions that a session tells."""

from __future__ import annotations

import importlib
import re
import sys

import pytest

import openjd_adapt
from openjd_adapt import SemanticVersion
from openjd_adapt.daemon.worker import version_of

pytestmark = pytest.mark.core


@pytest.mark.parametrize(
    "installed, expected, compatible",
    [
        ("1.2", "1.2", True),
        ("1.2", "1.1", True),
        ("1.1", "1.2", False),
        ("1.10", "1.9", True),
        ("2.0", "1.0", False),
        ("1.0", "2.0", False),
        ("0.1", "0.1", True),
        ("0.2", "0.1", False),
        ("0.1", "0.2", False),
    ],
)
def test_a_newer_minor_version_serves_an_older_one_but_for_those_before_1(installed, expected, compatible):
    version = SemanticVersion.parse(installed)
    assert version.has_compatibility_with(SemanticVersion.parse(expected)) is compatible


def test_versions_order_as_numbers_and_print_as_they_are_read():
    texts = ["10.0", "1.9", "1.10", "0.0"]
    assert [str(version) for version in sorted(map(SemanticVersion.parse, texts))] == ["0.0", "1.9", "1.10", "10.0"]
    assert SemanticVersion(1, 2) == SemanticVersion(major=1, minor=2) == SemanticVersion.parse("1.2")


@pytest.mark.parametrize("text", ["", "1", "1.", ".1", "1.2.3", "-1.2", "1.-2", "v1.2", "1. 2", "1,2", "1.²", "١.٢"])
def test_what_is_no_major_minor_is_refused(text):
    with pytest.raises(ValueError, match="not a version of the form Major.Minor"):
        SemanticVersion.parse(text)


def test_a_daemons_output_begins_with_the_versions_once_a_session(farm):
    started = farm.daemon("start")
    told = r"INFO: openjd_adapt %s \(.*\), adaptor Probe \(.*probe\.py\), Python %s \(.*\)$"
    [line] = started.versions
    assert re.match(told % (re.escape(openjd_adapt.__version__), re.escape(sys.version.split()[0])), line.rstrip())
    for word in ("run", "stop"):
        done = farm.daemon(word)
        assert (done.code, done.versions) == (0, []), done


def test_a_run_begins_with_the_versions_also_of_a_distribution(farm):
    package = farm.folder / "my_render"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "adaptor.py").write_text(
        "from openjd_adapt import Adaptor\nclass Mine(Adaptor):\n    def on_run(self, run_data): pass\n"
    )
    record(farm.folder, "studio_my_render-1.2", "my_render/adaptor.py,sha256=x,1\n")
    farm.adaptor = "my_render.adaptor"
    [line] = farm("run").versions
    assert ", adaptor Mine 1.2 of studio-my-render (" in line


def record(folder, name, text):
    (folder / (name + ".dist-info")).mkdir()
    (folder / (name + ".dist-info") / "RECORD").write_text(text)


def test_a_version_is_the_modules_or_a_packages_around_it_or_the_distributions(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    for name, text in (
        ("versioned/__init__.py", "__version__ = '1.0'"),
        ("versioned/own.py", "__version__ = '2.0'\nclass A: pass"),
        ("versioned/inner/__init__.py", "__version__ = 3\nclass A: pass"),
        ("installed/__init__.py", "class A: pass"),
        ("installed/inner.py", "class A: pass"),
        ("single.py", "class A: pass"),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "debian-0.dist-info").mkdir()
    record(tmp_path, "another-4", "versioned/own.py,,\nnot_installed/__init__.py,,\n")
    record(tmp_path, "the_installed-5.1", "the/first.py,,\ninstalled/__init__.py,sha256=x,3\n")
    for name, version in (
        ("versioned.own", " 2.0"),
        ("versioned.inner", " 1.0"),
        ("installed", " 5.1 of the-installed"),
        ("installed.inner", ""),
        ("single", ""),
    ):
        kind = importlib.import_module(name).A
        assert version_of(kind) == version, name
        monkeypatch.delitem(sys.modules, name)
