"""One stream's way to the client: what passes, when it counts as content, and how every kind of end is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from feathergate.dialects.chat import CHAT
from feathergate.dialects.contract import Context
from feathergate.dialects.passing import PassThrough
from feathergate.dialects.pipe import Pipe
from feathergate.dialects.render import ChunkRenderer
from feathergate.dialects.translation import translate_whole
from feathergate.errors import UpstreamError

CONTEXT = Context(model="m")
LIMIT_BYTES = 1 << 16


def chunk(finish: str | None = None, index: int = 0, **delta: Any) -> bytes:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "c", "choices": [choice]}).encode() + b"\n\n"


ROLE, TEXT, STOP, DONE = chunk(role="assistant", content=""), chunk(content="é"), chunk("stop"), b"data: [DONE]\n\n"
ERROR = b'data: {"error":{"message":"busy","type":"server_error"}}\n\n'
WHOLE = b'{"id":"c","model":"m","choices":[{"index":0,"message":{"content":"hi"},"finish_reason":"stop"}]}'


def make_pipe() -> Pipe:
    return Pipe(PassThrough(CONTEXT, ChunkRenderer("id", 1)), LIMIT_BYTES)


def run(*pieces: bytes) -> tuple[bytes, Pipe]:
    pipe = make_pipe()
    return b"".join(map(pipe.feed, pieces)) + pipe.close(), pipe


def test_stream_passes_byte_for_byte_however_it_is_cut() -> None:
    stream = ROLE + TEXT + b'data: {"odd": [1e400, "x"],  "choices": []}\n\n' + STOP + DONE
    for at in range(len(stream)):
        out, pipe = run(stream[:at], stream[at:])
        assert (out, pipe.error, pipe.complete) == (stream, None, True)


@pytest.mark.parametrize(
    "used", [TEXT, chunk(reasoning_content="x"), chunk(tool_calls=[{"index": 0}]), STOP, chunk(refusal="n")]
)
def test_content_is_the_first_thing_a_client_can_use(used: bytes) -> None:
    pipe = make_pipe()
    pipe.feed(ROLE + b": comment\n\n" + chunk(content=None, reasoning_content=""))
    assert not pipe.content
    pipe.feed(used)
    assert pipe.content


@pytest.mark.parametrize(
    ("stream", "kind"),
    [
        (b"", "truncated"),
        (ROLE + TEXT, "truncated"),
        (ROLE + TEXT + STOP[:-12], "truncated"),
        (ROLE + STOP + chunk(index=1, content="x"), "truncated"),
        (ROLE + TEXT + b"data: {nonsense}\n\n" + DONE, "protocol"),
        (ROLE + b"data: 5\n\n", "protocol"),
        (ROLE + b'data: {"a":"\xff"}\n\n', "protocol"),
        (ROLE + b"data: " + b"[" * 5000 + b"\n\n", "protocol"),
        (b"<html>sorry</html>", "protocol"),
        (ROLE + b"data: " + b"x" * (LIMIT_BYTES + 9), "protocol"),
        (ROLE + ERROR + TEXT + DONE, "status"),
        (b'{"error":{"message":"busy"}}', "status"),
        (b'{"choices":', "protocol"),
    ],
)
def test_broken_stream_is_an_error_and_never_done(stream: bytes, kind: str) -> None:
    out, pipe = run(stream)
    assert pipe.error is not None
    assert (pipe.error.kind, pipe.complete) == (kind, False)
    assert b"[DONE]" not in out


def test_what_came_before_an_error_still_reaches_the_client() -> None:
    assert run(ROLE + TEXT + ERROR)[0] == ROLE + TEXT


@pytest.mark.parametrize("tail", [b"", DONE, DONE + DONE, DONE + TEXT, DONE[:-1], DONE[:-2]])
def test_done_is_said_exactly_once(tail: bytes) -> None:
    assert run(ROLE + TEXT + STOP + tail)[0] == ROLE + TEXT + STOP + DONE


def test_data_of_several_lines_becomes_one() -> None:
    out, pipe = run(b'data: {"choices":\ndata: []}\n\n' + TEXT + STOP + DONE)
    assert out.startswith(b'data: {"choices": []}\n\n')
    assert pipe.error is None


def test_done_with_nothing_before_it_is_truncated() -> None:
    out, pipe = run(DONE)
    assert (out, pipe.error and pipe.error.kind) == (b"", "truncated")


def test_done_may_have_spaces_around_it() -> None:
    assert run(TEXT + STOP + b"data: [DONE] \n\n")[0] == TEXT + STOP + DONE


def test_usage_is_read_on_the_way() -> None:
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}\n\n'
    _, pipe = run(ROLE + TEXT + STOP + usage + DONE)
    assert pipe.usage is not None
    assert pipe.usage.total_tokens == 3


def test_whole_answer_to_a_stream_becomes_one() -> None:
    out, pipe = run(b" \n", WHOLE[:20], WHOLE[20:])
    assert pipe.error is None
    first = json.loads(out.split(b"\n\n")[0].removeprefix(b"data: "))
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "hi"}
    assert out.endswith(DONE)


def test_stream_in_answer_to_a_whole_request_is_folded() -> None:
    whole = translate_whole(ROLE + TEXT + STOP + DONE, CHAT, CONTEXT, "id", 1, LIMIT_BYTES)
    assert json.loads(whole.body)["choices"][0]["message"]["content"] == "é"


def test_whole_answer_passes_byte_for_byte() -> None:
    assert translate_whole(WHOLE, CHAT, CONTEXT, "id", 1, LIMIT_BYTES).body == WHOLE


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"error":{"message":"busy"}}', b'{"choices":null}', b"{}", b"\xff"])
def test_whole_answer_that_is_none_is_an_error(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        translate_whole(body, CHAT, CONTEXT, "id", 1, LIMIT_BYTES)
