"""`router_settings`, from both sections."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from msgspec.inspect import type_info

from feathergate.config.load import load
from feathergate.config.schema import AllowedFailsPolicy, Config, ModelAlias, RetryPolicy, RouterSettings
from feathergate.config.section import expectation
from feathergate.errors import ConfigError
from feathergate.routing.strategies import STRATEGIES

MODELS = """
model_list:
  - {model_name: fast, litellm_params: {model: mock/echo}}
  - {model_name: slow, litellm_params: {model: mock/echo}}
"""


def read(tmp_path: Path, text: str, **environ: str) -> Config:
    file = tmp_path / "c.yaml"
    file.write_text(MODELS + text)
    return load(file, environ)


def test_without_a_word_the_router_has_litellms_defaults(tmp_path: Path) -> None:
    router = read(tmp_path, "").router
    assert router == RouterSettings()
    assert (router.routing_strategy, router.num_retries, router.retry_after) == ("simple-shuffle", 2, 0)
    assert (router.allowed_fails, router.cooldown_time, router.max_fallbacks) == (None, 5, 5)


def test_strategies_are_those_that_there_are() -> None:
    [kind] = [field.type for field in msgspec.structs.fields(RouterSettings) if field.name == "routing_strategy"]
    assert set(expectation(type_info(kind))[0].removeprefix("one of ").split(", ")) == STRATEGIES.keys()


def test_router_settings_are_read_from_text_too(tmp_path: Path) -> None:
    text = """router_settings:
  {routing_strategy: "${S}", num_retries: os.environ/N, retry_after: '0.5', allowed_fails: "${N}", cooldown_time: 9,
   disable_cooldowns: 'true', max_fallbacks: '${N}', retry_policy: {RateLimitErrorRetries: "${N}", DefaultRetries: 1},
   allowed_fails_policy: {BadGatewayErrorAllowedFails: os.environ/N}, default_fallbacks: ["${F}"]}"""
    config = read(tmp_path, text, S="least-busy", N="7", F="slow")
    assert config.router == RouterSettings(
        routing_strategy="least-busy",
        num_retries=7,
        retry_after=0.5,
        retry_policy=RetryPolicy(RateLimitErrorRetries=7, DefaultRetries=1),
        allowed_fails=7,
        allowed_fails_policy=AllowedFailsPolicy(BadGatewayErrorAllowedFails=7),
        cooldown_time=9,
        disable_cooldowns=True,
        max_fallbacks=7,
        default_fallbacks=("slow",),
    )
    assert config.notices == ()


def test_litellm_settings_speak_for_the_router_too(tmp_path: Path) -> None:
    text = (
        "litellm_settings: {num_retries: 5, cooldown_time: 1, fallbacks: [{fast: [slow]}], default_fallbacks: [slow]}"
    )
    config = read(tmp_path, text)
    assert (config.router.num_retries, config.router.cooldown_time) == (5, 1)
    assert (config.router.fallbacks, config.router.default_fallbacks) == ({"fast": ("slow",)}, ("slow",))
    assert config.notices == ()


def test_routers_word_wins_over_that_of_litellm_settings(tmp_path: Path) -> None:
    text = "litellm_settings: {num_retries: 5, allowed_fails: 1}\nrouter_settings: {num_retries: 0, allowed_fails: }"
    config = read(tmp_path, text)
    assert (config.router.num_retries, config.router.allowed_fails) == (0, 1)
    [notice] = config.notices
    assert notice.what == "litellm_settings.num_retries has no effect beside router_settings.num_retries"


def test_problem_is_told_where_the_key_stands(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, "litellm_settings:\n  num_retries: -1\nrouter_settings:\n  cooldown_time: -1\n")
    assert [(problem.line, problem.what.split()[0]) for problem in caught.value.problems] == [
        (6, "litellm_settings.num_retries"),
        (8, "router_settings.cooldown_time"),
    ]


def test_misspelled_shared_key_is_refused_in_litellm_settings(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean num_retries"):
        read(tmp_path, "litellm_settings: {num_retrys: 5}")


@pytest.mark.parametrize("section", ["litellm_settings", "router_settings"])
def test_section_that_is_no_mapping_is_told_once(tmp_path: Path, section: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, f"{section}: [1]")
    assert len(caught.value.problems) == 1


def test_alias_is_a_name_alone_or_a_mapping(tmp_path: Path) -> None:
    text = "router_settings: {model_group_alias: {a: fast, b: {model: '${M}', hidden: 'true'}}, fallbacks: {fast: [a]}}"
    config = read(tmp_path, text, M="slow")
    assert config.router.model_group_alias == {
        "a": ModelAlias(model="fast"),
        "b": ModelAlias(model="slow", hidden=True),
    }
    assert config.notices == ()


@pytest.mark.parametrize(
    ("aliases", "words"),
    [
        ("{a: fats}", "alias.a: there is no model fats (write a model_name of model_list, of which fast is the near"),
        ("{a: fast, b: a}", "alias.b: there is no model a (write a model_name of model_list)"),
        ("{fast: slow}", "alias.fast: fast is a model too, and requests for it go to slow (give the alias another"),
    ],
)
def test_alias_that_leads_astray_is_warned_of(tmp_path: Path, aliases: str, words: str) -> None:
    [notice] = read(tmp_path, f"router_settings: {{model_group_alias: {aliases}}}").notices
    assert words in str(notice)
    assert (notice.level, notice.line) == ("warning", 5)


def test_default_fallback_that_leads_nowhere_is_warned_of(tmp_path: Path) -> None:
    [notice] = read(tmp_path, "litellm_settings:\n  default_fallbacks: [slow, none]").notices
    assert (notice.what, notice.line) == ("litellm_settings.default_fallbacks[1]: there is no model none", 6)
