"""How hard to think: OpenAI's `reasoning_effort`, and `thinking` as Anthropic's clients send it, in Gemini's terms.

Gemini 2.5 takes a budget in tokens, later models a level; both at once are refused upstream. Thoughts are asked
for whenever thinking is. Source: reference/wire/gemini.md section 3.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec
from msgspec import Raw

from feathergate.capability import Capability
from feathergate.errors import ClientError
from feathergate.wire.chat import ChatRequest, ReasoningEffort
from feathergate.wire.codec import given

_EFFORTS: tuple[str, ...] = get_args(ReasoningEffort)
_BUDGETS = {"low": 1024, "medium": 8192, "high": 24_576}


class _Thinking(msgspec.Struct, frozen=True, gc=False):
    type: Literal["enabled", "disabled", "adaptive"]
    budget_tokens: int | None = None


_decode_thinking = msgspec.json.Decoder(_Thinking).decode


def build_thinking(request: ChatRequest, capability: Capability) -> dict[str, Any] | None:
    """`thinkingConfig`; None where the request says nothing of thinking. `reasoning_effort` goes first."""
    raw = given(request.thinking)
    thinking = None if raw is None else _read_thinking(raw)
    budget = thinking.budget_tokens if thinking and thinking.type == "enabled" else None
    effort: str | None = request.reasoning_effort
    if effort is None and thinking is not None:
        effort = "none" if thinking.type == "disabled" else _weigh(budget)
    if effort is None:
        return None
    shown = {"includeThoughts": effort != "none"}
    if capability.thinking == "level":
        return shown | {"thinkingLevel": _pick_level(effort, capability.efforts).upper()}
    if request.reasoning_effort is None and budget is not None:
        return shown | {"thinkingBudget": _clamp(budget, capability)}
    return shown | {"thinkingBudget": _pick_budget(effort, capability)}


def _read_thinking(raw: Raw) -> _Thinking:
    try:
        return _decode_thinking(raw)
    except (ValueError, RecursionError) as error:
        message = f'Invalid value for \'thinking\': {error}. Send {{"type": "enabled", "budget_tokens": 1024}}.'
        raise ClientError(message, param="thinking") from None


def _weigh(budget: int | None) -> str:
    """The weakest effort whose budget is at least this; without a budget the middle one."""
    if budget is None:
        return "medium"
    return next((effort for effort, tokens in _BUDGETS.items() if budget <= tokens), "high")


def _pick_level(effort: str, levels: tuple[str, ...]) -> str:
    """The weakest level that is at least this effort, else the strongest there is."""
    wanted = _EFFORTS.index(effort)
    return next((level for level in levels if _EFFORTS.index(level) >= wanted), levels[-1])


def _pick_budget(effort: str, capability: Capability) -> int:
    if effort == "none":
        return 0 if capability.can_disable_thinking else capability.budget_min
    if effort == "minimal":
        return capability.budget_min
    return _clamp(_BUDGETS.get(effort, capability.budget_max), capability)


def _clamp(budget: int, capability: Capability) -> int:
    return min(max(budget, capability.budget_min), capability.budget_max)
