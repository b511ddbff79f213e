"""One upstream answer on its way to the client: its bytes in, the client's bytes out, and nothing else.

On the diagonal, where both ends speak chat, every event is checked to be JSON, peeked at, and written as it came
(`PassThrough`); any other dialect is read into events and rendered (`Translation`). `Pipe` feeds either with
whole events and tells the relay when the client has got something to use (`content`), when the provider has come
to its own end (`complete`), and what went wrong (`error`), after which nothing more is made. A provider that
answers a stream whole, or a whole request with a stream, is understood too: the body's first byte says which.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import msgspec
from msgspec import Raw

from feathergate.dialects.chat import CHAT
from feathergate.dialects.chat.answer import DONE, build_truncated, parse_usage, peek_whole
from feathergate.dialects.chat.failure import parse_failure
from feathergate.dialects.chat.mending import is_odd, mend_answer
from feathergate.dialects.contract import Context, Dialect
from feathergate.dialects.render import ChunkRenderer, render_answer
from feathergate.dialects.thought import ThoughtRecorder
from feathergate.errors import UpstreamError
from feathergate.events import Event, Usage, is_content
from feathergate.wire import sse
from feathergate.wire.chat import Usage as TokenUsage
from feathergate.wire.codec import is_null

_SPACE = b" \t\r\n"
_WHOLE = (b"{", b"[")
_STREAM = (b"d", b"e", b"i", b"r", b":", b"\xef")


class Flow(Protocol):
    """What becomes of a stream's events. Every method may raise `UpstreamError`."""

    content: bool
    complete: bool
    usage: TokenUsage | None

    def take(self, event: sse.SseEvent) -> bytes:
        """One event to the client's bytes."""

    def take_whole(self, body: bytes) -> bytes:
        """An answer that came whole though a stream was asked for, as the client's stream."""

    def end(self) -> bytes:
        """The upstream's body has ended without its end mark: the last bytes, if that may be."""


class Pipe:
    """Feed it the upstream's body. What is wrong with that stands in `error`; `events` counts what has come."""

    __slots__ = ("_flow", "_limit_bytes", "_reader", "_sniffed", "_whole", "error", "events")

    def __init__(self, flow: Flow, limit_bytes: int) -> None:
        self.error: UpstreamError | None = None
        self.events = 0
        self._flow = flow
        self._limit_bytes = limit_bytes
        self._reader = sse.SseReader(limit_bytes)
        self._sniffed = False
        self._whole: bytearray | None = None

    @property
    def content(self) -> bool:
        return self._flow.content

    @property
    def complete(self) -> bool:
        return self._flow.complete

    @property
    def usage(self) -> TokenUsage | None:
        return self._flow.usage

    def feed(self, data: bytes) -> bytes:
        out: list[bytes] = []
        flow = self._flow
        if self.complete or self.error is not None:
            return b""
        try:
            if not self._sniffed:
                self._sniff(data)
            if self._whole is not None:
                _collect(self._whole, data, self._limit_bytes)
                return b""
            for event in self._reader.feed(data):
                self.events += 1
                out.append(flow.take(event))
                if flow.complete:
                    break
        except UpstreamError as error:
            self.error = error
        return b"".join(out)

    def close(self) -> bytes:
        """The upstream's body has ended: the last bytes, or `error` where its end is missing."""
        out: list[bytes] = []
        flow = self._flow
        if self.complete or self.error is not None:
            return b""
        try:
            if self._whole is not None:
                return flow.take_whole(bytes(self._whole))
            last = self._reader.close()
            if last is not None:
                out.append(_take_unterminated(flow, last))
            if not flow.complete:
                out.append(flow.end())
        except UpstreamError as error:
            self.error = error
        return b"".join(out)

    def _sniff(self, data: bytes) -> None:
        first = data.lstrip(_SPACE)[:1]
        if not first:
            return
        self._sniffed = True
        if first in _WHOLE:
            self._whole = bytearray()
        elif first not in _STREAM:
            raise UpstreamError("The provider answered a stream with something else.", kind="protocol")


def _collect(whole: bytearray, data: bytes, limit_bytes: int) -> None:
    whole += data
    if len(whole) > limit_bytes:
        raise UpstreamError(f"The provider sent an answer of more than {limit_bytes} bytes.", kind="protocol")


def _take_unterminated(flow: Flow, event: sse.SseEvent) -> bytes:
    """The last event, without its blank line: whole, or the mark of a truncation."""
    try:
        return flow.take(event)
    except UpstreamError as error:
        if error.kind == "protocol":
            raise build_truncated() from error
        raise


# --- the two flows -----------------------------------------------------------------------------------------------


class Translation:
    """Another dialect's stream, rendered as chat chunks."""

    def __init__(
        self,
        dialect: Dialect,
        context: Context,
        renderer: ChunkRenderer,
        recorder: ThoughtRecorder | None = None,
    ) -> None:
        self.content = False
        self.complete = False
        self.usage: TokenUsage | None = None
        self._dialect = dialect
        self._context = context
        self._decoder = dialect.open_stream(context)
        self._renderer = renderer
        self._recorder = recorder

    def take(self, event: sse.SseEvent) -> bytes:
        decoder = self._decoder
        out = self._render(decoder.decode(event.name, event.data))
        return out + self.end() if decoder.complete else out

    def take_whole(self, body: bytes) -> bytes:
        return self._render(self._dialect.parse_answer(body, self._context)) + self._close()

    def end(self) -> bytes:
        return self._render(self._decoder.finish()) + self._close()

    def _close(self) -> bytes:
        self.complete = True
        if self._recorder is not None:
            self._recorder.keep()
        return self._renderer.close()

    def _render(self, events: Sequence[Event]) -> bytes:
        if not self.content:
            self.content = any(map(is_content, events))
        for event in events:
            if isinstance(event, Usage):
                self.usage = event.usage
        if self._recorder is not None:
            self._recorder.listen(events)
        return b"".join(map(self._renderer.render, events))


