"""Recorded answers, streams and errors of Gemini, against a reading of them that is as plain as can be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from tests.recorded import Recording, each_recording

from feathergate.dialects.contract import Context
from feathergate.dialects.gemini import GEMINI
from feathergate.errors import UpstreamError
from feathergate.events import Event, Finished, Reasoning, Text, ToolArgs, ToolStarted, Usage, check_legal
from feathergate.wire.sse import SseReader

CONTEXT = Context(model="m")
LIMIT = 1 << 24

FINISH = {"STOP": "stop", 1: "stop", "MAX_TOKENS": "length", "FAKE_ENUM": "stop"} | dict.fromkeys(
    ("SAFETY", "RECITATION", "MODEL_ARMOR", "OTHER"), "content_filter"
)
# What holds nothing that a client could use is an error: its kind, and a word of its message.
FAILURES = {
    "ruby_llm__chat_tool_choice_and_calls_control_vertexai_gemini-2_5-flash_respects_choice_none__1__hist": (
        "protocol",
        "UNEXPECTED_TOOL_CALL",
    ),
    "firebase__googleai_unary-failure-only-prompt-feedback": ("protocol", "neither"),
    "firebase__vertexai_unary-failure-empty-content": ("protocol", "neither"),
    "firebase__vertexai_streaming-failure-empty-content": ("truncated", "ended"),
    "firebase__vertexai_streaming-failure-error-mid-stream": ("status", "The operation was cancelled."),
}
CREDENTIALS = {"API_KEY_INVALID", "API_KEY_EXPIRED"}


def read_stream(pieces: Sequence[bytes]) -> list[Event]:
    decoder, sse = GEMINI.open_stream(CONTEXT), SseReader(LIMIT)
    events: list[Event] = []
    for piece in pieces:
        for event in sse.feed(piece):
            events += decoder.decode(*event)
    if (last := sse.close()) is not None:
        events += decoder.decode(*last)
    return [*events, *decoder.finish()]


def said(events: Sequence[Event]) -> dict[str, Any]:
    """What a client gets, in the terms of `recorded`."""
    check_legal(events)
    calls: dict[int, list[Any]] = {e.tool: [e.name, ""] for e in events if isinstance(e, ToolStarted)}
    for event in events:
        if isinstance(event, ToolArgs):
            calls[event.tool][1] += event.text
    return {
        "text": "".join(e.text for e in events if isinstance(e, Text)),
        "thoughts": "".join(e.text for e in events if isinstance(e, Reasoning)),
        "calls": [(name, json.loads(arguments)) for name, arguments in calls.values()],
        "finish": [e.reason for e in events if isinstance(e, Finished)],
        "tokens": [
            (e.usage.prompt_tokens, e.usage.completion_tokens, e.usage.total_tokens)
            for e in events
            if isinstance(e, Usage)
        ],
    }


def recorded(responses: Sequence[dict[str, Any]]) -> dict[str, Any]:
    candidates = [candidate for response in responses for candidate in response.get("candidates", [])]
    parts = [part for candidate in candidates for part in (candidate.get("content") or {}).get("parts") or []]
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    reasons = [candidate["finishReason"] for candidate in candidates if "finishReason" in candidate]
    finish = FINISH[reasons[-1]] if reasons else "content_filter"
    return {
        "text": "".join(part.get("text", "") for part in parts if not part.get("thought")),
        "thoughts": "".join(part.get("text", "") for part in parts if part.get("thought")),
        "calls": [(call["name"], call.get("args", {})) for call in calls],
        "finish": ["tool_calls" if calls and finish == "stop" else finish],
        "tokens": recorded_tokens([r["usageMetadata"] for r in responses if "usageMetadata" in r]),
    }


def recorded_tokens(usages: Sequence[dict[str, Any]]) -> list[tuple[int, int, int]]:
    if not usages:
        return []
    last = usages[-1]
    prompt = last.get("promptTokenCount", 0) + last.get("toolUsePromptTokenCount", 0)
    completion = last.get("candidatesTokenCount", 0) + last.get("thoughtsTokenCount", 0)
    return [(prompt, completion, last.get("totalTokenCount", prompt + completion))]


def recorded_responses(recording: Recording) -> list[dict[str, Any]]:
    lines = recording.body.decode().splitlines()
    return [json.loads(line.removeprefix("data:")) for line in lines if line.startswith("data:")]


@each_recording("gemini", "chat")
def test_recorded_answer_is_what_was_said(recording: Recording) -> None:
    if recording.name in FAILURES:
        kind, word = FAILURES[recording.name]
        with pytest.raises(UpstreamError, match=word) as caught:
            GEMINI.parse_answer(recording.body, CONTEXT)
        assert (caught.value.kind, caught.value.status) == (kind, 502)
    else:
        assert said(GEMINI.parse_answer(recording.body, CONTEXT)) == recorded([json.loads(recording.body)])


@each_recording("gemini", "stream")
def test_recorded_stream_is_what_was_said(recording: Recording) -> None:
    if recording.name in FAILURES:
        kind, word = FAILURES[recording.name]
        with pytest.raises(UpstreamError, match=word) as caught:
            read_stream([recording.body])
        assert caught.value.kind == kind
    else:
        assert said(read_stream([recording.body])) == recorded(recorded_responses(recording))


@each_recording("gemini", "stream")
def test_recorded_stream_cut_at_every_byte_gives_the_same_events(recording: Recording) -> None:
    if recording.name not in FAILURES:
        pieces = [recording.body[place : place + 1] for place in range(len(recording.body))]
        assert read_stream(pieces) == read_stream([recording.body])


@each_recording("gemini", "stream")
def test_recorded_stream_says_the_same_as_a_whole_answer(recording: Recording) -> None:
    if recording.name not in FAILURES:
        whole = json.dumps(recorded_responses(recording)).encode()
        assert GEMINI.parse_answer(whole, CONTEXT) == read_stream([recording.body])


@each_recording("gemini", "stream")
def test_recorded_stream_cut_before_its_finish_raises(recording: Recording) -> None:
    responses = recorded_responses(recording)
    unfinished = [
        response
        for response in responses
        if "promptFeedback" not in response and not any("finishReason" in c for c in response.get("candidates", []))
    ]
    cut = "".join(f"data: {json.dumps(response)}\r\n\r\n" for response in unfinished)
    with pytest.raises(UpstreamError) as caught:
        read_stream([cut.encode()])
    assert caught.value.kind == "truncated"


@each_recording("gemini", "error")
def test_recorded_error_keeps_its_message(recording: Recording) -> None:
    error = GEMINI.parse_error(recording.status, recording.headers, recording.body)
    if b"<!DOCTYPE" in recording.body:
        assert error.message == f"The provider answered {recording.status}."
    else:
        assert error.message == json.loads(recording.body)["error"]["message"].strip()


@each_recording("gemini", "error")
def test_recorded_error_has_the_status_of_the_design(recording: Recording) -> None:
    error = GEMINI.parse_error(recording.status, recording.headers, recording.body)
    ours = any(reason.encode() in recording.body for reason in CREDENTIALS)
    assert error.status == (502 if ours or recording.status in (401, 403, 500, 503) else recording.status)
    assert (error.kind == "auth") == (ours or recording.status in (401, 403))
