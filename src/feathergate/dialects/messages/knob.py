"""The knobs that Anthropic has too: each of them a number, a word or a list.

Specification: reference/wire/anthropic.md section 3.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw, UnsetType

from feathergate.capability import Capability
from feathergate.dialects.loss import Losses
from feathergate.dialects.messages.thinking import Thinking
from feathergate.errors import ClientError
from feathergate.wire import codec
from feathergate.wire.chat import ChatRequest

_SAMPLING_DEFAULT: Final = 1.0
_ROOM: Final[Mapping[str, int]] = {"all": 2, "one_of": 1, "none": 0}
_SERVICE_TIERS: Final = {"auto": "auto", "default": "standard_only"}
_MAX_TOKENS_UNKNOWN: Final = 8_192
_MAX_TOKENS_WHOLE: Final = 21_333  # what a model can write within the ten minutes that a whole answer may take
_USER_LIMIT: Final = 512
_PERSONAL: Final = re.compile(r"\S@\S+\.\S|^\+?[\d\s().-]{7,}$")


def read_object(value: Raw | UnsetType, name: str) -> dict[str, Any] | None:
    """A member that is an object or absent; raises `ClientError` for anything else."""
    if isinstance(value, UnsetType) or codec.is_null(value):
        return None
    try:
        decoded = codec.decode_any(value)
    except msgspec.DecodeError as error:
        raise ClientError(f"Invalid value for '{name}': {error}.", param=name, code="invalid_value") from None
    if not isinstance(decoded, dict):
        raise ClientError(f"Invalid value for '{name}': expected an object.", param=name, code="invalid_value")
    return decoded


def choose_max_tokens(request: ChatRequest, capability: Capability) -> int:
    """What was asked for, within what the model can do; all of that where nothing was asked for."""
    limit = capability.max_output_tokens
    asked = request.max_completion_tokens or request.max_tokens
    if asked is not None:
        return min(asked, limit) if limit is not None else asked
    if limit is None:
        return _MAX_TOKENS_UNKNOWN
    return limit if request.stream else min(limit, _MAX_TOKENS_WHOLE)


def build_sampling(
    request: ChatRequest, capability: Capability, thinking: Thinking, losses: Losses
) -> tuple[float | None, float | None]:
    """Of temperature and top_p what the family takes, temperature first; a default that is left out loses nothing."""
    temperature, top_p = request.temperature, request.top_p
    if temperature is None and top_p is None:
        return None, None
    limited = thinking.is_on and capability.thinking != "none"
    room = 0 if limited else _ROOM[capability.sampling]
    if temperature is not None:
        temperature = _take("temperature", temperature, capability.max_temperature, room, losses)
        room -= 1
    if top_p is not None:
        top_p = _take("top_p", top_p, 1.0, room, losses)
    return temperature, top_p


def _take(name: str, value: float, most: float, room: int, losses: Losses) -> float | None:
    """The value, at most `most`, where there is room for it."""
    if room > 0:
        return min(value, most)
    if value != _SAMPLING_DEFAULT:
        losses.drop(name)
    return None


def build_stop(request: ChatRequest, losses: Losses) -> list[str]:
    """Anthropic refuses sequences of nothing but white space."""
    if request.stop is None:
        return []
    stop = [request.stop] if isinstance(request.stop, str) else request.stop
    kept = [sequence for sequence in stop if sequence.strip()]
    if len(kept) < len(stop):
        losses.drop("stop")
    return kept


def build_metadata(request: ChatRequest) -> dict[str, str] | None:
    """The user's id; an address or a number of a person, which Anthropic refuses, as its SHA-256."""
    user = request.safety_identifier or request.user
    if not user:
        return None
    if len(user) > _USER_LIMIT or _PERSONAL.search(user):
        user = hashlib.sha256(user.encode()).hexdigest()
    return {"user_id": user}


def build_service_tier(request: ChatRequest, losses: Losses) -> str | None:
    if request.service_tier is not None and request.service_tier not in _SERVICE_TIERS:
        losses.drop("service_tier")
    return _SERVICE_TIERS.get(request.service_tier or "")
