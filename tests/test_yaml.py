"""YAML, construct by construct: what each text is read as, and what is refused, by which words and at which place."""

from __future__ import annotations

import json
import os
import sys

import pytest

from openjd_adapt import yaml

from .conftest import CORPUS, missing, module

pytestmark = pytest.mark.pure

# How many thousand characters a hostile text has; CI says 500.
THOUSANDS = int(os.environ.get("OPENJD_ADAPT_EXAMPLES", "60"))


def read(text):
    """The value of ``text`` as its repr, which tells True from 1, 1.0 from 1, and shows the order of keys."""
    return repr(yaml.loads(text))


def refusal(text):
    with pytest.raises(yaml.YAMLDecodeError) as caught:
        yaml.loads(text)
    return caught.value


def corpus():
    if not CORPUS.exists():
        return [pytest.param({}, marks=pytest.mark.skip(reason=missing("corpus")))]
    entries = json.loads((CORPUS / "yaml_inputs.json").read_text(encoding="utf-8"))
    return [pytest.param(entry, id=entry["name"]) for entry in entries]


@pytest.mark.parametrize("entry", corpus())
def test_a_real_text_is_read_or_refused_as_pyyaml_does(entry):
    if "error" in entry:
        refusal(entry["text"])
    else:
        assert read(entry["text"]) == repr(entry["value"])


# What is read


