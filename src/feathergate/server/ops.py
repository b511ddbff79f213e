"""For those who run the gateway: health, metrics, and the order to read the configuration anew.

None asks a provider anything, and all are answered while new requests are not. `/health/liveliness` (also spelled
`liveness`), `/health/readiness`, `/healthz` and `/readyz` are where LiteLLM and Kubernetes look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from ipaddress import IPv6Address, ip_address
from os.path import basename
from typing import Any

from msgspec.structs import replace

from feathergate.errors import ClientError, NotFoundError, UnauthorizedError
from feathergate.gateway.reply import JSON
from feathergate.server.contract import Answering
from feathergate.wire.codec import encode

_HEALTH = b'{"status":"ok","service":"feathergate"}'
_METRICS = b"content-type: text/plain; version=0.0.4; charset=utf-8\r\n"
_NOT_READY = JSON + b"retry-after: 1\r\n"


def get_health(answering: Answering, rest: str) -> None:
    """The process lives: whether it also wants requests is not asked here."""
    answering.responder.respond(200, JSON + answering.headers, _HEALTH)


def get_readiness(answering: Answering, rest: str) -> None:
    """Whether new requests are welcome; 503 while they are not, with the reason."""
    unready = answering.state.unready
    if unready:
        body = encode({"status": "unhealthy", "reason": unready, "service": "feathergate"})
        answering.responder.respond(503, _NOT_READY + answering.headers, body)
    else:
        body = encode({"status": "healthy", "service": "feathergate"})
        answering.responder.respond(200, JSON + answering.headers, body)


def get_metrics(answering: Answering, rest: str) -> Coroutine[Any, Any, None]:
    return _render_metrics(answering)


async def _render_metrics(answering: Answering) -> None:
    """In a thread: hundreds of histograms take longer to write than the loop may be held."""
    body = await asyncio.to_thread(answering.runtime.metrics.render)
    answering.responder.respond(200, _METRICS + answering.headers, body)


def post_reload(answering: Answering, rest: str) -> Coroutine[Any, Any, None]:
    """Read the configuration anew. Raises `UnauthorizedError` where no key protects this and another machine asks."""
    if answering.runtime.master_key is None and not is_loopback(answering.request.peer):
        raise UnauthorizedError("Without a master key only this machine may reload the gateway. Configure one.")
    return _reload(answering)


async def _reload(answering: Answering) -> None:
    if answering.state.reload is None:
        raise NotFoundError("This gateway cannot reload its configuration: start it again.")
    reload = await answering.state.reload()
    if reload.problems:
        # The folder is left out: an answer tells no path of this machine.
        problems = "\n".join(str(replace(problem, file=basename(problem.file))) for problem in reload.problems)
        raise ClientError(f"The old configuration stays in use:\n{problems}", status=422, code="config_error")
    body = encode({"status": "reloaded", "changes": reload.changes})
    answering.responder.respond(200, JSON + answering.headers, body)


def is_loopback(peer: str) -> bool:
    """Whether the address of a peer, as sockets have it, is this machine's own."""
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback
