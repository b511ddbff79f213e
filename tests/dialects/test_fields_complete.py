"""Every field, role, part, tool and choice of OpenAI's own types stands in a list of each dialect, and truly so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import ModuleType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from openai.types import ReasoningEffort
from openai.types.chat import (
    ChatCompletionMessageParam,
    ChatCompletionToolChoiceOptionParam,
    ChatCompletionToolUnionParam,
    completion_create_params,
)

from feathergate.capability import find_capability
from feathergate.dialects.contract import Built, Target
from feathergate.dialects.gemini import GEMINI
from feathergate.dialects.gemini import field as gemini
from feathergate.dialects.messages import MESSAGES
from feathergate.dialects.messages import field as messages
from feathergate.errors import ClientError
from feathergate.wire import chat
from feathergate.wire.codec import decode_chat

DIALECTS = {"messages": (MESSAGES, messages, "claude-opus-4-8"), "gemini": (GEMINI, gemini, "gemini-3-pro")}
each_dialect = pytest.mark.parametrize("dialect", DIALECTS)
HELLO = {"role": "user", "content": "Hello"}
IMAGE = "data:image/png;base64,iVBORw0KGgo="


# --- what OpenAI's types hold -------------------------------------------------------------------------------------


def unfold(hint: Any) -> Iterator[Any]:
    """The types that a hint is made of, down to typed dictionaries and literals."""
    if get_origin(hint) in (Union, UnionType) or hasattr(hint, "__origin__"):
        if get_origin(hint) is Literal:
            yield hint
        else:
            for argument in get_args(hint):
                yield from unfold(argument)
    else:
        yield hint


def literals(hint: Any) -> set[str]:
    return {value for part in unfold(hint) if get_origin(part) is Literal for value in get_args(part)}


def shapes(hint: Any) -> list[Any]:
    return [part for part in unfold(hint) if hasattr(part, "__required_keys__")]


def tags(hint: Any, member: str = "type") -> set[str]:
    """The values of the member that tells the shapes of a union apart."""
    return {tag for shape in shapes(hint) for tag in literals(get_type_hints(shape).get(member))}


REQUEST = get_type_hints(completion_create_params.CompletionCreateParamsNonStreaming) | get_type_hints(
    completion_create_params.CompletionCreateParamsStreaming
)
PARTS = {tag for shape in shapes(ChatCompletionMessageParam) for tag in tags(get_type_hints(shape).get("content"))}


def test_types_are_read_as_they_are_meant() -> None:
    assert {"model", "messages", "tools", "stream"} < set(REQUEST)
    assert {"text", "image_url", "input_audio", "file", "refusal"} <= PARTS
    assert {"function", "custom"} <= tags(ChatCompletionToolUnionParam)


# --- each stands in one list --------------------------------------------------------------------------------------


@each_dialect
@pytest.mark.parametrize("field", sorted(REQUEST))
def test_every_field_stands_in_exactly_one_list(dialect: str, field: str) -> None:
    lists = DIALECTS[dialect][1]
    assert [field in names for names in (lists.TRANSLATED, lists.DROPPED, lists.REFUSED)].count(True) == 1
    assert field in chat.ChatRequest.__struct_fields__


@each_dialect
def test_every_kind_stands_in_a_list(dialect: str) -> None:
    lists: ModuleType = DIALECTS[dialect][1]
    assert set(lists.ROLES) == tags(ChatCompletionMessageParam, "role")
    assert {*lists.PARTS, *lists.REFUSED_PARTS} == PARTS
    assert not set(lists.PARTS) & set(lists.REFUSED_PARTS)
    assert set(lists.TOOLS) == tags(ChatCompletionToolUnionParam)
    assert set(lists.CHOICES) == literals(ChatCompletionToolChoiceOptionParam) | tags(
        ChatCompletionToolChoiceOptionParam
    )
    assert set(lists.FORMATS) == tags(REQUEST["response_format"])


def test_every_effort_is_known() -> None:
    assert literals(chat.ReasoningEffort) == literals(ReasoningEffort)


# --- and is what its list says ------------------------------------------------------------------------------------


def build(dialect: str, *history: Any, strict: bool = True, **members: Any) -> Built:
    translator, _, model = DIALECTS[dialect]
    body = {"model": "ours", "messages": history or [HELLO], **members}
    return translator.build_request(
        *decode_chat(json.dumps(body).encode()), Target(model, find_capability(model), strict)
    )


F, CUSTOM = {"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {"name": "c"}}
CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c1", **F, "function": {"name": "f", "arguments": "{}"}}],
}
OLD_CALL = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
ROLE: dict[str, list[Any]] = {
    "system": [{"role": "system", "content": "words"}, HELLO],
    "developer": [{"role": "developer", "content": "words"}, HELLO],
    "user": [{"role": "user", "content": "words"}],
    "assistant": [HELLO, {"role": "assistant", "content": "words"}, HELLO],
    "tool": [HELLO, CALL, {"role": "tool", "tool_call_id": "c1", "content": "words"}],
    "function": [HELLO, OLD_CALL, {"role": "function", "name": "f", "content": "words"}],
}
PART: dict[str, Any] = {
    "text": {"text": "words"},
    "refusal": {"refusal": "words"},
    "image_url": {"image_url": {"url": IMAGE}},
    "input_audio": {"input_audio": {"data": "AAAA", "format": "wav"}},
    "file": {"file": {"file_data": "data:application/pdf;base64,JVBERi0="}},
}
ALLOWED = {"mode": "auto", "tools": [F]}
CHOICE: dict[str, Any] = {
    "function": F,
    "custom": CUSTOM,
    "allowed_tools": {"type": "allowed_tools", "allowed_tools": ALLOWED},
}
FORMAT: dict[str, Any] = {"json_schema": {"json_schema": {"name": "n", "schema": {"type": "object", "properties": {}}}}}
VALUE: dict[str, Any] = {
    "seed": 1,
    "presence_penalty": 1,
    "frequency_penalty": 1,
    "logprobs": True,
    "top_logprobs": 1,
    "logit_bias": {"1": 1},
    "user": "u",
    "safety_identifier": "u",
    "store": True,
    "verbosity": "low",
    "modalities": ["text", "audio"],
    "parallel_tool_calls": False,
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "prompt_cache_options": {"mode": "explicit"},
    "audio": {"voice": "alloy", "format": "wav"},
    "metadata": {"a": "b"},
    "moderation": {"model": "m"},
    "prediction": {"type": "content", "content": "x"},
    "cache_control": {"type": "ephemeral"},
    "n": 2,
}


@each_dialect
@pytest.mark.parametrize("role", ROLE)
def test_role_is_translated(dialect: str, role: str) -> None:
    assert b"words" in build(dialect, *ROLE[role]).body


@each_dialect
@pytest.mark.parametrize("kind", sorted(PARTS))
def test_part_is_what_its_list_says(dialect: str, kind: str) -> None:
    message = {"role": "assistant" if kind == "refusal" else "user", "content": [{"type": kind, **PART[kind]}]}
    if kind in DIALECTS[dialect][1].PARTS:
        assert build(dialect, HELLO, message, HELLO).body != build(dialect, HELLO, HELLO).body
    else:
        with pytest.raises(ClientError) as caught:
            build(dialect, HELLO, message, strict=False)
        assert (caught.value.param or "").startswith("messages[1].content[0]")


@each_dialect
@pytest.mark.parametrize("choice", sorted(messages.CHOICES))
def test_choice_is_translated(dialect: str, choice: str) -> None:
    build(dialect, tools=[F, CUSTOM], tool_choice=CHOICE.get(choice, choice))


@each_dialect
@pytest.mark.parametrize("form", sorted(messages.FORMATS))
def test_format_is_translated(dialect: str, form: str) -> None:
    build(dialect, response_format={"type": form, **FORMAT.get(form, {})})


@pytest.mark.parametrize(
    ("dialect", "field"), [(name, field) for name, (_, lists, _) in DIALECTS.items() for field in lists.DROPPED]
)
def test_dropped_field_is_said_so_and_refused_where_that_is_asked_for(dialect: str, field: str) -> None:
    assert build(dialect, strict=False, **{field: VALUE[field]}).dropped == (field,)
    with pytest.raises(ClientError) as caught:
        build(dialect, strict=True, **{field: VALUE[field]})
    assert (caught.value.status, caught.value.param) == (400, field)
    assert field in caught.value.message


@pytest.mark.parametrize(
    ("dialect", "field"), [(name, field) for name, (_, lists, _) in DIALECTS.items() for field in lists.REFUSED]
)
def test_refused_field_is_refused(dialect: str, field: str) -> None:
    with pytest.raises(ClientError) as caught:
        build(dialect, strict=False, **{field: VALUE[field]})
    assert (caught.value.status, caught.value.param) == (400, field)


@each_dialect
def test_unknown_field_is_dropped_and_said_so(dialect: str) -> None:
    assert build(dialect, strict=False, brand_new=1).dropped == ("brand_new",)
