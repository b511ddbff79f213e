"""Answers of the chat protocol, whole and streamed, read into events.

That is for the cases where bytes cannot pass: an upstream that answers a stream whole, or a client of another
dialect; all others are passed on as they came, which `pipe.py` does, and only peeked at (`peek_whole`). What we
read is typed (`wire/chat_answer.py`). Specification: reference/wire/openai-chat.md sections 5 to 7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Raw

from feathergate.dialects.chat.failure import parse_failure
from feathergate.dialects.chat.mending import is_odd, name_finish
from feathergate.errors import UpstreamError
from feathergate.events import (
    Annotations,
    Audio,
    Event,
    Extra,
    Finished,
    FinishReason,
    Logprobs,
    Media,
    Reasoning,
    RedactedReasoning,
    Refusal,
    Signature,
    Started,
    Text,
    ToolArgs,
    ToolStarted,
    Usage,
)
from feathergate.wire import chat_answer as wire
from feathergate.wire import codec
from feathergate.wire.chat import Usage as TokenUsage
from feathergate.wire.chat_answer import WholePeek, decode_answer, decode_answer_peek, decode_usage

DONE: Final = b"[DONE]"

A = TypeVar("A", wire.Answer, wire.AnswerPeek)


def _read(decode: Callable[[bytes], A], body: bytes) -> A:
    """A whole answer or a chunk; raises `UpstreamError` for one that is not JSON, no answer, or an error."""
    try:
        if not body.isascii():
            body.decode()
        answer = decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UpstreamError("The provider's answer is not what the chat protocol has.", kind="protocol") from error
    if answer.error and not codec.is_null(answer.error):
        raise parse_failure(None, None, body)
    return answer


def _read_whole(decode: Callable[[bytes], A], body: bytes) -> A:
    """A whole answer; raises `UpstreamError` also for one without choices."""
    answer = _read(decode, body)
    if answer.choices is None:
        raise UpstreamError("The provider's answer has no choices.", kind="protocol")
    return answer


def parse_usage(raw: Raw) -> TokenUsage | None:
    """Usage where it is well-formed and not negative; whatever else a host sends is no usage."""
    if not raw or codec.is_null(raw):
        return None
    try:
        usage = decode_usage(raw)
    except msgspec.DecodeError:
        return None
    if usage.prompt_tokens < 0 or usage.completion_tokens < 0 or usage.total_tokens < 0:
        return None
    return usage


def peek_whole(body: bytes) -> WholePeek:
    """A whole answer that is to pass as it came; raises `UpstreamError` for one that is none, or an error."""
    answer = _read_whole(decode_answer_peek, body)
    odd = False
    for choice in answer.choices or ():
        message = choice.message
        odd = odd or is_odd(choice.finish_reason, message.tool_calls if message is not None else None)
    return WholePeek(odd, parse_usage(answer.usage))


def parse_answer(body: bytes) -> list[Event]:
    """A whole answer; see `contract.Dialect`."""
    answer = _read_whole(decode_answer, body)
    reader = _Reader()
    events = list(reader.start(answer))
    for choice in answer.choices or ():
        events += reader.read(choice, choice.message)
    events += reader.close(answer.choices or ())
    usage = parse_usage(answer.usage)
    return [*events, Usage(usage, answer.service_tier)] if usage else events


class _Reader:
    """Turns answers and chunks into events, and remembers what the order of events depends on."""

    def __init__(self) -> None:
        self.started = False
        self.finished: dict[int, FinishReason] = {}
        self._tools: dict[tuple[int, object], int] = {}
        self._counts: dict[int, int] = {}
        self._annotations: dict[int, list[dict[str, Any]]] = {}
        self._media: dict[int, int] = {}

    def start(self, answer: wire.Answer) -> Iterator[Event]:
        if not self.started:
            self.started = True
            yield Started(answer.id, answer.model, answer.created, answer.service_tier, answer.system_fingerprint)

    def read(self, choice: wire.Choice, message: wire.Message | None) -> Iterator[Event]:
        index = choice.index
        if message is not None:
            yield from self._read_message(index, message)
        if choice.logprobs is not None:
            yield Logprobs(choice.logprobs, index)
        if choice.finish_reason is not None:
            self.finished.setdefault(index, name_finish(choice.finish_reason))

    def close(self, choices: Sequence[wire.Choice]) -> Iterator[Event]:
        """What is said once a choice: its citations and its finish."""
        for index, items in sorted(self._annotations.items()):
            yield Annotations(tuple(items), index)
        for index in sorted({*self.finished, *(choice.index for choice in choices)}):
            yield Finished(self.finished.get(index, "stop"), index)

    def _read_message(self, index: int, message: wire.Message) -> Iterator[Event]:
        thinking = message.thinking_blocks
        if thinking:
            yield from _read_thinking(index, thinking)
        elif reasoning := message.reasoning_content or message.reasoning:
            yield Reasoning(reasoning, index)
        if message.content:
            yield Text(message.content, index)
        if message.refusal:
            yield Refusal(message.refusal, index)
        for call in message.tool_calls or ():
            yield from self._read_tool(index, call)
        if message.function_call is not None:
            yield from self._read_tool(index, wire.ToolCall(id="", function=message.function_call))
        if message.annotations:
            self._annotations.setdefault(index, []).extend(message.annotations)
        for item in message.images or ():
            position = self._media.get(index, 0)
            self._media[index] = position + 1
            yield Media(item, position, index)
        if message.audio is not None:
            yield Audio(message.audio, index)
        if message.extra_content is not None:
            yield Extra(message.extra_content, index)

    def _read_tool(self, index: int, call: wire.ToolCall) -> Iterator[Event]:
        """A call, or a piece of one. A host's own indexes may have gaps: ours have none."""
        name = (call.function and call.function.name) or (call.custom and call.custom.name)
        key = (index, call.index if call.index is not None else call.id)
        tool = self._tools.get(key)
        if tool is None:
            tool = self._counts.get(index, 0)
            self._counts[index] = tool + 1
            self._tools[key] = tool
            google = call.extra_content and call.extra_content.google
            yield ToolStarted(
                tool,
                call.id or "",
                name or "",
                index,
                "custom" if call.custom is not None else "function",
                google.thought_signature if google else None,
            )
        text = (call.function and call.function.arguments) or (call.custom and call.custom.input)
        if text:
            yield ToolArgs(tool, text, index)


