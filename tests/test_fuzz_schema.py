"""JSON Schema under random schemas and values: the verdicts and words are jsonschema's, and no error is but its own.

Where it differs from PyPI's ``jsonschema`` on purpose: a ``false`` schema's error has its path, ``multipleOf`` is
decimal, regular expressions are ECMA's, and of more than ten thousand faults not all are compared. The random schemas
keep away from these; the tables in the other files have them.
"""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from openjd_adapt.schema import SchemaError, ValidationError, Validator

from .conftest import missing, module

pytestmark = pytest.mark.pure

#: A quarter of those of YAML, as each is of several values, and takes longer.
EXAMPLES = max(20, int(os.environ.get("OPENJD_ADAPT_EXAMPLES", "0")) // 4)
FOLDER = Path(__file__).resolve().parents[2] / "shared" / "corpus" / "adaptor_schemas"
FILES = sorted(FOLDER.glob("*.json"))


def fuzz(examples):
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    return settings(max_examples=max(examples, 10), suppress_health_check=checks)


many = fuzz(EXAMPLES)
#: A thousand examples take some ten seconds on a slow host.
patient = pytest.mark.timeout(120 + EXAMPLES // 10)


def at(value, path):
    for step in path:
        value = value[step]
    return value


def here(schema, instance):
    """What is said of a value here: None, or message and path. Neither value nor schema is changed."""
    before = copy.deepcopy((schema, instance))
    validator = Validator(schema)
    try:
        validator.validate(instance)
        said = None
    except ValidationError as error:
        said = (error.message, error.path)
        assert "\n" not in str(error)
        at(schema, error.schema_path)
        assert at(instance, error.path) == error.instance or "propertyNames" in str(schema)
        with pytest.raises(ValidationError) as caught:
            validator.validate(instance)
        assert (caught.value.message, caught.value.path) == said
    assert (schema, instance) == before
    return said


@pytest.fixture(scope="module")
def jsonschema():
    """The reference, in the version whose words are ours."""
    found = module("jsonschema")
    from importlib.metadata import version

    if tuple(map(int, version("jsonschema").split(".")[:2])) < (4, 26):
        pytest.skip(missing("jsonschema"))
    return found


def there(jsonschema, schema, instance):
    """What ``jsonschema`` says of the value."""
    validator = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)(schema)
    best = jsonschema.exceptions.best_match(validator.iter_errors(instance))
    return best and (best.message, tuple(best.absolute_path))


# Values

NAMES = ["a", "b", "frame", "x y", "\u00fc"]
TEXTS = ["", "a", "b1", "abc", "frame", "\u00fc\U0001d11e", "it's {0!r} 100%"]
scalars = st.sampled_from([None, True, False, 0, 1, 2, -3, 10, 1.0, 2.5, -0.0, 2**53, 2.0**53, *TEXTS])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=6,
)


def mostly(usual, otherwise):
    """``usual`` in six of seven cases."""
    return st.integers(0, 6).flatmap(lambda dice: usual if dice else otherwise)


OF_TYPE = {
    "null": st.none(),
    "boolean": st.booleans(),
    "integer": st.integers(-5, 20),
    "number": st.integers(-5, 20) | st.sampled_from([0.5, 1.0, -2.25]),
    "string": st.sampled_from(TEXTS),
    "array": st.lists(scalars, max_size=3),
    "object": st.dictionaries(st.sampled_from(NAMES), scalars, max_size=3),
}


def drawn(schema, root, spoiled, depth=0):
    """Values that the schema may allow; ``spoiled``: with something wrong, missing or too much in places."""
    if not isinstance(schema, dict) or depth > 6:
        return values

    def below(part):
        return drawn(part, root, spoiled, depth + 1)

    ways = [below(part) for keyword in ("oneOf", "anyOf", "allOf") for part in schema.get(keyword, [])]
    if "$ref" in schema:
        ways.append(below(at(root, schema["$ref"].split("/")[1:])))
    if "enum" in schema:
        ways.append(st.sampled_from(schema["enum"]))
    if "const" in schema:
        ways.append(st.just(schema["const"]))
    if "pattern" in schema:
        ways.append(st.sampled_from([*TEXTS, "V_Ray_6"]))
    parts = {name: below(part) for name, part in schema.get("properties", {}).items()}
    for name in schema.get("required", []):
        parts.setdefault(name, values)
    if parts:
        needed = {name: part for name, part in parts.items() if name in schema.get("required", [])}
        optional = {name: part for name, part in parts.items() if name not in needed}
        if spoiled:
            optional.update(needed, extra=values)
            needed = {}
        ways.append(st.fixed_dictionaries(needed, optional=optional))
    if isinstance(schema.get("items"), dict):
        ways.append(st.lists(below(schema["items"]), max_size=3))
    if not ways:
        types = schema.get("type", list(OF_TYPE))
        ways = [OF_TYPE[name] for name in ([types] if isinstance(types, str) else types)]
    return mostly(st.one_of(ways), values) if spoiled else st.one_of(ways)


