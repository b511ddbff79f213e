"""What a host like OpenAI says that OpenAI's clients do not understand, put right in its own bytes.

An answer of the chat protocol passes as it came. Two slips of such hosts break clients all the same: a finish
reason of their own, and an empty list of tool calls, which some take for a call. The bytes in question are
exchanged and all others stay. Specification: reference/wire/openai-chat.md sections 5 and 7.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import get_args

from feathergate.events import FinishReason

_OPENAI: tuple[FinishReason, ...] = get_args(FinishReason)
_FINISH: Mapping[str, FinishReason] = {
    **{reason: reason for reason in _OPENAI},
    **dict.fromkeys(("model_length", "max_tokens", "error", "abort", "insufficient_system_resource"), "length"),
    **dict.fromkeys(("safety", "refusal", "content-filter"), "content_filter"),
    **dict.fromkeys(("tool_use", "tool_call"), "tool_calls"),
}
# Within a string every quote has a backslash before it, so these find members and nothing else.
_EMPTY_CALLS = re.compile(rb'(,\s*)?"tool_calls"\s*:\s*\[\s*\](?(1)|\s*,?)')
_FINISH_MEMBER = re.compile(rb'("finish_reason"\s*:\s*)"([^"\\]*)"')


def name_finish(reason: str) -> FinishReason:
    """OpenAI's word for a host's own; an answer that its host broke off counts as cut short."""
    return _FINISH.get(reason) or _FINISH.get(reason.lower(), "stop")


def is_odd(reason: str | None, calls: Sequence[object] | None) -> bool:
    """Whether a choice with this finish reason and these tool calls needs mending."""
    return (calls is not None and not calls) or (reason is not None and reason not in _OPENAI)


def mend_answer(data: bytes) -> bytes:
    """An answer, or a chunk of one, without empty lists of tool calls and with OpenAI's finish reasons alone."""
    return _FINISH_MEMBER.sub(_mended_finish, _EMPTY_CALLS.sub(b"", data))


def _mended_finish(match: re.Match[bytes]) -> bytes:
    return match[1] + b'"' + name_finish(match[2].decode(errors="replace")).encode() + b'"'
