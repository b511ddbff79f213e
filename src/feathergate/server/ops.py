"""`GET /health` and `GET /metrics`: for those who run the gateway. Neither asks a provider anything."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from feathergate.gateway.exchange import JSON
from feathergate.server.contract import Answering

_HEALTH = b'{"status":"ok","service":"feathergate"}'
_METRICS = b"content-type: text/plain; version=0.0.4; charset=utf-8\r\n"


def get_health(answering: Answering, rest: str) -> None:
    answering.responder.respond(200, JSON + answering.headers, _HEALTH)


def get_metrics(answering: Answering, rest: str) -> Coroutine[Any, Any, None]:
    return _render_metrics(answering)


async def _render_metrics(answering: Answering) -> None:
    """In a thread: hundreds of histograms take longer to write than the loop may be held."""
    body = await asyncio.to_thread(answering.runtime.metrics.render)
    answering.responder.respond(200, _METRICS + answering.headers, body)
