"""One call to one deployment: build it from the client's untouched request, send it, and give the relay back.

Every attempt starts from the same request, so that attempt two equals a direct call. It does not judge what comes
back and does not try again: `exchange.py` does.
"""

from __future__ import annotations

from typing import NamedTuple

from feathergate.dialects.chat import CHAT
from feathergate.dialects.contract import Built, Target
from feathergate.dialects.pipe import PassThrough, Pipe, Translation
from feathergate.dialects.render import ChunkRenderer
from feathergate.gateway.relay import Reading, Relay
from feathergate.runtime import Deployment, Runtime
from feathergate.wire.chat import ChatRequest
from feathergate.wire.codec import Members, decode_chat, encode


class Asked(NamedTuple):
    """What the client asked, and what every attempt has in common. `deadline` is the loop's time."""

    request: ChatRequest
    members: Members
    request_id: str
    created: int
    deadline: float

    @property
    def stream(self) -> bool:
        return bool(self.request.stream)


class Attempt(NamedTuple):
    """A call under way, and what could not be carried to it."""

    relay: Relay
    dropped: tuple[str, ...]


def start_attempt(runtime: Runtime, deployment: Deployment, asked: Asked, built: Built) -> Attempt:
    """Send what `build_attempt` has made of the request."""
    server = runtime.config.server
    dialect = deployment.provider.dialect
    reading = Reading(
        dialect,
        built.context,
        f"chatcmpl-{asked.request_id}",
        asked.created,
        server.upstream_body_limit_bytes,
        deployment.secrets,
    )
    pipe = _open_pipe(reading, asked, server.upstream_event_limit_bytes) if asked.stream else None
    relay = Relay(runtime.shared.ticker, reading, pipe, asked.deadline)
    upstream = deployment.build_upstream(built, stream=asked.stream)
    relay.attach(deployment.transport.send(upstream, relay))
    return Attempt(relay, built.dropped)


def build_attempt(deployment: Deployment, asked: Asked) -> Built:
    """The upstream request; what the configuration adds is added here, the client's word winning over defaults.

    Pure, so that a large request may be built in a thread. Raises `ClientError` for what cannot be carried.
    """
    request, members = asked.request, asked.members
    if deployment.defaults or deployment.overrides:
        members = {**deployment.defaults, **members, **deployment.overrides}
        request, members = decode_chat(encode(members))
    target: Target = deployment.target()
    return deployment.provider.dialect.build_request(request, members, target)


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
    return Pipe(Translation(reading.dialect, reading.context, renderer), limit_bytes)
