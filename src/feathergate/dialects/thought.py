"""What a provider signed and most clients lose: kept by tool-call id, and put back into the next turn.

Thinking blocks, thought signatures and the content of provider-run tools must come back untouched in a tool loop,
but clients drop the members that OpenAI does not know. So they are remembered when an answer with tool calls goes
out, and restored to a history in which such a call stands without them; what the client sends itself wins. The
memory is bounded, the oldest goes first, and it is one process's: when it has forgotten, the dialects' documented
fallbacks remain. Thoughts are kept encoded, so that their size is known. Pure: no clock. Source:
reference/wire/anthropic.md "Thinking round trip", gemini.md section 3.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar

import msgspec

from feathergate.dialects.contract import Remembered, Thought
from feathergate.dialects.thinking import ThinkingBlocks
from feathergate.events import Event, Extra, Reasoning, RedactedReasoning, Signature, ToolStarted
from feathergate.wire.chat import Message, ToolCall

LIMIT_BYTES = 16 * 1024 * 1024
ENTRY_BYTES = 300
"""What an entry costs besides its text: two objects' heads and a place in the ordered table."""


M = TypeVar("M", bound=Message)

_decode_thought = msgspec.json.Decoder(Thought).decode


class ThoughtMemory:
    """The most recently used thoughts that fit into `limit_bytes`."""

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._bytes = 0
        self._thoughts: OrderedDict[str, bytes] = OrderedDict()

    def __len__(self) -> int:
        return len(self._thoughts)

    def recall(self, call_id: str) -> Thought | None:
        found = self._thoughts.get(call_id)
        if found is None:
            return None
        with suppress(KeyError):  # large requests are built in a thread: the loop may just have forgotten it
            self._thoughts.move_to_end(call_id)
        try:
            return _decode_thought(found)
        except RecursionError:
            return None

    def keep(self, call_id: str, thought: Thought) -> None:
        try:
            encoded = msgspec.json.encode(thought)
        except RecursionError:
            return  # deeper than we can write: the fallbacks remain
        before = self._thoughts.pop(call_id, None)
        if before is not None:
            self._bytes -= _measure(call_id, before)
        self._thoughts[call_id] = encoded
        self._bytes += _measure(call_id, encoded)
        while self._bytes > self._limit_bytes:
            self._bytes -= _measure(*self._thoughts.popitem(last=False))


def _measure(call_id: str, encoded: bytes) -> int:
    return ENTRY_BYTES + len(call_id) + len(encoded)


class ThoughtRecorder:
    """Listens to one answer's events; `keep` gives `memory` what the answer's tool calls will need."""

    __slots__ = ("_calls", "_extra", "_memory", "_thinking")

    def __init__(self, memory: ThoughtMemory) -> None:
        self._memory = memory
        self._calls: list[ToolStarted] = []
        self._thinking: dict[int, ThinkingBlocks] = {}
        self._extra: dict[int, dict[str, Any]] = {}

    def listen(self, events: Iterable[Event]) -> None:
        for event in events:
            hear = _HEARERS.get(type(event))
            if hear is not None:
                hear(self, event)

    def keep(self) -> None:
        if not self._calls:
            return
        blocks = {choice: tuple(thinking.build()) for choice, thinking in self._thinking.items()}
        for call in self._calls:
            thought = Thought(call.signature, blocks.get(call.choice, ()), self._extra.get(call.choice))
            if thought != Thought():
                self._memory.keep(call.id, thought)

    def _hear_call(self, event: ToolStarted) -> None:
        self._calls.append(event)

    def _hear_thinking(self, event: Reasoning | Signature | RedactedReasoning) -> None:
        self._thinking.setdefault(event.choice, ThinkingBlocks()).add(event)

    def _hear_extra(self, event: Extra) -> None:
        self._extra[event.choice] = event.value


# Behind the class and not in its body, where mypyc cannot have a table of methods yet.
# ruff: noqa: SLF001
_HEARERS: Final[Mapping[type[Event], Callable[[ThoughtRecorder, Any], None]]] = {
    ToolStarted: ThoughtRecorder._hear_call,
    **dict.fromkeys((Reasoning, Signature, RedactedReasoning), ThoughtRecorder._hear_thinking),
    Extra: ThoughtRecorder._hear_extra,
}


def restore_thoughts(messages: list[M], remembered: Remembered | None) -> list[M]:
    """The history with what was remembered put back; the given messages are not changed."""
    if remembered is None:
        return messages
    return [_restore(message, remembered) if message.tool_calls else message for message in messages]


def _restore(message: M, remembered: Remembered) -> M:
    thoughts = [remembered.recall(call.id) for call in message.tool_calls or ()]
    known = next((thought for thought in thoughts if thought is not None), None)
    if known is None:
        return message
    changes: dict[str, Any] = {"tool_calls": list(map(_sign, message.tool_calls or (), thoughts))}
    if known.blocks and not message.thinking_blocks:
        changes["thinking_blocks"] = list(known.blocks)
    if known.extra and not message.extra_content:
        changes["extra_content"] = known.extra
    return msgspec.structs.replace(message, **changes)


def _sign(call: ToolCall, thought: Thought | None) -> ToolCall:
    if thought is None or thought.signature is None or call.extra_content:
        return call
    return msgspec.structs.replace(call, extra_content={"google": {"thought_signature": thought.signature}})
