"""Formats assert when they are asked to, by the letter of the standards that name them, on every Python alike."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from openjd_adapt.schema import SchemaError, ValidationError, Validator, validate
from openjd_adapt.schema.keywords import FORMATS

pytestmark = pytest.mark.core

#: Format: texts that are of it, texts that are not.
TEXTS = {
    "date": (
        ["2026-11-25", "2024-02-29", "0001-01-01", "9999-12-31"],
        [
            "2026-02-29",
            "2026-13-01",
            "2026-1-1",
            "26-11-25",
            "20261125",
            "2026-11-25\n",
            "2026-11-2\u0665",
            "",
            "today",
        ],
    ),
    "time": (
        ["10:11:12Z", "23:59:59z", "23:59:60Z", "00:00:00.123456789+23:59", "10:11:12-00:00"],
        [
            "10:11:12",
            "10:11Z",
            "24:00:00Z",
            "10:60:00Z",
            "10:11:61Z",
            "10:11:12+24:00",
            "10:11:12.Z",
            "10:11:12Z\n",
            "",
        ],
    ),
    "date-time": (
        ["2026-11-25T10:11:12Z", "2026-11-25t10:11:12.5z", "2024-02-29T23:59:60-08:00"],
        [
            "2026-11-25 10:11:12Z",
            "2026-11-25T10:11:12",
            "2026-02-29T10:11:12Z",
            "2026-11-25T24:00:00Z",
            "2026-11-25",
            "10:11:12Z",
            "",
        ],
    ),
    "email": (["a@b", "first.last+tag@example.com", "ü@ö"], ["a", "@b", "a@", "a@b@c", "a b@c", "a@b\n", ""]),
    "hostname": (
        ["a", "render-01.farm.example", "1.2.3.4", "a" * 63, ".".join(["a" * 63] * 3 + ["a" * 61])],
        ["-a", "a-", "a..b", "a.", ".a", "a_b", "ü", "a" * 64, ".".join(["a" * 63] * 3 + ["a" * 62]), "a\n", ""],
    ),
    "ipv4": (
        ["0.0.0.0", "127.0.0.1", "199.200.249.255"],
        [
            "01.2.3.4",
            "1.2.3.04",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.256",
            "1.2.3.4\n",
            " 1.2.3.4",
            "1.2.3.\u0664",
            "0x1.2.3.4",
        ],
    ),
    "ipv6": (
        ["::", "::1", "1:2:3:4:5:6:7:8", "fe80::ABCD", "::1.2.3.4", "1:2:3:4:5:6:1.2.3.4"],
        ["", ":::", "1::2::3", "12345::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "::01.2.3.4", "::1.2.3", "::1\n"]
        + ["fe80::1%eth0", "::1/64", "1.2.3.4", "g::"],
    ),
    "uri": (
        ["file:///mnt/a%20b", "http://[::1]:80/x?y#z", "urn:uuid:x", "a:", "x+y-z.1:"],
        ["", "x", "//host/x", "1a:b", "http://a b", "http://ü", "http://%zz", "http://%4", "a:\\b", "a:b\n", "a:<b>"],
    ),
    "uuid": (
        ["2eb8aa08-aa98-11ea-b4aa-73b441d16380", "2EB8AA08-AA98-11EA-B4AA-73B441D16380"],
        [
            "2eb8aa08aa9811eab4aa73b441d16380",
            "2eb8aa08-aa98-11ea-b4aa-73b441d1638",
            "2eb8aa08-aa98-11ea-b4aa-73b441d1638g",
        ]
        + ["{2eb8aa08-aa98-11ea-b4aa-73b441d16380}", "2eb8aa08-aa98-11ea-b4aa-73b441d16380\n", ""],
    ),
    "json-pointer": (["", "/", "/a~0b~1c/0/ü", "//\n"], ["a", "/~", "/~2", "#/a", "/a~"]),
    "regex": (["", "a", "[^]", r"(?<x>\d)\k<x>"], ["(", r"\p{L}", "[", "\\", "a**", r"\Z"]),
}


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_a_format_takes_what_its_standard_allows_and_nothing_else(name):
    fitting, others = TEXTS[name]
    validator = Validator({"format": name}, formats=True)
    for text in fitting:
        validator.validate(text)
    for text in others:
        with pytest.raises(ValidationError) as caught:
            validator.validate(text)
        assert caught.value.message == "%r is not a %r" % (text, name)
        assert (caught.value.path, caught.value.schema_path) == ((), ("format",))


def test_every_format_is_in_the_table():
    assert sorted(TEXTS) == sorted(FORMATS)


@pytest.mark.parametrize("value", [None, True, 1, 1.5, [], {}, ["x"]], ids=repr)
def test_a_format_says_nothing_of_what_is_no_text(value):
    for name in FORMATS:
        validate(value, {"format": name}, formats=True)


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_a_format_asserts_only_on_request(name):
    for text in TEXTS[name][1]:
        validate(text, {"format": name})


@pytest.mark.parametrize("wrong", ["duration", "iri", "Date", "", None, 5, ["date"], {"date": 1}], ids=repr)
def test_an_unknown_format_is_refused_where_formats_assert_and_is_an_annotation_elsewhere(wrong):
    schema = {"properties": {"a": {"format": wrong}}}
    with pytest.raises(SchemaError) as caught:
        Validator(schema, formats=True)
    assert caught.value.path == ("properties", "a", "format")
    assert caught.value.message == "must be one of %s, not %r" % (", ".join(sorted(FORMATS)), wrong)
    validate({"a": "x"}, schema)


@settings(max_examples=100)
@given(st.text(st.characters(), max_size=30) | st.from_regex(r"[0-9a-fT:.%/@+-]{0,30}", fullmatch=True))
def test_any_text_is_of_a_format_or_not(text):
    for fits in FORMATS.values():
        assert fits(text) in (True, False)


@pytest.mark.parametrize("piece", ["1.", ":", "::", "a-", "@", "/", "~0", "%41", "a:", "[", "(", "[^", "(?<", "2026-"])
def test_long_texts_are_judged_in_no_time(piece):
    for fits in FORMATS.values():
        assert fits(piece * 3000) in (True, False)
