"""The keywords of JSON Schema: what they ask of a value, and the patterns that they are written in."""

from __future__ import annotations

import operator
import re

from .faults import FAULT_LIMIT, Fault, Listed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Match, Sequence

    from .faults import Check, Keyword, Memory, Node, Path, Site


# Regular expressions as JSON Schema writes them (ECMA-262), made ones of ``re``.

#: What ``re`` may read otherwise: a class, an escape, a point, an end; and what of a class.
_TOKEN = re.compile(r"\[(?:\\.|[^\\\]])*\]?|\\.|[.$]", re.DOTALL)
_MEMBER = re.compile(r"\\.|--|[\[&|~]", re.DOTALL)
#: The white space of ECMA, of which ``re.ASCII`` leaves out much. As it begins and ends with a set, ``re`` refuses it
#: as an end of a range.
_SPACE = "\\s\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff\\s"
_OUTSIDE_CLASS = {
    ".": "[^\n\r\u2028\u2029]",
    "$": r"\Z",
    r"\s": "[%s]" % _SPACE,
    r"\S": "[^%s]" % _SPACE,
    r"\B": r"(?!\b)",  # re before 3.14 finds no \B in an empty text
    r"[\s\S]": r"[\d\D]",
}
#: ``re`` warns of what it may one day read as set operations: "[", "--", "&&", "||", "~~".
_INSIDE_CLASS = {r"\s": _SPACE, **{char: "\\" + char for char in "[&|~"}}
#: Letters and digits behind a backslash that mean the same to both, or are translated; all others are refused.
_ESCAPES = "0bBdDfnrsStuvwWx"


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The regular expression of ``re`` for one of ECMA-262. Raises :class:`ValueError` that says what is wrong.

    ``\\d``, ``\\w`` and ``\\b`` know ASCII only, ``$`` is the very end, ``.`` is no line break. Refused is what
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
    if text[0] == "[" and text not in _OUTSIDE_CLASS:
        return "[" + _MEMBER.sub(_translate_member, text[1:])
    return _OUTSIDE_CLASS.get(_known(text), text)


def _translate_member(token: Match[str]) -> str:
    text = token.group()
    if text in ("--", r"\S"):
        raise ValueError("%s in a character set" % text)
    return _INSIDE_CLASS.get(_known(text), text)


def _known(text: str) -> str:
    if text[0] == "\\" and text[1].isalnum() and text[1] not in _ESCAPES:
        raise ValueError("bad escape %s" % text)
    return text


# The keywords of JSON Schema that apply further schemas to the items of an array.


def _each(node: Node, first: int) -> Check:
    """For an array, the items from ``first`` on."""

    def check(instance: Any, path: Path, memory: Memory) -> Sequence[Fault]:
        if not is_array(instance):
            return ()
        found: list[Fault] = []
        for index in range(first, len(instance)):
            found += node.faults(instance[index], (*path, index), memory)
            if len(found) > FAULT_LIMIT:
                break  # those of further items are no better
        return found

    return check


def _prefix_items(argument: Any, site: Site) -> Check:
    nodes = nodes_of(argument, site)

    def check(instance: Any, path: Path, memory: Memory) -> Sequence[Fault]:
        if not is_array(instance):
            return ()
        return [
            fault
            for index, (item, node) in enumerate(zip(instance, nodes))
            for fault in node.faults(item, (*path, index), memory)
        ]

    return check


def _items(argument: Any, site: Site) -> Check:
    prefix = site.schema.get("prefixItems", [])
    first = len(prefix) if is_array(prefix) else 0
    return _further_items(argument, site, first, "Expected at most {0} {1} but found {2} extra: {3!r}")


def _items_or_list(argument: Any, site: Site) -> Check:
    """``items`` in draft-07: a schema for all items, or a list of them for the first."""
    return _prefix_items(argument, site) if is_array(argument) and argument else _each(site.node(argument), 0)


def _additional_items(argument: Any, site: Site) -> Check | None:
    """What ``items`` is beside ``prefixItems``, in draft-07."""
    listed = site.schema.get("items")
    if not is_array(listed):
        site.node(argument)
        return None
    return _further_items(argument, site, len(listed), "Additional items are not allowed ({4} {5} unexpected)")


