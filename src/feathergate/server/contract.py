"""What an endpoint is given, and what it is. Read this first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, NamedTuple

from feathergate.config.schema import Notice
from feathergate.errors import Problem, UnavailableError
from feathergate.http.contract import Request, Responder
from feathergate.runtime import Runtime


class Reload(NamedTuple):
    """What became of one reload: it is in use, unless there are `problems`. `changes` are lines for people to read,
    `notices` what is worth knowing of the new configuration. None of them holds a secret."""

    changes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    notices: tuple[Notice, ...] = ()


class State:
    """How this process stands. While `refusal` is something, it answers new requests; `unready` says why the process
    wants no more of them, and is empty while it does; `reload` reads the configuration anew, where that can be."""

    __slots__ = ("refusal", "reload", "unready")

    def __init__(self) -> None:
        self.refusal: UnavailableError | None = None
        self.unready = ""
        self.reload: Callable[[], Awaitable[Reload]] | None = None


class Answering:
    """One request being answered. `headers` is the block that every answer to it carries. Immutable."""

    __slots__ = ("headers", "request", "request_id", "responder", "runtime", "state")

    def __init__(
        self,
        runtime: Runtime,
        request: Request,
        responder: Responder,
        request_id: str,
        headers: bytes,
        state: State,
    ) -> None:
        self.state: Final = state
        self.runtime: Final = runtime
        self.request: Final = request
        self.responder: Final = responder
        self.request_id: Final = request_id
        self.headers: Final = headers


Endpoint = Callable[[Answering, str], Coroutine[Any, Any, None] | None]
"""Answers a request, or returns the work that will, for a task of its own. The text is the rest of the path, for
routes that take one. What it raises before the answer has begun is the answer."""
