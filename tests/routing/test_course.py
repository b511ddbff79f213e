"""Which deployment a request asks next, and when."""

from __future__ import annotations

from itertools import count

import pytest

from feathergate.errors import DeadlineError, UnavailableError, UpstreamError
from feathergate.routing.board import Board
from feathergate.routing.budget import RetryBudget
from feathergate.routing.course import Choice, Course, find_class
from feathergate.routing.gate import Gate
from feathergate.routing.gauge import Gauge
from feathergate.routing.group import Fallbacks, Group, Member, Retries, Standing
from feathergate.routing.health import Health, HealthSettings
from feathergate.routing.strategies import STRATEGIES

NOW = 1000.0
LATE = NOW + 600.0
REFUSED = UpstreamError("no", kind="connect")
LIMITED = UpstreamError("slow down", kind="rate_limit", upstream_status=429, status=429)
WRONG = UpstreamError("bad", kind="status", upstream_status=400, status=400, retryable=False)
TOO_LONG = UpstreamError("long", kind="status", upstream_status=400, retryable=False, reason="context_window")
SPENT = UpstreamError("no money", kind="quota", upstream_status=429, retryable=False)
_ids = count()


def build_group(name: str, *credentials: str, **settings: object) -> Group[str]:
    """One member a credential; its deployment is called after group and place: `a0`."""
    board, alone = Board(lambda: NOW), len(credentials) == 1
    retries = settings.pop("retries", Retries())
    assert isinstance(retries, Retries)
    standing = settings.pop("standing", ())
    assert isinstance(standing, tuple)
    members = [
        Member(
            f"{name}{index}",
            index,
            f"{name}-{index}-{next(_ids)}",
            credential,
            standing[index] if standing else Standing(),
            retries,
            Health(board.find_row(f"{name}-{index}-{next(_ids)}"), HealthSettings()),
            Gauge(),
            alone=alone,
        )
        for index, credential in enumerate(credentials)
    ]
    settings.setdefault("fallbacks", Fallbacks())
    settings.setdefault("budget", RetryBudget())
    return Group(name, tuple(members), strategy=STRATEGIES["simple-shuffle"], **settings)  # type: ignore[arg-type]


class Way:
    """A request that asks whom its course tells it to, and fails there."""

    def __init__(self, course: Course[str]) -> None:
        self._course = course
        self._asked: Choice[str] | None = None

    def begin(self, now: float) -> Choice[str]:
        self._asked = self._course.begin(now)
        return self._asked

    def after(self, now: float, error: UpstreamError, deadline: float) -> Choice[str] | None:
        assert self._asked is not None
        following = self._course.after(now, self._asked.member, error, deadline)
        self._asked = following or self._asked
        return following

    def instead(self, now: float) -> Choice[str] | None:
        following = self._course.instead(now)
        self._asked = following or self._asked
        return following


def plot(group: Group[str], *fallbacks: Group[str], draw: float = 0.0, preferred: int | None = None) -> Way:
    find_group = {known.name: known for known in fallbacks}.get
    return Way(Course(group, find_group, lambda: draw, preferred=preferred))


def name(choice: Choice[str] | None) -> str | None:
    return None if choice is None else choice.member.deployment


def cool(member: Member[str]) -> None:
    assert member.health.note_failure(NOW, "rate_limit", None, alone=False) > 0


def test_retry_goes_at_once_to_one_that_was_not_tried() -> None:
    course = plot(build_group("a", "k", "k"))
    assert name(course.begin(NOW)) == "a0"
    following = course.after(NOW, REFUSED, LATE)
    assert (name(following), following and following.wait_s) == ("a1", 0.0)


def test_same_deployment_is_asked_again_after_a_pause() -> None:
    course = plot(build_group("a", "k"))
    course.begin(NOW)
    following = course.after(NOW, REFUSED, LATE)
    assert following is not None
    assert following.wait_s >= 0.25


def test_retries_end_at_the_policys_number() -> None:
    course = plot(build_group("a", "k", retries=Retries(count=2)))
    course.begin(NOW)
    assert [name(course.after(NOW, REFUSED, LATE)) for _ in range(3)] == ["a0", "a0", None]


def test_class_of_the_error_has_its_own_number() -> None:
    course = plot(build_group("a", "k", retries=Retries(count=2, by_class={"RateLimitError": 0})))
    course.begin(NOW)
    assert course.after(NOW, LIMITED, LATE) is None


def test_what_is_wrong_with_the_request_is_asked_of_nobody_else() -> None:
    fallback = build_group("b", "k")
    course = plot(build_group("a", "k", "k", fallbacks=Fallbacks(general=("b",))), fallback)
    course.begin(NOW)
    assert course.after(NOW, WRONG, LATE) is None


