"""What a model's name tells, and the tables of LiteLLM's keys."""

from __future__ import annotations

import pytest
from msgspec import Struct

from feathergate.config.litellm import (
    BESIDE_PARAMS,
    IN_MODEL_INFO,
    POLICIES_OF_THE_REQUEST,
    SECTIONS,
    SHARED,
    is_credential,
    is_later_param,
    is_security,
    split_model,
)
from feathergate.config.schema import AllowedFailsPolicy, LitellmParams, RetryPolicy, RouterSettings
from feathergate.config.section import SECTION_STRUCTS


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("openai/gpt-5-mini", ("openai", "gpt-5-mini")),
        ("openrouter/anthropic/claude-3.7", ("openrouter", "anthropic/claude-3.7")),
        ("openai/*", ("openai", "*")),
        ("mock/echo", ("mock", "echo")),
        ("gpt-4o", ("openai", "gpt-4o")),
        ("o3-mini", ("openai", "o3-mini")),
        ("chatgpt-4o-latest", ("openai", "chatgpt-4o-latest")),
        ("ft:gpt-4o:org::id", ("openai", "ft:gpt-4o:org::id")),
        ("text-embedding-3-small", ("openai", "text-embedding-3-small")),
        ("claude-sonnet-4-5", ("anthropic", "claude-sonnet-4-5")),
        ("gemini-2.5-flash", ("gemini", "gemini-2.5-flash")),
        ("ollama", ("", "ollama")),
        ("opus", ("", "opus")),
        ("*", ("", "*")),
        ("/x", ("", "x")),
        ("", ("", "")),
    ],
)
def test_split_model_names_the_provider(model: str, expected: tuple[str, str]) -> None:
    assert split_model(model) == expected


@pytest.mark.parametrize("section", [*SECTION_STRUCTS, "litellm_params"])
def test_a_setting_that_is_read_stands_in_no_other_list(section: str) -> None:
    structs: dict[str, type[Struct]] = {**SECTION_STRUCTS, "litellm_params": LitellmParams}
    read = structs[section].__struct_fields__
    assert not SECTIONS[section].names() & {*read, *(SHARED if section == "litellm_settings" else ())}


def test_keys_that_are_read_in_two_places_are_settings() -> None:
    assert SHARED.issubset(RouterSettings.__struct_fields__)
    assert set(BESIDE_PARAMS + IN_MODEL_INFO).issubset(LitellmParams.__struct_fields__)
    assert POLICIES_OF_THE_REQUEST.issubset((*RetryPolicy.__struct_fields__, *AllowedFailsPolicy.__struct_fields__))


@pytest.mark.parametrize("section", SECTIONS)
def test_a_key_stands_in_one_list(section: str) -> None:
    keys = SECTIONS[section]
    assert len(keys.names()) == len(keys.later) + len(keys.never) + len(keys.refused)


@pytest.mark.parametrize("key", ["itpm", "aws_region_name", "vertex_project", "cache_read_input_token_cost"])
def test_keys_of_litellm_are_no_request_parameters(key: str) -> None:
    assert is_later_param(key)


@pytest.mark.parametrize("key", ["max_tokens", "prompt_cache_key", "logit_bias", "top_k"])
def test_request_parameters_are_not_taken_for_other_things(key: str) -> None:
    assert not is_later_param(key)
    assert not is_credential(key)


@pytest.mark.parametrize("key", ["hf_token", "my_api_key", "client_password", "oci_private_key"])
def test_credentials_are_recognised(key: str) -> None:
    assert is_credential(key)


@pytest.mark.parametrize("key", ["disable_auth", "no_auth", "require_api_keys", "enable_guardrail", "ip_allowlist"])
def test_security_keys_are_recognised(key: str) -> None:
    assert is_security(key)


@pytest.mark.parametrize("key", ["author", "cache_size", "custom_setting", "key_prefix"])
def test_other_keys_are_not_taken_for_security(key: str) -> None:
    assert not is_security(key)
