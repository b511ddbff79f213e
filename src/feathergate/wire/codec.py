"""The decoders and encoders, made once, and how their complaints become ours.

A request's body is opened twice at the top level only: into `ChatRequest`, for what we judge, and into
`Members`, the raw bytes of every member, for what we pass on. Repeated top-level keys are refused, because two
readers could take different ones; so is anything that is not UTF-8. Nested values stay raw until a translation
opens them. Nothing here knows a provider. Specification: RFC 8259.
"""

from __future__ import annotations

import codecs
import re
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Raw, UnsetType

from feathergate.errors import ClientError
from feathergate.wire.chat import ChatRequest, Message, ResponseFormat, Tool, ToolChoice

T = TypeVar("T")
Members = dict[str, Raw]

encode: Final = msgspec.json.Encoder().encode
decode_any: Final = msgspec.json.Decoder().decode

_decode_members: Final = msgspec.json.Decoder(Members).decode
_decode_request: Final = msgspec.json.Decoder(ChatRequest).decode
_MESSAGE = msgspec.json.Decoder(Message)
_TOOL = msgspec.json.Decoder(Tool)
_TOOL_CHOICE: msgspec.json.Decoder[str | ToolChoice] = msgspec.json.Decoder(str | ToolChoice)
_RESPONSE_FORMAT = msgspec.json.Decoder(ResponseFormat)

_NULL: Final = b"null"
_KEY = re.compile(rb'[\s,{]*("[^"\\]*(?:\\.[^"\\]*)*")\s*:\s*')
_QUOTED = {field.encode_name: b'"%b"' % field.encode_name.encode() for field in msgspec.structs.fields(ChatRequest)}
# What a member takes at least: a key's two quotes, its colon and the comma or the brace behind it, and its value.
_MARKS_BYTES: Final = 4
_VALUE_BYTES: Final = 1
_BRACE_BYTES: Final = 1
_COUNTED_LIMIT_BYTES: Final = 8192
_SLICE_BYTES: Final = 65_536
_Utf8 = codecs.getincrementaldecoder("utf-8")
_END = re.compile(rb"\s*}")
_MISSING = re.compile(r"Object missing required field `(.*?)`")
_PATH = re.compile(r" - at `(?:key in )?\$?(.*?)`$")


def decode_chat(body: bytes) -> tuple[ChatRequest, Members]:
    """The request and its raw members; raises `ClientError` naming the field that is wrong."""
    try:
        if not body.isascii():
            _check_utf8(body)
        request = _decode_request(body)
        members = _decode_members(body)
    except UnicodeDecodeError as error:
        raise ClientError(f"The body is not valid UTF-8 at byte {error.start}. Send JSON in UTF-8.") from None
    except RecursionError:
        raise ClientError("The body is nested too deeply. Send fewer than 1,000 levels.") from None
    except msgspec.ValidationError as error:
        raise _field_error(error, "") from None
    except msgspec.DecodeError as error:
        raise ClientError(f"The body is not valid JSON: {_plain(error)}. Send one JSON object.") from None
    if not (_lacks_room(body, members) or _stands_once(body, members)):
        _refuse_repeated(body, members)
    return request, members


def decode_messages(raw: list[Raw]) -> list[Message]:
    """Raises `ClientError` with `param` such as `messages[3].content[0].type`."""
    return [_open(_MESSAGE, item, f"messages[{index}]") for index, item in enumerate(raw)]


def decode_tools(raw: list[Raw]) -> list[Tool]:
    return [_open(_TOOL, item, f"tools[{index}]") for index, item in enumerate(raw)]


def decode_tool_choice(raw: Raw) -> str | ToolChoice:
    return _open(_TOOL_CHOICE, raw, "tool_choice")


def decode_response_format(raw: Raw) -> ResponseFormat:
    return _open(_RESPONSE_FORMAT, raw, "response_format")