def test_spent_quota_is_asked_of_another_key_only() -> None:
    course = plot(build_group("a", "one", "one", "two"))
    assert name(course.begin(NOW)) == "a0"
    assert name(course.after(NOW, SPENT, LATE)) == "a2"
    assert course.after(NOW, SPENT, LATE) is None


def test_provider_that_asks_for_a_long_wait_is_not_asked_again() -> None:
    course = plot(build_group("a", "k"))
    course.begin(NOW)
    slow = UpstreamError("later", kind="rate_limit", upstream_status=429, retry_after_s=3600.0)
    assert course.after(NOW, slow, LATE) is None


def test_pause_that_would_pass_the_deadline_is_not_made() -> None:
    course = plot(build_group("a", "k"))
    course.begin(NOW)
    assert course.after(NOW, REFUSED, NOW + 0.1) is None


def test_fallbacks_follow_when_the_group_is_spent() -> None:
    last, first = build_group("c", "k", retries=Retries(count=0)), build_group("b", "k", retries=Retries(count=0))
    course = plot(build_group("a", "k", retries=Retries(count=0), fallbacks=Fallbacks(general=("b", "c"))), first, last)
    course.begin(NOW)
    assert [name(course.after(NOW, REFUSED, LATE)) for _ in range(3)] == ["b0", "c0", None]


def test_fallback_that_nothing_serves_is_passed_over() -> None:
    course = plot(
        build_group("a", "k", retries=Retries(count=0), fallbacks=Fallbacks(general=("gone", "b"))),
        build_group("b", "k"),
    )
    course.begin(NOW)
    assert name(course.after(NOW, REFUSED, LATE)) == "b0"


def test_fallbacks_in_a_circle_end() -> None:
    none = Retries(count=0)
    first = build_group("a", "k", retries=none, fallbacks=Fallbacks(general=("b",)))
    second = build_group("b", "k", retries=none, fallbacks=Fallbacks(general=("a",)))
    course = plot(first, first, second)
    course.begin(NOW)
    assert [name(course.after(NOW, REFUSED, LATE)) for _ in range(2)] == ["b0", None]


def test_hops_are_bounded() -> None:
    none = Retries(count=0)
    names = [f"g{index}" for index in range(9)]
    groups = [build_group(known, "k", retries=none) for known in names]
    course = plot(build_group("a", "k", retries=none, fallbacks=Fallbacks(general=tuple(names))), *groups)
    course.begin(NOW)
    assert [course.after(NOW, REFUSED, LATE) is None for _ in range(7)] == [False] * 5 + [True] * 2


@pytest.mark.parametrize(("window", "asked"), [(("b",), "b0"), ((), "c0")])
def test_request_too_long_goes_to_its_own_fallbacks_first(window: tuple[str, ...], asked: str) -> None:
    fallbacks = Fallbacks(general=("c",), context_window=window)
    course = plot(build_group("a", "k", "k", fallbacks=fallbacks), build_group("b", "k"), build_group("c", "k"))
    course.begin(NOW)
    assert name(course.after(NOW, TOO_LONG, LATE)) == asked


def test_cooling_deployment_is_passed_over() -> None:
    group = build_group("a", "k", "k")
    cool(group.members[0])
    assert name(plot(group).begin(NOW)) == "a1"


def test_group_that_cools_whole_falls_back_at_once() -> None:
    group = build_group("a", "k", "k", fallbacks=Fallbacks(general=("b",)))
    for member in group.members:
        cool(member)
    assert name(plot(group, build_group("b", "k")).begin(NOW)) == "b0"


def test_group_that_cools_whole_says_when_to_come_back() -> None:
    group = build_group("a", "k", "k")
    for member in group.members:
        cool(member)
    with pytest.raises(UnavailableError) as caught:
        plot(group).begin(NOW + 1)
    assert caught.value.retry_after_s == pytest.approx(4.0)


def test_cooled_deployment_takes_one_probe_at_a_time() -> None:
    group = build_group("a", "k", "k")
    cool(group.members[0])
    asked = [name(plot(group).begin(NOW + 6)) for _ in range(3)]
    assert asked == ["a0", "a1", "a1"]


def test_deployment_that_is_full_is_passed_over() -> None:
    group = build_group("a", "k", "k", standing=(Standing(limit=1), Standing()))
    group.members[0].gauge.start(NOW)
    assert name(plot(group).begin(NOW)) == "a1"