def _read_thinking(index: int, blocks: Sequence[wire.ThinkingBlock]) -> Iterator[Event]:
    for position, block in enumerate(blocks):
        number = position if block.index is None else block.index
        if block.type == "redacted_thinking":
            yield RedactedReasoning(block.data or "", number, index)
            continue
        if block.thinking:
            yield Reasoning(block.thinking, index, number)
        if block.signature:
            yield Signature(block.signature, number, index)


class ChatStreamDecoder:
    """See `contract.StreamDecoder`. The end is `[DONE]`, or a finish of every choice where a host omits it.

    A stream without a single choice has said nothing, whatever its end: it is truncated.
    """

    def __init__(self) -> None:
        self.complete = False
        self._reader = _Reader()
        self._choices: dict[int, wire.Choice] = {}
        self._usage: TokenUsage | None = None
        self._service_tier: str | None = None

    def decode(self, name: bytes, data: bytes) -> Sequence[Event]:
        if data.strip() == DONE:
            self.complete = True
            return ()
        answer = _read(decode_answer, data)
        if name == b"error":
            raise parse_failure(None, None, data)
        reader = self._reader
        events = list(reader.start(answer))
        for choice in answer.choices or ():
            self._choices[choice.index] = choice
            events += reader.read(choice, choice.delta)
        self._usage = parse_usage(answer.usage) or self._usage
        self._service_tier = answer.service_tier or self._service_tier
        return events

    def finish(self) -> Sequence[Event]:
        unfinished = set(self._choices) - set(self._reader.finished)
        if not self._choices or (unfinished and not self.complete):
            raise build_truncated()
        events = list(self._reader.close(tuple(self._choices.values())))
        return [*events, Usage(self._usage, self._service_tier)] if self._usage else events


def build_truncated() -> UpstreamError:
    """The error of a stream that ended before its end."""
    return UpstreamError(
        "The provider's stream ended before the answer was complete. Send the request again.",
        kind="truncated",
        code="upstream_stream_truncated",
    )
