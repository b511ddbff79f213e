"""What outlives a configuration: one set a process, handed to everything that is compiled from one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping

import msgspec

from feathergate.config.schema import ServerSettings
from feathergate.dialects.thought import ThoughtMemory
from feathergate.http.ticker import Ticker
from feathergate.observe.access_log import AccessLog
from feathergate.routing.board import Board
from feathergate.routing.gate import Gate
from feathergate.routing.gauge import Gauge
from feathergate.transport.contract import Transport


class Shared(msgspec.Struct, kw_only=True):
    """`transports` holds a pool for each way to an origin, `thoughts` what providers signed and clients may lose,
    `board` what all workers of this machine know of their deployments, `gates` the limits on requests under way, by
    their group's name, `gauges` the load of each deployment, by its id. `draw` gives numbers in [0, 1)."""

    loop: asyncio.AbstractEventLoop
    ticker: Ticker
    environ: Mapping[str, str]
    now: Callable[[], float]
    log: AccessLog | None = None
    transports: dict[object, Transport] = {}
    thoughts: ThoughtMemory = msgspec.field(default_factory=ThoughtMemory)
    board: Board = msgspec.field(default_factory=Board)
    gates: dict[str, Gate] = {}
    gauges: dict[str, Gauge] = {}
    draw: Callable[[], float] = random.random

    def find_gate(self, name: str, limit: int, server: ServerSettings) -> Gate | None:
        """The gate of a group, or with an empty name of all, under the limits that hold from now on; None where there
        never was a limit."""
        gate = self.gates.get(name)
        if gate is None:
            if not limit:
                return None
            what = f"The model '{name}'" if name else "The gateway"
            gate = self.gates[name] = Gate(what, limit)
        gate.limit, gate.queue_limit, gate.timeout_s = limit, server.queue_limit_count, server.queue_timeout_s
        return gate

    def find_gauge(self, deployment_id: str) -> Gauge:
        return self.gauges.setdefault(deployment_id, Gauge())

    def __repr__(self) -> str:
        """Without the environment, which holds keys."""
        return "Shared()"
