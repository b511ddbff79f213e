"""OpenAI's chat request to Anthropic's.

Each field of the request stands in exactly one of the lists below, and a test holds them to it. What a family
takes is asked of its capability, never of its name. The same history makes the same bytes, because the
provider's caches and signatures are bound to them. Specification: reference/wire/anthropic.md sections 1 to 5.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, Raw, UnsetType

from feathergate.capability import Capability
from feathergate.dialects.contract import Built, Context, Target
from feathergate.dialects.messages.history import History, build_history, lacks_thinking
from feathergate.dialects.messages.loss import Losses
from feathergate.dialects.messages.part import Block, build_marker
from feathergate.dialects.messages.thinking import Thinking, plan_thinking
from feathergate.dialects.messages.tool import (
    Choice,
    Wish,
    build_choice,
    build_known_tools,
    build_tools,
    map_names,
    name_of,
    read_choice,
)
from feathergate.dialects.schema import sanitise_for_messages
from feathergate.errors import ClientError
from feathergate.wire import codec
from feathergate.wire.chat import ChatRequest, FunctionTool, Message, ResponseFormat, Tool

PATH = "/v1/messages"
VERSION = "2023-06-01"

TRANSLATED = (
    "model",
    "messages",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "stop",
    "user",
    "safety_identifier",
    "service_tier",
    "reasoning_effort",
    "parallel_tool_calls",
    "tools",
    "functions",
    "tool_choice",
    "function_call",
    "response_format",
    "web_search_options",
    "thinking",
    "cache_control",
)
DROPPED = (
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "store",
    "verbosity",
    "modalities",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "audio",
    "metadata",
    "moderation",
    "prediction",
)
REFUSED = ("n",)
"""Refused above 1: one answer in place of several would change what was asked for."""

# Values of dropped fields that ask for nothing: leaving them out loses nothing.
_NEUTRAL: Mapping[str, Any] = {
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "logprobs": False,
    "logit_bias": {},
    "store": False,
    "verbosity": "medium",
    "modalities": ["text"],
}
_SAMPLING_DEFAULT = 1.0
_SERVICE_TIERS = {"auto": "auto", "default": "standard_only"}
_MAX_TOKENS_UNKNOWN = 8_192
_MAX_TOKENS_WHOLE = 21_333  # what a model can write within the ten minutes that a whole answer may take
_MARKERS_LIMIT = 4
_USER_LIMIT = 512
_PERSONAL = re.compile(r"\S@\S+\.\S|^\+?[\d\s().-]{7,}$")
_SEARCH_USES = {"low": 1, "medium": 5, "high": 10}
_SEARCH_NAME = "web_search"
_JSON_NAME = "json"
_JSON_INSTRUCTION = "Answer with one JSON object and nothing else."


def build_request(request: ChatRequest, members: codec.Members, target: Target) -> Built:
    """See `contract.Dialect`."""
    if (request.n or 1) > 1:
        raise ClientError("Anthropic gives one answer a request. Send n=1, or n requests.", param="n")
    try:
        return _build(request, members, target)
    except RecursionError:
        raise ClientError("The request is nested too deeply. Send fewer than 300 levels.") from None
