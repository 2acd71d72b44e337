"""Errors leave a process as they are: every one of the package's can be copied and pickled."""

from __future__ import annotations

import copy
import errno
import importlib
import pickle
import sys

import pytest

from openjd_adapt import data, errors, yaml
from openjd_adapt.application import ApplicationExited
from openjd_adapt.schema import ValidationError
from openjd_adapt.schema.faults import SchemaError

from .test_package import MODULES, is_in, name_of

pytestmark = pytest.mark.core

_FAULT = ValidationError("is not a number", ("a", 0), ("properties", "a", "type"), "x")
_FAULT.where = "--run-data"
#: Those that are not made of a text alone.
MADE = {
    ApplicationExited: ApplicationExited("it has ended", -9),
    SchemaError: SchemaError("is not a schema", ("type",)),
    ValidationError: _FAULT,
    data._NotJson: data._NotJson("--run-data", "line 1, column 1: Expecting value"),
    errors.MissingFile: errors.MissingFile(errno.ENOENT, "there is no such file", "scene.blend"),
    errors.ProcessFailed: errors.ProcessFailed("blender exited with code 3", 3),
    yaml.YAMLDecodeError: yaml.YAMLDecodeError("is no mapping", "a: b\nc", 5),
}


def error_classes():
    """Every class of errors that the package's modules define; another system's modules have none."""
    other = "Linux" if sys.platform == "win32" else "Windows"
    for name in map(name_of, MODULES):
        if not name.startswith("system/") and not is_in(name, other) and not name.endswith(("bootstrap", "__main__")):
            module = importlib.import_module("openjd_adapt." + name.replace("/", ".").replace(".__init__", ""))
            for kind in vars(module).values():
                if isinstance(kind, type) and issubclass(kind, BaseException) and kind.__module__ == module.__name__:
                    yield kind


class OfAnAuthor(errors.ProcessFailed):
    """A subclass with arguments of its own."""

    def __init__(self, *, frame):
        super().__init__("frame %d" % frame, 7)
        self.frame = frame


class OfAnAuthorAndTheSystem(errors.ProgramNotStarted):
    """As a subclass of OSError it gets its arguments in another way."""

    def __init__(self, program, reason):
        super().__init__("%s: %s" % (program, reason))
        self.program = program


OWN = [OfAnAuthor(frame=3), OfAnAuthorAndTheSystem("maya", "no licence")]


@pytest.mark.parametrize("error", [*(MADE.get(kind) or kind("a text") for kind in error_classes()), *OWN], ids=repr)
@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_every_error_survives_a_copy_and_a_pickle(error, way):
    error.detail = "Traceback of elsewhere"
    other = way(error)
    assert type(other) is type(error) and other is not error and str(other) == str(error) != ""
    facts, others = (
        {**vars(each), "args": each.args, "file": getattr(each, "filename", None)} for each in (error, other)
    )
    assert repr(facts) == repr(others) and "Traceback of elsewhere" in repr(others)
