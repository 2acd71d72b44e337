"""JSON Schema: what is valid, what is said of the rest and where, which schemas are wrong; and nothing is ignored."""

from __future__ import annotations

import pytest

from openjd_adapt.schema import SchemaError, ValidationError, Validator, validate

DRAFT_04 = "http://json-schema.org/draft-04/schema#"
DRAFT_07 = "http://json-schema.org/draft-07/schema#"


def complaint(instance, schema, **options):
    """The error about a value."""
    with pytest.raises(ValidationError) as caught:
        validate(instance, schema, **options)
    return caught.value


def refusal(schema, **options):
    """The error about a schema, as found before any value is there."""
    with pytest.raises(SchemaError) as caught:
        Validator(schema, **options)
    return caught.value


# Wrong schemas

WRONG = [
    # Of keywords that read one another, the wrong one is named, wherever the other stands.
    ({"contains": {}, "minContains": "1"}, ("minContains",), "must be a whole number from 0 on, not '1'"),
    ({"maxContains": -1, "contains": {}}, ("maxContains",), "must be a whole number from 0 on, not -1"),
    ({"minContains": 1.5}, ("minContains",), "must be a whole number from 0 on, not 1.5"),
    ({"maxContains": None}, ("maxContains",), "must be a whole number from 0 on, not None"),
    ({"additionalProperties": {}, "patternProperties": 1}, ("patternProperties",), "must be an object, not 1"),
    ({"additionalProperties": {}, "patternProperties": {"(": {}}}, ("patternProperties",), "'(' is no regular"),
    ({"if": {}, "then": 1}, ("then",), "must be a schema, not 1"),
    ({"if": {}, "else": {"type": 1}}, ("else", "type"), "must be a type or a list of types, not 1"),
    ({"$schema": DRAFT_04, "minimum": 1, "exclusiveMinimum": 2}, ("exclusiveMinimum",), "must be true or false, not 2"),
    ({"$schema": DRAFT_04, "exclusiveMaximum": 2}, ("exclusiveMaximum",), "must be true or false, not 2"),
    ({"$schema": None}, ("$schema",), "None is not supported; known are json-schema.org/draft/2020-12/schema, "),
    ({"$defs": {"a": {"$schema": "x"}}}, ("$defs", "a", "$schema"), "'x' is not supported; known are "),
]


@pytest.mark.parametrize("schema, path, message", WRONG, ids=range(len(WRONG)))
def test_a_wrong_schema_is_refused_with_the_place_and_the_reason(schema, path, message):
    error = refusal(schema)
    assert (error.message[: len(message)], error.path) == (message, path)


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
    error = complaint(1, {"$defs": {"a": inner}, "$ref": "https://example.com/a"})
    assert error.schema_path == ("$defs", "a", "x-more", "deep", "type")


# Hostile input


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
