"""What providers sign comes back on the next turn, whether or not the client kept it."""

from __future__ import annotations

import json
import time
import tracemalloc
from typing import Any

import msgspec

from feathergate.capability import find_capability
from feathergate.dialects.contract import Context, Dialect, Target, Thought
from feathergate.dialects.gemini import GEMINI
from feathergate.dialects.messages import MESSAGES
from feathergate.dialects.thought import ENTRY_BYTES, ThoughtMemory, ThoughtRecorder, restore_thoughts
from feathergate.events import Extra, Reasoning, RedactedReasoning, Signature, Text, ToolStarted
from feathergate.wire.chat import FunctionCall, Message, ToolCall
from feathergate.wire.codec import decode_chat

CALL = ToolCall("c1", function=FunctionCall("f", "{}"))
BLOCK = {"type": "thinking", "thinking": "Let me think.", "signature": "c2ln"}
TURN = [
    {"role": "user", "content": "Go."},
    {
        "role": "assistant",
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "done"},
]


def build(dialect: Dialect, model: str, memory: ThoughtMemory | None) -> Any:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    body = {"model": model, "messages": TURN, "tools": [tool], "reasoning_effort": "high"}
    target = Target(model, find_capability(model), thoughts=memory)
    return json.loads(dialect.build_request(*decode_chat(json.dumps(body).encode()), target).body)


def remember(thought: Thought) -> ThoughtMemory:
    memory = ThoughtMemory()
    memory.keep("c1", thought)
    return memory


def test_recorder_keeps_what_the_calls_need() -> None:
    memory = ThoughtMemory()
    recorder = ThoughtRecorder(memory)
    recorder.listen([Reasoning("Let me ", 0, 0), Reasoning("think.", 0, 0), Signature("c2ln", 0), Text("x")])
    recorder.listen([RedactedReasoning("blob", 1), ToolStarted(0, "c1", "f", signature="s"), ToolStarted(1, "c2", "g")])
    recorder.listen([Extra({"anthropic": {}})])
    recorder.keep()
    blocks = (BLOCK, {"type": "redacted_thinking", "data": "blob"})
    assert memory.recall("c1") == Thought("s", blocks, {"anthropic": {}})
    assert memory.recall("c2") == Thought(None, blocks, {"anthropic": {}})


def test_answer_without_signatures_leaves_nothing() -> None:
    memory = ThoughtMemory()
    recorder = ThoughtRecorder(memory)
    recorder.listen([Reasoning("hm"), ToolStarted(0, "c1", "f")])
    recorder.keep()
    assert len(memory) == 0


def test_restoring_leaves_the_given_history_as_it_was() -> None:
    message = Message(role="assistant", tool_calls=[CALL])
    (restored,) = restore_thoughts([message], remember(Thought("s", (BLOCK,))))
    assert (message.thinking_blocks, message.tool_calls) == (None, [CALL])
    assert restored.thinking_blocks == [BLOCK]
    assert restored.tool_calls == [msgspec.structs.replace(CALL, extra_content={"google": {"thought_signature": "s"}})]


def test_what_the_client_sends_itself_wins() -> None:
    own = msgspec.structs.replace(CALL, extra_content={"google": {"thought_signature": "own"}})
    message = Message(role="assistant", tool_calls=[own], thinking_blocks=[{"type": "thinking", "signature": "own"}])
    assert restore_thoughts([message], remember(Thought("s", (BLOCK,)))) == [message]


def test_anthropic_gets_its_thinking_back_before_the_call() -> None:
    body = build(MESSAGES, "claude-sonnet-4-6", remember(Thought(blocks=(BLOCK,))))
    assert [block["type"] for block in body["messages"][1]["content"]] == ["thinking", "tool_use"]
    assert body["messages"][1]["content"][0] == BLOCK


def test_gemini_gets_its_signature_back_on_the_call() -> None:
    body = build(GEMINI, "gemini-3-flash-preview", remember(Thought("c2ln")))
    assert body["contents"][1]["parts"][0]["thoughtSignature"] == "c2ln"
    forgotten = build(GEMINI, "gemini-3-flash-preview", ThoughtMemory())
    assert forgotten["contents"][1]["parts"][0]["thoughtSignature"] == "skip_thought_signature_validator"


def test_memory_counts_what_an_entry_costs_besides_its_text() -> None:
    memory = ThoughtMemory(limit_bytes=10 * ENTRY_BYTES)
    for number in range(100):
        memory.keep(f"call{number}", Thought("x"))
    assert len(memory) < 10


def test_memory_takes_no_more_than_it_counts() -> None:
    memory = ThoughtMemory(limit_bytes=1 << 20)
    tracemalloc.start()
    for number in range(5000):
        memory.keep(f"call{number}", Thought("s" * 50, tuple(dict(BLOCK) for _ in range(9)), {"a": [{"b": 1}] * 9}))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(memory) > 500
    assert held < 1.5 * (1 << 20)


def test_thought_kept_twice_counts_once() -> None:
    memory = ThoughtMemory(limit_bytes=3 * ENTRY_BYTES)
    for _ in range(100):
        memory.keep("call0", Thought("a"))
        memory.keep("call1", Thought("b"))
    assert (memory.recall("call0"), memory.recall("call1")) == (Thought("a"), Thought("b"))


def test_thinking_in_many_pieces_is_joined_in_linear_time() -> None:
    memory = ThoughtMemory()
    recorder = ThoughtRecorder(memory)
    piece = "x" * 20
    began = time.process_time()
    recorder.listen([*(Reasoning(piece, 0, 0) for _ in range(200_000)), Signature("s", 0), ToolStarted(0, "c1", "f")])
    recorder.keep()
    assert time.process_time() - began < 2
    thought = memory.recall("c1")
    assert thought is not None
    assert len(thought.blocks[0]["thinking"]) == 200_000 * len(piece)


def test_thinking_within_a_redacted_block_harms_nothing() -> None:
    memory = ThoughtMemory()
    recorder = ThoughtRecorder(memory)
    recorder.listen([RedactedReasoning("blob", 0), Reasoning("x", 0, 0), ToolStarted(0, "c1", "f")])
    recorder.keep()
    assert memory.recall("c1") == Thought(None, ({"type": "redacted_thinking", "data": "blob"},))


def test_calls_of_two_conversations_without_ids_are_told_apart() -> None:
    part = {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "s"}
    body = json.dumps({"candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}]}).encode()

    def read_id(exchange: str) -> str:
        events = GEMINI.parse_answer(body, Context(model="m", fallback_id=exchange))
        return next(event.id for event in events if isinstance(event, ToolStarted))

    assert read_id("one") != read_id("two")
    assert read_id("one") == read_id("one")


def test_memory_is_bounded_and_forgets_the_longest_unused() -> None:
    memory = ThoughtMemory(limit_bytes=5000)
    for number in range(100):
        memory.keep(f"call{number}", Thought("x" * 400))
        memory.recall("call0")
    assert memory.recall("call0") is not None
    assert memory.recall("call1") is None
    assert 5 < len(memory) < 13