MAPPINGS = [
    ("a: 1", {"a": 1}),
    ("b: 1\na: 2\n", {"b": 1, "a": 2}),
    ("a:\n  b:\n    c: 1\n  d: 2\ne: 3\n", {"a": {"b": {"c": 1}, "d": 2}, "e": 3}),
    ("  a: 1\n  b: 2\n", {"a": 1, "b": 2}),
    ("a:\n         b: 1\n", {"a": {"b": 1}}),
    ("a   :   b   \n", {"a": "b"}),
    ("a:\nb:\n", {"a": None, "b": None}),
    ("a:\n  b\n", {"a": "b"}),
    ("a:\n  'b'\n", {"a": "b"}),
    ("a:\n\n\n  b: 1\n   \n  c: 2\n\n", {"a": {"b": 1, "c": 2}}),
    ("a b c: d e f", {"a b c": "d e f"}),
    ("'a: b': c\n\"d\\te\" : f", {"a: b": "c", "d\te": "f"}),
    ("2: a\n1.5: b\ntrue: c\n~: d\n'2': e\n", {2: "a", 1.5: "b", True: "c", None: "d", "2": "e"}),
    ("a:b: c", {"a:b": "c"}),
    ("-a: 1\n?b: 2\n:c: 3\n", {"-a": 1, "?b": 2, ":c": 3}),
    ("a's: 1\nb\"s: 2\n", {"a's": 1, 'b"s': 2}),
    ("a: {}\nb: []\nc: ''\n", {"a": {}, "b": [], "c": ""}),
]
SEQUENCES = [
    ("- a\n- b\n", ["a", "b"]),
    ("-\n- \n- ~\n-", [None, None, None, None]),
    ("-   a\n-\n  b\n", ["a", "b"]),
    ("  - a\n  - b\n", ["a", "b"]),
    ("- - a\n  - b\n- - - c\n", [["a", "b"], [["c"]]]),
    ("-\n  - a\n  -\n    - b\n", [["a", ["b"]]]),
    ("- a: 1\n  b: 2\n- c: 3\n", [{"a": 1, "b": 2}, {"c": 3}]),
    ("-   a: 1\n    b: 2\n", [{"a": 1, "b": 2}]),
    ("a:\n  - 1\n  - 2\nb: 3\n", {"a": [1, 2], "b": 3}),
    ("a:\n- 1\n- 2\nb: 3\n", {"a": [1, 2], "b": 3}),
    ("a:\n- b:\n  - 1\n  c: 2\n- 3\nd:\n-\n", {"a": [{"b": [1], "c": 2}, 3], "d": [None]}),
    ("- a:\n  - b\n- c", [{"a": ["b"]}, "c"]),
    ("-a\n", "-a"),
    ("-1\n", -1),
    ("--\n", "--"),
]
PLAIN = [
    ("a", "a"),
    ("a b  c", "a b  c"),
    ("a\nb\n c\n", "a b c"),
    ("a\n\n\nb", "a\n\nb"),
    ("a: b\n c\n\n   d\n", {"a": "b c\nd"}),
    ("a: b\n\n\n\nc: d", {"a": "b", "c": "d"}),
    ("- a\n b\n- c", ["a b", "c"]),
    ("- a\n - b", ["a - b"]),
    ("a: b\n  ? c - d", {"a": "b ? c - d"}),
    ("a\n%b", "a %b"),
    ("a\n---b\n...c", "a ---b ...c"),
    ("a#b", "a#b"),
    ("a:b::c", "a:b::c"),
    ("a, [b] {c}", "a, [b] {c}"),
    ("- -\n", [[None]]),
    ("a & b * c ! d | e > f % g @ h ` i", "a & b * c ! d | e > f % g @ h ` i"),
    ('say "it\'s"', 'say "it\'s"'),
    ("(a)", "(a)"),
    ("a: b\xa0\n\u3000c\u3000: d", {"a": "b\xa0", "\u3000c\u3000": "d"}),
    ("<<x", "<<x"),
    ("==", "=="),
    ("日本 \U0001f980", "日本 \U0001f980"),
    ("a: C:\\dir\\new\nb: \\\\server\\share\\%04d\n", {"a": "C:\\dir\\new", "b": "\\\\server\\share\\%04d"}),
    ("C:\\a: C:\\b c\\d.exe", {"C:\\a": "C:\\b c\\d.exe"}),
    ("a: http://host:80/b?c=d&e=f#g\n", {"a": "http://host:80/b?c=d&e=f#g"}),
    ("a: /mnt/b.####.exr\n", {"a": "/mnt/b.####.exr"}),
    ("a: x-[b]_[c].[d]\n", {"a": "x-[b]_[c].[d]"}),
    ("a: <b>/<c>\n", {"a": "<b>/<c>"}),
]
QUOTED = [
    ("''", ""),
    ('""', ""),
    ("'a''b'", "a'b"),
    ("''''", "'"),
    ("'a\"b\\n'", 'a"b\\n'),
    ('"a\'b"', "a'b"),
    ("' a '", " a "),
    ("' a\tb\t'", " a\tb\t"),
    ("'a: b # c - {d}, [e]'", "a: b # c - {d}, [e]"),
    ("'1'", "1"),
    ('"true"', "true"),
    ("a: '~'", {"a": "~"}),
    ("'a\nb'", "a b"),
    ("'a  \n\t b'", "a b"),
    ("'a\t \n \nb'", "a\nb"),
    ("'a\n\n\n  b'", "a\n\nb"),
    ("'\n'", " "),
    ("'\n\na'", "\na"),
    ("'a\n'", "a "),
    ("' \n '", " "),
    ("'a\n\n'", "a\n"),
    ("a: 'b\nc'\nd: e", {"a": "b c", "d": "e"}),
    ("- 'a\n- b'\n- c", ["a - b", "c"]),
    ("'a\n#b'", "a #b"),
    ("'a\n---b\n---'", "a ---b ---"),
    ("'a\u2028 b'", "a\u2028b"),
    ("'a\u2029\n b'", "a\u2029\nb"),
    ("'a\x85b'", "a b"),
    ('"a\nb"', "a b"),
    ('"a\n\n b"', "a\nb"),
    ('"a  \\\n  b"', "a  b"),
    ('"a\\\n\\  b"', "a  b"),
    ('"a\\\n\n\nb"', "a\n\nb"),
    ('"a\n\\\n\nb"', "a \nb"),
    ('"a\n  \\\n  \\\nb"', "a b"),
    ('"a\\\r\nb"', "ab"),
    ('"a\\ \n b"', "a  b"),
    ('"a\\\t \n b"', "a\t b"),
    ('"a\\\\\nb"', "a\\ b"),
    ('"\\\n  \\\n  a"', "a"),
    ('"\\0\\a\\b\\t\\\t\\n\\v\\f\\r\\e"', "\0\a\b\t\t\n\v\f\r\x1b"),
    ('"\\ \\"\\/\\\\\\N\\_\\L\\P"', ' "/\\\x85\xa0\u2028\u2029'),
    ('"\\x41\\xe9\\u65e5\\U0001F980"', "Aé日\U0001f980"),
    ('"\\x410\\u00411"', "A0A1"),
    ('"\\ud83e"', "\ud83e"),
    ('"\\\\n\\\\x41"', "\\n\\x41"),
    ("'a'#c\n", "a"),
    ("a: 'b'#c\n", {"a": "b"}),
]
BLOCK_SCALARS = [
    ("|\n  a\n  b\n", "a\nb\n"),
    ("|\n  a\n  b", "a\nb"),
    ("|\n  a\n    b\n   c\n", "a\n  b\n c\n"),
    ("|\n  a\n\n\n  b\n\n\n", "a\n\n\nb\n"),
    ("|-\n  a\n\n\n", "a"),
    ("|+\n  a\n\n  \n", "a\n\n\n"),
    ("|+\n  a", "a"),
    ("|\n", ""),
    ("|", ""),
    ("|\n\n\n", ""),
    ("|+\n\n\n", "\n\n"),
    ("|+\n", ""),
    ("|-\n\n\n", ""),
    ("|2\n  a\n   b\n", "a\n b\n"),
    ("|1\n  a\n", " a\n"),
    ("|9\n         a\n", "a\n"),
    ("|2\n\n\n  a\n", "\n\na\n"),
    ("|2\n    \n  a\n", "  \na\n"),
    ("|1-\n a\n\n", "a"),
    ("|-1\n a\n\n", "a"),
    ("|1+\n a\n\n", "a\n\n"),
    ("|+1\n a\n\n", "a\n\n"),
    ("|  # c: d\n a\n", "a\n"),
    ("|-  #\n a\n", "a"),
    ("|\n # a\n", "# a\n"),
    ("|\n \ta\n", "\ta\n"),
    ("|\n  a\t\n  b  \n", "a\t\nb  \n"),
    ("|\n  a\n  \tb\n", "a\n\tb\n"),
    ("|\n  - a: 'b\n  --- c\n", "- a: 'b\n--- c\n"),
    ("|\n ---\n ...\n", "---\n...\n"),
    ('|\n  \\n "a"\n', '\\n "a"\n'),
    ("|\r\n  a\r\n  b\r\n", "a\nb\n"),
    ("|\r  a\r  b\r", "a\nb\n"),
    ("|\n  a\x85  b\n", "a\nb\n"),
    ("|\n  a\u2028  b\u2029", "a\u2028b\u2029"),
    ("|+\n  a\u2028\u2029", "a\u2028\u2029"),
    ("|-\n  a\u2028", "a"),
    ("a: |\n  b\n  c\nd: e\n", {"a": "b\nc\n", "d": "e"}),
    ("a: |\n b\n#c\nd: e\n", {"a": "b\n", "d": "e"}),
    ("a: |+\n b\n\nd: e\n", {"a": "b\n\n", "d": "e"}),
    ("a: |\n\nb: |\n", {"a": "", "b": ""}),
    ("a:\n  b: |2\n     c\n", {"a": {"b": " c\n"}}),
    ("a:\n  b: |\n    c\n  d: >\n    e\n", {"a": {"b": "c\n", "d": "e\n"}}),
    ("- |\n a\n- >\n b\n", ["a\n", "b\n"]),
    ("- - |1\n   a\n", [["a\n"]]),
    ("a:\n- |\n  b\n- c\n", {"a": ["b\n", "c"]}),
    ("a:\n  |\n  b\n", {"a": "b\n"}),
    ("a:\n|\n  b\nc: d\n", {"a": "b\n", "c": "d"}),
    ("-\n|\n  b\n-\n>\n  c\n", ["b\n", "c\n"]),
    ("--- |\n a\n", "a\n"),
    ("--- >-\n a\n b\n...\n", "a b"),
    (">\n  a\n  b\n\n  c\n", "a b\nc\n"),
    (">\n  a\n\n\n  b\n", "a\n\nb\n"),
    (">\n  a\n    b\n  c\n", "a\n  b\nc\n"),
    (">\n  a\n    b\n    c\n\n  d\n", "a\n  b\n  c\n\nd\n"),
    (">\n  a\n\n    b\n", "a\n\n  b\n"),
    (">\n  a\n  \tb\n  c\n", "a\n\tb\nc\n"),
    (">\n\n\n  a\n", "\n\na\n"),
    (">\n  a  \n  b\n", "a   b\n"),
    (">\n  a\n  b", "a b"),
    (">-\n  a\n  b\n\n", "a b"),
    (">+\n  a\n  b\n\n", "a b\n\n"),
    (">1\n  a\n b\n", " a\nb\n"),
    (">\n  a\u2028  b\n", "a\u2028b\n"),
    (">\n", ""),
    ("a: >\n  b\n  c\nd: e\n", {"a": "b c\n", "d": "e"}),
]
FLOW = [
    ("[]", []),
    ("{}", {}),
    ("[ ]", []),
    ("[a]", ["a"]),
    ("[a, b c , 'd', 1, ~]", ["a", "b c", "d", 1, None]),
    ("[a, b,]", ["a", "b"]),
    ("{a: 1, b: 2}", {"a": 1, "b": 2}),
    ("{a: 1, b: 2,}", {"a": 1, "b": 2}),
    ("{b: 1, a: 2}", {"b": 1, "a": 2}),
    ("{a, b: , c:, d:}", {"a": None, "b": None, "c": None, "d": None}),
    ("{a: {b: [c, {d: e}]}}", {"a": {"b": ["c", {"d": "e"}]}}),
    ('{"a":"b","c":[1,2.5,true,null]}', {"a": "b", "c": [1, 2.5, True, None]}),
    ('{"a":b, \'c\':d, "e" :f}', {"a": "b", "c": "d", "e": "f"}),
    ("{a:[b], c:{d: e}}", {"a": ["b"], "c": {"d": "e"}}),
    ("{a:b}", {"a:b": None}),
    ("{a: b:c, d: http://e:80/f}", {"a": "b:c", "d": "http://e:80/f"}),
    ("{C:\\a: C:\\b}", {"C:\\a": "C:\\b"}),
    ("[a: b, c: , 'd':e]", [{"a": "b"}, {"c": None}, {"d": "e"}]),
    ("[a, [b, [c]], []]", ["a", ["b", ["c"]], []]),
    ("[-a, -1, -, -:]", ["-a", -1, "-", {"-": None}]),
    ("[a#b, c #d, e]\n, f]", ["a#b", "c", "f"]),
    ("[ # c\n a, # d\n\n b # e\n ] # f\n", ["a", "b"]),
    ("[a]#c", ["a"]),
    ("[#c\na,#d\nb]", ["a", "b"]),
    ("[a\nb, c\n\n  d]", ["a b", "c\nd"]),
    ("['a\n b', \"c\\\n d\"]", ["a b", "cd"]),
    ("{\n  a:\n    b,\n  c: d\n}\n", {"a": "b", "c": "d"}),
    ("{a: b\n}", {"a": "b"}),
    ("a: [\nb,\n  c\n]\nd: e", {"a": ["b", "c"], "d": "e"}),
    ("a: {\n}\n", {"a": {}}),
    ("- [a, b]\n- {c: d}\n", [["a", "b"], {"c": "d"}]),
    ("a:\n  [b]\n", {"a": ["b"]}),
    ("[a & b, c*d, e!f, g|h, i>j, k%l, m@n]", ["a & b", "c*d", "e!f", "g|h", "i>j", "k%l", "m@n"]),
    ("[2001-01-01, 1e3, 1_0]", ["2001-01-01", "1e3", 10]),
]
COMMENTS = [
    ("# a\nb: c # d\n# e\n", {"b": "c"}),
    ("a: # b\n  c: d\n", {"a": {"c": "d"}}),
    ("a: #b\n  c\n", {"a": "c"}),
    ("- # a\n  b\n", ["b"]),
    ("- #a\n- #b\n", [None, None]),
    ("a: b\n   # c\n# d\n      # e\nf: g\n", {"a": "b", "f": "g"}),
    ("a: b #c\n", {"a": "b"}),
    ("a: b #\n", {"a": "b"}),
    ("a: '#b' # '\n", {"a": "#b"}),
    ("#\ta\tb\na: b", {"a": "b"}),
    ("# a\x85b: c", {"b": "c"}),
    ("a # b\n", "a"),
]
DOCUMENTS = [
    ("", None),
    ("\n  \n\n", None),
    ("# a", None),
    ("---", None),
    ("---\n", None),
    ("--- # a\n", None),
    ("---\n...\n...\n", None),
    ("---\na: b\n", {"a": "b"}),
    ("# a\n\n---\n\n- a\n", ["a"]),
    ("--- a\n", "a"),
    ("--- a\nb\n", "a b"),
    ("--- 'a'\n", "a"),
    ("--- [a]\n", ["a"]),
    ("--- {a: b}\n", {"a": "b"}),
    ("a\n...\n", "a"),
    ("a\n... # b\n...\n# c\n\n", "a"),
    ("a: b\n...", {"a": "b"}),
    ("- a\n...\n", ["a"]),
    ("a: 'b'\n...\n", {"a": "b"}),
    ("---a: b", {"---a": "b"}),
    ("....", "...."),
    (" ---", "---"),
    ("a: ---", {"a": "---"}),
    ("\ufeffa: b", {"a": "b"}),
    ("\ufeff--- a", "a"),
    ("\ufeff", None),
    ("a: b\ufeffc", {"a": "b\ufeffc"}),
    ("a: b\r\nc:\r\n  - d\r\n  - 'e\r\n    f'\r\n", {"a": "b", "c": ["d", "e f"]}),
    ("a: b\rc: d\r", {"a": "b", "c": "d"}),
    ("a: b\x85c: d\x85", {"a": "b", "c": "d"}),
    ("a: b\u2028c: d\u2029e: f", {"a": "b", "c": "d", "e": "f"}),
    ("a: b\u2028  c", {"a": "b\u2028c"}),
    ("a: b\r\n\r\n  c", {"a": "b\nc"}),
    ("a: b\u2029\n  c", {"a": "b\u2029\nc"}),
]


