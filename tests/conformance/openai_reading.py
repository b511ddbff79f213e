"""OpenAI's recordings, read plainly: a whole answer is a completion, and a stream is folded into one."""

from __future__ import annotations

import json
from typing import Any

from tests.conformance.reading import Broken, Reading, read_completion

# An error within a stream has no status of its own: its type tells.
_STATUS_BY_TYPE = {"invalid_request_error": 400}


def read_answer(body: bytes) -> Reading:
    return read_completion(json.loads(body))


def list_payloads(body: bytes) -> list[str]:
    """The payload of every event, `[DONE]` included."""
    return [line[5:].strip() for line in body.decode().split("\n") if line.startswith("data:")]


def read_stream(body: bytes) -> Reading | Broken:
    completion: dict[str, Any] = {"model": "", "choices": [], "usage": None}
    for payload in list_payloads(body)[:-1]:
        chunk = json.loads(payload)
        if chunk.get("error"):
            error = chunk["error"]
            midway = any(_says_something(choice) for choice in completion["choices"])
            return Broken(_STATUS_BY_TYPE.get(error["type"], 502), error["message"], midway, error.get("param"))
        completion["model"] = completion["model"] or chunk["model"]
        completion["usage"] = chunk.get("usage")  # the SDK forgets usage that is not in the last chunk
        for choice in chunk.get("choices") or ():
            _fold_choice(completion["choices"], choice)
    return read_completion(completion)


def _fold_choice(choices: list[dict[str, Any]], choice: dict[str, Any]) -> None:
    folded = next((known for known in choices if known["index"] == choice["index"]), None)
    if folded is None:
        folded = {"index": choice["index"], "message": {"tool_calls": []}, "finish_reason": None, "logprobs": None}
        choices.append(folded)
    folded["finish_reason"] = choice.get("finish_reason") or folded["finish_reason"]
    if choice.get("logprobs"):
        known = folded["logprobs"] or {"content": []}
        folded["logprobs"] = {"content": known["content"] + (choice["logprobs"].get("content") or [])}
    _fold_delta(folded["message"], choice["delta"])


def _fold_delta(message: dict[str, Any], delta: dict[str, Any]) -> None:
    for member in ("content", "refusal"):
        if delta.get(member):
            message[member] = (message.get(member) or "") + delta[member]
    for call in delta.get("tool_calls") or ():
        if call["index"] == len(message["tool_calls"]):
            message["tool_calls"].append({"type": "function", "function": {"name": "", "arguments": ""}})
        function = message["tool_calls"][call["index"]]["function"]
        function["name"] += call["function"].get("name") or ""
        function["arguments"] += call["function"].get("arguments") or ""
    if delta.get("audio"):
        audio = message.setdefault("audio", {"data": ""})
        audio["data"] += delta["audio"].get("data") or ""
    if delta.get("annotations"):
        message["annotations"] = message.get("annotations", []) + delta["annotations"]


def _says_something(choice: dict[str, Any]) -> bool:
    message = choice["message"]
    return bool(choice["finish_reason"] or any(message.get(name) for name in ("content", "tool_calls", "audio")))
