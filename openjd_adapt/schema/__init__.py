"""JSON Schema, drafts 2020-12 down to 04, within one document: nothing is fetched, and nothing is silently ignored.

Left out, and refused by name: ``$dynamicRef``, ``$dynamicAnchor``, ``$recursiveRef``, ``$recursiveAnchor``,
``unevaluatedItems``, ``unevaluatedProperties``, ``$vocabulary``, references to other documents, other dialects. Unknown
keywords are annotations. ``format`` asserts on request only. A regular expression in a schema is its author's: ``re``
runs it, and one that takes exponential time does so here, too.
"""

from __future__ import annotations

import os

from ..data import SCHEMA_FILES, load, parse, read_text, source
from ..errors import InputError
from .faults import Node, SchemaError as SchemaError, Site, locate, quote
from .keywords import (
    APPLICATORS,
    ASSERTIONS,
    ITEM_KEYWORDS,
    TYPES,
    additional_items,
    contains_one,
    dependencies,
    format_keyword,
    is_boolean,
    items_or_list,
    need_boolean,
    typed,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Sequence

    from .faults import Check, Fault, Keyword, Memory, Path, Site

    Types = Dict[str, Callable[[Any], bool]]
    from typing import Any


# The drafts of JSON Schema: which keywords each has, and what it leaves to the next.

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


class ValidationError(ValueError):
    """A value that is not as the schema wants it.

    ``message`` is what the PyPI package ``jsonschema`` says, ``path`` (a tuple of keys and indexes) where in the value
    it is, ``schema_path`` where in the schema the rule stands, ``instance`` the part of the value that is wrong.
    ``str()`` has place and message in one line, shortened if need be.
    """

    def __init__(self, message: str, path: Path, schema_path: Path, instance: Any) -> None:
        super().__init__(message, path, schema_path, instance)
        self.message = message
        self.path = path
        self.schema_path = schema_path
        self.instance = instance

    def __str__(self) -> str:
        return locate(self.path, self.message)


def validate(instance: Any, schema: Any, *, formats: bool = False) -> None:
    """Raise :class:`ValidationError` if ``instance`` is not as ``schema`` wants it; of several faults the best.

    Both are JSON values. ``formats`` makes ``format`` an assertion. Raises :class:`SchemaError` if the schema is wrong.
    """
    Validator(schema, formats=formats).validate(instance)


class Validator:
    """A schema, checked once, for many values. Raises :class:`SchemaError`."""

    def __init__(self, schema: Any, *, formats: bool = False) -> None:
        try:
            document = _Document(schema, formats)
        except RecursionError:
            raise SchemaError("is nested too deeply") from None
        self._root = document.root
        self._types = document.dialect.types

    def validate(self, instance: Any) -> None:
        """Raise :class:`ValidationError` if ``instance`` is not as the schema wants it."""
        memory: Memory = {}
        try:
            faults = self._root.faults(instance, (), memory)
            if faults:
                best = _best(faults, self._types)
                raise ValidationError(best.message, best.path, best.site.path, best.instance)
        except RecursionError:
            raise ValidationError("is nested too deeply", (), (), instance) from None


def _best(faults: Sequence[Fault], types: Types) -> Fault:
    """The fault to report: nearest to the root; but of alternatives none of which fits, the one furthest in."""

    def relevance(fault: Fault) -> tuple[Any, ...]:
        return _relevance(fault, types)

    best = max(faults, key=relevance)
    while best.context:
        candidates = sorted(best.context, key=relevance)[:2]
        if len(candidates) == 2 and relevance(candidates[0]) == relevance(candidates[1]):
            break  # none of the alternatives is any nearer than the others
        best = candidates[0]
    return best


def _relevance(fault: Fault, types: Types) -> tuple[Any, ...]:
    """Larger for what is more to the point, by the rules of ``jsonschema``."""
    # Python's objects may have keys that JSON's have not, and None < "a" is a TypeError.
    path = [(step, "") if isinstance(step, int) else (0, str(step)) for step in fault.path]
    return (-len(path), path, fault.site.keyword not in ("anyOf", "oneOf"), not _is_of_type(fault, types))


def _is_of_type(fault: Fault, types: Types) -> bool:
    """Whether the value has at least the type that the schema around the failing keyword names."""
    schema = fault.site.schema
    names = schema.get("type", []) if isinstance(schema, dict) else []
    return any(types[name](fault.instance) for name in ([names] if isinstance(names, str) else names) if name in types)


class _Document:
    """A schema document: makes the nodes of its schemas, and finds those that references name."""

    def __init__(self, schema: Any, formats: bool) -> None:
        self.dialect = _dialect(schema, ())
        self._keywords = dict(self.dialect.keywords)
        if formats:
            self._keywords["format"] = format_keyword
        #: The schemas that have an address, and their paths; the document's own is "", even if it says another.
        self._resources: dict[str, tuple[Any, Path]] = {"": (schema, ())}
        #: The address of the resource that begins with a schema, by the schema's identity.
        self._addresses: dict[int, str] = {}
        #: By the address of their resource and their name.
        self._anchors: dict[tuple[str, str], Node] = {}
        #: By the schema's identity.
        self._nodes: dict[int, Node] = {}
        self._unresolved: list[Callable[[], None]] = []
        self.root = self._compile(schema, (), "")
        while self._unresolved:
            self._unresolved.pop()()

    def _compile(self, schema: Any, path: Path, base: str) -> Node:
        """The node of a schema at ``path`` in the document, in the resource with the address ``base``."""
        node = Node(schema)
        if isinstance(schema, bool):
            if not schema:
                site = self._site("", schema, path, base)
                node.checks.append(lambda instance, place, memory: site.fault(instance, place, _NEVER, instance))
            return node
        if not isinstance(schema, dict):
            raise SchemaError("must be a schema, not %s" % quote(schema), path)
        self._nodes[id(schema)] = node
        alone = self.dialect.ref_stands_alone and "$ref" in schema
        if not alone:
            base = self._register(schema, node, path, base)
        for name, argument in schema.items():
            if name in LEFT_OUT:
                raise SchemaError("is not supported", (*path, name))
            if name in self._keywords and (not alone or name in ("$ref", "definitions")):
                check = self._keywords[name](argument, self._site(name, schema, (*path, name), base))
                if check:
                    node.checks.append(check)
        return node

    def _site(self, keyword: str, schema: Any, path: Path, base: str) -> Site:
        return Site(
            keyword,
            schema,
            path,
            lambda below, place: self._compile(below, place, base),
            lambda reference, site: self._refer(reference, base, site),
        )

    def _register(self, schema: dict[str, Any], node: Node, path: Path, base: str) -> str:
        """Note under which address and names references find the schema; the address that those below start from."""
        if path and "$schema" in schema and _dialect(schema, path) is not self.dialect:
            raise SchemaError("a second dialect in one document is not supported", (*path, "$schema"))
        for keyword in (self.dialect.identifier, "$anchor"):
            if not isinstance(schema.get(keyword, ""), str):
                raise SchemaError("must be a string, not %s" % quote(schema[keyword]), (*path, keyword))
        address, _, name = schema.get(self.dialect.identifier, "").partition("#")
        if address:
            base = _join(base, address)
            self._resources[base] = (schema, path)
            self._addresses[id(schema)] = base
        for anchor in (name, schema.get("$anchor")):
            if anchor:
                self._anchors[base, anchor] = node
        return base

    def _refer(self, reference: str, base: str, site: Site) -> Callable[[], Node]:
        """What gives the node that ``reference`` names, seen from a schema of the resource ``base``."""
        address, _, fragment = reference.partition("#")
        if "%" in fragment:
            from urllib.parse import unquote

            fragment = unquote(fragment)
        found: list[Node] = []

        def find() -> None:
            resource = _join(base, address) if address else base
            if resource not in self._resources:
                site.refuse("%r leads out of this document, and nothing is fetched" % reference)
            if fragment and not fragment.startswith("/"):
                node = self._anchors.get((resource, fragment))
            else:
                node = self._at_pointer(resource, fragment)
            if node is None:
                site.refuse("%r leads to nothing" % reference)
            found.append(node)

        self._unresolved.append(find)
        return lambda: found[0]

    def _at_pointer(self, resource: str, pointer: str) -> Node | None:
        """The node of the schema at a JSON pointer, also where it stands below no keyword."""
        schema, path = self._resources[resource]
        for token in pointer.split("/")[1:]:
            step: str | int = token.replace("~1", "/").replace("~0", "~")
            if isinstance(schema, list) and _is_index(token, len(schema)):
                step = int(token)
            elif not isinstance(schema, dict) or step not in schema:
                return None
            schema = schema[step]
            path = (*path, step)
            resource = self._addresses.get(id(schema), resource)
        return self._nodes.get(id(schema)) or self._compile(schema, path, resource)


_NEVER = "False schema does not allow {0!r}"


def _is_index(token: str, length: int) -> bool:
    """Whether a pointer's token is a place in a list. Source: RFC 6901: ASCII digits, and no leading zero."""
    return token.isdecimal() and len(token) < 10 and str(int(token)) == token and int(token) < length


def _dialect(schema: Any, path: Path) -> Dialect:
    if not isinstance(schema, dict) or "$schema" not in schema:
        return NEWEST
    name = schema["$schema"]
    dialect = DIALECTS.get(name.partition("://")[2].rstrip("#")) if isinstance(name, str) else None
    if dialect is None:
        known = ", ".join(DIALECTS)
        raise SchemaError("%s is not supported; known are %s" % (quote(name), known), (*path, "$schema"))
    return dialect


def _join(base: str, address: str) -> str:
    if not base:
        return address
    from urllib.parse import urljoin

    try:
        return urljoin(base, address)
    except ValueError:  # it is no URI, as http://[ is none
        return address


# Init data, run data and configuration against their JSON Schemas, which lie beside the adaptor.


class DataError(InputError, ValidationError):
    """Data that are not as their schema wants them: both errors in one, so that an adaptor need not catch it."""

    def __init__(self, where: str, error: ValidationError) -> None:
        ValidationError.__init__(self, error.message, error.path, error.schema_path, error.instance)
        self.args = (where, error)

    def __str__(self) -> str:
        return "%s: %s" % (self.args[0], ValidationError.__str__(self))


class AdaptorDataValidator:
    """Checks the data of one kind. Raises :class:`InputError` for a schema that is wrong or that is not supported."""

    def __init__(self, schema: Any, where: str = "schema") -> None:
        self._where = where
        try:
            self._validator = Validator(schema)
        except SchemaError as error:
            raise InputError("%s: %s" % (where, error)) from None

    @classmethod
    def from_schema_file(cls, schema_path: str) -> AdaptorDataValidator:
        """The validator by the schema in a JSON file."""
        where = "schema %s" % schema_path
        return cls(parse(where, read_text(where, schema_path)), where)

    def validate(self, data: str | dict[str, Any], where: str = "data") -> None:
        """Raise :class:`DataError` if the data are not as the schema wants them.

        A string is JSON or YAML, or ``file://`` and the path of a file with one; :class:`InputError` if it is neither.
        """
        if isinstance(data, str):
            where, data = source(where, data), load(where, data)
        try:
            self._validator.validate(data)
        except ValidationError as error:
            raise DataError(where, error) from None
        except SchemaError as error:  # a reference that leads back to itself shows only now
            raise InputError("%s: %s" % (self._where, error)) from None


class AdaptorDataValidators:
    """The validators of an adaptor's init data and run data."""

    #: The class of both.
    validator_cls = AdaptorDataValidator

    def __init__(self, init_data_validator: AdaptorDataValidator, run_data_validator: AdaptorDataValidator) -> None:
        self.init_data = init_data_validator
        self.run_data = run_data_validator

    @classmethod
    def for_adaptor(cls, schema_dir: str) -> AdaptorDataValidators:
        """Those by ``init_data.schema.json`` and ``run_data.schema.json`` in a folder, which must both be there."""
        paths = [os.path.join(schema_dir, name) for name in SCHEMA_FILES.values()]
        return cls(*map(cls.validator_cls.from_schema_file, paths))
