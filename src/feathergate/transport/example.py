"""A value that satisfies a JSON Schema: what the mock provider answers where a schema was asked for.

The smallest plain value is taken: required properties only, the first of several alternatives, bounds kept.
`pattern`, `not`, `multipleOf` and conditions are not looked at. Work is bounded, whatever the schema says.
Specification: JSON Schema 2020-12, as far as OpenAI's structured output and tools use it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from feathergate.errors import ClientError

VALUES_LIMIT = 2000
DEPTH_LIMIT = 50
LENGTH_LIMIT = 10_000

Number = int | float


class Schema(msgspec.Struct, frozen=True, rename="camel"):
    """The keywords that are looked at."""

    type: str | list[str] | None = None
    properties: dict[str, Schema | bool] = {}
    required: list[str] = []
    items: Schema | bool | None = None
    const: Any | UnsetType = UNSET
    enum: list[Any] = []
    any_of: list[Schema | bool] = []
    one_of: list[Schema | bool] = []
    all_of: list[Schema | bool] = []
    ref: str | None = msgspec.field(name="$ref", default=None)
    defs: dict[str, Schema | bool] = msgspec.field(name="$defs", default={})
    definitions: dict[str, Schema | bool] = {}
    format: str | None = None
    minimum: Number | None = None
    maximum: Number | None = None
    exclusive_minimum: Number | None = None
    min_items: int = 0
    min_length: int = 0
    max_length: int = LENGTH_LIMIT


STRINGS = {
    "date": "2025-01-31",
    "time": "12:00:00Z",
    "date-time": "2025-01-31T12:00:00Z",
    "duration": "PT1H",
    "email": "user@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def build_example(schema: dict[str, Any], where: str) -> Any:
    """Raises `ClientError` with `param=where` for what is no schema, or one that demands too much."""
    try:
        root = msgspec.convert(schema, Schema)
    except (msgspec.ValidationError, RecursionError) as error:
        reason = str(error).replace("`", "'")
        raise ClientError(f"Invalid schema for '{where}': {reason}.", param=where, code="invalid_value") from None
    return _Builder(root, where).build(root, 0)


class _Builder:
    """One example in the making: the root that references point into, and how many values may still follow."""

    def __init__(self, root: Schema, where: str) -> None:
        self._root = root
        self._where = where
        self._left = VALUES_LIMIT

    def build(self, schema: Schema | bool | None, depth: int) -> Any:
        self._left -= 1
        if self._left < 0 or depth > DEPTH_LIMIT:
            raise ClientError(
                f"The schema of '{self._where}' demands more than {VALUES_LIMIT} values or {DEPTH_LIMIT} levels. "
                "Check it for a required property that refers back to its parent.",
                param=self._where,
                code="invalid_value",
            )
        if not isinstance(schema, Schema):
            return "text"
        if schema.const is not UNSET:
            return schema.const
        if schema.enum:
            return schema.enum[0]
        parts = [*schema.all_of, *schema.any_of[:1], *schema.one_of[:1]]
        if schema.ref is not None:
            parts.append(self._resolve(schema.ref))
        values = [self.build(part, depth + 1) for part in parts]
        kind = _kind(schema, default="string" if not parts else "")
        if kind == "object":
            values.append({name: self.build(schema.properties.get(name), depth + 1) for name in schema.required})
        elif kind == "array":
            count = min(schema.min_items, VALUES_LIMIT + 1)
            values.append([self.build(schema.items, depth + 1) for _ in range(count)])
        elif kind in _SCALARS:
            values.append(_SCALARS[kind](schema))
        return _merge(values)

    def _resolve(self, reference: str) -> Schema | bool:
        if reference == "#":
            return self._root
        room, _, name = reference.removeprefix("#/").partition("/")
        known = {"$defs": self._root.defs, "definitions": self._root.definitions}.get(room, {})
        if name not in known:
            raise ClientError(
                f"The schema of '{self._where}' refers to '{reference}', which is not in it. "
                "Put it under '$defs' and refer to it as '#/$defs/NAME'.",
                param=self._where,
                code="invalid_value",
            )
        return known[name]


def _string(schema: Schema) -> str:
    text = STRINGS.get(schema.format or "", "text")
    return text.ljust(min(schema.min_length, LENGTH_LIMIT), "x")[: max(schema.max_length, 0)]


def _number(schema: Schema) -> Number:
    value: Number = 1
    if schema.minimum is not None:
        value = max(value, schema.minimum)
    if schema.exclusive_minimum is not None and value <= schema.exclusive_minimum:
        value = schema.exclusive_minimum + 1
    return value if schema.maximum is None else min(value, schema.maximum)


def _integer(schema: Schema) -> int:
    value = _number(schema)
    return math.floor(value) if value == schema.maximum else math.ceil(value)


_SCALARS: dict[str, Callable[[Schema], Any]] = {
    "string": _string,
    "number": _number,
    "integer": _integer,
    "boolean": lambda _: True,
    "null": lambda _: None,
}


def _kind(schema: Schema, default: str) -> str:
    """The type that is built: the first that is not null, or what the other keywords speak of."""
    if isinstance(schema.type, str):
        return schema.type
    if schema.type:
        return next((kind for kind in schema.type if kind != "null"), "null")
    if schema.properties or schema.required:
        return "object"
    return "array" if schema.items is not None else default


def _merge(values: list[Any]) -> Any:
    """What satisfies all parts of a schema: objects become one, of anything else the first stands."""
    if all(isinstance(value, dict) for value in values):
        return {name: value for part in values for name, value in part.items()}
    return values[0]
