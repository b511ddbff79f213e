"""How fast a stream speaks, for deployments that are to count as stalled when they only drip.

Off unless configured, because each event is opened for it. What counts are the characters that the client gets to
read: text, reasoning, refusals and arguments of tools; not the envelope around them. Rates are of whole windows, so
that a pause for thought within one is forgiven.
"""

from __future__ import annotations

from typing import Final

import msgspec

WINDOW_S: Final = 10.0


class _Function(msgspec.Struct):
    arguments: str | None = None


class _ToolCall(msgspec.Struct):
    function: _Function | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []


_decode = msgspec.json.Decoder(_Chunk).decode
_PREFIX = b"data: "


class Pace:
    """At least `chars_per_s` in each window of `window_s` from `now` on. `until` is when the current one ends."""

    def __init__(self, chars_per_s: float, now: float, window_s: float = WINDOW_S) -> None:
        self._least = chars_per_s * window_s
        self._window_s = window_s
        self._chars = 0
        self.until = now + window_s

    def add(self, written: bytes) -> None:
        """Events as the client gets them."""
        for line in written.splitlines():
            if line.startswith(_PREFIX):
                self._chars += _count_chars(line[len(_PREFIX) :])

    def restart(self, now: float) -> None:
        """Begin a window anew: the client has not read meanwhile."""
        self._chars = 0
        self.until = now + self._window_s

    def is_slow(self, now: float) -> bool:
        """Whether the window that has ended was too slow; begins the next one. False within a window."""
        if now < self.until:
            return False
        slow = self._chars < self._least
        self.restart(now)
        return slow


def _count_chars(data: bytes) -> int:
    try:
        chunk = _decode(data)
    except msgspec.DecodeError:  # `[DONE]`, and what only its client understands
        return 0
    return sum(_count_delta(choice.delta) for choice in chunk.choices if choice.delta is not None)


def _count_delta(delta: _Delta) -> int:
    texts = [delta.content, delta.reasoning_content, delta.refusal]
    texts += [call.function.arguments for call in delta.tool_calls or () if call.function is not None]
    return sum(len(text) for text in texts if text)
