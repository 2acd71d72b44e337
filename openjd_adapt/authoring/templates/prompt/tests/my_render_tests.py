import os
import subprocess
import sys

import my_render as package
from my_render import MyRender
from openjd_adapt.testing import FakeApplication, Session

RULES = {
    "version": "pathmapping-1.0",
    "path_mapping_rules": [{"source_path_format": "POSIX", "source_path": "/farm", "destination_path": "/mnt"}],
}


def answer(line):
    word, rest = line.split(" ", 1)
    return ["opened " + rest] if word == "open" else ["100%", "frame %s written" % rest.split()[0]]


def test_the_scene_is_opened_once_and_each_frame_is_rendered_in_it(tmp_path):
    application = FakeApplication(prompt=answer)
    data = {"scene": "/farm/my.scene", "output": str(tmp_path / "####.txt")}
    options = {"path_mapping": RULES, "configuration": {"quality": 7}, "application": application}
    with Session(MyRender, data, **options) as session:
        for frame in (1, 2):
            assert session.run({"frame": frame}).progress == [100]
    first, *others = [call[1]["text"] for call in application.calls]
    assert first.replace(os.sep, "/") == "open /mnt/my.scene"
    assert others == ["render %d 7 %s" % (frame, tmp_path / ("%04d.txt" % frame)) for frame in (1, 2)]


def test_an_error_line_of_the_application_fails_the_task():
    application = FakeApplication(prompt=lambda line: answer(line) if line[0] == "o" else ["Error: no licence"])
    with Session(MyRender, {"scene": "s", "output": "####.txt"}, application=application) as session:
        assert session.run({"frame": 1}).message == "no licence"


def test_bad_data_are_refused():
    assert Session(MyRender, {}).start().code == 2


def test_a_whole_session_runs_with_the_real_application_and_commands(tmp_path):
    data = '{"scene": "my.scene", "output": "%s"}' % (tmp_path / "####.txt").as_posix()
    folder = os.path.dirname(os.path.dirname(os.path.abspath(package.__file__)))
    session = [sys.executable, "-m", "my_render", "session", "--init-data", data, "--each", "frame=1-2"]
    subprocess.run(session, cwd=folder, check=True)
    assert (tmp_path / "0002.txt").read_text() == "frame 2 of my.scene, quality 80\n"
