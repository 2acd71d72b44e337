"""The examples, by the README's command, and their job templates under ``openjd run`` (openjd-cli from PyPI)."""

from __future__ import annotations

import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import zlib

import pytest

from .conftest import HANG_SECONDS, ROOT, read_until, tool, wait_until

pytestmark = pytest.mark.once

EXAMPLES = ROOT / "examples"


def read_png(path):
    """Width, height and the pixels' bytes of an RGB or RGBA picture; every checksum is tested."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    position, packed, head = 8, b"", b""
    while position < len(data):
        size = struct.unpack(">I", data[position : position + 4])[0]
        chunk = data[position + 4 : position + 8 + size]
        assert struct.unpack(">I", data[position + 8 + size : position + 12 + size])[0] == zlib.crc32(chunk)
        head = chunk[4:] if chunk[:4] == b"IHDR" else head
        packed += chunk[4:] if chunk[:4] == b"IDAT" else b""
        position += 12 + size
    width, height, bits, kind = struct.unpack(">IIBB", head[:10])
    pixels = zlib.decompress(packed)
    assert len(pixels) == height * (1 + {2: 3, 6: 4}[kind] * bits // 8 * width)
    return width, height, pixels


@pytest.mark.long  # test_readme runs the same command
def test_the_mandelbrot_session_renders_pictures_through_a_daemon(farm):
    farm.adaptor = str(EXAMPLES / "mandelbrot" / "mandelbrot.py")
    done = farm("session", "--init-data", "file://%s/mandelbrot/init_data.json" % EXAMPLES, "--each", "frame=1-3")
    assert done.code == 0, done
    pictures = [read_png(farm.folder / "renders" / ("mandelbrot_%04d.png" % frame)) for frame in (1, 2, 3)]
    assert all(picture[:2] == (160, 100) for picture in pictures)
    assert len({picture[2] for picture in pictures}) == 3
    assert done.out.count("Mandelbrot renderer is ready") == 1  # opened once
    assert re.search(r"\nphase +seconds.*\nstart .*\ntask 1 .*\ntask 2 .*\ntask 3 .*\nstop .*\nall ", done.out)


def title_of(path):
    """The text that a picture of the mandelbrot example carries."""
    text = path.read_bytes().split(b"iTXtTitle\0\0\0\0\0")[1]
    return text[: text.index(b"IDAT") - 8].decode("utf-8")


@pytest.mark.parametrize(
    "words, option, data, complaint",
    [
        (["run"], "--init-data", "width: 16", "'output' is a required property"),
        (
            ["daemon", "start"],
            "--init-data",
            "{output: x, hight: 9}",
            "Additional properties are not allowed ('hight' ",
        ),
    ],
)
def test_an_examples_schema_refuses_bad_data(farm, words, option, data, complaint):
    farm.adaptor = str(EXAMPLES / "mandelbrot" / "mandelbrot.py")
    done = farm(*words, *(["--connection-file", str(farm.file)] if words[0] == "daemon" else []), option, data)
    assert done.code == 2 and done.err.startswith("ERROR: %s: %s" % (option, complaint)), done


@pytest.mark.long
def test_the_transcode_session_encodes_parts_with_the_real_ffmpeg(farm):
    tool("ffmpeg")
    farm.adaptor = str(EXAMPLES / "transcode" / "transcode.py")
    done = farm("session", "--init-data", "file://%s/transcode/init_data.json" % EXAMPLES, "--each", "part=1-2")
    assert done.code == 0, done
    assert done.out.count("openjd_progress: 100") == 2
    for part in (1, 2):
        path = str(farm.folder / "renders" / ("part_%04d.mp4" % part))
        command = ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", path]
        assert abs(float(subprocess.check_output(command)) - 2) < 0.2


@pytest.mark.long
def test_transcode_fails_on_ffmpegs_error_lines(farm):
    tool("ffmpeg")
    farm.adaptor = str(EXAMPLES / "transcode" / "transcode.py")
    done = farm(
        "run",
        "--init-data",
        '{"input": "/no/film.mov", "output": "x.mp4", "part_seconds": 1}',
        "--run-data",
        '{"part": 1}',
    )
    assert done.code == 1
    assert "openjd_fail: ffmpeg: /no/film.mov: No such file or directory" in done.lines
    assert "Traceback" not in done.out


class Scheduler:
    """``openjd run`` with an example's job template."""

    def __init__(self, farm, example, **parameters):
        self.farm = farm
        self.template = EXAMPLES / example / (example + ".template.yaml")
        self.parameters = {"OutputDir": farm.folder / "out", "Python": sys.executable, **parameters}
        self.openjd = tool("openjd")

    def popen(self):
        self.log = self.farm.folder / "openjd.log"
        command = [self.openjd, "run", str(self.template)]
        for name, value in self.parameters.items():
            command += ["-p", "%s=%s" % (name, value)]
        environment = {**self.farm.env, "PYTHONUNBUFFERED": "1"}
        with self.log.open("wb") as stream:
            return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)

    def wait_for(self, text):
        wait_until(lambda: text in self.log.read_text())

    def terminate_without_notice(self):
        """Use the template's default cancelation, TERMINATE: SIGKILL to the command's process group."""
        text = re.sub(r" +cancelation:\n +mode: .*\n +notifyPeriodInSeconds: .*\n", "", self.template.read_text())
        assert "cancelation" not in text
        self.copy_example().write_text(text)

    def copy_example(self):
        """Use a copy of the example; returns its template, to be changed."""
        folder = self.farm.folder / "example"
        shutil.copytree(str(self.template.parent), str(folder))
        self.template = folder / self.template.name
        return self.template