def _further_items(argument: Any, site: Site, first: int, text: str) -> Check:
    """The items from ``first`` on; ``text`` says that there must be none."""
    each = _each(site.node(argument), first)

    def check(instance: Any, path: Path, memory: Memory) -> Sequence[Fault]:
        if not is_array(instance) or len(instance) <= first or argument is not False:
            return each(instance, path, memory)
        extra = instance[first:]
        shown, were = (extra[0], "was") if len(extra) == 1 else (extra, "were")
        items = "item" if first == 1 else "items"
        return site.fault(instance, path, text, first, items, len(extra), shown, Listed(extra), were)

    return check


def _contains(argument: Any, site: Site) -> Check:
    least, most = site.schema.get("minContains", 1), site.schema.get("maxContains")
    return _counted(argument, site, least, most, "{0!r} does not contain items matching the given schema")


def _contains_one(argument: Any, site: Site) -> Check:
    """``contains`` in draft-07, which has no bounds."""
    return _counted(argument, site, 1, None, "None of {0!r} are valid under the given schema")


def _counted(argument: Any, site: Site, least: int, most: int | None, none: str) -> Check:
    node = site.node(argument)

    def check(instance: Any, path: Path, memory: Memory) -> Sequence[Fault]:
        if not is_array(instance):
            return ()
        count = sum(1 for index, item in enumerate(instance) if not node.faults(item, (*path, index), memory))
        if most is not None and count > most:
            text = "Too many items match the given schema (expected at most {0})"
            return site.fault(instance, path, text, most)
        if count >= least:
            return ()
        if not count:
            return site.fault(instance, path, none, instance)
        text = "Too few items match the given schema (expected at least {0} but only {1} matched)"
        return site.fault(instance, path, text, least, count)

    return check


# The keywords of JSON Schema that look at a value alone: types, bounds, sizes, patterns, names.
#
# A keyword's function takes its argument and its :class:`Site`, refuses the argument if it is not one, and returns the
# check. The texts are those of the PyPI package ``jsonschema``, which adaptors and their tests match on.

# Kinds of values


def is_any(value: Any) -> bool:
    return True


def is_boolean(value: Any) -> bool:
    return isinstance(value, bool)


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_integer(value: Any) -> bool:
    """A number without a fraction: 1.0 is one."""
    return is_number(value) and (isinstance(value, int) or value.is_integer())


def is_string(value: Any) -> bool:
    return isinstance(value, str)


def is_array(value: Any) -> bool:
    return isinstance(value, list)


def is_object(value: Any) -> bool:
    return isinstance(value, dict)


TYPES: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": is_boolean,
    "integer": is_integer,
    "number": is_number,
    "string": is_string,
    "array": is_array,
    "object": is_object,
}

_TRUE, _FALSE = object(), object()


def identity(value: Any) -> Any:
    """Something hashable that is equal for values that JSON calls equal: 1 and 1.0 are, 1 and true are not."""
    if isinstance(value, bool):
        return _TRUE if value else _FALSE
    if isinstance(value, list):
        return tuple([identity(item) for item in value])
    if isinstance(value, dict):
        return frozenset([(key, identity(item)) for key, item in value.items()])
    return value


# Arguments


def need_number(argument: Any, site: Site) -> None:
    site.demand(is_number(argument), argument, "a number")


def need_count(argument: Any, site: Site) -> None:
    site.demand(is_integer(argument) and argument >= 0, argument, "a whole number from 0 on")


def need_object(argument: Any, site: Site) -> None:
    site.demand(is_object(argument), argument, "an object")


def need_names(argument: Any, site: Site) -> None:
    site.demand(is_array(argument) and all(map(is_string, argument)), argument, "a list of strings")


def need_pattern(argument: Any, site: Site) -> Callable[[str], object]:
    site.demand(is_string(argument), argument, "a regular expression")
    try:
        return compile_pattern(argument).search
    except ValueError as error:
        site.refuse("%r is no regular expression that is supported: %s" % (argument, error))


# Checks


