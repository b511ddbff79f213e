"""The built-in `mock/` provider: OpenAI's chat protocol answered in process, for first runs and for users' CI.

It takes the bytes that an upstream would get and pushes those that one would send, paced by the loop's clock,
under the same deadlines as the network. It is deterministic: ids come from a counter. It opens no socket, never
blocks, and knows no dialect but `chat`. A token is estimated as four bytes of UTF-8 text, at least one.

What it does stands in the model's name: a behaviour, then knobs as in a URL's query (`%20` or `+` is a space).

    mock/echo                                  the text of the last user message, word by word
    mock/echo?latency_ms=200&chunk_ms=20       after 200 ms, then a word every 20 ms
    mock/echo?finish=length                    with another finish reason: length, content_filter
    mock/template?text=You+said:+{user}        a fixed text; the first {user} is the last message
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
import time
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from operator import itemgetter
from typing import Annotated, Literal, NamedTuple
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta

from feathergate.errors import ClientError, NotFoundError
from feathergate.http.contract import HttpError, HttpErrorKind
from feathergate.transport.contract import Call, Headers, Timeouts, UpstreamRequest, UpstreamSink
from feathergate.transport.mock_answer import (
    Answer,
    Wish,
    build_answer,
    encode_answer,
    encode_closing,
    encode_opening,
    encode_pieces,
)
from feathergate.transport.upstream import parse_error
from feathergate.wire.codec import decode_chat, encode
from feathergate.wire.sse import DONE, encode_event

Kind = Literal["echo", "template", "tools", "error", "cut", "malformed", "stall"]
Milliseconds = Annotated[float, Meta(ge=0, le=3_600_000)]
Action = Callable[[UpstreamSink], None]
Step = tuple[float, Action]
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
    retry_after_s: Annotated[int, Meta(ge=0, le=1_000_000)] | None = msgspec.field(name="retry_after", default=None)
    code: str | None = None
    message: str | None = None
    after: Annotated[int, Meta(ge=0, le=1_000_000)] = 0


class Behaviour(NamedTuple):
    """One name that may follow `mock/`: the knobs that it takes beside the pace, and what it sets beforehand."""

    kind: Kind
    knobs: tuple[str, ...] = ()
    preset: tuple[tuple[str, str], ...] = ()


NAME_LIMIT = 4096
PACE = ("latency_ms", "chunk_ms")
BEHAVIOURS = {
    "echo": Behaviour("echo", ("finish",)),
    "template": Behaviour("template", ("text", "finish")),
    "slow": Behaviour("echo", ("finish",), (("latency_ms", "1000"), ("chunk_ms", "100"))),
    "tools": Behaviour("tools", ("name", "calls", "args")),
    "error": Behaviour("error", ("status", "retry_after", "code", "message", "after")),
    "cut": Behaviour("cut", ("after",), (("after", "3"),)),
    "malformed": Behaviour("malformed", ("after",), (("after", "1"),)),
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

_JSON: Headers = ((b"content-type", b"application/json"),)
_SSE: Headers = ((b"content-type", b"text/event-stream; charset=utf-8"),)


# --- what is to happen ------------------------------------------------------------------------------------------


def parse_mock_model(name: str) -> MockPlan:
    """The plan that a model's name spells, `mock/` taken off. Raises `ClientError` with the nearest name."""
    if len(name) > NAME_LIMIT:
        raise ClientError(f"A mock's name has {NAME_LIMIT} characters at most.", param="model")
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
        return msgspec.convert({"kind": behaviour.kind, **dict(behaviour.preset), **knobs}, MockPlan, strict=False)
    except msgspec.ValidationError as error:
        reason = str(error).replace("`", "'")
        raise ClientError(f"A knob of 'mock/{word}' has a wrong value: {reason}.", param="model") from None


def parse_mock_response(text: str) -> MockPlan:
    """What `litellm_params.mock_response` asks for: an error where LiteLLM gives one, else the text."""
    return LITELLM_ERRORS.get(text) or MockPlan(kind="template", text=text)


def _nearest(word: str, names: Iterable[str]) -> str:
    near = get_close_matches(word, names, n=1)
    return f"; did you mean '{near[0]}'?" if near else f"; there are {', '.join(names)}"


def build_wish(plan: MockPlan) -> Wish:
    return Wish(
        template=plan.text if plan.kind == "template" else None,
        finish=plan.finish,
        call_tools=plan.kind == "tools",
        tool=plan.name,
        calls=plan.calls,
        args=plan.args,
    )


# --- the course of one answer -----------------------------------------------------------------------------------


def script_answer(plan: MockPlan, answer: Answer, *, stream: bool) -> Iterator[Step]:
    """All steps of one answer, made as they are needed."""
    fault = FAULTS.get(plan.kind)
    if stream and (fault is None or plan.after):
        steps = _stream(plan, answer, fault)
    else:
        steps = fault.whole(plan, answer) if fault else _respond(200, encode_answer(answer))
    wait_s, action = next(steps)
    yield plan.latency_ms / 1000 + wait_s, action
    yield from steps


def _stream(plan: MockPlan, answer: Answer, fault: Fault | None) -> Iterator[Step]:
    yield 0, _head(200, _SSE)
    yield 0, _body(encode_opening(answer))
    for piece in itertools.islice(encode_pieces(answer), plan.after if fault else None):
        yield plan.chunk_ms / 1000, _body(piece)
    yield from fault.stream(plan, answer) if fault else _end_with(encode_closing(answer) + DONE)


def script_refusal(error: ClientError) -> Iterator[Step]:
    """The answer to a request that OpenAI would refuse."""
    kind = ErrorKind("invalid_request_error", error.code, error.message)
    return _respond(error.status, _encode_error(kind, error.param))


