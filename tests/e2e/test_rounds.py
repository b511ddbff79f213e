"""A tool loop of four turns with thinking: what the provider signed comes back each time, kept by the client or not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.e2e.native import build_stream, build_whole, decode_body, encode_event
from tests.e2e.scene import Scene, open_scene

Json = dict[str, Any]
KNOWN = ("role", "content", "tool_calls")
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}


def message(turn: int) -> Json:
    """Anthropic's turn: thinking, a signature, a call; the last one speaks."""
    thinking = {"type": "thinking", "thinking": f"Thought {turn}.", "signature": f"c2ln{turn}"}
    call = {"type": "tool_use", "id": f"toolu_{turn}", "name": "look", "input": {}}
    content = [thinking, call] if turn < 3 else [{"type": "text", "text": "Done."}]
    usage = {"input_tokens": 1, "output_tokens": 1}
    ids = {"id": f"msg_{turn}", "type": "message", "role": "assistant", "model": "m", "stop_sequence": None}
    return {**ids, "content": content, "stop_reason": "tool_use" if turn < 3 else "end_turn", "usage": usage}


def message_events(turn: int) -> list[bytes]:
    whole = message(turn)
    events: list[Json] = [{"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}}]
    for index, block in enumerate(whole["content"]):
        empty = {**block, "thinking": "", "signature": ""} if block["type"] == "thinking" else block
        events.append({"type": "content_block_start", "index": index, "content_block": empty})
        if block["type"] == "thinking":
            for kind in ("thinking", "signature"):
                delta = {"type": f"{kind}_delta", kind: block[kind]}
                events.append({"type": "content_block_delta", "index": index, "delta": delta})
        events.append({"type": "content_block_stop", "index": index})
    stop = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    events += [{"type": "message_delta", "delta": stop, "usage": {"output_tokens": 1}}, {"type": "message_stop"}]
    return [encode_event(event, event["type"]) for event in events]


def candidate(turn: int) -> Json:
    """Gemini's turn: a signed call and one beside it; the last one speaks."""
    first = {"functionCall": {"name": "look", "args": {}, "id": f"call_{turn}"}, "thoughtSignature": f"c2ln{turn}"}
    second = {"functionCall": {"name": "look", "args": {}, "id": f"also_{turn}"}}
    parts = [first, second] if turn < 3 else [{"text": "Done."}]
    choice = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
    return {"candidates": [choice], "responseId": f"r{turn}", "modelVersion": "m"}


def find_thinking(request: Json) -> list[list[Json]]:
    """Of each assistant turn that Anthropic got, the thinking before its calls."""
    turns = [item["content"] for item in request["messages"] if item["role"] == "assistant"]
    assert all([block["type"] for block in turn] == ["thinking", "tool_use"] for turn in turns)
    return [turn[:1] for turn in turns]


def find_signatures(request: Json) -> list[list[str | None]]:
    """Of each model turn that Gemini got, its parts' signatures."""
    turns = [item["parts"] for item in request["contents"] if item["role"] == "model"]
    return [[part.get("thoughtSignature") for part in turn] for turn in turns]


async def take_turn(scene: Scene, model: str, history: list[Json], *, stream: bool) -> Json:
    """One turn as the official SDK sees it: the message, unknown members and all."""
    asked: Any = {"model": model, "messages": history, "tools": [TOOL], "reasoning_effort": "high"}
    async with scene.sdk() as client:
        if not stream:
            completion = await client.chat.completions.create(**asked)
        else:
            async with client.chat.completions.stream(**asked) as events:
                completion = await events.get_final_completion()
    said: Json = completion.choices[0].message.to_dict()
    return said


def shorten(said: Json, *, keep: bool) -> Json:
    """The message as a client sends it back: with all that it got, or with what OpenAI knows."""
    if keep:
        return said
    short = {name: value for name, value in said.items() if name in KNOWN}
    return short | {
        "tool_calls": [{k: v for k, v in call.items() if k != "extra_content"} for call in said["tool_calls"]]
    }


@pytest.mark.parametrize("keep", [True, False], ids=["kept", "dropped"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("name", "model", "answer", "events", "find", "signed"),
    [
        (
            "anthropic",
            "claude-sonnet-4-6",
            message,
            message_events,
            find_thinking,
            [[block] for turn in range(3) for block in message(turn)["content"][:1]],
        ),
        (
            "gemini",
            "gemini-3-flash-preview",
            candidate,
            lambda turn: [encode_event(candidate(turn))],
            find_signatures,
            [[f"c2ln{turn}", None] for turn in range(3)],
        ),
    ],
    ids=["anthropic", "gemini"],
)
async def test_four_turns_bring_back_what_was_signed(
    name: str,
    model: str,
    answer: Callable[[int], Json],
    events: Callable[[int], list[bytes]],
    find: Callable[[Json], Any],
    signed: list[Any],
    stream: bool,
    keep: bool,
) -> None:
    scripts = [build_stream(events(turn)) if stream else build_whole(answer(turn)) for turn in range(4)]
    history: list[Json] = [{"role": "user", "content": "Look thrice."}]
    async with open_scene(*scripts, params={"model": f"{name}/{model}"}) as scene:
        for turn in range(4):
            said = await take_turn(scene, f"fast-{name}", history, stream=stream)
            request = decode_body(scene.upstream.requests[-1])
            assert find(request) == signed[:turn]
            if turn < 3:
                calls = said["tool_calls"]
                history.append(shorten(said, keep=keep))
                history += [{"role": "tool", "tool_call_id": call["id"], "content": json.dumps(turn)} for call in calls]
    assert said["content"] == "Done."
