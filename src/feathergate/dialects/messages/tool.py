"""Tools, their names, and which of them the model is to call.

Names that Anthropic would refuse are changed to ones it takes, each to its own, and changed back in the answer.
A custom tool takes one string, `input`. Specification: reference/wire/anthropic.md section 3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from feathergate.capability import Capability
from feathergate.dialects.loss import Losses
from feathergate.dialects.messages.part import Block, build_marker
from feathergate.dialects.schema import is_recursive, sanitise_for_messages
from feathergate.errors import ClientError
from feathergate.wire.chat import CustomTool, FunctionTool, Tool, ToolChoice

_STRICT_LIMIT: Final = 20
_NAME_LIMIT: Final = 64
_NOT_IN_NAME: Final = re.compile(r"[^A-Za-z0-9_-]")
_FITTING: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{_NAME_LIMIT}}}")
_UNIONS: Final = ("anyOf", "oneOf", "allOf")


# --- names --------------------------------------------------------------------------------------------------------


class Names:
    """Gives out names in the characters that Anthropic takes, each once and at most `limit` characters long."""

    __slots__ = ("_limit", "_numbers", "_taken")

    def __init__(self, limit: int, taken: Iterable[str] = ()) -> None:
        self._limit = limit
        self._taken = set(taken)
        self._numbers: dict[str, int] = {}

    def fits(self, name: str) -> bool:
        return self._plain(name) == name and name not in self._taken

    def claim(self, name: str) -> str:
        """The name itself if it fits, else one like it."""
        plain = new = self._plain(name)
        while new in self._taken:
            number = self._numbers[plain] = self._numbers.get(plain, 1) + 1
            new = f"{plain[: self._limit - len(str(number)) - 1]}_{number}"
        self._taken.add(new)
        return new

    def _plain(self, name: str) -> str:
        return _NOT_IN_NAME.sub("_", name)[: self._limit] or "_"


def map_names(names: Iterable[str], reserved: Iterable[str]) -> dict[str, str]:
    """Every client's name of a tool to Anthropic's. A name that needs no change keeps itself."""
    wanted = list(dict.fromkeys(names))
    if all(map(_FITTING.fullmatch, wanted)) and set(wanted).isdisjoint(reserved):
        return dict(zip(wanted, wanted, strict=True))
    given = Names(_NAME_LIMIT, reserved)
    kept = {name: given.claim(name) for name in wanted if given.fits(name)}
    return {name: kept.get(name) or given.claim(name) for name in wanted}


# --- tools --------------------------------------------------------------------------------------------------------


def member_of(tool: Tool, where: str) -> FunctionTool | CustomTool:
    """The member that the tool's type names; raises `ClientError` where it is missing."""
    member: FunctionTool | CustomTool | None = tool.custom if tool.type == "custom" else tool.function
    if member is None:
        raise ClientError(f"The tool has no '{tool.type}' ({where}). Add it.", param=f"{where}.{tool.type}")
    return member


def build_tools(tools: Sequence[Tool], names: Mapping[str, str], capability: Capability, losses: Losses) -> list[Block]:
    strict_left = _STRICT_LIMIT if capability.structured_output else 0
    built: list[Block] = []
    for index, tool in enumerate(tools):
        where = f"tools[{index}]"
        member = member_of(tool, where)
        block = _build_custom(member, names) if isinstance(member, CustomTool) else _build_function(member, names)
        if isinstance(member, FunctionTool) and member.strict:
            if strict_left and not is_recursive(block["input_schema"]):
                strict_left -= 1
                block |= {"input_schema": sanitise_for_messages(block["input_schema"]), "strict": True}
            else:
                losses.drop("tools.function.strict", f"{where}.function.strict")
        marker = build_marker(tool.cache_control)
        built.append(block if marker is None else {**block, "cache_control": marker})
    return built


def build_known_tools(names: Iterable[str]) -> list[Block]:
    """Tools that the history calls though the request declares none: Anthropic asks for their names."""
    return [{"name": name, "input_schema": {"type": "object", "properties": {}}} for name in names]


def _build_function(function: FunctionTool, names: Mapping[str, str]) -> Block:
    block: Block = {"name": names[function.name]}
    if function.description:
        block["description"] = function.description
    block["input_schema"] = as_object_schema(function.parameters or {})
    return block


