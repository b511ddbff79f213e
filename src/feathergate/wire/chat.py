"""OpenAI's Chat Completions on the wire: the request as a client sends it, and what our own answers hold.

A request is read in one pass into `ChatRequest`, which types and bounds every knob and leaves messages, tools
and other nested values raw; `decode_messages` and `decode_tools` open those only where a request is translated.
Unknown top-level members are kept beside it in `Members`. Of an answer's shapes those stand here that we write
ourselves (`Usage`); what we read of one stands in `chat_answer.py`. Source: reference/wire/openai-chat.md sections
1, 2 and 5.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class StreamOptions(msgspec.Struct, frozen=True, gc=False):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `POST /v1/chat/completions`. `null` means absent for every field but the first two."""

    model: Annotated[str, Meta(min_length=1)]
    messages: Annotated[list[Raw], Meta(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    logit_bias: dict[str, float] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    store: bool | None = None
    verbosity: str | None = None
    reasoning_effort: ReasoningEffort | None = None
    parallel_tool_calls: bool | None = None
    modalities: list[str] | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    tools: list[Raw] | None = None
    functions: list[Raw] | None = None
    tool_choice: Raw | UnsetType = UNSET
    function_call: Raw | UnsetType = UNSET
    response_format: Raw | UnsetType = UNSET
    audio: Raw | UnsetType = UNSET
    metadata: Raw | UnsetType = UNSET
    moderation: Raw | UnsetType = UNSET
    prediction: Raw | UnsetType = UNSET
    prompt_cache_options: Raw | UnsetType = UNSET
    web_search_options: Raw | UnsetType = UNSET
    # Extensions that clients of Anthropic and Gemini know from LiteLLM; never OpenAI's.
    thinking: Raw | UnsetType = UNSET
    cache_control: Raw | UnsetType = UNSET


# --- messages ---------------------------------------------------------------------------------------------------


class ImageUrl(msgspec.Struct, frozen=True, gc=False):
    url: str
    detail: str | None = None


class InputAudio(msgspec.Struct, frozen=True, gc=False):
    data: str
    format: str


class FileContent(msgspec.Struct, frozen=True, gc=False):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class Part(msgspec.Struct, frozen=True):
    """One part of a message's content; which member is set follows from `type`."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: ImageUrl | str | None = None
    input_audio: InputAudio | None = None
    file: FileContent | None = None
    cache_control: dict[str, Any] | None = None
    prompt_cache_breakpoint: dict[str, Any] | None = None


class FunctionCall(msgspec.Struct, frozen=True, gc=False):
    name: str
    arguments: str = ""


class CustomCall(msgspec.Struct, frozen=True, gc=False):
    name: str
    input: str = ""


class ToolCall(msgspec.Struct, frozen=True):
    id: str
    type: str = "function"
    function: FunctionCall | None = None
    custom: CustomCall | None = None
    extra_content: dict[str, Any] | None = None


class AudioReference(msgspec.Struct, frozen=True, gc=False):
    id: str


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message. `thinking_blocks`, `reasoning_content` and `extra_content` are what our own answers carry."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    function_call: FunctionCall | None = None
    audio: AudioReference | None = None
    reasoning_content: str | None = None
    thinking_blocks: list[dict[str, Any]] | None = None
    extra_content: dict[str, Any] | None = None
    cache_control: dict[str, Any] | None = None


# --- messages whose text stays the JSON that came -----------------------------------------------------------------


class Said(Message, frozen=True, kw_only=True):
    """A message whose content is still JSON; empty where it has none."""

    content: Raw = Raw()  # type: ignore[assignment]  # what it stands for is opened where it is needed


class SaidPart(Part, frozen=True):
    """A part whose text is still JSON; empty where it has none."""

    text: Raw = Raw()  # type: ignore[assignment]  # as above


class Spoken(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A message that is its role and its text, a JSON string which is not empty; all else that it could be is null."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Raw
    name: None = None
    refusal: None = None
    tool_calls: None = None
    tool_call_id: None = None
    function_call: None = None
    audio: None = None
    reasoning_content: None = None
    thinking_blocks: None = None
    extra_content: None = None
    cache_control: None = None


# --- tools ------------------------------------------------------------------------------------------------------


class FunctionTool(msgspec.Struct, frozen=True):
    name: Annotated[str, Meta(min_length=1)]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class CustomTool(msgspec.Struct, frozen=True):
    name: Annotated[str, Meta(min_length=1)]
    description: str | None = None
    format: dict[str, Any] | None = None


class Tool(msgspec.Struct, frozen=True):
    type: Literal["function", "custom"]
    function: FunctionTool | None = None
    custom: CustomTool | None = None
    cache_control: dict[str, Any] | None = None


class NamedTool(msgspec.Struct, frozen=True, gc=False):
    name: str


class ToolReference(msgspec.Struct, frozen=True, gc=False):
    type: str
    function: NamedTool | None = None
    custom: NamedTool | None = None


class AllowedTools(msgspec.Struct, frozen=True):
    mode: Literal["auto", "required"]
    tools: list[ToolReference]


class ToolChoice(msgspec.Struct, frozen=True):
    """The object form of `tool_choice`."""

    type: Literal["function", "custom", "allowed_tools"]
    function: NamedTool | None = None
    custom: NamedTool | None = None
    allowed_tools: AllowedTools | None = None


class JsonSchemaFormat(msgspec.Struct, frozen=True):
    name: str = "response"
    description: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class ResponseFormat(msgspec.Struct, frozen=True):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaFormat | None = None


# --- answers ----------------------------------------------------------------------------------------------------


class PromptTokensDetails(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None
    text_tokens: int | None = None
    image_tokens: int | None = None


class CompletionTokensDetails(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None
    text_tokens: int | None = None
    image_tokens: int | None = None
    accepted_prediction_tokens: int | None = None
    rejected_prediction_tokens: int | None = None


class Usage(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Tokens. The prompt's include the cached and the written, the completion's include the reasoning."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails | None = None
    completion_tokens_details: CompletionTokensDetails | None = None


class ErrorBody(msgspec.Struct, frozen=True):
    """What stands under `error`, by whichever host: OpenAI's four members, each of them optional here."""

    message: str | None = None
    type: str | None = None
    param: str | None = None
    code: str | int | None = None