def test_conversation_returns_to_where_it_was() -> None:
    group = build_group("a", "k", "k", "k")
    assert name(plot(group, preferred=group.members[2].mark).begin(NOW)) == "a2"


def test_conversation_leaves_a_deployment_that_cools() -> None:
    group = build_group("a", "k", "k", "k")
    cool(group.members[2])
    assert name(plot(group, preferred=group.members[2].mark).begin(NOW)) == "a0"


def test_spent_budget_ends_retries_and_fallbacks() -> None:
    group = build_group("a", "k", "k", budget=RetryBudget(floor=1, share=0.0), fallbacks=Fallbacks(general=("b",)))
    course = plot(group, build_group("b", "k"))
    course.begin(NOW)
    assert [name(course.after(NOW, REFUSED, LATE)) for _ in range(2)] == ["a1", None]


def test_another_dialect_is_asked_where_one_cannot_carry_the_request() -> None:
    course = plot(build_group("a", "k", "k", budget=RetryBudget(floor=0, share=0.0)))
    course.begin(NOW)
    assert [name(course.instead(NOW)) for _ in range(2)] == ["a1", None]


def test_request_that_one_cannot_carry_keeps_its_retries() -> None:
    course = plot(build_group("a", "k", "k", "k", retries=Retries(count=1)))
    course.begin(NOW)
    assert name(course.instead(NOW)) == "a1"
    assert [name(course.after(NOW, REFUSED, LATE)) for _ in range(2)] == ["a2", None]


def test_key_at_fault_is_that_of_the_deployment_that_failed() -> None:
    group = build_group("a", "one", "two", "one", "two")
    course = Course(group, lambda _: None, lambda: 0.0)
    course.begin(NOW)
    assert name(course.beside(NOW)) == "a1"
    assert name(course.after(NOW, group.members[0], SPENT, LATE)) == "a3"


def test_probe_that_is_not_made_is_given_back() -> None:
    group = build_group("a", "k", "k", budget=RetryBudget(floor=0, share=0.0))
    cool(group.members[1])
    course = plot(group)
    assert course.begin(NOW + 6).probe is False
    assert course.after(NOW + 6, REFUSED, LATE) is None
    assert group.members[1].health.admits(NOW + 6).state == "probe"


def test_choice_says_whether_it_is_a_probe() -> None:
    group = build_group("a", "k", "k")
    cool(group.members[0])
    assert [plot(group).begin(NOW + 6).probe for _ in range(2)] == [True, False]


def test_probe_that_waits_for_its_pause_is_claimed_at_once() -> None:
    group = build_group("a", "k", "k")
    course = plot(group)
    course.begin(NOW)
    slow = UpstreamError("later", kind="rate_limit", upstream_status=429, retry_after_s=30.0)
    course.after(NOW, slow, LATE)
    for member in group.members:
        cool(member)
    following = course.after(NOW, slow, LATE)
    assert following is not None
    assert following.probe
    assert following.member.health.admits(NOW + 6).is_cooling


def test_group_that_is_full_is_passed_over() -> None:
    none, gate = Retries(count=0), Gate("b", 1)
    gate.enter()
    course = plot(
        build_group("a", "k", retries=none, fallbacks=Fallbacks(general=("b", "c"))),
        build_group("b", "k", gate=gate),
        build_group("c", "k"),
    )
    course.begin(NOW)
    assert name(course.after(NOW, REFUSED, LATE)) == "c0"


def test_group_under_another_name_is_not_asked_again() -> None:
    group = build_group("a", "k", retries=Retries(count=0), fallbacks=Fallbacks(general=("alias",)))
    course = Way(Course(group, {"alias": group}.get, lambda: 0.0))
    course.begin(NOW)
    assert course.after(NOW, REFUSED, LATE) is None


@pytest.mark.parametrize(
    ("error", "known"),
    [
        (REFUSED, "InternalServerError"),
        (LIMITED, "RateLimitError"),
        (SPENT, "RateLimitError"),
        (UpstreamError("", kind="auth", upstream_status=401), "AuthenticationError"),
        (DeadlineError("", kind="idle"), "TimeoutError"),
        (UpstreamError("", kind="status", upstream_status=408), "TimeoutError"),
        (UpstreamError("", kind="status", upstream_status=503), "ServiceUnavailableError"),
        (UpstreamError("", kind="status", upstream_status=529), "InternalServerError"),
        (UpstreamError("", kind="status", upstream_status=425), "Default"),
    ],
)
def test_errors_are_classed_as_litellm_has_them(error: UpstreamError, known: str) -> None:
    assert find_class(error) == known
