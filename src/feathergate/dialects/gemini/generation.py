"""`generationConfig`: the knobs of an answer.

Source: reference/wire/gemini.md sections 2 to 4.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET

from feathergate.capability import Capability
from feathergate.dialects.gemini.schema import clean_schema
from feathergate.dialects.gemini.thinking import build_thinking
from feathergate.dialects.loss import Losses
from feathergate.errors import ClientError
from feathergate.wire.chat import ChatRequest
from feathergate.wire.codec import decode_any, decode_response_format, given

_STOP_LIMIT: Final = 5
_CANDIDATE_LIMIT: Final = 8
_PENALTY_BOUND: Final = 1.99  # Gemini takes less than 2, OpenAI 2 itself
_MODALITIES: Final = {"text": "TEXT", "audio": "AUDIO", "image": "IMAGE"}


def build_generation(request: ChatRequest, capability: Capability, losses: Losses) -> dict[str, Any]:
    """All of it but `mediaResolution`, which hangs on the messages. Raises `ClientError`."""
    config: dict[str, Any] = {}
    _add_limits(config, request)
    _add_sampling(config, request, capability, losses)
    if request.response_format is not UNSET:
        config |= _build_form(request, capability)
    if request.modalities or request.audio is not UNSET:
        config |= _build_voice(request, losses)
    if request.reasoning_effort is not None or request.thinking is not UNSET:
        config |= _build_thoughts(request, capability, losses)
    return config


def _add_limits(config: dict[str, Any], request: ChatRequest) -> None:
    limit = request.max_completion_tokens or request.max_tokens
    if limit is not None:
        config["maxOutputTokens"] = limit
    if request.n is not None and request.n > 1:
        if request.n > _CANDIDATE_LIMIT:
            raise ClientError(f"'n' is {request.n}; Gemini gives at most {_CANDIDATE_LIMIT} choices.", param="n")
        config["candidateCount"] = request.n
    if request.stop:
        stop = [text for text in ([request.stop] if isinstance(request.stop, str) else request.stop) if text]
        if len(stop) > _STOP_LIMIT:
            raise ClientError(f"'stop' holds {len(stop)} sequences; Gemini takes {_STOP_LIMIT}.", param="stop")
        if stop:
            config["stopSequences"] = stop


def _add_sampling(config: dict[str, Any], request: ChatRequest, capability: Capability, losses: Losses) -> None:
    for name, member, value in (("temperature", "temperature", request.temperature), ("top_p", "topP", request.top_p)):
        if value is not None and capability.sampling != "none":
            config[member] = value
        elif value is not None and value != 1:  # 1 is what the model does anyway
            losses.drop(name)
    if request.seed is not None:
        config["seed"] = (request.seed + 2**31) % 2**32 - 2**31
    if request.presence_penalty or request.frequency_penalty:
        _add_penalties(config, request, capability, losses)
    if request.logprobs:
        config["responseLogprobs"] = True
        if request.top_logprobs is not None:
            config["logprobs"] = request.top_logprobs
    elif request.top_logprobs:
        losses.drop("top_logprobs")  # which counts only beside logprobs


def _add_penalties(config: dict[str, Any], request: ChatRequest, capability: Capability, losses: Losses) -> None:
    for name, member, value in (
        ("presence_penalty", "presencePenalty", request.presence_penalty),
        ("frequency_penalty", "frequencyPenalty", request.frequency_penalty),
    ):
        if value and capability.penalties:
            config[member] = min(value, _PENALTY_BOUND)
        elif value:
            losses.drop(name)


def _build_form(request: ChatRequest, capability: Capability) -> dict[str, Any]:
    """Structured output."""
    raw = given(request.response_format)
    if raw is None:
        return {}
    form = decode_response_format(raw)
    if form.type == "text":
        return {}
    if (request.tools or request.functions) and not capability.mixed_tools:
        raise ClientError(
            "'response_format' and 'tools' cannot stand in one request to this model. Leave one of them out, or take "
            "a model of Gemini 3 or later.",
            param="response_format",
        )
    config: dict[str, Any] = {"responseMimeType": "application/json"}
    if form.json_schema is not None and form.json_schema.schema is not None:
        if not capability.structured_output:
            message = "'response_format' holds a schema, which this model cannot be bound to. Send json_object."
            raise ClientError(message, param="response_format.json_schema")
        description = form.json_schema.description
        described = {"description": description} if description else {}
        config["responseJsonSchema"] = described | clean_schema(form.json_schema.schema)
    return config


def _build_voice(request: ChatRequest, losses: Losses) -> dict[str, Any]:
    config: dict[str, Any] = {}
    modalities = request.modalities or []
    for index, modality in enumerate(modalities):
        if modality not in _MODALITIES:
            where = f"modalities[{index}]"
            message = f"'{where}' is '{modality}', which Gemini cannot answer in. Send {', '.join(_MODALITIES)}."
            raise ClientError(message, param=where)
    if modalities and modalities != ["text"]:
        config["responseModalities"] = [_MODALITIES[modality] for modality in modalities]
    raw = given(request.audio)
    if raw is None:
        return config
    audio = decode_any(raw)
    voice = audio.get("voice") if isinstance(audio, dict) else None
    voice = voice.get("id") if isinstance(voice, dict) else voice
    if not isinstance(voice, str):
        raise ClientError("'audio.voice' is missing. Send the name of one of Gemini's voices.", param="audio.voice")
    if audio.get("format") not in (None, "pcm16"):
        losses.drop("audio.format")
    return config | {"speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}}}


def _build_thoughts(request: ChatRequest, capability: Capability, losses: Losses) -> dict[str, Any]:
    if capability.thinking in ("level", "budget"):
        thinking = build_thinking(request, capability)
        return {"thinkingConfig": thinking} if thinking is not None else {}
    if request.reasoning_effort not in (None, "none"):
        losses.drop("reasoning_effort")
    if given(request.thinking) is not None:
        losses.drop("thinking")
    return {}
