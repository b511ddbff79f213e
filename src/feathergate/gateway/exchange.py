"""One request's life, from its decoded body to its outcome: admit, route, attempt, retry, fall back, account.

The control of a request is this coroutine; its bytes move by callbacks in `relay.py`. It awaits one future up to
the first content of an attempt and one to the end. The client's connection owns whatever is awaited: when the
client goes, the upstream call is closed, the pause between attempts ends, the place in the queue is given up. Which
deployment is asked, and whether another after it, is decided in `routing/course.py`; every attempt is made from the
client's untouched request, so that attempt two equals a direct call.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from time import perf_counter
from typing import Any, Final

from feathergate.deployment import Deployment
from feathergate.dialects.chat import CHAT
from feathergate.dialects.contract import Built
from feathergate.dialects.render import render_error_event
from feathergate.errors import ClientError, FeatherGateError, UpstreamError
from feathergate.gateway.account import account, blame, note_content, note_end, note_error
from feathergate.gateway.attempt import Asked, build_attempt, start_attempt
from feathergate.gateway.barrier import Barrier
from feathergate.gateway.failure import build_internal, build_stopping
from feathergate.gateway.hedge import race
from feathergate.gateway.inlining import OFF_LOOP_BYTES, fetch_media
from feathergate.gateway.relay import Relay
from feathergate.gateway.reply import JSON, STREAM, render_litellm, render_told, respond_error
from feathergate.http.contract import Responder
from feathergate.observe.outcome import Outcome
from feathergate.routing.affinity import build_key, has_answer
from feathergate.routing.course import Choice, Course
from feathergate.routing.gate import Gate
from feathergate.routing.group import Group, Member
from feathergate.runtime import Runtime
from feathergate.wire.codec import decode_chat

_log: Final = logging.getLogger("feathergate.gateway")

CLIENT_LEFT: Final = 499
_BYTES_A_MESSAGE: Final = 500  # what opening one more message costs, in bytes that cost as much


class _LeftError(Exception):
    """The client has gone."""


class Exchange:
    """One chat request. `headers` is the block that every answer to it carries (request id, CORS); `timeout_s` what
    the client allows it, if it said."""

    __slots__ = (
        "_barrier",
        "_began",
        "_course",
        "_created",
        "_deployment",
        "_headers",
        "_inlined",
        "_key",
        "_opened",
        "_outcome",
        "_responder",
        "_runtime",
        "_spent",
        "_timeout_s",
        "_upstream_s",
    )

    def __init__(
        self,
        runtime: Runtime,
        responder: Responder,
        outcome: Outcome,
        headers: bytes,
        created: int,
        timeout_s: float | None = None,
    ) -> None:
        self._began = perf_counter()
        self._runtime = runtime
        self._responder = responder
        self._outcome = outcome
        self._headers = headers
        self._created = created
        self._timeout_s = timeout_s
        self._opened = False
        self._spent = False
        self._upstream_s = 0.0
        self._barrier: Barrier | None = None
        self._course: Course[Deployment] | None = None
        self._deployment: Deployment | None = None
        self._inlined: Asked | None = None
        self._key: int | None = None

    async def run(self, body: bytes) -> None:
        """Answer the request whatever happens to it, and account for it once. The outermost call of its task."""
        try:
            await self._run(body)
        except _LeftError:
            self._outcome.status = CLIENT_LEFT
        except FeatherGateError as error:
            self._refuse(error)
        except asyncio.CancelledError:
            self._refuse(build_stopping())
        except Exception:  # noqa: BLE001 - the outermost call of the task
            _log.exception("request %s failed", self._outcome.request_id)
            self._refuse(build_internal())
        finally:
            self._outcome.status = self._outcome.status or CLIENT_LEFT
            account(self._runtime, self._outcome)

    async def _run(self, body: bytes) -> None:
        runtime, outcome = self._runtime, self._outcome
        if len(body) < OFF_LOOP_BYTES:
            request, members = decode_chat(body)
        else:
            request, members = await asyncio.to_thread(decode_chat, body)
        outcome.stream = bool(request.stream)
        group = runtime.find_group(request.model)
        outcome.model = outcome.asked = group.name
        timeout_s = runtime.total_timeout_s
        if self._timeout_s is not None:
            timeout_s = min(timeout_s, self._timeout_s)
        asked = Asked(request, members, outcome.request_id, self._created, outcome.started + timeout_s, len(body))
        if runtime.gate is None and group.gate is None:
            await self._pursue(group, asked)
            return
        entered: list[Gate] = []
        try:
            for gate in (runtime.gate, group.gate):
                if gate is not None:
                    await self._enter(gate)
                    entered.append(gate)
            await self._pursue(group, asked)
        finally:
            for gate in entered:
                gate.leave()

    async def _enter(self, gate: Gate) -> None:
        """Raises `UnavailableError` where no place comes free in time, `_LeftError` where the client does not wait."""
        place = gate.enter()
        if place is None:
            return
        self._responder.on_close = partial(_cancel, place)
        try:
            await asyncio.wait([place])
        except asyncio.CancelledError:
            gate.abandon(place)
            raise
        finally:
            self._responder.on_close = None
        if place.cancelled():
            raise _LeftError
        if not place.result():
            raise gate.build_error()

    # --- the loop ---

    async def _pursue(self, group: Group[Deployment], asked: Asked) -> None:
        """Ask one deployment after another until one has answered or there is none left to ask."""
        now = self._runtime.shared.ticker.now
        group.budget.note_request(now())
        if group.lone is not None and group.hedge is None:
            choice = Choice(group, group.lone)
        else:
            choice = self._plot(group, asked).begin(now())
        if asked.stream:
            self._barrier = self._build_barrier()
        failed: FeatherGateError | None = None
        try:
            while True:
                error = await self._try(choice, asked)
                if error is None:
                    return
                if failed is None or isinstance(error, UpstreamError):
                    failed = error
                following = self._find_next(group, choice, asked, error)
                if following is None:
                    break
                choice = following
                if choice.wait_s:
                    await self._pause(choice.wait_s)
        finally:
            if self._barrier is not None:
                self._barrier.lift()
        self._refuse(failed)

    def _plot(self, group: Group[Deployment], asked: Asked) -> Course[Deployment]:
        """The request's way, with the deployment that its conversation is known to, if it has one."""
        runtime = self._runtime
        preferred = None
        if group.lone is None and runtime.config.server.affinity:
            messages = asked.request.messages
            self._key = build_key(group.name, messages)
            if self._key is not None and has_answer(messages):
                preferred = runtime.affinity.find(self._key)
        self._course = Course(
            group,
            runtime.find_fallback,
            runtime.shared.draw,
            preferred=preferred,
            hops=runtime.config.router.max_fallbacks,
        )
        return self._course

    def _find_next(
        self, group: Group[Deployment], choice: Choice[Deployment], asked: Asked, error: FeatherGateError
    ) -> Choice[Deployment] | None:
        """Whom to ask after this failure of `choice`; None where it is the answer."""
        now = self._runtime.shared.ticker.now()
        course = self._course
        if course is None:  # a group of one needs no course until it fails
            course = self._plot(group, asked)
            course.begin(now)
        if isinstance(error, UpstreamError):
            following = course.after(now, error, asked.deadline)
            self._spent = following is None and error.retryable and choice.member.retries.count > 0
        else:
            following = course.instead(now) if isinstance(error, ClientError) else None
        self._outcome.fallback = following is not None and following.group is not group
        return following

    async def _pause(self, wait_s: float) -> None:
        """Raises `_LeftError` at once when the client goes."""
        loop = self._runtime.shared.loop
        waking: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(wait_s, _wake, waking)
        self._responder.on_close = partial(_wake, waking)
        try:
            await waking
        finally:
            timer.cancel()
            self._responder.on_close = None

    # --- one attempt ---

    async def _try(self, choice: Choice[Deployment], asked: Asked) -> FeatherGateError | None:
        """One attempt, to the answer's end. Returns why there is no answer, None where the client has one or left."""
        member, outcome = choice.member, self._outcome
        deployment = self._deployment = member.deployment
        outcome.model, outcome.provider = deployment.model_name, deployment.provider.name
        outcome.served_model, outcome.deployment = deployment.model, deployment.id
        try:
            if self._runtime.media is not None and deployment.provider.dialect is not CHAT:
                if self._inlined is None:
                    self._inlined = await fetch_media(self._runtime.media, self._responder, asked)
                asked = self._inlined
            if asked.size_bytes + _BYTES_A_MESSAGE * len(asked.request.messages) < OFF_LOOP_BYTES:
                built = build_attempt(deployment, asked)
            else:
                built = await asyncio.to_thread(build_attempt, deployment, asked)
        except ClientError as error:
            member.health.release_probe()
            return error.with_traceback(None)
        if self._responder.closed:
            member.health.release_probe()
            raise _LeftError
        relay = self._start(member, asked, built)
        sent = perf_counter()
        self._responder.on_close = relay.abandon
        try:
            if choice.group.hedge is None:
                await relay.ready
            else:
                relay, member = await self._hedge(choice, relay, asked)
            self._upstream_s += perf_counter() - sent
            await self._deliver(relay, member)
        except asyncio.CancelledError:
            relay.break_off(build_stopping())
        finally:
            if not relay.over:
                relay.break_off(build_internal())
        return self._judge(relay, member)

    def _start(self, member: Member[Deployment], asked: Asked, built: Built) -> Relay:
        outcome = self._outcome
        relay = start_attempt(self._runtime, member.deployment, asked, built)
        outcome.attempts += 1
        outcome.dropped = built.dropped
        if not member.alone:
            member.gauge.start(self._runtime.shared.ticker.now())
        return relay

    async def _deliver(self, relay: Relay, member: Member[Deployment]) -> None:
        """What has come of the attempt to the client: the whole answer, or the stream to its end."""
        if relay.client_left or relay.error is not None:
            return
        outcome = self._outcome
        if not member.alone:
            note_content(self._runtime, member, relay, self._key)
        outcome.status = 200
        outcome.overhead_s = perf_counter() - self._began - self._upstream_s
        if relay.whole is not None:
            self._responder.respond(200, JSON + self._render_headers(), relay.whole.body)
            return
        metrics = self._runtime.metrics
        metrics.stream_opened(outcome.model, outcome.provider)
        try:
            self._opened = True
            barrier = self._barrier
            if barrier is None:
                raise AssertionError("a stream has a barrier")
            barrier.lift()
            await relay.open(self._responder, None if barrier.opened else STREAM + self._render_headers())
        finally:
            metrics.stream_closed(outcome.model, outcome.provider)

    def _judge(self, relay: Relay, member: Member[Deployment]) -> FeatherGateError | None:
        """The attempt is over: what it means to the account, and to the deployment's health."""
        outcome, error = self._outcome, relay.error
        outcome.first_content = relay.first_content
        outcome.usage = relay.usage
        if not member.alone:
            note_end(self._runtime, member, relay)
        if relay.client_left:
            raise _LeftError
        if error is None:
            return None
        if isinstance(error, UpstreamError):
            blame(self._runtime, member, error, impatient=self._timeout_s is not None)
        if self._opened:
            note_error(outcome, error)
            return None
        return error

    # --- two attempts at once ---

    async def _hedge(self, choice: Choice[Deployment], first: Relay, asked: Asked) -> tuple[Relay, Member[Deployment]]:
        """The attempt that came to content first, of at most two; see `hedge.py`."""
        group, shared = choice.group, self._runtime.shared
        runners = {first: choice.member}
        group.note_hedgeable(shared.ticker.now())
        delay_s = group.find_hedge_delay(shared.ticker.now())

        def start_second() -> Relay | None:
            course = self._course
            if course is None or asked.size_bytes >= OFF_LOOP_BYTES or not group.take_hedge(shared.ticker.now()):
                return None
            member = course.beside(shared.ticker.now())
            if member is None:
                return None
            try:
                relay = self._start(member, asked, build_attempt(member.deployment, asked))
            except ClientError:
                return None
            runners[relay] = member
            self._responder.on_close = partial(_abandon_all, tuple(runners))
            self._runtime.metrics.count_hedge(group.name, member.deployment.provider.name)
            return relay

        winner = await race(first, delay_s, start_second)
        for relay, member in runners.items():
            if relay is not winner:
                note_end(self._runtime, member, relay)
                if isinstance(relay.error, UpstreamError):
                    blame(self._runtime, member, relay.error, impatient=self._timeout_s is not None)
        if winner.first_content is not None:
            group.waits.note(shared.ticker.now(), winner.first_content - winner.started)
        member = runners[winner]
        self._deployment = member.deployment
        self._outcome.provider, self._outcome.served_model = member.deployment.provider.name, member.deployment.model
        self._outcome.deployment = member.id
        return winner, member

    # --- the answer's head, and errors ---

    def _build_barrier(self) -> Barrier:
        server = self._runtime.config.server
        return Barrier(
            self._runtime.shared.ticker,
            self._responder,
            self._render_early_head,
            server.commit_limit_s,
            server.sse_keep_alive_s,
        )

    def _render_early_head(self) -> bytes:
        self._outcome.overhead_s = perf_counter() - self._began - self._upstream_s
        return STREAM + self._render_headers()

    def _render_headers(self) -> bytes:
        headers, deployment = self._headers, self._deployment
        if deployment is not None:
            headers += render_told(deployment.told, self._outcome)
        if self._runtime.speaks_litellm:
            headers += render_litellm(self._outcome)
        return headers

    def _refuse(self, error: FeatherGateError) -> None:
        """The error as the answer, its last event where a stream has begun, or a broken connection where content
        has."""
        barrier = self._barrier
        if self._responder.closed and not self._opened:
            self._outcome.status = CLIENT_LEFT
            return
        note_error(self._outcome, error)
        if self._opened:
            self._responder.abort()
        elif barrier is not None and barrier.opened:
            self._responder.write(render_error_event(error))
            self._responder.end()
        else:
            self._outcome.overhead_s = perf_counter() - self._began - self._upstream_s
            respond_error(self._responder, error, self._render_headers(), spent=self._spent)


def _cancel(future: asyncio.Future[Any]) -> None:
    future.cancel()


def _wake(waking: asyncio.Future[None]) -> None:
    if not waking.done():
        waking.set_result(None)


def _abandon_all(relays: tuple[Relay, ...]) -> None:
    for relay in relays:
        relay.abandon()
