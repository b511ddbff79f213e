"""OpenAI's answers on the wire: whole ones and the chunks of a stream, as we read them, and as we only peek at them.

What is read is typed, so that a host's odd shape is an error where it is decoded and nowhere later; what passes is
peeked at, for the few members that the gateway must know. Unknown members are passed over. What we write ourselves
stands in `chat.py`. Source: reference/wire/openai-chat.md sections 5 to 7.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from feathergate.wire.chat import Usage


class Function(msgspec.Struct, frozen=True, gc=False):
    name: str | None = None
    arguments: str | None = None


class Custom(msgspec.Struct, frozen=True, gc=False):
    name: str | None = None
    input: str | None = None


class Google(msgspec.Struct, frozen=True, gc=False):
    thought_signature: str | None = None


class CallExtra(msgspec.Struct, frozen=True, gc=False):
    google: Google | None = None


class ToolCall(msgspec.Struct, frozen=True, gc=False):
    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: Function | None = None
    custom: Custom | None = None
    extra_content: CallExtra | None = None


class ThinkingBlock(msgspec.Struct, frozen=True, gc=False):
    """A whole answer's block and a stream's piece of one: the same members."""

    type: str | None = None
    index: int | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None


class Message(msgspec.Struct, frozen=True):
    """A whole answer's message and a stream's delta: the same members."""

    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    thinking_blocks: list[ThinkingBlock] | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: Function | None = None
    annotations: list[dict[str, Any]] | None = None
    images: list[dict[str, Any]] | None = None
    audio: dict[str, Any] | None = None
    extra_content: dict[str, Any] | None = None


class Choice(msgspec.Struct, frozen=True):
    index: int = 0
    message: Message | None = None
    delta: Message | None = None
    finish_reason: str | None = None
    logprobs: dict[str, list[Any] | None] | None = None


class Answer(msgspec.Struct, frozen=True):
    """A whole answer and a chunk of a stream: the same members."""

    id: str = ""
    model: str = ""
    created: int | None = None
    choices: list[Choice] | None = None
    usage: Raw = Raw()
    error: Raw = Raw()
    service_tier: str | None = None
    system_fingerprint: str | None = None


# --- peeks at what passes ------------------------------------------------------------------------------------------


class MessagePeek(msgspec.Struct, frozen=True, gc=False):
    tool_calls: list[Raw] | None = None


class ChoicePeek(msgspec.Struct, frozen=True, gc=False):
    message: MessagePeek | None = None
    finish_reason: str | None = None


class AnswerPeek(msgspec.Struct, frozen=True, gc=False):
    choices: list[ChoicePeek] | None = None
    usage: Raw = Raw()
    error: Raw = Raw()


class WholePeek(msgspec.Struct, frozen=True, gc=False):
    """What the gateway must know of a whole answer that passes: whether `mend_answer` is due, and its usage."""

    odd: bool
    usage: Usage | None


class DeltaPeek(msgspec.Struct, frozen=True, gc=False):
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[Raw] | None = None
    function_call: Raw = Raw()
    audio: Raw = Raw()
    images: list[Raw] | None = None


class ChunkChoicePeek(msgspec.Struct, frozen=True, gc=False):
    index: int = 0
    delta: DeltaPeek | None = None
    finish_reason: str | None = None


class ChunkPeek(msgspec.Struct, frozen=True, gc=False):
    choices: list[ChunkChoicePeek] | None = None
    usage: Raw = Raw()
    error: Raw = Raw()


decode_answer = msgspec.json.Decoder(Answer).decode
decode_answer_peek = msgspec.json.Decoder(AnswerPeek).decode
decode_chunk_peek = msgspec.json.Decoder(ChunkPeek).decode
decode_usage = msgspec.json.Decoder(Usage).decode
