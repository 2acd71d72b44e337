"""The ``openjd_*`` lines: each is one line that a scheduler understands, whatever text an adaptor gives."""

from __future__ import annotations

import io
import json
import logging
import os
import random
import subprocess
import sys
from fractions import Fraction

import pytest

from openjd_adapt import session

from .conftest import ROOT, module

pytestmark = pytest.mark.core

LINE_BREAKS = ["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\n\n \n"]


@pytest.mark.parametrize(
    "percent, shown",
    [
        (0, "0"),
        (100, "100"),
        (12.5, "12.5"),
        (100 / 3, "33.3"),
        (0.1, "0.1"),
        (0.00001, "0"),
        (99.99999, "100"),
        (Fraction(1, 2), "0.5"),
        ("50", "50"),
        (True, "1"),
    ],
)
def test_progress_from_0_to_100_is_reported_without_an_exponent(percent, shown):
    assert session.progress(percent) == "openjd_progress: " + shown


@pytest.mark.parametrize(
    "percent",
    [float("nan"), float("inf"), pytest.param(10**400, id="huge"), "nan", "half", "", None, [], b"x"],
)
def test_what_is_not_a_number_is_no_progress(percent):
    assert session.progress(percent) is None
    assert session.read("openjd_progress: %s" % percent) == ("", "")


@pytest.mark.parametrize("percent, shown", [(-0.01, "0"), (133.0, "100"), (100.01, "100"), (1e300, "100")])
def test_progress_is_limited_to_0_to_100(percent, shown):
    assert session.progress(percent) == "openjd_progress: " + shown
    assert session.read("openjd_progress: %s" % percent) == ("", "")


@pytest.mark.parametrize("percent, shown", [(-5, "50"), (50, "75"), (200, "100")])
def test_progress_of_a_part_of_a_task_stays_in_that_part(percent, shown):
    assert session.progress(percent, 50, 100) == "openjd_progress: " + shown


@pytest.mark.parametrize("line_break", LINE_BREAKS, ids=repr)
def test_no_line_break_in_a_text_can_begin_a_second_directive(line_break):
    text = line_break + "one" + line_break + "openjd_fail: two" + line_break
    assert session.status(text) == "openjd_status: one openjd_fail: two"
    assert session.fail(text) == "openjd_fail: one openjd_fail: two"


@pytest.mark.parametrize("text", ["", " ", "\n\r\n\t", "\u2003"])
def test_no_message_is_empty(text):
    assert session.status(text) is None
    assert session.fail(text) == "openjd_fail: failed without a message"


def test_a_message_may_be_any_object():
    assert session.status(7) == "openjd_status: 7"
    assert session.fail(KeyError("frame")) == "openjd_fail: 'frame'"


@pytest.mark.parametrize("value", ["", "plain", "with blanks inside", " before", '"quoted"', "a=b", "Grüße", "{}"])
def test_a_value_that_fits_on_a_line_is_set_in_the_plain_form(value):
    assert session.set_env("NAME", value) == "openjd_env: NAME=" + value


@pytest.mark.parametrize("value", ["blank after ", "\t", *["a%sopenjd_fail: b" % item for item in LINE_BREAKS], "a\n"])
def test_a_value_that_does_not_is_quoted_as_json(value):
    directive, _, text = session.set_env("NAME", value).partition(": ")
    assert (directive, json.loads(text)) == ("openjd_env", "NAME=" + value)
    assert text[0] == text[-1] == '"' and len(text.splitlines()) == 1


ASCII_ONLY = r"""
import os, sys
from openjd_adapt import data, session
from openjd_adapt.system import interpreter
print(ascii([session.set_env("A", os.environ["A"]), session.set_env("B", os.environ["B"])]))
print(ascii([data.load("--init-data", word) for word in sys.argv[1:]]))
print(ascii(session.set_env("C", "\u20bf")))
print(interpreter.flags()[-2:])
"""


@pytest.mark.posix_only
def test_what_a_python_that_knows_ascii_only_has_read_of_the_system_is_what_others_read():
    environment = {
        **os.environb,
        b"LC_ALL": b"C",
        b"PYTHONUTF8": b"0",
        b"A": "/s\u00e9ance/\u20bf".encode(),
        b"B": b"\xe9",
    }
    words = ['{"a": "\u00e9\u20bf"}'.encode(), b'{"a": "\xe9"}']
    out = subprocess.check_output([sys.executable, "-c", ASCII_ONLY, *words], env=environment, cwd=str(ROOT))
    assert out.decode().splitlines() == [
        ascii(["openjd_env: A=/s\u00e9ance/\u20bf", 'openjd_env: "B=\\udce9"']),
        ascii([{"a": "\u00e9\u20bf"}, {"a": "\udce9"}]),
        ascii("openjd_env: C=\u20bf"),
        "['-X', 'utf8']",
    ]


