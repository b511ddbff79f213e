"""The chat dialect as an upstream speaks it: what is sent, and how answers, streams and errors are read."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest

from feathergate.capability import UNLIMITED
from feathergate.dialects.chat import CHAT
from feathergate.dialects.chat.answer import peek_whole
from feathergate.dialects.chat.mending import mend_answer
from feathergate.dialects.contract import Context, Target
from feathergate.errors import UpstreamError
from feathergate.events import Event, Finished, Reasoning, Started, Text, ToolArgs, ToolStarted, Usage
from feathergate.wire.chat_answer import WholePeek
from feathergate.wire.codec import decode_chat

CONTEXT = Context(model="m")


def stream(*chunks: dict[str, Any] | bytes) -> list[Event]:
    decoder = CHAT.open_stream(CONTEXT)
    events: list[Event] = []
    for chunk in chunks:
        events += decoder.decode(b"", chunk if isinstance(chunk, bytes) else json.dumps(chunk).encode())
    return [*events, *decoder.finish()]


def delta(finish: str | None = None, index: int = 0, **members: Any) -> dict[str, Any]:
    return {"id": "c", "model": "m", "choices": [{"index": index, "delta": members, "finish_reason": finish}]}


def failure(status: int, body: bytes) -> UpstreamError:
    return CHAT.parse_error(status, [], body)


def test_request_differs_in_the_model_only() -> None:
    data = b'{"messages":[{"role":"user", "x":1e400}],"model":"mine","unknown":{"a":[1, 2]}}'
    built = CHAT.build_request(*decode_chat(data), Target("gpt-5", UNLIMITED))
    assert built.body == data.replace(b'"mine"', b'"gpt-5"')
    assert (built.path, built.dropped) == ("/chat/completions", ())


def test_stream_is_read_in_order_with_dense_tools() -> None:
    call = {"index": 3, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
    more = {"index": 3, "function": {"arguments": "{}"}}
    events = stream(
        delta(role="assistant", content=""),
        delta(reasoning_content="hm"),
        delta(content="hi"),
        delta(tool_calls=[call]),
        delta(tool_calls=[more]),
        delta("tool_calls"),
        {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}},
        b"[DONE]",
    )
    assert events[:5] == [
        Started("c", "m"),
        Reasoning("hm"),
        Text("hi"),
        ToolStarted(0, "a", "f"),
        ToolArgs(0, "{}"),
    ]
    assert events[5] == Finished("tool_calls")
    assert isinstance(events[6], Usage)


def test_stream_without_done_ends_well_when_every_choice_has_finished() -> None:
    assert stream(delta(content="x"), delta("stop"))[-1] == Finished("stop")


def test_white_space_around_done_is_none_of_it() -> None:
    assert stream(delta("stop"), b" [DONE]\r")[-1] == Finished("stop")


@pytest.mark.parametrize(
    "chunks",
    [[], [b"[DONE]"], [{"choices": []}, b"[DONE]"], [delta(content="x")], [delta("stop"), delta(index=1, content="x")]],
)
def test_stream_that_ends_early_is_truncated(chunks: list[dict[str, Any] | bytes]) -> None:
    with pytest.raises(UpstreamError) as caught:
        stream(*chunks)
    assert caught.value.kind == "truncated"


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (b'{"error":{"message":"busy","type":"server_error","code":"server_is_overloaded"}}', 502),
        (b'{"error":{"message":"busy","type":"rate_limit_error","code":null}}', 429),
        (b'{"error":{"message":"busy","type":"invalid_request_error"}}', 400),
        (b'{"error":{"message":"busy","code":429}}', 429),
        (b'{"error":"busy"}', 502),
    ],
)
def test_error_event_bears_the_status_of_its_type(event: bytes, status: int) -> None:
    with pytest.raises(UpstreamError, match="busy") as caught:
        stream(delta(content="x"), event)
    assert caught.value.status == status


@pytest.mark.parametrize(
    "body", [b"<html>", b"", b"[]", b"5", b'{"choices":5}', b'{"choices":[{"message":"x"}]}', b"\xff"]
)
def test_answer_of_another_shape_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(UpstreamError) as caught:
        CHAT.parse_answer(body, CONTEXT)
    assert caught.value.kind == "protocol"


@pytest.mark.parametrize(
    ("status", "seen", "retryable", "kind"),
    [
        (400, 400, False, "status"),
        (404, 404, False, "status"),
        (409, 409, False, "status"),
        (413, 413, False, "status"),
        (422, 422, False, "status"),
        (418, 400, False, "status"),
        (401, 502, True, "auth"),
        (403, 502, True, "auth"),
        (402, 429, False, "quota"),
        (429, 429, True, "rate_limit"),
        (408, 502, True, "status"),
        (500, 502, True, "status"),
        (529, 502, True, "status"),
        (302, 502, True, "status"),
        (204, 502, True, "status"),
    ],
)
def test_status_is_judged_by_the_table(status: int, seen: int, retryable: bool, kind: str) -> None:
    error = failure(status, b'{"error":{"message":"m","param":"p","code":"c"}}')
    assert (error.status, error.retryable, error.kind) == (seen, retryable, kind)
    assert (error.message, error.param, error.code) == ("m", "p", "c")


def test_spent_quota_is_not_retried() -> None:
    error = failure(429, b'{"error":{"message":"m","type":"insufficient_quota","code":"insufficient_quota"}}')
    assert (error.kind, error.retryable) == ("quota", False)


@pytest.mark.parametrize("body", [b"<html>bad gateway</html>", b"", b"null", b"[]", b'{"error":[]}', b"[" * 99_999])
def test_error_without_a_message_says_its_status(body: bytes) -> None:
    assert failure(503, body).message == "The provider answered 503."


def test_key_in_a_providers_message_is_masked() -> None:
    error = failure(401, b'{"error":{"message":"Incorrect API key provided: sk-proj-abcdef0123456789abcdef."}}')
    assert "abcdef0123456789" not in error.message


@pytest.mark.parametrize("member", ["message", "param", "code"])
@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_key_in_any_member_of_an_error_is_masked(member: str, status: int) -> None:
    error = failure(status, json.dumps({"error": {member: "gsk_abcdef0123456789"}}).encode())
    assert "abcdef" not in f"{error.message} {error.param} {error.code}"


def test_call_that_is_signed_keeps_its_signature_beside_what_we_do_not_know() -> None:
    extra = {"google": {"thought_signature": "s", "x": [1]}, "other": 5}
    events = stream(delta(tool_calls=[{"id": "a", "function": {"name": "f"}, "extra_content": extra}]), delta("stop"))
    assert events[1] == ToolStarted(0, "a", "f", signature="s")


def test_peek_tells_what_to_mend_and_what_it_cost() -> None:
    usage = b'"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}'
    peek = peek_whole(b'{"choices":[{"message":{"content":[{}]},"finish_reason":"stop","logprobs":7}],' + usage + b"}")
    assert (peek.odd, peek.usage and peek.usage.total_tokens) == (False, 3)
    assert peek_whole(b'{"choices":[{"message":{"tool_calls":[]}}]}') == WholePeek(odd=True, usage=None)
    assert peek_whole(b'{"choices":[{"finish_reason":"safety"}]}').odd


def test_peek_opens_no_more_than_it_tells() -> None:
    token = b'{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[]},'
    body = b'{"choices":[{"logprobs":{"content":[' + token * 100_000 + b"null]}}]}"
    tracemalloc.start()
    peek_whole(body)
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    "body", [b"", b'{"choices":null}', b"{}", b"\xff", b'{"choices":5}', b'{"error":{"message":"m"}}']
)
def test_peek_refuses_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        peek_whole(body)


# --- mending ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "mended"),
    [
        (b'{"finish_reason":"eos"}', b'{"finish_reason":"stop"}'),
        (b'{"finish_reason":"safety","x":1e400}', b'{"finish_reason":"content_filter","x":1e400}'),
        (b'{"message":{"tool_calls":[ ],"content":"\\u00e9"}}', b'{"message":{"content":"\\u00e9"}}'),
        (b'{"delta":{"a":[1, 2],"tool_calls":[]}}', b'{"delta":{"a":[1, 2]}}'),
    ],
)
def test_mending_changes_the_slip_alone(given: bytes, mended: bytes) -> None:
    around = b'{"id":"x","choices":[{ "finish_reason":"stop" },%b],"usage":{"tool_calls":[],"finish_reason":"eos"}}'
    assert mend_answer(around % given) == around % mended


@pytest.mark.parametrize("data", [b"5", b"{}", b'{"choices":7}', b'{"choices":[{"delta":[],"finish_reason":5}]}', b"{"])
def test_mending_leaves_alone_what_it_does_not_know(data: bytes) -> None:
    assert mend_answer(data) == data


def test_usage_that_makes_no_sense_is_no_usage() -> None:
    for usage in ({"prompt_tokens": -1, "completion_tokens": 1, "total_tokens": 0}, {"prompt_tokens": "x"}, 5):
        body = {"id": "c", "choices": [{"message": {"content": "x"}, "finish_reason": "stop"}], "usage": usage}
        events = CHAT.parse_answer(json.dumps(body).encode(), CONTEXT)
        assert not [event for event in events if isinstance(event, Usage)]
