"""Tokens as Gemini counts them, told as OpenAI tells them.

Every event of a stream counts from the start, so nothing is added up: the last counts. Its numbers need not be the
largest, for the steps between a model's searches are counted anew. An event without a total is only a part, and
changes only what it names. Source: reference/wire/gemini.md section 5, "Usage".
"""

from __future__ import annotations

from typing import Final

from feathergate.events import Usage
from feathergate.wire import chat
from feathergate.wire.chat import CompletionTokensDetails, PromptTokensDetails
from feathergate.wire.gemini import ModalityTokens, UsageMetadata

_TIERS: Final = {"standard": "default", "flex": "flex", "priority": "priority"}
_MODALITIES: Final = ("", "TEXT", "IMAGE", "VIDEO", "AUDIO", "DOCUMENT")


def merge_usage(old: UsageMetadata, new: UsageMetadata) -> UsageMetadata:
    """What is known after `new`, which comes with every event and mostly says all that `old` did."""
    if (
        new.total_token_count
        and (not old.prompt_tokens_details or new.prompt_tokens_details)
        and (not old.candidates_tokens_details or new.candidates_tokens_details)
        and (old.service_tier is None or new.service_tier is not None)
    ):
        return new
    counts = new if new.total_token_count else old
    return UsageMetadata(
        new.prompt_token_count or counts.prompt_token_count,
        new.candidates_token_count or counts.candidates_token_count,
        new.thoughts_token_count or counts.thoughts_token_count,
        new.tool_use_prompt_token_count or counts.tool_use_prompt_token_count,
        new.cached_content_token_count or counts.cached_content_token_count,
        counts.total_token_count,
        new.prompt_tokens_details or old.prompt_tokens_details,
        new.candidates_tokens_details or old.candidates_tokens_details,
        old.service_tier if new.service_tier is None else new.service_tier,
    )


def build_usage(usage: UsageMetadata) -> Usage:
    """Some models count the thoughts among the candidates' tokens: the total tells."""
    prompt = (usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0)
    completion = usage.candidates_token_count or 0
    thoughts, total = usage.thoughts_token_count or 0, usage.total_token_count or 0
    if prompt + completion != total:
        completion += thoughts
    told = chat.Usage(
        prompt,
        completion,
        total or prompt + completion,
        _build_read(usage.cached_content_token_count or 0, usage.prompt_tokens_details),
        _build_written(thoughts, usage.candidates_tokens_details),
    )
    tier = usage.service_tier
    return Usage(told, None if tier is None else _TIERS.get(tier.lower()))


def _build_read(cached: int, details: list[ModalityTokens] | None) -> PromptTokensDetails:
    if not details:
        return PromptTokensDetails(cached)
    count = _by_modality(details).get
    return PromptTokensDetails(
        cached, audio_tokens=count("AUDIO"), text_tokens=count("TEXT"), image_tokens=count("IMAGE")
    )


def _build_written(thoughts: int, details: list[ModalityTokens] | None) -> CompletionTokensDetails:
    if not details:
        return CompletionTokensDetails(thoughts)
    count = _by_modality(details).get
    return CompletionTokensDetails(
        thoughts, audio_tokens=count("AUDIO"), text_tokens=count("TEXT"), image_tokens=count("IMAGE")
    )


def _by_modality(details: list[ModalityTokens]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for detail in details:
        name = detail.modality
        if isinstance(name, int):
            name = _MODALITIES[name] if 0 <= name < len(_MODALITIES) else ""
        counts[name] = counts.get(name, 0) + detail.token_count
    return counts
