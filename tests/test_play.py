"""A rehearsal: its tasks, what it shows of them, and what it tells tools."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import signal
import struct
import subprocess
import sys
import textwrap

import pytest

from openjd_adapt import InputError
from openjd_adapt.authoring.play import axes, expand, part_of, rehearse, share

from .conftest import ADAPTORS, HANG_SECONDS, read_until, wait_until
from .hurry import hurry


@pytest.mark.parametrize(
    "run_data, each, expected",
    [
        ([], [], []),
        ([], ["frame=1-3"], []),
        ([{}], [], [{}]),
        ([{"a": 1}, {"a": 2}], [], [{"a": 1}, {"a": 2}]),
        ([{}], ["frame=1-5:2,9"], [{"frame": 1}, {"frame": 3}, {"frame": 5}, {"frame": 9}]),
        ([{"frame": 7, "a": 1}], ["frame=-1--2:-1"], [{"frame": -2, "a": 1}, {"frame": -1, "a": 1}]),
        ([{}], ["y=1-2", "x=8,9"], [{"y": 1, "x": 8}, {"y": 1, "x": 9}, {"y": 2, "x": 8}, {"y": 2, "x": 9}]),
        ([{"a": 1}, {"a": 2}], ["x=8,9"], [{"a": 1, "x": 8}, {"a": 1, "x": 9}, {"a": 2, "x": 8}, {"a": 2, "x": 9}]),
    ],
)
def test_the_last_axis_runs_fastest_and_the_run_data_slowest(run_data, each, expected):
    assert list(expand(run_data, axes(each))) == expected


@pytest.mark.parametrize(
    "each, chunk, expected",
    [
        (["f=1-25"], 10, ["1-10", "11-20", "21-25"]),
        (["f=1-3"], 1, ["1-1", "2-2", "3-3"]),
        (["f=1-4,9,11-13"], 5, ["1-4,9", "11-13"]),
        (["f=0-18:3"], 3, ["0-6:3", "9-15:3", "18-18"]),
        (["f=1-1000000000000"], 10**9 - 1, ["1-999999999"]),
    ],
)
def test_a_chunk_has_so_many_numbers_of_the_last_axis(each, chunk, expected):
    tasks = itertools.islice(expand([{"a": 1}], axes(["eye=0", *each]), chunk), len(expected))
    assert list(tasks) == [{"a": 1, "eye": 0, "f": text} for text in expected]


@pytest.mark.parametrize(
    "words, complaint",
    [
        (["--each", "f=1-3", "--chunk", "0"], "--chunk: '0' is not a whole number above 0"),
        (["--each", "f=1-3", "--chunk", "1.5"], "--chunk: '1.5' is not a whole number above 0"),
        (["--each", "f=1-3", "--chunk", "9" * 5000], "is not a whole number above 0"),
        (["--chunk", "10"], "--chunk: give the numbers, too, by --each NAME=RANGE"),
    ],
)
def test_a_bad_chunk_is_refused_before_anything_is_started(words, complaint):
    options = {name: [value] if name == "--each" else value for name, value in zip(words[::2], words[1::2])}
    with pytest.raises(InputError, match=re.escape(complaint)):
        rehearse([], None, options)


def test_the_given_run_data_are_not_changed_and_not_shared():
    data = {"a": 1}
    first, second = expand([data], axes(["x=1-2"]))
    first["a"] = 2
    assert (data, second) == ({"a": 1}, {"a": 1, "x": 2})


def test_a_huge_range_is_not_built_before_it_is_used():
    first = itertools.islice(expand([{}], axes(["x=1-1000000000000"])), 2)
    assert list(first) == [{"x": 1}, {"x": 2}]


@pytest.mark.parametrize(
    "each, complaint",
    [
        ("=1-3", "--each =1-3: it must be NAME=RANGE"),
        ("", "--each : it must be NAME=RANGE"),
        ("frame", "--each frame: it must be NAME=RANGE"),
        ("x=5-6", "--each x=5-6: x has a range already; give both in one, as in 1-2,5-6"),
        ("frame=", "--each frame=: '' in the range ''"),
        ("frame=3-1", "--each frame=3-1: '3-1' in the range '3-1' runs away from its end"),
        ("frame=a=b", "--each frame=a=b: 'a=b' in the range 'a=b'"),
    ],
)
def test_a_bad_axis_is_refused_with_the_option(each, complaint):
    with pytest.raises(InputError) as caught:
        axes(["x=1", each])
    assert str(caught.value).startswith(complaint)


@pytest.mark.parametrize(
    "given", ["0/3", "4/3", "x", "", "/", "1/", "/1", "-1/3", "1/0", "1/3/3", "1.0/3", " 1/3", "9" * 99]
)
def test_a_bad_part_is_refused_with_the_option(given):
    with pytest.raises(InputError) as caught:
        part_of({"--part": given})
    assert str(caught.value) == "--part: %r is not K/N, with K from 1 to N" % given


@pytest.mark.parametrize("tasks, parts", [(60, 3), (7, 3), (7, 9), (1, 1), (0, 4), (10**18, 7)])
def test_parts_are_even_and_contiguous_and_all_tasks_are_in_one(tasks, parts):
    shares = [share(tasks, part, parts) for part in range(1, parts + 1)]
    assert [own.start for own in shares] == [0] + [own.stop for own in shares[:-1]] and shares[-1].stop == tasks
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


#: Stands in for the commands of a daemon, to which the probe is told what to do: no process below it, no imports.
DAEMON = """
import json, os, signal, sys, time
words = sys.argv[1:]
data = {}
if "stop" in words:
    print("stopped")
