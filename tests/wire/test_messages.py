from __future__ import annotations

import msgspec
import pytest

from feathergate.wire import messages as wire


def test_message_tolerates_members_and_types_that_are_new() -> None:
    message = wire.decode_message(b'{"id":"m","content":[{"type":"new","x":{}}],"container":{},"usage":{"new":1}}')
    assert (message.id, bytes((message.content or [])[0])) == ("m", b'{"type":"new","x":{}}')


def test_event_tolerates_members_and_types_that_are_new() -> None:
    event = wire.decode_event(b'{"type":"content_block_delta","delta":{"type":"text_delta","text":"a","x":[]},"y":1}')
    assert event.delta == wire.Delta(type="text_delta", text="a")


def test_usage_may_be_null_in_every_count() -> None:
    event = wire.decode_event(b'{"type":"message_delta","usage":{"input_tokens":null,"output_tokens":2}}')
    assert event.usage == wire.Usage(output_tokens=2)


def test_block_that_has_no_input_has_a_false_one() -> None:
    assert not wire.decode_block(b'{"type":"text"}').input
    assert bytes(wire.decode_block(b'{"input":{"a": 1e400}}').input) == b'{"a": 1e400}'


def test_known_member_of_another_shape_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        wire.decode_block(b'{"type":"text","text":7}')
    assert wire.decode_block_type(b'{"type":"text","text":7}').type == "text"
