"""Anthropic's Messages API as an upstream speaks it.

`request.py` builds (`said.py` opens the messages, `history.py`, `assistant.py` and `part.py` build them, `toolset.py`
and `tool.py` the tools, `form.py`, `thinking.py` and `knob.py` the rest), `answer.py` reads whole answers and
`stream.py` streams through the same machine (with `block.py`), `failure.py` reads errors.
Specification: reference/wire/anthropic.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from feathergate.dialects.contract import Built, Context, Target
from feathergate.dialects.messages.answer import parse_answer
from feathergate.dialects.messages.failure import parse_error
from feathergate.dialects.messages.request import build_request
from feathergate.dialects.messages.stream import MessagesStreamDecoder
from feathergate.errors import UpstreamError
from feathergate.events import Event
from feathergate.wire.chat import ChatRequest
from feathergate.wire.codec import Members


class MessagesDialect:
    """The dialect; see `contract.Dialect`."""

    name = "messages"

    def build_request(self, request: ChatRequest, members: Members, target: Target) -> Built:
        return build_request(request, members, target)

    def parse_answer(self, body: bytes, context: Context) -> Sequence[Event]:
        return parse_answer(body, context)

    def open_stream(self, context: Context) -> MessagesStreamDecoder:
        return MessagesStreamDecoder(context)

    def parse_error(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> UpstreamError:
        return parse_error(status, headers, body)


MESSAGES = MessagesDialect()