def is_null(raw: Raw | UnsetType) -> bool:
    """Whether a raw member is absent (empty, or unset) or `null`, which all mean the same in OpenAI's protocol."""
    return isinstance(raw, UnsetType) or not raw or (len(raw) == len(_NULL) and bytes(raw) == _NULL)


def given(raw: Raw | UnsetType) -> Raw | None:
    """A raw member; None where it is absent or `null`."""
    return None if isinstance(raw, UnsetType) or is_null(raw) else raw


def raw(value: Any) -> Raw:
    """A value as a raw member."""
    return Raw(encode(value))


def _open(decoder: msgspec.json.Decoder[T], value: Raw, where: str) -> T:
    try:
        return decoder.decode(value)
    except RecursionError:
        raise ClientError(f"Invalid value for '{where}': nested too deeply.", param=where) from None
    except msgspec.ValidationError as error:
        raise _field_error(error, where) from None
    except msgspec.DecodeError as error:
        raise ClientError(f"Invalid value for '{where}': {_plain(error)}.", param=where) from None


def _field_error(error: msgspec.ValidationError, where: str) -> ClientError:
    text = str(error)
    match = _PATH.search(text)
    missing = _MISSING.match(text)
    path = where + (match.group(1) if match else "") + (f".{missing.group(1)}" if missing else "")
    param = path.lstrip(".")
    reason = _PATH.sub("", text).replace("`", "'")
    if not param:
        return ClientError(f"The request is not valid: {reason}.", code="invalid_value")
    return ClientError(f"Invalid value for '{param}': {reason}.", param=param, code="invalid_value")


def _plain(error: msgspec.DecodeError) -> str:
    return str(error).removeprefix("JSON is malformed: ")


def _check_utf8(body: bytes) -> None:
    """Raises `UnicodeDecodeError`. By slices, because a text of 2 MB, made to be thrown away, costs 0.4 ms in fresh
    pages for a body of 1 MB."""
    if len(body) <= _SLICE_BYTES:
        body.decode()
        return
    decode = _Utf8().decode
    try:
        for start in range(0, len(body), _SLICE_BYTES):
            decode(body[start : start + _SLICE_BYTES])
        decode(b"", final=True)
    except UnicodeDecodeError:
        body.decode()  # once more, for the place in the whole


def _lacks_room(body: bytes, members: Members) -> bool:
    """A quick proof that no key is repeated: what of the body is neither key nor value nor a mark between them is too
    little for a twin. Most bodies have hardly any white space at their top, and a long prompt need not be searched.
    """
    filled_bytes = _BRACE_BYTES
    shortest = len(body)
    for name, value in members.items():
        filled_bytes += len(name) + len(value) + _MARKS_BYTES
        if len(name) < shortest:
            shortest = len(name)
    return len(body) - filled_bytes < shortest + _MARKS_BYTES + _VALUE_BYTES


def _stands_once(body: bytes, members: Members) -> bool:
    """Another, for small bodies of known fields: each key stands in all of the body once.

    Counting costs 0.1 µs a field, the walk of `_refuse_repeated` about 1. An escape could hide a twin.
    """
    if len(body) > _COUNTED_LIMIT_BYTES or body.find(b"\\u") >= 0:
        return False
    count = body.count
    for name in members:
        quoted = _QUOTED.get(name)
        if quoted is None or count(quoted) != 1:
            return False
    return True


def _refuse_repeated(body: bytes, members: Members) -> None:
    """Two equal keys at the top are refused: another reader of the same bytes could take the other one.

    The body is walked from key to key; a value that is not the one in `members` belongs to an earlier twin.
    """
    values = {name: bytes(value) for name, value in members.items()}
    seen: set[str] = set()
    key = _KEY.search(body)
    while key is not None:
        name: str = decode_any(key.group(1))
        value, start = values[name], key.end()
        end = start + len(value)
        key = _KEY.match(body, end)
        if name in seen or not body.startswith(value, start) or (key is None and not _END.match(body, end)):
            raise ClientError(f"The key '{name}' stands twice in the body. Send it once.", param=name)
        seen.add(name)
