"""What the bench's upstream answers for each provider: a whole answer of the usual size, and a stream's events.

Shapes follow reference/wire; the texts are ours. Bytes are made once, when the upstream starts; only the moment at
which an event is written is set into it then, so that a client on the same machine can tell how late it comes.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

TEXT = "A gateway stands between those who ask and those who answer, and adds as little as it can to either. " * 3
WORD = " gateway"
_STAMP = "STAMP"
STAMPED = re.compile(rb" gateway (\d+\.\d+)")
"""An event's text: the word, and `time.monotonic()` when it was written."""


class Answers(NamedTuple):
    """`opening` and `closing` stand around an event, which is repeated: `before`, the stamp, `after`."""

    whole: bytes
    opening: bytes
    before: bytes
    after: bytes
    closing: bytes

    def render_event(self, now_s: float) -> bytes:
        return b"%b%.6f%b" % (self.before, now_s, self.after)


def _encode(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _event(value: Any, name: str = "", end: bytes = b"\n\n") -> bytes:
    head = f"event: {name}\n" if name else ""
    return head.encode() + b"data: " + _encode(value) + end


def _named(value: dict[str, Any]) -> bytes:
    return _event(value, value["type"])


def _split(event: bytes) -> tuple[bytes, bytes]:
    before, _, after = event.partition(_STAMP.encode())
    return before, after


def _chat() -> Answers:
    head = {"id": "chatcmpl-bench", "created": 1_790_000_000, "model": "bench-model-2026", "system_fingerprint": "fp_1"}
    usage = {"prompt_tokens": 32, "completion_tokens": 64, "total_tokens": 96}
    message: dict[str, Any] = {"role": "assistant", "content": TEXT, "refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        part = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _event({**head, "object": "chat.completion.chunk", "choices": [part]})

    return Answers(
        _encode({**head, "object": "chat.completion", "choices": [choice], "usage": usage}),
        chunk({"role": "assistant", "content": ""}),
        *_split(chunk({"content": f"{WORD} {_STAMP}"})),
        chunk({}, "stop") + b"data: [DONE]\n\n",
    )


def _messages() -> Answers:
    usage = {"input_tokens": 32, "output_tokens": 64}
    head = {"id": "msg_bench", "type": "message", "role": "assistant", "model": "bench-model-2026"}
    whole = {**head, "content": [{"type": "text", "text": TEXT}], "stop_reason": "end_turn", "stop_sequence": None}
    begun: dict[str, Any] = {**head, "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    delta = {"type": "text_delta", "text": f"{WORD} {_STAMP}"}
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    return Answers(
        _encode({**whole, "usage": usage}),
        _named({"type": "message_start", "message": begun})
        + _named({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        *_split(_named({"type": "content_block_delta", "index": 0, "delta": delta})),
        _named({"type": "content_block_stop", "index": 0})
        + _named({"type": "message_delta", "delta": end, "usage": usage})
        + _named({"type": "message_stop"}),
    )


def _gemini() -> Answers:
    usage = {"promptTokenCount": 32, "candidatesTokenCount": 64, "totalTokenCount": 96}

    def answer(text: str, **more: Any) -> dict[str, Any]:
        candidate = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0, **more}
        tail = {"usageMetadata": usage, "modelVersion": "bench-model-2026", "responseId": "bench"}
        return {"candidates": [candidate], **tail}

    def event(text: str, **more: Any) -> bytes:
        return _event(answer(text, **more), end=b"\r\n\r\n")

    return Answers(
        _encode(answer(TEXT, finishReason="STOP")),
        event(WORD),
        *_split(event(f"{WORD} {_STAMP}")),
        event(WORD, finishReason="STOP"),
    )


ANSWERS = {"openai": _chat(), "anthropic": _messages(), "gemini": _gemini()}
