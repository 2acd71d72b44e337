"""Regular expressions of JSON Schema are ECMA's, and mean here what they mean there in ASCII; the rest is refused."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings, strategies as st

from openjd_adapt.schema.keywords import compile_pattern

# FutureWarning is what re says of sets that it may one day read otherwise; an author can do nothing about it.
pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.pure]
many = settings(max_examples=int(os.environ.get("OPENJD_ADAPT_EXAMPLES", "100")))

NBSP, BOM, LS = "\u00a0", "\ufeff", "\u2028"
ARABIC_ONE = "\u0661"
CLEF = "\U0001d11e"

#: Pattern, texts that it matches, texts that it does not match.
MEANING = [
    # Anywhere in the text, unless anchored; "$" is the very end, and "^" the very beginning.
    ("a", ["a", "cab", "\na\n"], ["", "A", "b"]),
    ("", ["", "a"], []),
    ("^a$", ["a"], ["a\n", "\na", "ab", "ba"]),
    ("^a|b$", ["ax", "xb"], ["xa", "bx", "b\n"]),
    (r"\$", ["$"], ["a"]),
    ("[$.^]", ["$", ".", "^"], ["a", "\n"]),
    (r"\\$", ["\\"], ["\\a", "\\\n"]),
    (r"^\^$", ["^"], [""]),
    # The point is not a line break, and half of no character. (ECMA's is none of "\r", U+2028 and U+2029, either.)
    ("^.$", ["a", CLEF, NBSP, "\x85", "\x0b"], ["\n", "", "ab"]),
    (r"^\.$", ["."], ["a"]),
    ("[.]", ["."], ["a"]),
    # Digits, words and their ends are ASCII.
    (r"^\d+$", ["0", "0123456789"], [ARABIC_ONE, "\u00b2", "", "1\n"]),
    (r"^\D$", ["a", ARABIC_ONE], ["1"]),
    (r"^[\d]$", ["1"], [ARABIC_ONE]),
    (r"^[^\d]$", ["a", ARABIC_ONE], ["1"]),
    (r"^\w$", ["a", "Z", "0", "_"], ["ü", "-", ARABIC_ONE]),
    (r"^\W$", ["ü", "-"], ["a", "_"]),
    (r"^[\w-]+$", ["a-b_c"], ["ü", "a b"]),
    (r"\ba", ["a", "üa"], ["ba"]),
    (r"\Ba", ["ba"], ["a", "üa"]),
    # White space is ASCII's. (ECMA's is Unicode's, and the byte order mark.)
    (r"^\s$", list(" \t\n\r\x0b\x0c"), ["a", "\x85", NBSP, BOM, LS]),
    (r"^\S$", ["a", "\x85", "\x1c", "\u180e", "\u200b", CLEF], [" ", "\n"]),
    (r"^[\s]$", [" ", "\t"], ["a", "s", "\x85"]),
    (r"^[^\s]$", ["a", "\x85"], [" ", "\n"]),
    (r"^[\S]$", ["a", "S"], [" "]),
    (r"^[\s\S]$", ["a", " ", NBSP, "\n", CLEF], [""]),
    # Escapes.
    (r"^\u0061\x62$", ["ab"], ["u0061x62"]),
    (r"^\t\n\v\f\r\0$", ["\t\n\x0b\x0c\r\0"], ["tnvfr0"]),
    (r"^a\/b\-c\_$", ["a/b-c_"], ["a\\/b"]),
    (r"^[\b]$", ["\b"], ["b", ""]),
    (r"^\{\}\[\]\(\)\|\*\+\?$", ["{}[]()|*+?"], []),
    # Classes: what only re gives a meaning is a character like any other.
    ("^[[a]$", ["[", "a"], ["]", "[a"]),
    ("^[a[]$", ["[", "a"], ["]", "a\n"]),
    ("^[[]]$", ["[]"], ["[", "]"]),
    ("^[[:alpha:]]$", ["a]", ":]", "[]"], ["a", "b]"]),
    ("^[a&&b]$", ["a", "b", "&"], ["c"]),
    ("^[a||b~~]$", ["a", "b", "|", "~"], ["c"]),
    (r"^[!-\x2d.]$", ["!", ",", "-", "."], ["/", "z"]),
    (r"^[+-\-0]$", ["+", ",", "-", "0"], ["*", "."]),
    (r"^[\--\/]$", ["-", ".", "/"], [",", "0"]),
    ("^[-a]$", ["-", "a"], ["b"]),
    ("^[a-]$", ["-", "a"], ["b"]),
    (r"^[a\-c]$", ["-", "a", "c"], ["b"]),
    (r"^[\]\\]$", ["]", "\\"], ["\n", "]\n", "a"]),
    (r"^[^\]]x$", ["ax"], ["]x", "x"]),
    ("^[a^]$", ["a", "^"], ["b"]),
    ("^[^^]$", ["a"], ["^"]),
    (r"^[\^a]$", ["a", "^"], ["b"]),
    ("^[(?<a>]$", ["(", "?", "<", "a", ">"], ["b"]),
    (r"^[$.*+?()|{}]+$", ["$.*+?()|{}"], ["a"]),
    (r"^[\s]+$", [" \t"], ["s"]),
    # Groups.
    ("^(?:ab)+$", ["abab"], ["aba"]),
    ("a(?=b)", ["ab"], ["ac"]),
    ("a(?!b)", ["ac", "a"], ["ab"]),
    ("(?<=a)b", ["ab"], ["cb"]),
    ("(?<!a)b", ["cb", "b"], ["ab"]),
    # Repetitions.
    ("^a{2}$", ["aa"], ["a", "aaa"]),
    ("^a{2,}$", ["aa", "aaa"], ["a"]),
    ("^a{1,2}?$", ["a", "aa"], ["aaa"]),
    ("^a{$", ["a{"], ["a"]),
    ("^a{b}$", ["a{b}"], ["ab"]),
    ("^]}$", ["]}"], ["]"]),
    # Characters outside the basic plane are one.
    ("^[%s]$" % CLEF, [CLEF], ["a"]),
    ("^%s?$" % CLEF, ["", CLEF], ["a"]),
    # A lone surrogate, which JSON can carry.
    ("^\ud800$", ["\ud800"], ["a"]),
]

REFUSED = [
    (r"\p{L}", r"bad escape \p"),
    (r"^\p{Letter}+$", r"bad escape \p"),
    (r"[\p{L}]", r"bad escape \p"),
    (r"\Z", r"bad escape \Z"),
    (r"\z", r"bad escape \z"),
    (r"\A", r"bad escape \A"),
    (r"\a", r"bad escape \a"),
    (r"[\Z]", r"bad escape \Z"),
    (r"[\B]", r"bad escape \B"),
    (r"\U0001d11e", r"bad escape \U"),
    (r"\N{DIGIT ONE}", r"bad escape \N"),
    (r"\cA", r"bad escape \c"),
    (r"[\cA]", r"bad escape \c"),
    (r"\u12", r"incomplete escape \u12"),
    (r"\u{61}", r"incomplete escape \u"),
    (r"[\u{61}]", r"incomplete escape \u"),
    # What a group has found that has found nothing is nothing to ECMA; to re it is nowhere.
    (r"^(a)?\1b$", r"bad escape \1"),
    (r"[\1]", r"bad escape \1"),
    (r"\k<a>", r"bad escape \k"),
    ("(?<a>x)", "unknown extension ?<a"),
    ("(?P<a>x)(?P<a>y)", "redefinition of group name 'a'"),
    ("(", "missing )"),
    (")", "unbalanced parenthesis"),
    ("*", "nothing to repeat"),
    ("a**", "multiple repeat"),
    ("a{2,1}", "min repeat greater than max repeat"),
    ("a{99999999999}", "the repetition number is too large"),
    ("[a", "unterminated character set"),
    ("[", "unterminated character set"),
    ("[^", "unterminated character set"),
    (r"[a\]", "unterminated character set"),
    ("[b-a]", "bad character range b-a"),
    (r"[\d-z]", r"bad character range \d-z"),
    (r"[\s-\uffff]", r"bad character range \s-\u"),
    (r"[a-\s]", r"bad character range a-\s"),
    (r"[\t-\S]", r"bad character range \t-\S"),
    ("[+--]", "-- in a character set"),
    ("[--/]", "-- in a character set"),
    ("[a-c--z]", "-- in a character set"),
    ("[]", "empty character set []"),
    ("[]a]", "empty character set []"),
    ("a[^]|b", "empty character set [^]"),
    ("[.", "unterminated character set"),
    ("(?<=a+)b", "look-behind requires fixed-width pattern"),
    ("a\\", "bad escape (end of pattern)"),
    ("(" * 5000, "nested too deeply"),
]


@pytest.mark.parametrize("pattern, matching, others", MEANING, ids=[repr(row[0]) for row in MEANING])
def test_a_pattern_matches_what_it_matches_in_ecma_script(pattern, matching, others):
    search = compile_pattern(pattern).search
    assert [text for text in matching if not search(text)] == []
    assert [text for text in others if search(text)] == []


@pytest.mark.parametrize("pattern, complaint", REFUSED, ids=range(len(REFUSED)))
def test_what_re_cannot_do_is_refused_with_the_reason(pattern, complaint):
    with pytest.raises(ValueError) as caught:
        compile_pattern(pattern)
    assert complaint in str(caught.value)


def test_what_only_re_knows_passes():
    assert compile_pattern("(?i)^ab$").search("AB")
    assert compile_pattern("(?P<x>a)(?P=x)").search("aa")
    assert compile_pattern("^a{,2}$").search("")


def test_a_long_pattern_takes_no_longer_than_its_length():
    for pattern in ["[" * 40_000, "(?<" * 20_000, r"\k<" * 20_000]:
        with pytest.raises(ValueError):
            compile_pattern(pattern)


# Classes, put together at random from parts whose meaning is known

ALPHABET = " !$&+,-./09:AZ[\\]^_`az|~\u00a0\u00e9\u2028\ufeff" + CLEF
SETS = {r"\d": set("09"), r"\w": set("09AZ_az"), r"\s": set(" ")}
SETS.update({escape: set(ALPHABET) - SETS[escape.lower()] for escape in (r"\D", r"\W", r"\S")})


@st.composite
def written(draw, char):
    """A character as a pattern may write it inside a class."""
    ways = []
    if ord(char) < 0x10000:
        ways.append("\\u%04x" % ord(char))
    if char in "\\]^-":
        ways.append("\\" + char)
    else:
        ways.append(char)
    return draw(st.sampled_from(ways))


@st.composite
def class_parts(draw):
    """A part of a class, and those of ALPHABET that it stands for."""
    kind = draw(st.sampled_from(["char", "range", "set"]))
    if kind == "set":
        return draw(st.sampled_from(sorted(SETS.items())))
    first, last = sorted(draw(st.tuples(*[st.sampled_from(ALPHABET)] * 2)))
    if kind == "char":
        return draw(written(first)), {first}
    return "%s-%s" % (draw(written(first)), draw(written(last))), {char for char in ALPHABET if first <= char <= last}


@many
@given(st.lists(class_parts(), min_size=1, max_size=5), st.booleans())
def test_a_class_holds_what_its_parts_hold(parts, negated):
    pattern = "^[%s%s]$" % ("^" if negated else "", "".join(text for text, _ in parts))
    search = compile_pattern(pattern).search
    members = set().union(*(members for _, members in parts))
    expected = set(ALPHABET) - members if negated else members
    assert {char for char in ALPHABET if search(char)} == expected


@many
@given(st.text(st.sampled_from("ab[]()^$.*+?{}|\\-&~,:<>=!/dswBkuxcp01 \n\u00e9"), max_size=14) | st.text(max_size=8))
def test_any_text_is_a_pattern_or_refused(text):
    try:
        compile_pattern(text).search("ab")
    except ValueError:
        pass
