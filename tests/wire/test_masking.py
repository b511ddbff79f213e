from __future__ import annotations

import time

import pytest

from feathergate.wire.masking import mask_secrets


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Incorrect API key provided: sk-proj-abc123****wxyz.", "Incorrect API key provided: ***"),
        ("key sk-ant-api03-AbCd_efGH-12 is off", "key *** is off"),
        ("API key AIzaSyA-1234567890abcdef not valid", "API key *** not valid"),
        ("Authorization: Bearer abc.def123 was sent", "Authorization: Bearer *** was sent"),
        ('{"x-api-key": "secret-1"}', '{"x-api-key": "***"}'),
        ("GET /v1?key=abcd1234&alt=sse", "GET /v1?key=***&alt=sse"),
        ("Invalid API Key: gsk_abcDEF0123456789", "Invalid API Key: ***"),
        ("Invalid API Key: gsk_****wxyz", "Invalid API Key: ***"),
        ("csk-abc123def456 pplx-abc123def456 xai-abc123def456", "*** *** ***"),
        ("nvapi-abc_123-def fw_3ZabcDEF0123", "*** ***"),
        ("token eyJhbGciOiJI.eyJzdWIiOiIx.c2ln", "token ***"),
    ],
)
def test_mask_hides_credentials(text: str, masked: str) -> None:
    assert mask_secrets(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "invalid x-api-key",
        "the task-list-for-today is empty",
        "Missing bearer authentication in header",
        "model: claude-4-5-haiku",
        "the parameter fw_deployment is unknown",
        "prompt is too long: 3333404 tokens > 200000 maximum",
        "",
    ],
)
def test_mask_leaves_plain_words_alone(text: str) -> None:
    assert mask_secrets(text) == text


@pytest.mark.parametrize(
    "unit", ["sk-", "fw_", "gsk_a", "bearer ", "x-api-key:", "eyJaaaaaaaa.", "-eyJaaaaaaaa", " ", "a", "?key="]
)
def test_mask_is_linear_in_the_length_of_the_text(unit: str) -> None:
    text = unit * (400_000 // len(unit))
    began = time.perf_counter()
    mask_secrets(text)
    assert time.perf_counter() - began < 1
