"""Events to OpenAI's Chat Completions, as the client reads it: chunks of a stream, or one whole answer.

A stream's constant bytes (id, created, model) are encoded once, when it starts; each event then costs its own
text and a join. The role is said once a choice, in its first delta; usage comes last, and only to a client that
asked. A whole answer is the same events folded into one message. Nothing here knows a provider. Specification:
reference/wire/openai-chat.md sections 5 to 8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from feathergate.dialects.thinking import ThinkingBlocks
from feathergate.errors import FeatherGateError, UpstreamError
from feathergate.events import (
    Annotations,
    Audio,
    Event,
    Extra,
    Finished,
    FinishReason,
    Logprobs,
    Media,
    Reasoning,
    RedactedReasoning,
    Refusal,
    Signature,
    Started,
    Text,
    ToolArgs,
    ToolStarted,
    Usage,
)
from feathergate.wire import sse
from feathergate.wire.codec import encode

ERROR_TYPE = "feathergate_error"


def render_error(error: FeatherGateError) -> bytes:
    """The body of every error, whoever made it."""
    detail = {"message": error.message, "type": ERROR_TYPE, "param": error.param, "code": error.code}
    return encode({"error": detail})


def render_error_event(error: FeatherGateError) -> bytes:
    """The error as the last event of a stream that has begun; no `[DONE]` follows it."""
    return sse.encode_event(render_error(error))


def _build_too_deep() -> UpstreamError:
    return UpstreamError("The provider's answer is nested too deeply.", kind="protocol")


# --- parts of a message ------------------------------------------------------------------------------------------


def _envelope(event: Started, kind: str, fallback_id: str, created: int) -> dict[str, Any]:
    """What every chunk and every answer begins with."""
    optional = {"service_tier": event.service_tier, "system_fingerprint": event.system_fingerprint}
    return {
        "id": event.id or fallback_id,
        "object": kind,
        "created": created if event.created is None else event.created,
        "model": event.model,
        **{name: value for name, value in optional.items() if value is not None},
    }


def _finish_reason(event: Finished, legacy_functions: bool) -> FinishReason:
    return "function_call" if legacy_functions and event.reason == "tool_calls" else event.reason


def _call(event: ToolStarted, text: str) -> dict[str, Any]:
    """A tool call as a message holds it, with the arguments known so far."""
    if event.kind == "custom":
        call: dict[str, Any] = {"id": event.id, "type": "custom", "custom": {"name": event.name, "input": text}}
    else:
        call = {"id": event.id, "type": "function", "function": {"name": event.name, "arguments": text}}
    if event.signature is not None:
        call["extra_content"] = {"google": {"thought_signature": event.signature}}
    return call


def _reasoning(event: Reasoning) -> dict[str, Any]:
    members: dict[str, Any] = {"reasoning_content": event.text}
    if event.block is not None:
        members["thinking_blocks"] = [{"index": event.block, "type": "thinking", "thinking": event.text}]
    return members


def _signature(event: Signature) -> dict[str, Any]:
    block = {"index": event.block, "type": "thinking", "thinking": "", "signature": event.signature}
    return {"thinking_blocks": [block]}


def _redacted(event: RedactedReasoning) -> dict[str, Any]:
    return {"thinking_blocks": [{"index": event.block, "type": "redacted_thinking", "data": event.data}]}


# What an event adds to a delta; text, tools and what is not a delta have methods of their own.
_MEMBERS: dict[type[Event], Callable[[Any], dict[str, Any]]] = {
    Refusal: lambda event: {"refusal": event.text},
    Reasoning: _reasoning,
    Signature: _signature,
    RedactedReasoning: _redacted,
    Annotations: lambda event: {"annotations": list(event.items)},
    Media: lambda event: {"images": [{"index": event.index, **event.item}]},
    Audio: lambda event: {"audio": event.value},
    Extra: lambda event: {"extra_content": event.value},
}

# --- a stream -----------------------------------------------------------------------------------------------------


class ChunkRenderer:
    """One stream's events as server-sent chunks. `created` is used where the provider gives no time of its own."""

    def __init__(
        self, fallback_id: str, created: int, *, include_usage: bool = False, legacy_functions: bool = False
    ) -> None:
        self._fallback_id = fallback_id
        self._created = created
        self._include_usage = include_usage
        self._legacy_functions = legacy_functions
        self._head = b""
        self._tail = b',"usage":null}\n\n' if include_usage else b"}\n\n"
        self._roles: set[int] = set()
        self._custom: set[tuple[int, int]] = set()

    def render(self, event: Event) -> bytes:
        """The chunk that says `event`; empty where the client is told nothing. Raises `UpstreamError`."""
        try:
            return self._RENDERERS[type(event)](self, event)
        except RecursionError as error:
            raise _build_too_deep() from error

    def close(self) -> bytes:
        return sse.DONE

    def _chunk(self, choice: int, delta: bytes, rest: bytes = b',"finish_reason":null}]') -> bytes:
        """`delta` is the inside of the delta object."""
        if choice not in self._roles:
            self._roles.add(choice)
            delta = b'"role":"assistant",' + delta if delta else b'"role":"assistant"'
        return b'%b"choices":[{"index":%d,"delta":{%b}%b%b' % (self._head, choice, delta, rest, self._tail)

    def _object(self, choice: int, delta: dict[str, Any]) -> bytes:
        return self._chunk(choice, encode(delta)[1:-1])

    def _started(self, event: Started) -> bytes:
        self._head = b"data: " + encode(_envelope(event, "chat.completion.chunk", self._fallback_id, self._created))
        self._head = self._head[:-1] + b","
        return b""

    def _text(self, event: Text) -> bytes:
        return self._chunk(event.choice, b'"content":' + encode(event.text))

    def _other(self, event: Any) -> bytes:
        return self._object(event.choice, _MEMBERS[type(event)](event))

    def _tool_started(self, event: ToolStarted) -> bytes:
        if self._legacy_functions:
            return self._object(event.choice, {"function_call": {"name": event.name, "arguments": ""}})
        if event.kind == "custom":
            self._custom.add((event.choice, event.tool))
        return self._object(event.choice, {"tool_calls": [{"index": event.tool, **_call(event, "")}]})

    def _tool_args(self, event: ToolArgs) -> bytes:
        text = encode(event.text)
        if self._legacy_functions:
            return self._chunk(event.choice, b'"function_call":{"arguments":%b}' % text)
        custom = (event.choice, event.tool) in self._custom
        form = b'"custom":{"input":%b}' if custom else b'"function":{"arguments":%b}'
        return self._chunk(event.choice, b'"tool_calls":[{"index":%d,%b}]' % (event.tool, form % text))

    def _logprobs(self, event: Logprobs) -> bytes:
        return self._chunk(event.choice, b"", b',"finish_reason":null,"logprobs":%b}]' % encode(event.value))

    def _finished(self, event: Finished) -> bytes:
        reason = _finish_reason(event, self._legacy_functions)
        return self._chunk(event.choice, b"", b',"finish_reason":"%b"}]' % reason.encode())

    def _usage(self, event: Usage) -> bytes:
        if not self._include_usage:
            return b""
        tier = b"" if event.service_tier is None else b',"service_tier":' + encode(event.service_tier)
        return b'%b"choices":[],"usage":%b%b}\n\n' % (self._head, encode(event.usage), tier)

    _RENDERERS: ClassVar[dict[type[Event], Callable[[Any, Any], bytes]]] = {
        **dict.fromkeys(_MEMBERS, _other),
        Started: _started,
        Text: _text,
        ToolStarted: _tool_started,
        ToolArgs: _tool_args,
        Logprobs: _logprobs,
        Finished: _finished,
        Usage: _usage,
    }


