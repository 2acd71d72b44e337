"""Calls of a real application's functions, line by line and frame by frame: what comes late, last, large or at once."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

from openjd_adapt import (
    ActionsQueue,
    AdaptError,
    AdaptorServer,
    ApplicationAdaptor,
    InputError,
    Progress,
    RegexCallback,
    Status,
    process,
    task,
)
from openjd_adapt.application import Application, ApplicationError, ApplicationExited
from openjd_adapt.errors import Canceled, TimedOut, flush_streams
from openjd_adapt.watch import Fatal, Warn

from .conftest import HANG_SECONDS, ROOT, wait_until

MEGABYTE = 1024 * 1024
CLIENT = """
import os, sys, threading, time
from openjd_adapt.client import Client, encode
client = Client()
def say(message):
    client._send(encode(message))
@client.action
def echo(value):
    return value
@client.action
def sleep(seconds):
    time.sleep(seconds)
@client.action
def run(code):
    scope = {"client": client, "say": say, "os": os, "sys": sys, "threading": threading, "time": time}
    exec(code, scope)
    return scope.get("result")
client.serve_forever()
print("ends in order", flush=True)
"""


class Listening(ApplicationAdaptor):
    """Notes what an application reports; raises what it is told to."""

    _reports_itself = False

    def __init__(self):
        super().__init__({})
        self.said = []
        self.failure = None

    def get_command(self):
        raise NotImplementedError  # the tests give it

    def get_environment(self):
        return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}

    def on_run(self, run_data):
        pass

    def update_status(self, *, progress=None, status_message=None):
        if self.failure:
            raise self.failure
        self.said.append(status_message)


@pytest.fixture
def application(current):
    """A function that starts an application of the code that it is given; a client if none is."""
    started = []

    def start(code=CLIENT, adaptor=None, stdin=False, reports_take_long=False):
        adaptor = adaptor or Listening()
        adaptor.stdin, adaptor._reports_itself = stdin, reports_take_long
        app = Application(adaptor, [sys.executable, "-c", code])
        started.append(app)
        if code == CLIENT:
            app.wait_until_connected(HANG_SECONDS)
        return app

    yield start
    current.end()
    for app in started:
        app.end()


def last_lines(app):
    return app.process.last_lines(50)


@pytest.fixture
def gate(tmp_path):
    """A file that an application waits for: ``WAIT % gate`` is the code for that."""
    return str(tmp_path / "gate")


WAIT = "\nimport os, time\nwhile not os.path.exists(%r): time.sleep(0.01)\n"


def let_go(gate):
    open(gate, "w").close()


@pytest.fixture
def patient(monkeypatch):
    """An application that is going may take its time."""
    monkeypatch.setattr("openjd_adapt.application.EXIT_SECONDS", HANG_SECONDS)


@pytest.fixture
def impatient(monkeypatch):
    """One that goes without an exit is not worth a wait."""
    monkeypatch.setattr("openjd_adapt.application.EXIT_SECONDS", 0.05)


# Who hears it


def test_whoever_waits_for_an_answer_hears_it(application):
    app = application()
    heard, hear = [], app._server.on_message
    app._server.on_message = lambda message: (heard.append((threading.get_ident(), message)), hear(message))
    assert [app.call("echo", value=n) for n in range(100)] == list(range(100))
    mine = [message for thread, message in heard if thread == threading.get_ident() and "answer" in message]
    assert mine  # how many, is a matter of pace: most of them on a host that has time


def test_what_is_said_between_calls_is_heard(application):
    app = application()
    for n in range(5):
        app.call("run", code="threading.Timer(0.1, client.status, ['report %d']).start()" % n)
        wait_until(lambda n=n: app._adaptor.said == ["report %d" % before for before in range(n + 1)])


def test_several_threads_may_call(application):
    app = application()
    wrong = []

    def call(numbers):
        for n in numbers:
            if n % 7 == 0:
                app.cast("echo", value=n)
            value = "x" * 100_000 if n % 50 == 0 else n
            if app.call("echo", value=value) != value:
                wrong.append(n)

    threads = [threading.Thread(target=call, args=(range(k, 500, 5),), daemon=True) for k in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG_SECONDS)
    assert not wrong and not [thread for thread in threads if thread.is_alive()]


def test_a_call_ends_when_the_server_is_shut_down_meanwhile(application, impatient):
    app = application()
    threading.Timer(0.3, app._server.shutdown).start()
    with pytest.raises(ApplicationExited, match="has closed its connection"):
        app.call("sleep", seconds=300)


def test_a_call_that_takes_too_long_says_which_limit_is_over(application, current):
    app = application()
    current.phase.bound, bounds = "run_timeout", {}
    current.bounds = lambda: bounds
    with pytest.raises(TimedOut, match=r"took longer than 0\.1 s, waiting for the answer to sleep"):
        app.call("sleep", timeout=0.1, seconds=300)
    bounds["run_timeout"] = 0.1
    with pytest.raises(TimedOut, match=r"took longer than 0\.1 s \(run_timeout\), waiting for the answer to echo"):
        app.call("echo", timeout=HANG_SECONDS, value=1)
    del bounds["run_timeout"]
    bounds["no_output_timeout"] = 0.1
    with pytest.raises(TimedOut, match=r"no output for 0\.1 s \(no_output_timeout\), waiting for the answer to echo"):
        app.call("echo", timeout=HANG_SECONDS, value=1)


@pytest.mark.posix_only  # which tells how many there are
def test_an_application_leaves_no_descriptor(application):
    def descriptors():
        return len(os.listdir("/dev/fd"))

    def start_and_end():
        app = application()
        assert app.call("echo", value=1) == 1
        app.end()
        app.cast("echo", value=2)  # which nobody hears

    start_and_end()
    before = descriptors()
    for _ in range(3):
        start_and_end()
    wait_until(lambda: descriptors() <= before)


class Slow(Listening):
    """Does with a report what it is told to do, which takes its time."""

    act = staticmethod(lambda: None)
    heard = 0

    def update_status(self, *, progress=None, status_message=None):
        try:
            self.act()
        finally:
            self.heard += 1


def raises_what_a_cancel_does(app, current):
    canceling = threading.Thread(target=current.cancel)

    def act():
        if canceling.ident is None:
            canceling.start()
            current.sleep(300)
        current.phase.check()

    app._adaptor.act = act
    with pytest.raises(Canceled):
        app.call("run", code="client.status('a'); client.status('b'); client.status('c')", timeout=HANG_SECONDS)


def leaves(app, current):
    app._adaptor.act = sys.exit
    with pytest.raises(SystemExit):
        app.call("run", code="client.status('a'); client.status('b'); client.status('c')", timeout=HANG_SECONDS)


@pytest.mark.parametrize("how", [raises_what_a_cancel_does, leaves])
@pytest.mark.parametrize("reports_take_long", [False, True])
@pytest.mark.once
def test_an_authors_report_that_ends_like_a_cancel_loses_nothing_that_follows(
    application, current, how, reports_take_long
):
    app = application(adaptor=Slow(), reports_take_long=reports_take_long)
    how(app, current)
    wait_until(lambda: app._adaptor.heard == 3)
    current.end()
    current.begin()
    app._adaptor.act = lambda: None
    assert app.call("echo", value=2, timeout=HANG_SECONDS) == 2


def test_an_authors_report_that_takes_long_holds_up_no_timeout(application):
    app = application(adaptor=Slow(), reports_take_long=True)
    done = threading.Event()
    app._adaptor.act = lambda: done.wait(300)
    with pytest.raises(TimedOut):
        app.call("run", code="client.status('a'); time.sleep(300)", timeout=0.2)
    done.set()


def test_only_methods_of_an_authors_own_are_thought_to_take_long():
    class Plain(ApplicationAdaptor):
        def get_command(self):
            return ["none"]

        def on_run(self, run_data):
            pass

    class Mixed:
        def report_progress(self, percent):
            pass

    assert not Plain({})._reports_itself
    assert type("Own", (Mixed, Plain), {})({})._reports_itself


def test_an_application_cannot_be_waited_for_in_what_it_has_just_reported(application):
    app = application(adaptor=Slow())
    app._adaptor.act = lambda: app.call("echo", value=1)
    with pytest.raises(AdaptError, match="cannot be waited for in what it has just reported"):
        app.call("run", code="client.status('a')", timeout=HANG_SECONDS)


def test_a_report_that_fails_between_two_tasks_fails_the_next(application, current):
    app = application(adaptor=Slow())
    app._adaptor.act = lambda: [][0]
    current.end()
    app.cast("run", code="client.status('a')")
    wait_until(lambda: app._adaptor.heard == 1)
    assert app.call("echo", value=1, timeout=HANG_SECONDS) == 1
    assert isinstance(current.enter(True), IndexError)


def test_an_authors_slow_report_ends_with_its_own_task_and_not_the_next(application, current):
    app = application(adaptor=Slow(), reports_take_long=True)
    asleep, ended = threading.Event(), []

    def act():
        asleep.set()
        try:
            current.phase.wait_for(lambda: False, HANG_SECONDS)
        except Canceled:
            ended.append(current.phase)
            raise

    app._adaptor.act = act
    app.cast("run", code="client.status('a')")
    assert asleep.wait(HANG_SECONDS)
    with current.changing:  # as if it took long to wake
        current.cancel()
        current.end()
        current.begin()
    wait_until(lambda: app._adaptor.heard == 1)
    assert ended == [current.phase]
    current.phase.check()
    assert current.enter(True) is None


def test_the_servers_thread_sleeps_while_another_listens_for_long(application):
    app = application()
    turns, turn = [], app._server._loop.turn
    app._server._loop.turn = lambda: (turns.append(1), turn())
    app.call("run", code="client.status('a'); time.sleep(0.3)")
    assert len(turns) < 10
    app.call("run", code="threading.Timer(0.1, client.status, ['later']).start()")
    wait_until(lambda: app._adaptor.said == ["a", "later"])


# The end of what was given up


def refused(app, current, gate):
    with pytest.raises(InputError):
        app.call("echo", value=object())


def too_late(app, current, gate):
    with pytest.raises(TimedOut):
        app.call("run", timeout=0.1, code=WAIT % gate)
    let_go(gate)
    assert app.call("echo", value=1) == 1  # the late answer has come before this one


def failed_meanwhile(app, current, gate):
    """The answer is there, but the task has failed."""
    settle = app.process.settle

    def settle_and_fail():
        settle()
        current.fail(Canceled("by the test"))

    app.process.settle = settle_and_fail
    with pytest.raises(Canceled):
        app.call("echo", value=1)
    current.begin()


@pytest.mark.parametrize("how", [refused, too_late, failed_meanwhile])
def test_an_application_that_owes_no_answer_is_asked_over_its_connection_to_end(application, current, how, gate):
    app = application()
    how(app, current, gate)
    app.close(2 * HANG_SECONDS)
    assert last_lines(app)[-1:] == ["ends in order"]


def test_an_application_that_is_busy_with_a_call_that_was_given_up_is_not_asked_over_its_connection(application):
    app = application()
    with pytest.raises(TimedOut):
        app.call("sleep", timeout=0.1, seconds=300)
    assert app._ask_to_end() is False


def test_one_that_owes_the_answer_to_a_question_is_asked_by_a_signal_at_once(application):
    app = application("import time; input(); time.sleep(300)", stdin=True)
    with pytest.raises(TimedOut):
        app.ask("x", "never", timeout=0.1)
    assert app._ask_to_end() is False and app.process.stdin.closed


# What comes last


@pytest.mark.posix_only  # forks
def test_an_answer_that_is_still_on_its_way_when_the_process_ends_is_taken(application, patient):
    app = application()
    nobody_holds_its_output = "null = os.open(os.devnull, os.O_WRONLY)\nos.dup2(null, 1)\nos.dup2(null, 2)\n"
    code = "if os.fork():\n    os._exit(0)\n" + nobody_holds_its_output + "time.sleep(0.2)\n"
    code += "say({'answer': 1, 'result': 'bye'})\nos._exit(0)"
    assert app.call("run", timeout=HANG_SECONDS, code=code) == "bye"


def test_a_line_that_is_still_on_its_way_when_the_process_ends_is_found(application):
    for _ in range(3):
        app = application("input()\nprint('bye')", stdin=True)
        assert app.ask("quit", "b(ye)", timeout=HANG_SECONDS).group(1) == "ye"


def test_an_application_that_ends_without_an_answer_says_so(application, patient):
    app = application()
    with pytest.raises(ApplicationExited, match="exited with code 3 while waiting for the answer to run") as caught:
        app.call("run", code="print('at the end', flush=True); os._exit(3)")
    assert caught.value.returncode == 3 and "at the end" in str(caught.value)


# What is large, and comes from two sides


@pytest.mark.once
def test_progress_from_another_thread_does_an_answer_no_harm(application):
    app = application()
    code = """
