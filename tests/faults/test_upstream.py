"""Upstream faults: each row of the tables bears its id in reliability.md, section 2.1."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trustme
from tests.e2e.native import (
    CLOSE,
    JSON,
    LAST_CHUNK,
    OPENAI,
    SSE_HEAD,
    build_json,
    build_stream,
    build_whole,
    chat_chunk,
    chunk,
)
from tests.e2e.scene import PAUSE_S, build_get
from tests.faults.harness import FAULTY, check_broken, check_failed, check_streamed, open_fault
from tests.scripted_upstream import FIN, REQUEST, RST, Script, ScriptedUpstream, build_answer

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
CHUNKED = b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
GOOD_BODY = json.dumps(OPENAI.text("Hi")).encode()
GOOD_EVENTS = OPENAI.events(["Hi", " there"])
ROLE, HI, THERE, FINISH, DONE = GOOD_EVENTS
OK_GZIP = gzip.compress(GOOD_BODY)
HTML = b"<html><body>Please log in to the network</body></html>"
DRIP = [step for byte in b"x-slow: " + b"a" * 200 for step in (bytes([byte]), 0.01)]


def whole(body: bytes, *headers: str, status: str = "200 OK") -> Script:
    """An answer of these bytes."""
    return REQUEST, build_answer(body, CLOSE, *headers, status=status)


def raw(*steps: Any) -> Script:
    return REQUEST, *steps


# --- no usable answer: the same for both kinds of request -----------------------------------------------------------

UNUSABLE: dict[str, tuple[Script, int, str]] = {
    "U07 silence": (raw(), 504, "timeout"),
    "U09 headers dripped": (raw(HEAD, *DRIP), 504, "timeout"),
    "U10 header of 1 MB": (raw(HEAD + b"x: " + b"a" * 1_000_000 + b"\r\n\r\n"), 502, "protocol"),
    "U10 headers by the thousand": (raw(HEAD + b"x: a\r\n" * 10_000 + b"\r\n"), 502, "protocol"),
    "U12 reset before any byte": (raw(RST), 502, "reset"),
    "U12 FIN before any byte": (raw(FIN), 502, "reset"),
    "U13 reset inside the headers": (raw(HEAD, PAUSE_S, RST), 502, "reset"),
    "U14 reset inside a body": (raw(HEAD + b"content-length: 999\r\n\r\n" + GOOD_BODY, PAUSE_S, RST), 502, "reset"),
    "U15 shorter than its length": (raw(HEAD + b"content-length: 999\r\n\r\n" + GOOD_BODY, FIN), 502, "reset"),
    "U15 no last chunk": (raw(HEAD + CHUNKED + chunk(GOOD_BODY[:50]), FIN), 502, "reset"),
    "U32 200 and a page": (whole(HTML, "content-type: text/html"), 502, "protocol"),
    "U33 500 and a page": (whole(HTML, status="500 X"), 502, "status"),
    "U33 500 and nothing": (whole(b"", status="500 X"), 502, "status"),
    "U33 204": (raw(b"HTTP/1.1 204 No Content\r\n\r\n"), 502, "status"),
    "U33 101": (raw(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"), 502, "protocol"),
    "U35 truncated JSON": (whole(GOOD_BODY[:-9]), 502, "protocol"),
    "U35 NaN": (whole(GOOD_BODY.replace(b"[", b"[NaN,", 1)), 502, "protocol"),
    "U35 an array": (whole(b"[1]"), 502, "protocol"),
    "U35 a number": (whole(b"7"), 502, "protocol"),
    "U35 nothing": (whole(b""), 502, "protocol"),
    "U35 null choices": (whole(GOOD_BODY.replace(b'"choices": [', b'"choices": null, "x": [')), 502, "protocol"),
    "U35 not UTF-8": (whole(GOOD_BODY.replace(b"Hi", b"\xff\xfe")), 502, "protocol"),
    "U35 deep": (whole(b"[" * 100_000), 502, "protocol"),
    "U37 302": (whole(b"", "location: http://127.0.0.1:1/", status="302 Found"), 502, "status"),
    "U37 307": (whole(b"", "location: https://other.example/", status="307 X"), 502, "status"),
    "U37 308": (whole(b"", "location: /v1/chat/completions", status="308 X"), 502, "status"),
    "U44 larger than the limit": (whole(GOOD_BODY[:-1] + b" " * 300_000 + b"}"), 502, "protocol"),
    "U45 truncated gzip": (whole(OK_GZIP[:-9], "content-encoding: gzip"), 502, "reset"),
    "U45 lying gzip": (whole(GOOD_BODY, "content-encoding: gzip"), 502, "protocol"),
    "U45 brotli": (whole(GOOD_BODY, "content-encoding: br"), 502, "protocol"),
    "U45 double gzip": (whole(gzip.compress(OK_GZIP), "content-encoding: gzip, gzip"), 502, "protocol"),
    "U45 gzip bomb": (whole(gzip.compress(b" " * 50_000_000), "content-encoding: gzip"), 502, "protocol"),
    "U48 both lengths": (
        raw(HEAD + b"content-length: 5\r\n" + CHUNKED + b"0\r\n\r\n"),
        502,
        "protocol",
    ),
    "U48 two lengths": (raw(HEAD + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello"), 502, "protocol"),
    "U48 negative length": (raw(HEAD + b"content-length: -5\r\n\r\nhello"), 502, "protocol"),
    "U48 huge length": (raw(HEAD + b"content-length: 99999999999999999999\r\n\r\nhello"), 502, "protocol"),
    "U48 obs-fold": (raw(HEAD + b"x: a\r\n b\r\ncontent-length: 2\r\n\r\n{}"), 502, "protocol"),
    "U48 bare LF": (raw(b"HTTP/1.1 200 OK\ncontent-length: 2\n\n{}"), 502, "protocol"),
    "U48 NUL in a header": (raw(HEAD + b"x: a\0b\r\ncontent-length: 2\r\n\r\n{}"), 502, "protocol"),
    "U48 no HTTP": (raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), 502, "protocol"),
    "U52 HTTP/1.0, half a body": (raw(b"HTTP/1.0 200 OK\r\n\r\n" + GOOD_BODY[:50], FIN), 502, "protocol"),
}
LIMITS: Any = {"server_settings": {"upstream_body_limit_bytes": 200_000, "upstream_event_limit_bytes": 100_000}}
TIMEOUT_KINDS = {False: "timeout_total", True: "timeout_first_byte"}
# A stream that ends in the middle of JSON is cut, not wrong.
STREAM_KINDS = {"U52 HTTP/1.0, half a body": "protocol", "U35 nothing": "truncated"}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("row", UNUSABLE)
async def test_unusable_answer_is_an_error_of_ours(row: str, stream: bool) -> None:
    script, status, kind = UNUSABLE[row]
    kind = TIMEOUT_KINDS[stream] if kind == "timeout" else STREAM_KINDS.get(row, kind) if stream else kind
    async with open_fault(script, **LIMITS) as scene:
        seen = await scene.chat(FAULTY, stream=stream)
        error = check_failed(seen, status, kind, await scene.scrape())
    assert str(scene.upstream.port) not in error["message"]
    assert "html" not in error["message"]
    assert scene.upstream.connections == 1


# --- no connection --------------------------------------------------------------------------------------------------


@contextmanager
def full_backlog() -> Iterator[int]:
    """A port that listens and whose queue is full: a connection to it is never made."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port = listening.getsockname()[1]
        clients = [socket.socket() for _ in range(4)]
        for client in clients:
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        try:
            yield port
        finally:
            for client in clients:
                client.close()


