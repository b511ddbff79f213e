"""Anthropic's answer, whole or streamed, to events: one machine for both.

A whole answer is its blocks opened and closed one after the other; a stream opens a block, feeds it deltas and
closes it. What can only be said at the end (citations, the finish, usage) is kept until then. Tools that run at
the provider are no calls of the client's, but their results must return unchanged on the next turn: an answer
that has any carries its whole content in `extra_content.anthropic.content`. Specification:
reference/wire/anthropic.md sections 6 and 7.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw
from msgspec.structs import asdict, replace

from feathergate.dialects.contract import Context
from feathergate.dialects.messages.block import OpenBlock, custom_input, read_citation, rebuild_block
from feathergate.dialects.messages.failure import parse_failure
from feathergate.errors import UpstreamError
from feathergate.events import (
    Annotations,
    Event,
    Extra,
    Finished,
    FinishReason,
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
from feathergate.wire import messages as wire
from feathergate.wire.chat import CompletionTokensDetails, PromptTokensDetails
from feathergate.wire.chat import Usage as TokenUsage
from feathergate.wire.messages import decode_message

_FINISH: Final[Mapping[str, FinishReason]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "length",
    "compaction": "length",
    "refusal": "content_filter",
}
_ON_THE_SIDE: Final = ("compaction", "advisor_message")
_SERVICE_TIERS: Final = {"standard": "default", "priority": "priority", "batch": "flex"}


def parse_answer(body: bytes, context: Context) -> list[Event]:
    """A whole answer; see `contract.Dialect`."""
    reader = AnswerReader(context)
    try:
        if not body.isascii():
            body.decode()
        message = decode_message(body)
        if message.error is not None:
            raise parse_failure(message.error)
        if message.content is None:
            raise build_protocol_error("answer")
        events = reader.start(message)
        reader.stop(message.stop_reason, message.stop_details)
        events += reader.end()
        return events
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise build_protocol_error("answer") from error


def build_protocol_error(what: str) -> UpstreamError:
    return UpstreamError(f"The provider's {what} is not what the Messages protocol has.", kind="protocol")


class AnswerReader:
    """The machine. Blocks come one after the other, so at most one is open; `start` is to be called first.

    May raise msgspec's errors.
    """

    __slots__ = (
        "_annotations",
        "_blocks",
        "_characters",
        "_context",
        "_details",
        "_open",
        "_provider_ran",
        "_stop_reason",
        "_thoughts",
        "_tools",
        "_usage",
        "started",
    )

    def __init__(self, context: Context) -> None:
        self._context = context
        self.started = False
        self._usage: wire.Usage | None = None
        self._stop_reason: str | None = None
        self._details: wire.StopDetails | None = None
        self._open: OpenBlock | None = None
        self._blocks: list[OpenBlock] = []
        self._annotations: list[dict[str, Any]] = []
        # How many tools and blocks of thinking there were, and the length of the text so far.
        self._tools = 0
        self._thoughts = 0
        self._characters = 0
        self._provider_ran = False

    def start(self, message: wire.Message) -> list[Event]:
        """The start, and what content it has already. A second start, of spliced streams, only adds its usage."""
        self.count(message.usage)
        if self.started:
            return []
        self.started = True
        tier = _SERVICE_TIERS.get(self._usage.service_tier or "") if self._usage is not None else None
        events: list[Event] = [Started(message.id, message.model or self._context.model, service_tier=tier)]
        for raw in message.content or ():
            events += self.open(raw)
        events += self.close()
        return events

    def count(self, usage: wire.Usage | None) -> None:
        """Counts are cumulative: what is said later takes the place of what was said before."""
        if usage is not None:
            if self._usage is not None:
                said = {name: value for name, value in asdict(usage).items() if value is not None}
                usage = replace(self._usage, **said)
            self._usage = usage

    def stop(self, reason: str | None, details: wire.StopDetails | None) -> None:
        self._stop_reason = reason or self._stop_reason
        self._details = details or self._details

    # --- blocks -------------------------------------------------------------------------------------------------

    def open(self, raw: Raw) -> Sequence[Event]:
        """A block begins, whole or with nothing in it yet; one that is still open ends."""
        events = self.close()
        self._open = block = OpenBlock(raw, self._characters)
        opener = _OPENERS.get(block.mode)
        opened = opener(self, block) if opener is not None else ()
        return [*events, *opened] if events else opened

    def _open_text(self, block: OpenBlock) -> Sequence[Event]:
        return self._say(block.block.text)

    def _open_thinking(self, block: OpenBlock) -> Sequence[Event]:
        number = self._thoughts
        self._thoughts += 1
        events: list[Event] = []
        if block.block.thinking:
            events.append(Reasoning(block.block.thinking, block=number))
        if block.block.signature:
            events.append(Signature(block.block.signature, number))
        return events

    def _open_redacted(self, block: OpenBlock) -> Sequence[Event]:
        number = self._thoughts
        self._thoughts += 1
        return [RedactedReasoning(block.block.data, number)]

    def _open_tool(self, block: OpenBlock) -> Sequence[Event]:
        given = block.block.name
        if given == self._context.json_tool:
            block.mode = "json"
            return ()
        number = self._tools
        self._tools += 1
        name = self._context.tool_names.get(given, given)
        block.custom = name in self._context.custom_tools
        return [ToolStarted(number, block.block.id, name, kind="custom" if block.custom else "function")]

    def _open_provider(self, block: OpenBlock) -> Sequence[Event]:
        self._provider_ran = True
        return ()

    def close(self) -> Sequence[Event]:
        """The open block, if there is one, ends."""
        block, self._open = self._open, None
        if block is None or not block.mode:
            return ()
        self._blocks.append(block)
        if block.citations:
            self._annotate(block)
        if block.mode == "json":
            return () if block.pieces else self._say(block.input_text())
        if block.mode != "tool_use" or (block.pieces and not block.custom):
            return ()
        text = block.input_text()
        return [ToolArgs(self._tools - 1, custom_input(text) if block.custom else text)]

    def _say(self, text: str) -> Sequence[Event]:
        self._characters += len(text)
        return (Text(text),) if text else ()

    def _annotate(self, block: OpenBlock) -> None:
        """Anthropic gives no offsets: a citation spans the text block that it stands in."""
        span = {"start_index": block.opened_at, "end_index": self._characters}
        for citation in map(read_citation, block.citations):
            if citation.type == "web_search_result_location" and citation.url:
                place = {"url": citation.url, "title": citation.title or ""}
                self._annotations.append({"type": "url_citation", "url_citation": place | span})

    # --- deltas -------------------------------------------------------------------------------------------------

    def read_delta(self, delta: wire.Delta) -> Sequence[Event]:
        """A piece of the open block; one of an unknown type, or of another block's type, is ignored."""
        block = self._open
        if block is None:
            return ()
        if delta.type == "text_delta":
            text = delta.text
            if block.mode != "text" or not text:
                return ()
            block.pieces.append(text)
            self._characters += len(text)
            return (Text(text),)
        read = _DELTAS.get((block.mode, delta.type))
        return read(self, block, delta) if read is not None else ()

    def _read_arguments(self, block: OpenBlock, delta: wire.Delta) -> Sequence[Event]:
        text = delta.partial_json
        if not text:
            return ()
        block.pieces.append(text)
        return () if block.custom else (ToolArgs(self._tools - 1, text),)

    def _read_input(self, block: OpenBlock, delta: wire.Delta) -> Sequence[Event]:
        block.pieces.append(delta.partial_json)
        return ()

    def _read_json(self, block: OpenBlock, delta: wire.Delta) -> Sequence[Event]:
        if delta.partial_json:
            block.pieces.append(delta.partial_json)
        return self._say(delta.partial_json)

    def _read_thinking(self, block: OpenBlock, delta: wire.Delta) -> Sequence[Event]:
        block.pieces.append(delta.thinking)
        return (Reasoning(delta.thinking, block=self._thoughts - 1),) if delta.thinking else ()

    def _read_signature(self, block: OpenBlock, delta: wire.Delta) -> Sequence[Event]:
        block.signature += delta.signature
        return (Signature(delta.signature, self._thoughts - 1),) if delta.signature else ()

    def _read_citation(self, block: OpenBlock, delta: wire.Delta) -> Sequence[Event]:
        if delta.citation:
            block.citations.append(delta.citation)
        return ()

    # --- the end ------------------------------------------------------------------------------------------------

    def end(self) -> list[Event]:
        """All that is said once, in the legal order."""
        events: list[Event] = [*self.close()]
        if self._annotations:
            events.append(Annotations(tuple(self._annotations)))
        if self._provider_ran:
            events.append(Extra({"anthropic": {"content": list(map(rebuild_block, self._blocks))}}))
        reason = _FINISH.get(self._stop_reason or "", "stop")
        if reason == "content_filter" and self._details is not None and self._details.explanation:
            events.append(Refusal(self._details.explanation))
        if reason == "tool_calls" and not self._tools:
            reason = "stop"
        events.append(Finished(reason, native=self._stop_reason))
        usage = _build_usage(self._usage) if self._usage is not None else None
        if usage is not None:
            events.append(Usage(usage))
        return events


