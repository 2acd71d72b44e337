"""JSON Schema: what is valid, what is said of the rest and where, which schemas are wrong; and nothing is ignored."""

from __future__ import annotations

import concurrent.futures
import copy
import json
import pickle

import pytest

from openjd_adapt.schema import AdaptorDataValidator, SchemaError, ValidationError, Validator, faults, validate

from .conftest import CORPUS, missing, module

pytestmark = pytest.mark.pure

DRAFT_07 = "http://json-schema.org/draft-07/schema#"
DRAFT_2020 = "https://json-schema.org/draft/2020-12/schema"


def complaint(instance, schema):
    """The error about a value."""
    with pytest.raises(ValidationError) as caught:
        validate(instance, schema)
    return caught.value


def refusal(schema):
    """The error about a schema, as found before any value is there."""
    with pytest.raises(SchemaError) as caught:
        Validator(schema)
    return caught.value


def at(value, path):
    """The part of a value, or of a schema, that stands at a path."""
    for step in path:
        value = value[step]
    return value


# The official test suite

LEFT_OUT = ["$dynamicRef", "$dynamicAnchor", "unevaluatedItems", "unevaluatedProperties"]


@pytest.fixture(scope="module")
def suite():
    """The groups of the official test suite for draft 2020-12."""
    path = CORPUS / "json_schema_2020_12.json"
    if not path.exists():
        pytest.skip(missing("corpus"))
    files = json.loads(path.read_text(encoding="utf-8"))
    return [group for groups in files.values() for group in groups]


def is_refused(group):
    try:
        Validator(group["schema"])
    except SchemaError:
        return True
    return False


def identifiers(schema):
    """All that is written as an address in a schema."""
    parts = list(schema.values()) if isinstance(schema, dict) else schema if isinstance(schema, list) else []
    found = [name for part in parts for name in identifiers(part)]
    return found + [schema["$id"]] if isinstance(schema, dict) and isinstance(schema.get("$id"), str) else found


def test_the_official_suite_passes_but_for_what_is_left_out(suite):
    groups = [group for group in suite if not is_refused(group)]
    wrong = []
    for group in groups:
        validator = Validator(group["schema"])
        for test in group["tests"]:
            try:
                validator.validate(test["data"])
                is_valid = True
            except ValidationError:
                is_valid = False
            if is_valid != test["valid"]:
                wrong.append((group["description"], test["description"]))
    assert wrong == []
    assert (len(groups), sum(len(group["tests"]) for group in groups)) == (135, 502)


def test_what_the_official_suite_has_and_is_left_out_is_refused_by_its_name(suite):
    refused = [group for group in suite if is_refused(group)]
    for group in refused:
        error = refusal(group["schema"])
        keyword, argument = error.path[-1], at(group["schema"], error.path)
        if keyword == "$ref":
            assert error.message == "%r leads out of this document, and nothing is fetched" % argument
            document = argument.partition("#")[0].rpartition("/")[2]
            assert document != "", group
            assert [name for name in identifiers(group["schema"]) if name.rpartition("/")[2] == document] == []
        elif keyword == "$schema":
            assert error.message.startswith("%r is not supported; known are " % argument)
            assert argument.startswith("http://localhost:1234/")
        elif keyword == "pattern":
            assert error.message.startswith("%r is not a regular expression that is supported: bad escape" % argument)
            assert r"\p{" in argument
        else:
            assert keyword in LEFT_OUT
            assert error.message == "is not supported"
    assert (len(refused), sum(len(group["tests"]) for group in refused)) == (59, 125)


@pytest.mark.parametrize("draft", [DRAFT_07, DRAFT_2020])
@pytest.mark.parametrize("keyword", [*LEFT_OUT, "$recursiveRef", "$recursiveAnchor", "$vocabulary"])
def test_what_is_left_out_is_refused_in_every_draft_wherever_it_stands(draft, keyword):
    for schema, path in [
        ({keyword: {}}, ()),
        ({"properties": {"a": {keyword: {}}}}, ("properties", "a")),
        ({"definitions": {"a": {"not": {keyword: False}}}}, ("definitions", "a", "not")),
        ({"$ref": "#/x", "x": {keyword: {}}}, ("x",)),
    ]:
        error = refusal({"$schema": draft, **schema})
        assert (error.message, error.path) == ("is not supported", (*path, keyword))
    # A property may have any name.
    validate({keyword: 1}, {"$schema": draft, "properties": {keyword: {"type": "integer"}}})


def test_keywords_that_nobody_knows_are_annotations():
    schema = {
        "title": "x",
        "$comment": "x",
        "default": 1,
        "examples": [1],
        "x-mine": {"type": 5},
        "id": 5,
        "minimun": "?",
    }
    validate("anything", {**schema, "deprecated": True, "contentEncoding": "base64"})


@pytest.mark.parametrize("draft", [DRAFT_07, DRAFT_2020])
@pytest.mark.parametrize("name", ["date", "ipv4", "regex", "uuid", "duration", "Date", "", None, 5, ["date"]], ids=repr)
def test_format_is_an_annotation_whatever_it_says(draft, name):
    for value in ("", "(", None, 1.5, {}):
        validate({"a": value}, {"$schema": draft, "properties": {"a": {"format": name}}, "format": name})


def test_formats_cannot_be_made_to_assert():
    for call in (lambda: validate("x", {"format": "date"}, formats=True), lambda: Validator({}, formats=True)):
        with pytest.raises(TypeError, match="unexpected keyword argument 'formats'"):
            call()


# Messages and places

