"""An adaptor's life against the table of its states, and how each way to end one of its phases is told."""

from __future__ import annotations

import sys
import threading
from unittest.mock import MagicMock

import pytest

from openjd_adapt import (
    AdaptError,
    Adaptor,
    AdaptorRunner,
    AdaptorState,
    ApplicationAdaptor,
    Canceled,
    CommandAdaptor,
    InputError,
    ManagedProcess,
    ProcessFailed,
    task,
)
from openjd_adapt.lifecycle import ENTERED_FROM, Result, attempt
from openjd_adapt.testing import FakeApplication, Session

pytestmark = pytest.mark.core

PHASES = {
    AdaptorState.START: "start",
    AdaptorState.RUN: "run",
    AdaptorState.STOP: "stop",
    AdaptorState.CLEANUP: "cleanup",
}


class Life(Adaptor):
    """Notes its hooks, and does in each what ``acts`` says."""

    def __init__(self, **acts):
        super().__init__({})
        self.acts = acts
        self.calls = []

    def note(self, name):
        self.calls.append(name)
        self.acts.get(name, lambda: None)()

    def on_start(self):
        self.note("start")

    def on_run(self, run_data):
        assert run_data == {"frame": 1}
        self.note("run")

    def on_stop(self):
        self.note("stop")

    def on_cleanup(self):
        self.note("cleanup")

    def on_cancel(self):
        self.note("cancel")


def fail(error):
    raise error


def cancel(life, within=None):
    """As a scheduler does."""
    if within is not None:
        life._task.hurry(within)
    life.cancel()


def enter(runner, state):
    arguments = [{"frame": 1}] if state is AdaptorState.RUN else []
    getattr(runner, "_" + PHASES[state])(*arguments)


def living(**acts):
    runner = AdaptorRunner(adaptor=Life(**acts))
    return runner, runner.adaptor


@pytest.mark.parametrize("after", PHASES, ids=str)
@pytest.mark.parametrize("before", AdaptorState, ids=str)
def test_a_phase_follows_where_the_table_says_so_and_is_not_called_elsewhere(before, after):
    runner, life = living()
    runner.state = before
    if before is after is AdaptorState.CLEANUP:
        enter(runner, after)
        assert life.calls == []
    elif before in ENTERED_FROM[after]:
        enter(runner, after)
        assert (runner.state, life.calls) == (after, [PHASES[after]])
    else:
        with pytest.raises(AdaptError, match="cannot go from %s to %s" % (before, after)):
            enter(runner, after)
        assert (runner.state, life.calls) == (before, [])


def test_a_whole_life_passes_through_its_phases_and_cleans_up_once():
    runner, life = living()
    for state in [AdaptorState.START, AdaptorState.RUN, AdaptorState.RUN, AdaptorState.STOP]:
        enter(runner, state)
    runner._cleanup()
    runner._cleanup()
    assert life.calls == ["start", "run", "run", "stop", "cleanup"]


@pytest.mark.parametrize("how", ["failed", "canceled"])
def test_a_cleanup_that_goes_wrong_is_not_repeated(how):
    runner, life = living(cleanup=lambda: fail(ValueError()) if how == "failed" else cancel(runner.adaptor))
    for expected in (how, "done"):
        assert attempt(runner._cleanup).outcome == expected
        assert runner.state is AdaptorState.CLEANUP
    assert life.calls.count("cleanup") == 1


