"""What is not looked at by line: only blocks in which no line could match."""

from __future__ import annotations

import os
import re

import pytest
from hypothesis import given, settings, strategies as st

from openjd_adapt import RegexCallback, RegexHandler
from openjd_adapt.lines import Prefilter, literals_of

pytestmark = [pytest.mark.core, pytest.mark.pure]

many = settings(max_examples=int(os.environ.get("OPENJD_ADAPT_EXAMPLES", "100")))


@pytest.mark.parametrize(
    "pattern, expected",
    [
        (r"^Frame ([0-9]+) done", ("Frame ",)),
        (r"([0-9]+)% done", ("% done",)),
        (r".*Exception:.*|.*Error:.*|.*SEVERE.*", ("Exception:", "Error:", "SEVERE")),
        (r"\[PROGRESS\] ([0-9]+) percent", ("[PROGRESS] ",)),
        (r"a(?:bc(?P<x>def)g)+h", ("def",)),
        (r"ab\bcd$", ("abcd",)),
        (r"(?i)No LICENSES", ("no licenses",)),
        (r"(?:abc){2,}", ("abc",)),
        (r"(?i)stra\u00dfe (\d+) km", (" km",)),
        # Nothing that must be there.
        (r"", ()),
        (r"[0-9]+", ()),
        (r"(?:abc)?", ()),
        (r"abc|[0-9]", ()),
        (r"(?x) a b", ()),
        (r"(?i:abc)", ()),
        (r"(?!abc)", ()),
        ("|".join("word%d" % n for n in range(40)), ("word",)),
    ],
)
def test_what_a_pattern_cannot_match_without(pattern, expected):
    assert literals_of(re.compile(pattern)) == expected


def test_what_is_no_pattern_of_text_may_be_anywhere():
    class Duck:
        def search(self, text):
            return None

    assert literals_of(re.compile(b"abc")) == ()
    assert Prefilter("x").may_have(Duck()) and Prefilter("x").may_have([])


atoms = st.sampled_from(
    [
        "a",
        "b",
        "ab",
        "k",
        "s",
        "K",
        "\u00df",
        "\u212a",
        "\u017f",
        " ",
        ".",
        "[ab]",
        "[^a]",
        r"\w",
        r"\d",
        r"\b",
        "^",
        "$",
        r"\n",
        "%",
    ]
)


def bigger(inner):
    sequence = st.lists(inner, min_size=1, max_size=4).map("".join)
    group = st.builds("({}{})".format, st.sampled_from(["", "?:", "?i:", "?P<n>", "?=", "?!", "?<!"]), inner)
    repeated = st.builds("(?:{}){}".format, inner, st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "+?", "*?"]))
    return sequence | group | repeated | st.builds("(?:{}|{})".format, inner, inner)


patterns = st.builds(
    "{}{}".format, st.sampled_from(["", "", "(?i)", "(?s)", "(?m)", "(?a)"]), st.recursive(atoms, bigger)
)
lines = st.text(alphabet="abkskK\u00df\u212a\u017fS%1 \u00e4", max_size=12)


def compiled(pattern):
    try:
        return re.compile(pattern)
    except re.error:
        return None


@many
@given(patterns.map(compiled).filter(bool), st.lists(lines, min_size=1, max_size=6))
def test_a_line_that_matches_is_never_overlooked(pattern, texts):
    """Whatever matches a line has one of the literals_of in the block, whatever stands around it."""
    if any(pattern.search(text) for text in texts):
        assert Prefilter("\n".join(texts) + "\n").may_have(pattern)


def test_callbacks_with_a_search_of_their_own_are_always_asked():
    class Own(RegexCallback):
        def get_match(self, msg):
            return None

    handler = RegexHandler([Own([re.compile("abc")], print), RegexCallback([re.compile("abc")], print)])
    assert Prefilter("xyz\n").awake(handler) == handler.regex_callbacks[:1]
    assert Prefilter("xabcz\n").awake(handler) == handler.regex_callbacks
