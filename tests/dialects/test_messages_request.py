"""The knobs of a chat request in Anthropic's terms, and what becomes of those that it does not have."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming, MessageCreateParamsStreaming
from hypothesis import given
from hypothesis import strategies as st
from tests.dialects.typed_shape import check_shape

from feathergate.capability import find_capability
from feathergate.dialects.contract import Built, Target
from feathergate.dialects.messages import MESSAGES
from feathergate.dialects.messages.field import DROPPED, REFUSED, TRANSLATED
from feathergate.errors import ClientError
from feathergate.wire.chat import ChatRequest
from feathergate.wire.codec import decode_chat

NEW, OLD, OLDER = "claude-opus-5-5", "claude-sonnet-4-5", "claude-sonnet-4-20250514"
HELLO = [{"role": "user", "content": "Hello"}]
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}
SDK = MessageCreateParamsNonStreaming | MessageCreateParamsStreaming
# Of the version of the API that we ask for; the SDK's types are those of the next, which has none.
SAMPLING = ("temperature", "top_p")


def build(model: str = NEW, *, strict: bool = False, **members: Any) -> Built:
    """Builds, twice over the same request; the two are one, and Anthropic's own types take them."""
    request, raw = decode_chat(json.dumps({"model": "ours", "messages": HELLO, **members}).encode())
    target = Target(model, find_capability(model), strict)
    built = MESSAGES.build_request(request, raw, target)
    assert MESSAGES.build_request(request, raw, target) == built
    check_shape({name: value for name, value in json.loads(built.body).items() if name not in SAMPLING}, SDK)
    return built


def body(model: str = NEW, **members: Any) -> dict[str, Any]:
    """Of the body what is not the same in every request."""
    whole: dict[str, Any] = json.loads(build(model, **members).body)
    for name, value in (("model", model), ("messages", [{"role": "user", "content": text("Hello")}])):
        assert whole.pop(name) == value
    return {name: value for name, value in whole.items() if (name, value) != ("max_tokens", 21_333)}


def text(*pieces: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": piece} for piece in pieces]


def tool(name: str = "f", **members: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **members}}


def refused(model: str = NEW, **members: Any) -> ClientError:
    with pytest.raises(ClientError) as caught:
        build(model, **members)
    return caught.value


def test_every_field_of_a_request_stands_in_one_list() -> None:
    assert sorted(TRANSLATED + DROPPED + REFUSED) == sorted(ChatRequest.__struct_fields__)


def test_request_goes_to_its_path_with_its_version() -> None:
    built = build()
    assert (built.path, built.headers) == ("/v1/messages", (("anthropic-version", "2023-06-01"),))
    assert built.body == (
        b'{"model":"claude-opus-5-5","max_tokens":21333,'
        b'"messages":[{"role":"user","content":[{"type":"text","text":"Hello"}]}]}'
    )


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"stream": True, "stream_options": {"include_usage": True}},
        {"max_tokens": 5, "max_completion_tokens": 6},
        {"messages": [{"role": "system", "content": "s"}, *HELLO]},
    ],
)
def test_request_for_nothing_but_an_answer_is_built_like_any_other(members: dict[str, Any]) -> None:
    assert build(**members) == build(**members, tools=None)


@pytest.mark.parametrize(
    ("model", "members", "expected"),
    [
        (NEW, {}, 21_333),
        (NEW, {"stream": True}, 128_000),
        (OLD, {"stream": True}, 64_000),
        (NEW, {"max_tokens": 5}, 5),
        (NEW, {"max_tokens": 5, "max_completion_tokens": 6}, 6),
        (OLD, {"max_tokens": 100_000}, 64_000),
        ("other", {"max_tokens": 1_000_000}, 1_000_000),
        ("other", {}, 8_192),
    ],
)
def test_max_tokens_is_asked_for_within_what_the_model_can_do(
    model: str, members: dict[str, Any], expected: int
) -> None:
    assert json.loads(build(model, **members).body)["max_tokens"] == expected


