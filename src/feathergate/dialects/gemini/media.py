"""Images, sound and files of a message as Gemini's parts: data inline, or the URI of what lies elsewhere.

Nothing is fetched here. Source: reference/wire/gemini.md section 2.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from feathergate.dialects.gemini.turn import Turn
from feathergate.errors import ClientError
from feathergate.wire.chat import FileContent, ImageUrl, InputAudio, Message, Part

_RENAMED = {"image/jpg": "image/jpeg", "audio/mp3": "audio/mpeg", "audio/x-wav": "audio/wav"}
_AUDIO = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "aac": "audio/aac",
    "aiff": "audio/aiff",
}
_BY_SUFFIX = {
    "pdf": "application/pdf",
    "json": "application/json",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "xml": "text/xml",
    "css": "text/css",
    "py": "text/x-python",
    "js": "text/javascript",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "gif": "image/gif",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mov": "video/quicktime",
    **_AUDIO,
}
_RESOLUTIONS = {
    "low": "MEDIA_RESOLUTION_LOW",
    "high": "MEDIA_RESOLUTION_HIGH",
    "original": "MEDIA_RESOLUTION_ULTRA_HIGH",
}
_REMOTE = ("https://", "gs://")


def build_media(part: Part, where: str, *, with_resolution: bool) -> dict[str, Any]:
    """The part at `where`, as `inlineData` or `fileData`. Raises `ClientError` for a part that is neither."""
    if part.type == "image_url" and part.image_url is not None:
        image = ImageUrl(part.image_url) if isinstance(part.image_url, str) else part.image_url
        level = _RESOLUTIONS.get(image.detail or "")
        resolution = {"mediaResolution": {"level": level}} if level and with_resolution else {}
        return _build_image(image.url, f"{where}.image_url.url") | resolution
    if part.type == "input_audio" and part.input_audio is not None:
        return _build_audio(part.input_audio, f"{where}.input_audio")
    if part.type == "file" and part.file is not None:
        return _build_file(part.file, f"{where}.file")
    raise ClientError(
        f"'{where}' is a part of type '{part.type}' that Gemini cannot take. Send text, image_url, input_audio or "
        "file, each with its member of that name.",
        param=f"{where}.type",
    )


def find_resolution(turns: Iterable[Turn]) -> str | None:
    """The finest detail that any image asks for, for the models that take one for the whole request."""
    details = {
        part.image_url.detail
        for turn in turns
        if isinstance(turn, Message) and isinstance(turn.content, list)
        for part in turn.content
        if isinstance(part.image_url, ImageUrl)
    }
    if details & {"high", "original"}:
        return _RESOLUTIONS["high"]
    return _RESOLUTIONS["low"] if "low" in details else None


def _build_image(url: str, where: str) -> dict[str, Any]:
    if url.startswith("data:"):
        return _inline(*_split_data_url(url, where))
    if url.startswith(_REMOTE):
        return _remote(url)
    raise ClientError(f"'{where}' is no https:, gs: or data: URL. Send the image inline, as a data: URL.", param=where)


def _build_audio(audio: InputAudio, where: str) -> dict[str, Any]:
    mime_type = _AUDIO.get(audio.format.lower())
    if mime_type is None:
        message = f"'{where}.format' is '{audio.format}', which Gemini does not take. Send {', '.join(_AUDIO)}."
        raise ClientError(message, param=f"{where}.format")
    return _inline(mime_type, audio.data)


def _build_file(file: FileContent, where: str) -> dict[str, Any]:
    if file.file_data is not None and file.file_data.startswith("data:"):
        return _inline(*_split_data_url(file.file_data, f"{where}.file_data"))
    if file.file_data is not None:
        mime_type = _guess_type(file.filename or "")
        if mime_type is None:
            message = f"'{where}' does not say what it is. Send file_data as a data: URL, or a filename with a suffix."
            raise ClientError(message, param=f"{where}.filename")
        return _inline(mime_type, file.file_data)
    if file.file_id is not None and file.file_id.startswith(_REMOTE):
        return _remote(file.file_id)
    raise ClientError(
        f"'{where}' holds no file that Gemini can read. Send file_data, or the https: or gs: URI of a file of Google's "
        "as file_id.",
        param=f"{where}.file_id",
    )


def _inline(mime_type: str, data: str) -> dict[str, Any]:
    return {"inlineData": {"mimeType": mime_type, "data": data}}


def _remote(uri: str) -> dict[str, Any]:
    mime_type = _guess_type(urlsplit(uri).path)
    return {"fileData": {"mimeType": mime_type, "fileUri": uri} if mime_type else {"fileUri": uri}}


def _split_data_url(url: str, where: str) -> tuple[str, str]:
    """The media type, without its parameters, which Gemini refuses, and the data."""
    head, comma, data = url.removeprefix("data:").partition(",")
    mime_type, *parameters = head.split(";")
    mime_type = mime_type.strip().lower()
    if not comma or "/" not in mime_type or "base64" not in (parameter.strip().lower() for parameter in parameters):
        message = f"'{where}' is a data: URL without a media type or not in base64. Send data:TYPE;base64,DATA."
        raise ClientError(message, param=where)
    return _RENAMED.get(mime_type, mime_type), data


def _guess_type(name: str) -> str | None:
    return _BY_SUFFIX.get(name.rpartition(".")[2].lower())
