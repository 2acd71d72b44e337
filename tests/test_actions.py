"""Actions, their queue, the server that hands them out, and the reference's way of taking them."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from openjd_adapt import (
    Action,
    ActionsQueue,
    AdaptError,
    Adaptor,
    AdaptorRunner,
    AdaptorServer,
    ClientInterface,
    InputError,
    PathMappingRule,
    system,
)
from openjd_adapt.client import MAPPED_PATHS, Client
from openjd_adapt.output import ProgressThrottle
from openjd_adapt.task import Task
from openjd_adapt.testing import Session
from openjd_adapt.transport import wire
from openjd_adapt.transport.connection_file import ConnectionFileReader
from openjd_adapt.transport.wire import Decoder, encode, hello

from .conftest import ADAPTORS, HANG_SECONDS, ROOT, read_until, wait_until

pytestmark = [pytest.mark.core, pytest.mark.windows_core]


@pytest.fixture(autouse=True)
def nothing_waits(monkeypatch):
    """No progress that an earlier test of this process has reported is still to be said."""
    ProgressThrottle.waiting.clear()


def test_an_action_survives_its_text():
    action = Action("render", {"frame": 1, "name": "é"})
    assert Action.from_json_string(str(action)) == action == Action.from_bytes(str(action).encode())
    assert Action.from_json_string(str(Action("close"))) == Action("close", None)


def test_an_action_is_sent_as_it_was_when_it_was_enqueued():
    action = Action("render", {"frame": 1}, 7)
    action.args["frame"] = 2
    ActionsQueue().enqueue_action(action)
    action.args["frame"] = 3
    [(message, body)] = Decoder().feed(action.frame)
    assert body == b"" and message == {"action": "render", "args": {"frame": 2}, "call": 7}


@pytest.mark.parametrize("value, why", [(object(), "are not JSON: "), ("x" * 2**16, "cannot be sent: data of ")])
def test_an_action_that_cannot_be_sent_says_so(monkeypatch, value, why):
    monkeypatch.setattr(wire, "FRAME_LIMIT", 2**16)
    queue = ActionsQueue()
    with pytest.raises(InputError, match="the arguments of render " + why):
        queue.enqueue_action(Action("render", {"it": value}))
    assert not queue


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "x"}', "null"])
def test_what_is_no_action_is_refused(text):
    with pytest.raises(InputError, match="not an action"):
        Action.from_json_string(text)


def test_the_queue_is_first_come_first_served_but_for_its_front():
    queue = ActionsQueue()
    assert not queue and queue.dequeue_action() is None
    for name in "ab":
        queue.enqueue_action(Action(name))
    queue.enqueue_action(Action("front"), front=True)
    assert len(queue) == 3 and queue
    assert [queue.dequeue_action().name for _ in range(3)] == ["front", "a", "b"]


@pytest.mark.parametrize("line", range(1, 6))
def test_a_call_is_withdrawn_and_no_other_whatever_interrupts_that(line):
    queue, taken = ActionsQueue(), []
    actions = [Action("render", {}, call) for call in range(5)]
    for action in actions:
        queue.enqueue_action(action)

    def interrupt(frame, event, arg):
        if frame.f_code.co_name != "withdraw":
            return None
        if event == "line" and frame.f_lineno - frame.f_code.co_firstlineno == line:
            taken.append(queue.dequeue_action())  # as a signal handler that enqueues something may do
        return interrupt

    before = sys.gettrace()
    sys.settrace(interrupt)
    try:
        assert queue.withdraw(actions[2])
    finally:
        sys.settrace(before)
    left = [queue.dequeue_action() for _ in range(len(queue))]
    assert taken + left == [actions[call] for call in (0, 1, 3, 4)]
    assert [action.call for action in taken + left] == [0, 1, 3, 4] and not queue.withdraw(actions[0])


class RulesOnly:
    """All that a server asks of an adaptor."""

    path_mapping_rules = [PathMappingRule(source_path_format="POSIX", source_path="/a", destination_path="/b")]


CLIENT = """
import sys, threading
from openjd_adapt import ClientInterface

