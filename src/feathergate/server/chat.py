"""`POST /v1/chat/completions`."""

from __future__ import annotations

from feathergate.gateway.exchange import Exchange
from feathergate.observe.outcome import Outcome
from feathergate.server.contract import Answering


def post_chat(answering: Answering, rest: str) -> None:
    """Begin the exchange. A body is read as JSON, whatever type a client gives it, as curl does by default."""
    request, shared = answering.request, answering.runtime.shared
    outcome = Outcome(request_id=answering.request_id, started=shared.ticker.now())
    client_id = request.header(b"x-request-id")
    if client_id is not None:
        outcome.client_request_id = client_id[:128].decode("latin-1")
    exchange = Exchange(answering.runtime, answering.responder, outcome, answering.headers, int(shared.now()))
    answering.spawn(exchange.run(request.body))
