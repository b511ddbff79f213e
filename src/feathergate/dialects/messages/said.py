"""The client's messages as this dialect opens them: all but their content, which most often is one text.

A text goes upstream as the JSON string that the client wrote, neither decoded nor encoded again: what read the
request has checked its UTF-8 and its escapes (1 MB: 25 µs in place of 440, and of 1,000 where it has escapes). So
the bytes that a message becomes depend on that message alone, never on what else the conversation holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Raw

from feathergate.wire.chat import Said, SaidPart

_QUOTE: Final = ord('"')
# What a JSON string begins with if not with white space. Left out, besides the quote and the backslash: the first
# bytes of what Unicode has of white space (U+0085, U+00A0, U+1680, U+2000 to U+205F, U+3000).
_VISIBLE: Final = frozenset(range(0x21, 0x100)) - frozenset(b'"\\\xc2\xe1\xe2\xe3')

_decode_said: Final = msgspec.json.Decoder(Said).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_decode_text_or_none: Final[Callable[[Raw], str | None]] = msgspec.json.Decoder(str | None).decode
_Content = str | list[SaidPart] | None
_decode_content: Final[Callable[[Raw], _Content]] = msgspec.json.Decoder(_Content).decode


def read_messages(messages: list[Raw]) -> list[Said]:
    """Raises msgspec's errors, and `RecursionError`."""
    return [_decode_said(message) for message in messages]


def is_text(content: Raw) -> bool:
    """Whether it is a string with more than white space in it; its first character most often tells."""
    if not content:
        return False
    view = memoryview(content)
    return view[0] == _QUOTE and (view[1] in _VISIBLE or not is_blank(_decode_text(content)))


def is_blank(text: str) -> bool:
    return not text or text.isspace()


def check_text(text: Raw) -> None:
    """Raises msgspec's error for what is neither a string nor `null` nor absent."""
    if text:
        _decode_text_or_none(text)


def read_parts(content: Raw) -> list[SaidPart]:
    """The parts of what is no text; none for no content. Raises msgspec's errors."""
    opened = _decode_content(content) if content else None
    return opened if isinstance(opened, list) else []


def read_text(text: Raw | str) -> str:
    """A block's text, whichever way it travels."""
    return text if isinstance(text, str) else _decode_text(text)
