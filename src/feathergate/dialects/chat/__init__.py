"""OpenAI's Chat Completions as an upstream speaks it: OpenAI itself and every host like it.

The request's own bytes go upstream, the model's name exchanged, and what a known family would refuse mended
(`request.py`); answers are peeked at for what the gateway must know and passed on as they came, which `pipe.py`
does (`mending.py` has the exceptions). `answer.py` reads them into events, `failure.py` reads errors.
Specification: reference/wire/openai-chat.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from feathergate.dialects.chat.answer import ChatStreamDecoder, parse_answer
from feathergate.dialects.chat.failure import parse_failure
from feathergate.dialects.chat.request import build_request
from feathergate.dialects.contract import Built, Context, Target
from feathergate.errors import UpstreamError
from feathergate.events import Event
from feathergate.wire.chat import ChatRequest
from feathergate.wire.codec import Members
from feathergate.wire.retry_after import parse_retry_after


class ChatDialect:
    """The dialect; see `contract.Dialect`."""

    name = "chat"

    def build_request(self, request: ChatRequest, members: Members, target: Target) -> Built:
        return build_request(request, members, target)

    def parse_answer(self, body: bytes, context: Context) -> Sequence[Event]:
        return parse_answer(body)

    def open_stream(self, context: Context) -> ChatStreamDecoder:
        return ChatStreamDecoder()

    def parse_error(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> UpstreamError:
        return parse_failure(status, parse_retry_after(headers), body)


CHAT = ChatDialect()
