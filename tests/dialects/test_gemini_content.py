"""Conversations as Gemini's contents."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.dialects.gemini_request import GEMINI_2_5, GEMINI_3, body, build, contents, refused, user

PNG = "data:image/png;base64,AA=="
DUMMY = "skip_thought_signature_validator"
SIGNATURE = "U0lH"


def model(text: str | None = None, *calls: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **({"tool_calls": list(calls)} if calls else {}), **members}


def call(call_id: str = "c1", name: str = "f", arguments: str = "{}", signature: str | None = None) -> dict[str, Any]:
    extra = {"extra_content": {"google": {"thought_signature": signature}}} if signature else {}
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **extra}


def result(call_id: str = "c1", content: Any = "ok") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def text(*texts: str, role: str = "user") -> dict[str, Any]:
    return {"role": role, "parts": [{"text": item} for item in texts]}


def responses(*messages: dict[str, Any], model: str = GEMINI_3) -> list[dict[str, Any]]:
    """The `functionResponse` parts of the whole conversation."""
    parts = [part for content in contents(*messages, model=model) for part in content["parts"]]
    return [part["functionResponse"] for part in parts if "functionResponse" in part]


def signatures(*messages: dict[str, Any], model: str = GEMINI_3) -> list[str | None]:
    """The signature of each part of the model's."""
    found = [content for content in contents(*messages, model=model) if content["role"] == "model"]
    return [part.get("thoughtSignature") for content in found for part in content["parts"]]


# --- roles --------------------------------------------------------------------------------------------------------


def test_leading_system_messages_are_the_instruction_and_later_ones_notes() -> None:
    parts = [{"type": "text", "text": "two"}, {"type": "text", "text": ""}]
    built = body(
        messages=[
            {"role": "system", "content": "one"},
            {"role": "developer", "content": parts},
            user("a"),
            {"role": "system", "content": "three"},
        ]
    )
    assert built["systemInstruction"] == {"parts": [{"text": "one"}, {"text": "two"}]}
    assert built["contents"] == [text("a", "[System] three")]


@pytest.mark.parametrize("messages", [[{"role": "system", "content": "s"}], [user("")], [model("")]])
def test_contents_are_never_empty(messages: list[dict[str, Any]]) -> None:
    assert contents(*messages) == [text(" ")]


def test_consecutive_messages_of_a_role_are_one_content() -> None:
    assert contents(user("a"), user("b"), model("c"), model("d"), user("e")) == [
        text("a", "b"),
        text("c", "d", role="model"),
        text("e"),
    ]


def test_empty_text_makes_no_part_and_an_empty_turn_no_content() -> None:
    assert contents(user("a"), model(""), user("b")) == [text("a", "b")]


def test_empty_or_repeated_messages_do_not_split_a_turn() -> None:
    assert contents(user("a"), model("b"), user(""), model("c"))[1:] == [text("b", "c", role="model")]
    history = [user("a"), model(None, call()), result(), model("b"), result(), model("c")]
    assert contents(*history)[3:] == [text("b", "c", role="model")]


def test_refusal_is_text() -> None:
    assert contents(user(), model(None, refusal="no"))[1] == text("no", role="model")
    part = {"type": "refusal", "refusal": "no"}
    assert contents(user(), {"role": "assistant", "content": [part]})[1] == text("no", role="model")


def test_refusal_beside_parts_is_not_lost() -> None:
    said = {"role": "user", "content": [{"type": "text", "text": "a"}], "refusal": "no"}
    assert contents(said) == [text("a", "no")]


def test_name_of_a_speaker_is_lost_and_said() -> None:
    built = build(messages=[{**user(), "name": "bob"}, model("a", audio={"id": "x"})])
    assert built.dropped == ("messages.name", "messages.audio")


# --- media --------------------------------------------------------------------------------------------------------

