"""Gemini's responses to events: one machine for a whole answer and for a stream.

Every event of a stream is a whole response with new parts only, so a whole answer is a stream of one. Text flows
at once. What later responses can still change (finish, usage, citations, signatures of text) is held until
`finish`: some models say STOP in every chunk, and a call and its STOP may come apart. Gemini gives no ids to the
calls of its older models; ours are digests of the answer's id (of ours for it, where it has none) and the call's
place, so that reading the same bytes twice gives the same ids. Source: reference/wire/gemini.md sections 5 and 6.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

from msgspec import Raw

from feathergate.dialects.contract import Context
from feathergate.dialects.gemini.error import build_error
from feathergate.dialects.gemini.finish import BLOCKED, build_finish, name_reason
from feathergate.dialects.gemini.grounding import build_annotations
from feathergate.dialects.gemini.partial import PartialCall
from feathergate.dialects.gemini.usage import build_usage, merge_usage
from feathergate.errors import UpstreamError
from feathergate.events import (
    Annotations,
    Audio,
    Event,
    Extra,
    Finished,
    Logprobs,
    Media,
    Reasoning,
    Refusal,
    Started,
    Text,
    ToolArgs,
    ToolStarted,
)
from feathergate.wire.codec import decode_any
from feathergate.wire.gemini import (
    Blob,
    Candidate,
    FunctionCall,
    GroundingMetadata,
    LogprobsResult,
    Part,
    PromptFeedback,
    Response,
    TokenLogprob,
    UsageMetadata,
    decode_body,
)

# Parts of the provider's own tools: nothing for OpenAI's message, but Gemini wants them back on the next turn.
_SERVER_PARTS: Final = (
    ("executableCode", "executable_code"),
    ("codeExecutionResult", "code_execution_result"),
    ("toolCall", "tool_call"),
    ("toolResponse", "tool_response"),
)

_UNSIGNED: Final = "MISSING_THOUGHT_SIGNATURE"
# The model's own mistakes: an answer that is nothing else is none.
_MISTAKES: Final = frozenset({_UNSIGNED, "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE"})


def parse_answer(body: bytes, context: Context) -> Sequence[Event]:
    """A whole answer, or a JSON array of responses. Raises `UpstreamError`."""
    reader = AnswerReader(context)
    return reader.read(decode_answer(body)) + reader.finish(whole=True)


def decode_answer(data: bytes) -> list[Response]:
    """Raises `UpstreamError` (protocol) for what is no response, and the provider's own error where it is one."""
    try:
        found = decode_body(data)
    except (ValueError, RecursionError) as error:
        raise _malformed(error) from None
    responses = found if isinstance(found, list) else [found]
    for response in responses:
        if response.error is not None:
            raise build_error(response.error)
    return responses


class _Choice:
    """What one candidate has said so far. `pieces` has an entry a part, empty where the part is no text."""

    __slots__ = (
        "audio",
        "finish",
        "finish_message",
        "grounding",
        "media",
        "open",
        "parts",
        "pieces",
        "signature",
        "tools",
    )

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.tools = 0
        self.open: PartialCall | None = None
        self.media = 0
        self.audio = False
        self.signature: str | None = None
        self.parts: list[dict[str, Any]] = []
        self.grounding: GroundingMetadata | None = None
        self.finish: str | None = None
        self.finish_message: str | None = None

    @property
    def has_content(self) -> bool:
        return bool(self.tools or self.media or self.audio or any(self.pieces))


