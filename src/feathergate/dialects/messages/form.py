"""The form of the answer: OpenAI's `response_format`.

A schema binds the answer where the family can be bound, and is a tool's where it cannot; what neither can say is
said in words. Specification: reference/wire/anthropic.md section 5.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from msgspec import UnsetType

from feathergate.capability import Capability
from feathergate.dialects.messages.tool import as_object_schema
from feathergate.dialects.schema import sanitise_for_messages
from feathergate.wire import codec
from feathergate.wire.chat import ChatRequest

JSON_INSTRUCTION: Final = "Answer with one JSON object and nothing else."


class Form(NamedTuple):
    """How the answer is bound to JSON: by `format`, by a tool that takes `schema`, or by words."""

    format: dict[str, Any] | None = None
    schema: dict[str, Any] | None = None
    instruction: str | None = None


_NONE: Final = Form()


def plan_form(request: ChatRequest, capability: Capability) -> Form:
    if isinstance(request.response_format, UnsetType) or codec.is_null(request.response_format):
        return _NONE
    wanted = codec.decode_response_format(request.response_format)
    if wanted.type == "text":
        return _NONE
    named = wanted.json_schema
    if named is None or named.schema is None:
        return Form(instruction=JSON_INSTRUCTION)
    schema = {"description": named.description, **named.schema} if named.description else named.schema
    if capability.structured_output:
        return Form(format={"type": "json_schema", "schema": sanitise_for_messages(schema)})
    if request.tools or request.functions:
        return Form(instruction=f"{JSON_INSTRUCTION} It follows this schema:\n{codec.encode(schema).decode()}")
    return Form(schema=as_object_schema(schema))
