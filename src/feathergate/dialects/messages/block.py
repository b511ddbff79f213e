"""One block of an answer's content while it is open, and the same block whole again.

A block that a stream brings in pieces is put together for one purpose: an answer in which the provider's own
tools ran must return on the next turn exactly as it came, their encrypted results included. Specification:
reference/wire/anthropic.md section 6.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec
from msgspec import Raw

from feathergate.wire.codec import decode_any
from feathergate.wire.messages import Block, Citation, decode_block, decode_block_type, decode_citation

Mode = Literal["text", "thinking", "redacted_thinking", "tool_use", "json", "provider_tool", "provider_result", ""]
"""How a block is read: by its type; `json` = the tool that stands in for structured output; empty = ignored."""

_READ: Final[Mapping[str, Mode]] = {
    "text": "text",
    "thinking": "thinking",
    "redacted_thinking": "redacted_thinking",
    "tool_use": "tool_use",
}
_WITH_INPUT: Final[tuple[Mode, ...]] = ("tool_use", "json", "provider_tool")


class OpenBlock:
    """A block and what its deltas have brought. `opened_at` is where its text begins, in characters."""

    __slots__ = ("block", "citations", "custom", "mode", "opened_at", "pieces", "raw", "signature")

    def __init__(self, raw: Raw, opened_at: int) -> None:
        self.raw = raw
        self.block = block = _read_block(raw)
        self.mode: Mode = _READ.get(block.type) or _choose_mode(block.type)
        self.custom = False
        self.opened_at = opened_at
        self.pieces: list[str] = []
        self.signature = ""
        self.citations = [] if block.citations is None else list(block.citations)

    def input_text(self) -> str:
        """A call's arguments as JSON text; no text at all means none."""
        return "".join(self.pieces) or _plain(self.block.input) or "{}"


def _choose_mode(kind: str) -> Mode:
    if kind.endswith("_tool_use"):
        return "provider_tool"
    return "provider_result" if kind.endswith("_tool_result") or kind == "container_upload" else ""


def _read_block(raw: Raw) -> Block:
    """Of a type that is not ours nothing but the type need be well-formed. Raises msgspec's errors."""
    try:
        return decode_block(raw)
    except msgspec.ValidationError:
        kind = decode_block_type(raw).type
        if kind in _READ:
            raise
        return Block(type=kind)


def read_citation(raw: Raw) -> Citation:
    try:
        return decode_citation(raw)
    except msgspec.DecodeError:
        return Citation()


def custom_input(text: str) -> str:
    """The free text of a custom tool's call, which travelled as `{"input": text}`; else the JSON as it is."""
    try:
        arguments = decode_any(text)
    except (msgspec.DecodeError, RecursionError):
        return text
    value = arguments.get("input") if isinstance(arguments, dict) else None
    return value if isinstance(value, str) else text


def rebuild_block(open_block: OpenBlock) -> dict[str, Any]:
    """The block as a whole answer would have had it."""
    whole: dict[str, Any] = decode_any(open_block.raw)
    text = "".join(open_block.pieces)
    if open_block.mode in _WITH_INPUT:
        whole["input"] = _input_object(open_block.input_text())
    elif text:
        whole[open_block.mode] = whole.get(open_block.mode, "") + text
    if open_block.signature:
        whole["signature"] = open_block.signature
    if open_block.citations:
        whole["citations"] = [decode_any(citation) for citation in open_block.citations]
    return whole


def _input_object(text: str) -> dict[str, Any]:
    """A call that was cut short has no valid input."""
    try:
        value = decode_any(text)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _plain(raw: Raw) -> str:
    text = bytes(raw).decode(errors="replace")
    return "" if text == "null" else text