class AnswerReader:
    """Responses in, events out; one an answer."""

    __slots__ = ("_blocked", "_choices", "_context", "_ids", "_response_id", "_usage")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._response_id: str | None = None
        self._choices: dict[int, _Choice] = {}
        self._ids: set[str] = set()
        self._usage: UsageMetadata | None = None
        self._blocked: PromptFeedback | None = None

    def read(self, responses: Sequence[Response]) -> list[Event]:
        events: list[Event] = []
        for response in responses:
            if self._response_id is None:
                self._response_id = response.response_id or ""
                events.append(Started(self._response_id, response.model_version or self._context.model))
            usage = response.usage_metadata
            if usage is not None:
                self._usage = usage if self._usage is None else merge_usage(self._usage, usage)
            feedback = response.prompt_feedback
            if feedback is not None and name_reason(feedback.block_reason, BLOCKED) is not None:
                self._blocked = feedback
            for candidate in response.candidates or ():
                self._read_candidate(candidate, events)
        return events

    def finish(self, *, whole: bool = False) -> list[Event]:
        """What was held back. Raises `UpstreamError` where a stream lacks its end, or an answer says nothing."""
        if self._blocked is not None and not self._choices:
            self._choices[0] = _Choice()
        if not self._choices:
            raise _nothing() if whole else _truncated()
        for choice in self._choices.values():
            if choice.finish is None and self._blocked is None and not (whole and choice.has_content):
                raise _nothing() if whole else _truncated()
        for choice in self._choices.values():
            if choice.finish in _MISTAKES:
                self._refuse_useless(choice)
        events: list[Event] = []
        for index in sorted(self._choices):
            self._finish_choice(index, self._choices[index], events)
        if self._usage is not None:
            events.append(build_usage(self._usage))
        return events

    # --- parts --------------------------------------------------------------------------------------------------

    def _read_candidate(self, candidate: Candidate, events: list[Event]) -> None:
        index = candidate.index
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice()
        if candidate.content is not None:
            for part in candidate.content.parts or ():
                self._read_part(part, index, choice, events)
        if candidate.logprobs_result is not None:
            events.extend(_read_logprobs(candidate.logprobs_result, index))
        if candidate.grounding_metadata is not None and candidate.grounding_metadata.grounding_supports:
            choice.grounding = candidate.grounding_metadata
        if candidate.finish_reason is not None and (reason := name_reason(candidate.finish_reason)) is not None:
            choice.finish = reason
            choice.finish_message = candidate.finish_message

    def _read_part(self, part: Part, index: int, choice: _Choice, events: list[Event]) -> None:
        text = part.text
        if text and not part.thought:
            choice.pieces.append(text)
            events.append(Text(text, index))
        else:
            choice.pieces.append("")
            if text:
                events.append(Reasoning(text, index))
        if part.function_call is not None:
            self._read_call(part.function_call, part.thought_signature, index, choice, events)
        elif part.inline_data is not None:
            events.append(_read_media(part.inline_data, part.thought_signature, index, choice, self._response_id or ""))
        elif text is None and (server := _read_server(part)):
            choice.parts.append(server)
        elif part.thought_signature and not part.thought:
            choice.signature = part.thought_signature

    def _read_call(
        self, call: FunctionCall, signature: str | None, index: int, choice: _Choice, events: list[Event]
    ) -> None:
        """A call in one part, or a piece of one that Vertex streams: name, pieces, then an empty call."""
        if call.name and choice.open is not None:
            events.append(self._close_call(index, choice, choice.open))
        if call.name:
            name = self._context.tool_names.get(call.name, call.name)
            kind: Any = "custom" if name in self._context.custom_tools else "function"
            tool_id = self._pick_id(call.id, name, index, choice.tools)
            events.append(ToolStarted(choice.tools, tool_id, name, index, kind, signature))
            choice.open = PartialCall(choice.tools, name, call.args)
            choice.tools += 1
        if choice.open is None:
            if call.partial_args:
                raise UpstreamError("The provider sent arguments of a call that it never began.", kind="protocol")
            return
        choice.open.add(call.partial_args or ())
        if not call.will_continue:
            events.append(self._close_call(index, choice, choice.open))

    def _close_call(self, index: int, choice: _Choice, call: PartialCall) -> ToolArgs:
        choice.open = None
        return ToolArgs(call.tool, call.build_arguments(custom=call.name in self._context.custom_tools), index)

    def _pick_id(self, native: str | None, name: str, index: int, tool: int) -> str:
        if not native or native in self._ids:
            answer_id = self._response_id or self._context.fallback_id
            place = f"{answer_id}\0{index}\0{tool}\0{name}"
            native = "call_" + hashlib.sha256(place.encode()).hexdigest()[:24]
        self._ids.add(native)
        return native

    # --- the end ------------------------------------------------------------------------------------------------

    def _refuse_useless(self, choice: _Choice) -> None:
        """An answer that is nothing but the model's own mistake is an error, so that another attempt can be made."""
        if self._blocked is not None or any(other.has_content for other in self._choices.values()):
            return
        message = f" ({choice.finish_message})" if choice.finish_message else ""
        if choice.finish == _UNSIGNED:
            raise UpstreamError(
                f"The provider misses the thought signature of a tool call{message}. Send each tool call back with "
                "the extra_content that it came with.",
                kind="status",
                status=400,
                retryable=False,
                param="messages",
            )
        raise UpstreamError(f"The model's answer is unusable: {choice.finish}{message}.", kind="protocol")

    def _finish_choice(self, index: int, choice: _Choice, events: list[Event]) -> None:
        if choice.open is not None:
            events.append(self._close_call(index, choice, choice.open))
        extra: dict[str, Any] = {"thought_signature": choice.signature} if choice.signature else {}
        if choice.parts:
            extra["parts"] = choice.parts
        if extra:
            events.append(Extra({"google": extra}, index))
        if choice.grounding is not None and (items := build_annotations(choice.grounding, choice.pieces)):
            events.append(Annotations(items, index))
        if choice.finish is not None or self._blocked is None:
            events.append(build_finish(choice.finish, index, called=choice.tools > 0))
            return
        reason = name_reason(self._blocked.block_reason, BLOCKED) or ""
        message = self._blocked.block_reason_message or f"The provider blocked the prompt: {reason}."
        events.append(Refusal(message, index))
        events.append(Finished("content_filter", index, reason))


