"""OpenAI's chat request to Anthropic's.

What becomes of each field stands in `field.py`. What a family takes is asked of its capability, never of its
name. The same history makes the same bytes, because the provider's caches and signatures are bound to them.
Specification: reference/wire/anthropic.md sections 1 to 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from feathergate.capability import Capability
from feathergate.dialects.contract import Built, Context, Target
from feathergate.dialects.legality import check_request
from feathergate.dialects.loss import Losses
from feathergate.dialects.messages.field import report_dropped
from feathergate.dialects.messages.form import plan_form
from feathergate.dialects.messages.history import History, build_history, lacks_thinking
from feathergate.dialects.messages.knob import (
    build_metadata,
    build_sampling,
    build_service_tier,
    build_stop,
    choose_max_tokens,
    read_object,
)
from feathergate.dialects.messages.part import build_marker
from feathergate.dialects.messages.thinking import Thinking, plan_thinking
from feathergate.dialects.messages.tool import Choice, build_choice
from feathergate.dialects.messages.toolset import JSON_NAME, Toolset, plan_tools
from feathergate.dialects.thought import restore_thoughts
from feathergate.errors import ClientError
from feathergate.wire import codec
from feathergate.wire.chat import ChatRequest

_API = "Anthropic's Messages API"
PATH = "/v1/messages"
VERSION = "2023-06-01"

_MARKERS_LIMIT = 4
_FILES_BETA = "files-api-2025-04-14"


def build_request(request: ChatRequest, members: codec.Members, target: Target) -> Built:
    """See `contract.Dialect`."""
    check_request(request)
    if (request.n or 1) > 1:
        raise ClientError("Anthropic gives one answer a request. Send n=1, or n requests.", param="n")
    try:
        return _build(request, members, target)
    except RecursionError:
        raise ClientError("The request is nested too deeply. Send fewer than 300 levels.") from None


def _build(request: ChatRequest, members: codec.Members, target: Target) -> Built:
    capability = target.capability
    losses = Losses(_API, strict=target.strict)
    report_dropped(request, members, losses)
    messages = restore_thoughts(codec.decode_messages(request.messages), target.thoughts)
    form = plan_form(request, capability)
    tools = plan_tools(request, messages, form, capability, losses)
    history = build_history(messages, tools.names, capability, losses)
    max_tokens = choose_max_tokens(request, capability)
    thinking = _plan_thinking(request, history, capability, max_tokens, losses)
    choice = _plan_choice(tools, capability.forced_tools and not thinking.is_budgeted, losses)
    instructions = [{"type": "text", "text": text} for text in (choice.instruction, form.instruction) if text]
    output = {"effort": thinking.effort, "format": form.format}
    body = {
        "model": target.model,
        "max_tokens": max_tokens,
        "cache_control": build_marker(read_object(request.cache_control, "cache_control")),
        "tools": tools.blocks,
        "system": [*history.system, *instructions],
        "messages": history.turns,
        "tool_choice": choice.value,
        "thinking": thinking.config,
        "output_config": {name: value for name, value in output.items() if value is not None},
        **build_sampling(request, capability, thinking, losses),
        "stop_sequences": build_stop(request, losses),
        "metadata": build_metadata(request),
        "service_tier": build_service_tier(request, losses),
        "stream": request.stream or None,
    }
    _keep_last_markers(body)
    context = Context(
        model=target.model,
        tool_names={new: old for old, new in tools.names.items() if new != old},
        custom_tools=tools.custom,
        legacy_functions=bool(request.functions),
        json_tool=JSON_NAME if form.schema is not None else None,
    )
    sent = {name: value for name, value in body.items() if value not in (None, [], {})}
    return Built(PATH, codec.encode(sent), context, (("anthropic-version", VERSION), *_betas(history)), losses.names)


def _plan_thinking(
    request: ChatRequest, history: History, capability: Capability, max_tokens: int, losses: Losses
) -> Thinking:
    given = read_object(request.thinking, "thinking")
    thinking = plan_thinking(given, request.reasoning_effort, capability, max_tokens, losses)
    if thinking.is_budgeted and lacks_thinking(history.turns):
        losses.drop("reasoning_effort" if given is None else "thinking")
        return Thinking()
    return thinking


def _plan_choice(tools: Toolset, can_force: bool, losses: Losses) -> Choice:
    if not tools.blocks:
        return Choice()
    return build_choice(tools.wish, tools.choosable, can_force=can_force, parallel=tools.parallel, losses=losses)


# --- the whole body -----------------------------------------------------------------------------------------------


def _keep_last_markers(body: Mapping[str, Any]) -> None:
    """Anthropic takes four cache breakpoints, the automatic one included; the last reach furthest."""
    limit = _MARKERS_LIMIT - (body["cache_control"] is not None)
    said = [block for turn in body["messages"] for block in turn["content"]]
    marked = [block for block in (*body["tools"], *body["system"], *said) if "cache_control" in block]
    for block in marked[: max(len(marked) - limit, 0)]:
        del block["cache_control"]


def _betas(history: History) -> list[tuple[str, str]]:
    said = [block for turn in history.turns for block in turn["content"]]
    nested = [part for block in said if block["type"] == "tool_result" for part in block.get("content", ())]
    sources = [block.get("source") for block in (*said, *nested) if isinstance(block, dict)]
    uses_files = any(isinstance(source, dict) and source.get("type") == "file" for source in sources)
    return [("anthropic-beta", _FILES_BETA)] if uses_files else []
