"""The running task: what ends its waits, what ends first, and how much time is left. The clock is handed in."""

from __future__ import annotations

import threading
import time

import pytest

from openjd_adapt import AdaptError, Canceled, task
from openjd_adapt.task import Task

from .conftest import HANG_SECONDS
from .fakes import Clock

pytestmark = pytest.mark.core


@pytest.fixture
def clock():
    return Clock()


def from_another_thread(act):
    """Call ``act`` as soon as a wait asks its condition for the first time, which the returned function does."""
    thread = threading.Thread(target=act, daemon=True)

    def condition():
        if thread.ident is None:
            thread.start()
        return False

    return condition


def test_a_new_task_is_neither_canceled_nor_failed_and_has_no_deadline(clock):
    new = Task(clock)
    new.phase.check()
    assert (new.cancelled.is_set(), new.remaining()) == (False, None)


def test_only_the_first_cancel_says_so(clock):
    new = Task(clock)
    assert [new.cancel(), new.cancel(5), new.cancel()] == [True, False, False]
    assert new.cancelled.is_set()
    with pytest.raises(Canceled):
        new.phase.check()


@pytest.mark.parametrize(
    "cancels, remaining",
    [
        ([None], None),
        ([10], 10),
        ([10, 20], 10),
        ([20, 10], 10),
        ([10, None], 10),
        ([None, 10], 10),
        ([10, 0], 0),
        ([-5], 0),
    ],
)
def test_a_further_cancel_can_only_shorten_the_deadline(clock, cancels, remaining):
    new = Task(clock)
    for within in cancels:
        new.cancel(within)
    assert new.remaining() == remaining


def test_the_time_that_is_left_runs_out_and_not_below_zero(clock):
    new = Task(clock)
    new.cancel(10)
    for passed, left in [(4, 6), (5, 1), (1, 0), (100, 0)]:
        clock.now += passed
        assert new.remaining() == left
    new.cancel(10)
    assert new.remaining() == 0


@pytest.mark.parametrize("within", [None, 30])
def test_the_next_task_begins_anew(clock, within):
    new = Task(clock)
    new.cancel(10)
    new.fail(ValueError())
    new.begin(within)
    new.phase.check()
    assert (new.cancelled.is_set(), new.remaining()) == (False, within)


def test_what_cleans_up_after_a_task_may_wait_keeps_the_deadline_and_is_not_canceled(clock):
    new = Task(clock)
    new.cancel(10)
    assert isinstance(new.end(ValueError()), Canceled)
    new.phase.check()
    assert (new.cancelled.is_set(), new.remaining()) == (False, 10)
    assert not new.cancel(5)
    assert (new.cancelled.is_set(), new.remaining()) == (False, 5)


def test_a_wait_meets_the_cancel_of_its_own_task_though_the_next_has_begun_when_it_wakes():
    new = Task()
    steps = iter([lambda: (new.cancel(), new.end(), new.begin())])
    with pytest.raises(Canceled):
        new.phase.wait_for(lambda: next(steps, bool)() and False, 600)
    new.phase.check()


@pytest.mark.parametrize("how", [Task.cancel, lambda new: new.fail(ValueError())])
def test_a_wait_of_a_former_task_is_not_ended_by_what_ends_the_next(how):
    new = Task()
    # Asked before it sleeps, when it has slept, and at its end: what would end it earlier asks once less.
    steps = iter([lambda: not (new.end(), new.begin(), how(new)), bool, lambda: True])
    assert new.phase.wait_for(lambda: next(steps)(), 0.001)


def test_what_fails_after_a_success_is_kept_for_the_next_task_and_told_once():
    new, failure = Task(), ValueError()
    new.end()
    new.fail(failure)
    new.rest()
    new.fail(KeyError())
    new.begin()
    new.phase.check()
    assert (new.enter(True), new.enter(True)) == (failure, None)


def test_what_fails_in_a_former_task_does_not_fail_the_one_that_runs():
    new, failure = Task(), ValueError()
    former = new.phase
    new.end()
    new.begin()
    new.fail(failure, former)
    new.phase.check()
    assert new.end() is None and new.enter(True) is failure


@pytest.mark.parametrize(
    "failure, told", [(ValueError("late"), "between two tasks: ValueError: late"), (Canceled(), "")], ids=repr
)
def test_what_fails_after_a_failure_is_only_told_and_the_cancel_of_that_task_not_even_that(failure, told, caplog):
    new = Task()
    new.end(ValueError("the reason"))
    new.fail(failure)
    new.begin()
    assert new.enter(True) is None and [record.getMessage() for record in caplog.records] == [told] * bool(told)


def test_nothing_fails_where_no_adaptor_runs(caplog):
    task.IDLE.fail(ValueError("nobody's"))
    task.IDLE.phase.check()
    assert "ValueError: nobody's" in caplog.text


def test_between_two_tasks_is_from_the_end_of_all_that_belongs_to_one_to_the_begin_of_the_next():
    new = Task()
    seen = [new.is_between]
    for step in (new.end, new.rest, new.begin, new.rest):
        step()
        seen.append(new.is_between)
    assert seen == [False, False, True, False, True]
    assert not new.cancel()