TABLE = [*MAPPINGS, *SEQUENCES, *PLAIN, *QUOTED, *BLOCK_SCALARS, *FLOW, *COMMENTS, *DOCUMENTS]


@pytest.mark.parametrize("text, value", TABLE)
def test_a_text_is_read_as_its_value(text, value):
    assert read(text) == repr(value)


@pytest.mark.parametrize("line_end", ["\r\n", "\r", "\x85"])
@pytest.mark.parametrize("text, value", [row for row in TABLE if "\n" in row[0] and "\r" not in row[0]])
def test_the_kind_of_line_end_makes_no_difference(text, value, line_end):
    assert read(text.replace("\n", line_end)) == repr(value)


def test_pyyaml_reads_each_text_as_that_value_too():
    pyyaml = module("yaml")
    for text, value in TABLE:
        if "2001-01-01" not in text:  # which is not text there
            assert (text, repr(pyyaml.safe_load(text))) == (text, repr(value))


KEY_FORMS = ["%s: a", "b: c\n%s: a", "- %s: a", "{%s: a}", "{b: c, %s: a}", "[%s: a]"]


@pytest.mark.parametrize("form", KEY_FORMS)
@pytest.mark.parametrize(
    "text, key",
    [
        ("k" * 1024, "k" * 1024),
        ("k" + " " * 1023, "k"),
        ("'%s'" % ("k" * 1022), "k" * 1022),
        ('"%s"' % ("\\n" * 511), "\n" * 511),
    ],
    ids=["plain", "blanks", "single", "double"],
)
def test_from_a_keys_begin_to_its_colon_there_may_be_1024_characters(form, text, key):
    assert repr({key: "a"})[1:-1] in read(form % text)
    assert "1024 characters" in refusal(form % (text + " ")).message


