"""Recorded answers, streams and errors of Anthropic, against a reading of them that is as plain as can be."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from tests.recorded import Recording, each_recording

from feathergate.dialects.contract import Context
from feathergate.dialects.messages import MESSAGES
from feathergate.errors import UpstreamError
from feathergate.events import (
    Event,
    Finished,
    Reasoning,
    RedactedReasoning,
    Refusal,
    Signature,
    Started,
    Text,
    ToolArgs,
    ToolStarted,
    Usage,
    check_legal,
)
from feathergate.wire.sse import SseReader

CONTEXT = Context(model="m")
LIMIT = 1 << 24
FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "pause_turn": "length",
    "refusal": "content_filter",
}
STATUS = {400: 400, 404: 404, 413: 413, 429: 429, 401: 502, 500: 502, 529: 502, 200: 502}


def read_stream(pieces: Iterable[bytes]) -> list[Event]:
    decoder, sse = MESSAGES.open_stream(CONTEXT), SseReader(LIMIT)
    events = [event for piece in pieces for name, data in sse.feed(piece) for event in decoder.decode(name, data)]
    return [*events, *decoder.finish()]


def said(events: Sequence[Event]) -> dict[str, Any]:
    """What a client gets, in the terms of `recorded`."""
    check_legal(events)
    calls: dict[int, list[Any]] = {e.tool: [e.id, e.name, ""] for e in events if isinstance(e, ToolStarted)}
    for event in events:
        if isinstance(event, ToolArgs):
            calls[event.tool][2] += event.text
    usage = next(event.usage for event in events if isinstance(event, Usage))
    thinking = usage.completion_tokens_details
    return {
        "start": [(e.id, e.model) for e in events if isinstance(e, Started)],
        "text": "".join(e.text for e in events if isinstance(e, Text)),
        "thinking": "".join(e.text for e in events if isinstance(e, Reasoning)),
        "signatures": [e.signature for e in events if isinstance(e, Signature)],
        "redacted": [e.data for e in events if isinstance(e, RedactedReasoning)],
        "refusal": "".join(e.text for e in events if isinstance(e, Refusal)),
        "calls": [(call, name, json.loads(text)) for call, name, text in calls.values()],
        "finish": [e.reason for e in events if isinstance(e, Finished)],
        "usage": (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens),
        "thinking_tokens": thinking.reasoning_tokens if thinking is not None else None,
    }


def recorded(message: dict[str, Any]) -> dict[str, Any]:
    """What a whole message holds."""
    blocks = message["content"]
    usage = message["usage"]
    aside = [item for item in usage.get("iterations") or () if item["type"] in ("compaction", "advisor_message")]
    kinds = ("", "cache_read_", "cache_creation_")
    prompt = sum(item.get(f"{kind}input_tokens") or 0 for kind in kinds for item in (usage, *aside))
    completion = sum(item["output_tokens"] for item in (usage, *aside))
    return {
        "start": [(message["id"], message["model"])],
        "text": "".join(block["text"] for block in blocks if block["type"] == "text"),
        "thinking": "".join(block["thinking"] for block in blocks if block["type"] == "thinking"),
        "signatures": [block["signature"] for block in blocks if block["type"] == "thinking"],
        "redacted": [block["data"] for block in blocks if block["type"] == "redacted_thinking"],
        "refusal": (message.get("stop_details") or {}).get("explanation") or "",
        "calls": [(b["id"], b["name"], b["input"]) for b in blocks if b["type"] == "tool_use"],
        "finish": [FINISH[message["stop_reason"]]],
        "usage": (prompt, completion, prompt + completion),
        "thinking_tokens": (usage.get("output_tokens_details") or {}).get("thinking_tokens"),
    }


def assemble(raw: bytes) -> dict[str, Any]:
    """A stream's message as Anthropic's own SDK would put it together."""
    message: dict[str, Any] = {}
    for line in raw.decode().split("\n"):
        if not line.startswith("data:"):
            continue
        event = json.loads(line[5:])
        match event["type"]:
            case "message_start":
                message = event["message"]
            case "content_block_start":
                message["content"].append({**event["content_block"], "json": ""})
            case "content_block_delta":
                block, delta = message["content"][-1], event["delta"]
                for member, piece in (("text", "text"), ("thinking", "thinking"), ("json", "partial_json")):
                    block[member] = block.get(member, "") + delta.get(piece, "")
                block["signature"] = block.get("signature", "") + delta.get("signature", "")
            case "message_delta":
                message |= event["delta"]
                message["usage"] |= {name: count for name, count in event["usage"].items() if count is not None}
    for block in message["content"]:
        if block["type"] == "tool_use":
            block["input"] = json.loads(block["json"] or "{}")
    return message


@each_recording("anthropic", "chat")
def test_recorded_answer_is_read_whole(recording: Recording) -> None:
    assert said(MESSAGES.parse_answer(recording.body, CONTEXT)) == recorded(json.loads(recording.body))


@each_recording("anthropic", "stream")
def test_recorded_stream_is_read_whole(recording: Recording) -> None:
    assert said(read_stream([recording.body])) == recorded(assemble(recording.body))


@each_recording("anthropic", "stream")
def test_recorded_stream_reads_the_same_byte_by_byte(recording: Recording) -> None:
    whole = read_stream([recording.body])
    assert read_stream(recording.body[at : at + 1] for at in range(len(recording.body))) == whole


@each_recording("anthropic", "stream")
def test_recorded_stream_cut_before_its_end_is_truncated(recording: Recording) -> None:
    pieces = recording.body.split(b"\n\n")
    end = next(at for at, piece in enumerate(pieces) if b"message_stop" in piece)
    for cut in range(end):
        with pytest.raises(UpstreamError) as caught:
            read_stream([b"\n\n".join(pieces[:cut]) + b"\n\n"])
        assert caught.value.kind == "truncated"


@each_recording("anthropic", "stream")
def test_recorded_stream_put_together_reads_like_a_whole_answer(recording: Recording) -> None:
    message = assemble(recording.body)
    for block in message["content"]:
        del block["json"]
    events = MESSAGES.parse_answer(json.dumps(message).encode(), CONTEXT)
    assert said(events) == said(read_stream([recording.body]))


@each_recording("anthropic", "error")
def test_recorded_error_keeps_the_message_and_gets_our_status(recording: Recording) -> None:
    error = fail(recording)
    body = recording.body.partition(b"data:")[2] if recording.status == 200 else recording.body
    assert error.message == json.loads(body)["error"]["message"]
    assert error.status == STATUS[recording.status]


def fail(recording: Recording) -> UpstreamError:
    if recording.status >= 400:
        return MESSAGES.parse_error(recording.status, recording.headers, recording.body)
    with pytest.raises(UpstreamError) as caught:
        read_stream([recording.body])
    return caught.value
