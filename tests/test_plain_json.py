"""What the C parts read and write is what ``json`` does, and what they refuse, it refuses in its words."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import pytest
from hypothesis import given, settings, strategies as st

from openjd_adapt import plain_json

from .conftest import ROOT

pytestmark = [pytest.mark.core, pytest.mark.pure]

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
#: What looks like JSON, and mostly is none.
TEXTS = st.lists(
    st.sampled_from([*'{}[],:"\\ \n\t\ufeff\u00a0', "1", "-0", "1e5", "01", "true", "nul", "NaN", '"a"']), max_size=12
)


def outcome(function, argument):
    """What a function gives, as text so that NaN is like NaN, or the error that it raises."""
    try:
        return repr(function(argument))
    except Exception as error:
        return type(error), str(error)


@given(VALUES)
@settings(max_examples=30)  # of up to 20 texts and numbers each
def test_it_writes_what_json_writes_and_reads_it_again(value):
    text = plain_json.dumps(value)
    assert text == json.dumps(value, separators=(",", ":"))
    assert repr(plain_json.loads(text)) == repr(json.loads(text))


@given(TEXTS.map("".join))
def test_it_reads_or_refuses_what_json_reads_or_refuses(text):
    assert outcome(plain_json.loads, text) == outcome(json.loads, text)


def holds_itself():
    made: list = []
    made.append(made)
    return made


def deep():
    made: list = []
    for _ in range(100_000):
        made = [made]
    return made


@pytest.mark.parametrize("make", [holds_itself, object, lambda: {(1, 2): 3}, lambda: {1, 2}, lambda: b"x", deep])
def test_what_cannot_be_written_is_refused_as_by_json(make):
    value = make()
    assert outcome(plain_json.dumps, value) == outcome(json.dumps, value)


@pytest.mark.parametrize("parts", [True, False])
@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {"x": -float("inf")}], ids=str)
def test_what_only_python_takes_for_json_is_not_written(value, parts, monkeypatch):
    if not parts:
        monkeypatch.setattr(plain_json, "_encoder", None)
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        plain_json.dumps(value)


def test_keys_that_are_no_text_are_written_as_by_json():
    value = {0: 2, None: 3, True: 4, 1.5: 5}
    assert plain_json.dumps(value) == json.dumps(value, separators=(",", ":"))


def test_the_hooks_are_those_of_json():
    hooks = {
        "parse_int": lambda digits: "int " + digits,
        "parse_float": lambda digits: "float " + digits,
        "object_pairs_hook": lambda pairs: ("pairs", pairs),
        "parse_constant": lambda name: "constant " + name,
    }
    for text in ('{"a": [1, 2.5, NaN, -Infinity, {}], "a": {"b": 1e3}}', "[1,", "1 2"):
        read = plain_json.Reader(**hooks).read
        assert outcome(read, text) == outcome(lambda text: json.loads(text, **hooks), text)


def test_it_refuses_in_the_words_of_json_though_that_is_not_loaded_yet():
    texts = ["", "{", "[1,", '"', '{"a" 1}', "1 2", "[nul]", '"\\x"', "\ufeff1"]
    program = (
        "import sys\n"
        "from openjd_adapt import plain_json\n"
        "for text in %r:\n"
        "    loaded = 'json' in sys.modules\n"
        "    try: plain_json.loads(text)\n"
        "    except ValueError as error: print([loaded, str(error)])\n"
        "    for name in [name for name in sys.modules if name.split('.')[0] == 'json']: del sys.modules[name]"
    )
    out = subprocess.check_output([sys.executable, "-c", program % texts], cwd=str(ROOT)).decode()
    assert out.splitlines() == [repr([False, outcome(json.loads, text)[1]]) for text in texts]


def test_a_python_without_those_parts_leaves_all_to_json(monkeypatch):
    monkeypatch.setitem(sys.modules, "_json", None)
    spec = importlib.util.find_spec("openjd_adapt.plain_json")
    other = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(other)
    assert other._encoder is None and plain_json._encoder is not None
    assert other.loads(' {"a": [1]}\n') == {"a": [1]} and other.dumps({"a": [1]}) == '{"a":[1]}'
    assert outcome(other.loads, "[1,") == outcome(json.loads, "[1,")
