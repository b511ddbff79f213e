"""The built-in `mock/` provider: OpenAI's chat protocol answered in process, for first runs and for users' CI.

It takes the bytes that an upstream would get and pushes those that one would send, paced by the loop's clock,
under the same deadlines as the network. It is deterministic: ids come from a counter. It opens no socket, never
blocks, and knows no dialect but `chat`. A token is estimated as four bytes of UTF-8 text, at least one.

What it does stands in the model's name: a behaviour, then knobs as in a URL's query (`%20` or `+` is a space).

    mock/echo                                  the text of the last user message, word by word
    mock/echo?latency_ms=200&chunk_ms=20       after 200 ms, then a word every 20 ms
    mock/echo?finish=length                    with another finish reason: length, content_filter
    mock/template?text=You+said:+{user}        a fixed text; {user} is the last user message
    mock/slow                                  an echo with latency_ms=1000 and chunk_ms=100
    mock/tools                                 calls the first tool, with arguments made from its schema, and
                                               answers with text once the tool's result is the last message
    mock/tools?name=weather&calls=2            two calls of one tool; args={"city":"Oslo"} sets the arguments
    mock/error?status=429&retry_after=2        fails; code and message can be set too (status is 500 if absent)
    mock/cut?after=3                           the connection breaks after three words (3 if absent)
    mock/malformed?after=1                     invalid JSON after one word (1 if absent)
    mock/stall                                 never answers; with after=2 it falls silent after two words

Every behaviour takes `latency_ms` (before the head) and `chunk_ms` (between the pieces of a stream). `after`
counts the words of a stream, for `error` too; a whole answer, like `after=0`, fails in place of the answer.
With any of them a forced `tool_choice` is answered by a call and a `response_format` by a fitting JSON object;
only `template` says its text whatever is asked. Source: reference/wire/openai-chat.md, sections 3 and 5 to 8.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import re
import time
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta

from feathergate.errors import ClientError, NotFoundError
from feathergate.http.contract import HttpError, HttpErrorKind
from feathergate.transport.contract import Headers, Timeouts, UpstreamRequest, UpstreamSink
from feathergate.transport.mock_schema import build_example
from feathergate.transport.upstream import parse_error
from feathergate.wire.chat import ChatRequest, Message, Tool, ToolChoice, Usage
from feathergate.wire.codec import (
    decode_chat,
    decode_messages,
    decode_response_format,
    decode_tool_choice,
    decode_tools,
    encode,
    is_null,
)
from feathergate.wire.sse import DONE, encode_event

Kind = Literal["echo", "template", "tools", "error", "cut", "malformed", "stall"]
Milliseconds = Annotated[float, Meta(ge=0, le=3_600_000)]
Step = tuple[float, Callable[[UpstreamSink], None]]
"""Seconds to wait (`inf`: for ever), then what to do."""


class MockPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What one request will meet. Fields are the knobs of the module's docstring, under the same names."""

    kind: Kind
    latency_ms: Milliseconds = 0
    chunk_ms: Milliseconds = 0
    text: str = ""
    finish: Literal["stop", "length", "content_filter"] = "stop"
    name: str = ""
    calls: Annotated[int, Meta(ge=1, le=64)] = 1
    args: str = ""
    status: Annotated[int, Meta(ge=400, le=599)] = 500
    retry_after_s: Annotated[float, Meta(ge=0)] | None = msgspec.field(name="retry_after", default=None)
    code: str | None = None
    message: str | None = None
    after: Annotated[int, Meta(ge=0)] = 0


class Behaviour(NamedTuple):
    """One name that may follow `mock/`: the knobs that it takes beside the pace, and what it sets beforehand."""

    kind: Kind
    knobs: tuple[str, ...] = ()
    preset: dict[str, str] = {}


PACE = ("latency_ms", "chunk_ms")
BEHAVIOURS = {
    "echo": Behaviour("echo", ("finish",)),
    "template": Behaviour("template", ("text", "finish")),
    "slow": Behaviour("echo", ("finish",), {"latency_ms": "1000", "chunk_ms": "100"}),
    "tools": Behaviour("tools", ("name", "calls", "args")),
    "error": Behaviour("error", ("status", "retry_after", "code", "message", "after")),
    "cut": Behaviour("cut", ("after",), {"after": "3"}),
    "malformed": Behaviour("malformed", ("after",), {"after": "1"}),
    "stall": Behaviour("stall", ("after",)),
}

LITELLM_ERRORS = {
    "litellm.RateLimitError": MockPlan(kind="error", status=429),
    "litellm.InternalServerError": MockPlan(kind="error", status=500),
    "litellm.ContextWindowExceededError": MockPlan(
        kind="error",
        status=400,
        code="context_length_exceeded",
        message="This model's maximum context length is exceeded. Please reduce the length of the messages.",
    ),
}
"""The values of `mock_response` that LiteLLM takes for an error rather than for a text."""


class ErrorKind(NamedTuple):
    """The rest of an OpenAI error with a given status."""

    type: str
    code: str | None
    message: str


