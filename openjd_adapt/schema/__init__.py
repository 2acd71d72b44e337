"""JSON Schema, drafts 2020-12 and 07, within one document: nothing is fetched, and nothing is silently ignored.

Left out, and refused by name: the keywords :data:`LEFT_OUT`, references to other documents, other dialects. Unknown
keywords are annotations, and ``format`` is one. A regular expression in a schema is its author's: ``re`` runs it, and
one that takes exponential time does so here, too.
"""

from __future__ import annotations

import os

from ..data import SCHEMA_FILES, load, parse, read_text, source
from ..plain_json import copied
from .faults import Located, Node, SchemaError as SchemaError, Site, locate, quote
from .keywords import DIALECTS, DRAFT_07, DRAFT_2020_12, TYPES, Parts, value_check

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator, Sequence

    from .faults import Fault, Keyword, Path

    Keywords = dict[str, tuple[type, Keyword]]

#: Left out of every dialect, and refused rather than ignored.
LEFT_OUT = ["$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$vocabulary"]
LEFT_OUT += ["unevaluatedItems", "unevaluatedProperties"]
#: How many faults are told beside the first.
_OTHERS = 20


class ValidationError(Located):
    """A value that is not as the schema wants it.

    ``message`` is what the PyPI package ``jsonschema`` says, ``path`` where in the value it is, ``schema_path`` where
    in the schema the rule stands, ``instance`` the part of the value that is wrong. ``others`` says what else is wrong
    with the value, in one line each, of which there are 21 at the most.
    """

    others: Sequence[str] = ()

    def __init__(self, message: str, path: Path, schema_path: Path, instance: Any) -> None:
        super().__init__(message, path, schema_path, instance)
        self.schema_path = schema_path
        self.instance = instance


def validate(instance: Any, schema: Any) -> None:
    """Raise :class:`ValidationError` if ``instance`` is not as ``schema`` wants it; of several faults the best.

    Both are JSON values. Raises :class:`SchemaError` if the schema is wrong.
    """
    Validator(schema).validate(instance)


def _best(faults: Sequence[Fault]) -> Fault:
    """The fault to report: nearest to the root; but of alternatives none of which fits, the one furthest in."""
    best = max(faults, key=_relevance)
    while best.context:
        candidates = sorted(best.context, key=_relevance)[:2]
        if len(candidates) == 2 and _relevance(candidates[0]) == _relevance(candidates[1]):
            break  # none of the alternatives is any nearer than the others
        best = candidates[0]
    return best


def _others(first: Fault, faults: Sequence[Fault]) -> list[str]:
    """What is wrong beside the first, as lines."""
    best = [first, *(_best([fault]) for fault in faults[: _OTHERS + 1])]
    _, *lines = dict.fromkeys(locate(fault.path, fault.message) for fault in best)  # each once
    more = len(faults) - 1 - _OTHERS
    return [*lines[:_OTHERS], *["and %d more" % more] * (more > 0)]


def _relevance(fault: Fault) -> tuple[Any, ...]:
    """Larger for what is more to the point, by the rules of ``jsonschema``."""
    # Python's objects may have keys that JSON's have not, and None < "a" is a TypeError.
    path = [(step, "") if isinstance(step, int) else (0, str(step)) for step in fault.path]
    return (-len(path), path, fault.site.keyword not in ("anyOf", "oneOf"), not _is_of_type(fault))


def _is_of_type(fault: Fault) -> bool:
    """Whether the value has at least the type that the schema around the failing keyword names."""
    schema = fault.site.schema
    names = schema.get("type", []) if isinstance(schema, dict) else []
    return any(TYPES[name](fault.instance) for name in ([names] if isinstance(names, str) else names) if name in TYPES)


