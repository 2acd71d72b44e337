"""Adaptors as PyPI has them, in a virtual environment without any ``openjd`` package, on this toolkit or the reference.

``OPENJD_ADAPT_PUBLISHED`` names the folder of their commands, ``OPENJD_ADAPT_REFERENCE`` that of the reference.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT, missing

COMMANDS = os.environ.get("OPENJD_ADAPT_PUBLISHED", "")
REFERENCE = os.environ.get("OPENJD_ADAPT_REFERENCE", "")
STAND_INS = ROOT / "tests" / "standins"

needs_published = pytest.mark.skipif(
    not os.path.isfile(os.path.join(COMMANDS, "maya-openjd")),
    reason=missing("published adaptors"),
)
needs_reference = pytest.mark.skipif(
    not os.path.isdir(os.path.join(REFERENCE, "openjd", "adaptor_runtime")),
    reason=missing("reference"),
)
#: Runs the toolkit from where it lies, and puts nothing on the path.
_BOOT = "import runpy, sys; sys.path.insert(0, %r); runpy.run_module('openjd_adapt', run_name='__main__')" % str(ROOT)


def use(farm, package: str, command: str) -> None:
    """Make a farm run a published adaptor's command on ``ours`` or on the ``reference``."""
    python, script = (os.path.join(COMMANDS, name) for name in ("python", command))
    prefix = [python, "-c", _BOOT, "compat", "--"] if package == "ours" else []
    farm.command = lambda *arguments: [*prefix, script, *arguments]
    farm.env["PYTHONPATH"] = REFERENCE if package == "reference" else ""
    farm.env["PYTHONHASHSEED"] = "0"  # some adaptors queue what a set holds
    farm.env["DEADLINE_CLOUD_TELEMETRY_OPT_OUT"] = "true"


def stand_in(farm, name: str) -> Path:
    """A program that stands in for an application; what it is asked for is noted in ``record`` of the farm's folder."""
    program = farm.folder / name
    program.write_text('#!/bin/sh\nexec %s -u "%s" "$@"\n' % (sys.executable, STAND_INS / (name + ".py")))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    farm.env["STAND_IN_RECORD"] = str(farm.folder / "record")
    return program


def record(farm) -> list:
    """What the stand-in was asked for, with the farm's own folder left out."""
    text = (farm.folder / "record").read_text(encoding="utf-8").replace(str(farm.folder), "HERE")
    return [json.loads(line) for line in text.splitlines()]


def has_reference() -> bool:
    """Whether the virtual environment has an ``openjd`` package of its own."""
    python = os.path.join(COMMANDS, "python")
    code = "import importlib.util as u; print(u.find_spec('openjd') is not None)"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.check_output([python, "-c", code], env=environment, cwd=os.sep).decode().strip() == "True"
