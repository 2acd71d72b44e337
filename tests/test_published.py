"""Adaptors as PyPI has them, unmodified, on this toolkit: with Blender, and with stand-ins for what is not free."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from .conftest import CORPUS, ROOT, missing, tool
from .published import COMMANDS, has_reference, needs_published, needs_reference, record, stand_in, use
from .test_examples import read_png

pytestmark = [pytest.mark.posix_only, needs_published]


def mapping(farm) -> str:
    rule = {"source_path_format": "POSIX", "source_path": "/studio", "destination_path": str(farm.folder / "mapped")}
    return json.dumps({"version": "pathmapping-1.0", "path_mapping_rules": [rule]})


#: By application: the stand-in, the variable that names it, init data (``HERE``: the farm's folder), two tasks.
APPLICATIONS = {
    "maya": (
        "mayapy",
        "MAYAPY_EXECUTABLE",
        {
            "scene_file": "HERE/scene",
            "project_path": "HERE/project",
            "render_layer": "beauty",
            "renderer": "mayaSoftware",
            "camera": "camera1",
            "image_width": 64,
            "image_height": 48,
            "output_file_path": "HERE/images",
            "output_file_prefix": "frame",
            "cache_pathmapping": True,
            "strict_error_checking": True,
        },
        ({"frame": 1}, {"frame": 2}),
    ),
    "nuke": (
        "nuke_t",
        "NUKE_EXECUTABLE",
        {
            "script_file": "HERE/scene",
            "write_nodes": ["Write1", "Write2"],
            "views": ["left"],
            "proxy": True,
            "continue_on_error": False,
        },
        ({"frame": 1}, {"frameRange": "2-3"}),
    ),
    "houdini": (
        "hython",
        "HYTHON_EXECUTABLE",
        {
            "scene_file": "HERE/scene",
            "render_node": "/out/geometry1",
            "version": "20.5",
            "ignore_input_nodes": False,
            "strict_error_checking": True,
        },
        ({"frame_range": {"start": 1, "end": 1, "step": 1}}, {"frame_range": {"start": 2, "end": 6, "step": 2}}),
    ),
}
#: What the stand-in must have been asked for, at least, by a pattern of the record's text.
ASKED = {
    "maya": [
        r'"maya.cmds.file", \[\["HERE/scene"\], {"force": true, "ignoreVersion": true, "open": true}\]',
        r'"maya.cmds.setAttr", \[\["cache1.absoluteCacheName", "HERE/mapped/caches/a.abc"\]',
        (
            r'"defaultRenderGlobals.startFrame", 1\](.|\n)*"maya.cmds.render"(.|\n)*'
            r'"defaultRenderGlobals.startFrame", 2\](.|\n)*"maya.cmds.render", \[\["camera1"\], {"layer": "layer1"}\]'
        ),
        r'"maya.standalone.uninitialize"',
    ],
    "nuke": [
        r'"nuke.scriptOpen", \[\["HERE/scene"\]',
        r'"filename", "HERE/mapped/out/a.####.exr"',
        (
            r'"nuke.execute", \[\["Write2", 1, 1, 1\], {"continueOnError": false, "views": \["left"\]}\](.|\n)*'
            r'"nuke.execute", \[\["Write1", 2, 3, 1\]'
        ),
        r'"nuke.scriptExit"',
    ],
    "houdini": [
        r'"hou.hipFile.load", \[\["HERE/scene"\]',
        r'"hou.putenv", \[\["JOB", "HERE/mapped/job"\]',
        r'"Parm.set", \["filepath1", "HERE/mapped/set.usd"\]',
        r'"frame_range": \[1, 1, 1\](.|\n)*"frame_range": \[2, 6, 2\]',
        r'"hou.exit"',
    ],
}


def whole_session(farm, package: str, application: str) -> tuple:
    """The exit codes, what the scheduler was told, what the stand-in was asked for, and all of it for who must know."""
    program, variable, init, tasks = APPLICATIONS[application]
    use(farm, package, application + "-openjd")
    farm.env[variable] = str(stand_in(farm, program))
    (farm.folder / "scene").touch()
    init_data = json.dumps(init).replace("HERE", str(farm.folder))
    done = [farm.daemon("start", "--init-data", init_data, "--path-mapping-rules", mapping(farm))]
    done += [farm.daemon("run", "--run-data", json.dumps(task)) for task in tasks]
    done.append(farm.daemon("stop"))
    told = [
        (kind, float(value) if kind == "progress" else value)  # the reference writes 0.0 for 0
        for one in done
        for kind, value in re.findall(r"^(?:ADAPTOR_OUTPUT: )?openjd_(progress|status|fail): (.*)$", one.out, re.M)
    ]
    return [one.code for one in done], told, record(farm), done


@needs_reference
@pytest.mark.parametrize("application", APPLICATIONS)
def test_a_session_asks_the_application_for_the_same_as_on_the_reference(farm, elsewhere, application):
    there, here = whole_session(elsewhere, "reference", application), whole_session(farm, "ours", application)
    assert there[0] == [0, 0, 0, 0], there
    assert here[0] == there[0] and here[2] == there[2], (here, there)
    text = "\n".join(map(json.dumps, here[2]))
    assert [pattern for pattern in ASKED[application] if not re.search(pattern, text)] == [], text
    assert changes(here[1]) == changes(there[1]) and here[1].count(("progress", 100)) >= 2


def changes(told):
    """What a scheduler was told, without what it knew already: that is not told here."""
    return [each for each, before in zip(told, [None, *told]) if each != before]


def test_the_published_adaptors_have_no_reference_beside_them():
    assert not has_reference()


#: By command: init data and run data, and what its start fails of without the application, on either package.
OTHERS = {
    "cinema4d-openjd": (
        {"scene_file": "scene.c4d", "take": "Main"},
        {"frame": "1"},
        r"Permission denied: '.*/adaptor.sh'",
    ),
    "3dsmax-openjd": (
        {"scene_file": "scene.max", "renderer": "Arnold"},
        {"frame": 1},
        r"No such file or directory: '3dsmax'",
    ),
    "unreal-engine-openjd": (
        {"project_path": "a.uproject"},
        {"handler": "render"},
        r"No such file or directory: 'UnrealEditor-Cmd'",
    ),
    # These two are but a notice by now.
    "keyshot-openjd": ({}, {}, r"PyPI package is deprecated"),
    "afterfx-openjd": ({}, {}, r"PyPI package is deprecated"),
}


@needs_reference
@pytest.mark.parametrize("command", OTHERS)
def test_an_adaptor_without_its_application_goes_as_far_as_on_the_reference(farm, elsewhere, command):
    init, task, cause = OTHERS[command]
    found = []
    for place, package in ((elsewhere, "reference"), (farm, "ours")):
        use(place, package, command)
        version = place("version-info")
        run = place("run", "--init-data", json.dumps(init), "--run-data", json.dumps(task))
        versions = set(
            re.findall(r"(\w+ [Dd]ata [Ii]nterface|CLI|adaptor) [Vv]ersion: '?([\d.]+)", version.out + version.err)
        )
        text = run.out + run.err
        found.append((version.code, versions, run.code, bool(re.search(cause, text)), text))
    there, here = found
    assert here[:4] == there[:4] and here[2] == 1 and here[3], found
    assert here[1] or "deprecated" in cause


# Blender


@pytest.fixture
def blender(farm):
    """A farm whose adaptor is deadline-cloud-for-blender, with a scene; nothing of the reference is on its path."""
    program = tool("blender")
    use(farm, "ours", "blender-openjd")
    make = [program, "--background", "--factory-startup", "--python", str(ROOT / "examples/blender/make_scene.py")]
    farm.scene = farm.folder / "scene.blend"
    subprocess.run([*make, "--", str(farm.scene)], env=farm.env, stdout=subprocess.DEVNULL, timeout=60, check=True)
    farm.init = {
        "scene_file": str(farm.scene),
        "render_engine": "cycles",
        "gpu_device": "NONE",
        "output_format": "PNG",
        "render_scene": "Scene",
        "view_layer": "ViewLayer",
        "output_dir": str(farm.folder / "out"),
        "output_file_name": "frame_####",
    }
    return farm


def test_run_renders_a_frame_in_blender(blender):
    done = blender("run", "--init-data", json.dumps(blender.init), "--run-data", '{"frame": 2}')
    assert done.code == 0 and "openjd_progress: 100" in done.lines, done
    [picture] = (blender.folder / "out").iterdir()
    assert picture.name == "ViewLayer_frame_0002.png" and read_png(picture)[:2] == (160, 120)


def test_the_job_of_the_published_submitter_renders_three_frames_in_one_blender(blender):
    template = CORPUS / "templates" / "blender_job.template.yaml"
    if not template.exists():
        pytest.skip(missing("corpus"))
    values = {"BlenderFile": blender.scene, "Frames": "1-3", "OutputDir": blender.folder / "out"}
    blender.env["PATH"] = os.pathsep.join([COMMANDS, blender.env["PATH"]])
    run = [tool("openjd"), "run", str(template), "--step", "RenderBlender"]
    for name, value in {**values, "OutputFileName": "frame_####"}.items():
        run += ["-p", "%s=%s" % (name, value)]
    # The whole scheduler runs with the path set, as a farm would set it once.
    command = [sys.executable, "-m", "openjd_adapt", "compat", "--", *run]
    environment = {**blender.env, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=110)
    log = done.stdout.decode()
    assert done.returncode == 0, log
    pictures = sorted((blender.folder / "out").iterdir())
    assert [path.name for path in pictures] == ["ViewLayer_frame_%04d.png" % frame for frame in (1, 2, 3)]
    assert len({read_png(path)[2] for path in pictures}) == 3
    assert log.count("BlenderClient: Blender Version") == 1 and "Chunks run: 3" in log
    assert blender.pids() == []