INLINE = {"inlineData": {"mimeType": "image/png", "data": "AA=="}}


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "image_url", "image_url": {"url": PNG}}, INLINE),
        ({"type": "image_url", "image_url": PNG}, INLINE),
        (
            {"type": "image_url", "image_url": {"url": "data:image/jpg;base64,AA=="}},
            {"inlineData": {"mimeType": "image/jpeg", "data": "AA=="}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://a/b.png?c=d"}},
            {"fileData": {"mimeType": "image/png", "fileUri": "https://a/b.png?c=d"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "gs://bucket/b"}},
            {"fileData": {"fileUri": "gs://bucket/b"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
            {"inlineData": {"mimeType": "audio/mpeg", "data": "AA=="}},
        ),
        (
            {"type": "file", "file": {"file_data": "data:text/plain; charset=utf-8;base64,AA=="}},
            {"inlineData": {"mimeType": "text/plain", "data": "AA=="}},
        ),
        (
            {"type": "file", "file": {"file_data": "AA==", "filename": "a.b.PDF"}},
            {"inlineData": {"mimeType": "application/pdf", "data": "AA=="}},
        ),
        (
            {"type": "file", "file": {"file_id": "https://g/v1beta/files/x"}},
            {"fileData": {"fileUri": "https://g/v1beta/files/x"}},
        ),
    ],
)
def test_media_is_inline_or_a_uri(part: dict[str, Any], expected: dict[str, Any]) -> None:
    assert contents({"role": "user", "content": [part]}) == [{"role": "user", "parts": [expected]}]


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "image_url", "image_url": {"url": "http://a/b.png"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:image/png,AA"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:;base64,AA=="}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64"}}, "image_url.url"),
        ({"type": "image_url"}, "type"),
        ({"type": "input_audio", "input_audio": {"data": "AA==", "format": "midi"}}, "input_audio.format"),
        ({"type": "file", "file": {"file_data": "AA=="}}, "file.filename"),
        ({"type": "file", "file": {"file_id": "file-123"}}, "file.file_id"),
        ({"type": "file", "file": {}}, "file.file_id"),
        ({"type": "text"}, "type"),
        ({"type": "hologram"}, "type"),
    ],
)
def test_part_that_cannot_be_carried_is_refused_with_its_place(part: dict[str, Any], param: str) -> None:
    messages = [user(), {"role": "user", "content": [{"type": "text", "text": "a"}, part]}]
    assert refused(messages=messages).param == f"messages[1].content[1].{param}"


def test_picture_in_the_system_message_is_refused() -> None:
    picture = {"type": "image_url", "image_url": {"url": PNG}}
    assert refused(messages=[{"role": "system", "content": [picture]}]).param == "messages[0].content[0].type"


def test_elder_models_get_text_beside_media() -> None:
    message = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PNG}}]}
    assert contents(message, model="gemini-2.0-flash")[0]["parts"] == [INLINE, {"text": " "}]
    assert contents(message, model=GEMINI_2_5)[0]["parts"] == [INLINE]


# --- calls and results --------------------------------------------------------------------------------------------


def test_calls_and_results_of_a_turn_are_two_contents() -> None:
    history = [
        user("a"),
        model("so", call("c1", "f", '{"b": 1}', SIGNATURE), call("c2", "g", "")),
        result("c2", "two"),
        result("c1", '{"one": 1}'),
        user("b"),
    ]
    assert contents(*history) == [
        text("a"),
        {
            "role": "model",
            "parts": [
                {"text": "so"},
                {"functionCall": {"id": "c1", "name": "f", "args": {"b": 1}}, "thoughtSignature": SIGNATURE},
                {"functionCall": {"id": "c2", "name": "g", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "c1", "name": "f", "response": {"one": 1}}},
                {"functionResponse": {"id": "c2", "name": "g", "response": {"output": "two"}}},
            ],
        },
        text("b"),
    ]


def test_elder_models_get_no_ids() -> None:
    built = build(GEMINI_2_5, messages=[user(), model(None, call()), result()])
    assert b'"id"' not in built.body


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{ "b":1e400,\n"a":12345678901234567890.10}', b'{ "b":1e400,\n"a":12345678901234567890.10}'),
        ("", b"{}"),
        (" \n", b"{}"),
        ('{"a":', b'{"input":"{\\"a\\":"}'),
        ("[1]", b'{"input":"[1]"}'),
        ("null", b'{"input":"null"}'),
    ],
)
def test_arguments_are_kept_to_the_byte_or_wrapped(arguments: str, expected: bytes) -> None:
    built = build(messages=[user(), model(None, call(arguments=arguments)), result()])
    assert b'"args":' + expected + b"}" in built.body


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("text", {"output": "text"}),
        ("", {"output": ""}),
        ("42", {"output": "42"}),
        ("[1, 2]", {"output": [1, 2]}),
        ('{"a": 1}', {"a": 1}),
        ('{"$ref": "#/x"}', {"output": '{"$ref": "#/x"}'}),
        ([{"type": "text", "text": '{"a"'}, {"type": "text", "text": ": 1}"}], {"a": 1}),
    ],
)
def test_result_is_an_object(content: Any, expected: dict[str, Any]) -> None:
    (response,) = responses(user(), model(None, call()), result(content=content))
    assert response["response"] == expected


def test_result_is_found_across_text_and_user_messages() -> None:
    history = [user(), model(None, call()), model("wait"), user("hurry"), result(), user("b")]
    assert [content["role"] for content in contents(*history)] == ["user", "model", "user", "user"]
    assert responses(*history) == [{"id": "c1", "name": "f", "response": {"output": "ok"}}]


def test_last_of_two_results_counts() -> None:
    (response,) = responses(user(), model(None, call()), result(content="a"), result(content="b"))
    assert response["response"] == {"output": "b"}


