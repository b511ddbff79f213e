"""Which deployment a request asks next, and when: retries and fallbacks, as one decision after each failure.

    begin ─→ a healthy deployment of the group, or a fallback group's, or `UnavailableError`
    after an error:
      one that this request has not tried     at once
      one that it has                         after a pause: backoff, or what the provider asked for
      the next fallback group                 at once
      nothing                                 the error is the answer

What is never asked again: anything about the request itself, and the same key after it was refused or its quota
spent. Attempts after the first are bounded by the group's retry policy, by the request's deadline, and by the retry
budget of the group that was asked for. Pure but for the probes it claims and the budget it spends; time and
randomness come in. Source: reference/litellm-config.md 4.2, reference/reliability.md A1, A10, A12, U38 to U43.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from feathergate.errors import DeadlineError, UnavailableError, UpstreamError, UpstreamKind
from feathergate.routing.backoff import find_wait
from feathergate.routing.group import Group, Member, Retries
from feathergate.routing.health import PROBE_LIMIT_S

D = TypeVar("D")

PATIENCE_S = 60.0
"""A provider that asks for a longer wait than this is not asked again by the same request."""

_KEY_AT_FAULT = ("auth", "quota")
_CLASSES: dict[UpstreamKind, str] = {
    "rate_limit": "RateLimitError",
    "quota": "RateLimitError",
    "auth": "AuthenticationError",
}
_CLASSES_OF_STATUSES = {408: "TimeoutError", 503: "ServiceUnavailableError", 504: "TimeoutError"}


class Choice(NamedTuple, Generic[D]):
    """Whom to ask after `wait_s`. `group` is another than the one before where it is a fallback. With `probe` it is the
    one trial of a deployment that is half open: whoever comes to no verdict on it has to release that."""

    group: Group[D]
    member: Member[D]
    wait_s: float = 0.0
    probe: bool = False

    def release(self) -> None:
        """Nothing was learnt of the deployment: another request may try it."""
        if self.probe:
            self.member.health.release_probe()


def find_class(error: UpstreamError) -> str:
    """The class of an error as LiteLLM's policies name it: `TimeoutError`, `RateLimitError`, …"""
    known = _CLASSES.get(error.kind)
    if known is not None:
        return known
    if isinstance(error, DeadlineError):
        return "TimeoutError"
    status = error.upstream_status
    if status is None or status >= 500:
        return _CLASSES_OF_STATUSES.get(status or 0, "InternalServerError")
    return _CLASSES_OF_STATUSES.get(status, "Default")