if "--run-data" in words:
    with open(words[words.index("--run-data") + 1][len("file://"):]) as stream:
        data = json.load(stream)
do = data.get("do")
if do == "report":
    print("openjd_progress: %(progress)s\\nopenjd_status: %(status)s" % data)
elif do == "raw":
    sys.stdout.buffer.write(bytes.fromhex(data["data"]))
elif do == "say":
    print(data["text"])
elif do == "sleep":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(4))
    print("sleeping", flush=True)
    time.sleep(data["seconds"])
elif do == "hang once":
    print("at it", flush=True)
    if not os.path.exists("hung"):
        open("hung", "w").close()
        time.sleep(300)
elif do == "fail":
    print("openjd_fail: RuntimeError: it went wrong")
    sys.exit(1)
"""

#: A command line whose sessions play those commands, with a change to the rehearsal.
SCRIPT = """
import sys
from openjd_adapt import Adaptor, EntryPoint
from openjd_adapt.app import App
from openjd_adapt.authoring import play
App.command = lambda self: [sys.executable, "-S", "-c", %r]
%s
EntryPoint(Adaptor).start()
"""


@pytest.fixture
def played(farm):
    """A farm whose sessions play what stands in for a daemon's commands."""

    def change(text):
        path = farm.folder / "main.py"
        path.write_text(SCRIPT % (DAEMON, textwrap.dedent(text)))
        farm.command = lambda *arguments: [*farm.python, str(path), *arguments]
        return farm

    farm.change = change
    return change("")


SAMPLES = {"call": "execute", "args": {"code": "print('Sample 1/4', flush=True)"}}


@pytest.fixture
def kept_open(farm):
    """A farm whose adaptor keeps an application open."""
    farm.adaptor = str(ADAPTORS / "kept_open.py")
    return farm


@pytest.mark.once
def test_the_summary_has_a_row_a_phase_with_lines_and_exit_code(kept_open):
    done = kept_open("session", "--run-data", json.dumps(SAMPLES), "--run-data", '{"call": "nothing"}')
    rows = [line.split() for line in done.lines[-6:]]
    assert rows[0] == ["phase", "seconds", "lines", "exit"]
    facts = {" ".join(row[:-3]): [int(word) for word in row[-2:]] for row in rows[1:-1]}
    assert facts["start"][1] == 0
    assert facts["task 1"] == [done.out.count("Sample 1/4") + done.out.count("openjd_progress") + 1, 0]
    assert rows[-1][0] == "all" and float(rows[-1][1]) > 0