#: Value, schema, message, path, schema path.
MESSAGES = [
    # Types
    (1, {"type": "string"}, "1 is not of type 'string'", (), ("type",)),
    (None, {"type": ["string", "object"]}, "None is not of type 'string', 'object'", (), ("type",)),
    (True, {"type": "integer"}, "True is not of type 'integer'", (), ("type",)),
    (True, {"type": "number"}, "True is not of type 'number'", (), ("type",)),
    (1.5, {"type": "integer"}, "1.5 is not of type 'integer'", (), ("type",)),
    (0, {"type": "boolean"}, "0 is not of type 'boolean'", (), ("type",)),
    (False, {"type": "null"}, "False is not of type 'null'", (), ("type",)),
    ([], {"type": "object"}, "[] is not of type 'object'", (), ("type",)),
    ({}, {"type": "array"}, "{} is not of type 'array'", (), ("type",)),
    # Values
    ("c", {"enum": ["a", "b"]}, "'c' is not one of ['a', 'b']", (), ("enum",)),
    (True, {"enum": [1]}, "True is not one of [1]", (), ("enum",)),
    ([0], {"enum": [[False]]}, "[0] is not one of [[False]]", (), ("enum",)),
    (1, {"enum": []}, "1 is not one of []", (), ("enum",)),
    (1, {"const": True}, "True was expected", (), ("const",)),
    ({"a": [1]}, {"const": {"a": [True]}}, "{'a': [True]} was expected", (), ("const",)),
    (None, {"const": {}}, "{} was expected", (), ("const",)),
    ([[], {}, []], {"uniqueItems": True}, "[[], {}, []] has non-unique elements", (), ("uniqueItems",)),
    ([1, 1.0], {"uniqueItems": True}, "[1, 1.0] has non-unique elements", (), ("uniqueItems",)),
    # Numbers
    (1, {"minimum": 1.5}, "1 is less than the minimum of 1.5", (), ("minimum",)),
    (2, {"maximum": 1}, "2 is greater than the maximum of 1", (), ("maximum",)),
    (1, {"exclusiveMinimum": 1}, "1 is less than or equal to the minimum of 1", (), ("exclusiveMinimum",)),
    (1, {"exclusiveMaximum": 1.0}, "1 is greater than or equal to the maximum of 1.0", (), ("exclusiveMaximum",)),
    (7, {"multipleOf": 2}, "7 is not a multiple of 2", (), ("multipleOf",)),
    (0.35, {"multipleOf": 0.1}, "0.35 is not a multiple of 0.1", (), ("multipleOf",)),
    (float("inf"), {"multipleOf": 1}, "inf is not a multiple of 1", (), ("multipleOf",)),
    # Sizes
    ("ab", {"minLength": 3}, "'ab' is too short", (), ("minLength",)),
    ("", {"minLength": 1}, "'' should be non-empty", (), ("minLength",)),
    ("abc", {"maxLength": 2}, "'abc' is too long", (), ("maxLength",)),
    ("a", {"maxLength": 0}, "'a' is expected to be empty", (), ("maxLength",)),
    ([], {"minItems": 2.0}, "[] is too short", (), ("minItems",)),
    ([], {"minItems": 1}, "[] should be non-empty", (), ("minItems",)),
    ([1, 2], {"maxItems": 1}, "[1, 2] is too long", (), ("maxItems",)),
    ([1], {"maxItems": 0}, "[1] is expected to be empty", (), ("maxItems",)),
    ({}, {"minProperties": 2}, "{} does not have enough properties", (), ("minProperties",)),
    ({}, {"minProperties": 1}, "{} should be non-empty", (), ("minProperties",)),
    ({"a": 1, "b": 2}, {"maxProperties": 1}, "{'a': 1, 'b': 2} has too many properties", (), ("maxProperties",)),
    ({"a": 1}, {"maxProperties": 0}, "{'a': 1} is expected to be empty", (), ("maxProperties",)),
    # Texts
    ("b", {"pattern": "^a{2}"}, "'b' does not match '^a{2}'", (), ("pattern",)),
    ("a\n", {"pattern": "^a$"}, "'a\\n' does not match '^a$'", (), ("pattern",)),
    # Properties
    ({}, {"required": ["a"]}, "'a' is a required property", (), ("required",)),
    ({"b": 1}, {"required": ["a", "b", "c"]}, "'a' is a required property", (), ("required",)),
    ({"a": 1}, {"properties": {"a": {"type": "null"}}}, "1 is not of type 'null'", ("a",), ("properties", "a", "type")),
    (
        {"a": 1, "c": 2, "b": 3},
        {"properties": {"a": True}, "additionalProperties": False},
        "Additional properties are not allowed ('b', 'c' were unexpected)",
        (),
        ("additionalProperties",),
    ),
    (
        {"b": 1},
        {"additionalProperties": False},
        "Additional properties are not allowed ('b' was unexpected)",
        (),
        ("additionalProperties",),
    ),
    (
        {"a": 1, "b": 2},
        {"patternProperties": {"^x": {}, "^a": {}}, "additionalProperties": False},
        "'b' does not match any of the regexes: '^a', '^x'",
        (),
        ("additionalProperties",),
    ),
    (
        {"c": 1, "b": 2},
        {"patternProperties": {"^a": {}}, "additionalProperties": False},
        "'b', 'c' do not match any of the regexes: '^a'",
        (),
        ("additionalProperties",),
    ),
    (
        {"b": 1},
        {"patternProperties": {}, "additionalProperties": False},
        "'b' does not match any of the regexes: ",
        (),
        ("additionalProperties",),
    ),
    (
        {"a": 1, "b": 2},
        {"properties": {"a": {}}, "additionalProperties": {"type": "null"}},
        "2 is not of type 'null'",
        ("b",),
        ("additionalProperties", "type"),
    ),
    (
        {"ab": 1},
        {"patternProperties": {"b$": {"type": "null"}}},
        "1 is not of type 'null'",
        ("ab",),
        ("patternProperties", "b$", "type"),
    ),
    ({"abc": 1}, {"propertyNames": {"maxLength": 2}}, "'abc' is too long", (), ("propertyNames", "maxLength")),
    (
        {"a": 1, "abc": 2, "b": 3},
        {"propertyNames": {"$ref": "#/$defs/short"}, "$defs": {"short": {"maxLength": 2}}},
        "'abc' is too long",
        (),
        ("$defs", "short", "maxLength"),
    ),
    (
        {"a": 1},
        {"dependentRequired": {"a": ["b"], "x": ["y"]}},
        "'b' is a dependency of 'a'",
        (),
        ("dependentRequired",),
    ),
    (
        {"a": 1},
        {"dependentSchemas": {"a": {"minProperties": 2}}},
        "{'a': 1} does not have enough properties",
        (),
        ("dependentSchemas", "a", "minProperties"),
    ),
    # Items
    ([1, "x"], {"items": {"type": "integer"}}, "'x' is not of type 'integer'", (1,), ("items", "type")),
    (["x"], {"prefixItems": [{"type": "null"}]}, "'x' is not of type 'null'", (0,), ("prefixItems", 0, "type")),
    (
        [None, 1, "x"],
        {"prefixItems": [{}], "items": {"type": "integer"}},
        "'x' is not of type 'integer'",
        (2,),
        ("items", "type"),
    ),
    ([1], {"items": False}, "Expected at most 0 items but found 1 extra: 1", (), ("items",)),
    (
        [1, 2, 3],
        {"prefixItems": [{}], "items": False},
        "Expected at most 1 item but found 2 extra: [2, 3]",
        (),
        ("items",),
    ),
    (["a"], {"contains": {"const": 1}}, "['a'] does not contain items matching the given schema", (), ("contains",)),
    (
        [1],
        {"contains": {"const": 1}, "minContains": 2},
        "Too few items match the given schema (expected at least 2 but only 1 matched)",
        (),
        ("contains",),
    ),
    (
        [1, 1],
        {"contains": {"const": 1}, "maxContains": 1},
        "Too many items match the given schema (expected at most 1)",
        (),
        ("contains",),
    ),
    # Several schemas
    (1, {"allOf": [{}, {"type": "null"}]}, "1 is not of type 'null'", (), ("allOf", 1, "type")),
    (1, {"not": {"type": "integer"}}, "1 should not be valid under {'type': 'integer'}", (), ("not",)),
    (1, {"not": True}, "1 should not be valid under True", (), ("not",)),
    (
        1,
        {"oneOf": [{"type": "integer"}, {"minimum": 1}, {"type": "null"}, {"enum": [1]}]},
        "1 is valid under each of {'minimum': 1}, {'enum': [1]}, {'type': 'integer'}",
        (),
        ("oneOf",),
    ),
    (
        1,
        {"if": {"type": "integer"}, "then": {"minimum": 2}},
        "1 is less than the minimum of 2",
        (),
        ("then", "minimum"),
    ),
    (1, {"if": {"type": "null"}, "else": {"minimum": 2}}, "1 is less than the minimum of 2", (), ("else", "minimum")),
    (1, {"$ref": "#/$defs/a", "$defs": {"a": {"const": 2}}}, "2 was expected", (), ("$defs", "a", "const")),
    (1, False, "False schema does not allow 1", (), ()),
    ({"a": 1}, {"properties": {"a": False}}, "False schema does not allow 1", ("a",), ("properties", "a")),
    ([1], {"prefixItems": [False]}, "False schema does not allow 1", (0,), ("prefixItems", 0)),
    # The best of several: what is nearest to the root; of siblings the last; "anyOf" and "oneOf" after the others ...
    (
        {"b": {}, "a": 1},
        {"properties": {"a": {"type": "null"}, "b": {"required": ["c"]}}, "minProperties": 3},
        "{'b': {}, 'a': 1} does not have enough properties",
        (),
        ("minProperties",),
    ),
    (
        {"a": 1, "b": 1},
        {"properties": {"b": {"type": "null"}, "a": {"type": "object"}}},
        "1 is not of type 'null'",
        ("b",),
        ("properties", "b", "type"),
    ),
    (1, {"anyOf": [{"minimum": 9}], "maximum": 0}, "1 is greater than the maximum of 0", (), ("maximum",)),
    (1, {"oneOf": [{"minimum": 9}], "maximum": 0}, "1 is greater than the maximum of 0", (), ("maximum",)),
    (1, {"type": "integer", "minimum": 3, "const": 5}, "1 is less than the minimum of 3", (), ("minimum",)),
    # ... and of alternatives none of which fits, what is furthest in, or has at least the right type.
    (
        {"kind": "a", "size": "x"},
        {"anyOf": [{"type": "string"}, {"properties": {"size": {"type": "integer"}}}]},
        "'x' is not of type 'integer'",
        ("size",),
        ("anyOf", 1, "properties", "size", "type"),
    ),
    (1, {"oneOf": [{"type": "null"}, {"type": "integer", "minimum": 2}]}, "1 is less than the minimum of 2", (), None),
    (
        1,
        {"anyOf": [{"type": "null"}, {"type": "string"}]},
        "1 is not valid under any of the given schemas",
        (),
        ("anyOf",),
    ),
    (
        1,
        {"oneOf": [{"anyOf": [{"type": "null"}]}, {"anyOf": [{"const": 2}, {"const": 3}]}]},
        "1 is not valid under any of the given schemas",
        (),
        ("oneOf",),
    ),
    (1, {"anyOf": [{"oneOf": [{"type": "null"}]}]}, "1 is not of type 'null'", (), ("anyOf", 0, "oneOf", 0, "type")),
]
#: Valid values, schemas.
VALID = [
    (1.0, {"type": "integer"}),
    (10**400, {"type": "integer"}),
    (1, {"type": "number"}),
    (None, {"type": ["null", "string"]}),
    (1.0, {"enum": [1]}),
    (-0.0, {"const": 0}),
    ({"b": [1.0], "a": None}, {"const": {"a": None, "b": [1]}}),
    ([1, True, 0, False, "1", [1], [True], {}, None], {"uniqueItems": True}),
    ([{"a": 1}, {"a": True}, {"b": 1}, [["a", 1]]], {"uniqueItems": True}),
    ([9007199254740993, 9007199254740992.0], {"uniqueItems": True}),
    ([1, 1], {"uniqueItems": False}),
    (0.3, {"multipleOf": 0.1}),
    (1e308, {"multipleOf": 5e-324}),
    (10**400, {"multipleOf": 0.5}),
    (0, {"multipleOf": 7}),
    ("\U0001d11e", {"maxLength": 1}),
    ("cab", {"pattern": "a"}),
    ([[], {}, "text", None, 1], {"items": {"minLength": 0, "minItems": 0, "minProperties": 0}}),
    ({"a": 1}, {"required": []}),
    ([], {"prefixItems": [False], "items": False}),
    ([1], {"prefixItems": [{}, False]}),
    ([1, "x"], {"contains": {"const": 1}, "minContains": 1, "maxContains": 1.0}),
    ([], {"contains": False, "minContains": 0}),
    ([1, 2], {"maxContains": 0}),
    (1, {"then": False, "else": False}),
    (1, {"if": False, "then": False}),
    (1, {"if": True, "else": False}),
    ({"b": 1}, {"dependentSchemas": {"a": False}, "dependentRequired": {"a": ["c"]}}),
    ({"ab": 1, "b": 2}, {"patternProperties": {"a": {}}, "properties": {"b": {}}, "additionalProperties": False}),
    ({"a": {"a": {}}}, {"properties": {"a": {"$ref": "#"}}, "additionalProperties": False}),
    ({"$ref": "x"}, {"properties": {"$ref": {"type": "string"}}}),
    (1, {"enum": [{"$ref": "#/nowhere"}, 1], "default": {"$ref": "#/nowhere"}}),
    (1, True),
    (1, {}),
]