def report():
    while not done:
        client.status("still here")
done = []
threading.Thread(target=report, daemon=True).start()
result = "x" * 2_000_000
"""
    for _ in range(5):
        assert app.call("run", timeout=HANG_SECONDS, code=code) == "x" * 2_000_000
    assert set(app._adaptor.said) == {"still here"}


def test_an_action_that_polls_takes_no_other(application, gate):
    app = application()
    app.cast("run", code="assert client.poll_once(10)" + WAIT % gate)
    with pytest.raises(TimedOut):
        app.call("run", timeout=0.2, code="print('performed', flush=True)")
    let_go(gate)
    assert app.call("echo", timeout=HANG_SECONDS, value=2) == 2
    assert "performed" not in last_lines(app)


def test_a_large_answer_and_a_large_action_that_waits_do_not_hold_up_each_other(application, gate):
    app = application()
    # It asks for the next action in an action, and answers before it takes it.
    code = "say({'next': True})\nprint('asked', flush=True)%sresult = 'x' * %d" % (WAIT % gate, MEGABYTE)

    def cast():
        wait_until(lambda: "asked" in last_lines(app))
        app.cast("echo", value="y" * 5 * MEGABYTE)
        wait_until(lambda: not app._queue)  # it is on its way
        let_go(gate)

    threading.Thread(target=cast, daemon=True).start()
    assert app.call("run", timeout=HANG_SECONDS, code=code) == "x" * MEGABYTE
    assert app.call("echo", timeout=HANG_SECONDS, value=3) == 3


# What authors and applications do


def test_what_an_authors_method_raises_fails_the_task_and_the_server_goes_on(application, current):
    app = application()
    app._adaptor.failure = ValueError("no such status")
    with pytest.raises(ValueError, match="no such status"):
        app.call("run", timeout=HANG_SECONDS, code="client.status('x')\ntime.sleep(30)")
    app._adaptor.failure = None
    current.begin()


SMALL_FRAMES = "from openjd_adapt.transport import wire; wire.FRAME_LIMIT = 3_000_000\n"


@pytest.mark.parametrize(
    "code, what",
    [
        (SMALL_FRAMES + "result = 'x' * 4_000_000", "the result of run cannot be sent: data of 4000"),
        ("result = object()", "the result of run is not JSON"),
        ("result = [float('nan')]", "the result of run is not JSON: Out of range float values are not JSON compliant"),
        (
            "class Odd(Exception):\n    def __str__(self):\n        raise self\nraise Odd",
            "failed in the application: Odd",
        ),
        (SMALL_FRAMES + "raise ValueError('x' * 4_000_000)", "failed in the application: ValueError: xxxx"),
        ("sys.stdout = sys.stderr = None\nraise ValueError('silent')", "failed in the application: ValueError: silent"),
        ("class Stream:\n    pass\nsys.stdout = Stream()\nraise ValueError('odd')", "ValueError: odd"),
    ],
    ids=["large", "no JSON", "NaN", "no text", "long", "no streams", "no flush"],
)
@pytest.mark.once
def test_whatever_goes_wrong_in_an_action_is_told_and_the_next_one_is_taken(application, code, what):
    app = application()
    with pytest.raises(ApplicationError, match=what[:60]):
        app.call("run", timeout=HANG_SECONDS, code=code)
    app.cast("run", code=code)
    assert app.call("echo", timeout=HANG_SECONDS, value=1) == 1


def test_what_a_cast_has_printed_is_passed_on_though_nobody_is_answered(application):
    app = application()
    app.cast("run", code="print('from a cast')")
    wait_until(lambda: "from a cast" in last_lines(app))


@pytest.mark.posix_only
def test_a_client_serves_under_a_descriptor_that_select_does_not_know(application):
    more = "import resource\nhard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
    more += "resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))\n"
    more += "files = [open(os.devnull) for _ in range(1100)]\n"
    app = application(CLIENT.replace("client = Client()", more + "client = Client()"))
    app.wait_until_connected(HANG_SECONDS)
    assert app.call("echo", timeout=HANG_SECONDS, value=1) == 1


def test_a_server_whose_files_somebody_has_removed_ends(tmp_path):
    server = AdaptorServer(ActionsQueue(), Listening())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    shutil.rmtree(os.path.dirname(server.server_path), ignore_errors=True)
    ending = threading.Thread(target=server.shutdown, daemon=True)
    ending.start()
    ending.join(HANG_SECONDS)
    assert not ending.is_alive()


# Standard input


SLEEPER = "import subprocess; subprocess.Popen(['sleep', '300'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)"


@pytest.mark.posix_only  # sleep
def test_a_process_that_dies_while_its_child_keeps_the_input_that_nobody_reads_holds_up_nobody(application):
    app = application(SLEEPER + "\nimport time; time.sleep(0.2)", stdin=True)
    with pytest.raises(ApplicationExited):
        app.write_line("x" * MEGABYTE)
    app.end()


LATE_READER = """
import sys
print("up", flush=True)
%s
for line in sys.stdin:
    print("got", line[:10].strip(), flush=True)
