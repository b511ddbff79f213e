"""What each provider says on the wire, made by hand: small whole answers, streams and errors in its own format.

A `Native` speaks for one provider. Its answers are bodies; `build_whole` and `build_stream` of this module make
scripts for `ScriptedUpstream` of them, which close the connection when they are done.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from tests.scripted_upstream import REQUEST, Script, build_answer

SSE_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
)
LAST_CHUNK = b"0\r\n\r\n"
CLOSE = "connection: close"
JSON = "content-type: application/json"
PROMPT_TOKENS, COMPLETION_TOKENS = 5, 2
CALL_ID, CALL_ARGS = "call_1", {"city": "Oslo"}


class Native(NamedTuple):
    """One provider. `text` makes a whole answer, `events` a stream of the given pieces, `call` and `call_events` one
    call of `get_weather`; `error` a body for a status and a message. Of a stream's events the first `silent` hold no
    content, and the last `ending` belong to its end. `paths` are those of a whole request and of a stream."""

    name: str
    model: str
    paths: tuple[str, str]
    text: Callable[[str], Any]
    events: Callable[[Iterable[str]], list[bytes]]
    call: Any
    call_events: list[bytes]
    error: Callable[[int, str], Any]
    silent: int
    ending: int


def encode_event(value: Any, name: str = "") -> bytes:
    return (f"event: {name}\n" if name else "").encode() + b"data: " + json.dumps(value).encode() + b"\n\n"


# --- OpenAI -------------------------------------------------------------------------------------------------------

_CHAT_USAGE = {
    "prompt_tokens": PROMPT_TOKENS,
    "completion_tokens": COMPLETION_TOKENS,
    "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS,
}
_CHAT_CALL = {
    "id": CALL_ID,
    "type": "function",
    "function": {"name": "get_weather", "arguments": json.dumps(CALL_ARGS)},
}


def _chat_answer(message: dict[str, Any], finish: str) -> Any:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    ids = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o-2024"}
    return {**ids, "choices": [choice], "usage": _CHAT_USAGE}


def chat_chunk(delta: dict[str, Any], finish: str | None = None, **members: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    ids = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-2024"}
    return encode_event({**ids, "choices": [choice], **members})


def _chat_events(deltas: Iterable[dict[str, Any]], finish: str) -> list[bytes]:
    return [
        chat_chunk({"role": "assistant", "content": ""}),
        *map(chat_chunk, deltas),
        chat_chunk({}, finish, usage=_CHAT_USAGE),
        b"data: [DONE]\n\n",
    ]


OPENAI = Native(
    name="openai",
    model="gpt-4o",
    paths=("/v1/chat/completions", "/v1/chat/completions"),
    text=lambda text: _chat_answer({"content": text}, "stop"),
    events=lambda pieces: _chat_events([{"content": piece} for piece in pieces], "stop"),
    call=_chat_answer({"content": None, "tool_calls": [_CHAT_CALL]}, "tool_calls"),
    call_events=_chat_events([{"tool_calls": [{"index": 0, **_CHAT_CALL}]}], "tool_calls"),
    error=lambda status, message: {"error": {"message": message, "type": "api_error", "param": None, "code": None}},
    silent=1,
    ending=2,
)

# --- Anthropic ----------------------------------------------------------------------------------------------------

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929"}
_TOOL_USE = {"type": "tool_use", "id": CALL_ID, "name": "get_weather", "input": CALL_ARGS}


def _message(block: dict[str, Any], stop: str) -> Any:
    usage = {"input_tokens": PROMPT_TOKENS, "output_tokens": COMPLETION_TOKENS}
    return {**_MESSAGE, "content": [block], "stop_reason": stop, "stop_sequence": None, "usage": usage}


def _message_events(block: dict[str, Any], deltas: Iterable[dict[str, Any]], stop: str) -> list[bytes]:
    usage = {"input_tokens": PROMPT_TOKENS, "output_tokens": 1}
    start: dict[str, Any] = {**_MESSAGE, "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": stop, "stop_sequence": None},
            "usage": {"output_tokens": COMPLETION_TOKENS},
        },
        {"type": "message_stop"},
    ]
    return [encode_event(event, event["type"]) for event in events]


ANTHROPIC = Native(
    name="anthropic",
    model="claude-sonnet-4-5",
    paths=("/v1/messages", "/v1/messages"),
    text=lambda text: _message({"type": "text", "text": text}, "end_turn"),
    events=lambda pieces: _message_events(
        {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in pieces], "end_turn"
    ),
    call=_message(_TOOL_USE, "tool_use"),
    call_events=_message_events(
        {**_TOOL_USE, "input": {}}, [{"type": "input_json_delta", "partial_json": json.dumps(CALL_ARGS)}], "tool_use"
    ),
    error=lambda status, message: {
        "type": "error",
        "error": {"type": _TYPES.get(status, "api_error"), "message": message},
    },
    silent=2,
    ending=3,
)

# --- Gemini -------------------------------------------------------------------------------------------------------

_STATUSES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}


def _gemini_answer(*parts: dict[str, Any], finish: str | None = "STOP") -> Any:
    candidate = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    usage = {
        "promptTokenCount": PROMPT_TOKENS,
        "candidatesTokenCount": COMPLETION_TOKENS,
        "totalTokenCount": PROMPT_TOKENS + COMPLETION_TOKENS,
    }
    last = {"finishReason": finish} if finish else {}
    ids = {"modelVersion": "gemini-2.5-flash-001", "responseId": "r1"}
    return {"candidates": [candidate | last], "usageMetadata": usage, **ids}


_GEMINI_CALL = {"functionCall": {"id": CALL_ID, "name": "get_weather", "args": CALL_ARGS}}

GEMINI = Native(
    name="gemini",
    model="gemini-2.5-flash",
    paths=(
        "/v1beta/models/gemini-2.5-flash:generateContent",
        "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
    ),
    text=lambda text: _gemini_answer({"text": text}),
    events=lambda pieces: [
        encode_event(_gemini_answer(finish=None)),
        *(encode_event(_gemini_answer({"text": piece}, finish=None)) for piece in pieces),
        encode_event(_gemini_answer()),
    ],
    call=_gemini_answer(_GEMINI_CALL),
    call_events=[encode_event(_gemini_answer(_GEMINI_CALL, finish=None)), encode_event(_gemini_answer())],
    error=lambda status, message: {
        "error": {"code": status, "message": message, "status": _STATUSES.get(status, "INTERNAL")}
    },
    silent=1,
    ending=1,
)

NATIVES = (OPENAI, ANTHROPIC, GEMINI)

# --- scripts and configurations -----------------------------------------------------------------------------------


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def build_json(value: Any, *headers: str, status: str = "200 OK") -> bytes:
    """A whole answer that closes its connection."""
    return build_answer(json.dumps(value).encode(), JSON, CLOSE, *headers, status=status)


def build_whole(value: Any, *headers: str, status: str = "200 OK") -> Script:
    return (REQUEST, build_json(value, *headers, status=status))


def build_stream(events: Iterable[bytes], *steps: Any) -> Script:
    """A stream of these events; it ends properly unless `steps` tell of another end."""
    return (REQUEST, SSE_HEAD, *map(chunk, events), *(steps or (LAST_CHUNK,)))


def build_config(natives: Iterable[Native], port: int, *, params: Any = None, **sections: Any) -> str:
    """A configuration (JSON is YAML) in which every native is `NAME/MODEL` and `fast-NAME`, played by `port`.

    Nothing is tried again unless `sections` say so: what is judged is one attempt."""
    models = [
        {
            "model_name": name,
            "litellm_params": {
                "model": f"{native.name}/{native.model}",
                "api_base": f"http://127.0.0.1:{port}",
                "api_key": f"sk-canary-{native.name}-0123456789",
                **(params or {}),
            },
        }
        for native in natives
        for name in (f"{native.name}/{native.model}", f"fast-{native.name}")
    ]
    router = {"num_retries": 0, **sections.get("router_settings", {})}
    return json.dumps({"model_list": models, **sections, "router_settings": router})


def decode_body(request: bytes) -> Any:
    """The JSON of a raw request."""
    return json.loads(request.partition(b"\r\n\r\n")[2])


def decode_events(body: bytes) -> list[Any]:
    """The JSON of every event of a chat stream, in order; `[DONE]` as that text."""
    blocks = [block for block in body.decode().split("\n\n") if block.startswith("data: ")]
    return [block[6:] if block == "data: [DONE]" else json.loads(block[6:]) for block in blocks]


def join_text(events: Iterable[Any]) -> str:
    """The text that a chat stream's chunks make."""
    choices = [choice for event in events if isinstance(event, dict) for choice in event.get("choices", ())]
    return "".join(choice["delta"].get("content") or "" for choice in choices)
