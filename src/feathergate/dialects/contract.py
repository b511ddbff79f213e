"""What a dialect is. Read this first.

A dialect is a wire format. It builds the upstream request from the client's chat request, reads whole answers
and streams into events, and reads errors. It is pure: no socket, no clock, no log, no `await`, and the request
that it is given is never changed, so that attempt two equals attempt one. What reading needs to know of what
was sent (tool names that had to be changed, for example) travels in `Context`, never in the dialect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from feathergate.capability import Capability
from feathergate.errors import UpstreamError
from feathergate.events import Event
from feathergate.wire.chat import ChatRequest
from feathergate.wire.codec import Members


class Quirks(msgspec.Struct, frozen=True):
    """What one host of a dialect does otherwise than the dialect's maker, in a request's top-level members.

    `renames` maps a name of the protocol to the only one that the host knows; `lacks` are knobs that it refuses, or
    passes over without a word; `pedantic` = it refuses what the protocol does not document, members of ours included.
    """

    renames: Mapping[str, str] = {}
    lacks: frozenset[str] = frozenset()
    pedantic: bool = False


class Thought(msgspec.Struct, frozen=True):
    """What belongs to one call: its own `signature`, and its message's `blocks` and `extra_content`."""

    signature: str | None = None
    blocks: tuple[dict[str, Any], ...] = ()
    extra: dict[str, Any] | None = None


class Remembered(Protocol):
    """What the provider signed in earlier turns, by the call's id; see `thought.py`."""

    def recall(self, call_id: str) -> Thought | None: ...


class Target(msgspec.Struct, frozen=True):
    """For whom a request is built: the upstream's name of the model, and what that model can do.

    `strict` turns every drop into a refusal (`ClientError` naming the field); `thoughts` is what the provider signed
    in earlier turns, for clients that do not send it back; `quirks` are those of the host.
    """

    model: str
    capability: Capability
    strict: bool = False
    thoughts: Remembered | None = None
    quirks: Quirks = Quirks()


class Context(msgspec.Struct, frozen=True):
    """What reading the answer must know of the request that was sent.

    `tool_names` maps a name as the provider knows it to the client's, where the two differ; `custom_tools` are
    the client's names of custom tools, whose input is text; `legacy_functions` = the client sent `functions`;
    `json_tool` names the tool that stands in for structured output, where a model has none; `fallback_id` is the
    exchange's own id, which tells its answer from others where the provider gives no id.
    """

    model: str
    tool_names: Mapping[str, str] = {}
    custom_tools: frozenset[str] = frozenset()
    legacy_functions: bool = False
    json_tool: str | None = None
    fallback_id: str = ""


class Built(msgspec.Struct, frozen=True):
    """An upstream request as its dialect wants it; host and credentials are not the dialect's business.

    `path` follows the deployment's base URL and begins with a slash; `headers` are the dialect's own;
    `dropped` names the request's fields that could not be carried.
    """

    path: str
    body: bytes
    context: Context
    headers: tuple[tuple[str, str], ...] = ()
    dropped: tuple[str, ...] = ()


class StreamDecoder(Protocol):
    """Reads one stream.

    `complete` turns true at the provider's own end mark, after which nothing more is read; a dialect that has no
    end mark (Gemini's stream just ends) leaves it false.
    """

    complete: bool

    def decode(self, name: bytes, data: bytes) -> Sequence[Event]:
        """One server-sent event to ours. Raises `UpstreamError` for an error event and for malformed data."""

    def finish(self) -> Sequence[Event]:
        """The stream has ended: what was held back, or `UpstreamError` (truncated) where its end is missing."""


class Dialect(Protocol):
    """One wire format, as an upstream speaks it. Implementations are stateless module-level values."""

    name: str

    def build_request(self, request: ChatRequest, members: Members, target: Target) -> Built:
        """Raises `ClientError` for what cannot be carried and changes the meaning."""

    def parse_answer(self, body: bytes, context: Context) -> Sequence[Event]:
        """A whole answer. Raises `UpstreamError` when it is an error in disguise, or not of this dialect."""

    def open_stream(self, context: Context) -> StreamDecoder: ...

    def parse_error(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> UpstreamError:
        """An answer with an error status, JSON or not, as the error that the client is to see."""
