"""The testing kit: an adaptor's life in an author's test, told as a daemon's commands would tell it."""

from __future__ import annotations

import inspect
import io
import logging
import os
import sys
import threading
import time

import pytest

from openjd_adapt import (
    AdaptError,
    Adaptor,
    ApplicationAdaptor,
    CommandAdaptor,
    Fatal,
    InputError,
    LoggingSubprocess,
    ManagedProcess,
    PathMappingRule,
    Progress,
    task,
)
from openjd_adapt.application import Application
from openjd_adapt.errors import describe_exit
from openjd_adapt.output import ProgressThrottle
from openjd_adapt.testing import FakeApplication, Session

from .conftest import ROOT

pytestmark = pytest.mark.core

log = logging.getLogger("an.author")


@pytest.fixture(autouse=True)
def nothing_waits(monkeypatch):
    """No progress that an earlier test of this process has reported is still to be said."""
    ProgressThrottle.waiting.clear()


class Scene(Adaptor):
    def on_start(self):
        self.scene = self.map_path(self.init_data["scene"])
        self.set_env("SCENE", self.scene)
        self.redact_env("TOKEN", "two\nlines")
        print("opened", self.scene)

    def on_run(self, run_data):
        log.info("frame %d", run_data["frame"])
        self.update_status(progress=50, status_message="half")
        if run_data["frame"] < 0:
            raise ValueError("no such frame")
        print("errors", file=sys.stderr)
        self.update_status(progress=100)

    def on_stop(self):
        print("closed")

    def on_cleanup(self):
        print("cleaned")


RULES = {
    "version": "pathmapping-1.0",
    "path_mapping_rules": [{"source_path_format": "POSIX", "source_path": "/farm", "destination_path": "/mnt"}],
}


#: Where the rules put /farm/a.blend, in this host's form.
MAPPED = "/mnt%sa.blend" % os.sep


def test_a_life_is_led_as_by_a_daemon_and_told_phase_by_phase():
    session = Session(Scene, {"scene": "/farm/a.blend"}, path_mapping=RULES)
    started = session.start()
    assert started.is_done and "opened %s" % MAPPED in started.lines, started
    assert started.variables == {"SCENE": MAPPED, "TOKEN": "two\nlines"}
    done = session.run({"frame": 3})
    assert (done.outcome, done.code, done.progress, done.statuses) == ("done", 0, [50, 100], ["half"])
    assert done.lines == [
        "INFO: frame 3",
        "openjd_progress: 50",
        "openjd_status: half",
        "errors",
        "openjd_progress: 100",
    ]
    failed = session.run({"frame": -1})
    assert (failed.outcome, failed.code, failed.message) == ("failed", 1, "ValueError: no such frame")
    assert any("test_testing.py" in line for line in failed.lines)
    assert session.run({"frame": 4}).is_done
    assert session.stop().lines == ["closed", "cleaned"]


@pytest.mark.parametrize("rule", [dict, lambda rule: PathMappingRule.from_dict(rule=rule)])
def test_path_mapping_may_be_just_its_rules(rule):
    rules = [rule(each) for each in RULES["path_mapping_rules"]]
    with Session(Scene, {"scene": "/farm/a.blend"}, path_mapping=rules) as session:
        assert session.adaptor.map_path("/farm/a.blend") == MAPPED
    with Session(Scene, {"scene": "/farm/a.blend"}, path_mapping=[]) as session:
        assert session.adaptor.path_mapping_rules == []


def test_what_is_shown_of_an_outcome_says_how_it_went_and_all_its_lines():
    with Session(Scene, {"scene": "s"}) as session:
        text = repr(session.run({"frame": -1}))
    assert text.startswith("the task is failed: ValueError: no such frame\n") and "    INFO: frame -1" in text


def test_with_raises_if_the_start_fails_and_the_adaptor_is_cleaned_up_before():
    told = r"the start is failed: KeyError: 'scene'[\s\S]*closed[\s\S]*cleaned"
    with pytest.raises(AssertionError, match=told), Session(Scene):
        pytest.fail("it has not started")


