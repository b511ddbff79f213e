"""What serves a name, in words."""

from __future__ import annotations

from typing import Any

from feathergate.cli.group import Group, build_group, list_groups, render_group
from feathergate.config.schema import Config, LitellmParams, ModelEntry, RouterSettings


def build_config(*models: tuple[str, str], **router: Any) -> Config:
    entries = tuple(ModelEntry(model_name=name, params=LitellmParams(model=model)) for name, model in models)
    return Config(models=entries, router=RouterSettings(**router))


def list_names(config: Config) -> list[str]:
    return [group.model_name for group in list_groups(config)]


def test_plain_models_are_not_listed() -> None:
    assert list_groups(build_config(("a", "mock/a"), ("b", "mock/b"))) == []


def test_groups_and_models_with_fallbacks_are_listed() -> None:
    models = (("a", "mock/a"), ("a", "mock/b"), ("b", "mock/b"), ("c", "mock/c"))
    assert list_names(build_config(*models, fallbacks={"b": ("c",)})) == ["a", "b"]


def test_fallbacks_of_all_are_listed_once() -> None:
    models = (("a", "mock/a"), ("b", "mock/b"))
    config = build_config(*models, fallbacks={"*": ("b",)}, default_fallbacks=("a",))
    assert list_groups(config) == [Group("any other", (), "simple-shuffle", fallbacks=("b",))]


def test_default_fallbacks_serve_a_model_without_its_own() -> None:
    config = build_config(("a", "mock/a"), fallbacks={"a": ("c",)}, default_fallbacks=("b", "d"))
    assert build_group(config, "a", "a").fallbacks == ("c",)
    assert build_group(config, "b", "b").fallbacks == ("d",)


def test_fallbacks_are_those_of_the_name_that_is_asked_for() -> None:
    config = build_config(("openai/*", "openai/*"), context_window_fallbacks={"gpt-5": ("long",)})
    assert build_group(config, "openai/*", "openai/gpt-5").context_window_fallbacks == ("long",)
    assert build_group(config, "openai/*", "openai/gpt-4").context_window_fallbacks == ()


def test_deployment_says_why_it_does_not_ask_its_provider() -> None:
    mocked = LitellmParams(model="acme/x", mock_response="hi", tpm=9_000_000)
    unsupported = LitellmParams(model="acme/\x1b[2J")
    entries = tuple(ModelEntry(model_name="a", params=params) for params in (mocked, unsupported))
    group = build_group(Config(models=entries), "a", "a")
    assert group.deployments == ("acme/x (tpm 9000000, mocked)", "acme/\\x1b[2J (not supported)")


def test_lone_deployment_stands_on_the_line_of_its_model() -> None:
    group = Group("a", ("mock/a",), "simple-shuffle", content_policy_fallbacks=("b", "c"))
    assert render_group(group) == "a: mock/a\n  content_policy_fallbacks: b, c"