def _malformed(error: Exception) -> UpstreamError:
    return UpstreamError(f"The provider's answer is not a generateContent response: {error}.", kind="protocol")


def _nothing() -> UpstreamError:
    message = "The provider's answer holds neither content nor a reason why not. Try again."
    return UpstreamError(message, kind="protocol")


def _truncated() -> UpstreamError:
    return UpstreamError("The provider's stream ended before its finish reason.", kind="truncated")


def _read_server(part: Part) -> dict[str, Any]:
    """A part of the provider's own tools, to be sent back as it came; empty where it is none."""
    found = {name: getattr(part, field) for name, field in _SERVER_PARTS}
    try:
        server = {name: decode_any(raw) for name, raw in found.items() if isinstance(raw, Raw)}
    except (ValueError, RecursionError) as error:
        raise _malformed(error) from None
    return server | {"thoughtSignature": part.thought_signature} if server and part.thought_signature else server


def _read_media(blob: Blob, signature: str | None, index: int, choice: _Choice, response_id: str) -> Event:
    """An image as a data URL, its signature beside it; sound as OpenAI's audio, whose constant members are said
    once."""
    if not blob.mime_type.startswith("audio/"):
        choice.media += 1
        item: dict[str, Any] = {
            "type": "image_url",
            "image_url": {"url": f"data:{blob.mime_type};base64,{blob.data}"},
        }
        if signature:
            item["extra_content"] = {"google": {"thought_signature": signature}}
        return Media(item, choice.media - 1, index)
    constant = {} if choice.audio else {"id": f"audio_{response_id or index}", "transcript": "", "expires_at": 0}
    choice.audio = True
    return Audio({**constant, "data": blob.data}, index)


def _read_logprobs(result: LogprobsResult, index: int) -> list[Event]:
    tops = [top.candidates or [] for top in result.top_candidates or ()]
    chosen = result.chosen_candidates or []
    tokens = [
        _token(token) | {"top_logprobs": [_token(other) for other in tops[place]] if place < len(tops) else []}
        for place, token in enumerate(chosen)
    ]
    return [Logprobs({"content": tokens}, index)] if tokens else []


def _token(token: TokenLogprob) -> dict[str, Any]:
    return {"token": token.token, "logprob": token.log_probability, "bytes": list(token.token.encode())}
