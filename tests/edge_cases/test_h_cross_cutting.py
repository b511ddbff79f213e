"""Section H: what concerns every provider."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.edge_cases.asking import (
    CLAUDE,
    CLAUDE_4_5,
    GEMINI_2_5,
    GEMINI_3,
    HELLO,
    JSON,
    anthropic_answer,
    anthropic_stream,
    assistant,
    block,
    build,
    build_body,
    call,
    choice,
    chunks,
    gemini_response,
    pick_dialect,
    refused,
    result,
    sent,
    system,
    text,
    tool,
    user,
)

from feathergate.errors import ClientError

EVERY = ("gpt-4o", "some-hosted-model", CLAUDE, CLAUDE_4_5, GEMINI_3, GEMINI_2_5)
FOREIGN = EVERY[2:]

FROM_ANTHROPIC: JSON = {
    "reasoning_content": "hm",
    "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "anthropic-sig"}],
    "extra_content": {"anthropic": {"content": [{"type": "server_tool_use", "id": "srv", "name": "web_search"}]}},
}
FROM_GEMINI: JSON = {
    "extra_content": {"google": {"thought_signature": "google-sig", "parts": [{"toolCall": {"id": "srv"}}]}}
}
SIGNED_CALL = call("c1__thought__google-sig", extra_content={"google": {"thought_signature": "google-sig"}})


@pytest.mark.parametrize(
    ("model", "foreign", "calls", "marks"),
    [
        (GEMINI_3, FROM_ANTHROPIC, call(), ("anthropic-sig", "srv", "hm", "ephemeral")),
        ("gpt-4o", FROM_ANTHROPIC, call(), ("anthropic-sig", "srv", "hm", "ephemeral")),
        (CLAUDE, FROM_GEMINI, SIGNED_CALL, ("google-sig", "srv", "__thought__")),
        ("gpt-4o", FROM_GEMINI, SIGNED_CALL, ("google-sig", "srv")),
    ],
)
def test_128_history_of_another_provider_is_told_without_its_marks(
    model: str, foreign: JSON, calls: JSON, marks: tuple[str, ...]
) -> None:
    marked = user([{**text("cached"), "cache_control": {"type": "ephemeral"}}])
    history = (marked, assistant("a", calls, **foreign), result(calls["id"]), user("go on"))
    told = json.dumps(sent(model, *history))
    assert not [mark for mark in marks if mark in told]
    assert all(word in told for word in ("cached", "go on"))


@pytest.mark.parametrize("model", [CLAUDE, CLAUDE_4_5])
def test_130_several_answers_are_refused_where_there_is_one(model: str) -> None:
    assert refused(model, n=2).param == "n"
    assert sent(GEMINI_3, n=2)["generationConfig"]["candidateCount"] == 2


def test_131_logprobs_that_cannot_be_had_are_dropped_and_said_so() -> None:
    assert build(CLAUDE, logprobs=True, top_logprobs=2).dropped == ("logprobs", "top_logprobs")
    assert refused(CLAUDE, logprobs=True, strict=True).param == "logprobs"
    assert choice(CLAUDE, anthropic_answer(text("a")))["logprobs"] is None


@pytest.mark.parametrize("model", FOREIGN)
def test_132_every_role_and_kind_is_taken(model: str) -> None:
    custom = {"id": "c1", "type": "custom", "custom": {"name": "run", "input": "ls"}}
    history = (
        {"role": "developer", "content": "d"},
        HELLO,
        assistant([{"type": "refusal", "refusal": "no"}], custom),
        result(),
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "1"},
    )
    told = json.dumps(sent(model, *history, tools=[{"type": "custom", "custom": {"name": "run"}}]))
    assert all(word in told for word in ('"d"', '"no"', '"ls"', '"run"', '"f"'))


@pytest.mark.parametrize("model", FOREIGN)
def test_132_unknown_role_is_refused_with_its_place(model: str) -> None:
    assert refused(model, HELLO, {"role": "robot", "content": "x"}).param == "messages[1].role"


CONVERSATION = (system("s"), user("u"), assistant("a", call()), result("c1", "r"), user("v"))


@pytest.mark.parametrize("model", FOREIGN)
def test_133_one_part_of_text_is_the_same_as_a_string(model: str) -> None:
    parts = [{**message, "content": [text(message["content"])]} for message in CONVERSATION]
    assert build(model, *parts).body == build(model, *CONVERSATION).body


@pytest.mark.parametrize("model", EVERY)
def test_134_lone_surrogate_is_a_wrong_request(model: str) -> None:
    with pytest.raises(ClientError):
        build(model, user("\ud800"))


@pytest.mark.parametrize("model", EVERY)
def test_134_odd_characters_arrive(model: str) -> None:
    odd = "a\x00b\x7f\u2028\ufeff\U0001f600"
    assert odd in json.dumps(sent(model, user(odd)), ensure_ascii=False).replace("\\u0000", "\x00")


NUMBERS = '{"z":9223372036854775808,"a":123456789012345678901234567890,"f":1e400,"g":1.10,"n":-0.0}'


@pytest.mark.parametrize("model", EVERY)
def test_135_numbers_of_arguments_keep_their_digits(model: str) -> None:
    body = build(model, HELLO, assistant(None, call(arguments=NUMBERS)), result(), HELLO).body
    assert NUMBERS in body.decode().replace('\\"', '"')


def test_135_numbers_of_an_answers_arguments_keep_their_digits() -> None:
    whole = json.dumps(anthropic_answer({"type": "tool_use", "id": "c", "name": "f", "input": "?"}, stop="tool_use"))
    events = pick_dialect(CLAUDE).parse_answer(whole.replace('"?"', NUMBERS).encode(), build(CLAUDE).context)
    assert [event.text for event in events if hasattr(event, "tool") and hasattr(event, "text")] == [NUMBERS]
    response = json.dumps(gemini_response({"functionCall": {"name": "f", "args": "?"}}, finish="STOP"))
    events = pick_dialect(GEMINI_3).parse_answer(response.replace('"?"', NUMBERS).encode(), build(GEMINI_3).context)
    assert [event.text for event in events if hasattr(event, "tool") and hasattr(event, "text")] == [NUMBERS]


PROPERTIES = {name: {"type": "string"} for name in ("zeta", "alpha", "mid")}


@pytest.mark.parametrize("model", FOREIGN)
def test_136_keys_keep_their_order(model: str) -> None:
    schema = {"type": "object", "properties": PROPERTIES, "required": list(PROPERTIES)}
    arguments = json.dumps(dict.fromkeys(PROPERTIES, 1))
    body = build(
        model, HELLO, assistant(None, call(arguments=arguments)), result(), HELLO, tools=[tool(parameters=schema)]
    ).body
    assert arguments.encode() in body
    assert json.dumps(PROPERTIES, separators=(",", ":")).encode() in body


@pytest.mark.parametrize("model", EVERY)
def test_137_key_in_a_providers_error_is_masked(model: str) -> None:
    body = json.dumps({"error": {"message": "bad key sk-ant-abcdef0123456789 or AIzaSyA0123456789abcdef"}}).encode()
    message = pick_dialect(model).parse_error(401, [], body).message
    assert ("abcdef" in message, message.startswith("bad key ")) == (False, True)


@pytest.mark.parametrize("model", FOREIGN)
@pytest.mark.parametrize("strict", [None, True, False])
def test_138_schema_needs_no_name(model: str, strict: bool | None) -> None:
    form = {"type": "json_schema", "json_schema": {"schema": {"type": "object", "properties": {}}, "strict": strict}}
    assert build(model, response_format=form).dropped == ()


@pytest.mark.parametrize("model", EVERY)
def test_128_attempt_on_one_provider_leaves_no_trace_in_the_next(model: str) -> None:
    body = {"model": "ours", "messages": [*CONVERSATION], "tools": [tool()], "max_tokens": 9}
    direct = build_body(model, body).body
    for other in EVERY:
        build_body(other, body)
    assert build_body(model, body).body == direct


def test_131_streamed_choice_says_nothing_of_logprobs_that_there_are_not() -> None:
    rendered: list[Any] = chunks(CLAUDE, anthropic_stream(*block(0, text("a"))))
    assert all(choice.get("logprobs") is None for chunk in rendered for choice in chunk["choices"])