@pytest.mark.parametrize("instance, schema, message, path, schema_path", MESSAGES, ids=range(len(MESSAGES)))
def test_an_error_says_what_is_wrong_and_where_in_the_value_and_in_the_schema(
    instance, schema, message, path, schema_path
):
    error = complaint(instance, schema)
    assert (error.message, error.path) == (message, path)
    assert error.schema_path == schema_path or schema_path is None
    at(schema, error.schema_path)
    assert at(instance, path) == error.instance or "propertyNames" in schema


@pytest.mark.parametrize("instance, schema", VALID, ids=range(len(VALID)))
def test_what_is_valid_passes(instance, schema):
    validate(instance, schema)


#: For each keyword about values of one kind, an argument that no value of that kind fulfils.
ONE_KIND = {
    "minimum": 10**9,
    "maximum": -1,
    "exclusiveMinimum": 10**9,
    "exclusiveMaximum": -1,
    "multipleOf": 10**9,
    "minLength": 99,
    "maxLength": 0,
    "pattern": "(?!)",
    "minItems": 99,
    "maxItems": 0,
    "uniqueItems": True,
    "prefixItems": [False],
    "items": False,
    "contains": False,
    "minProperties": 99,
    "maxProperties": 0,
    "required": ["x"],
    "properties": {"a": False},
    "patternProperties": {"a": False},
    "additionalProperties": False,
    "propertyNames": False,
    "dependentRequired": {"a": ["x"]},
    "dependentSchemas": {"a": False},
}
KINDS = {
    "number": ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"],
    "string": ["minLength", "maxLength", "pattern"],
    "array": ["minItems", "maxItems", "uniqueItems", "prefixItems", "items", "contains"],
    "object": [
        "minProperties",
        "maxProperties",
        "required",
        "properties",
        "patternProperties",
        "additionalProperties",
        "propertyNames",
        "dependentRequired",
        "dependentSchemas",
    ],
}
SAMPLES = {"number": 1.5, "string": "a", "array": ["a", "a"], "object": {"a": 1}, "boolean": True, "null": None}


@pytest.mark.parametrize("keyword", list(ONE_KIND))
def test_a_keyword_about_one_kind_of_values_says_nothing_of_the_others(keyword):
    schema = {keyword: ONE_KIND[keyword]}
    [own] = [kind for kind, keywords in KINDS.items() if keyword in keywords]
    for kind, value in SAMPLES.items():
        if kind == own:
            complaint(value, schema)
        else:
            validate(value, schema)


@pytest.mark.parametrize(
    "path, place",
    [
        ((), ""),
        (("a",), "a: "),
        (("cameras", 0, "name"), "cameras[0].name: "),
        ((0, "a"), "[0].a: "),
        (("x y",), "['x y']: "),
        (("", "ü"), "[''].ü: "),
        (("a\nb",), "['a\\nb']: "),
    ],
)
def test_an_error_is_one_line_that_begins_with_its_place(path, place):
    instance, schema = "x\ny\u2028z\ud800", {"type": "null"}
    for step in reversed(path):
        if isinstance(step, int):
            instance, schema = [instance], {"items": schema}
        else:
            instance, schema = {step: instance}, {"properties": {step: schema}}
    assert str(complaint(instance, schema)) == place + r"'x\ny\u2028z\ud800' is not of type 'null'"


def test_an_error_about_a_large_value_is_short_and_has_the_whole_message_beside():
    error = complaint({"a": "x" * 100_000}, {"properties": {"a": {"const": "y\n" * 1000}}})
    assert len(error.message) > 3000
    assert len(str(error)) < 450
    assert (str(error)[:10], str(error)[-14:], len(str(error).splitlines())) == ("a: 'y\\ny\\n", "' was expected", 1)


