"""The id of a tool call that bears a thought signature of Gemini, as LiteLLM's clients have them in their histories.

The signature is Gemini's alone: others refuse ids of its length and characters. Source: reference/wire/gemini.md
section 3.
"""

from __future__ import annotations

from typing import Final

SIGNATURE_MARK: Final = "__thought__"


def split_call_id(call_id: str) -> tuple[str, str | None]:
    """The id itself, and the signature that hangs on it, if there is one."""
    plain, _, signature = call_id.partition(SIGNATURE_MARK)
    return plain, signature or None