def _check(
    site: Site, is_kind: Callable[[Any], bool], fails: Callable[[Any], bool], text: str, argument: Any = None
) -> Check:
    """A check of values of one kind; ``text`` is a format for the value and the argument."""

    def check(instance: Any, path: Path, memory: Memory) -> Sequence[Fault]:
        if is_kind(instance) and fails(instance):
            return site.fault(instance, path, text, instance, argument)
        return ()

    return check


def compared(fails: Callable[[Any, Any], bool], words: str) -> Keyword:
    """A keyword that compares numbers with its argument."""

    def keyword(argument: Any, site: Site) -> Check:
        need_number(argument, site)
        return _check(site, is_number, lambda number: fails(number, argument), "{0!r} is %s {1!r}" % words, argument)

    return keyword


def _at_least(is_kind: Callable[[Any], bool], words: str) -> Keyword:
    def keyword(argument: Any, site: Site) -> Check:
        need_count(argument, site)
        text = "{0!r} " + ("should be non-empty" if argument == 1 else words)
        return _check(site, is_kind, lambda value: len(value) < argument, text)

    return keyword


def _at_most(is_kind: Callable[[Any], bool], words: str) -> Keyword:
    def keyword(argument: Any, site: Site) -> Check:
        need_count(argument, site)
        text = "{0!r} " + ("is expected to be empty" if argument == 0 else words)
        return _check(site, is_kind, lambda value: len(value) > argument, text)

    return keyword


def _type(argument: Any, site: Site) -> Check:
    names = [argument] if is_string(argument) else argument
    site.demand(is_array(names) and bool(names), argument, "a type or a list of types")
    for name in names:
        site.demand(is_string(name) and name in TYPES, name, "one of " + ", ".join(TYPES))
    kinds = [TYPES[name] for name in names]
    text = "{0!r} is not of type " + ", ".join(map(repr, names))
    if len(kinds) == 1:
        [is_kind] = kinds
        return _check(site, is_any, lambda value: not is_kind(value), text)
    return _check(site, is_any, lambda value: not any(is_kind(value) for is_kind in kinds), text)


def _multiple_of(argument: Any, site: Site) -> Check:
    """By the decimals that both numbers are written with: 0.3 is a multiple of 0.1."""
    site.demand(is_number(argument) and argument > 0, argument, "a number above 0")

    def fails(number: Any) -> bool:
        if isinstance(number, int) and isinstance(argument, int):
            return number % argument != 0
        from fractions import Fraction

        try:
            dividend, divisor = (Fraction(one if isinstance(one, int) else repr(one)) for one in (number, argument))
        except ValueError:
            return True  # infinite, or no number at all
        return (dividend / divisor).denominator != 1

    return _check(site, is_number, fails, "{0!r} is not a multiple of {1!r}", argument)


def _enum(argument: Any, site: Site) -> Check:
    site.demand(is_array(argument), argument, "a list")
    allowed = {identity(value) for value in argument}
    return _check(site, is_any, lambda value: identity(value) not in allowed, "{0!r} is not one of {1!r}", argument)


def _const(argument: Any, site: Site) -> Check:
    expected = identity(argument)
    return _check(site, is_any, lambda value: bool(identity(value) != expected), "{1!r} was expected", argument)


def _unique_items(argument: Any, site: Site) -> Check | None:
    site.demand(is_boolean(argument), argument, "true or false")
    if not argument:
        return None
    return _check(
        site, is_array, lambda items: len(set(map(identity, items))) < len(items), "{0!r} has non-unique elements"
    )


def _pattern(argument: Any, site: Site) -> Check:
    matches = need_pattern(argument, site)
    return _check(site, is_string, lambda text: not matches(text), "{0!r} does not match {1!r}", argument)


def _required(argument: Any, site: Site) -> Check:
    need_names(argument, site)

    def check(instance: Any, path: Path, memory: Memory) -> Sequence[Fault]:
        if not is_object(instance):
            return ()
        missing = [name for name in argument if name not in instance]
        return [Fault(site, instance, path, ("{0!r} is a required property", name)) for name in missing]

    return check


