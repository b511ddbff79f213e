"""How much the model is to think: OpenAI's `reasoning_effort`, or Anthropic's own `thinking`, per family.

Newer families think adaptively and take an effort; older ones take a budget of tokens, which must stay below
`max_tokens`. What the client sent of `thinking` goes before its `reasoning_effort`, and is restated where the
family no longer takes its form. Specification: reference/wire/anthropic.md section 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from feathergate.capability import Capability
from feathergate.dialects.loss import Losses

_EFFORTS: Final = ("minimal", "low", "medium", "high", "xhigh", "max")
_BUDGETS: Final[Mapping[str, int]] = {
    "minimal": 1024,
    "low": 1024,
    "medium": 2048,
    "high": 4096,
    "xhigh": 8192,
    "max": 16384,
}
_EFFORT_BY_BUDGET: Final = ((8192, "xhigh"), (4096, "high"), (2048, "medium"))


class Thinking(NamedTuple):
    """`config` is the request's `thinking`, `effort` stands in its `output_config`."""

    config: dict[str, Any] | None = None
    effort: str | None = None

    @property
    def is_on(self) -> bool:
        return self.config is not None and self.config.get("type") in ("enabled", "adaptive")

    @property
    def is_budgeted(self) -> bool:
        return self.config is not None and self.config.get("type") == "enabled"


_NONE: Final = Thinking()


def plan_thinking(
    given: Mapping[str, Any] | None,
    effort: str | None,
    capability: Capability,
    max_tokens: int,
    losses: Losses,
) -> Thinking:
    """`given` is the client's `thinking`, `effort` its `reasoning_effort`."""
    if given is None and effort is None:
        return _NONE
    if capability.thinking == "adaptive":
        return _plan_adaptive(given, effort, capability)
    if capability.thinking == "budget":
        return _plan_budget(given, effort, capability, max_tokens, losses)
    if effort not in (None, "none"):
        losses.drop("reasoning_effort")
    return Thinking(dict(given) if given is not None else None)


def _plan_adaptive(given: Mapping[str, Any] | None, effort: str | None, capability: Capability) -> Thinking:
    form = given.get("type") if given is not None else None
    if form == "disabled" or (given is None and effort == "none"):
        return _least(capability)
    if effort == "none":
        effort = None
    if given is None:
        return Thinking({"type": "adaptive", "display": "summarized"}, _nearest(effort, capability))
    if form != "enabled":
        return Thinking(dict(given), _nearest(effort, capability))
    rest = {name: value for name, value in given.items() if name not in ("type", "budget_tokens")}
    wanted = effort or _effort_of(given.get("budget_tokens"))
    return Thinking({"type": "adaptive", "display": "summarized"} | rest, _nearest(wanted, capability))


def _least(capability: Capability) -> Thinking:
    """As little as the family can: none at all, its own word for it, or the weakest effort."""
    if capability.can_disable_thinking:
        return Thinking({"type": "disabled"})
    if capability.least_thinking is not None:
        return Thinking({"type": capability.least_thinking})
    return Thinking(None, _nearest("minimal", capability))


def _plan_budget(
    given: Mapping[str, Any] | None, effort: str | None, capability: Capability, max_tokens: int, losses: Losses
) -> Thinking:
    form = given.get("type") if given is not None else None
    if given is not None and form not in ("enabled", "adaptive"):
        return Thinking(dict(given))
    if given is None and effort == "none":
        return Thinking()
    wanted = given.get("budget_tokens") if given is not None else None
    if not isinstance(wanted, int):
        wanted = _BUDGETS.get(effort or "high", capability.budget_min)
    budget = min(wanted, max_tokens - 1)
    if budget < capability.budget_min:
        losses.drop("reasoning_effort" if given is None else "thinking")
        return Thinking()
    rest = {name: value for name, value in (given or {}).items() if name not in ("type", "budget_tokens")}
    return Thinking({"type": "enabled", "budget_tokens": budget, **rest})


def _nearest(effort: str | None, capability: Capability) -> str | None:
    """The effort itself, or the next stronger one that the family takes, or its strongest."""
    if effort is None or not capability.efforts:
        return None
    stronger = _EFFORTS[_EFFORTS.index(effort) :]
    return next((name for name in stronger if name in capability.efforts), capability.efforts[-1])


def _effort_of(budget: Any) -> str:
    if not isinstance(budget, int):
        return "high"
    return next((effort for least, effort in _EFFORT_BY_BUDGET if budget >= least), "low")
