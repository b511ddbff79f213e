"""The knobs of a chat request as Gemini takes them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.dialects.gemini_request import GEMINI_2_5, GEMINI_3, NEWEST, body, build, refused, user

from feathergate.capability import UNLIMITED, find_capability
from feathergate.dialects.contract import Target
from feathergate.dialects.gemini import GEMINI
from feathergate.dialects.gemini.field import DROPPED, EXTENSIONS, REFUSED, TRANSLATED
from feathergate.wire.chat import ChatRequest
from feathergate.wire.codec import decode_chat

PNG = "data:image/png;base64,AA=="
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


def config(model: str = GEMINI_3, **members: Any) -> dict[str, Any]:
    found: dict[str, Any] = body(model, **members).get("generationConfig", {})
    return found


# --- fields -------------------------------------------------------------------------------------------------------


def test_every_field_stands_in_exactly_one_list() -> None:
    assert sorted(TRANSLATED + DROPPED + REFUSED) == sorted(ChatRequest.__struct_fields__)


def test_smallest_request_is_one_content() -> None:
    built = build()
    assert built.path == "/v1beta/models/gemini-3-flash-preview:generateContent"
    assert built.body == b'{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}'
    assert (built.headers, built.dropped) == ((), ())


def test_stream_has_a_path_of_its_own() -> None:
    built = build(stream=True, stream_options={"include_usage": True})
    assert built.path == "/v1beta/models/gemini-3-flash-preview:streamGenerateContent?alt=sse"
    assert built.dropped == ()


@pytest.mark.parametrize(
    ("model", "path"),
    [("models/gemini-3-pro", "gemini-3-pro"), ("a b?c#d%", "a%20b%3Fc%23d%25"), ("a@1:x", "a%401%3Ax")],
)
def test_model_is_encoded_in_the_path(model: str, path: str) -> None:
    built = build(model)
    assert built.path == f"/v1beta/models/{path}:generateContent"
    assert built.context.model == model.removeprefix("models/")


@pytest.mark.parametrize("model", ["", "models/", "..", "a/../b", "models/a/b", "tunedModels/a"])
def test_model_that_would_leave_the_path_is_refused(model: str) -> None:
    assert refused(model).param == "model"


def test_same_request_gives_the_same_bytes_and_is_unchanged() -> None:
    data = json.dumps({"model": "m", "messages": [user()], "tools": [TOOL, TOOL], "user": "u", "n": 2}).encode()
    request, members = decode_chat(data)
    target = Target(GEMINI_3, find_capability(GEMINI_3))
    first, second = (GEMINI.build_request(request, members, target) for _ in range(2))
    assert first == second
    assert (request, {k: bytes(v) for k, v in members.items()}) == (
        decode_chat(data)[0],
        {k: bytes(v) for k, v in decode_chat(data)[1].items()},
    )


def test_null_means_absent_for_every_field() -> None:
    nulls: dict[str, Any] = dict.fromkeys(
        [*(set(ChatRequest.__struct_fields__) - {"model", "messages"}), *EXTENSIONS, "unknown"]
    )
    assert build(**nulls) == build()


# --- losses -------------------------------------------------------------------------------------------------------

LOST: dict[str, Any] = {
    "logit_bias": {"1": 2},
    "user": "u",
    "safety_identifier": "s",
    "store": True,
    "verbosity": "low",
    "parallel_tool_calls": False,
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "prompt_cache_options": {"mode": "implicit"},
    "metadata": {"a": "b"},
    "prediction": {"type": "content", "content": "x"},
    "cache_control": {"type": "ephemeral"},
    "something_unknown": 1,
}


def test_what_has_no_equivalent_is_dropped_and_said() -> None:
    built = build(**LOST)
    assert built.dropped == tuple(LOST)
    assert built.body == build().body


@pytest.mark.parametrize("name", LOST)
def test_strict_refuses_what_would_be_dropped(name: str) -> None:
    error = refused(strict=True, **{name: LOST[name]})
    assert (error.param, error.code) == (name, "unsupported_parameter")


def test_what_gemini_does_anyway_is_no_loss() -> None:
    built = build(
        NEWEST, strict=True, store=False, parallel_tool_calls=True, temperature=1, top_p=1, n=1, presence_penalty=0
    )
    assert built.body == build(NEWEST).body


def test_what_changes_the_meaning_is_refused() -> None:
    assert refused(moderation={"model": "m"}).param == "moderation"


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("safety_settings", [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}]),
        ("cached_content", "cachedContents/x"),
    ],
)
def test_extensions_pass_in_either_spelling(member: str, value: Any) -> None:
    camel = EXTENSIONS[member]
    assert body(**{member: value})[camel] == body(**{camel: value})[camel] == value


def test_cached_content_beside_what_it_holds_is_refused() -> None:
    system = {"role": "system", "content": "s"}
    assert refused(cached_content="cachedContents/x", messages=[system, user()]).param == "cached_content"
    assert refused(cached_content="cachedContents/x", tools=[TOOL]).param == "cached_content"


# --- generationConfig ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"max_tokens": 5}, {"maxOutputTokens": 5}),
        ({"max_tokens": 5, "max_completion_tokens": 6}, {"maxOutputTokens": 6}),
        ({"temperature": 0.5, "top_p": 0}, {"temperature": 0.5, "topP": 0.0}),
        ({"n": 3}, {"candidateCount": 3}),
        ({"stop": "x"}, {"stopSequences": ["x"]}),
        ({"stop": ["a", "", "b"]}, {"stopSequences": ["a", "b"]}),
        ({"stop": ""}, {}),
        ({"seed": 7}, {"seed": 7}),
        ({"seed": 2**31}, {"seed": -(2**31)}),
        ({"seed": -(10**18)}, {"seed": 1486618624}),
        ({"logprobs": True, "top_logprobs": 2}, {"responseLogprobs": True, "logprobs": 2}),
        ({"logprobs": False}, {}),
        ({"modalities": ["text"]}, {}),
        ({"modalities": ["text", "image"]}, {"responseModalities": ["TEXT", "IMAGE"]}),
        ({"response_format": {"type": "text"}}, {}),
        ({"response_format": {"type": "json_object"}}, {"responseMimeType": "application/json"}),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "strict": True, "schema": SCHEMA},
                }
            },
            {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA},
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "strict": None}}},
            {"responseMimeType": "application/json"},
        ),
    ],
)
def test_knobs_are_renamed(members: dict[str, Any], expected: dict[str, Any]) -> None:
    assert config(**members) == expected


def test_description_of_a_form_is_told_in_its_schema() -> None:
    form = {"name": "n", "description": "d", "schema": SCHEMA}
    built = config(response_format={"type": "json_schema", "json_schema": form})
    assert built["responseJsonSchema"] == {"description": "d", **SCHEMA}


def test_spoken_answer_names_its_voice() -> None:
    built = build(modalities=["text", "audio"], audio={"voice": "Kore", "format": "wav"})
    assert json.loads(built.body)["generationConfig"] == {
        "responseModalities": ["TEXT", "AUDIO"],
        "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}},
    }
    assert built.dropped == ("audio.format",)


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"n": 9}, "n"),
        ({"stop": list("abcdef")}, "stop"),
        ({"modalities": ["smell"]}, "modalities[0]"),
        ({"audio": {"format": "wav"}}, "audio.voice"),
        ({"thinking": {"type": "?"}}, "thinking"),
        ({"response_format": {"type": "yaml"}}, "response_format.type"),
    ],
)
def test_what_gemini_cannot_do_is_refused_with_its_place(members: dict[str, Any], param: str) -> None:
    assert refused(**members).param == param


def test_newest_models_lose_sampling_and_penalties() -> None:
    built = build(NEWEST, temperature=0.2, top_p=0.9, presence_penalty=1, frequency_penalty=-1)
    assert built.dropped == ("temperature", "top_p", "presence_penalty", "frequency_penalty")
    assert built.body == build(NEWEST).body


def test_elder_models_take_penalties_below_two() -> None:
    assert config(GEMINI_2_5, presence_penalty=2, frequency_penalty=-2) == {
        "presencePenalty": 1.99,
        "frequencyPenalty": -2.0,
    }


def test_json_beside_tools_is_for_newer_models() -> None:
    members: dict[str, Any] = {"tools": [TOOL], "response_format": {"type": "json_object"}}
    assert config(GEMINI_3, **members) == {"responseMimeType": "application/json"}
    assert refused(GEMINI_2_5, **members).param == "response_format"


@pytest.mark.parametrize(
    ("tier", "expected", "dropped"),
    [
        ("auto", None, ()),
        ("default", "standard", ()),
        ("flex", "flex", ()),
        ("priority", "priority", ()),
        ("fast", "priority", ()),
        ("scale", None, ("service_tier",)),
    ],
)
def test_service_tier_is_never_dearer_than_asked(tier: str, expected: str | None, dropped: tuple[str, ...]) -> None:
    built = build(service_tier=tier)
    assert (json.loads(built.body).get("serviceTier"), built.dropped) == (expected, dropped)


def test_detail_stands_on_the_part_or_on_the_request() -> None:
    image = {"type": "image_url", "image_url": {"url": PNG, "detail": "original"}}
    messages = [{"role": "user", "content": [image]}]
    part = body(GEMINI_3, messages=messages)["contents"][0]["parts"][0]
    assert part["mediaResolution"] == {"level": "MEDIA_RESOLUTION_ULTRA_HIGH"}
    assert config(GEMINI_2_5, messages=messages) == {"mediaResolution": "MEDIA_RESOLUTION_HIGH"}
    assert "mediaResolution" not in str(body("gemini-1.5-pro", messages=messages))


# --- thinking -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [
        ("gemini-2.5-pro", "none", 128),
        ("gemini-2.5-pro", "minimal", 128),
        ("gemini-2.5-pro", "max", 32768),
        ("gemini-2.5-flash", "none", 0),
        ("gemini-2.5-flash", "minimal", 1),
        ("gemini-2.5-flash", "low", 1024),
        ("gemini-2.5-flash", "medium", 8192),
        ("gemini-2.5-flash", "high", 24576),
        ("gemini-2.5-flash", "xhigh", 24576),
        ("gemini-2.5-flash-lite", "minimal", 512),
        ("gemini-3-pro-preview", "none", "LOW"),
        ("gemini-3-pro-preview", "medium", "HIGH"),
        ("gemini-3.1-pro-preview", "medium", "MEDIUM"),
        ("gemini-3-flash-preview", "none", "MINIMAL"),
        ("gemini-3.5-flash", "minimal", "MINIMAL"),
        ("gemini-3.8-flash", "minimal", "LOW"),
        ("gemini-3.8-flash", "xhigh", "HIGH"),
        ("gemini-4-argon", "max", "HIGH"),
        ("gemini-flash-latest", "low", "LOW"),
    ],
)
def test_effort_is_what_the_family_takes(model: str, effort: str, expected: int | str) -> None:
    name = "thinkingBudget" if isinstance(expected, int) else "thinkingLevel"
    assert config(model, reasoning_effort=effort) == {
        "thinkingConfig": {"includeThoughts": effort != "none", name: expected}
    }


@pytest.mark.parametrize(
    ("model", "thinking", "expected"),
    [
        ("gemini-2.5-flash", {"type": "enabled", "budget_tokens": 2000}, {"thinkingBudget": 2000}),
        ("gemini-2.5-pro", {"type": "enabled", "budget_tokens": 1}, {"thinkingBudget": 128}),
        ("gemini-3-flash", {"type": "enabled", "budget_tokens": 2000}, {"thinkingLevel": "MEDIUM"}),
        ("gemini-3-flash", {"type": "enabled", "budget_tokens": 90000}, {"thinkingLevel": "HIGH"}),
        ("gemini-3-flash", {"type": "adaptive"}, {"thinkingLevel": "MEDIUM"}),
        ("gemini-3-flash", {"type": "disabled"}, {"thinkingLevel": "MINIMAL"}),
    ],
)
def test_thinking_of_other_clients_is_understood(model: str, thinking: Any, expected: dict[str, Any]) -> None:
    shown = {"includeThoughts": thinking["type"] != "disabled"}
    assert config(model, thinking=thinking) == {"thinkingConfig": shown | expected}


def test_effort_goes_before_thinking() -> None:
    thinking = {"type": "enabled", "budget_tokens": 2000}
    assert config(GEMINI_2_5, thinking=thinking, reasoning_effort="low")["thinkingConfig"]["thinkingBudget"] == 1024


def test_model_that_does_not_think_loses_the_effort() -> None:
    built = build("gemini-2.0-flash", reasoning_effort="high", thinking={"type": "adaptive"})
    assert built.dropped == ("reasoning_effort", "thinking")
    assert build("gemini-2.0-flash", reasoning_effort="none").dropped == ()


def test_unknown_name_has_no_limits() -> None:
    assert find_capability("tuned") == UNLIMITED
    assert config("tuned", temperature=0.5, presence_penalty=1) == {"temperature": 0.5, "presencePenalty": 1.0}


def test_value_nested_too_deeply_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(400):
        schema = {"properties": {"a": schema}}
    members: dict[str, Any] = {"tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}]}
    assert "deeply" in refused(**members).message
