"""Anthropic's recordings, read plainly: a stream is put together to a message, as Anthropic's own SDK would.

Source: reference/wire/anthropic.md sections 6 to 8.
"""

from __future__ import annotations

import json
from typing import Any

from tests.conformance.reading import Broken, Reading, Said, Tokens, parse_arguments

FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "length",
    "compaction": "length",
    "refusal": "content_filter",
}
_PIECES = (("text", "text"), ("thinking", "thinking"), ("json", "partial_json"), ("signature", "signature"))
_EXCLUDED = ("compaction", "advisor_message")
_STATUS_BY_TYPE = {"invalid_request_error": 400, "rate_limit_error": 429}


def read_answer(body: bytes) -> Reading:
    return _read_message(json.loads(body))


def read_stream(body: bytes) -> Reading | Broken:
    message: dict[str, Any] = {}
    lines = body.decode().split("\n")
    for event in (json.loads(line[5:]) for line in lines if line.startswith("data:")):
        match event["type"]:
            case "error":
                error = event["error"]
                midway = bool(message.get("content"))
                return Broken(_STATUS_BY_TYPE.get(error["type"], 502), error["message"], midway)
            case "message_start":
                message = event["message"]
            case "content_block_start":
                message["content"].append(event["content_block"])
            case "content_block_delta":
                _add_delta(message["content"][event["index"]], event["delta"])
            case "message_delta":
                message |= event["delta"]
                message["usage"] |= {name: value for name, value in event["usage"].items() if value is not None}
    return _read_message(message)


def _add_delta(block: dict[str, Any], delta: dict[str, Any]) -> None:
    for member, piece in _PIECES:
        if piece in delta:
            block[member] = block.get(member, "") + delta[piece]
    if "citation" in delta:
        block["citations"] = [*(block.get("citations") or ()), delta["citation"]]


def _read_message(message: dict[str, Any]) -> Reading:
    blocks = message["content"]
    calls = tuple((block["name"], _read_input(block)) for block in blocks if block["type"] == "tool_use")
    finish = FINISH.get(message["stop_reason"], "stop")
    thinking = tuple(
        (block.get("data") or block["thinking"], block.get("signature", ""))
        for block in blocks
        if block["type"] in ("thinking", "redacted_thinking")
    )
    citations = [citation for block in blocks for citation in block.get("citations") or () if block["type"] == "text"]
    said = Said(
        finish="stop" if finish == "tool_calls" and not calls else finish,
        text="".join(block["text"] for block in blocks if block["type"] == "text"),
        reasoning="".join(block["thinking"] for block in blocks if block["type"] == "thinking"),
        refusal=(message.get("stop_details") or {}).get("explanation") or "",
        calls=calls,
        thinking=thinking,
        annotations=sum(citation["type"] == "web_search_result_location" for citation in citations),
    )
    return Reading(message["model"], (said,), _read_tokens(message["usage"]))


def _read_input(block: dict[str, Any]) -> Any:
    return parse_arguments(block["json"]) if block.get("json") else block["input"]


def _read_tokens(usage: dict[str, Any]) -> Tokens:
    """The top level, and on top of it the iterations that it leaves out (the reference's edge cases 85 to 87)."""
    counted = [usage, *(one for one in usage.get("iterations") or () if one["type"] in _EXCLUDED)]
    cached = _sum(counted, "cache_read_input_tokens")
    written = _sum(counted, "cache_creation_input_tokens")
    prompt = _sum(counted, "input_tokens") + cached + written
    completion = _sum(counted, "output_tokens")
    reasoning = (usage.get("output_tokens_details") or {}).get("thinking_tokens") or 0
    return Tokens(prompt, completion, prompt + completion, cached, written, reasoning)


def _sum(counted: list[dict[str, Any]], member: str) -> int:
    return sum(one.get(member) or 0 for one in counted)