"""


def test_a_question_that_was_never_asked_is_not_waited_for(application, gate):
    app = application(LATE_READER % (WAIT % gate), stdin=True)
    with pytest.raises(TimedOut, match="for it to read a line"):
        app.write_line("x" * MEGABYTE, timeout=0.1)
    with pytest.raises(TimedOut, match="for it to read the line before"):
        app.ask("y", "got y", timeout=0.1)
    let_go(gate)
    assert app.ask("z", "got z", timeout=HANG_SECONDS)


def test_each_of_several_that_ask_at_once_has_its_own_answer(application):
    app = application("import sys\nfor line in sys.stdin: print('got', line.strip(), flush=True)", stdin=True)
    answers, take_turn = {}, app._take_turn
    app._take_turn = lambda timeout: (time.sleep(0.02), take_turn(timeout))[1]  # whoever waits for it may come

    def ask(text):
        answers[text] = [app.ask(text, r"^got (\w)$", timeout=HANG_SECONDS).group(1) for _ in range(5)]

    threads = [threading.Thread(target=ask, args=(text,), daemon=True) for text in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG_SECONDS)
    assert answers == {text: [text] * 5 for text in "abc"} and not app._questions


@pytest.mark.posix_only  # signals
def test_a_signal_handler_may_ask_while_its_thread_waits_for_a_late_answer(application, gate):
    def ask_too(number, frame):
        let_go(gate)
        answers.append(app.ask("z", "got z", timeout=HANG_SECONDS)[0])

    app, answers = application(LATE_READER % (WAIT % gate), stdin=True), []
    with pytest.raises(TimedOut, match="for a line with"):
        app.ask("x", "got x", timeout=0.3)
    before = signal.signal(signal.SIGALRM, ask_too)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        answers.append(app.ask("y", "got y", timeout=HANG_SECONDS)[0])
    finally:
        signal.signal(signal.SIGALRM, before)
    assert answers == ["got z", "got y"]


def test_each_of_several_writers_waits_for_its_own_line_alone(application, gate):
    read_two = "taken = 0\nwhile taken < 2 * %d: taken += len(os.read(0, 65536))\n" % (MEGABYTE + 1)
    app = application("%s%stime.sleep(300)" % (WAIT % gate, read_two), stdin=True)
    done = []

    def write():
        try:
            app.write_line("x" * MEGABYTE)
        except AdaptError:
            return  # the third, whose line is not read
        done.append(1)

    waits, wait = [], app._wait
    app._wait = lambda *arguments: (waits.append(1), wait(*arguments))
    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(waits) == 3)  # one waits behind the other
    let_go(gate)
    wait_until(lambda: len(done) == 2)
    app.end()
    for thread in threads:
        thread.join(HANG_SECONDS)
    assert len(done) == 2


@pytest.mark.posix_only  # SIGKILL
def test_a_prompt_that_was_killed_between_two_questions_is_told_with_signal_and_last_lines(application):
    app = application(LATE_READER % "", stdin=True)
    assert app.ask("x", "got x", timeout=HANG_SECONDS)
    os.kill(app.process.pid, signal.SIGKILL)
    wait_until(lambda: not app.process.is_running)
    for act in (lambda: app.ask("y", "got y"), lambda: app.ask("y", "got y"), lambda: app.write_line("z")):
        with pytest.raises(
            ApplicationExited, match="was killed by SIGKILL while .*; its last lines: up | got x$"
        ) as told:
            act()
        assert told.value.returncode == -signal.SIGKILL


def test_an_application_without_a_prompt_says_what_to_set_dead_or_alive(application):
    app = application("import sys; sys.stdin.read()")
    for _ in range(2):
        with pytest.raises(AdaptError, match="has no standard input; set stdin = True"):
            app.write_line("x")
        assert app.process.wait_quietly(HANG_SECONDS)


@pytest.mark.posix_only  # where a file's name may be any bytes
def test_a_line_takes_the_name_of_a_file_that_is_not_utf_8(application):
    app = application("import sys; print(ascii(sys.stdin.buffer.readline()))", stdin=True)
    assert app.ask("/a/\udce9", r"/a/\\xe9", timeout=HANG_SECONDS)


def test_a_callback_on_its_own_line_may_end_the_process(application, current, gate):
    app = application(WAIT % gate + "print('fatal', flush=True)\ntime.sleep(300)")
    app._handler.regex_callbacks = [RegexCallback([re.compile("fatal")], lambda match: app.process.terminate(0))]
    let_go(gate)
    with pytest.raises(ApplicationExited):
        app.wait_until_connected(HANG_SECONDS)
    current.phase.check()


def test_a_line_to_an_application_that_does_not_read_is_waited_for_no_longer_than_the_phase_may_take(
    application, current
):
    app = application("import time\nprint('up', flush=True)\ntime.sleep(300)", stdin=True)
    current.phase.bound, current.bounds = "run_timeout", lambda: {"run_timeout": 0.2}
    with pytest.raises(TimedOut, match="longer than 0.2 s .run_timeout., waiting for it to read a line"):
        app.write_line("x" * MEGABYTE)
    current.bounds = dict
    with pytest.raises(TimedOut, match="longer than 0.1 s, waiting for it to read the line before"):
        app.ask("y", "never", timeout=0.1)


def test_a_cancel_ends_the_wait_for_an_application_that_does_not_read(application, current):
    app = application("import time\nprint('up', flush=True)\ntime.sleep(300)", stdin=True)
    threading.Timer(0.3, current.cancel).start()
    with pytest.raises(Canceled):
        app.ask("x" * MEGABYTE, "never")
    current.begin()


@pytest.mark.posix_only  # a signal's handler, and a descriptor that is closed alone
def test_an_application_that_has_closed_its_standard_input_is_asked_by_a_signal(application, impatient, monkeypatch):
    code = """
