"""What holds for any request and any stream, in every dialect."""

from __future__ import annotations

import contextlib
import json
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feathergate.capability import find_capability
from feathergate.dialects.chat import CHAT
from feathergate.dialects.contract import Built, Context, Dialect, Target
from feathergate.dialects.gemini import GEMINI
from feathergate.dialects.messages import MESSAGES
from feathergate.errors import ClientError, UpstreamError
from feathergate.events import Event, check_legal
from feathergate.testing import read_stream
from feathergate.wire.chat import ChatRequest
from feathergate.wire.codec import decode_chat

JSON = dict[str, Any]
TARGETS: dict[str, Dialect] = {
    "gpt-4o": CHAT,
    "gpt-5.6-luna": CHAT,
    "some-hosted-model": CHAT,
    "claude-opus-5-5": MESSAGES,
    "claude-sonnet-4-5": MESSAGES,
    "claude-3-5-haiku-latest": MESSAGES,
    "gemini-3-pro": GEMINI,
    "gemini-2.5-flash": GEMINI,
    "gemini-2.0-flash": GEMINI,
}
models = st.sampled_from(sorted(TARGETS))


def build(model: str, decoded: tuple[ChatRequest, dict[str, Any]], *, strict: bool = False) -> Built:
    return TARGETS[model].build_request(*decoded, Target(model, find_capability(model), strict))


def outcome(model: str, decoded: tuple[ChatRequest, dict[str, Any]], *, strict: bool = False) -> object:
    """What building gives, or how it is refused."""
    try:
        return build(model, decoded, strict=strict)
    except ClientError as error:
        return (error.status, error.param, error.message)


# --- conversations ------------------------------------------------------------------------------------------------

words = st.text(st.characters(codec="utf-8"), max_size=12)


def text_part(text: str) -> JSON:
    return {"type": "text", "text": text}


