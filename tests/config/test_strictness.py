"""Strict or lenient, and what a model can do: as the file says it, seen from both ends of a request."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.native import ANTHROPIC, GEMINI, NATIVES, OPENAI, Native, build_whole, decode_body
from tests.e2e.scene import Scene, get_error, open_scene
from tests.running import running_gateway
from tests.scripted_upstream import ScriptedUpstream

from feathergate.capability import Capability, find_capability, override_capability
from feathergate.config.load import load
from feathergate.config.schema import Config, ModelInfo
from feathergate.deployment import find_overrides, is_strict
from feathergate.errors import ConfigError

translated = pytest.mark.parametrize("native", [ANTHROPIC, GEMINI], ids=lambda native: native.name)


def read(tmp_path: Path, params: Any, info: Any = None, **sections: Any) -> Config:
    file = tmp_path / "c.yaml"
    entry = {"model_name": "m", "litellm_params": {"model": "mock/m", **params}, "model_info": info}
    file.write_text(json.dumps({"model_list": [entry], **sections}))
    return load(file, {}, capability=Capability)


@pytest.mark.parametrize(
    ("info", "params", "server", "litellm", "expected"),
    [
        (None, None, None, None, False),
        (None, None, None, True, False),
        (None, None, None, False, True),
        (None, None, "lenient", False, False),
        (None, None, "strict", True, True),
        (None, True, "strict", False, False),
        (None, False, "lenient", True, True),
        ("lenient", False, "strict", False, False),
        ("strict", True, "lenient", True, True),
    ],
)
def test_more_specific_word_on_strictness_wins(
    tmp_path: Path, info: str | None, params: bool | None, server: str | None, litellm: bool | None, expected: bool
) -> None:
    sections = {"server_settings": {"translation": server}, "litellm_settings": {"drop_params": litellm}}
    config = read(tmp_path, {"drop_params": params}, {"translation": info}, **sections)
    assert is_strict(config.models[0], config) is expected


def test_translation_may_stand_at_the_top(tmp_path: Path) -> None:
    assert read(tmp_path, {}, translation="strict").server.translation == "strict"
    assert read(tmp_path, {}, translation="strict", server_settings=None).server.translation == "strict"


def test_translation_of_the_server_wins_over_the_top_with_a_word(tmp_path: Path) -> None:
    config = read(tmp_path, {}, translation="strict", server_settings={"translation": "lenient"})
    assert config.server.translation == "lenient"
    assert "translation has no effect beside server_settings.translation" in str(config.notices[0])


def test_without_known_capabilities_none_is_accepted(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("model_list: [{model_name: m, litellm_params: {model: mock/m}, model_info: {capability: {a: 1}}}]")
    with pytest.raises(ConfigError, match=r"c\.yaml:1:\d+: model_info\.capability\.a is no capability"):
        load(file, {})


def test_variables_stand_for_capabilities(tmp_path: Path) -> None:
    info = {"capability": {"budget_min": "${N:-7}", "prefill": "false", "efforts": ["low"]}}
    [entry] = read(tmp_path, {}, info).models
    assert entry.model_info.capability == {"budget_min": 7, "prefill": False, "efforts": ("low",)}


def test_free_keys_of_model_info_are_kept(tmp_path: Path) -> None:
    info = {"mode": "chat", "max_input_tokens": 9, "supports_vision": True, "max_output_tokens": "12"}
    [entry] = read(tmp_path, {}, info).models
    assert entry.model_info.max_output_tokens == 12
    assert entry.model_info.others == {"mode": "chat", "max_input_tokens": 9, "supports_vision": True}


def test_limit_of_capability_wins_over_that_of_litellm() -> None:
    assert find_overrides(ModelInfo(max_output_tokens=1)) == {"max_output_tokens": 1}
    info = ModelInfo(max_output_tokens=1, capability={"max_output_tokens": 2})  # type: ignore[arg-type]
    assert find_overrides(info) == {"max_output_tokens": 2}


def test_overridden_row_keeps_what_is_not_overridden() -> None:
    row = find_capability("claude-sonnet-4-5")
    assert override_capability(row, {}) is row
    changed = override_capability(row, {"prefill": not row.prefill})
    assert (changed.prefill, changed.thinking) == (not row.prefill, row.thinking)


@translated
async def test_lenient_translation_names_and_counts_what_it_drops(native: Native) -> None:
    async with open_scene(build_whole(native.text("Hi")), translation="lenient") as scene:
        seen = await scene.chat(f"fast-{native.name}", None, logit_bias={"5": 1}, store=True)
        samples = await scene.scrape()
    assert (seen.status, seen.headers[b"x-feathergate-dropped"]) == (200, b"logit_bias, store")
    labels = f'field="logit_bias",model="fast-{native.name}",provider="{native.name}"'
    assert samples[f"feathergate_dropped_fields_total{{{labels}}}"] == 1


@translated
@pytest.mark.parametrize(
    "sections",
    [{"translation": "strict"}, {"server_settings": {"translation": "strict"}}, {"params": {"drop_params": False}}],
)
async def test_strict_translation_refuses_and_names_the_field(native: Native, sections: Any) -> None:
    async with open_scene((), **sections) as scene:
        seen = await scene.chat(f"fast-{native.name}", None, logit_bias={"5": 1})
    assert (seen.status, get_error(seen)["param"]) == (400, "logit_bias")
    assert b"x-feathergate-dropped" not in seen.headers
    assert scene.upstream.connections == 0


@asynccontextmanager
async def open_informed(native: Native, info: Any, **sections: Any) -> AsyncIterator[Scene]:
    """A scene whose one model, `any-*`, is the native's with this `model_info`."""
    async with ScriptedUpstream(build_whole(native.text("Hi"))) as upstream:
        params = {"model": f"{native.name}/*", "api_base": f"http://127.0.0.1:{upstream.port}"}
        models = [{"model_name": "any-*", "litellm_params": params, "model_info": info}]
        async with running_gateway(json.dumps({"model_list": models, **sections})) as gateway:
            yield Scene(upstream, gateway)


