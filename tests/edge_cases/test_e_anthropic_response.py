"""Section E: answers of Anthropic."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.edge_cases.asking import (
    CLAUDE,
    JSON,
    answer,
    anthropic_answer,
    anthropic_stream,
    arguments,
    block,
    choice,
    chunks,
    deltas,
    finishes,
    read,
    said,
    text,
    use,
)

from feathergate.dialects.messages import MESSAGES
from feathergate.events import ToolArgs, ToolStarted

THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "s"}


def test_076_text_is_that_of_the_text_blocks() -> None:
    message = choice(CLAUDE, anthropic_answer(THOUGHT, text("a")))["message"]
    assert (message["content"], message["reasoning_content"]) == ("a", "hm")


def test_077_text_around_a_call_is_joined() -> None:
    found = choice(CLAUDE, anthropic_answer(text("a"), use(), text("b"), stop="tool_use"))
    assert (found["message"]["content"], len(found["message"]["tool_calls"])) == ("ab", 1)


def test_077_answer_without_blocks_stops() -> None:
    found = choice(CLAUDE, anthropic_answer())
    assert (found["message"]["content"], found["finish_reason"]) == (None, "stop")


def streamed_arguments(*pieces: str) -> str:
    events = read(CLAUDE, anthropic_stream(*block(0, use(), *map(arguments, pieces)), stop="tool_use"))
    return "".join(event.text for event in events if isinstance(event, ToolArgs))


def test_078_empty_input_of_a_blocks_start_is_not_its_arguments() -> None:
    assert streamed_arguments('{"a"', ":1}") == '{"a":1}'


@pytest.mark.parametrize("pieces", [(), ("",), ("", "")])
def test_079_call_without_arguments_has_an_empty_object(pieces: tuple[str, ...]) -> None:
    assert streamed_arguments(*pieces) == "{}"


def test_080_input_of_a_providers_tool_is_no_call() -> None:
    search = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    events = read(
        CLAUDE, anthropic_stream(*block(0, search, arguments('{"query":"q"}')), *block(1, text(""), said("a")))
    )
    assert not [event for event in events if isinstance(event, (ToolStarted, ToolArgs))]


def test_081_refusal_is_told_with_its_words() -> None:
    body = anthropic_answer(text("I"), stop="refusal", stop_details={"explanation": "Not this."})
    found = choice(CLAUDE, body)
    assert (found["finish_reason"], found["message"]["refusal"], found["message"]["content"]) == (
        "content_filter",
        "Not this.",
        "I",
    )


@pytest.mark.parametrize("native", ["model_context_window_exceeded", "max_tokens"])
def test_082_full_window_is_a_length(native: str) -> None:
    assert choice(CLAUDE, anthropic_answer(text("a"), stop=native))["finish_reason"] == "length"


def test_083_turn_that_pauses_is_unfinished() -> None:
    assert choice(CLAUDE, anthropic_answer(text("a"), stop="pause_turn"))["finish_reason"] == "length"
    assert finishes(chunks(CLAUDE, anthropic_stream(*block(0, text("a")), stop="pause_turn"))) == ["length"]


CACHED = {"input_tokens": 3, "cache_read_input_tokens": 10, "cache_creation_input_tokens": 100, "output_tokens": 5}


def usage(counts: JSON) -> JSON:
    found: JSON = answer(CLAUDE, anthropic_answer(text("a"), usage=counts))["usage"]
    return found


def test_085_prompt_includes_what_was_cached() -> None:
    assert usage(CACHED) == {
        "prompt_tokens": 113,
        "completion_tokens": 5,
        "total_tokens": 118,
        "prompt_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 100},
    }


def test_086_counts_of_a_stream_replace_one_another() -> None:
    counted: list[JSON] = [
        {"type": "message_delta", "delta": {}, "usage": {"input_tokens": 3, "output_tokens": tokens}}
        for tokens in (2, 4)
    ]
    *_, last = chunks(CLAUDE, anthropic_stream(*block(0, text("a")), *counted))
    assert (last["usage"]["prompt_tokens"], last["usage"]["completion_tokens"]) == (3, 5)


def test_087_iterations_count_once_and_those_on_the_side_too() -> None:
    own = {"type": "message", "input_tokens": 3, "output_tokens": 5}
    aside = [{"type": kind, "input_tokens": 20, "output_tokens": 7} for kind in ("compaction", "advisor_message")]
    assert usage({"input_tokens": 3, "output_tokens": 5, "iterations": [own]})["total_tokens"] == 8
    counted = usage({"input_tokens": 3, "output_tokens": 5, "iterations": [own, *aside]})
    assert (counted["prompt_tokens"], counted["completion_tokens"], counted["total_tokens"]) == (43, 19, 62)


OVERLOADED = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'


@pytest.mark.parametrize("body", [OVERLOADED, b"<html>529</html>", b"", b"\xff"])
def test_088_overload_is_worth_another_attempt_whatever_its_body(body: bytes) -> None:
    error = MESSAGES.parse_error(529, [], body)
    assert (error.status, error.upstream_status, error.retryable) == (502, 529, True)


def test_088_page_for_a_large_body_is_a_413() -> None:
    error = MESSAGES.parse_error(413, [], b"<html>too large</html>")
    assert (error.status, error.retryable, "<html>" in error.message) == (413, False, False)


def failure(status: int, message: str) -> Any:
    body = {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
    return MESSAGES.parse_error(status, [], json.dumps(body).encode())


def test_089_prompt_that_is_too_long_has_openais_code() -> None:
    error = failure(400, "prompt is too long: 210000 tokens > 200000 maximum")
    assert (error.status, error.code) == (400, "context_length_exceeded")


def test_090_spent_budget_is_a_quota() -> None:
    error = failure(400, "You have reached your specified API usage limits. You will regain access on 2026-12-01.")
    assert (error.kind, error.code, error.retryable) == ("quota", "insufficient_quota", False)


def test_076_streamed_text_is_that_of_the_text_blocks() -> None:
    thinking = block(0, {"type": "thinking", "thinking": ""}, {"type": "thinking_delta", "thinking": "hm"})
    assert deltas(chunks(CLAUDE, anthropic_stream(*thinking, *block(1, text(""), said("a")))), "content") == ["a"]
