"""Data from the command line: an object, inline or in a file; anything else is one line that says where and why."""

from __future__ import annotations

import pytest

from openjd_adapt import InputError
from openjd_adapt.data import LIMIT, load

GOOD = [
    ("{}", {}),
    (' {"a": [1, 2.5, "ü", null, true]}\n', {"a": [1, 2.5, "ü", None, True]}),
    ('{"a": {"a": "file:///etc/passwd"}}', {"a": {"a": "file:///etc/passwd"}}),
    ('{"a": 1, "a": 2}', {"a": 2}),
    ('{"a": %s1%s}' % ("[" * 100, "]" * 100), None),
]

BAD = [
    ("", "is not JSON: line 1, column 1: "),
    ('{"a": 1,\n "b" 2}', "is not JSON: line 2, column 6: "),
    ('{"a": 1}\n{}', "is not JSON: line 2, column 1: "),
    ("{'a': 1}", "is not JSON: line 1, column 2: "),
    ('{"a": "two\nlines"}', "is not JSON: line 1, column 11: "),
    ('{"a": NaN}', "is not JSON: NaN is no number of JSON"),
    ('{"a": Infinity}', "is not JSON: Infinity is no number of JSON"),
    ('{"a": [-Infinity]}', "is not JSON: -Infinity is no number of JSON"),
    ('{"a":' * 100_000, "is nested too deeply"),
    ("[" * 100_000 + "]" * 100_000, "is nested too deeply"),
    ("[{}]", "must be an object, not a list"),
    ('"{}"', "must be an object, not a string"),
    ("1", "must be an object, not a number"),
    ("1.5", "must be an object, not a number"),
    ("true", "must be an object, not true or false"),
    ("null", "must be an object, not null"),
]


def complaint(option, value):
    with pytest.raises(InputError) as caught:
        load(option, value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("text, expected", GOOD, ids=range(len(GOOD)))
def test_an_object_is_read_inline_and_from_a_file_alike(tmp_path, text, expected):
    path = tmp_path / "data with blank.json"
    path.write_bytes(text.encode("utf-8"))
    assert load("--run-data", text) == load("--run-data", "file://%s" % path)
    assert load("--run-data", text) == expected or expected is None


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "data.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert load("--init-data", "file://%s" % (tmp_path / "data.json")) == {"a": 1}


@pytest.mark.parametrize("text, expected", BAD, ids=range(len(BAD)))
def test_bad_data_name_the_option_the_line_and_the_column(text, expected):
    assert complaint("--run-data", text).startswith("--run-data: " + expected)


@pytest.mark.parametrize("text, expected", BAD, ids=range(len(BAD)))
def test_bad_data_in_a_file_name_the_file_too(tmp_path, text, expected):
    path = tmp_path / "data.json"
    path.write_text(text)
    assert complaint("--init-data", "file://%s" % path).startswith("--init-data: %s: %s" % (path, expected))


def test_data_of_ten_million_characters_pass_and_more_are_refused(tmp_path):
    text = '{"a": "%s"}' % ("x" * (LIMIT - 9))
    path = tmp_path / "data.json"
    path.write_text(text)
    assert load("--x", "file://%s" % path) == {"a": "x" * (LIMIT - 9)}
    path.write_text(text + " ")
    assert complaint("--x", "file://%s" % path) == "--x: %s: has 10485761 characters; the limit is 10485760" % path


def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path):
    assert complaint("--x", "file:///no/such/file") == "--x: /no/such/file: No such file or directory"
    assert complaint("--x", "file://%s" % tmp_path) == "--x: %s: Is a directory" % tmp_path
    assert complaint("--x", "file://") == "--x: : No such file or directory"


@pytest.mark.parametrize("content, byte", [(b"\xff{}", 0), (b'{"a": "\xe9"}', 7)])
def test_a_file_that_is_not_utf_8_is_named_with_the_byte(tmp_path, content, byte):
    path = tmp_path / "data.json"
    path.write_bytes(content)
    assert complaint("--x", "file://%s" % path) == "--x: %s: is not UTF-8 text: byte %d" % (path, byte)


@pytest.mark.parametrize("option", ["--init-data", "--run-data"])
def test_an_error_does_not_show_the_data_which_may_be_secret(option):
    assert "hunter2" not in complaint(option, '{"password": "hunter2"')