# What is refused


@pytest.mark.parametrize(
    "text, place, word",
    [
        # Beyond data
        ("&a b", (1, 1), "anchors"),
        ("a: &b c", (1, 4), "anchors"),
        ("- a\n- *b", (2, 3), "aliases"),
        ("a: *.exr", (1, 4), "aliases"),
        ("!!str a", (1, 1), "tags"),
        ("[!a b]", (1, 2), "tags"),
        ("%YAML 1.1\n---\na", (1, 1), "directives"),
        ("a: %b", (1, 4), "directives"),
        ("? a\n: b", (1, 1), "complex keys"),
        ("[a]: b", (1, 1), "complex keys"),
        ("a:\n  {b: c}: d", (2, 3), "complex keys"),
        ("{[a]: b}", (1, 2), "complex keys"),
        ("{a: b, {c: d}: e}", (1, 8), "complex keys"),
        ("[[a]: b]", (1, 2), "complex keys"),
        ("{{a}}", (1, 2), "complex keys are not supported; put quotes around text that begins with {"),
        ("a: {{b}}", (1, 5), "complex keys"),
        ("{? a}", (1, 2), "complex keys"),
        ("<<: {a: b}", (1, 1), "merge keys"),
        ("a: b\n<<: c", (2, 1), "merge keys"),
        ("- <<", (1, 3), "merge keys"),
        ("{<<: a}", (1, 2), "merge keys"),
        ("=: a", (1, 1), "default values"),
        ("a: =", (1, 4), "default values"),
        ("a\n---\nb", (2, 1), "several documents"),
        ("---\n---", (2, 1), "several documents"),
        ("a: b\n...\nc: d", (3, 1), "several documents"),
        ("'a'\n...\n---", (3, 1), "several documents"),
        ("a: 1\nb: 2\na: 3", (3, 1), "the key 'a' stands twice"),
        ("a: 1\n'a': 2", (2, 1), "the key 'a' stands twice"),
        ("1: a\n0x1: b", (2, 1), "the key 1 stands twice"),
        ("1: a\ntrue: b", (2, 1), "the key True stands twice"),
        ("0: a\n-0.0: b", (2, 1), "the key -0.0 stands twice"),
        ("~: a\nnull: b", (2, 1), "the key None stands twice"),
        (".nan: a\n.NaN: b", (2, 1), "the key nan stands twice"),
        ("- {a: 1, b: 2, a: 3}", (1, 16), "the key 'a' stands twice"),
        ("{a, a}", (1, 5), "the key 'a' stands twice"),
        ("a: %s" % ("1" * 1001), (1, 4), "1000 characters"),
        ("a:\n  b: 0x_", (2, 6), "without digits"),
        # Indentation
        ("a: 1\n  b: 2", (2, 4), "cannot go on from an earlier line"),
        ("a: '1'\n  b: 2", (2, 3), "indented further"),
        ("a:\n    b: 1\n  c: 2", (3, 3), "indented further"),
        ("  a: 1\nb: 2", (2, 1), "indentation"),
        ("- a\nb", (2, 1), "an item"),
        ("- a\nb: c", (2, 1), "an item"),
        ("- 'a'\n - b", (2, 2), "indented further"),
        ("  - a\n- b", (2, 1), "indentation"),
        ("a:\n  - b\n - c", (3, 2), "indented further"),
        ("a: b\n- c", (2, 1), "an item (-)"),
        ("a:\n- b\nc", (3, 1), "a colon"),
        ("a: |\n  b\n c", (3, 2), "indented further"),
        ("a: |\n    \n  b", (3, 3), "indented further"),
        ("a: |3\n  b", (2, 3), "indented further"),
        # Tabs
        ("\ta: b", (1, 1), "a tab"),
        ("a:\n\tb: c", (2, 1), "a tab"),
        ("a:\tb", (1, 3), "a tab"),
        ("-\ta", (1, 2), "a tab"),
        ("- a\n\t- b", (2, 1), "a tab"),
        ("- 'a'\n\t- b", (2, 1), "a tab"),
        ("a: b\t\n", (1, 5), "a tab"),
        ("a: b \t# c", (1, 6), "a tab"),
        ("a: 'b'\t", (1, 7), "a tab"),
        ("a\t: b", (1, 2), "a tab"),
        ("[a\t, b]", (1, 3), "a tab"),
        ("a\n...\n\t", (3, 1), "a tab"),
        ("a:\n  b\n\tc", (3, 1), "a tab"),
        ("[\ta]", (1, 2), "a tab"),
        ("---\ta", (1, 4), "a tab"),
        # Keys and values
        ("a: b\nc", (2, 1), "a colon"),
        ("a: b\nc\nd: e", (2, 1), "a colon"),
        ("a:1\nb: 2", (2, 2), "cannot go on from an earlier line"),
        ("a\nb: c", (2, 2), "cannot go on from an earlier line"),
        ("'a\nb': c", (2, 3), "cannot go on from an earlier line"),
        ("a: b: c", (1, 4), "a mapping cannot begin"),
        ("a: 'b': c", (1, 4), "a mapping cannot begin"),
        ("a: C: \\b", (1, 4), "a mapping cannot begin"),
        ("'a':b", (1, 4), "a blank is missing"),
        ('a:\n  "b" :c', (2, 7), "a blank is missing"),
        ("--- a: b", (1, 5), "a mapping cannot begin"),
        ("a: - b", (1, 4), "a sequence cannot begin"),
        ("--- - a", (1, 5), "a sequence cannot begin"),
        (": a", (1, 1), "a key is missing"),
        ("a: b\n: c", (2, 1), "a key is missing"),
        ("a: 'b' c", (1, 8), "quotes around all of it"),
        ("a: [b]_[c].d", (1, 7), "quotes around all of it"),
        ('a: "b" "c"', (1, 8), "quotes around all of it"),
        ("{a: b} c", (1, 8), "quotes around all of it"),
        ("a: 'b'\n  c", (2, 3), "indented further"),
        ("'a' 'b': c", (1, 5), "quotes around all of it"),
        ("- %s: a" % ("k" * 1025), (1, 3), "1024 characters"),
        ("{a: b, '%s': a}" % ("k" * 1023), (1, 8), "1024 characters"),
        # What no value begins with
        ("a: @b", (1, 4), "@"),
        ("a: `b`", (1, 4), "`"),
        ("a: , b", (1, 4), ","),
        ("}", (1, 1), "}"),
        ("]", (1, 1), "]"),
        ("[@a]", (1, 2), "@"),
        ("[|]", (1, 2), "a block scalar"),
        ("{a: >b}", (1, 5), "a block scalar"),
        ("[- a]", (1, 2), "an item"),
        # Quotes
        ("a: 'b", (1, 4), "'"),
        ('a: "b', (1, 4), '"'),
        ("'a''\nb: c", (1, 1), "'"),
        ('"a\\"', (1, 1), '"'),
        ("a: 'b\n---\n'", (2, 1), "a document"),
        ("'a\n... b'", (2, 1), "a document"),
        ('"a\\\n--- b"', (2, 1), "a document"),
        ('a: "C:\\Users"', (1, 7), "\\U is not an escape"),
        ('a: "C:\\dir"', (1, 7), "\\d is not an escape"),
        ('"a\n  \\x4"', (2, 3), "\\x is not an escape"),
        ('"\\U00110000"', (1, 2), "\\U0010FFFF"),
        ('"\\UFFFFFFFF"', (1, 2), "\\U0010FFFF"),
        # Flow collections
        ("[a, b", (1, 1), "not closed by a ]"),
        ("a: {b: c\nd: e", (2, 2), "a comma or } is missing"),
        ("a: {b: c\n", (1, 4), "not closed by a }"),
        ("[a\n--- b]", (1, 1), "not closed by a ]"),
        ("[a, {b: c]", (1, 10), "a comma or } is missing"),
        ("{a: b, c: [d}", (1, 13), "a comma or ] is missing"),
        ("[a [b]]", (1, 4), "a comma or ] is missing"),
        ("['a' b]", (1, 6), "a comma or ] is missing"),
        ("{a: b: c}", (1, 6), "a comma or } is missing"),
        ("{a?: b}", (1, 3), "quotes around text with a ?"),
        ("[http://a/b?c]", (1, 12), "quotes around text with a ?"),
        ("[a, , b]", (1, 5), ", cannot stand here"),
        ("[,]", (1, 2), ", cannot stand here"),
        ("{: a}", (1, 2), "a key is missing"),
        ("[:a]", (1, 2), "a key is missing"),
        ("{a: :b}", (1, 5), "a key is missing"),
        ("{a\n: b}", (2, 1), "on one line"),
        ("{a b\nc: d}", (2, 2), "on one line"),
        ("['a\nb': c]", (2, 3), "on one line"),
        ("[a, b:", (1, 7), "ends where a value should be"),
        ("[a]]", (1, 4), "quotes around all of it"),
        # Block scalars
        ("a: |b\n", (1, 4), "behind | only"),
        ("a: >0\n b", (1, 4), "behind > only"),
        ("|10\n a", (1, 1), "behind | only"),
        ("|--\n a", (1, 1), "behind | only"),
        ("|#a\n b", (1, 1), "behind | only"),
        ("|\t\n b", (1, 1), "behind | only"),
        ("a: | b\n", (1, 4), "behind | only"),
        ("|: a", (1, 1), "behind | only"),
        # Documents
        ("...", (1, 1), "cannot begin with its end"),
        ("# a\n...\nb", (2, 1), "cannot begin with its end"),
        ("a: b\n--- c", (2, 1), "several documents"),
        ("[a]\nb", (2, 1), "belongs to nothing before it"),
        # Characters
        ("a: b\0", (1, 5), "U+0000"),
        ("a\nb\x1bc", (2, 2), "U+001B"),
        ("\x7f", (1, 1), "U+007F"),
        ("\x84", (1, 1), "U+0084"),
        ("\x86", (1, 1), "U+0086"),
        ("'\ud800'", (1, 2), "U+D800"),
        ("# \uffff", (1, 3), "U+FFFF"),
        ("a\r\n\ufffe", (2, 1), "U+FFFE"),
    ],
)
def test_what_is_refused_is_refused_at_its_place_by_its_name(text, place, word):
    error = refusal(text)
    assert word in error.message
    assert (error.line, error.column) == place
    assert str(error) == "line %d, column %d: %s" % (error.line, error.column, error.message)


