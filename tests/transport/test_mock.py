"""The mock provider, driven through a tiny sink: what it answers, how it fails, and that it obeys its owner."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from feathergate.errors import ClientError, DeadlineError, NotFoundError, UpstreamError
from feathergate.http.contract import find_header
from feathergate.transport import mock
from feathergate.transport.contract import Headers, Timeouts, UpstreamRequest
from feathergate.transport.mock import BEHAVIOURS, MockPlan, MockTransport, parse_mock_model
from feathergate.wire.sse import SseReader

HELLO = [{"role": "user", "content": "Hello there, world"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}, "unit": {"type": "string"}},
            "required": ["city", "days"],
        },
    },
}
PATIENT = Timeouts()


class Recorder:
    """A sink that keeps what it is told."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: Headers = ()
        self.pieces: list[bytes] = []
        self.error: UpstreamError | None = None
        self.over = asyncio.Event()

    def on_head(self, status: int, headers: Headers) -> None:
        self.status, self.headers = status, headers

    def on_body(self, data: bytes) -> None:
        self.pieces.append(data)

    def on_end(self) -> None:
        self.over.set()

    def on_error(self, error: UpstreamError) -> None:
        self.error = error
        self.over.set()

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def events(self) -> list[Any]:
        """The stream's JSON events; the last must be `[DONE]`."""
        *events, done = SseReader(1 << 20).feed(self.body)
        assert done[1] == b"[DONE]"
        return [msgspec.json.decode(data) for _, data in events]

    @property
    def text(self) -> str:
        return "".join(e["choices"][0]["delta"].get("content") or "" for e in self.events if e["choices"])


def build_request(body: bytes, timeouts: Timeouts = PATIENT) -> UpstreamRequest:
    return UpstreamRequest(b"/v1/chat/completions", b"", body, timeouts)


async def ask(
    model: str, transport: MockTransport | None = None, *, timeouts: Timeouts = PATIENT, **fields: Any
) -> Recorder:
    body = msgspec.json.encode({"model": model, "messages": HELLO, **fields})
    sink = Recorder()
    (transport or MockTransport()).send(build_request(body, timeouts), sink)
    await asyncio.wait_for(sink.over.wait(), 5)
    return sink


# --- answers ----------------------------------------------------------------------------------------------------


async def test_echo_answers_the_last_user_message() -> None:
    transport = MockTransport(clock=lambda: 1_700_000_000.9)
    sink = await ask("echo", transport)
    assert (sink.status, find_header(sink.headers, b"content-type")) == (200, b"application/json")
    assert sink.json == {
        "id": "chatcmpl-mock-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "echo",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello there, world", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 4, "completion_tokens": 4, "total_tokens": 8},
    }


async def test_echo_reads_text_parts_and_passes_over_later_roles() -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "image_url", "image_url": {"url": "data:,"}}]
    messages = [{"role": "user", "content": parts}, {"role": "assistant", "content": "no"}]
    assert (await ask("echo", messages=messages)).json["choices"][0]["message"]["content"] == "one"


async def test_stream_says_the_same_word_by_word() -> None:
    sink = await ask("echo", stream=True)
    assert find_header(sink.headers, b"content-type") == b"text/event-stream; charset=utf-8"
    assert sink.text == "Hello there, world"
    deltas = [event["choices"][0]["delta"] for event in sink.events]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert [delta.get("content") for delta in deltas[1:]] == ["Hello ", "there, ", "world", None]
    assert [event["choices"][0]["finish_reason"] for event in sink.events] == [None, None, None, None, "stop"]


async def test_stream_keeps_every_character() -> None:
    text = "  两个 words\n\n\tand averylongwordthatgoesonandonandon 🎈 "
    assert (await ask("echo", stream=True, messages=[{"role": "user", "content": text}])).text == text


async def test_stream_gives_usage_only_when_asked() -> None:
    with_usage = (await ask("echo", stream=True, stream_options={"include_usage": True})).events
    assert with_usage[-1]["choices"] == []
    assert with_usage[-1]["usage"] == {"prompt_tokens": 4, "completion_tokens": 4, "total_tokens": 8}
    assert all(event["usage"] is None for event in with_usage[:-1])
    assert all("usage" not in event for event in (await ask("echo", stream=True)).events)


