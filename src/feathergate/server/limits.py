"""The settings of `server_settings` under the names that the HTTP room has for them."""

from __future__ import annotations

from feathergate.config.schema import ServerSettings
from feathergate.http.limits import ServerLimits


def build_server_limits(server: ServerSettings) -> ServerLimits:
    return ServerLimits(
        header_bytes=server.header_limit_bytes,
        header_count=server.header_limit_count,
        body_bytes=server.body_limit_bytes,
        header_timeout_s=server.header_timeout_s,
        body_timeout_s=server.body_timeout_s,
        keep_alive_s=server.keep_alive_s,
        write_timeout_s=server.write_timeout_s,
        connections=server.connection_limit,
        pipeline_depth=server.pipeline_limit_count,
    )
