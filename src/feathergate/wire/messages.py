"""Anthropic's Messages on the wire: the parts of answers, stream events and errors that we read.

One struct serves all blocks, one all deltas and one all events, with every member optional, because a tagged
union would refuse the types that Anthropic adds without a new version. Members that only some readings open, or
whose shape differs from type to type, stay raw. Of a request the top has a struct, which leaves out what is empty;
what stands in it is built as plain objects. Source: reference/wire/anthropic.md sections 3 and 6 to 8.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

_ABSENT = Raw()  # false in a test


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of `POST /v1/messages`, in the order in which it is written."""

    model: str
    max_tokens: int
    cache_control: dict[str, Any] | None = None
    tools: list[dict[str, Any]] = []
    system: list[dict[str, Any]] = []
    messages: list[dict[str, Any]] = []
    tool_choice: dict[str, Any] | None = None
    thinking: dict[str, Any] | None = None
    output_config: dict[str, Any] | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop_sequences: list[str] = []
    metadata: dict[str, str] | None = None
    service_tier: str | None = None
    stream: bool | None = None


class OutputTokensDetails(msgspec.Struct, frozen=True, gc=False):
    thinking_tokens: int | None = None


class Iteration(msgspec.Struct, frozen=True, gc=False):
    """Tokens of one of the calls that an answer was made of."""

    type: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens. `input_tokens` excludes what the cache was read from and written to; `iterations` are counted in the
    other members, but for those that the provider made on the side (compaction, advisor)."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens_details: OutputTokensDetails | None = None
    iterations: list[Iteration] | None = None
    service_tier: str | None = None


class StopDetails(msgspec.Struct, frozen=True, gc=False):
    explanation: str | None = None


class ProviderError(msgspec.Struct, frozen=True):
    type: str = ""
    message: str | None = None
    details: Any = None


class Message(msgspec.Struct, frozen=True):
    """A whole answer, and what `message_start` holds. `error` is set where an error came under status 200."""

    id: str = ""
    model: str = ""
    content: list[Raw] | None = None
    stop_reason: str | None = None
    stop_details: StopDetails | None = None
    usage: Usage | None = None
    error: ProviderError | None = None


class Block(msgspec.Struct, frozen=True):
    """One block of content, of the types that we read."""

    type: str = ""
    text: str = ""
    citations: list[Raw] | None = None
    thinking: str = ""
    signature: str = ""
    data: str = ""
    id: str = ""
    name: str = ""
    input: Raw = _ABSENT


class BlockType(msgspec.Struct, frozen=True, gc=False):
    """A block or a delta of which nothing but the type is read."""

    type: str = ""


class Citation(msgspec.Struct, frozen=True, gc=False):
    type: str = ""
    url: str | None = None
    title: str | None = None


class Delta(msgspec.Struct, frozen=True, gc=False):
    """What a `content_block_delta` or a `message_delta` brings."""

    type: str = ""
    text: str = ""
    partial_json: str = ""
    thinking: str = ""
    signature: str = ""
    citation: Raw = _ABSENT
    stop_reason: str | None = None
    stop_details: StopDetails | None = None


class StreamEvent(msgspec.Struct, frozen=True, gc=False):
    type: str = ""
    delta: Delta | None = None
    content_block: Raw = _ABSENT
    message: Message | None = None
    usage: Usage | None = None
    error: ProviderError | None = None


class EventType(msgspec.Struct, frozen=True, gc=False):
    """An event of which nothing but the type is read."""

    type: str = ""
    delta: Raw = _ABSENT


class Failure(msgspec.Struct, frozen=True):
    """The body of an error: `{"type": "error", "error": {…}, "request_id": …}`."""

    error: ProviderError | None = None


decode_message = msgspec.json.Decoder(Message).decode
decode_block = msgspec.json.Decoder(Block).decode
decode_block_type = msgspec.json.Decoder(BlockType).decode
decode_citation = msgspec.json.Decoder(Citation).decode
decode_event = msgspec.json.Decoder(StreamEvent).decode
decode_event_type = msgspec.json.Decoder(EventType).decode
decode_failure = msgspec.json.Decoder(Failure).decode
