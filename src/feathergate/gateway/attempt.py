"""One call to one deployment: build it from the client's untouched request, send it, and give the relay back.

Every attempt starts from the same request, so that attempt two equals a direct call. It does not judge what comes
back and does not try again: `exchange.py` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Raw
from msgspec.structs import replace

from feathergate.deployment import Deployment
from feathergate.dialects.chat import CHAT
from feathergate.dialects.contract import Built
from feathergate.dialects.passing import PassThrough
from feathergate.dialects.pipe import Pipe
from feathergate.dialects.render import ChunkRenderer
from feathergate.dialects.thought import ThoughtRecorder
from feathergate.dialects.translation import Translation
from feathergate.gateway.reading import Reading
from feathergate.gateway.relay import Relay
from feathergate.runtime import Runtime
from feathergate.transport.media import File, inline_remotes
from feathergate.wire.chat import ChatRequest, Message
from feathergate.wire.codec import Members, decode_chat, encode

# From so many bytes on work on a request is done in a thread; each message costs as much as 500 of them.
OFF_LOOP_BYTES = 1024 * 1024
_BYTES_A_MESSAGE: Final = 500

# Two names of one parameter: the client's word wins under either.
_SYNONYMS: Final = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}


class Asked:
    """What the client asked, and what every attempt has in common. `deadline` is the loop's time, `size_bytes` that of
    the body, with the files that were put into it; `is_large` where work on it could hold up others. Immutable."""

    __slots__ = ("created", "deadline", "is_large", "members", "request", "request_id", "size_bytes")

    def __init__(
        self,
        request: ChatRequest,
        members: Members,
        request_id: str,
        created: int,
        deadline: float,
        size_bytes: int,
    ) -> None:
        self.request: Final = request
        self.members: Final = members
        self.request_id: Final = request_id
        self.created: Final = created
        self.deadline: Final = deadline
        self.size_bytes: Final = size_bytes
        self.is_large: Final = size_bytes + _BYTES_A_MESSAGE * len(request.messages) >= OFF_LOOP_BYTES

    @property
    def stream(self) -> bool:
        return bool(self.request.stream)


def inline_media(asked: Asked, messages: Sequence[Message], files: Mapping[str, File]) -> Asked:
    """The same request with the files in the place of their URLs; `messages` are its own, decoded."""
    raw = inline_remotes(asked.request.messages, messages, files)
    request = replace(asked.request, messages=raw)
    members = {**asked.members, "messages": Raw(b"[%b]" % b",".join(raw))}
    size_bytes = sum([memoryview(message).nbytes for message in raw])
    return Asked(request, members, asked.request_id, asked.created, asked.deadline, max(asked.size_bytes, size_bytes))


def start_attempt(runtime: Runtime, deployment: Deployment, asked: Asked, built: Built) -> Relay:
    """Send what `build_attempt` has made of the request."""
    server, shared = runtime.config.server, runtime.shared
    dialect, context = deployment.provider.dialect, built.context
    fallback_id = f"chatcmpl-{asked.request_id}"
    if dialect is not CHAT:
        context = replace(context, fallback_id=fallback_id)
    reading = Reading(
        dialect,
        context,
        fallback_id,
        asked.created,
        server.upstream_body_limit_bytes,
        deployment.secrets,
        shared.thoughts,
    )
    stream = asked.stream
    pipe = _open_pipe(reading, asked, server.upstream_event_limit_bytes) if stream else None
    upstream = deployment.build_upstream(built, stream=stream)
    idle_s, keep_alive_s = upstream.timeouts.idle_s, server.sse_keep_alive_s
    least_chars_per_s = server.slow_stream_chars_per_s
    relay = Relay(shared.ticker, reading, pipe, asked.deadline, idle_s, keep_alive_s, least_chars_per_s)
    relay.attach(deployment.transport.send(upstream, relay))
    return relay


def build_attempt(deployment: Deployment, asked: Asked) -> Built:
    """The upstream request; what the configuration adds is added here, the client's word winning over defaults.

    Pure, so that a large request may be built in a thread. Raises `ClientError` for what cannot be carried.
    """
    request, members = asked.request, asked.members
    if deployment.defaults or deployment.overrides:
        request, members = decode_chat(encode(merge_members(deployment, members)))
    return deployment.provider.dialect.build_request(request, members, deployment.target)


def merge_members(deployment: Deployment, members: Members) -> Members:
    """The client's members with the configuration's around them."""
    defaults = {name: value for name, value in deployment.defaults.items() if _SYNONYMS.get(name) not in members}
    return {**defaults, **members, **deployment.overrides}


def _open_pipe(reading: Reading, asked: Asked, limit_bytes: int) -> Pipe:
    options = asked.request.stream_options
    renderer = ChunkRenderer(
        reading.fallback_id,
        asked.created,
        include_usage=bool(options and options.include_usage),
        legacy_functions=reading.context.legacy_functions,
    )
    if reading.dialect is CHAT:
        return Pipe(PassThrough(reading.context, renderer), limit_bytes)
    recorder = ThoughtRecorder(reading.thoughts) if reading.thoughts is not None else None
    return Pipe(Translation(reading.dialect, reading.context, renderer, recorder), limit_bytes)
