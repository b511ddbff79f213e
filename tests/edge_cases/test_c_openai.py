"""Section C: OpenAI as the upstream, where bytes pass and only what its families refuse is changed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.edge_cases.asking import (
    CONTEXT,
    GEMINI_3,
    HELLO,
    JSON,
    assistant,
    build,
    call,
    open_pipe,
    openai_chunk,
    openai_stream,
    refused,
    result,
    sent,
    tool,
    user,
)

from feathergate.capability import UNLIMITED, find_capability
from feathergate.dialects.chat import CHAT
from feathergate.dialects.contract import Target
from feathergate.dialects.translation import translate_whole
from feathergate.wire.codec import decode_chat

PLAIN, REASONING, GPT_5, GPT_5_1, NEWEST = "gpt-4o", "o3-mini", "gpt-5-mini", "gpt-5.1", "gpt-5.6-luna"
HOSTED = ("llama-3.3-70b-versatile", "openai/gpt-5", "deepseek-chat", "o1ive", "gpt-oss-120b", "my-azure-deployment")
TOOLS = [tool()]


def test_030_tools_are_called_without_reasoning_where_both_are_refused() -> None:
    built = build(NEWEST, tools=TOOLS)
    assert json.loads(built.body)["reasoning_effort"] == "none"
    assert built.dropped == ("reasoning_effort",)
    assert refused(NEWEST, tools=TOOLS, strict=True).param == "reasoning_effort"


@pytest.mark.parametrize(
    ("model", "members"),
    [
        (NEWEST, {}),
        (NEWEST, {"tools": TOOLS, "reasoning_effort": "high"}),
        (NEWEST, {"tools": TOOLS, "reasoning_effort": "none"}),
        (GPT_5_1, {"tools": TOOLS}),
        (GPT_5, {"tools": TOOLS}),
        ("gpt-6-astra", {"tools": TOOLS}),
        (PLAIN, {"tools": TOOLS}),
    ],
)
def test_030_effort_is_the_clients_everywhere_else(model: str, members: JSON) -> None:
    assert sent(model, strict=True, **members).get("reasoning_effort") == members.get("reasoning_effort")


@pytest.mark.parametrize("model", [REASONING, GPT_5, GPT_5_1, NEWEST, "gpt-5-chat-latest", "o1", "gpt-6"])
def test_031_max_tokens_is_renamed_where_its_old_name_is_refused(model: str) -> None:
    body = sent(model, strict=True, max_tokens=9)
    assert (body["max_completion_tokens"], "max_tokens" in body) == (9, False)


@pytest.mark.parametrize("model", [PLAIN, "gpt-4.1", "gpt-3.5-turbo", *HOSTED])
def test_031_max_tokens_keeps_its_name_elsewhere(model: str) -> None:
    body = sent(model, max_tokens=9, max_completion_tokens=None)
    assert (body["max_tokens"], body["max_completion_tokens"]) == (9, None)


def test_031_newer_name_counts_where_both_are_given() -> None:
    body = sent(GPT_5, max_tokens=9, max_completion_tokens=7)
    assert (body["max_completion_tokens"], "max_tokens" in body) == (7, False)


SAMPLING: list[JSON] = [
    {"temperature": 0.2},
    {"top_p": 0.5},
    {"presence_penalty": 1},
    {"frequency_penalty": 1},
    {"logprobs": True},
    {"top_logprobs": 2},
    {"logit_bias": {"1": 1}},
]


@pytest.mark.parametrize("knob", SAMPLING)
@pytest.mark.parametrize(
    ("model", "members"),
    [
        (REASONING, {}),
        (GPT_5, {}),
        (GPT_5_1, {"reasoning_effort": "low"}),
        (NEWEST, {}),
        (NEWEST, {"tools": TOOLS, "reasoning_effort": "low"}),
    ],
)
def test_032_sampling_of_a_model_that_reasons_is_dropped_and_said_so(model: str, members: JSON, knob: JSON) -> None:
    built = build(model, **members, **knob)
    assert not knob.keys() & json.loads(built.body).keys()
    assert built.dropped == tuple(knob)
    assert refused(model, **members, **knob, strict=True).param == next(iter(knob))


@pytest.mark.parametrize("knob", [*SAMPLING, {"stop": ["a"]}, {"prediction": {"type": "content", "content": "x"}}])
@pytest.mark.parametrize(
    ("model", "members"),
    [(PLAIN, {}), (GPT_5_1, {}), (NEWEST, {"reasoning_effort": "none"}), *((model, {}) for model in HOSTED)],
)
def test_032_sampling_of_a_model_that_takes_it_is_sent(model: str, members: JSON, knob: JSON) -> None:
    assert knob.items() <= sent(model, strict=True, **members, **knob).items()


def test_032_values_that_ask_for_nothing_are_sent() -> None:
    neutral = {"temperature": 1, "top_p": 1.0, "presence_penalty": 0, "logprobs": False}
    assert neutral.items() <= sent(GPT_5, strict=True, **neutral).items()


def test_033_spent_quota_is_not_worth_another_attempt() -> None:
    body = b'{"error":{"message":"m","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}'
    error = CHAT.parse_error(429, [(b"retry-after", b"300")], body)
    assert (error.status, error.kind, error.retryable, error.code) == (429, "quota", False, "insufficient_quota")


def test_034_stop_beside_calls_passes() -> None:
    calls = [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    stream = openai_stream(openai_chunk(tool_calls=calls), openai_chunk("stop"), b"[DONE]")
    assert open_pipe(PLAIN).feed(stream) == stream


@pytest.mark.parametrize(
    ("given", "left"),
    [
        (b'{"role":"assistant","content":"a","tool_calls":[]}', b'{"role":"assistant","content":"a"}'),
        (b'{"tool_calls": [ ] , "content":"a"}', b'{"content":"a"}'),
        (b'{"content":"\\"tool_calls\\":[]","tool_calls":[]}', b'{"content":"\\"tool_calls\\":[]"}'),
        (b'{"content":"a", "tool_calls":[{"id":"c"}]}', b'{"content":"a", "tool_calls":[{"id":"c"}]}'),
    ],
)
def test_035_empty_list_of_calls_is_left_out(given: bytes, left: bytes) -> None:
    frame = b'{"id":"x","choices":[{"index":0,"%b":%b,"finish_reason":%b}]}'
    chunk = b"data: " + frame + b"\n\n"
    assert open_pipe(PLAIN).feed(chunk % (b"delta", given, b"null")) == chunk % (b"delta", left, b"null")
    whole = translate_whole(frame % (b"message", given, b'"stop"'), CHAT, CONTEXT, "x", 1, 999)
    assert whole.body == frame % (b"message", left, b'"stop"')


OURS: JSON = {
    "reasoning_content": "hm",
    "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}],
    "extra_content": {"google": {"thought_signature": "s"}},
    "cache_control": {"type": "ephemeral"},
}


def test_037_our_own_members_do_not_return_to_openai() -> None:
    marked = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}
    spoken = assistant([marked], call(extra_content=OURS["extra_content"]), name="n", **OURS)
    body = sent(PLAIN, user([marked]), spoken, result(), strict=True, tools=[{**tool(), "cache_control": {}}])
    plain = {"type": "text", "text": "a"}
    assert body["messages"] == [
        user([plain]),
        assistant([plain], call(), name="n") | {"tool_calls": [call()]},
        result(),
    ]
    assert body["tools"] == TOOLS


@pytest.mark.parametrize("name", ["thinking", "cache_control"])
def test_037_members_of_other_providers_are_dropped_and_said_so(name: str) -> None:
    member: JSON = {name: {"type": "enabled"}}
    assert build(PLAIN, **member).dropped == (name,)
    assert refused(PLAIN, strict=True, **member).param == name


def test_099_signature_on_an_id_is_taken_off_it() -> None:
    long = "c1__thought__c2ln"
    body = sent(PLAIN, HELLO, assistant(None, call(long)), result(long), strict=True)
    assert body["messages"][1:] == [assistant(None) | {"tool_calls": [call("c1")]}, result("c1")]


def test_037_words_about_our_members_stay() -> None:
    told = user('What is "cache_control" and "reasoning_content"?')
    assert sent(PLAIN, told)["messages"] == [told]


@pytest.mark.parametrize("model", HOSTED)
def test_037_hosts_like_openai_get_them_back(model: str) -> None:
    spoken = assistant("a", **OURS)
    body = sent(model, HELLO, spoken, thinking={"type": "enabled"}, strict=True)
    assert (body["messages"], body["thinking"]) == ([HELLO, spoken], {"type": "enabled"})


@pytest.mark.parametrize("model", ["claude-opus-5-5", GEMINI_3])
def test_038_null_is_absent_for_other_providers(model: str) -> None:
    nulls: JSON = {"description": None, "parameters": None, "strict": None}
    history = (HELLO, assistant(None, call(), refusal=None, audio=None, function_call=None), result(), HELLO)
    given = build(model, *history, tools=[tool(**nulls)], tool_choice=None, response_format=None, stop=None, n=None)
    assert (given.body, given.dropped) == (
        build(model, HELLO, assistant(None, call()), result(), HELLO, tools=TOOLS).body,
        (),
    )


@pytest.mark.parametrize("parallel", [True, False, None])
def test_039_parallel_calls_without_tools_are_not_asked_for(parallel: bool | None) -> None:
    assert "parallel_tool_calls" not in sent(PLAIN, strict=True, parallel_tool_calls=parallel)
    assert sent(PLAIN, tools=TOOLS, parallel_tool_calls=parallel)["parallel_tool_calls"] == parallel
    assert sent(HOSTED[0], parallel_tool_calls=parallel)["parallel_tool_calls"] == parallel


# --- what passes --------------------------------------------------------------------------------------------------

ORDINARY: list[bytes] = [
    b'{"model":"ours","messages":[{"role":"user", "content":"caf\\u00e9","x":1e400}],"unknown":{"a":[1, 2]}}',
    b'{"messages":[{"role":"user","content":"\xc3\xa9"}],"model":"ours","n":2,"store":false,"metadata":{"a":"b"}}',
    b'{"model":"ours","messages":[{"role":"user","content":"x"}],"stream":true,"stream_options":{"include_usage":true}}',
    b'{"model":"ours","messages":[{"role":"developer","content":"x"}],"response_format":{"type":"text" },"seed":99}',
]


@pytest.mark.parametrize("model", [PLAIN, REASONING, GPT_5, GPT_5_1, NEWEST, *HOSTED])
@pytest.mark.parametrize("body", ORDINARY)
def test_ordinary_request_differs_in_the_models_name_alone(model: str, body: bytes) -> None:
    request, members = decode_chat(body)
    built = CHAT.build_request(request, members, Target(model, find_capability(model), strict=True))
    assert built.body == body.replace(b'"ours"', b'"%b"' % model.encode())


@pytest.mark.parametrize("model", HOSTED)
def test_model_of_no_known_family_gets_every_field_as_it_came(model: str) -> None:
    fields: dict[str, Any] = {
        **{name: value for knob in SAMPLING for name, value in knob.items()},
        "messages": [HELLO, assistant("a", **OURS)],
        "parallel_tool_calls": True,
        "max_tokens": 1,
        "thinking": {"type": "enabled", "budget_tokens": 1},
        "top_k": 5,
    }
    assert find_capability(model) is UNLIMITED
    body = json.dumps({"model": "ours"} | fields, separators=(",", ":")).encode()
    built = CHAT.build_request(*decode_chat(body), Target(model, find_capability(model), strict=True))
    assert built.body == body.replace(b'"ours"', b'"%b"' % model.encode())
