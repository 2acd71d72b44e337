"""A stand-in for ``nuke -t``: what the published client imports, recorded; it asks for paths as Nuke does."""

from __future__ import annotations

import sys

from recorder import Recorder, note, provide, run

before_render = []
filters = []
OUTPUTS = {"Write1": "/studio/out/a.####.exr", "Write2": "out/b.####.exr"}


class Knob:
    def __init__(self, value) -> None:
        self._value = value

    def value(self):
        return self._value

    def setValue(self, value) -> None:
        note("knob.setValue", value)


class Node:
    """A write node."""

    def __init__(self, name: str) -> None:
        self._name = name

    def name(self) -> str:
        return self._name

    def Class(self) -> str:
        return "Write"

    def knobs(self) -> dict:
        return {"render_order": Knob(-int(self._name[-1])), "views": Knob("left right"), "proxy": Knob(False)}

    def knob(self, name: str):
        return Knob({"colorManagement": "Nuke"}.get(name, False))

    def __repr__(self) -> str:
        return self._name


nodes = {name: Node(name) for name in OUTPUTS}
current = []


def filename(node) -> str:
    path = OUTPUTS[node.name()]
    for function in filters:
        path = function(path)
    note("filename", path)
    return path


def execute(node, start, end, step, **options) -> None:
    current[:] = [node]
    for function in before_render:
        function()
    for frame in range(start, end + 1, step):
        print("Writing %s took 0.1 seconds" % filename(node).replace("####", "%04d" % frame), flush=True)


def script_exit() -> None:
    sys.exit(0)


provide(
    *("nuke", "PyOpenColorIO"),
    answers={
        "nuke.addBeforeRender": before_render.append,
        "nuke.addFilenameFilter": filters.append,
        "nuke.allNodes": lambda: list(nodes.values()),
        "nuke.execute": execute,
        "nuke.filename": filename,
        "nuke.root": lambda: Node("Root0"),
        "nuke.scriptExit": script_exit,
        "nuke.thisNode": lambda: current[0],
        "nuke.views": lambda: ["left", "right"],
    },
    values={"nuke.env": {"NukeVersionString": "15.1v2"}, "PyOpenColorIO.Config": Recorder("Config", {})},
)
run()