def test_a_refusal_is_one_line_even_where_re_quotes_the_pattern():
    error = refusal({"pattern": "[b-\n]"})
    assert "\n" in error.message
    assert str(error).startswith(
        r"pattern: '[b-\n]' is not a regular expression that is supported: bad character range b- "
    )
    assert len(str(error).splitlines()) == 1


def test_errors_are_value_errors():
    assert issubclass(ValidationError, ValueError)
    assert issubclass(SchemaError, ValueError)


# Wrong schemas

WRONG = [
    (None, (), "must be a schema, not None"),
    ([], (), "must be a schema, not []"),
    ("object", (), "must be a schema, not 'object'"),
    (1, (), "must be a schema, not 1"),
    ({"type": "text"}, ("type",), "must be one of null, boolean, integer, number, string, array, object, not 'text'"),
    ({"type": ["string", "int"]}, ("type",), "must be one of null, "),
    ({"type": ["string", ["null"]]}, ("type",), "must be one of null, "),
    ({"type": []}, ("type",), "must be a type or a list of types, not []"),
    ({"type": {"type": "string"}}, ("type",), "must be a type or a list of types, not {"),
    ({"type": None}, ("type",), "must be a type or a list of types, not None"),
    ({"enum": "a"}, ("enum",), "must be a list, not 'a'"),
    ({"enum": {"a": 1}}, ("enum",), "must be a list, not {'a': 1}"),
    ({"minimum": "1"}, ("minimum",), "must be a number, not '1'"),
    ({"maximum": True}, ("maximum",), "must be a number, not True"),
    ({"exclusiveMinimum": False}, ("exclusiveMinimum",), "must be a number, not False"),
    ({"exclusiveMaximum": None}, ("exclusiveMaximum",), "must be a number, not None"),
    ({"multipleOf": 0}, ("multipleOf",), "must be a number above 0, not 0"),
    ({"multipleOf": -0.5}, ("multipleOf",), "must be a number above 0, not -0.5"),
    ({"multipleOf": "1"}, ("multipleOf",), "must be a number above 0, not '1'"),
    ({"minLength": -1}, ("minLength",), "must be a whole number from 0 on, not -1"),
    ({"maxLength": 1.5}, ("maxLength",), "must be a whole number from 0 on, not 1.5"),
    ({"minItems": True}, ("minItems",), "must be a whole number from 0 on, not True"),
    ({"maxItems": "1"}, ("maxItems",), "must be a whole number from 0 on, not '1'"),
    ({"minProperties": None}, ("minProperties",), "must be a whole number from 0 on, not None"),
    ({"maxProperties": float("inf")}, ("maxProperties",), "must be a whole number from 0 on, not inf"),
    ({"uniqueItems": 1}, ("uniqueItems",), "must be true or false, not 1"),
    ({"pattern": 1}, ("pattern",), "must be a regular expression, not 1"),
    ({"pattern": "a{2,1}"}, ("pattern",), "'a{2,1}' is not a regular expression that is supported: min repeat greater"),
    ({"required": "a"}, ("required",), "must be a list of strings, not 'a'"),
    ({"required": [1]}, ("required",), "must be a list of strings, not [1]"),
    ({"properties": {"a": {"required": True}}}, ("properties", "a", "required"), "must be a list of strings, not True"),
    ({"dependentRequired": []}, ("dependentRequired",), "must be an object, not []"),
    ({"dependentRequired": {"a": "b"}}, ("dependentRequired",), "must be a list of strings, not 'b'"),
    ({"dependentSchemas": {"a": ["b"]}}, ("dependentSchemas", "a"), "must be a schema, not ['b']"),
    ({"properties": []}, ("properties",), "must be an object, not []"),
    ({"properties": {"a": 1}}, ("properties", "a"), "must be a schema, not 1"),
    ({"properties": {"a b": {"x": 1, "type": 1}}}, ("properties", "a b", "type"), "must be a type or a list of types"),
    ({"patternProperties": {"a": None}}, ("patternProperties", "a"), "must be a schema, not None"),
    ({"patternProperties": {"[": {}}}, ("patternProperties",), "'[' is not a regular expression that is supported: "),
    ({"additionalProperties": None}, ("additionalProperties",), "must be a schema, not None"),
    ({"propertyNames": "a"}, ("propertyNames",), "must be a schema, not 'a'"),
    ({"prefixItems": {}}, ("prefixItems",), "must be a list of schemas, not {}"),
    ({"prefixItems": []}, ("prefixItems",), "must be a list of schemas, not []"),
    ({"prefixItems": [{}, 1]}, ("prefixItems", 1), "must be a schema, not 1"),
    ({"items": [{}]}, ("items",), "must be a schema, not [{}]"),
    ({"items": {"items": 1}}, ("items", "items"), "must be a schema, not 1"),
    ({"contains": 1}, ("contains",), "must be a schema, not 1"),
    ({"allOf": {}}, ("allOf",), "must be a list of schemas, not {}"),
    ({"anyOf": []}, ("anyOf",), "must be a list of schemas, not []"),
    ({"oneOf": [True, "x"]}, ("oneOf", 1), "must be a schema, not 'x'"),
    ({"not": []}, ("not",), "must be a schema, not []"),
    ({"if": 1}, ("if",), "must be a schema, not 1"),
    ({"then": 1}, ("then",), "must be a schema, not 1"),
    ({"else": 1}, ("else",), "must be a schema, not 1"),
    ({"$defs": {"a": 1}}, ("$defs", "a"), "must be a schema, not 1"),
    ({"definitions": []}, ("definitions",), "must be an object, not []"),
    ({"$ref": 1}, ("$ref",), "must be a reference, not 1"),
    ({"$id": 1}, ("$id",), "must be a string, not 1"),
    ({"$defs": {"a": {"$anchor": {}}}}, ("$defs", "a", "$anchor"), "must be a string, not {}"),
    ({"$schema": "http://json-schema.org/draft-03/schema#"}, ("$schema",), "'http://json-schema.org/draft-03/schema#'"),
    ({"$schema": ["x"]}, ("$schema",), "['x'] is not supported; known are "),
    (
        {"$defs": {"a": {"$schema": DRAFT_07}}},
        ("$defs", "a", "$schema"),
        "a second dialect in one document is not supported",
    ),
    # Of keywords that read one another, the wrong one is named, wherever the other stands.
    ({"contains": {}, "minContains": "1"}, ("minContains",), "must be a whole number from 0 on, not '1'"),
    ({"maxContains": -1, "contains": {}}, ("maxContains",), "must be a whole number from 0 on, not -1"),
    ({"minContains": 1.5}, ("minContains",), "must be a whole number from 0 on, not 1.5"),
    ({"maxContains": None}, ("maxContains",), "must be a whole number from 0 on, not None"),
    ({"additionalProperties": {}, "patternProperties": 1}, ("patternProperties",), "must be an object, not 1"),
    ({"additionalProperties": {}, "patternProperties": {"(": {}}}, ("patternProperties",), "'(' is not a regular"),
    ({"if": {}, "then": 1}, ("then",), "must be a schema, not 1"),
    ({"if": {}, "else": {"type": 1}}, ("else", "type"), "must be a type or a list of types, not 1"),
    (
        {"$schema": DRAFT_07, "minimum": 1, "exclusiveMinimum": True},
        ("exclusiveMinimum",),
        "must be a number, not True",
    ),
    ({"$schema": None}, ("$schema",), "None is not supported; known are json-schema.org/draft/2020-12/schema, "),
    ({"$defs": {"a": {"$schema": "x"}}}, ("$defs", "a", "$schema"), "'x' is not supported; known are "),
]