@pytest.mark.once
def test_tools_get_the_summary_as_json_and_nothing_else(played):
    done = played("session", "--json", *ACTS)
    told = json.loads(done.out)
    assert done.code == told["exit"] == 1 and "openjd_progress: 50" in done.err
    assert [(row["phase"], row["exit"]) for row in told["phases"]] == [
        *(("start", 0), ("task 1", 0), ("task 2", 1), ("stop", 0)),
    ]
    begins = [row["begin"] for row in told["phases"]]
    ends = [row["begin"] + row["seconds"] for row in told["phases"]]
    assert all(end <= begin for end, begin in zip(ends, begins[1:]))


@pytest.mark.once
def test_a_trace_has_the_phases_as_complete_events(played):
    done = played("session", "--trace", "trace.json", "--run-data", ACTS[1])
    assert done.code == 0, done
    events = json.loads((played.folder / "trace.json").read_text())["traceEvents"]
    assert [event["name"] for event in events] == ["start", "task 1", "stop"]
    assert {event["ph"] for event in events} == {"X"} and all(event["dur"] > 1000 for event in events)
    assert events[1]["ts"] >= events[0]["ts"] + events[0]["dur"] and events[1]["args"]["exit"] == 0


def test_a_trace_that_cannot_be_opened_is_told_in_one_line_before_anything_is_started(farm):
    done = farm("session", "--trace", "nowhere/trace.json")
    assert done.code == 2 and "--trace: nowhere/trace.json: " in done.err and done.out == "", done


@pytest.mark.parametrize("data, code", [("{}", 2), ('{"do": "fail"}', 1)])
@pytest.mark.once
def test_a_trace_that_cannot_be_written_in_the_end_hides_no_failed_task(played, data, code):
    played.change("""
        summary = play._Show.summary
        def clear(self):
            import shutil
            shutil.rmtree("traces")
            summary(self)
        play._Show.summary = clear""")
    (played.folder / "traces").mkdir()
    done = played("session", "--trace", "traces/trace.json", "--run-data", data)
    assert done.code == code and "ERROR: --trace: traces/trace.json: No such file" in done.err, done


def say(number):
    return ["--run-data", json.dumps({"do": "say", "text": "this is %d" % number})]


def phases_of(done):
    return [(row["phase"], row["exit"]) for row in json.loads(done.out)["phases"]]


@pytest.mark.once
def test_a_part_runs_its_tasks_by_their_numbers_in_the_whole_and_one_without_any_is_done_at_once(played):
    done = played("session", "--json", "--each", "x=1-7", "--part", "2/3")
    assert phases_of(done) == [("start", 0), ("task 3", 0), ("task 4", 0), ("stop", 0)] and done.code == 0
    done = played("session", "--json", "--each", "x=1-7", "--part", "1/8")
    assert (done.code, phases_of(done)) == (0, [])
    assert done.err == "INFO: nothing to do: part 1 of 8 of 7 tasks has none that is not done\n"


@pytest.mark.once
def test_a_session_that_keeps_going_runs_what_follows_a_failure_in_a_new_daemon_and_continues_with_what_has_failed(
    played,
):
    words = ["session", "--json", "--continue", "journal", *say(1), *ACTS[2:], *say(3)]
    done = played(*words, "--keep-going")
    both = [("start", 0), ("task 1", 0), ("task 2", 1), ("stop", 0), ("start", 0), ("task 3", 0), ("stop", 0)]
    assert phases_of(done) == both and done.code == 1 and "this is 3" in done.err
    done = played(*words)
    assert phases_of(done) == [("start", 0), ("task 2", 1), ("stop", 0)] and done.code == 1
    assert "openjd_fail: RuntimeError" in done.err