@pytest.mark.parametrize(
    ("model", "members", "expected"),
    [
        (OLD, {"temperature": 0.5}, {"temperature": 0.5}),
        (OLD, {"temperature": 1.7}, {"temperature": 1.0}),
        (OLD, {"top_p": 0.5}, {"top_p": 0.5}),
        (OLD, {"temperature": 0.5, "top_p": 1}, {"temperature": 0.5}),
        (OLDER, {"temperature": 0.5, "top_p": 0.5}, {"temperature": 0.5, "top_p": 0.5}),
        (NEW, {"temperature": 1, "top_p": 1}, {}),
        (OLD, {"stop": "x"}, {"stop_sequences": ["x"]}),
        (NEW, {"stop": ["x", "y"]}, {"stop_sequences": ["x", "y"]}),
        (NEW, {"stream": True, "max_tokens": 9}, {"stream": True, "max_tokens": 9}),
        (NEW, {"stream": False}, {}),
        (NEW, {"user": "u-1"}, {"metadata": {"user_id": "u-1"}}),
        (NEW, {"user": "u-1", "safety_identifier": "s"}, {"metadata": {"user_id": "s"}}),
        (NEW, {"service_tier": "auto"}, {"service_tier": "auto"}),
        (NEW, {"service_tier": "default"}, {"service_tier": "standard_only"}),
        (NEW, {"cache_control": {"type": "ephemeral", "ttl": "1h"}},
         {"cache_control": {"type": "ephemeral", "ttl": "1h"}}),
        (NEW, {"store": False, "logprobs": False, "frequency_penalty": 0, "n": 1, "modalities": ["text"]}, {}),
        (NEW, {"seed": None, "tools": None, "unknown": None, "response_format": {"type": "text"}}, {}),
        (NEW, {"tools": [], "tool_choice": "auto", "parallel_tool_calls": False}, {}),
    ],
)  # fmt: skip
def test_knob_is_translated_and_nothing_lost(model: str, members: dict[str, Any], expected: dict[str, Any]) -> None:
    assert body(model, **members) == expected
    assert build(model, strict=True, **members).dropped == ()


@pytest.mark.parametrize(
    ("model", "members", "dropped", "expected"),
    [
        (NEW, {"temperature": 0.5, "top_p": 0.5}, ("temperature", "top_p"), {}),
        (OLD, {"temperature": 0.5, "top_p": 0.5}, ("top_p",), {"temperature": 0.5}),
        (NEW, {"temperature": 1.5}, ("temperature",), {}),
        (OLD, {"temperature": 1, "top_p": 0.5}, ("top_p",), {"temperature": 1}),
        (NEW, {"stop": ["x", " \n", ""]}, ("stop",), {"stop_sequences": ["x"]}),
        (NEW, {"stop": ""}, ("stop",), {}),
        (NEW, {"service_tier": "flex"}, ("service_tier",), {}),
        (NEW, {"seed": 7, "logit_bias": {"5": 1}, "logprobs": True}, ("seed", "logit_bias", "logprobs"), {}),
        (NEW, {"metadata": {"a": "b"}, "top_k": 5}, ("metadata", "top_k"), {}),
    ],
)
def test_knob_without_equivalent_is_dropped_and_said_so(
    model: str, members: dict[str, Any], dropped: tuple[str, ...], expected: dict[str, Any]
) -> None:
    assert body(model, **members) == expected
    assert build(model, **members).dropped == dropped
    assert refused(model, strict=True, **members).param == dropped[0]


@pytest.mark.parametrize("user", ["bob@example.com", "+49 (30) 123-4567", "x" * 600])
def test_user_who_is_a_person_is_hashed(user: str) -> None:
    hashed = body(user=user)["metadata"]["user_id"]
    assert len(hashed) == 64
    assert int(hashed, 16)


def test_several_answers_are_refused() -> None:
    assert (refused(n=2).param, refused(n=2).status) == ("n", 400)


# --- thinking -------------------------------------------------------------------------------------------------------