@pytest.mark.parametrize("schema, path, message", WRONG, ids=range(len(WRONG)))
def test_a_wrong_schema_is_refused_with_the_place_and_the_reason(schema, path, message):
    error = refusal(schema)
    assert (error.message[: len(message)], error.path) == (message, path)
    at(schema, error.path)
    assert "\n" not in str(error)


#: Arguments of every type, and then some.
ARGUMENTS = [None, True, False, 0, 1, -1, 1.5, 1e400, "", "a", "(", [], ["a"], [1], [{}], {}, {"a": {}}, {"a": 1}]
ARGUMENTS += [{"(": []}, {"a": ["b"]}, {"type": 5}, float("nan"), "\ud800", [[]], {"": None}, 10**5000, b"a", {1: 2}]
KEYWORDS = [
    *ONE_KIND,
    *["$schema", "$ref", "$defs", "definitions", "$anchor", "$id", "id", "type", "enum", "const", "format"],
    *["allOf", "anyOf", "oneOf", "not", "if", "then", "else", "minContains", "maxContains", "additionalItems"],
    "dependencies",
]


@pytest.mark.parametrize("draft", [DRAFT_07, DRAFT_2020])
def test_any_argument_of_any_keyword_is_understood_or_refused_in_its_place(draft):
    refused = 0
    for keyword in KEYWORDS:
        for argument in ARGUMENTS:
            schema = {"$schema": draft, keyword: argument, "properties": {"a": {keyword: argument}}}
            try:
                Validator(schema)
            except SchemaError as error:
                refused += 1
                assert error.path[0] == keyword or error.path[:3] == ("properties", "a", keyword)
                at(schema, error.path)
    assert refused > len(KEYWORDS) * len(ARGUMENTS) / 2


# Both drafts

#: Draft or drafts, schema, value, message; None for a value that is valid.
DRAFTS = [
    # In draft-07, "items" may have a list of schemas, and what comes behind is for "additionalItems".
    ("07", {"items": [{"type": "null"}]}, [1], "1 is not of type 'null'"),
    ("07", {"items": [{}], "additionalItems": {"type": "null"}}, [1, 2], "2 is not of type 'null'"),
    (
        "07",
        {"items": [{}], "additionalItems": False},
        [1, 2, 3],
        "Additional items are not allowed (2, 3 were unexpected)",
    ),
    (
        "07",
        {"items": [{}, {}], "additionalItems": False},
        [1, 2, 3],
        "Additional items are not allowed (3 was unexpected)",
    ),
    ("07", {"items": [{}, {}], "additionalItems": False}, [1], None),
    ("07", {"items": [{}], "additionalItems": True}, [1, 2], None),
    ("07", {"items": {}, "additionalItems": False}, [1, 2], None),
    ("07 2020", {"additionalItems": False}, [1, 2], None),
    ("2020", {"items": {}, "additionalItems": 5}, [1, 2], None),
    ("07", {"prefixItems": [{"type": "null"}]}, [1], None),
    ("2020", {"prefixItems": [{"type": "null"}]}, [1], "1 is not of type 'null'"),
    ("07", {"items": False}, [1], "False schema does not allow 1"),
    # There, a reference stands alone.
    (
        "07",
        {"definitions": {"a": {}}, "properties": {"b": {"$ref": "#/definitions/a", "type": "null"}}},
        {"b": 1},
        None,
    ),
    (
        "2020",
        {"definitions": {"a": {}}, "properties": {"b": {"$ref": "#/definitions/a", "type": "null"}}},
        {"b": 1},
        "1 is not of type 'null'",
    ),
    ("07", {"$ref": "#/definitions/a", "definitions": {"a": {"type": "null"}}}, 1, "1 is not of type 'null'"),
    # What depends on what
    ("07", {"dependencies": {"a": ["b"]}}, {"a": 1}, "'b' is a dependency of 'a'"),
    ("07", {"dependencies": {"a": {"required": ["c"]}}}, {"a": 1}, "'c' is a required property"),
    ("07", {"dependencies": {"a": False}}, {"a": 1}, "False schema does not allow {'a': 1}"),
    ("07", {"dependencies": {"a": []}}, {"a": 1}, None),
    ("2020", {"dependencies": {"a": ["b"]}}, {"a": 1}, None),
    ("07", {"dependentRequired": {"a": ["b"]}, "dependentSchemas": {"a": {"type": "null"}}}, {"a": 1}, None),
    ("2020", {"dependentRequired": {"a": ["b"]}}, {"a": 1}, "'b' is a dependency of 'a'"),
    # Others
    ("07 2020", {"exclusiveMinimum": 1}, 1, "1 is less than or equal to the minimum of 1"),
    ("07 2020", {"type": "integer"}, 1.0, None),
    ("07 2020", {"if": {}, "then": {"type": "null"}}, 1, "1 is not of type 'null'"),
    ("07", {"contains": {"type": "null"}}, [1], "None of [1] are valid under the given schema"),
    ("07", {"contains": {"type": "null"}}, [], "None of [] are valid under the given schema"),
    ("07", {"contains": {"type": "null"}}, [1, None], None),
    ("07", {"contains": {}, "minContains": 2, "maxContains": 0}, [1], None),
    ("2020", {"contains": {"type": "null"}}, [1], "[1] does not contain items matching the given schema"),
    (
        "2020",
        {"contains": {}, "maxContains": 0},
        [1],
        "Too many items match the given schema (expected at most 0)",
    ),
    ("07 2020", {"propertyNames": {"maxLength": 0}}, {"a": 1}, "'a' is expected to be empty"),
    ("07 2020", {"const": 2}, 1, "2 was expected"),
    # Addresses and names
    (
        "07",
        {"definitions": {"a": {"$id": "#b", "type": "null"}}, "allOf": [{"$ref": "#b"}]},
        1,
        "1 is not of type 'null'",
    ),
    ("07", {"definitions": {"a": {"$id": "#b", "type": "null"}}, "$ref": "#b"}, 1, "1 is not of type 'null'"),
    ("2020", {"$defs": {"a": {"$anchor": "b", "type": "null"}}, "$ref": "#b"}, 1, "1 is not of type 'null'"),
    (
        "07",
        # An address beside a reference is none, so that "b" is looked for from the root.
        {
            "$id": "http://x/",
            "definitions": {"a": {"$id": "http://y/", "$ref": "b"}, "b": {"$id": "b", "type": "null"}},
            "allOf": [{"$ref": "#/definitions/a"}],
        },
        1,
        "1 is not of type 'null'",
    ),
    (
        "2020",
        {
            "$id": "http://x/",
            "$defs": {
                "a": {"$id": "http://y/", "$ref": "b"},
                "b": {"$id": "http://y/b", "type": "null"},
                "c": {"$id": "b", "type": "string"},
            },
            "allOf": [{"$ref": "#/$defs/a"}],
        },
        1,
        "1 is not of type 'null'",
    ),
]
SCHEMAS = {"07": DRAFT_07, "2020": DRAFT_2020}


@pytest.mark.parametrize("drafts, schema, instance, message", DRAFTS, ids=range(len(DRAFTS)))
def test_a_schema_means_what_it_means_in_its_own_draft(drafts, schema, instance, message):
    for draft in drafts.split():
        validator = Validator({"$schema": SCHEMAS[draft], **schema})
        if message is None:
            validator.validate(instance)
        else:
            with pytest.raises(ValidationError) as caught:
                validator.validate(instance)
            assert caught.value.message == message


def test_jsonschema_says_the_same_of_both_drafts():
    jsonschema = module("jsonschema")
    for drafts, schema, instance, message in DRAFTS:
        for draft in drafts.split():
            whole = {"$schema": SCHEMAS[draft], **schema}
            errors = jsonschema.validators.validator_for(whole)(whole).iter_errors(instance)
            error = jsonschema.exceptions.best_match(errors)
            assert (error and error.message) == message, (draft, schema)