class Validator:
    """A schema document, checked once, for many values. Raises :class:`SchemaError`.

    It makes the nodes of its schemas, and finds those that references name.
    """

    def __init__(self, schema: Any) -> None:
        self.schema = schema
        #: The schemas that have an address, and their paths; the document's own is "", even if it says another.
        self._resources: dict[str, tuple[Any, Path]] = {"": (schema, ())}
        #: The address of the resource that begins with a schema, by the schema's identity.
        self._addresses: dict[int, str] = {}
        #: By the address of their resource and their name.
        self._anchors: dict[tuple[str, str], Node] = {}
        #: By the schema's identity.
        self._nodes: dict[int, Node] = {}
        self._unresolved: list[tuple[str, Site, Node]] = []
        #: What the reference of a schema names, by the schema's identity.
        self._referred: dict[int, Any] = {}
        try:
            self._keywords = _keywords(schema, ())
            self._root = self.compile(schema, (), "")
            while self._unresolved:
                reference, site, node = self._unresolved.pop()
                named = self._named(reference, site)
                node.checks, self._referred[id(site.schema)] = named.checks, named.schema
        except RecursionError:
            raise SchemaError("is nested too deeply") from None

    def validate(self, instance: Any) -> None:
        """Raise :class:`ValidationError` if ``instance`` is not as the schema wants it."""
        try:
            faults = self._root.faults(instance, (), {})
            if faults:
                best = _best(faults)
                error = ValidationError(best.message, best.path, best.site.path, best.instance)
                error.others = _others(best, faults)
                raise error
        except RecursionError:
            raise ValidationError("is nested too deeply", (), (), instance) from None

    def applied(self, *schemas: Any) -> Iterator[dict[str, Any]]:
        """``schemas`` of this document, and those that ``$ref`` and ``allOf`` in them apply to the same value."""
        waiting: list[Any] = list(schemas)
        seen: set[int] = set()
        for schema in waiting:
            if isinstance(schema, dict) and id(schema) not in seen:
                seen.add(id(schema))
                waiting.append(self._referred.get(id(schema)))
                if not self._is_alone(schema):
                    yield schema
                    waiting += schema.get("allOf", ())

    def fits(self, instance: Any, *schemas: Any) -> bool:
        """Whether ``instance`` is as all these ``schemas`` of this document want it."""
        nodes = [self._nodes.get(id(schema)) or self.compile(schema, (), "") for schema in schemas]
        return not any(node.faults(instance, (), {}) for node in nodes)

    def fill(self, instance: Any) -> None:
        """Put in the defaults of properties that ``instance`` has not, at any depth, also in what is put in.

        Those that stand in alternatives, conditions and negations do not count.
        """
        try:
            self._fill(instance, self._root.schema, frozenset())
        except RecursionError:
            raise ValidationError("is nested too deeply", (), (), instance) from None

    def _fill(self, instance: Any, schema: Any, within: frozenset[int]) -> None:
        """``within``: the schemas whose defaults have made ``instance``, which would be made again without end."""
        applied = list(self.applied(schema))
        made: dict[Any, frozenset[int]] = {}
        properties = [pair for part in applied for pair in part.get("properties", {}).items()]
        if isinstance(instance, dict):
            for name, below in properties:
                defaults = [each["default"] for each in self.applied(below) if "default" in each]
                if defaults and name not in instance and id(below) not in within:
                    instance[name] = copied(defaults[0])
                    made[name] = within | {id(below)}
        for part in applied:
            for kind, check in self._nodes[id(part)].checks:
                if isinstance(check, Parts) and issubclass(type(instance), kind):
                    for node, step in check.of(instance):
                        self._fill(instance[step], node.schema, made.get(step, within))

    def compile(self, schema: Any, path: Path, base: str) -> Node:
        """The node of a schema at ``path`` in the document, in the resource with the address ``base``."""
        node = Node(schema)
        if isinstance(schema, bool):
            if not schema:
                site = Site(self, base, "", schema, path)
                node.checks.append((object, value_check(site, lambda value: True, "False schema does not allow {0!r}")))
            return node
        if not isinstance(schema, dict):
            raise SchemaError("must be a schema, not %s" % quote(schema), path)
        self._nodes[id(schema)] = node
        alone = self._is_alone(schema)
        if not alone:
            base = self._register(schema, node, path, base)
        for name, argument in schema.items():
            if name in LEFT_OUT:
                raise SchemaError("is not supported", (*path, name))
            if name in self._keywords and (not alone or name in ("$ref", "definitions")):
                kind, keyword = self._keywords[name]
                check = keyword(argument, Site(self, base, name, schema, (*path, name)))
                if check:
                    node.checks.append((kind, check))
        return node

    def _is_alone(self, schema: dict[str, Any]) -> bool:
        """Whether a reference hides the keywords beside it."""
        return self._keywords is DRAFT_07 and "$ref" in schema

    def _register(self, schema: dict[str, Any], node: Node, path: Path, base: str) -> str:
        """Note under which address and names references find the schema; the address that those below start from."""
        if path and "$schema" in schema and _keywords(schema, path) is not self._keywords:
            raise SchemaError("a second dialect in one document is not supported", (*path, "$schema"))
        for keyword in ("$id", "$anchor"):
            if not isinstance(schema.get(keyword, ""), str):
                raise SchemaError("must be a string, not %s" % quote(schema[keyword]), (*path, keyword))
        address, _, name = schema.get("$id", "").partition("#")
        if address:
            base = _join(base, address)
            self._resources[base] = (schema, path)
            self._addresses[id(schema)] = base
        for anchor in (name, schema.get("$anchor")):
            if anchor:
                self._anchors[base, anchor] = node
        return base

    def refer(self, reference: str, site: Site) -> Node:
        """A node that has the checks of the one that ``reference`` names, once all of the document is known."""
        node = Node(reference)
        self._unresolved.append((reference, site, node))
        return node

    def _named(self, reference: str, site: Site) -> Node:
        """The node that ``reference`` names, seen from a schema of the site's resource."""
        address, _, fragment = reference.partition("#")
        if "%" in fragment:
            from urllib.parse import unquote

            fragment = unquote(fragment)
        resource = _join(site.base, address) if address else site.base
        if resource not in self._resources:
            site.refuse("%r leads out of this document, and nothing is fetched" % reference)
        if fragment and not fragment.startswith("/"):
            node = self._anchors.get((resource, fragment))
        else:
            node = self._at_pointer(resource, fragment)
        return node or site.refuse("%r leads to nothing" % reference)

    def _at_pointer(self, resource: str, pointer: str) -> Node | None:
        """The node of the schema at a JSON pointer, also where it stands below no keyword."""
        schema, path = self._resources[resource]
        for token in pointer.split("/")[1:]:
            step: str | int = token.replace("~1", "/").replace("~0", "~")
            if isinstance(schema, list) and token in map(str, range(len(schema))):
                step = int(token)
            elif not isinstance(schema, dict) or step not in schema:
                return None
            schema = schema[step]
            path = (*path, step)
            resource = self._addresses.get(id(schema), resource)
        return self._nodes.get(id(schema)) or self.compile(schema, path, resource)


