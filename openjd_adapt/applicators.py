"""The keywords of JSON Schema that apply further schemas to the value itself, or to the properties of an object."""

from __future__ import annotations

from .faults import Fault, Listed
from .keywords import (
    depends,
    is_array,
    is_object,
    is_string,
    need_object,
    need_pattern,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Sequence

    from .faults import Check, Keyword, Memory, Node, Path, Site


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
