"""A recorded stream through one `Pipe`, cut wherever it can be cut. No sockets, no event loop: work for a process.

Each check returns places rather than raising at the first: where a stream breaks says more than that it does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from tests.conformance.openai_reading import list_payloads

from feathergate.dialects.chat import CHAT
from feathergate.dialects.contract import Context
from feathergate.dialects.passing import PassThrough
from feathergate.dialects.pipe import Pipe
from feathergate.dialects.render import ChunkRenderer
from feathergate.dialects.translation import Translation
from feathergate.providers import PROVIDERS

_LIMIT_BYTES = 1 << 24
_CREATED = 1_700_000_000
_PLACES = 5


class Cuts(NamedTuple):
    """The first few bytes where cutting the stream in two changes it, and where its ending goes unnoticed."""

    changed: list[int]
    unnoticed: list[int]


class Outcome(NamedTuple):
    """What the client got, and how it ended."""

    output: bytes
    error: str | None
    complete: bool
    content: bool
    usage: str


def pass_through(provider: str, pieces: Sequence[bytes]) -> Outcome:
    """The stream that comes in `pieces`, as a client that asked for usage gets it."""
    renderer = ChunkRenderer("chatcmpl-test", _CREATED, include_usage=True)
    dialect, context = PROVIDERS[provider].dialect, Context(model="unknown")
    flow = PassThrough(context, renderer) if dialect is CHAT else Translation(dialect, context, renderer)
    pipe = Pipe(flow, _LIMIT_BYTES)
    output = b"".join(map(pipe.feed, pieces)) + pipe.close()
    return Outcome(output, repr(pipe.error) if pipe.error else None, pipe.complete, pipe.content, repr(pipe.usage))


def is_same_bytewise(provider: str, stream: bytes) -> bool:
    pieces = [stream[at : at + 1] for at in range(len(stream))]
    return pass_through(provider, pieces) == pass_through(provider, [stream])


def find_cuts(provider: str, stream: bytes) -> Cuts:
    """In any two pieces it must say the same as in one; ended anywhere it must be an error, or have said all."""
    whole = pass_through(provider, [stream])
    return Cuts(
        list(islice(_find_changed(provider, stream, whole), _PLACES)),
        list(islice(_find_unnoticed(provider, stream, whole), _PLACES)),
    )


def _find_changed(provider: str, stream: bytes, whole: Outcome) -> Iterator[int]:
    for at in range(1, len(stream)):
        if pass_through(provider, [stream[:at], stream[at:]]) != whole:
            yield at


def _find_unnoticed(provider: str, stream: bytes, whole: Outcome) -> Iterator[int]:
    for at in range(len(stream)):
        ended = pass_through(provider, [stream[:at]])
        if ended.error is None and _list_choices(ended) != _list_choices(whole):
            yield at


def _list_choices(outcome: Outcome) -> list[Any]:
    """All that the chunks say but usage, which a provider may send after its last word."""
    payloads = (payload for payload in list_payloads(outcome.output) if payload != "[DONE]")
    chunks = [json.loads(payload) for payload in payloads]
    return [chunk["choices"] for chunk in chunks if chunk.get("choices")]