def near(schema):
    return drawn(schema, schema, False) | drawn(schema, schema, True)


# The adaptors' own schemas


@pytest.mark.parametrize("path", FILES or [None], ids=lambda path: path.name[:40] if path else "none")
def test_what_is_said_of_data_for_a_published_adaptor_is_what_jsonschema_says(jsonschema, path):
    if path is None:
        pytest.skip(missing("corpus"))
    schema = json.loads(path.read_text(encoding="utf-8"))
    verdicts = set()

    @fuzz(max(50, EXAMPLES // 4))
    @given(near(schema))
    def compare(instance):
        said = here(schema, instance)
        assert said == there(jsonschema, schema, instance)
        verdicts.add(said is None)

    compare()
    assert verdicts == {True, False}


# Random schemas

DRAFTS = {
    "07": "http://json-schema.org/draft-07/schema#",
    "2020": "https://json-schema.org/draft/2020-12/schema",
}
#: The keywords that the adaptors' schemas have, next to annotations, "$defs" and "$ref".
ADAPTORS_KEYWORDS = [
    "type",
    "type",
    "properties",
    "properties",
    "required",
    "enum",
    "oneOf",
    "pattern",
    "items",
    "$ref",
]
ALL_KEYWORDS = [
    *ADAPTORS_KEYWORDS,
    *["anyOf", "allOf", "not", "if", "const", "multipleOf", "uniqueItems", "minimum", "maximum"],
    *["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"],
    *["patternProperties", "additionalProperties", "propertyNames", "dependentRequired", "dependentSchemas"],
    *["exclusiveMinimum", "exclusiveMaximum", "contains", "prefixItems", "additionalItems", "dependencies", "bounds"],
]
REFERENCES = ["#/$defs/text", "#/$defs/tree", "#/$defs/way"]
names = st.sampled_from(NAMES)
name_lists = st.lists(names, min_size=1, max_size=3, unique=True)
types = st.sampled_from(["object", "object", *OF_TYPE])
type_lists = st.lists(st.sampled_from(list(OF_TYPE)), min_size=1, max_size=3, unique=True)
patterns = st.sampled_from(["^a", "b", "^[a-z]+$", "1|x", ""])


def arguments(keyword, draft, inner):
    """The arguments of a keyword, by name of the keywords that they are written with."""
    several = st.lists(inner, min_size=1, max_size=3)
    if keyword == "if":
        return st.fixed_dictionaries({"if": inner}, optional={"then": inner, "else": inner})
    if keyword == "bounds":
        bound = st.integers(0, 3)
        return st.fixed_dictionaries({"contains": inner}, optional={"minContains": bound, "maxContains": bound})
    if keyword == "items" and draft == "07":
        argument = inner | several
    elif keyword in ("additionalProperties", "additionalItems") or (keyword == "items" and draft == "2020"):
        argument = inner | st.just(False)
    elif keyword in ("anyOf", "oneOf", "allOf", "prefixItems"):
        argument = several
    elif keyword in ("properties", "dependentSchemas"):
        argument = st.dictionaries(names, inner, min_size=1, max_size=3)
    elif keyword == "dependencies":
        argument = st.dictionaries(names, inner | name_lists, min_size=1, max_size=2)
    else:
        argument = {
            "type": mostly(types, type_lists),
            "required": name_lists,
            "enum": st.lists(values, min_size=1, max_size=3),
            "pattern": patterns,
            "$ref": st.sampled_from(REFERENCES),
            "const": values,
            "multipleOf": st.sampled_from([1, 2, 0.5]),
            "uniqueItems": st.booleans(),
            "patternProperties": st.dictionaries(patterns, inner, max_size=2),
            "dependentRequired": st.dictionaries(names, name_lists, min_size=1, max_size=2),
            **dict.fromkeys(["not", "contains", "propertyNames", "items"], inner),
        }.get(keyword, st.integers(0, 3))
    return st.fixed_dictionaries({keyword: argument})


def schemas(keywords, draft):
    """Schemas of a draft, with definitions that refer to one another."""

    def level(inner):
        known = [keyword for keyword in keywords if draft == "2020" or keyword != "bounds"]
        one = st.sampled_from(known).flatmap(lambda keyword: arguments(keyword, draft, inner))
        return st.lists(one, max_size=3).map(lambda parts: {key: arg for part in parts for key, arg in part.items()})

    leaf = [keyword for keyword in ["type", "enum", "pattern", "required", "$ref", "minimum"] if keyword in keywords]
    inner = st.just({}) | st.sampled_from(leaf).flatmap(lambda keyword: arguments(keyword, draft, st.just({})))
    for _ in range(3):
        inner = mostly(level(inner), inner)

    def whole(schema, way):
        tree = {"properties": {"a": {"$ref": "#"}, "b": {"$ref": "#/$defs/tree"}}, "items": {"$ref": "#/$defs/text"}}
        definitions = {"text": {"type": "string", "minLength": 1}, "tree": tree}
        definitions["way"] = {"oneOf": [way, {"$ref": "#/$defs/text"}]}
        return {"$schema": DRAFTS[draft], **schema, "$defs": definitions, "description": "x", "default": 5}

    simple = st.fixed_dictionaries({}, optional={"type": types, "required": name_lists})
    return st.builds(whole, level(inner), simple)


def compare(jsonschema, schema, instances):
    for instance in instances:
        assert here(schema, instance) == there(jsonschema, schema, instance), instance


def with_values(schemas):
    """Schemas, each with values that may or may not be as it wants them."""
    return schemas.flatmap(lambda schema: st.tuples(st.just(schema), st.lists(near(schema) | values, max_size=5)))


@patient
@many
@given(case=with_values(schemas(ADAPTORS_KEYWORDS, "2020")))
def test_what_is_said_by_schemas_like_the_adaptors_is_what_jsonschema_says(jsonschema, case):
    compare(jsonschema, *case)


@patient
@many
@given(case=st.sampled_from(sorted(DRAFTS)).flatmap(lambda draft: with_values(schemas(ALL_KEYWORDS, draft))))
def test_what_is_said_by_schemas_of_either_draft_is_what_jsonschema_says(jsonschema, case):
    compare(jsonschema, *case)


# Wrong schemas

#: What a metaschema says of an annotation, and what nobody here reads.
ANNOTATIONS = ["$comment", "title", "description", "examples", "format", "contentEncoding", "contentSchema", "readOnly"]
#: What draft-07 does not know, and is refused there, too, if it is wrong.
OF_THE_NEWEST = ["$defs", "$anchor"]
ARGUMENTS = [
    None,
    True,
    False,
    0,
    1,
    -1,
    1.0,
    1.5,
    "",
    "a",
    "^a",
    "(",
    "#",
    "integer",
    [],
    ["a"],
    ["a", "a"],
    [1],
    [{}],
]
ARGUMENTS += [[True], ["null"], ["null", "null"], {}, {"a": {}}, {"a": 1}, {"a": True}, {"a": []}, {"a": ["b"]}]
ARGUMENTS += [{"a": ["b", "b"]}, {"a": [1]}, {"type": 5}, {"a": {"type": 5}}, [{"type": 5}], {"$ref": 5}, [{"$ref": 5}]]
EVERY_KEYWORD = [
    *["$ref", "$id", "dependencies", "definitions", "then", "else", "minContains", "maxContains"],
    *sorted({keyword for keyword in ALL_KEYWORDS if keyword != "bounds"}),
    *OF_THE_NEWEST,
    *ANNOTATIONS,
]


def accepts(check, schema, error):
    try:
        check(schema)
    except error:
        return False
    return True


def may_differ(draft, keyword, argument):
    """Where jsonschema, which goes by the metaschema, may refuse what is accepted here, or the other way round."""
    if keyword in ANNOTATIONS or (keyword in OF_THE_NEWEST and draft == "07"):
        return True
    if keyword == "$ref":  # that it leads nowhere is found out by jsonschema when a value comes to it
        return isinstance(argument, str)
    if keyword == "$anchor":  # any text serves as a name
        return isinstance(argument, str)
    if keyword == "dependencies" and draft == "2020":  # it says nothing there
        return True
    lists = [argument, *argument.values()] if isinstance(argument, dict) else [argument]
    return any(one in (["a", "a"], ["b", "b"], ["null", "null"]) for one in lists)  # twice does no harm


@pytest.mark.parametrize("draft", sorted(DRAFTS))
def test_the_schemas_that_are_refused_are_those_that_jsonschema_refuses(jsonschema, draft):
    differences, same = [], 0
    for keyword in EVERY_KEYWORD:
        for argument in ARGUMENTS:
            schema = {"$schema": DRAFTS[draft], keyword: argument}
            check = jsonschema.validators.validator_for(schema).check_schema
            if accepts(Validator, schema, SchemaError) == accepts(check, schema, jsonschema.SchemaError):
                same += 1
            elif not may_differ(draft, keyword, argument):
                differences.append((keyword, argument))
    assert differences == []
    assert same > 0.75 * len(EVERY_KEYWORD) * len(ARGUMENTS)


# Hostile input

any_text = st.text(st.characters(), max_size=6) | st.sampled_from(TEXTS)  # lone surrogates, too
any_scalar = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    any_text,
    st.sampled_from([10**400, -(10**400), 1e308, 5e-324, b"bytes", ("tuple", 1), 1j]),
)
any_key = any_text | st.sampled_from([None, 1, True, 2.5, ("a", 1), b"b"])
any_value = st.recursive(
    any_scalar,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_key, inner, max_size=4),
    max_leaves=10,
)
REFERENCES_TO_ANYWHERE = [
    "#",
    "#/",
    "#/a",
    "#a",
    "",
    "a",
    "#/$defs/a",
    "#/items/0",
    "#/properties/a",
    "#/%",
    "http://[",
    "%",
]
hostile_argument = st.sampled_from([*ARGUMENTS, *REFERENCES_TO_ANYWHERE, "[", "(?<a>", "a{9}", "\\p", *DRAFTS.values()])
hostile_schema = st.recursive(
    any_value | hostile_argument,
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from(EVERY_KEYWORD), inner | hostile_argument, max_size=5),
        st.dictionaries(st.sampled_from(["a", "b", *EVERY_KEYWORD]) | any_key, inner, max_size=3),
        st.lists(inner, max_size=3),
    ),
    max_leaves=12,
)


