"""What an author gets wrong is one line that names the class and the attribute, before anything of the adaptor runs."""

from __future__ import annotations

import os
import re
import sys

import pytest

from openjd_adapt import Adaptor, ApplicationAdaptor, BaseAdaptor, CommandAdaptor, ManagedProcess, Progress
from openjd_adapt.app import load_adaptor
from openjd_adapt.testing import FakeApplication, Session

pytestmark = [pytest.mark.once, pytest.mark.pure]

HERE = os.path.dirname(os.path.abspath(__file__))


def hook(*arguments):
    pytest.fail("it is called")


class Opens(Adaptor):
    on_start = on_run = on_stop = hook


class Runs(CommandAdaptor):
    def get_managed_process(self, run_data):
        return self.process


class Drives(ApplicationAdaptor):
    on_start = on_run = on_stop = hook

    def get_command(self):
        return ["application"]


def start(kind, **attributes):
    application = FakeApplication() if issubclass(kind, ApplicationAdaptor) else None
    return Session(type("Mine", (kind,), {"__module__": __name__, **attributes}), application=application).start()


@pytest.mark.parametrize(
    "kind, attributes, told",
    [
        (Opens, {"watch": ["Error"]}, "watch of Mine: 'Error' is no watch, such as Progress(pattern)"),
        (Opens, {"watch": (Progress("(.)%"), None)}, "watch of Mine: None is no watch, such as Progress(pattern)"),
        (Drives, {"watch": Progress("(.)%")}, "watch of Mine: Progress('(.)%') is not a list of watches"),
        (Runs, {"watch": "Error"}, "watch of Mine: 'Error' is not a list of watches"),
        (Drives, {"client": "no.py"}, "client of Mine: there is no file " + os.path.join(HERE, "no.py")),
        (Drives, {"client": 3}, "client of Mine: 3 is not a text or a path"),
        (Runs, {"on_start": hook}, "on_start of Mine is never called: CommandAdaptor calls "),
        (Runs, {"on_run": hook}, "on_prerun, on_postrun, on_cancel"),
        (Opens, {"on_prerun": hook}, "Adaptor calls on_start, on_run, on_cancel, on_stop, on_cleanup"),
        (Opens, {"on_ready": hook}, "on_ready of Mine is never called: Adaptor calls "),
        (Drives, {"on_postrun": hook}, "ApplicationAdaptor calls on_start, on_ready, on_run, on_cancel, on_stop, "),
    ],
)
def test_what_cannot_be_meant_fails_the_start(kind, attributes, told):
    started = start(kind, **attributes)
    assert started.code == 2 and told in started.message, started
    assert "Traceback" not in "".join(started.lines)


class Succeeds(ManagedProcess):
    success_exit_codes = 0

    def get_executable(self):
        return "/no/such/program"


class Speaks(Succeeds):
    encoding, success_exit_codes = "klingon", [0]


@pytest.mark.parametrize(
    "process, told",
    [
        (Succeeds({}), "success_exit_codes of Succeeds is 0, not a list of codes"),
        (Speaks({}), "encoding of Speaks: Python does not know 'klingon'"),
        (None, "get_managed_process of Runs returned None, not a ManagedProcess"),
        (["ffmpeg"], "get_managed_process of Runs returned ['ffmpeg'], not a ManagedProcess"),
    ],
)
def test_a_process_that_cannot_be_meant_fails_the_task_and_is_not_started(process, told):
    with Session(type("Runs", (Runs,), {"process": process})) as session:
        outcome = session.run()
    assert (outcome.code, outcome.message) == (1, told) and "Traceback" not in "".join(outcome.lines)


def test_who_leads_its_own_phases_calls_the_hooks_that_it_likes():
    class Own(BaseAdaptor):
        def _run(self, run_data):
            self.on_prerun()

        def on_prerun(self):
            self.update_status(status_message="called")

    with Session(Own) as session:
        assert session.run({}).statuses == ["called"]


def test_a_client_lies_beside_the_module_of_the_class_that_names_it(tmp_path, monkeypatch):
    (tmp_path / "base.py").write_text(
        "from openjd_adapt import ApplicationAdaptor\n"
        "class Base(ApplicationAdaptor):\n"
        "    client = 'client.py'\n"
        "    get_command = on_run = None\n"
    )
    (tmp_path / "client.py").write_text("")
    monkeypatch.setattr(sys, "path", sys.path[:])
    base = load_adaptor(str(tmp_path / "base.py"))
    adaptor = type("Mine", (base,), {"__module__": __name__})({})
    assert adaptor._client_path() == str(tmp_path / "client.py")
    adaptor.client = os.path.basename(__file__)
    assert adaptor._client_path() == os.path.abspath(__file__)


def test_a_module_that_names_no_adaptor_is_told_with_those_that_it_has():
    module = "tests.adaptors.typed"
    for text, told in (
        (module + ":Missing", "Missing is not an adaptor .*; %s has Opens, Encodes, Blender$" % module),
        (module + ":Watch", "Watch is not an adaptor .*; %s has Opens, Encodes, Blender$" % module),
        (module, r"has 3 adaptors; name one as %s:Class \(Opens, Encodes, Blender\)$" % module),
    ):
        with pytest.raises(ValueError, match=re.escape("--adaptor %s: " % text) + told):
            load_adaptor(text)
