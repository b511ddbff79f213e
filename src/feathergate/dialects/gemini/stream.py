"""A Gemini stream: server-sent events without names and without an end mark; it ends where the connection does.

Specification: reference/wire/gemini.md section 6.
"""

from __future__ import annotations

from collections.abc import Sequence

from feathergate.dialects.contract import Context
from feathergate.dialects.gemini.answer import AnswerReader, decode_answer
from feathergate.events import Event


class GeminiStream:
    """`complete` stays false: a finish reason is no end mark, since more may follow it and old models repeat it."""

    __slots__ = ("_reader", "complete")

    def __init__(self, context: Context) -> None:
        self._reader = AnswerReader(context)
        self.complete = False

    def decode(self, name: bytes, data: bytes) -> Sequence[Event]:
        """Raises `UpstreamError` for an error event and for what is no response."""
        return self._reader.read(decode_answer(data))

    def finish(self) -> Sequence[Event]:
        """Raises `UpstreamError` (truncated) where no finish reason came."""
        return self._reader.finish()
