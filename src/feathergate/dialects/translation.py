"""Another dialect's answer for a client that speaks chat: streamed (`Translation`) or whole (`translate_whole`).

The provider's bytes are read into events, the events are listened to for what must be remembered, and rendered. A
provider that answers a whole request with a stream is understood; chat's own whole answers pass as they came.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from feathergate.dialects.chat import CHAT
from feathergate.dialects.chat.answer import peek_whole
from feathergate.dialects.chat.mending import mend_answer
from feathergate.dialects.contract import Context, Dialect
from feathergate.dialects.pipe import SPACE, STREAM_STARTS, Flow
from feathergate.dialects.render import ChunkRenderer, render_answer
from feathergate.dialects.thought import ThoughtMemory, ThoughtRecorder
from feathergate.events import Event, Text, ToolStarted, Usage, is_content
from feathergate.wire import sse
from feathergate.wire.chat import Usage as TokenUsage


class Translation(Flow):
    """A `Flow` of another dialect's stream, rendered as chat chunks."""

    __slots__ = (
        "_context",
        "_decode",
        "_decoder",
        "_dialect",
        "_recorder",
        "_renderer",
    )

    def __init__(
        self,
        dialect: Dialect,
        context: Context,
        renderer: ChunkRenderer,
        recorder: ThoughtRecorder | None = None,
    ) -> None:
        super().__init__()
        self._dialect = dialect
        self._context = context
        self._decoder = dialect.open_stream(context)
        self._decode = self._decoder.decode
        self._renderer = renderer
        self._recorder = recorder

    def take(self, name: bytes, data: bytes) -> bytes:
        events = self._decode(name, data)
        if len(events) == 1 and self.content:
            event = events[0]
            if type(event) is Text:
                return self._renderer.render_text(event.text, event.choice)
        out = self._render_all(events)
        return out + self.end() if self._decoder.complete else out

    def take_whole(self, body: bytes) -> bytes:
        return self._render_all(self._dialect.parse_answer(body, self._context)) + self._close()

    def end(self) -> bytes:
        return self._render_all(self._decoder.finish()) + self._close()

    def _close(self) -> bytes:
        self.complete = True
        if self._recorder is not None:
            self._recorder.keep()
        return self._renderer.close()

    def _render_all(self, events: Sequence[Event]) -> bytes:
        if not self.content:
            self.content = any(map(is_content, events))
        for event in events:
            if isinstance(event, Usage):
                self.usage = event.usage
        if self._recorder is not None:
            self._recorder.listen(events)
        return b"".join([self._renderer.render(event) for event in events])


class Whole:
    """An answer for a client that asked for it whole."""

    __slots__ = ("body", "usage")

    def __init__(self, body: bytes, usage: TokenUsage | None) -> None:
        self.body: Final = body
        self.usage: Final = usage


def translate_whole(
    body: bytes,
    dialect: Dialect,
    context: Context,
    fallback_id: str,
    created: int,
    limit_bytes: int,
    thoughts: ThoughtMemory | None = None,
) -> Whole:
    """A whole answer of any dialect as chat's; raises `UpstreamError`. What its tool calls need goes to `thoughts`."""
    is_stream = not body.startswith(b"{") and body.lstrip(SPACE)[:1] in STREAM_STARTS
    if dialect is CHAT and not is_stream:
        peek = peek_whole(body)
        return Whole(mend_answer(body) if peek.odd else body, peek.usage)
    events = _read_stream(body, dialect, context, limit_bytes) if is_stream else dialect.parse_answer(body, context)
    if thoughts is not None and any(type(event) is ToolStarted for event in events):
        recorder = ThoughtRecorder(thoughts)
        recorder.listen(events)
        recorder.keep()
    rendered = render_answer(events, fallback_id, created, legacy_functions=context.legacy_functions)
    return Whole(rendered, _find_usage(events))


def _read_stream(body: bytes, dialect: Dialect, context: Context, limit_bytes: int) -> Sequence[Event]:
    reader = sse.SseReader(limit_bytes)
    decoder = dialect.open_stream(context)
    events: list[Event] = []
    for name, data in reader.feed(body):
        if not decoder.complete:
            events += decoder.decode(name, data)
    return [*events, *decoder.finish()]


def _find_usage(events: Sequence[Event]) -> TokenUsage | None:
    """Usage stands last, where it stands at all."""
    last = events[-1]
    return last.usage if type(last) is Usage else None
