"""YAML's scalars: what plain text stands for, form by form, and what quoted text does."""

from __future__ import annotations

import pytest

from openjd_adapt import yaml
from openjd_adapt.yaml import YAMLDecodeError

from .conftest import module

pytestmark = pytest.mark.pure

WORDS = [
    (word, value)
    for words, value in [
        ("null Null NULL ~", None),
        ("true True TRUE yes Yes YES on On ON", True),
        ("false False FALSE no No NO off Off OFF", False),
    ]
    for word in words.split()
]
INTEGERS = [
    ("0", 0),
    ("-0", 0),
    ("7", 7),
    ("+7", 7),
    ("-7", -7),
    ("1234567890123456789012345", 1234567890123456789012345),
    ("1_000", 1000),
    ("1__0_", 10),
    ("0b101", 5),
    ("-0b1_1", -3),
    ("0x1F", 31),
    ("0xaBc_", 2748),
    ("+0x0", 0),
    ("010", 8),
    ("-0_17", -15),
    ("00", 0),
    ("0_", 0),
    ("1:30", 90),
    ("-1:30:5", -5405),
    ("1:0:00", 3600),
    ("100:59", 6059),
    ("1_0:1", 601),
]
FLOATS = [
    ("1.5", 1.5),
    ("-1.5", -1.5),
    ("+1.5", 1.5),
    ("1.", 1.0),
    ("-0.0", -0.0),
    ("0_1.5_0", 1.5),
    ("08.5", 8.5),
    (".5", 0.5),
    (".5_0", 0.5),
    (".5e+2", 50.0),
    ("1.5e+3", 1500.0),
    ("1.5E-3", 0.0015),
    ("1.e+3", 1000.0),
    ("1.0e+999", float("inf")),
    ("0.1", 0.1),
    ("1:30.5", 90.5),
    ("-1:30.", -90.0),
    ("0:0:1.25", 1.25),
    ("08:30.", 510.0),
    (".inf", float("inf")),
    (".Inf", float("inf")),
    ("+.INF", float("inf")),
    ("-.inf", float("-inf")),
    (".nan", float("nan")),
    (".NaN", float("nan")),
    (".NAN", float("nan")),
]
TEXTS = [
    *["nULL", "yEs", "truE", "y", "n", "none", "None", "~~", "true.", "null null"],
    *["1e3", "1e+3", "1.5e3", "-.5", "+.5", "._5", "1.5.2", "1,5", "1 000", ".", "-", "+", "--1", "1-2", "1/2", "1%"],
    *[
        "08",
        "09",
        "0o7",
        "0b",
        "0b2",
        "0x",
        "0xg",
        "0X1",
        "0B1",
        "-_1",
        "_1",
        "1:60",
        "0:30",
        "1:",
        ":1",
        "1:2:",
        "1:1.5e+1",
    ],
    *["+.nan", "-.nan", ".iNF", "inf", "nan", ".in", "١", "1²", "1\n2"],
    *["2001-01-01", "2001-12-14t21:59:43.10-05:00", "2001-12-14 21:59:43", "12:30:45.5.5", "1.2.3.4", "1.2:3"],
    *["<", "<<<", "==", "a=", "C:\\1", "1a", "a1", "-a", "é"],
]


PLAIN = [*WORDS, *INTEGERS, *FLOATS, *((text, text) for text in TEXTS)]


@pytest.mark.parametrize("text, value", PLAIN)
def test_plain_text_stands_for_its_value_by_yaml_1_1(text, value):
    assert repr(yaml.resolve(text)) == repr(value)


def test_pyyaml_gives_plain_text_the_same_value():
    pyyaml = module("yaml")
    for text, value in PLAIN:
        # It resolves a node as it does a document; the text itself may be none, such as "1\n2".
        loader = pyyaml.SafeLoader("")
        tag = loader.resolve(pyyaml.ScalarNode, text, (True, False))
        if tag.endswith(":timestamp"):
            assert value == text
        else:
            assert (text, repr(loader.construct_document(pyyaml.ScalarNode(tag, text)))) == (text, repr(value))


def test_all_that_is_no_number_is_one_object():
    """So that a mapping finds a key that is not equal to itself."""
    assert yaml.resolve(".nan") is yaml.resolve(".NAN")


@pytest.mark.parametrize("text", ["<<", "="])
def test_plain_text_beyond_data_is_refused(text):
    with pytest.raises(YAMLDecodeError, match="not supported"):
        yaml.resolve(text)


@pytest.mark.parametrize("text", ["0x_", "-0x__", "0b_", "+0b_"])
def test_a_number_without_digits_is_refused(text):
    with pytest.raises(YAMLDecodeError, match="without digits"):
        yaml.resolve(text)


def test_a_sexagesimal_float_that_is_out_of_range_is_refused():
    with pytest.raises(YAMLDecodeError, match="out of range"):
        yaml.resolve("1%s." % (":0" * 300))


