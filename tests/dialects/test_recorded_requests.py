"""Recorded requests of OpenAI's clients, told to other providers: valid by their types and rules, and whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming, MessageCreateParamsStreaming
from tests.dialects.gemini_request import check_types
from tests.dialects.typed_shape import check_shape
from tests.recorded import Recording, each_of, find_recordings

from feathergate.capability import find_capability
from feathergate.dialects.contract import Dialect, Target
from feathergate.dialects.gemini import GEMINI
from feathergate.dialects.messages import MESSAGES
from feathergate.errors import ClientError
from feathergate.wire.codec import decode_chat

CLAUDE = (
    "claude-opus-5-5",
    "claude-sonnet-5-5",
    "claude-haiku-5-5",
    "claude-opus-4-8",
    "claude-opus-4-7",
    "claude-opus-4-6",
    "claude-opus-4-5",
    "claude-sonnet-4-5",
    "claude-3-5-haiku-latest",
)
GEMINIS = (
    "gemini-2.0-flash",
    "gemini-2.5-pro",
    "gemini-2.5-flash",
    "gemini-2.5-flash-lite",
    "gemini-3-pro",
    "gemini-3-flash",
    "gemini-3.6-flash",
    "gemini-3.8-flash",
)
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
GEMINI_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
IDENTITY = re.compile(r"[A-Za-z0-9_-]+")

# Of the version of the API that we ask for (2023-06-01); the SDK's types are those of the next, which has none.
SAMPLING = {"temperature", "top_p"}

JSON = dict[str, Any]
REQUESTS = [
    recording
    for kind in ("chat", "stream", "error")
    for recording in find_recordings("openai", kind)
    if isinstance(recording.request, dict) and "messages" in recording.request
]
each_request = each_of(REQUESTS)


def build(dialect: Dialect, model: str, body: JSON) -> JSON | None:
    """The upstream's body; None where the request is refused, which names its param."""
    try:
        request, members = decode_chat(json.dumps(body).encode())
        built = dialect.build_request(request, members, Target(model, find_capability(model)))
    except ClientError as error:
        refusal = error
    else:
        upstream: JSON = json.loads(built.body)
        return upstream
    assert (refusal.status, bool(refusal.param)) == (400, True), refusal
    return None


# --- what the request says, and where it must be again ------------------------------------------------------------


def leaves(value: Any) -> Iterator[Any]:
    """Every string and number of a JSON value."""
    if isinstance(value, dict):
        for member in value.values():
            yield from leaves(member)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def sayings(message: JSON) -> Iterator[Any]:
    """All that a message says: texts, media, calls with their arguments."""
    content = message.get("content")
    for part in content if isinstance(content, list) else [{"type": "text", "text": content or ""}]:
        media = part.get("image_url") or part.get("input_audio") or part.get("file") or {}
        data = media if isinstance(media, str) else media.get("url") or media.get("data") or media.get("file_data")
        yield part.get("text") or part.get("refusal") or ""
        yield (data or "").rpartition("base64,")[2]
    for call in message.get("tool_calls") or ():
        function = call.get("function") or call["custom"]
        yield function["name"]
        yield from leaves(parsed(function.get("arguments") or function.get("input") or "{}"))


def check_whole(body: JSON, upstream: JSON) -> None:
    """Nothing that the request says is missing upstream."""
    found = list(leaves(upstream))
    texts = "\n".join(leaf for leaf in found if isinstance(leaf, str))
    said = [saying for message in body["messages"] for saying in sayings(message)]
    said += [(tool.get("function") or tool["custom"])["name"] for tool in body.get("tools") or ()]
    for saying in said:
        if isinstance(saying, str):
            there = saying.strip() in texts or all(leaf in found for leaf in leaves(parsed(saying)))
            assert there, f"{saying[:200]!r} is lost"
        else:
            assert saying in found, f"{saying!r} is lost"


# --- the rules of the reference -----------------------------------------------------------------------------------


