"""The conversation: OpenAI's messages to Anthropic's system blocks and alternating turns.

The leading run of system messages becomes `system`; a later one stays where it stands, as a system turn where
the family takes it and as a note in the user's turn where not, because moving it would change the prefix that
caches and signatures are bound to. All results of a turn's calls stand first in one user turn, each call with
exactly one. Ids are made fit and unique in the order of the conversation, so a longer history begins with the
bytes of the shorter one. Where bare text goes to and fro, none of that is asked (`build_words`).
Specification: reference/wire/anthropic.md sections 3 and 6.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from feathergate.capability import Capability
from feathergate.dialects.call_id import split_call_id
from feathergate.dialects.loss import Losses
from feathergate.dialects.messages.assistant import Call, build_content, place_calls
from feathergate.dialects.messages.part import THINKING, Block, build_marker, build_parts, with_marker
from feathergate.dialects.messages.said import is_text, read_text
from feathergate.dialects.messages.tool import Names
from feathergate.errors import ClientError
from feathergate.wire.chat import Said

_ID_LIMIT: Final = 256
_PLACEHOLDER: Final = "."
_NOTE: Final = "[Instruction from the operator of this conversation]\n"
_ORPHAN: Final = "[Result of the tool call {}, which is not part of this conversation]"
_MISSING: Final = "No result of this call was given."

# What may stand before a message of each role in a conversation of words: all of the system stands first.
_FOLLOWS: Final[Mapping[str, tuple[str, ...]]] = {
    "system": ("system",),
    "developer": ("system",),
    "user": ("system", "assistant"),
    "assistant": ("user",),
    "tool": (),
    "function": (),
}


class History:
    """`system` and `messages` as Anthropic has them; `is_words` = bare text in turns, no breakpoint and no call."""

    __slots__ = ("is_words", "system", "turns")

    def __init__(self, system: list[Block], turns: list[Block], *, is_words: bool = False) -> None:
        self.system: Final = system
        self.turns: Final = turns
        self.is_words: Final = is_words


def build_history(
    messages: Sequence[Said],
    calls: Mapping[int, Sequence[Call]],
    names: Mapping[str, str],
    capability: Capability,
    losses: Losses,
) -> History:
    """`calls` are those of the messages by index, `names` maps the client's names of tools to Anthropic's.

    Raises `ClientError` with the message's place, and msgspec's errors.
    """
    conversation = _Conversation(calls, names, losses)
    for index, message in enumerate(messages):
        conversation.add(message, index)
    turns = conversation.turns
    if not turns or (turns[-1].role == "assistant" and turns[-1].calls):
        conversation.turn("user")
    rendered = [rendered for turn in turns for rendered in _render_turn(turn, capability.system_in_place)]
    if rendered[-1]["role"] == "assistant":
        rendered = _end_with_prefill(rendered, capability, len(messages) - 1)
    return History(conversation.system, rendered)


def build_words(messages: Sequence[Said]) -> History | None:
    """What `build_history` would make where bare text goes to and fro; else None. A message: 0.4 µs in place of 1.8."""
    system: list[Block] = []
    turns: list[Block] = []
    before = "system"
    for message in messages:
        role = message.role
        if before not in _FOLLOWS[role] or not _is_words(message):
            return None
        block: Block = {"type": "text", "text": message.content}
        if role == "user" or role == "assistant":
            turns.append({"role": role, "content": [block]})
            before = role
        else:
            system.append(block)
    return History(system, turns, is_words=True) if before == "user" else None


def _is_words(message: Said) -> bool:
    """Whether the message is a text, and nothing besides that would be carried or said to be lost."""
    if message.name is not None or message.cache_control is not None:
        return False
    if message.role == "assistant" and (
        message.tool_calls
        or message.thinking_blocks
        or message.extra_content
        or message.function_call is not None
        or message.audio is not None
    ):
        return False
    return is_text(message.content)


def lacks_thinking(turns: Sequence[Block]) -> bool:
    """Whether the calls that await an answer came without any thinking, which a thinking budget refuses."""
    in_loop = False
    for turn in reversed(turns):
        first = turn["content"][0]["type"]
        if turn["role"] == "assistant" and first in THINKING:
            return False
        if turn["role"] == "user":
            if first != "tool_result":
                break
            in_loop = True
    return in_loop


class _Turn:
    """A turn in the making. A user's turn knows the calls that it must answer, by their ids upstream."""

    __slots__ = ("calls", "items", "results", "role")

    def __init__(self, role: str, calls: Iterable[str] = ()) -> None:
        self.role = role
        self.calls = list(calls)
        self.results: dict[str, Block] = {}
        self.items: list[tuple[bool, list[Block]]] = []  # whether it is the operator who speaks, and what is said