def find_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@pytest.mark.parametrize("stream", [False, True])
async def test_refused_connection_is_a_502_at_once(stream: bool) -> None:
    async with open_fault(params={"api_base": f"http://127.0.0.1:{find_free_port()}"}) as scene:
        seen = await scene.chat(FAULTY, stream=stream)
        check_failed(seen, 502, "connect", await scene.scrape())


async def test_connection_that_is_never_made_is_a_504() -> None:
    with full_backlog() as port:
        params = {"api_base": f"http://127.0.0.1:{port}", "timeout": 5}
        async with open_fault(params=params, server_settings={"connect_timeout_s": 0.2}) as scene:
            seen = await scene.chat(FAULTY)
            check_failed(seen, 504, "timeout_connect", await scene.scrape())


async def test_name_that_does_not_resolve_is_a_502() -> None:
    params = {"api_base": "http://no-such-host.invalid", "timeout": 3}
    async with open_fault(params=params) as scene:
        check_failed(await scene.chat(FAULTY), 502, "dns", await scene.scrape())


async def test_certificate_that_is_not_trusted_is_a_502_and_no_key_is_sent() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with ScriptedUpstream(build_whole(OPENAI.text("Hi")), ssl_context=context) as secure:
        async with open_fault(params={"api_base": f"https://127.0.0.1:{secure.port}", "timeout": 5}) as scene:
            check_failed(await scene.chat(FAULTY), 502, "tls", await scene.scrape())
        assert secure.requests == []