@pytest.mark.parametrize(
    "example, pattern",
    [("mandelbrot", "mandelbrot_*.png"), pytest.param("transcode", "part_*.mp4", marks=pytest.mark.long)],
)
def test_openjd_run_starts_runs_three_tasks_and_stops(farm, example, pattern):
    if example == "transcode":
        tool("ffmpeg")
    scheduler = Scheduler(farm, example)
    assert scheduler.popen().wait(100) == 0, scheduler.log.read_text()
    log = scheduler.log.read_text()
    assert "Chunks run: 3" in log and "openjd_fail" not in log
    assert len(list((farm.folder / "out").glob(pattern))) == 3
    assert farm.pids() == []


AWKWARD = r"""C:\shots\"new" {draft}\#1: élan & café — 'π ≈ 3.14' [50%] @ `home` | > * ! - ? , end:"""


def test_any_text_arrives_through_a_templates_literal_block(farm):
    scheduler = Scheduler(farm, "mandelbrot", Title=AWKWARD, Width=16, Height=10, Frames="7")
    assert scheduler.popen().wait(100) == 0, scheduler.log.read_text()
    assert title_of(farm.folder / "out" / "mandelbrot_0007.png") == AWKWARD


EMBEDDED_YAML = r"""
          # Rendered "by hand": C:\not\a\path # twice
          "width" : 0x10    # pixels
          'height': 1_0
          output: '{{Param.OutputDir}}/it''s: #1 – é_####.png'
          title: >-
            C:\shots\new: "draft" #2,
            'café'

            - {no: list} \n
""".strip("\n")


def test_embedded_yaml_with_colons_quotes_hashes_windows_paths_and_unicode_is_read(farm):
    scheduler = Scheduler(farm, "mandelbrot", Frames="1-2", OutputDir=farm.folder / "out: #1")
    text = scheduler.template.read_text(encoding="utf-8")
    begin, end = text.index("          width: {{Param.Width}}"), text.index("      actions:")
    scheduler.copy_example().write_text(text[:begin] + EMBEDDED_YAML + "\n" + text[end:], encoding="utf-8")
    assert scheduler.popen().wait(100) == 0, scheduler.log.read_text()
    for frame in ("0001", "0002"):
        path = farm.folder / "out: #1" / ("it's: #1 – é_%s.png" % frame)
        assert read_png(path)[:2] == (16, 10)
        assert title_of(path) == "C:\\shots\\new: \"draft\" #2, 'café'\n- {no: list} \\n"


SLOW = {
    "mandelbrot": {"Width": 4000, "Height": 3000},
    "transcode": {"Input": "testsrc2=size=1920x1080:rate=60:duration=3600", "PartSeconds": 600},
}


@pytest.mark.parametrize("example", ["mandelbrot", pytest.param("transcode", marks=pytest.mark.long)])
@pytest.mark.parametrize("notify", [True, False])
def test_after_a_cancel_in_mid_task_no_process_is_left_once_on_exit_is_done(farm, example, notify):
    if example == "transcode":
        tool("ffmpeg")
    scheduler = Scheduler(farm, example, **SLOW[example])
    if not notify:
        scheduler.terminate_without_notice()
    process = scheduler.popen()
    scheduler.wait_for("openjd_progress: ")
    assert len(farm.pids()) >= 4
    process.send_signal(signal.SIGINT)
    process.wait(HANG_SECONDS)  # the task alone would take far longer
    log = scheduler.log.read_text()
    assert "Exiting Environment" in log, log
    assert ("INFO: canceling; " in log) == notify, log
    assert "openjd_fail" not in log, log
    # openjd itself may be about to exit; none of ours may be left the moment that it has.
    assert [pid for pid in farm.pids() if os.path.exists("/proc/%d" % pid)] == []


