"""The tools that a request carries: the client's, those its history calls, and the provider's search.

Specification: reference/wire/anthropic.md section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Raw, UnsetType

from feathergate.capability import Capability
from feathergate.dialects.loss import Losses
from feathergate.dialects.messages.assistant import Call
from feathergate.dialects.messages.form import JSON_INSTRUCTION, Form
from feathergate.dialects.messages.knob import read_object
from feathergate.dialects.messages.part import Block
from feathergate.dialects.messages.tool import Wish, build_known_tools, build_tools, map_names, member_of, read_choice
from feathergate.errors import ClientError
from feathergate.wire import codec
from feathergate.wire.chat import ChatRequest, FunctionTool, NamedTool, Tool

_SEARCH_NAME: Final = "web_search"
_SEARCH_USES: Final = {"low": 1, "medium": 5, "high": 10}
JSON_NAME: Final = "json"

_decode_function: Final = msgspec.json.Decoder(FunctionTool).decode
_decode_function_call: Final[Callable[[Raw], str | NamedTool]] = msgspec.json.Decoder(str | NamedTool).decode


class Toolset(NamedTuple):
    """`names` maps the client's names to Anthropic's, `choosable` those of them that can be asked for.

    `custom` are the client's names of custom tools.
    """

    blocks: list[Block]
    names: dict[str, str]
    choosable: dict[str, str]
    wish: Wish | None
    custom: frozenset[str]
    parallel: bool


NO_TOOLS: Final = Toolset([], {}, {}, None, frozenset(), parallel=True)
_ASKING: Final = frozenset(("tools", "functions", "tool_choice", "function_call", "web_search_options"))


def plan_tools(
    request: ChatRequest,
    members: codec.Members,
    calls: Mapping[int, Sequence[Call]],
    form: Form,
    capability: Capability,
    losses: Losses,
) -> Toolset:
    """`calls` are those of the history, by message. Raises `ClientError`."""
    if not calls and form.schema is None and _ASKING.isdisjoint(members):
        return NO_TOOLS
    search = read_object(request.web_search_options, "web_search_options")
    tools = [*codec.decode_tools(request.tools or []), *_read_functions(request.functions or [])]
    called = [call.name for made in calls.values() for call in made]
    declared = [member_of(tool, f"tools[{index}]").name for index, tool in enumerate(tools)]
    reserved = {_SEARCH_NAME} if search is not None else {JSON_NAME} if form.schema is not None else set()
    names = map_names([*declared, *called], reserved)
    choosable = {name: names[name] for name in declared}
    wish = _read_wish(request)
    if wish is not None and wish.allowed is not None:
        tools = [tool for tool, name in zip(tools, declared, strict=True) if name in wish.allowed]
    blocks = build_tools(tools, names, capability, losses)
    if not tools and called and form.schema is None:
        blocks = build_known_tools(names[name] for name in dict.fromkeys(called))
        wish = Wish("none") if search is None else None
    if search is not None:
        blocks.append(_build_search(search))
    if form.schema is not None:
        blocks.append({"name": JSON_NAME, "description": JSON_INSTRUCTION, "input_schema": form.schema})
        wish = Wish("named", JSON_NAME, where="response_format")
        choosable = {JSON_NAME: JSON_NAME}
    custom = frozenset(tool.custom.name for tool in tools if tool.type == "custom" and tool.custom)
    parallel = request.parallel_tool_calls is not False and not request.functions
    return Toolset(blocks, names, choosable, wish, custom, parallel)


def _read_functions(functions: Sequence[Raw]) -> list[Tool]:
    """OpenAI's older form of tools."""
    try:
        return [Tool("function", function=_decode_function(function)) for function in functions]
    except msgspec.DecodeError as error:
        raise ClientError(f"Invalid value for 'functions': {error}.", param="functions") from None


def _read_wish(request: ChatRequest) -> Wish | None:
    if not isinstance(request.tool_choice, UnsetType) and not codec.is_null(request.tool_choice):
        return read_choice(codec.decode_tool_choice(request.tool_choice))
    if isinstance(request.function_call, UnsetType) or codec.is_null(request.function_call):
        return None
    try:
        wanted = _decode_function_call(request.function_call)
    except msgspec.DecodeError as error:
        raise ClientError(f"Invalid value for 'function_call': {error}.", param="function_call") from None
    if isinstance(wanted, str):
        return read_choice(wanted, "function_call")
    return Wish("named", wanted.name, where="function_call")


def _build_search(options: Mapping[str, Any]) -> Block:
    """Anthropic's own search, in the version that the model calls without a program between."""
    tool: Block = {"type": "web_search_20250305", "name": _SEARCH_NAME}
    size, location = options.get("search_context_size"), options.get("user_location")
    if isinstance(size, str) and size in _SEARCH_USES:
        tool["max_uses"] = _SEARCH_USES[size]
    place = location.get("approximate") if isinstance(location, dict) else None
    if isinstance(place, dict):
        known = {name: place[name] for name in ("city", "region", "country", "timezone") if place.get(name)}
        tool["user_location"] = {"type": "approximate", **known}
    return tool
