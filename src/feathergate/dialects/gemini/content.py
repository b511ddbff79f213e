"""The conversation as Gemini's `systemInstruction` and `contents`.

Gemini wants the results of all calls of one model turn in one content right after it, in the calls' order and
number, each under its function's name; OpenAI knows results by the call's id alone, wherever they stand. So the
results are first paired with their calls, and then written behind them. Everything is written the same on every
turn, because prompt caches and signatures hang on it. Source: reference/wire/gemini.md sections 2 and 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Raw

from feathergate.capability import Capability
from feathergate.dialects.gemini.call import Call, Paired, build_call, build_result
from feathergate.dialects.gemini.media import build_media
from feathergate.dialects.gemini.turn import Turn
from feathergate.dialects.loss import Losses
from feathergate.errors import ClientError
from feathergate.wire.chat import Message, Part, Spoken
from feathergate.wire.codec import decode_any

_SYSTEM: Final = ("system", "developer")
_RESULTS: Final = ("tool", "function")
_TEXTS: Final = ("text", "refusal")
# Who speaks in a note: a message that has no turn of its own here.
_SPEAKERS: Final = {**dict.fromkeys(_SYSTEM, "System"), **dict.fromkeys(_RESULTS, "Result of a tool")}
_DUMMY_SIGNATURE: Final = "skip_thought_signature_validator"
_SERVER_PARTS: Final = frozenset({"executableCode", "codeExecutionResult", "toolCall", "toolResponse"})

JsonObject = dict[str, Any]


def build_contents(
    turns: Sequence[Turn], paired: Paired, names: Mapping[str, str], capability: Capability, losses: Losses
) -> tuple[JsonObject | None, list[JsonObject]]:
    """`systemInstruction`, if there is one, and `contents`, never empty. Raises `ClientError` naming the place."""
    conversation = _Conversation(paired.calls, names, capability)
    leading = True
    instruction: list[JsonObject] = []
    for index, turn in enumerate(turns):
        role = turn.role
        leading = leading and role in _SYSTEM
        if isinstance(turn, Spoken):
            parts: list[JsonObject] = [{"text": turn.content}]
        else:
            _check_lost(turn, index, losses)
            if index in paired.answers:
                conversation.add_result()
                continue
            parts = _read_parts(turn, index, capability)
        if leading:
            instruction += parts
        elif role == "user":
            conversation.add_user(parts)
        elif role == "assistant":
            conversation.add_model(index, parts, _google(turn.extra_content) if turn.extra_content else {})
        else:
            conversation.add_user([_note(_SPEAKERS[role], part) for part in parts])
    contents = conversation.close() or [{"role": "user", "parts": [{"text": " "}]}]
    return ({"parts": instruction} if instruction else None), contents


class _Conversation:
    """The contents as they grow. A model turn stays open until another speaks, and its results close it."""

    def __init__(self, calls: Mapping[int, Sequence[Call]], names: Mapping[str, str], capability: Capability) -> None:
        self._calls = calls
        self._names = names
        self._capability = capability
        self._contents: list[JsonObject] = []
        self._user: list[JsonObject] = []
        self._model: list[JsonObject] = []
        self._open: list[tuple[Call, JsonObject]] = []
        self._signatures: set[str] = set()

    def add_user(self, parts: list[JsonObject]) -> None:
        if parts and self._model:
            self._close_model()
        self._user += parts

    def add_result(self) -> None:
        """A result ends the step that called for it; what it says has been paired with its call."""
        if self._open:
            self._close_model()

    def add_model(self, index: int, parts: list[JsonObject], google: Mapping[str, Any]) -> None:
        """`google` is what our own answer kept beside the message."""
        calls = self._calls.get(index)
        called = [(call, self._build_call(call)) for call in calls] if calls else None
        if google:
            parts = _server_parts(google) + parts
            self._sign_text(google, parts, has_calls=bool(called))
        if self._user and (parts or called):
            self._close_user()
        self._model += parts
        if called:
            self._model += [part for _, part in called]
            self._open += called

    def close(self) -> list[JsonObject]:
        if self._model:
            self._close_model()
        if self._user:
            self._close_user()
        return self._contents

    def _close_model(self) -> None:
        """The model's turn, and the results of its calls in their order."""
        self._contents.append({"role": "model", "parts": self._model})
        self._model = []
        if self._open:
            parts = [part for _, part in self._open]
            if self._capability.signed_calls and not any("thoughtSignature" in part for part in parts):
                parts[0]["thoughtSignature"] = _DUMMY_SIGNATURE
            results = [build_result(call, self._names, self._capability) for call, _ in self._open]
            self._contents.append({"role": "user", "parts": [result for result, _ in results]})
            self._user += [part for _, media in results for part in media]
            self._open = []

    def _close_user(self) -> None:
        if not self._capability.media_alone and not any("text" in part for part in self._user):
            self._user.append({"text": " "})
        self._contents.append({"role": "user", "parts": self._user})
        self._user = []

    def _build_call(self, call: Call) -> JsonObject:
        part = build_call(call, self._names, self._capability)
        if call.signature and self._claim(call.signature):
            part["thoughtSignature"] = call.signature
        return part

    def _sign_text(self, google: Mapping[str, Any], parts: list[JsonObject], *, has_calls: bool) -> None:
        """The signature of a text stands beside the message; it goes back on the last text, or on an empty one."""
        signature = google.get("thought_signature")
        if not isinstance(signature, str) or not signature or not self._claim(signature):
            return
        if parts and "text" in parts[-1]:
            parts[-1]["thoughtSignature"] = signature
        elif not parts and not has_calls:
            parts.append({"text": "", "thoughtSignature": signature})

    def _claim(self, signature: str) -> bool:
        """A signature counts once: twice is billed twice."""
        fresh = signature not in self._signatures
        self._signatures.add(signature)
        return fresh


