"""Which conversation a request belongs to, and the table of who answered it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from feathergate.routing.affinity import AffinityTable, build_key, has_answer, hash_id

SYSTEM = {"role": "system", "content": "Be brief."}
USER = {"role": "user", "content": "Grüße"}
ANSWER = {"role": "assistant", "content": "Hello"}
MORE = {"role": "user", "content": "And then?"}


def _raw(*messages: Any) -> list[Raw]:
    return [Raw(json.dumps(message).encode()) for message in messages]


def _table(size_bytes: int = 1024) -> AffinityTable:
    return AffinityTable(memoryview(bytearray(size_bytes)))


# --- keys -------------------------------------------------------------------------------------------------------


def test_later_turns_have_the_key_of_the_first() -> None:
    first = build_key("gpt", _raw(SYSTEM, USER))
    assert first is not None
    assert build_key("gpt", _raw(SYSTEM, USER, ANSWER, MORE, SYSTEM, ANSWER)) == first


def test_key_is_the_same_in_every_process() -> None:
    assert build_key("gpt", _raw(SYSTEM, USER)) == 0x9984CAA52033311C


@pytest.mark.parametrize(
    ("group", "messages"),
    [
        ("gpt-2", (SYSTEM, USER)),
        ("gpt", (USER,)),
        ("gpt", (SYSTEM, MORE)),
        ("gpt", ({"role": "developer", "content": "Be brief."}, USER)),
        ("gpt", (SYSTEM, SYSTEM, USER)),
        ("gpt", (SYSTEM, {"role": "user", "content": "Grüße "})),
    ],
)
def test_other_conversation_has_another_key(group: str, messages: tuple[Any, ...]) -> None:
    assert build_key(group, _raw(*messages)) != build_key("gpt", _raw(SYSTEM, USER))


def test_greeting_before_the_first_user_message_is_passed_over() -> None:
    assert build_key("gpt", _raw(SYSTEM, ANSWER, USER)) == build_key("gpt", _raw(SYSTEM, USER))


@pytest.mark.parametrize("messages", [_raw(), _raw(SYSTEM), _raw(SYSTEM, ANSWER)])
def test_conversation_without_a_user_has_no_key(messages: list[Raw]) -> None:
    assert build_key("gpt", messages) is None


@pytest.mark.parametrize(
    "message",
    [
        b'{"role":"user","content":"a"}',
        b' {\n "role" : "user" , "content": "a"}',
        b'{"content":"a","role":"user"}',
        b'{"content":[{"type":"text","role":"system","text":"a"}],"role": "user" }',
    ],
)
def test_role_is_found_wherever_it_stands(message: bytes) -> None:
    assert build_key("gpt", [Raw(message)]) is not None
    assert has_answer([Raw(message.replace(b"user", b"assistant"))])


@pytest.mark.parametrize(
    "message",
    [
        b"5",
        b"null",
        b'"user"',
        b"",
        b"{}",
        b'{"role":null}',
        b'{"role":5}',
        b'{"content":"',
        b'{"role":"USER"}',
        b'{"\xff":1,"role":"user"}',
        b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b',"role":"user"}',
    ],
)
def test_odd_message_is_passed_over(message: bytes) -> None:
    assert build_key("gpt", [Raw(message)]) is None
    assert not has_answer([Raw(message)])
    assert build_key("gpt", [Raw(message), *_raw(USER)]) == build_key("gpt", _raw(USER))


def test_group_name_may_be_any_text() -> None:
    assert build_key("\ud800\0", _raw(USER)) is not None


def test_large_message_is_known_by_its_length_and_edges() -> None:
    def key(content: str) -> int | None:
        return build_key("gpt", _raw({"role": "user", "content": content}))

    middle = "a" * 1_000_000
    assert key(f"{middle}{middle}") == key(f"{middle}b{middle[1:]}")
    assert len({key(middle), key(middle + "a"), key("b" + middle[1:]), key(middle[1:] + "b")}) == 4


@given(st.lists(st.sampled_from(["system", "developer", "user", "assistant", "tool"]), max_size=8))
def test_answer_is_found_in_any_history(roles: list[str]) -> None:
    assert has_answer(_raw(*({"role": role, "content": "x"} for role in roles))) == ("assistant" in roles)


# --- the table --------------------------------------------------------------------------------------------------


def test_table_knows_who_answered_last() -> None:
    table = _table()
    assert table.find(7) is None
    table.note(7, 1)
    table.note(7, 2)
    assert table.find(7) == 2


def test_table_forgets_the_older_of_two_in_one_cell() -> None:
    table = _table(8)
    table.note(1 << 32 | 5, 11)
    table.note(2 << 32 | 9, 12)
    assert table.find(1 << 32 | 5) is None
    assert table.find(2 << 32 | 9) == 12


@given(st.integers(0, 2**64 - 1), st.text(), st.integers(8, 100))
def test_table_holds_any_key_and_deployment(key: int, deployment_id: str, size_bytes: int) -> None:
    table = _table(size_bytes)
    table.note(key, hash_id(deployment_id))
    assert table.find(key) == hash_id(deployment_id)


def test_table_keeps_most_of_what_fits() -> None:
    table = _table(8 * 4096)
    keys = [key for key in (build_key("g", _raw({"role": "user", "content": n})) for n in range(400)) if key]
    for key in keys:
        table.note(key, key & 0xFFFF)
    assert sum(table.find(key) == key & 0xFFFF for key in keys) > 350


def test_tables_over_one_buffer_share_what_they_know() -> None:
    shared = memoryview(bytearray(4096))
    AffinityTable(shared).note(7, 42)
    assert AffinityTable(shared).find(7) == 42


def test_buffer_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="8 bytes at least, and this has 7"):
        _table(7)


def test_deployments_differ_by_their_hash() -> None:
    assert len({hash_id(f"deployment-{n}") for n in range(1000)}) == 1000
    assert hash_id("a") == 0x554C23CA
