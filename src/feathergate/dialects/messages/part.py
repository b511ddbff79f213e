"""One part of a message's content to Anthropic's blocks.

Text, images and documents have equivalents; what has none is refused with its place, because leaving it out
would change what is asked. Nothing is fetched: an image is named by its https address or stands in the request.
Specification: reference/wire/anthropic.md section 3.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Raw

from feathergate.dialects.loss import Losses
from feathergate.dialects.messages.said import check_text, is_blank, is_text, read_parts
from feathergate.errors import ClientError
from feathergate.wire.chat import SaidPart

Block = dict[str, Any]

THINKING: Final = ("thinking", "redacted_thinking")

_IMAGES: Final = ("image/jpeg", "image/png", "image/gif", "image/webp")
_IMAGE_ALIASES: Final = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg"}
# How the bytes of each kind begin, in base64: what they are counts, not what they were declared to be.
_MAGIC: Final = (
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("JVBERi0", "application/pdf"),
)
_IMAGE_ENDINGS: Final = (".png", ".jpg", ".jpeg", ".gif", ".webp")


def build_parts(content: Raw, where: str, losses: Losses) -> list[Block]:
    """The blocks of a message's content; empty text makes none. `where` is the message's place."""
    if is_text(content):
        return [{"type": "text", "text": content}]
    blocks: list[Block] = []
    for index, part in enumerate(read_parts(content)):
        place = f"{where}.content[{index}]"
        build = _PARTS.get(part.type)
        if build is None:
            raise _refused(f"Anthropic takes no part of type '{part.type}'", "Send text, images or files", place)
        blocks += with_marker(
            build(part, place, losses), build_marker(part.cache_control, part.prompt_cache_breakpoint)
        )
    return blocks


def build_text(text: str | None) -> list[Block]:
    """No block for nothing but white space, which Anthropic refuses."""
    return [] if text is None or is_blank(text) else [{"type": "text", "text": text}]


def build_marker(cache_control: Mapping[str, Any] | None, breakpoint_: Mapping[str, Any] | None = None) -> Block | None:
    """A cache breakpoint: Anthropic's own, or OpenAI's, whose times to live (30m, 12h) are nearest to 1h."""
    if cache_control is not None and cache_control.get("type") == "ephemeral":
        ttl = cache_control.get("ttl")
        return {"type": "ephemeral", "ttl": ttl} if ttl in ("5m", "1h") else {"type": "ephemeral"}
    if breakpoint_ is not None:
        return {"type": "ephemeral", "ttl": "1h"} if breakpoint_.get("ttl") else {"type": "ephemeral"}
    return None


def with_marker(blocks: list[Block], marker: Block | None) -> list[Block]:
    """The blocks with the breakpoint on the last of them; thinking cannot bear one."""
    if marker is None or not blocks or blocks[-1].get("type") in THINKING:
        return blocks
    return [*blocks[:-1], {**blocks[-1], "cache_control": marker}]


def _build_text_part(part: SaidPart, where: str, losses: Losses) -> list[Block]:
    if is_text(part.text):
        return [{"type": "text", "text": part.text}]
    check_text(part.text)
    return []


def _build_refusal_part(part: SaidPart, where: str, losses: Losses) -> list[Block]:
    return build_text(part.refusal)


def _build_image_part(part: SaidPart, where: str, losses: Losses) -> list[Block]:
    image = part.image_url
    if image is None:
        raise _refused("An image part has no 'image_url'", "Add it", where)
    if isinstance(image, str):
        url = image
    else:
        url = image.url
        if image.detail not in (None, "auto"):
            losses.drop("messages.content.image_url.detail", f"{where}.image_url.detail")
    if url.startswith("https://"):
        return [{"type": "image", "source": {"type": "url", "url": url}}]
    if not url.startswith("data:"):
        raise _refused("An image's URL is neither https: nor data:", "Send it as one of these", where)
    return [_build_data(url, None, where)]


def _build_file_part(part: SaidPart, where: str, losses: Losses) -> list[Block]:
    file = part.file
    if file is None or not (file.file_data or file.file_id):
        raise _refused("A file part has neither 'file_data' nor 'file_id'", "Add one of them", where)
    if file.file_data:
        return [_build_data(file.file_data, file.filename, where)]
    if not (file.file_id or "").startswith("file_"):
        raise _refused("The 'file_id' is not one of Anthropic's Files API", "Send 'file_data' instead", where)
    kind = "image" if (file.filename or "").lower().endswith(_IMAGE_ENDINGS) else "document"
    return [{"type": kind, "source": {"type": "file", "file_id": file.file_id}}]


def _build_audio_part(part: SaidPart, where: str, losses: Losses) -> list[Block]:
    raise _refused("Anthropic takes no audio", "Send a transcript as text", where)


_PARTS: Final[Mapping[str, Callable[[SaidPart, str, Losses], list[Block]]]] = {
    "text": _build_text_part,
    "refusal": _build_refusal_part,
    "image_url": _build_image_part,
    "file": _build_file_part,
    "input_audio": _build_audio_part,
}


def _build_data(data: str, filename: str | None, where: str) -> Block:
    """A data: URL, or bare base64 with the name of its file, as an image or a document."""
    kind, payload = _split_data(data, filename, where)
    if kind in _IMAGES:
        return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": payload}}
    if kind == "application/pdf":
        source = {"type": "base64", "media_type": kind, "data": payload}
    elif kind == "text/plain":
        source = {"type": "text", "media_type": kind, "data": _decode_text(payload, where)}
    else:
        raise _refused(f"Anthropic takes no '{kind}'", "Send JPEG, PNG, GIF, WebP, PDF or plain text, in base64", where)
    return {"type": "document", "source": source} | ({"title": filename} if filename else {})


def _split_data(data: str, filename: str | None, where: str) -> tuple[str, str]:
    """Media type and base64."""
    if data.startswith("data:"):
        head, comma, payload = data[5:].partition(",")
        declared, *options = head.lower().split(";")
        if not comma or "base64" not in options:
            raise _refused("The data: URL is not in base64", "Send data:TYPE;base64,DATA", where)
    else:
        payload = data
        declared = "text/plain" if (filename or "").lower().endswith((".txt", ".md")) else "application/pdf"
    found = next((kind for magic, kind in _MAGIC if payload.startswith(magic)), None)
    return found or _IMAGE_ALIASES.get(declared, declared), payload


def _decode_text(payload: str, where: str) -> str:
    try:
        return base64.b64decode(payload, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise _refused("The file is not base64 of UTF-8 text", "Encode it so", where) from error


def _refused(what: str, fix: str, where: str) -> ClientError:
    return ClientError(f"{what} ({where}). {fix}.", param=where, code="invalid_value")
