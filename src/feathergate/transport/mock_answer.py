"""What the mock provider says: an OpenAI answer to a chat request, whole or as a stream's events. Pure.

It knows no fault and no pace; `mock.py` decides those. A token is estimated as four bytes of UTF-8 text, at least
one; images, files and audio count nothing. Source: reference/wire/openai-chat.md, sections 3 and 5 to 8.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from feathergate.errors import ClientError
from feathergate.transport.example import build_example
from feathergate.wire.chat import ChatRequest, CustomTool, FunctionTool, Message, Tool, ToolChoice, Usage
from feathergate.wire.codec import (
    decode_messages,
    decode_response_format,
    decode_tool_choice,
    decode_tools,
    encode,
    given,
)
from feathergate.wire.sse import encode_event

ANSWER_LIMIT = 16 * 1024**2
"""Characters in all choices together."""

_PIECE = re.compile(r"\S{1,16}\s?|\s+")
_PAYLOAD = {"function": "arguments", "custom": "input"}


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What shapes an answer beside the request itself.

    `template` is said whatever is asked, the first `{user}` in it being the last user message. Without one the mock
    echoes, unless a tool or a format is asked for. `call_tools` makes it call `calls` tools, the one called `tool`
    or (`""`) one after the other, until a tool's result is the last message; `args` are their arguments, if set.
    """

    template: str | None = None
    finish: str = "stop"
    call_tools: bool = False
    tool: str = ""
    calls: int = 1
    args: str = ""


class Answer(msgspec.Struct, frozen=True):
    """The same in each of `choices`: `text`, or `calls` as a message holds them."""

    id: str
    created: int
    model: str
    text: str
    calls: list[dict[str, Any]]
    finish: str
    choices: int
    usage: Usage
    usage_in_stream: bool


def build_answer(wish: Wish, request: ChatRequest, number: int, created: int) -> Answer:
    """`number` makes the ids. Raises `ClientError` where OpenAI would refuse the request."""
    messages = decode_messages(request.messages)
    calls = [
        _build_call(tool, f"call_mock_{number}_{position}", wish.args)
        for position, tool in enumerate(_pick_tools(wish, request, messages))
    ]
    text = "" if calls else _build_text(wish, request, messages)
    spoken = [text, *(part for call in calls for part in _spoken(call))]
    choices = request.n or 1
    if sum(map(len, spoken)) * choices > ANSWER_LIMIT:
        raise ClientError(f"The mock says {ANSWER_LIMIT} characters at most. Send less, or lower 'n'.", param="n")
    prompt_tokens = count_tokens("".join(map(_text_of, messages)))
    completion_tokens = count_tokens("".join(spoken)) * choices
    options = request.stream_options
    return Answer(
        id=f"chatcmpl-mock-{number}",
        created=created,
        model=request.model,
        text=text,
        calls=calls,
        finish="tool_calls" if calls else wish.finish,
        choices=choices,
        usage=Usage(prompt_tokens, completion_tokens, prompt_tokens + completion_tokens),
        usage_in_stream=options is not None and options.include_usage is True,
    )


