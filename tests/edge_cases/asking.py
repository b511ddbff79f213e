"""What the edge cases are told with: requests built, and answers and streams read, each in a line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from feathergate.capability import find_capability
from feathergate.dialects.chat import CHAT
from feathergate.dialects.contract import Built, Context, Dialect, Target
from feathergate.dialects.gemini import GEMINI
from feathergate.dialects.messages import MESSAGES
from feathergate.dialects.passing import PassThrough
from feathergate.dialects.pipe import Pipe
from feathergate.dialects.render import ChunkRenderer, render_answer
from feathergate.dialects.translation import Translation
from feathergate.errors import ClientError
from feathergate.events import Event
from feathergate.testing import read_stream, render_stream
from feathergate.wire.codec import decode_chat

CLAUDE, CLAUDE_4_8, CLAUDE_4_6, CLAUDE_4_5 = (
    "claude-opus-5-5",
    "claude-opus-4-8",
    "claude-opus-4-6",
    "claude-sonnet-4-5",
)
GEMINI_3, GEMINI_2_5, GEMINI_2_0 = "gemini-3-pro", "gemini-2.5-flash", "gemini-2.0-flash"
CONTEXT = Context(model="served")
LIMIT = 1 << 24
HELLO = {"role": "user", "content": "Hello"}

JSON = dict[str, Any]


def pick_dialect(model: str) -> Dialect:
    return MESSAGES if model.startswith("claude-") else GEMINI if model.startswith("gemini-") else CHAT


def build(model: str, *messages: JSON, strict: bool = False, **members: Any) -> Built:
    """The request of these messages, one of the user where there are none, for `model`."""
    return build_body(model, {"model": "ours", "messages": messages or [HELLO], **members}, strict=strict)


def build_body(model: str, body: JSON, *, strict: bool = False) -> Built:
    request, members = decode_chat(json.dumps(body).encode())
    return pick_dialect(model).build_request(request, members, Target(model, find_capability(model), strict))


def sent(model: str, *messages: JSON, **members: Any) -> JSON:
    body: JSON = json.loads(build(model, *messages, **members).body)
    return body


def refused(model: str, *messages: JSON, strict: bool = False, **members: Any) -> ClientError:
    with pytest.raises(ClientError) as caught:
        build(model, *messages, strict=strict, **members)
    assert caught.value.status == 400
    return caught.value


# --- messages -----------------------------------------------------------------------------------------------------


def user(content: Any = "Hello", **members: Any) -> JSON:
    return {"role": "user", "content": content, **members}


def system(content: Any = "Be brief.", **members: Any) -> JSON:
    return {"role": "system", "content": content, **members}


def assistant(content: Any = None, *calls: JSON, **members: Any) -> JSON:
    return {"role": "assistant", "content": content, **({"tool_calls": calls} if calls else {}), **members}


def call(identity: str = "c1", arguments: str = "{}", name: str = "f", **members: Any) -> JSON:
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}, **members}


def result(identity: str = "c1", content: Any = "1", **members: Any) -> JSON:
    return {"role": "tool", "tool_call_id": identity, "content": content, **members}


def tool(name: str = "f", **members: Any) -> JSON:
    return {"type": "function", "function": {"name": name, **members}}


def text(piece: str) -> JSON:
    return {"type": "text", "text": piece}


def image(url: str = "data:image/png;base64,iVBORw0KGgo=") -> JSON:
    return {"type": "image_url", "image_url": {"url": url}}


# --- streams ------------------------------------------------------------------------------------------------------


def anthropic_stream(*events: JSON, stop: str | None = "end_turn", end: bool = True) -> bytes:
    """`events` between a start and, unless it is cut, an end."""
    start = {"type": "message_start", "message": {"id": "msg_1", "model": "served", "usage": {"input_tokens": 3}}}
    stopped = {"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 5}}
    ending: list[JSON] = [stopped, {"type": "message_stop"}] if end else []
    whole = [start, *events, *ending]
    return b"".join(b"event: %b\ndata: %b\n\n" % (event["type"].encode(), dump(event)) for event in whole)


def block(index: int, content: JSON, *deltas: JSON) -> list[JSON]:
    """A block of Anthropic's stream: opened, fed, closed."""
    started = {"type": "content_block_start", "index": index, "content_block": content}
    fed = [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
    return [started, *fed, {"type": "content_block_stop", "index": index}]


def said(piece: str) -> JSON:
    return {"type": "text_delta", "text": piece}


def use(identity: str = "c1", name: str = "f", **members: Any) -> JSON:
    return {"type": "tool_use", "id": identity, "name": name, "input": {}, **members}


def arguments(piece: str) -> JSON:
    return {"type": "input_json_delta", "partial_json": piece}


def gemini_response(*parts: JSON, finish: str | None = None, **members: Any) -> JSON:
    candidate = {"content": {"parts": list(parts), "role": "model"}, **({"finishReason": finish} if finish else {})}
    return {"candidates": [candidate], "responseId": "r1", "modelVersion": "served", **members}


def gemini_stream(*responses: JSON) -> bytes:
    return b"".join(b"data: %b\r\n\r\n" % dump(response) for response in responses)


def dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def read(model: str, stream: bytes, context: Context = CONTEXT) -> list[Event]:
    return read_stream(pick_dialect(model), context, [stream])


def chunks(model: str, stream: bytes, context: Context = CONTEXT) -> list[JSON]:
    """The chunks that a client gets, usage asked for."""
    return render_stream(pick_dialect(model), context, [stream])


def answer(model: str, body: Any, context: Context = CONTEXT) -> JSON:
    """The completion that a client gets of a whole answer."""
    events = pick_dialect(model).parse_answer(dump(body), context)
    completion: JSON = json.loads(render_answer(events, "chatcmpl-1", 1, legacy_functions=context.legacy_functions))
    return completion


def choice(model: str, body: Any, context: Context = CONTEXT) -> JSON:
    first: JSON = answer(model, body, context)["choices"][0]
    return first


def anthropic_answer(*blocks: JSON, stop: str | None = "end_turn", **members: Any) -> JSON:
    usage = {"input_tokens": 3, "output_tokens": 5}
    return {"id": "msg_1", "model": "served", "content": blocks, "stop_reason": stop, "usage": usage} | members


def deltas(rendered: Sequence[JSON], member: str) -> list[Any]:
    """Every value of a member of the deltas, in order."""
    found = [choice["delta"] for chunk in rendered for choice in chunk["choices"]]
    return [delta[member] for delta in found if member in delta]


def finishes(rendered: Sequence[JSON]) -> list[str]:
    found = [choice["finish_reason"] for chunk in rendered for choice in chunk["choices"]]
    return [reason for reason in found if reason is not None]


# --- pipes --------------------------------------------------------------------------------------------------------


def open_pipe(model: str, *, include_usage: bool = False) -> Pipe:
    renderer = ChunkRenderer("chatcmpl-1", 1, include_usage=include_usage)
    dialect = pick_dialect(model)
    flow = PassThrough(CONTEXT, renderer) if dialect is CHAT else Translation(dialect, CONTEXT, renderer)
    return Pipe(flow, LIMIT)


def openai_stream(*chunks: JSON | bytes) -> bytes:
    return b"".join(b"data: %b\n\n" % (chunk if isinstance(chunk, bytes) else dump(chunk)) for chunk in chunks)


def openai_chunk(finish: str | None = None, **delta: Any) -> JSON:
    return {"id": "x", "created": 1, "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
