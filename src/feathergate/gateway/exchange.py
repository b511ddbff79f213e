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
from typing import Final

from feathergate.deployment import Deployment
from feathergate.dialects.contract import Built
from feathergate.dialects.render import render_error_event
from feathergate.errors import ClientError, FeatherGateError, UpstreamError, forget_frames
from feathergate.gateway.account import account, conclude, note_content, note_error
from feathergate.gateway.attempt import OFF_LOOP_BYTES, Asked, build_attempt, start_attempt
from feathergate.gateway.barrier import Barrier
from feathergate.gateway.failure import LeftError, build_internal, build_stopping
from feathergate.gateway.hedge import race
from feathergate.gateway.inlining import Inliner
from feathergate.gateway.relay import Relay
from feathergate.gateway.reply import JSON, Head, respond_error
from feathergate.gateway.waiting import pause, wait_for_place
from feathergate.http.contract import Responder
from feathergate.observe.outcome import Outcome
from feathergate.routing.affinity import build_key, has_answer
from feathergate.routing.course import Choice, Course
from feathergate.routing.gate import Gate
from feathergate.routing.group import Group
from feathergate.runtime import Runtime
from feathergate.wire.codec import decode_chat

_log: Final = logging.getLogger("feathergate.gateway")

CLIENT_LEFT: Final = 499

# A conversation is looked for in so many of its first and last messages: a million of them took a second.
_LOOKED_AT: Final = 1000


