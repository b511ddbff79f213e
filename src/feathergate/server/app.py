"""The table of endpoints, and what holds for all of them: keys, CORS, request ids, errors.

A path is looked up as it came off the wire, with or without `/v1` in front (twice, where a client adds its own),
never decoded or normalised, so that who may ask and what is asked are judged on the same bytes. Every answer
carries `x-request-id`, which is always ours. It does not read bodies: endpoints do, and account for their requests;
here only those requests to a completion endpoint are accounted for that never reach it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final, NamedTuple

from feathergate.dialects.render import render_error
from feathergate.errors import (
    ClientError,
    FeatherGateError,
    MethodNotAllowedError,
    NotFoundError,
    UnauthorizedError,
)
from feathergate.gateway.account import account, note_error
from feathergate.gateway.failure import build_internal
from feathergate.gateway.reply import JSON, respond_error
from feathergate.http.contract import Request, Responder
from feathergate.observe.outcome import Outcome
from feathergate.runtime import Runtime
from feathergate.server.chat import open_outcome, post_chat
from feathergate.server.contract import Answering, Endpoint, State
from feathergate.server.models import get_model, get_models
from feathergate.server.ops import get_health, get_metrics, get_readiness, post_reload

_log: Final = logging.getLogger("feathergate.server")


def _never_open(runtime: Runtime) -> bool:
    return False


def _always_open(runtime: Runtime) -> bool:
    return True


class Route(NamedTuple):
    """`is_open` tells whether the route is served without the master key; `completes` marks a completion endpoint,
    whose every answer is counted; `always` one that is served while others are not, in a drain for example."""

    method: str
    endpoint: Endpoint
    is_open: Callable[[Runtime], bool] = _never_open
    completes: bool = False
    always: bool = False


# A path that ends in a slash takes what follows it.
ROUTES: Final[dict[str, Route]] = {
    "/chat/completions": Route("POST", post_chat, completes=True),
    "/models": Route("GET", get_models),
    "/models/": Route("GET", get_model),
    "/health": Route("GET", get_health, _always_open, always=True),
    "/health/liveliness": Route("GET", get_health, _always_open, always=True),
    "/health/liveness": Route("GET", get_health, _always_open, always=True),
    "/healthz": Route("GET", get_health, _always_open, always=True),
    "/health/readiness": Route("GET", get_readiness, _always_open, always=True),
    "/readyz": Route("GET", get_readiness, _always_open, always=True),
    "/metrics": Route("GET", get_metrics, lambda runtime: runtime.config.general.open_metrics, always=True),
    "/-/reload": Route("POST", post_reload, always=True),
}
_WITH_REST: Final = tuple(path for path in ROUTES if path.endswith("/"))
_PREFIX: Final = "/v1"
_ID_BYTES: Final = 12
_IDS_A_DRAW: Final = 256
_TASKS_LIMIT: Final = 256
_EXACT: Final = {_PREFIX + path: (route, "") for path, route in ROUTES.items() if path not in _WITH_REST}
_KEY_HEADERS: Final = (b"authorization", b"x-api-key")


class App:
    """The handler of `http.server`. `runtime` may be exchanged at any time: a request keeps the one it began with."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.state = State()
        self._request_ids = _make_request_ids()
        self._tasks: list[asyncio.Task[None]] = []
        self._tasks_limit = _TASKS_LIMIT

    def handle(self, request: Request, responder: Responder) -> None:
        runtime = self.runtime
        request_id = next(self._request_ids)
        headers = _render_id(request_id)
        if runtime.cors_origins:
            headers += _render_cors(runtime, request)
        answering = Answering(runtime, request, responder, request_id, headers, self.state)
        found = find_route(request.path)
        refusal = self.state.refusal
        if refusal is not None and (found is None or not found[0].always):
            self._refuse(answering, found, refusal)
            return
        try:
            work = _dispatch(answering, found)
        except FeatherGateError as error:
            self._refuse(answering, found, error)
            return
        if work is not None:
            if found is None or not found[0].completes:  # an exchange sees to its own failures
                work = _guard(work, answering)
            self._tasks.append(runtime.shared.loop.create_task(work))
            if len(self._tasks) > self._tasks_limit:
                self._forget_done()

    def render_refusal(self, status: int, message: str, target: bytes) -> tuple[bytes, bytes]:
        """Headers and body of what the HTTP room answers by itself, in the shape of every other error, and counted
        like every other where it was meant for a completion endpoint."""
        request_id = next(self._request_ids)
        error = (ClientError if status < 500 else FeatherGateError)(message, status=status)
        found = find_route(target.partition(b"?")[0].decode("latin-1"))
        if found is not None and found[0].completes:
            self._count(Outcome(request_id, self.runtime.shared.ticker.now()), error)
        return JSON + _render_id(request_id), render_error(error)

    async def drain(self, timeout_s: float) -> None:
        """Wait for what is under way; cancel what takes longer."""
        self._forget_done()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=timeout_s)
            for task in late:
                task.cancel()

    def is_busy(self) -> bool:
        """Whether anything is under way."""
        return not all(task.done() for task in self._tasks)

    def _refuse(self, answering: Answering, found: tuple[Route, str] | None, error: FeatherGateError) -> None:
        respond_error(answering.responder, error, answering.headers)
        if found is not None and found[0].completes:
            self._count(open_outcome(answering), error)

    def _forget_done(self) -> None:
        """Many at a time: a callback for each that ends costs 0.4 us a request."""
        self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks_limit = 2 * len(self._tasks) + _TASKS_LIMIT

    def _count(self, outcome: Outcome, error: FeatherGateError) -> None:
        note_error(outcome, error)
        account(self.runtime, outcome)