def _build_custom(custom: CustomTool, names: Mapping[str, str]) -> Block:
    words = [custom.description or ""]
    grammar = (custom.format or {}).get("grammar")
    if isinstance(grammar, dict):
        words.append(f"The input follows this {grammar.get('syntax', '')} grammar:\n{grammar.get('definition', '')}")
    description = "\n\n".join(filter(None, words))
    schema = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
    said = {"description": description} if description else {}
    return {"name": names[custom.name], **said, "input_schema": schema}


def as_object_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with type object and no union at the top, both of which Anthropic asks for.

    A union's branches become one object: their properties together, required what every branch (of `allOf`: any
    branch) requires.
    """
    whole: dict[str, Any] = {"type": None, **schema}
    whole["type"] = schema.get("type") or "object"
    properties: dict[str, Any] = {}
    required = _strings(schema.get("required"))
    for union in _UNIONS:
        if union not in whole:
            continue
        branches = [_resolve(branch, schema) for branch in _objects(whole.pop(union))]
        needs = [dict.fromkeys(_strings(branch.get("required"))) for branch in branches]
        for branch in branches:
            properties |= _members(branch.get("properties"))
        if union == "allOf":
            required += [name for need in needs for name in need]
        elif needs:
            required += [name for name in needs[0] if all(name in need for need in needs)]
    whole["properties"] = properties | _members(schema.get("properties"))
    if required:
        whole["required"] = list(dict.fromkeys(required))
    return whole


def _resolve(branch: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """A branch that is a local reference, as what it refers to."""
    _, _, path = str(branch.get("$ref", "")).partition("#/")
    place, _, name = path.partition("/")
    found = _members(root.get(place)).get(name) if place in ("$defs", "definitions") else None
    return found if isinstance(found, dict) else branch


def _members(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _strings(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


# --- choice -------------------------------------------------------------------------------------------------------


class Wish(NamedTuple):
    """What the client wants called. `name` and `allowed` are the client's names; `where` is the field's."""

    mode: Literal["auto", "none", "required", "named"]
    name: str | None = None
    allowed: frozenset[str] | None = None
    where: str = "tool_choice"


def read_choice(choice: str | ToolChoice | None, where: str = "tool_choice") -> Wish | None:
    """Raises `ClientError` for a choice that OpenAI's protocol does not have."""
    if choice is None:
        return None
    if isinstance(choice, str):
        if choice not in ("auto", "none", "required"):
            raise _bad_choice(f"'{choice}' is no choice of tools. Send auto, none, required or a tool", where)
        return Wish(choice, where=where)  # type: ignore[arg-type]  # narrowed by the line above
    if choice.type == "allowed_tools" and choice.allowed_tools is not None:
        allowed = [ref.function or ref.custom for ref in choice.allowed_tools.tools]
        names = frozenset(named.name for named in allowed if named is not None)
        return Wish(choice.allowed_tools.mode, allowed=names, where=where)
    named = choice.custom if choice.type == "custom" else choice.function
    if named is None:
        raise _bad_choice(f"It has no '{choice.type}'. Add it", where)
    return Wish("named", named.name, where=where)


class Choice(NamedTuple):
    """`tool_choice` as Anthropic has it, and what must be said in words where it cannot be said so."""

    value: dict[str, Any] | None = None
    instruction: str | None = None


def build_choice(
    wish: Wish | None, names: Mapping[str, str], *, can_force: bool, parallel: bool, losses: Losses
) -> Choice:
    """`can_force` = the model takes forced tools as the request stands; `parallel` = several calls at once."""
    wish = wish or Wish("auto")
    if wish.name is not None and wish.name not in names:
        raise _bad_choice(f"It names '{wish.name}', which is not among the tools. Add that tool", wish.where)
    if wish.mode == "none":
        return Choice({"type": "none"})
    single = {} if parallel else {"disable_parallel_tool_use": True}
    if wish.mode == "auto":
        return Choice({"type": "auto", **single} if single else None)
    name = names[wish.name] if wish.name is not None else None
    if not can_force:
        losses.drop(wish.where)
        called = f"the tool {name}" if name else "one of the tools"
        return Choice({"type": "auto", **single}, f"Answer by calling {called}.")
    return Choice({"type": "tool", "name": name, **single} if name else {"type": "any", **single})


def _bad_choice(what: str, where: str) -> ClientError:
    return ClientError(f"Invalid value for '{where}': {what}.", param=where, code="invalid_value")
