"""Every field of a chat request, and every kind of what stands in one, and whether Anthropic gets it.

Each stands in exactly one list, and a test holds them to OpenAI's own types. Unknown members are dropped as those
of `DROPPED` are. Source: reference/wire/anthropic.md section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from feathergate.dialects.loss import Losses
from feathergate.wire import codec
from feathergate.wire.chat import ChatRequest

TRANSLATED: Final = (
    "model",
    "messages",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "stop",
    "user",
    "safety_identifier",
    "service_tier",
    "reasoning_effort",
    "parallel_tool_calls",
    "tools",
    "functions",
    "tool_choice",
    "function_call",
    "response_format",
    "web_search_options",
    "thinking",
    "cache_control",
)
DROPPED: Final = (
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "store",
    "verbosity",
    "modalities",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "audio",
    "metadata",
    "moderation",
    "prediction",
)
REFUSED: Final = ("n",)
"""Refused above 1: one answer in place of several would change what was asked for."""
_CARRIED: Final = frozenset((*TRANSLATED, *REFUSED))

# All of these are translated; parts, where they are not refused.
ROLES: Final = ("system", "developer", "user", "assistant", "tool", "function")
PARTS: Final = ("text", "refusal", "image_url", "file")
REFUSED_PARTS: Final = ("input_audio",)
TOOLS: Final = ("function", "custom")
CHOICES: Final = ("none", "auto", "required", "function", "custom", "allowed_tools")
FORMATS: Final = ("text", "json_object", "json_schema")

# Values of dropped fields that ask for nothing: leaving them out loses nothing.
_NEUTRAL: Final[Mapping[str, Any]] = {
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "logprobs": False,
    "logit_bias": {},
    "store": False,
    "verbosity": "medium",
    "modalities": ["text"],
}


def report_dropped(request: ChatRequest, members: codec.Members, losses: Losses) -> None:
    """Say of each field that goes nowhere that it is dropped; `null`, and what asks for nothing, is not."""
    if _CARRIED.issuperset(members):
        return
    for name, value in members.items():
        if codec.is_null(value):
            continue
        known = name in ChatRequest.__struct_fields__
        if not known or (name in DROPPED and not _is_neutral(name, getattr(request, name))):
            losses.drop(name)


def _is_neutral(name: str, value: Any) -> bool:
    return name in _NEUTRAL and bool(value == _NEUTRAL[name])
