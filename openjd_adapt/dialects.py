"""The drafts of JSON Schema: which keywords each has, and what it leaves to the next."""

from __future__ import annotations

from .applicators import APPLICATORS, dependencies
from .items import ITEM_KEYWORDS, additional_items, contains_one, items_or_list
from .keywords import ASSERTIONS, TYPES, is_boolean, need_boolean, typed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from .faults import Check, Keyword, Site

#: Left out of every dialect, and refused rather than ignored.
LEFT_OUT = (
    "$dynamicRef",
    "$dynamicAnchor",
    "$recursiveRef",
    "$recursiveAnchor",
    "unevaluatedItems",
    "unevaluatedProperties",
    "$vocabulary",
)


class Dialect:
    """A draft. Schemas that name no ``$schema`` are of the newest."""

    def __init__(
        self,
        keywords: dict[str, Keyword],
        identifier: str = "$id",
        types: dict[str, Callable[[Any], bool]] = TYPES,
        *,
        ref_stands_alone: bool = False,
    ) -> None:
        self.keywords = keywords
        self.types = types
        #: The keyword that gives a schema an address.
        self.identifier = identifier
        #: ``$ref`` hides the keywords beside it.
        self.ref_stands_alone = ref_stands_alone


def _bounded(inclusive: Keyword, exclusive: Keyword, flag: str) -> Keyword:
    """``minimum`` or ``maximum`` in draft-04, where a flag beside it says that the bound itself is out."""

    def keyword(argument: Any, site: Site) -> Check | None:
        return (exclusive if site.schema.get(flag) else inclusive)(argument, site)

    return keyword


def _flag(argument: Any, site: Site) -> None:
    """``exclusiveMinimum`` or ``exclusiveMaximum`` in draft-04, which the bound beside it reads."""
    need_boolean(argument, site)


def _without(keywords: dict[str, Keyword], *names: str) -> dict[str, Keyword]:
    return {name: keyword for name, keyword in keywords.items() if name not in names}


_2020_12 = {**ASSERTIONS, **APPLICATORS, **ITEM_KEYWORDS}
_2019_09 = {
    **_without(_2020_12, "prefixItems"),
    "items": items_or_list,
    "additionalItems": additional_items,
}
_07 = {
    **_without(_2019_09, "dependentRequired", "dependentSchemas", "minContains", "maxContains"),
    "contains": contains_one,
    "dependencies": dependencies,
}
_06 = _without(_07, "if", "then", "else")
_04_TYPES = {**TYPES, "integer": lambda value: isinstance(value, int) and not is_boolean(value)}
_04 = {
    **_without(_06, "const", "contains", "propertyNames"),
    "type": typed(_04_TYPES),
    "minimum": _bounded(ASSERTIONS["minimum"], ASSERTIONS["exclusiveMinimum"], "exclusiveMinimum"),
    "maximum": _bounded(ASSERTIONS["maximum"], ASSERTIONS["exclusiveMaximum"], "exclusiveMaximum"),
    "exclusiveMinimum": _flag,
    "exclusiveMaximum": _flag,
}

NEWEST = Dialect(_2020_12)
#: By what ``$schema`` says, without scheme and empty fragment.
DIALECTS = {
    "json-schema.org/draft/2020-12/schema": NEWEST,
    "json-schema.org/draft/2019-09/schema": Dialect(_2019_09),
    "json-schema.org/draft-07/schema": Dialect(_07, ref_stands_alone=True),
    "json-schema.org/draft-06/schema": Dialect(_06, ref_stands_alone=True),
    "json-schema.org/draft-04/schema": Dialect(_04, "id", _04_TYPES, ref_stands_alone=True),
}
