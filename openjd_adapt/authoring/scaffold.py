"""For authors: writes a new adaptor's package that works as it is, with configuration, schemas, tests, job template."""

from __future__ import annotations

import json
import keyword
import os
import re
import shutil
import sys

from ..daemon.frontend import answer
from ..data import INIT_DATA, RUN_DATA, SCHEMA_FILES, full_path
from ..errors import DONE, FAILED, InputError
from . import template

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


# What ``new`` writes: NAME stands for the package, TITLE for the adaptor's class.

NEXT = """\
NAME works as it is, with a stand-in for what you drive. In TITLE:
    python -m NAME session --init-data file://NAME/init_data.json --each frame=1-3
    python -m pytest NAME
    openjd run NAME/job.template.yaml PARAMETERS
Next: put what you drive into NAME/__init__.py, its data into NAME/schemas, then renew the job template:
    python -m NAME template > NAME/job.template.yaml
"""

CONFIGURATION = {"log_level": "INFO", "quality": 80}

OUTPUT = {
    "type": "string",
    "format": "path",
    "minLength": 1,
    "description": "Where the results go; #### becomes the frame.",
}
SCENE = {"type": "string", "format": "path", "minLength": 1, "description": "The scene to open."}
RUN_PROPERTIES = {"frame": {"type": "integer", "minimum": 1, "description": "The frame to render."}}

_MAIN = '''\
"""The command line: python -m NAME."""

from openjd_adapt import EntryPoint

from . import TITLE


def main():
    EntryPoint(TITLE).start()


if __name__ == "__main__":
    main()
'''

_COMMAND = '''\
"""An adaptor that runs one command a task."""

import os
import sys

from openjd_adapt import CommandAdaptor, Fatal, ManagedProcess, Progress

#: Stands in for the program that you drive: put its command here.
PROGRAM = [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "program.py")]


class TITLE(CommandAdaptor):
    """Init data: ``output`` (``####`` becomes the frame). Run data: ``frame``. Configured: ``quality``."""

    watch = [Progress(r"^(\\d+)%"), Fatal(r"^Error: (.*)")]

    def get_managed_process(self, run_data):
        return Render(self, run_data)


class Render(ManagedProcess):
    """One frame. A non-zero exit code fails the task, a cancel ends the process."""

    def __init__(self, adaptor, run_data):
        super().__init__(run_data)
        self.adaptor = adaptor

    def get_executable(self):
        return PROGRAM[0]

    def get_arguments(self):
        frame = self.run_data["frame"]
        output = self.adaptor.map_path(self.adaptor.init_data["output"]).replace("####", "%04d" % frame)
        os.makedirs(os.path.dirname(os.path.abspath(output)), exist_ok=True)
        return [*PROGRAM[1:], str(frame), output, str(self.adaptor.config.config["quality"])]
'''

_PROGRAM = '''\
"""Stands in for a program that renders: frame, output, quality. Put yours into __init__.py, and delete this."""

import sys
import time

frame, output, quality = sys.argv[1:]
for percent in (25, 50, 75, 100):
    time.sleep(0.05)
    print("%d%%" % percent, flush=True)
with open(output, "w") as stream:
    stream.write("frame %s, quality %s\\n" % (frame, quality))
'''

_COMMAND_TESTS = """\
import os
import subprocess
import sys

import NAME as package
from NAME import TITLE
from openjd_adapt.testing import Session


def test_a_frame_is_rendered(tmp_path):
    with Session(TITLE, {"output": str(tmp_path / "####.txt")}, configuration={"quality": 7}) as session:
        outcome = session.run({"frame": 3})
        assert outcome.is_done, outcome
    assert outcome.progress[-1] == 100
    assert (tmp_path / "0003.txt").read_text() == "frame 3, quality 7\\n"


def test_a_program_that_fails_fails_the_task(monkeypatch):
    code = "print('Error: no licence'); raise SystemExit(3)"
    monkeypatch.setattr(package, "PROGRAM", [sys.executable, "-c", code])
    with Session(TITLE, {"output": "####.txt"}) as session:
        assert session.run({"frame": 1}).message == "no licence"


def test_a_cancel_ends_the_program(monkeypatch):
    code = "import time; print('50%'); time.sleep(60)"
    monkeypatch.setattr(package, "PROGRAM", [sys.executable, "-uc", code])
    with Session(TITLE, {"output": "####.txt"}) as session:
        assert session.run({"frame": 1}, cancel_at="openjd_progress: 50").outcome == "canceled"


def test_bad_data_are_refused():
    assert Session(TITLE, {}).start().code == 2
    with Session(TITLE, {"output": "####.txt"}) as session:
        assert session.run({"frame": "x"}).message == "run data: frame: 'x' is not of type 'integer'"


def test_a_whole_session_runs_with_real_commands(tmp_path):
    data = '{"output": "%s"}' % (tmp_path / "####.txt").as_posix()
    folder = os.path.dirname(os.path.dirname(os.path.abspath(package.__file__)))
    session = [sys.executable, "-m", "NAME", "session", "--init-data", data, "--each", "frame=1-2"]
    subprocess.run(session, cwd=folder, check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0001.txt", "0002.txt"]
"""