ENDINGS = {
    "returns": lambda: None,
    "fails": lambda: fail(ValueError("because of the cancel")),
    "exits": lambda: sys.exit(0),
    "is interrupted": lambda: fail(KeyboardInterrupt()),
    "sees it": lambda: fail(Canceled()),
    "is failed by a thread": lambda: task.current().fail(ValueError("because of the cancel")),
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("state", [AdaptorState.START, AdaptorState.RUN], ids=str)
def test_a_cancel_turns_any_ending_of_a_phase_into_canceled(state, ending, capsys):
    def act():
        assert task.current() is life._task
        cancel(life, 5)
        cancel(life, 5)
        ENDINGS[ending]()

    name = PHASES[state]
    runner, life = living(**{name: act})
    if state is AdaptorState.RUN:
        enter(runner, AdaptorState.START)
    result = attempt(lambda: enter(runner, state))
    assert result.to_dict() == {"outcome": "canceled", "message": "the %s was canceled" % name, "code": 4}
    assert runner.state is AdaptorState.CANCELED
    assert life.calls[-2:] == [name, "cancel"] and not life.cancelled.is_set()
    assert capsys.readouterr().out == ""


def test_what_stops_and_cleans_up_is_not_canceled_but_has_the_deadline():
    seen = []

    def act():
        cancel(life, 5)
        life.sleep(0)
        seen.append(life._task.remaining())

    runner, life = living(stop=act, cleanup=act)
    for state in (AdaptorState.START, AdaptorState.STOP, AdaptorState.CLEANUP):
        enter(runner, state)
    assert len(seen) == 2 and all(0 < seconds <= 5 for seconds in seen)
    assert life.calls == ["start", "stop", "cleanup"]


def test_the_task_after_a_canceled_one_runs_and_a_stop_may_wait():
    runner, life = living(run=lambda: cancel(life) if life.calls.count("run") == 1 else life.sleep(0))
    runner._start()
    with pytest.raises(Canceled):
        enter(runner, AdaptorState.RUN)
    enter(runner, AdaptorState.RUN)
    life.acts["stop"] = lambda: life.sleep(0)
    runner._stop()
    assert life.calls == ["start", "run", "cancel", "run", "stop"]


def test_a_cancel_that_comes_before_the_phase_keeps_it_from_being_called():
    runner, life = living()
    idle = task.current()
    cancel(life)
    assert attempt(runner._start).outcome == "canceled"
    assert life.calls == ["cancel"] and task.current() is idle


def test_a_cancel_from_another_thread_ends_a_sleep():
    runner, life = living(run=lambda: (thread.start(), life.sleep(600)))
    thread = threading.Thread(target=lambda: cancel(life), daemon=True)
    runner._start()
    with pytest.raises(Canceled):
        enter(runner, AdaptorState.RUN)
    thread.join()
    assert life.calls == ["start", "run", "cancel"]


def test_a_failure_of_another_thread_fails_the_phase_that_returns():
    runner, life = living(start=lambda: task.current().fail(ProcessFailed("it exited with code 3", 3)))
    assert attempt(runner._start).to_dict() == {"outcome": "failed", "message": "it exited with code 3", "code": 1}
    life.sleep(0)


@pytest.mark.parametrize(
    "failure, text, traced",
    [(AdaptError("frame is broken"), "frame is broken", False), (KeyError("frame"), "KeyError: 'frame'", True)],
)
def test_what_fails_between_two_tasks_fails_the_next_one_before_its_hook_is_called(failure, text, traced, capsys):
    runner, life = living()
    runner._start()
    life._task.fail(failure)
    assert attempt(lambda: enter(runner, AdaptorState.RUN)).message == "before this task began: " + text
    assert ("ERROR: KeyError: 'frame'" in capsys.readouterr().out) == traced
    enter(runner, AdaptorState.RUN)
    assert life.calls == ["start", "run"]


@pytest.mark.parametrize("last, name", [("_run", "stop"), ("_stop", "cleanup")])
def test_what_fails_before_a_stop_or_a_cleanup_keeps_neither_from_being_done(last, name):
    runner, life = living(**{name: lambda: life.sleep(0)})
    runner._start()
    getattr(runner, last)(*[{"frame": 1}] * (last == "_run"))
    life._task.fail(AdaptError("frame is broken"))
    ending = attempt(getattr(runner, "_" + name))
    assert (ending.message, life.calls[-1]) == ("before this %s began: frame is broken" % name, name)


def test_what_fails_before_a_stop_that_fails_itself_is_said(capsys):
    runner, life = living(stop=lambda: fail(ValueError("no disk")))
    runner._start()
    life._task.fail(AdaptError("frame is broken"))
    assert attempt(runner._stop).message == "ValueError: no disk"
    assert "ERROR: before this stop began: frame is broken" in capsys.readouterr().out


def test_the_environment_can_be_set_while_starting_only(capsys):
    runner, life = living(start=lambda: life.set_env("NAME", "value"), run=lambda: life.set_env("NAME", "value"))
    with pytest.raises(RuntimeError, match="only be set while the adaptor starts"):
        life.set_env("NAME", "value")
    runner._start()
    with pytest.raises(RuntimeError):
        enter(runner, AdaptorState.RUN)
    assert capsys.readouterr().out == "openjd_env: NAME=value\n"


async def coroutine():
    """Nobody awaits it."""


def generator():
    yield


async def asynchronous_generator():
    yield


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "made, kind",
    [
        (coroutine, "coroutine"),
        (generator, "generator"),
        (asynchronous_generator, "async_generator"),
        (lambda: map(print, [1]), "map"),
    ],
)
@pytest.mark.parametrize("name", ["start", "run", "stop", "cleanup"])
def test_a_hook_that_has_run_nothing_fails_its_phase(name, made, kind):
    class Lazy(Life):
        pass

    setattr(Lazy, "on_" + name, lambda self, *data: made())
    runner = AdaptorRunner(adaptor=Lazy())
    results = [
        attempt(phase) for phase in (runner._start, lambda: runner._run({"frame": 1}), runner._stop, runner._cleanup)
    ]
    [failed] = [result for result in results if result.outcome != "done"]
    assert failed is results[["start", "run", "stop", "cleanup"].index(name)] and failed.code == 1
    text = "on_%s of Lazy has run nothing, it has returned a %s: write it as a plain function"
    assert failed.message == text % (name, kind)


