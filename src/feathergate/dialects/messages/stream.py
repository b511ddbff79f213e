"""Anthropic's stream, event by event.

Each event is decoded once into one struct, and its block's machine (`answer.py`) says what it means. An event or
delta of an unknown type is ignored whatever its shape; a known one that is malformed is an error. The stream is
whole when `message_stop` has come. Specification: reference/wire/anthropic.md section 7.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from feathergate.dialects.contract import Context
from feathergate.dialects.messages.answer import AnswerReader, build_protocol_error
from feathergate.dialects.messages.failure import parse_failure
from feathergate.errors import UpstreamError
from feathergate.events import Event
from feathergate.wire.messages import ProviderError, StreamEvent, decode_block_type, decode_event, decode_event_type

_DELTA_TYPES: Final = ("text_delta", "input_json_delta", "thinking_delta", "signature_delta", "citations_delta")
_EVENT_TYPES: Final = (
    "message_start",
    "content_block_start",
    "content_block_stop",
    "message_delta",
    "message_stop",
    "error",
)
_BAD: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class MessagesStreamDecoder:
    """See `contract.StreamDecoder`."""

    __slots__ = ("_reader", "complete")

    def __init__(self, context: Context) -> None:
        self.complete = False
        self._reader = AnswerReader(context)

    def decode(self, name: bytes, data: bytes) -> Sequence[Event]:
        if self.complete:
            return ()
        try:
            event = decode_event(data)
            if event.type == "content_block_delta":
                return self._reader.read_delta(event.delta) if event.delta is not None else ()
            handle = _HANDLERS.get(event.type)
            return handle(self, event) if handle is not None else ()
        except msgspec.ValidationError as error:
            if _is_known(data):
                raise build_protocol_error("event") from error
            return ()
        except _BAD as error:
            raise build_protocol_error("event") from error

    def finish(self) -> Sequence[Event]:
        if not self.complete:
            raise UpstreamError("The provider's stream ended before its end.", kind="truncated")
        return ()

    def _start(self, event: StreamEvent) -> Sequence[Event]:
        if event.message is None:
            raise build_protocol_error("event")
        return self._reader.start(event.message)

    def _open(self, event: StreamEvent) -> Sequence[Event]:
        if not event.content_block or not self._reader.started:
            raise build_protocol_error("event")
        return self._reader.open(event.content_block)

    def _close(self, event: StreamEvent) -> Sequence[Event]:
        return self._reader.close()

    def _stop(self, event: StreamEvent) -> Sequence[Event]:
        self._reader.count(event.usage)
        if event.delta is not None:
            self._reader.stop(event.delta.stop_reason, event.delta.stop_details)
        return ()

    def _end(self, event: StreamEvent) -> Sequence[Event]:
        if not self._reader.started:
            raise build_protocol_error("stream")
        self.complete = True
        return self._reader.end()

    def _fail(self, event: StreamEvent) -> Sequence[Event]:
        raise parse_failure(event.error or ProviderError())


# Behind the class and not in its body, where mypyc cannot have a table of methods yet.
# ruff: noqa: SLF001
_HANDLERS: Final[Mapping[str, Callable[[MessagesStreamDecoder, StreamEvent], Sequence[Event]]]] = {
    "message_start": MessagesStreamDecoder._start,
    "content_block_start": MessagesStreamDecoder._open,
    "content_block_stop": MessagesStreamDecoder._close,
    "message_delta": MessagesStreamDecoder._stop,
    "message_stop": MessagesStreamDecoder._end,
    "error": MessagesStreamDecoder._fail,
}


def _is_known(data: bytes) -> bool:
    """Whether an event that does not fit our struct is one that should."""
    try:
        event = decode_event_type(data)
        if event.type == "content_block_delta":
            return decode_block_type(event.delta).type in _DELTA_TYPES
    except msgspec.DecodeError:
        return True
    return event.type in _EVENT_TYPES