class _Conversation:
    """Reads messages one by one into turns."""

    def __init__(self, calls: Mapping[int, Sequence[Call]], names: Mapping[str, str], losses: Losses) -> None:
        self.system: list[Block] = []
        self.turns: list[_Turn] = []
        self._given = calls
        self._names = names
        self._losses = losses
        self._ids = Names(_ID_LIMIT)
        # Of the last assistant's turn: each call's ids upstream by its key, and how many of them were answered.
        self._calls: dict[tuple[str, str], list[str]] = {}
        self._answered: dict[tuple[str, str], int] = {}

    def add(self, message: Said, index: int) -> None:
        where = f"messages[{index}]"
        if message.name is not None and message.role not in ("tool", "function"):
            self._losses.drop("messages.name", f"{where}.name")
        blocks = build_parts(message.content, where, self._losses)
        marked = with_marker(blocks, build_marker(message.cache_control))
        if message.role in ("system", "developer"):
            self._add_system(marked, where)
        elif message.role == "user":
            self.turn("user").items.append((False, marked))
        elif message.role == "assistant":
            self._add_assistant(message, blocks, index)
        else:
            self._add_result(message, marked, where)

    def turn(self, role: str) -> _Turn:
        """The last turn if it is this role's, else a new one. A conversation begins with the user."""
        last = self.turns[-1] if self.turns else None
        if last is not None and last.role == role:
            return last
        if role == "assistant":
            self._calls, self._answered = {}, {}
            if last is None:
                self.turns.append(_Turn("user"))
        self.turns.append(_Turn(role, last.calls if last is not None and role == "user" else ()))
        return self.turns[-1]

    def _add_system(self, blocks: list[Block], where: str) -> None:
        if any(block["type"] != "text" for block in blocks):
            raise ClientError(f"A system message holds only text ({where}).", param=where, code="invalid_value")
        if self.turns:
            self.turn("user").items.append((True, blocks))
        else:
            self.system += blocks

    def _add_assistant(self, message: Said, words: list[Block], index: int) -> None:
        """A message that says nothing makes no turn."""
        if message.audio is not None:
            self._losses.drop("messages.audio", f"messages[{index}].audio")
        calls = self._given.get(index, ())
        content = build_content(message, words, {call.id for call in calls})
        if not content and not calls:
            return
        turn = self.turn("assistant")
        built = {upstream: self._build_call(call, upstream) for call in calls if (upstream := self._open_call(call))}
        turn.calls += built
        content = place_calls(content, built)
        turn.items.append((False, with_marker(content, build_marker(message.cache_control))))

    def _open_call(self, call: Call) -> str:
        """The call's id upstream: its own, unless Anthropic would refuse it or another call has it."""
        upstream = self._ids.claim(call.id)
        self._calls.setdefault(call.key, []).append(upstream)
        return upstream

    def _build_call(self, call: Call, upstream: str) -> Block:
        return {"type": "tool_use", "id": upstream, "name": self._names[call.name], "input": call.input}

    def _add_result(self, message: Said, blocks: list[Block], where: str) -> None:
        """A second result of one call takes the place of the first; one without a call becomes words."""
        if message.role == "tool" and message.tool_call_id is None:
            where = f"{where}.tool_call_id"
            raise ClientError(f"'{where}' is missing. Name the call that this is the result of.", param=where)
        plain, _ = split_call_id(message.tool_call_id or "")
        key = ("id", plain) if message.role == "tool" else ("name", message.name or "")
        turn = self.turn("user")
        ids = self._calls.get(key)
        if ids is None:
            turn.items.append((False, [{"type": "text", "text": _ORPHAN.format(key[1])}, *blocks]))
            return
        answered = self._answered.get(key, 0)
        self._answered[key] = answered + 1
        upstream = ids[min(answered, len(ids) - 1)]
        turn.results[upstream] = _build_result(upstream, blocks)


def _build_result(upstream: str, blocks: Sequence[Block]) -> Block:
    """A breakpoint on a part of the result moves to the result."""
    result: Block = {"type": "tool_result", "tool_use_id": upstream}
    if blocks:
        result["content"] = blocks
    markers = [block["cache_control"] for block in blocks if "cache_control" in block]
    if markers:
        result["content"] = [_unmark(block) for block in blocks]
        result["cache_control"] = markers[-1]
    return result


def _unmark(block: Block) -> Block:
    return {name: value for name, value in block.items() if name != "cache_control"}


def _render_turn(turn: _Turn, system_in_place: bool) -> list[Block]:
    """The turn's message, and the system message that follows it where the operator had the last word."""
    if turn.role == "assistant":
        return [{"role": "assistant", "content": [block for _, blocks in turn.items for block in blocks]}]
    items, end = turn.items, len(turn.items)
    if system_in_place and (turn.calls or not all(system for system, _ in items)):
        while end and items[end - 1][0]:
            end -= 1
    content = [turn.results.get(call) or _build_missing(call) for call in turn.calls]
    for system, blocks in items[:end]:
        content += [_as_note(block) for block in blocks] if system else blocks
    last_words = [block for _, blocks in items[end:] for block in blocks]
    messages: list[Block] = [{"role": "user", "content": content or [{"type": "text", "text": _PLACEHOLDER}]}]
    return [*messages, {"role": "system", "content": last_words}] if last_words else messages


def _build_missing(upstream: str) -> Block:
    return {"type": "tool_result", "tool_use_id": upstream, "content": _MISSING, "is_error": True}


def _as_note(block: Block) -> Block:
    return {**block, "text": _NOTE + read_text(block["text"])}


def _end_with_prefill(turns: list[Block], capability: Capability, last: int) -> list[Block]:
    """The assistant's last words, for the model to go on from: without white space at their end."""
    if not capability.prefill:
        raise ClientError(
            f"The last message (messages[{last}]) is the assistant's, and this model does not continue one. "
            "End with a user message.",
            param=f"messages[{last}]",
            code="invalid_value",
        )
    *before, turn = turns
    *content, end = turn["content"]
    if end["type"] == "text":
        text = read_text(end["text"])
        if text[-1].isspace():
            end = {**end, "text": text.rstrip()}
    return [*before, {**turn, "content": [*content, end]}]
