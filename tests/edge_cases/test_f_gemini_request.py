"""Section F: requests to Gemini."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.edge_cases.asking import (
    GEMINI_2_0,
    GEMINI_2_5,
    GEMINI_3,
    HELLO,
    JSON,
    assistant,
    build,
    call,
    image,
    refused,
    result,
    sent,
    system,
    text,
    tool,
    user,
)

DUMMY = "skip_thought_signature_validator"
LOOP = (HELLO, assistant(None, call("c1", '{"a":1}'), call("c2", name="g")), result("c2", '{"b":2}'), result("c1", "1"))


def contents(*messages: JSON, model: str = GEMINI_3, **members: Any) -> list[JSON]:
    found: list[JSON] = sent(model, *messages, **members)["contents"]
    return found


def responses(*messages: JSON, model: str = GEMINI_3) -> list[JSON]:
    """Every `functionResponse` of the conversation."""
    parts = [part for content in contents(*messages, model=model) for part in content["parts"]]
    return [part["functionResponse"] for part in parts if "functionResponse" in part]


def calls(*messages: JSON, model: str = GEMINI_3) -> list[JSON]:
    """Every part that is a `functionCall`."""
    return [part for content in contents(*messages, model=model) for part in content["parts"] if "functionCall" in part]


def test_091_system_alone_gets_a_users_part() -> None:
    body = sent(GEMINI_3, system("first"))
    assert body["systemInstruction"] == {"parts": [{"text": "first"}]}
    assert body["contents"] == [{"role": "user", "parts": [{"text": " "}]}]


def test_092_both_system_messages_are_kept() -> None:
    assert sent(GEMINI_3, system("a"), system("b"), HELLO)["systemInstruction"]["parts"] == [
        {"text": "a"},
        {"text": "b"},
    ]


def test_093_calls_and_results_of_the_history_are_parts() -> None:
    _, model, answer = contents(*LOOP)
    assert [part["functionCall"]["name"] for part in model["parts"]] == ["f", "g"]
    assert [part["functionResponse"]["name"] for part in answer["parts"]] == ["f", "g"]


def test_094_name_of_a_result_is_its_calls_whatever_stands_between() -> None:
    history = (HELLO, assistant(None, call(name="look")), assistant("wait"), user("?"), result())
    assert [response["name"] for response in responses(*history)] == ["look"]


def test_095_results_stand_in_one_content_in_the_order_of_their_calls() -> None:
    *_, answer = contents(*LOOP)
    assert [part["functionResponse"]["response"] for part in answer["parts"]] == [{"output": "1"}, {"b": 2}]
    short = responses(*LOOP[:-1])
    assert (len(short), list(short[0]["response"])) == (2, ["error"])


@pytest.mark.parametrize(
    ("model", "ids"), [(GEMINI_2_5, [None, None]), (GEMINI_2_0, [None, None]), (GEMINI_3, ["c1", "c2"])]
)
def test_096_calls_bear_ids_where_the_model_takes_them(model: str, ids: list[Any]) -> None:
    assert [part["functionCall"].get("id") for part in calls(*LOOP, model=model)] == ids
    assert [response.get("id") for response in responses(*LOOP, model=model)] == ids


def test_097_first_call_of_each_step_without_a_signature_gets_the_dummy() -> None:
    again = (assistant(None, call("c3"), call("c4")), result("c3"), result("c4"))
    signatures = [part.get("thoughtSignature") for part in calls(*LOOP, *again)]
    assert signatures == [DUMMY, None, DUMMY, None]
    assert not any("thoughtSignature" in part for part in calls(*LOOP, model=GEMINI_2_5))


def test_097_signature_of_the_client_is_sent_in_its_place() -> None:
    signed = call(extra_content={"google": {"thought_signature": "c2ln"}})
    assert [part.get("thoughtSignature") for part in calls(HELLO, assistant(None, signed), result())] == ["c2ln"]


def test_098_signature_is_sent_once() -> None:
    extra = {"google": {"thought_signature": "c2ln"}}
    history = (HELLO, assistant("a", call(extra_content=extra), extra_content=extra), result())
    assert json.dumps(contents(*history)).count("c2ln") == 1


def test_099_signature_on_an_id_is_taken_off_it() -> None:
    history = (HELLO, assistant(None, call("c1__thought__c2ln")), result("c1__thought__c2ln"))
    assert [part["thoughtSignature"] for part in calls(*history)] == ["c2ln"]
    assert [response["id"] for response in responses(*history)] == ["c1"]


def test_099_signature_on_an_id_does_not_reach_anthropic() -> None:
    long = "c1__thought__" + "A+/=" * 300
    _, spoken, answer = sent("claude-opus-5-5", HELLO, assistant(None, call(long)), result(long))["messages"]
    assert spoken["content"][0]["id"] == answer["content"][0]["tool_use_id"] == "c1"


def test_100_output_with_a_reference_stays_text() -> None:
    output = '{"$ref": "#/a"}'
    assert responses(HELLO, assistant(None, call()), result("c1", output))[0]["response"] == {"output": output}


@pytest.mark.parametrize(
    ("content", "response"),
    [
        ("[1,2]", {"output": [1, 2]}),
        ("5", {"output": "5"}),
        ("", {"output": ""}),
        ("null", {"output": "null"}),
        ('{"a":1}', {"a": 1}),
    ],
)
def test_101_output_is_an_object(content: str, response: JSON) -> None:
    assert responses(HELLO, assistant(None, call()), result("c1", content))[0]["response"] == response


def test_102_stop_is_forwarded_up_to_five() -> None:
    assert sent(GEMINI_3, stop=["a", "", "b"])["generationConfig"]["stopSequences"] == ["a", "b"]
    assert refused(GEMINI_3, stop=list("abcdef")).param == "stop"


def test_102_seed_and_choice_of_tools_are_forwarded() -> None:
    body = sent(GEMINI_3, seed=2**40 + 7, tools=[tool()], tool_choice="required")
    assert body["generationConfig"]["seed"] == 7
    assert body["toolConfig"]["functionCallingConfig"] == {"mode": "ANY"}


def test_103_recursive_schema_costs_no_more_than_its_size() -> None:
    node = {"type": "object", "properties": {name: {"$ref": "#/$defs/node"} for name in "abcdefgh"}}
    schema = {"$ref": "#/$defs/node", "$defs": {"node": node}}
    built = build(GEMINI_3, tools=[tool(parameters=schema)])
    assert len(built.body) < 2 * len(json.dumps(schema)) + 200


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"enum": [1, 2]}, "b": {"enum": ["", "x"]}}},
        {"type": "object", "properties": {"a": {"type": ["string", "null"]}}},
        {"type": "object", "properties": {}},
        {"type": "object", "properties": {}, "additionalProperties": False},
    ],
)
def test_104_schema_passes_as_json_schema(schema: JSON) -> None:
    (declared,) = sent(GEMINI_3, tools=[tool(parameters=schema)])["tools"][0]["functionDeclarations"]
    assert (declared["parametersJsonSchema"], "parameters" in declared) == (schema, False)


def test_105_search_beside_functions_is_for_newer_models() -> None:
    built = build(GEMINI_2_5, tools=[tool()], web_search_options={})
    assert ([list(one) for one in json.loads(built.body)["tools"]], built.dropped) == (
        [["functionDeclarations"]],
        ("web_search_options",),
    )
    newer = sent(GEMINI_3, tools=[tool()], web_search_options={})
    assert [list(one) for one in newer["tools"]] == [["functionDeclarations"], ["googleSearch"]]
    assert newer["toolConfig"]["includeServerSideToolInvocations"] is True


@pytest.mark.parametrize(
    ("tier", "expected"), [("auto", None), ("default", "standard"), ("flex", "flex"), ("fast", "priority")]
)
def test_106_service_tier_auto_is_omitted(tier: str, expected: str | None) -> None:
    assert sent(GEMINI_3, service_tier=tier).get("serviceTier") == expected


def test_107_all_images_are_sent() -> None:
    (content,) = contents(user([image()] * 40))
    assert len(content["parts"]) == 40


def test_108_media_alone_gets_words_where_the_model_wants_them() -> None:
    assert contents(user([image()]), model=GEMINI_2_0)[0]["parts"][1:] == [{"text": " "}]
    assert len(contents(user([image()]))[0]["parts"]) == 1


FORM = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}


def test_109_schema_beside_tools_is_for_newer_models() -> None:
    assert refused(GEMINI_2_5, tools=[tool()], response_format=FORM).param == "response_format"
    assert "responseJsonSchema" in sent(GEMINI_3, tools=[tool()], response_format=FORM)["generationConfig"]


@pytest.mark.parametrize(
    ("model", "thinking"),
    [
        (GEMINI_3, {"includeThoughts": False, "thinkingLevel": "LOW"}),
        ("gemini-3-flash", {"includeThoughts": False, "thinkingLevel": "MINIMAL"}),
        (GEMINI_2_5, {"includeThoughts": False, "thinkingBudget": 0}),
        ("gemini-2.5-pro", {"includeThoughts": False, "thinkingBudget": 128}),
    ],
)
def test_110_effort_none_is_as_little_as_the_model_can(model: str, thinking: JSON) -> None:
    assert sent(model, reasoning_effort="none")["generationConfig"]["thinkingConfig"] == thinking


def test_097_text_in_the_history_is_told_as_text() -> None:
    assert contents(HELLO, assistant([text("a")]), HELLO)[1] == {"role": "model", "parts": [{"text": "a"}]}
