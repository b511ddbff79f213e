"""Section G: answers of Gemini."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.edge_cases.asking import (
    CONTEXT,
    GEMINI_3,
    JSON,
    answer,
    choice,
    chunks,
    deltas,
    finishes,
    gemini_response,
    gemini_stream,
    read,
)

from feathergate.dialects.gemini import GEMINI
from feathergate.events import Finished, ToolArgs

CALL = {"functionCall": {"name": "f", "args": {"a": 1}}}


def calls(body: JSON) -> list[JSON]:
    found: list[JSON] = choice(GEMINI_3, body)["message"]["tool_calls"]
    return found


def test_111_every_part_is_read() -> None:
    found = choice(GEMINI_3, gemini_response({"text": "a"}, CALL, CALL, finish="STOP"))
    assert (found["message"]["content"], len(found["message"]["tool_calls"])) == ("a", 2)


def test_112_call_before_the_stop_finishes_as_a_call() -> None:
    stream = gemini_stream(gemini_response(CALL), gemini_response({"text": ""}, finish="STOP"))
    assert finishes(chunks(GEMINI_3, stream)) == ["tool_calls"]


def test_113_call_cut_short_is_a_length() -> None:
    assert choice(GEMINI_3, gemini_response(CALL, finish="MAX_TOKENS"))["finish_reason"] == "length"


def test_114_calls_without_arguments_or_ids_are_two_whole_calls() -> None:
    one, two = calls(gemini_response({"functionCall": {"name": "f"}}, {"functionCall": {"name": "f"}}, finish="STOP"))
    assert (one["function"]["arguments"], two["function"]["arguments"]) == ("{}", "{}")
    assert one["id"] != two["id"]


def test_115_parts_are_joined_as_they_are() -> None:
    message = choice(GEMINI_3, gemini_response({"text": "a"}, {"text": "b"}, finish="STOP"))["message"]
    assert message["content"] == "ab"


def test_116_answer_that_was_all_thinking_is_a_length_with_its_tokens() -> None:
    body = {
        "candidates": [{"finishReason": "MAX_TOKENS"}],
        "usageMetadata": {"promptTokenCount": 3, "thoughtsTokenCount": 9, "totalTokenCount": 12},
    }
    completion = answer(GEMINI_3, body)
    assert (completion["choices"][0]["message"]["content"], completion["choices"][0]["finish_reason"]) == (
        None,
        "length",
    )
    assert completion["usage"]["completion_tokens_details"]["reasoning_tokens"] == 9


def test_117_blocked_prompt_is_a_refusal() -> None:
    found = choice(GEMINI_3, {"promptFeedback": {"blockReason": "SAFETY"}})
    assert (found["finish_reason"], bool(found["message"]["refusal"])) == ("content_filter", True)


@pytest.mark.parametrize("metadata", [{"usageMetadata": {"trafficType": "ON_DEMAND"}}, {"usageMetadata": {}}, {}])
def test_118_chunk_of_metadata_makes_no_delta(metadata: JSON) -> None:
    stream = gemini_stream(metadata, gemini_response({"text": "a"}, finish="STOP"), metadata)
    assert deltas(chunks(GEMINI_3, stream), "content") == ["a"]


FILTERED = (
    "SAFETY RECITATION LANGUAGE BLOCKLIST PROHIBITED_CONTENT SPII IMAGE_SAFETY ESCALATION MODEL_ARMOR OTHER NO_IMAGE"
)


@pytest.mark.parametrize("native", FILTERED.split())
def test_119_filtered_answer_says_so(native: str) -> None:
    assert choice(GEMINI_3, gemini_response({"text": "a"}, finish=native))["finish_reason"] == "content_filter"


def test_120_thoughts_are_no_content() -> None:
    message = choice(GEMINI_3, gemini_response({"text": "hm", "thought": True}, {"text": "a"}, finish="STOP"))[
        "message"
    ]
    assert (message["reasoning_content"], message["content"]) == ("hm", "a")


@pytest.mark.parametrize(("candidates", "total", "completion"), [(5, 17, 14), (14, 17, 14)])
def test_121_thoughts_are_counted_once(candidates: int, total: int, completion: int) -> None:
    counts = {
        "promptTokenCount": 3,
        "candidatesTokenCount": candidates,
        "thoughtsTokenCount": 9,
        "totalTokenCount": total,
    }
    found = answer(GEMINI_3, gemini_response({"text": "a"}, finish="STOP", usageMetadata=counts))["usage"]
    assert (found["completion_tokens"], found["completion_tokens_details"]["reasoning_tokens"]) == (completion, 9)


def test_122_last_usage_counts() -> None:
    counts = [{"promptTokenCount": 3, "candidatesTokenCount": n, "totalTokenCount": 3 + n} for n in (1, 2)]
    stream = gemini_stream(
        gemini_response({"text": "a"}, usageMetadata=counts[0]),
        gemini_response({"text": "b"}, finish="STOP", usageMetadata=counts[1]),
    )
    assert chunks(GEMINI_3, stream)[-1]["usage"]["total_tokens"] == 5


def test_123_citation_counts_characters_from_an_absent_start() -> None:
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://a.example", "title": "t"}}],
        "groundingSupports": [{"segment": {"endIndex": 5, "text": "été"}, "groundingChunkIndices": [0]}],
    }
    response = gemini_response({"text": "été vient"}, finish="STOP")
    response["candidates"][0]["groundingMetadata"] = grounding
    (citation,) = choice(GEMINI_3, response)["message"]["annotations"]
    assert (citation["url_citation"]["start_index"], citation["url_citation"]["end_index"]) == (0, 3)


def failure(code: int, **error: Any) -> Any:
    return GEMINI.parse_error(code, [], json.dumps({"error": {"code": code, "message": "m", **error}}).encode())


def test_124_rejected_key_is_not_the_clients_fault() -> None:
    error = failure(400, status="INVALID_ARGUMENT", details=[{"@type": "x", "reason": "API_KEY_INVALID"}])
    assert (error.status, error.kind, error.retryable, error.fault) == (502, "auth", True, "upstream")


def test_125_delay_stands_in_the_body() -> None:
    error = failure(429, status="RESOURCE_EXHAUSTED", details=[{"@type": "x", "retryDelay": "34.4s"}])
    assert (error.retry_after_s, error.retryable) == (35.0, True)


def test_125_quota_of_a_day_is_not_worth_another_attempt() -> None:
    violations = [{"quotaId": "GenerateRequestsPerDayPerProject"}]
    error = failure(429, status="RESOURCE_EXHAUSTED", details=[{"@type": "x", "violations": violations}])
    assert (error.kind, error.retryable) == ("quota", False)


def test_126_answer_to_be_continued_is_unfinished() -> None:
    body = gemini_response({"text": "a"}, finish="CONTINUATION")
    assert choice(GEMINI_3, body)["finish_reason"] == "length"


def test_127_arguments_in_pieces_are_put_together() -> None:
    pieces: list[JSON] = [
        {"name": "f", "willContinue": True},
        {"partialArgs": [{"jsonPath": "$.city", "stringValue": "Pa", "willContinue": True}], "willContinue": True},
        {"partialArgs": [{"jsonPath": "$.city", "stringValue": "ris"}], "willContinue": True},
        {},
    ]
    stream = gemini_stream(
        *(gemini_response({"functionCall": piece}) for piece in pieces), gemini_response(finish="STOP")
    )
    events = read(GEMINI_3, stream)
    assert [json.loads(event.text) for event in events if isinstance(event, ToolArgs)] == [{"city": "Paris"}]
    assert [event.reason for event in events if isinstance(event, Finished)] == ["tool_calls"]
    assert CONTEXT.tool_names == {}
