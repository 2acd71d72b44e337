"""The package with shorter waits: for tests of what it does when they are over, and not of how long they are."""

from __future__ import annotations

import os
import py_compile
import re
import shutil

from .conftest import ROOT


def hurry(farm, to, *names) -> None:
    """Let a farm's commands, and all that they start, find the given seconds in the constants ``module.NAME``."""
    package = ROOT / "openjd_adapt"
    place = farm.folder.with_name(farm.folder.name + " in a hurry") / package.name
    if not place.exists():
        place.mkdir(parents=True)
        text = (package / "__init__.py").read_text(encoding="utf-8")
        # What is not here is looked for in the real package.
        (place / "__init__.py").write_text(text + "\n__path__.append(%r)\n" % str(package), encoding="utf-8")
        farm.env["PYTHONPATH"] = os.pathsep.join([str(place.parent), farm.env["PYTHONPATH"]])
    for name in names:
        module, _, constant = name.rpartition(".")
        path = place.joinpath(*module.split(".")).with_suffix(".py")
        if not path.parent.exists():
            shutil.copytree(str(package / path.parent.name), str(path.parent))
        text = (path if path.exists() else package / path.name).read_text(encoding="utf-8")
        text, count = re.subn(r"(?m)^%s = .*" % constant, "%s = %r" % (constant, to), text)
        assert count == 1, name
        path.write_text(text, encoding="utf-8")
        py_compile.compile(str(path))