def test_with_raises_if_the_stop_fails_unless_the_test_has_failed_itself():
    class Sticky(Scene):
        def on_stop(self):
            raise RuntimeError("stuck")

    with pytest.raises(AssertionError, match="the stop is failed: RuntimeError: stuck"), Session(
        Sticky, {"scene": "s"}
    ):
        pass
    with pytest.raises(ZeroDivisionError), Session(Sticky, {"scene": "s"}):
        raise ZeroDivisionError


def test_nothing_of_the_process_is_changed_afterwards(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    root = logging.getLogger()
    before = (root.level, list(root.handlers), task.current())
    with Session(Scene, {"scene": "s"}, configuration={"log_level": "ERROR"}) as session:
        assert "INFO: frame 1" not in session.run({"frame": 1}).lines
    assert sys.stdout is stream and stream.getvalue() == ""
    assert (root.level, list(root.handlers), task.current()) == before


def test_the_configuration_is_the_strongest_layer_and_schemas_beside_the_module_apply(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT / "examples" / "transcode"), *sys.path])
    from transcode import Transcode

    data = {"input": "i", "output": "o/####.mp4", "part_seconds": 2}
    session = Session(Transcode, data, configuration={"ffmpeg": "/nowhere/ffmpeg"})
    assert session.start().is_done
    assert "cannot use ffmpeg" in session.run({"part": 1}).message
    refused = session.run({"part": "x"})
    assert (refused.code, refused.message) == (2, "run data: part: 'x' is not of type 'integer'")
    assert session.stop().is_done
    assert Session(Transcode, {"input": "i"}).start().code == 2


class Sleeper(CommandAdaptor):
    canceled = 0

    def on_cancel(self):
        Sleeper.canceled += 1

    def get_managed_process(self, run_data):
        class Process(ManagedProcess):
            def get_executable(self):
                return sys.executable

            def get_arguments(self):
                return ["-uc", "import time; print('at work'); time.sleep(%r)" % run_data["seconds"]]

        return Process(run_data)


def test_a_task_is_canceled_at_a_line_and_the_next_one_is_not():
    with Session(Sleeper) as session:
        outcome = session.run({"seconds": 100}, cancel_at="STDOUT: at work")
        assert (outcome.outcome, outcome.code) == ("canceled", 4) and Sleeper.canceled == 1
        assert "STDOUT: at work" in outcome.lines
        assert session.run({"seconds": 0}).is_done


@pytest.mark.parametrize("goes_on", [True, False])
@pytest.mark.parametrize("by", ["the scheduler", "itself", "both"])
def test_a_cancel_that_an_adaptor_has_overridden_is_called_and_passes_it_on_once(by, goes_on):
    class Overrides(Adaptor):
        def on_run(self, run_data):
            self.told = []
            if by != "the scheduler":
                self.cancel()
            if by != "itself":
                session.cancel(60)
            self.sleep(100)

        def cancel(self):
            self.told.append("cancel")
            if goes_on or by == "itself":
                super().cancel()

        def on_cancel(self):
            time.sleep(0.02)  # on_run has ended meanwhile, if this is beside it
            assert self.cancelled.is_set()
            self.told.append("on_cancel")

    with Session(Overrides) as session:
        for _ in range(2):
            assert session.run().outcome == "canceled"
            once = ["cancel"] * (2 if by == "both" and not goes_on else 1)
            assert session.adaptor.told == once + ["on_cancel"] * (goes_on or by == "itself")


def test_what_cleans_up_begins_when_on_cancel_is_over():
    told = []

    class Starts(Adaptor):
        def on_start(self):
            session.cancel(60)
            self.sleep(100)

        def on_run(self, run_data):
            pass

        def on_cancel(self):
            time.sleep(0.02)
            told.append("on_cancel")

        def on_stop(self):
            told.append("on_stop %s" % self.cancelled.is_set())

    session = Session(Starts)
    assert session.start().outcome == "canceled"
    assert told == ["on_cancel", "on_stop False"]


def test_a_task_is_canceled_from_another_thread():
    class Waits(Adaptor):
        def on_run(self, run_data):
            threading.Thread(target=session.cancel).start()
            self.sleep(100)

    with Session(Waits) as session:
        assert session.run().outcome == "canceled"


