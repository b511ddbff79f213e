"""Cooldowns: what starts one, how long it is, and how it ends."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feathergate.errors import UpstreamKind
from feathergate.routing.board import Board, Row
from feathergate.routing.health import (
    LEAST_ATTEMPTS,
    PROBE_LIMIT_S,
    QUOTA_COOLDOWN_S,
    WINDOW_S,
    Health,
    HealthSettings,
)

T = 100_000.0
AT_ONCE: list[UpstreamKind] = ["rate_limit", "auth", "quota"]
BY_SHARE: list[UpstreamKind] = [
    "connect", "dns", "tls", "timeout_connect", "timeout_first_byte", "idle", "reset", "protocol", "truncated",
    "status",
]  # fmt: skip


def build(settings: HealthSettings | None = None) -> Health:
    return Health(Board(lambda: T).find_row("a"), settings or HealthSettings())


def fail(health: Health, now: float = T, kind: UpstreamKind = "status", hint_s: float | None = None) -> float:
    return health.note_failure(now, kind, hint_s, False)


def state(health: Health, now: float = T) -> str:
    return health.admits(now).state


def cooled(settings: HealthSettings | None = None) -> Health:
    """Cooling from T to T + 5."""
    health = build(settings)
    assert fail(health, kind="auth") == 5.0
    return health


# --- what starts a cooldown ---


def test_new_deployment_is_open() -> None:
    assert build().admits(T) == ("open", 0.0)
    assert build().admits(T).is_open
    assert not build().admits(T).is_cooling


@pytest.mark.parametrize("kind", AT_ONCE)
def test_limits_and_rejected_keys_cool_at_once(kind: UpstreamKind) -> None:
    health = build()
    assert fail(health, kind=kind) > 0
    assert health.admits(T).is_cooling


@pytest.mark.parametrize("kind", BY_SHARE)
def test_failures_cool_once_they_are_more_than_half_of_five(kind: UpstreamKind) -> None:
    health = build()
    assert [fail(health, kind=kind) for _ in range(LEAST_ATTEMPTS)] == [0.0, 0.0, 0.0, 0.0, 5.0]
    assert health.admits(T) == ("cooling", T + 5.0)


def test_half_of_the_attempts_is_not_too_much() -> None:
    health = build()
    for _ in range(3):
        health.note_success(T)
    assert [fail(health) for _ in range(4)] == [0.0, 0.0, 0.0, 5.0]


def test_failures_of_an_earlier_window_are_forgotten() -> None:
    health = build()
    for _ in range(4):
        fail(health)
    assert fail(health, T + WINDOW_S) == 0.0
    assert [fail(health, T + WINDOW_S + 1) for _ in range(4)] == [0.0, 0.0, 0.0, 5.0]


def test_successes_of_an_earlier_window_are_forgotten() -> None:
    health = build()
    for _ in range(100):
        health.note_success(T)
    health.note_success(T + WINDOW_S)
    assert [fail(health, T + WINDOW_S) for _ in range(4)] == [0.0, 0.0, 0.0, 5.0]


@pytest.mark.parametrize("kind", [*AT_ONCE, "status"])
def test_allowed_fails_replace_the_rules(kind: UpstreamKind) -> None:
    health = build(HealthSettings(allowed_fails=2))
    for _ in range(100):
        health.note_success(T)
    assert [fail(health, kind=kind) > 0 for _ in range(3)] == [False, False, True]


def test_allowed_fails_are_of_one_window() -> None:
    health = build(HealthSettings(allowed_fails=1))
    assert [fail(health, T + WINDOW_S * turn) for turn in range(3)] == [0.0, 0.0, 0.0]


def test_allowed_fails_of_a_kind_go_before_the_general_ones() -> None:
    settings = HealthSettings(allowed_fails=0, allowed_fails_by_kind={"idle": 1})
    assert fail(build(settings), kind="idle") == 0.0
    assert fail(build(settings), kind="reset") == 5.0


def test_kind_without_allowed_fails_keeps_its_rule() -> None:
    assert fail(build(HealthSettings(allowed_fails_by_kind={"idle": 9})), kind="auth") == 5.0


@pytest.mark.parametrize("kind", [*AT_ONCE, *BY_SHARE])
@pytest.mark.parametrize("settings", [HealthSettings(), HealthSettings(allowed_fails=0)])
def test_lone_deployment_is_never_cooled(kind: UpstreamKind, settings: HealthSettings) -> None:
    health = build(settings)
    assert {health.note_failure(T, kind, 60.0, True) for _ in range(50)} == {0.0}
    assert health.admits(T).is_open


def test_deployment_that_is_alone_by_now_is_cooled_no_longer() -> None:
    health = cooled()
    health.note_failure(T + 1, "status", None, True)
    assert health.admits(T + 1).is_open


@pytest.mark.parametrize("settings", [HealthSettings(disabled=True), HealthSettings(cooldown_s=0.0)])
def test_cooldowns_that_are_off_cool_nothing(settings: HealthSettings) -> None:
    health = build(settings)
    assert {fail(health, kind=kind) for kind in (*AT_ONCE, *BY_SHARE)} == {0.0}
    assert health.admits(T).is_open


def test_cooldowns_switched_off_by_a_reload_end_the_running_one() -> None:
    row = Board(lambda: T).find_row("a")
    fail(Health(row, HealthSettings()), kind="auth")
    assert Health(row, HealthSettings(disabled=True)).admits(T).is_open


# --- how long it is ---


@pytest.mark.parametrize(
    ("kind", "hint_s", "cooldown_s"),
    [
        ("rate_limit", None, 5.0),
        ("rate_limit", 40.0, 40.0),
        ("rate_limit", 1.0, 5.0),
        ("rate_limit", -1.0, 5.0),
        ("rate_limit", 1e9, 300.0),
        ("rate_limit", float("inf"), 300.0),
        ("rate_limit", float("nan"), 5.0),
        ("auth", 40.0, 5.0),
        ("quota", None, QUOTA_COOLDOWN_S),
        ("quota", 40.0, 40.0),
        ("quota", 1e9, QUOTA_COOLDOWN_S),
        ("quota", float("nan"), 5.0),
    ],
)
def test_cooldown_lasts_what_kind_and_hint_say(kind: UpstreamKind, hint_s: float | None, cooldown_s: float) -> None:
    health = build()
    assert fail(health, kind=kind, hint_s=hint_s) == cooldown_s
    assert health.admits(T) == ("cooling", T + cooldown_s)
    assert health.admits(T + cooldown_s).state == "probe"


def test_configured_cooldown_above_the_limit_is_kept() -> None:
    health = build(HealthSettings(cooldown_s=1000.0))
    assert fail(health, kind="auth") == 1000.0
    assert health.admits(T) == ("cooling", T + 1000)


def test_failures_while_cooling_change_nothing() -> None:
    health = cooled()
    assert fail(health, T + 4, "rate_limit", 60.0) == 0.0
    assert health.admits(T + 4) == ("cooling", T + 5)


def test_success_while_cooling_changes_nothing() -> None:
    health = cooled()
    health.note_success(T + 4)
    assert health.admits(T + 4) == ("cooling", T + 5)


# --- how it ends ---


def test_one_probe_at_a_time() -> None:
    health = cooled()
    assert not health.take_probe(T + 4, T + 30)
    assert health.take_probe(T + 5, T + 30)
    assert not health.take_probe(T + 5, T + 30)
    assert health.admits(T + 5) == ("cooling", T + 30)


def test_probe_of_an_open_deployment_is_let_through() -> None:
    health = build()
    assert [health.take_probe(T, T + 30) for _ in range(2)] == [True, True]


def test_probe_that_succeeds_opens() -> None:
    health = cooled()
    health.take_probe(T + 5, T + 30)
    health.note_success(T + 6)
    assert health.admits(T + 6).is_open
    assert [fail(health, T + 6) for _ in range(5)] == [0.0, 0.0, 0.0, 0.0, 5.0]


def test_probes_that_fail_double_the_cooldown_up_to_the_limit() -> None:
    health, now, lengths = cooled(), T + 5.0, []
    for _ in range(8):
        assert health.take_probe(now, now + 60)
        lengths.append(fail(health, now))
        assert fail(health, now) == 0.0
        now += lengths[-1]
    assert lengths == [10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0, 300.0]


def test_probe_that_succeeds_ends_the_growth() -> None:
    health = cooled()
    health.take_probe(T + 5, T + 30)
    assert fail(health, T + 5) == 10.0
    health.take_probe(T + 15, T + 30)
    health.note_success(T + 15)
    assert fail(health, T + 15, "auth") == 5.0


def test_probe_whose_hint_is_longer_than_the_growth_heeds_it() -> None:
    health = cooled()
    health.take_probe(T + 5, T + 30)
    assert fail(health, T + 5, "rate_limit", 100.0) == 100.0


def test_probe_whose_client_left_makes_room_for_another() -> None:
    health = cooled()
    health.take_probe(T + 5, T + 30)
    health.release_probe()
    assert health.take_probe(T + 6, T + 30)
    assert fail(health, T + 6) == 10.0


def test_probe_that_is_never_heard_of_expires() -> None:
    health = cooled()
    health.take_probe(T + 5, T + 30)
    assert state(health, T + 29) == "cooling"
    assert health.take_probe(T + 30, T + 60)


def test_probe_expires_whatever_its_caller_asks_for() -> None:
    health = cooled()
    assert health.take_probe(T + 5, T + 1e9)
    assert health.admits(T + 5) == ("cooling", T + 5 + PROBE_LIMIT_S)
    assert health.take_probe(T + 5 + PROBE_LIMIT_S, T + 1e9)


def test_late_word_of_a_probe_counts() -> None:
    health = cooled()
    health.take_probe(T + 5, T + 30)
    health.note_success(T + 40)
    assert health.admits(T + 40).is_open


@pytest.mark.parametrize("succeeds", [True, False])
def test_requests_sent_before_the_cooldown_are_no_probes(succeeds: bool) -> None:
    health = cooled()
    if succeeds:
        health.note_success(T + 6)
    else:
        assert fail(health, T + 6, "rate_limit") == 0.0
    assert state(health, T + 6) == "probe"


def test_probe_planned_for_the_end_of_the_cooldown_makes_nothing_count_before() -> None:
    health = cooled()
    assert health.take_probe(T + 5, T + 60)
    health.note_success(T + 4)
    assert fail(health, T + 4) == 0.0
    assert fail(health, T + 6) == 10.0


# --- several workers ---


def rows_of(count: int) -> list[Row]:
    board = Board(lambda: T)
    return [board.find_row("a") for _ in range(count)]


def test_workers_count_together() -> None:
    workers = [Health(row, HealthSettings()) for row in rows_of(5)]
    assert [fail(worker) for worker in workers] == [0.0, 0.0, 0.0, 0.0, 5.0]
    assert all(worker.admits(T).is_cooling for worker in workers)


def test_worker_behind_in_time_forgets_nothing() -> None:
    first, second = (Health(row, HealthSettings()) for row in rows_of(2))
    for _ in range(4):
        fail(first, T + 0.5)
    assert fail(second, T) == 5.0


def test_worker_behind_in_time_heeds_the_longest_cooldown() -> None:
    first, second = (Health(row, HealthSettings()) for row in rows_of(2))
    fail(first, T + 0.5, "quota")
    assert second.admits(T).is_cooling


@pytest.mark.parametrize("reading", [1e18, float("inf"), float("nan"), -1e18])
@pytest.mark.parametrize("cell", range(6))
def test_reading_that_cannot_be_true_stops_nobody(cell: int, reading: float) -> None:
    (row,) = rows_of(1)
    health = Health(row, HealthSettings())
    fail(health, kind="auth")
    row.cells[cell] = reading
    assert health.take_probe(T + 5, T + 30)
    health.note_success(T + 5)
    assert health.admits(T + 5).is_open


def test_count_of_a_window_in_the_future_is_dropped() -> None:
    (row,) = rows_of(1)
    row.cells[0], row.cells[1], row.cells[2] = T + 1e6, 100.0, 100.0
    assert fail(Health(row, HealthSettings())) == 0.0


FLOATS = st.floats() | st.floats(T - 1000, T + 5000)
STEPS = st.one_of(
    st.tuples(st.just("failure"), st.sampled_from([*AT_ONCE, *BY_SHARE]), st.none() | FLOATS, st.booleans()),
    st.tuples(st.just("success")),
    st.tuples(st.just("probe"), FLOATS),
    st.tuples(st.just("release")),
    st.tuples(st.just("sleep"), st.floats(0, 2000)),
    st.tuples(st.just("overwrite"), st.integers(0, 5), FLOATS),
)
SETTINGS = st.builds(
    HealthSettings,
    allowed_fails=st.none() | st.integers(0, 5),
    cooldown_s=st.floats(0, 1000),
    limit_s=st.floats(1, 1000),
    disabled=st.booleans(),
)


def play(workers: list[Health], row: Row, steps: Iterable[tuple]) -> float:
    """The workers take turns; when it is afterwards."""
    now = T
    for turn, (step, *values) in enumerate(steps):
        health = workers[turn % len(workers)]
        if step == "failure":
            health.note_failure(now, *values)
        elif step == "success":
            health.note_success(now)
        elif step == "probe":
            health.take_probe(now, *values)
        elif step == "release":
            health.release_probe()
        elif step == "sleep":
            now += values[0]
        else:
            row.cells[values[0]] = values[1]
    return now


@given(st.lists(STEPS, max_size=40), SETTINGS, SETTINGS)
def test_no_deployment_is_unreachable_for_ever(steps: list[tuple], one: HealthSettings, other: HealthSettings) -> None:
    rows = rows_of(2)
    workers = [Health(rows[0], one), Health(rows[1], other)]
    now = play(workers, rows[0], steps)
    longest_s = max(one.cooldown_s, one.limit_s, QUOTA_COOLDOWN_S) + PROBE_LIMIT_S
    waits = (now + longest_s * step for step in (1, 2, 3))
    reached = next((later for later in waits if workers[0].take_probe(later, later + 1)), None)
    assert reached is not None
    workers[0].note_success(reached)
    assert workers[0].admits(reached).is_open
