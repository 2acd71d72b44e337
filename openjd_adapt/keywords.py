"""The keywords of JSON Schema that look at a value alone: types, bounds, sizes, patterns, names.

A keyword's function takes its argument and its :class:`Site`, refuses the argument if it is not one, and returns the
check. The texts are those of the PyPI package ``jsonschema``, which adaptors and their tests match on.
"""

from __future__ import annotations

import operator

from .faults import Fault
from .formats import FORMATS
from .patterns import compile_pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Sequence

    from .faults import Check, Keyword, Memory, Path, Site


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
