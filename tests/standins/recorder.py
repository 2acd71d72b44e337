"""What the stand-ins for applications share: modules made of one object that notes every call that it is asked for."""

from __future__ import annotations

import json
import os
import runpy
import sys
from types import ModuleType


def word(value: object) -> str:
    """What stands for an object in the record: the same in every process."""
    return getattr(value, "__qualname__", repr(value))


def note(name: str, arguments: object) -> None:
    """Append a line to the file that ``STAND_IN_RECORD`` names."""
    with open(os.environ["STAND_IN_RECORD"], "a", encoding="utf-8") as record:
        record.write(json.dumps([name, arguments], default=word, sort_keys=True) + "\n")


class Recorder:
    """Any attribute is another recorder; a call is noted, and answered by the function of its name, or with None."""

    def __init__(self, name: str, answers: dict) -> None:
        self._name = name
        self._answers = answers

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return Recorder("%s.%s" % (self._name, name), self._answers)

    def __call__(self, *args, **kwargs):
        note(self._name, [args, kwargs])
        answer = self._answers.get(self._name)
        return answer(*args, **kwargs) if answer else None

    def __repr__(self) -> str:
        return self._name


def provide(*names: str, answers: dict, values: dict | None = None) -> None:
    """Make modules of these names importable; ``values`` are attributes that are no functions."""
    for name in names:
        recorder = Recorder(name, answers)
        module = sys.modules[name] = ModuleType(name)
        module.__path__ = []
        module.__getattr__ = recorder.__getattr__  # PEP 562
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
    for name, value in (values or {}).items():
        module_name, _, attribute = name.rpartition(".")
        setattr(sys.modules[module_name], attribute, value)


def run() -> None:
    """Run the script that is the last argument, as the application does."""
    script = sys.argv[-1]
    sys.argv = [script]
    sys.path.insert(0, os.path.dirname(script))
    runpy.run_path(script, run_name="__main__")
