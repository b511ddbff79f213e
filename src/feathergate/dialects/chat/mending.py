"""What a host like OpenAI says that OpenAI's clients do not understand, put right in its own bytes.

An answer of the chat protocol passes as it came. Two slips of such hosts break clients all the same: a finish
reason of their own, and an empty list of tool calls, which some take for a call. Only the way down to those two is
opened and written anew; every other value keeps its bytes. Specification: reference/wire/openai-chat.md sections 5
and 7.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, get_args

import msgspec
from msgspec import Raw

from feathergate.events import FinishReason
from feathergate.wire import codec

_OPENAI: Final[tuple[FinishReason, ...]] = get_args(FinishReason)
_FINISH: Final[Mapping[str, FinishReason]] = {
    **{reason: reason for reason in _OPENAI},
    **dict.fromkeys(("model_length", "max_tokens", "error", "abort", "insufficient_system_resource"), "length"),
    **dict.fromkeys(("safety", "refusal", "content-filter"), "content_filter"),
    **dict.fromkeys(("tool_use", "tool_call"), "tool_calls"),
}

_decode_object: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_list: Final = msgspec.json.Decoder(list[Raw]).decode
_decode_text: Final = msgspec.json.Decoder(str).decode


def name_finish(reason: str) -> FinishReason:
    """OpenAI's word for a host's own; an answer that its host broke off counts as cut short."""
    return _FINISH.get(reason) or _FINISH.get(reason.lower(), "stop")


def is_odd(reason: str | None, calls: Sequence[object] | None) -> bool:
    """Whether a choice with this finish reason and these tool calls needs mending."""
    return (calls is not None and not calls) or (reason is not None and reason not in _OPENAI)


def mend_answer(data: bytes) -> bytes:
    """An answer, or a chunk of one, without empty lists of tool calls and with OpenAI's finish reasons alone.

    One that is not shaped so that it could hold either is left as it is.
    """
    try:
        answer = _decode_object(data)
        choices = [_mend_choice(choice) for choice in _decode_list(answer.get("choices", Raw(b"null")))]
    except (msgspec.DecodeError, RecursionError):
        return data
    return codec.encode({**answer, "choices": choices})


def _mend_choice(choice: Raw) -> Raw:
    """The very bytes where there is nothing to mend; so do the menders of its members."""
    members = _decode_object(choice)
    present = [name for name in _MENDERS if not codec.is_null(members.get(name, Raw()))]
    mended = {name: _MENDERS[name](members[name]) for name in present}
    changed = any(value is not members[name] for name, value in mended.items())
    return codec.raw(members | mended) if changed else choice


def _mend_message(message: Raw) -> Raw:
    members = _decode_object(message)
    calls = members.get("tool_calls", Raw())
    if codec.is_null(calls) or _decode_list(calls):
        return message
    del members["tool_calls"]
    return codec.raw(members)


def _mend_finish(reason: Raw) -> Raw:
    given = _decode_text(reason)
    named = name_finish(given)
    return reason if named == given else codec.raw(named)


_MENDERS: Final[Mapping[str, Callable[[Raw], Raw]]] = {
    "message": _mend_message,
    "delta": _mend_message,
    "finish_reason": _mend_finish,
}
