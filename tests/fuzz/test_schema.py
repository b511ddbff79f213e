"""Requests that OpenAI's schema allows, and requests that it forbids: none is our failure, each has an answer.

`make fuzz` asks many more of them, and others each time: FUZZ_CASES is their number.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core import NotSet
from schemathesis.generation import GenerationMode
from tests.fuzz.target import Target

CASES = int(os.environ.get("FUZZ_CASES", "0"))
MODELS = ("fuzz-echo", "fuzz-tools", "fuzz-openai", "fuzz-anthropic", "fuzz-gemini")
MODES = list(GenerationMode)
OPERATION = schemathesis.openapi.from_path(Path(__file__).with_name("chat_completions.yaml"))["/chat/completions"][
    "POST"
]


def encode_body(body: Any) -> bytes:
    """As JSON, but for bytes, which are themselves, and for no body at all."""
    if isinstance(body, NotSet):
        return b""
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def spread(body: Any) -> Any:
    """The same body for a model that follows from it, so that each model is asked as often as any other."""
    if not isinstance(body, dict) or body.get("model") not in MODELS:
        return body
    return {**body, "model": MODELS[crc32(encode_body(body)) % len(MODELS)]}


def find_label(body: Any) -> str:
    model = body.get("model") if isinstance(body, dict) else None
    return str(model) if model in MODELS else "other"


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_no_request_is_our_failure(target: Target, mode: GenerationMode) -> None:
    @settings(
        max_examples=CASES // len(MODES) or 40,
        derandomize=not CASES,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=OPERATION.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        body = spread(case.body)
        target.ask(encode_body(body), find_label(body))

    ask()
