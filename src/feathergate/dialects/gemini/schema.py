"""JSON Schema as Gemini's `responseJsonSchema` and `parametersJsonSchema` take it.

Most of a schema passes as it is. Keywords that Gemini refuses and that bind nothing are left out; those that bind
are said in the description, where the model reads them. Keys keep their order. Source: reference/wire/gemini.md
section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_LEFT_OUT = frozenset({"$schema", "title", "discriminator", "examples", "example", "strict"})
_TOLD = frozenset({"exclusiveMinimum", "exclusiveMaximum"})


def clean_schema(schema: Any) -> Any:
    """The schema without what Gemini refuses: a copy, or itself where nothing in it could be refused."""
    if not isinstance(schema, dict) or _TREATED.isdisjoint(schema):
        return schema
    cleaned: dict[str, Any] = {}
    told: list[str] = []
    for key, value in schema.items():
        if key in _LEFT_OUT:
            continue
        if key in _TOLD or (key == "format" and isinstance(value, str)):
            told.append(f"{key}: {value}")
        elif key == "const":
            cleaned.setdefault("enum", [value])
        elif key in _NESTED:
            cleaned[key] = _NESTED[key](value)
        else:
            cleaned[key] = value
    if told:
        description = cleaned.get("description")
        cleaned["description"] = " ".join(
            [*([description] if isinstance(description, str) else []), f"({', '.join(told)})"]
        )
    return cleaned


def _clean_all(schemas: Any) -> Any:
    return [clean_schema(schema) for schema in schemas] if isinstance(schemas, list) else clean_schema(schemas)


def _clean_named(schemas: Any) -> Any:
    if not isinstance(schemas, dict):
        return schemas
    return {name: clean_schema(schema) for name, schema in schemas.items()}


# Where schemas stand within a schema; what stands under any other key is data, and kept as it is.
_NESTED: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"), _clean_named),
    **dict.fromkeys(("anyOf", "oneOf", "allOf", "prefixItems", "items"), _clean_all),
    **dict.fromkeys(
        ("additionalProperties", "not", "if", "then", "else", "contains", "propertyNames", "additionalItems"),
        clean_schema,
    ),
}

_TREATED = _LEFT_OUT | _TOLD | {"format", "const"} | _NESTED.keys()
