"""Every field of a chat request, and every kind of what stands in one, and whether Gemini gets it.

Each stands in exactly one list, and a test holds them to OpenAI's own types. Unknown members are dropped as those
of `DROPPED` are, but for the extensions, which are Gemini's own.
"""

from __future__ import annotations

from typing import Final

from msgspec import Raw

from feathergate.dialects.loss import Losses
from feathergate.errors import ClientError
from feathergate.wire.codec import Members, is_null

TRANSLATED: Final = (
    "model",
    "messages",
    "stream",
    "stream_options",  # usage comes with every stream
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "n",
    "stop",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "top_logprobs",
    "service_tier",
    "reasoning_effort",
    "modalities",
    "tools",
    "functions",
    "tool_choice",
    "function_call",
    "response_format",
    "audio",
    "web_search_options",
    "thinking",
)
DROPPED: Final = (
    "logit_bias",
    "user",
    "safety_identifier",
    "store",
    "verbosity",
    "parallel_tool_calls",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "metadata",
    "prediction",
    "cache_control",
)
REFUSED: Final = ("moderation",)  # who asks for a check of what is said must not be answered unchecked

# All of these are translated; parts, where they are not refused.
ROLES: Final = ("system", "developer", "user", "assistant", "tool", "function")
PARTS: Final = ("text", "refusal", "image_url", "input_audio", "file")
REFUSED_PARTS: Final[tuple[str, ...]] = ()
TOOLS: Final = ("function", "custom")
CHOICES: Final = ("none", "auto", "required", "function", "custom", "allowed_tools")
FORMATS: Final = ("text", "json_object", "json_schema")

# Members that OpenAI does not know and Gemini does, in both spellings that clients use.
EXTENSIONS: Final = {
    "safety_settings": "safetySettings",
    "safetySettings": "safetySettings",
    "cached_content": "cachedContent",
    "cachedContent": "cachedContent",
}

_EXTENSIONS: Final = frozenset(EXTENSIONS)
_CARRIED: Final = _EXTENSIONS.union(TRANSLATED)
_WHAT_GEMINI_DOES_ANYWAY: Final = {"store": b"false", "parallel_tool_calls": b"true"}


def check_fields(members: Members, losses: Losses) -> None:
    """Drop, or refuse with a `ClientError`, what Gemini does not get; `null` asks for nothing."""
    if _CARRIED.issuperset(members):
        return
    for name, value in members.items():
        if name in _CARRIED or is_null(value):
            continue
        if name in REFUSED:
            message = (
                f"'{name}' has no equivalent for Gemini, and an answer without it would not be what was asked for."
            )
            raise ClientError(f"{message} Leave it out.", param=name, code="unsupported_parameter")
        if bytes(value) != _WHAT_GEMINI_DOES_ANYWAY.get(name):
            losses.drop(name)


def pick_extensions(members: Members) -> dict[str, Raw]:
    """Gemini's own members, as they came."""
    if _EXTENSIONS.isdisjoint(members):
        return {}
    return {EXTENSIONS[name]: value for name, value in members.items() if name in EXTENSIONS and not is_null(value)}