class Renderer(ApplicationAdaptor):
    watch = [Progress(r"(\d+)%"), Fatal(r"^(Fatal: .*)")]

    def get_command(self):
        return ["/opt/renderer", "--quiet"]

    def get_environment(self):
        return {"LICENCE": "7"}

    def on_ready(self):
        self.app.call("open_scene", path=self.init_data["scene"])

    def on_run(self, run_data):
        self.result = self.app.call("render", timeout=60, **run_data)

    def on_stop(self):
        self.app.cast("save")


@pytest.fixture
def renderer():
    """A session with an application, whose function ``render`` a test may replace."""
    application = FakeApplication(open_scene=lambda path: None, render=lambda frame: [frame, (1, 2)], save=lambda: None)
    with Session(Renderer, {"scene": "a"}, application=application) as session:
        yield session
    assert not application.is_running


def test_functions_of_the_test_answer_the_calls_of_an_application_adaptor(renderer):
    assert renderer.run({"frame": 3}).is_done
    assert renderer.adaptor.result == [3, [1, 2]]  # as JSON has brought it
    application = renderer.application
    assert application.calls == [("open_scene", {"path": "a"}), ("render", {"frame": 3})]
    assert application.command == ["/opt/renderer", "--quiet"] and application.environment == {"LICENCE": "7"}


def test_what_the_application_prints_is_watched(renderer):
    application = renderer.application

    def render(frame):
        application.say("at 25%")
        application.say("a complaint", error=True)
        application.say("at 100%")

    application.functions["render"] = render
    outcome = renderer.run({"frame": 1})
    assert outcome.progress == [25, 100]
    assert [line for line in outcome.lines if line.startswith("STD")] == [
        *("STDOUT: at 25%", "STDERR: a complaint", "STDOUT: at 100%"),
    ]
    application.functions["render"] = lambda frame: application.say("Fatal: no licence")
    failed = renderer.run({"frame": 2})
    assert (failed.outcome, failed.message) == ("failed", "Fatal: no licence")
    assert renderer.run({"frame": 3}).outcome == "failed"
    application.functions["render"] = lambda frame: None
    assert renderer.run({"frame": 4}).is_done


def test_a_function_that_raises_fails_the_call_with_its_traceback(renderer):
    def render(frame):
        raise KeyError(frame)

    renderer.application.functions["render"] = render
    outcome = renderer.run({"frame": 8})
    assert outcome.message == "render failed in the application: KeyError: 8"
    assert any("raise KeyError(frame)" in line for line in outcome.lines)


def test_what_a_real_application_would_refuse_is_refused(renderer):
    outcome = renderer.run({"shot": 1})
    assert outcome.outcome == "failed" and "unexpected keyword argument 'shot'" in outcome.message
    renderer.adaptor.on_run = lambda run_data: renderer.adaptor.app.call("render", frame=object())
    assert "the arguments of render are not JSON" in renderer.run().message
    renderer.adaptor.on_run = lambda run_data: renderer.adaptor.app.call("render", frame=float("nan"))
    assert renderer.run().message.startswith("the arguments of render are not JSON: Out of range")


def test_results_that_are_not_json_and_unknown_functions_fail_as_with_a_real_one(renderer):
    for odd in (object(), float("inf")):
        renderer.application.functions["render"] = lambda frame, odd=odd: odd
        message = renderer.run({"frame": 1}).message
        assert message.startswith("render failed in the application: the result of render is not JSON: O")
    del renderer.application.functions["render"]
    assert "no action 'render'; it has: open_scene, save" in renderer.run({"frame": 1}).message


def test_an_application_that_dies_fails_its_call_and_those_that_follow(renderer):
    renderer.application.functions["render"] = lambda frame: renderer.application.die(-11)
    outcome = renderer.run({"frame": 1})
    assert outcome.message == "renderer was killed by SIGSEGV while waiting for the answer to render"
    assert renderer.run({"frame": 2}).outcome == "failed"
    renderer.application.is_running = True


def test_a_cancel_ends_a_call(renderer):
    renderer.application.functions["render"] = lambda frame: renderer.cancel(30)
    assert renderer.run({"frame": 1}).outcome == "canceled"