@pytest.mark.parametrize("name", [*SCHEMAS.values(), *[text.rstrip("#") for text in SCHEMAS.values()]])
def test_the_dialect_is_what_the_schema_says_and_else_the_newest(name):
    message = "False schema does not allow 1"
    assert complaint([1], {"prefixItems": [False]}).message == message
    if name == DRAFT_2020:
        assert complaint([1], {"$schema": name, "prefixItems": [False]}).message == message
    else:
        validate([1], {"$schema": name, "prefixItems": [False]})


@pytest.mark.parametrize("end", ["", "#"])
@pytest.mark.parametrize("draft", ["draft-03", "draft-04", "draft-06", "draft/2019-09", "draft/next"])
def test_another_draft_is_refused_by_its_name_and_the_known_ones_are_named(draft, end):
    name = "https://json-schema.org/%s/schema%s" % (draft, end)
    for schema, path in [({}, ()), ({"$defs": {"a": {}}}, ("$defs", "a"))]:
        at(schema, path)["$schema"] = name
        error = refusal(schema)
        known = "json-schema.org/draft/2020-12/schema, json-schema.org/draft-07/schema"
        assert error.message == "%r is not supported; known are %s" % (name, known)
        assert error.path == (*path, "$schema")
        assert "\n" not in str(error)


# References

#: Allows anything, and has many places that references can lead to.
LANDSCAPE = {
    "$defs": {
        "a/b": {"type": "string"},
        "c~d": {"type": "string"},
        "e%f": {"type": "string"},
        "": {"type": "string"},
        "named": {"$anchor": "name", "type": "string"},
        "~1": {"type": "string"},
    },
    "prefixItems": [{}, {"type": "string"}],
    "x-parts": {"list": [{"deep": {"type": "string"}}], "flag": False},
}


@pytest.mark.parametrize(
    "reference, path",
    [
        ("#/$defs/a~1b", ("$defs", "a/b")),
        ("#/%24defs/c~0d", ("$defs", "c~d")),
        ("#/$defs/~01", ("$defs", "~1")),
        ("#/$defs/e%25f", ("$defs", "e%f")),
        ("#/$defs/", ("$defs", "")),
        ("#name", ("$defs", "named")),
        ("#/prefixItems/1", ("prefixItems", 1)),
        ("#/x-parts/list/0/deep", ("x-parts", "list", 0, "deep")),
    ],
)
def test_a_reference_finds_a_schema_wherever_it_stands_and_the_error_says_where(reference, path):
    schema = {**LANDSCAPE, "properties": {"a": {"$ref": reference}}}
    validate({"a": "text"}, schema)
    error = complaint({"a": 1}, schema)
    assert (error.message, error.path, error.schema_path) == ("1 is not of type 'string'", ("a",), (*path, "type"))


@pytest.mark.parametrize(
    "reference",
    [
        "#/$defs/g",
        "#/$defs/a/b",
        "#/$defs/named/type/0",
        "#/prefixItems/2",
        "#/prefixItems/-1",
        "#/prefixItems/01",
        "#/prefixItems/+1",
        "#/prefixItems/ 1",
        "#/prefixItems/x",
        "#/prefixItems/\u00b2",
        "#/prefixItems/\u0661",
        "#/prefixItems/" + "9" * 5000,
        "#/x-parts/list/1",
        "#nobody",
    ],
    ids=range(14),
)
def test_a_reference_to_nothing_is_refused_before_any_value_is_there(reference):
    error = refusal({**LANDSCAPE, "properties": {"a": {"$ref": reference}}})
    assert error.message == "%r leads to nothing" % reference
    assert error.path == ("properties", "a", "$ref")


@pytest.mark.parametrize("reference", ["#/x-parts", "#/x-parts/list", "#/prefixItems"])
def test_a_reference_to_what_is_no_schema_is_refused(reference):
    schema = {**LANDSCAPE, "x-parts": {"properties": 5, "list": []}, "properties": {"a": {"$ref": reference}}}
    error = refusal(schema)
    assert ("must be", error.path[0]) == (error.message[:7], reference.split("/")[1])


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "https://example.com/other.json"},
        {"$id": "https://example.com/a.json", "$ref": "b.json"},
        {"$id": "https://example.com/a.json", "$ref": "http://[x"},
        {"$id": "http://[x", "properties": {"a": {"$id": "b"}}, "$ref": "c"},
        {"$id": "urn:example:a", "$ref": "urn:example:b#/x"},
        {"$ref": "https://json-schema.org/draft/2020-12/schema"},
    ],
    ids=range(6),
)
def test_a_reference_to_another_document_is_refused_and_nothing_is_fetched(schema):
    error = refusal(schema)
    assert error.message == "%r leads out of this document, and nothing is fetched" % schema["$ref"]
    assert error.path == ("$ref",)


def test_schemas_inside_one_with_an_address_of_its_own_have_their_place_in_the_document():
    inner = {"$id": "https://example.com/a", "x-more": {"deep": {"type": "string"}}, "$ref": "#/x-more/deep"}
    for reference in ["https://example.com/a", "#/$defs/a", "https://example.com/a#/x-more/deep"]:
        error = complaint(1, {"$defs": {"a": inner}, "$ref": reference})
        assert error.schema_path == ("$defs", "a", "x-more", "deep", "type")


def test_a_pointer_that_leads_into_an_inner_document_starts_from_its_address():
    inner = {"$id": "https://example.com/a", "x-more": {"$ref": "#/x-deep"}, "x-deep": {"type": "string"}}
    error = complaint(1, {"$defs": {"a": inner}, "$ref": "#/$defs/a/x-more", "x-deep": {"type": "null"}})
    assert error.message == "1 is not of type 'string'"


@pytest.mark.parametrize(
    "root, inner, reference",
    [
        ("https://example.com/a.json", "b.json", "b.json"),
        ("https://example.com/a.json", "b.json", "https://example.com/b.json"),
        ("https://example.com/a.json", "b.json", "./b.json#"),
        ("https://example.com/x/a.json", "/b.json", "../b.json"),
        ("https://example.com/a.json", "#name", "#name"),
        ("https://example.com/a.json", "b.json#name", "b.json#name"),
        ("", "b.json", "b.json"),
        ("urn:example:a", "urn:example:b", "urn:example:b"),
        ("a.json", "b/", "b/"),
    ],
)
def test_an_address_is_read_from_where_it_stands(root, inner, reference):
    schema = {"$id": root, "$defs": {"a": {"$id": inner, "type": "string"}}, "items": {"$ref": reference}}
    validate(["text"], schema)
    assert complaint([1], schema).schema_path == ("$defs", "a", "type")


def test_a_name_is_looked_for_in_its_own_document_only():
    inner = {"$id": "https://example.com/b", "$anchor": "name", "$defs": {"c": {"$anchor": "deep"}}}
    for reference in ["#name", "#deep"]:
        assert "leads to nothing" in refusal({"$defs": {"b": inner}, "$ref": reference}).message
        validate(1, {"$defs": {"b": inner}, "$ref": "https://example.com/b" + reference})


def test_a_reference_to_itself_is_refused_when_a_value_comes_to_it():
    for schema, path in [
        ({"$ref": "#"}, ("$ref",)),
        ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, None),
        ({"allOf": [{"anyOf": [{"type": "null"}, {"$ref": "#"}]}]}, ("allOf", 0, "anyOf", 1, "$ref")),
        ({"$defs": {"a": {"not": {"$ref": "#/$defs/a"}}}, "if": {"$ref": "#/$defs/a"}}, None),
    ]:
        with pytest.raises(SchemaError, match="leads back to itself") as caught:
            validate(1, schema)
        assert caught.value.path == path or path is None