ADAPTIVE = {"type": "adaptive", "display": "summarized"}


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [
        (NEW, "minimal", {"thinking": ADAPTIVE, "output_config": {"effort": "low"}}),
        (NEW, "xhigh", {"thinking": ADAPTIVE, "output_config": {"effort": "xhigh"}}),
        ("claude-opus-4-6", "xhigh", {"thinking": ADAPTIVE, "output_config": {"effort": "max"}}),
        (NEW, "none", {"output_config": {"effort": "low"}}),
        ("claude-sonnet-5-5", "none", {"thinking": {"type": "between_tools"}}),
        ("claude-haiku-5-5", "none", {"thinking": {"type": "disabled"}}),
        ("claude-not-known-yet", "high", {"thinking": ADAPTIVE, "output_config": {"effort": "high"}}),
        (OLD, "medium", {"thinking": {"type": "enabled", "budget_tokens": 2048}}),
        (OLD, "none", {}),
        ("claude-3-5-haiku-20241022", "none", {"max_tokens": 8192}),
    ],
)
def test_effort_is_told_as_the_family_takes_it(model: str, effort: str, expected: dict[str, Any]) -> None:
    assert body(model, reasoning_effort=effort) == expected


@pytest.mark.parametrize(
    ("model", "thinking", "expected"),
    [
        (NEW, {"type": "enabled", "budget_tokens": 5000}, {"thinking": ADAPTIVE, "output_config": {"effort": "high"}}),
        (NEW, {"type": "enabled", "budget_tokens": 1024}, {"thinking": ADAPTIVE, "output_config": {"effort": "low"}}),
        (NEW, {"type": "adaptive"}, {"thinking": {"type": "adaptive"}}),
        (NEW, {"type": "disabled"}, {"output_config": {"effort": "low"}}),
        (OLD, {"type": "enabled", "budget_tokens": 3000}, {"thinking": {"type": "enabled", "budget_tokens": 3000}}),
        (OLD, {"type": "adaptive"}, {"thinking": {"type": "enabled", "budget_tokens": 4096}}),
        (OLD, {"type": "disabled"}, {"thinking": {"type": "disabled"}}),
    ],
)
def test_thinking_of_the_client_is_restated_where_it_must(
    model: str, thinking: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert body(model, thinking=thinking) == expected


def test_thinking_budget_stays_below_max_tokens() -> None:
    assert body(OLD, reasoning_effort="max", max_tokens=2000)["thinking"]["budget_tokens"] == 1999


def test_thinking_without_room_for_it_is_dropped() -> None:
    built = build(OLD, reasoning_effort="low", max_tokens=1000)
    assert "thinking" not in json.loads(built.body)
    assert built.dropped == ("reasoning_effort",)


def test_thinking_leaves_no_room_for_temperature() -> None:
    built = build("claude-opus-4-6", reasoning_effort="low", temperature=0.2)
    assert "temperature" not in json.loads(built.body)
    assert built.dropped == ("temperature",)


@pytest.mark.parametrize(("blocks", "dropped"), [(None, ("reasoning_effort",)), ([{"signature": "s"}], ())])
def test_thinking_by_budget_is_dropped_in_a_tool_loop_that_lost_it(blocks: Any, dropped: tuple[str, ...]) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    thinking = [{"type": "thinking", "thinking": "", **block} for block in blocks or ()]
    messages = [
        *HELLO,
        {"role": "assistant", "tool_calls": [call], "thinking_blocks": thinking},
        {"role": "tool", "tool_call_id": "c", "content": "1"},
    ]
    built = build(OLD, messages=messages, tools=[tool()], reasoning_effort="low")
    assert built.dropped == dropped
    assert ("thinking" in json.loads(built.body)) is not bool(dropped)


# --- the answer's form ----------------------------------------------------------------------------------------------


def json_schema(schema: Any = SCHEMA) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}