def test_a_cast_that_fails_is_printed_by_the_application():
    def save():
        raise OSError("disk full")

    application = FakeApplication(open_scene=lambda path: None, save=save)
    session = Session(Renderer, {"scene": "a"}, application=application)
    assert session.start().is_done
    stopped = session.stop()
    assert stopped.is_done and "STDERR: OSError: disk full" in stopped.lines


class Prompt(ApplicationAdaptor):
    connects, stdin = False, True

    def get_command(self):
        return ["renderer", "--interactive"]

    def on_run(self, run_data):
        self.frame = int(self.app.ask("render %d" % run_data["frame"], r"frame (\d+) written", timeout=600).group(1))


def test_an_application_with_a_prompt_is_driven_by_its_lines():
    application = FakeApplication(prompt=lambda line: ["> " + line, "frame %s written" % line.split()[1]])
    with Session(Prompt, application=application) as session:
        outcome = session.run({"frame": 7})
        assert outcome.is_done and session.adaptor.frame == 7
        assert outcome.lines == ["STDOUT: > render 7", "STDOUT: frame 7 written"]
        application.prompt = lambda line: ["what?"]
        assert "it would wait for ever for a line with" in session.run({"frame": 8}).message


@pytest.mark.parametrize("name", ["call", "cast", "write_line", "ask", "wait_until_connected", "close", "end"])
def test_what_an_adaptor_asks_of_its_application_is_asked_of_a_stand_in_alike(name):
    real, standing_in = (
        [*inspect.signature(getattr(kind, name)).parameters] for kind in (Application, FakeApplication)
    )
    assert standing_in[: len(real)] == real


def test_a_prompt_that_has_died_between_two_tasks_is_told_as_with_a_real_one():
    application = FakeApplication(prompt=lambda line: ["frame %s written" % line.split()[1]])
    with Session(Prompt, application=application) as session:
        assert session.run({"frame": 7}).is_done
        application.die(-9)
        for _ in range(2):
            message = session.run({"frame": 8}).message
            how = describe_exit(-9)  # Windows has no name for it
            assert message == "renderer %s while no task was running; its last lines: frame 7 written" % how


def test_an_adaptor_that_did_not_ask_for_a_standard_input_has_none_as_with_a_real_one(monkeypatch):
    monkeypatch.setattr(Prompt, "stdin", False)
    with Session(Prompt, application=FakeApplication(prompt=lambda line: [line])) as session:
        assert session.run({"frame": 7}).message == "renderer has no standard input; set stdin = True"


def test_a_real_process_of_an_adaptor_is_run_and_its_lines_are_captured():
    class Runs(Adaptor):
        def on_run(self, run_data):
            with LoggingSubprocess(args=[sys.executable, "-c", "print('from below')"]) as process:
                process.wait()

    with Session(Runs) as session:
        assert session.run().lines[-1] == "STDOUT: from below"


def test_the_example_for_blender_is_tested_without_blender(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT / "examples" / "blender"), *sys.path])
    from blender_adaptor import Blender

    def render(frame, path, samples):
        blender.say("Fra:1 | Sample 8/16")
        blender.say("Saved: '%s'" % path)

    blender = FakeApplication(version=lambda: "3.4.1", open_scene=lambda path: None, render=render)
    data = {"scene_file": "/farm/a.blend", "output": "/farm/out_####.png"}
    with Session(Blender, data, path_mapping=RULES, application=blender) as session:
        outcome = session.run({"frame": 7})
    assert outcome.progress == [50, 100] and outcome.statuses == [
        "'%s'" % os.path.abspath("/mnt%sout_0007.png" % os.sep)
    ]
    assert ("open_scene", {"path": MAPPED}) in blender.calls


def test_a_cast_to_an_application_that_is_gone_is_lost_as_with_a_real_one(renderer):
    renderer.application.functions["render"] = lambda frame: renderer.application.die(-9)
    assert renderer.run({"frame": 1}).outcome == "failed"
    renderer.adaptor.app.cast("save")
    assert renderer.application.calls[-1] == ("save", {})


