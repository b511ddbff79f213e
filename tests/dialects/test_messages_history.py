"""A conversation in Anthropic's terms: turns, parts, calls and their results, thinking."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from anthropic.types import MessageParam, TextBlockParam
from hypothesis import given
from hypothesis import strategies as st
from tests.dialects.typed_shape import check_shape

from feathergate.capability import find_capability
from feathergate.dialects.contract import Built, Target
from feathergate.dialects.messages import MESSAGES
from feathergate.errors import ClientError
from feathergate.wire.codec import decode_chat

NEW, OLD = "claude-opus-5-5", "claude-sonnet-4-5"
EPHEMERAL = {"type": "ephemeral"}


def build(*messages: Any, model: str = OLD, strict: bool = False, **members: Any) -> Built:
    request, raw = decode_chat(json.dumps({"model": "ours", "messages": messages, **members}).encode())
    return MESSAGES.build_request(request, raw, Target(model, find_capability(model), strict))


def turns(*messages: Any, model: str = OLD, **members: Any) -> list[Any]:
    sent = json.loads(build(*messages, model=model, **members).body)
    check_shape(sent["messages"], list[MessageParam], "messages")
    check_shape(sent.get("system", []), list[TextBlockParam], "system")
    turns: list[Any] = sent["messages"]
    return turns


def refused(*messages: Any, model: str = OLD) -> ClientError:
    with pytest.raises(ClientError) as caught:
        build(*messages, model=model)
    return caught.value


def user(content: Any = "Hello", **members: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **members}


def system(content: Any) -> dict[str, Any]:
    return {"role": "system", "content": content}


def assistant(content: Any = None, *calls: Any, **members: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **({"tool_calls": calls} if calls else {}), **members}


def call(identity: str = "c1", arguments: str = "{}", name: str = "f") -> dict[str, Any]:
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(identity: str = "c1", content: Any = "1") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": identity, "content": content}


def said(role: str, *blocks: Any) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": b} if isinstance(b, str) else b for b in blocks]}


def use(identity: str = "c1", arguments: Any = None, name: str = "f") -> dict[str, Any]:
    return {"type": "tool_use", "id": identity, "name": name, "input": arguments or {}}


def gave(identity: str = "c1", content: str = "1") -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": identity, "content": [{"type": "text", "text": content}]}


MISSING = {"is_error": True, "content": "No result of this call was given."}


# --- system ---------------------------------------------------------------------------------------------------------


def test_leading_system_messages_are_the_system_and_stay_apart() -> None:
    developer = {"role": "developer", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": " "}]}
    sent = json.loads(build(system("a"), developer, user()).body)
    assert sent["system"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert sent["messages"] == [said("user", "Hello")]


def test_system_alone_gets_a_user() -> None:
    assert turns(system("a")) == [said("user", ".")]


def test_later_system_message_stays_in_its_place() -> None:
    messages = (user("a"), system("s"), assistant("b"), user("c"))
    assert turns(*messages, model=NEW) == [
        said("user", "a"),
        said("system", "s"),
        said("assistant", "b"),
        said("user", "c"),
    ]


def test_later_system_message_is_a_note_where_the_family_has_no_place_for_it() -> None:
    note = "[Instruction from the operator of this conversation]\ns"
    assert turns(user("a"), system("s"), model=OLD) == [said("user", "a", note)]
    assert turns(user("a"), system("s"), user("b"), model=NEW) == [said("user", "a", note, "b")]
    assert turns(user("a"), assistant("b"), system("s"), model=NEW)[2:] == [said("user", note)]


def test_system_message_before_results_follows_them() -> None:
    sent = turns(user(), assistant(None, call()), system("s"), result(), model=NEW)
    assert sent[2:] == [said("user", gave()), said("system", "s")]


# --- turns ----------------------------------------------------------------------------------------------------------


def test_messages_of_one_role_are_one_turn() -> None:
    assert turns(user("a"), user("b"), assistant("c"), assistant("d"), user("e")) == [
        said("user", "a", "b"),
        said("assistant", "c", "d"),
        said("user", "e"),
    ]


def test_conversation_begins_with_the_user() -> None:
    assert turns(assistant("a"), user("b")) == [said("user", "."), said("assistant", "a"), said("user", "b")]


@pytest.mark.parametrize("empty", [assistant(""), assistant(None), assistant("  "), assistant([{"type": "text"}])])
def test_assistant_who_says_nothing_makes_no_turn(empty: Any) -> None:
    assert turns(user("a"), empty, user("b")) == [said("user", "a", "b")]


def test_user_who_says_nothing_still_has_a_turn() -> None:
    assert turns(user("a"), assistant("b"), user(" ")) == [said("user", "a"), said("assistant", "b"), said("user", ".")]


def test_last_words_of_the_assistant_are_gone_on_from() -> None:
    assert turns(user(), assistant("{ \n"))[-1] == said("assistant", "{")


def test_last_words_of_the_assistant_are_refused_where_the_family_refuses_them() -> None:
    assert refused(user(), assistant("{"), model=NEW).param == "messages[1]"


def test_name_is_dropped_and_said_so() -> None:
    assert build(user(name="bob")).dropped == ("messages.name",)
    with pytest.raises(ClientError) as caught:
        build(user(name="bob"), strict=True)
    assert caught.value.param == "messages[0].name"


# --- calls and results ----------------------------------------------------------------------------------------------


def test_results_of_one_turn_stand_first_in_one_message() -> None:
    sent = turns(user(), assistant("t", call("a"), call("b")), user("u"), result("b", "2"), result("a"))
    assert sent[1] == said("assistant", "t", use("a"), use("b"))
    assert sent[2:] == [said("user", gave("a"), gave("b", "2"), "u")]


@pytest.mark.parametrize("content", ["", None])
def test_assistant_with_calls_alone_has_no_text(content: Any) -> None:
    assert turns(user(), assistant(content, call()), result())[1] == said("assistant", use())


def test_result_given_twice_counts_as_given_last() -> None:
    assert turns(user(), assistant(None, call()), result(), result(content="2"))[2] == said("user", gave("c1", "2"))


def test_result_that_is_missing_is_an_error() -> None:
    missing = {"type": "tool_result", "tool_use_id": "c1", **MISSING}
    assert turns(user(), assistant(None, call()))[2] == said("user", missing)
    assert turns(user(), assistant(None, call()), user("u"))[2] == said("user", missing, "u")


def test_result_without_its_call_is_words() -> None:
    note = "[Result of the tool call c9, which is not part of this conversation]"
    assert turns(user("a"), result("c9")) == [said("user", "a", note, "1")]


def test_result_without_content_has_none() -> None:
    assert turns(user(), assistant(None, call()), result(content=""))[2] == said(
        "user", {"type": "tool_result", "tool_use_id": "c1"}
    )


def test_result_may_hold_an_image_and_a_breakpoint() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://e.com/a.png"}, "cache_control": EPHEMERAL}
    sent = turns(user(), assistant(None, call()), result(content=[{"type": "text", "text": "1"}, image]))[2]
    block = {"type": "image", "source": {"type": "url", "url": "https://e.com/a.png"}}
    content = [{"type": "text", "text": "1"}, block]
    assert sent == said("user", {**gave(), "content": content, "cache_control": EPHEMERAL})


def test_result_without_a_calls_id_is_refused() -> None:
    assert refused(user(), {"role": "tool", "content": "1"}).param == "messages[1].tool_call_id"


def test_ids_are_made_fit_alike_in_call_and_result() -> None:
    sent = turns(user(), assistant(None, call("functions.f:0"), call("functions.f.0")), result("functions.f.0"))
    ids = [block["id"] for block in sent[1]["content"]]
    assert ids == ["functions_f_0", "functions_f_0_2"]
    assert sent[2] == said("user", {"type": "tool_result", "tool_use_id": ids[0], **MISSING}, gave(ids[1]))


def test_ids_used_again_stay_apart() -> None:
    again = (assistant(None, call("f"), call("f")), result("f", "1"), result("f", "2"))
    sent = turns(user(), *again, *again)
    assert sent[2] == said("user", gave("f", "1"), gave("f_2", "2"))
    assert sent[4] == said("user", gave("f_3", "1"), gave("f_4", "2"))


def test_function_of_old_is_paired_by_its_name() -> None:
    asked = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    sent = turns(user(), asked, {"role": "function", "name": "f", "content": "1"})
    assert sent[1:] == [said("assistant", use("call_1")), said("user", gave("call_1"))]


def test_tools_of_the_history_are_declared_and_not_to_be_called() -> None:
    sent = json.loads(build(user(), assistant(None, call(name="a.b")), result()).body)
    assert sent["tools"] == [{"name": "a_b", "input_schema": {"type": "object", "properties": {}}}]
    assert sent["tool_choice"] == {"type": "none"}
    assert sent["messages"][1] == said("assistant", use(name="a_b"))


@pytest.mark.parametrize("arguments", ['{"b": 1e400, "a":[1.0 ]}', ' {"x":"\\u00e9"}\n', '{"n":123456789012345678901}'])
def test_arguments_keep_their_bytes(arguments: str) -> None:
    assert b'"input":' + arguments.encode() in build(user(), assistant(None, call(arguments=arguments))).body


@pytest.mark.parametrize("arguments", ['{"a":', "[1]", "5", "null", '{"a":"\\ud800"}', "{" * 3000, "x"])
def test_arguments_that_are_no_object_are_wrapped(arguments: str) -> None:
    assert turns(user(), assistant(None, call(arguments=arguments)))[1] == said(
        "assistant", use(arguments={"_raw": arguments})
    )


@pytest.mark.parametrize("arguments", ["", "  "])
def test_arguments_of_no_text_are_none(arguments: str) -> None:
    assert turns(user(), assistant(None, call(arguments=arguments)))[1] == said("assistant", use())


def test_custom_call_is_its_input() -> None:
    custom = {"id": "c1", "type": "custom", "custom": {"name": "f", "input": "x"}}
    assert turns(user(), assistant(None, custom), result())[1] == said("assistant", use(arguments={"input": "x"}))


def test_call_of_no_type_is_refused() -> None:
    assert refused(user(), assistant(None, {"id": "c"})).param == "messages[1].tool_calls[0]"


# --- thinking -------------------------------------------------------------------------------------------------------

THINKING = {"type": "thinking", "thinking": "", "signature": "s"}
REDACTED = {"type": "redacted_thinking", "data": "d"}


def test_thinking_goes_back_first_and_untouched() -> None:
    blocks = [{**THINKING, "index": 0}, {**REDACTED, "index": 1}]
    sent = turns(user(), assistant("t", call(), thinking_blocks=blocks), result())
    assert sent[1] == said("assistant", THINKING, REDACTED, "t", use())


@pytest.mark.parametrize("block", [{"type": "thinking", "thinking": "x"}, {"type": "other"}, {}])
def test_thinking_that_nobody_signed_stays_out(block: Any) -> None:
    assert turns(user(), assistant("t", thinking_blocks=[block]), user())[1] == said("assistant", "t")


def test_content_of_the_providers_tools_goes_back_in_its_order() -> None:
    asked = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    content = [asked, THINKING, {"type": "text", "text": "t"}, use("c1"), use("gone"), {"type": "text", "text": ""}]
    message = assistant("t", call("c1", '{"a":1}'), call("c2"), extra_content={"anthropic": {"content": content}})
    sent = json.loads(build(user(), message, result()).body)["messages"]
    assert sent[1] == said("assistant", asked, THINKING, "t", use("c1", {"a": 1}), use("c2"))


# --- parts ----------------------------------------------------------------------------------------------------------


def data_url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


PNG, PDF = b"\x89PNG\r\n\x1a\n0000", b"%PDF-1.4 0000"


def image(url: str, **members: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, **members}}


def file(**members: Any) -> dict[str, Any]:
    return {"type": "file", "file": members}


def base64_source(kind: str, data: bytes) -> dict[str, Any]:
    return {"type": "base64", "media_type": kind, "data": base64.b64encode(data).decode()}


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (image("https://e.com/a"), {"type": "image", "source": {"type": "url", "url": "https://e.com/a"}}),
        ({"type": "image_url", "image_url": "https://e.com/a"},
         {"type": "image", "source": {"type": "url", "url": "https://e.com/a"}}),
        (image(data_url("image/webp", b"x"), detail="auto"),
         {"type": "image", "source": base64_source("image/webp", b"x")}),
        (image(data_url("image/jpg", b"x")), {"type": "image", "source": base64_source("image/jpeg", b"x")}),
        (image(data_url("image/jpeg", PNG)), {"type": "image", "source": base64_source("image/png", PNG)}),
        (image(data_url("application/pdf", PDF)),
         {"type": "document", "source": base64_source("application/pdf", PDF)}),
        (file(file_data=data_url("application/pdf", PDF), filename="a.pdf"),
         {"type": "document", "source": base64_source("application/pdf", PDF), "title": "a.pdf"}),
        (file(file_data=base64.b64encode(PDF).decode()),
         {"type": "document", "source": base64_source("application/pdf", PDF)}),
        (file(file_data=data_url("text/plain", "né".encode()), filename="a.txt"),
         {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "né"}, "title": "a.txt"}),
        (file(file_data=data_url("image/png", PNG)), {"type": "image", "source": base64_source("image/png", PNG)}),
        (file(file_id="file_01"), {"type": "document", "source": {"type": "file", "file_id": "file_01"}}),
        (file(file_id="file_01", filename="a.PNG"),
         {"type": "image", "source": {"type": "file", "file_id": "file_01"}}),
        ({"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
         {"type": "text", "text": "a", "cache_control": EPHEMERAL}),
        ({"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}},
         {"type": "text", "text": "a", "cache_control": {**EPHEMERAL, "ttl": "1h"}}),
        ({"type": "text", "text": "a", "cache_control": {**EPHEMERAL, "ttl": "5m"}},
         {"type": "text", "text": "a", "cache_control": {**EPHEMERAL, "ttl": "5m"}}),
        ({"type": "text", "text": "a", "cache_control": None}, {"type": "text", "text": "a"}),
    ],
)  # fmt: skip
def test_part_becomes_a_block(part: Any, block: Any) -> None:
    assert turns(user([part])) == [said("user", block)]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}},
        {"type": "video_url"},
        {"type": "image_url"},
        {"type": "file", "file": {}},
        image("http://e.com/a.png"),
        image("file:///etc/passwd"),
        image("data:image/png,abc"),
        image("data:image/tiff;base64,abcd"),
        image("data:"),
        file(file_id="file-abc"),
        file(file_data="data:text/plain;base64,%%%"),
        file(file_data=data_url("text/plain", b"\xff")),
    ],
)
def test_part_without_equivalent_is_refused_with_its_place(part: Any) -> None:
    error = refused(user(), user([{"type": "text", "text": "a"}, part]))
    assert (error.status, error.param) == (400, "messages[1].content[1]")


def test_part_of_the_files_api_asks_for_its_beta() -> None:
    assert ("anthropic-beta", "files-api-2025-04-14") in build(user([file(file_id="file_01")])).headers


def test_image_detail_is_dropped_and_said_so() -> None:
    assert build(user([image("https://e.com/a", detail="high")])).dropped == ("messages.content.image_url.detail",)


def test_refusal_of_the_assistant_is_text() -> None:
    refusal = {"type": "refusal", "refusal": "No."}
    assert turns(user(), assistant([refusal]), user())[1] == said("assistant", "No.")
    assert turns(user(), assistant(None, refusal="No."), user())[1] == said("assistant", "No.")


def test_system_message_holds_only_text() -> None:
    assert refused(system([image("https://e.com/a")]), user()).param == "messages[0]"


@pytest.mark.parametrize(("members", "kept"), [({}, "cdef"), ({"cache_control": EPHEMERAL}, "def")])
def test_breakpoints_beyond_four_are_left_out_from_the_front(members: Any, kept: str) -> None:
    parts = [{"type": "text", "text": letter, "cache_control": EPHEMERAL} for letter in "abcdef"]
    sent = turns(user(parts), **members)[0]["content"]
    assert "".join(block["text"] for block in sent if "cache_control" in block) == kept


# --- stability ------------------------------------------------------------------------------------------------------

_MESSAGES = st.lists(
    st.one_of(
        st.sampled_from(
            [user("a"), user(""), system("s"), assistant("b"), assistant(""), result("c1"), result("c 1"), result("x")]
        ),
        st.lists(st.sampled_from([call("c1"), call("c 1", "["), call("c_1", "")]), min_size=1, max_size=3).map(
            lambda calls: assistant("t", *calls)
        ),
    ),
    min_size=1,
    max_size=10,
)


@given(_MESSAGES, st.sampled_from([NEW, OLD]))
def test_any_conversation_alternates_and_answers_every_call_once(messages: list[Any], model: str) -> None:
    sent = turns(*messages, user("end"), model=model)
    roles = [turn["role"] for turn in sent if turn["role"] != "system"]
    assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]
    ids = [
        [b["id"] for b in turn["content"] if b["type"] == "tool_use"] for turn in sent if turn["role"] == "assistant"
    ]
    users = [turn for turn in sent if turn["role"] == "user"]
    assert [[b["tool_use_id"] for b in turn["content"] if b["type"] == "tool_result"] for turn in users] == [[], *ids]
    flat = [identity for turn in ids for identity in turn]
    assert len(set(flat)) == len(flat)


@given(_MESSAGES, _MESSAGES)
def test_any_longer_conversation_begins_with_the_bytes_of_the_shorter(first: list[Any], more: list[Any]) -> None:
    short = turns(*first, user("end"))
    assert turns(*first, user("end"), assistant("b"), *more, user())[: len(short)] == short


def test_many_calls_of_one_id_cost_no_more_than_as_many_of_their_own() -> None:
    began = time.perf_counter()
    build(user(), *(message for _ in range(4_000) for message in (assistant(None, call("f")), result("f"))))
    assert time.perf_counter() - began < 1
