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

_ATOM = r"\\(?:u\{[0-9a-fA-F]{1,6}\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[0-7]{1,3}|c[A-Za-z]|.)|[^\\]"
_TOKEN = re.compile(
    r"(?P<class>\[\^?(?:\\.|[^\\\]])*\]?)|\\k<(?P<reference>\w+)>|\\(?P<number>[1-9]\d?)"
    r"|\(\?<(?P<name>[^\W\d]\w*)>|(?P<atom>%s)" % _ATOM,
    re.DOTALL,
)
#: A member of a class, or a range of them.
_MEMBER = re.compile("(%s)(?:-(%s))?" % (_ATOM, _ATOM), re.DOTALL)
#: The white space of ECMA that ``re.ASCII`` leaves out, and all that is none.
_MORE_SPACE = "\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_NO_SPACE = (
    "\\x00-\\x08\\x0e-\\x1f\\x21-\u009f\u00a1-\u167f\u1681-\u1fff\u200b-\u2027\u202a-\u202e\u2030-\u205e\u2060-\u2fff"
    "\u3001-\ufefe\uff00-\U0010ffff"
)
_OUTSIDE_CLASS = {
    ".": "[^\n\r\u2028\u2029]",
    "$": r"\Z",
    r"\s": r"[\s%s]" % _MORE_SPACE,
    r"\S": r"[^\s%s]" % _MORE_SPACE,
    r"\B": r"(?!\b)",  # re before 3.14 finds no \B in an empty text
}
#: ``re`` warns of what it may one day read as set operations: "[", "--", "&&", "||", "~~".
_INSIDE_CLASS = {
    r"\s": r"\s" + _MORE_SPACE,
    r"\S": _NO_SPACE,
    **{char: "\\" + char for char in "[-&|~"},
}
_EMPTY_CLASS = {"[]": "(?!)", "[^]": r"[\s\S]"}
#: Escapes that ``re`` reads as anchors, and ECMA does not know.
_NOT_ECMA = (r"\A", r"\Z", r"\a")


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The regular expression of ``re`` for one of ECMA-262. Raises :class:`ValueError` that says what is wrong.

    ``\\d``, ``\\w`` and ``\\b`` know ASCII only, ``$`` is the very end, ``.`` is no line break. ``\\p{}`` is refused,
    and so is a look-behind of no fixed width. What only ``re`` knows, such as ``(?i)``, passes.
    """
    try:
        return re.compile(_TOKEN.sub(_translate, pattern), re.ASCII)
    except (re.error, OverflowError) as error:
        raise ValueError(str(error)) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _translate(token: Match[str]) -> str:
    text = token.group()
    kind = token.lastgroup
    # What a group has found that has found nothing is nothing to ECMA; to re it is nowhere.
    if kind == "reference":
        return "(?({0})(?P={0}))".format(token.group(kind))
    if kind == "number":
        return r"(?({0})\{0})".format(token.group(kind))
    if kind == "name":
        return "(?P<%s>" % token.group(kind)
    if kind == "atom":
        return _atom(text, _OUTSIDE_CLASS)
    if text in _EMPTY_CLASS:
        return _EMPTY_CLASS[text]
    if not text.endswith("]"):
        raise ValueError("unterminated character set")
    begin = 2 if text.startswith("[^") else 1
    return text[:begin] + _MEMBER.sub(_member, text[begin:-1]) + "]"


def _member(match: Match[str]) -> str:
    first, last = match.groups()
    if last is None:
        return _atom(first, _INSIDE_CLASS)
    for end in (first, last):
        if end in (r"\s", r"\S"):
            raise ValueError("%s is no end of a range" % end)
    return "%s-%s" % (_atom(first, _INSIDE_CLASS), _atom(last, _INSIDE_CLASS))


def _atom(text: str, special: dict[str, str]) -> str:
    """A character or an escape, with what is ``special`` to ``re``."""
    if text.startswith(r"\u{"):
        return "\\U%08x" % int(text[3:-1], 16)
    if text.startswith(r"\c") and len(text) == 3:
        return "\\x%02x" % (ord(text[2]) % 32)
    if text in _NOT_ECMA:
        raise ValueError("%s is no escape" % text)
    return special.get(text, text)


# The named formats of JSON Schema that can be asserted, each as a function of the text.

_TIME = r"([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([zZ]|[+-]([01]\d|2[0-3]):[0-5]\d)"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"


def _matches(pattern: str) -> Callable[[str], bool]:
    def fits(text: str) -> bool:
        return re.fullmatch(pattern, text, re.ASCII) is not None

    return fits


def _reads(read: Callable[[str], object]) -> Callable[[str], bool]:
    """Whether ``read`` takes the text."""

    def fits(text: str) -> bool:
        try:
            read(text)
        except ValueError:
            return False
        return True

    return fits


def _date(text: str) -> None:
    import datetime

    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        raise ValueError
    datetime.date(*map(int, text.split("-")))


def _date_time(text: str) -> None:
    if not re.fullmatch(_TIME, text[11:], re.ASCII) or text[10:11] not in ("T", "t"):
        raise ValueError
    _date(text[:10])


#: The module ipaddress takes a leading zero up to Python 3.9.4.
_is_ipv4 = _matches(r"%s(?:\.%s){3}" % (_OCTET, _OCTET))


def _ipv6(text: str) -> None:
    import ipaddress

    if "%" in text or ("." in text and not _is_ipv4(text.rpartition(":")[2])):
        raise ValueError
    ipaddress.IPv6Address(text)


#: Source: RFC 3339 (dates and times), RFC 1123 (host names), RFC 3986 (URIs), RFC 4122 (UUIDs), RFC 6901 (pointers).
FORMATS: dict[str, Callable[[str], bool]] = {
    "date": _reads(_date),
    "time": _matches(_TIME),
    "date-time": _reads(_date_time),
    "email": _matches(r"[^@\s]+@[^@\s]+"),
    "hostname": _matches(r"(?=.{1,253}\Z)%s(?:\.%s)*" % (_LABEL, _LABEL)),
    "ipv4": _is_ipv4,
    "ipv6": _reads(_ipv6),
    "uri": _matches(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[^\x00-\x20\x7f-\U0010ffff\"<>\\^`{|}%]|%[0-9A-Fa-f]{2})*"),
    "uuid": _matches(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"),
    "json-pointer": _matches(r"(?:/(?:[^/~]|~[01])*)*"),
    "regex": _reads(compile_pattern),
}


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
    each = _each(site.node(argument), first)

    def check(instance: Any, path: Path, memory: Memory) -> Sequence[Fault]:
        if not is_array(instance) or len(instance) <= first or argument is not False:
            return each(instance, path, memory)
        extra = instance[first:]
        return site.fault(
            instance,
            path,
            "Expected at most {0} {1} but found {2} extra: {3!r}",
            first,
            "item" if first == 1 else "items",
            len(extra),
            extra if len(extra) != 1 else extra[0],
        )

    return check


def items_or_list(argument: Any, site: Site) -> Check:
    """``items`` up to 2019-09: a schema for all items, or a list of them for the first."""
    return _prefix_items(argument, site) if is_array(argument) and argument else _each(site.node(argument), 0)


def additional_items(argument: Any, site: Site) -> Check | None:
    """What ``items`` is beside ``prefixItems``, up to 2019-09."""
    node = site.node(argument)
    listed = site.schema.get("items")
    if not is_array(listed):
        return None
    first = len(listed)
    each = _each(node, first)

    def check(instance: Any, path: Path, memory: Memory) -> Sequence[Fault]:
        if not is_array(instance) or len(instance) <= first or argument is not False:
            return each(instance, path, memory)
        extra = instance[first:]
        text = "Additional items are not allowed ({0} {1} unexpected)"
        return site.fault(instance, path, text, Listed(extra), "was" if len(extra) == 1 else "were")

    return check


def _bound_of_contains(argument: Any, site: Site) -> None:
    """``minContains`` and ``maxContains``, which ``contains`` reads."""
    need_count(argument, site)


def _contains(argument: Any, site: Site) -> Check:
    node = site.node(argument)
    least = site.schema.get("minContains", 1)
    most = site.schema.get("maxContains")

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
            return site.fault(instance, path, "{0!r} does not contain items matching the given schema", instance)
        text = "Too few items match the given schema (expected at least {0} but only {1} matched)"
        return site.fault(instance, path, text, least, count)

    return check


def contains_one(argument: Any, site: Site) -> Check:
    """``contains`` up to draft-07, with the text that it had then."""
    node = site.node(argument)

    def check(instance: Any, path: Path, memory: Memory) -> Sequence[Fault]:
        if not is_array(instance):
            return ()
        for index, item in enumerate(instance):
            if not node.faults(item, (*path, index), memory):
                return ()
        return site.fault(instance, path, "None of {0!r} are valid under the given schema", instance)

    return check


ITEM_KEYWORDS: dict[str, Keyword] = {
    "prefixItems": _prefix_items,
    "items": _items,
    "contains": _contains,
    "minContains": _bound_of_contains,
    "maxContains": _bound_of_contains,
}


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


def need_boolean(argument: Any, site: Site) -> None:
    site.demand(is_boolean(argument), argument, "true or false")


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


def typed(types: dict[str, Callable[[Any], bool]]) -> Keyword:
    """The keyword ``type``, for a dialect with these types."""

    def keyword(argument: Any, site: Site) -> Check:
        names = [argument] if is_string(argument) else argument
        site.demand(is_array(names) and bool(names), argument, "a type or a list of types")
        for name in names:
            site.demand(is_string(name) and name in types, name, "one of " + ", ".join(types))
        kinds = [types[name] for name in names]
        text = "{0!r} is not of type " + ", ".join(map(repr, names))
        if len(kinds) == 1:
            [is_kind] = kinds
            return _check(site, is_any, lambda value: not is_kind(value), text)
        return _check(site, is_any, lambda value: not any(is_kind(value) for is_kind in kinds), text)

    return keyword


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
    need_boolean(argument, site)
    if not argument:
        return None
    return _check(
        site, is_array, lambda items: len(set(map(identity, items))) < len(items), "{0!r} has non-unique elements"
    )


def _pattern(argument: Any, site: Site) -> Check:
    matches = need_pattern(argument, site)
    return _check(site, is_string, lambda text: not matches(text), "{0!r} does not match {1!r}", argument)


def format_keyword(argument: Any, site: Site) -> Check:
    """The keyword ``format`` where it is to assert; a format that is not known is refused."""
    site.demand(is_string(argument) and argument in FORMATS, argument, "one of " + ", ".join(sorted(FORMATS)))
    fits = FORMATS[argument]
    return _check(site, is_string, lambda text: not fits(text), "{0!r} is not a {1!r}", argument)


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


ASSERTIONS: dict[str, Keyword] = {
    "type": typed(TYPES),
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
}


# The keywords of JSON Schema that apply further schemas to the value itself, or to the properties of an object.


def nodes_of(schemas: Any, site: Site) -> list[Node]:
    site.demand(is_array(schemas) and bool(schemas), schemas, "a list of schemas")
    return [site.node(schema, index) for index, schema in enumerate(schemas)]


def _named_nodes(schemas: Any, site: Site) -> dict[str, Node]:
    need_object(schemas, site)
    return {name: site.node(schema, name) for name, schema in schemas.items()}


# To the value itself


def reference(argument: Any, site: Site) -> Check:
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


def dependencies(argument: Any, site: Site) -> Check:
    """What ``dependentSchemas`` and ``dependentRequired`` were up to draft-07."""
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


APPLICATORS: dict[str, Keyword] = {
    "$ref": reference,
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
    "if": _if,
    "then": _branch,
    "else": _branch,
    "$defs": _definitions,
    "definitions": _definitions,
    "dependentSchemas": _dependent_schemas,
    "dependentRequired": _dependent_required,
    "properties": _properties,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "propertyNames": _property_names,
}