def _read_parts(message: Message, index: int, capability: Capability) -> list[JsonObject]:
    """What a message says. Empty text makes no part, and a user's message alone may hold media."""
    content = message.content
    parts: list[JsonObject] = []
    if isinstance(content, str):
        if content:
            parts.append({"text": content})
    else:
        for place, part in enumerate(content or ()):
            where = f"messages[{index}].content[{place}]"
            if part.type not in _TEXTS and message.role == "user":
                parts.append(build_media(part, where, with_resolution=capability.media_resolution == "part"))
            elif text := _text_of(part, where):
                parts.append({"text": text})
    if message.refusal:
        parts.append({"text": message.refusal})
    return parts


def _text_of(part: Part, where: str) -> str:
    text = part.refusal if part.type == "refusal" else part.text
    if part.type not in _TEXTS or text is None:
        raise ClientError(f"'{where}' is no text. Send a part of type text with its text.", param=f"{where}.type")
    return text


def _server_parts(google: Mapping[str, Any]) -> list[JsonObject]:
    """What our own answer kept of the provider's tools, for this turn."""
    parts = google.get("parts")
    return [
        part
        for part in (parts if isinstance(parts, list) else ())
        if isinstance(part, dict) and not _SERVER_PARTS.isdisjoint(part)
    ]


def _google(extra_content: Mapping[str, Any]) -> Mapping[str, Any]:
    google = extra_content.get("google")
    return google if isinstance(google, dict) else {}


def _note(what: str, part: JsonObject) -> JsonObject:
    text = part["text"]
    return {"text": f"[{what}] {decode_any(text) if isinstance(text, Raw) else text}"}


def _check_lost(message: Message, index: int, losses: Losses) -> None:
    if message.name is not None and message.role not in _RESULTS:
        losses.drop("messages.name", f"messages[{index}].name")
    if message.audio is not None:
        losses.drop("messages.audio", f"messages[{index}].audio")
    if message.cache_control is not None:
        losses.drop("messages.cache_control", f"messages[{index}].cache_control")
    if isinstance(message.content, list):
        for place, part in enumerate(message.content):
            for mark in ("cache_control", "prompt_cache_breakpoint"):
                if getattr(part, mark) is not None:
                    losses.drop(f"messages.content.{mark}", f"messages[{index}].content[{place}].{mark}")
