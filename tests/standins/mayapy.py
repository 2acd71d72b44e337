"""A stand-in for Maya's Python: what the published client imports, recorded."""

from __future__ import annotations

from recorder import provide, run

mapped: dict = {}


def dirmap(enable=None, query=False, mapDirectory=None, convertDirectory=None):
    if mapDirectory:
        mapped.update([mapDirectory])
    if convertDirectory:
        for source, destination in mapped.items():
            if convertDirectory.startswith(source):
                return destination + convertDirectory[len(source) :]
        return convertDirectory
    return bool(mapped) if query else None


def ls(name="", cameras=False, type=""):
    if cameras:
        return ["cameraShape1"]
    return [name] if name else ["layer1"] if type else ["cache1", "other"]


ATTRIBUTES = {
    "camera1.renderable": True,
    "defaultRenderGlobals.preMel": "",
    "cache1.absoluteCacheName": "/studio/caches/a.abc",
}
provide(
    *("maya", "maya.cmds", "maya.mel", "maya.standalone"),
    answers={
        "maya.cmds.about": lambda version: "2025",
        "maya.cmds.attributeQuery": lambda name, node, exists: node == "cache1",
        "maya.cmds.dirmap": dirmap,
        "maya.cmds.getAttr": ATTRIBUTES.get,
        "maya.cmds.listRelatives": lambda names, parent: ["camera1"],
        "maya.cmds.listConnections": lambda name, t: [t],
        "maya.cmds.ls": ls,
        "maya.mel.eval": lambda code: "beauty",
    },
)
run()
