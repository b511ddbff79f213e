"""`POST /v1/chat/completions`."""

from __future__ import annotations

import math
from collections.abc import Coroutine
from typing import Any, Final

from feathergate.errors import ClientError
from feathergate.gateway.exchange import Exchange
from feathergate.http.contract import Request
from feathergate.observe.outcome import Outcome
from feathergate.runtime import Runtime
from feathergate.server.contract import Answering

_TIMEOUT: Final = b"x-feathergate-timeout"


def post_chat(answering: Answering, rest: str) -> Coroutine[Any, Any, None]:
    """Begin the exchange. A body is read as JSON, whatever type a client gives it, as curl does by default."""
    runtime, created = answering.runtime, int(answering.runtime.shared.now())
    timeout_s = find_timeout(answering.request, runtime)
    exchange = Exchange(runtime, answering.responder, open_outcome(answering), answering.headers, created, timeout_s)
    return exchange.run(answering.request.body)


def find_timeout(request: Request, runtime: Runtime) -> float | None:
    """Seconds that the client allows the request, within what the configuration allows; None where it says nothing.
    Raises `ClientError`."""
    text = request.header(_TIMEOUT)
    if text is None:
        return None
    try:
        timeout_s = float(text)
    except ValueError:
        timeout_s = math.nan
    if not 0 < timeout_s < math.inf:
        raise ClientError("x-feathergate-timeout must be a number of seconds above 0, such as 30.")
    return min(timeout_s, runtime.config.server.client_timeout_limit_s or math.inf)


def open_outcome(answering: Answering) -> Outcome:
    """The account of a completion request, which begins now."""
    outcome = Outcome(answering.request_id, answering.runtime.shared.ticker.now())
    client_id = answering.request.header(b"x-request-id")
    if client_id is not None:
        outcome.client_request_id = client_id[:128].decode("latin-1")
    return outcome
