"""What an answer says, in words that every provider's answer can be put into.

A recording is read into them plainly, by a reader per provider that knows none of the gateway's code
(`*_reading.py`); what a client got is read into them by `read_completion`. The two must be equal. What is missing
and what is zero or empty are the same here. Source: reference/wire/openai-chat.md section 5.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


class _AnyWords:
    """Equal to every text that is not empty, for words that are the gateway's own."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and bool(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "<any words>"


ANY_WORDS: Any = _AnyWords()


@dataclass(frozen=True)
class Said:
    """One choice. `calls` are names and parsed arguments; `thinking` is each block's words and signature;
    `signatures` are those that stand anywhere else; of `annotations`, `images` and `logprobs` the number counts."""

    finish: str
    text: str = ""
    reasoning: str = ""
    refusal: Any = ""
    calls: tuple[tuple[str, Any], ...] = ()
    thinking: tuple[tuple[str, str], ...] = ()
    signatures: frozenset[str] = frozenset()
    annotations: int = 0
    images: int = 0
    logprobs: int = 0
    audio: str = ""


@dataclass(frozen=True)
class Tokens:
    prompt: int
    completion: int
    total: int
    cached: int = 0
    written: int = 0
    reasoning: int = 0


@dataclass(frozen=True)
class Reading:
    """A whole answer."""

    model: str
    choices: tuple[Said, ...]
    tokens: Tokens | None


@dataclass(frozen=True)
class Broken:
    """An answer that is an error: the client's status, and the provider's message, where it gave one.

    `midway` = the client had already got something to use, so that it comes as an event of the stream.
    """

    status: int
    message: Any
    midway: bool = False
    param: str | None = None


def read_completion(completion: Mapping[str, Any]) -> Reading:
    """A `chat.completion` object."""
    choices = sorted(completion["choices"], key=lambda choice: choice["index"])
    return Reading(completion["model"], tuple(map(_read_choice, choices)), _read_tokens(completion.get("usage")))


def parse_arguments(text: str) -> Any:
    """A call that was cut short has arguments that are no JSON: then the text itself counts."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _read_choice(choice: Mapping[str, Any]) -> Said:
    message = choice["message"]
    logprobs = choice.get("logprobs") or {}
    extra = (message.get("extra_content") or {}).get("google") or {}
    return Said(
        finish=choice["finish_reason"],
        text=message.get("content") or "",
        reasoning=message.get("reasoning_content") or "",
        refusal=message.get("refusal") or "",
        calls=tuple(_read_calls(message)),
        thinking=tuple(map(_read_block, message.get("thinking_blocks") or ())),
        signatures=frozenset(_find_signatures([extra, message.get("tool_calls"), message.get("images")])),
        annotations=len(message.get("annotations") or ()),
        images=len(message.get("images") or ()),
        logprobs=len(logprobs.get("content") or ()),
        audio=(message.get("audio") or {}).get("data") or "",
    )


def _read_calls(message: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for call in message.get("tool_calls") or ():
        if call["type"] == "custom":
            yield call["custom"]["name"], call["custom"]["input"]
        else:
            yield call["function"]["name"], parse_arguments(call["function"]["arguments"])
    function = message.get("function_call")
    if function:
        yield function["name"], parse_arguments(function["arguments"])


def _read_block(block: Mapping[str, Any]) -> tuple[str, str]:
    return block.get("data") or block.get("thinking") or "", block.get("signature") or ""


def _find_signatures(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from (value[name] for name in ("thought_signature", "thoughtSignature") if value.get(name))
        value = list(value.values())
    if isinstance(value, list):
        for member in value:
            yield from _find_signatures(member)


def _read_tokens(usage: Mapping[str, Any] | None) -> Tokens | None:
    if not usage:
        return None
    prompt = usage.get("prompt_tokens_details") or {}
    completion = usage.get("completion_tokens_details") or {}
    return Tokens(
        prompt=usage["prompt_tokens"],
        completion=usage["completion_tokens"],
        total=usage["total_tokens"],
        cached=prompt.get("cached_tokens") or 0,
        written=prompt.get("cache_write_tokens") or 0,
        reasoning=completion.get("reasoning_tokens") or 0,
    )
