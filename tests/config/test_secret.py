"""A secret hides itself wherever it may be printed, alone and inside the settings."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from collections.abc import Callable

import msgspec
import pytest

from feathergate.config.schema import Config, GeneralSettings, LitellmParams, ModelEntry, Parameters
from feathergate.config.secret import Secret

KEY = "sk-canary-0123456789"

CONFIG = Config(
    models=(
        ModelEntry(
            model_name="m",
            params=LitellmParams(
                model="openai/m",
                api_key=Secret(KEY),
                extra_headers={"authorization": Secret(KEY)},
                extra_body=Parameters({"token": KEY}),
                defaults=Parameters({"user": KEY}),
            ),
        ),
    ),
    general=GeneralSettings(master_key=Secret(KEY)),
)


@pytest.mark.parametrize("value", [Secret(KEY), CONFIG], ids=["secret", "config"])
@pytest.mark.parametrize("show", [repr, str, "{}".format, "{!r:>40}".format, lambda value: f"{value}"], ids=range(5))
def test_secret_hides_when_it_is_printed(value: object, show: Callable[[object], str]) -> None:
    assert KEY not in show(value)
    assert "***" in show(value)


def test_secret_hides_in_asdict_and_vars() -> None:
    params = CONFIG.models[0].params
    assert KEY not in repr(msgspec.structs.asdict(params))
    assert KEY not in repr(msgspec.structs.astuple(params))
    assert not hasattr(Secret(KEY), "__dict__")


def test_secret_hides_in_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("test").warning("%s %r", CONFIG, Secret(KEY))
    assert KEY not in caplog.text


def test_secret_hides_in_a_traceback_with_locals() -> None:
    def fail(config: Config) -> None:
        raise ValueError(config)

    with pytest.raises(ValueError) as caught:
        fail(CONFIG)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert KEY not in "".join(shown.format())


@pytest.mark.parametrize("encode", [json.dumps, msgspec.json.encode, pickle.dumps])
@pytest.mark.parametrize("value", [Secret(KEY), CONFIG.general], ids=["secret", "settings"])
def test_secret_is_not_encoded(value: object, encode: Callable[[object], object]) -> None:
    with pytest.raises(TypeError) as caught:
        encode(value)
    assert KEY not in str(caught.value)


def test_secret_state_is_not_given_out() -> None:
    with pytest.raises(TypeError):
        Secret(KEY).__getstate__()


def test_secret_reveals_its_text_and_knows_it() -> None:
    secret = Secret(KEY)
    assert secret.reveal() == KEY
    assert secret.matches(KEY)
    assert secret.matches(KEY.encode())
    assert not secret.matches(KEY + "x")
    assert not secret.matches("\ud800")


def test_secret_equals_only_a_secret_of_the_same_text() -> None:
    assert Secret(KEY) == Secret(KEY)
    assert hash(Secret(KEY)) == hash(Secret(KEY))
    assert Secret(KEY) != Secret("other")
    assert Secret(KEY) != KEY


def test_secret_copies_to_itself() -> None:
    secret = Secret(KEY)
    assert copy.copy(secret) is secret
    assert copy.deepcopy({"key": secret})["key"] is secret


def test_secret_tells_its_length_and_whether_it_is_empty() -> None:
    assert len(Secret(KEY)) == len(KEY)
    assert not Secret("")
