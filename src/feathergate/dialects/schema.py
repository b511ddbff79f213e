"""JSON Schema for those who take a subset of it: Anthropic's part.

A schema binds the answer only in the keywords that the provider's compiler knows. What it does not know is not
lost: it moves into the description beside it, where the model reads it. Pure: the schema given is not changed.
Source: reference/wire/anthropic.md section 5.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from feathergate.wire.codec import encode

Schema = dict[str, Any]

# Said by other means, or of no interest to who fills the schema in.
_SILENT = frozenset({"$schema", "$id", "$comment", "$anchor", "examples", "deprecated", "readOnly", "writeOnly"})
_VERBATIM = frozenset({"type", "const", "default", "title", "required", "$ref"})
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"})
_REGEX_TOO_RICH = re.compile(r"\(\?[=!<]|\\[1-9bB]")
_JSON_TYPES: Mapping[type, tuple[str, ...]] = {
    str: ("string",),
    bool: ("boolean",),
    int: ("integer", "number"),
    float: ("number",),
    type(None): ("null",),
}


def sanitise_for_messages(schema: Mapping[str, Any]) -> Schema:
    """The schema in Anthropic's subset; keywords outside it stand in the description of where they stood."""
    clean: Schema = {}
    moved: list[str] = []
    for keyword, value in _without_single_all_of(schema).items():
        if keyword in _SILENT or keyword in ("description", "additionalProperties"):
            continue
        name = "anyOf" if keyword == "oneOf" and "anyOf" not in schema else keyword
        if keyword in _VERBATIM:
            clean[keyword] = value
        elif name in _KEYWORDS and (kept := _KEYWORDS[name](value)) is not None:
            clean[name] = kept
        else:
            moved.append(f"{keyword}: {encode(value).decode()}")
    if "enum" in clean and not _agrees(clean):
        clean.pop("type", None)
    if "object" in _types(clean) or "properties" in clean:
        if schema.get("additionalProperties"):
            moved.append(f"additionalProperties: {encode(schema['additionalProperties']).decode()}")
        clean["additionalProperties"] = False
    said = schema.get("description")
    words = [said if isinstance(said, str) else "", f"({'; '.join(moved)})" if moved else ""]
    description = " ".join(filter(None, words))
    return {"description": description, **clean} if description else clean


def is_recursive(schema: Mapping[str, Any]) -> bool:
    """Whether a local `$ref` leads back to itself, or a `$ref` is not local: no strict compiler takes either."""
    definitions = {
        f"#/{place}/{name}": set(_references(body))
        for place in ("$defs", "definitions")
        for name, body in _members(schema.get(place)).items()
    }
    try:
        TopologicalSorter(definitions).prepare()
    except CycleError:
        return True
    return not definitions.keys() >= set(_references(schema))


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [name for member in value.values() for name in _references(member)]
    return [name for item in value for name in _references(item)] if isinstance(value, list) else []


def _without_single_all_of(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """`allOf` with one branch says what the branch says."""
    match schema.get("allOf"):
        case [dict() as branch]:
            return {**branch, **{name: value for name, value in schema.items() if name != "allOf"}}
    return schema


# --- keywords: each gives what stays of its value, or None where nothing may ---------------------------------------


def _subschema(value: Any) -> Schema:
    return sanitise_for_messages(value) if isinstance(value, dict) else {}


def _subschemas(value: Any) -> list[Schema] | None:
    return [_subschema(item) for item in value] if isinstance(value, list) and value else None


def _named_subschemas(value: Any) -> dict[str, Schema]:
    return {name: _subschema(member) for name, member in _members(value).items()}


def _items(value: Any) -> Schema | None:
    return _subschema(value) if isinstance(value, (dict, bool)) else None


def _enum(value: Any) -> list[Any] | None:
    scalars = [item for item in value if type(item) in _JSON_TYPES] if isinstance(value, list) else []
    return scalars or None


def _format(value: Any) -> str | None:
    return value if isinstance(value, str) and value in _FORMATS else None


def _pattern(value: Any) -> str | None:
    return value if isinstance(value, str) and not _REGEX_TOO_RICH.search(value) else None


def _min_items(value: Any) -> int | None:
    return value if value in (0, 1) else None


_KEYWORDS: Mapping[str, Callable[[Any], Any]] = {
    "properties": _named_subschemas,
    "$defs": _named_subschemas,
    "definitions": _named_subschemas,
    "items": _items,
    "anyOf": _subschemas,
    "allOf": _subschemas,
    "enum": _enum,
    "format": _format,
    "pattern": _pattern,
    "minItems": _min_items,
}


def _members(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _types(schema: Mapping[str, Any]) -> list[str]:
    given = schema.get("type")
    names = given if isinstance(given, list) else [given]
    return [name for name in names if isinstance(name, str)]


def _agrees(schema: Mapping[str, Any]) -> bool:
    """Whether every value of the enum has one of the types given, if any is."""
    types = _types(schema)
    return not types or all(set(_JSON_TYPES[type(value)]) & set(types) for value in schema["enum"])
