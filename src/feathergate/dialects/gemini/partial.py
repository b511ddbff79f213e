"""The arguments of one function call: whole, or rebuilt from the pieces that Vertex streams.

A piece names its place by a JSON path (`$.city`, `$.stops[0]['street name']`) and bears one value; text may come
in several pieces. Whole arguments keep the text of their numbers. Source: reference/wire/gemini.md section 6.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from feathergate.errors import UpstreamError
from feathergate.wire.codec import decode_any, encode
from feathergate.wire.gemini import PartialArg

_STEP = re.compile(r"""\.(?P<name>[^.\[\]]+)|\[(?P<index>\d{1,9})\]|\['(?P<quoted>[^']*)'\]|\["(?P<double>[^"]*)"\]""")

_DEPTH_LIMIT = 64


class PartialCall:
    """One call. `tool` is its index in the choice, `name` the client's."""

    __slots__ = ("_root", "_whole", "name", "tool")

    def __init__(self, tool: int, name: str, whole: Raw | UnsetType) -> None:
        self.tool = tool
        self.name = name
        self._whole = whole
        self._root: dict[str, Any] = {}

    def add(self, pieces: Sequence[PartialArg]) -> None:
        """Raises `UpstreamError` (protocol) for a place that cannot be."""
        for piece in pieces:
            value = _value(piece)
            if value is not UNSET:
                _put(self._root, _parse_path(piece.json_path), value)

    def build_arguments(self, *, custom: bool) -> str:
        """JSON text; of a custom tool, the text that its one member `input` holds."""
        text = self._text()
        if not custom:
            return text
        try:
            arguments = decode_any(text)
        except (ValueError, RecursionError):
            return text
        given = arguments.get("input") if isinstance(arguments, dict) else None
        return given if isinstance(given, str) else text

    def _text(self) -> str:
        if self._root or isinstance(self._whole, UnsetType) or bytes(self._whole) == b"null":
            return encode(self._root).decode()
        return msgspec.json.format(bytes(self._whole), indent=-1).decode(errors="replace")


def _value(piece: PartialArg) -> Any:
    if piece.string_value is not UNSET:
        return piece.string_value
    if piece.number_value is not UNSET:
        return piece.number_value
    if piece.bool_value is not UNSET:
        return piece.bool_value
    return UNSET if piece.null_value is UNSET else None


def _parse_path(path: str) -> list[str | int]:
    steps: list[str | int] = []
    place = 1
    while place < len(path) and (match := _STEP.match(path, place)):
        index = match["index"]
        steps.append(int(index) if index is not None else match[match.lastgroup or 0])
        place = match.end()
    if not path.startswith("$") or place < len(path) or not 0 < len(steps) <= _DEPTH_LIMIT:
        raise _misplaced(path)
    return steps


def _put(root: dict[str, Any], steps: list[str | int], value: Any) -> None:
    """Text is added to text that is there; anything else is set. A list grows by one place at a time."""
    here: Any = root
    for step, following in pairwise(steps):
        here = _enter(here, step, [] if isinstance(following, int) else {})
    last: Any = steps[-1]
    old = _enter(here, last, "" if isinstance(value, str) else value)
    here[last] = old + value if isinstance(old, str) and isinstance(value, str) else value


def _enter(here: Any, step: str | int, fresh: Any) -> Any:
    """What stands at `step`: `fresh`, where nothing did."""
    if isinstance(here, dict) and isinstance(step, str):
        return here.setdefault(step, fresh)
    if isinstance(here, list) and isinstance(step, int) and step <= len(here):
        if step == len(here):
            here.append(fresh)
        return here[step]
    raise _misplaced(str(step))


def _misplaced(path: str) -> UpstreamError:
    return UpstreamError(f"The provider sent arguments for a place that cannot be: {path[:100]}.", kind="protocol")