def depends(given: str, names: list[str], site: Site) -> Check:
    """What has the property ``given`` must have these, too."""
    need_names(names, site)

    def check(instance: Any, path: Path, memory: Memory) -> Sequence[Fault]:
        missing = [name for name in names if name not in instance]
        return [Fault(site, instance, path, ("{0!r} is a dependency of {1!r}", name, given)) for name in missing]

    return check


# The keywords of JSON Schema that apply further schemas to the value itself, or to the properties of an object.


def nodes_of(schemas: Any, site: Site) -> list[Node]:
    site.demand(is_array(schemas) and bool(schemas), schemas, "a list of schemas")
    return [site.node(schema, index) for index, schema in enumerate(schemas)]


def _named_nodes(schemas: Any, site: Site) -> dict[str, Node]:
    need_object(schemas, site)
    return {name: site.node(schema, name) for name, schema in schemas.items()}


# To the value itself


def _reference(argument: Any, site: Site) -> Check:
    """``$ref``. What a schema has said of a value is remembered, so that references to references stay cheap."""
    site.demand(is_string(argument), argument, "a reference")
    target = site.target(argument)

    def check(instance: Any, path: Path, memory: Memory) -> Sequence[Fault]:
        node = target()
        key = (id(node), path, id(instance))
        if key not in memory:
            memory[key] = None
            memory[key] = node.faults(instance, path, memory)
        faults = memory[key]
        if faults is None:
            site.refuse("%r leads back to itself" % argument)
        return faults

    return check


def _all_of(argument: Any, site: Site) -> Check:
    nodes = nodes_of(argument, site)

    def check(instance: Any, path: Path, memory: Memory) -> Sequence[Fault]:
        return [fault for node in nodes for fault in node.faults(instance, path, memory)]

    return check


_NONE_FITS = "{0!r} is not valid under any of the given schemas"


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
        fitting: list[Node] = []
        context: list[Fault] = []
        for node in nodes:
            faults = node.faults(instance, path, memory)
            context += faults
            if not faults:
                fitting.append(node)
        if not fitting:
            return site.fault(instance, path, _NONE_FITS, instance, context=context)
        if len(fitting) == 1:
            return ()
        several = Listed([node.schema for node in (*fitting[1:], fitting[0])])
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
    then, otherwise = [
        site.beside(name).node(site.schema[name]) if name in site.schema else None for name in ("then", "else")
    ]

    def check(instance: Any, path: Path, memory: Memory) -> Sequence[Fault]:
        branch = otherwise if node.faults(instance, path, memory) else then
        return branch.faults(instance, path, memory) if branch else ()

    return check


def _branch(argument: Any, site: Site) -> None:
    """``then`` and ``else``, which ``if`` applies; without it they can but be referred to."""
    if "if" not in site.schema:
        site.node(argument)


def _definitions(argument: Any, site: Site) -> None:
    _named_nodes(argument, site)


def _together(checks: dict[str, Check]) -> Check:
    """For an object, the checks of the properties that it has."""

    def check(instance: Any, path: Path, memory: Memory) -> Sequence[Fault]:
        if not is_object(instance):
            return ()
        return [
            fault
            for name, check_one in checks.items()
            if name in instance
            for fault in check_one(instance, path, memory)
        ]

    return check


def _dependent_schemas(argument: Any, site: Site) -> Check:
    return _together({name: node.faults for name, node in _named_nodes(argument, site).items()})


def _dependent_required(argument: Any, site: Site) -> Check:
    need_object(argument, site)
    return _together({name: depends(name, names, site) for name, names in argument.items()})


def _dependencies(argument: Any, site: Site) -> Check:
    """What ``dependentSchemas`` and ``dependentRequired`` are in draft-07."""
    need_object(argument, site)
    return _together(
        {
            name: depends(name, value, site) if is_array(value) else site.node(value, name).faults
            for name, value in argument.items()
        }
    )


# To the properties of an object


def _properties(argument: Any, site: Site) -> Check:
    nodes = _named_nodes(argument, site)

    def check(instance: Any, path: Path, memory: Memory) -> Sequence[Fault]:
        if not is_object(instance):
            return ()
        found: list[Fault] = []
        for name, node in nodes.items():
            if name in instance:
                found += node.faults(instance[name], (*path, name), memory)
        return found

    return check