def test_a_secret_value_and_a_removed_one_have_directives_of_their_own():
    assert session.set_env("NAME", "secret", "openjd_redacted_env") == "openjd_redacted_env: NAME=secret"
    assert session.set_env("NAME", "a\nb", "openjd_redacted_env") == 'openjd_redacted_env: "NAME=a\\nb"'
    assert session.unset_env("NAME") == "openjd_unset_env: NAME"


@pytest.mark.parametrize("name", ["A", "_", "a_1", "PATH"])
def test_letters_digits_and_underscores_make_a_name(name):
    assert session.set_env(name, "x") == "openjd_env: %s=x" % name


@pytest.mark.parametrize("name", ["", "1A", "A B", "A=B", "A-B", "A\n", "Ä", "A\0", "openjd_fail: "])
def test_a_name_that_the_environment_cannot_hold_is_refused(name):
    for directive in (lambda: session.set_env(name, "x"), lambda: session.unset_env(name)):
        with pytest.raises(ValueError, match="not the name of an environment variable"):
            directive()


def test_a_value_with_a_nul_is_refused_without_being_shown():
    with pytest.raises(ValueError, match="^the value of NAME has a NUL character$"):
        session.set_env("NAME", "sec\0ret", "openjd_redacted_env")


@pytest.mark.parametrize(
    "line, taken",
    [
        (session.progress(12.5), ("openjd_progress", 12.5)),
        (session.status("half: done"), ("openjd_status", "half: done")),
        (session.fail("no: licence"), ("openjd_fail", "no: licence")),
        (session.set_env("NAME", "a=b: c"), ("openjd_env", ("NAME", "a=b: c"))),
        (session.set_env("NAME", ""), ("openjd_env", ("NAME", ""))),
        (session.set_env("NAME", 'two\n"lines"'), ("openjd_env", ("NAME", 'two\n"lines"'))),
        (session.set_env("NAME", "secret ", "openjd_redacted_env"), ("openjd_redacted_env", ("NAME", "secret "))),
        (session.unset_env("NAME"), ("openjd_unset_env", "NAME")),
    ],
)
def test_what_is_written_is_what_a_scheduler_reads(line, taken):
    assert session.read(line) == taken


@pytest.mark.parametrize(
    "line",
    [
        *("openjd_progress: " + text for text in ("", "half", "nan", "inf", "-1", "100.1", "7 of 9", "1e400")),
        *("openjd_env: NAME", 'openjd_env: "NAME=1', 'openjd_env: "NAME"', "openjd_env:NAME=1", "openjd_progress:1"),
        *("", ": ", "openjd_status", " openjd_status: half", "INFO: openjd_status: half", "OPENJD_STATUS: half"),
    ],
)
def test_what_no_scheduler_takes_for_a_directive_is_none(line):
    assert session.read(line) == ("", "")


# What reaches a scheduler, whoever has written it


@pytest.mark.parametrize(
    "data, shown",
    [
        (b"caf\xe9\n", rb"caf\xe9" + b"\n"),
        (b"\xff\xfe\xc3\n\xc3\xa9\n", rb"\xff\xfe\xc3" + b"\n\xc3\xa9\n"),
        ("\ud83d".encode("utf-8", "surrogatepass"), rb"\xed\xa0\xbd"),
        (b"\0 \x1b[31m red\r\n", b"\0 \x1b[31m red\r\n"),
        (b"openjd_env: A=caf\xe9\n", rb"openjd_env: A=caf\xe9" + b"\n"),
    ],
)
def test_what_is_not_utf_8_is_shown_as_numbers(data, shown):
    assert session.sanitized(data) == shown


DIRECTIVES = [
    *(
        "openjd_progress: 12.5",
        "openjd_status: half",
        "openjd_fail: no licence",
        "openjd_session_runtime_loglevel: INFO",
    ),
    *("openjd_env: A=1", "openjd_env:   A= 1 ", 'openjd_env: "A=a\\nb"', "openjd_env: A=", "openjd_env: A=Grüße"),
    *("openjd_redacted_env: S=secret", "openjd_unset_env: A", "openjd_env: A=openjd_env: B=2"),
]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", ""], ids=repr)
@pytest.mark.parametrize("line", DIRECTIVES)
def test_a_directive_passes(line, end):
    data = ("before" + (end or "\n") + line + end).encode()
    assert session.sanitized(data) == data


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", ""], ids=repr)
@pytest.mark.parametrize(
    "line",
    [
        *("  openjd_env: A=1", "\topenjd_env: A=1", "\u2003openjd_env: A=1", "OPENJD_ENV: A=1", "Openjd_Env: A=1"),
        *("openjd_env", "openjd_env:", "openjd_env: ", "openjd_env: A", "openjd_env: 1A=1", "openjd_env: A B=1"),
        *("openjd_env:A=1", "openjd_env A=1", 'openjd_env: "A=1', 'openjd_env: "A"', 'openjd_env: "\\u0041=1"'),
        *(" openjd_unset_env: A", "openjd_unset_env: A ", "openjd_unset_env: A=1", "openjd_unset_env: é"),
        *("openjd_environment: ready", "openjd_env: A=" + "x" * 64_000),
    ],
)
def test_what_only_looks_like_a_directive_is_shown_as_text(line, end):
    data = ("50 %" + (end or "\r") + line + end).encode()
    assert session.sanitized(data) == ("50 %" + (end or "\r") + "STDOUT: " + line + end).encode()


