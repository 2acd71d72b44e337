"""JSON Schema: what is valid, what is said of the rest and where, which schemas are wrong, and that nothing is ignored."""

from __future__ import annotations

import pytest

from openjd_adapt.schema import SchemaError, ValidationError, Validator, validate

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