@pytest.mark.filterwarnings("error")
def test_every_hook_of_a_command_adaptor_and_of_an_application_adaptor_must_have_run():
    class Command(CommandAdaptor):
        async def on_prerun(self):
            pass

        async def get_managed_process(self, run_data):
            pass

    class Postrun(Command):
        class Process(ManagedProcess):
            def get_executable(self):
                return sys.executable

            async def run(self):
                pass

        def on_prerun(self):
            pass

        def get_managed_process(self, run_data):
            return self.Process(run_data)

    class Process(Postrun):
        get_managed_process = Command.get_managed_process

    class Application(ApplicationAdaptor):
        connects = False

        def get_command(self):
            return ["application"]

        async def on_ready(self):
            pass

        def on_run(self, run_data):
            pass

    for kind, name in ((Command, "on_prerun of Command"), (Process, "get_managed_process of Process")):
        runner = AdaptorRunner(adaptor=kind({}))
        runner._start()
        assert attempt(lambda runner=runner: runner._run({})).message.startswith(name + " has run nothing")
    runner = AdaptorRunner(adaptor=Postrun({}))
    runner._start()
    assert attempt(lambda: runner._run({})).message.startswith("run of Process has run nothing")
    session = Session(Application, application=FakeApplication())
    assert session.start().message.startswith("on_ready of Application has run nothing")


def test_a_mock_that_a_hook_returns_is_nothing_to_run():
    runner = AdaptorRunner(adaptor=Life())
    runner.adaptor.on_start = MagicMock()
    assert attempt(runner._start).outcome == "done"


class Unprintable(Exception):
    def __str__(self):
        raise TypeError("no text")


class UnprintableAdaptError(AdaptError):
    def __str__(self):
        sys.exit("no text")


def chain(length):
    """An error that came while another was handled, and so on: on Python 3.7 more than the stack can tell."""
    error = None
    for number in range(length):
        following = ValueError(number)
        following.__context__, error = error, following
    return error


@pytest.mark.parametrize(
    "error, outcome, message, code",
    [
        (None, "done", "", 0),
        (ValueError("two\nlines"), "failed", "ValueError: two lines", 1),
        (ValueError(), "failed", "ValueError", 1),
        (AdaptError("one"), "failed", "one", 1),
        (InputError("run data: no frame\n"), "failed", "run data: no frame", 2),
        (ProcessFailed("tool was killed by SIGSEGV", -11), "failed", "tool was killed by SIGSEGV", 1),
        (Canceled("the run was canceled"), "canceled", "the run was canceled", 4),
        (SystemExit(0), "failed", "the adaptor called sys.exit(0)", 1),
        (KeyboardInterrupt(), "failed", "KeyboardInterrupt", 1),
        (Unprintable(), "failed", "Unprintable", 1),
        (UnprintableAdaptError(), "failed", "UnprintableAdaptError", 1),
        (SystemExit(Unprintable()), "failed", "SystemExit", 1),
        (chain(3000), "failed", "ValueError: 2999", 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_an_ending_is_told_as_outcome_message_and_exit_code(error, outcome, message, code):
    result = attempt(lambda: fail(error) if error else None)
    assert result.outcome == outcome and result.code == code
    assert result.message.startswith(message) and "\n" not in result.message


def test_all_phases_are_attempted_and_the_first_failure_is_the_result():
    calls = []
    phases = [
        lambda: calls.append(1),
        lambda: fail(AdaptError("first")),
        lambda: fail(ValueError("second")),
        lambda: calls.append(2),
    ]
    assert attempt(*phases).message == "first"
    assert calls == [1, 2]
    assert attempt().to_dict() == Result("done").to_dict() == {"outcome": "done", "message": "", "code": 0}


@pytest.mark.parametrize("error", [ValueError("in the cleanup"), AdaptError("in the cleanup")], ids=repr)
def test_a_later_failure_is_not_the_result_but_said(error, capsys):
    assert attempt(lambda: fail(AdaptError("first")), lambda: fail(error)).message == "first"
    out = capsys.readouterr().out
    assert "in the cleanup" in out
    assert all(line.startswith("ERROR: ") for line in out.splitlines())


def test_the_traceback_is_the_authors_alone_and_no_line_of_it_can_be_a_directive(capsys):
    runner, _ = living(start=lambda: fail(ValueError("a\nopenjd_fail: b\ropenjd_fail: c")))
    attempt(runner._start)
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("ERROR: ") for line in lines)
    assert lines[0] == "ERROR: Traceback (most recent call last):"
    assert "test_lifecycle.py" in lines[1]
    assert not any("/lifecycle.py" in line for line in lines)


def test_an_error_of_the_toolkit_has_a_traceback_in_debug_mode_only(capsys):
    attempt(lambda: fail(InputError("no frame")))
    assert capsys.readouterr().out == ""
    attempt(lambda: fail(InputError("no frame")), debug=True)
    assert "Traceback" in capsys.readouterr().out


@pytest.mark.parametrize("error", [chain(3000), Unprintable(), SyntaxError("odd", ("file", "x", None, 3))], ids=type)
def test_an_error_whose_traceback_cannot_be_made_is_told_and_the_adaptor_stops_all_the_same(error, capsys):
    runner, life = living(run=lambda: fail(error))
    runner._start()
    assert attempt(lambda: enter(runner, AdaptorState.RUN)).outcome == "failed"
    assert attempt(runner._stop, runner._cleanup).outcome == "done"
    assert life.calls[-2:] == ["stop", "cleanup"]
    out = capsys.readouterr().out
    assert "in test_an_error" not in out and "in fail" in out and type(error).__name__ in out
