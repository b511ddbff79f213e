"""Events as OpenAI's chunks and answers; the SDK's own types and accumulator are the judges."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.lib.streaming.chat._completions import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from feathergate.dialects.render import ChunkRenderer, render_answer
from feathergate.events import (
    Annotations,
    Event,
    Extra,
    Finished,
    FinishReason,
    Logprobs,
    Media,
    Reasoning,
    RedactedReasoning,
    Refusal,
    Signature,
    Started,
    Text,
    ToolArgs,
    ToolStarted,
    Usage,
)
from feathergate.testing import check_chunks
from feathergate.wire.chat import CompletionTokensDetails
from feathergate.wire.chat import Usage as TokenUsage

START = Started("id1", "served", 7)
USAGE = Usage(TokenUsage(3, 4, 7, completion_tokens_details=CompletionTokensDetails(reasoning_tokens=2)))
CITATION = {"type": "url_citation", "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 2}}
TOKEN = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}
EVENTS: list[Event] = [
    START,
    Reasoning("hm", 0, 0),
    Reasoning(" yes", 0, 0),
    Signature("sig", 0),
    RedactedReasoning("blob", 1),
    Text("a\u2028é"),
    Logprobs({"content": [TOKEN]}),
    Text("b"),
    Refusal("no"),
    ToolStarted(0, "c1", "f", signature="s"),
    ToolArgs(0, '{"a":'),
    ToolArgs(0, "1}"),
    ToolStarted(1, "c2", "g"),
    ToolArgs(1, "{}"),
    Text("other", 1),
    Annotations((CITATION,)),
    Media({"type": "image_url", "image_url": {"url": "data:,"}}, 0),
    Extra({"google": {"thought_signature": "t"}}),
    Finished("tool_calls"),
    Finished("stop", 1),
    USAGE,
]


def chunks(events: list[Event], **options: bool) -> list[dict[str, Any]]:
    renderer = ChunkRenderer("fallback", 9, **options)
    out = b"".join(map(renderer.render, events))
    return [json.loads(event.removeprefix(b"data: ")) for event in out.split(b"\n\n") if event]


def answer(events: list[Event], **options: bool) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(render_answer(events, "fallback", 9, **options))
    return whole


def accumulate(parts: list[dict[str, Any]]) -> dict[str, Any]:
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for part in parts:
        state.handle_chunk(ChatCompletionChunk.model_validate(part, strict=True))
    return state.get_final_completion().model_dump(exclude_none=True)


def test_chunks_hold_what_the_sdk_needs() -> None:
    check_chunks(chunks(EVENTS, include_usage=True))


def test_chunks_accumulate_to_the_whole_answer() -> None:
    whole = ChatCompletion.model_validate(answer(EVENTS), strict=True).model_dump(exclude_none=True)
    streamed = accumulate(chunks(EVENTS, include_usage=True))
    for ours, theirs in zip(whole["choices"], streamed["choices"], strict=True):
        message, expected = theirs["message"], ours["message"]
        for member in ("content", "refusal", "reasoning_content", "annotations", "extra_content"):
            assert message.get(member) == expected.get(member), member
        blocks = [{k: v for k, v in block.items() if k != "index"} for block in message.get("thinking_blocks", [])]
        assert blocks == expected.get("thinking_blocks", [])
        assert theirs["finish_reason"] == ours["finish_reason"]
        assert theirs.get("logprobs") == ours.get("logprobs")
    assert streamed["usage"] == whole["usage"]


def test_usage_is_told_only_to_those_who_ask() -> None:
    plain, asked = chunks(EVENTS), chunks(EVENTS, include_usage=True)
    assert all("usage" not in chunk for chunk in plain)
    assert [chunk["usage"] for chunk in asked[:-1]] == [None] * (len(asked) - 1)
    assert asked[-1]["usage"]["total_tokens"] == 7


def test_id_and_time_are_the_providers_or_ours() -> None:
    assert {(c["id"], c["created"], c["model"]) for c in chunks(EVENTS)} == {("id1", 7, "served")}
    assert {(c["id"], c["created"]) for c in chunks([Started("", "m"), Text("x")])} == {("fallback", 9)}


@pytest.mark.parametrize("include_usage", [True, False])
def test_text_alone_is_said_as_its_event_is(include_usage: bool) -> None:
    quick, plain = (ChunkRenderer("fallback", 9, include_usage=include_usage) for _ in range(2))
    assert quick.render(START) == plain.render(START)
    for event in (Text('a\u2028"é'), Text(""), Text("other", 1), Text("b"), Text("c", 1)):
        assert quick.render_text(event.text, event.choice) == plain.render(event)


def test_legacy_functions_come_back_as_function_call() -> None:
    events: list[Event] = [START, ToolStarted(0, "c", "f"), ToolArgs(0, "{}"), Finished("tool_calls")]
    choice = answer(events, legacy_functions=True)["choices"][0]
    assert choice["message"]["function_call"] == {"name": "f", "arguments": "{}"}
    assert choice["finish_reason"] == chunks(events, legacy_functions=True)[-1]["choices"][0]["finish_reason"]
    assert choice["finish_reason"] == "function_call"


def test_custom_tools_come_back_with_their_text() -> None:
    events: list[Event] = [
        START,
        ToolStarted(0, "c", "f", kind="custom"),
        ToolArgs(0, "te"),
        ToolArgs(0, "xt"),
        Finished("tool_calls"),
    ]
    (call,) = answer(events)["choices"][0]["message"]["tool_calls"]
    assert call == {"id": "c", "type": "custom", "custom": {"name": "f", "input": "text"}}
    deltas = [chunk["choices"][0]["delta"]["tool_calls"][0]["custom"] for chunk in chunks(events)[:-1]]
    assert "".join(delta["input"] for delta in deltas) == "text"


@pytest.mark.parametrize("events", [[START, Finished("length")], [START, Text(""), Finished("content_filter")]])
def test_answer_without_text_is_still_an_answer(events: list[Event]) -> None:
    assert ChatCompletion.model_validate(answer(events), strict=True).choices[0].message.refusal is None
    check_chunks(chunks(events))


@pytest.mark.parametrize("tier", [None, "", "priority"])
@pytest.mark.parametrize(("reason", "choice"), [("stop", 0), ("length", 0), ("stop", 1)])
def test_plain_answer_is_written_like_any_other(tier: str | None, reason: FinishReason, choice: int) -> None:
    ends = [Finished(reason, choice), Usage(TokenUsage(1, 2, 3), tier)]
    plain = [Started('"', "mé", 7, tier), Text("a\n\u2028", choice), *ends]
    in_two = [Started('"', "mé", 7, tier), Text("a", choice), Text("\n\u2028", choice), *ends]
    assert render_answer(plain, "id", 1) == render_answer(in_two, "id", 1)