class Exchange:
    """One chat request. `headers` is the block that every answer to it carries (request id, CORS); `timeout_s` what
    the client allows it, if it said."""

    __slots__ = (
        "_barrier",
        "_choice",
        "_course",
        "_created",
        "_entered",
        "_group",
        "_head",
        "_inliner",
        "_key",
        "_opened",
        "_outcome",
        "_place",
        "_responder",
        "_runtime",
        "_spent",
        "_timeout_s",
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
        self._head = Head(headers, outcome, speaks_litellm=runtime.speaks_litellm)
        self._runtime = runtime
        self._responder = responder
        self._outcome = outcome
        self._created = created
        self._timeout_s = timeout_s
        self._opened = False  # the client has content
        self._spent = False  # it was tried as often as it may be
        self._barrier: Barrier | None = None
        self._course: Course[Deployment] | None = None
        self._group: Group[Deployment] | None = None  # that was asked for
        self._choice: Choice[Deployment] | None = None  # who was asked last, and is told as the one who answered
        self._inliner = Inliner(runtime.media, responder) if runtime.media is not None else None
        self._key: int | None = None
        self._entered: Gate | None = None  # of all requests
        self._place: Gate | None = None  # of the group that is being asked

    async def run(self, body: bytes) -> None:
        """Answer the request whatever happens to it, and account for it once. The outermost call of its task."""
        try:
            await self._run(body)
        except LeftError:
            self._outcome.status = CLIENT_LEFT
        except FeatherGateError as error:
            self._refuse(error)
        except asyncio.CancelledError:
            self._refuse(build_stopping())
        except Exception:  # noqa: BLE001 - the outermost call of the task
            _log.exception("request %s failed", self._outcome.request_id)
            self._refuse(build_internal())
        finally:
            for gate in (self._entered, self._place):
                if gate is not None:
                    gate.leave()
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
        if runtime.gate is not None:
            await wait_for_place(runtime.gate, self._responder, asked.deadline)
            self._entered = runtime.gate
        if group.gate is not None:
            await wait_for_place(group.gate, self._responder, asked.deadline)
            self._place = group.gate
        await self._pursue(group, asked)

    # --- the loop ---

    async def _pursue(self, group: Group[Deployment], asked: Asked) -> None:
        """Ask one deployment after another until one has answered or there is none left to ask."""
        now = self._runtime.shared.ticker.now
        self._group = group
        group.budget.note_request(now())
        choice: Choice[Deployment] | None
        if group.lone is not None and group.hedge is None:
            choice = Choice(group, group.lone)
        else:
            choice = self._plot(group, asked).begin(now())
        self._name(choice)
        if asked.stream:
            self._barrier = self._build_barrier()
        failed: FeatherGateError | None = None
        try:
            while choice is not None:
                if choice.group is not group:
                    group = self._move(choice.group)
                if choice.wait_s:
                    await self._pause(choice)
                error = await self._try(choice, asked)
                if error is None:
                    return
                if failed is None or not isinstance(error, ClientError):
                    failed = error
                choice = self._find_next(choice, asked, error)
        finally:
            if self._barrier is not None:
                self._barrier.lift()
        if failed is not None:
            self._refuse(failed)

    def _move(self, group: Group[Deployment]) -> Group[Deployment]:
        """On to a fallback, in whose gate the course has seen a place."""
        if group.gate is not self._place:
            if self._place is not None:
                self._place.leave()
            self._place = group.gate
            if group.gate is not None:
                group.gate.enter()
        return group

    def _plot(self, group: Group[Deployment], asked: Asked) -> Course[Deployment]:
        """The request's way, with the deployment that its conversation is known to, if it has one."""
        runtime = self._runtime
        preferred = None
        if group.lone is None and runtime.config.server.affinity:
            messages = asked.request.messages
            self._key = build_key(group.name, messages[:_LOOKED_AT])
            if self._key is not None and has_answer(messages[-_LOOKED_AT:]):
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
        self, choice: Choice[Deployment], asked: Asked, error: FeatherGateError
    ) -> Choice[Deployment] | None:
        """Whom to ask after this failure; None where it is the answer."""
        now = self._runtime.shared.ticker.now()
        course = self._course
        if course is None:  # a group of one needs no course until it fails
            course = self._plot(choice.group, asked)
            course.begin(now)
        if isinstance(error, ClientError):
            return course.instead(now)
        if not isinstance(error, UpstreamError):
            return None
        member = (self._choice or choice).member
        following = course.after(now, member, error, asked.deadline)
        self._spent = following is None and error.retryable and member.retries.count > 0
        return following

    async def _pause(self, choice: Choice[Deployment]) -> None:
        self._head.wait()
        try:
            await pause(self._responder, choice.wait_s)
        except BaseException:
            choice.release()
            raise
        self._head.go_on()

    # --- one attempt ---

    async def _try(self, choice: Choice[Deployment], asked: Asked) -> FeatherGateError | None:
        """One attempt, to the answer's end. Returns why there is no answer, None where the client has one."""
        try:
            deployment, ready = choice.member.deployment, asked
            if self._inliner is not None:
                ready = await self._inliner.prepare(deployment, asked)
            if not ready.is_large:
                built = build_attempt(deployment, ready)
            else:
                built = await asyncio.to_thread(build_attempt, deployment, ready)
            if self._responder.closed:
                raise LeftError
            relay = self._start(choice, ready, built)
        except ClientError as error:
            choice.release()
            forget_frames(error)
            return error
        except BaseException:
            choice.release()
            raise
        self._responder.on_close = relay.abandon
        self._head.wait()
        try:
            if choice.group.hedge is None:
                await relay.ready
            else:
                relay, choice = await self._hedge(choice, relay, asked)
            self._head.go_on()
            await self._deliver(choice, relay)
        except asyncio.CancelledError:
            relay.break_off(build_stopping())
        finally:
            if not relay.over:
                relay.break_off(build_internal())
            self._conclude(choice, relay)
        return self._judge(relay)

    def _name(self, choice: Choice[Deployment]) -> None:
        """Who is asked now."""
        self._choice = choice
        self._outcome.fallback = choice.group is not self._group
        self._head.name(choice.member.deployment)

    def _start(self, choice: Choice[Deployment], asked: Asked, built: Built) -> Relay:
        outcome, member = self._outcome, choice.member
        relay = start_attempt(self._runtime, member.deployment, asked, built)
        if choice is not self._choice:
            self._name(choice)
        outcome.attempts += 1
        outcome.dropped = built.dropped
        if not member.alone:
            member.gauge.start(self._runtime.shared.ticker.now())
        return relay

    async def _deliver(self, choice: Choice[Deployment], relay: Relay) -> None:
        """What has come of the attempt to the client: the whole answer, or the stream to its end."""
        if relay.client_left or relay.error is not None:
            return
        outcome = self._outcome
        if not choice.member.alone:
            note_content(self._runtime, choice.member, relay, self._key)
        outcome.status = 200
        if relay.whole is not None:
            self._responder.respond(200, JSON + self._head.render(), relay.whole.body)
            return
        metrics = self._runtime.metrics
        metrics.stream_opened(outcome.model, outcome.provider)
        try:
            self._opened = True
            barrier = self._barrier
            if barrier is None:
                raise AssertionError("a stream has a barrier")
            barrier.lift()
            await relay.open(self._responder, None if barrier.opened else self._head.render_stream())
        finally:
            metrics.stream_closed(outcome.model, outcome.provider)

    def _conclude(self, choice: Choice[Deployment], relay: Relay) -> None:
        conclude(self._runtime, choice, relay, impatient=self._timeout_s is not None)

    def _judge(self, relay: Relay) -> FeatherGateError | None:
        """The attempt is over: what it means to the request."""
        outcome, error = self._outcome, relay.error
        outcome.first_content = relay.first_content
        outcome.usage = relay.usage
        if relay.client_left:
            raise LeftError
        if error is not None and self._opened:
            note_error(outcome, error)
            return None
        return error

    # --- two attempts at once ---

    async def _hedge(self, choice: Choice[Deployment], first: Relay, asked: Asked) -> tuple[Relay, Choice[Deployment]]:
        """The attempt that came to content first, of at most two, and whom it asks. The other one is over then."""
        group, now, outcome = choice.group, self._runtime.shared.ticker.now, self._outcome
        group.note_hedgeable(now())
        await asyncio.wait([first.ready], timeout=group.find_hedge_delay(now()))
        dropped = outcome.dropped
        begun = None if first.ready.done() else self._start_second(group, asked)
        winner = first
        if begun is None:
            await first.ready
        else:
            second, beside = begun
            self._responder.on_close = partial(_abandon_both, first, second)
            try:
                winner = await race(first, second)
            except BaseException:
                self._let_go(beside, second)
                raise
            if winner is second:
                self._let_go(choice, first)
                choice = beside
            else:
                self._let_go(beside, second)
                self._name(choice)
                outcome.dropped = dropped
        if winner.first_content is not None:
            group.waits.note(now(), winner.first_content - winner.started)
        return winner, choice

    def _let_go(self, choice: Choice[Deployment], relay: Relay) -> None:
        relay.let_go()
        self._conclude(choice, relay)

    def _start_second(self, group: Group[Deployment], asked: Asked) -> tuple[Relay, Choice[Deployment]] | None:
        """None where there is nobody to ask, or where it would take long."""
        course, now = self._course, self._runtime.shared.ticker.now()
        choice = course.beside(now) if course is not None and group.take_hedge(now) else None
        if choice is None:
            return None
        deployment = choice.member.deployment
        ready = asked if self._inliner is None else self._inliner.find(deployment, asked)
        if ready is None or ready.is_large:
            choice.release()
            return None
        try:
            relay = self._start(choice, ready, build_attempt(deployment, ready))
        except ClientError:
            choice.release()
            return None
        except BaseException:
            choice.release()
            raise
        self._runtime.metrics.count_hedge(group.name, deployment.provider.name)
        return relay, choice

    # --- the answer's head, and errors ---

    def _build_barrier(self) -> Barrier:
        server = self._runtime.config.server
        return Barrier(
            self._runtime.shared.ticker,
            self._responder,
            self._head.render_stream,
            server.commit_limit_s,
            server.sse_keep_alive_s,
        )

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
            respond_error(self._responder, error, self._head.render(), spent=self._spent)


def _abandon_both(first: Relay, second: Relay) -> None:
    first.abandon()
    second.abandon()
