"""Gemini's generateContent: requests, answers, streams and errors. Specification: reference/wire/gemini.md."""

from __future__ import annotations

from collections.abc import Sequence

from feathergate.dialects.contract import Built, Context, Dialect, StreamDecoder, Target
from feathergate.dialects.gemini.answer import parse_answer
from feathergate.dialects.gemini.error import parse_error
from feathergate.dialects.gemini.request import build_request
from feathergate.dialects.gemini.stream import GeminiStream
from feathergate.errors import UpstreamError
from feathergate.events import Event
from feathergate.wire.chat import ChatRequest
from feathergate.wire.codec import Members


class _Gemini:
    """Implements `dialects.contract.Dialect`."""

    name = "gemini"

    def build_request(self, request: ChatRequest, members: Members, target: Target) -> Built:
        return build_request(request, members, target)

    def parse_answer(self, body: bytes, context: Context) -> Sequence[Event]:
        return parse_answer(body, context)

    def open_stream(self, context: Context) -> StreamDecoder:
        return GeminiStream(context)

    def parse_error(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> UpstreamError:
        return parse_error(status, headers, body)


GEMINI: Dialect = _Gemini()