async def test_handshake_that_hangs_is_a_504() -> None:
    async with ScriptedUpstream((5,)) as mute:
        params = {"api_base": f"https://127.0.0.1:{mute.port}", "timeout": 5}
        async with open_fault(params=params, server_settings={"tls_timeout_s": 0.2}) as scene:
            check_failed(await scene.chat(FAULTY), 504, "timeout_connect", await scene.scrape())


async def test_body_that_drips_ends_with_the_attempt() -> None:
    drip = [step for byte in GOOD_BODY for step in (bytes([byte]), 0.02)]
    async with open_fault(raw(HEAD + b"content-length: 400\r\n\r\n", *drip)) as scene:
        check_failed(await scene.chat(FAULTY), 504, "timeout_total", await scene.scrape())


# --- statuses -------------------------------------------------------------------------------------------------------

STATUSES: dict[int, tuple[int, str]] = {
    **{status: (status, "status") for status in (400, 404, 409, 413, 422)},  # U41
    **dict.fromkeys((408, 425, 500, 502, 503, 504, 529), (502, "status")),  # U40
    **dict.fromkeys((401, 403), (502, "auth")),  # U43
    402: (429, "quota"),
    418: (400, "status"),
    429: (429, "rate_limit"),  # U38
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("status", STATUSES)
async def test_status_of_the_provider_is_judged_by_the_table(status: int, stream: bool) -> None:
    script = build_whole(OPENAI.error(status, "The provider's word"), status=f"{status} X")
    async with open_fault(script) as scene:
        seen = await scene.chat(FAULTY, stream=stream)
        error = check_failed(seen, *STATUSES[status], await scene.scrape())
    assert error["message"] == "The provider's word"
    assert scene.upstream.connections == 1


@pytest.mark.parametrize("end", [RST, FIN])
async def test_status_counts_though_its_body_breaks(end: Any) -> None:
    """U50: a provider that answers early closes before it has read all of the request."""
    head = b"HTTP/1.1 413 Too Large\r\ncontent-length: 400\r\n\r\n{"
    async with open_fault(raw(head, PAUSE_S, end)) as scene:
        check_failed(await scene.chat(FAULTY), 413, "status", await scene.scrape())


async def test_answer_before_the_request_has_been_read_is_relayed() -> None:
    early = build_json(OPENAI.error(413, "Too large"), status="413 X")
    async with open_fault((PAUSE_S, early), params={"timeout": 3}) as scene:
        seen = await scene.chat(FAULTY, None, user="x" * 8_000_000)
        assert check_failed(seen, 413, "status", await scene.scrape())["message"] == "Too large"


RETRY_AFTER: dict[str, tuple[list[str], bytes | None]] = {
    "whole": (["retry-after: 7"], b"7"),
    "zero": (["retry-after: 0"], b"0"),
    "a fraction": (["retry-after: 0.5"], b"1"),
    "negative": (["retry-after: -5"], b"0"),
    "endless": (["retry-after: 1e9"], b"86400"),
    "inf": (["retry-after: inf"], None),
    "nan": (["retry-after: nan"], None),
    "empty": (["retry-after:"], None),
    "garbage": (["retry-after: soon"], None),
    "in milliseconds": (["retry-after-ms: 1500"], b"2"),
    "both": (["retry-after: 60", "retry-after-ms: 1500"], b"2"),
    "twice": (["retry-after: 3", "retry-after: 9"], b"9"),
    "none": ([], None),
}


@pytest.mark.parametrize("form", RETRY_AFTER)
async def test_delay_of_a_rate_limit_is_relayed_or_left_out(form: str) -> None:
    headers, expected = RETRY_AFTER[form]
    async with open_fault(build_whole(OPENAI.error(429, "Slow"), *headers, status="429 X")) as scene:
        seen = await scene.chat(FAULTY)
        check_failed(seen, 429, "rate_limit", await scene.scrape())
    assert seen.headers.get(b"retry-after") == expected


async def test_date_as_a_delay_is_left_out_or_sane() -> None:
    for date in ("Fri, 31 Dec 2100 23:59:59 GMT", "Sun Nov  6 08:49:37 1994", "Sunday, 06-Nov-94 08:49:37 GMT"):
        async with open_fault(build_whole({}, f"retry-after: {date}", status="429 X")) as scene:
            delay = (await scene.chat(FAULTY)).headers.get(b"retry-after", b"0")
        assert 0 <= int(delay) <= 86_400


async def test_spent_quota_asks_for_no_further_try() -> None:
    spent = {"type": "error", "error": {"type": "billing_error", "message": "You have no credit"}}
    async with open_fault(build_whole(spent, status="429 X"), provider="anthropic") as scene:
        seen = await scene.chat(FAULTY)
    assert (seen.status, seen.headers[b"x-should-retry"]) == (429, b"false")


async def test_error_under_200_takes_the_status_of_its_type() -> None:
    body = {"error": {"message": "No such model", "type": "invalid_request_error", "param": "model", "code": "x"}}
    async with open_fault(build_whole(body)) as scene:
        error = check_failed(await scene.chat(FAULTY), 400, "status", await scene.scrape())
    assert (error["message"], error["param"], error["code"]) == ("No such model", "model", "x")


# --- streams that break ---------------------------------------------------------------------------------------------

BROKEN: dict[str, tuple[list[Any], str]] = {
    "U16 reset": ([RST], "reset"),
    "U15 FIN without a last chunk": ([FIN], "reset"),
    "U19 a clean end": ([LAST_CHUNK], "truncated"),
    "U20 a stall": ([], "idle"),
    "U23 an event without an end": ([chunk(b"data: " + b"x" * 200_000)], "protocol"),
    "U24 half an event, then the end": ([chunk(THERE[:30]), LAST_CHUNK], "truncated"),
    "U30 an error event": ([chunk(b'data: {"error":{"message":"Overloaded"}}\n\n'), LAST_CHUNK], "status"),
    "U36 an event that is no JSON": ([chunk(b"data: {oops}\n\n"), chunk(FINISH + DONE), LAST_CHUNK], "protocol"),
    "U36 an event that is not UTF-8": ([chunk(THERE.replace(b"there", b"\xff"))], "protocol"),
    "U36 an event that is no object": ([chunk(b"data: 7\n\n"), chunk(FINISH + DONE), LAST_CHUNK], "protocol"),
    "U48 a chunk that is none": ([b"zz\r\n"], "protocol"),
}


@pytest.mark.parametrize("row", BROKEN)
async def test_stream_that_breaks_ends_in_an_error_event(row: str) -> None:
    steps, kind = BROKEN[row]
    async with open_fault((*build_stream([ROLE, HI], PAUSE_S), *steps), **LIMITS) as scene:
        seen = await scene.chat(FAULTY, stream=True)
        check_broken(seen, "Hi", kind, await scene.scrape())
    assert scene.upstream.connections == 1, "what has been said was asked for again"


@pytest.mark.parametrize("row", BROKEN)
async def test_stream_that_breaks_before_content_is_a_status(row: str) -> None:
    """U17."""
    steps, kind = BROKEN[row]
    async with open_fault((*build_stream([ROLE], PAUSE_S), *steps), **LIMITS) as scene:
        seen = await scene.chat(FAULTY, stream=True)
        check_failed(seen, 504 if kind == "idle" else 502, kind, await scene.scrape())


async def test_reset_after_the_finish_and_before_the_end_mark_is_an_error() -> None:
    async with open_fault((*build_stream([ROLE, HI, FINISH], PAUSE_S), RST)) as scene:
        check_broken(await scene.chat(FAULTY, stream=True), "Hi", "reset", await scene.scrape())


async def test_reset_after_the_end_mark_has_lost_nothing() -> None:
    async with open_fault((*build_stream(GOOD_EVENTS, PAUSE_S), RST)) as scene:
        check_streamed(await scene.chat(FAULTY, stream=True), "Hi there")


# --- streams that are odd and right ---------------------------------------------------------------------------------

STREAM = b"".join(GOOD_EVENTS)
NOISE = b": comment\n\nid: 7\nretry: 10\n\nevent: unknown\n\nfield without a colon\n\n"
ODD: dict[str, list[bytes]] = {
    "U24 no last blank line": [STREAM.removesuffix(b"\n\n")],
    "U24 no last line end": [STREAM.removesuffix(b"\n")],
    "U24 no DONE": [STREAM.removesuffix(DONE)],
    "U24 finish without a blank line": [(ROLE + HI + THERE + FINISH).removesuffix(b"\n\n")],
    "U25 CRLF": [STREAM.replace(b"\n", b"\r\n")],
    "U25 CR": [STREAM.replace(b"\n", b"\r")],
    "U25 mixed": [(ROLE + HI).replace(b"\n", b"\r\n") + THERE.replace(b"\n", b"\r") + FINISH + DONE],
    "U26 BOM": [b"\xef\xbb\xbf" + STREAM],
    "U27 all in one": [STREAM],
    "U28 noise": [NOISE, ROLE, NOISE, HI, NOISE, THERE, FINISH, NOISE, DONE, NOISE],
    "U28 data without a space": [STREAM.replace(b"data: ", b"data:")],
    "U28 data over two lines": [STREAM.replace(b'"choices"', b'\ndata: "choices"')],
    "U29 DONE twice": [STREAM, DONE],
    "U29 data after DONE": [STREAM, HI, DONE],
    "U34 not called a stream": [STREAM],
}


@pytest.mark.parametrize("row", ODD)
async def test_odd_stream_is_read_as_it_is_meant(row: str) -> None:
    head = SSE_HEAD.replace(b"text/event-stream", b"application/json") if row.startswith("U34") else SSE_HEAD
    async with open_fault(raw(head, *map(chunk, ODD[row]), LAST_CHUNK)) as scene:
        check_streamed(await scene.chat(FAULTY, stream=True), "Hi there")


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
async def test_stream_of_single_bytes_is_the_same_stream(line_end: bytes) -> None:
    """U25 to U27: also a character of four bytes, an end of line and a name are cut."""
    stream = b"".join([ROLE, chat_chunk({"content": "Hé 👋"}).replace(b"\\u00e9", "é".encode()), FINISH, DONE])
    body = stream.replace(b"\n", line_end)
    async with open_fault(raw(SSE_HEAD, *(chunk(bytes([byte])) for byte in body), LAST_CHUNK)) as scene:
        check_streamed(await scene.chat(FAULTY, stream=True), "Hé 👋")


async def test_usage_after_the_finish_is_counted_and_passed_on() -> None:
    usage = chat_chunk({}, usage={"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7})
    async with open_fault(build_stream([ROLE, HI, FINISH.replace(b'"usage"', b'"x"'), usage, DONE])) as scene:
        seen = await scene.chat(FAULTY, stream=True)
        samples = await scene.scrape()
    check_streamed(seen, "Hi")
    assert samples[f'feathergate_tokens_total{{kind="completion",model="{FAULTY}",provider="openai"}}'] == 4


async def test_upstream_that_has_said_all_is_let_go_at_once() -> None:
    """U29: though it never ends its body."""
    async with open_fault(build_stream(GOOD_EVENTS, 60), params={"stream_timeout": 30, "timeout": 30}) as scene:
        check_streamed(await scene.chat(FAULTY, stream=True), "Hi there")


# --- whole answers that are odd and right ---------------------------------------------------------------------------

LATE_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
GOOD_ANSWER = build_answer(GOOD_BODY, CLOSE, JSON)
ODD_WHOLE: dict[str, Script] = {
    "U33 103 first": raw(LATE_CONTINUE + GOOD_ANSWER),
    "U51 100 late": raw(PAUSE_S, b"HTTP/1.1 100 Continue\r\n\r\n", PAUSE_S, GOOD_ANSWER),
    "U34 no content-type": whole(GOOD_BODY),
    "U34 called a stream": whole(GOOD_BODY, "content-type: text/event-stream"),
    "U34 a stream": build_stream(GOOD_EVENTS),
    "U35 white space around": whole(b" \r\n" + GOOD_BODY + b"\n"),
    "U45 gzip": whole(OK_GZIP, "content-encoding: gzip"),
    "U45 deflate": whole(zlib.compress(GOOD_BODY), "content-encoding: deflate"),
    "U46 tiny chunks, extensions, trailers": raw(
        HEAD + CHUNKED, b"".join(b"1;a=b\r\n%c\r\n" % byte for byte in GOOD_BODY) + b"0\r\nx: y\r\n\r\n"
    ),
    "U52 HTTP/1.0": raw(b"HTTP/1.0 200 OK\r\n\r\n" + GOOD_BODY, FIN),
}


@pytest.mark.parametrize("row", ODD_WHOLE)
async def test_odd_answer_is_read_as_it_is_meant(row: str) -> None:
    async with open_fault(ODD_WHOLE[row]) as scene:
        seen = await scene.chat(FAULTY)
    assert seen.status == 200, seen
    assert seen.headers[b"content-type"] == b"application/json"
    assert json.loads(seen.body)["choices"][0]["message"]["content"] in ("Hi", "Hi there")


@pytest.mark.parametrize("row", ["U34 called a stream", "U45 gzip", "U52 HTTP/1.0"])
async def test_whole_answer_to_a_stream_is_streamed(row: str) -> None:
    async with open_fault(ODD_WHOLE[row]) as scene:
        check_streamed(await scene.chat(FAULTY, stream=True), "Hi")


@pytest.mark.parametrize("choices", [b"[]", b'[{"index":0,"message":{"role":"assistant","content":null}}]'])
async def test_answer_without_words_passes(choices: bytes) -> None:
    """U35: nothing in it, and yet an answer."""
    async with open_fault(whole(b'{"id":"a","model":"m","choices":' + choices + b"}")) as scene:
        assert (await scene.chat(FAULTY)).status == 200


@pytest.mark.parametrize("count", ["-5", "1e18", "1.5", '"many"', "null", "[]", "99999999999999999999999"])
async def test_absurd_usage_harms_nothing(count: str) -> None:
    """U55."""
    body = GOOD_BODY.replace(b'"prompt_tokens": 5', b'"prompt_tokens": ' + count.encode())
    async with open_fault(whole(body)) as scene:
        assert (await scene.chat(FAULTY)).status == 200
        samples = await scene.scrape()
    assert not [name for name, value in samples.items() if value < 0]
    assert [line["status"] for line in scene.records.of(FAULTY)] == [200]


# --- connections ----------------------------------------------------------------------------------------------------

KEPT = build_answer(GOOD_BODY, JSON)


@pytest.mark.parametrize("death", [(REQUEST, RST), (REQUEST, FIN), (FIN,), (RST,)], ids=["RST", "FIN", "gone", "reset"])
async def test_pooled_connection_that_died_is_replaced_once(death: Script) -> None:
    """U12: no byte of an answer had come, so that a fresh connection may be asked."""
    async with open_fault((REQUEST, KEPT, *death), (REQUEST, KEPT)) as scene:
        assert [(await scene.chat(FAULTY)).status for _ in range(2)] == [200, 200]
    assert scene.upstream.connections == 2


async def test_connection_is_used_again_after_a_clean_answer() -> None:
    async with open_fault((REQUEST, KEPT, REQUEST, KEPT, REQUEST, KEPT)) as scene:
        assert [(await scene.chat(FAULTY)).status for _ in range(3)] == [200, 200, 200]
    assert scene.upstream.connections == 1


SURPLUS = {
    "U47 a second answer": KEPT,
    "U47 extra bytes": b"extra",
    "U47 a forged answer": build_answer(b'{"choices":[{"message":{"content":"forged"}}]}'),
}


@pytest.mark.parametrize("row", SURPLUS)
async def test_bytes_after_an_answer_end_its_connection(row: str) -> None:
    async with open_fault((REQUEST, KEPT + SURPLUS[row]), (REQUEST, KEPT)) as scene:
        bodies = [(await scene.chat(FAULTY)).body for _ in range(2)]
    assert bodies == [GOOD_BODY, GOOD_BODY]
    assert scene.upstream.connections == 2


async def test_headers_of_the_provider_stay_with_us() -> None:
    """U49."""
    headers = ("set-cookie: a=b", "server: x", "via: x", "x-ratelimit-remaining: 5", "access-control-allow-origin: *")
    async with open_fault(whole(GOOD_BODY, *headers)) as scene:
        seen = await scene.chat(FAULTY)
    ours = {b"content-type", b"x-request-id", b"date", b"content-length"}
    assert {name for name in seen.headers if not name.startswith(b"x-feathergate-")} == ours


async def test_request_asks_for_no_coding_and_expects_nothing() -> None:
    """U45, U51."""
    async with open_fault(whole(GOOD_BODY)) as scene:
        await scene.chat(FAULTY)
    head = scene.upstream.requests[0].partition(b"\r\n\r\n")[0].lower()
    assert b"accept-encoding: identity" in head
    assert b"expect" not in head


async def test_metrics_are_still_well_formed_after_faults() -> None:
    async with open_fault(raw(RST)) as scene:
        await scene.chat(FAULTY)
        assert (await scene.ask(build_get("/metrics"))).status == 200