def test_schema_binds_the_answer() -> None:
    clean = {
        "type": "object",
        "properties": {"n": {"description": "(minimum: 1)", "type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    assert body(response_format=json_schema()) == {
        "output_config": {"format": {"type": "json_schema", "schema": clean}}
    }


def test_schema_is_a_tools_where_the_family_cannot_be_bound() -> None:
    built = build(OLDER, response_format=json_schema())
    sent = json.loads(built.body)
    assert (sent["tools"][0]["name"], sent["tools"][0]["input_schema"]) == ("json", SCHEMA)
    assert sent["tool_choice"] == {"type": "tool", "name": "json"}
    assert built.context.json_tool == "json"


def test_schema_is_put_in_words_beside_tools_where_the_family_cannot_be_bound() -> None:
    sent = body(OLDER, response_format=json_schema(), tools=[tool()])
    assert '"minimum":1' in sent["system"][0]["text"]
    assert "tool_choice" not in sent


@pytest.mark.parametrize("form", [{"type": "json_object"}, {"type": "json_schema", "json_schema": {"name": "x"}}])
def test_json_without_a_schema_is_asked_for_in_words(form: dict[str, Any]) -> None:
    assert body(response_format=form) == {"system": text("Answer with one JSON object and nothing else.")}


# --- tools ----------------------------------------------------------------------------------------------------------


EMPTY = {"type": "object", "properties": {}}
NAME = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        (None, EMPTY),
        ({}, EMPTY),
        ({"type": None}, EMPTY),
        ({"properties": {"a": {}}}, {"type": "object", "properties": {"a": {}}}),
        (SCHEMA, SCHEMA),
        (
            {"anyOf": [SCHEMA, {"$ref": "#/$defs/A"}], "$defs": {"A": {"properties": {"b": {}}, "required": ["n"]}}},
            {
                "type": "object",
                "$defs": {"A": {"properties": {"b": {}}, "required": ["n"]}},
                "properties": {"n": {"type": "integer", "minimum": 1}, "b": {}},
                "required": ["n"],
            },
        ),
    ],
)
def test_tool_takes_an_object(parameters: Any, expected: Any) -> None:
    assert body(tools=[tool(parameters=parameters)]) == {"tools": [{"name": "f", "input_schema": expected}]}


def test_tool_keeps_its_description_and_breakpoint() -> None:
    given = {**tool(description="d"), "cache_control": {"type": "ephemeral"}}
    built = {"name": "f", "description": "d", "input_schema": EMPTY, "cache_control": {"type": "ephemeral"}}
    assert body(tools=[given]) == {"tools": [built]}


def test_strict_tool_has_its_schema_made_fit() -> None:
    sent = body(tools=[tool(strict=True, parameters=SCHEMA)])["tools"][0]
    assert (sent["strict"], sent["input_schema"]["additionalProperties"]) == (True, False)


@pytest.mark.parametrize(
    ("model", "tools"),
    [
        (OLDER, [tool(strict=True)]),
        (NEW, [tool(strict=True, parameters={"properties": {"a": {"$ref": "#"}}})]),
        (NEW, [tool(f"f{index}", strict=True) for index in range(21)]),
    ],
)
def test_strict_tool_beyond_what_can_be_compiled_is_not_strict(model: str, tools: Any) -> None:
    built = build(model, tools=tools)
    assert "strict" not in json.loads(built.body)["tools"][-1]
    assert built.dropped == ("tools.function.strict",)


def test_custom_tool_takes_one_string() -> None:
    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: A"}}
    built = build(tools=[{"type": "custom", "custom": {"name": "f", "description": "d", "format": grammar}}])
    schema = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
    description = "d\n\nThe input follows this lark grammar:\nstart: A"
    assert json.loads(built.body)["tools"] == [{"name": "f", "description": description, "input_schema": schema}]
    assert built.context.custom_tools == {"f"}


def test_tools_whose_names_become_one_stay_apart() -> None:
    built = build(tools=[tool("a.b"), tool("a_b"), tool("a/b"), tool("x" * 70)], tool_choice="auto")
    names = [sent["name"] for sent in json.loads(built.body)["tools"]]
    assert names == ["a_b_2", "a_b", "a_b_3", "x" * 64]
    assert built.context.tool_names == {"a_b_2": "a.b", "a_b_3": "a/b", "x" * 64: "x" * 70}


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"tool_choice": "auto"}, None),
        ({"tool_choice": "none"}, {"type": "none"}),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": NAME}, {"type": "tool", "name": "f"}),
        ({"tool_choice": NAME, "parallel_tool_calls": False},
         {"type": "tool", "name": "f", "disable_parallel_tool_use": True}),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        ({"parallel_tool_calls": True}, None),
    ],
)  # fmt: skip
def test_tool_choice_is_said_as_anthropic_says_it(members: dict[str, Any], expected: Any) -> None:
    assert body(OLD, tools=[tool()], **members).get("tool_choice") == expected


