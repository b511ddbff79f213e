"""Tool calls and their results: paired by id, then written as `functionCall` and `functionResponse`.

A result belongs to the latest call of its id before it, so an id that comes again in a later turn does no harm; of
two results for one call the last counts. The older `function_call` has no id: its result belongs to the latest
unanswered call of its name. Source: reference/wire/gemini.md sections 2 and 3, openai-chat.md section 10.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw

from feathergate.capability import Capability
from feathergate.dialects.call_id import split_call_id
from feathergate.dialects.gemini.media import build_media
from feathergate.dialects.gemini.turn import Turn
from feathergate.errors import ClientError
from feathergate.wire.chat import Message, Spoken
from feathergate.wire.codec import raw

_CALLING: Final = ("assistant", "tool", "function")
_MISSING: Final = {"error": "This call has no result."}

_decode_object: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_array: Final = msgspec.json.Decoder(list[Raw]).decode

JsonObject = dict[str, Any]


class Call:
    """One call of the history. `id` is None for the older form; `where` is the place of its result."""

    __slots__ = ("arguments", "id", "name", "result", "signature", "where")

    def __init__(self, call_id: str | None, name: str, arguments: Raw, signature: str | None) -> None:
        self.id = call_id
        self.name = name
        self.arguments = arguments
        self.signature = signature
        self.result: Message | None = None
        self.where = ""


class Paired:
    """The calls of each message, by its index, with their results; and the indexes of the results with a call."""

    __slots__ = ("answers", "calls")

    def __init__(self, calls: dict[int, list[Call]], answers: set[int]) -> None:
        self.calls: Final = calls
        self.answers: Final = answers


def pair_calls(turns: Sequence[Turn]) -> Paired:
    """Raises `ClientError` for a call that is none."""
    calls: dict[int, list[Call]] = {}
    latest: dict[str | None, Call] = {}
    answers: set[int] = set()
    for index, turn in enumerate(turns):
        if turn.role not in _CALLING or isinstance(turn, Spoken):
            continue
        if turn.role == "assistant":
            if turn.tool_calls or turn.function_call:
                calls[index] = _read_calls(turn, f"messages[{index}]")
                latest |= {_key(call.id, call.name): call for call in calls[index]}
            continue
        call = latest.get(_key(_plain_id(turn.tool_call_id), turn.name or ""))
        if call is not None:
            call.result, call.where = turn, f"messages[{index}]"
            answers.add(index)
    return Paired(calls, answers)


def build_call(call: Call, names: Mapping[str, str], capability: Capability) -> JsonObject:
    return {"functionCall": _identify(call, capability) | {"name": names[call.name], "args": call.arguments}}


def build_result(call: Call, names: Mapping[str, str], capability: Capability) -> tuple[JsonObject, list[JsonObject]]:
    """The `functionResponse` part, and the media that must stand beside it where the model wants them apart."""
    response: JsonObject = _identify(call, capability) | {"name": names[call.name]}
    texts, media = _read_result(call)
    response["response"] = _MISSING if call.result is None else _wrap("".join(texts))
    if media and capability.media_results:
        response["parts"] = media
        media = []
    return {"functionResponse": response}, media


def _key(call_id: str | None, name: str) -> str:
    return f"name:{name}" if call_id is None else f"id:{call_id}"


def _plain_id(call_id: str | None) -> str | None:
    return None if call_id is None else split_call_id(call_id)[0]


def _identify(call: Call, capability: Capability) -> JsonObject:
    return {"id": call.id} if capability.call_ids and call.id else {}


def _read_calls(message: Message, where: str) -> list[Call]:
    calls: list[Call] = []
    for place, call in enumerate(message.tool_calls or ()):
        plain, signature = split_call_id(call.id)
        if call.extra_content:
            signature = _read_signature(call.extra_content) or signature
        if call.function is not None:
            calls.append(Call(plain, call.function.name, _parse_arguments(call.function.arguments), signature))
        elif call.custom is not None:
            calls.append(Call(plain, call.custom.name, raw({"input": call.custom.input}), signature))
        else:
            at = f"{where}.tool_calls[{place}]"
            raise ClientError(f"'{at}' holds neither 'function' nor 'custom'. Send one of them.", param=at)
    if message.function_call is not None:
        legacy = message.function_call
        calls.append(Call(None, legacy.name, _parse_arguments(legacy.arguments), None))
    return calls


def _read_signature(extra_content: Mapping[str, Any]) -> str | None:
    google = extra_content.get("google")
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) and signature else None


def _parse_arguments(text: str) -> Raw:
    """A JSON object as it is, to the byte; text that is none is wrapped, for Gemini takes objects alone."""
    if not text.strip():
        return Raw(b"{}")
    return _as_object(text) or raw({"input": text})


def _as_object(text: str) -> Raw | None:
    encoded = text.encode()
    try:
        _decode_object(encoded)
    except (ValueError, RecursionError):
        return None
    return Raw(encoded)


def _wrap(text: str) -> Any:
    """A tool's output as the object that Gemini wants. It resolves `$ref`, so text with one stays text."""
    if '"$ref"' in text:
        return {"output": text}
    found = _as_object(text)
    if found is not None:
        return found
    try:
        _decode_array(text)
    except (ValueError, RecursionError):
        return {"output": text}
    return {"output": Raw(text.encode())}


def _read_result(call: Call) -> tuple[list[str], list[JsonObject]]:
    """The texts of a result, and its media."""
    content = call.result.content if call.result is not None else None
    if content is None or isinstance(content, str):
        return [content or ""], []
    texts = [part.text or part.refusal or "" for part in content if part.type in ("text", "refusal")]
    media = [
        build_media(part, f"{call.where}.content[{place}]", with_resolution=False)
        for place, part in enumerate(content)
        if part.type not in ("text", "refusal")
    ]
    return texts, media