class Mine(ClientInterface):
    def __init__(self, path):
        super().__init__(path)
        self.actions.update({"hello": self.hello, "map": self.map})
    def hello(self, args):
        print("hello", args)
    def map(self, args):
        print(self.map_path(args["path"]), self.map_path(args["path"]), len(self.path_mapping_rules()))

def drive():
    Mine(sys.argv[1]).poll()
    print("left")

if sys.argv[2] == "thread":
    thread = threading.Thread(target=drive)
    thread.start()
    thread.join()
else:
    drive()
"""


@pytest.mark.posix_only
@pytest.mark.parametrize("where", ["main", "thread"])
def test_the_references_client_takes_the_actions_of_a_queue_until_it_is_closed(where):
    queue = ActionsQueue()
    server = AdaptorServer(queue, RulesOnly())
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    queue.enqueue_action(Action("hello", {"frame": 1}))
    queue.enqueue_action(Action("hello"))
    queue.enqueue_action(Action("map", {"path": "/a/x"}))
    queue.enqueue_action(Action("close"))
    command = [sys.executable, "-c", CLIENT, server.server_path, where]
    out = subprocess.check_output(command, cwd=str(ROOT), timeout=HANG_SECONDS).decode()
    assert out.splitlines() == [
        'Performing the action {"name": "hello", "args": {"frame": 1}}',
        "hello {'frame': 1}",
        'Performing the action {"name": "hello", "args": null}',
        "hello None",
        'Performing the action {"name": "map", "args": {"path": "/a/x"}}',
        "Mapped the path /a/x to /b/x",
        "/b/x /b/x 1",
        'Performing the action {"name": "close", "args": null}',
        "left",
    ]
    assert len(queue) == 0  # the application has taken everything
    server.shutdown()
    thread.join(HANG_SECONDS)
    assert not thread.is_alive()
    assert not os.path.exists(os.path.dirname(server.server_path))


ABANDONED = """
import os, sys, tempfile
from openjd_adapt import ActionsQueue, AdaptorServer
server = AdaptorServer(ActionsQueue(), type("Rules", (), {"path_mapping_rules": []})())
child = os.fork()
if not child:
    sys.exit()
os.waitpid(child, 0)
assert os.path.exists(server.server_path)
assert len(os.listdir(tempfile.gettempdir())) == 1
"""


@pytest.mark.posix_only
def test_a_server_that_nobody_shuts_down_leaves_nothing_behind_when_its_process_ends(tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", ABANDONED], cwd=str(ROOT), env=environment, check=True, timeout=HANG_SECONDS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.posix_only
def test_a_server_without_descriptors_left_fails_in_one_line(monkeypatch):
    monkeypatch.setattr(system, "Bell", lambda: (_ for _ in ()).throw(OSError(errno.EMFILE, "Too many open files")))
    with pytest.raises(AdaptError, match=r"^an application cannot be served: \[Errno 24\] Too many open files$"):
        AdaptorServer(ActionsQueue(), RulesOnly())


FORKED = """
import os, sys
from openjd_adapt import ActionsQueue, AdaptorServer, task
task.private_folder = sys.argv[1]
child = os.fork()
server = AdaptorServer(ActionsQueue(), type("Rules", (), {"path_mapping_rules": []})())
if not child:
    os._exit(0)
sys.exit(os.waitpid(child, 0)[1])
"""


@pytest.mark.posix_only
def test_two_processes_of_a_session_may_each_have_a_server(tmp_path):
    command = [sys.executable, "-c", FORKED, str(tmp_path / "private")]
    subprocess.run(command, cwd=str(ROOT), check=True, timeout=HANG_SECONDS)
    assert len(list((tmp_path / "private").glob("*.json"))) == 2


class Quiet(ClientInterface):
    """Answers to nobody's signals: a test is not an application."""

    def graceful_shutdown(self, signum, frame):
        pass