@pytest.mark.once
def test_a_session_that_keeps_going_gives_up_when_it_cannot_be_started_again(played):
    played.change("""
        phase = play._Show.phase
        def start_once(self, name, command):
            return 1 if name == "start" and self.phases else phase(self, name, command)
        play._Show.phase = start_once""")
    done = played("session", "--json", "--keep-going", *ACTS[2:], *say(2), *say(3))
    assert phases_of(done) == [("start", 0), ("task 1", 1), ("stop", 0), ("stop", 0)] and done.code == 1


@pytest.mark.posix_only
def test_a_session_that_keeps_going_and_is_canceled_after_a_failure_exits_as_canceled(played):
    sleep = ["--run-data", '{"do": "sleep", "seconds": 300}']
    process = played.popen("session", "--keep-going", "--continue", "journal", *ACTS[2:], *sleep, *say(3))
    read_until(process.stdout, "sleeping")
    process.send_signal(signal.SIGTERM)
    done = played.finish(process)
    assert done.code == 4 and "this is 3" not in done.out, done
    lines = (played.folder / "journal" / "part-1-of-1.jsonl").read_text().splitlines()[1:]
    assert [json.loads(line)["exit"] for line in lines] == [1, 4]


@pytest.mark.posix_only
def test_a_session_that_was_killed_goes_on_with_the_task_that_it_was_at_and_other_data_are_refused(played):
    played.env["TMPDIR"] = str(played.folder)  # the session's folder stays there
    words = ["session", "--continue", "journal", *say(1), "--run-data", '{"do": "hang once"}', *say(3)]
    process = played.popen(*words)
    read_until(process.stdout, "at it")
    wait_until((played.folder / "hung").exists)
    for pid in played.pids():
        os.kill(pid, signal.SIGKILL)
    played.finish(process)
    done = played(*words)
    assert done.code == 0 and "this is 1" not in done.out and {"at it", "this is 3"} <= set(done.lines), done
    done = played(*words, *say(4))
    assert done.code == 2 and done.out == "" and "is of another adaptor or other data; name another" in done.err, done
    assert played(*words).err.endswith("none that is not done\n")


@pytest.mark.posix_only
def test_a_session_whose_journal_cannot_be_written_stops_its_daemon_and_says_so(played, tiny_disk):
    words = ["session", "--continue", str(tiny_disk), "--each", "x=1-2"]
    assert played(*words).code == 0
    path = tiny_disk / "part-1-of-1.jsonl"
    head = path.read_bytes().splitlines()[0]
    path.write_bytes(head.ljust(4095) + b"\n")  # another line needs another page
    with (tiny_disk / "large").open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while stream.write(bytes(4096)):
            pass
    done = played(*words)
    assert done.code == 1 and done.err == "ERROR: --continue: %s: task 1: No space left on device\n" % path, done
    assert done.lines == ["stopped"]


TELLS = """
from openjd_adapt import Adaptor

class Tells(Adaptor):
    def on_run(self, run_data):
        print(ascii(self.init_data))
"""


@pytest.mark.posix_only
@pytest.mark.parametrize("text, code", [(b'{"a": "\xff"}', 0), (b"a: \xff", 2)])
def test_bytes_that_are_no_text_arrive_as_with_the_command_run(farm, text, code):
    farm.adaptor = str(farm.folder / "tells.py")
    (farm.folder / "tells.py").write_text(TELLS)
    for command in ("run", "session"):
        done = farm(command, "--init-data", os.fsdecode(text))
        assert done.code == code and ("{'a': '\\udcff'}" in done.lines) == (code == 0), done


