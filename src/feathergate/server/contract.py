"""What an endpoint is given, and what it is. Read this first."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from feathergate.http.contract import Request, Responder
from feathergate.runtime import Runtime


class Answering(NamedTuple):
    """One request being answered. `headers` is the block that every answer to it carries; `spawn` runs what takes
    longer than a callback may."""

    runtime: Runtime
    request: Request
    responder: Responder
    request_id: str
    headers: bytes
    spawn: Callable[[Coroutine[Any, Any, None]], None]


Endpoint = Callable[[Answering, str], None]
"""Answers a request, or spawns a task that will. The text is the rest of the path, for routes that take one."""
