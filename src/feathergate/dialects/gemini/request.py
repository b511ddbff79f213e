"""The client's chat request as Gemini's `generateContent`.

The request is only read; the same request gives the same bytes. What each field becomes stands in `field`,
`generation`, `tool` and `content`. Source: reference/wire/gemini.md sections 1 to 4.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from msgspec import Raw

from feathergate.dialects.contract import Built, Context, Target
from feathergate.dialects.gemini.call import pair_calls
from feathergate.dialects.gemini.content import build_contents
from feathergate.dialects.gemini.field import check_fields, pick_extensions
from feathergate.dialects.gemini.generation import build_generation
from feathergate.dialects.gemini.media import find_resolution
from feathergate.dialects.gemini.tool import build_tools, pick_names, read_tools
from feathergate.dialects.legality import check_request
from feathergate.dialects.loss import Losses
from feathergate.dialects.thought import restore_thoughts
from feathergate.errors import ClientError
from feathergate.wire.chat import ChatRequest, CustomTool
from feathergate.wire.codec import Members, decode_messages, encode

_SERVICE_TIERS = {"default": "standard", "flex": "flex", "priority": "priority", "fast": "priority"}
_CACHED = ("systemInstruction", "tools", "toolConfig")


def build_request(request: ChatRequest, members: Members, target: Target) -> Built:
    """Raises `ClientError` naming the field that cannot be carried."""
    check_request(request)
    path = _build_path(target.model, stream=bool(request.stream))
    losses = Losses("Gemini's API", strict=target.strict)
    check_fields(members, losses)
    try:
        body, context = _build_body(request, pick_extensions(members), target, losses)
        return Built(path, encode(body), context, dropped=losses.names)
    except RecursionError:
        raise ClientError("A value of the request is nested too deeply. Send fewer levels.") from None


def _build_path(model: str, *, stream: bool) -> str:
    name = model.removeprefix("models/")
    if not name or "/" in name or ".." in name:
        message = f"The model '{model}' is no name of a Gemini model. Send one such as gemini-3.5-flash."
        raise ClientError(message, param="model")
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    return f"/v1beta/models/{quote(name, safe='')}:{method}"


def _build_body(
    request: ChatRequest, extensions: dict[str, Raw], target: Target, losses: Losses
) -> tuple[dict[str, Any], Context]:
    capability = target.capability
    messages = restore_thoughts(decode_messages(request.messages), target.thoughts)
    tools = read_tools(request, losses)
    paired = pair_calls(messages)
    called = [call.name for calls in paired.calls.values() for call in calls]
    names = pick_names([*(tool.name for tool in tools), *called])
    instruction, contents = build_contents(messages, paired, names, capability, losses)
    body: dict[str, Any] = {"contents": contents}
    if instruction is not None:
        body["systemInstruction"] = instruction
    body |= build_tools(request, tools, names, capability, losses)
    generation = build_generation(request, capability, losses)
    resolution = find_resolution(messages) if capability.media_resolution == "request" else None
    if resolution is not None:
        generation["mediaResolution"] = resolution
    if generation:
        body["generationConfig"] = generation
    body |= _build_tier(request, losses) | extensions
    _check_cached(body)
    context = Context(
        model=target.model.removeprefix("models/"),
        tool_names={ours: theirs for theirs, ours in names.items() if ours != theirs},
        custom_tools=frozenset(tool.name for tool in tools if isinstance(tool, CustomTool)),
        legacy_functions=request.functions is not None,
    )
    return body, context


def _build_tier(request: ChatRequest, losses: Losses) -> dict[str, str]:
    if request.service_tier in (None, "auto"):
        return {}
    tier = _SERVICE_TIERS.get(request.service_tier or "")
    if tier is None:
        losses.drop("service_tier")
        return {}
    return {"serviceTier": tier}


def _check_cached(body: dict[str, Any]) -> None:
    found = [name for name in _CACHED if name in body]
    if "cachedContent" in body and found:
        raise ClientError(
            f"'cached_content' already holds the system message and the tools; {', '.join(found)} cannot stand beside "
            "it. Leave them out of the request.",
            param="cached_content",
        )
