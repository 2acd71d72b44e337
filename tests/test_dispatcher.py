"""The dispatcher as histories: who asks for what, what the worker is told, when it is killed, and what fronts get.

The clock, the worker and the fronts are played; the output is kept and delivered by the real spool.
"""

from __future__ import annotations

import errno
import json

import pytest

from openjd_adapt.daemon.dispatcher import FRONT_SECONDS, Dispatcher
from openjd_adapt.daemon.spool import WINDOW_BYTES, Delivery, Spool
from openjd_adapt.errors import BAD_INPUT, CANCELED, DONE, FAILED, NO_DAEMON, InputError
from openjd_adapt.transport.loop import Timers

from .fakes import Clock, Front

pytestmark = pytest.mark.core

SUCCESS = {"outcome": "done", "message": "", "code": DONE}
FAILURE = {"outcome": "failed", "message": "ValueError: no scene", "code": FAILED}
CANCEL = {"outcome": "canceled", "message": "the task was canceled", "code": CANCELED}


def failure(message):
    return {"outcome": "failed", "message": message, "code": FAILED}


#: More than a front may have unacknowledged.
MUCH = b"line of output\n" * (WINDOW_BYTES // 10)


class History:
    """A dispatcher with all around it. Seconds are counted from its beginning."""

    def __init__(self, **options):
        self.clock = Clock()
        self._begin = self.clock.now
        self.timers = Timers(self.clock)
        self.spool = Spool()
        self.delivery = Delivery(self.spool)
        self.commands = []
        #: That of the last task.
        self.number = 0
        self.kills = []
        self.heard = []
        self.dispatcher = Dispatcher(
            self.timers,
            self.delivery,
            command=self.command,
            kill=lambda reason: self.kills.append((self.now, reason)),
            hear=self.heard.append,
            **options,
        )
        self._fronts = []

    def command(self, message, body=b""):
        """Note it, with the JSON of a body as its data."""
        self.number = message.get("number", self.number)
        data = {"data": json.loads(body.decode())} if body else {}
        self.commands.append({**{name: value for name, value in message.items() if name != "number"}, **data})

    @property
    def now(self):
        return round(self.clock.now - self._begin, 6)

    def front(self):
        self._fronts.append(Front())
        return self._fronts[-1]

    def leave(self, front):
        front.closed = True
        self._drop_closed()

    def _drop_closed(self):
        for front in [front for front in self._fronts if front.closed]:
            self._fronts.remove(front)
            self.dispatcher.leave(front)

    def wait(self, seconds):
        """Let time pass, and do what becomes due when it does."""
        end = self.clock.now + seconds
        while self.timers.until_next() is not None and self.clock.now + self.timers.until_next() <= end:
            self.clock.now += self.timers.until_next()
            self.timers.call_due()
            self._drop_closed()
        self.clock.now = end

    def prints(self, data):
        self.delivery.keep(data)
        self.dispatcher.push()

    def ends(self, result=SUCCESS, number=None):
        """The worker's task ends."""
        self.dispatcher.finish({**result, "number": self.number if number is None else number})
        self.dispatcher.push()

    def dies(self, how="the adaptor's process was killed by SIGSEGV", killed=False, left=""):
        self.dispatcher.on("died", how, killed, left)
        self._drop_closed()

    def takes(self, front):
        """A front shows and acknowledges all that it is sent, until nothing more comes."""
        acknowledged = None
        while front.frames and front.frames[-1][0] != acknowledged:
            acknowledged = front.frames[-1][0]
            self.dispatcher.acknowledge(front, acknowledged)

    def run(self, data=None):
        front = self.front()
        self.dispatcher.run(front, {"do": "run"}, json.dumps(data or {}).encode())
        return front

    def stop(self, within=None):
        front = self.front()
        self.dispatcher.stop(front, within)
        return front

    def start(self, result=SUCCESS):
        front = self.front()
        self.dispatcher.on("start", front)
        self.ends(result)
        return front

    @property
    def end(self):
        return self.dispatcher.ended, self.dispatcher.stop_code

    @property
    def is_over(self):
        """Whether the keeper ends now."""
        return self.dispatcher.ended is not None and self.delivery.viewer is None


@pytest.fixture
def daemon():
    """A dispatcher whose worker has started, and no command in the books yet."""
    made = started()
    made.commands.clear()
    return made


def started(**options):
    made = History(**options)
    made.leave(made.start())
    return made


def result_of(front):
    return [message["result"] for message in front.messages if "result" in message]


def notes_of(front):
    return [message["note"] for message in front.messages if "note" in message]


def refusal(front):
    """The only thing that a front was told: the exit code and the text of a refusal."""
    assert [list(message) for message in front.messages] == [["error", "code"]]
    return front.messages[0]["code"], front.messages[0]["error"]


# Tasks in their order


def test_start_tasks_and_stop_go_to_the_worker_one_by_one_and_each_front_gets_its_own_output_and_result():
    history = History()
    assert history.dispatcher.state == "starting"
    fronts = [history.start()]
    history.leave(fronts[0])
    for number in (1, 2):
        front = history.run({"frame": number})
        history.prints(b"frame %d\n" % number)
        history.ends()
        history.takes(front)
        history.leave(front)
        fronts.append(front)
    front = history.stop(60)
    history.ends()
    history.dies("the adaptor's process exited with code 0")
    fronts.append(front)
    assert history.commands == [
        {"do": "start"},
        {"do": "run", "data": {"frame": 1}, "from": "run data"},
        {"do": "run", "data": {"frame": 2}, "from": "run data"},
        {"do": "stop", "within": 60},
    ]
    assert [front.log for front in fronts] == [
        [{"result": SUCCESS}],
        [b"frame 1\n", {"result": SUCCESS}],
        [b"frame 2\n", {"result": SUCCESS}],
        [{"result": SUCCESS}],
    ]
    assert (history.dispatcher.tasks, *history.end) == (2, "it was stopped", DONE)
    assert history.kills == []


def test_the_state_is_a_word_for_what_the_daemon_does():
    history = History()
    states = [history.dispatcher.state]
    history.leave(history.start())
    states.append(history.dispatcher.state)
    front = history.run()
    states.append(history.dispatcher.state)
    history.dispatcher.cancel(front, None)
    states.append(history.dispatcher.state)
    history.ends(CANCEL)
    states.append(history.dispatcher.state)
    history.leave(front)
    history.stop()
    states.append(history.dispatcher.state)
    assert states == ["starting", "idle", "running", "canceling", "idle", "stopping"]


def test_a_result_of_another_task_is_told_and_not_taken(daemon):
    first = daemon.run()
    daemon.ends()
    daemon.ends(FAILURE)
    daemon.leave(first)
    second = daemon.run()
    daemon.ends(FAILURE, number=daemon.number - 1)
    daemon.ends()
    assert (result_of(first), result_of(second), daemon.dispatcher.tasks) == ([SUCCESS], [SUCCESS], 2)
    assert second.seen.count(b"a result of task 2 came beside its own; it is not taken\n") == 2


def test_a_failed_task_is_told_and_the_next_one_runs(daemon):
    front = daemon.run()
    daemon.ends(FAILURE)
    daemon.leave(front)
    second = daemon.run()
    daemon.ends()
    assert (result_of(front), result_of(second), daemon.dispatcher.tasks) == ([FAILURE], [SUCCESS], 2)


def test_a_result_is_sent_only_behind_all_output_of_its_task_and_before_what_comes_after_it(daemon):
    front = daemon.run()
    daemon.prints(MUCH)
    daemon.ends()
    assert result_of(front) == [] and front.seen == MUCH[: len(front.seen)]
    daemon.prints(b"between the tasks\n")
    daemon.takes(front)
    assert front.log[-1] == {"result": SUCCESS} and front.seen == MUCH
    daemon.leave(front)
    second = daemon.run()
    daemon.ends()
    assert second.log == [b"between the tasks\n", {"result": SUCCESS}]


def test_an_unfinished_last_line_is_shown_before_the_result(daemon):
    front = daemon.run()
    daemon.prints(b"no line break")
    daemon.ends()
    assert front.log == [b"no line break", {"result": SUCCESS}]


def test_a_second_result_of_a_task_and_one_without_a_task_are_ignored(daemon):
    daemon.ends(FAILURE)
    front = daemon.run()
    daemon.prints(MUCH)
    daemon.ends()
    daemon.ends(FAILURE)
    daemon.takes(front)
    assert result_of(front) == [SUCCESS]


def test_the_last_acknowledgements_of_the_front_before_are_taken_in_before_the_next_is_shown_anything(daemon):
    front = daemon.run()
    daemon.ends()
    assert daemon.heard == []
    daemon.run()
    assert set(daemon.heard) == {front}


def test_only_the_front_that_is_shown_output_acknowledges_any(daemon):
    front = daemon.run()
    daemon.prints(b"one\n")
    daemon.dispatcher.acknowledge(daemon.front(), 4)
    daemon.dispatcher.acknowledge(front, "4")
    assert daemon.delivery.unread == 4
    daemon.dispatcher.acknowledge(front, 4)
    assert daemon.delivery.unread == 0


def test_a_daemon_is_given_up_only_until_its_first_request():
    history = History()
    history.dispatcher.on("abandoned", "its command is gone")
    assert history.kills == [(0, "its command is gone")]
    for ask in (lambda history: history.dispatcher.on("start", history.front()), History.stop):
        history = History()
        ask(history)
        history.dispatcher.on("abandoned", "its command is gone")
        assert history.kills == []


# Refusals


def test_a_run_before_the_start_has_ended_is_refused_and_so_is_a_second_start():
    history = History()
    assert refusal(history.run()) == (BAD_INPUT, "the daemon is still starting")
    history.dispatcher.on("start", history.front())
    assert refusal(history.run()) == (BAD_INPUT, "the daemon is still starting")
    second = history.front()
    history.dispatcher.on("start", second)
    assert refusal(second) == (BAD_INPUT, "the daemon has already started")
    assert history.commands == [{"do": "start"}]


def test_a_start_of_a_started_daemon_is_refused(daemon):
    front = daemon.front()
    daemon.dispatcher.on("start", front)
    assert refusal(front) == (BAD_INPUT, "the daemon has already started")


def test_a_second_run_at_the_same_time_is_refused(daemon):
    daemon.run()
    assert refusal(daemon.run()) == (BAD_INPUT, "the daemon is busy with a task")
    assert len(daemon.commands) == 1


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff[", b'{"a": 1'])
def test_run_data_go_to_the_worker_unread(daemon, body):
    sent = []
    daemon.dispatcher._command = lambda message, body: sent.append((message, body))
    daemon.dispatcher.run(daemon.front(), {"do": "run", "from": "file"}, body)
    assert sent == [({"do": "run", "from": "file", "number": 2}, body)]


@pytest.mark.parametrize("data", [{"frame": 1}, None, [], "{}", 7])
def test_run_data_of_version_1_go_to_the_worker_as_a_body(daemon, data):
    daemon.dispatcher.run(daemon.front(), {"do": "run", "data": data}, b"")
    assert daemon.commands == [{"do": "run", "data": data, "from": "run data"}]


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_run_data_of_version_1_that_are_no_json_are_refused(daemon, number):
    front = daemon.front()
    daemon.dispatcher.run(front, {"do": "run", "data": {"a": [number]}}, b"")
    assert refusal(front)[0] == BAD_INPUT and "not JSON compliant" in refusal(front)[1]
    assert daemon.commands == [] and daemon.dispatcher.state == "idle"


def test_run_data_that_cannot_be_sent_to_the_worker_are_refused_and_the_next_run_goes_on(daemon):
    def refuse(message, body):
        raise InputError("data of 70000000 bytes are over the limit of 67108864 bytes")

    before, daemon.dispatcher._command = daemon.dispatcher._command, refuse
    assert refusal(daemon.run())[0] == BAD_INPUT and daemon.dispatcher.state == "idle"
    daemon.dispatcher._command = before
    front = daemon.run()
    daemon.ends()
    assert result_of(front) == [SUCCESS]


@pytest.mark.parametrize("busy", [False, True])
def test_a_stopping_daemon_refuses_starts_and_runs(daemon, busy):
    if busy:
        daemon.run()
    daemon.stop()
    front = daemon.front()
    daemon.dispatcher.on("start", front)
    assert refusal(front) == (CANCELED, "the daemon is being stopped")
    assert refusal(daemon.run()) == (NO_DAEMON, "the daemon is stopping")


@pytest.mark.parametrize("result", [SUCCESS, FAILURE])
def test_a_daemon_whose_worker_is_dead_refuses_runs_whatever_it_died_of(result):
    history = History()
    history.start(result)
    history.dies()
    assert refusal(history.run()) == (NO_DAEMON, "the daemon is gone: " + history.dispatcher.ended)


# Cancels and deadlines


def test_a_canceled_task_gets_120_seconds_if_nobody_says_how_many(daemon):
    front = daemon.run()
    daemon.wait(100)
    daemon.dispatcher.cancel(front, None)
    assert daemon.commands[1:] == [{"cancel": 120}]
    daemon.wait(119.9)
    assert daemon.kills == []
    daemon.wait(0.1)
    assert daemon.kills == [(220, "it was killed: the run ignored its cancel and did not end by its deadline")]


def test_a_further_cancel_can_only_shorten_the_time(daemon):
    front = daemon.run()
    for within in (30, 10, 60, None):
        daemon.dispatcher.cancel(front, within)
    assert daemon.commands[1:] == [{"cancel": left} for left in (30, 10, 10, 10)]
    daemon.wait(9.9)
    assert daemon.kills == []
    daemon.wait(0.1)
    assert [at for at, _ in daemon.kills] == [10]


def test_a_canceled_task_that_ends_in_time_is_not_killed_and_neither_is_the_next_one(daemon):
    front = daemon.run()
    daemon.dispatcher.cancel(front, 10)
    daemon.wait(9)
    daemon.ends(CANCEL)
    daemon.leave(front)
    daemon.run()
    daemon.wait(1000)
    assert (result_of(front), daemon.kills, daemon.dispatcher.state) == ([CANCEL], [], "running")


def test_a_cancel_of_a_task_that_has_ended_or_of_somebody_elses_does_nothing(daemon):
    front = daemon.run()
    daemon.dispatcher.cancel(daemon.front(), 0)
    daemon.prints(MUCH)
    daemon.ends()
    daemon.dispatcher.cancel(front, 0)
    assert not daemon.dispatcher.cancel_running(0)
    daemon.takes(front)
    daemon.dispatcher.cancel(front, 0)
    daemon.wait(1000)
    assert (daemon.commands[1:], daemon.kills, result_of(front)) == ([], [], [SUCCESS])


def test_the_running_task_can_be_canceled_by_anybody_who_asks_for_that(daemon):
    assert not daemon.dispatcher.cancel_running(5)
    daemon.run()
    assert daemon.dispatcher.cancel_running(5)
    assert daemon.commands[1:] == [{"cancel": 5}]
    daemon.wait(5)
    assert len(daemon.kills) == 1


def test_a_start_can_be_canceled_and_is_killed_at_its_deadline():
    history = History()
    front = history.front()
    history.dispatcher.on("start", front)
    history.dispatcher.cancel(front, 7)
    history.wait(7)
    assert history.commands[1:] == [{"cancel": 7}]
    assert history.kills == [(7, "it was killed: the start ignored its cancel and did not end by its deadline")]


def test_a_front_that_is_gone_is_a_cancel_and_the_next_run_waits_for_its_task(daemon):
    front = daemon.run({"frame": 1})
    daemon.prints(b"one\n")
    daemon.leave(front)
    assert daemon.commands[1:] == [{"cancel": 120}]
    second = daemon.run({"frame": 2})
    assert notes_of(second) == ["waiting for the canceled task of a command that is gone"]
    assert refusal(daemon.run({"frame": 3})) == (BAD_INPUT, "the daemon is busy with a task")
    daemon.prints(b"two\n")
    daemon.ends(CANCEL)
    assert daemon.commands[2:] == [{"do": "run", "data": {"frame": 2}, "from": "run data"}]
    daemon.prints(b"three\n")
    daemon.ends()
    assert second.seen == b"one\ntwo\nthree\n"
    assert (result_of(front), result_of(second)) == ([], [SUCCESS])


def test_a_front_that_leaves_after_its_task_has_ended_is_no_cancel(daemon):
    front = daemon.run()
    daemon.prints(MUCH)
    daemon.ends()
    daemon.leave(front)
    second = daemon.run()
    daemon.ends()
    daemon.takes(second)
    assert [list(command) for command in daemon.commands] == [["do", "from", "data"], ["do", "from", "data"]]
    assert second.seen == MUCH


def test_a_waiting_run_that_leaves_is_forgotten_and_another_may_wait(daemon):
    daemon.leave(daemon.run({"frame": 1}))
    daemon.leave(daemon.run({"frame": 2}))
    third = daemon.run({"frame": 3})
    daemon.ends(CANCEL)
    assert daemon.commands[2:] == [{"do": "run", "data": {"frame": 3}, "from": "run data"}]
    daemon.ends()
    assert result_of(third) == [SUCCESS]


def test_a_waiting_run_that_is_canceled_is_told_so_and_never_begins(daemon):
    daemon.leave(daemon.run({"frame": 1}))
    front = daemon.run({"frame": 2})
    daemon.dispatcher.cancel(front, 10)
    assert result_of(front) == [{"outcome": "canceled", "message": "canceled before it began", "code": CANCELED}]
    daemon.ends(CANCEL)
    assert len(daemon.commands) == 2


def test_a_waiting_run_is_refused_when_the_daemon_is_stopped_or_its_worker_dies():
    for end, text in (
        (lambda daemon: daemon.stop(), "the daemon is stopping"),
        (lambda daemon: daemon.dies("it fell"), "the daemon is gone: it fell"),
    ):
        daemon = started()
        daemon.leave(daemon.run())
        front = daemon.run()
        del front.messages[:]  # the note that it waits
        end(daemon)
        assert refusal(front) == (NO_DAEMON, text)


# The stop


def test_a_stop_gets_60_seconds_if_nobody_says_how_many_and_is_killed_then(daemon):
    front = daemon.stop()
    assert daemon.commands == [{"do": "stop", "within": 60}]
    daemon.wait(59.9)
    assert daemon.kills == []
    daemon.wait(0.1)
    assert daemon.kills == [(60, "it was killed: the stop did not end by its deadline")]
    daemon.dies(daemon.kills[0][1], killed=True)
    assert not daemon.dispatcher.stopped
    assert result_of(front)[0]["gone"] is True
    assert daemon.end == (daemon.kills[0][1], FAILED)


def test_a_failed_stop_is_the_daemons_code(daemon):
    front = daemon.stop()
    daemon.ends(FAILURE)
    daemon.dies("the adaptor's process exited with code 0")
    assert (result_of(front), *daemon.end) == ([FAILURE], "it was stopped", FAILED)


def test_a_stop_cancels_the_running_task_which_gets_half_of_the_time(daemon):
    runner = daemon.run()
    front = daemon.stop(40)
    assert notes_of(front) == ["canceling the running task first"]
    assert daemon.commands[1:] == [{"cancel": 20}]
    daemon.wait(15)
    daemon.ends(CANCEL)
    assert (result_of(runner), daemon.commands[2:]) == ([CANCEL], [])
    daemon.leave(runner)
    assert daemon.commands[2:] == [{"do": "stop", "within": 25}]
    daemon.wait(25)
    assert [at for at, _ in daemon.kills] == [40]


def test_a_task_that_ignores_its_cancel_is_killed_at_half_of_the_stops_time_and_both_fronts_learn_of_it(daemon):
    runner = daemon.run()
    stopper = daemon.stop(40)
    daemon.wait(40)
    assert daemon.kills == [(20, "it was killed: the run ignored its cancel and did not end by its deadline")]
    daemon.dies(daemon.kills[0][1], killed=True)
    assert [(result["code"], result["gone"]) for result in result_of(runner)] == [(CANCELED, True)]
    assert daemon.kills[0][1] in result_of(runner)[0]["message"]
    assert result_of(stopper) == [failure("on_stop never ran: " + daemon.kills[0][1])]
    daemon.leave(runner)
    assert daemon.is_over and daemon.end == (daemon.kills[0][1], FAILED)


def test_a_stop_that_nobody_asked_for_by_a_command_fails_too_if_its_task_ignores_the_cancel(daemon):
    runner = daemon.run()
    daemon.dispatcher.stop(None, 30, " by SIGTERM")
    daemon.wait(15)
    daemon.dies(daemon.kills[0][1], killed=True)
    daemon.leave(runner)
    assert daemon.is_over and daemon.end == (daemon.kills[0][1], FAILED)


def test_a_stop_between_two_tasks_fails_if_the_worker_dies_before_it_begins(daemon):
    daemon.run()
    daemon.prints(MUCH)
    daemon.ends()
    stopper = daemon.stop(60)
    daemon.dies("the adaptor's process was killed by SIGSEGV")
    assert result_of(stopper) == [failure("on_stop never ran: the adaptor's process was killed by SIGSEGV")]


def test_what_cannot_be_ended_fails_the_stop_and_is_named_there_and_in_the_connection_file(daemon):
    stopper = daemon.stop(60)
    daemon.ends()
    daemon.dies("the adaptor's process exited with code 0", left="left: 7 (sudo)")
    assert result_of(stopper) == [failure("left: 7 (sudo)")]
    assert daemon.end == ("it was stopped; left: 7 (sudo)", FAILED) and daemon.dispatcher.stopped


@pytest.mark.parametrize("begun", [False, True])
def test_a_second_stop_shortens_the_time_and_never_lengthens_it(daemon, begun):
    runner = None if begun else daemon.run()
    daemon.stop(60)
    for within in (20, 60, None):
        assert notes_of(daemon.stop(within)) == ["the daemon is already stopping"]
    daemon.wait(100)
    assert [at for at, _ in daemon.kills] == [20 if begun else 10]
    told = [command for command in daemon.commands if "do" not in command]
    assert told == ([{"hurry": 20}, {"hurry": 20}] if begun else [{"cancel": 30}, {"cancel": 10}, {"cancel": 10}])
    assert runner is None or result_of(runner) == []


def test_a_stop_that_waits_for_a_task_begins_with_what_a_second_one_has_left_of_its_time(daemon):
    runner = daemon.run()
    for within in (60, 20, 50):
        daemon.stop(within)
    daemon.wait(4)
    daemon.ends(CANCEL)
    daemon.leave(runner)
    assert daemon.commands[-1] == {"do": "stop", "within": 16}


def test_a_cancel_of_a_stop_makes_it_hurry_whether_it_has_begun_or_waits(daemon):
    runner = daemon.run()
    front = daemon.stop(60)
    daemon.dispatcher.cancel(front, None)
    assert daemon.commands[1:] == [{"cancel": 30}]
    daemon.dispatcher.cancel(front, 20)
    assert daemon.commands[2:] == [{"cancel": 10}]
    daemon.ends(CANCEL)
    daemon.leave(runner)
    daemon.dispatcher.cancel(front, 5)
    assert daemon.commands[3:] == [{"do": "stop", "within": 20}, {"hurry": 5}]
    daemon.wait(5)
    assert [at for at, _ in daemon.kills] == [5]


def test_a_stop_goes_on_five_seconds_after_its_task_though_the_front_of_that_does_not_leave(daemon):
    runner = daemon.run()
    daemon.prints(MUCH)
    daemon.stop(60)
    daemon.wait(1)
    daemon.ends(CANCEL)
    daemon.wait(4.9)
    assert len(daemon.commands) == 2
    daemon.wait(0.1)
    assert result_of(runner) == [CANCEL]  # whatever becomes of its output, it is not killed
    assert daemon.commands[2:] == [{"do": "stop", "within": 54}]


def test_a_stop_of_a_finished_task_whose_front_does_not_take_its_output_waits_five_seconds_and_shows_the_rest(daemon):
    runner = daemon.run()
    daemon.prints(MUCH)
    daemon.ends()
    stopper = daemon.stop(60)
    daemon.wait(4.9)
    assert len(daemon.commands) == 1 and result_of(runner) == []
    daemon.wait(0.1)
    assert result_of(runner) == [SUCCESS] and daemon.commands[1:] == [{"do": "stop", "within": 55}]
    assert runner.messages[-2:-1] == [{"note": "the rest of this task's output is kept for the next command"}]
    daemon.ends()
    daemon.dies()
    daemon.takes(stopper)
    assert stopper.seen == MUCH and stopper.log[-1] == {"result": SUCCESS}


def test_a_stop_does_not_wait_for_a_front_that_takes_its_output_and_leaves(daemon):
    runner = daemon.run()
    daemon.prints(MUCH)
    daemon.ends()
    stopper = daemon.stop(60)
    daemon.takes(runner)
    assert result_of(runner) == [SUCCESS] and len(daemon.commands) == 1
    daemon.leave(runner)
    assert daemon.commands[1:] == [{"do": "stop", "within": 60}]
    assert stopper.seen == b""


@pytest.mark.parametrize("moment", ["while it waits", "while it runs"])
def test_a_stop_goes_on_when_its_front_is_gone_and_the_daemon_then_ends_at_once(daemon, moment):
    runner = daemon.run()
    stopper = daemon.stop(60)
    if moment == "while it waits":
        daemon.leave(stopper)
    daemon.ends(CANCEL)
    daemon.leave(runner)
    if moment == "while it runs":
        daemon.leave(stopper)
    assert daemon.commands[1:] == [{"cancel": 30}, {"do": "stop", "within": 60}]
    daemon.ends()
    daemon.dies()
    assert daemon.is_over and daemon.dispatcher.ended == "it was stopped"


def test_a_stop_before_anything_was_asked_for_stops(daemon):
    history = History()
    history.stop(10)
    assert history.commands == [{"do": "stop", "within": 10}]


def test_a_stop_of_a_start_cancels_it_and_the_worker_that_ends_by_that_is_not_told_to_stop():
    history = History()
    starter = history.front()
    history.dispatcher.on("start", starter)
    history.stop(40)
    assert history.commands[1:] == [{"cancel": 20}]
    history.ends(CANCEL)
    assert result_of(starter) == []  # its last words may still come
    history.prints(b"cleaned up\n")
    history.dies()
    assert starter.log[-2:] == [b"cleaned up\n", {"result": CANCEL}]
    assert len(history.commands) == 2


def test_a_start_that_was_done_when_its_stop_came_is_stopped():
    history = History()
    starter = history.front()
    history.dispatcher.on("start", starter)
    history.stop(40)
    history.ends(SUCCESS)
    history.leave(starter)
    assert history.commands[-1]["do"] == "stop"


def test_a_stop_that_nobody_asked_for_by_a_command_is_told_to_the_running_task_and_to_the_connection_file(daemon):
    runner = daemon.run()
    daemon.dispatcher.stop(None, 30, " by SIGTERM")
    assert notes_of(runner) == ["canceling the running task first; the daemon stops by SIGTERM"]
    daemon.ends(CANCEL)
    daemon.leave(runner)
    daemon.ends()
    daemon.dies()
    assert daemon.is_over and daemon.dispatcher.ended == "it was stopped by SIGTERM" and daemon.dispatcher.stopped


def test_in_the_foreground_the_stop_does_not_wait_for_its_only_front_to_leave():
    history = History(foreground=True)
    front = history.front()
    history.dispatcher.on("start", front)
    history.ends()
    history.dispatcher.run(front, {}, b"{}")
    history.dispatcher.stop(front, 40)
    history.ends(CANCEL)
    assert [command.get("do") for command in history.commands] == ["start", "run", None, "stop"]
    history.ends()
    history.dies()
    assert result_of(front) == [SUCCESS, CANCEL, SUCCESS]
    history.wait(1000)
    assert not history.is_over
    history.leave(front)
    assert history.is_over


def test_in_the_foreground_a_stop_waits_for_a_slow_front_as_nobody_else_would_show_the_rest():
    history = History(foreground=True)
    front = history.front()
    history.dispatcher.on("start", front)
    history.ends()
    history.dispatcher.run(front, {}, b"{}")
    history.prints(MUCH)
    history.dispatcher.stop(None, 40, " by SIGTERM")
    history.ends(CANCEL)
    history.wait(30)
    history.takes(front)
    assert front.seen == MUCH and result_of(front) == [SUCCESS, CANCEL]
    assert history.commands[-1] == {"do": "stop", "within": 10}


# The worker's end


def test_a_worker_that_does_not_exit_within_ten_seconds_of_its_stop_is_killed(daemon):
    front = daemon.stop(60)
    daemon.wait(30)
    daemon.ends()
    daemon.wait(9.9)
    assert daemon.kills == []
    daemon.wait(0.1)
    assert daemon.kills == [(40, "it was killed: it did not exit after its end")]
    daemon.dies(daemon.kills[0][1], killed=True)
    assert (result_of(front), *daemon.end) == ([SUCCESS], daemon.kills[0][1], DONE)
    [note] = notes_of(front)
    assert note == "the adaptor has stopped, but not its process: it was killed: it did not exit after its end"


def test_a_worker_that_does_not_exit_within_ten_seconds_of_a_failed_start_is_killed():
    history = History()
    front = history.start(FAILURE)
    assert result_of(front) == []
    history.wait(10)
    assert history.kills == [(10, "it was killed: it did not exit after its end")]


def test_a_worker_that_lives_on_after_its_start_or_a_task_is_not_killed(daemon):
    for result in (SUCCESS, FAILURE):
        daemon.leave(daemon.run())
        daemon.ends(result)
    daemon.wait(1000)
    assert daemon.kills == []


def test_a_failed_start_shows_all_of_the_workers_last_words_then_its_result_and_the_daemon_ends():
    history = History()
    front = history.start(FAILURE)
    history.prints(b"closed again\n")
    history.dies("the adaptor's process exited with code 1")
    assert front.log == [b"closed again\n", {"result": FAILURE}]
    assert history.dispatcher.ended == "the start failed: ValueError: no scene"
    history.leave(front)
    assert history.is_over


@pytest.mark.parametrize("foreground", [False, True])
def test_a_start_that_is_asked_for_when_the_worker_is_dead_already_gets_its_last_words_and_its_end(foreground):
    history = History(foreground=foreground)
    history.prints(b"cannot start python: No such file or directory\n")
    history.dies("the adaptor's process exited with code 127")
    front = history.front()
    history.dispatcher.on("start", front)
    gone = result_of(front)
    assert front.seen == b"cannot start python: No such file or directory\n"
    assert [(result["code"], result["gone"]) for result in gone] == [(FAILED, True)]
    history.leave(front)
    assert history.is_over


@pytest.mark.parametrize("canceled", [False, True])
@pytest.mark.parametrize("kind", ["start", "run"])
def test_a_worker_that_dies_in_a_task_fails_it_or_cancels_it_behind_its_last_output(kind, canceled):
    history = started() if kind == "run" else History()
    front = history.front()
    if kind == "run":
        history.dispatcher.run(front, {}, b"{}")
    else:
        history.dispatcher.on("start", front)
    if canceled:
        history.dispatcher.cancel(front, 30)
    history.delivery.keep(b"its last words")
    history.dies("the adaptor's process was killed by SIGSEGV")
    code, outcome = (CANCELED, "canceled") if canceled else (FAILED, "failed")
    message = "the adaptor is gone: the adaptor's process was killed by SIGSEGV"
    gone = {"outcome": outcome, "message": message, "code": code, "gone": True}
    assert front.log == [b"its last words", {"result": gone}]
    assert history.dispatcher.ended == "the adaptor's process was killed by SIGSEGV"
    assert not history.is_over
    history.leave(front)
    assert history.is_over


def test_a_worker_that_dies_in_its_stop_fails_it(daemon):
    front = daemon.stop()
    daemon.dies("the adaptor's process was killed by SIGSEGV")
    assert [(result["code"], result["gone"]) for result in result_of(front)] == [(FAILED, True)]
    assert daemon.end == ("the adaptor's process was killed by SIGSEGV", FAILED)


def test_a_worker_that_dies_between_tasks_ends_the_daemon_at_once(daemon):
    daemon.dies("the adaptor's process exited with code 3")
    assert daemon.is_over and daemon.dispatcher.ended == "the adaptor's process exited with code 3"


@pytest.mark.parametrize("kind, result", [("start", SUCCESS), ("run", SUCCESS), ("run", FAILURE)])
def test_how_a_worker_dies_is_told_though_a_front_still_takes_the_output_of_a_finished_task(kind, result):
    history = started() if kind == "run" else History()
    front = history.front()
    if kind == "run":
        history.dispatcher.run(front, {}, b"{}")
    else:
        history.dispatcher.on("start", front)
    history.prints(MUCH)
    history.ends(result)
    history.dies("the adaptor's process was killed by SIGSEGV")
    assert history.dispatcher.ended == "the adaptor's process was killed by SIGSEGV"
    history.takes(front)
    assert front.seen == MUCH and result_of(front) == [result]


def test_a_stop_while_a_daemon_is_given_up_waits_for_its_end_and_is_no_failure():
    history = History()
    for _ in range(2):
        history.dispatcher.on("abandoned", "its command is gone")
    assert history.kills == [(0, "its command is gone")]
    front = history.stop(5)
    assert notes_of(front) == ["the daemon is already stopping"] and history.commands == []
    history.dies("its command is gone", killed=True)
    assert result_of(front) == [] and history.end == ("its command is gone", 0)
    history.leave(front)
    assert history.is_over


def test_a_second_start_takes_no_front_its_result_though_the_worker_is_dead(daemon):
    front = daemon.run()
    daemon.prints(MUCH)
    daemon.ends()
    daemon.dies()
    second = daemon.front()
    daemon.dispatcher.on("start", second)
    assert refusal(second) == (BAD_INPUT, "the daemon has already started")
    daemon.takes(front)
    assert result_of(front) == [SUCCESS]


def test_a_stop_of_a_daemon_whose_worker_is_dead_makes_it_end_in_five_seconds(daemon):
    daemon.run()
    daemon.prints(MUCH)
    daemon.dies()
    front = daemon.stop()
    assert notes_of(front) == ["the daemon is already stopping"]
    daemon.wait(4.9)
    assert not daemon.is_over
    daemon.wait(0.1)
    assert daemon.is_over


# Without a task


def test_an_idle_daemon_stops_some_time_after_its_last_task_and_says_why():
    history = started(idle_seconds=30)
    history.wait(29)
    front = history.run()
    history.wait(1000)
    history.ends()
    history.leave(front)
    history.wait(29.9)
    assert [command["do"] for command in history.commands] == ["start", "run"]
    history.wait(0.1)
    assert history.commands[2:] == [{"do": "stop", "within": 60}]
    history.ends()
    history.dies()
    assert history.is_over and history.dispatcher.ended == "it was stopped after 30 s without a task"


def test_an_idle_daemon_stops_after_its_start_if_no_task_ever_comes_but_not_before_that_has_ended():
    history = History(idle_seconds=30)
    front = history.front()
    history.dispatcher.on("start", front)
    history.wait(100)
    assert len(history.commands) == 1
    history.ends()
    history.wait(30)
    assert history.now == 130 and history.commands[1:] == [{"do": "stop", "within": 60}]


def test_a_daemon_without_an_idle_time_stays(daemon):
    daemon.leave(daemon.run())
    daemon.ends(CANCEL)
    daemon.wait(1e6)
    assert daemon.dispatcher.state == "idle"


# Until the last front has left


def test_a_front_that_takes_nothing_is_left_60_seconds_after_the_workers_end():
    history = started()
    front = history.run()
    history.prints(MUCH)
    history.dies()
    history.wait(59.9)
    assert not history.is_over
    history.wait(0.1)
    assert history.is_over
    assert history.delivery.unread == len(MUCH) and result_of(front) == []


@pytest.mark.parametrize("idle_seconds", [None, 10])
def test_a_front_that_goes_on_taking_stays_until_it_has_its_result_and_may_then_take_60_seconds_to_leave(idle_seconds):
    history = started(idle_seconds=idle_seconds)
    front = history.run()
    history.prints(MUCH)
    history.ends()
    history.dies()
    for offset, _ in front.frames:
        history.wait(59)
        assert not history.is_over
        history.dispatcher.acknowledge(front, offset)
    history.takes(front)
    assert front.seen == MUCH and result_of(front) == [SUCCESS]
    history.wait(59)
    assert not history.is_over
    history.wait(1)
    assert history.is_over


# What a full disk has lost


class Full(Spool):
    def append(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_what_a_full_disk_has_lost_is_told_before_the_result_to_the_first_front_that_is_there(daemon):
    front = daemon.run()
    daemon.spool.__class__ = Full
    daemon.prints(b"lost\n")
    daemon.leave(front)
    daemon.ends(CANCEL)
    second = daemon.run()
    daemon.ends()
    assert second.log == [{"note": "5 bytes of output are lost: the disk is full"}, {"result": SUCCESS}]


# What somebody has found who read the table for the first time


def test_in_the_foreground_a_stop_waits_for_no_acknowledgement():
    history = History(foreground=True)
    front = history.start()
    history.dispatcher.run(front, {"do": "run"}, b"{}")
    history.prints(b"a line\n")
    history.ends()
    history.dispatcher.stop(None, 40, " by SIGTERM")
    assert history.commands[-1]["do"] == "stop"


@pytest.mark.parametrize("within", [4, 6, 60])
def test_a_stop_waits_for_a_slow_front_no_longer_than_half_of_its_time(daemon, within):
    daemon.run()
    daemon.prints(MUCH)
    daemon.ends()
    daemon.stop(within)
    daemon.wait(min(within / 2, FRONT_SECONDS))
    assert daemon.commands[-1]["do"] == "stop" and daemon.commands[-1]["within"] >= within / 2
    assert not daemon.kills


def test_a_stop_that_is_shortened_while_it_waits_for_a_front_waits_no_longer_than_half_of_that(daemon):
    daemon.run()
    daemon.prints(MUCH)
    daemon.ends()
    front = daemon.stop(60)
    daemon.dispatcher.cancel(front, 2)
    daemon.wait(1)
    assert daemon.commands[-1] == {"do": "stop", "within": 1.0}


def test_a_further_stop_takes_the_result_from_nobody_while_the_process_still_ends(daemon):
    first = daemon.stop(60)
    daemon.ends()
    daemon.stop()
    daemon.wait(6)
    daemon.dies("the adaptor's process exited with code 0")
    assert not first.closed and first.messages[-1] == {"result": SUCCESS}


def test_after_a_further_stop_no_acknowledgement_makes_the_end_wait_for_long(daemon):
    front = daemon.run()
    daemon.prints(MUCH)
    daemon.dies()
    daemon.stop()
    daemon.wait(4)
    daemon.dispatcher.acknowledge(front, front.frames[0][0])
    daemon.wait(FRONT_SECONDS)
    assert daemon.is_over


def test_what_is_left_of_an_adaptor_that_had_to_be_killed_after_its_stop_fails_the_stop(daemon):
    daemon.stop(60)
    daemon.ends()
    daemon.dies("it was killed: it did not exit after its end", killed=True, left="7 (renderer)")
    assert daemon.end[1] == FAILED


def test_a_run_that_cannot_begin_when_it_is_its_turn_takes_no_move_back(daemon):
    canceled = daemon.run()
    daemon.leave(canceled)
    waits = daemon.run()

    def refuse(message, body=b""):
        raise InputError("too large")

    daemon.dispatcher._command = refuse
    daemon.ends(CANCEL)
    assert waits.messages[-1] == {"error": "too large", "code": BAD_INPUT}
    assert daemon.dispatcher.state == "idle"