def on_a_terminal(farm, *arguments, columns=0):
    """What a command shows on a terminal of so many columns; of 0, of one that does not know."""
    ours, theirs = os.openpty()
    if columns:
        import fcntl
        import termios

        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = farm.popen(*arguments, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while True:
            shown += os.read(ours, 65536)
    except OSError:  # the end, on Linux
        os.close(ours)
    assert process.wait() == 1
    return shown.decode().replace("\r\n", "\n")


ACTS = ["--run-data", '{"do": "report", "progress": 50, "status": "half"}', "--run-data", '{"do": "fail"}']


def said(*lines):
    return json.dumps({"do": "raw", "data": "".join(line + "\n" for line in lines).encode().hex()})


SECRETS = ['openjd_redacted_env: "S=hunter2\\nsecond"', "it is hunter2, second", "openjd_status: at hunter2"]


@pytest.mark.once
def test_a_secret_is_shown_in_no_line_of_a_session(played):
    done = played("session", "--run-data", said(*SECRETS), "--run-data", said("still hunter2"))
    assert done.code == 0 and "hunter2" not in done.out + done.err
    hidden = ["openjd_redacted_env: S=********", "it is ********, ********", "openjd_status: at ********"]
    assert [line for line in done.lines if "****" in line] == [*hidden, "still ********"]


@pytest.mark.posix_only
def test_a_secret_is_not_in_the_progress_line_either(played):
    shown = on_a_terminal(played, "session", "--run-data", said(*SECRETS), "--run-data", '{"do": "fail"}')
    assert "hunter2" not in shown and "% at ********" in shown


@pytest.mark.posix_only
def test_a_terminal_shows_progress_in_one_line_and_what_is_wrong_in_colour(played):
    shown = on_a_terminal(played, "session", *ACTS)
    assert "task 1 of 2 [###############               ]  50 % half\r\033[K" in shown
    assert "openjd_progress" not in shown and "\033[31mopenjd_fail: " in shown
    assert re.search(r"\n\033\[31mtask 2 .* 1\033\[0m\nstop ", shown)


@pytest.mark.posix_only
def test_the_progress_line_keeps_to_the_width_of_the_terminal(played):
    played.env["NO_COLOR"] = "1"
    shown = on_a_terminal(played, "session", *ACTS, columns=20)
    drawn = re.findall(r"\r\033\[K(task [^\r\n]*)", shown)
    assert "task 1 of 2 [######" in drawn and max(map(len, drawn)) == 19


@pytest.mark.posix_only
def test_with_no_color_set_nothing_is_coloured(played):
    played.env["NO_COLOR"] = "1"
    shown = on_a_terminal(played, "session", *ACTS)
    assert "50 % half\r\033[K" in shown and "\nopenjd_fail: " in shown.replace("\033[K", "\n")
    assert re.findall(r"\033\[[0-9;]*m", shown) == []


@pytest.mark.once
def test_elsewhere_all_is_plain_text(played):
    done = played("session", *ACTS)
    assert "\033" not in done.out and "openjd_progress: 50" in done.lines and "openjd_status: half" in done.lines


@pytest.mark.once
def test_what_an_application_prints_like_progress_is_no_trouble(played):
    data = said(*("openjd_progress: " + text for text in ("half", "nan", "inf", "-1", "", "7 of 9", "1e400")))
    done = played("session", "--run-data", data)
    assert done.code == 0 and "openjd_progress: half" in done.lines, done


def waiting_in(pipe):
    """How many bytes of a pipe nobody has read."""
    import fcntl
    import termios

    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))[0]


def test_a_signal_between_two_commands_cancels_the_session(played):
    played.change("""
        phase = play._Show.phase
        def then_cancel(self, name, *more, **options):
            result = phase(self, name, *more, **options)
            self.canceled = self.canceled or name == "task 1"
            return result
        play._Show.phase = then_cancel""")
    done = played("session", "--run-data", "{}", "--run-data", "{}")
    assert done.code == 4 and "\ntask 1 " in done.out and "task 2" not in done.out and "\nstop " in done.out


def test_a_signal_while_a_command_is_being_started_is_handed_on_to_it(played):
    played.change("""
        draw = play._Show._draw
        def cancel_then_draw(self, name):
            self.canceled = self.canceled or name == "task 1"
            draw(self, name)
        play._Show._draw = cancel_then_draw""")
    done = played("session", "--run-data", '{"do": "sleep", "seconds": 300}', "--run-data", "{}")
    assert done.code == 4 and "task 2" not in done.out and "\nstop " in done.out


