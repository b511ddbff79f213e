from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feathergate.dialects.messages.tool import as_object_schema
from feathergate.dialects.schema import is_recursive, sanitise_for_messages

STRING = {"type": "string"}


@pytest.mark.parametrize(
    ("schema", "clean"),
    [
        (STRING, STRING),
        ({"type": "object"}, {"type": "object", "additionalProperties": False}),
        ({"type": ["object", "null"]}, {"type": ["object", "null"], "additionalProperties": False}),
        (
            {"type": "object", "additionalProperties": STRING},
            {
                "description": '(additionalProperties: {"type":"string"})',
                "type": "object",
                "additionalProperties": False,
            },
        ),
        (
            {"type": "integer", "description": "A number.", "minimum": 1, "multipleOf": 2},
            {"description": "A number. (minimum: 1; multipleOf: 2)", "type": "integer"},
        ),
        ({"oneOf": [STRING, {"type": "null"}]}, {"anyOf": [STRING, {"type": "null"}]}),
        ({"allOf": [{"$ref": "#/$defs/A"}], "description": "d"}, {"description": "d", "$ref": "#/$defs/A"}),
        ({"enum": ["a", 1, None, {"x": 1}]}, {"enum": ["a", 1, None]}),
        ({"type": "string", "enum": ["a", 1]}, {"enum": ["a", 1]}),
        ({"type": "string", "enum": ["a", "b"]}, {"type": "string", "enum": ["a", "b"]}),
        ({"type": "string", "format": "date"}, {"type": "string", "format": "date"}),
        ({"type": "string", "format": "phone"}, {"description": '(format: "phone")', "type": "string"}),
        ({"type": "string", "pattern": "^a+$"}, {"type": "string", "pattern": "^a+$"}),
        ({"type": "string", "pattern": "(?=a)"}, {"description": '(pattern: "(?=a)")', "type": "string"}),
        ({"type": "array", "minItems": 1, "items": {"oneOf": [STRING]}},
         {"type": "array", "minItems": 1, "items": {"anyOf": [STRING]}}),
        ({"type": "array", "minItems": 3}, {"description": "(minItems: 3)", "type": "array"}),
        ({"$schema": "x", "$defs": {"A": {"maxLength": 3}}}, {"$defs": {"A": {"description": "(maxLength: 3)"}}}),
    ],
)  # fmt: skip
def test_schema_keeps_what_is_known_and_tells_the_rest(schema: Any, clean: Any) -> None:
    given = copy.deepcopy(schema)
    assert sanitise_for_messages(schema) == clean
    assert schema == given


def test_schema_keeps_the_order_of_its_properties() -> None:
    schema = {"type": "object", "properties": {"z": STRING, "a": STRING}}
    assert list(sanitise_for_messages(schema)["properties"]) == ["z", "a"]


@pytest.mark.parametrize(
    ("schema", "recursive"),
    [
        ({}, False),
        ({"$ref": "#"}, True),
        ({"$ref": "https://e.com/s.json"}, True),
        ({"$ref": "#/$defs/A", "$defs": {"A": STRING}}, False),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"items": {"$ref": "#/$defs/B"}}, "B": STRING}}, False),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"items": {"$ref": "#/$defs/A"}}}}, True),
        ({"properties": {"$ref": STRING}}, False),
    ],
)
def test_recursion_is_seen(schema: Any, recursive: bool) -> None:
    assert is_recursive(schema) is recursive


KEYWORDS = st.sampled_from(
    ["type", "enum", "anyOf", "oneOf", "allOf", "properties", "required", "items", "$ref", "$defs", "format", "pattern",
     "minItems", "description", "additionalProperties", "x"]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["object", "string", "#/$defs/x", "#", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYWORDS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(KEYWORDS, VALUES, max_size=5))
def test_any_object_is_taken_for_a_schema(schema: dict[str, Any]) -> None:
    shaped = as_object_schema(schema)
    is_recursive(shaped)
    assert isinstance(sanitise_for_messages(shaped), dict)
