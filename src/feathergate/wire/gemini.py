"""Gemini's generateContent on the wire: what we read of its answers, its streams and its errors.

Every event of a stream is a whole `GenerateContentResponse` with new parts only, so one shape serves both. Unknown
members are passed over; proto3 leaves out what is zero or empty, so nothing is required; enums come as names or,
from some clients of Vertex, as numbers. Requests have no structs: `dialects/gemini` writes them as plain objects.
Source: reference/wire/gemini.md sections 5 to 7.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

Enum = str | int


class _Camel(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The root of these shapes: members in camelCase."""


class PartialArg(_Camel, frozen=True, gc=False):
    """A piece of a call's arguments and the place it belongs to; at most one value is set (Vertex only)."""

    json_path: str = ""
    string_value: str | UnsetType = UNSET
    number_value: float | int | UnsetType = UNSET
    bool_value: bool | UnsetType = UNSET
    null_value: Any = UNSET
    will_continue: bool | None = None


class FunctionCall(_Camel, frozen=True, gc=False):
    """`args` is kept as the bytes that came, so that no number in it changes."""

    name: str | None = None
    id: str | None = None
    args: Raw | UnsetType = UNSET
    partial_args: list[PartialArg] | None = None
    will_continue: bool | None = None


class Blob(_Camel, frozen=True, gc=False):
    mime_type: str = ""
    data: str = ""


class Part(_Camel, frozen=True, gc=False):
    """Which member is set tells what the part is; a signature may stand beside any of them."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None
    inline_data: Blob | None = None
    executable_code: Raw | UnsetType = UNSET
    code_execution_result: Raw | UnsetType = UNSET
    tool_call: Raw | UnsetType = UNSET
    tool_response: Raw | UnsetType = UNSET


class Content(_Camel, frozen=True, gc=False):
    parts: list[Part] | None = None


class Source(_Camel, frozen=True, gc=False):
    uri: str | None = None
    title: str | None = None


class GroundingChunk(_Camel, frozen=True, gc=False):
    web: Source | None = None
    maps: Source | None = None
    retrieved_context: Source | None = None


class Segment(_Camel, frozen=True, gc=False):
    """Offsets in bytes of UTF-8."""

    part_index: int = 0
    start_index: int = 0
    end_index: int = 0
    text: str = ""


class GroundingSupport(_Camel, frozen=True, gc=False):
    segment: Segment | None = None
    grounding_chunk_indices: list[int] | None = None


class GroundingMetadata(_Camel, frozen=True, gc=False):
    grounding_chunks: list[GroundingChunk] | None = None
    grounding_supports: list[GroundingSupport] | None = None


class TokenLogprob(_Camel, frozen=True, gc=False):
    token: str = ""
    log_probability: float = 0.0


class TopLogprobs(_Camel, frozen=True, gc=False):
    candidates: list[TokenLogprob] | None = None


class LogprobsResult(_Camel, frozen=True, gc=False):
    chosen_candidates: list[TokenLogprob] | None = None
    top_candidates: list[TopLogprobs] | None = None


class Candidate(_Camel, frozen=True, gc=False):
    index: int = 0
    content: Content | None = None
    finish_reason: Enum | None = None
    finish_message: str | None = None
    grounding_metadata: GroundingMetadata | None = None
    logprobs_result: LogprobsResult | None = None


class ModalityTokens(_Camel, frozen=True, gc=False):
    modality: Enum = ""
    token_count: int = 0


class UsageMetadata(_Camel, frozen=True, gc=False):
    """Tokens so far. The prompt's include the cached; the candidates' leave out the thoughts, mostly."""

    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    total_token_count: int | None = None
    prompt_tokens_details: list[ModalityTokens] | None = None
    candidates_tokens_details: list[ModalityTokens] | None = None
    service_tier: str | None = None


class PromptFeedback(_Camel, frozen=True, gc=False):
    block_reason: Enum | None = None
    block_reason_message: str | None = None


class QuotaViolation(_Camel, frozen=True, gc=False):
    quota_id: str = ""


class Detail(_Camel, frozen=True, gc=False):
    """A detail of any of the `google.rpc` kinds: `ErrorInfo`, `RetryInfo`, `QuotaFailure`, …"""

    reason: str | None = None
    retry_delay: str | None = None
    violations: list[QuotaViolation] | None = None


class Status(_Camel, frozen=True, gc=False):
    """`google.rpc.Status` as it stands under `error`; its details stay raw, see `decode_details`."""

    code: int | str | None = None
    message: str | None = None
    status: str | None = None
    details: Raw | UnsetType = UNSET


class Response(_Camel, frozen=True, gc=False):
    """`GenerateContentResponse`, or the error that came in its place."""

    candidates: list[Candidate] | None = None
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: UsageMetadata | None = None
    model_version: str | None = None
    response_id: str | None = None
    error: Status | str | None = None


decode_body: Callable[[bytes], Response | list[Response]]
decode_body = msgspec.json.Decoder(Response | list[Response]).decode
"""Raises `ValueError` or `RecursionError` where it is neither."""

_DETAILS = msgspec.json.Decoder(list[Detail])


def decode_responses(data: bytes) -> list[Response]:
    """One response, or a JSON array of them. Raises `ValueError` or `RecursionError` where it is neither."""
    found = decode_body(data)
    return found if isinstance(found, list) else [found]


def decode_details(details: Raw | UnsetType) -> list[Detail]:
    """An error's details; empty where they are none that we can read, because the message matters more."""
    if isinstance(details, UnsetType):
        return []
    try:
        return _DETAILS.decode(details)
    except (ValueError, RecursionError):
        return []