async def test_n_gives_as_many_choices_whole_and_streamed() -> None:
    whole = await ask("echo", n=3)
    assert [choice["index"] for choice in whole.json["choices"]] == [0, 1, 2]
    assert whole.json["usage"]["completion_tokens"] == 12
    streamed = await ask("echo", n=3, stream=True)
    finishes = [e["choices"][0]["index"] for e in streamed.events if e["choices"][0]["finish_reason"]]
    assert finishes == [0, 1, 2]


async def test_ids_count_up_within_a_transport() -> None:
    transport = MockTransport()
    assert [(await ask("echo", transport)).json["id"] for _ in range(2)] == ["chatcmpl-mock-1", "chatcmpl-mock-2"]


async def test_template_fills_in_the_user_message() -> None:
    sink = await ask("template?text=You+said:%20{user}!&finish=length")
    choice = sink.json["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("You said: Hello there, world!", "length")


async def test_mock_response_answers_whatever_was_asked() -> None:
    transport = MockTransport(template="It is sunny.")
    sink = await ask("gpt-5-mini", transport, tools=[WEATHER], tool_choice="required")
    assert sink.json["choices"][0]["message"]["content"] == "It is sunny."
    assert sink.json["model"] == "gpt-5-mini"


@pytest.mark.parametrize(
    ("template", "status", "code"),
    [
        ("litellm.RateLimitError", 429, "rate_limit_exceeded"),
        ("litellm.InternalServerError", 500, None),
        ("litellm.ContextWindowExceededError", 400, "context_length_exceeded"),
    ],
)
async def test_mock_response_knows_litellms_errors(template: str, status: int, code: str | None) -> None:
    sink = await ask("gpt-5-mini", MockTransport(template=template))
    assert (sink.status, sink.json["error"]["code"]) == (status, code)


# --- tools and structured output --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "choice",
    [
        "required",
        {"type": "function", "function": {"name": "weather"}},
        {
            "type": "allowed_tools",
            "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "weather"}}]},
        },
    ],
)
async def test_forced_tool_is_called_with_the_required_arguments(choice: Any) -> None:
    choice = (await ask("echo", tools=[WEATHER], tool_choice=choice)).json["choices"][0]
    call = choice["message"]["tool_calls"][0]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", None)
    assert (call["id"], call["type"], call["function"]["name"]) == ("call_mock_1_0", "function", "weather")
    assert msgspec.json.decode(call["function"]["arguments"]) == {"city": "text", "days": 1}


