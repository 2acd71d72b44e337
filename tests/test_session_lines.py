"""The ``openjd_*`` lines: each is one line that a scheduler understands, whatever text an adaptor gives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from fractions import Fraction

import pytest

from openjd_adapt import session

from .conftest import ROOT

pytestmark = pytest.mark.core

LINE_BREAKS = ["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\n\n \n"]


@pytest.mark.parametrize(
    "percent, shown",
    [
        (0, "0"),
        (100, "100"),
        (12.5, "12.5"),
        (100 / 3, "33.3333"),
        (0.0001, "0.0001"),
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
    assert session.redact_env("NAME", "secret") == "openjd_redacted_env: NAME=secret"
    assert session.redact_env("NAME", "a\nb") == 'openjd_redacted_env: "NAME=a\\nb"'
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
        session.redact_env("NAME", "sec\0ret")


@pytest.mark.parametrize(
    "line, taken",
    [
        (session.progress(12.5), ("openjd_progress", 12.5)),
        (session.status("half: done"), ("openjd_status", "half: done")),
        (session.fail("no: licence"), ("openjd_fail", "no: licence")),
        (session.set_env("NAME", "a=b: c"), ("openjd_env", ("NAME", "a=b: c"))),
        (session.set_env("NAME", ""), ("openjd_env", ("NAME", ""))),
        (session.set_env("NAME", 'two\n"lines"'), ("openjd_env", ("NAME", 'two\n"lines"'))),
        (session.redact_env("NAME", "secret "), ("openjd_redacted_env", ("NAME", "secret "))),
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
