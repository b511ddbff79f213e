"""One entry of `model_list`: aliases, defaults, keys, and what its name tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from feathergate.config.load import load
from feathergate.config.schema import Config, LitellmParams, RetryPolicy
from feathergate.errors import ConfigError
from feathergate.providers import PROVIDERS


def read(tmp_path: Path, params: str, **environ: str) -> Config:
    file = tmp_path / "c.yaml"
    file.write_text(f"model_list: [{{model_name: m, litellm_params: {{{params}}}}}]")
    return load(file, environ, known_providers=PROVIDERS)


def read_params(tmp_path: Path, params: str, **environ: str) -> LitellmParams:
    return read(tmp_path, params, **environ).models[0].params


def warnings(tmp_path: Path, params: str, **environ: str) -> list[str]:
    return [f"{notice.what} ({notice.fix})" for notice in read(tmp_path, params, **environ).notices]


def reveal(params: LitellmParams) -> dict[str, str]:
    return {name: value.reveal() for name, value in params.extra_headers.items()}


def test_base_url_is_api_base(tmp_path: Path) -> None:
    assert read_params(tmp_path, "model: mock/m, base_url: 'http://h'").api_base == "http://h"
    assert read_params(tmp_path, "model: mock/m, base_url: 'http://a', api_base: 'http://b'").api_base == "http://b"
    assert (
        "no effect beside litellm_params.api_base"
        in warnings(tmp_path, "model: mock/m, base_url: 'http://a', api_base: 'http://b'")[0]
    )


def test_headers_are_extra_headers_and_never_parameters(tmp_path: Path) -> None:
    params = read_params(tmp_path, "model: mock/m, headers: {x-team: blue, x-key: '${K}'}", K="sk-canary")
    assert (reveal(params), params.defaults) == ({"x-team": "blue", "x-key": "sk-canary"}, {})
    both = read_params(tmp_path, "model: mock/m, headers: {a: '1', b: '1'}, extra_headers: {b: '2'}")
    assert reveal(both) == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ("model: mock/m, headers: x", r":1:\d+: litellm_params\.headers must be a mapping"),
        ("model: mock/m, headers: {host: h}", r"extra_headers\.host cannot be set as a header"),
        ("model: mock/m, headers: {x: 'é'}, extra_headers: {y: z}", "must be"),
        ("model: mock/m, headers: {x: y}, extra_headers: z", "must be a mapping"),
    ],
)
def test_headers_that_cannot_be_sent_are_refused(tmp_path: Path, params: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read(tmp_path, params)


@pytest.mark.parametrize("key", ["default_headers", "default_query", "extra_query"])
def test_headers_and_queries_of_clients_are_no_parameters(tmp_path: Path, key: str) -> None:
    config = read(tmp_path, f"model: mock/m, {key}: {{a: sk-canary}}")
    assert config.models[0].params.defaults == {}
    assert [notice.what for notice in config.notices] == [f"litellm_params.{key} has no effect yet"]


def test_numbers_may_be_given_as_text(tmp_path: Path) -> None:
    params = read_params(
        tmp_path, "model: mock/m, timeout: os.environ/T, max_tokens: '${N}', temperature: '0.5'", T="7", N="9"
    )
    assert params.timeout == 7.0
    assert params.defaults == {"max_tokens": 9, "temperature": 0.5}


def test_nothing_after_a_key_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    params = read_params(
        tmp_path, "model: mock/m, timeout: , extra_headers: , extra_body: , max_tokens: , drop_params: "
    )
    assert params == LitellmParams(model="mock/m")


def test_unknown_parameters_are_defaults_of_the_request(tmp_path: Path) -> None:
    params = read_params(tmp_path, "model: mock/m, thinking: {type: enabled}, my_option: [1, '${A}']", A="x")
    assert params.defaults == {"thinking": {"type": "enabled"}, "my_option": [1, "x"]}


def test_keys_of_litellm_are_not_sent_as_parameters(tmp_path: Path) -> None:
    assert read_params(tmp_path, "model: mock/m, rpm: 5, aws_region_name: x, input_cost_per_token: 1").defaults == {}


@pytest.mark.parametrize("key", ["defaults", "max_retry", "ids"])
def test_name_of_a_field_that_no_file_has_is_a_parameter(tmp_path: Path, key: str) -> None:
    assert read_params(tmp_path, f"model: mock/m, {key}: 1").defaults == {key: 1}


def test_misspelled_parameter_is_sent_with_a_warning(tmp_path: Path) -> None:
    assert warnings(tmp_path, "model: mock/m, temprature: 1") == [
        "litellm_params.temprature is no setting, and is sent to the provider as it is (did you mean temperature?)"
    ]


def test_credential_is_never_sent_as_a_parameter(tmp_path: Path) -> None:
    text = "model: mock/m, apikey: sk-canary, hf_token: sk-canary"
    assert read_params(tmp_path, text).defaults == {}
    assert ["did you mean api_key?" in warning for warning in warnings(tmp_path, text)] == [True, False]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ("model: openai/m", "model m has no api_key, and OPENAI_API_KEY is not set (write api_key: os.environ/OPE"),
        ("model: opnai/m", "model m: provider opnai is not supported, requests to it are answered with 400 (did you"),
        ("model: llama3", "model m: provider (none) is not supported, requests to it are answered with 400 (supp"),
        (
            "model: openai/m, api_key: ''",
            "litellm_params.api_key is empty (no key is sent: write api_key: none if that",
        ),
    ],
)
def test_model_that_cannot_work_is_warned_of(tmp_path: Path, params: str, expected: str) -> None:
    assert any(warning.startswith(expected) for warning in warnings(tmp_path, params))


@pytest.mark.parametrize(
    "params", ["model: openai/m, api_base: 'http://h'", "model: openai/m, mock_response: hi", "model: '*'"]
)
def test_model_that_needs_no_key_is_not_warned_of(tmp_path: Path, params: str) -> None:
    assert warnings(tmp_path, params) == []


@pytest.mark.parametrize("value", ["sk-1234", "none", "your-key", "EMPTY"])
def test_placeholder_is_not_taken_for_a_literal_key(tmp_path: Path, value: str) -> None:
    assert warnings(tmp_path, f"model: openai/m, api_key: {value}") == []


@pytest.mark.parametrize("value", ["'sk-é'", '"sk-\\r\\nx: y"'])
def test_key_that_no_header_can_carry_is_refused(tmp_path: Path, value: str) -> None:
    for field in (f"api_key: {value}", f"extra_headers: {{x-key: {value}}}", f"organization: {value}"):
        with pytest.raises(ConfigError, match="must be"):
            read(tmp_path, f"model: mock/m, {field}")


# Repeated names.


def read_alike(tmp_path: Path, *models: str) -> Config:
    file = tmp_path / "c.yaml"
    entries = "".join(f"- {{model_name: m, litellm_params: {{{model}}}}}\n" for model in models)
    file.write_text(f"model_list:\n{entries}")
    return load(file, {}, known_providers=PROVIDERS)


def test_every_entry_of_a_name_is_kept_in_the_files_order(tmp_path: Path) -> None:
    config = read_alike(tmp_path, "model: mock/a", "model: mock/b", "model: mock/a")
    assert [entry.params.model for entry in config.models] == ["mock/a", "mock/b", "mock/a"]
    assert config.groups() == {"m": config.models}
    assert config.notices == ()


@pytest.mark.parametrize(
    ("models", "words"),
    [
        (("acme/a", "mock/b"), "model m: provider acme is not supported, only the other entries of its name serve"),
        (("acme/a", "acme/b"), "model m: provider acme is not supported, requests to it are answered with 400"),
    ],
)
def test_entry_that_serves_nothing_is_kept_and_told(tmp_path: Path, models: tuple[str, ...], words: str) -> None:
    config = read_alike(tmp_path, *(f"model: {model}" for model in models))
    assert len(config.models) == 2
    assert config.notices[0].what.startswith(words)
    assert config.notices[0].line == 2


def test_mocked_entry_of_an_unknown_provider_serves(tmp_path: Path) -> None:
    assert read_alike(tmp_path, "model: acme/a, mock_response: hi", "model: mock/b").notices == ()


# Limits, weights and prices.


def read_entry(tmp_path: Path, entry: str, **environ: str) -> Config:
    file = tmp_path / "c.yaml"
    file.write_text(f"model_list: [{{model_name: m, {entry}}}]")
    return load(file, environ)


def test_limits_and_weights_are_read_from_text_too(tmp_path: Path) -> None:
    text = "model: mock/m, rpm: '${N}', tpm: 9, weight: 0.5, order: '-1', max_parallel_requests: 3"
    params = read_params(tmp_path, text, N="7")
    assert (params.rpm, params.tpm, params.weight, params.order) == (7, 9, 0.5, -1)
    assert params.max_parallel_requests == 3
    assert params.defaults == {}


def test_retries_and_cooldowns_are_an_entrys_own(tmp_path: Path) -> None:
    text = "model: mock/m, retry_policy: {TimeoutErrorRetries: '${N}'}, allowed_fails: 0, cooldown_time: 0.5"
    params = read_params(tmp_path, text, N="4")
    assert params.retry_policy == RetryPolicy(TimeoutErrorRetries=4)
    assert (params.num_retries, params.allowed_fails, params.cooldown_time) == (None, 0, 0.5)


def test_max_retries_is_num_retries(tmp_path: Path) -> None:
    assert read_params(tmp_path, "model: mock/m, max_retries: 3").num_retries == 3
    assert read_params(tmp_path, "model: mock/m, max_retries: 3, num_retries: 1").num_retries == 1
    [warning] = warnings(tmp_path, "model: mock/m, max_retries: 3, num_retries: 1")
    assert "max_retries has no effect beside litellm_params.num_retries" in warning


def test_limits_beside_the_parameters_are_taken_with_a_warning(tmp_path: Path) -> None:
    config = read_entry(tmp_path, "litellm_params: {model: mock/m, rpm: 5}, rpm: 6, tpm: 7, weight: 2, order: 1")
    params = config.models[0].params
    assert (params.rpm, params.tpm, params.weight, params.order) == (5, 7, 2, 1)
    assert [notice.what for notice in config.notices] == [
        "rpm has no effect beside litellm_params.rpm",
        *(f"{key} is taken from beside litellm_params" for key in ("tpm", "weight", "order")),
    ]


def test_prices_and_cooldowns_may_stand_in_model_info(tmp_path: Path) -> None:
    info = "input_cost_per_token: 1e-6, output_cost_per_token: 2, allowed_fails: 1, cooldown_time: 9, order: 3, x: y"
    config = read_entry(tmp_path, f"litellm_params: {{model: mock/m, order: 2}}, model_info: {{{info}}}")
    [entry] = config.models
    assert (entry.params.input_cost_per_token, entry.params.output_cost_per_token) == (1e-6, 2)
    assert (entry.params.allowed_fails, entry.params.cooldown_time, entry.params.order) == (1, 9, 2)
    assert entry.model_info.others == {"x": "y"}
    assert [notice.what for notice in config.notices] == ["model_info.order has no effect beside litellm_params.order"]


def test_policy_of_model_info_is_said_to_have_no_effect_yet(tmp_path: Path) -> None:
    info = "allowed_fails_policy: {TimeoutErrorAllowedFails: 3}"
    config = read_entry(tmp_path, f"litellm_params: {{model: mock/m}}, model_info: {{{info}}}")
    assert [notice.what for notice in config.notices] == ["model_info.allowed_fails_policy has no effect yet"]
    assert config.models[0].model_info.others == {}


@pytest.mark.parametrize(("written", "name"), [("eu-1", "eu-1"), ("7", "7"), ("'7'", "7"), ("", None)])
def test_id_of_a_deployment_is_its_name_as_text(tmp_path: Path, written: str, name: str | None) -> None:
    config = read_entry(tmp_path, f"litellm_params: {{model: mock/m}}, model_info: {{id: {written}}}")
    assert config.models[0].model_info.id == name
