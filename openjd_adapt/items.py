"""The keywords of JSON Schema that apply further schemas to the items of an array."""

from __future__ import annotations

from .applicators import nodes_of
from .faults import FAULT_LIMIT, Fault, Listed
from .keywords import is_array, need_count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Sequence

    from .faults import Check, Keyword, Memory, Node, Path, Site


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