def check_anthropic(body: JSON, model: str) -> None:
    typed = {name: value for name, value in body.items() if name not in SAMPLING}
    check_shape(typed, MessageCreateParamsStreaming if body.get("stream") else MessageCreateParamsNonStreaming)
    spoken = [turn for turn in body["messages"] if turn["role"] != "system"]
    assert [turn["role"] for turn in spoken] == ["user", "assistant"] * (len(spoken) // 2) + ["user"] * (
        len(spoken) % 2
    )
    for turn, following in pairwise([*spoken, {"role": "user", "content": []}]):
        calls = [block["id"] for block in turn["content"] if block["type"] == "tool_use"]
        results = [block["tool_use_id"] for block in following["content"] if block["type"] == "tool_result"]
        assert results == calls
        assert [block["type"] for block in following["content"][: len(calls)]] == ["tool_result"] * len(calls)
        assert all(IDENTITY.fullmatch(call) for call in calls)
    blocks = [block for turn in body["messages"] for block in turn["content"]] + body.get("system", [])
    assert all(block["text"].strip() for block in blocks if block["type"] == "text")
    names = [tool["name"] for tool in body.get("tools", ())]
    assert len(set(names)) == len(names)
    assert all(NAME.fullmatch(name) for name in names)
    assert {block["name"] for block in blocks if block["type"] == "tool_use"} <= set(names)
    assert body["max_tokens"] > (body.get("thinking") or {}).get("budget_tokens", 0)
    formats = [body.get("output_config", {}).get("format", {}).get("schema")]
    for schema in filter(
        None, [*formats, *(tool["input_schema"] for tool in body.get("tools", ()) if tool.get("strict"))]
    ):
        check_closed(schema)
    sampling = find_capability(model).sampling
    assert len(SAMPLING & body.keys()) <= {"all": 2, "one_of": 1, "none": 0}[sampling]


def check_closed(schema: Any) -> None:
    """Every object of a strict schema takes its own properties and no others."""
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            assert schema["additionalProperties"] is False
        for member in schema.values():
            check_closed(member)
    elif isinstance(schema, list):
        for item in schema:
            check_closed(item)


def check_gemini(body: JSON, model: str) -> None:
    check_types(body)
    capability = find_capability(model)
    contents = body["contents"]
    speakers = ["tools" if "functionResponse" in content["parts"][0] else content["role"] for content in contents]
    assert speakers[0] == "user"
    assert {*pairwise(speakers)} <= {
        ("user", "model"),
        ("model", "user"),
        ("model", "tools"),
        ("tools", "user"),
        ("tools", "model"),
    }
    assert all(content["parts"] for content in contents)
    assert not [part for content in contents for part in content["parts"] if part == {"text": ""}]
    for content, following in pairwise([*contents, {"parts": []}]):
        calls = [part for part in content["parts"] if "functionCall" in part]
        answers = [part["functionResponse"] for part in following["parts"] if "functionResponse" in part]
        assert [answer["name"] for answer in answers] == [call["functionCall"]["name"] for call in calls]
        assert [answer.get("id") for answer in answers] == [call["functionCall"].get("id") for call in calls]
        assert all(isinstance(answer["response"], dict) for answer in answers)
        assert [bool(call.get("thoughtSignature")) for call in calls[:1]] == [capability.signed_calls] * len(calls[:1])
        assert capability.call_ids or not any("id" in call["functionCall"] for call in calls)
    declared = [one["name"] for tool in body.get("tools", ()) for one in tool.get("functionDeclarations", ())]
    assert all(GEMINI_NAME.fullmatch(name) for name in declared)
    assert len(set(declared)) == len(declared)


@each_request
def test_recorded_request_is_valid_and_whole_for_anthropic(recording: Recording) -> None:
    for model in CLAUDE:
        upstream = build(MESSAGES, model, recording.request)
        if upstream is not None:
            check_anthropic(upstream, model)
            check_whole(recording.request, upstream)


@each_request
def test_recorded_request_is_valid_and_whole_for_gemini(recording: Recording) -> None:
    for model in GEMINIS:
        upstream = build(GEMINI, model, recording.request)
        if upstream is not None:
            check_gemini(upstream, model)
            check_whole(recording.request, upstream)


@pytest.mark.skipif(not REQUESTS, reason="there are no recordings beside the project")
def test_nearly_all_that_openai_took_is_taken() -> None:
    taken = [recording for recording in REQUESTS if recording.kind != "error"]
    built = [
        build(dialect, model, recording.request)
        for recording in taken
        for dialect, model in ((MESSAGES, CLAUDE[0]), (GEMINI, GEMINIS[4]))
    ]
    assert built.count(None) < 0.1 * len(built)
