"""Reading a chat request: what is taken, what is refused, and where an error says it is."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feathergate.errors import ClientError
from feathergate.wire.chat import ChatRequest
from feathergate.wire.codec import decode_chat, decode_messages, encode

HI = [{"role": "user", "content": "hi"}]


def body(**members: Any) -> bytes:
    return json.dumps({"model": "m", "messages": HI} | members).encode()


def refusal(data: bytes) -> ClientError:
    with pytest.raises(ClientError) as caught:
        decode_chat(data)
    return caught.value


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": None}, "messages"),
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"model": 5}, "model"),
        ({"stream": "yes"}, "stream"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": 1.5}, "top_p"),
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_completion_tokens": -1}, "max_completion_tokens"),
        ({"presence_penalty": 3}, "presence_penalty"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"stop": [1]}, "stop[0]"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"reasoning_effort": "enormous"}, "reasoning_effort"),
        ({"tools": {}}, "tools"),
    ],
)
def test_request_names_the_field_that_is_wrong(members: dict[str, Any], param: str) -> None:
    error = refusal(body(**members))
    assert (error.status, error.param) == (400, param)
    assert param in error.message


@pytest.mark.parametrize("name", ["model", "messages"])
def test_request_names_the_field_that_is_missing(name: str) -> None:
    members = {"model": "m", "messages": HI}
    del members[name]
    assert refusal(json.dumps(members).encode()).param == name


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nul",
        b"[]",
        b"5",
        b'"text"',
        b'{"model":"m"',
        body() + b"x",
        b"\xef\xbb\xbf" + body(),
        body().decode().encode("utf-16"),
        b'{"model":"m","messages":[{}],"x":"\xff"}',
        b'{"model":"m","messages":[{}],"x":NaN}',
        b'{"model":"m","messages":[{}],"x":' + b"[" * 100_000,
        b'{"model":"m","messages":[{}],"x":"\\ud800"}',
    ],
)
def test_body_that_is_no_json_object_is_refused(data: bytes) -> None:
    assert refusal(data).status == 400


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (",\n  ", " :  ")])
@pytest.mark.parametrize("twin", ["model", "stream", "messages", "unknown"])
def test_repeated_key_is_refused_however_the_body_is_spaced(separators: tuple[str, str], twin: str) -> None:
    comma, colon = separators
    members = [("model", '"m"'), ("messages", "[{}]"), ("stream", "false"), ("unknown", "12"), (twin, "1")]
    if twin in ("model", "messages"):
        members[-1] = (twin, dict(members)[twin])
    data = "{" + comma.join(f'"{name}"{colon}{value}' for name, value in members) + "}"
    if twin == "stream":
        data = data.replace('"stream"' + colon + "1", '"stream"' + colon + "true")
    assert refusal(data.encode()).param == twin


@pytest.mark.parametrize("name", ['""', '"n"', '"\\u006e"', '"é"', '"seed"'])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_smallest_twin_is_refused_wherever_it_stands(name: str, place: int) -> None:
    members = ['"model":"m"', '"messages":[{}]', f"{name}:null"]
    members.insert(place, f"{name}:1".replace("\\u006e", "n"))
    assert "stands twice" in refusal(f"{{{','.join(members)}}}".encode()).message


def test_repeated_key_below_the_top_passes() -> None:
    _, members = decode_chat(b'{"model":"m", "messages":[{"role":"user"}], "metadata":{"a":1,"a":2}}')
    assert bytes(members["metadata"]) == b'{"a":1,"a":2}'


def test_null_means_absent() -> None:
    request, _ = decode_chat(body(temperature=None, stream=None, tools=None, stop=None))
    assert (request.temperature, request.stream, request.tools, request.stop) == (None, None, None, None)


def test_members_keep_the_bytes_of_every_value() -> None:
    data = (
        b'{"model":"m","messages":[ {"role" : "user"} ],"seed":1,"x":{"big":123456789012345678901234567890,"f":1e400}}'
    )
    _, members = decode_chat(data)
    assert encode(members) == data


def test_message_error_names_the_part() -> None:
    request, _ = decode_chat(body(messages=[*HI, {"role": "user", "content": [{"text": "x"}]}]))
    with pytest.raises(ClientError) as caught:
        decode_messages(request.messages)
    assert caught.value.param == "messages[1].content[0].type"


def test_message_of_an_unknown_role_is_refused_with_its_index() -> None:
    request, _ = decode_chat(body(messages=[*HI, {"role": "robot", "content": "x"}]))
    with pytest.raises(ClientError) as caught:
        decode_messages(request.messages)
    assert caught.value.param == "messages[1].role"


words = st.text(st.characters(codec="utf-8"))
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), json_values, max_size=5),
    st.sampled_from([None, 1]),
)
def test_request_with_any_further_members_reads_back_equal(extra: dict[str, Any], indent: int | None) -> None:
    known = {"model": "m", "messages": HI}
    plain = {name: value for name, value in extra.items() if name not in ChatRequest.__struct_fields__}
    data = json.dumps(plain | known, indent=indent, ensure_ascii=False).encode()
    _, members = decode_chat(data)
    assert json.loads(encode(members)) == plain | known


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(ClientError):
        decode_chat(data)


@pytest.mark.parametrize("before", range(65_500, 65_560))
def test_large_body_is_checked_whole_wherever_its_characters_are_cut(before: int) -> None:
    start = b'{"model":"m","messages":[1],"user":"' + b"x" * before
    decode_chat(start + "é€😀".encode() * 5 + b'"}')
    wrong = start + "€".encode()[:2] + b'"}'
    assert f"not valid UTF-8 at byte {len(start)}" in refusal(wrong).message