def test_a_task_without_a_hook_that_is_canceled_lets_its_on_cancel_end():
    new = Task()
    told = []
    canceling = threading.Thread(target=lambda: told.append(new.take_cancel()), daemon=True)

    class Late:
        """Cannot have ended before it is waited for."""

        def join(self):
            canceling.start()
            canceling.join(HANG_SECONDS)

    assert new.cancel()
    new.canceling = Late()
    new.rest()
    assert told == [True] and new.is_between


@pytest.mark.parametrize("again", [Task.begin, lambda new: setattr(new, "is_active", True)])
def test_the_next_task_can_be_canceled_again(again):
    new = Task()
    new.end()
    again(new)
    assert new.cancel()


def test_a_task_ends_with_its_hooks_error_or_that_of_another_thread_or_none():
    new, error, failure = Task(), KeyError(), ValueError()
    assert new.end(error) is error
    new.begin()
    assert new.end() is None
    new.begin()
    new.fail(failure)
    assert new.end() is failure


def test_the_first_failure_counts_and_comes_before_a_cancel():
    new = Task()
    first = ValueError("first")
    new.fail(first)
    new.fail(KeyError("second"))
    new.cancel()
    for wait in (new.phase.check, lambda: new.sleep(600), lambda: new.phase.wait_for(lambda: False)):
        with pytest.raises(ValueError) as caught:
            wait()
        assert caught.value is first


def test_a_wait_tells_whether_its_condition_held():
    new = Task()
    assert new.phase.wait_for(lambda: True) is True
    assert new.phase.wait_for(lambda: True, 0) is True
    assert new.phase.wait_for(lambda: False, 0) is False
    assert new.phase.wait_for(lambda: False, 0.01) is False


def test_a_wait_whose_condition_holds_is_done_even_when_canceled():
    new = Task()
    new.cancel()
    assert new.phase.wait_for(lambda: True)


def test_a_sleep_lasts_as_long_as_it_should():
    begin = time.monotonic()
    Task().sleep(0.05)
    assert time.monotonic() - begin >= 0.049


@pytest.mark.parametrize("how, kind", [("cancel", Canceled), ("fail", ZeroDivisionError)])
def test_another_thread_ends_a_wait_at_once(how, kind):
    new = Task()
    act = new.cancel if how == "cancel" else lambda: new.fail(ZeroDivisionError())
    with pytest.raises(kind):
        new.phase.wait_for(from_another_thread(act), 600)


def test_another_thread_ends_a_sleep_at_once():
    new = Task()
    asleep = threading.Thread(target=lambda: ended.append(pytest.raises(Canceled, new.sleep, 600)), daemon=True)
    ended = []
    asleep.start()
    new.cancel()
    asleep.join(30)
    assert len(ended) == 1


def test_a_change_that_another_thread_tells_of_is_seen_at_once():
    new = Task()
    true = threading.Event()
    ask = from_another_thread(lambda: (true.set(), new.changed()))
    assert new.phase.wait_for(lambda: true.is_set() or ask(), 600)


def test_a_canceled_wait_is_not_swallowed_by_except_exception():
    new = Task()
    new.cancel()
    with pytest.raises(Canceled):
        try:
            new.sleep(600)
        except Exception:
            pytest.fail("swallowed")


@pytest.mark.parametrize("hurries, remaining", [([10], 10), ([10, 30], 10), ([30, 10], 10), ([10, -5], 0)])
def test_a_hurried_task_has_a_deadline_that_only_comes_closer_and_is_not_canceled(clock, hurries, remaining):
    new = Task(clock)
    for within in hurries:
        new.hurry(within)
    new.phase.check()
    assert (new.cancelled.is_set(), new.remaining()) == (False, remaining)
    assert new.cancel(60)
    assert new.remaining() == remaining


def test_a_wait_for_what_has_to_end_lasts_until_it_has_ended_whatever_becomes_of_the_task():
    new = Task()
    new.cancel()
    new.fail(ValueError())
    ended = threading.Event()
    ask = from_another_thread(lambda: (ended.set(), new.changed()))
    new.wait_until(lambda: ended.is_set() or ask(), lambda: time.monotonic() + 600)
    assert ended.is_set()


def test_a_wait_for_what_has_to_end_is_over_at_its_end(clock):
    asked = []
    Task(clock).wait_until(lambda: asked.append(1), lambda: clock.now)
    begin = time.monotonic()
    Task().wait_until(lambda: False, lambda: begin + 0.05)
    assert time.monotonic() - begin >= 0.049  # less a rounding error


@pytest.mark.parametrize("how", ["hurry", "cancel", "cancel again"])
def test_a_deadline_that_comes_closer_wakes_the_wait_for_what_has_to_end(how):
    new = Task()
    new.hurry(600)
    if how == "cancel again":
        new.cancel()
    shorten = new.hurry if how == "hurry" else new.cancel
    ask = from_another_thread(lambda: shorten(0))
    new.wait_until(ask, lambda: time.monotonic() + new.remaining())


def test_a_host_that_has_no_room_for_another_thread_is_told_in_one_line(monkeypatch):
    def no_room(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_room)
    with pytest.raises(AdaptError, match="^can't start new thread: the limit of this user's processes, or of memory"):
        task.start(threading.Thread())


def test_the_current_task_is_the_innermost_one():
    idle, outer, inner = task.current(), Task(), Task()
    task.enter(outer)
    task.enter(inner)
    seen = [task.current()]
    task.leave()
    seen.append(task.current())
    task.leave()
    assert seen == [inner, outer] and task.current() is idle
