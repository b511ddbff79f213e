"""A whole gateway in the test's own loop: the real configuration, server, client and sockets; only the log is off."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from feathergate.capability import Capability
from feathergate.config.load import load
from feathergate.http.limits import ServerLimits
from feathergate.http.server import Server
from feathergate.http.ticker import Ticker
from feathergate.observe.access_log import AccessLog
from feathergate.observe.metrics import Metrics
from feathergate.providers import PROVIDERS
from feathergate.runtime import Runtime, compile_runtime
from feathergate.server.app import App
from feathergate.shared import Shared


class Gateway(NamedTuple):
    """`url` has no `/v1` at its end."""

    url: str
    port: int
    runtime: Runtime
    server: Server


@asynccontextmanager
async def running_gateway(
    config: str, environ: Mapping[str, str] | None = None, *, log: AccessLog | None = None
) -> AsyncIterator[Gateway]:
    """Serve `config` (YAML) on a free port of 127.0.0.1."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_text(config)
        loaded = load(str(path), dict(environ or {}), known_providers=PROVIDERS, capability=Capability)
    loop = asyncio.get_running_loop()
    ticker = Ticker(loop)
    shared = Shared(loop=loop, ticker=ticker, environ=dict(environ or {}), now=time.time, log=log)
    runtime = compile_runtime(loaded, shared, Metrics(entry.model_name for entry in loaded.models))
    app = App(runtime)
    server = Server(app.handle, ServerLimits(), ticker, error_body=app.render_refusal)
    _, port = await server.listen(("127.0.0.1", 0))
    try:
        yield Gateway(f"http://127.0.0.1:{port}", port, runtime, server)
    finally:
        server.close()
        await app.drain(1.0)
        for transport in shared.transports.values():
            transport.close()
        ticker.close()
