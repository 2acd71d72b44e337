"""YAML beside PyYAML: whatever the text, the value is PyYAML's to the last bit, or it is refused for a reason."""

from __future__ import annotations

import json
import os
import re

import pytest
from hypothesis import example, given, note, settings, strategies as st

from openjd_adapt import yaml

from .conftest import CORPUS, missing, module

# How many examples each of these tests tries; CI says 5000.
EXAMPLES = int(os.environ.get("OPENJD_ADAPT_EXAMPLES", "40"))

bounded = settings(max_examples=EXAMPLES, print_blob=True)
pytestmark = [pytest.mark.timeout(120 + EXAMPLES // 5), pytest.mark.pure]


def read(text):
    """The value of ``text`` as its repr, which tells True from 1, 1.0 from 1, and shows the order of keys."""
    return repr(yaml.loads(text))


# The judge


@pytest.fixture(scope="module")
def pyyaml():
    """PyYAML, which the package neither needs nor installs."""
    return module("yaml")


@pytest.fixture(scope="module")
def judge(pyyaml):
    """Holds our reading of a text against PyYAML's; True if both read it."""

    class Loader(pyyaml.SafeLoader):
        """PyYAML's safe loader, which leaves timestamps the text that they are and notes duplicate keys."""

        yaml_implicit_resolvers = {
            first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
            for first, resolvers in pyyaml.SafeLoader.yaml_implicit_resolvers.items()
        }
        twice = False

        def construct_mapping(self, node, deep=False):
            mapping = super().construct_mapping(node, deep)
            self.twice |= len(mapping) < len(node.value)
            return mapping

    def beyond_data(text):
        """The names of what stands in ``text``, by PyYAML's own tokens, that is meant to be refused."""
        for token in pyyaml.scan(text):
            name = type(token).__name__
            if name in ("AnchorToken", "AliasToken", "TagToken", "DirectiveToken"):
                yield {"A": "anchors", "T": "tags", "D": "directives"}[name[0]] if name[1] != "l" else "aliases"
            elif name == "KeyToken" and text[token.start_mark.index] == "?":
                yield "complex keys"
            elif name == "ScalarToken" and token.plain and token.value in ("<<", "="):
                yield "merge keys" if token.value == "<<" else "default values"

    def judge(text):
        twice = False
        try:
            loader = Loader(text)
            theirs = repr(loader.get_single_data())
            twice = loader.twice
        except (pyyaml.YAMLError, ValueError, OverflowError):  # the last two are crashes over a scalar
            theirs = None
        try:
            ours = read(text)
        except yaml.YAMLDecodeError as error:
            check_error(error, text)
            if theirs is not None:
                reasons = ["the key .* stands twice"] * twice
                reasons += ["%s .*are not supported" % re.escape(name) for name in beyond_data(text)]
                assert any(re.match(reason, error.message) for reason in reasons), (error, theirs)
            return False
        assert theirs is not None, "PyYAML refuses what was read as " + ours
        assert ours == theirs
        return True

    return judge


def check_error(error, text):
    """That ``error`` is one line, and its place one in ``text``."""
    assert str(error) == "line %d, column %d: %s" % (error.line, error.column, error.message)
    assert len(str(error).splitlines()) == 1
    lines = re.split("\r\n|[\n\r\x85\u2028\u2029]", text)
    assert 1 <= error.line <= len(lines)
    assert 1 <= error.column <= len(lines[error.line - 1]) + 1


# Documents of the supported part, in every dress


def spaced(text):
    return re.findall(r"\S+", text)


# What may stand in a text as it is, but for U+2028 and U+2029, which end a line.
PRINTABLE = re.compile("[\t\n -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
NO_TEXT = {"", "~", "<<", "="} | {
    word
    for lower in ("null", "yes", "no", "true", "false", "on", "off")
    for word in (lower, lower.capitalize(), lower.upper())
}
# What begins like a number, or looks like something else, and is text.
ONLY_TEXT = spaced(
    "1e3 1e+3 08 -.5 -_1 0:30 1:60 1:5x 1_a 0x 0xg 0b 0b2 0o7 +.nan -.nan .infinity ._1 . .. +1- 1.5.2 1,000 1-10 --5 "
    "2001-01-01 2001-12-14t21:59:43.10-05:00 12:30:45.5.5 0x1.8 1.0e5 1.0e+ -x -- .a yEs nULL truE y n ~a <<x == a=b "
    r"C:\a\b \\server\share http://host/x?y=z#a %x a%b a@b a&b a*b a!b a|b a>b it's say\"x\" a#b a:b a::b [x]_[#].y é"
)
LETTERS = "abcxyz019 \n\n  :#-?/\\.,'\"!&*%@{}[]|>=~_\t"
STRANGE = "\0\a\b\v\f\r\x1b\x7f\x85\xa0é\u2028\u2029\ufeff日\ud800\uffff\U0001f980"

words = st.lists(st.sampled_from(spaced("a bc def - ? # : b:c d#e ... * {x}")), max_size=9).map(" ".join)
texts = st.one_of(
    words,
    words,
    st.lists(st.lists(st.sampled_from(["a", "bc", "def"]), min_size=1).map(" ".join), max_size=4).map("\n".join),
    st.text(LETTERS, max_size=20),
    st.text(LETTERS + STRANGE, max_size=12),
    st.text("ab \n\t", max_size=16),
    st.sampled_from(ONLY_TEXT),
    st.sampled_from(sorted(NO_TEXT)),
    st.sampled_from(
        ["--- a", "...", "a\n--- b", "x ... y", "- a", "? a", "a: b", "a #b", "a:", "#a", "1", "1.5", " a", "a "]
    ),
)
floats = st.floats(allow_nan=False) | st.sampled_from([0.1, -0.0, 1e16, 1e-7, 90.5])
keys = st.none() | st.booleans() | st.integers() | floats | texts
scalars = keys | st.just(float("nan"))
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
# Not a lone scalar more often than not, as those are found in collections, too.
documents = st.lists(values, min_size=2, max_size=4) | st.dictionaries(keys, values, min_size=2, max_size=4) | values

COMMENTS = ["#", "# ", "#c", "# a: b", "# - 'x", '# "[{', "#\ttab", "# é"]


class Writer:
    """Writes a value as YAML, each part in a dress that ``random`` chooses; ``parts`` are the pieces of the text.

    It follows the specification and PyYAML's rules, and nothing of the reader's, so that a value that is read back
    unequal, or refused, is the reader's mistake.
    """

    def __init__(self, random):
        self.random = random
        self.parts = []
        # Behind a block scalar "clip" or "keep": what is indented may be its own, and behind "keep" empty lines are.
        self.behind_block = ""

    def maybe(self):
        return self.random.choice([False, True])

    def blanks(self, least=0):
        return " " * self.random.choice([least, least, least + 1, least + 3])

    def document(self, value):
        choose = self.random.choice
        self.parts.append(choose(["", "", "\ufeff"]))
        self.fillers()
        if self.maybe():
            self.parts.append("---")
            self.block(value, -1, "marker")
        else:
            self.block(value, -1, "begin")
        self.fillers()
        for _ in range(choose([0, 0, 1, 2])):
            self.parts.append("..." + self.blanks() + choose(["", " #c"]) + "\n")
            self.behind_block = ""
            self.fillers()
        text = "".join(self.parts)
        if not self.behind_block and self.maybe():
            text = re.sub("\n$", "", text)
        ending = choose(["\n", "\n", "\r\n", "\r", "\x85", "mixed"])
        if ending == "mixed":  # without "\r" alone, which would be one with a "\n" behind it
            return re.sub("\n", lambda _: choose(["\n", "\r\n", "\x85"]), text)
        return text.replace("\n", ending)

    # Blocks

    def fillers(self):
        """Empty lines and comments, which may stand between any two lines of block collections."""
        for _ in range(self.random.choice([0, 0, 0, 1, 2])):
            if self.behind_block == "keep" or self.maybe():
                indent = "" if self.behind_block else self.blanks()
                self.parts.append(indent + self.random.choice(COMMENTS) + "\n")
                self.behind_block = ""
            else:
                self.parts.append(("" if self.behind_block else self.blanks()) + "\n")

    def line_end(self):
        self.parts.append(self.random.choice(["", "", "", " ", " " + self.random.choice(COMMENTS)]) + "\n")
        self.behind_block = ""

    def block(self, value, parent, after):
        """``value`` in a collection at the column ``parent``, behind its "begin", "marker", "colon" or "dash"."""
        collection = isinstance(value, (list, dict)) and value
        if not collection or self.random.choice([True] + [False] * 6):
            self.one_line(value, parent, after)
        else:
            self.collection(value, parent, after)

    def one_line(self, value, parent, after):
        """A scalar or a flow collection; it may well take several lines, but it is not a block collection."""
        if value is None and after != "begin" and self.maybe():
            self.line_end()
            return
        as_block = isinstance(value, str) and block_lines(value) is not None and self.maybe()
        least = max(parent, 0) if as_block else parent + 1
        if after != "begin" and self.random.choice([False, False, True]):
            self.line_end()
            self.fillers()
            self.parts.append(" " * least + self.blanks())
        elif after == "begin":
            self.parts.append(self.blanks())
        else:
            self.parts.append(self.blanks(1))
        if as_block:
            self.block_scalar(value, parent)
            return
        text = self.flow(value, parent + 1, "block")
        self.parts.append(text)
        if text[0] in "[{'\"" and self.maybe():
            self.parts.append("#right behind it")
        self.line_end()

    def collection(self, value, parent, after):
        in_line = after == "begin" or (after == "dash" and self.maybe())
        unindented = after == "colon" and isinstance(value, list) and self.maybe()
        if after == "dash" and in_line:
            between = self.blanks(1)
            column = parent + 1 + len(between)
            self.parts.append(between)
        elif after == "begin":
            column = len(self.blanks())
            self.parts.append(" " * column)
        else:
            column = parent if unindented else parent + 1 + len(self.blanks())
            self.line_end()
        for index, item in enumerate(value):
            if index or not in_line:
                self.fillers()
                self.parts.append(" " * column)
            if isinstance(value, list):
                self.parts.append("-")
                self.block(item, column, "dash")
            else:
                self.parts.append(self.scalar(item, 0, "key") + self.blanks() + ":")
                self.block(value[item], column, "colon")

    def block_scalar(self, text, parent):
        """``text`` behind | or >, with every indicator that gives it back."""
        lines, last_breaks = block_lines(text)
        least = max(parent + 1, 1)
        begins_blank = bool(re.match("\n* ", text))
        digit = self.random.choice([1, 2, 5, 9]) if begins_blank or self.maybe() else 0
        columns = least + (digit or self.random.choice([1, 2, 4])) - 1
        if last_breaks == 0:
            chomping = "-"
        elif last_breaks == 1 and lines:
            chomping = self.random.choice(["", "+"])
        else:
            chomping = "+"
        indicators = [chomping, str(digit or "")]
        if self.maybe():
            indicators.reverse()
        folded = "\u2028" not in text and "\u2029" not in text and self.maybe()
        self.parts.append((">" if folded else "|") + "".join(indicators))
        self.line_end()
        if folded:
            lines = self.fold(lines)
        written = [
            (" " * columns if line else " " * self.random.choice([0, 1, columns])) + line + line_break
            for line, line_break in lines
        ]
        # An empty line that is indented further than the first text would say where text begins.
        written += [" " * self.random.choice([0, 1, columns]) + "\n" for _ in range(last_breaks - bool(lines))]
        self.parts += written
        self.behind_block = "keep" if chomping == "+" else "clip"

    def fold(self, lines):
        """Lines that are folded to ``lines``."""
        folded = []
        for index, (line, _) in enumerate(lines):
            if line and line[0] not in " \t":
                pieces = self.break_at_blanks(line)
                folded += [(piece, "\n") for piece in pieces]
                following = next((other for other, _ in lines[index + 1 :] if other), None)
                if following and following[0] not in " \t":
                    folded.append(("", "\n"))
            else:
                folded.append((line, "\n"))
        return folded

    def break_at_blanks(self, line):
        """``line`` in pieces, which a single blank was between."""
        pieces = [""]
        for piece in re.split("(?<=[^ \t]) (?=[^ \t])", line):
            if pieces[-1] and self.maybe():
                pieces.append(piece)
            else:
                pieces[-1] += " " + piece if pieces[-1] else piece
        return pieces

    # Flow

    def space(self):
        """What may stand between any two tokens of a flow collection."""
        return self.random.choice(["", "", "", " ", "  ", "\n", "\n  ", " #c, ]\n ", "\n\n#c\n"])

    def flow(self, value, indent, where):
        """``value`` as a scalar or flow collection, whose further lines begin at ``indent`` or right of it."""
        if not isinstance(value, (list, dict)):
            return self.scalar(value, indent, where)
        items = []
        for item in value:
            if isinstance(value, dict):
                text = self.pair(item, value[item])
            elif isinstance(item, dict) and len(item) == 1 and self.maybe():
                text = self.pair(*next(iter(item.items())), may_be_bare=False)
            else:
                text = self.flow(item, 0, "flow")
            items.append(self.space() + text + self.space())
        comma = "," + self.space() if items and self.maybe() else ""
        if not items:
            items = [self.space()]
        return "[{"[isinstance(value, dict)] + ",".join(items) + comma + "]}"[isinstance(value, dict)]

    def pair(self, key, value, may_be_bare=True):
        text = self.scalar(key, 0, "flow key")
        if value is None and may_be_bare and self.maybe():
            return text
        text += self.blanks() + ":"
        if value is None and self.maybe():
            return text
        following = self.flow(value, 0, "flow")
        space = self.space()
        # Behind plain text only a blank, or a bracket, makes the colon one.
        if not space and text[0] not in "'\"" and following[0] not in "[{":
            space = " "
        return text + space + following

    # Scalars

    def scalar(self, value, indent, where):
        """``value`` as plain or quoted text; ``where`` is "block", "key", "flow" or "flow key"."""
        choose = self.random.choice
        if value is None:
            return choose(["~", "null", "Null", "NULL"])
        if isinstance(value, bool):
            word = choose(["yes", "true", "on"] if value else ["no", "false", "off"])
            return choose([word, word.capitalize(), word.upper()])
        if isinstance(value, int):
            return self.integer(value)
        if isinstance(value, float):
            return self.float(value)
        many_lines = not where.endswith("key")
        dresses = [self.double]
        if may_be_quoted(value) and (many_lines or "\n" not in value):
            dresses.append(self.single)
        if may_be_plain(value, "flow" in where) and (many_lines or "\n" not in value):
            dresses += [self.plain, self.plain]
        return choose(dresses)(value, indent, many_lines)

    def integer(self, value):
        sign = "-" if value < 0 else self.random.choice(["", "", "+"])
        number = abs(value)
        forms = ["%d", "0x%x", "0x%X", "0%o", "%s"]
        form = self.random.choice(forms)
        if form == "%s":
            if number >= 60 and self.maybe():
                parts = []
                while number >= 60:
                    parts.append(self.random.choice(["%d", "%02d"]) % (number % 60))
                    number //= 60
                return sign + ":".join([str(number), *reversed(parts)])
            digits = "0b" + format(number, "b")
        else:
            digits = form % number
        if len(digits) > 3 and self.maybe():
            place = self.random.choice(range(3, len(digits)))
            digits = digits[:place] + self.random.choice(["_", "__"]) + digits[place:]
        return sign + digits

    def float(self, value):
        if value != value:
            return self.random.choice([".nan", ".NaN", ".NAN"])
        text = repr(value)
        if text.endswith("inf"):
            return text.replace("inf", self.random.choice([".inf", ".Inf", ".INF"]))
        mantissa, e, exponent = text.partition("e")
        if "." not in mantissa:
            mantissa += "."
        if self.maybe():
            mantissa = mantissa.replace(".", "_.") + self.random.choice(["_", "0"])
        if e and exponent[0] not in "+-":
            exponent = "+" + exponent
        if value == 90.5 and self.maybe():
            return "1:30.5"
        if mantissa.startswith("0.") and self.maybe():
            mantissa = mantissa[1:]
        return mantissa + (e and self.random.choice("eE")) + exponent

    def line_breaks(self, count, indent, tab):
        """``count`` line breaks, blanks or ``tab`` around them, and blanks to ``indent`` or right of it."""
        choose = self.random.choice
        breaks = [self.blanks() + choose(["", "", tab]) + "\n" for _ in range(count)]
        return "".join(breaks) + " " * indent + self.blanks() + choose(["", "", tab])

    def fold_flow(self, text, indent, many_lines, tab="\t"):
        """``text``, without blanks around its line breaks, so that it is folded to itself."""
        pieces = re.split("(\n+)", text)
        for index in range(0, len(pieces), 2):
            words = self.break_at_blanks(pieces[index]) if many_lines else [pieces[index]]
            folded = words[:1]
            for word in words[1:]:
                if re.match(r"(---|\.\.\.)(\s|$)", word):
                    folded.append(" " + word)
                else:
                    folded += [self.line_breaks(1, indent, tab), word]
            pieces[index] = "".join(folded)
        pieces[1::2] = [self.line_breaks(len(piece) + 1, indent, tab) for piece in pieces[1::2]]
        return "".join(pieces)

    def plain(self, text, indent, many_lines):
        return self.fold_flow(text, indent, many_lines, tab="")

    def single(self, text, indent, many_lines):
        return "'%s'" % self.fold_flow(text.replace("'", "''"), 0, many_lines)

    def double(self, text, indent, many_lines):
        pieces = []
        bare = '"' not in text and "\\" not in text and may_be_quoted(text) and (many_lines or "\n" not in text)
        if bare and self.maybe():
            return '"%s"' % self.fold_flow(text, 0, many_lines)
        for char in text:
            last = pieces[-1] if pieces else ""
            begins_line = last.strip(" \t").endswith("\n")
            if char in " \n" and many_lines and last not in ("", " ", "\t") and not begins_line and self.maybe():
                pieces.append(self.line_breaks(1 + (char == "\n"), 1, "\t"))
                continue
            piece = char if PRINTABLE.match(char) and char not in '\n"\\' else ""
            if not piece or (begins_line and piece in (" ", "\t")) or self.random.choice([False, False, False, True]):
                piece = self.escape(char)
            # What a line begins with and may not be lost must be no blank, and it may not be a document's end.
            if many_lines and piece not in (" ", "\t", "-", ".") and self.random.choice([False] * 7 + [True]):
                piece = "\\\n" + self.blanks() + piece
            pieces.append(piece)
        return '"%s"' % "".join(pieces)

    def escape(self, char):
        forms = ["\\U%08x" % ord(char)]
        if ord(char) < 0x10000:
            forms.append("\\u%04X" % ord(char))
        if ord(char) < 0x100:
            forms.append("\\x%02x" % ord(char))
        names = '0\0 a\a b\b t\t \t\t n\n v\v f\f r\r e\x1b    "" // \\\\ N\x85 _\xa0 L\u2028 P\u2029'
        forms += ["\\" + names[index] for index in range(0, len(names), 3) if names[index + 1] == char]
        return self.random.choice(forms)


def block_lines(text):
    """The lines of ``text``, each with its break, and how many breaks end it; None if no block scalar can hold it."""
    if not all(PRINTABLE.match(char) or char in "\u2028\u2029" for char in text):
        return None
    body = text.rstrip("\n")
    last_breaks = len(text) - len(body)
    if body.rstrip(" ")[-1:] in ("\u2028", "\u2029"):
        return None  # what clips and keeps a break that is not \n is for the tables
    pieces = re.split("([\n\u2028\u2029])", body)
    lines = [(pieces[index], "".join(pieces[index + 1 : index + 2]) or "\n") for index in range(0, len(pieces), 2)]
    return (lines if body else []), last_breaks


def may_be_quoted(text):
    """Whether single quotes can hold ``text``."""
    printable = all(PRINTABLE.match(char) for char in text)
    return printable and not re.search("[ \t]\n|\n[ \t]|\n(---|[.]{3})([ \t\n]|$)", text)


def may_be_plain(text, in_flow):
    """Whether ``text`` needs no quotes, by the specification; what begins like a number is left to ``ONLY_TEXT``."""
    if not may_be_quoted(text) or "\t" in text or text in NO_TEXT or text != text.strip(" \n"):
        return False
    if re.search("[: \n]#|:[ \n]|:$", text) or re.match(
        r"[,\[\]{}#&*!|>'\"%@`]|[-?:]( |\n|$)|(---|\.\.\.)( |\n|$)", text
    ):
        return False
    if in_flow and re.search(r"[,?\[\]{}]|^:", text):
        return False
    return text in ONLY_TEXT or not re.match("[-+.0-9]", text)


@bounded
@given(documents, st.randoms(use_true_random=True))
def test_any_value_in_any_dress_is_read_as_it_was_meant(value, random):
    text = Writer(random).document(value)
    note(text)
    assert read(text) == repr(value)


@settings(max_examples=max(EXAMPLES // 4, 50), print_blob=True)  # PyYAML takes its time
@given(documents, st.randoms(use_true_random=True))
def test_any_value_in_any_dress_is_read_as_pyyaml_reads_it(judge, value, random):
    text = Writer(random).document(value)
    note(text)
    assert judge(text), "it was refused"


json_keys = st.none() | st.booleans() | st.integers() | floats | st.text(max_size=30) | texts
json_values = st.recursive(
    st.floats() | json_keys,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(json_keys, inner, max_size=4),
    max_leaves=12,
)
dumps = st.fixed_dictionaries(
    {
        "default_flow_style": st.sampled_from([None, False, True]),
        "default_style": st.sampled_from([None, None, None, "'", '"', "|", ">"]),
        "width": st.sampled_from([None, 5, 20, 80, 10_000]),
        "indent": st.sampled_from([None, 1, 2, 3, 7, 9]),
        "allow_unicode": st.booleans(),
        "explicit_start": st.booleans(),
        "explicit_end": st.booleans(),
        "line_break": st.sampled_from([None, "\n", "\r", "\r\n"]),
    }
)


@bounded
@given(json_values, dumps)
def test_whatever_pyyaml_dumps_is_read_as_pyyaml_reads_it(pyyaml, judge, value, options):
    text = pyyaml.safe_dump(value, **options)
    note(text)
    # It writes tags where a style does not fit a value, and "? " before keys that are long or have many lines.
    assert judge(text) or "!!" in text or "? " in text


# Texts of no meaning, and corpus texts that were tampered with


ATOMS = [
    *spaced(
        "a b c 0 1 : - ? # [ ] { } , ' \" '' \\ \\n | > ~ null true --- & * ! % @ ` = << . 1.5 0x1 1:30 é a://b C:\\a"
    ),
    *[" ", "  ", "   ", "\n", "\n", "\n ", "\n  ", "\t", "\r\n", "\r", "\x85", "\u2028", "\ufeff"],
    *[": ", "- ", "? ", " #", ", ", "|\n", ">\n", "|-\n", ">+\n", "|2\n", "---\n", "--- ", "...\n"],
    *["a: ", "\n- ", "\n  - ", "\na: ", "\n  b: ", "\n--- ", "\n'", "\\\n"],
]
atoms = st.sampled_from(ATOMS)
ALIKE = [
    "a:\n|\n  x",
    "-\n|\n x",
    "- |\n   \n  x\n",
    "|\n\t",
    "'a''\nb: c",
    "{.nan: 1, .nan: 2}",
    "{.nan: 1}",
    "[-, -1, - ]",
    "[a, , b]",
    "{a, b: }",
    "{: a}",
    "[a:b, 'a':b, \"a\" :b]",
    '{a: b\n"c": d}',
    "{a\n: b}",
    "{'a': b: c}",
    "a\n  : b",
    "a\n--- b",
    "'a\n--- b'",
    "[a\n--- b]",
    "[\n\ufeff,--- ]",
    "\ufeff\ufeffa: b",
    "\ufeff--- a",
    "a\n...\n---\n",
    "--- a: b",
    "--- - a",
    "---\ta",
    "0x_: a",
    "0b_",
    "9:59.",
    "1%s." % (":1" * 400),
    "'%s': a" % ("k" * 1022),
    "'%s': a" % ("k" * 1023),
    "%s: a" % ("k" * 1024),
    "%s: a" % ("k" * 1025),
    "{%s: a}" % ("k" * 1024),
    "{%s: a}" % ("k" * 1025),
    "a%s: b" % (" " * 1023),
    "a%s: b" % (" " * 1024),
    "[%s: b]" % ("é" * 1025),
]


def and_these(examples):
    """Examples that chance alone would leave out."""

    def add(test):
        for text in examples:
            test = example(text=text)(test)
        return test

    return add


@bounded
@given(text=st.lists(atoms, max_size=30).map("".join))
@and_these(ALIKE)
def test_any_text_is_read_as_pyyaml_reads_it_or_refused(judge, text):
    judge(text)


@pytest.fixture(scope="module")
def real_texts():
    if not CORPUS.exists():
        pytest.skip(missing("corpus"))
    entries = json.loads((CORPUS / "yaml_inputs.json").read_text(encoding="utf-8"))
    return [entry["text"] for entry in entries if len(entry["text"]) < 400]


edits = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3), atoms | st.just("")), min_size=1, max_size=4)


@bounded
@given(st.integers(min_value=0), edits)
def test_a_real_text_that_was_tampered_with_is_read_as_pyyaml_reads_it_or_refused(judge, real_texts, index, changes):
    text = real_texts[index % len(real_texts)]
    for place, length, atom in changes:
        place %= len(text) + 1
        text = text[:place] + atom + text[place + length :]
    note(text)
    judge(text)


@bounded
@given(text=st.binary(max_size=60).map(lambda data: data.decode("latin-1")) | st.text(max_size=60))
def test_any_characters_are_read_as_pyyaml_reads_them_or_refused(judge, text):
    judge(text)


@bounded
@given(st.binary(max_size=60), st.sampled_from(["strict", "replace", "surrogateescape"]))
def test_any_bytes_are_a_value_or_an_error_of_the_decoder(data, errors):
    for encoding in ("latin-1", "utf-8"):
        try:
            text = data.decode(encoding, errors)
        except UnicodeDecodeError:
            continue
        try:
            read(text)
        except yaml.YAMLDecodeError as error:
            check_error(error, text)
