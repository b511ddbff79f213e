"""The conversation as Gemini's `systemInstruction` and `contents`.

Gemini wants the results of all calls of one model turn in one content right after it, in the calls' order and
number, each under its function's name; OpenAI knows results by the call's id alone, wherever they stand. So the
results are first paired with their calls, and then written behind them. Everything is written the same on every
turn, because prompt caches and signatures hang on it. Source: reference/wire/gemini.md sections 2 and 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from feathergate.capability import Capability
from feathergate.dialects.gemini.call import Call, Paired, build_call, build_result
from feathergate.dialects.gemini.media import build_media
from feathergate.dialects.loss import Losses
from feathergate.errors import ClientError
from feathergate.wire.chat import Message, Part

_SYSTEM = ("system", "developer")
_RESULTS = ("tool", "function")
_DUMMY_SIGNATURE = "skip_thought_signature_validator"
_SERVER_PARTS = frozenset({"executableCode", "codeExecutionResult", "toolCall", "toolResponse"})

JsonObject = dict[str, Any]


def build_contents(
    messages: Sequence[Message], paired: Paired, names: Mapping[str, str], capability: Capability, losses: Losses
) -> tuple[JsonObject | None, list[JsonObject]]:
    """`systemInstruction`, if there is one, and `contents`, never empty. Raises `ClientError` naming the place."""
    conversation = _Conversation(paired.calls, names, capability)
    leading = True
    instruction: list[JsonObject] = []
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        _check_lost(message, where, losses)
        leading = leading and message.role in _SYSTEM
        if leading:
            instruction += _text_parts(message, where)
        elif message.role in _SYSTEM:
            conversation.add_user([_note("System", part) for part in _text_parts(message, where)])
        elif message.role == "user":
            conversation.add_user(_user_parts(message, where, capability))
        elif message.role == "assistant":
            conversation.add_model(index, message)
        elif index in paired.orphans:
            conversation.add_user([_note("Result of a tool", part) for part in _text_parts(message, where)])
        else:
            conversation.add_result()
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
        if parts:
            self._close_model()
        self._user += parts

    def add_result(self) -> None:
        """A result ends the step that called for it; what it says has been paired with its call."""
        if self._open:
            self._close_model()

    def add_model(self, index: int, message: Message) -> None:
        calls = [(call, self._build_call(call)) for call in self._calls.get(index, ())]
        parts = _server_parts(message) + _text_parts(message, f"messages[{index}]")
        self._sign_text(message, parts, has_calls=bool(calls))
        if parts or calls:
            self._close_user()
        self._model += [*parts, *(part for _, part in calls)]
        self._open += calls

    def close(self) -> list[JsonObject]:
        self._close_model()
        self._close_user()
        return self._contents

    def _close_model(self) -> None:
        """The model's turn, and the results of its calls in their order."""
        if not self._model:
            return
        self._contents.append({"role": "model", "parts": self._model})
        if self._open:
            parts = [part for _, part in self._open]
            if self._capability.signed_calls and not any("thoughtSignature" in part for part in parts):
                parts[0]["thoughtSignature"] = _DUMMY_SIGNATURE
            results = [build_result(call, self._names, self._capability) for call, _ in self._open]
            self._contents.append({"role": "user", "parts": [result for result, _ in results]})
            self._user += [part for _, media in results for part in media]
        self._model, self._open = [], []

    def _close_user(self) -> None:
        if self._user:
            if not self._capability.media_alone and not any("text" in part for part in self._user):
                self._user.append({"text": " "})
            self._contents.append({"role": "user", "parts": self._user})
        self._user = []

    def _build_call(self, call: Call) -> JsonObject:
        part = build_call(call, self._names, self._capability)
        if call.signature and self._claim(call.signature):
            part["thoughtSignature"] = call.signature
        return part

    def _sign_text(self, message: Message, parts: list[JsonObject], *, has_calls: bool) -> None:
        """The signature of a text stands beside the message; it goes back on the last text, or on an empty one."""
        signature = _google(message.extra_content).get("thought_signature")
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


def _text_parts(message: Message, where: str) -> list[JsonObject]:
    """The text of a message whose role bears nothing else; empty text makes no part."""
    content = message.content
    if isinstance(content, list):
        texts = [_text_of(part, f"{where}.content[{place}]") for place, part in enumerate(content)]
    else:
        texts = [content or ""]
    texts.append(message.refusal or "")
    return [{"text": text} for text in texts if text]


def _text_of(part: Part, where: str) -> str:
    text = part.refusal if part.type == "refusal" else part.text
    if part.type not in ("text", "refusal") or text is None:
        raise ClientError(f"'{where}' is no text. Send a part of type text with its text.", param=f"{where}.type")
    return text


def _user_parts(message: Message, where: str, capability: Capability) -> list[JsonObject]:
    if isinstance(message.content, str) or message.content is None:
        return _text_parts(message, where)
    parts: list[JsonObject] = []
    for place, part in enumerate(message.content):
        at = f"{where}.content[{place}]"
        if part.type in ("text", "refusal"):
            text = _text_of(part, at)
            parts += [{"text": text}] if text else []
        else:
            parts.append(build_media(part, at, with_resolution=capability.media_resolution == "part"))
    return parts


def _server_parts(message: Message) -> list[JsonObject]:
    """What our own answer kept of the provider's tools, for this turn."""
    parts = _google(message.extra_content).get("parts")
    return [
        part
        for part in (parts if isinstance(parts, list) else ())
        if isinstance(part, dict) and _SERVER_PARTS & part.keys()
    ]


def _google(extra_content: Mapping[str, Any] | None) -> Mapping[str, Any]:
    google = (extra_content or {}).get("google")
    return google if isinstance(google, dict) else {}


def _note(what: str, part: JsonObject) -> JsonObject:
    return {"text": f"[{what}] {part['text']}"}


def _check_lost(message: Message, where: str, losses: Losses) -> None:
    if message.name is not None and message.role not in _RESULTS:
        losses.drop("messages.name", f"{where}.name")
    if message.audio is not None:
        losses.drop("messages.audio", f"{where}.audio")
    if message.cache_control is not None:
        losses.drop("messages.cache_control", f"{where}.cache_control")
    for place, part in enumerate(message.content if isinstance(message.content, list) else ()):
        for mark in ("cache_control", "prompt_cache_breakpoint"):
            if getattr(part, mark) is not None:
                losses.drop(f"messages.content.{mark}", f"{where}.content[{place}].{mark}")
