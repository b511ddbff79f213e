"""Gemini's whole answers as events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from feathergate.dialects.contract import Context
from feathergate.dialects.gemini import GEMINI
from feathergate.errors import UpstreamError
from feathergate.events import (
    Annotations,
    Audio,
    Event,
    Extra,
    Finished,
    Logprobs,
    Media,
    Reasoning,
    Refusal,
    Started,
    Text,
    ToolArgs,
    ToolStarted,
    Usage,
    check_legal,
)
from feathergate.wire.chat import CompletionTokensDetails, PromptTokensDetails
from feathergate.wire.chat import Usage as TokenUsage

CONTEXT = Context(model="asked")


def answer(*parts: dict[str, Any], finish: str | int | None = "STOP", **candidate: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": list(parts)}, "finishReason": finish, **candidate}]}


def read(body: Any, context: Context = CONTEXT) -> list[Event]:
    events = list(GEMINI.parse_answer(json.dumps(body, ensure_ascii=False).encode(), context))
    check_legal(events)
    return events


def failed(body: Any) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        read(body)
    return caught.value


def call(name: str, **members: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, **members}}


def only(kind: type[Event], events: list[Event]) -> Any:
    (event,) = [event for event in events if isinstance(event, kind)]
    return event


# --- parts --------------------------------------------------------------------------------------------------------


def test_text_and_thoughts_are_told_apart_in_order() -> None:
    events = read(
        {**answer({"text": "hm", "thought": True}, {"text": "a"}, {"text": ""}, {"text": "b"}), "responseId": "r"}
    )
    assert events == [Started("r", "asked"), Reasoning("hm"), Text("a"), Text("b"), Finished("stop", native="STOP")]


def test_served_model_is_the_providers() -> None:
    assert read({**answer({"text": "a"}), "modelVersion": "gemini-3.5-flash-002"})[0] == Started(
        "", "gemini-3.5-flash-002"
    )


def test_calls_keep_id_signature_and_the_text_of_their_arguments() -> None:
    body = b'{"candidates":[{"finishReason":"STOP","content":{"parts":[{"functionCall":{"id":"c1","name":"f",'
    body += b'"args":{\n "a": 1e400, "b": 12345678901234567890.10}},"thoughtSignature":"S"}]}}]}'
    events = GEMINI.parse_answer(body, CONTEXT)
    assert events[1:3] == [
        ToolStarted(0, "c1", "f", signature="S"),
        ToolArgs(0, '{"a":1e400,"b":12345678901234567890.10}'),
    ]


def test_call_after_stop_reason_is_tool_calls() -> None:
    assert read(answer({"text": "so"}, call("f")))[-1] == Finished("tool_calls", native="STOP")


@pytest.mark.parametrize("args", [{}, {"args": None}, {"args": {}}])
def test_absent_arguments_are_an_empty_object(args: dict[str, Any]) -> None:
    assert only(ToolArgs, read(answer(call("f", **args)))).text == "{}"


def test_ids_are_made_where_there_are_none_distinct_and_the_same_every_time() -> None:
    body = answer(call("f", args={"a": 1}), call("f", args={"a": 1}), call("f", id="x"), call("f", id="x"))
    first, second = ([event.id for event in read(body) if isinstance(event, ToolStarted)] for _ in range(2))
    assert first == second
    assert len(set(first)) == 4
    assert first[2] == "x"


def test_ids_of_two_answers_differ() -> None:
    one, other = ({**answer(call("f")), "responseId": name} for name in ("r1", "r2"))
    assert only(ToolStarted, read(one)).id != only(ToolStarted, read(other)).id


def test_names_are_changed_back_and_custom_tools_give_their_text() -> None:
    context = Context(model="m", tool_names={"_1x": "1x"}, custom_tools=frozenset({"1x"}))
    events = read(answer(call("_1x", args={"input": "select 1"})), context)
    assert (only(ToolStarted, events).name, only(ToolStarted, events).kind) == ("1x", "custom")
    assert only(ToolArgs, events).text == "select 1"


def test_signature_of_a_text_comes_once_before_the_finish() -> None:
    events = read(answer({"text": "a"}, {"text": "", "thoughtSignature": "S"}))
    assert events[-2:] == [Extra({"google": {"thought_signature": "S"}}), Finished("stop", native="STOP")]


def test_parts_of_the_providers_own_tools_are_kept_for_the_next_turn() -> None:
    code, result = {"executableCode": {"code": "1"}, "thoughtSignature": "S"}, {"codeExecutionResult": {"output": "1"}}
    events = read(answer(code, result, {"text": "1"}))
    assert only(Extra, events).value == {"google": {"parts": [code, result]}}


def test_part_of_text_and_call_is_both() -> None:
    events = read(answer({"text": "a", **call("f")}))
    assert [type(event) for event in events[1:4]] == [Text, ToolStarted, ToolArgs]


def test_image_is_a_data_url_and_sound_is_audio() -> None:
    image = {"inlineData": {"mimeType": "image/png", "data": "AA=="}}
    sound = {"inlineData": {"mimeType": "audio/L16;rate=24000", "data": "BB=="}}
    events = read({**answer(image, sound, sound, image), "responseId": "r"})
    media = [event for event in events if isinstance(event, Media)]
    assert [event.index for event in media] == [0, 1]
    assert media[0].item == {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    assert [event.value for event in events if isinstance(event, Audio)] == [
        {"id": "audio_r", "transcript": "", "expires_at": 0, "data": "BB=="},
        {"data": "BB=="},
    ]


def test_several_candidates_are_choices() -> None:
    body = {
        "candidates": [
            {"index": 1, "content": {"parts": [{"text": "b"}, call("f")]}, "finishReason": "STOP"},
            {"content": {"parts": [{"text": "a"}]}, "finishReason": "MAX_TOKENS"},
        ]
    }
    events = read(body)
    assert [event for event in events if isinstance(event, Finished)] == [
        Finished("length", 0, "MAX_TOKENS"),
        Finished("tool_calls", 1, "STOP"),
    ]
    assert Text("b", 1) in events


def test_logprobs_hold_bytes_and_the_runners_up() -> None:
    result = {
        "chosenCandidates": [{"token": "é", "logProbability": -0.5}, {"token": "x"}],
        "topCandidates": [{"candidates": [{"token": "e", "logProbability": -1.5}]}],
    }
    content = only(Logprobs, read(answer({"text": "éx"}, logprobsResult=result))).value["content"]
    other = {"token": "e", "logprob": -1.5, "bytes": [101]}
    assert content[0] == {"token": "é", "logprob": -0.5, "bytes": [195, 169], "top_logprobs": [other]}
    assert content[1] == {"token": "x", "logprob": 0.0, "bytes": [120], "top_logprobs": []}


# --- grounding ----------------------------------------------------------------------------------------------------


def cite(*parts: dict[str, Any], **segment: Any) -> list[tuple[int, int, str]]:
    grounding = {
        "groundingChunks": [{}, {"web": {"uri": "https://a", "title": "A"}}, {"maps": {"uri": "https://b"}}],
        "groundingSupports": [{"segment": segment, "groundingChunkIndices": [0, 1, 2, 9]}],
    }
    items = only(Annotations, read(answer(*parts, groundingMetadata=grounding))).items
    assert [item["url_citation"]["url"] for item in items] == ["https://a", "https://b"]
    return [(c["start_index"], c["end_index"], c["title"]) for item in items if (c := item["url_citation"])]


def test_citations_count_characters_not_bytes() -> None:
    assert cite({"text": "é"}, {"text": "à b"}, startIndex=2, endIndex=6, text="à b")[0] == (1, 4, "A")


def test_citation_without_start_begins_at_the_beginning() -> None:
    assert cite({"text": "hm", "thought": True}, {"text": "abc"}, endIndex=2, text="ab")[0] == (0, 2, "A")


def test_citation_of_a_part_counts_from_that_part() -> None:
    assert cite({"text": "abc"}, {"text": "déf"}, partIndex=1, startIndex=1, endIndex=3, text="é")[0] == (4, 5, "A")


def test_citation_that_ignores_its_part_is_found_by_its_words() -> None:
    assert cite({"text": "abc"}, {"text": "def"}, partIndex=1, startIndex=4, endIndex=6, text="ef")[0] == (4, 6, "A")


def test_grounding_without_sources_gives_no_annotations() -> None:
    grounding = {"groundingChunks": [{}], "groundingSupports": [{"groundingChunkIndices": [0], "segment": {}}]}
    assert not any(isinstance(e, Annotations) for e in read(answer({"text": "a"}, groundingMetadata=grounding)))


# --- the end ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("native", "reason"),
    [
        ("STOP", "stop"),
        (1, "stop"),
        (2, "length"),
        (3, "content_filter"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("OTHER", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("MODEL_ARMOR", "content_filter"),
        ("TOO_MANY_TOOL_CALLS", "length"),
        ("CONTINUATION", "length"),
        ("MALFORMED_FUNCTION_CALL", "stop"),
        ("FINISH_REASON_UNSPECIFIED", "stop"),
        ("NEWER_THAN_US", "stop"),
        (99, "stop"),
        (None, "stop"),
    ],
)
def test_finish_reason_is_one_of_openais(native: str | int | None, reason: str) -> None:
    assert only(Finished, read(answer({"text": "a"}, finish=native))).reason == reason


def test_length_stays_length_beside_a_call() -> None:
    assert only(Finished, read(answer(call("f"), finish="MAX_TOKENS"))).reason == "length"


def test_legacy_functions_are_left_to_the_renderer() -> None:
    assert only(Finished, read(answer(call("f")), Context(model="m", legacy_functions=True))).reason == "tool_calls"


def test_finish_without_content_is_an_answer() -> None:
    assert read(answer(finish="MAX_TOKENS"))[1:] == [Finished("length", native="MAX_TOKENS")]


@pytest.mark.parametrize(
    ("feedback", "words"),
    [
        ({"blockReason": "SAFETY"}, "The provider blocked the prompt: SAFETY."),
        ({"blockReason": 4, "blockReasonMessage": "Not this."}, "Not this."),
    ],
)
def test_blocked_prompt_is_a_refusal(feedback: dict[str, Any], words: str) -> None:
    events = read({"promptFeedback": feedback, "usageMetadata": {"promptTokenCount": 3}})
    assert events[1] == Refusal(words)
    assert (events[2].reason, events[3].usage.prompt_tokens) == ("content_filter", 3)  # type: ignore[attr-defined]


@pytest.mark.parametrize("body", [{}, [], {"promptFeedback": {}}, {"candidates": [{"content": {}}]}])
def test_answer_that_says_nothing_is_the_providers_failure(body: Any) -> None:
    error = failed(body)
    assert (error.kind, error.status, error.retryable) == ("protocol", 502, True)


@pytest.mark.parametrize("native", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE"])
def test_models_own_mistake_without_content_can_be_tried_again(native: str) -> None:
    error = failed(answer(finish=native, finishMessage="print(f())"))
    assert (error.kind, error.status, error.retryable) == ("protocol", 502, True)
    assert native in error.message
    assert "print(f())" in error.message


def test_missing_signature_is_a_wrong_request() -> None:
    error = failed(answer(finish="MISSING_THOUGHT_SIGNATURE"))
    assert (error.status, error.retryable, error.param) == (400, False, "messages")


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"candidates": [', b"[" * 9000, b'{"candidates": 7}'])
def test_body_that_is_no_answer_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(UpstreamError) as caught:
        GEMINI.parse_answer(body, CONTEXT)
    assert (caught.value.kind, caught.value.status) == ("protocol", 502)


@pytest.mark.parametrize("wrap", [lambda error: error, lambda error: [error]])
def test_error_in_disguise_is_an_error(wrap: Any) -> None:
    error = failed(wrap({"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}))
    assert (error.status, error.code, error.message) == (429, "rate_limit_exceeded", "slow down")


# --- usage --------------------------------------------------------------------------------------------------------


def usage(**members: Any) -> TokenUsage:
    found: Usage = only(Usage, read({**answer({"text": "a"}), "usageMetadata": members}))
    return found.usage


def test_usage_adds_thoughts_and_tool_prompts() -> None:
    told = usage(
        promptTokenCount=21,
        toolUsePromptTokenCount=243,
        cachedContentTokenCount=5,
        candidatesTokenCount=126,
        thoughtsTokenCount=95,
        totalTokenCount=485,
        promptTokensDetails=[{"modality": "TEXT", "tokenCount": 20}, {"modality": 4, "tokenCount": 1}],
        candidatesTokensDetails=[{"modality": "IMAGE", "tokenCount": 126}],
    )
    assert told == TokenUsage(
        prompt_tokens=264,
        completion_tokens=221,
        total_tokens=485,
        prompt_tokens_details=PromptTokensDetails(cached_tokens=5, text_tokens=20, audio_tokens=1),
        completion_tokens_details=CompletionTokensDetails(reasoning_tokens=95, image_tokens=126),
    )


def test_thoughts_that_the_candidates_include_are_not_added() -> None:
    told = usage(promptTokenCount=10, candidatesTokenCount=50, thoughtsTokenCount=40, totalTokenCount=60)
    assert (told.completion_tokens, told.total_tokens) == (50, 60)


@pytest.mark.parametrize(
    ("members", "numbers"),
    [
        ({"promptTokenCount": 6}, (6, 0, 6)),
        ({"candidatesTokenCount": 1, "totalTokenCount": 9}, (0, 1, 9)),
        ({}, (0, 0, 0)),
    ],
)
def test_usage_may_lack_any_number(members: dict[str, int], numbers: tuple[int, int, int]) -> None:
    told = usage(**members)
    assert (told.prompt_tokens, told.completion_tokens, told.total_tokens) == numbers


def test_answer_without_usage_tells_none() -> None:
    assert not any(isinstance(event, Usage) for event in read(answer({"text": "a"})))


@pytest.mark.parametrize(("tier", "told"), [("standard", "default"), ("PRIORITY", "priority"), ("newer", None)])
def test_service_tier_is_told_in_openais_words(tier: str, told: str | None) -> None:
    events = read({**answer({"text": "a"}), "usageMetadata": {"serviceTier": tier}})
    assert only(Usage, events).service_tier == told