LONG_NUMBERS = [
    lambda n: "1" * n,
    lambda n: "-" + "1" * (n - 1),
    lambda n: "0b" + "1" * (n - 2),
    lambda n: "0x" + "f" * (n - 2),
    lambda n: "0" + "7" * (n - 1),
    lambda n: "1" + "_" * (n - 1),
    lambda n: "10" + ":1" * (n // 2 - 1),
    lambda n: "0." + "1" * (n - 2),
    lambda n: "." + "1" * (n - 1),
    lambda n: "1.5e+" + "0" * (n - 6) + "1",
    lambda n: "." + "0" * (n - 1),
    lambda n: "0:1." + "0" * (n - 4),
]


@pytest.mark.parametrize("number", LONG_NUMBERS)
def test_a_number_has_1000_characters_at_the_most(number):
    assert len(number(1000)) == 1000
    assert isinstance(yaml.resolve(number(1000)), (int, float))
    with pytest.raises(YAMLDecodeError, match="1000 characters"):
        yaml.resolve(number(1002))


@pytest.mark.parametrize("text", ["0" + "8" * 2000, "1" * 2000 + "e3", "1:" * 1000, "a" * 2000, "-." + "1" * 2000])
def test_text_that_is_no_number_may_be_longer(text):
    assert yaml.resolve(text) is text


ESCAPES = [
    *[("\\0", "\0"), ("\\a", "\a"), ("\\b", "\b"), ("\\t", "\t"), ("\\\t", "\t"), ("\\n", "\n"), ("\\v", "\v")],
    *[("\\f", "\f"), ("\\r", "\r"), ("\\e", "\x1b"), ("\\ ", " "), ('\\"', '"'), ("\\/", "/"), ("\\\\", "\\")],
    *[("\\N", "\x85"), ("\\_", "\xa0"), ("\\L", "\u2028"), ("\\P", "\u2029")],
    *[
        ("\\x4a", "J"),
        ("\\xFF", "\xff"),
        ("\\u20aC", "€"),
        ("\\U0001F980", "\U0001f980"),
        ("\\U0010ffff", "\U0010ffff"),
    ],
    *[("\\\n", ""), ("\\\u2028", ""), ("\\\u2029", "")],
]


@pytest.mark.parametrize("raw, text", ESCAPES)
def test_an_escape_names_a_character_or_takes_the_line_break_away(raw, text):
    assert yaml.unquote(raw, '"') == text
    assert yaml.unquote("a%sb%s" % (raw, raw), '"') == "a%sb%s" % (text, text)
    assert yaml.unquote("\\\\%s" % raw, '"') == "\\%s" % text


@pytest.mark.parametrize("raw, text", ESCAPES[:23])
def test_single_quotes_know_no_escapes(raw, text):
    assert yaml.unquote(raw, "'") == raw


def test_every_other_character_behind_a_backslash_is_refused():
    known = {raw[1] for raw, _ in ESCAPES}
    for code in range(0x3000):
        if chr(code) not in known:
            with pytest.raises(YAMLDecodeError, match="is not an escape") as caught:
                yaml.unquote("ab\\%s01234567" % chr(code), '"')
            assert caught.value.column == 3


@pytest.mark.parametrize(
    "raw", ["\\x", "\\x1", "\\x1g", "\\u123", "\\u12 34", "\\U0001234", "\\x-1", "\\x\n11", "\\u١٢٣٤"]
)
def test_an_escape_of_too_few_digits_is_refused(raw):
    with pytest.raises(YAMLDecodeError, match="%s is not an escape" % raw[1]):
        yaml.unquote(raw, '"')


@pytest.mark.parametrize("raw", ["\\U00110000", "\\UFFFFFFFF", "\\U80000000"])
def test_an_escape_beyond_unicode_is_refused(raw):
    with pytest.raises(YAMLDecodeError, match="names no character"):
        yaml.unquote(raw, '"')


@pytest.mark.parametrize("line_break", ["\n", "\r", "\r\n", "\x85", "\u2028", "\u2029"])
def test_an_escaped_line_break_of_any_kind_is_taken_away(line_break):
    assert yaml.loads('"a\\%s  b"' % line_break) == "ab"


@pytest.mark.parametrize(
    "gap, text",
    [
        ("\n", " "),
        (" \t\n \t", " "),
        ("\n\n", "\n"),
        ("\n \n\t\n", "\n\n"),
        (" \u2028 ", "\u2028"),
        ("\u2029 \n", "\u2029\n"),
        ("\n\u2028", "\u2028"),
    ],
)
def test_of_several_line_breaks_the_first_falls_away_and_one_is_a_blank(gap, text):
    assert yaml.fold(gap) == text


@pytest.mark.parametrize("line_break", ["\n", "\r", "\r\n", "\x85"])
def test_a_line_break_is_one_character_in_a_value(line_break):
    assert yaml.loads("|\n a%s b%s" % (line_break, line_break)) == "a\nb\n"


@pytest.mark.parametrize("line_break", ["\u2028", "\u2029"])
def test_a_separator_of_lines_stays_itself(line_break):
    assert yaml.loads("|\n a%s b%s" % (line_break, line_break)) == "a%sb%s" % (line_break, line_break)