# Blender


def make_scene(path, *textures):
    make = ["--background", "--factory-startup", "--python", str(EXAMPLES / "blender" / "make_scene.py")]
    command = [tool("blender"), *make, "--", str(path), *textures]
    subprocess.run(command, stdout=subprocess.DEVNULL, timeout=HANG_SECONDS, check=True)
    return path


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A scene that Blender has made."""
    return make_scene(tmp_path_factory.mktemp("scene") / "scene.blend")


@pytest.fixture
def blender(farm):
    """A farm with Blender's adaptor."""
    tool("blender")
    farm.adaptor = str(EXAMPLES / "blender" / "blender_adaptor.py")
    return farm


@pytest.mark.long
def test_openjd_run_renders_five_frames_in_one_blender(blender, scene):
    scheduler = Scheduler(blender, "blender", SceneFile=scene)
    assert scheduler.popen().wait(100) == 0, scheduler.log.read_text()
    log = scheduler.log.read_text()
    assert log.count("openjd_status: Blender ") == 1 and "Chunks run: 5" in log
    assert re.search(r"openjd_progress: [1-9]", log)
    pictures = [read_png(path) for path in sorted((blender.folder / "out").glob("blender_*.png"))]
    assert [picture[:2] for picture in pictures] == [(160, 120)] * 5
    assert len({pixels for _, _, pixels in pictures}) == 5
    assert blender.pids() == []


@pytest.mark.long
def test_a_missing_scene_fails_the_start_and_names_the_file(blender):
    done = blender(
        "run", "--init-data", '{"scene_file": "/nowhere.blend", "output": "x"}', "--run-data", '{"frame": 1}'
    )
    assert done.code == 1 and re.search(r"openjd_fail: .*the scene /nowhere.blend is missing", done.out), done
    assert blender.pids() == []


@pytest.mark.long
def test_a_missing_texture_fails_the_start_and_names_the_file(blender):
    scene = make_scene(blender.folder / "textured.blend", "/no/wood.png")
    init = '{"scene_file": "%s", "output": "x"}' % scene
    done = blender("run", "--init-data", init, "--run-data", '{"frame": 1}')
    assert done.code == 1 and re.search(r"openjd_fail: .*the texture /no/wood.png of texture is missing", done.out)


@pytest.mark.long
def test_a_frame_is_rendered_to_mapped_paths_and_no_pythonpath_is_needed(blender, scene):
    rule = '{"source_path_format": "WINDOWS", "source_path": "%s", "destination_path": "%s"}'
    rules = ", ".join(rule % pair for pair in ((r"S:\\", scene.parent), (r"R:\\", blender.folder)))
    command = blender.command(
        *("run", "--path-mapping-rules", '{"path_mapping_rules": [%s]}' % rules, "--run-data", '{"frame": 1}'),
        *("--init-data", r'{"scene_file": "S:\\scene.blend", "output": "R:\\frame_####.png", "samples": 1}'),
    )
    del blender.env["PYTHONPATH"]
    done = subprocess.run(command, cwd=str(ROOT), env=blender.env, stdout=subprocess.PIPE, timeout=HANG_SECONDS)
    assert done.returncode == 0, done.stdout
    assert (blender.folder / "frame_0001.png").exists()


@pytest.mark.long
@pytest.mark.parametrize("notify", [True, False])
def test_a_cancel_in_mid_frame_leaves_no_blender(blender, scene, notify):
    scheduler = Scheduler(blender, "blender", SceneFile=scene, Samples=100_000)
    if not notify:
        scheduler.terminate_without_notice()
    process = scheduler.popen()
    scheduler.wait_for("| Sample ")
    process.send_signal(signal.SIGINT)
    process.wait(HANG_SECONDS)
    assert "Exiting Environment" in scheduler.log.read_text()
    assert blender.pids() == []


@pytest.mark.long
def test_sigkill_of_blender_fails_the_task_that_would_take_hours(blender, scene):
    blender.daemon("start", "--init-data", '{"scene_file": "%s", "output": "x", "samples": 100000}' % scene)
    process = blender.daemon_popen("run", "--run-data", '{"frame": 1}')
    read_until(process.stdout, "| Sample ")
    [pid] = [pid for pid in blender.pids() if b"--background" in open_cmdline(pid)]
    os.kill(pid, signal.SIGKILL)
    done = blender.finish(process)
    assert done.code == 1
    assert re.search(r"openjd_fail: blender was killed by SIGKILL while .* its last lines: .*Sample", done.out)
    assert blender.daemon("stop").code == 0


def open_cmdline(pid):
    with open("/proc/%d/cmdline" % pid, "rb") as stream:
        return stream.read()
