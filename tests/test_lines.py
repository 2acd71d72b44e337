"""An application's lines: where they end, what they are made of, and what looks at them on their way."""

from __future__ import annotations

import logging
import re
import sys
import threading
import time

import pytest

from openjd_adapt import (
    STDERR,
    STDOUT,
    AdaptError,
    Adaptor,
    Canceled,
    RegexCallback,
    RegexHandler,
    Status,
    output,
    session,
)
from openjd_adapt.lines import LineForwarder, Prefilter
from openjd_adapt.output import PIECE_BYTES
from openjd_adapt.watch import Ignore

from .conftest import HANG_SECONDS

pytestmark = pytest.mark.core


class Listener(logging.Handler):
    """An author's own handler: keeps what it sees."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def emit(self, record):
        self.seen.append((record.name, record.levelname, record.getMessage()))


def forward(chunks, level=STDOUT, **options):
    forwarder = LineForwarder(level, **options)
    for chunk in chunks:
        forwarder.feed(chunk)
    forwarder.close()


def every_cut(data):
    return [[data[:cut], data[cut:]] for cut in range(len(data) + 1)]


@pytest.mark.parametrize(
    "data, expected",
    [
        (b"one\ntwo\n", "one|two"),
        (b"one\r\ntwo\r\n", "one|two"),
        (b"one\rtwo\r", "one|two"),
        (b"one\r\rtwo\n\nthree", "one||two||three"),
        (b"\r\n\r\n\n\r", "|||"),
        (b"no end", "no end"),
        ("Grüße, 画\n".encode(), "Grüße, 画"),
        (b"a\xffb\n", "a\\xffb"),
    ],
)
def test_every_kind_of_line_end_ends_one_line_wherever_the_stream_was_cut(data, expected, capsys):
    for chunks in [*every_cut(data), [data[i : i + 1] for i in range(len(data))]]:
        forward(chunks)
        assert capsys.readouterr().out == "".join("STDOUT: %s\n" % line for line in expected.split("|")), chunks


@pytest.mark.parametrize(
    "encoding", ["cp1252", "latin-1", "utf-8", "utf-16-le", "utf-16", "shift_jis", "cp437", "utf-32"]
)
def test_an_applications_encoding_is_shown_as_utf_8_wherever_the_stream_was_cut(encoding, capsys):
    text = "Ende\r\n画\r\n" if encoding == "shift_jis" else "Größe\r\nEnde\r\n"
    expected = "".join("STDERR: %s\n" % line for line in text.splitlines())
    data = text.encode(encoding)
    for chunks in [*every_cut(data), [data[i : i + 1] for i in range(len(data))]]:
        forward(chunks, level=STDERR, encoding=encoding)
        assert capsys.readouterr().out == expected, chunks


def test_half_a_character_at_the_end_of_the_stream_is_not_lost(capsys):
    forward([b"a\x83"], encoding="shift_jis")
    forward([b"a\xe7\x94"])
    assert capsys.readouterr().out == "STDOUT: a\\x83\nSTDOUT: a\\xe7\\x94\n"


@pytest.mark.parametrize("encoding, letter, size", [("utf-8", b"x", 300_000), ("cp1252", b"\x80", 60_000)])
def test_a_line_without_an_end_is_passed_on_while_it_grows(encoding, letter, size, capsys):
    chunk = letter * size
    forwarder = LineForwarder(STDOUT, encoding=encoding)
    shown = fed = 0
    for _ in range(5):
        forwarder.feed(chunk)
        fed += len(chunk.decode(encoding).encode())
        lines = capsys.readouterr().out.splitlines()
        assert all(len(line.encode()) < 64_000 for line in lines)
        shown += sum(len(line.encode()) - len("STDOUT: ") for line in lines)
        assert fed - shown <= 3 * PIECE_BYTES


@pytest.mark.parametrize("ahead", [PIECE_BYTES - 1, PIECE_BYTES, 2 * PIECE_BYTES])
def test_a_directive_in_the_middle_of_an_endless_line_does_not_pass(ahead, capsys):
    line = b"x" * ahead + b"openjd_fail: no\xc3\xa9" + b"y" * 3 * PIECE_BYTES
    forward([line[i : i + 1000] for i in range(0, len(line), 1000)] + [b"\nopenjd_status: yes\n"])
    lines = capsys.readouterr().out.splitlines()
    assert [text[:20] for text in lines if not text.startswith("STDOUT: ")] == ["openjd_status: yes"]


# What looks at lines


@pytest.fixture
def logger():
    made = logging.getLogger("application")
    made.propagate = False
    yield made
    made.propagate, made.disabled, made.level = True, False, logging.NOTSET
    made.handlers[:] = made.filters[:] = []


def test_an_authors_logging_handler_sees_every_line_once_and_the_console_shows_it_once(logger, capsys):
    listener = Listener()
    logger.handlers[:] = [listener, output.ConsoleHandler()]
    forward([b"one %s\nopenjd_sta", b"tus: two\r\n\nfour"], loggers=[logger])
    assert listener.seen == [("application", "STDOUT", text) for text in ("one %s", "openjd_status: two", "", "four")]
    assert capsys.readouterr().out == "STDOUT: one %s\nopenjd_status: two\nSTDOUT: \nSTDOUT: four\n"


SILENT = {
    "does not propagate": {},
    "level": {"propagate": True, "level": 100},
    "disabled": {"propagate": True, "disabled": True},
    "refuses": {"propagate": True, "filters": [lambda record: False]},
    "parent's level": {"propagate": True, "child": True, "level": 100},
    "parent does not propagate": {"child": True},
    "the console's level": {"handlers": [output.ConsoleHandler(STDERR)]},
}


@pytest.mark.parametrize("how", SILENT)
def test_a_logger_that_would_not_show_a_record_shows_no_line_and_callbacks_see_it_all_the_same(how, logger, capsys):
    options = dict(SILENT[how])
    used = logging.getLogger("application.child") if options.pop("child", False) else logger
    vars(logger).update(options)
    called = []
    watching = RegexHandler([RegexCallback([re.compile("two")], lambda match: called.append(match.string))])
    forward([b"one\ntwo\nthree\n"], loggers=[used])
    forward([b"one\ntwo\nthree\n"], loggers=[used], handlers=[watching, Watches({}).line_handler])
    assert (capsys.readouterr().out, called) == ("", ["two"])


def test_logging_that_is_disabled_altogether_shows_no_line(logger, capsys):
    logger.propagate = True
    logging.disable(STDERR)
    try:
        forward([b"one\n"], loggers=[logger])
    finally:
        logging.disable(logging.NOTSET)
    assert capsys.readouterr().out == ""


def test_the_configured_log_level_which_is_the_roots_is_of_records_and_hides_no_line(logger, capsys, caplog):
    logger.propagate = True
    caplog.set_level(logging.CRITICAL)
    forward([b"one\n"], loggers=[logger])
    assert capsys.readouterr().out == "STDOUT: one\n"


def redact(record):
    record.msg, record.args = record.getMessage().replace("secret", "***"), ()
    return "refused" not in record.msg


@pytest.mark.parametrize("place", ["logger", "console"])
def test_what_a_filter_makes_of_a_line_is_shown(place, logger, capsys):
    listener, console = Listener(), output.ConsoleHandler()
    logger.handlers[:] = [listener, console]
    (logger if place == "logger" else console).addFilter(redact)
    forward(
        [b"the secret is 5%s\nrefused\n\nopenjd_status: secret\nnoise secret\n"],
        loggers=[logger],
        handlers=[Watches({}).line_handler],
    )
    assert capsys.readouterr().out == "STDOUT: the *** is 5%s\nSTDOUT: \nopenjd_status: ***\n"
    heard = [text for _, _, text in listener.seen]
    assert ("refused" in heard, "the secret is 5%s" in heard) == ((False, False) if place == "logger" else (True, True))


def test_an_adapter_of_a_logger_is_that_logger(logger, capsys):
    logger.handlers[:] = [Listener()]
    forward([b"one\n"], loggers=[logging.LoggerAdapter(logger, {})])
    assert logger.handlers[0].seen == [("application", "STDOUT", "one")] and capsys.readouterr().out == ""


def test_a_filter_that_gives_another_record_is_followed(logger, capsys):
    logger.propagate = True
    other = logging.LogRecord("", STDOUT, "", 0, "other", None, None)
    logger.addFilter(lambda record: other)
    forward([b"one\n"], loggers=[logger])
    assert capsys.readouterr().out == "STDOUT: %s\n" % ("other" if sys.version_info >= (3, 12) else "one")


def test_a_filter_that_fails_fails_the_task_and_shows_nothing_unredacted(logger, capsys, current):
    logger.propagate = True
    logger.addFilter(lambda record: 1 // 0)
    forward([b"one\n"], loggers=[logger])
    assert capsys.readouterr().out == ""
    with pytest.raises(ZeroDivisionError):
        current.phase.check()


def test_a_handler_of_a_parent_sees_the_lines_that_propagate(logger):
    listener = Listener()
    logger.handlers[:] = [listener]
    forward([b"one\n"], loggers=[logging.getLogger("application.child")])
    assert listener.seen == [("application.child", "STDOUT", "one")]


def test_a_line_is_shown_before_its_callback_speaks(capsys):
    say = RegexCallback([re.compile(r"(\d+)%")], lambda match: output.say("openjd_progress: " + match.group(1)))
    forward([b"zero\n10%\ntwo\n20%\n"], handlers=[RegexHandler([say])])
    assert capsys.readouterr().out.splitlines() == [
        "STDOUT: zero",
        "STDOUT: 10%",
        "openjd_progress: 10",
        "STDOUT: two",
        "STDOUT: 20%",
        "openjd_progress: 20",
    ]


class Watches(Adaptor):
    watch = (Status("^at (.*)"), Ignore("^noise|hidden"))

    def on_run(self, run_data):
        pass


def test_a_line_that_is_ignored_is_not_shown_but_calls_what_else_watches_for_it(capsys):
    forward([b"one\nnoise\ntwo\nat a hidden place\nthree\nat four\nnoise\n"], handlers=[Watches({}).line_handler])
    assert capsys.readouterr().out.splitlines() == [
        "STDOUT: one",
        "STDOUT: two",
        "openjd_status: a hidden place",
        "STDOUT: three",
        "STDOUT: at four",
        "openjd_status: four",
    ]


@pytest.mark.parametrize("block, asked", [("one\ntwo\n", False), ("one\nat two\n", True)])
def test_a_block_in_which_no_watch_can_match_is_passed_on_unread(block, asked):
    forwarder = LineForwarder(STDOUT, handlers=[Watches({}).line_handler])
    assert bool(forwarder._watching(Prefilter(block))) == asked


@pytest.mark.parametrize("how", ["forwarded", "logged"])
@pytest.mark.parametrize(
    "options, expected",
    [
        (({}, {}), "A B"),
        (({"exit_if_matched": True}, {}), "A"),
        (({}, {"exit_if_matched": True}), "A B"),
        (({}, {"only_run_if_first_matched": True}), "A"),
        (({"only_run_if_first_matched": True}, {}), "A B"),
    ],
)
def test_callbacks_are_tried_in_order_and_may_leave_out_those_behind(options, expected, how):
    called = []
    entries = [
        RegexCallback([re.compile(text)], lambda match, name=name: called.append(name), **given)
        for text, name, given in zip(["a", "."], "AB", options)
    ]
    for line, names in [("a", expected.split()), ("b", ["B"]), ("", [])]:
        del called[:]
        if how == "forwarded":
            forward([line.encode() + b"\n"], handlers=[RegexHandler(entries)])
        else:
            RegexHandler(entries).handle(logging.LogRecord("", STDOUT, "", 0, line, None, None))
        assert called == names


@pytest.mark.parametrize("level, expected", [(STDERR, ["STDERR"]), (STDOUT, ["STDOUT", "STDERR"]), (STDERR + 1, [])])
def test_a_handler_sees_the_streams_from_its_level_on(level, expected):
    called = []
    handler = RegexHandler([RegexCallback([re.compile("S.*")], lambda match: called.append(match.group()))], level)
    for name, stream in [("STDOUT", STDOUT), ("STDERR", STDERR)]:
        forward([name.encode() + b"\n"], stream, handlers=[handler])
    assert called == expected


def test_a_handlers_filter_decides_which_lines_call_back(logger):
    called = []
    handler = RegexHandler([RegexCallback([re.compile(".+")], lambda match: called.append(match.group()))])
    handler.addFilter(logging.Filter("application"))
    handler.addFilter(lambda record: record.getMessage() != "two" and record.levelno == STDOUT)
    forward([b"one\ntwo\nthree\n"], loggers=[logger], handlers=[handler])
    assert called == ["one", "three"]


@pytest.mark.parametrize("name", ["handle", "filter", "emit"])
@pytest.mark.parametrize("where", ["class", "object"])
def test_a_handlers_overridden_method_is_called(name, where):
    seen, called = [], []

    def override(*arguments):
        seen.append(arguments[-1].getMessage())
        return False

    entry = RegexCallback([re.compile("one")], called.append)
    kind = type("Own", (RegexHandler,), {name: override} if where == "class" else {})
    handler = kind([entry])
    if where == "object":
        setattr(handler, name, override)
    forward([b"one\ntwo\n"], handlers=[handler])
    assert (seen, called) == (["one", "two"], [])


@pytest.mark.parametrize("filtered", [False, True])
def test_callbacks_of_one_handler_run_one_at_a_time_whatever_stream_they_see(filtered):
    inside, overlapped, count = threading.Lock(), [], []

    def callback(match):
        if inside.acquire(blocking=False):
            count.append(1)
            time.sleep(0.0005)
            inside.release()
        else:
            overlapped.append(match.group())

    handler = RegexHandler([RegexCallback([re.compile(r"\d+")], callback)])
    if filtered:
        handler.addFilter(lambda record: True)
    data = b"".join(b"%d\n" % number for number in range(100))
    readers = [
        threading.Thread(target=forward, args=([data], level), kwargs={"handlers": [handler]})
        for level in (STDOUT, STDERR)
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(HANG_SECONDS)
    assert (len(count), overlapped) == (200, [])


def test_the_first_pattern_that_is_found_gives_the_match():
    entry = RegexCallback([re.compile("x(.)"), re.compile("(b)"), re.compile("(a)")], lambda match: None)
    assert entry.get_match("a b").group(1) == "b"
    assert entry.get_match("c") is None


def test_a_callback_that_watches_for_more_finds_it_in_the_lines_right_behind(capsys):
    found = []
    begin = RegexCallback([re.compile("BEGIN (.*)")], lambda match: found.append(match.group(1)))
    loaded = RegexCallback([re.compile("LOADED")], lambda match: handler.regex_callbacks.append(begin))
    handler = RegexHandler([loaded])
    forward([b"BEGIN zero\nLOADED\nBEGIN one\nother\nBEGIN two\n"], handlers=[handler])
    assert found == ["one", "two"]
    assert capsys.readouterr().out.count("STDOUT: ") == 5


@pytest.mark.parametrize("failure", [ValueError("in a callback"), Canceled(), SystemExit(3)], ids=repr)
def test_an_exception_of_a_callback_fails_the_task_and_the_reading_goes_on(failure, current, capsys):
    def callback(match):
        called.append(match.group())
        raise failure

    called = []
    forward([b"one\ntwo\n", b"three"], handlers=[RegexHandler([RegexCallback([re.compile("t.*")], callback)])])
    assert called == ["two", "three"]
    assert capsys.readouterr().out == "STDOUT: one\nSTDOUT: two\nSTDOUT: three\n"
    with pytest.raises(type(failure)):
        current.phase.check()


@pytest.mark.filterwarnings("error")
def test_a_callback_that_has_run_nothing_fails_the_task(current, capsys):
    async def callback(match):
        pass

    forward([b"one\ntwo\n"], handlers=[RegexHandler([RegexCallback([re.compile("one")], callback)])])
    assert capsys.readouterr().out == "STDOUT: one\nSTDOUT: two\n"
    with pytest.raises(AdaptError, match="the callback .*<locals>.callback has run nothing, it has returned a corout"):
        current.phase.check()


def test_a_pattern_that_cannot_be_searched_for_fails_the_task_and_the_reading_goes_on(current, capsys):
    forward([b"one\ntwo\n"], handlers=[RegexHandler([RegexCallback(["one"], lambda match: None)])])
    assert capsys.readouterr().out == "STDOUT: one\nSTDOUT: two\n"
    with pytest.raises(AttributeError):
        current.phase.check()


def test_what_is_no_callback_at_all_fails_the_task_and_the_reading_goes_on(current, capsys):
    forward([b"one\n", b"two\n"], handlers=[RegexHandler([print])])
    assert capsys.readouterr().out == "STDOUT: one\nSTDOUT: two\n"
    with pytest.raises(AttributeError):
        current.phase.check()


def test_an_exception_of_a_logging_handler_fails_the_task_and_the_reading_goes_on(current, logger, capsys):
    listener = Listener()
    listener.emit = lambda record: 1 // 0
    logger.handlers[:] = [listener, output.ConsoleHandler()]
    forward([b"one\ntwo\n"], loggers=[logger])
    assert capsys.readouterr().out == "STDOUT: one\nSTDOUT: two\n"
    with pytest.raises(ZeroDivisionError):
        current.phase.check()


@pytest.mark.parametrize("size", [10, 5_000, 70_000, 200_000])
def test_a_secret_of_an_application_is_in_no_piece_of_its_line_and_not_in_its_last_lines(size, capsys):
    data = b"openjd_redacted_env: S=%s\nfine\n" % (b"secret" * (size // 6))
    for chunk in (7_000, 1_000_000):
        forwarder = LineForwarder(STDOUT)
        for at in range(0, len(data), chunk):
            forwarder.feed(data[at : at + chunk])
        forwarder.close()
        # What is on one line is hidden where every line of the worker passes.
        shown = session.sanitized(capsys.readouterr().out.encode())
        assert shown == b"STDOUT: openjd_redacted_env: ********\nSTDOUT: fine\n"
        assert b"secret" not in forwarder.tail and forwarder.tail.endswith(b"fine\n")


def test_an_authors_log_has_no_secret_and_a_callback_may_ask_for_it(capsys):
    logger, listener, seen = logging.getLogger("secret"), Listener(), []
    logger.addHandler(listener)
    try:
        handler = RegexHandler([RegexCallback([re.compile("redacted_env: (.*)")], lambda match: seen.append(match[1]))])
        forward([b"openjd_redacted_env: S=secret\nfine\n"], loggers=[logger], handlers=[handler])
    finally:
        logger.removeHandler(listener)
    assert [line for _, _, line in listener.seen] == ["openjd_redacted_env: ********", "fine"]
    assert seen == ["S=secret"]
