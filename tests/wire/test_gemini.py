"""What Gemini sends, as its structs read it."""

from __future__ import annotations

import pytest
from msgspec import Raw

from feathergate.wire.gemini import Detail, Response, decode_details, decode_responses


def test_unknown_members_are_passed_over() -> None:
    (response,) = decode_responses(b'{"candidates": [{"newer": {"than": "us"}}], "responseId": "r", "news": 1}')
    assert response.response_id == "r"


def test_array_of_responses_reads_like_the_responses() -> None:
    one = b'{"responseId": "r", "candidates": [{"finishReason": "STOP"}]}'
    assert decode_responses(b" [" + one + b"," + one + b"]") == decode_responses(one) * 2


def test_absent_members_are_proto3_defaults() -> None:
    (response,) = decode_responses(b"{}")
    assert response == Response()


def test_arguments_keep_their_text() -> None:
    (response,) = decode_responses(
        b'{"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": {"a": 1e400}}}]}}]}'
    )
    call = response.candidates[0].content.parts[0].function_call  # type: ignore[index, union-attr]
    assert bytes(call.args) == b'{"a": 1e400}'  # type: ignore[union-attr, arg-type]


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b'"x"', b'{"candidates": 1}', b'{"responseId": "\xff"}'])
def test_what_is_no_response_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        decode_responses(data)


def test_details_that_cannot_be_read_are_none() -> None:
    assert decode_details(Raw(b'[{"reason": "R", "x": 1}]')) == [Detail(reason="R")]
    assert decode_details(Raw(b'["free text"]')) == []