def test_allowed_tools_are_the_tools() -> None:
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NAME]}}
    sent = body(OLD, tools=[tool("g"), tool("f")], tool_choice=choice)
    assert (sent["tools"], sent["tool_choice"]) == ([{"name": "f", "input_schema": EMPTY}], {"type": "any"})


@pytest.mark.parametrize(("model", "members"), [(NEW, {}), (OLD, {"reasoning_effort": "low"})])
def test_tool_that_cannot_be_forced_is_asked_for_in_words(model: str, members: Any) -> None:
    built = build(model, tools=[tool()], tool_choice=NAME, **members)
    sent = json.loads(built.body)
    assert (sent["tool_choice"], sent["system"]) == ({"type": "auto"}, text("Answer by calling the tool f."))
    assert built.dropped == ("tool_choice",)
    assert refused(model, strict=True, tools=[tool()], tool_choice="required", **members).param == "tool_choice"


@pytest.mark.parametrize("choice", ["any", {"type": "function", "function": {"name": "g"}}, {"type": "custom"}, 5])
def test_tool_choice_that_makes_no_sense_is_refused(choice: Any) -> None:
    assert refused(tools=[tool()], tool_choice=choice).param == "tool_choice"


def test_functions_of_old_are_tools_called_one_at_a_time() -> None:
    built = build(OLD, functions=[{"name": "f"}], function_call={"name": "f"})
    sent = json.loads(built.body)
    assert sent["tools"] == [{"name": "f", "input_schema": EMPTY}]
    assert sent["tool_choice"] == {"type": "tool", "name": "f", "disable_parallel_tool_use": True}
    assert built.context.legacy_functions


def test_web_search_is_the_providers_own_tool() -> None:
    place = {"city": "Bonn", "country": "DE"}
    options = {"search_context_size": "low", "user_location": {"type": "approximate", "approximate": place}}
    sent = body(web_search_options=options, tools=[tool("web_search")])["tools"]
    assert sent == [
        {"name": "web_search_2", "input_schema": EMPTY},
        {
            "type": "web_search_20250305",
            "name": "web_search",
            "max_uses": 1,
            "user_location": {"type": "approximate", **place},
        },
    ]


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"functions": [{"name": 5}]}, "functions"),
        ({"function_call": 5}, "function_call"),
        ({"thinking": "yes"}, "thinking"),
        ({"web_search_options": []}, "web_search_options"),
        ({"tools": [{"type": "mcp"}]}, "tools[0].type"),
    ],
)
def test_member_of_another_shape_is_refused_by_name(members: dict[str, Any], param: str) -> None:
    assert refused(**members).param == param


def test_request_nested_too_deeply_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(400):
        deep = {"properties": {"a": deep}}
    assert "nested too deeply" in refused(response_format=json_schema(deep)).message


def test_model_of_no_known_family_gets_everything() -> None:
    given = {"temperature": 1.5, "top_p": 0.5, "thinking": {"type": "adaptive"}, "max_tokens": 9}
    assert body("other", **given) == given


_KEYS = st.sampled_from(["type", "text", "content", "id", "source", "anthropic", "ttl", "budget_tokens", "city"])
_OBJECTS = st.dictionaries(
    _KEYS,
    st.recursive(
        st.none() | st.integers() | st.sampled_from(["text", "tool_use", "tool_result", "ephemeral", "enabled", "c1"]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
        max_leaves=10,
    ),
)


@given(_OBJECTS, st.lists(_OBJECTS, max_size=3), st.sampled_from([NEW, OLD, "other"]))
def test_any_object_is_taken_or_refused(anything: dict[str, Any], several: list[Any], model: str) -> None:
    call = {"id": "c1", "type": "custom", "custom": {"name": "f"}, "extra_content": anything}
    content = {"anthropic": {"content": several}}
    message = {"role": "assistant", "thinking_blocks": several, "extra_content": content, "tool_calls": [call]}
    members = {"messages": [message], "thinking": anything, "cache_control": anything, "web_search_options": anything}
    request, raw = decode_chat(json.dumps({"model": "ours", **members}).encode())
    json.loads(MESSAGES.build_request(request, raw, Target(model, find_capability(model))).body)