@pytest.fixture
def served():
    """A function that starts a server for an adaptor and gives a client, on a thread other than the main one."""
    servers = []

    def serve(adaptor):
        server = AdaptorServer(ActionsQueue(), adaptor)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        servers.append((server, thread))
        made = []
        making = threading.Thread(target=lambda: made.append(Quiet(server.server_path)))
        making.start()
        making.join(HANG_SECONDS)
        return server, made[0]

    yield serve
    for server, thread in servers:
        server.shutdown()
        thread.join(HANG_SECONDS)


@pytest.mark.posix_only
def test_poll_returns_when_the_adaptor_is_gone(served):
    server, client = served(RulesOnly())
    client.actions["leave"] = lambda args: server.shutdown()
    server.actions_queue.enqueue_action(Action("leave"))
    client.poll()
    assert client._request_next_action()[0] == 410


@pytest.mark.posix_only
def test_a_client_maps_paths_by_the_rules_and_asks_no_adaptors_method(served):
    class Own(RulesOnly):
        def map_path(self, path):
            raise AssertionError("it was asked")

    client = served(Own())[1]
    assert client.map_path("/a/x") == "/b/x" and client.map_path("/c") == "/c"


class Refuses:
    """What an application has put in place of a stream."""

    def write(self, text):
        raise RuntimeError("the console is closed")


@pytest.mark.posix_only
def test_no_line_of_the_client_fails_whatever_its_text_and_the_streams_are(served, monkeypatch):
    server, client = served(RulesOnly())
    ascii_only = io.TextIOWrapper(io.BytesIO(), "ascii")
    for stream in (ascii_only, Refuses(), object(), None):
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stderr", stream)
        assert client.map_path("/a/\u20bf\udcff%s%d") == "/b/\u20bf\udcff%s%d"
        client._mapped.cache_clear()
        server.actions_queue.enqueue_action(Action("\u20bf", {"it": "\u20bf"}))
        server.actions_queue.enqueue_action(Action("close"))
        client.poll()
        client._open = True
    text = "Mapped the path /a/\\u20bf\\udcff%s%d to /b/\\u20bf\\udcff%s%d\n"
    text += 'Performing the action {"name": "\\u20bf", "args": {"it": "\\u20bf"}}\n'
    text += "ERROR: there is no action \\u20bf; there are: close\n"
    text += 'Performing the action {"name": "close", "args": null}\n'
    assert ascii_only.buffer.getvalue().decode() == text


@pytest.mark.posix_only
def test_a_client_remembers_some_thousand_paths_those_that_were_asked_for_last(served, monkeypatch, capsys):
    assert MAPPED_PATHS < 10_000
    monkeypatch.setattr("openjd_adapt.client.MAPPED_PATHS", 100)
    client = served(RulesOnly())[1]
    for number in range(1000):
        assert client.map_path("/a/%d" % number) == "/b/%d" % number
        assert client.map_path("/a/first") == "/b/first"
    assert client._mapped.cache_info().currsize == 100
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1001 and lines.count("Mapped the path /a/first to /b/first") == 1


