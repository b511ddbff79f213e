"""One call to a scripted upstream, as a test makes it: a pool, a request, and a sink that remembers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.scripted_upstream import Script, ScriptedUpstream

from feathergate.http.client import Pool
from feathergate.http.contract import Call, Header, Headers, HttpError, Origin, Timeouts
from feathergate.http.limits import ClientLimits
from feathergate.http.proxy import Proxy
from feathergate.http.ticker import Ticker

HEAD = b"POST /v1/x HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
PATIENT = Timeouts(connect_s=2, tls_s=2, first_byte_s=2, idle_s=2, total_s=3)


class RememberingSink:
    """Keeps everything it is told. `await finished()` before looking; `call` is set by whoever sends."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[Header] = []
        self.pieces: list[bytes] = []
        self.error: HttpError | None = None
        self.calls: list[str] = []
        self.ended = asyncio.Event()
        self.had_head = asyncio.Event()
        self.had_body = asyncio.Event()
        self.call: Call | None = None

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    async def finished(self, timeout_s: float = 3.0) -> RememberingSink:
        async with asyncio.timeout(timeout_s):
            await self.ended.wait()
        return self

    def on_head(self, status: int, headers: Headers) -> None:
        self.calls.append("head")
        self.status, self.headers = status, list(headers)
        self.had_head.set()

    def on_body(self, data: bytes) -> None:
        self.calls.append("body")
        self.pieces.append(data)
        self.had_body.set()

    def on_end(self) -> None:
        self.calls.append("end")
        self.ended.set()

    def on_error(self, error: HttpError) -> None:
        self.calls.append("error")
        self.error = error
        self.ended.set()


@asynccontextmanager
async def open_pool(
    origin: Origin,
    limits: ClientLimits | None = None,
    *,
    ssl_context: ssl.SSLContext | None = None,
    proxy: Proxy | None = None,
) -> AsyncIterator[Pool]:
    ticker = Ticker(asyncio.get_running_loop(), period_s=0.01)
    pool = Pool(origin, limits or ClientLimits(), ticker, ssl_context=ssl_context, proxy=proxy)
    try:
        yield pool
    finally:
        pool.close()
        ticker.close()
        await asyncio.sleep(0.01)  # lets the aborted transports close their sockets


@asynccontextmanager
async def serve(*scripts: Script, limits: ClientLimits | None = None) -> AsyncIterator[tuple[ScriptedUpstream, Pool]]:
    """An upstream and a pool that leads to it."""
    async with ScriptedUpstream(*scripts) as upstream, open_pool(upstream.origin, limits) as pool:
        yield upstream, pool


def ask(pool: Pool, timeouts: Timeouts = PATIENT, body: bytes = b"{}") -> RememberingSink:
    """Send a request; the answer gathers in the sink."""
    sink = RememberingSink()
    sink.call = pool.send(HEAD % len(body), body, sink, timeouts)
    return sink


def get_error(sink: RememberingSink) -> tuple[str, bool]:
    """The error's kind, and whether no byte had come."""
    assert sink.error is not None, sink.calls
    return sink.error.kind, sink.error.clean
