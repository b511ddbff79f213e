"""`POST /v1/chat/completions`."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from feathergate.gateway.exchange import Exchange
from feathergate.observe.outcome import Outcome
from feathergate.server.contract import Answering


def post_chat(answering: Answering, rest: str) -> Coroutine[Any, Any, None]:
    """Begin the exchange. A body is read as JSON, whatever type a client gives it, as curl does by default."""
    runtime, created = answering.runtime, int(answering.runtime.shared.now())
    exchange = Exchange(runtime, answering.responder, open_outcome(answering), answering.headers, created)
    return exchange.run(answering.request.body)


def open_outcome(answering: Answering) -> Outcome:
    """The account of a completion request, which begins now."""
    outcome = Outcome(request_id=answering.request_id, started=answering.runtime.shared.ticker.now())
    client_id = answering.request.header(b"x-request-id")
    if client_id is not None:
        outcome.client_request_id = client_id[:128].decode("latin-1")
    return outcome