# --- a whole answer ----------------------------------------------------------------------------------------------


class _Choice:
    """One choice as its events fill it."""

    def __init__(self) -> None:
        self.content: list[str] = []
        self.refusal: list[str] = []
        self.reasoning: list[str] = []
        self.thinking = ThinkingBlocks()
        self.calls: list[tuple[ToolStarted, list[str]]] = []
        self.members: dict[str, Any] = {}
        self.images: list[dict[str, Any]] = []
        self.logprobs: dict[str, list[Any]] | None = None
        self.finished: Finished | None = None

    def add(self, event: Event) -> None:
        match event:
            case Text():
                self.content.append(event.text)
            case Refusal():
                self.refusal.append(event.text)
            case Reasoning():
                self.reasoning.append(event.text)
                self.thinking.add(event)
            case Signature() | RedactedReasoning():
                self.thinking.add(event)
            case ToolStarted():
                self.calls.append((event, []))
            case ToolArgs():
                self.calls[event.tool][1].append(event.text)
            case Media():
                self.images.append(event.item)
            case Audio():
                self.members["audio"] = _merged(self.members.get("audio", {}), event.value)
            case Extra():
                self.members["extra_content"] = _merged(self.members.get("extra_content", {}), event.value)
            case Annotations():
                self.members["annotations"] = list(event.items)
            case Logprobs():
                self.logprobs = self.logprobs or {}
                for name, tokens in event.value.items():
                    self.logprobs[name] = [*(self.logprobs.get(name) or ()), *(tokens or ())]
            case Finished():
                self.finished = event

    def render(self, index: int, legacy_functions: bool) -> dict[str, Any]:
        message: dict[str, Any] = {
            "role": "assistant",
            "content": "".join(self.content) if self.content else None,
            "refusal": "".join(self.refusal) if self.refusal else None,
        }
        if self.reasoning:
            message["reasoning_content"] = "".join(self.reasoning)
        if blocks := self.thinking.build():
            message["thinking_blocks"] = blocks
        calls = [_call(started, "".join(text)) for started, text in self.calls]
        if calls and legacy_functions:
            message["function_call"] = calls[0].get("function")
        elif calls:
            message["tool_calls"] = calls
        if self.images:
            message["images"] = self.images
        reason = _finish_reason(self.finished, legacy_functions) if self.finished else "stop"
        return {
            "index": index,
            "message": message | self.members,
            "finish_reason": reason,
            "logprobs": self.logprobs and {"content": None, "refusal": None} | self.logprobs,
        }


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Two pieces of one object: text grows, objects merge, anything else is replaced."""
    merged = dict(old)
    for name, value in new.items():
        before = merged.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            merged[name] = _merged(before, value)
        elif isinstance(before, str) and isinstance(value, str) and name != "id":
            merged[name] = before + value
        else:
            merged[name] = value
    return merged


def render_answer(events: Iterable[Event], fallback_id: str, created: int, *, legacy_functions: bool = False) -> bytes:
    """The `chat.completion` object that the events make; raises `UpstreamError` where they cannot be written."""
    try:
        return encode(_fold(events, fallback_id, created, legacy_functions))
    except RecursionError as error:
        raise _build_too_deep() from error


def _fold(events: Iterable[Event], fallback_id: str, created: int, legacy_functions: bool) -> dict[str, Any]:
    started = Started("", "")
    choices: dict[int, _Choice] = {}
    usage: Usage | None = None
    for event in events:
        if isinstance(event, Started):
            started = event
        elif isinstance(event, Usage):
            usage = event
        else:
            index: int = getattr(event, "choice", 0)
            choices.setdefault(index, _Choice()).add(event)
    answer = _envelope(started, "chat.completion", fallback_id, created)
    answer["choices"] = [choice.render(index, legacy_functions) for index, choice in sorted(choices.items())]
    if usage is not None:
        answer["usage"] = usage.usage
        if usage.service_tier is not None:
            answer["service_tier"] = usage.service_tier
    return answer