def test_a_refusal_is_a_value_error_of_one_line_whatever_the_text():
    error = refusal("'a\\\u2028\nb': 1\n'a\\\u2028\nb': 2\n")
    assert isinstance(error, ValueError)
    error = refusal('"a\\n\\L": 1\n"a\\n\\L": 2\n')
    assert error.message == "the key 'a\\n\\u2028' stands twice in one mapping"


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r", "\x85", "\u2028", "\u2029"])
def test_a_place_counts_every_kind_of_line_end_once(line_end):
    error = refusal(line_end.join(["a: b", "", "c: @"]))
    assert (error.line, error.column) == (3, 4)


# Hostile texts


# Ways to nest collections, two levels a step, and what stands within.
NESTS = {
    "flow sequences": ("[[", "]]", 1),
    "flow mappings": ("{a: {b: ", "}}", 1),
    "pairs of flow": ("[{a: ", "}]", 1),
    "sequences": ("- - ", "", 1),
    "sequences of lines": ("-\n%(indent)s -\n%(indent)s  ", "", 2),
    "mappings": ("a:\n%(indent)s b:\n%(indent)s  ", "", 2),
    "mappings of sequences": ("a:\n%(indent)s- ", "", 2),
    "mappings of indented sequences": ("a:\n%(indent)s - ", "", 3),
    "sequences of mappings": ("- a:\n%(indent)s   ", "", 3),
}


