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


def test_the_scene_is_opened_once_and_each_frame_is_rendered_in_it(tmp_path):
    application = FakeApplication(open_scene=lambda path: None, render=lambda **data: application.say("100%"))
    data = {"scene": "/farm/my.scene", "output": str(tmp_path / "####.txt")}
    options = {"path_mapping": RULES, "configuration": {"quality": 7}, "application": application}
    with Session(MyRender, data, **options) as session:
        for frame in (1, 2):
            assert session.run({"frame": frame}).progress == [100]
    frames = [{"frame": frame, "output": str(tmp_path / ("%04d.txt" % frame)), "quality": 7} for frame in (1, 2)]
    assert application.calls[0][1]["path"].replace(os.sep, "/") == "/mnt/my.scene"
    assert application.calls[1:] == [("render", data) for data in frames]


def test_an_error_line_of_the_application_fails_the_task():
    application = FakeApplication(open_scene=lambda path: None)
    application.functions["render"] = lambda **data: application.say("Error: no licence")
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
