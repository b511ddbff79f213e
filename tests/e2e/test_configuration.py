"""What the configuration says, seen from both ends of a request."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.e2e.native import NATIVES, OPENAI, Native, build_whole, decode_body
from tests.e2e.scene import get_error, open_scene
from tests.scripted_upstream import ScriptedUpstream

each_provider = pytest.mark.parametrize("native", NATIVES, ids=lambda native: native.name)
SPELLINGS = ["", "/", "/v1", "/v1/", "/v1/v1", "{path}", "{path}/"]


@each_provider
@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_every_spelling_of_the_base_leads_to_one_path(native: Native, spelling: str) -> None:
    async with ScriptedUpstream(build_whole(native.text("Hi"))) as upstream:
        base = f"http://127.0.0.1:{upstream.port}" + spelling.format(path=native.paths[0])
        async with open_scene((), params={"api_base": base}) as scene:
            assert (await scene.chat(f"fast-{native.name}")).status == 200
    assert upstream.requests[0].startswith(f"POST {native.paths[0]} HTTP/1.1\r\n".encode())


async def send(params: Any, model: str = "fast-openai", **members: Any) -> Any:
    """What reaches the provider of a request with these members."""
    native = next(item for item in NATIVES if model.endswith(item.name))
    async with open_scene(build_whole(native.text("Hi")), params=params) as scene:
        seen = await scene.chat(model, None, **members)
    assert seen.status == 200, seen.body
    return decode_body(scene.upstream.requests[0])


async def test_default_parameters_are_sent() -> None:
    body = await send({"temperature": 0.5, "max_tokens": 7, "user": "team"})
    assert (body["temperature"], body["max_tokens"], body["user"]) == (0.5, 7, "team")


async def test_clients_word_wins_over_a_default() -> None:
    assert (await send({"temperature": 0.5}, temperature=1))["temperature"] == 1


@each_provider
async def test_default_limit_of_tokens_yields_to_the_clients_under_its_other_name(native: Native) -> None:
    body = await send({"max_tokens": 7}, f"fast-{native.name}", max_completion_tokens=9)
    assert "7" not in json.dumps(body)
    assert "9" in json.dumps(body)


async def test_extra_body_wins_over_the_client() -> None:
    body = await send({"extra_body": {"store": True, "x_new": {"a": [1.50]}}}, store=False)
    assert (body["store"], body["x_new"]) == (True, {"a": [1.5]})


async def test_defaults_are_translated_for_other_dialects() -> None:
    body = await send({"temperature": 0.5, "stop": ["END"]}, "fast-gemini")
    assert (body["generationConfig"]["temperature"], body["generationConfig"]["stopSequences"]) == (0.5, ["END"])


@each_provider
async def test_model_is_named_as_the_provider_knows_it(native: Native) -> None:
    async with open_scene(build_whole(native.text("Hi"))) as scene:
        await scene.chat(f"fast-{native.name}")
    assert native.model in scene.upstream.requests[0].decode()
    assert "fast-" not in scene.upstream.requests[0].decode()


async def test_unknown_provider_loads_and_is_refused_when_asked() -> None:
    models = [{"model_name": "odd", "litellm_params": {"model": "acme/large"}}]
    async with open_scene((), model_list=models) as scene:
        seen = await scene.chat("odd")
    assert seen.status == 400
    error = get_error(seen)
    assert error["message"].startswith("Provider not supported: acme")
    assert error["param"] == "model"


async def test_wildcard_model_is_passed_on() -> None:
    async with ScriptedUpstream(build_whole(OPENAI.text("Hi"))) as upstream:
        params = {"model": "openai/*", "api_base": f"http://127.0.0.1:{upstream.port}"}
        async with open_scene((), model_list=[{"model_name": "openai/*", "litellm_params": params}]) as scene:
            assert (await scene.chat("openai/gpt-9")).status == 200
    assert decode_body(upstream.requests[0])["model"] == "gpt-9"


@pytest.mark.parametrize("stream", [False, True])
async def test_mock_response_answers_without_the_provider(stream: bool) -> None:
    async with open_scene((), params={"mock_response": "Hi from nobody"}) as scene:
        seen = await scene.chat("fast-anthropic", stream=stream)
    assert seen.status == 200
    assert b"nobody" in seen.body
    assert scene.upstream.connections == 0


async def test_strict_translation_refuses_what_it_would_drop() -> None:
    async with open_scene(build_whole(NATIVES[1].text("Hi")), litellm_settings={"drop_params": False}) as scene:
        seen = await scene.chat("fast-anthropic", None, seed=1)
    assert (seen.status, get_error(seen)["param"]) == (400, "seed")


async def test_dropped_fields_are_named_in_a_header() -> None:
    async with open_scene(build_whole(NATIVES[1].text("Hi"))) as scene:
        seen = await scene.chat("fast-anthropic", None, seed=1, logit_bias={"5": 1})
        samples = await scene.scrape()
    assert seen.headers[b"x-feathergate-dropped"] == b"seed, logit_bias"
    labels = 'field="seed",model="fast-anthropic",provider="anthropic"'
    assert samples[f"feathergate_dropped_fields_total{{{labels}}}"] == 1