def _keywords(schema: Any, path: Path) -> Keywords:
    """Those of the dialect that a schema names; without ``$schema`` it is of the newest."""
    if not isinstance(schema, dict) or "$schema" not in schema:
        return DRAFT_2020_12
    name = schema["$schema"]
    keywords = DIALECTS.get(name.partition("://")[2].rstrip("#")) if isinstance(name, str) else None
    if keywords is None:
        message = "%s is not supported; known are %s" % (quote(name), ", ".join(DIALECTS))
        raise SchemaError(message, (*path, "$schema"))
    return keywords


def _join(base: str, address: str) -> str:
    if not base:
        return address
    from urllib.parse import urljoin

    try:
        return urljoin(base, address)
    except ValueError:  # it is not a URI, as http://[ is none
        return address


# What adaptors use: init data, run data and configuration are checked by the schemas that lie beside the adaptor. An
# adaptor need not catch the errors: each ends as one line and exit code 2.


class AdaptorDataValidator:
    """Checks the data of one kind. Raises :class:`SchemaError` for a schema that is wrong or that is not supported."""

    def __init__(self, schema: Any, where: str = "schema") -> None:
        #: The schema as it was given.
        self.schema = schema
        self._where = where
        try:
            self.document = Validator(schema)
        except SchemaError as error:
            error.where = where
            raise

    @classmethod
    def from_schema_file(cls, schema_path: str) -> AdaptorDataValidator:
        """The validator by the schema in a JSON file."""
        where = "schema %s" % schema_path
        return cls(parse(where, read_text(where, schema_path)), where)

    def validate(self, data: str | dict[str, Any], where: str = "data") -> None:
        """Raise :class:`ValidationError` if the data are not as the schema wants them.

        A string is JSON or YAML, or ``file://`` and the path of a file with one; :class:`InputError` if it is neither.
        """
        if isinstance(data, str):
            where, data = source(where, data), load(where, data)
        try:
            self.document.validate(data)
        except Located as error:  # of the schema, too: a reference that leads back to itself shows only now
            error.where = where if isinstance(error, ValidationError) else self._where
            error.detail = "\n".join("%s: %s" % (where, other) for other in getattr(error, "others", ()))
            raise

    def fill(self, data: dict[str, Any]) -> None:
        """Put the schema's defaults into ``data``, where it has no value: those of properties, at any depth.

        Defaults that stand in alternatives (``anyOf``, ``oneOf``), in conditions and negations do not count.
        """
        self.document.fill(data)


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
