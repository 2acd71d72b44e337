"""A stand-in for Houdini's ``hython``: what the published client imports, recorded; ``pathmap`` does what it says."""

from __future__ import annotations

import ast
import os
import re
import sys

from recorder import Recorder, note, provide, run


class Parm:
    """A parameter of a node: a reference to a file, or the range of frames."""

    def __init__(self, name: str, value: object) -> None:
        self._name, self._value = name, value

    def name(self) -> str:
        return self._name

    def path(self) -> str:
        return "/stage/" + self._name

    def parmTemplate(self):
        return self

    def type(self) -> str:
        return "string"

    def stringType(self) -> str:
        return "file"

    def unexpandedString(self) -> object:
        return self._value

    def set(self, value: object) -> None:
        note("Parm.set", [self._name, value])


class Node:
    def __init__(self, path: str) -> None:
        self._path = path

    def __repr__(self) -> str:
        return self._path

    def type(self):
        return self

    def nameWithCategory(self) -> str:
        return "Driver/geometry"

    def parm(self, name: str) -> Parm:
        return Parm(name, 0)

    def parms(self) -> list:
        return [Parm("filepath1", "/studio/set.usd"), Parm("filepath2", "/elsewhere/set.usd")]

    def recursiveGlob(self, pattern: str, filter: object) -> list:
        return [Node("/stage/sublayer1")]

    def render(self, **options) -> None:
        note("Node.render", options)
        print("ALF_PROGRESS 50%", flush=True)


def hscript(command: str) -> tuple:
    """``pathmap -t 'PATH' -c`` prints the mapped path, or nothing."""
    asked = re.match("pathmap -t '(.*)' -c", command)
    for source, destination in ast.literal_eval(os.environ.get("HOUDINI_PATHMAP", "{}")).items():
        if asked and asked.group(1).startswith(source):
            return destination + asked.group(1)[len(source) :] + "\n", ""
    return "", ""


def leave() -> None:
    sys.exit(0)


class Failed(Exception):
    pass


variables = {"JOB": "/studio/job", "POSE": "/elsewhere/pose"}
provide(
    "hou",
    answers={
        "hou.applicationVersionString": lambda: "20.5.1",
        "hou.exit": leave,
        "hou.getenv": variables.get,
        "hou.hscript": hscript,
        "hou.node": Node,
    },
    values={
        "hou.Error": Failed,
        "hou.LoadWarning": Failed,
        "hou.OperationFailed": Failed,
        "hou.parmTemplateType": type("parmTemplateType", (), {"String": "string"}),
        "hou.stringParmType": type("stringParmType", (), {"FileReference": "file"}),
        "hou.nodeTypeFilter": Recorder("nodeTypeFilter", {}),
        "hou.renderMethod": Recorder("renderMethod", {}),
    },
)
run()
