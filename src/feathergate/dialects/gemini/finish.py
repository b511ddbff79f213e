"""Why a candidate ended, in Gemini's words and in OpenAI's.

Enums come as names, and as numbers from some clients of Vertex; where the two APIs number differently, Vertex's
numbers count, because only its answers have been seen with them. Source: reference/wire/gemini.md section 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from feathergate.events import Finished, FinishReason
from feathergate.wire.gemini import Enum

_FILTERED: Final = (
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "ESCALATION",
    "PUP_LIMITED_DISABLED",
    "MODEL_ARMOR",
    "OTHER",
    "IMAGE_OTHER",
    "NO_IMAGE",
)
# What is not here is "stop": the model's own mistakes after content, and words that are newer than this table.
_REASONS: Final[dict[str | None, FinishReason]] = {
    "MAX_TOKENS": "length",
    "TOO_MANY_TOOL_CALLS": "length",
    "CONTINUATION": "length",
    **dict.fromkeys(_FILTERED, "content_filter"),
}
_FINISHED: Final = (
    "FINISH_REASON_UNSPECIFIED",
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "MODEL_ARMOR",
)
BLOCKED: Final = ("BLOCKED_REASON_UNSPECIFIED", "SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "MODEL_ARMOR")


def name_reason(value: Enum | None, names: Sequence[str] = _FINISHED) -> str | None:
    """The enum's name; None where it is absent or unspecified, which proto3 does not tell apart."""
    if isinstance(value, int):
        value = names[value] if 0 <= value < len(names) else str(value)
    return None if not value or value == names[0] else value


def build_finish(native: str | None, index: int, *, called: bool) -> Finished:
    """`called` = the choice holds a tool call: Gemini says STOP then, OpenAI says tool_calls."""
    reason = _REASONS.get(native, "stop")
    return Finished("tool_calls" if called and reason == "stop" else reason, index, native)