def test_a_reference_back_to_the_root_is_no_reference_to_itself_one_level_further_in():
    schema = {"properties": {"a": {"$ref": "#"}}, "items": {"$ref": "#"}, "type": ["object", "array"]}
    validate({"a": [{"a": []}]}, schema)
    assert complaint({"a": [{"a": 1}]}, schema).path == ("a", 0, "a")


# Hostile input


def nested(levels, wrap):
    value = {}
    for _ in range(levels):
        value = wrap(value)
    return value


DEEP = 100_000
RECURSIVE = {"items": {"$ref": "#"}, "additionalProperties": {"$ref": "#"}}


@pytest.fixture(scope="module", params=[lambda value: [value], lambda value: {"a": value}], ids=["list", "object"])
def deep(request):
    """A value that is nested too deeply; to build it takes longer than to refuse it."""
    return nested(DEEP, request.param)


@pytest.mark.parametrize(
    "schema",
    [RECURSIVE, {"type": "integer"}, {"enum": [1]}, {"const": []}, {"uniqueItems": True}, {"not": {}}, False],
    ids=str,
)
def test_a_value_that_is_nested_too_deeply_is_no_recursion_error(deep, schema):
    if schema == {"uniqueItems": True} and isinstance(deep, dict):
        validate(deep, schema)
    else:
        error = complaint(deep, schema)
        assert (error.message, error.path, error.schema_path) == ("is nested too deeply", (), ())
        assert error.instance is deep


def test_what_is_nested_deeply_where_nobody_looks_is_no_obstacle():
    validate({"a": nested(DEEP, lambda value: [value])}, {"required": ["a"], "properties": {"a": {"type": "array"}}})
    validate(nested(60, lambda value: [{"a": value}]), RECURSIVE)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda value: {"not": value},
        lambda value: {"allOf": [value]},
        lambda value: {"properties": {"a": value}},
        lambda value: {"$defs": {"a": value}},
        lambda value: [value],
        lambda value: {"const": [value]},
        lambda value: {"if": value},
    ],
    ids=range(7),
)
def test_a_schema_that_is_nested_too_deeply_is_no_recursion_error(wrap):
    assert refusal(nested(DEEP, wrap)).message == "is nested too deeply"


def test_an_argument_that_is_nested_too_deeply_is_no_recursion_error():
    deep = nested(DEEP, lambda value: [value])
    for keyword in KEYWORDS:
        for argument in (deep, {"a": deep}, [deep]):
            try:
                validate({"a": ["b"]}, {keyword: argument})
            except (SchemaError, ValidationError) as error:
                assert "\n" not in str(error)


def test_objects_that_hold_themselves_are_nested_too_deeply():
    for keyword in ["not", "items", "additionalProperties", "if", "contains", "propertyNames"]:
        schema = {}
        schema[keyword] = schema
        assert refusal(schema).message == "is nested too deeply"
    schema = {"properties": {}}
    schema["properties"]["a"] = schema
    assert refusal(schema).message == "is nested too deeply"
    value = []
    value.append(value)
    assert complaint(value, RECURSIVE).message == "is nested too deeply"
    assert complaint(value, {"const": 1}).message == "is nested too deeply"
    assert complaint(value, {"type": "object"}).message == "[[...]] is not of type 'object'"


def twice(keyword, reference):
    if keyword in ("allOf", "anyOf", "oneOf"):
        return {keyword: [reference, reference]}
    if keyword == "not":
        return {"not": reference, "allOf": [{"not": reference}]}
    if keyword == "if":
        return {"if": reference, "then": reference, "else": reference}
    return {keyword: {"a": reference, "b": reference}}


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf", "not", "if", "dependentSchemas"])
@pytest.mark.parametrize("instance", [1, "x", {"a": 1, "b": 2}, {"a": 1, "b": "x"}], ids=str)
def test_references_that_double_sixty_times_take_linear_time(keyword, instance, monkeypatch):
    levels = 60
    chain = {"$defs": {"0": {"type": ["integer", "object"], "additionalProperties": {"type": "integer"}}}}
    for level in range(1, levels):
        chain["$defs"][str(level)] = twice(keyword, {"$ref": "#/$defs/%d" % (level - 1)})
    looked, faults_of = [], faults.Node.faults
    monkeypatch.setattr(faults.Node, "faults", lambda *arguments: looked.append(1) or faults_of(*arguments))
    try:
        validate(instance, {**chain, "$ref": "#/$defs/%d" % (levels - 1)})
    except ValidationError as error:
        assert len(str(error)) < 450
    assert len(looked) < 5 * levels


@pytest.mark.parametrize("count", [20_000, pytest.param(300_000, marks=pytest.mark.long)])
def test_all_items_are_looked_at_and_the_first_ten_thousand_faults_compared(count):
    schema = {"items": {"$ref": "#/$defs/a"}, "$defs": {"a": {"type": "integer"}}}
    validator = Validator(schema)
    values = list(range(count))
    validator.validate(values)
    values[-1] = "x"
    with pytest.raises(ValidationError) as caught:
        validator.validate(values)
    assert caught.value.path == (count - 1,)
    # The last is the best by jsonschema's rules; of so many faults, the last of those that are compared.
    assert complaint(["x"] * 10_001, schema).path == (9_999,)
    assert complaint(["x"] * 9_999, schema).path == (9_998,)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), 10**400, 1e308, 5e-324], ids=repr)
def test_strange_numbers_are_numbers(number):
    for keyword in ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "const"]:
        for value, argument in [(number, 1), (number, 0.1), (1, number), (0.1, number), (number, number)]:
            try:
                validate(value, {"type": "number", keyword: argument})
            except ValidationError as error:
                assert error.schema_path == (keyword,)
            except SchemaError as error:
                assert (keyword, error.path) == ("multipleOf", ("multipleOf",))


@pytest.mark.parametrize("number", [10**400, -(10**30), 1e308, 5e-324, 0.1], ids=repr)
def test_numbers_are_equal_to_themselves_whatever_their_size(number):
    validate([number], {"contains": {"const": number}, "enum": [[number]], "items": {"multipleOf": abs(number)}})


#: Python up to 3.6 would write it; those from 2022 on raise ValueError.
HUGE = 10**5000


