"""The client's messages as Anthropic's dialect opens them: texts travel as they were written."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from feathergate.capability import UNLIMITED
from feathergate.dialects.contract import Target
from feathergate.dialects.loss import Losses
from feathergate.dialects.messages import MESSAGES
from feathergate.dialects.messages.history import History, build_history, build_words
from feathergate.dialects.messages.said import is_text, read_messages
from feathergate.errors import ClientError
from feathergate.wire.codec import decode_chat, encode

ESCAPED = r'"a \u00e9 \/ \ud83d\ude00 \n"'
EPHEMERAL = {"type": "ephemeral"}
CALL = {"id": "c", "type": "function", "function": {"name": "f"}}


def build(messages: str) -> bytes:
    request, members = decode_chat(f'{{"model":"m","messages":{messages}}}'.encode())
    return MESSAGES.build_request(request, members, Target("m", UNLIMITED)).body


def refused(*messages: Any) -> ClientError:
    with pytest.raises(ClientError) as caught:
        build(json.dumps(messages))
    return caught.value


def words(*messages: Any) -> History | None:
    return build_words(read_messages([Raw(encode(message)) for message in messages]))


def whole(*messages: Any) -> History:
    said = read_messages([Raw(encode(message)) for message in messages])
    return build_history(said, {}, {}, UNLIMITED, Losses("", strict=True))


def user(content: Any = "Hello", **members: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **members}


# --- texts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        f'{{"role":"user","content":{ESCAPED}}}',
        f'{{"role":"user","content":[{{"type":"text","text":{ESCAPED}}}]}}',
        f'{{"role":"user","content":"x"}},{{"role":"assistant","content":{ESCAPED}}},{{"role":"user","content":"y"}}',
        f'{{"role":"user","content":"x","name":"bob"}},{{"role":"user","content":{ESCAPED},"cache_control":null}}',
    ],
)
def test_text_goes_upstream_as_the_client_wrote_it(message: str) -> None:
    assert f'{{"type":"text","text":{ESCAPED}}}'.encode() in build(f"[{message}]")


@pytest.mark.parametrize("ascii_only", [True, False])
def test_text_is_what_has_more_than_white_space(ascii_only: bool) -> None:
    spaces = [character for character in map(chr, range(sys.maxunicode + 1)) if character.isspace()]
    for blank in ["", *spaces, "".join(spaces)]:
        assert not is_text(Raw(json.dumps(blank, ensure_ascii=ascii_only)))
        assert is_text(Raw(json.dumps(f"{blank}x", ensure_ascii=ascii_only)))


@given(st.text(st.characters(codec="utf-8")), st.booleans())
def test_any_string_is_a_text_unless_it_is_blank(text: str, ascii_only: bool) -> None:
    assert is_text(Raw(json.dumps(text, ensure_ascii=ascii_only))) == bool(text.strip())


@pytest.mark.parametrize("content", ["", "null", "5", "[]", "{}"])
def test_what_is_no_string_is_no_text(content: str) -> None:
    assert not is_text(Raw(content))


@pytest.mark.parametrize("role", ["system", "assistant"])
def test_text_that_is_added_to_is_opened(role: str) -> None:
    body = json.loads(build(f'[{{"role":"user","content":"x"}},{{"role":"{role}","content":{ESCAPED}}}]'))
    said = body["messages"][-1]["content"][-1]["text"]
    assert said.endswith("a é / 😀" if role == "assistant" else "\na é / 😀 \n")


# --- messages of another shape --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "param"),
    [
        (user(5), "messages[1].content"),
        (user({"text": "x"}), "messages[1].content"),
        (user([{"type": "text", "text": 5}]), "messages[1].content[0].text"),
        (user([{"text": "x"}]), "messages[1].content[0].type"),
        ({"role": "tool", "content": 5, "tool_call_id": "c"}, "messages[1].content"),
        ({"role": "nobody", "content": "x"}, "messages[1].role"),
        ("x", "messages[1]"),
    ],
)
def test_message_of_another_shape_is_refused_by_its_place(message: Any, param: str) -> None:
    assert refused(user(), message).param == param


# --- words ----------------------------------------------------------------------------------------------------------

_WORDS = st.sampled_from(["a", "b\n", "\u3042", "\u00a0c", "é", "", " ", "\u3000"])
_MESSAGES = st.lists(
    st.builds(
        lambda role, content, more: {"role": role, "content": content, **more},
        st.sampled_from(["user", "user", "assistant", "system", "developer"]),
        _WORDS,
        st.sampled_from(
            [{}, {}, {}, {"name": None}, {"refusal": "No."}, {"tool_calls": []}, {"reasoning_content": "r"}]
        ),
    ),
    min_size=1,
    max_size=5,
)


@given(_MESSAGES)
def test_any_words_are_what_the_whole_way_makes_of_them(messages: list[Any]) -> None:
    quick = words(*messages)
    if quick is not None:
        assert encode([quick.system, quick.turns]) == encode([(slow := whole(*messages)).system, slow.turns])


def test_words_to_and_fro_take_the_quick_way() -> None:
    told = words({"role": "system", "content": "s"}, user(), {"role": "assistant", "content": "a"}, user())
    assert told is not None
    assert [turn["role"] for turn in told.turns] == ["user", "assistant", "user"]


@pytest.mark.parametrize(
    "messages",
    [
        [user(name="bob")],
        [user(cache_control=EPHEMERAL)],
        [user(" ")],
        [user([{"type": "text", "text": "x"}])],
        [user(), user()],
        [user(), {"role": "system", "content": "s"}],
        [user(), {"role": "assistant", "content": "a"}],
        [{"role": "system", "content": "s"}],
        [{"role": "assistant", "content": "a"}, user()],
        [user(), {"role": "assistant", "content": "a", "tool_calls": [CALL]}, user()],
        [user(), {"role": "assistant", "content": "a", "function_call": {"name": "f"}}, user()],
        [user(), {"role": "assistant", "content": "a", "audio": {"id": "x"}}, user()],
        [user(), {"role": "assistant", "content": "a", "thinking_blocks": [{"type": "thinking"}]}, user()],
        [user(), {"role": "assistant", "content": "a", "extra_content": {"anthropic": {}}}, user()],
        [user(), {"role": "tool", "content": "x", "tool_call_id": "c"}],
    ],
)
def test_what_is_more_than_words_takes_the_whole_way(messages: list[Any]) -> None:
    assert words(*messages) is None