def _pattern_properties(argument: Any, site: Site) -> Check:
    nodes = _named_nodes(argument, site)
    patterns = [(need_pattern(pattern, site), node) for pattern, node in nodes.items()]

    def check(instance: Any, path: Path, memory: Memory) -> Sequence[Fault]:
        if not is_object(instance):
            return ()
        return [
            fault
            for matches, node in patterns
            for name, value in instance.items()
            if is_string(name) and matches(name)
            for fault in node.faults(value, (*path, name), memory)
        ]

    return check


def _additional_properties(argument: Any, site: Site) -> Check:
    node = site.node(argument)
    known = site.schema.get("properties", ())
    pattern_texts = site.schema.get("patternProperties", {})
    pattern_site = site.beside("patternProperties")
    need_object(pattern_texts, pattern_site)
    patterns = [need_pattern(pattern, pattern_site) for pattern in pattern_texts]

    def is_extra(name: Any) -> bool:
        return name not in known and not (is_string(name) and any(matches(name) for matches in patterns))

    def check(instance: Any, path: Path, memory: Memory) -> Sequence[Fault]:
        if not is_object(instance):
            return ()
        extra = list(filter(is_extra, instance))
        if not extra or argument is not False:
            return [fault for name in extra for fault in node.faults(instance[name], (*path, name), memory)]
        names = Listed(sorted(extra, key=str))
        if "patternProperties" not in site.schema:
            text = "Additional properties are not allowed ({0} {1} unexpected)"
            return site.fault(instance, path, text, names, "was" if len(extra) == 1 else "were")
        regexes = Listed(sorted(pattern_texts))
        text = "{0} {1} not match any of the regexes: {2}"
        return site.fault(instance, path, text, names, "does" if len(extra) == 1 else "do", regexes)

    return check


def _property_names(argument: Any, site: Site) -> Check:
    node = site.node(argument)

    def check(instance: Any, path: Path, memory: Memory) -> Sequence[Fault]:
        if not is_object(instance):
            return ()
        return [fault for name in instance for fault in node.faults(name, path, memory)]

    return check


# The drafts of JSON Schema: which keywords each has.

_BOTH: dict[str, Keyword] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "minimum": compared(operator.lt, "less than the minimum of"),
    "maximum": compared(operator.gt, "greater than the maximum of"),
    "exclusiveMinimum": compared(operator.le, "less than or equal to the minimum of"),
    "exclusiveMaximum": compared(operator.ge, "greater than or equal to the maximum of"),
    "multipleOf": _multiple_of,
    "minLength": _at_least(is_string, "is too short"),
    "maxLength": _at_most(is_string, "is too long"),
    "minItems": _at_least(is_array, "is too short"),
    "maxItems": _at_most(is_array, "is too long"),
    "minProperties": _at_least(is_object, "does not have enough properties"),
    "maxProperties": _at_most(is_object, "has too many properties"),
    "uniqueItems": _unique_items,
    "pattern": _pattern,
    "required": _required,
    "$ref": _reference,
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
    "if": _if,
    "then": _branch,
    "else": _branch,
    "$defs": _definitions,
    "definitions": _definitions,
    "properties": _properties,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "propertyNames": _property_names,
}
DRAFT_2020_12: dict[str, Keyword] = {
    **_BOTH,
    "prefixItems": _prefix_items,
    "items": _items,
    "contains": _contains,
    "minContains": need_count,  # "contains" reads them
    "maxContains": need_count,
    "dependentSchemas": _dependent_schemas,
    "dependentRequired": _dependent_required,
}
DRAFT_07: dict[str, Keyword] = {
    **_BOTH,
    "items": _items_or_list,
    "additionalItems": _additional_items,
    "contains": _contains_one,
    "dependencies": _dependencies,
}
#: By what ``$schema`` says, without scheme and empty fragment.
DIALECTS = {"json-schema.org/draft/2020-12/schema": DRAFT_2020_12, "json-schema.org/draft-07/schema": DRAFT_07}
