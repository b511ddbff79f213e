"""`translation: strict`: whatever is dropped and said so is refused with its place; what is carried stays carried."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from feathergate.capability import find_capability
from feathergate.dialects.chat import CHAT
from feathergate.dialects.contract import Built, Dialect, Target
from feathergate.dialects.gemini import GEMINI
from feathergate.dialects.messages import MESSAGES
from feathergate.errors import ClientError
from feathergate.wire.codec import decode_chat

DIALECTS: dict[str, Dialect] = {"claude": MESSAGES, "gemini": GEMINI, "gpt": CHAT}
HELLO = {"role": "user", "content": "Hello"}
NAMED = {"role": "user", "content": "Hello", "name": "Bob"}
SPOKEN = {"role": "assistant", "content": "a", "audio": {"id": "x"}}
CALLED = {
    "role": "assistant",
    "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
ANSWERED = {"role": "tool", "tool_call_id": "c", "content": "1"}
DETAILED = {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "high"}}
MARKED = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}
BROKEN_OFF = {"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
STRICT = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": True}}
MARKED_TOOL = {**TOOL, "cache_control": {"type": "ephemeral"}}
NEW, OLD, OLDER = "claude-opus-5-5", "claude-sonnet-4-5", "claude-3-5-haiku-latest"


class Loss(NamedTuple):
    """What a model does not get, what it is called, and, where that is more, its place."""

    model: str
    members: dict[str, Any]
    name: str
    place: str = ""


LOSSES = [
    Loss(NEW, {"temperature": 0.5}, "temperature"),
    Loss(NEW, {"top_p": 0.5}, "top_p"),
    Loss(OLD, {"temperature": 0.5, "top_p": 0.5}, "top_p"),
    Loss(NEW, {"stop": ["a", " "]}, "stop"),
    Loss(NEW, {"service_tier": "flex"}, "service_tier"),
    Loss(NEW, {"messages": [NAMED]}, "messages.name", "messages[0].name"),
    Loss(NEW, {"messages": [HELLO, SPOKEN, HELLO]}, "messages.audio", "messages[1].audio"),
    Loss(
        NEW,
        {"messages": [{"role": "user", "content": [DETAILED]}]},
        "messages.content.image_url.detail",
        "messages[0].content[0].image_url.detail",
    ),
    Loss(NEW, {"tools": [TOOL], "tool_choice": "required"}, "tool_choice"),
    Loss(NEW, {"functions": [TOOL["function"]], "function_call": {"name": "f"}}, "function_call"),
    Loss(
        OLDER,
        {"tools": [TOOL, STRICT | {"function": {"name": "g", "strict": True}}]},
        "tools.function.strict",
        "tools[1].function.strict",
    ),
    Loss(OLDER, {"reasoning_effort": "high"}, "reasoning_effort"),
    Loss(OLD, {"reasoning_effort": "high", "max_tokens": 500}, "reasoning_effort"),
    Loss(OLD, {"thinking": {"type": "enabled", "budget_tokens": 2048}, "max_tokens": 500}, "thinking"),
    Loss(OLD, {"messages": [HELLO, CALLED, ANSWERED], "reasoning_effort": "high"}, "reasoning_effort"),
    Loss(NEW, {"brand_new": 1}, "brand_new"),
    Loss("gemini-3.6-flash", {"temperature": 0.5}, "temperature"),
    Loss("gemini-3.6-flash", {"top_p": 0.5}, "top_p"),
    Loss("gemini-3-pro", {"presence_penalty": 1}, "presence_penalty"),
    Loss("gemini-3-pro", {"frequency_penalty": 1}, "frequency_penalty"),
    Loss("gemini-3-pro", {"top_logprobs": 3}, "top_logprobs"),
    Loss("gemini-3-pro", {"audio": {"voice": "Kore", "format": "wav"}}, "audio.format"),
    Loss("gemini-2.0-flash", {"reasoning_effort": "high"}, "reasoning_effort"),
    Loss("gemini-2.0-flash", {"thinking": {"type": "enabled", "budget_tokens": 2048}}, "thinking"),
    Loss("gemini-3-pro", {"messages": [NAMED]}, "messages.name", "messages[0].name"),
    Loss("gemini-3-pro", {"messages": [HELLO, SPOKEN, HELLO]}, "messages.audio", "messages[1].audio"),
    Loss(
        "gemini-3-pro",
        {"messages": [{**HELLO, "cache_control": {"type": "ephemeral"}}]},
        "messages.cache_control",
        "messages[0].cache_control",
    ),
    Loss(
        "gemini-3-pro",
        {"messages": [{"role": "user", "content": [MARKED]}]},
        "messages.content.cache_control",
        "messages[0].content[0].cache_control",
    ),
    Loss(
        "gemini-3-pro",
        {"messages": [{"role": "user", "content": [BROKEN_OFF]}]},
        "messages.content.prompt_cache_breakpoint",
        "messages[0].content[0].prompt_cache_breakpoint",
    ),
    Loss("gemini-3-pro", {"tools": [MARKED_TOOL]}, "tools.cache_control", "tools[0].cache_control"),
    Loss("gemini-3-pro", {"service_tier": "scale"}, "service_tier"),
    Loss("gemini-3-pro", {"tool_choice": "required"}, "tool_choice"),
    Loss("gemini-2.0-flash", {"tools": [STRICT]}, "tools.function.strict"),
    Loss("gemini-2.5-flash", {"tools": [TOOL], "web_search_options": {}}, "web_search_options"),
    Loss(
        "gemini-3-pro", {"web_search_options": {"search_context_size": "low"}}, "web_search_options.search_context_size"
    ),
    Loss("gpt-5-mini", {"temperature": 0.5}, "temperature"),
    Loss("gpt-5.6-luna", {"tools": [TOOL]}, "reasoning_effort"),
    Loss("gpt-4o", {"cache_control": {"type": "ephemeral"}}, "cache_control"),
]
each_loss = pytest.mark.parametrize("loss", LOSSES, ids=[f"{loss.model}-{loss.place or loss.name}" for loss in LOSSES])


def build(model: str, members: dict[str, Any], *, strict: bool) -> Built:
    body = {"model": "ours", "messages": [HELLO], **members}
    dialect = DIALECTS[model.partition("-")[0]]
    return dialect.build_request(*decode_chat(json.dumps(body).encode()), Target(model, find_capability(model), strict))


@each_loss
def test_loss_is_said_by_name(loss: Loss) -> None:
    assert build(loss.model, loss.members, strict=False).dropped == (loss.name,)


@each_loss
def test_loss_is_refused_with_its_place_where_that_is_asked_for(loss: Loss) -> None:
    with pytest.raises(ClientError) as caught:
        build(loss.model, loss.members, strict=True)
    error = caught.value
    assert (error.status, error.code, error.param) == (400, "unsupported_parameter", loss.place or loss.name)
    assert loss.name.rpartition(".")[2] in error.message


@pytest.mark.parametrize("model", [NEW, OLD, "gemini-3-pro", "gemini-2.5-flash", "gpt-4o", "gpt-5-mini"])
def test_request_without_losses_is_the_same_either_way(model: str) -> None:
    members = {"messages": [HELLO, CALLED, ANSWERED], "tools": [TOOL], "max_completion_tokens": 9, "temperature": 1}
    assert build(model, members, strict=True) == build(model, members, strict=False)