class Course(Generic[D]):
    """One request's way. `find_group` gives a fallback by its name, None for one that nothing serves; `preferred` is
    the mark of the deployment that the conversation's last turn went to."""

    def __init__(
        self,
        group: Group[D],
        find_group: Callable[[str], Group[D] | None],
        draw: Callable[[], float],
        *,
        preferred: int | None = None,
        hops: int = 5,
    ) -> None:
        self._asked_for = group
        self._group = group
        self._find_group = find_group
        self._draw = draw
        self._preferred = preferred
        self._hops = hops
        self._visited = {group.name}
        self._pending: list[str] = []
        self._tries = 0
        self._tried: set[int] = set()
        self._barred: set[str] = set()

    def begin(self, now: float) -> Choice[D]:
        """Raises `UnavailableError` where every deployment, of every fallback too, is cooling down or full."""
        choice = self._pick(now) or self._fall_back(now, None)
        if choice is None:
            raise self._build_unavailable(now)
        return choice

    def after(self, now: float, member: Member[D], error: UpstreamError, deadline: float) -> Choice[D] | None:
        """After this failure of `member`; None where it is to be the answer."""
        if now >= deadline or not (error.retryable or error.kind == "quota" or error.reason):
            return None
        if error.kind in _KEY_AT_FAULT:
            self._barred.add(member.credential)
        choice = None if error.reason else self._retry(now, member.retries, error, deadline)
        if choice is None:
            choice = self._fall_back(now, error)
        if choice is not None and not self._asked_for.budget.take(now):
            choice.release()
            return None
        return choice

    def instead(self, now: float) -> Choice[D] | None:
        """Another deployment for a request that the last choice cannot be asked at all: its dialect cannot carry it,
        which is no try."""
        self._tries -= 1
        return self._pick(now) or self._fall_back(now, None)

    def beside(self, now: float) -> Choice[D] | None:
        """A second deployment of the same group to be asked while the first is still at it."""
        return self._pick(now)

    # --- steps ---

    def _retry(self, now: float, retries: Retries, error: UpstreamError, deadline: float) -> Choice[D] | None:
        """The same group once more."""
        if self._tries > retries.count_for(find_class(error)):
            return None
        return self._pick(now) or self._again(now, retries, error, deadline)

    def _again(self, now: float, retries: Retries, error: UpstreamError, deadline: float) -> Choice[D] | None:
        """One that was tried already, after a pause; None where the pause is too long."""
        hint_s = error.retry_after_s
        if hint_s is not None and hint_s > PATIENCE_S:
            return None
        wait_s = find_wait(self._tries, hint_s, retries.floor_s, self._draw())
        return self._pick(now, wait_s, again=True) if now + wait_s < deadline else None

    def _pick(self, now: float, wait_s: float = 0.0, *, again: bool = False) -> Choice[D] | None:
        """A member that may be asked: one that was not tried in this group yet, or, with `again`, one that was."""
        group, then = self._group, now + wait_s
        if group.lone is not None:
            if bool(self._tried) is not again or group.lone.credential in self._barred:
                return None
            return self._choose(group.lone, wait_s)
        able = [
            member
            for member in group.members
            if (member.index in self._tried) is again
            and member.credential not in self._barred
            and not member.is_full
            and not member.health.admits(then).is_cooling
        ]
        if not self._tried and group is self._asked_for:
            for member in able:
                if member.mark == self._preferred:
                    choice = self._enter(member, now, wait_s)
                    if choice is not None:
                        return choice
        while able:
            picked = group.strategy([member.describe(now) for member in able], self._draw())
            member = group.members[picked.index]
            choice = self._enter(member, now, wait_s)
            if choice is not None:
                return choice
            able.remove(member)
        return None

    def _enter(self, member: Member[D], now: float, wait_s: float) -> Choice[D] | None:
        """The member, where it takes the request: one that is half open takes one at a time."""
        is_open = member.health.admits(now + wait_s).is_open
        if not is_open and not member.health.take_probe(now + wait_s, now + PROBE_LIMIT_S):
            return None
        return self._choose(member, wait_s, probe=not is_open)

    def _choose(self, member: Member[D], wait_s: float, *, probe: bool = False) -> Choice[D]:
        self._tries += 1
        self._tried.add(member.index)
        return Choice(self._group, member, wait_s, probe)

    def _fall_back(self, now: float, error: UpstreamError | None) -> Choice[D] | None:
        """The next group that can be asked now."""
        self._pending = [*self._group.fallbacks.find(error), *self._pending]
        while self._pending and len(self._visited) <= self._hops:
            name = self._pending.pop(0)
            group = self._find_group(name) if name not in self._visited else None
            self._visited.add(name)
            if group is None or group is self._asked_for:  # the latter under another name
                continue
            is_full = group.is_full and group.gate is not self._group.gate
            self._group, self._tries, self._tried = group, 0, set()
            choice = self._pick(now) if not is_full else None
            if choice is not None:
                return choice
            self._pending = [*group.fallbacks.find(None), *self._pending]
        return None

    def _build_unavailable(self, now: float) -> UnavailableError:
        cools = [member.health.admits(now).cools_until - now for member in self._asked_for.members]
        return UnavailableError(
            f"Every deployment of '{self._asked_for.name}' is cooling down after failures, or has as many requests as "
            "it takes. Send the request again after the time that retry-after tells.",
            code="no_deployment_available",
            retry_after_s=max(1.0, min(cools)),
        )
