"""What a provider adds to its entry: its usual key, address and version, and a word where that is not enough."""

from __future__ import annotations

from pathlib import Path

import pytest

from feathergate.config.completion import is_http_address
from feathergate.config.load import load
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


@pytest.mark.parametrize("text", ["http://h", "https://h:8000/v1", "http://[::1]:80/", "https://h/v?a=b@c"])
def test_address_of_a_server_is_one(text: str) -> None:
    assert is_http_address(text)


@pytest.mark.parametrize(
    "text",
    ["", "h:80", "ftp://h", "http://", "http://u:p@h", "http://h:0", "http://h:99999", "http://[::1", "http://h/ x", "http://h/é"],
)  # fmt: skip
def test_other_text_is_no_address(text: str) -> None:
    assert not is_http_address(text)


def test_api_key_is_the_entrys_then_the_providers_variable(tmp_path: Path) -> None:
    own = read_params(tmp_path, "model: openai/m, api_key: os.environ/OWN", OWN="sk-own", OPENAI_API_KEY="sk-usual")
    usual = read_params(tmp_path, "model: gpt-5", OPENAI_API_KEY="sk-usual")
    assert own.api_key is not None
    assert own.api_key.reveal() == "sk-own"
    assert usual.api_key is not None
    assert usual.api_key.reveal() == "sk-usual"


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
