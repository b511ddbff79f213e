"""What an endpoint is given, and what it is. Read this first."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from feathergate.http.contract import Request, Responder
from feathergate.runtime import Runtime


class Answering(msgspec.Struct, frozen=True):
    """One request being answered. `headers` is the block that every answer to it carries."""

    runtime: Runtime
    request: Request
    responder: Responder
    request_id: str
    headers: bytes


Endpoint = Callable[[Answering, str], Coroutine[Any, Any, None] | None]
"""Answers a request, or returns the work that will, for a task of its own. The text is the rest of the path, for
routes that take one. What it raises before the answer has begun is the answer."""