@pytest.mark.parametrize(
    "instance, schema",
    [
        (HUGE, {"type": "string"}),
        ([HUGE], {"const": 1}),
        (1, {"const": HUGE}),
        (HUGE, {"oneOf": [{"maximum": HUGE}, {"type": "integer"}]}),
        (HUGE, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ([1, HUGE], {"$schema": DRAFT_07, "items": [{}], "additionalItems": False}),
        ([1, HUGE], {"prefixItems": [{}], "items": False}),
        (HUGE, False),
    ],
    ids=range(8),
)
def test_a_number_too_long_to_be_written_is_reported_like_any_other(instance, schema):
    assert "Exceeds the limit" not in str(complaint(instance, schema))


@pytest.mark.parametrize(
    "schema", [HUGE, {"type": HUGE}, {"minLength": -HUGE}, {"$id": HUGE}, {"$schema": HUGE}], ids=range(5)
)
def test_a_number_too_long_to_be_written_is_refused_in_a_schema_like_any_other(schema):
    assert "not" in refusal(schema).message


STRANGE_KEYS = {None: 1, 1.5: 1, True: 1, ("a", 2): 1, b"a": 1, -7: 1, "text": 1}


@pytest.mark.parametrize(
    "schema, message",
    [
        (
            {"additionalProperties": False},
            "Additional properties are not allowed (('a', 2), -7, 1.5, None, True, b'a', 'text' were unexpected)",
        ),
        (
            {"patternProperties": {"^t": {}}, "additionalProperties": False},
            "('a', 2), -7, 1.5, None, True, b'a' do not match any of the regexes: '^t'",
        ),
        ({"additionalProperties": {"type": "null"}}, "1 is not of type 'null'"),
        ({"patternProperties": {"": {"type": "null"}}}, "1 is not of type 'null'"),
        ({"propertyNames": {"type": "string"}}, "None is not of type 'string'"),
        ({"const": {}}, "{} was expected"),
        ({"required": ["a"], "type": "object"}, "'a' is a required property"),
        ({"properties": {"text": False}}, "False schema does not allow 1"),
    ],
    ids=range(8),
)
def test_keys_that_json_does_not_know_are_properties_that_no_pattern_matches(schema, message):
    assert complaint(STRANGE_KEYS, schema).message == message


@pytest.mark.parametrize("key", list(STRANGE_KEYS), ids=repr)
def test_keys_that_json_does_not_know_are_shown_in_the_place_of_an_error(key):
    assert str(complaint({key: 1}, {"additionalProperties": {"type": "null"}})).endswith(": 1 is not of type 'null'")
    assert refusal({"properties": {key: 5}}).path == ("properties", key)


# Validators


def test_neither_value_nor_schema_is_changed():
    for instance, schema, *_ in [*MESSAGES, *VALID]:
        before = copy.deepcopy((instance, schema))
        try:
            validate(instance, schema)
        except ValidationError:
            pass
        assert repr((instance, schema)) == repr(before)


def outcome(validator, instance):
    try:
        validator.validate(instance)
    except ValidationError as error:
        return error.message, error.path, error.schema_path
    return None


def test_a_validator_serves_many_values_and_many_threads():
    schema = {
        "$defs": {"tree": {"properties": {"in": {"$ref": "#/$defs/tree"}, "n": {"type": "integer"}}}},
        "oneOf": [{"$ref": "#/$defs/tree", "type": "object"}, {"items": {"$ref": "#/$defs/tree"}, "type": "array"}],
        "additionalProperties": {"pattern": "^a"},
    }
    values = [{"n": 1}, {"n": "x"}, {"in": {"in": {"n": None}}}, [{"n": 1}, {"n": 1.5}], 5, {"x": "b"}, [], {}] * 5
    alone = [outcome(Validator(schema), value) for value in values]
    assert len(set(alone)) > 5
    validator = Validator(schema)
    assert [outcome(validator, value) for value in values] == alone
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        runs = [pool.submit(lambda: [outcome(validator, value) for value in values]) for _ in range(40)]
        assert [run.result() for run in runs] == [alone] * 40


def test_among_more_faults_than_are_compared_the_nearest_to_the_root_is_found():
    with pytest.raises(ValidationError) as caught:
        validate(["x"] * 10_001, {"items": {"type": "integer"}, "maxItems": 5})
    assert (caught.value.path, caught.value.schema_path) == ((), ("maxItems",))


def test_an_error_has_what_else_is_wrong_in_lines_of_which_there_are_not_too_many():
    item = {"anyOf": [{"type": "integer"}, {"items": {"type": "string"}}]}
    schema = {"properties": {"a": {"items": item}}, "required": ["b"]}
    with pytest.raises(ValidationError) as caught:
        validate({"a": [1, [7], [8]]}, {"allOf": [schema, schema]})
    assert str(caught.value) == "'b' is a required property"
    assert list(caught.value.others) == ["a[1][0]: 7 is not of type 'string'", "a[2][0]: 8 is not of type 'string'"]
    with pytest.raises(ValidationError) as caught:
        validate({"a": ["x"] * 100}, {"properties": {"a": {"items": {"type": "integer"}}}})
    assert len(caught.value.others) == 21 and caught.value.others[-1] == "and 79 more"


NODE = {"properties": {"n": {"default": 1}, "next": {"$ref": "#/$defs/node"}}}
#: Schemas, a value, and what the defaults make of it.
FILLED = [
    ({"properties": {"a": {"default": 1}, "b": {}}}, {}, {"a": 1}),
    ({"properties": {"a": {"default": 1}}}, {"a": None}, {"a": None}),
    ({"properties": {"a": {"default": 1}}}, [], []),
    (True, {}, {}),
    ({"properties": {"a": {"properties": {"b": {"default": 1}}, "default": {}}}}, {}, {"a": {"b": 1}}),
    ({"properties": {"a": {"properties": {"b": {"default": 1}}}}}, {}, {}),
    ({"items": {"properties": {"a": {"default": 1}}}}, [{}, 3, {"a": 2}], [{"a": 1}, 3, {"a": 2}]),
    ({"prefixItems": [True], "items": {"properties": {"a": {"default": 1}}}}, [{}, {}], [{}, {"a": 1}]),
    (
        {"patternProperties": {"^x": {"properties": {"a": {"default": 1}}}}},
        {"x": {}, "y": {}},
        {"x": {"a": 1}, "y": {}},
    ),
    ({"additionalProperties": {"properties": {"a": {"default": 1}}}}, {"x": {}}, {"x": {"a": 1}}),
    ({"allOf": [{"properties": {"a": {"default": 1}}}, {"properties": {"a": {"default": 2}}}]}, {}, {"a": 1}),
    ({"properties": {"a": {"$ref": "#/$defs/d"}}, "$defs": {"d": {"default": [1]}}}, {}, {"a": [1]}),
    ({"properties": {"a": {"$ref": "#/$defs/d", "default": 2}}, "$defs": {"d": {"default": [1]}}}, {}, {"a": 2}),
    ({"$ref": "#/$defs/node", "$defs": {"node": NODE}}, {"next": {"n": 5, "next": {}}}, None),
    ({"properties": {"a": {"$ref": "#", "default": {}}, "b": {"default": 1}}}, {}, {"a": {"b": 1}, "b": 1}),
    *(({word: [{"properties": {"a": {"default": 1}}}]}, {}, {}) for word in ("anyOf", "oneOf")),
    *(({word: {"properties": {"a": {"default": 1}}}}, {}, {}) for word in ("not", "if", "contains")),
    (
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "properties": {
                "a": {"$ref": "#/definitions/d", "default": 2},
                "c": {"items": [{"$ref": "#/definitions/d"}]},
            },
            "definitions": {"d": {"default": 1, "properties": {"e": {"default": 3}}}},
        },
        {"c": [{}, {}]},
        {"a": 1, "c": [{"e": 3}, {}]},
    ),
]


@pytest.mark.parametrize("schema, value, expected", FILLED)
def test_defaults_are_filled_in_where_they_hold_for_every_value(schema, value, expected):
    validator, data = AdaptorDataValidator(schema), copy.deepcopy(value)
    validator.fill(data)
    assert data == ({"n": 1, "next": {"n": 5, "next": {"n": 1}}} if expected is None else expected)


def test_a_default_is_made_anew_for_each_value():
    validator, first, second = AdaptorDataValidator({"properties": {"a": {"default": {"b": []}}}}), {}, {}
    validator.fill(first)
    first["a"]["b"].append(1)
    validator.fill(second)
    assert second == {"a": {"b": []}}


def test_errors_can_be_copied_and_pickled():
    with pytest.raises(ValidationError) as caught:
        validate({"a": ["x"]}, {"properties": {"a": {"items": {"type": "integer"}}}})
    with pytest.raises(SchemaError) as wrong:
        validate(1, {"properties": {"a": {"type": "number of sorts"}}})
    for error in (caught.value, wrong.value):
        for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
            assert (str(other), vars(other)) == (str(error), vars(error))