def nest(form, steps, innermost):
    opening, closing, columns = NESTS[form]
    begins = [opening % {"indent": " " * columns * step} for step in range(steps)]
    return "".join(begins) + innermost + closing * steps


@pytest.mark.parametrize("innermost", ["a", "", "'a'"])
@pytest.mark.parametrize("form", sorted(NESTS))
def test_a_hundred_levels_are_read(form, innermost):
    value = yaml.loads(nest(form, 50, innermost))
    levels = 0
    while isinstance(value, (list, dict)) and value:
        [value] = value if isinstance(value, list) else value.values()
        levels += 1
    assert levels + (value == []) == 100


@pytest.mark.parametrize("innermost", ["[]", "{}", "[a]", "- a", "-", "a: b"])
@pytest.mark.parametrize("form", sorted(NESTS))
def test_a_hundred_and_one_levels_are_refused(form, innermost):
    if "flow" in form and innermost[0] not in "[{":
        innermost = "[%s]" % innermost
    text = nest(form, 50, innermost)
    error = refusal(text)
    assert "more than 100 levels" in error.message
    lines = text.split("\n")
    assert (error.line, error.column) == (len(lines), lines[-1].rindex(innermost) + 1)


@pytest.mark.parametrize("form", sorted(NESTS))
def test_a_hundred_levels_need_no_more_than_250_frames(form):
    text = nest(form, 50, "a")
    frame, depth = sys._getframe(), 0
    while frame:
        frame, depth = frame.f_back, depth + 1
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(depth + 250)
    try:
        yaml.loads(text)
    finally:
        sys.setrecursionlimit(limit)