import os, signal, sys, time
def saving(number, frame):
    print("saved", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, saving)
os.close(0)
print("up", flush=True)
time.sleep(300)
"""
    app = application(code, stdin=True)
    wait_until(lambda: "up" in last_lines(app))
    with pytest.raises(ApplicationExited, match="has closed its standard input while a line was written to it"):
        app.write_line("anybody?")
    monkeypatch.setattr(process, "CHANNEL_PART", 0.001)  # its input tells it nothing
    app.close(HANG_SECONDS)
    assert last_lines(app)[-1:] == ["saved"]


# What is watched for


@pytest.mark.parametrize(
    "line, text", [("Error", "Error"), ("Error: no disk", "no disk"), ("  Segmentation fault ", "Segmentation fault")]
)
def test_a_group_that_found_nothing_is_no_text(line, text):
    pattern = r"^Error(?:: (.*))?$|^\s*Segmentation fault"
    assert Fatal.text(Fatal(pattern).regex.search(line)) == text
    assert Status(r"(\d+)|(\w+)").text(Status(r"(\d+)|(\w+)").regex.search("well")) == "well"
    assert Warn(r"\d").text(Warn(r"\d").regex.search(" 5 ")) == "5"


def test_a_group_that_found_nothing_but_blanks_is_no_text():
    assert [Fatal.text(Fatal(r"^Error:(.*)").regex.search(line)) for line in ("Error:", "Error: ")] == ["Error:"] * 2


class Percents:
    def __init__(self):
        self.reported = []
        self.report_progress = self.reported.append


@pytest.mark.parametrize(
    "pattern, line, reported",
    [
        (r"^(\S+)%$", "12.5%", [12.5]),
        *((r"^(\S+)%$", line, []) for line in ("12,5%", "...%", "nan%", "inf%", "-1e999%")),
        (r"^(\d*)%", "%", []),
        (r"(\S+)/(\S+)", "1/4", [25]),
        *((r"(\S+)/(\S+)", line, []) for line in ("1/0", "1/inf", "nan/4", "1/x", "inf/inf")),
    ],
)
def test_progress_is_made_of_finite_numbers_and_all_else_is_passed_over(pattern, line, reported):
    adaptor, watch = Percents(), Progress(pattern)
    watch.act(adaptor, watch.regex.search(line))
    assert adaptor.reported == reported


def test_a_pattern_for_progress_that_has_no_group_is_refused_where_it_is_declared():
    with pytest.raises(ValueError, match=r"Progress\(.*\): has 0 groups; give it one group, the percentage, or two"):
        Progress(r"\d+ percent")


def test_a_pattern_for_progress_with_more_than_two_groups_is_refused_where_it_is_declared():
    with pytest.raises(ValueError, match=r"^Progress\(.*\): has 3 groups; give it one group.*\(\?:\.\.\.\)$"):
        Progress(r"Frame (\d+): sample (\d+)/(\d+)")
    assert Progress(r"Frame (?:\d+): sample (\d+)/(\d+)")


def test_nothing_is_flushed_that_is_no_stream(monkeypatch):
    closed = io.StringIO()
    closed.close()
    kept = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stderr", kept)
    for stream in (None, object(), closed):
        monkeypatch.setattr(sys, "stdout", stream)
        kept.write("x")
        flush_streams()
        assert len(kept.buffer.getvalue()) and not kept.buffer.truncate(0)


@pytest.mark.parametrize("which", ["application server", "end of"])
def test_an_application_that_cannot_be_served_leaves_neither_a_process_nor_a_folder(which, monkeypatch, tmp_path):
    def start_unless(thread):
        if thread.name.startswith(which):
            raise RuntimeError("can't start new thread")
        start(thread)

    made, popen, start = [], subprocess.Popen, threading.Thread.start
    monkeypatch.setattr("subprocess.Popen", lambda *args, **options: made.append(popen(*args, **options)) or made[0])
    monkeypatch.setattr(threading.Thread, "start", start_unless)
    monkeypatch.setattr(task, "private_folder", str(tmp_path / "private"))
    with pytest.raises(AdaptError, match="^can't start new thread"):
        Application(Listening(), [sys.executable, "-c", "import time; time.sleep(300)"])
    assert [one.returncode is not None for one in made] == [True] * (which == "end of")
    assert not os.path.exists(task.private_folder)


@pytest.mark.parametrize(
    "hook, returned, told",
    [
        ("get_command", "maya -batch", "get_command of Plain returned 'maya -batch', not a list of texts"),
        (
            "get_command",
            ["maya", None],
            "get_command of Plain returned a list whose item 2 is None, not a text or a path",
        ),
        ("get_command", [], "get_command of Plain returned no program"),
        ("get_environment", "A=1", "get_environment of Plain returned 'A=1', not a dictionary of texts"),
        ("get_startup_directory", 5, "get_startup_directory of Plain returned 5, not a text or a path"),
    ],
)
def test_what_an_applications_hook_returns_is_told_with_its_name(hook, returned, told):
    class Plain(ApplicationAdaptor):
        def get_command(self):
            return ["/no/such/program"]

        def on_run(self, run_data):
            pass

    adaptor = Plain({})
    setattr(adaptor, hook, lambda: returned)
    with pytest.raises(AdaptError) as caught:
        adaptor._start()
    assert str(caught.value) == told