@pytest.mark.posix_only
def test_threads_that_ask_at_once_share_one_connection(served, monkeypatch):
    client, made = served(RulesOnly())[1], []

    class Slow:
        def __init__(self, path):
            made.append(self)
            time.sleep(0.2)  # in which another thread would make a second one, which the adaptor refuses

        def map_path(self, path):
            return path

    monkeypatch.setattr("openjd_adapt.client.Client", Slow)
    threads = [threading.Thread(target=client.map_path, args=("/%d" % number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG_SECONDS)
    assert len(made) == 1


@pytest.mark.posix_only
@pytest.mark.parametrize("report", ["progress", "status"])
@pytest.mark.parametrize("value", [float("nan"), float("-inf"), object()], ids=["nan", "infinite", "no JSON"])
def test_what_cannot_be_reported_is_told_where_it_was_made_and_ends_no_render(asked, capsys, report, value):
    client, sent = asked[1:3]
    getattr(client, report)(value)
    line = capsys.readouterr().err
    assert line.startswith("WARNING: the %s is not JSON: O" % report) and line.count("\n") == 1 and not sent
    client.progress(5)
    assert sent == [[{"progress": 5}]]


@pytest.mark.posix_only
def test_an_adaptor_that_asks_the_application_to_end_closes_it(served):
    server, client = served(RulesOnly())
    closed = []
    client.actions["close"] = closed.append
    server.close_application()
    client.poll()
    assert closed == [None]


def test_an_application_that_lets_an_action_lie_and_then_says_nonsense_ends_no_server():
    server = AdaptorServer(ActionsQueue(), RulesOnly())
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    connection = ConnectionFileReader(server.server_path).connect()
    connection.sendall(encode(hello("here")) + encode({"about": "a bad one"}) + encode({"next": True}))
    server.actions_queue.enqueue_action(Action("large", {"text": "x" * 5_000_000}))
    connection.recv(64)
    wait_until(lambda: not server.actions_queue)
    gone = threading.Event()
    server.on_gone = gone.set
    connection.sendall(b"\0\0\0\3\0\0\0\0bad")
    assert gone.wait(HANG_SECONDS)
    client = Client(server.server_path)  # and the next one is served
    server.actions_queue.enqueue_action(Action("echo", {}))
    assert client.take(HANG_SECONDS)["action"] == "echo"
    client.close()
    connection.close()
    server.shutdown()
    thread.join(HANG_SECONDS)


@pytest.fixture
def asked(served):
    """A server, a client, what the client sends (a list of messages for each sending), and the answers' event."""
    server = served(RulesOnly())[0]
    answered = threading.Event()
    server.on_message = lambda message: answered.set() if "answer" in message else None
    client = Client(server.server_path)
    client.action(abs_of)
    sent = []
    send = client._send

    def record(data):
        sent.append([message for message, _ in Decoder().feed(data)])
        send(data)

    client._send = record
    yield server, client, sent, answered
    client.close()


def abs_of(value):
    return abs(value)


def test_an_application_that_only_serves_asks_for_the_next_action_with_its_answer(asked):
    server, client, sent, _ = asked
    for call in (1, 2):
        server.actions_queue.enqueue_action(Action("abs_of", {"value": -call}, call))
    server.actions_queue.enqueue_action(Action("abs_of", {}, 3))
    server.close_application()
    client.serve_forever()
    answers = [{"answer": 1, "result": 1}, {"answer": 2, "result": 2}]
    assert sent[:3] == [[{"next": True}], *([answer, {"next": True}] for answer in answers)]
    [failed, then] = sent[3]
    assert failed["answer"] == 3 and "TypeError" in failed["error"] and then == {"next": True} and len(sent) == 4


def test_a_message_of_a_later_version_does_not_close_the_application(asked):
    server, client = asked[:2]
    own = Quiet(server.server_path)
    own._connection = client
    performed = []
    own.actions["hello"] = performed.append
    server.actions_queue.enqueue_action(Action("hello", {"n": 1}))
    server.close_application()
    client._inbox.append({"news": "of a later version"})
    own.poll()
    assert performed == [{"n": 1}]


def test_whoever_waits_for_an_action_is_told_when_another_thread_closes(asked):
    client = asked[1]
    threading.Timer(0.2, client.close).start()
    assert client.take(None) is None and client.poll_once(None) is False


def test_what_a_signal_handler_reports_while_something_is_sent_is_sent_behind_it(asked):
    client = asked[1]
    connection, sent = client._connection, []

    class Interrupted:
        def sendall(self, data):
            if not sent:
                sent.append(b"")
                client.progress(5)
                client.status("from the handler")
            sent.append(data)

    client._connection = Interrupted()
    client.status("first")
    client._connection = connection
    said = [message for message, _ in Decoder().feed(b"".join(sent))]
    assert said == [{"status": "first"}, {"progress": 5}, {"status": "from the handler"}]


def test_an_action_is_enqueued_while_another_is_handed_over_on_the_same_thread(waiting, monkeypatch):
    server, connection = waiting
    send, queue = server._application.send_frames, server.actions_queue

    def interrupted(data):
        if b"one" in data:
            queue.enqueue_action(Action("two"))
        send(data)

    monkeypatch.setattr(server._application, "send_frames", interrupted)
    queue.enqueue_action(Action("one"))
    assert [connection.take(HANG_SECONDS)["action"] for _ in range(2)] == ["one", "two"]


@pytest.mark.posix_only  # setitimer
def test_an_application_that_was_interrupted_in_mid_sentence_says_no_more(asked):
    server, client = asked[:2]
    gone = threading.Event()
    server.on_gone = gone.set
    slow = threading.Event()
    server.on_message = lambda message: slow.wait(HANG_SECONDS)
    client.status("a")
    frame = encode({"status": "x" * 5_000_000})

    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        with pytest.raises(KeyboardInterrupt):
            client._send(frame)
    finally:
        signal.signal(signal.SIGALRM, before)
        slow.set()
    assert gone.wait(HANG_SECONDS) and client.take(None) is None


def test_an_application_with_a_loop_of_its_own_is_handed_nothing_before_it_polls_again(asked):
    server, client, sent, answered = asked
    server.actions_queue.enqueue_action(Action("abs_of", {"value": -1}, 1))
    assert client.poll_once(HANG_SECONDS)
    assert answered.wait(HANG_SECONDS)
    second = Action("abs_of", {"value": -2}, 2)
    server.actions_queue.enqueue_action(second)
    assert server.actions_queue.withdraw(second)  # whoever has called gives up before the application has looked
    assert sent == [[{"next": True}], [{"answer": 1, "result": 1}]]
    assert client.poll_once(0.1) and sent[2:] == [[{"next": True}]]


def test_an_application_that_is_driven_by_its_standard_input(farm):
    farm.adaptor = str(ADAPTORS / "prompt.py")
    farm.daemon("start")
    for line in ("one", "two"):
        done = farm.daemon("run", "--run-data", json.dumps({"line": line}))
        assert done.code == 0 and done.lines[-2:] == ["STDOUT: answer to %s" % line, "matched %s" % line]
    assert "STDOUT: end of input" in farm.daemon("stop").lines


@pytest.mark.parametrize("way", ["a cancel", "a timeout"])
@pytest.mark.once
def test_an_answer_that_comes_after_its_task_is_given_up_is_not_taken_for_the_next_ones(farm, way):
    farm.adaptor = str(ADAPTORS / "prompt.py")
    farm.daemon("start")
    data = {"line": "slow", "timeout": 300 if way == "a cancel" else 0.2}
    process = farm.daemon_popen("run", "--run-data", json.dumps(data))
    if way == "a cancel":
        read_until(process.stdout, "thinking")
        assert farm.daemon("cancel").code == 0
    done = farm.finish(process)
    assert (done.code, "openjd_fail" in done.out) == ((4, False) if way == "a cancel" else (1, True)), done
    (farm.folder / "enough").touch()
    for line in ("one", "two"):
        done = farm.daemon("run", "--run-data", json.dumps({"line": line}))
        assert done.code == 0 and "matched %s" % line in done.lines, done
        assert ("has answered 'slow', which nobody waits for any more" in done.out) == (line == "one"), done
    assert farm.daemon("stop").code == 0


WATCHING = """
import re, sys
from openjd_adapt import (
    Adaptor, CommandAdaptor, Fatal, LoggingSubprocess, ManagedProcess, Progress, RegexCallback, RegexHandler
)

LINES = "print('done 50'); print('Fatal: no licence')"

class Command(CommandAdaptor):
    watch = [Progress(r"done (.*)"), Fatal(r"^Fatal: (.*)")]
    def get_managed_process(self, run_data):
        return Process(run_data)

class Process(ManagedProcess):
    def get_executable(self): return sys.executable
    def get_arguments(self): return ["-c", LINES]

class Handled(Command):
    def get_managed_process(self, run_data):
        tell = RegexCallback([re.compile("done (.*)")], lambda match: print("handled", match.group(1)))
        return Process(run_data, stdout_handler=RegexHandler([tell]))

class Given(Command):
    def get_managed_process(self, run_data):
        return Process(run_data, stdout_handler=self.line_handler)

class Plain(Adaptor):
    watch = Command.watch
    def on_run(self, run_data):
        with LoggingSubprocess(args=[sys.executable, "-c", LINES], stdout_handler=self.line_handler):
            pass
"""


@pytest.mark.parametrize("name", ["Command", "Handled", "Given", "Plain"])
def test_the_lines_of_any_adaptors_processes_are_watched_as_declared(name):
    scope = {"__name__": "watching"}
    exec(WATCHING, scope)
    with Session(scope[name]) as session:
        outcome = session.run()
    assert (outcome.outcome, outcome.message, outcome.progress) == ("failed", "no licence", [50])
    assert ("handled 50" in outcome.lines) == (name == "Handled")


def test_a_span_scales_progress_to_a_part_of_the_task_and_ends_with_its_block(capsys):
    class Any(Adaptor):
        def on_run(self, run_data):
            with self.progress_span(50, 100):
                self.report_progress(50)
            self._throttle.flush()
            self._throttle = ProgressThrottle()
            self.report_progress(50)

    runner = AdaptorRunner(adaptor=Any({}))
    runner._start()
    runner._run({})
    assert capsys.readouterr().out.splitlines() == ["openjd_progress: 75", "openjd_progress: 50"]


def test_progress_is_reported_ten_times_a_second_at_the_most_scaled_and_never_lost(capsys):
    now = [0.0]
    throttle = ProgressThrottle(lambda: now[0])
    for step in range(100):
        now[0] = step / 100
        throttle.report(step)
    throttle.span = (50, 100)
    throttle.report(100)
    throttle.flush()
    throttle.flush()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "openjd_progress: 0" and lines[-1] == "openjd_progress: 100"
    assert 10 <= len(lines) <= 12
    throttle.report(float("nan"))
    throttle.span = (0, 50)
    now[0] = 5.0
    throttle.report(50)
    assert capsys.readouterr().out == "openjd_progress: 25\n"


def test_progress_that_is_not_a_number_is_warned_of_once_however_it_is_reported(monkeypatch):
    class Reports(Adaptor):
        def on_run(self, run_data):
            for odd in (float("nan"), "half", None, 10**400):
                self.report_progress(odd)
                self.update_status(progress=odd, status_message="x")
            self.update_status(progress=133.0)

    monkeypatch.setattr(ProgressThrottle, "has_warned", False)
    with Session(Reports) as session:
        outcome = session.run()
    warnings = [line for line in outcome.lines if line.startswith("WARNING")]
    assert warnings == ["WARNING: Progress nan is not a number: it and its like are not reported"]
    assert outcome.is_done and outcome.progress == [100]


def test_progress_that_is_reported_while_no_task_runs_is_not_the_next_ones(current, capsys):
    class Reports(Adaptor):
        def on_run(self, run_data):
            print("runs")

    with Session(Reports) as session:
        for percent in (1, 2):  # the second is kept for a moment
            session.adaptor.report_progress(percent)
        assert session.run().lines == ["runs"]
        current.rest()  # as in the worker
        session.adaptor._throttle = ProgressThrottle()
        capsys.readouterr()
        for percent in (3, 3.5):
            session.adaptor.report_progress(percent)
        session.adaptor.update_status(progress=4, status_message="idle")
        assert capsys.readouterr().out == "" and not ProgressThrottle.waiting


def test_progress_that_waits_is_not_reported_after_newer_progress(capsys):
    class Reports(Adaptor):
        def on_run(self, run_data):
            self.report_progress(10)
            self.report_progress(20)
            self.update_status(progress=100)

    runner = AdaptorRunner(adaptor=Reports({}))
    runner._start()
    runner._run({})
    first, *between, last = capsys.readouterr().out.splitlines()
    # On a slow machine the one that waits has had its time.
    assert (first, last) == ("openjd_progress: 10", "openjd_progress: 100") and between in ([], ["openjd_progress: 20"])


def test_progress_is_reported_soon_though_nothing_follows():
    class Pauses(Adaptor):
        def on_run(self, run_data):
            self.report_progress(1)
            for percent in range(80, 91):
                self.report_progress(percent)
            self.sleep(300)
            self.update_status(status_message="it was not reported before the end")

    with Session(Pauses) as session:
        outcome = session.run(cancel_at="openjd_progress: 90")
        assert outcome.outcome == "canceled" and outcome.statuses == [], outcome
        assert (outcome.progress[0], outcome.progress[-1]) == (1, 90)


def test_progress_that_no_value_follows_is_reported_and_so_is_what_comes_later():
    class Slow(Adaptor):
        def on_run(self, run_data):
            self.report_progress(1)
            self.report_progress(2)
            wait_until(lambda: not ProgressThrottle.waiting)
            self.report_progress(3)

    with Session(Slow) as session:
        assert session.run().progress[-2:] == [2, 3]


# From the queue to an application that waits


@pytest.fixture
def waiting(served):
    """A server and the connection of a client that has asked for an action."""
    server, client = served(RulesOnly())
    connection = client._connect()
    assert connection.take(0.01) is None
    wait_until(lambda: server._asked)
    return server, connection


def test_a_waiting_application_gets_a_small_action_without_the_servers_thread(waiting, monkeypatch):
    server, connection = waiting
    woken = []
    with monkeypatch.context() as patch:
        patch.setattr(server, "_wake", lambda: woken.append(1))
        server.actions_queue.enqueue_action(Action("one", {"x": 1}))
        assert woken == [] and len(server.actions_queue) == 0
        server.actions_queue.enqueue_action(Action("two"))  # it has not asked again
        assert woken == [] and len(server.actions_queue) == 1
    assert [connection.take(HANG_SECONDS)["action"] for _ in range(2)] == ["one", "two"]


def test_a_thread_that_waits_for_the_application_is_not_kept_waiting_by_a_wait_within_that_one(waiting):
    server, phase = waiting[0], Task().phase
    with pytest.raises(AdaptError, match="it has interrupted a wait for it"):
        server.listen(phase, lambda: server.listen(phase, bool, HANG_SECONDS), HANG_SECONDS)
    server.listen(phase, lambda: True, HANG_SECONDS)
    assert not server._listening.locked()


def test_what_the_first_application_says_is_read_by_the_servers_thread_alone(served):
    server, client = served(RulesOnly())
    read = []
    server._sleep_and_read = lambda *arguments: read.append(1)
    server._listening.acquire()  # the server's thread is about to read
    server.listen(Task().phase, bool, 0.01)
    server._listening.release()
    server.listen(Task().phase, bool, 0.01)
    assert not read
    assert client._connect().take(0.01) is None
    wait_until(lambda: server._asked)
    server.listen(Task().phase, bool, 0.01)
    assert read


@pytest.mark.parametrize("value", ["x" * 300_000, {1, 2}, 1j], ids=["large", "no JSON", "no JSON either"])
def test_what_cannot_be_sent_at_once_holds_up_nothing(waiting, value):
    server, connection = waiting
    names = ["next"]
    try:
        server.actions_queue.enqueue_action(Action("odd", {"x": value}))
        names.insert(0, "odd")
    except InputError:
        assert not isinstance(value, str)
    server.actions_queue.enqueue_action(Action("next"))
    assert [connection.take(HANG_SECONDS)["action"] for _ in names] == names


def test_many_threads_enqueue_and_each_action_comes_once_and_in_its_threads_order(waiting):
    server, connection = waiting

    def enqueue(name):
        for number in range(200):
            server.actions_queue.enqueue_action(Action(name, {"number": number}))

    threads = [threading.Thread(target=enqueue, args=(name,), daemon=True) for name in "abcd"]
    for thread in threads:
        thread.start()
    taken = [connection.take(HANG_SECONDS) for _ in range(800)]
    for name in "abcd":
        assert [item["args"]["number"] for item in taken if item["action"] == name] == list(range(200))
    assert len(server.actions_queue) == 0