def test_a_cancel_is_noted_before_it_is_looked_for_a_command_to_hand_it_on_to(played):
    # The other way round a command that is started meanwhile would hear of it from nobody.
    played.change("""
        seen = []
        play._Show._process = property(lambda self: seen.append(self.canceled), lambda self, process: None)
        play._Show(1, 1)._cancel()
        sys.exit(seen != [True])""")
    done = played()
    assert (done.code, done.out) == (0, "")


@pytest.mark.posix_only
def test_a_session_whose_terminal_is_closed_leaves_nothing(farm):
    process = farm.popen("session", "--run-data", '{"do": "sleep", "seconds": 300}')
    read_until(process.stdout, "sleeping")
    process.send_signal(signal.SIGHUP)
    assert farm.finish(process).code == 4
    farm.wait_until_nothing_is_left(0)


@pytest.mark.posix_only
def test_a_session_that_is_killed_leaves_no_daemon(farm):
    hurry(farm, 0.1, "daemon.keeper.LOOK_SECONDS")
    farm.env["TMPDIR"] = str(farm.folder)  # the session's folder stays there
    process = farm.popen("session", "--run-data", '{"do": "sleep", "seconds": 300}')
    read_until(process.stdout, "sleeping")
    process.kill()
    farm.finish(process)
    farm.wait_until_nothing_is_left()


@pytest.mark.posix_only
def test_a_session_whose_owner_ends_is_canceled(played):
    played.change("play.LOOK_SECONDS = 0.1")
    owner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    try:
        process = played.popen("session", "--owner", str(owner.pid), "--run-data", '{"do": "sleep", "seconds": 300}')
        read_until(process.stdout, "sleeping")
    finally:
        owner.kill()  # and nobody has reaped it when the session looks
    done = played.finish(process)
    owner.wait()
    assert done.code == 4 and "stopped" in done.lines, done
    done = played("session", "--owner", str(owner.pid))
    assert (done.code, done.err) == (2, "ERROR: --owner: there is no process %d\n" % owner.pid)


@pytest.mark.posix_only
def test_a_session_whose_output_nobody_reads_is_canceled_and_leaves_nothing(farm):
    tasks = ['{"do": "sleep", "seconds": 0.3}', '{"do": "say", "text": "lost"}', '{"do": "sleep", "seconds": 300}']
    process = farm.popen("session", *(word for task in tasks for word in ("--run-data", task)))
    read_until(process.stdout, "sleeping")
    process.stdout.close()
    shown = process.stderr.read().decode()
    assert process.wait(HANG_SECONDS) == 4 and "Traceback" not in shown, shown
    farm.wait_until_nothing_is_left(0)


@pytest.mark.posix_only
def test_a_session_whose_output_is_read_no_further_is_canceled_by_a_signal_and_leaves_nothing(played):
    played.change("play.UNREAD_SECONDS = 0.1")
    data = {"do": "raw", "data": (b"%065d\n" % 0 * 4096).hex()}  # more than a pipe holds
    path = played.folder / "data.json"
    path.write_text(json.dumps(data))
    process = played.popen("session", "--run-data", "file://%s" % path, "--run-data", "{}")
    wait_until(lambda: waiting_in(process.stdout) > 60_000)
    process.send_signal(signal.SIGTERM)
    assert process.wait(HANG_SECONDS) == 4
    process.stdout.close()
    process.stderr.close()
    played.wait_until_nothing_is_left(0)


@pytest.mark.posix_only
def test_a_terminal_that_is_gone_is_a_cancel_and_no_traceback(played):
    ours, theirs = os.openpty()
    tasks = ['{"do": "sleep", "seconds": 0.3}', '{"do": "say", "text": "lost"}', '{"do": "sleep", "seconds": 300}']
    process = played.popen("session", *(word for task in tasks for word in ("--run-data", task)), stdout=theirs)
    os.close(theirs)
    shown = b""
    while b"sleeping" not in shown:
        shown += os.read(ours, 65536)
    os.close(ours)  # it leads a session of its own, and so gets no SIGHUP for that
    told = process.stderr.read().decode()
    assert process.wait(HANG_SECONDS) == 4 and "Traceback" not in told, told
    played.wait_until_nothing_is_left(0)
