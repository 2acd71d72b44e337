"""The keywords of JSON Schema: what they ask of a value, and the patterns that they are written in."""

from __future__ import annotations

import operator
import re
from itertools import repeat

from .faults import FAULT_LIMIT, Fault, Listed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable, Match, Sequence

    from .faults import Check, Keyword, Memory, Node, Path, Site


# Regular expressions as JSON Schema writes them (ECMA-262), made ones of ``re``.

#: What ``re`` may read otherwise: a class, an escape, an end; and what of a class.
_TOKEN = re.compile(r"\[(?:\\.|[^\\\]])*\]?|\\.|\$", re.DOTALL)
_MEMBER = re.compile(r"\\.|--|[\[&|~]", re.DOTALL)
#: Letters and digits behind a backslash that mean the same to both, but for ``\s``; all others are refused.
_ESCAPES = "0bBdDfnrsStuvwWx"


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The regular expression of ``re`` for one of ECMA-262. Raises :class:`ValueError` that says what is wrong.

    ``$`` is the very end; ``\\d``, ``\\w``, ``\\b`` and, as in no ECMA-262, ``\\s`` know ASCII only. Refused is what
    ``re`` has not, or reads otherwise: ``\\p{}``, ``\\1``, ``(?<name>)``. What only it knows, such as ``(?i)``, passes.
    """
    try:
        return re.compile(_TOKEN.sub(_translate, pattern), re.ASCII)
    except (re.error, OverflowError) as error:
        raise ValueError(str(error)) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _translate(token: Match[str]) -> str:
    text = token.group()
    if text in ("[]", "[^]"):
        raise ValueError("empty character set %s" % text)
    if text[0] == "[":
        return "[" + _MEMBER.sub(_translate_member, text[1:])
    return r"\Z" if text == "$" else _known(text)


def _translate_member(token: Match[str]) -> str:
    text = token.group()
    if text == "--":
        raise ValueError("-- in a character set")
    # ``re`` warns of what it may one day read as set operations: "[", "&&", "||", "~~".
    return _known(text) if text[0] == "\\" else "\\" + text


def _known(escape: str) -> str:
    if escape[1].isalnum() and escape[1] not in _ESCAPES:
        raise ValueError("bad escape %s" % escape)
    return escape


# Kinds of values


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_integer(value: Any) -> bool:
    """A number without a fraction: 1.0 is one."""
    return is_number(value) and (isinstance(value, int) or value.is_integer())


TYPES: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": is_integer,
    "number": is_number,
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}

_TRUE, _FALSE = object(), object()
_NONE_FITS = "{0!r} is not valid under any of the given schemas"


def identity(value: Any) -> Any:
    """Something hashable that is equal for values that JSON calls equal: 1 and 1.0 are, 1 and true are not."""
    if isinstance(value, bool):
        return _TRUE if value else _FALSE
    if isinstance(value, list):
        return tuple([identity(item) for item in value])
    if isinstance(value, dict):
        return frozenset([(key, identity(item)) for key, item in value.items()])
    return value


# The keywords' arguments


def need_count(argument: Any, site: Site) -> None:
    site.demand(is_integer(argument) and argument >= 0, argument, "a whole number from 0 on")


def need_object(argument: Any, site: Site) -> None:
    site.demand(isinstance(argument, dict), argument, "an object")


def need_pattern(argument: Any, site: Site) -> Callable[[str], object]:
    site.demand(isinstance(argument, str), argument, "a regular expression")
    try:
        return compile_pattern(argument).search
    except ValueError as error:
        site.refuse("%r is not a regular expression that is supported: %s" % (argument, error))


def nodes_of(schemas: Any, site: Site) -> list[Node]:
    site.demand(isinstance(schemas, list) and bool(schemas), schemas, "a list of schemas")
    return [site.node(schema, index) for index, schema in enumerate(schemas)]


def named_nodes(schemas: Any, site: Site) -> dict[str, Node]:
    need_object(schemas, site)
    return {name: site.node(schema, name) for name, schema in schemas.items()}


# The keywords that look at a value alone: types, bounds, sizes, patterns, names.
#
# A keyword's function takes its argument and its :class:`Site`, refuses the argument if it is not one, and returns the
# check of values of the keyword's kind. The texts are those of the PyPI package ``jsonschema``, which adaptors and
# their tests match on.


def value_check(site: Site, fails: Callable[[Any], bool], text: str, argument: Any = None) -> Check:
    """A check; ``text`` is a format for the value and the argument."""

    def check(instance: Any, path: Path, memory: Memory) -> Sequence[Fault]:
        return site.fault(instance, path, text, instance, argument) if fails(instance) else ()

    return check


def _compared(fails: Callable[[Any, Any], bool], words: str) -> Keyword:
    """A keyword that compares numbers with its argument."""

    def keyword(argument: Any, site: Site) -> Check:
        site.demand(is_number(argument), argument, "a number")
        text = "{0!r} is %s {1!r}" % words
        return value_check(site, lambda value: is_number(value) and fails(value, argument), text, argument)

    return keyword


def _sized(fails: Callable[[int, int], bool], words: str) -> Keyword:
    """A keyword that compares lengths with its argument."""
    limit, words_at_limit = (1, "should be non-empty") if fails is operator.lt else (0, "is expected to be empty")

    def keyword(argument: Any, site: Site) -> Check:
        need_count(argument, site)
        text = "{0!r} " + (words_at_limit if argument == limit else words)
        return value_check(site, lambda value: fails(len(value), argument), text)

    return keyword


def _type(argument: Any, site: Site) -> Check:
    names = [argument] if isinstance(argument, str) else argument
    site.demand(isinstance(names, list) and bool(names), argument, "a type or a list of types")
    for name in names:
        site.demand(isinstance(name, str) and name in TYPES, name, "one of " + ", ".join(TYPES))
    first, *others = [TYPES[name] for name in names]
    text = "{0!r} is not of type " + ", ".join(map(repr, names))
    return value_check(site, lambda value: not (first(value) or any(is_kind(value) for is_kind in others)), text)


def _multiple_of(argument: Any, site: Site) -> Check:
    """By the decimals that both numbers are written with: 0.3 is a multiple of 0.1."""
    site.demand(is_number(argument) and argument > 0, argument, "a number above 0")

    def fails(number: Any) -> bool:
        if not is_number(number):
            return False
        if isinstance(number, int) and isinstance(argument, int):
            return number % argument != 0
        from fractions import Fraction

        try:
            dividend, divisor = (Fraction(one if isinstance(one, int) else repr(one)) for one in (number, argument))
        except ValueError:
            return True  # infinite, or no number at all
        return (dividend / divisor).denominator != 1

    return value_check(site, fails, "{0!r} is not a multiple of {1!r}", argument)


def _enum(argument: Any, site: Site) -> Check:
    site.demand(isinstance(argument, list), argument, "a list")
    allowed = {identity(value) for value in argument}
    return value_check(site, lambda value: identity(value) not in allowed, "{0!r} is not one of {1!r}", argument)


def _const(argument: Any, site: Site) -> Check:
    expected = identity(argument)
    return value_check(site, lambda value: bool(identity(value) != expected), "{1!r} was expected", argument)


def _unique_items(argument: Any, site: Site) -> Check | None:
    site.demand(isinstance(argument, bool), argument, "true or false")
    text = "{0!r} has non-unique elements"
    return value_check(site, lambda items: len(set(map(identity, items))) < len(items), text) if argument else None


def _pattern(argument: Any, site: Site) -> Check:
    matches = need_pattern(argument, site)
    return value_check(site, lambda text: not matches(text), "{0!r} does not match {1!r}", argument)


def _required(names: Any, site: Site, text: str = "{0!r} is a required property", given: str = "") -> Check:
    """``text`` is a format for the name of a property that is not there, and for ``given``."""
    site.demand(isinstance(names, list) and all(isinstance(name, str) for name in names), names, "a list of strings")
    return lambda instance, path, memory: [
        Fault(site, instance, path, (text, name, given)) for name in names if name not in instance
    ]


# The keywords that apply further schemas to the value itself.


def _all(checks_of: Callable[[Any], Iterable[Check]]) -> Check:
    """All checks that a value must pass."""
    return lambda instance, path, memory: [
        fault for check in checks_of(instance) for fault in check(instance, path, memory)
    ]


def _all_of(argument: Any, site: Site) -> Check:
    checks = [node.faults for node in nodes_of(argument, site)]
    return _all(lambda value: checks)


def _if_given(check_of: Callable[[str, Any, Site], Check]) -> Keyword:
    """A keyword that has something for each of some properties, which ``check_of`` makes a check if it is given."""

    def keyword(argument: Any, site: Site) -> Check:
        need_object(argument, site)
        checks = {name: check_of(name, value, site) for name, value in argument.items()}
        return _all(lambda value: [check for name, check in checks.items() if name in value])

    return keyword


def _schema_for(name: str, schema: Any, site: Site) -> Check:
    return site.node(schema, name).faults


def _names_for(name: str, names: Any, site: Site) -> Check:
    return _required(names, site, "{0!r} is a dependency of {1!r}", name)


def _either_for(name: str, value: Any, site: Site) -> Check:
    return (_names_for if isinstance(value, list) else _schema_for)(name, value, site)


def _reference(argument: Any, site: Site) -> Check:
    """``$ref``. What a schema has said of a value is remembered, so that references to references stay cheap."""
    site.demand(isinstance(argument, str), argument, "a reference")
    node = site.document.refer(argument, site)

    def check(instance: Any, path: Path, memory: Memory) -> Sequence[Fault]:
        key = (id(node.checks), path, id(instance))
        if key not in memory:
            memory[key] = None
            memory[key] = node.faults(instance, path, memory)
        faults = memory[key]
        if faults is None:
            site.refuse("%r leads back to itself" % argument)
        return faults

    return check


def _any_of(argument: Any, site: Site) -> Check:
    nodes = nodes_of(argument, site)

    def check(instance: Any, path: Path, memory: Memory) -> Sequence[Fault]:
        context: list[Fault] = []
        for node in nodes:
            faults = node.faults(instance, path, memory)
            if not faults:
                return ()
            context += faults
        return site.fault(instance, path, _NONE_FITS, instance, context=context)

    return check


def _one_of(argument: Any, site: Site) -> Check:
    nodes = nodes_of(argument, site)

    def check(instance: Any, path: Path, memory: Memory) -> Sequence[Fault]:
        looked = [(node.schema, node.faults(instance, path, memory)) for node in nodes]
        fitting = [schema for schema, faults in looked if not faults]
        if not fitting:
            context = [fault for _, faults in looked for fault in faults]
            return site.fault(instance, path, _NONE_FITS, instance, context=context)
        if len(fitting) == 1:
            return ()
        several = Listed([*fitting[1:], fitting[0]])
        return site.fault(instance, path, "{0!r} is valid under each of {1}", instance, several)

    return check


def _not(argument: Any, site: Site) -> Check:
    node = site.node(argument)

    def check(instance: Any, path: Path, memory: Memory) -> Sequence[Fault]:
        if node.faults(instance, path, memory):
            return ()
        return site.fault(instance, path, "{0!r} should not be valid under {1!r}", instance, argument)

    return check


def _if(argument: Any, site: Site) -> Check:
    node = site.node(argument)
    then, otherwise = [site.beside(name).node(site.schema.get(name, True)) for name in ("then", "else")]

    def check(instance: Any, path: Path, memory: Memory) -> Sequence[Fault]:
        branch = otherwise if node.faults(instance, path, memory) else then
        return branch.faults(instance, path, memory)

    return check


def _branch(argument: Any, site: Site) -> None:
    """``then`` and ``else``, which ``if`` applies; without it they can but be referred to."""
    if "if" not in site.schema:
        site.node(argument)


def _definitions(argument: Any, site: Site) -> None:
    named_nodes(argument, site)


# The keywords that apply further schemas to the items of an array, or to the properties of an object.


class Parts:
    """A check of parts of a value: ``of`` gives the schemas and the steps to the parts, each of which must fit."""

    def __init__(self, of: Callable[[Any], Iterable[tuple[Node, Any]]]) -> None:
        self.of = of

    def __call__(self, instance: Any, path: Path, memory: Memory) -> Sequence[Fault]:
        found: list[Fault] = []
        for node, step in self.of(instance):
            found += node.faults(instance[step], (*path, step), memory)
            if len(found) > FAULT_LIMIT:
                break  # those of further parts are no better
        return found


def _each(node: Node, first: int) -> Check:
    """The items from ``first`` on."""
    return Parts(lambda items: zip(repeat(node), range(first, len(items))))


def _prefix_items(argument: Any, site: Site) -> Check:
    nodes = nodes_of(argument, site)
    return Parts(lambda items: zip(nodes, range(len(items))))


def _items_or_list(argument: Any, site: Site) -> Check:
    """``items`` in draft-07: a schema for all items, or a list of them for the first."""
    if isinstance(argument, list) and argument:
        return _prefix_items(argument, site)
    return _each(site.node(argument), 0)


def _items_behind(listed: str, default: Any, text: str) -> Keyword:
    """A keyword for the items behind those that ``listed``, a list, has schemas for; ``text`` says that none may be."""

    def keyword(argument: Any, site: Site) -> Check | None:
        node = site.node(argument)
        schemas = site.schema.get(listed, default)
        if not isinstance(schemas, list):
            return None
        first = len(schemas)

        def check(instance: Any, path: Path, memory: Memory) -> Sequence[Fault]:
            extra = instance[first:]
            if not extra:
                return ()
            shown, were = (extra[0], "was") if len(extra) == 1 else (extra, "were")
            items = "item" if first == 1 else "items"
            return site.fault(instance, path, text, first, items, len(extra), shown, Listed(extra), were)

        return check if argument is False else _each(node, first)

    return keyword


def _contains(argument: Any, site: Site) -> Check:
    least, most = site.schema.get("minContains", 1), site.schema.get("maxContains")
    return _counted(argument, site, least, most, "{0!r} does not contain items matching the given schema")


def _contains_one(argument: Any, site: Site) -> Check:
    """``contains`` in draft-07, which has no bounds."""
    return _counted(argument, site, 1, None, "None of {0!r} are valid under the given schema")


def _counted(argument: Any, site: Site, least: int, most: int | None, none: str) -> Check:
    node = site.node(argument)

    def check(instance: Any, path: Path, memory: Memory) -> Sequence[Fault]:
        count = sum(1 for index, item in enumerate(instance) if not node.faults(item, (*path, index), memory))
        if most is not None and count > most:
            return site.fault(instance, path, "Too many items match the given schema (expected at most {0})", most)
        if count >= least:
            return ()
        if not count:
            return site.fault(instance, path, none, instance)
        text = "Too few items match the given schema (expected at least {0} but only {1} matched)"
        return site.fault(instance, path, text, least, count)

    return check


def _properties(argument: Any, site: Site) -> Check:
    nodes = named_nodes(argument, site)
    return Parts(lambda value: [(nodes[name], name) for name in value if name in nodes])


def _pattern_properties(argument: Any, site: Site) -> Check:
    patterns = [(need_pattern(pattern, site), node) for pattern, node in named_nodes(argument, site).items()]
    return Parts(
        lambda value: [
            (node, name) for matches, node in patterns for name in value if isinstance(name, str) and matches(name)
        ]
    )


def _additional_properties(argument: Any, site: Site) -> Check:
    node = site.node(argument)
    known = site.schema.get("properties", ())
    pattern_texts = site.schema.get("patternProperties", {})
    pattern_site = site.beside("patternProperties")
    need_object(pattern_texts, pattern_site)
    patterns = [need_pattern(pattern, pattern_site) for pattern in pattern_texts]

    def extra_of(value: Any) -> list[Any]:
        unknown = (name for name in value if name not in known)
        return [name for name in unknown if not (isinstance(name, str) and any(find(name) for find in patterns))]

    def check(instance: Any, path: Path, memory: Memory) -> Sequence[Fault]:
        names = sorted(extra_of(instance), key=str)
        if not names:
            return ()
        text, one, many = "Additional properties are not allowed ({0} {1} unexpected)", "was", "were"
        if "patternProperties" in site.schema:
            text, one, many = "{0} {1} not match any of the regexes: {2}", "does", "do"
        verb = one if len(names) == 1 else many
        return site.fault(instance, path, text, Listed(names), verb, Listed(sorted(pattern_texts)))

    return check if argument is False else Parts(lambda value: zip(repeat(node), extra_of(value)))


def _property_names(argument: Any, site: Site) -> Check:
    node = site.node(argument)
    return lambda instance, path, memory: [fault for name in instance for fault in node.faults(name, path, memory)]


# The drafts of JSON Schema: which keywords each has, and values of which kind each looks at.

_BOTH: dict[str, tuple[type, Keyword]] = {
    "type": (object, _type),
    "enum": (object, _enum),
    "const": (object, _const),
    "minimum": (object, _compared(operator.lt, "less than the minimum of")),
    "maximum": (object, _compared(operator.gt, "greater than the maximum of")),
    "exclusiveMinimum": (object, _compared(operator.le, "less than or equal to the minimum of")),
    "exclusiveMaximum": (object, _compared(operator.ge, "greater than or equal to the maximum of")),
    "multipleOf": (object, _multiple_of),
    "minLength": (str, _sized(operator.lt, "is too short")),
    "maxLength": (str, _sized(operator.gt, "is too long")),
    "minItems": (list, _sized(operator.lt, "is too short")),
    "maxItems": (list, _sized(operator.gt, "is too long")),
    "minProperties": (dict, _sized(operator.lt, "does not have enough properties")),
    "maxProperties": (dict, _sized(operator.gt, "has too many properties")),
    "uniqueItems": (list, _unique_items),
    "pattern": (str, _pattern),
    "required": (dict, _required),
    "$ref": (object, _reference),
    "allOf": (object, _all_of),
    "anyOf": (object, _any_of),
    "oneOf": (object, _one_of),
    "not": (object, _not),
    "if": (object, _if),
    "then": (object, _branch),
    "else": (object, _branch),
    "$defs": (object, _definitions),
    "definitions": (object, _definitions),
    "properties": (dict, _properties),
    "patternProperties": (dict, _pattern_properties),
    "additionalProperties": (dict, _additional_properties),
    "propertyNames": (dict, _property_names),
}
DRAFT_2020_12: dict[str, tuple[type, Keyword]] = {
    **_BOTH,
    "prefixItems": (list, _prefix_items),
    "items": (list, _items_behind("prefixItems", [], "Expected at most {0} {1} but found {2} extra: {3!r}")),
    "contains": (list, _contains),
    "minContains": (list, need_count),  # "contains" reads them
    "maxContains": (list, need_count),
    "dependentSchemas": (dict, _if_given(_schema_for)),
    "dependentRequired": (dict, _if_given(_names_for)),
}
DRAFT_07: dict[str, tuple[type, Keyword]] = {
    **_BOTH,
    "items": (list, _items_or_list),
    "additionalItems": (list, _items_behind("items", True, "Additional items are not allowed ({4} {5} unexpected)")),
    "contains": (list, _contains_one),
    "dependencies": (dict, _if_given(_either_for)),
}
#: By what ``$schema`` says, without scheme and empty fragment.
DIALECTS = {"json-schema.org/draft/2020-12/schema": DRAFT_2020_12, "json-schema.org/draft-07/schema": DRAFT_07}
