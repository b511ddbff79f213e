"""Tools, their names, and which of them the model is to call.

Names that Gemini refuses are changed to ones that it takes, each to its own, and changed back in the answer. A
custom tool becomes a function of one string, `input`. Source: reference/wire/gemini.md sections 2 and 4.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from feathergate.capability import Capability
from feathergate.dialects.gemini.schema import clean_schema
from feathergate.dialects.loss import Losses
from feathergate.errors import ClientError
from feathergate.wire.chat import ChatRequest, CustomTool, FunctionTool, NamedTool, Tool, ToolChoice, ToolReference
from feathergate.wire.codec import decode_any, decode_tool_choice, decode_tools, encode, given

TOOLING = frozenset({"tools", "functions", "tool_choice", "function_call", "web_search_options"})
"""The fields of a request that `build_tools` reads."""

_LEGAL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
_ILLEGAL = re.compile(r"[^A-Za-z0-9_.:-]")
_NAME_LIMIT = 128
_TEXT_INPUT: Mapping[str, Any] = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
}
_MODES: Mapping[str, str] = {"none": "NONE", "auto": "AUTO", "required": "ANY"}

_decode_function = msgspec.json.Decoder(FunctionTool).decode
_decode_function_call = msgspec.json.Decoder(str | NamedTool).decode


AnyTool = FunctionTool | CustomTool
Mode = Literal["none", "auto", "required"]
_OPENAI_MODES: Mapping[str, Mode] = {"none": "none", "auto": "auto", "required": "required"}


class Choice(NamedTuple):
    """`mode` is None where the request leaves it open; `names` (the client's) are None where all tools are meant."""

    mode: Mode | None = None
    names: tuple[str, ...] | None = None


def read_tools(request: ChatRequest, losses: Losses) -> list[AnyTool]:
    """`tools` and the older `functions`. Raises `ClientError`."""
    tools: list[AnyTool] = []
    for index, tool in enumerate(decode_tools(request.tools or [])):
        tools.append(_pick_tool(tool, index))
        if tool.cache_control is not None:
            losses.drop("tools.cache_control", f"tools[{index}].cache_control")
    for index, raw in enumerate(request.functions or ()):
        try:
            tools.append(_decode_function(raw))
        except (ValueError, RecursionError) as error:
            where = f"functions[{index}]"
            raise ClientError(f"Invalid value for '{where}': {error}.", param=where) from None
    return tools


def read_choice(request: ChatRequest) -> Choice:
    """`tool_choice`, or the older `function_call`. Raises `ClientError`."""
    tool_choice, function_call = given(request.tool_choice), given(request.function_call)
    if tool_choice is not None:
        choice = decode_tool_choice(tool_choice)
        return _read_mode(choice, "tool_choice") if isinstance(choice, str) else _read_object(choice)
    if function_call is None:
        return Choice()
    try:
        legacy = _decode_function_call(function_call)
    except (ValueError, RecursionError) as error:
        message = f"Invalid value for 'function_call': {error}."
        raise ClientError(message, param="function_call") from None
    return _read_mode(legacy, "function_call") if isinstance(legacy, str) else Choice("required", (legacy.name,))


def pick_names(names: Iterable[str]) -> dict[str, str]:
    """The name that Gemini gets for each of the client's; the order of the names makes no difference."""
    distinct = sorted(set(names))
    taken = {name for name in distinct if _LEGAL_NAME.fullmatch(name)}
    picked: dict[str, str] = {}
    for name in distinct:
        picked[name] = name if name in taken else _rename(name, taken)
        taken.add(picked[name])
    return picked


def build_tools(
    request: ChatRequest,
    tools: Sequence[AnyTool],
    names: Mapping[str, str],
    capability: Capability,
    losses: Losses,
) -> dict[str, Any]:
    """`tools` and `toolConfig`, where there are any."""
    choice = read_choice(request)
    if choice.mode == "auto" and choice.names is not None:
        tools = [tool for tool in tools if tool.name in choice.names]
    declarations = [_declare(tool, names[tool.name]) for tool in tools]
    searches = _may_search(request, bool(declarations), capability, losses)
    built = [{"functionDeclarations": declarations}] if declarations else []
    config: dict[str, Any] = {}
    calling = _build_calling(choice, tools, names, capability, losses)
    if calling:
        config["functionCallingConfig"] = calling
    if searches and declarations:
        config["includeServerSideToolInvocations"] = True
    members: dict[str, Any] = {}
    if built or searches:
        members["tools"] = [*built, *([{"googleSearch": {}}] if searches else [])]
    if config:
        members["toolConfig"] = config
    return members


def _pick_tool(tool: Tool, index: int) -> AnyTool:
    picked = tool.function if tool.type == "function" else tool.custom
    if picked is None:
        where = f"tools[{index}].{tool.type}"
        raise ClientError(f"'{where}' is missing. Send the tool's name and parameters there.", param=where)
    return picked


def _read_mode(mode: str, where: str) -> Choice:
    if mode not in _OPENAI_MODES:
        raise ClientError(f"'{where}' is '{mode}'. Send none, auto, required, or a tool.", param=where)
    return Choice(_OPENAI_MODES[mode])


def _read_object(choice: ToolChoice) -> Choice:
    if choice.type == "allowed_tools" and choice.allowed_tools is not None:
        allowed = choice.allowed_tools
        return Choice(allowed.mode, tuple(_name(tool) for tool in allowed.tools))
    if choice.type != "allowed_tools":
        return Choice("required", (_name(choice),))
    message = "'tool_choice.allowed_tools' is missing. Send its mode and its tools."
    raise ClientError(message, param="tool_choice.allowed_tools")


def _name(reference: ToolChoice | ToolReference) -> str:
    named = reference.function or reference.custom
    if named is None:
        message = '\'tool_choice\' names no tool. Send {"type": "function", "function": {"name": …}}.'
        raise ClientError(message, param="tool_choice")
    return named.name


def _rename(name: str, taken: Iterable[str]) -> str:
    plain = _ILLEGAL.sub("_", name)
    plain = (plain if _LEGAL_NAME.match(plain) else f"_{plain}")[:_NAME_LIMIT]
    if plain not in taken:
        return plain
    return f"{plain[: _NAME_LIMIT - 17]}_{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _declare(tool: AnyTool, name: str) -> dict[str, Any]:
    declaration: dict[str, Any] = {"name": name}
    description = _describe(tool)
    if description:
        declaration["description"] = description
    if isinstance(tool, CustomTool):
        declaration["parametersJsonSchema"] = _TEXT_INPUT
    elif tool.parameters:
        declaration["parametersJsonSchema"] = clean_schema(tool.parameters)
    return declaration


def _describe(tool: AnyTool) -> str | None:
    """A custom tool's grammar binds nothing here, so the model is told of it."""
    grammar = tool.format.get("grammar") if isinstance(tool, CustomTool) and tool.format else None
    if grammar is None:
        return tool.description
    return "\n\n".join(filter(None, [tool.description, f"`input` must match this grammar: {encode(grammar).decode()}"]))


def _build_calling(
    choice: Choice,
    tools: Sequence[AnyTool],
    names: Mapping[str, str],
    capability: Capability,
    losses: Losses,
) -> dict[str, Any]:
    if not tools:
        if choice.mode == "required":
            losses.drop("tool_choice")
        return {}
    strict = any(isinstance(tool, FunctionTool) and tool.strict for tool in tools)
    if strict and not capability.strict_tools:
        losses.drop("tools.function.strict")
        strict = False
    mode = _MODES.get(choice.mode or "")
    if strict and choice.mode in (None, "auto"):
        mode = "VALIDATED"
    calling: dict[str, Any] = {"mode": mode} if mode else {}
    if choice.mode == "required" and choice.names is not None:
        calling["allowedFunctionNames"] = [names.get(name, name) for name in choice.names]
    return calling


def _may_search(request: ChatRequest, has_tools: bool, capability: Capability, losses: Losses) -> bool:
    """Whether Google's search goes with the request; how it searches cannot be said."""
    raw = given(request.web_search_options)
    if raw is None:
        return False
    if has_tools and not capability.mixed_tools:
        losses.drop("web_search_options")
        return False
    options = decode_any(raw)
    for name, value in options.items() if isinstance(options, dict) else ():
        if value is not None:
            losses.drop(f"web_search_options.{name}")
    return True
