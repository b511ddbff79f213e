"""Builds requests for Gemini in tests, and holds each built body to Google's own types, unknown keys forbidden."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai import types

from feathergate.capability import find_capability
from feathergate.dialects.contract import Built, Target
from feathergate.dialects.gemini import GEMINI
from feathergate.errors import ClientError
from feathergate.wire.codec import decode_chat

NEWEST, GEMINI_3, GEMINI_2_5 = "gemini-9", "gemini-3-flash-preview", "gemini-2.5-flash"

_TYPES: dict[str, Any] = {
    "contents": types.Content,
    "systemInstruction": types.Content,
    "tools": types.Tool,
    "toolConfig": types.ToolConfig,
    "generationConfig": types.GenerationConfig,
    "safetySettings": types.SafetySetting,
}
_PLAIN = {"serviceTier", "cachedContent"}


def user(text: str = "hi") -> dict[str, Any]:
    return {"role": "user", "content": text}


def build(model: str = GEMINI_3, *, strict: bool = False, **members: Any) -> Built:
    """The request of `members`, with one user message where they bring none."""
    request = json.dumps({"model": "mine", "messages": [user()], **members}).encode()
    built = GEMINI.build_request(*decode_chat(request), Target(model, find_capability(model), strict))
    check_types(json.loads(built.body))
    return built


def body(model: str = GEMINI_3, **members: Any) -> dict[str, Any]:
    built: dict[str, Any] = json.loads(build(model, **members).body)
    return built


def contents(*messages: dict[str, Any], model: str = GEMINI_3) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = body(model, messages=list(messages))["contents"]
    return found


def refused(model: str = GEMINI_3, *, strict: bool = False, **members: Any) -> ClientError:
    with pytest.raises(ClientError) as caught:
        build(model, strict=strict, **members)
    assert caught.value.status == 400
    return caught.value


def check_types(built: dict[str, Any]) -> None:
    for name, value in built.items():
        if name not in _PLAIN:
            for item in value if isinstance(value, list) else [value]:
                _TYPES[name].model_validate(item)