def count_tokens(text: str) -> int:
    return max(len(text.encode()) // 4, 1)


# --- on the wire ------------------------------------------------------------------------------------------------


def encode_answer(answer: Answer) -> bytes:
    """The whole answer."""
    message: dict[str, Any] = {"role": "assistant", "content": None if answer.calls else answer.text, "refusal": None}
    if answer.calls:
        message["tool_calls"] = answer.calls
    choice = {"message": message, "logprobs": None, "finish_reason": answer.finish}
    return encode(
        {
            "id": answer.id,
            "object": "chat.completion",
            "created": answer.created,
            "model": answer.model,
            "choices": [{"index": index, **choice} for index in range(answer.choices)],
            "usage": answer.usage,
        }
    )


def encode_opening(answer: Answer) -> bytes:
    """The events that give each choice its role, before any content."""
    return _encode_delta(answer, {"role": "assistant", "content": None if answer.calls else ""})


def encode_pieces(answer: Answer) -> Iterator[bytes]:
    """The content, word by word; each item holds one event of every choice."""
    for piece in _PIECE.finditer(answer.text):
        yield _encode_delta(answer, {"content": piece.group()})
    for index, call in enumerate(answer.calls):
        kind = call["type"]
        name, payload = _spoken(call)
        start = {"index": index, "id": call["id"], "type": kind, kind: {"name": name, _PAYLOAD[kind]: ""}}
        yield _encode_delta(answer, {"tool_calls": [start]})
        for piece in _PIECE.finditer(payload):
            yield _encode_delta(answer, {"tool_calls": [{"index": index, kind: {_PAYLOAD[kind]: piece.group()}}]})


def encode_closing(answer: Answer) -> bytes:
    """The finish of each choice, and the usage where it was asked for; `[DONE]` is left to the caller."""
    finish = _encode_delta(answer, {}, answer.finish)
    return finish + _encode_chunk(answer, [], answer.usage) if answer.usage_in_stream else finish


def _encode_delta(answer: Answer, delta: dict[str, Any], finish: str | None = None) -> bytes:
    return b"".join(
        _encode_chunk(answer, [{"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}], None)
        for index in range(answer.choices)
    )


def _encode_chunk(answer: Answer, choices: list[dict[str, Any]], usage: Usage | None) -> bytes:
    chunk: dict[str, Any] = {
        "id": answer.id,
        "object": "chat.completion.chunk",
        "created": answer.created,
        "model": answer.model,
        "choices": choices,
    }
    if answer.usage_in_stream:
        chunk["usage"] = usage
    return encode_event(encode(chunk))


# --- what is said -----------------------------------------------------------------------------------------------


def _text_of(message: Message) -> str:
    if isinstance(message.content, list):
        return "\n".join(part.text for part in message.content if part.text)
    return message.content or ""


def _build_text(wish: Wish, request: ChatRequest, messages: list[Message]) -> str:
    said = next((_text_of(message) for message in reversed(messages) if message.role == "user"), "")
    if wish.template is not None:
        return wish.template.replace("{user}", said, 1)
    raw_format = given(request.response_format)
    wanted = decode_response_format(raw_format) if raw_format is not None else None
    if wanted is None or wanted.type == "text":
        return said
    if wanted.type == "json_object":
        return encode({"text": said}).decode()
    if wanted.json_schema is None:
        where = "response_format.json_schema"
        raise ClientError(f"Missing required parameter: '{where}'.", param=where, code="missing_required_parameter")
    return encode(build_example(wanted.json_schema.schema or {}, "response_format.json_schema.schema")).decode()


def _pick_tools(wish: Wish, request: ChatRequest, messages: list[Message]) -> list[Tool]:
    """The tools to call: those that `tool_choice` forces, or that are wished for."""
    if wish.template is not None:
        return []
    raw_choice = given(request.tool_choice)
    choice = decode_tool_choice(raw_choice) if raw_choice is not None else "auto"
    name = _forced_tool(choice)
    if name is None and wish.call_tools and choice != "none" and messages[-1].role != "tool":
        name = wish.tool
    if name is None:
        return []
    fitting = [tool for tool in decode_tools(request.tools or []) if name in ("", _definition(tool).name)]
    if not fitting:
        wanted = f"the tool '{name}'" if name else "a tool"
        raise ClientError(
            f"A call of {wanted} is asked for, but 'tools' does not hold it. Add it to 'tools'.",
            param="tools",
            code="invalid_value",
        )
    return list(itertools.islice(itertools.cycle(fitting), wish.calls))


def _forced_tool(choice: str | ToolChoice) -> str | None:
    """The name of the tool that must be called; `""` for any, None where none must."""
    if isinstance(choice, str):
        return "" if choice == "required" else None
    allowed = choice.allowed_tools
    if allowed is not None and (allowed.mode != "required" or not allowed.tools):
        return None
    chosen = allowed.tools[0] if allowed is not None else choice
    named = chosen.function or chosen.custom
    return named.name if named else ""


def _definition(tool: Tool) -> FunctionTool | CustomTool:
    definition = tool.function if tool.type == "function" else tool.custom
    if definition is None:
        raise ClientError(f"Missing required parameter: 'tools[].{tool.type}'.", param="tools")
    return definition


def _build_call(tool: Tool, call_id: str, args: str) -> dict[str, Any]:
    """One call as a message holds it, its arguments made from the tool's schema unless `args` gives them."""
    definition = _definition(tool)
    if isinstance(definition, FunctionTool):
        schema = definition.parameters or {"type": "object"}
        args = args or encode(build_example(schema, f"tools[].function.parameters ({definition.name})")).decode()
    return {"id": call_id, "type": tool.type, tool.type: {"name": definition.name, _PAYLOAD[tool.type]: args or "text"}}


def _spoken(call: dict[str, Any]) -> tuple[str, str]:
    """The name and the arguments or input of a call."""
    body = call[call["type"]]
    return body["name"], body[_PAYLOAD[call["type"]]]
