"""The banner and the line of JSON, as texts."""

from __future__ import annotations

import json
import shlex

import msgspec

from feathergate.cli.address import Address
from feathergate.cli.banner import build_started, render_banner, render_json
from feathergate.config.schema import Config, GeneralSettings, LitellmParams, ModelEntry
from feathergate.config.secret import Secret

HERE = Address("127.0.0.1", 8080)
KEY = "sk-a-key-of-the-tests-0123456789"


def build_config(*models: str, key: str = "") -> Config:
    entries = tuple(ModelEntry(model_name=name, params=LitellmParams(model="mock/echo")) for name in models)
    return Config(models=entries, general=GeneralSettings(master_key=Secret(key) if key else None), path="a.yaml")


def banner(*models: str, key: str = "", address: Address = HERE) -> str:
    return render_banner(build_started(build_config(*models, key=key), address, 1, 140), color=False)


def test_banner_shows_address_models_auth_and_configuration() -> None:
    lines = banner("fast", "slow").splitlines()
    assert len(lines) == 8
    for words in ("ready in 0.14 s", "http://127.0.0.1:8080/v1", "fast  slow", "off: this machine only", "a.yaml"):
        assert any(words in line for line in lines)


def test_banner_has_eight_lines_with_any_number_of_models() -> None:
    text = banner(*(f"model-{number}" for number in range(500)))
    assert text.count("\n") == 7
    assert "and 494 more" in text


def test_banner_shows_nothing_of_the_master_key() -> None:
    text = banner("fast", key=KEY)
    assert KEY not in text
    assert "master key" in text
    assert "Bearer $FEATHERGATE_MASTER_KEY" in text


def test_banner_warns_of_an_open_door() -> None:
    assert "whoever reaches this address" in banner("fast", address=Address("0.0.0.0", 8080))


def test_hint_is_one_command_whatever_the_model_is_called() -> None:
    name = "it's $(rm) `here` \x1b[2J"
    command = banner(name).split("Try it:", 1)[1].replace("\\\n", " ")
    arguments = shlex.split(command)
    assert arguments[:3] == ["curl", "-s", "http://127.0.0.1:8080/v1/chat/completions"]
    assert json.loads(arguments[-1])["model"] == name
    assert "\x1b" not in banner(name)


def test_banner_of_wildcards_alone_has_no_hint() -> None:
    assert "Try it" not in banner("openai/*")


def test_line_of_json_is_one_line() -> None:
    text = render_json(build_started(build_config("a\nb", key=KEY), HERE, 2, 99))
    assert "\n" not in text
    assert KEY not in text
    assert msgspec.json.decode(text)["models"] == ["a\nb"]