# Behind the class and not in its body, where mypyc cannot have tables of methods yet.
# ruff: noqa: SLF001
_OPENERS: Final[Mapping[str, Callable[[AnswerReader, OpenBlock], Sequence[Event]]]] = {
    "text": AnswerReader._open_text,
    "thinking": AnswerReader._open_thinking,
    "redacted_thinking": AnswerReader._open_redacted,
    "tool_use": AnswerReader._open_tool,
    "provider_tool": AnswerReader._open_provider,
    "provider_result": AnswerReader._open_provider,
}
_DELTAS: Final[Mapping[tuple[str, str], Callable[[AnswerReader, OpenBlock, wire.Delta], Sequence[Event]]]] = {
    ("tool_use", "input_json_delta"): AnswerReader._read_arguments,
    ("provider_tool", "input_json_delta"): AnswerReader._read_input,
    ("json", "input_json_delta"): AnswerReader._read_json,
    ("thinking", "thinking_delta"): AnswerReader._read_thinking,
    ("thinking", "signature_delta"): AnswerReader._read_signature,
    ("text", "citations_delta"): AnswerReader._read_citation,
}


def _build_usage(usage: wire.Usage) -> TokenUsage | None:
    """OpenAI's prompt includes what the cache was read from and written to; None where nothing was counted."""
    if usage.input_tokens is None and usage.output_tokens is None:
        return None
    read, written = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    prompt, completion = usage.input_tokens or 0, usage.output_tokens or 0
    for item in usage.iterations or ():
        if item.type in _ON_THE_SIDE:
            read = _add(read, item.cache_read_input_tokens)
            written = _add(written, item.cache_creation_input_tokens)
            prompt += item.input_tokens or 0
            completion += item.output_tokens or 0
    prompt += (read or 0) + (written or 0)
    thinking = usage.output_tokens_details.thinking_tokens if usage.output_tokens_details is not None else None
    return TokenUsage(
        prompt,
        completion,
        prompt + completion,
        None if read is None and written is None else PromptTokensDetails(read, written),
        None if thinking is None else CompletionTokensDetails(thinking),
    )


def _add(one: int | None, other: int | None) -> int | None:
    """None where neither was counted."""
    return other if one is None else one + (other or 0)
