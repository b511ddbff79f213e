"""The deployments behind one name, and how a request is to be carried out among them.

A `Group` is compiled once from all entries of one `model_name`. Its members are what strategies choose from: a
deployment with what is known of it now, its health and its gauge. A group of one has nothing to choose: its member
is asked whatever its health, which spares a request everything here. Neither knows what a deployment is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from typing import Generic, TypeVar

import msgspec

from feathergate.errors import UpstreamError
from feathergate.routing.affinity import hash_id
from feathergate.routing.budget import RetryBudget
from feathergate.routing.contract import Candidate, Strategy
from feathergate.routing.gate import Gate
from feathergate.routing.gauge import Gauge, Percentiles
from feathergate.routing.health import Health

D = TypeVar("D")


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration says of a deployment's place among the others. `limit` is how many requests it takes at
    once, 0 for any number; `cost` dollars a token."""

    weight: float | None = None
    rpm: int | None = None
    tpm: int | None = None
    order: int | None = None
    cost: float | None = None
    limit: int = 0


class Retries(msgspec.Struct, frozen=True, kw_only=True):
    """How often a request is tried again after a failure: `count` times, or as `by_class` says of the error's class
    (see `course.py`); `floor_s` is the least wait before the same deployment is asked again."""

    count: int = 2
    by_class: Mapping[str, int] = {}
    floor_s: float = 0.0

    def count_for(self, error_class: str) -> int:
        return self.by_class.get(error_class, self.count)


class Member(Generic[D]):
    """One deployment of a group. `credential` is equal for all that share a key at an origin, `mark` its id as the
    affinity table has it; `alone`: no other serves the name."""

    __slots__ = ("alone", "credential", "deployment", "gauge", "health", "id", "index", "mark", "retries", "standing")

    def __init__(
        self,
        deployment: D,
        index: int,
        deployment_id: str,
        credential: str,
        standing: Standing,
        retries: Retries,
        health: Health,
        gauge: Gauge,
        *,
        alone: bool,
    ) -> None:
        self.deployment = deployment
        self.index = index
        self.id = deployment_id
        self.mark = hash_id(deployment_id)
        self.credential = credential
        self.standing = standing
        self.retries = retries
        self.health = health
        self.gauge = gauge
        self.alone = alone

    def replace(self, deployment: D) -> Member[D]:
        """The same place with another deployment of the same provider's."""
        member = copy(self)
        member.deployment = deployment
        return member

    @property
    def is_full(self) -> bool:
        return 0 < self.standing.limit <= self.gauge.in_flight

    def describe(self, now: float) -> Candidate:
        """As a strategy sees it."""
        standing, gauge = self.standing, self.gauge
        requests, tokens = gauge.count(now)
        return Candidate(
            index=self.index,
            weight=standing.weight,
            rpm=standing.rpm,
            tpm=standing.tpm,
            order=standing.order,
            in_flight=gauge.in_flight,
            latency_s=gauge.latency_s,
            requests=requests,
            tokens=tokens,
            cost=standing.cost,
        )


class Fallbacks(msgspec.Struct, frozen=True, kw_only=True):
    """The groups that are asked when this one cannot answer, by the reason, in their order."""

    general: tuple[str, ...] = ()
    context_window: tuple[str, ...] = ()
    content_policy: tuple[str, ...] = ()

    def find(self, error: UpstreamError | None) -> tuple[str, ...]:
        """For an error of the last attempt; None where nobody could be asked at all. Those for a reason come first."""
        reason = error.reason if error is not None else ""
        special = {"context_window": self.context_window, "content_policy": self.content_policy}.get(reason, ())
        return special or self.general


class Hedge(msgspec.Struct, frozen=True):
    """A second deployment is asked after `delay_s` (None: the group's p95) without content, for at most this share of
    the requests."""

    share: float
    delay_s: float | None = None


class Group(Generic[D]):
    """All deployments of one name. `lone` is the member of a group that has only one, `gate` bounds how many requests
    it has under way, `waits` are its times to first content where they are needed."""

    __slots__ = (
        "_hedges",
        "budget",
        "fallbacks",
        "gate",
        "hedge",
        "lone",
        "members",
        "name",
        "strategy",
        "waits",
    )

    def __init__(
        self,
        name: str,
        members: tuple[Member[D], ...],
        *,
        strategy: Strategy,
        fallbacks: Fallbacks,
        budget: RetryBudget,
        hedge: Hedge | None = None,
        gate: Gate | None = None,
    ) -> None:
        self.name = name
        self.members = members
        self.lone = members[0] if len(members) == 1 else None
        self.strategy = strategy
        self.fallbacks = fallbacks
        self.budget = budget
        self.hedge = hedge
        self.gate = gate
        self.waits = Percentiles()
        self._hedges = RetryBudget(1, hedge.share) if hedge is not None else None

    def __repr__(self) -> str:
        return f"Group({self.name!r}, {len(self.members)} deployments)"

    def map(self, change: Callable[[D], D]) -> Group[D]:
        """The same group with other deployments, as a pattern has it: what is known of the members stays theirs."""
        group = copy(self)
        group.members = tuple(member.replace(change(member.deployment)) for member in self.members)
        group.lone = group.members[0] if len(group.members) == 1 else None
        return group

    @property
    def is_full(self) -> bool:
        """Whether it has as many requests under way as it is allowed."""
        return self.gate is not None and self.gate.is_full

    def find_hedge_delay(self, now: float) -> float | None:
        """Seconds to wait for the first content before a second deployment is asked; None where that is not known."""
        if self.hedge is None:
            return None
        return self.hedge.delay_s if self.hedge.delay_s is not None else self.waits.find_p95(now)

    def note_hedgeable(self, now: float) -> None:
        """A request that may come to be hedged."""
        if self._hedges is not None:
            self._hedges.note_request(now)

    def take_hedge(self, now: float) -> bool:
        """Whether one more request may be hedged; if so, it is counted."""
        return self._hedges is not None and self._hedges.take(now)
