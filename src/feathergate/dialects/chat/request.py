"""The client's chat request, for an upstream that speaks the same protocol.

Its own bytes go, with the model's name exchanged. A model of no known family gets nothing else changed; what the
families of OpenAI, or the host, are known to refuse is renamed, or left out and said so. Fields that they do not
know, and values that they judge, are left to their own judgement.
Specification: reference/wire/openai-chat.md section 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec
from msgspec import Raw

from feathergate.capability import Capability
from feathergate.dialects.call_id import SIGNATURE_MARK, split_call_id
from feathergate.dialects.contract import Built, Context, Quirks, Target
from feathergate.dialects.loss import Losses
from feathergate.errors import ClientError
from feathergate.wire import codec
from feathergate.wire.chat import ChatRequest

PATH: Final = "/chat/completions"

# What a model that reasons refuses, and the values that it takes because they ask for nothing.
_SAMPLING: Final[Mapping[str, Any]] = {
    "temperature": 1,
    "top_p": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "logit_bias": {},
    "logprobs": False,
    "top_logprobs": None,
}
# Members that are never OpenAI's: of the request, and of its messages, where our own answers put them.
_EXTENSIONS: Final = ("thinking", "cache_control")
_OF_MESSAGES: Final = ("reasoning_content", "thinking_blocks", "extra_content", "cache_control")
_MARKS: Final = (*(f'"{name}"'.encode() for name in _OF_MESSAGES), SIGNATURE_MARK.encode())
_UNDERSCORE: Final = 0x5F
_IDS: Final = ("id", "tool_call_id")

_decode_object: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_list: Final = msgspec.json.Decoder(list[Raw]).decode


def build_request(request: ChatRequest, members: codec.Members, target: Target) -> Built:
    """See `contract.Dialect`."""
    capability, quirks = target.capability, target.quirks
    if _takes_all(capability, quirks):
        body = codec.encode({**members, "model": _write_model(target.model)})
        return Built(PATH, body, Context(model=target.model))
    losses = Losses("this model's Chat Completions", strict=target.strict)
    sent = {**members, "model": _write_model(target.model)}
    if capability.max_tokens_name == "max_completion_tokens":
        sent = _rename(sent, "max_tokens", "max_completion_tokens")
    if capability.thinking == "effort":
        _settle_reasoning(request, sent, target, losses)
    if capability.pedantic or quirks.pedantic:
        _leave_out_strangers(request, sent, losses)
    if quirks.lacks:
        for name in quirks.lacks.intersection(sent):
            _leave_out(sent, name, losses)
    for old, new in quirks.renames.items():
        sent = _rename(sent, old, new)
    return Built(PATH, codec.encode(sent), Context(model=target.model), dropped=losses.names)


def _takes_all(capability: Capability, quirks: Quirks) -> bool:
    """Whether nothing but the model's name is to be changed, whatever the request holds."""
    if capability.pedantic or capability.thinking == "effort" or capability.max_tokens_name != "max_tokens":
        return False
    return not (quirks.lacks or quirks.renames or quirks.pedantic)


@lru_cache(maxsize=256)
def _write_model(model: str) -> Raw:
    return codec.raw(model)


def _rename(sent: codec.Members, old: str, new: str) -> codec.Members:
    """`old` in its place under the name `new`; where both are given, `new` counts."""
    if codec.is_null(sent.get(old, Raw())) or not codec.is_null(sent.get(new, Raw())):
        return {name: value for name, value in sent.items() if name != old}
    rest = {name: value for name, value in sent.items() if name != new}
    return {new if name == old else name: value for name, value in rest.items()}


def _leave_out(sent: codec.Members, name: str, losses: Losses) -> None:
    """Without a word where it asks for nothing."""
    if not codec.is_null(sent[name]):
        losses.drop(name)
    del sent[name]


def _settle_reasoning(request: ChatRequest, sent: codec.Members, target: Target, losses: Losses) -> None:
    """Tools and sampling, of which a model that reasons may refuse either.

    An effort that the client asks for beside tools is the provider's to refuse: one of the two must go, and only
    the client knows which.
    """
    capability = target.capability
    effort = request.reasoning_effort or capability.default_effort
    if request.reasoning_effort is None and _cannot_reason(request, capability):
        if target.strict:
            message = "This model does not reason beside tools. Send reasoning_effort 'none' with them."
            raise ClientError(message, param="reasoning_effort", code="unsupported_parameter")
        losses.drop("reasoning_effort")
        effort = "none"
        sent["reasoning_effort"] = codec.raw(effort)
    if effort == "none" or capability.sampling != "none":
        return
    for name, neutral in _SAMPLING.items():
        value = getattr(request, name)
        if value is not None and value != neutral:
            losses.drop(name)
            del sent[name]


def _cannot_reason(request: ChatRequest, capability: Capability) -> bool:
    has_tools = bool(request.tools or request.functions)
    return has_tools and not capability.tools_while_thinking and capability.can_disable_thinking


def _leave_out_strangers(request: ChatRequest, sent: codec.Members, losses: Losses) -> None:
    """What OpenAI refuses and a client of several providers sends all the same."""
    for name in _EXTENSIONS:
        if name in sent:
            _leave_out(sent, name, losses)
    if not request.tools and not request.functions:
        sent.pop("parallel_tool_calls", None)  # asks for nothing then
    sent["messages"] = _strip_list(sent["messages"], ("content", "tool_calls"))
    if request.tools:
        sent["tools"] = _strip_list(sent["tools"])


# --- our own members, on their way back --------------------------------------------------------------------------


def _strip_list(value: Raw, nested: Sequence[str] = ()) -> Raw:
    """A list of messages, parts, calls or tools without our members; the very bytes where there are none.

    `nested` are the members of an item that are such lists themselves.
    """
    if not _is_marked(value):
        return value
    try:
        items = _decode_list(value)
    except msgspec.DecodeError:
        return value
    return codec.raw([_strip(item, nested) if _is_marked(item) else item for item in items])


def _strip(item: Raw, nested: Sequence[str]) -> Raw:
    try:
        members = _decode_object(item)
    except msgspec.DecodeError:
        return item
    kept = {name: value for name, value in members.items() if name not in _OF_MESSAGES}
    lists = {name: _strip_list(kept[name]) for name in nested if name in kept}
    ids = {name: _strip_id(kept[name]) for name in _IDS if name in kept}
    return codec.raw(kept | lists | ids)


def _strip_id(value: Raw) -> Raw:
    call_id = codec.decode_any(value)
    plain, signature = split_call_id(call_id) if isinstance(call_id, str) else (call_id, None)
    return value if signature is None else codec.raw(plain)


def _is_marked(value: Raw) -> bool:
    data = bytes(value)
    # Each mark holds an underscore, and most messages none: 0.1 µs instead of 0.6.
    return _UNDERSCORE in data and any(data.find(mark) >= 0 for mark in _MARKS)
