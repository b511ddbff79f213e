"""Settings into fields, and keys that no field reads."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from msgspec.inspect import type_info

from feathergate.config.load import load
from feathergate.config.schema import LitellmParams, ModelEntry
from feathergate.config.section import SECTION_STRUCTS, expectation
from feathergate.errors import ConfigError

MODEL = "model_list: [{model_name: m, litellm_params: {model: mock/echo}}]\n"


def judge(tmp_path: Path, text: str) -> list[str]:
    """Everything that is said of a file, problems or notices."""
    file = tmp_path / "c.yaml"
    file.write_text(MODEL + text)
    try:
        found = load(file, {}).notices
    except ConfigError as error:
        return [f"problem: {problem.what} ({problem.fix})" for problem in error.problems]
    return [f"{notice.level}: {notice.what} ({notice.fix})" for notice in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("router_settings: {redis_host: a}", "info: router_settings.redis_host has no effect yet ()"),
        (
            "router_settings: {retry_policy: {TimeoutRetries: 2}}",
            "warning: router_settings.retry_policy.TimeoutRetries",
        ),
        ("router_settings: {retry_policy: {BadRequestErrorRetries: 2}}", "info: router_settings.retry_policy.BadReq"),
        (
            "server_settings: {hedge: {m: {shares: 0.1}}}",
            "problem: server_settings.hedge.m.shares is not a setting (di",
        ),
        ("server_settings: {hedge: {m: 3}}", "problem: server_settings.hedge.m must be a mapping, not 3 (indent"),
        ("server_settings: {hedge: {n: {}}}", "warning: server_settings.hedge.n: there is no model n (write a model"),
        ("general_settings: {telemetry: true}", "info: general_settings.telemetry has no effect in FeatherGate ()"),
        ("router_settings: {num_retrys: 2}", "problem: router_settings.num_retrys is not a setting (did you mean"),
        ("router_settings: {colour: red}", "warning: router_settings.colour is not a setting that FeatherGate"),
        ("drop_params: true", "warning: drop_params has no effect in this place (write it under litellm_settings)"),
        ("master_key: x", "problem: master_key has no effect in this place (write it under general_settings)"),
        ("router_settings: [1]", "problem: router_settings must be a mapping, not a list (indent its keys below it)"),
        ("general_settings: {open_metrics: 5}", "problem: general_settings.open_metrics must be true or false, not 5"),
        ("litellm_settings: {callbacks: langfuse}", "info: litellm_settings.callbacks: langfuse has no effect yet ()"),
        ("fallbacks: [{a: [b]}]", "problem: fallbacks is not supported here (write it under router_settings)"),
    ],
)
def test_key_is_judged(tmp_path: Path, text: str, expected: str) -> None:
    [found] = judge(tmp_path, text)
    assert found.startswith(expected)


@pytest.mark.parametrize(
    "text",
    [
        "litellm_settings: {callbacks: [prometheus], success_callback: prometheus}",
        "litellm_settings: {turn_off_message_logging: true}",
        "general_settings: {enable_jwt_auth: false, custom_auth: null}",
        "guardrails: []",
        "x-anchors: {a: 1}",
        "general_settings: {open_metrics: 'true'}",
        "router_settings: {retry_policy: {BadRequestErrorRetries: 0}}",
        "server_settings: {hedge: {m: }}",
    ],
)
def test_key_that_asks_for_nothing_more_is_accepted_silently(tmp_path: Path, text: str) -> None:
    assert judge(tmp_path, text) == []


@pytest.mark.parametrize("struct", [ModelEntry, LitellmParams, *SECTION_STRUCTS.values()])
def test_every_field_says_what_it_takes(struct: type[msgspec.Struct]) -> None:
    assert all(
        expectation(type_info(field.type))[0] for field in msgspec.structs.fields(struct) if field.name != "line"
    )
