"""Values made from schemas: they satisfy what is asked, and no schema makes them endless."""

from __future__ import annotations

from typing import Any

import pytest

from feathergate.errors import ClientError
from feathergate.transport.example import build_example


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({}, "text"),
        ({"type": "object"}, {}),
        ({"type": "string", "minLength": 6}, "textxx"),
        ({"type": "string", "maxLength": 2}, "te"),
        ({"type": "string", "format": "date"}, "2025-01-31"),
        ({"type": "integer", "minimum": 2.5}, 3),
        ({"type": "integer", "exclusiveMinimum": 4}, 5),
        ({"type": "number", "maximum": -0.5}, -0.5),
        ({"type": "integer", "maximum": -0.5}, -1),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": ["null", "boolean"]}, True),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"enum": ["a", "b"]}, "a"),
        ({"const": None}, None),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 1),
        ({"properties": {"a": {"type": "integer"}, "b": {}}, "required": ["a", "c"]}, {"a": 1, "c": "text"}),
        ({"allOf": [{"required": ["a"]}, {"required": ["b"]}], "required": ["c"]}, dict.fromkeys("abc", "text")),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"type": "integer"}}}, 1),
        ({"$ref": "#/definitions/A", "definitions": {"A": {"type": "null"}}}, None),
    ],
)
def test_example_is_the_smallest_fitting_value(schema: dict[str, Any], value: Any) -> None:
    assert build_example(schema, "x") == value


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"items": schema}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "#/$defs/B"},
        {"required": ["a", "b"], "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}},
        {"type": "array", "minItems": 10**9},
        {"required": 5},
        {"properties": {"a": []}},
        nested(5000),
    ],
)
def test_endless_or_wrong_schema_is_refused_with_its_place(schema: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as caught:
        build_example(schema, "tools[0]")
    assert caught.value.param == "tools[0]"


def test_required_text_is_bounded() -> None:
    assert len(build_example({"type": "string", "minLength": 10**12}, "x")) == 10_000