_APPLICATION = '''\
"""An adaptor that opens an application once, and renders many frames in it."""

import os
import sys

import openjd_adapt
from openjd_adapt import ApplicationAdaptor, Fatal, Progress


class TITLE(ApplicationAdaptor):
    """Init data: ``scene``, ``output`` (``####`` becomes the frame). Run data: ``frame``. Configured: ``quality``."""

    client = os.path.join(os.path.dirname(os.path.abspath(__file__)), "client.py")
    watch = [Progress(r"^(\\d+)%"), Fatal(r"^Error: (.*)")]

    def get_command(self):
        # A Python stands in for the application that you drive. For Blender, say:
        # return ["blender", "--background", "--python", openjd_adapt.client_script]
        return [sys.executable, openjd_adapt.client_script]

    def on_ready(self):
        self.app.call("open_scene", path=self.map_path(self.init_data["scene"]))

    def on_run(self, run_data):
        frame = run_data["frame"]
        output = self.map_path(self.init_data["output"]).replace("####", "%04d" % frame)
        os.makedirs(os.path.dirname(os.path.abspath(output)), exist_ok=True)
        self.app.call("render", frame=frame, output=os.path.abspath(output), quality=self.config.config["quality"])
'''

_CLIENT = '''\
"""Runs inside the application: its functions are what the adaptor calls. Put your application's own calls here."""

import time

from openjd_adapt.client import Client

client = Client()
scene = None


@client.action
def open_scene(path):
    global scene
    scene = path
    print("opened " + path)


@client.action
def render(frame, output, quality):
    for percent in (25, 50, 75, 100):
        time.sleep(0.05)
        print("%d%%" % percent, flush=True)
    with open(output, "w") as stream:
        stream.write("frame %d of %s, quality %d\\n" % (frame, scene, quality))


client.serve_forever()
'''

_APPLICATION_TESTS = """\
import os
import subprocess
import sys

import NAME as package
from NAME import TITLE
from openjd_adapt.testing import FakeApplication, Session

RULES = {
    "version": "pathmapping-1.0",
    "path_mapping_rules": [{"source_path_format": "POSIX", "source_path": "/farm", "destination_path": "/mnt"}],
}


def test_the_scene_is_opened_once_and_each_frame_is_rendered_in_it(tmp_path):
    application = FakeApplication(open_scene=lambda path: None, render=lambda **data: application.say("100%"))
    data = {"scene": "/farm/my.scene", "output": str(tmp_path / "####.txt")}
    options = {"path_mapping": RULES, "configuration": {"quality": 7}, "application": application}
    with Session(TITLE, data, **options) as session:
        for frame in (1, 2):
            assert session.run({"frame": frame}).progress == [100]
    frames = [{"frame": frame, "output": str(tmp_path / ("%04d.txt" % frame)), "quality": 7} for frame in (1, 2)]
    assert application.calls[0][1]["path"].replace(os.sep, "/") == "/mnt/my.scene"
    assert application.calls[1:] == [("render", data) for data in frames]


def test_an_error_line_of_the_application_fails_the_task():
    application = FakeApplication(open_scene=lambda path: None)
    application.functions["render"] = lambda **data: application.say("Error: no licence")
    with Session(TITLE, {"scene": "s", "output": "####.txt"}, application=application) as session:
        assert session.run({"frame": 1}).message == "no licence"


def test_bad_data_are_refused():
    assert Session(TITLE, {}).start().code == 2


def test_a_whole_session_runs_with_the_real_application_and_commands(tmp_path):
    data = '{"scene": "my.scene", "output": "%s"}' % (tmp_path / "####.txt").as_posix()
    folder = os.path.dirname(os.path.dirname(os.path.abspath(package.__file__)))
    session = [sys.executable, "-m", "NAME", "session", "--init-data", data, "--each", "frame=1-2"]
    subprocess.run(session, cwd=folder, check=True)
    assert (tmp_path / "0002.txt").read_text() == "frame 2 of my.scene, quality 80\\n"
"""

_ALWAYS = {"__main__.py": _MAIN, "tests/__init__.py": ""}