async def ask_with(info: Any, native: Native, **members: Any) -> Any:
    """The body that reaches the provider."""
    async with open_informed(native, info) as scene:
        assert (await scene.chat(f"any-{native.model}", None, **members)).status == 200
    return decode_body(scene.upstream.requests[0])


@pytest.mark.parametrize(("translation", "status"), [("strict", 400), ("lenient", 200)])
async def test_model_has_the_last_word_on_strictness(translation: str, status: int) -> None:
    overall = {"strict": "lenient", "lenient": "strict"}[translation]
    async with open_informed(ANTHROPIC, {"translation": translation}, translation=overall) as scene:
        assert (await scene.chat("any-claude-sonnet-4-5", None, logit_bias={"5": 1})).status == status


async def test_strict_translation_passes_what_is_carried() -> None:
    for native in NATIVES:
        async with open_scene(build_whole(native.text("Hi")), translation="strict") as scene:
            assert (await scene.chat(f"fast-{native.name}", None, max_tokens=5)).status == 200


async def test_limit_of_model_info_is_what_anthropic_is_asked_for() -> None:
    assert (await ask_with({"max_output_tokens": 77}, ANTHROPIC))["max_tokens"] == 77


async def test_form_of_thinking_follows_the_override() -> None:
    info = {"capability": {"thinking": "none"}}
    assert "thinking" not in await ask_with(info, ANTHROPIC, reasoning_effort="high")
    assert "thinking" in await ask_with(None, ANTHROPIC, reasoning_effort="high")


async def test_name_of_the_limit_follows_the_override() -> None:
    body = await ask_with({"capability": {"max_tokens_name": "max_completion_tokens"}}, OPENAI, max_tokens=5)
    assert (body.get("max_tokens"), body.get("max_completion_tokens")) == (None, 5)
