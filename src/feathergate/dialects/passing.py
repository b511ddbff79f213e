"""Chat's own stream to a client that speaks chat: every event is checked to be JSON, peeked at, and passed on.

Bytes stay as they came, but for what `mending.py` mends. What is peeked at is what the relay must know: whether
there is content, whether every choice has finished, the usage, and whether the event is an error in disguise.
Specification: reference/wire/openai-chat.md sections 6 and 7.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw

from feathergate.dialects.chat import CHAT
from feathergate.dialects.chat.answer import DONE, build_truncated, parse_usage
from feathergate.dialects.chat.failure import parse_failure
from feathergate.dialects.chat.mending import is_odd, mend_answer
from feathergate.dialects.contract import Context
from feathergate.dialects.pipe import Flow
from feathergate.dialects.render import ChunkRenderer
from feathergate.dialects.translation import Translation
from feathergate.errors import UpstreamError
from feathergate.wire import sse
from feathergate.wire.chat_answer import ChunkPeek, DeltaPeek, decode_chunk_peek
from feathergate.wire.codec import is_null

_BAD: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_decode_object: Final = msgspec.json.Decoder(dict[str, Raw]).decode


class PassThrough(Flow):
    """A `Flow` of the client's own dialect."""

    __slots__ = ("_context", "_finished", "_open", "_renderer")

    def __init__(self, context: Context, renderer: ChunkRenderer) -> None:
        super().__init__()
        self._context = context
        self._renderer = renderer
        self._open: set[int] = set()
        self._finished: set[int] = set()

    def take(self, name: bytes, data: bytes) -> bytes:
        if sse.LF in data:  # which cannot stand within a JSON string, so the lines may be joined without a loss
            data = data.replace(b"\n", b" ")
        if not data.startswith(b"{") and data.strip() == DONE:
            return self._take_done()
        try:
            if not data.isascii():
                data.decode()
            chunk = decode_chunk_peek(data)
        except _BAD as error:
            chunk = self._peek_at_odd(data, error)
        if name == b"error" or (chunk.error and not is_null(chunk.error)):
            raise parse_failure(None, None, data)
        for choice in chunk.choices or ():
            reason, delta = choice.finish_reason, choice.delta
            if reason is None:
                self._open.add(choice.index)
            else:
                self._finished.add(choice.index)
                self.content = True
            if delta is not None:
                if (reason is not None or delta.tool_calls is not None) and is_odd(reason, delta.tool_calls):
                    data = mend_answer(data)
                if not self.content:
                    self.content = _says_something(delta)
        if chunk.usage:
            self.usage = parse_usage(chunk.usage) or self.usage
        return b"data: " + data + b"\n\n"

    def take_whole(self, body: bytes) -> bytes:
        flow = Translation(CHAT, self._context, self._renderer)
        out = flow.take_whole(body)
        self.content, self.complete, self.usage = flow.content, flow.complete, flow.usage
        return out

    def end(self) -> bytes:
        if not self._finished or self._open - self._finished:
            raise build_truncated()
        self.complete = True
        return sse.DONE

    def _take_done(self) -> bytes:
        if not (self._open or self._finished or self.content):
            raise build_truncated()
        self.complete = True
        return sse.DONE

    def _peek_at_odd(self, data: bytes, error: Exception) -> ChunkPeek:
        """A chunk that is JSON but not shaped as ours passes; one that is no JSON object does not."""
        if not isinstance(error, msgspec.ValidationError):
            raise UpstreamError("The provider sent an event that is not valid JSON.", kind="protocol") from error
        self.content = True
        try:
            members = _decode_object(data)
        except msgspec.DecodeError as cause:
            raise UpstreamError("The provider sent an event that is not a JSON object.", kind="protocol") from cause
        return ChunkPeek(usage=members.get("usage", Raw()), error=members.get("error", Raw()))


def _says_something(delta: DeltaPeek) -> bool:
    return bool(
        delta.content
        or delta.tool_calls
        or delta.reasoning_content
        or delta.reasoning
        or delta.refusal
        or delta.images
        or not is_null(delta.function_call)
        or not is_null(delta.audio)
    )
