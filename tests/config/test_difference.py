"""What a reload changes, in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from feathergate.config.difference import diff_config
from feathergate.config.load import load
from feathergate.config.schema import Config

ENTRY = "{{model_name: {0}, litellm_params: {{model: {1}}}}}"
FAST = ENTRY.format("fast", "openai/gpt-5-mini, api_key: '${KEY}'")
SLOW = ENTRY.format("slow", "mock/echo")


def read(tmp_path: Path, text: str, key: str = "sk-old-canary") -> Config:
    file = tmp_path / "c.yaml"
    file.write_text(text)
    return load(file, {"KEY": key, "MASTER": key})


def diff(tmp_path: Path, old: str, new: str) -> list[str]:
    return [*diff_config(read(tmp_path, old), read(tmp_path, new, "sk-new-canary"))]


def diff_section(tmp_path: Path, old: str, new: str) -> list[str]:
    models = f"model_list: [{SLOW}]\n"
    return diff(tmp_path, models + old, models + new)


def diff_params(tmp_path: Path, old: str, new: str) -> list[str]:
    title = "model_list: m (mock/a): "
    lines = diff(tmp_path, *(f"model_list: [{ENTRY.format('m', f'mock/a, {params}')}]" for params in (old, new)))
    assert all(line.startswith(title) for line in lines)
    return [line.removeprefix(title) for line in lines]


def test_same_file_has_no_difference(tmp_path: Path) -> None:
    text = f"# moved\nmodel_list: [{SLOW}]\nserver_settings: {{hedge: {{slow: {{share: 0.5}}}}}}"
    assert diff(tmp_path, text, f"\n\n{text}") == []
    assert diff(tmp_path, f"model_list: [{FAST}, {SLOW}]", f"model_list: [{SLOW}, {FAST}]")[1:] == []


def test_models_that_come_and_go_are_named(tmp_path: Path) -> None:
    other = ENTRY.format("slow", "mock/other")
    assert diff(tmp_path, f"model_list: [{SLOW}]", f"model_list: [{FAST}, {other}]") == [
        "model_list: - slow (mock/echo)",
        "model_list: + fast (openai/gpt-5-mini)",
        "model_list: + slow (mock/other)",
    ]


def test_deployments_that_are_alike_are_counted(tmp_path: Path) -> None:
    named = "{model_name: slow, litellm_params: {model: mock/echo}, model_info: {id: eu}}"
    assert diff(tmp_path, f"model_list: [{SLOW}]", f"model_list: [{SLOW}, {SLOW}, {named}]") == [
        "model_list: + slow (mock/echo, no. 2)",
        "model_list: + slow (mock/echo, id eu)",
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("timeout: 60", "timeout: 0.5", ["timeout: 60 -> 0.5"]),
        ("rpm: 5", "tpm: 7", ["rpm: 5 -> nothing", "tpm: nothing -> 7"]),
        ("drop_params: true", "drop_params: false", ["drop_params: true -> false"]),
        ("retry_policy: {DefaultRetries: 1}", "rpm: ", ["retry_policy.DefaultRetries: 1 -> nothing"]),
        ("api_key: sk-1-canary", "rpm: ", ["api_key: removed"]),
        ("rpm: ", "api_base: 'http://canary'", ["api_base: set"]),
        ("mock_response: canary", "mock_response: canary2", ["mock_response: changed"]),
        (
            "extra_headers: {x: canary}",
            "extra_headers: {x: canary2, y: canary}",
            ["extra_headers.x: changed", "extra_headers.y: set"],
        ),
        ("extra_body: {pin: 1234}", "extra_body: {pin: 98765}", ["extra_body.pin: changed"]),
        ("max_tokens: 1234", "max_tokens: 98765", ["defaults.max_tokens: changed"]),
    ],
)
def test_change_of_a_deployment_is_told_without_what_may_be_secret(
    tmp_path: Path, old: str, new: str, expected: list[str]
) -> None:
    lines = diff_params(tmp_path, old, new)
    assert lines == expected
    assert not any(word in "".join(lines) for word in ("canary", "1234", "98765"))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "router_settings: {num_retries: 3}", ["router_settings.num_retries: 2 -> 3"]),
        ("litellm_settings: {num_retries: 3}", "router_settings: {num_retries: 3}", []),
        ("", "router_settings: {fallbacks: {x: [y, z]}}", ["router_settings.fallbacks.x: nothing -> y, z"]),
        (
            "",
            "router_settings: {routing_strategy: least-busy}",
            ["router_settings.routing_strategy: simple-shuffle -> least-busy"],
        ),
        ("", "router_settings: {model_group_alias: {x: slow}}", ["router_settings.model_group_alias.x: set"]),
        ("", "router_settings: {default_fallbacks: [slow]}", ["router_settings.default_fallbacks: nothing -> slow"]),
        ("", "server_settings: {hedge: {slow: }}", ["server_settings.hedge.slow: set"]),
        (
            "server_settings: {hedge: {slow: {share: 1}}}",
            "server_settings: {hedge: {slow: }}",
            ["server_settings.hedge.slow.share: 1 -> 0.1"],
        ),
        (
            "general_settings: {master_key: '${MASTER}'}",
            "general_settings: {master_key: '${MASTER}'}",
            ["general_settings.master_key: changed"],
        ),
        ("", "server_settings: {proxy: 'http://u:canary@h:1'}", ["server_settings.proxy: set"]),
        ("translation: strict", "translation: lenient", ["server_settings.translation: strict -> lenient"]),
        (
            "",
            "server_settings: {body_limit_bytes: 67108864}",
            ["server_settings.body_limit_bytes: 33554432 -> 67108864"],
        ),
    ],
)
def test_change_of_a_setting_is_told(tmp_path: Path, old: str, new: str, expected: list[str]) -> None:
    lines = diff_section(tmp_path, old, new)
    assert lines == expected
    assert "canary" not in "".join(lines)


def test_names_cannot_break_the_line(tmp_path: Path) -> None:
    [line] = diff_section(tmp_path, "", 'router_settings: {fallbacks: {"a\\nb": ["c\\e[2J"]}}')
    assert line.isprintable()
