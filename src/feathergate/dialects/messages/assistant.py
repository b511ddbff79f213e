"""An assistant's message of the history to Anthropic's blocks: thinking, words, calls.

Thinking goes back first and untouched, signed or redacted; thinking of other makers, which nobody signed, stays
out. A message of ours that carries `extra_content.anthropic.content`, because the provider's own tools ran in it,
goes back in that order. Arguments keep the client's very bytes. Specification: reference/wire/anthropic.md
sections 3 and 6.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Raw

from feathergate.dialects.call_id import split_call_id
from feathergate.dialects.messages.part import Block, build_text
from feathergate.errors import ClientError
from feathergate.wire.chat import Message, Said

_decode_object: Final = msgspec.json.Decoder(dict[str, Raw]).decode


class Call(NamedTuple):
    """A call of the history. `key` is what its result is found by, `id` the client's (or a made) id."""

    key: tuple[str, str]
    id: str
    name: str
    input: Any


def read_calls(messages: Sequence[Said]) -> dict[int, list[Call]]:
    """The calls of every message that has any, by the message's index. Raises `ClientError` as below."""
    return {
        index: _read_calls(message, index)
        for index, message in enumerate(messages)
        if message.tool_calls or message.function_call is not None
    }


def _read_calls(message: Message, index: int) -> list[Call]:
    """Raises `ClientError` for a call without the member that its type names."""
    calls: list[Call] = []
    for position, call in enumerate(message.tool_calls or ()):
        plain, _ = split_call_id(call.id)
        if call.function is not None:
            calls.append(Call(("id", plain), plain, call.function.name, _read_arguments(call.function.arguments)))
        elif call.custom is not None:
            calls.append(Call(("id", plain), plain, call.custom.name, {"input": call.custom.input}))
        else:
            where = f"messages[{index}].tool_calls[{position}]"
            raise ClientError(f"The call has neither 'function' nor 'custom' ({where}). Add one.", param=where)
    legacy = message.function_call
    if legacy is not None:
        calls.append(Call(("name", legacy.name), f"call_{index}", legacy.name, _read_arguments(legacy.arguments)))
    return calls


def _read_arguments(text: str) -> Any:
    """A JSON object byte for byte; none for no text; anything else, as models sometimes write, wrapped."""
    if not text or text.isspace():
        return {}
    try:
        _decode_object(text)
    except (msgspec.DecodeError, RecursionError):
        return {"_raw": text}
    return Raw(text)


def build_content(message: Message, words: Sequence[Block], call_ids: Collection[str]) -> list[Block]:
    """The message's blocks but for its calls; `words` are those of its content.

    Content as it came has its calls in it: they mark the places of the message's own, and go where it has none.
    """
    as_it_came = _content_as_it_came(message)
    if as_it_came is None:
        return [*_build_thinking(message), *(words or build_text(message.refusal))]
    return [block for block in as_it_came if block["type"] != "tool_use" or str(block.get("id")) in call_ids]


def place_calls(content: Sequence[Block], calls: Mapping[str, Block]) -> list[Block]:
    """The calls in the places that the content has for them, and after it where it has none."""
    left = dict(calls)
    placed: list[Block] = []
    for block in content:
        call = left.pop(str(block.get("id")), None) if block["type"] == "tool_use" else block
        placed += [call] if call is not None else []
    return [*placed, *left.values()]


def _content_as_it_came(message: Message) -> list[Block] | None:
    """The content that our own answer gave along; of another shape, it is not ours."""
    if message.extra_content is None:
        return None
    ours = message.extra_content.get("anthropic")
    content = ours.get("content") if isinstance(ours, dict) else None
    if not isinstance(content, list) or not all(_is_block(block) for block in content):
        return None
    return [block for block in content if block["type"] != "text" or build_text(block["text"])]


def _is_block(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        return False
    return value["type"] != "text" or isinstance(value.get("text"), str)


def _build_thinking(message: Message) -> list[Block]:
    built: list[Block] = []
    for block in message.thinking_blocks or ():
        if block.get("type") == "thinking" and block.get("signature"):
            text = block.get("thinking") or ""
            built.append({"type": "thinking", "thinking": text, "signature": block["signature"]})
        elif block.get("type") == "redacted_thinking" and block.get("data"):
            built.append({"type": "redacted_thinking", "data": block["data"]})
    return built