def judge(schema, instance):
    """The word for what comes of it; anything else that is raised fails the test."""
    try:
        validator = Validator(schema)
    except SchemaError as error:
        assert "\n" not in str(error)
        at(schema, error.path)
        return "refused"
    try:
        validator.validate(instance)
    except SchemaError as error:
        assert "leads back to itself" in error.message
        return "goes in circles"
    except ValidationError as error:
        assert "\n" not in str(error)
        at(schema, error.schema_path)
        at(instance, error.path)
        return "wrong"
    return "right"


@patient
@many
@given(hostile_schema, any_value)
def test_any_object_for_a_schema_is_understood_or_refused(schema, instance):
    assert judge(schema, instance)


@pytest.mark.long
@patient
@fuzz(max(EXAMPLES, 80))
@given(st.sampled_from(sorted(DRAFTS)).flatmap(lambda draft: schemas(ALL_KEYWORDS, draft)), any_value)
def test_any_object_for_a_value_is_right_or_wrong(schema, instance):
    assert judge(schema, instance) in ("right", "wrong")


@pytest.mark.long
@patient
@fuzz(max(EXAMPLES, 80))
@given(schemas(ALL_KEYWORDS, "2020"), st.data())
def test_a_schema_with_one_part_replaced_is_understood_or_refused(schema, data):
    part, path = schema, ()
    while isinstance(part, (dict, list)) and part:
        step = data.draw(st.sampled_from(sorted(part) if isinstance(part, dict) else list(range(len(part)))))
        path, part = (*path, step), part[step]
        if data.draw(st.booleans()):
            break
    changed = copy.deepcopy(schema)
    at(changed, path[:-1])[path[-1]] = data.draw(hostile_argument | any_value)
    assert judge(changed, data.draw(values))
