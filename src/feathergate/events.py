"""The vocabulary of an answer: what any provider's stream, or whole answer, says in our words.

A dialect turns bytes into these events, and the client's dialect turns them into bytes again; a whole answer is
the same events in one go, so there is one machine and not two. Values only. `choice` is the index of the choice
(0 where the provider knows no choices), `tool` and `block` are dense indexes from 0 within their choice.

The legal order, which `check_legal` holds a stream to:

    Started  (content of any choice, in any order)*  Finished once per choice  Usage at most once, last

where, within one choice, ToolArgs follow their ToolStarted and nothing follows Finished.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from feathergate.wire.chat import Usage as TokenUsage

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


class Event(msgspec.Struct, frozen=True, gc=False):
    """The root of the vocabulary."""


class Started(Event, frozen=True, gc=False):
    """The answer's id and served model, both as the provider names them; once, first."""

    id: str
    model: str
    created: int | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None


class Text(Event, frozen=True, gc=False):
    text: str
    choice: int = 0


class Refusal(Event, frozen=True, gc=False):
    """The model's words about why it will not answer."""

    text: str
    choice: int = 0


class Reasoning(Event, frozen=True, gc=False):
    """Thinking, as text. `block` is set where the provider signs its thinking block by block."""

    text: str
    choice: int = 0
    block: int | None = None


class Signature(Event, frozen=True, gc=False):
    """The signature of thinking block `block`, to be returned untouched on the next turn."""

    signature: str
    block: int
    choice: int = 0


class RedactedReasoning(Event, frozen=True, gc=False):
    """Thinking that only its provider can read; also returned untouched."""

    data: str
    block: int
    choice: int = 0


class ToolStarted(Event, frozen=True, gc=False):
    """A call of a client's tool begins. `signature` is Gemini's thought signature of this call."""

    tool: int
    id: str
    name: str
    choice: int = 0
    kind: Literal["function", "custom"] = "function"
    signature: str | None = None


class ToolArgs(Event, frozen=True, gc=False):
    """A piece of a call's arguments: JSON text of a function, free text of a custom tool."""

    tool: int
    text: str
    choice: int = 0


class Annotations(Event, frozen=True):
    """All citations of a choice, at most once, before its finish: OpenAI's `url_citation` objects."""

    items: tuple[dict[str, Any], ...]
    choice: int = 0


class Logprobs(Event, frozen=True):
    """Token log probabilities of what has just been said: `{"content": [...], "refusal": [...]}`."""

    value: dict[str, Any]
    choice: int = 0


class Media(Event, frozen=True):
    """An image (`{"type": "image_url", "image_url": {"url": "data:…"}}`) that the model made."""

    item: dict[str, Any]
    index: int
    choice: int = 0


class Audio(Event, frozen=True):
    """A piece of spoken answer, as OpenAI's `audio` delta: id, data, transcript, expires_at."""

    value: dict[str, Any]
    choice: int = 0


class Extra(Event, frozen=True):
    """What has no place in OpenAI's message: `extra_content`, an object under the provider's name."""

    value: dict[str, Any]
    choice: int = 0


class Finished(Event, frozen=True, gc=False):
    """The end of one choice; `native` is the provider's own word for it."""

    reason: FinishReason
    choice: int = 0
    native: str | None = None


class Usage(Event, frozen=True, gc=False):
    """What the answer cost in tokens, in OpenAI's terms; once, last."""

    usage: TokenUsage
    service_tier: str | None = None


CONTENT = (Text, Reasoning, Refusal, ToolStarted, Media, Audio, Finished, RedactedReasoning)
"""The events that commit an answer (those with text: when it is not empty); see DESIGN.md, "Commit barrier"."""


def is_content(event: Event) -> bool:
    """Whether a client has got something to use: non-empty text, a tool's start, media, or a finish."""
    if isinstance(event, (Text, Reasoning, Refusal)):
        return bool(event.text)
    return isinstance(event, CONTENT)


def check_legal(events: Iterable[Event]) -> None:
    """Raise `ValueError` naming the first event that stands out of the legal order."""
    started = ended = False
    finished: set[int] = set()
    tools: dict[int, int] = {}
    for position, event in enumerate(events):
        where = f"event {position} ({type(event).__name__})"
        if ended:
            raise ValueError(f"{where} follows Usage")
        if isinstance(event, Started):
            if started:
                raise ValueError(f"{where}: a second start")
            started = True
            continue
        if not started:
            raise ValueError(f"{where} precedes Started")
        if isinstance(event, Usage):
            ended = True
            continue
        choice: int = getattr(event, "choice", 0)
        if choice in finished:
            raise ValueError(f"{where} follows the finish of choice {choice}")
        if isinstance(event, Finished):
            finished.add(choice)
        elif isinstance(event, ToolStarted):
            if event.tool != tools.get(choice, 0):
                raise ValueError(f"{where}: tool {event.tool} where {tools.get(choice, 0)} was next")
            tools[choice] = event.tool + 1
        elif isinstance(event, ToolArgs) and event.tool >= tools.get(choice, 0):
            raise ValueError(f"{where}: arguments of tool {event.tool}, which has not started")
    if not finished:
        raise ValueError("the events end without a finish")