async def test_streamed_call_opens_once_and_its_arguments_add_up() -> None:
    sink = await ask("echo", tools=[WEATHER], tool_choice="required", stream=True)
    calls = [call for e in sink.events for call in e["choices"][0]["delta"].get("tool_calls", ())]
    assert calls[0]["function"] == {"name": "weather", "arguments": ""}
    assert all(call.keys() == {"index", "function"} for call in calls[1:])
    arguments = "".join(call["function"]["arguments"] for call in calls)
    assert msgspec.json.decode(arguments) == {"city": "text", "days": 1}
    assert sink.events[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_tools_that_are_not_forced_are_not_called() -> None:
    assert "tool_calls" not in (await ask("echo", tools=[WEATHER])).json["choices"][0]["message"]


async def test_tools_model_calls_until_it_has_the_result() -> None:
    first = (await ask("tools?name=weather&calls=2&args={%22city%22:1}", tools=[WEATHER])).json["choices"][0]["message"]
    assert [call["function"]["arguments"] for call in first["tool_calls"]] == ['{"city":1}'] * 2
    history = [*HELLO, first, {"role": "tool", "tool_call_id": first["tool_calls"][0]["id"], "content": "12 °C"}]
    second = (await ask("tools", messages=history, tools=[WEATHER])).json["choices"][0]
    assert second["finish_reason"] == "stop"


async def test_custom_tool_gets_text() -> None:
    tools = [{"type": "custom", "custom": {"name": "shell"}}]
    message = (await ask("tools", tools=tools)).json["choices"][0]["message"]
    assert message["tool_calls"][0]["custom"] == {"name": "shell", "input": "text"}


async def test_tool_that_is_not_there_is_refused() -> None:
    sink = await ask("echo", tools=[WEATHER], tool_choice={"type": "function", "function": {"name": "wether"}})
    assert (sink.status, sink.json["error"]["param"]) == (400, "tools")


async def test_json_object_is_one() -> None:
    content = (await ask("echo", response_format={"type": "json_object"})).json["choices"][0]["message"]["content"]
    assert msgspec.json.decode(content) == {"text": "Hello there, world"}


async def test_json_schema_is_satisfied() -> None:
    schema = WEATHER["function"]["parameters"]  # type: ignore[index]
    wanted = {"type": "json_schema", "json_schema": {"name": "w", "schema": schema}}
    content = (await ask("echo", response_format=wanted)).json["choices"][0]["message"]["content"]
    assert msgspec.json.decode(content) == {"city": "text", "days": 1}


async def test_json_schema_without_a_schema_is_refused() -> None:
    sink = await ask("echo", response_format={"type": "json_schema"})
    assert (sink.status, sink.json["error"]["param"]) == (400, "response_format.json_schema")


# --- faults -----------------------------------------------------------------------------------------------------


async def test_error_has_the_status_and_the_retry_after_it_was_told() -> None:
    sink = await ask("error?status=429&retry_after=2", stream=True)
    assert (sink.status, find_header(sink.headers, b"retry-after")) == (429, b"2")
    assert sink.json["error"] == {
        "message": "Rate limit reached for requests.",
        "type": "requests",
        "param": None,
        "code": "rate_limit_exceeded",
    }


async def test_error_takes_a_code_and_a_message() -> None:
    error = (await ask("error?status=400&code=content_filter&message=No+way.")).json["error"]
    assert (error["code"], error["message"], error["type"]) == ("content_filter", "No way.", "invalid_request_error")


async def test_error_after_words_ends_the_stream_in_an_error_event() -> None:
    sink = await ask("error?status=503&after=2", stream=True)
    events = SseReader(1 << 20).feed(sink.body)
    assert (sink.status, len(events)) == (200, 4)
    assert msgspec.json.decode(events[-1][1])["error"]["code"] == "server_is_overloaded"


async def test_cut_breaks_the_stream_after_so_many_words() -> None:
    sink = await ask("cut?after=2", stream=True)
    assert [b"Hello" in sink.body, b"there" in sink.body, b"world" in sink.body] == [True, True, False]
    assert sink.error is not None
    assert sink.error.kind == "reset"


async def test_cut_breaks_a_whole_answer_before_its_head() -> None:
    sink = await ask("cut")
    assert sink.error is not None
    assert (sink.status, sink.error.kind) == (0, "reset")


async def test_malformed_is_no_json() -> None:
    sink = await ask("malformed")
    assert sink.status == 200
    with pytest.raises(msgspec.DecodeError):
        _ = sink.json
    streamed = await ask("malformed", stream=True)
    with pytest.raises(msgspec.DecodeError):
        _ = streamed.events


@pytest.mark.parametrize(
    ("model", "timeouts", "kind", "status"),
    [
        ("stall", Timeouts(first_byte_s=0.02), "timeout_first_byte", 0),
        ("stall?after=1", Timeouts(idle_s=0.02), "idle", 200),
        ("echo?latency_ms=500", Timeouts(first_byte_s=0.02), "timeout_first_byte", 0),
        ("error?latency_ms=500", Timeouts(first_byte_s=0.02), "timeout_first_byte", 0),
        ("echo?chunk_ms=15", Timeouts(total_s=0.02, idle_s=1), "timeout_total", 200),
    ],
)
async def test_deadlines_hold_as_on_the_network(model: str, timeouts: Timeouts, kind: str, status: int) -> None:
    sink = await ask(model, timeouts=timeouts, stream=True)
    assert isinstance(sink.error, DeadlineError)
    assert (sink.error.kind, sink.status) == (kind, status)


async def test_pace_is_kept() -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    await ask("echo?latency_ms=30&chunk_ms=20", stream=True)
    assert 0.08 <= loop.time() - started < 1


# --- wrong requests ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"model":"echo"}', b"\xff", b'{"model":"echo","messages":[{}]}'])
async def test_malformed_request_is_answered_as_openai_does(body: bytes) -> None:
    sink = Recorder()
    MockTransport().send(build_request(body), sink)
    await asyncio.wait_for(sink.over.wait(), 5)
    assert (sink.status, sink.json["error"]["type"]) == (400, "invalid_request_error")
    assert sink.json["error"].keys() == {"message", "type", "param", "code"}


async def test_answer_that_would_grow_out_of_hand_is_refused() -> None:
    sink = await ask("echo", n=128, messages=[{"role": "user", "content": "x" * 200_000}])
    assert (sink.status, sink.json["error"]["param"]) == (400, "n")


async def test_unknown_model_is_404_with_the_nearest_name() -> None:
    sink = await ask("ehco")
    assert (sink.status, sink.json["error"]["code"]) == (404, "model_not_found")
    assert "did you mean 'echo'?" in sink.json["error"]["message"]


async def test_closed_transport_takes_nothing_more() -> None:
    transport = MockTransport()
    transport.close()
    sink = await ask("echo", transport)
    assert isinstance(sink.error, UpstreamError)


# --- the owner's hand -------------------------------------------------------------------------------------------


async def test_nothing_is_said_before_send_returns() -> None:
    sink = Recorder()
    MockTransport().send(build_request(b"{"), sink)
    assert sink.status == 0
    await asyncio.wait_for(sink.over.wait(), 5)


async def test_cancel_silences_the_call_even_from_within() -> None:
    class Leaving(Recorder):
        def on_body(self, data: bytes) -> None:
            super().on_body(data)
            call.cancel()

    sink = Leaving()
    body = msgspec.json.encode({"model": "echo", "messages": HELLO, "stream": True})
    call = MockTransport().send(build_request(body), sink)
    await asyncio.sleep(0.02)
    assert (len(sink.pieces), sink.over.is_set()) == (1, False)
    call.cancel()


async def test_paused_call_says_nothing_and_loses_nothing() -> None:
    sink = Recorder()
    body = msgspec.json.encode({"model": "echo?chunk_ms=1", "messages": HELLO, "stream": True})
    call = MockTransport().send(build_request(body), sink)
    call.pause()
    await asyncio.sleep(0.02)
    assert sink.status == 0
    call.resume()
    await asyncio.wait_for(sink.over.wait(), 5)
    assert sink.text == "Hello there, world"


async def test_long_echo_leaves_the_loop_to_others() -> None:
    sink = Recorder()
    messages = [{"role": "user", "content": "word " * 20_000}]
    call = MockTransport().send(
        build_request(msgspec.json.encode({"model": "echo", "messages": messages, "stream": True})), sink
    )
    for _ in range(10):
        await asyncio.sleep(0)
    assert 1 <= len(sink.pieces) <= 10
    call.cancel()


# --- the model's name -------------------------------------------------------------------------------------------


def test_name_with_knobs_makes_a_plan() -> None:
    plan = parse_mock_model("error?status=429&retry_after=2&latency_ms=1.5")
    assert plan == MockPlan(kind="error", status=429, retry_after_s=2, latency_ms=1.5)


def test_slow_is_a_paced_echo() -> None:
    assert parse_mock_model("slow?chunk_ms=5") == MockPlan(kind="echo", latency_ms=1000, chunk_ms=5)


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_every_behaviour_stands_in_the_documentation(name: str) -> None:
    assert f"mock/{name}" in str(mock.__doc__)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("echo?latncy_ms=3", "did you mean 'latency_ms'?"),
        ("echo?status=500", "has no knob 'status'; there are latency_ms, chunk_ms, finish"),
        ("echo?latency_ms=soon", "wrong value"),
        ("echo?latency_ms=nan", "wrong value"),
        ("echo?latency_ms=-1", "wrong value"),
        ("error?status=200", "wrong value"),
        ("cut?after=" + "9" * 30, "wrong value"),
        ("x" * 100_000, "characters at most"),
        ("echo?latency_ms", "NAME=VALUE"),
        ("echo?" + "&".join(["chunk_ms=1"] * 99), "NAME=VALUE"),
    ],
)
def test_wrong_knob_is_named(name: str, words: str) -> None:
    with pytest.raises(ClientError) as caught:
        parse_mock_model(name)
    assert words in caught.value.message
    assert caught.value.param == "model"


def test_unknown_name_is_not_found() -> None:
    with pytest.raises(NotFoundError):
        parse_mock_model("ehco")