names = st.sampled_from(["f", "a.b", "a_b", "0start", "functions.look:0", "n" * 70])
parts = st.one_of(
    words.map(text_part),
    words.map(lambda text: {"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}),
    st.just({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}),
)
spoken = words.map(lambda text: f"{text}!")
contents = st.one_of(
    spoken, st.tuples(spoken, st.lists(parts, max_size=2)).map(lambda pair: [text_part(pair[0]), *pair[1]])
)
arguments = st.one_of(
    st.dictionaries(words, st.one_of(words, st.integers(), st.floats(allow_nan=False)), max_size=3).map(json.dumps),
    words,
)
signatures = st.one_of(st.none(), st.sampled_from(["c2ln", "c2lnMg=="]))


@st.composite
def turns(draw: st.DrawFn) -> list[JSON]:
    """A model's turn that came back with all its results, or its words with the user's."""
    calls = [
        {
            "id": f"{draw(st.sampled_from(['c', 'functions.f:', 'c__thought__']))}{number}",
            "type": "function",
            "function": {"name": draw(names), "arguments": draw(arguments)},
            "extra_content": {"google": {"thought_signature": draw(signatures)}},
        }
        for number in range(draw(st.integers(0, 3)))
    ]
    thinking = draw(st.sampled_from([[], [{"type": "thinking", "thinking": "hm", "signature": "s"}]]))
    said: JSON = {"role": "assistant", "content": draw(contents), "thinking_blocks": thinking}
    if not calls:
        said["content"] = draw(spoken)
        return [said, {"role": "user", "content": draw(contents)}]
    said["content"], said["tool_calls"] = draw(st.one_of(st.none(), words)), calls
    results = [{"role": "tool", "tool_call_id": call["id"], "content": draw(words)} for call in calls]
    return [said, *draw(st.permutations(results)), *draw(st.sampled_from([[], [{"role": "user", "content": "go on"}]]))]


openings = st.tuples(
    st.lists(words.map(lambda text: {"role": "system", "content": text}), max_size=2),
    contents.map(lambda content: {"role": "user", "content": content}),
).map(lambda pair: [*pair[0], pair[1]])
conversations = st.tuples(openings, st.lists(turns(), max_size=4)).map(
    lambda pair: [*pair[0], *(message for turn in pair[1] for message in turn)]
)
tools = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in ("f", "a.b", "a_b")
]


def decode(messages: list[JSON], **members: Any) -> tuple[ChatRequest, dict[str, Any]]:
    return decode_chat(json.dumps({"model": "ours", "messages": messages, **members}).encode())


@settings(max_examples=60, deadline=None)
@given(conversations, models, st.booleans())
def test_building_changes_nothing_and_comes_out_the_same_again(messages: list[JSON], model: str, strict: bool) -> None:
    decoded = decode(messages, tools=tools, seed=1)
    before = (repr(decoded[0]), {name: bytes(value) for name, value in decoded[1].items()})
    first = outcome(model, decoded, strict=strict)
    assert outcome(model, decoded, strict=strict) == first
    assert (repr(decoded[0]), {name: bytes(value) for name, value in decoded[1].items()}) == before


@settings(max_examples=60, deadline=None)
@given(conversations, models, models)
def test_fallback_sends_what_a_direct_call_would(messages: list[JSON], first: str, then: str) -> None:
    decoded = decode(messages, tools=tools)
    outcome(first, decoded)
    assert outcome(then, decoded) == outcome(then, decode(messages, tools=tools))


split_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
HISTORY = {"messages": "messages", "gemini": "contents"}


@pytest.mark.parametrize("model", [model for model, dialect in TARGETS.items() if dialect is not CHAT])
@settings(max_examples=40, deadline=None)
@given(messages=conversations, more=turns())
def test_next_turn_begins_with_the_bytes_of_this_one(model: str, messages: list[JSON], more: list[JSON]) -> None:
    extra: JSON = {"tools": tools, "reasoning_effort": None}
    shorter, longer = (build(model, decode(history, **extra)).body for history in (messages, [*messages, *more]))
    member = HISTORY[TARGETS[model].name]
    one, other = (dict(split_members(body)) for body in (shorter, longer))
    told, retold = bytes(one.pop(member)), bytes(other.pop(member))
    if b"cache_control" in longer:  # of which only the last four are kept: they move, and bind nothing
        told, retold = (json.dumps(unmarked(json.loads(history))).encode() for history in (told, retold))
    assert retold.startswith(told[:-1])
    assert read_members(one) == read_members(other)


def read_members(members: dict[str, msgspec.Raw]) -> list[tuple[str, Any]]:
    return [(name, unmarked(json.loads(bytes(value)))) for name, value in members.items()]


def unmarked(value: Any) -> Any:
    """Without cache markers."""
    if isinstance(value, dict):
        return {name: unmarked(member) for name, member in value.items() if name != "cache_control"}
    return [unmarked(item) for item in value] if isinstance(value, list) else value


# --- streams ------------------------------------------------------------------------------------------------------


def sse(events: list[JSON], line_end: str) -> bytes:
    return "".join(f"data: {json.dumps(e, ensure_ascii=False)}{line_end * 2}" for e in events).encode()


pieces = st.lists(words, max_size=3)


@st.composite
def anthropic_streams(draw: st.DrawFn) -> bytes:
    events: list[JSON] = [{"type": "message_start", "message": {"id": "m", "model": "x", "usage": {"input_tokens": 1}}}]
    for index in range(draw(st.integers(0, 4))):
        kind, member, block = draw(
            st.sampled_from(
                [
                    ("text_delta", "text", {"type": "text", "text": ""}),
                    ("thinking_delta", "thinking", {"type": "thinking", "thinking": ""}),
                    ("input_json_delta", "partial_json", {"type": "tool_use", "id": "c", "name": "f", "input": {}}),
                    (
                        "input_json_delta",
                        "partial_json",
                        {"type": "server_tool_use", "id": "s", "name": "w", "input": {}},
                    ),
                    ("other_delta", "other", {"type": "other"}),
                ]
            )
        )
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events += [
            {"type": "content_block_delta", "index": index, "delta": {"type": kind, member: piece}}
            for piece in draw(pieces)
        ]
        events += draw(st.sampled_from([[], [{"type": "ping"}]]))
        events.append({"type": "content_block_stop", "index": index})
    stopped = {"stop_reason": draw(st.sampled_from(["end_turn", "tool_use", "max_tokens", "new"]))}
    events.append({"type": "message_delta", "delta": stopped, "usage": {"output_tokens": draw(st.integers(0, 9))}})
    return sse([*events, {"type": "message_stop"}], "\n")


gemini_parts: st.SearchStrategy[JSON] = st.one_of(
    words.map(lambda text: {"text": text}),
    words.map(lambda text: {"text": text, "thought": True}),
    st.just({"functionCall": {"name": "f", "args": {"a": "\u00e9"}}, "thoughtSignature": "c2ln"}),
    st.just({"inlineData": {"mimeType": "image/png", "data": "AAAA"}}),
    st.just({"somethingNew": {}}),
)
gemini_streams = st.tuples(
    st.lists(st.lists(gemini_parts, max_size=3), max_size=4), st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY", "NEW"])
).map(
    lambda drawn: sse(
        [
            *({"responseId": "r", "candidates": [{"content": {"parts": parts}}]} for parts in drawn[0]),
            {
                "candidates": [{"finishReason": drawn[1]}],
                "usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 1},
            },
        ],
        "\r\n",
    )
)


@st.composite
def openai_streams(draw: st.DrawFn) -> bytes:
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    deltas: list[JSON] = [{"content": piece} for piece in draw(pieces)] + draw(
        st.sampled_from([[], [{"tool_calls": [call]}]])
    )
    chunks: list[JSON] = [{"id": "x", "model": "m", "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    finish = {"id": "x", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    return sse([*chunks, finish], "\n") + b"data: [DONE]\n\n"


STREAMS: list[tuple[Dialect, st.SearchStrategy[bytes]]] = [
    (MESSAGES, anthropic_streams()),
    (GEMINI, gemini_streams),
    (CHAT, openai_streams()),
]


def read(dialect: Dialect, cut: list[bytes]) -> tuple[list[Event], str]:
    try:
        events = read_stream(dialect, Context(model="m"), cut)
    except UpstreamError as error:
        return [], error.kind
    check_legal(events)
    return events, ""


@pytest.mark.parametrize(("dialect", "streams"), STREAMS, ids=["messages", "gemini", "chat"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_split_of_a_stream_gives_the_same_events(
    dialect: Dialect, streams: st.SearchStrategy[bytes], data: st.DataObject
) -> None:
    stream = data.draw(streams)
    cuts = sorted({0, len(stream), *data.draw(st.lists(st.integers(0, len(stream)), max_size=6))})
    cut = [stream[start:end] for start, end in pairwise(cuts)]
    assert read(dialect, cut) == read(dialect, [stream])


# --- anything at all ----------------------------------------------------------------------------------------------

KNOWN = [
    *ChatRequest.__struct_fields__,
    *("role", "content", "type", "text", "image_url", "url", "file", "file_data", "input_audio", "data", "function"),
    *("custom", "name", "arguments", "parameters", "tool_calls", "tool_call_id", "id", "function_call", "refusal"),
    *("thinking_blocks", "extra_content", "google", "anthropic", "parts", "thought_signature", "signature", "strict"),
    *("json_schema", "schema", "properties", "$ref", "anyOf", "enum", "required", "budget_tokens", "voice", "format"),
    *("allowed_tools", "mode", "user_location", "approximate", "ttl", "description", "grammar", "detail", "filename"),
]
VALUES = [
    *("user", "assistant", "tool", "system", "text", "image_url", "function", "custom", "json_schema", "enabled"),
    *("allowed_tools", "required", "data:image/png;base64,AAAA", "data:", "https://[", "low", "ephemeral", "thinking"),
]
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), words, st.sampled_from(VALUES)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(st.sampled_from(KNOWN), words), inner, max_size=5)
    ),
    max_leaves=12,
)


def check_taken_or_refused(body: JSON, strict: bool) -> None:
    data = json.dumps(body).encode()
    for model in TARGETS:
        with contextlib.suppress(ClientError):
            assert isinstance(json.loads(build(model, decode_chat(data), strict=strict).body), dict)


@pytest.mark.parametrize("field", sorted(ChatRequest.__struct_fields__))
@settings(max_examples=12, deadline=None)
@given(value=anything, strict=st.booleans())
def test_any_value_of_a_field_is_taken_or_refused(field: str, value: Any, strict: bool) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": tools, field: value}
    check_taken_or_refused(body, strict)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.sampled_from(KNOWN), anything, max_size=4).flatmap(
            lambda members: st.sampled_from(["user", "assistant", "tool", "system", "function", "developer"]).map(
                lambda role: {"content": "x", **members, "role": role}
            )
        ),
        min_size=1,
        max_size=4,
    ),
    st.booleans(),
)
def test_any_message_is_taken_or_refused(messages: list[JSON], strict: bool) -> None:
    check_taken_or_refused({"model": "m", "messages": messages}, strict)
