"""One scene: a scripted upstream that plays all three providers, a gateway before it, and ways to ask it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from openai import AsyncOpenAI
from tests.e2e.native import NATIVES, build_config, decode_events
from tests.raw_client import RawClient, Seen, until
from tests.running import Gateway, running_gateway
from tests.scripted_upstream import Script, ScriptedUpstream

from feathergate.observe.access_log import AccessLog
from feathergate.transport.upstream import HttpTransport

HELLO: Any = [{"role": "user", "content": "Hello"}]
CHAT = "/v1/chat/completions"
PAUSE_S = 0.05
"""Between two steps of an upstream that are not to arrive as one."""


class Scene(NamedTuple):
    upstream: ScriptedUpstream
    gateway: Gateway

    @asynccontextmanager
    async def sdk(self, **options: Any) -> AsyncIterator[AsyncOpenAI]:
        """The official client, which does not try again."""
        options = {"api_key": "sk-client", "max_retries": 0, **options}
        async with AsyncOpenAI(base_url=f"{self.gateway.url}/v1", **options) as client:
            yield client

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[RawClient]:
        """A client that says whatever bytes the test wants."""
        client = RawClient(*await asyncio.open_connection("127.0.0.1", self.gateway.port))
        try:
            yield client
        finally:
            client.writer.transport.abort()
            await asyncio.sleep(0)

    async def ask(self, data: bytes) -> Seen:
        async with self.connect() as client:
            return await client.ask(data)

    async def chat(self, model: str, headers: Mapping[str, str] | None = None, **members: Any) -> Seen:
        """One chat request on a connection of its own."""
        return await self.ask(build_chat(model, headers, **members))

    @property
    def busy(self) -> int:
        """Upstream connections that carry a request."""
        transports = self.gateway.runtime.shared.transports.values()
        return sum(item.pool.open - item.pool.idle for item in transports if isinstance(item, HttpTransport))

    async def scrape(self) -> dict[str, float]:
        """Every sample of /metrics by its name with labels."""
        seen = await self.ask(b"GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n")
        lines = [line for line in seen.body.decode().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


@asynccontextmanager
async def open_scene(
    *scripts: Script,
    params: Any = None,
    environ: Mapping[str, str] | None = None,
    log: AccessLog | None = None,
    **sections: Any,
) -> AsyncIterator[Scene]:
    """`scripts` play the upstream, `params` and `sections` go into the configuration."""
    async with ScriptedUpstream(*scripts) as upstream:
        config = build_config(NATIVES, upstream.port, params=params, **sections)
        async with running_gateway(config, environ, log=log) as gateway:
            yield Scene(upstream, gateway)
            await until(lambda: gateway.server.connections == 0)


def build_post(body: bytes, headers: Mapping[str, str] | None = None, path: str = CHAT) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "host: a", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def build_chat(model: str, headers: Mapping[str, str] | None = None, **members: Any) -> bytes:
    """A chat request as bytes."""
    return build_post(json.dumps({"model": model, "messages": HELLO, **members}).encode(), headers)


def build_get(path: str, headers: Mapping[str, str] | Sequence[tuple[str, str]] = (), method: str = "GET") -> bytes:
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    lines = [f"{method} {path} HTTP/1.1", "host: a", *(f"{name}: {value}" for name, value in pairs)]
    return "\r\n".join([*lines, "", ""]).encode()


def get_error(seen: Seen) -> Any:
    """The error of an answer, which must have our shape."""
    assert seen.headers[b"content-type"] == b"application/json"
    error = json.loads(seen.body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "feathergate_error"
    assert error["message"]
    return error


def get_last_error(body: bytes) -> Any:
    """The error event that ends a stream which no [DONE] ends."""
    events = decode_events(body)
    assert "[DONE]" not in events
    return events[-1]["error"]