#: The files, the properties of the init data, and an example of these.
KINDS: dict[str, tuple[dict[str, str], dict[str, Any], dict[str, Any]]] = {
    "command": (
        {**_ALWAYS, "__init__.py": _COMMAND, "program.py": _PROGRAM, "tests/test_NAME.py": _COMMAND_TESTS},
        {"output": OUTPUT},
        {"output": "renders/####.txt"},
    ),
    "application": (
        {**_ALWAYS, "__init__.py": _APPLICATION, "client.py": _CLIENT, "tests/test_NAME.py": _APPLICATION_TESTS},
        {"scene": SCENE, "output": OUTPUT},
        {"scene": "my.scene", "output": "renders/####.txt"},
    ),
}


def run(arguments: list[str]) -> int:
    """The command ``new``. Raises :class:`InputError` if there is something already, or the name can be no package."""
    import argparse

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:
            raise InputError("new: %s (see new --help)" % message)

        def _print_message(self, message: str, file: object = None) -> None:
            if answer(message) != DONE:
                raise SystemExit(FAILED)

    parser = Parser(
        prog="python -m openjd_adapt new",
        description="Write the package of a new adaptor, which works as it is. Nothing is overwritten.",
        epilog="Example: new my_render --kind application",
        allow_abbrev=False,
    )
    parser.add_argument("name", metavar="NAME", help="the package: lower case, digits, underscores; or a path to it")
    parser.add_argument(
        "--kind",
        choices=KINDS,
        default="command",
        help="one command a task, or an application kept open",
    )
    options = parser.parse_args(arguments)
    folder, name = os.path.split(full_path(options.name))
    _check(folder, name)
    _write(os.path.join(folder, name), contents(folder, name, options.kind))
    _, _, init_data = KINDS[options.kind]
    parameters = " ".join('-p %s="%s"' % (key.capitalize(), value) for key, value in init_data.items())
    return answer(_filled(NEXT, name, folder).replace("PARAMETERS", parameters))


def contents(folder: str, name: str, kind: str) -> dict[str, str]:
    """The files of the package ``name`` in ``folder``, by their paths in it."""
    title = _title(name)
    texts, init_properties, init_data = KINDS[kind]
    schemas = {
        INIT_DATA: _schema("Init data of " + title, init_properties),
        RUN_DATA: _schema("Run data of " + title, RUN_PROPERTIES),
    }
    folders = [folder, *(place for place in template.import_folders([__name__]) if place != folder)]
    return {
        **{_filled(path, name, title): _filled(text, name, title) for path, text in texts.items()},
        **{"schemas/" + SCHEMA_FILES[data]: _json(schema) for data, schema in schemas.items()},
        title + ".json": _json(CONFIGURATION),
        "init_data.json": _json(init_data),
        "job.template.yaml": template.make(title, [sys.executable, "-m", name], folders, schemas),
    }


def _title(name: str) -> str:
    """The name of the adaptor's class; none that the written code has for something else."""
    title = "".join(word.capitalize() for word in name.split("_"))
    return title + "Adaptor" if title in _TAKEN else title


_TAKEN = {"ApplicationAdaptor", "Client", "CommandAdaptor", "EntryPoint", "FakeApplication", "Fatal"}
_TAKEN |= {"ManagedProcess", "Progress", "Render", "Session"}


def _check(folder: str, name: str) -> None:
    import importlib.util

    if not re.fullmatch(r"[a-z][a-z0-9_]{,63}", name) or keyword.iskeyword(name) or keyword.iskeyword(_title(name)):
        raise InputError("new: %r can be no package; use up to 64 lower case letters, digits and underscores" % name)
    if os.path.lexists(os.path.join(folder, name)):
        raise InputError("new: %s is there already; nothing was written" % os.path.join(folder, name))
    if not os.path.isdir(folder):
        raise InputError("new: %s: there is no such folder" % folder)
    if importlib.util.find_spec(name):
        raise InputError("new: there is a module %s already, which a package of that name would hide" % name)


def _write(folder: str, files: dict[str, str]) -> None:
    """Write all files, or leave nothing."""
    try:
        os.mkdir(folder)
        try:
            for path, text in files.items():
                place = os.path.join(folder, *path.split("/"))
                os.makedirs(os.path.dirname(place), exist_ok=True)
                with open(place, "x", encoding="utf-8") as stream:
                    stream.write(text)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    except OSError as error:
        raise InputError("new: %s: %s; nothing was written" % (folder, error.strerror)) from None


def _filled(text: str, name: str, title: str) -> str:
    return text.replace("NAME", name).replace("TITLE", title)


def _json(value: Any) -> str:
    return json.dumps(value, indent=4) + "\n"


def _schema(title: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
