"""Long texts of a request, which go to Gemini as the JSON that came."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.dialects.gemini_request import GEMINI_3, build, contents, refused, user

from feathergate.capability import find_capability
from feathergate.dialects.contract import Built, Target
from feathergate.dialects.gemini import GEMINI
from feathergate.dialects.gemini.turn import LONG_BYTES, read_turns
from feathergate.errors import ClientError
from feathergate.wire.chat import Message, Spoken
from feathergate.wire.codec import decode_chat

LONG = "é \\ \n\u2028😀" * LONG_BYTES
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def said(role: str, **members: Any) -> dict[str, Any]:
    return {"role": role, "content": LONG, **members}


def spoken(message: dict[str, Any]) -> bool:
    body = json.dumps({"model": "m", "messages": [message]}).encode()
    (turn,) = read_turns(decode_chat(body)[0].messages)
    return isinstance(turn, Spoken)


def build_raw(messages: str) -> Built:
    body = f'{{"model":"m","messages":{messages}}}'.encode()
    return GEMINI.build_request(*decode_chat(body), Target(GEMINI_3, find_capability(GEMINI_3)))


def test_long_text_goes_as_the_bytes_that_came() -> None:
    text = json.dumps("\\u00e9\\/" * LONG_BYTES) + " "
    assert f'"text":{text.strip()}}}'.encode() in build_raw(f'[{{"content" : {text},"role":"user"}}]').body


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant"])
def test_long_text_says_what_a_short_one_would(role: str, ascii_only: bool) -> None:
    history = [said(role), user("a"), said(role), said("assistant"), said(role), user("b")]
    short = [{**message, "content": message["content"][:9]} for message in history]
    expected = json.dumps(json.loads(build(messages=short).body)["contents"]).replace(json.dumps(LONG[:9])[1:-1], "%")
    built = build_raw(json.dumps(history, ensure_ascii=ascii_only))
    assert json.dumps(json.loads(built.body)["contents"]).replace(json.dumps(LONG)[1:-1], "%") == expected


def test_message_of_a_text_and_nulls_is_spoken() -> None:
    nulls: dict[str, Any] = dict.fromkeys(set(Message.__struct_fields__) - {"role", "content"})
    assert spoken(said("user", unknown=1, **nulls))


def test_spoken_knows_every_member_of_a_message() -> None:
    assert Spoken.__struct_fields__ == Message.__struct_fields__


@pytest.mark.parametrize(
    "more",
    [
        {"name": "n"},
        {"tool_calls": [CALL]},
        {"cache_control": {"type": "ephemeral"}},
        {"content": None, "reasoning_content": LONG},
        {"content": "", "reasoning_content": None, "unknown": LONG},
        {"content": [{"type": "text", "text": LONG}]},
        {"role": "tool", "tool_call_id": "c1"},
    ],
)
def test_long_message_that_is_more_than_a_text_is_opened_whole(more: dict[str, Any]) -> None:
    assert not spoken({**said("assistant"), **more})


def test_long_message_loses_nothing_in_silence() -> None:
    assert build(messages=[said("user", name="bob")]).dropped == ("messages.name",)


def test_long_result_still_finds_its_call() -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    built = contents(user(), call, said("tool", tool_call_id="c1"))
    assert built[2]["parts"][0]["functionResponse"]["response"] == {"output": LONG}


@pytest.mark.parametrize(
    ("message", "param"),
    [
        (said("owl"), "messages[1].role"),
        ({"content": LONG}, "messages[1].role"),
        ({**said("user"), "content": [LONG]}, "messages[1].content[0]"),
        (said("user", name=5), "messages[1].name"),
        (LONG, "messages[1]"),
    ],
)
def test_long_message_that_is_wrong_is_refused_by_its_place(message: Any, param: str) -> None:
    assert refused(messages=[user(), message]).param == param


@pytest.mark.parametrize("escape", ["\\ud800", "\\udc00", "\\q", "\\u12", "\x01"])
def test_long_text_with_a_wrong_escape_never_goes_upstream(escape: str) -> None:
    with pytest.raises(ClientError, match="not valid JSON"):
        build_raw(f'[{{"role":"user","content":"{"x" * LONG_BYTES}{escape}"}}]')
