"""How much of anything HTTP may hold, on both sides; each default is the one that `docs/configuration.md` shows.

Values only: `server.py` and `client.py` enforce them. Source: issue "The gateway serves…", reliability.md G14.
"""

from __future__ import annotations

import msgspec


class ServerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a client may send, and how long it may take."""

    header_bytes: int = 64 * 1024
    header_count: int = 100
    body_bytes: int = 32 * 1024 * 1024
    header_timeout_s: float = 10.0
    body_timeout_s: float = 30.0
    keep_alive_s: float = 75.0
    write_timeout_s: float = 60.0
    connections: int = 20_000
    pipeline_depth: int = 64


class ClientLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What an upstream may send, and how many connections are kept."""

    header_bytes: int = 64 * 1024
    header_count: int = 100
    body_bytes: int = 32 * 1024 * 1024
    event_bytes: int = 16 * 1024 * 1024
    idle_connections: int = 256
    idle_connection_s: float = 30.0
