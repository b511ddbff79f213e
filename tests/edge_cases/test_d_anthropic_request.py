"""Section D: requests to Anthropic."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.edge_cases.asking import (
    CLAUDE,
    CLAUDE_4_5,
    CLAUDE_4_6,
    CLAUDE_4_8,
    CONTEXT,
    HELLO,
    JSON,
    anthropic_answer,
    assistant,
    build,
    call,
    choice,
    image,
    refused,
    result,
    sent,
    system,
    text,
    tool,
    user,
)

from feathergate.capability import Capability
from feathergate.dialects.contract import Context, Target
from feathergate.dialects.messages import MESSAGES
from feathergate.wire.codec import decode_chat

MODELS = (CLAUDE, CLAUDE_4_8, CLAUDE_4_6, CLAUDE_4_5)
MARK = {"type": "ephemeral"}
SIGNED = {"type": "thinking", "thinking": "hm", "signature": "s"}


def turns(*messages: JSON, model: str = CLAUDE, **members: Any) -> list[JSON]:
    found: list[JSON] = sent(model, *messages, **members)["messages"]
    return found


def kinds(turn: JSON) -> list[str]:
    return [block["type"] for block in turn["content"]]


def test_040_later_system_message_stays_in_its_place() -> None:
    history = (system("first"), HELLO, assistant("a"), user("b"), system("later"))
    body = sent(CLAUDE, *history)
    assert body["system"] == [text("first")]
    assert body["messages"][-1] == {"role": "system", "content": [text("later")]}
    old = sent("claude-opus-4-7", *history)
    assert [turn["role"] for turn in old["messages"]] == ["user", "assistant", "user"]
    assert old["messages"][-1]["content"][1]["text"].endswith("\nlater")


def test_041_system_alone_gets_a_users_message() -> None:
    body = sent(CLAUDE, system("first"))
    assert (body["system"], [turn["role"] for turn in body["messages"]]) == ([text("first")], ["user"])


CALLS = assistant("a", call("c1"), call("c2"))


def test_042_results_of_one_turn_travel_in_one_user_message() -> None:
    *_, last = turns(HELLO, CALLS, result("c2", "2"), result("c1", "1"))
    assert [(block["type"], block["tool_use_id"]) for block in last["content"]] == [
        ("tool_result", "c1"),
        ("tool_result", "c2"),
    ]


def test_043_words_after_results_follow_them_in_the_same_message() -> None:
    *_, last = turns(HELLO, CALLS, result("c1"), user("go on"), result("c2"))
    assert kinds(last) == ["tool_result", "tool_result", "text"]


def test_044_last_of_two_results_counts() -> None:
    *_, last = turns(HELLO, assistant(None, call()), result("c1", "old"), result("c1", "new"))
    assert [block["content"] for block in last["content"]] == [[text("new")]]


def test_045_result_without_a_call_is_words_and_call_without_a_result_an_error() -> None:
    orphan = turns(HELLO, result("c9", "lost"))[0]["content"]
    assert [block["type"] for block in orphan] == ["text"] * 3
    missing = turns(HELLO, CALLS, result("c1", "real"))[-1]["content"]
    assert [(block["tool_use_id"], block.get("is_error", False)) for block in missing] == [("c1", False), ("c2", True)]


@pytest.mark.parametrize("empty", ["", None, " \n", [], [text("")]])
def test_046_call_without_words_has_no_block_of_text(empty: Any) -> None:
    assert kinds(turns(HELLO, assistant(empty, call()), result())[1]) == ["tool_use"]


def test_047_last_words_lose_the_space_at_their_end() -> None:
    assert turns(HELLO, assistant("Sure: \n"), model=CLAUDE_4_5)[-1]["content"] == [text("Sure:")]
    assert [turn["role"] for turn in turns(HELLO, assistant(" \n"), model=CLAUDE_4_5)] == ["user"]


@pytest.mark.parametrize("arguments", ["", " ", "{}"])
def test_048_no_arguments_are_an_empty_object(arguments: str) -> None:
    assert turns(HELLO, assistant(None, call(arguments=arguments)), result())[1]["content"][0]["input"] == {}


@pytest.mark.parametrize("arguments", ['{"a":', "[1]", "null", "nonsense", "5", "[" * 5000])
def test_049_arguments_that_are_no_object_are_wrapped(arguments: str) -> None:
    content = turns(HELLO, assistant(None, call(arguments=arguments)), result())[1]["content"]
    assert content[0]["input"] == {"_raw": arguments}


def test_050_illegal_id_is_made_fit_alike_in_call_and_result() -> None:
    _, calls, results = turns(HELLO, assistant(None, call("functions.Bash:0")), result("functions.Bash:0"))
    assert calls["content"][0]["id"] == results["content"][0]["tool_use_id"] == "functions_Bash_0"


def test_051_names_that_would_become_one_stay_apart_and_are_changed_back() -> None:
    built = build(CLAUDE, tools=[tool("a.b"), tool("a_b"), tool("a b")])
    names = [declared["name"] for declared in json.loads(built.body)["tools"]]
    assert (len(set(names)), names[1]) == (3, "a_b")
    assert [built.context.tool_names.get(name, name) for name in names] == ["a.b", "a_b", "a b"]


@pytest.mark.parametrize("parameters", [None, {}, {"type": None}, {"properties": {}}, {"type": "object"}])
def test_052_tool_without_a_schema_takes_an_empty_object(parameters: Any) -> None:
    declared = sent(CLAUDE, tools=[tool(parameters=parameters)])["tools"]
    assert declared[0]["input_schema"] == {"type": "object", "properties": {}}


@pytest.mark.parametrize("union", ["anyOf", "oneOf", "allOf"])
def test_053_union_at_the_top_becomes_one_object(union: str) -> None:
    branches = [{"type": "object", "properties": {name: {"type": "string"}}} for name in "ab"]
    schema = sent(CLAUDE, tools=[tool(parameters={union: branches})])["tools"][0]["input_schema"]
    assert (schema["type"], list(schema["properties"]), union in schema) == ("object", ["a", "b"], False)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("required", {"type": "any"}),
        ("none", {"type": "none"}),
        ("auto", None),
        ({"type": "function", "function": {"name": "f"}}, {"type": "tool", "name": "f"}),
    ],
)
def test_054_choice_of_tools_is_said_as_anthropic_says_it(choice: Any, expected: Any) -> None:
    assert sent(CLAUDE_4_8, tools=[tool()], tool_choice=choice).get("tool_choice") == expected


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("none", {"type": "none"}),
        ("auto", {"type": "auto", "disable_parallel_tool_use": True}),
        ("required", {"type": "any", "disable_parallel_tool_use": True}),
    ],
)
def test_055_one_call_at_a_time_is_asked_for_where_there_may_be_calls(choice: str, expected: JSON) -> None:
    asked = sent(CLAUDE_4_8, tools=[tool()], tool_choice=choice, parallel_tool_calls=False)
    assert asked["tool_choice"] == expected


def test_056_allowed_tools_are_the_tools() -> None:
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "g"}}]}
    body = sent(
        CLAUDE_4_8, tools=[tool("f"), tool("g")], tool_choice={"type": "allowed_tools", "allowed_tools": allowed}
    )
    assert ([declared["name"] for declared in body["tools"]], body["tool_choice"]) == (["g"], {"type": "any"})


@pytest.mark.parametrize(
    ("model", "members"),
    [
        *((model, {}) for model in (CLAUDE, "claude-sonnet-5-5", "claude-fable-5-1", "claude-mythos-preview")),
        (CLAUDE_4_5, {"thinking": {"type": "enabled", "budget_tokens": 2048}}),
    ],
)
def test_057_tool_that_cannot_be_forced_is_asked_for_in_words(model: str, members: JSON) -> None:
    built = build(model, tools=[tool()], tool_choice="required", **members)
    body = json.loads(built.body)
    assert (body["tool_choice"], built.dropped) == ({"type": "auto"}, ("tool_choice",))
    assert body["system"][-1]["text"].startswith("Answer by calling")
    assert refused(model, tools=[tool()], tool_choice="required", strict=True, **members).param == "tool_choice"


def test_058_tools_of_the_history_are_declared() -> None:
    body = sent(CLAUDE, HELLO, assistant(None, call(name="f")), result(), user("thanks"))
    assert ([declared["name"] for declared in body["tools"]], body["tool_choice"]) == (["f"], {"type": "none"})


@pytest.mark.parametrize(
    ("model", "most"), [(CLAUDE, 128_000), (CLAUDE_4_5, 64_000), ("claude-3-5-haiku-latest", 8_192)]
)
def test_059_max_tokens_is_what_the_model_can_do(model: str, most: int) -> None:
    assert sent(model, stream=True)["max_tokens"] == most
    assert sent(model, stream=True, max_tokens=1_000_000)["max_tokens"] == most
    assert sent(model)["max_tokens"] == min(most, 21_333)


@pytest.mark.parametrize(("stop", "sequences"), [("a", ["a"]), (["a", " ", "", "b"], ["a", "b"]), ([" "], None)])
def test_060_stop_is_forwarded_but_for_white_space(stop: Any, sequences: Any) -> None:
    assert sent(CLAUDE, stop=stop).get("stop_sequences") == sequences


@pytest.mark.parametrize(
    ("model", "given", "kept"),
    [
        (CLAUDE_4_5, {"temperature": 1.7}, {"temperature": 1.0}),
        (CLAUDE_4_5, {"temperature": 0.5, "top_p": 0.5}, {"temperature": 0.5}),
        (CLAUDE_4_6, {"top_p": 0.5}, {"top_p": 0.5}),
        ("claude-opus-4-7", {"temperature": 0.5, "top_p": 0.5}, {}),
        (CLAUDE, {"temperature": 0.5}, {}),
        ("claude-sonnet-4-20250514", {"temperature": 0.5, "top_p": 0.5}, {"temperature": 0.5, "top_p": 0.5}),
    ],
)
def test_061_sampling_is_what_the_family_takes(model: str, given: JSON, kept: JSON) -> None:
    built = build(model, **given)
    assert {name: value for name, value in json.loads(built.body).items() if name in given} == kept
    assert set(built.dropped) == given.keys() - kept.keys()


def test_062_thinking_without_room_for_it_is_dropped() -> None:
    built = build(CLAUDE_4_5, reasoning_effort="high", max_tokens=500)
    assert ("thinking" in json.loads(built.body), built.dropped) == (False, ("reasoning_effort",))
    assert sent(CLAUDE_4_5, reasoning_effort="high", max_tokens=2000)["thinking"]["budget_tokens"] < 2000


def test_063_thinking_is_off_in_a_loop_that_lost_its_thoughts() -> None:
    loop = (HELLO, assistant(None, call()), result())
    assert "thinking" not in sent(CLAUDE_4_5, *loop, reasoning_effort="high")
    assert "thinking" in sent(CLAUDE_4_6, *loop, reasoning_effort="high")
    kept = (HELLO, assistant(None, call(), thinking_blocks=[SIGNED]), result())
    assert "thinking" in sent(CLAUDE_4_5, *kept, reasoning_effort="high")


def test_064_block_with_nothing_but_its_signature_is_kept() -> None:
    silent = {"type": "thinking", "thinking": "", "signature": "s"}
    assert turns(HELLO, assistant("a", thinking_blocks=[silent]), HELLO)[1]["content"] == [silent, text("a")]


SEARCH = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [{"encrypted_content": "xyz"}]}


def test_065_content_of_the_providers_tools_keeps_its_order() -> None:
    came: list[JSON] = [SIGNED, SEARCH, FOUND, text("a"), SIGNED, text("b")]
    again = choice(CLAUDE, anthropic_answer(*came))["message"]
    assert turns(HELLO, again, HELLO)[1]["content"] == came


def test_066_encrypted_results_go_round() -> None:
    again = choice(CLAUDE, anthropic_answer(SEARCH, FOUND, text("a")))["message"]
    assert FOUND in turns(HELLO, again, HELLO)[1]["content"]


@pytest.mark.parametrize(
    "foreign", [{"thinking_blocks": [{"type": "thinking", "thinking": "hm"}]}, {"reasoning_content": "hm"}]
)
def test_067_thinking_that_nobody_signed_stays_out(foreign: JSON) -> None:
    assert turns(HELLO, assistant("a", **foreign), HELLO)[1]["content"] == [text("a")]


def test_068_markers_are_left_out_where_they_are_refused_and_the_last_four_kept() -> None:
    parts = [{**text(str(number)), "cache_control": MARK} for number in range(6)]
    odd = [{**text(""), "cache_control": MARK}, {**text("x"), "cache_control": None}]
    content = turns(user([*parts, *odd]))[0]["content"]
    assert [block["text"] for block in content if block.get("cache_control")] == ["2", "3", "4", "5"]
    assert content[-1] == text("x")


@pytest.mark.parametrize(("who", "kept"), [("bob@example.com", False), ("+49 170 1234567", False), ("user-17", True)])
def test_069_user_who_is_a_person_is_hashed(who: str, kept: bool) -> None:
    assert (sent(CLAUDE, user=who)["metadata"]["user_id"] == who) is kept


def test_070_image_is_what_its_bytes_are_and_nothing_is_fetched() -> None:
    blocks = turns(user([image("data:image/jpg;base64,AAAA"), image("data:image/gif;base64,iVBORw0KGgo=")]))[0][
        "content"
    ]
    assert [block["source"]["media_type"] for block in blocks] == ["image/jpeg", "image/png"]
    assert turns(user([image("https://x.example/a")]))[0]["content"][0]["source"]["type"] == "url"
    assert refused(CLAUDE, user([image("http://x.example/a")])).param == "messages[0].content[0]"


def test_071_pdf_within_an_image_url_is_a_document() -> None:
    assert kinds(turns(user([image("data:application/pdf;base64,JVBERi0=")]))[0]) == ["document"]


def test_072_image_in_a_result_is_an_image() -> None:
    *_, last = turns(HELLO, assistant(None, call()), result("c1", [text("a"), image()]))
    assert kinds(last["content"][0]) == ["text", "image"]


SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string", "minLength": 2}, "b": {"oneOf": [{"type": "string"}, {"type": "null"}]}},
}


def test_073_schema_is_made_fit() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}}
    schema = sent(CLAUDE, response_format=form)["output_config"]["format"]["schema"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["a"] == {"description": "(minLength: 2)", "type": "string"}
    assert list(schema["properties"]["b"]) == ["anyOf"]


def test_073_tool_that_stands_in_for_a_schema_answers_in_text() -> None:
    told = {"type": "tool_use", "id": "t", "name": "json", "input": {"a": 1}}
    found = choice(CLAUDE, anthropic_answer(told, stop="tool_use"), Context("served", json_tool="json"))
    assert (json.loads(found["message"]["content"]), found["finish_reason"]) == ({"a": 1}, "stop")


@pytest.mark.parametrize("tier", ["flex", "priority", "scale", "fast"])
def test_074_service_tier_that_anthropic_lacks_is_omitted_and_said_so(tier: str) -> None:
    built = build(CLAUDE, service_tier=tier)
    assert ("service_tier" in json.loads(built.body), built.dropped) == (False, ("service_tier",))


def test_model_of_no_known_family_gets_every_knob() -> None:
    members = {"temperature": 1.7, "top_p": 0.5, "stop": ["a"]}
    request, raw = decode_chat(json.dumps({"model": "m", "messages": [HELLO], **members}).encode())
    built = MESSAGES.build_request(request, raw, Target("kimi-k3", Capability()))
    assert {"temperature": 1.7, "top_p": 0.5, "stop_sequences": ["a"]}.items() <= json.loads(built.body).items()
    assert built.context.model != CONTEXT.model
