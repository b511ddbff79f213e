"""Tools, their names and schemas, and the choice among them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.dialects.gemini_request import GEMINI_2_5, GEMINI_3, body, build, refused, user

from feathergate.dialects.gemini.schema import clean_schema
from feathergate.dialects.gemini.tool import pick_names

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


def tool(name: str = "f", **members: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **members}}


def declarations(**members: Any) -> list[dict[str, Any]]:
    (found,) = body(**members)["tools"]
    declared: list[dict[str, Any]] = found["functionDeclarations"]
    return declared


def calling(model: str = GEMINI_3, **members: Any) -> Any:
    members.setdefault("tools", [tool("f"), tool("g")])
    return body(model, **members).get("toolConfig", {}).get("functionCallingConfig")


def named(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


def test_functions_are_declared_in_one_tool() -> None:
    described = tool("f", description="d", parameters=SCHEMA, strict=None)
    assert declarations(tools=[described, tool("g"), tool("h", parameters={})]) == [
        {"name": "f", "description": "d", "parametersJsonSchema": SCHEMA},
        {"name": "g"},
        {"name": "h"},
    ]


def test_custom_tool_is_a_function_of_one_string() -> None:
    grammar = {"type": "grammar", "grammar": {"definition": "x", "syntax": "lark"}}
    custom = {"type": "custom", "custom": {"name": "sql", "description": "d", "format": grammar}}
    built = build(tools=[custom])
    (declared,) = json.loads(built.body)["tools"][0]["functionDeclarations"]
    assert declared["parametersJsonSchema"]["required"] == ["input"]
    assert declared["description"] == 'd\n\n`input` must match this grammar: {"definition":"x","syntax":"lark"}'
    assert built.context.custom_tools == {"sql"}


def test_older_functions_are_tools() -> None:
    built = build(functions=[{"name": "f", "parameters": SCHEMA}], function_call={"name": "f"})
    assert built.body == build(tools=[tool("f", parameters=SCHEMA)], tool_choice=named("f")).body
    assert (built.context.legacy_functions, built.dropped) == (True, ())


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, None),
        ("none", {"mode": "NONE"}),
        ("auto", {"mode": "AUTO"}),
        ("required", {"mode": "ANY"}),
        (named("g"), {"mode": "ANY", "allowedFunctionNames": ["g"]}),
        ({"type": "custom", "custom": {"name": "g"}}, {"mode": "ANY", "allowedFunctionNames": ["g"]}),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [named("g")]}},
            {"mode": "ANY", "allowedFunctionNames": ["g"]},
        ),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [named("g")]}}, {"mode": "AUTO"}),
    ],
)
def test_tool_choice_is_a_mode(choice: Any, expected: Any) -> None:
    assert calling(tool_choice=choice) == expected


@pytest.mark.parametrize(("choice", "mode"), [("none", "NONE"), ("auto", "AUTO"), ({"name": "f"}, "ANY")])
def test_older_function_call_is_a_mode(choice: Any, mode: str) -> None:
    assert calling(tools=None, functions=[{"name": "f"}], function_call=choice)["mode"] == mode


def test_tools_that_are_not_allowed_are_left_out() -> None:
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [named("g")]}}
    assert declarations(tools=[tool("f"), tool("g")], tool_choice=choice) == [{"name": "g"}]


def test_strict_tools_are_validated() -> None:
    tools = [tool("f", strict=True), tool("g")]
    assert calling(tools=tools) == calling(tools=tools, tool_choice="auto") == {"mode": "VALIDATED"}
    assert calling(tools=tools, tool_choice="required") == {"mode": "ANY"}
    assert build("gemini-2.0-flash", tools=tools).dropped == ("tools.function.strict",)


def test_choice_without_tools_says_nothing() -> None:
    assert build(tool_choice="auto", tools=[]).body == build().body
    assert build(tool_choice="required").dropped == ("tool_choice",)


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [tool("")]}, "tools[0].function.name"),
        ({"functions": [{}]}, "functions[0]"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice"),
        ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice.allowed_tools"),
        ({"function_call": "maybe"}, "function_call"),
        ({"function_call": 1}, "function_call"),
    ],
)
def test_wrong_tools_are_refused_with_their_place(members: dict[str, Any], param: str) -> None:
    assert refused(**members).param == param


# --- search -------------------------------------------------------------------------------------------------------


def test_search_is_googles() -> None:
    built = build(GEMINI_2_5, web_search_options={"search_context_size": "low", "user_location": None})
    assert json.loads(built.body)["tools"] == [{"googleSearch": {}}]
    assert built.dropped == ("web_search_options.search_context_size",)


def test_search_beside_functions_is_for_newer_models() -> None:
    members: dict[str, Any] = {"tools": [tool()], "web_search_options": {}}
    built = body(GEMINI_3, **members)
    assert built["tools"] == [{"functionDeclarations": [{"name": "f"}]}, {"googleSearch": {}}]
    assert built["toolConfig"] == {"includeServerSideToolInvocations": True}
    assert build(GEMINI_2_5, **members).dropped == ("web_search_options",)


# --- names --------------------------------------------------------------------------------------------------------


def test_legal_names_stay() -> None:
    assert pick_names(["f", "_a.b:c-d", "f"]) == {"_a.b:c-d": "_a.b:c-d", "f": "f"}


def test_illegal_names_become_legal_ones_each_its_own() -> None:
    names = pick_names(["1x", "-y", "a b", "a_b", "ü", "", "x" * 200, "x" * 201])
    assert (names["1x"], names["-y"], names["a_b"]) == ("_1x", "_-y", "a_b")
    assert len(set(names.values())) == len(names)
    assert all(len(name) <= 128 for name in names.values())


def test_order_of_names_makes_no_difference() -> None:
    names = ["a b", "a-b", "a_b", "a?b", "a!b"]
    assert pick_names(names) == pick_names(reversed(names))


def test_changed_names_are_the_same_everywhere_and_changed_back() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "1x", "arguments": "{}"}}
    messages = [
        user(),
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": ""},
    ]
    built = build(messages=messages, tools=[tool("1x")], tool_choice=named("1x"))
    assert built.body.count(b'"_1x"') == 4
    assert b'"1x"' not in built.body
    assert built.context.tool_names == {"_1x": "1x"}


# --- schemas ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"$schema": "x", "title": "T", "type": "object", "strict": True}, {"type": "object"}),
        ({"properties": {"title": {"title": "T"}, "format": {}}}, {"properties": {"title": {}, "format": {}}}),
        ({"const": "a"}, {"enum": ["a"]}),
        ({"type": "string", "format": "date"}, {"type": "string", "description": "(format: date)"}),
        (
            {"description": "d", "exclusiveMinimum": 0, "exclusiveMaximum": 9},
            {"description": "d (exclusiveMinimum: 0, exclusiveMaximum: 9)"},
        ),
        ({"items": {"title": "T"}, "additionalProperties": False}, {"items": {}, "additionalProperties": False}),
        ({"anyOf": [{"title": "T"}, {"const": None}]}, {"anyOf": [{}, {"enum": [None]}]}),
        ({"$defs": {"A": {"title": "T"}}, "$ref": "#/$defs/A"}, {"$defs": {"A": {}}, "$ref": "#/$defs/A"}),
        (
            {"enum": [{"title": "data"}], "default": {"title": "x"}},
            {"enum": [{"title": "data"}], "default": {"title": "x"}},
        ),
        (True, True),
    ],
)
def test_schema_loses_only_what_gemini_refuses(schema: Any, expected: Any) -> None:
    assert clean_schema(schema) == expected


def test_schema_keeps_its_order_and_is_unchanged() -> None:
    schema = {"required": ["b"], "properties": {"b": {"title": "B"}, "a": {}}, "type": "object"}
    before = json.dumps(schema)
    assert list(clean_schema(schema)) == ["required", "properties", "type"]
    assert list(clean_schema(schema)["properties"]) == ["b", "a"]
    assert json.dumps(schema) == before
