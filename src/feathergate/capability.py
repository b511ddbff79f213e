"""What each model family can do: one row a family, looked up by the model's name.

A builder asks the row, never the name. A name of no known family gets `UNLIMITED`: no family's limits, every
parameter sent. An unknown `claude-*` or `gemini-*` is taken for the newest family of its maker, because a new
model more likely refuses what its elders refused than takes it again. Sources: reference/wire/anthropic.md
section 2, gemini.md section 3, openai-chat.md section 4.
"""

from __future__ import annotations

from typing import Literal

import msgspec

ThinkingForm = Literal["adaptive", "budget", "level", "none"]
Sampling = Literal["all", "one_of", "none"]


class Capability(msgspec.Struct, frozen=True, kw_only=True):
    """One family. Defaults are those of an unknown model: nothing is limited, nothing is renamed.

    `max_output_tokens` is None where unknown. `sampling` tells which of temperature and top_p may be sent.
    `efforts` are the values of effort (or thinking level) that the family takes, weakest first; `thinking` is the
    form it takes them in. `budget_min`/`budget_max` bound a thinking budget; 0 for `budget_off` = can be off.
    """

    max_output_tokens: int | None = None
    sampling: Sampling = "all"
    max_temperature: float = 2.0
    thinking: ThinkingForm = "none"
    efforts: tuple[str, ...] = ()
    budget_min: int = 1024
    budget_max: int = 32768
    can_disable_thinking: bool = True
    forced_tools: bool = True
    prefill: bool = True
    system_in_place: bool = False
    penalties: bool = True
    call_ids: bool = True
    max_tokens_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"


UNLIMITED = Capability()


_CLAUDE_NEWEST = Capability()
_CLAUDE: tuple[tuple[str, Capability], ...] = ()

_GEMINI_NEWEST = Capability()
_GEMINI: tuple[tuple[str, Capability], ...] = ()

_OPENAI: tuple[tuple[str, Capability], ...] = ()

# A name's maker by its prefix: its families, and what an unknown model of that maker is taken for.
_MAKERS: tuple[tuple[str, tuple[tuple[str, Capability], ...], Capability], ...] = (
    ("claude-", _CLAUDE, _CLAUDE_NEWEST),
    ("gemini-", _GEMINI, _GEMINI_NEWEST),
    ("", _OPENAI, UNLIMITED),
)


def find_capability(model: str) -> Capability:
    """The row of the family with the longest prefix that `model` (the upstream's id) begins with."""
    for maker, families, newest in _MAKERS:
        if model.startswith(maker):
            known = [(prefix, row) for prefix, row in families if model.startswith(prefix)]
            return max(known, key=lambda pair: len(pair[0]))[1] if known else newest
    return UNLIMITED