class Fault(NamedTuple):
    """What goes wrong in place of an answer, and in the middle of a stream."""

    whole: Callable[[MockPlan, Answer], Iterator[Step]]
    stream: Callable[[MockPlan, Answer], Iterator[Step]]


def _fail(plan: MockPlan, _: Answer) -> Iterator[Step]:
    retry_after = () if plan.retry_after_s is None else ((b"retry-after", b"%d" % plan.retry_after_s),)
    return _respond(plan.status, _encode_error(_error_kind(plan)), (*_JSON, *retry_after))


def _fail_in_stream(plan: MockPlan, _: Answer) -> Iterator[Step]:
    return _end_with(encode_event(_encode_error(_error_kind(plan))))


def _cut(_: MockPlan, __: Answer) -> Iterator[Step]:
    yield 0, _error("reset")


def _malform(_: MockPlan, answer: Answer) -> Iterator[Step]:
    return _respond(200, _half(answer))


def _malform_in_stream(_: MockPlan, answer: Answer) -> Iterator[Step]:
    return _end_with(encode_event(_half(answer)) + DONE)


def _stall(_: MockPlan, __: Answer) -> Iterator[Step]:
    yield math.inf, lambda sink: None


FAULTS: dict[Kind, Fault] = {
    "error": Fault(_fail, _fail_in_stream),
    "cut": Fault(_cut, _cut),
    "malformed": Fault(_malform, _malform_in_stream),
    "stall": Fault(_stall, _stall),
}


def _error_kind(plan: MockPlan) -> ErrorKind:
    kind = ERRORS.get(plan.status, _CLIENT_ERROR if plan.status < 500 else _SERVER_ERROR)
    return ErrorKind(kind.type, plan.code or kind.code, plan.message or kind.message)


def _encode_error(kind: ErrorKind, param: str | None = None) -> bytes:
    return encode({"error": {"message": kind.message, "type": kind.type, "param": param, "code": kind.code}})


def _half(answer: Answer) -> bytes:
    body = encode_answer(answer)
    return body[: len(body) // 2]


def _respond(status: int, body: bytes, headers: Headers = _JSON) -> Iterator[Step]:
    yield 0, _head(status, headers)
    yield from _end_with(body)


def _end_with(data: bytes) -> Iterator[Step]:
    yield 0, _body(data)
    yield 0, lambda sink: sink.on_end()


def _head(status: int, headers: Headers) -> Action:
    return lambda sink: sink.on_head(status, headers)


def _body(data: bytes) -> Action:
    return lambda sink: sink.on_body(data)


def _error(kind: HttpErrorKind) -> Action:
    return lambda sink: sink.on_error(parse_error(HttpError(kind, "played by the mock"), "mock"))


# --- the transport ----------------------------------------------------------------------------------------------


class MockTransport:
    """A provider in process. It does what `plan` says, or `template` as LiteLLM's `mock_response`, else the model.

    `clock` gives the answers' `created`, in seconds since 1970.
    """

    def __init__(
        self, plan: MockPlan | None = None, *, template: str | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._plan = parse_mock_response(template) if template is not None else plan
        self._clock = clock
        self._numbers = itertools.count(1)
        self._closed = False

    def send(self, request: UpstreamRequest, sink: UpstreamSink) -> Call:
        script: Iterator[Step] = iter([(0, _error("connect"))]) if self._closed else self._script(request.body)
        return _MockCall(script, sink, request.timeouts)

    def close(self) -> None:
        self._closed = True

    def _script(self, body: bytes) -> Iterator[Step]:
        try:
            chat, _ = decode_chat(body)
            plan = self._plan or parse_mock_model(chat.model)
            answer = build_answer(build_wish(plan), chat, next(self._numbers), int(self._clock()))
        except ClientError as error:
            yield from script_refusal(error)
        else:
            yield from script_answer(plan, answer, stream=chat.stream is True)


class _MockCall:
    """One script under way: a step at a time from the loop, each within the request's deadlines.

    As on the network, `first_byte_s` bounds the wait for the head, `idle_s` each later one, `total_s` all of them;
    while the call is paused they rest.
    """

    def __init__(self, script: Iterator[Step], sink: UpstreamSink, timeouts: Timeouts) -> None:
        self._script = script
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        started = self._loop.time()
        self._idle_s = timeouts.idle_s
        self._total = (started + timeouts.total_s, _error("timeout_total"))
        self._quiet = (started + timeouts.first_byte_s, _error("timeout_first_byte"))
        self._paused = False
        self._held: Action | None = None
        self._handle: asyncio.Handle = self._loop.call_soon(self._advance)

    def cancel(self) -> None:
        self._script = iter(())
        self._held = None
        self._handle.cancel()

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        if self._held is not None:
            self._handle = self._loop.call_soon(self._perform, self._held)
            self._held = None

    def _advance(self) -> None:
        """Set the clock for the next step, or for the deadline that stands before it."""
        step = next(self._script, None)
        if step is None:
            return
        wait_s, action = step
        now = self._loop.time()
        limit, failure = min(self._quiet, self._total, key=itemgetter(0))
        if now + wait_s > limit:
            self._script = iter(())
            wait_s, action = limit - now, failure
        if wait_s <= 0:
            self._handle = self._loop.call_soon(self._perform, action)
        elif wait_s < math.inf:
            self._handle = self._loop.call_later(wait_s, self._perform, action)

    def _perform(self, action: Action) -> None:
        if self._paused:
            self._held = action
            return
        action(self._sink)
        self._quiet = (self._loop.time() + self._idle_s, _error("idle"))
        self._advance()
