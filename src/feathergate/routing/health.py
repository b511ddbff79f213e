"""Whether a deployment may be asked: cooldowns that grow, and one probe at a time once they end.

    open ── too many failures ─→ cooling ── its time is over ─→ half-open ── the probe succeeds ─→ open
                                    ↑                               │
                                    └── the probe fails: twice as long

Each worker has a `Health` a deployment, a view over the `Row` that all workers share. Pure: time comes in, and nothing
is locked. What workers do at once may cost a count, or let a second probe through; nothing stays stuck, for each state
but open ends by time, and a time that cannot be true has passed. After a cooldown only the probe's end counts: others
that end meanwhile were sent before it. Which failures are told here, and that the failure of a key is told to all
deployments that use it, is decided by the caller. Source: reference/litellm-config.md 4.2 (`allowed_fails`),
reference/reliability.md A2, U38 to U43, U53.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from feathergate.errors import UpstreamKind
from feathergate.routing.board import Row

WINDOW_S: Final = 60.0
"""Attempts and failures are counted for so long, from the first attempt on, and then anew."""

LEAST_ATTEMPTS: Final = 5
"""Of fewer attempts in a window no share of failures is judged."""

QUOTA_COOLDOWN_S: Final = 600.0
PROBE_LIMIT_S: Final = 60.0
"""A probe unheard of for so long has expired, whatever its caller asked for: a second one costs one request."""

_SKEW_S: Final = 10.0
"""Loops read the clock once a turn, so a busy worker may see what another wrote in its future."""

_AT_ONCE: Final = ("rate_limit", "auth", "quota")

_WINDOW_START: Final = 0
_ATTEMPTS: Final = 1
_FAILS: Final = 2
_COOLS_UNTIL: Final = 3
_COOLDOWN_S: Final = 4  # how long the cooldown was made; 0.0 while open
_PROBE_UNTIL: Final = 5  # when the probe expires; 0.0 while none was sent


class HealthSettings(NamedTuple):
    """`allowed_fails` a window, or those of a failure's kind, replace the rules of kinds and shares; None leaves them.
    Growth and hints end at `limit_s`. A `cooldown_s` of 0 cools nothing, as `disabled` does."""

    allowed_fails: int | None = None
    allowed_fails_by_kind: Mapping[str, int] = MappingProxyType({})
    cooldown_s: float = 5.0
    limit_s: float = 300.0
    disabled: bool = False


class Admission(NamedTuple):
    """`probe`: half-open, and `Health.take_probe` may let one caller through. While cooling, or while another probes,
    `cools_until` is when to ask again; else 0.0."""

    state: Literal["open", "probe", "cooling"]
    cools_until: float = 0.0

    @property
    def is_open(self) -> bool:
        return self.state == "open"

    @property
    def is_cooling(self) -> bool:
        return self.state == "cooling"


OPEN: Final = Admission("open")
PROBE: Final = Admission("probe")


class Health:
    """`now` is in seconds of the monotonic clock throughout."""

    def __init__(self, row: Row, settings: HealthSettings) -> None:
        self._row = row
        self._cells = row.cells
        self._settings = settings
        self._never_cools = settings.disabled or settings.cooldown_s <= 0.0
        self._limit_s = max(settings.limit_s, settings.cooldown_s)
        self._ceiling_s = max(self._limit_s, QUOTA_COOLDOWN_S)

    def admits(self, now: float) -> Admission:
        if self._cells[_COOLDOWN_S] == 0.0:
            return OPEN
        return self._assess(now)

    def take_probe(self, now: float, until: float) -> bool:
        """Whether the caller may go: as the one probe, which expires at `until` if it is never heard of, or because
        the deployment is open by now."""
        state = self.admits(now).state
        if state == "probe":
            self._cells[_PROBE_UNTIL] = min(until, now + PROBE_LIMIT_S)
        return state != "cooling"

    def release_probe(self) -> None:
        """The probe ended without a word on the deployment: its client left, or its request was wrong."""
        self._cells[_PROBE_UNTIL] = 0.0

    def note_success(self, now: float) -> None:
        cells = self._cells
        if cells[_COOLDOWN_S] == 0.0 and -WINDOW_S < now - cells[_WINDOW_START] < WINDOW_S:
            cells[_ATTEMPTS] += 1.0
            return
        cells = self._cells = self._row.hold(now)
        if cells[_COOLDOWN_S] == 0.0:
            self._count(now, 0.0)
        elif self._was_probed(now):
            self._close()

    def note_failure(self, now: float, kind: UpstreamKind, hint_s: float | None, alone: bool) -> float:
        """How many seconds the deployment is cooled for because of this, 0.0 where it is not. `hint_s` is what the
        provider asked for; `alone`: no other deployment serves the name, so this one is never cooled."""
        cells = self._cells = self._row.hold(now)
        if alone or self._never_cools:
            self._close()
            return 0.0
        last_s = cells[_COOLDOWN_S]
        if last_s == 0.0:
            self._count(now, 1.0)
            return self._cool(now, self._find_cooldown(kind, hint_s)) if self._is_too_much(kind) else 0.0
        if not self._was_probed(now):
            return 0.0
        return self._cool(now, max(self._find_cooldown(kind, hint_s), min(2.0 * last_s, self._limit_s)))

    # --- rules ---

    def _assess(self, now: float) -> Admission:
        """What a deployment that was cooled answers."""
        cells = self._cells = self._row.hold(now)
        if self._never_cools or cells[_COOLDOWN_S] == 0.0:
            return OPEN
        if self._is_cooling(now):
            return Admission("cooling", cells[_COOLS_UNTIL])
        if _is_ahead(now, cells[_PROBE_UNTIL], PROBE_LIMIT_S):
            return Admission("cooling", cells[_PROBE_UNTIL])
        return PROBE

    def _is_cooling(self, now: float) -> bool:
        return _is_ahead(now, self._cells[_COOLS_UNTIL], self._ceiling_s)

    def _was_probed(self, now: float) -> bool:
        """Whether what ends now may be the probe: the cooldown is over, and one was sent."""
        return self._cells[_PROBE_UNTIL] != 0.0 and not self._is_cooling(now)

    def _is_too_much(self, kind: UpstreamKind) -> bool:
        attempts, fails = self._cells[_ATTEMPTS], self._cells[_FAILS]
        allowed = self._settings.allowed_fails_by_kind.get(kind, self._settings.allowed_fails)
        if allowed is not None:
            return fails > allowed
        return kind in _AT_ONCE or (attempts >= LEAST_ATTEMPTS and 2.0 * fails > attempts)

    def _find_cooldown(self, kind: UpstreamKind, hint_s: float | None) -> float:
        """Seconds. Only a provider that limits us is heard on how long to wait, and only upwards."""
        asked_s, limit_s = 0.0, self._limit_s
        if kind == "quota":
            asked_s, limit_s = QUOTA_COOLDOWN_S if hint_s is None else hint_s, self._ceiling_s
        elif kind == "rate_limit" and hint_s is not None:
            asked_s = hint_s
        # In this order `min` and `max` pass over a hint that is no number.
        return max(self._settings.cooldown_s, min(asked_s, limit_s))

    # --- cells ---

    def _count(self, now: float, fails: float) -> None:
        cells = self._cells
        if not -WINDOW_S < now - cells[_WINDOW_START] < WINDOW_S:
            cells[_WINDOW_START] = now
            cells[_ATTEMPTS] = cells[_FAILS] = 0.0
        cells[_ATTEMPTS] += 1.0
        cells[_FAILS] += fails

    def _cool(self, now: float, cooldown_s: float) -> float:
        cells = self._cells
        cells[_COOLS_UNTIL] = now + cooldown_s
        cells[_PROBE_UNTIL] = 0.0
        cells[_COOLDOWN_S] = cooldown_s
        return cooldown_s

    def _close(self) -> None:
        """As if nothing had been counted yet: what came before the cooldown says nothing of what comes after."""
        cells = self._cells
        for cell in (_COOLDOWN_S, _COOLS_UNTIL, _PROBE_UNTIL, _WINDOW_START, _ATTEMPTS, _FAILS):
            cells[cell] = 0.0


def _is_ahead(now: float, until: float, most_s: float) -> bool:
    """Whether `until` is still to come. One further off than `most_s` was never written as a time: it has passed."""
    return now < until < now + most_s + _SKEW_S
