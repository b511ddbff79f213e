"""A compatible host may send any JSON in any member: it is read, or refused as malformed, and nothing else."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feathergate.dialects.chat import CHAT
from feathergate.dialects.contract import Context
from feathergate.dialects.render import ChunkRenderer, render_answer
from feathergate.dialects.thought import ThoughtMemory, ThoughtRecorder
from feathergate.errors import UpstreamError
from feathergate.events import Event, check_legal

CONTEXT = Context(model="m")

JSON = dict[str, Any]
NAMES = ("type", "index", "thinking", "signature", "data", "google", "thought_signature", "id", "name", "content", "x")

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
kinds = st.sampled_from(["thinking", "redacted_thinking", "function"])
anything = st.recursive(
    scalars | kinds,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=8,
)
texts = st.none() | st.text(max_size=3)
odd_text = texts | anything
indexes = st.none() | st.integers(-1, 2)
objects = st.dictionaries(st.sampled_from(NAMES), anything, max_size=4)


def shaped(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[JSON]:
    return st.fixed_dictionaries({}, optional=members)


def nearly(right: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly of the right shape, so that what lies behind it is reached."""
    return st.integers(0, 4).flatmap(lambda draw: right if draw else anything)


functions = shaped(name=texts, arguments=texts, input=texts)
extras = nearly(shaped(google=nearly(shaped(thought_signature=nearly(texts)))))
calls = shaped(index=indexes, id=texts, function=functions, custom=functions, extra_content=extras)
blocks = shaped(type=kinds, index=indexes, thinking=nearly(texts), signature=nearly(texts), data=nearly(texts))
messages = shaped(
    content=nearly(texts),
    refusal=texts,
    reasoning_content=texts,
    thinking_blocks=nearly(st.lists(nearly(blocks), max_size=4)),
    tool_calls=nearly(st.lists(nearly(calls), max_size=3)),
    function_call=nearly(functions),
    annotations=nearly(st.lists(objects, max_size=2)),
    images=nearly(st.lists(objects, max_size=2)),
    audio=nearly(objects),
    extra_content=nearly(objects),
)
choices = shaped(
    index=st.integers(-1, 2),
    message=nearly(messages),
    delta=nearly(messages),
    finish_reason=texts,
    logprobs=nearly(
        st.dictionaries(st.sampled_from(["content", "refusal", "x"]), nearly(st.lists(anything, max_size=2)))
    ),
)
answers = shaped(
    id=st.text(max_size=3),
    created=st.integers(),
    choices=st.lists(choices, min_size=1, max_size=3),
    usage=anything,
    error=st.none(),
    service_tier=texts,
)


def use(events: list[Event]) -> None:
    """All that is ever done with what was read."""
    check_legal(events)
    recorder = ThoughtRecorder(ThoughtMemory())
    recorder.listen(events)
    recorder.keep()
    for legacy in (False, True):
        render_answer(events, "id", 1, legacy_functions=legacy)
    renderer = ChunkRenderer("id", 1, include_usage=True)
    for event in events:
        renderer.render(event)


@settings(max_examples=200, deadline=None)
@given(answers)
def test_whole_answer_of_any_shape_is_read_or_refused(answer: JSON) -> None:
    with suppress(UpstreamError):
        use(list(CHAT.parse_answer(json.dumps(answer).encode(), CONTEXT)))


@settings(max_examples=200, deadline=None)
@given(st.lists(answers, max_size=4))
def test_stream_of_any_shape_is_read_or_refused(chunks: list[JSON]) -> None:
    decoder = CHAT.open_stream(CONTEXT)
    events: list[Event] = []
    with suppress(UpstreamError):
        for chunk in chunks:
            events += decoder.decode(b"", json.dumps(chunk).encode())
        use([*events, *decoder.finish()])


@pytest.mark.parametrize(
    "message",
    [
        {"thinking_blocks": [{"type": "thinking", "thinking": 5}]},
        {"thinking_blocks": [{"type": "thinking", "thinking": "x", "index": "0"}]},
        {"thinking_blocks": ["x"]},
        {"tool_calls": [{"extra_content": {"google": "v"}}]},
        {"tool_calls": [{"extra_content": {"google": {"thought_signature": 5}}}]},
    ],
)
def test_member_of_another_type_is_a_protocol_error(message: JSON) -> None:
    with pytest.raises(UpstreamError) as caught:
        CHAT.parse_answer(json.dumps({"choices": [{"message": message}]}).encode(), CONTEXT)
    assert caught.value.kind == "protocol"


@pytest.mark.parametrize("logprobs", [{"content": 5}, {"content": "x"}, {"refusal": {"a": 1}}, 5, []])
def test_logprobs_of_another_type_are_a_protocol_error(logprobs: Any) -> None:
    with pytest.raises(UpstreamError) as caught:
        CHAT.parse_answer(json.dumps({"choices": [{"message": {}, "logprobs": logprobs}]}).encode(), CONTEXT)
    assert caught.value.kind == "protocol"


@pytest.mark.parametrize("depth", [*range(300, 1000, 50), *range(900, 1000, 3), 100_000])
def test_depth_of_an_answer_never_harms(depth: int) -> None:
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    message = b'{"extra_content":%b,"audio":%b,"tool_calls":[{"id":"c"}]}' % (deep, deep)
    chunk = b'{"choices":[{"delta":%b,"message":%b,"finish_reason":"stop"}]}' % (message, message)
    decoder = CHAT.open_stream(CONTEXT)
    with suppress(UpstreamError):
        use([*decoder.decode(b"", chunk), *decoder.finish()])