def test_call_without_result_gets_an_error() -> None:
    first, second = responses(user(), model(None, call("c1"), call("c2")), result("c2"), user())
    assert (first["response"], second["response"]) == ({"error": "This call has no result."}, {"output": "ok"})


def test_result_without_call_becomes_text() -> None:
    assert contents(user("a"), result("gone", "found"), user("b")) == [text("a", "[Result of a tool] found", "b")]


def test_ids_that_come_again_belong_to_their_own_turn() -> None:
    history = [
        user(),
        model(None, call(name="f")),
        result(content="1"),
        model(None, call(name="g")),
        result(content="2"),
    ]
    assert [(r["name"], r["response"]["output"]) for r in responses(*history)] == [("f", "1"), ("g", "2")]


def test_older_function_call_is_paired_by_name() -> None:
    history = [
        user(),
        model(None, function_call={"name": "f", "arguments": "{}"}),
        {"role": "function", "name": "f", "content": "ok"},
    ]
    assert responses(*history) == [{"name": "f", "response": {"output": "ok"}}]


def test_custom_call_is_a_function_of_its_input() -> None:
    custom = {"id": "c1", "type": "custom", "custom": {"name": "sql", "input": "select 1"}}
    built = contents(user(), model(None, custom), result())
    assert built[1]["parts"][0]["functionCall"] == {"id": "c1", "name": "sql", "args": {"input": "select 1"}}


def test_call_that_is_none_is_refused() -> None:
    assert refused(messages=[user(), model(None, {"id": "c"})]).param == "messages[1].tool_calls[0]"


def test_picture_in_a_result_stands_in_it_or_behind_it() -> None:
    parts = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": PNG}}]
    history = [user(), model(None, call()), result(content=parts)]
    assert contents(*history)[2]["parts"][0]["functionResponse"] == {
        "id": "c1",
        "name": "f",
        "response": {"output": "see"},
        "parts": [INLINE],
    }
    assert contents(*history, model=GEMINI_2_5)[2:] == [
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "see"}}}]},
        {"role": "user", "parts": [INLINE]},
    ]


# --- signatures ---------------------------------------------------------------------------------------------------


def test_unsigned_first_call_of_each_step_gets_the_dummy() -> None:
    history = [
        user(),
        model(None, call("a"), call("b")),
        result("a"),
        result("b"),
        model(None, call("c")),
        result("c"),
    ]
    assert signatures(*history) == [DUMMY, None, DUMMY]
    assert signatures(*history, model=GEMINI_2_5) == [None, None, None]


def test_elder_models_get_their_signatures_back() -> None:
    assert signatures(user(), model(None, call(signature=SIGNATURE)), result(), model=GEMINI_2_5) == [SIGNATURE]


def test_signature_goes_back_once() -> None:
    extra = {"google": {"thought_signature": SIGNATURE}}
    assert signatures(user(), model("a", call(signature=SIGNATURE), extra_content=extra), result()) == [None, SIGNATURE]
    assert signatures(user(), model("a", extra_content=extra), user(), model("b", extra_content=extra)) == [
        SIGNATURE,
        None,
    ]


def test_signature_of_a_text_stands_on_its_last_part() -> None:
    extra = {"extra_content": {"google": {"thought_signature": SIGNATURE}}}
    assert contents(user(), model("a", **extra))[1]["parts"] == [{"text": "a", "thoughtSignature": SIGNATURE}]
    assert contents(user(), model(None, **extra))[1]["parts"] == [{"text": "", "thoughtSignature": SIGNATURE}]


def test_signature_that_hangs_on_an_id_is_taken_off() -> None:
    history = [user(), model(None, call("c1__thought__" + SIGNATURE)), result("c1__thought__" + SIGNATURE)]
    assert signatures(*history) == [SIGNATURE]
    assert responses(*history)[0]["id"] == "c1"


def test_parts_of_the_providers_own_tools_come_first() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": SIGNATURE}
    extra = {"google": {"parts": [code, {"text": "x"}, 7]}}
    assert contents(user(), model("a", extra_content=extra))[1]["parts"] == [code, {"text": "a"}]


@pytest.mark.parametrize("extra", [{}, {"google": 1}, {"google": {"thought_signature": 1, "parts": {}}}])
def test_extra_content_of_another_kind_is_passed_over(extra: dict[str, Any]) -> None:
    history = [user(), model("a", {**call(), "extra_content": extra}, extra_content=extra), result()]
    assert signatures(*history) == [None, DUMMY]


def test_history_is_the_same_bytes_on_every_turn() -> None:
    history = [user("a"), model("b", call(signature=SIGNATURE)), result(), model("c")]
    first, second = build(messages=history).body, build(messages=[*history, user("d")]).body
    assert second.startswith(first[: first.rindex(b"]")])


def test_odd_text_survives() -> None:
    odd = "\u2028 \x00 \U0001f600 é"
    assert json.loads(build(messages=[user(odd)]).body)["contents"] == [text(odd)]