ERRORS = {
    401: ErrorKind("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    404: ErrorKind("invalid_request_error", "model_not_found", "The model does not exist."),
    429: ErrorKind("requests", "rate_limit_exceeded", "Rate limit reached for requests."),
    503: ErrorKind("service_unavailable_error", "server_is_overloaded", "The server is overloaded."),
}
_CLIENT_ERROR = ErrorKind("invalid_request_error", None, "The request was refused.")
_SERVER_ERROR = ErrorKind("server_error", None, "The server had an error while processing your request.")

_WORD = re.compile(r"\S{1,16}\s?|\s+")
_JSON: Headers = ((b"content-type", b"application/json"),)
_SSE: Headers = ((b"content-type", b"text/event-stream; charset=utf-8"),)


# --- what is to happen ------------------------------------------------------------------------------------------


def parse_mock_model(name: str) -> MockPlan:
    """The plan that a model's name spells, `mock/` taken off. Raises `ClientError` with the nearest name."""
    word, _, query = name.partition("?")
    behaviour = BEHAVIOURS.get(word)
    if behaviour is None:
        raise NotFoundError(
            f"The mock has no model '{word}'{_nearest(word, BEHAVIOURS)}.", param="model", code="model_not_found"
        )
    try:
        knobs = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True, max_num_fields=32)) if query else {}
    except ValueError:
        raise ClientError(
            f"The knobs of 'mock/{word}' are not written NAME=VALUE with & between them.", param="model"
        ) from None
    allowed = (*PACE, *behaviour.knobs)
    for knob in knobs:
        if knob not in allowed:
            raise ClientError(f"'mock/{word}' has no knob '{knob}'{_nearest(knob, allowed)}.", param="model")
    try:
        return msgspec.convert({"kind": behaviour.kind, **behaviour.preset, **knobs}, MockPlan, strict=False)
    except msgspec.ValidationError as error:
        raise ClientError(f"A knob of 'mock/{word}' has a wrong value: {error}.", param="model") from None


def parse_mock_response(text: str) -> MockPlan:
    """What `litellm_params.mock_response` asks for: an error where LiteLLM gives one, else the text."""
    return LITELLM_ERRORS.get(text) or MockPlan(kind="template", text=text)


def _nearest(word: str, names: Iterable[str]) -> str:
    near = get_close_matches(word[:64], names, n=1)
    return f"; did you mean '{near[0]}'?" if near else f"; there are {', '.join(names)}"


# --- what is to be said -----------------------------------------------------------------------------------------


class Answer(msgspec.Struct, frozen=True):
    """What will be said, the same in each of `choices`: `text`, or `calls` as a message holds them."""

    head: dict[str, Any]
    text: str
    calls: list[dict[str, Any]]
    finish: str
    choices: int
    usage: Usage


def build_answer(plan: MockPlan, request: ChatRequest, number: int, created: int) -> Answer:
    """Raises `ClientError` where OpenAI would refuse the request."""
    messages = decode_messages(request.messages)
    calls = [
        _build_call(tool, f"call_mock_{number}_{position}", plan.args)
        for position, tool in enumerate(_pick_tools(plan, request, messages))
    ]
    text = "" if calls else _build_text(plan, request, messages)
    said = text + "".join(call[call["type"]]["name"] + call[call["type"]][_INPUT[call["type"]]] for call in calls)
    choices = request.n or 1
    prompt_tokens = count_tokens("".join(map(_text_of, messages)))
    completion_tokens = count_tokens(said) * choices
    return Answer(
        head={"id": f"chatcmpl-mock-{number}", "created": created, "model": request.model},
        text=text,
        calls=calls,
        finish="tool_calls" if calls else plan.finish,
        choices=choices,
        usage=Usage(prompt_tokens, completion_tokens, prompt_tokens + completion_tokens),
    )


def count_tokens(text: str) -> int:
    """The estimate: a token is four bytes of UTF-8, and there is at least one."""
    return max(len(text.encode()) // 4, 1)


def _text_of(message: Message) -> str:
    if isinstance(message.content, list):
        return "\n".join(part.text for part in message.content if part.text)
    return message.content or ""


def _build_text(plan: MockPlan, request: ChatRequest, messages: list[Message]) -> str:
    said = next((_text_of(message) for message in reversed(messages) if message.role == "user"), "")
    if plan.kind == "template":
        return plan.text.replace("{user}", said)
    if is_null(request.response_format):
        return said
    wanted = decode_response_format(request.response_format)
    if wanted.type == "json_object":
        return encode({"text": said}).decode()
    if wanted.type == "json_schema":
        if wanted.json_schema is None:
            raise ClientError(
                "Missing required parameter: 'response_format.json_schema'.", param="response_format.json_schema"
            )
        return encode(build_example(wanted.json_schema.schema or {}, "response_format.json_schema.schema")).decode()
    return said


def _pick_tools(plan: MockPlan, request: ChatRequest, messages: list[Message]) -> list[Tool]:
    """The tools to call: those that `tool_choice` forces, or that the plan asks for."""
    choice = "auto" if is_null(request.tool_choice) else decode_tool_choice(request.tool_choice)
    name = _forced_name(choice)
    if name is None and plan.kind == "tools" and choice != "none" and messages[-1].role != "tool":
        name = plan.name
    if name is None or plan.kind == "template":
        return []
    fitting = [tool for tool in decode_tools(request.tools or []) if name in ("", _tool_name(tool))]
    if not fitting:
        wanted = f"the tool '{name}'" if name else "a tool"
        raise ClientError(f"A call of {wanted} is asked for, but it is not in 'tools'. Add it.", param="tools")
    return list(itertools.islice(itertools.cycle(fitting), plan.calls))


def _forced_name(choice: str | ToolChoice) -> str | None:
    """The tool that must be called, `""` for any, None where none must."""
    if isinstance(choice, str):
        return "" if choice == "required" else None
    if choice.allowed_tools is not None:
        if choice.allowed_tools.mode != "required":
            return None
        choice = msgspec.convert(...)
    named = choice.function or choice.custom
    return named.name if named else ""