HOSTILE = {
    "brackets": lambda n: "[" * n,
    "braces": lambda n: "{" * n,
    "dashes": lambda n: "-" * n,
    "flow mappings in each other": lambda n: "{a: " * (n // 4),
    "sequences in mappings": lambda n: "".join("{0}a:\n{0}-\n".format(" " * level) for level in range(int(n**0.5))),
    "items": lambda n: "- " * (n // 2),
    "colons": lambda n: ":" * n,
    "keys in a line": lambda n: "a:" * (n // 2),
    "questions": lambda n: "?" * n,
    "commas": lambda n: "," * n,
    "hashes": lambda n: "#" * n,
    "comments": lambda n: "# a\n" * (n // 4),
    "comments behind blanks": lambda n: "a" + " #" * (n // 2),
    "hashes in text": lambda n: "a#" * (n // 2),
    "line breaks": lambda n: "\n" * n + "a",
    "carriage returns": lambda n: "a" + "\r" * n + "b",
    "blanks": lambda n: "a" + " " * n + "b",
    "blanks at the end": lambda n: "a" + " " * n,
    "blank lines": lambda n: "a" + " \n" * (n // 2) + "b",
    "words": lambda n: "a " * (n // 2),
    "lines": lambda n: "a\n" * (n // 2),
    "backslashes": lambda n: "\\" * n,
    "single quotes": lambda n: "'" * (n + 1),
    "pairs of single quotes, not closed": lambda n: "'" + "''" * (n // 2) + "a",
    "double quotes": lambda n: '"' * n,
    "backslashes in quotes": lambda n: '"%s"' % ("\\" * (n // 2 * 2)),
    "backslashes in quotes, not closed": lambda n: '"' + "\\" * n,
    "escapes": lambda n: '"%s"' % ("\\n" * (n // 2)),
    "escapes, not closed": lambda n: '"' + "\\n" * (n // 2),
    "escaped line breaks": lambda n: '"%s"' % ("\\\n" * (n // 2)),
    "unknown escapes": lambda n: '"%s"' % ("\\q" * (n // 2)),
    "lines in quotes": lambda n: '"%s"' % ("a \n" * (n // 3)),
    "empty lines in quotes": lambda n: "'a%sb'" % ("\n" * n),
    "blanks in quotes": lambda n: "'a%s\n%sb'" % (" " * (n // 2), " " * (n // 2)),
    "blank lines in quotes": lambda n: "'a%sb'" % (" \n" * (n // 2)),
    "quoted items": lambda n: "['a', " * (n // 6),
    "digits": lambda n: "1" * n,
    "binary digits": lambda n: "0b" + "1" * n,
    "hexadecimal digits": lambda n: "0x" + "f" * n,
    "underscores": lambda n: "1" + "_" * n,
    "sexagesimal integer": lambda n: "1" + ":1" * (n // 2),
    "sexagesimal number": lambda n: "1" + ":11" * (n // 3) + ".",
    "almost a sexagesimal number": lambda n: "1" + ":11" * (n // 3) + "x",
    "almost a number": lambda n: "1_" * (n // 2) + "x",
    "decimals": lambda n: "1." + "1" * n + "x",
    "digits of exponent": lambda n: "1.e+" + "1" * n,
    "literal": lambda n: "|\n" + " a\n" * (n // 3),
    "literal of breaks": lambda n: "|\n" + "\n" * n,
    "literal of blanks": lambda n: "|\n" + (" " * 99 + "\n") * (n // 100) + " a",
    "literal of one line of blanks": lambda n: "|\n" + " " * n + "\n a",
    "folded": lambda n: ">\n" + " a\n" * (n // 3),
    "many literals": lambda n: "- |\n\n" * (n // 5),
    "mapping": lambda n: "".join("k%d: v\n" % number for number in range(n // 8)),
    "mapping of nothing": lambda n: "".join("k%d:\n" % number for number in range(n // 8)),
    "sequence": lambda n: "- a\n" * (n // 4),
    "flow sequence": lambda n: "[%s]" % ("a, " * (n // 3)),
    "flow sequence of lines": lambda n: "[%s]" % ("a\n,\n" * (n // 4)),
    "flow mapping": lambda n: "{%s}" % "".join("k%d: v, " % number for number in range(n // 9)),
    "pairs": lambda n: "[%s]" % ("a: b, " * (n // 6)),
    "a long key": lambda n: "a" * n + ": b",
    "a long quoted key": lambda n: "'%s': b" % ("a" * n),
    "markers": lambda n: "---\n" * (n // 4),
    "ends": lambda n: "a\n" + "...\n" * (n // 4),
    "deeper and deeper": lambda n: "".join(" " * level + "- a\n" for level in range(int(n**0.5))),
    "steps": lambda n: ("a:\n" + "".join(" " * level + "a:\n" for level in range(1, 50))) * (n // 1500),
}


@pytest.mark.timeout(60 + THOUSANDS // 50)
@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_a_hostile_text_is_read_or_refused_and_not_for_long(name):
    """Time that grows with the square would be minutes."""
    text = HOSTILE[name](THOUSANDS * 1000)
    try:
        yaml.loads(text)
    except yaml.YAMLDecodeError as error:
        assert len(str(error)) < 2500


def count_calls(text):
    """How many functions are called, those written in C among them, to read ``text``."""
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yaml.loads(text)
    except yaml.YAMLDecodeError:
        pass
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_twice_the_text_takes_twice_the_calls(name):
    calls, twice = (count_calls(HOSTILE[name](size)) for size in (6000, 12_000))
    assert twice < 2.2 * calls + 50