@pytest.mark.parametrize("init_data", [{"scene": "s"}, {}])
def test_a_session_that_has_ended_leaves_no_folder_behind(init_data, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    session = Session(Scene, init_data, configuration={"a": 1})
    assert list(tmp_path.iterdir()) != []
    if session.start().is_done:
        session.stop()
    assert list(tmp_path.iterdir()) == []


def test_lines_are_those_of_the_log_whatever_else_breaks_lines_elsewhere():
    class Odd(Adaptor):
        def on_run(self, run_data):
            print("one\x0cline\u2028still\x85it")
            print("openjd_progress: half")

    with Session(Odd) as session:
        outcome = session.run()
    assert outcome.lines == ["one\x0cline\u2028still\x85it", "openjd_progress: half"] and outcome.progress == []


def test_an_application_may_say_something_before_it_is_opened():
    application = FakeApplication()
    application.say("early")
    assert application.calls == []


class Watching(Prompt):
    watch = [Fatal("^(Error: .*)"), Progress(r"(\d+)%")]

    def on_run(self, run_data):
        pass


def test_a_line_between_two_tasks_fails_the_next_and_is_not_its_progress():
    application = FakeApplication()
    with Session(Watching, application=application) as session:
        assert session.run().is_done
        application.say("50%")
        application.say("Error: frame is broken")
        failed, after = session.run(), session.run()
    assert failed.message == "before this task began: Error: frame is broken"
    assert after.is_done and failed.progress == after.progress == []


class Keeps(Adaptor):
    made = 0

    def on_start(self):
        Keeps.made += 1
        self.set_env("KEPT", "1")
        self.set_env("GONE", "1")
        self.unset_env("GONE")

    def on_run(self, run_data):
        self.run_data = run_data
        if run_data.get("interrupt"):
            raise KeyboardInterrupt


def test_a_session_is_started_once_and_before_its_first_task():
    Keeps.made = 0
    session = Session(Keeps)
    with pytest.raises(AdaptError, match="run: there is no adaptor; start the session first"):
        session.run()
    assert session.start().is_done and Keeps.made == 1
    with pytest.raises(AdaptError, match="start: the session has been started already"):
        session.start()
    assert Keeps.made == 1 and session.run().is_done and session.stop().is_done


def test_an_interrupt_in_a_phase_ends_the_test_and_the_session_is_stopped():
    with pytest.raises(KeyboardInterrupt), Session(Keeps) as session:
        session.run({"interrupt": True})
    assert session._life.ended


def test_data_arrive_as_a_farm_delivers_them_and_are_refused_if_none_can():
    with Session(Keeps, {1: (1, 2)}) as session:
        assert session.adaptor.init_data == {"1": [1, 2]}
        assert session.run({"a": ((1,),)}).is_done and session.adaptor.run_data == {"a": [[1]]}
        for odd in ({1, 2}, object(), float("nan")):
            with pytest.raises(InputError, match="^run data: is not JSON: "):
                session.run({"a": odd})
    with pytest.raises(InputError, match="^init data: is not JSON: "):
        Session(Keeps, {"a": {1, 2}})
    for option, what in (("path_mapping", "path mapping rules"), ("configuration", "configuration")):
        with pytest.raises(InputError, match="^%s: is not JSON: " % what):
            Session(Keeps, **{option: {"a": {1, 2}}})
    with Session(Keeps, path_mapping={"path_mapping_rules": ()}, configuration={"a": (1,)}) as session:
        assert session.adaptor.config.config["a"] == [1]


def test_a_character_that_is_written_in_two_pieces_is_shown_whole():
    class Halves(Adaptor):
        def on_run(self, run_data):
            for byte in "\xe9".encode():
                sys.stdout.buffer.write(bytes([byte]))
                sys.stdout.flush()

    with Session(Halves) as session:
        assert session.run().lines == ["\xe9"]


def test_a_variable_that_was_removed_again_is_not_set():
    session = Session(Keeps)
    assert session.start().variables == {"KEPT": "1"}
    session.stop()


def test_a_line_to_cancel_at_is_found_wherever_it_is_cut():
    class Prints(Adaptor):
        def on_run(self, run_data):
            for _ in range(1000):
                print("some output")
            for part in ("at la", "st"):
                sys.stdout.write(part)
                sys.stdout.flush()
            self.sleep(10)

    with Session(Prints) as session:
        assert session.run(cancel_at="at last").outcome == "canceled"