class _DeltaPeek(msgspec.Struct, frozen=True, gc=False):
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[Raw] | None = None
    function_call: Raw = Raw()
    audio: Raw = Raw()
    images: list[Raw] | None = None


class _ChoicePeek(msgspec.Struct, frozen=True, gc=False):
    index: int = 0
    delta: _DeltaPeek | None = None
    finish_reason: str | None = None


class _ChunkPeek(msgspec.Struct, frozen=True, gc=False):
    choices: list[_ChoicePeek] | None = None
    usage: Raw = Raw()
    error: Raw = Raw()


_decode_chunk = msgspec.json.Decoder(_ChunkPeek).decode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode


class PassThrough:
    """Chat's own stream, written as it came but for what `mending.py` mends."""

    def __init__(self, context: Context, renderer: ChunkRenderer) -> None:
        self.content = False
        self.complete = False
        self.usage: TokenUsage | None = None
        self._context = context
        self._renderer = renderer
        self._open: set[int] = set()
        self._finished: set[int] = set()

    def take(self, event: sse.SseEvent) -> bytes:
        name, data = event
        if b"\n" in data:  # which cannot stand within a JSON string, so the lines may be joined without a loss
            data = data.replace(b"\n", b" ")
        if data.strip() == DONE:
            if not (self._open or self._finished or self.content):
                raise build_truncated()
            self.complete = True
            return sse.DONE
        chunk = self._peek(data)
        if not is_null(chunk.error) or name == b"error":
            raise parse_failure(None, None, data)
        odd = False
        for choice in chunk.choices or ():
            reason, delta = choice.finish_reason, choice.delta
            if reason is not None:
                self._finished.add(choice.index)
                self.content = True
            else:
                self._open.add(choice.index)
            if delta is not None:
                if reason is not None or delta.tool_calls is not None:
                    odd = odd or is_odd(reason, delta.tool_calls)
                self.content = self.content or _says_something(delta)
        if chunk.usage:
            self.usage = parse_usage(chunk.usage) or self.usage
        return sse.encode_event(mend_answer(data) if odd else data)

    def take_whole(self, body: bytes) -> bytes:
        return Translation(CHAT, self._context, self._renderer).take_whole(body)

    def end(self) -> bytes:
        if not self._finished or self._open - self._finished:
            raise build_truncated()
        self.complete = True
        return sse.DONE

    def _peek(self, data: bytes) -> _ChunkPeek:
        """A chunk that is JSON but not shaped as ours passes; one that is no JSON object does not."""
        try:
            if not data.isascii():
                data.decode()
            return _decode_chunk(data)
        except msgspec.ValidationError:
            self.content = True
            return _peek_at_odd(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UpstreamError("The provider sent an event that is not valid JSON.", kind="protocol") from error


def _peek_at_odd(data: bytes) -> _ChunkPeek:
    try:
        members = _decode_object(data)
    except msgspec.DecodeError as error:
        raise UpstreamError("The provider sent an event that is not a JSON object.", kind="protocol") from error
    return _ChunkPeek(usage=members.get("usage", Raw()), error=members.get("error", Raw()))


def _says_something(delta: _DeltaPeek) -> bool:
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


# --- whole answers -----------------------------------------------------------------------------------------------


class Whole(NamedTuple):
    """An answer for a client that asked for it whole."""

    body: bytes
    usage: TokenUsage | None


def translate_whole(
    body: bytes,
    dialect: Dialect,
    context: Context,
    fallback_id: str,
    created: int,
    limit_bytes: int,
    recorder: ThoughtRecorder | None = None,
) -> Whole:
    """A whole answer of any dialect as chat's; raises `UpstreamError`. Chat's own passes as it came."""
    if body.lstrip(_SPACE)[:1] in _STREAM:
        events: Sequence[Event] = _read_stream(body, dialect, context, limit_bytes)
    elif dialect is CHAT:
        peek = peek_whole(body)
        return Whole(mend_answer(body) if peek.odd else body, peek.usage)
    else:
        events = dialect.parse_answer(body, context)
    if recorder is not None:
        recorder.listen(events)
        recorder.keep()
    rendered = render_answer(events, fallback_id, created, legacy_functions=context.legacy_functions)
    return Whole(rendered, _find_usage(events))


def _read_stream(body: bytes, dialect: Dialect, context: Context, limit_bytes: int) -> list[Event]:
    reader = sse.SseReader(limit_bytes)
    decoder = dialect.open_stream(context)
    events: list[Event] = []
    for name, data in reader.feed(body):
        if not decoder.complete:
            events += decoder.decode(name, data)
    return [*events, *decoder.finish()]


def _find_usage(events: Iterable[Event]) -> TokenUsage | None:
    return next((event.usage for event in events if isinstance(event, Usage)), None)
