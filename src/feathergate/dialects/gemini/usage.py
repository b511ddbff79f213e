"""Tokens as Gemini counts them, told as OpenAI tells them.

Every event of a stream counts from the start, so nothing is added up: the last counts. Its numbers need not be the
largest, for the steps between a model's searches are counted anew. An event without a total is only a part, and
changes only what it names. Source: reference/wire/gemini.md section 5, "Usage".
"""

from __future__ import annotations

from feathergate.wire.chat import CompletionTokensDetails, PromptTokensDetails, Usage
from feathergate.wire.gemini import ModalityTokens, UsageMetadata

_TIERS = {"standard": "default", "flex": "flex", "priority": "priority"}
_MODALITIES = ("", "TEXT", "IMAGE", "VIDEO", "AUDIO", "DOCUMENT")


class UsageCounter:
    """The `usageMetadata` of one answer."""

    __slots__ = ("_candidates_details", "_counts", "_prompt_details", "service_tier")

    def __init__(self) -> None:
        self._counts: tuple[int, ...] | None = None
        self._prompt_details: list[ModalityTokens] = []
        self._candidates_details: list[ModalityTokens] = []
        self.service_tier: str | None = None

    def add(self, usage: UsageMetadata) -> None:
        counts = (
            usage.prompt_token_count or 0,
            usage.tool_use_prompt_token_count or 0,
            usage.cached_content_token_count or 0,
            usage.candidates_token_count or 0,
            usage.thoughts_token_count or 0,
            usage.total_token_count or 0,
        )
        if self._counts is None or usage.total_token_count:
            self._counts = counts
        else:
            self._counts = tuple(new or old for new, old in zip(counts, self._counts, strict=True))
        self._prompt_details = usage.prompt_tokens_details or self._prompt_details
        self._candidates_details = usage.candidates_tokens_details or self._candidates_details
        if usage.service_tier is not None:
            self.service_tier = _TIERS.get(usage.service_tier.lower())

    def build(self) -> Usage | None:
        """None where the provider counted nothing. Some models count the thoughts among the candidates' tokens:
        the total tells."""
        if self._counts is None:
            return None
        prompt, tool_use, cached, candidates, thoughts, total = self._counts
        prompt += tool_use
        completion = candidates if prompt + candidates == total else candidates + thoughts
        read, written = _by_modality(self._prompt_details), _by_modality(self._candidates_details)
        return Usage(
            prompt_tokens=prompt,
            completion_tokens=completion,
            total_tokens=total or prompt + completion,
            prompt_tokens_details=PromptTokensDetails(
                cached_tokens=cached,
                audio_tokens=read.get("AUDIO"),
                text_tokens=read.get("TEXT"),
                image_tokens=read.get("IMAGE"),
            ),
            completion_tokens_details=CompletionTokensDetails(
                reasoning_tokens=thoughts,
                audio_tokens=written.get("AUDIO"),
                text_tokens=written.get("TEXT"),
                image_tokens=written.get("IMAGE"),
            ),
        )


def _by_modality(details: list[ModalityTokens]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for detail in details:
        name = detail.modality
        if isinstance(name, int):
            name = _MODALITIES[name] if 0 <= name < len(_MODALITIES) else ""
        counts[name] = counts.get(name, 0) + detail.token_count
    return counts
