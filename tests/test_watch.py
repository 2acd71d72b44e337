"""What ``watch`` declares, with real processes: ends by a line, colours, both streams in order, encodings."""

from __future__ import annotations

import os
import sys
import time

import pytest

from openjd_adapt import ApplicationAdaptor, CommandAdaptor, Done, Fatal, ManagedProcess, Progress, Status
from openjd_adapt.testing import FakeApplication, Session

from .conftest import HANG_SECONDS

pytestmark = pytest.mark.core


class Python(CommandAdaptor):
    encoding = "utf-8"
    merge_output = False

    def get_managed_process(self, run_data):
        adaptor = self

        class Process(ManagedProcess):
            encoding = adaptor.encoding
            merge_output = adaptor.merge_output
            grace_seconds = 0

            def get_executable(self):
                return sys.executable

            def get_arguments(self):
                return ["-uc", run_data["code"]]

            def extra_environment(self):
                return run_data.get("extra")

        return Process(run_data)


def play(code, extra=None, **attributes):
    with Session(type("Play", (Python,), attributes)) as session:
        return session.run({"code": code, "extra": extra})


def test_a_line_that_says_that_the_work_is_done_ends_a_process_that_never_exits():
    begin = time.monotonic()
    outcome = play("import time; print('all saved'); time.sleep(100)", watch=[Done("all saved")])
    assert outcome.is_done and time.monotonic() - begin < 50
    assert "STDOUT: all saved" in outcome.lines


def test_a_process_that_ends_by_itself_after_such_a_line_is_left_alone(monkeypatch):
    monkeypatch.setattr("openjd_adapt.process.DONE_SECONDS", HANG_SECONDS)
    code = "import time; print('all saved'); time.sleep(0.3); print('closed')"
    outcome = play(code, watch=[Done("all saved")])
    assert outcome.is_done and "STDOUT: closed" in outcome.lines and "Killing" not in repr(outcome)


def test_after_such_a_line_no_exit_code_fails_the_task_and_the_next_task_waits_for_its_own():
    with Session(type("Play", (Python,), {"watch": [Done("all saved")]})) as session:
        assert session.run({"code": "print('all saved'); raise SystemExit(3)"}).is_done
        assert session.run({"code": "raise SystemExit(3)"}).code == 1


def test_a_fatal_line_tells_what_to_do_and_what_follows_it():
    watch = [Fatal("^Error: (.*)", message="check the licence server", lines=3)]
    code = "import time; print('Error: no licence\\nserver a: down\\nserver b: down\\nbye'); time.sleep(100)"
    told = play(code, watch=watch).message
    assert told == "no licence | server a: down | server b: down (check the licence server)"


@pytest.mark.parametrize("end", ["raise SystemExit(1)", "time.sleep(100)"])
def test_what_follows_a_fatal_line_is_waited_for_neither_beyond_the_end_of_the_process_nor_for_long(end):
    code = "import time; print('Error: no licence\\nserver a: down'); " + end
    assert play(code, watch=[Fatal("^Error: (.*)", lines=5)]).message == "no licence | server a: down"


def test_a_fatal_line_of_several_is_told_by_a_fake_application_too():
    class Opens(ApplicationAdaptor):
        watch = [Fatal("^Error: (.*)", lines=5)]

        def get_command(self):
            return ["application"]

        def on_run(self, run_data):
            application.say("Error: no licence")
            self.sleep(100)

    application = FakeApplication()
    with Session(Opens, application=application) as session:
        assert session.run().message == "no licence"


def test_watches_that_cannot_be_meant_fail_the_start():
    class Opens(ApplicationAdaptor):
        watch = [Done("saved")]

        def get_command(self):
            return ["application"]

        def on_run(self, run_data):
            pass

    both = type("Both", (Python,), {"watch": [Done("end"), Fatal("end")]})
    for kind, told in (
        (both, "watch of Both: Done and Fatal have the same pattern 'end'"),
        (Opens, "watch of Opens: has a Done, but its application stays open"),
    ):
        started = Session(kind, application=FakeApplication() if kind is Opens else None).start()
        assert (started.code, started.message) == (2, told)


def test_colours_are_taken_out_before_anybody_looks_and_of_several_marks_the_last_counts():
    code = "print('\\x1b[1;32mFrame\\x1b[0m 3 10% 20% \\x1b]0;title\\x0730%')"
    outcome = play(code, watch=[Status("(Frame .)"), Progress(r"(\d+)%")])
    assert outcome.statuses == ["Frame 3"] and outcome.progress == [30.0]
    assert [line for line in outcome.lines if "\x1b[1;32mFrame" in line]  # shown as it was printed


def test_both_streams_come_in_order_where_they_are_merged():
    code = "import sys\nfor n in range(4500): print(n, file=sys.stderr if n % 3 else sys.stdout)"
    outcome = play(code, merge_output=True)
    assert [line for line in outcome.lines if line.startswith("STDOUT: ")] == ["STDOUT: %d" % n for n in range(4500)]


@pytest.mark.parametrize("encoding", ["cp932", "cp1252", "utf-16"])
def test_output_in_another_encoding_is_watched_and_shown(encoding):
    text = {"cp932": "進捗 40%", "cp1252": "Größe 40%", "utf-16": "進捗 Größe 40%"}[encoding]
    code = "import sys; sys.stdout.buffer.write((%s + '\\n').encode(%r))" % (ascii(text), encoding)
    outcome = play(code, encoding=encoding, watch=[Progress(r"(\d+)%"), Status("(.*) 40")])
    assert "STDOUT: " + text in outcome.lines
    assert (outcome.progress, outcome.statuses) == ([40.0], [text[:-4]])


def test_what_is_put_over_the_environment_leaves_the_rest():
    code = "import os; print(os.environ['FOO'], 'PATH' in os.environ)"
    assert "STDOUT: 1 True" in play(code, {"FOO": "1"}).lines
    assert os.environ.get("FOO") is None


def test_the_pid_of_what_is_started_is_logged():
    outcome = play("import os; print('I am', os.getpid())")
    [pid] = [line.rpartition(" ")[2] for line in outcome.lines if line.startswith("STDOUT: I am ")]
    assert any(line.startswith("INFO: Running: ") and line.endswith("(pid %s)" % pid) for line in outcome.lines)


def test_an_applications_own_progress_is_limited_rounded_and_not_told_too_often():
    code = "for n in range(3000): print('openjd_progress: %r' % (n / 20))"
    outcome = play(code)
    assert 0 < len(outcome.progress) < 1000 and outcome.progress[-1] == 100.0, outcome
    assert outcome.progress == sorted(set(outcome.progress)) and all(round(p, 1) == p for p in outcome.progress)
    assert not [line for line in outcome.lines if line.startswith("STDOUT: openjd_progress")]


def test_progress_is_told_only_when_it_has_changed():
    class Reports(CommandAdaptor):
        def get_managed_process(self, run_data):
            raise NotImplementedError

        def _run(self, run_data):
            for percent in (10, 10.01, 10.04, 20, 20):
                self.update_status(progress=percent)

    with Session(Reports) as session:
        assert session.run().progress == session.run().progress == [10.0, 20.0]