def _make_request_ids() -> Iterator[str]:
    """Random ids, drawn many at a time: a draw is a system call."""
    while True:
        drawn = os.urandom(_ID_BYTES * _IDS_A_DRAW).hex()
        for start in range(0, len(drawn), 2 * _ID_BYTES):
            yield f"fg_{drawn[start : start + 2 * _ID_BYTES]}"


async def _guard(work: Coroutine[Any, Any, None], answering: Answering) -> None:
    """The outermost call of an endpoint's task."""
    try:
        await work
    except FeatherGateError as error:
        respond_error(answering.responder, error, answering.headers)
    except Exception:  # noqa: BLE001 - the outermost call of the task
        _log.exception("request %s failed", answering.request_id)
        respond_error(answering.responder, build_internal(), answering.headers)


def _dispatch(answering: Answering, found: tuple[Route, str] | None) -> Coroutine[Any, Any, None] | None:
    runtime, request = answering.runtime, answering.request
    if request.method == "OPTIONS" and runtime.cors_origins and request.header(_PREFLIGHT_HEADER) is not None:
        answering.responder.respond(204, answering.headers + _PREFLIGHT, b"")
        return None
    if runtime.master_key is not None and not (found and found[0].is_open(runtime)):
        check_key(runtime, request)
    if found is None:
        raise NotFoundError(f"Unknown path: {request.path[:200]}. {_KNOWN}", code="unknown_path")
    route, rest = found
    if request.method != route.method and not (request.method == "HEAD" and route.method == "GET"):
        raise MethodNotAllowedError(f"{request.method} is not allowed here. Use {route.method}.", allow=route.method)
    return route.endpoint(answering, rest)


_KNOWN: Final = "Known: " + ", ".join(
    f"{route.method} {_PREFIX}{path}{'{id}' * path.endswith('/')}" for path, route in ROUTES.items()
)
_PREFLIGHT_HEADER: Final = b"access-control-request-method"
# The wildcard is for the headers that SDKs add (x-stainless-*); it does not cover authorization (Fetch, 3.3.3).
_PREFLIGHT: Final = (
    b"access-control-allow-methods: GET, POST, OPTIONS\r\n"
    b"access-control-allow-headers: authorization, *\r\n"
    b"access-control-max-age: 600\r\n"
)


def find_route(path: str) -> tuple[Route, str] | None:
    """The route of a raw path, and what follows it."""
    found = _EXACT.get(path)
    if found is not None:
        return found
    for _ in range(2):
        if path.startswith(_PREFIX + "/"):
            path = path[len(_PREFIX) :]
    route = ROUTES.get(path)
    if route is not None:
        return (route, "") if path not in _WITH_REST else None
    for prefix in _WITH_REST:
        if path.startswith(prefix) and path != prefix:
            return ROUTES[prefix], path[len(prefix) :]
    return None


def check_key(runtime: Runtime, request: Request) -> None:
    """Raise `UnauthorizedError` unless the request shows the master key, in either header that SDKs use."""
    master_key = runtime.master_key
    assert master_key is not None
    for name in _KEY_HEADERS:
        shown = request.header(name)
        if shown is None:
            continue
        if name == b"authorization":
            scheme, _, shown = shown.partition(b" ")
            if scheme.lower() != b"bearer":
                continue
        if master_key.matches(shown.strip()):
            return
    raise UnauthorizedError(
        "The gateway asks for its key and this request shows none that is right. Send it as "
        "'Authorization: Bearer KEY' or 'x-api-key: KEY'."
    )


_EXPOSED: Final = (
    b"x-request-id, retry-after, x-should-retry, x-feathergate-dropped, x-feathergate-model, x-feathergate-provider, "
    b"x-feathergate-deployment, x-feathergate-attempts, x-feathergate-fallback, x-feathergate-overhead-ms"
)


def _render_cors(runtime: Runtime, request: Request) -> bytes:
    origin = request.header(b"origin")
    if origin is None or not (origin in runtime.cors_origins or b"*" in runtime.cors_origins):
        return b"vary: origin\r\n"
    return b"vary: origin\r\naccess-control-allow-origin: %b\r\naccess-control-expose-headers: %b\r\n" % (
        origin,
        _EXPOSED,
    )


def _render_id(request_id: str) -> bytes:
    return b"x-request-id: %b\r\n" % request_id.encode()
