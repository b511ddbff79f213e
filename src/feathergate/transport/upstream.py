"""The network as a transport: a pool of connections to one provider, and its failures in our words.

This is the only place where foreign errors become ours. What the client is told names the provider, what happened
and what to do; the address and the cause stay in `__cause__`, for the log. Redirects are handed up like any
other status: following one would carry the key elsewhere.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple, cast

from feathergate.errors import DeadlineError, ExhaustedError, UpstreamError
from feathergate.http.client import Pool
from feathergate.http.contract import Call, HttpError, HttpErrorKind, Origin, Timeouts
from feathergate.http.limits import ClientLimits
from feathergate.http.proxy import Proxy
from feathergate.http.ticker import Ticker
from feathergate.transport.contract import UpstreamRequest, UpstreamSink


class Meaning(NamedTuple):
    """What a failure of HTTP is to us. `message` follows the provider's name."""

    error: type[UpstreamError]
    message: str
    retry_after_s: float | None = None


MEANINGS: Final[dict[HttpErrorKind, Meaning]] = {
    "dns": Meaning(
        UpstreamError,
        "could not be reached: its host name was not resolved. Check the model's api_base and the gateway's DNS.",
    ),
    "connect": Meaning(
        UpstreamError,
        "could not be reached: no connection was accepted. Check the model's api_base, the proxy settings and "
        "whether the provider is up.",
    ),
    "tls": Meaning(
        UpstreamError,
        "could not be reached securely: the TLS handshake failed. Check its certificate and the gateway's CA file.",
    ),
    "timeout_connect": Meaning(
        DeadlineError,
        "could not be reached in time. Try again, or check the network between the gateway and the provider.",
    ),
    "timeout_first_byte": Meaning(
        DeadlineError,
        "did not begin to answer in time. Try again, or raise the model's timeout.",
    ),
    "idle": Meaning(
        DeadlineError,
        "fell silent in the middle of its answer. Try again, or raise the model's stream_timeout.",
    ),
    "timeout_total": Meaning(
        DeadlineError,
        "did not finish its answer in time. Ask for a shorter answer, or raise the timeout.",
    ),
    "reset": Meaning(
        UpstreamError,
        "broke the connection before its answer was complete. Try again.",
    ),
    "protocol": Meaning(
        UpstreamError,
        "answered with something that is not valid HTTP, or too large. Try again; if it persists, check api_base.",
    ),
    "exhausted": Meaning(
        ExhaustedError,
        "could not be asked: the gateway has no means for one more connection. Try again soon, or raise its limit of "
        "open files.",
        1.0,
    ),
}


class HttpTransport:
    """Sends to one origin over HTTP/1.1. `provider` is the name that messages show (`openai`)."""

    def __init__(
        self,
        provider: str,
        origin: Origin,
        limits: ClientLimits,
        ticker: Ticker,
        *,
        ssl_context: ssl.SSLContext | None = None,
        proxy: Proxy | None = None,
    ) -> None:
        translate = partial(parse_error, provider=provider)
        self.pool = Pool(origin, limits, ticker, ssl_context=ssl_context, proxy=proxy, translate=translate)
        # The pool's sinks take an HttpError, but for ours, who hear what `translate` makes of it.
        self._send = cast(Callable[[bytes, bytes, UpstreamSink, Timeouts], Call], self.pool.send)
        self._fixed_head = b" HTTP/1.1\r\nhost: %b\r\naccept-encoding: identity\r\n" % build_host(origin)

    def send(self, request: UpstreamRequest, sink: UpstreamSink) -> Call:
        body = request.body
        head = b"%b %b%b%bcontent-length: %d\r\n\r\n" % (
            request.method,
            request.target,
            self._fixed_head,
            request.headers,
            len(body),
        )
        return self._send(head, body, sink, request.timeouts)

    def close(self) -> None:
        self.pool.close()


def build_host(origin: Origin) -> bytes:
    """The value of the host header: the default port is left out, an IPv6 address stands in brackets."""
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    encoded = host.encode("ascii" if host.isascii() else "idna")
    return encoded if origin.port == (443 if origin.tls else 80) else b"%b:%d" % (encoded, origin.port)


def parse_error(error: HttpError, provider: str) -> UpstreamError:
    """The failure in our words, with the original as its `__cause__`."""
    meaning = MEANINGS[error.kind]
    ours = meaning.error(f"{provider} {meaning.message}", kind=error.kind, retry_after_s=meaning.retry_after_s)
    ours.__cause__ = error
    return ours