@pytest.mark.parametrize(
    "line, shown",
    [
        ("STDOUT: openjd_redacted_env: S=secret", "STDOUT: openjd_redacted_env: ********"),
        ("INFO: said OPENJD_Redacted_Env: S=secret\r", "INFO: said OPENJD_Redacted_Env: ********\r"),
        (" openjd_redacted_env: S=secret", "STDOUT:  openjd_redacted_env: ********"),
        ("openjd_redacted_env S=secret", "STDOUT: openjd_redacted_env: ********"),
        ("openjd_redacted_env: secret", "STDOUT: openjd_redacted_env: ********"),
        ("openjd_redacted_env: S=" + "secret" * 20_000, "STDOUT: openjd_redacted_env: ********"),
        ("openjd_status: openjd_redacted_env: S=secret", "openjd_status: openjd_redacted_env: ********"),
    ],
)
def test_a_secret_that_no_scheduler_would_hide_is_hidden(line, shown):
    assert session.sanitized(("%s\nfine\n" % line).encode()) == ("%s\nfine\n" % shown).encode()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_a_stream_is_the_same_however_its_bytes_were_cut(size):
    lines = ["é€😀", " openjd_env: A=1", "openjd_env: A=1", "openjd_redacted_env S=secret", "\r\n", "x\ry", "é" * 99]
    data = "\n".join(lines).encode() + b"\xff\n\xc3"
    stream = session.Sanitizer()
    found = [stream.feed(data[at : at + size]) for at in range(0, len(data), size)]
    assert b"".join(found) + stream.feed(b"", final=True) == session.sanitized(data)


PIECES = [
    *("openjd_env", "openjd_redacted_env", "openjd_unset_env", "OPENJD_ENV", "Openjd_Redacted_Env", "openjd_status"),
    *(
        ": ",
        ":",
        " ",
        "\t",
        "A=1",
        "A",
        "S=secret",
        '"',
        "\\n",
        "\n",
        "\r",
        "\r\n",
        "\v",
        "\x1c",
        "\x85",
        "\u2003",
        "\u2028",
    ),
    *("STDOUT: ", "x", "1", "=", "_", "\ufeff", "\0", "\u0130", "\udce9"),
]


@pytest.mark.parametrize("seed", range(3))
def test_openjd_sessions_takes_no_line_for_a_malformed_directive(seed):
    module("openjd.sessions")
    from openjd.sessions._action_filter import ActionMonitoringFilter

    chance, failures = random.Random(seed), []
    read = ActionMonitoringFilter(session_id="", callback=lambda kind, value, fails: failures.extend([value] * fails))
    for _ in range(2000):
        text = "".join(chance.choice(PIECES) for _ in range(chance.randrange(1, 9)))
        data = session.sanitized(text.encode("utf-8", "surrogateescape"))
        for line in io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"):
            record = logging.LogRecord("", logging.INFO, "", 0, line.rstrip("\r\n"), None, None)
            record.session_id = ""
            read.filter(record)
            assert failures == [], (data, failures)


def test_a_line_without_an_end_is_passed_on_in_whole_characters_and_bounded_memory():
    stream = session.Sanitizer()
    data = "é€😀".encode() * 100_000
    found = []
    for at in range(0, len(data), 10_001):
        found.append(stream.feed(data[at : at + 10_001]))
        assert len(stream._held) < 300_000
        found[-1].decode()
    assert b"".join(found) + stream.feed(b"", final=True) == data


def test_a_secret_without_an_end_is_hidden_to_its_end():
    stream = session.Sanitizer()
    shown = stream.feed(b"openjd_redacted_env: S=")
    for _ in range(300):
        shown += stream.feed(b"secret" * 1000)
        assert len(stream._held) < 300_000
    assert shown + stream.feed(b"secret\nfine\n") == b"STDOUT: openjd_redacted_env: ********\nfine\n"


def test_a_value_that_a_scheduler_would_cut_is_refused_without_being_shown():
    assert len(session.set_env("NAME", "x" * 63_983)) == session.LINE_LIMIT
    with pytest.raises(
        ValueError, match="^the value of NAME is too long: a scheduler reads 64000 characters of a line$"
    ):
        session.set_env("NAME", "x" * 63_984, "openjd_redacted_env")


def test_what_controls_a_terminal_and_what_was_no_text_is_shown_as_numbers():
    assert (
        session.status("\x1b[31mred\x07\0 \x9b é\u200d\udce9")
        == r"openjd_status: \x1b[31mred\x07\x00 \x9b é%s\xe9" % "\u200d"
    )
