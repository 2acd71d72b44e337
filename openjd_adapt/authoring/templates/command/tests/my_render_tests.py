import os
import subprocess
import sys

import my_render as package
from my_render import MyRender
from openjd_adapt.testing import Session


def test_a_frame_is_rendered(tmp_path):
    with Session(MyRender, {"output": str(tmp_path / "####.txt")}, configuration={"quality": 7}) as session:
        outcome = session.run({"frame": 3})
        assert outcome.is_done, outcome
    assert outcome.progress[-1] == 100
    assert (tmp_path / "0003.txt").read_text() == "frame 3, quality 7\n"


def test_a_program_that_fails_fails_the_task(monkeypatch):
    code = "print('Error: no licence'); raise SystemExit(3)"
    monkeypatch.setattr(package, "PROGRAM", [sys.executable, "-c", code])
    with Session(MyRender, {"output": "####.txt"}) as session:
        assert session.run({"frame": 1}).message == "no licence"


def test_a_cancel_ends_the_program(monkeypatch):
    code = "import time; print('50%'); time.sleep(60)"
    monkeypatch.setattr(package, "PROGRAM", [sys.executable, "-uc", code])
    with Session(MyRender, {"output": "####.txt"}) as session:
        assert session.run({"frame": 1}, cancel_at="openjd_progress: 50").outcome == "canceled"


def test_bad_data_are_refused():
    assert Session(MyRender, {}).start().code == 2
    with Session(MyRender, {"output": "####.txt"}) as session:
        assert session.run({"frame": "x"}).message == "run data: frame: 'x' is not of type 'integer'"


def test_a_whole_session_runs_with_real_commands(tmp_path):
    data = '{"output": "%s"}' % (tmp_path / "####.txt").as_posix()
    folder = os.path.dirname(os.path.dirname(os.path.abspath(package.__file__)))
    session = [sys.executable, "-m", "my_render", "session", "--init-data", data, "--each", "frame=1-2"]
    subprocess.run(session, cwd=folder, check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0001.txt", "0002.txt"]
