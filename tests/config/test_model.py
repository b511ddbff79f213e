"""One entry of `model_list`: aliases, defaults, keys, and what its name tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from feathergate.config.load import load
from feathergate.config.model import is_http_address
from feathergate.config.schema import Config, LitellmParams
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
        "no effect beside api_base"
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


def test_misspelled_parameter_is_sent_with_a_warning(tmp_path: Path) -> None:
    assert warnings(tmp_path, "model: mock/m, temprature: 1") == [
        "litellm_params.temprature is no setting, and is sent to the provider as it is (did you mean temperature?)"
    ]


def test_credential_is_never_sent_as_a_parameter(tmp_path: Path) -> None:
    text = "model: mock/m, apikey: sk-canary, hf_token: sk-canary"
    assert read_params(tmp_path, text).defaults == {}
    assert ["did you mean api_key?" in warning for warning in warnings(tmp_path, text)] == [True, False]


def test_api_key_is_the_entrys_then_the_providers_variable(tmp_path: Path) -> None:
    own = read_params(tmp_path, "model: openai/m, api_key: os.environ/OWN", OWN="sk-own", OPENAI_API_KEY="sk-usual")
    usual = read_params(tmp_path, "model: gpt-5", OPENAI_API_KEY="sk-usual")
    assert own.api_key is not None
    assert own.api_key.reveal() == "sk-own"
    assert usual.api_key is not None
    assert usual.api_key.reveal() == "sk-usual"


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


@pytest.mark.parametrize("text", ["http://h", "https://h:8000/v1", "http://[::1]:80/", "https://h/v?a=b@c"])
def test_address_of_a_server_is_one(text: str) -> None:
    assert is_http_address(text)


@pytest.mark.parametrize(
    "text",
    ["", "h:80", "ftp://h", "http://", "http://u:p@h", "http://h:0", "http://h:99999", "http://[::1", "http://h/ x", "http://h/é"],
)  # fmt: skip
def test_other_text_is_no_address(text: str) -> None:
    assert not is_http_address(text)


# A provider's usual variables.


@pytest.mark.parametrize(
    ("model", "variables", "key"),
    [
        ("groq/m", {"GROQ_API_KEY": "a"}, "a"),
        ("together_ai/m", {"TOGETHER_API_KEY": "b"}, "b"),
        ("perplexity/m", {"PERPLEXITYAI_API_KEY": "a", "PERPLEXITY_API_KEY": "b"}, "a"),
    ],
)
def test_first_variable_that_is_set_is_the_key(tmp_path: Path, model: str, variables: dict[str, str], key: str) -> None:
    params = read_params(tmp_path, f"model: {model}", **variables)
    assert params.api_key is not None
    assert params.api_key.reveal() == key


def test_usual_address_and_version_stand_in_for_what_is_not_said(tmp_path: Path) -> None:
    variables = {"AZURE_API_BASE": "https://a", "AZURE_API_VERSION": "v", "AZURE_API_KEY": "k"}
    params = read_params(tmp_path, "model: azure/m", **variables)
    assert (params.api_base, params.api_version) == ("https://a", "v")
    params = read_params(tmp_path, "model: azure/m, api_base: 'https://b', api_version: w", **variables)
    assert (params.api_base, params.api_version) == ("https://b", "w")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("azure/m", "model m has no api_base, and AZURE_API_BASE is not set"),
        ("openai_like/m", "model m has no api_base (write for example"),
    ],
)
def test_host_without_a_usual_address_must_be_given_one(tmp_path: Path, model: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, f"model: {model}")
    assert words in str(caught.value)
    assert read(tmp_path, f"model: {model}, mock_response: hi").notices == ()


def test_variable_that_holds_no_address_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="environment variable HOSTED_VLLM_API_BASE is not the address of a server"):
        read(tmp_path, "model: hosted_vllm/m", HOSTED_VLLM_API_BASE="gpu:8000")


def test_missing_key_is_told_with_its_variables_but_where_none_is_needed(tmp_path: Path) -> None:
    assert "FIREWORKS_AI_API_KEY or FIREWORKS_API_KEY is not set" in warnings(tmp_path, "model: fireworks_ai/m")[0]
    assert "no api_key" in warnings(tmp_path, "model: azure/m, api_base: 'https://a'")[0]
    for params in (
        "model: ollama/m",
        "model: hosted_vllm/m, api_base: 'http://a'",
        "model: groq/m, api_base: 'http://a'",
    ):
        assert warnings(tmp_path, params) == []


@pytest.mark.parametrize("value", ["none", "None", "''", "'${EMPTY:-}'"])
def test_no_key_in_words_is_not_the_usual_one(tmp_path: Path, value: str) -> None:
    text = f"model: openai/m, api_base: 'http://gpu:8000', api_key: {value}"
    params = read_params(tmp_path, text, OPENAI_API_KEY="sk-usual")
    assert params.api_key is not None
    assert params.api_key.reveal() == ""
    assert not any("OPENAI_API_KEY" in warning for warning in warnings(tmp_path, text, OPENAI_API_KEY="sk-usual"))


def test_usual_key_for_another_host_is_warned_of(tmp_path: Path) -> None:
    assert warnings(tmp_path, "model: openai/m, api_base: 'http://gpu:8000/v1'", OPENAI_API_KEY="sk-usual") == [
        "model m has no api_key, so that of OPENAI_API_KEY is sent to gpu (write api_key: none to send none, "
        "or api_key: os.environ/OPENAI_API_KEY if that is meant)"
    ]
    second = warnings(tmp_path, "model: perplexity/m, base_url: 'http://h'", PERPLEXITY_API_KEY="sk-usual")
    assert "that of PERPLEXITY_API_KEY is sent to h" in second[0]


@pytest.mark.parametrize(
    "params",
    [
        "model: openai/m",
        "model: openai/m, api_base: 'https://API.openai.com'",
        "model: openai/m, api_base: 'http://gpu', api_key: os.environ/OPENAI_API_KEY",
        "model: openai/m, api_base: 'http://gpu', mock_response: hi",
        "model: azure/m, api_base: 'https://mine.openai.azure.com'",
        "model: groq/m, api_base: 'http://gpu'",
    ],
)
def test_key_that_goes_where_it_belongs_is_not_warned_of(tmp_path: Path, params: str) -> None:
    assert warnings(tmp_path, params, OPENAI_API_KEY="sk-usual", AZURE_API_KEY="sk-azure") == []


# Repeated names.


def read_alike(tmp_path: Path, *models: str) -> Config:
    file = tmp_path / "c.yaml"
    entries = "".join(f"- {{model_name: m, litellm_params: {{{model}}}}}\n" for model in models)
    file.write_text(f"model_list:\n{entries}")
    return load(file, {}, known_providers=PROVIDERS)


@pytest.mark.parametrize(
    ("models", "chosen", "fix"),
    [
        (("mock/a", "mock/b"), "mock/a", "only the first, on line 2, serves: balancing has no effect yet"),
        (("acme/a", "mock/b", "mock/c"), "mock/b", "only the supported one, on line 3, serves: balancing has no"),
        (("acme/a", "acme/b"), "acme/a", "only the first, on line 2, serves: balancing has no effect yet"),
    ],
)
def test_first_supported_entry_of_a_name_serves(tmp_path: Path, models: tuple[str, ...], chosen: str, fix: str) -> None:
    config = read_alike(tmp_path, *(f"model: {model}" for model in models))
    assert [entry.params.model for entry in config.models] == [chosen]
    notice = next(notice for notice in config.notices if "stands" in notice.what)
    assert (notice.what, notice.line) == (f"model_name m stands {len(models)} times", 3)
    assert notice.fix.startswith(fix)


def test_mocked_entry_of_an_unknown_provider_serves(tmp_path: Path) -> None:
    config = read_alike(tmp_path, "model: acme/a, mock_response: hi", "model: mock/b")
    assert config.models[0].params.model == "acme/a"
    assert not any("not supported" in notice.what for notice in config.notices)
