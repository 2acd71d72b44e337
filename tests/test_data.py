"""Data from the command line: an object in JSON or YAML, inline or in a file; else one line that says where and why."""

from __future__ import annotations

import pytest

from openjd_adapt import InputError, data, plain_json
from openjd_adapt.data import LIMIT, load
from openjd_adapt.transport.wire import FRAME_LIMIT

pytestmark = pytest.mark.core

GOOD = [
    ("{}", {}),
    (' {"a": [1, 2.5, "ü", null, true]}\n', {"a": [1, 2.5, "ü", None, True]}),
    ('{"a": {"a": "file:///etc/passwd"}}', {"a": {"a": "file:///etc/passwd"}}),
    ('{"a": %s1%s}' % ("[" * 100, "]" * 100), None),
    ("{'a': 1}", {"a": 1}),
    ('{"a": "two\nlines"}', {"a": "two lines"}),
    ("frame: 1\nscene: 'C:\\shots\\a: b #1.blend'\n", {"frame": 1, "scene": "C:\\shots\\a: b #1.blend"}),
    ("# nothing but\n--- # comments\nlayers:\n- beauty\n- null\n", {"layers": ["beauty", None]}),
    ("date: 2026-11-25\n", {"date": "2026-11-25"}),
    # JSON comes first: there 1e3 is a number, while YAML 1.1 takes it for text, and blanks may be tabs.
    ('{"a": 1e3}', {"a": 1000.0}),
    ("a: 1e3", {"a": "1e3"}),
    ('{\t"a":\t1e-3\t}', {"a": 0.001}),
    ("{a: NaN, b: Infinity}", {"a": "NaN", "b": "Infinity"}),
]

BAD = [
    (" \n", "is empty"),
    ("# nothing", "must be an object, not null"),
    ('{"a": 1,\n "b" 2}', "is neither JSON (line 2, column 6: Expecting ':' delimiter) nor YAML (line 2, column 6: "),
    ('{"a": 1}\n{}', "is neither JSON (line 2, column 1: Extra data) nor YAML (line 2, column 1: "),
    ("a: 1\n b: 2", "is not YAML: line 2, column 3: "),
    ("a: &x 1", "is not YAML: line 1, column 4: anchors (&) are not supported"),
    ("a:\n\t- 1", "is not YAML: line 2, column 1: a tab cannot stand here"),
    ("a: 1\na: 2", "is not YAML: line 2, column 1: the key 'a' stands twice"),
    ('{"a": 1, "a": 2}', "the key 'a' stands twice in one object"),
    ('{"a": {"b": [{"c": 1, "d": 2, "c": 1}]}}', "the key 'c' stands twice in one object"),
    ('{"a": NaN}', "NaN is not a number of JSON"),
    ('{"a": Infinity}', "Infinity is not a number of JSON"),
    ('{"a": [-Infinity]}', "-Infinity is not a number of JSON"),
    ('{"a": 1e999}', "1e999 is out of range"),
    ('{"a": %s}' % ("1" * 1001), "a number has more than 1000 digits"),
    ("a: .inf", "inf is not a number of JSON"),
    ("a: [.nan]", "nan is not a number of JSON"),
    ("a: [{1: b}]", "the key 1 is not text; put quotes around it"),
    ("on: b", "the key True is not text; put quotes around it"),
    ("a: " + "[" * 100_000, "is not YAML: line 1, column 103: more than 100 levels are not supported"),
    ('{"a":' * 100_000, "is nested too deeply"),
    ("- a", "must be an object, not a list"),
    ("some text", "must be an object, not a string"),
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


def test_an_empty_option_is_an_empty_object_and_an_empty_file_an_error(tmp_path):
    assert load("--run-data", "") == {}
    (tmp_path / "data.json").write_text("")
    assert complaint("--x", "file://%s" % (tmp_path / "data.json")) == "--x: %s: is empty" % (tmp_path / "data.json")


def test_who_forgets_that_a_file_is_meant_is_told_how_to_name_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert complaint("--x", "init.json") == "--x: must be an object, not a string"
    (tmp_path / "init.json").write_text("{}")
    assert complaint("--x", "init.json") == "--x: must be an object, not a string; for a file write file://init.json"


@pytest.mark.parametrize("text, expected", BAD, ids=range(len(BAD)))
def test_bad_data_name_the_option_the_line_and_the_column(text, expected):
    assert complaint("--run-data", text).startswith("--run-data: " + expected)


@pytest.mark.parametrize("text, expected", BAD, ids=range(len(BAD)))
def test_bad_data_in_a_file_name_the_file_too(tmp_path, text, expected):
    path = tmp_path / "data.json"
    path.write_text(text)
    assert complaint("--init-data", "file://%s" % path).startswith("--init-data: %s: %s" % (path, expected))


def test_data_of_ten_million_bytes_pass_and_more_are_refused(tmp_path):
    text = '{"a": "%s"}' % ("x" * (LIMIT - 9))
    path = tmp_path / "data.json"
    path.write_text(text)
    assert load("--x", "file://%s" % path) == {"a": "x" * (LIMIT - 9)}
    path.write_text(text + " ")
    assert complaint("--x", "file://%s" % path) == "--x: %s: has more than 10485760 bytes" % path


@pytest.mark.parametrize("letter", ["\x7f", "é", "€", "\U0001f600"])
def test_the_largest_data_fit_into_a_frame_whatever_their_characters(monkeypatch, tmp_path, letter):
    monkeypatch.setattr(data, "LIMIT", 609)
    path = tmp_path / "data.json"
    path.write_bytes(b'{"a": "%s"}' % (letter.encode() * (600 // len(letter.encode()))))
    assert len(plain_json.dumps(load("--x", "file://%s" % path))) <= 609 * FRAME_LIMIT // LIMIT


@pytest.mark.posix_only
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
