"""What each model family can do: one row a family, looked up by the model's name.

A builder asks the row, never the name. A name of no known family gets `UNLIMITED`: no family's limits, every
parameter sent. An unknown `claude-*` or `gemini-*` is taken for the newest family of its maker, because a new
model more likely refuses what its elders refused than takes it again. Sources: reference/wire/anthropic.md
section 2, gemini.md section 3, openai-chat.md section 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec.structs import replace

ThinkingForm = Literal["adaptive", "budget", "level", "effort", "none"]
Sampling = Literal["all", "one_of", "none"]


class Capability(msgspec.Struct, frozen=True, kw_only=True):
    """One family. Defaults are those of an unknown model: nothing is limited, nothing is renamed.

    `max_output_tokens` is None where unknown. `sampling` tells which of temperature and top_p may be sent.
    `efforts` are the values of effort (or thinking level) that the family takes, weakest first; `thinking` is the
    form it takes them in. `budget_min`/`budget_max` bound a thinking budget.
    `least_thinking` is Anthropic's `thinking.type` that stands in for off where thinking cannot be disabled;
    `structured_output` tells whether an answer can be bound to a JSON Schema.

    Of Gemini alone: `signed_calls` = tool calls must come back with their thought signatures; `mixed_tools` = tools
    may stand beside structured output and web search; `strict_tools` = arguments can be held to their schema;
    `media_results` = a tool's result may hold media; `media_alone` = a turn may be media without text;
    `media_resolution` tells where the detail of an image is said.

    Of OpenAI alone: `pedantic` = what its API does not document is refused, members of ours included;
    `default_effort` is how the model reasons where nothing is said; `tools_while_thinking` = tools may be called by
    a model that reasons. `sampling` counts only while it does.
    """

    max_output_tokens: Annotated[int, msgspec.Meta(gt=0)] | None = None
    sampling: Sampling = "all"
    max_temperature: float = 2.0
    thinking: ThinkingForm = "none"
    efforts: tuple[str, ...] = ()
    budget_min: int = 1024
    budget_max: int = 32768
    can_disable_thinking: bool = True
    least_thinking: str | None = None
    structured_output: bool = True
    forced_tools: bool = True
    prefill: bool = True
    system_in_place: bool = False
    penalties: bool = True
    call_ids: bool = True
    max_tokens_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    signed_calls: bool = False
    mixed_tools: bool = True
    strict_tools: bool = True
    media_results: bool = True
    media_alone: bool = True
    media_resolution: Literal["part", "request", "none"] = "none"
    pedantic: bool = False
    default_effort: str = "medium"
    tools_while_thinking: bool = True


UNLIMITED = Capability()


_CLAUDE_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_CLAUDE_NEWEST = Capability(
    max_output_tokens=128_000,
    sampling="none",
    max_temperature=1.0,
    thinking="adaptive",
    efforts=_CLAUDE_EFFORTS,
    can_disable_thinking=False,
    forced_tools=False,
    prefill=False,
    system_in_place=True,
)
_CLAUDE_5 = replace(_CLAUDE_NEWEST, can_disable_thinking=True, forced_tools=True)
_CLAUDE_4_7 = replace(_CLAUDE_5, system_in_place=False)
_CLAUDE_4_6 = replace(_CLAUDE_4_7, sampling="one_of", efforts=("low", "medium", "high", "max"))
_CLAUDE_4_5 = Capability(
    max_output_tokens=64_000,
    sampling="one_of",
    max_temperature=1.0,
    thinking="budget",
)
_CLAUDE_4 = replace(_CLAUDE_4_5, sampling="all", structured_output=False)
_CLAUDE_3 = replace(_CLAUDE_4, max_output_tokens=4_096, thinking="none")
_CLAUDE: tuple[tuple[str, Capability], ...] = (
    ("claude-opus-5-5", _CLAUDE_NEWEST),
    ("claude-sonnet-5-5", replace(_CLAUDE_NEWEST, least_thinking="between_tools")),
    ("claude-haiku-5-5", _CLAUDE_5),
    ("claude-fable-5-", _CLAUDE_NEWEST),
    ("claude-mythos-5-", _CLAUDE_NEWEST),
    ("claude-mythos-preview", _CLAUDE_NEWEST),
    ("claude-fable-5", replace(_CLAUDE_NEWEST, forced_tools=True)),
    ("claude-mythos-5", replace(_CLAUDE_NEWEST, forced_tools=True)),
    ("claude-opus-5", _CLAUDE_5),
    ("claude-sonnet-5", _CLAUDE_4_7),
    ("claude-opus-4-8", _CLAUDE_5),
    ("claude-opus-4-7", _CLAUDE_4_7),
    ("claude-opus-4-6", _CLAUDE_4_6),
    ("claude-sonnet-4-6", _CLAUDE_4_6),
    ("claude-opus-4-5", replace(_CLAUDE_4_5, efforts=("low", "medium", "high"))),
    ("claude-sonnet-4-5", _CLAUDE_4_5),
    ("claude-haiku-4-5", _CLAUDE_4_5),
    ("claude-sonnet-4-2", _CLAUDE_4),  # sonnet-4 and opus-4 are named by their date alone
    ("claude-sonnet-4-0", _CLAUDE_4),
    ("claude-opus-4-2", replace(_CLAUDE_4, max_output_tokens=32_000)),
    ("claude-opus-4-0", replace(_CLAUDE_4, max_output_tokens=32_000)),
    ("claude-opus-4-1", replace(_CLAUDE_4, max_output_tokens=32_000, sampling="one_of")),
    ("claude-3-7", _CLAUDE_4),
    ("claude-3-5", replace(_CLAUDE_3, max_output_tokens=8_192)),
    ("claude-3-", _CLAUDE_3),
)

_GEMINI_NEWEST = Capability(
    sampling="none",
    thinking="level",
    efforts=("low", "medium", "high"),
    can_disable_thinking=False,
    penalties=False,
    signed_calls=True,
    media_resolution="part",
)
_GEMINI_3 = replace(_GEMINI_NEWEST, sampling="all")
_GEMINI_3_MINIMAL = replace(_GEMINI_3, efforts=("minimal", "low", "medium", "high"))
_GEMINI_3_SILENT = replace(_GEMINI_3, thinking="none", efforts=(), signed_calls=False)
_GEMINI_2_5 = Capability(
    thinking="budget",
    budget_min=1,
    budget_max=24_576,
    call_ids=False,
    mixed_tools=False,
    media_results=False,
    media_resolution="request",
)
_GEMINI_2_5_SILENT = replace(_GEMINI_2_5, thinking="none")
_GEMINI_2_0 = replace(_GEMINI_2_5, thinking="none", strict_tools=False, media_alone=False)
_GEMINI: tuple[tuple[str, Capability], ...] = (
    ("gemini-1", replace(_GEMINI_2_0, structured_output=False, media_resolution="none")),
    ("gemini-2.0", _GEMINI_2_0),
    ("gemini-2.5-pro", replace(_GEMINI_2_5, budget_min=128, budget_max=32_768, can_disable_thinking=False)),
    ("gemini-2.5-flash", _GEMINI_2_5),
    ("gemini-2.5-flash-lite", replace(_GEMINI_2_5, budget_min=512)),
    ("gemini-2.5-flash-image", _GEMINI_2_5_SILENT),
    ("gemini-2.5-flash-preview-tts", _GEMINI_2_5_SILENT),
    ("gemini-2.5-pro-preview-tts", _GEMINI_2_5_SILENT),
    ("gemini-3-pro", replace(_GEMINI_3, efforts=("low", "high"))),
    ("gemini-3-flash", _GEMINI_3_MINIMAL),
    ("gemini-3.1-pro", _GEMINI_3),
    ("gemini-3.1-flash-lite", _GEMINI_3_MINIMAL),
    ("gemini-3.1-flash-tts", _GEMINI_3_SILENT),
    ("gemini-3.5-flash", _GEMINI_3_MINIMAL),
    ("gemini-3.5-flash-lite", replace(_GEMINI_3_MINIMAL, sampling="none")),
    ("gemini-3.6-flash", replace(_GEMINI_3_MINIMAL, sampling="none")),
)

_GPT = Capability(pedantic=True)
_GPT_REASONING = replace(
    _GPT,
    thinking="effort",
    efforts=("low", "medium", "high"),
    sampling="none",
    can_disable_thinking=False,
    max_tokens_name="max_completion_tokens",
)
_GPT_5 = replace(_GPT_REASONING, efforts=("minimal", "low", "medium", "high"))
_GPT_5_1 = replace(_GPT_REASONING, can_disable_thinking=True, default_effort="none")
_GPT_5_2 = replace(_GPT_5_1, efforts=("low", "medium", "high", "xhigh"))
_GPT_NEWEST = replace(_GPT_5_2, default_effort="medium", tools_while_thinking=False)
_OPENAI: tuple[tuple[str, Capability], ...] = (
    ("gpt-3.5", _GPT),
    ("gpt-4", _GPT),
    ("gpt-4o", _GPT),
    ("gpt-4.1", _GPT),
    ("gpt-audio", _GPT),
    ("chatgpt-4o", _GPT),
    ("o1", _GPT_REASONING),
    ("o3", _GPT_REASONING),
    ("o4", _GPT_REASONING),
    ("gpt-5", _GPT_5),
    ("gpt-5-chat", replace(_GPT, max_tokens_name="max_completion_tokens")),
    ("gpt-5.", _GPT_NEWEST),
    ("gpt-5.1", _GPT_5_1),
    ("gpt-5.2", _GPT_5_2),
    ("gpt-5.3", _GPT_5_2),
    ("gpt-6", _GPT_NEWEST),
    ("gpt-6-astra", replace(_GPT_NEWEST, can_disable_thinking=False)),
)

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
            known = [(prefix, row) for prefix, row in families if _begins_with(model, prefix)]
            return max(known, key=lambda pair: len(pair[0]))[1] if known else newest
    return UNLIMITED


def _begins_with(model: str, prefix: str) -> bool:
    """Whether `prefix` stands before the rest and does not end within a word of it: o1 is no beginning of o1ive."""
    rest = model[len(prefix) :]
    return model.startswith(prefix) and not (prefix[-1].isalnum() and rest[:1].isalpha())


def override_capability(row: Capability, values: Mapping[str, Any]) -> Capability:
    """The row with the fields that a configuration gives; `values` are of the fields' own names and types."""
    return replace(row, **values) if values else row
