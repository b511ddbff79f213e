"""The network transport: the bytes it sends, and its failures in our words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import get_args

import pytest
from tests.scripted_upstream import REQUEST, RST, ScriptedUpstream, Step, build_answer
from tests.upstream_call import PATIENT, RememberingSink

from feathergate.errors import DeadlineError, UpstreamError
from feathergate.http.contract import HttpError, HttpErrorKind, Origin
from feathergate.http.limits import ClientLimits
from feathergate.http.ticker import Ticker
from feathergate.transport.contract import UpstreamRequest
from feathergate.transport.upstream import MEANINGS, HttpTransport, build_host, parse_error

KINDS = get_args(HttpErrorKind)


class UpstreamRememberingSink(RememberingSink):
    """The same, for our own errors."""

    failure: UpstreamError | None = None

    def on_error(self, error: Exception) -> None:
        assert isinstance(error, UpstreamError)
        self.failure = error
        self.ended.set()


def build_request(**changes: object) -> UpstreamRequest:
    fields = {"target": b"/v1/x?a=b", "headers": b"x-api-key: sk-1\r\n", "body": b"{}", "timeouts": PATIENT}
    return UpstreamRequest(**{**fields, **changes})  # type: ignore[arg-type]


@asynccontextmanager
async def open_transport(origin: Origin) -> AsyncIterator[HttpTransport]:
    ticker = Ticker(asyncio.get_running_loop(), period_s=0.01)
    transport = HttpTransport("openai", origin, ClientLimits(), ticker)
    yield transport
    transport.close()
    ticker.close()
    await asyncio.sleep(0.01)


async def send(*script: Step, **changes: object) -> tuple[UpstreamRememberingSink, ScriptedUpstream]:
    sink = UpstreamRememberingSink()
    async with ScriptedUpstream([REQUEST, *script]) as upstream, open_transport(upstream.origin) as transport:
        sink.call = transport.send(build_request(**changes), sink)
        await sink.finished()
    return sink, upstream


async def test_request_goes_out_complete() -> None:
    _, upstream = await send(build_answer(b""))
    assert upstream.requests == [
        b"POST /v1/x?a=b HTTP/1.1\r\nhost: 127.0.0.1:%d\r\naccept-encoding: identity\r\n"
        b"x-api-key: sk-1\r\ncontent-length: 2\r\n\r\n{}" % upstream.port
    ]


async def test_answer_reaches_the_sink() -> None:
    sink, _ = await send(build_answer(b"hello", status="429 Slow Down"))
    assert (sink.status, sink.body, sink.calls) == (429, b"hello", ["head", "body", "end"])


async def test_failure_arrives_in_our_words_with_its_cause() -> None:
    sink, upstream = await send(RST)
    assert sink.failure is not None
    assert (sink.failure.kind, sink.failure.status, sink.failure.retryable) == ("reset", 502, True)
    assert isinstance(sink.failure.__cause__, HttpError)
    assert str(upstream.port) not in sink.failure.message


async def test_deadline_arrives_as_a_deadline() -> None:
    sink, _ = await send(timeouts=PATIENT._replace(first_byte_s=0.05))
    assert isinstance(sink.failure, DeadlineError)
    assert (sink.failure.kind, sink.failure.status) == ("timeout_first_byte", 504)


async def test_closed_transport_refuses_through_the_sink() -> None:
    sink = UpstreamRememberingSink()
    async with open_transport(Origin(False, "127.0.0.1", 9)) as transport:
        transport.close()
        transport.send(build_request(), sink)
        assert sink.failure is None
        await sink.finished()
    assert sink.failure is not None


@pytest.mark.parametrize("kind", KINDS)
def test_every_failure_has_a_meaning_that_keeps_the_address_to_itself(kind: HttpErrorKind) -> None:
    error = parse_error(HttpError(kind, "connect to 10.0.0.1:443 failed"), "openai")
    assert error.kind == kind
    assert error.message.startswith("openai ")
    assert "10.0.0.1" not in error.message
    assert (error.status == 504) == (kind == "idle" or kind.startswith("timeout"))
    assert (error.status == 503, error.retry_after_s) == ((True, 1.0) if kind == "exhausted" else (False, None))
    assert error.retryable


def test_meanings_hold_nothing_but_the_known_kinds() -> None:
    assert set(MEANINGS) == set(KINDS)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (Origin(True, "api.openai.com", 443), b"api.openai.com"),
        (Origin(False, "vllm.lan", 80), b"vllm.lan"),
        (Origin(False, "vllm.lan", 443), b"vllm.lan:443"),
        (Origin(True, "::1", 8443), b"[::1]:8443"),
        (Origin(True, "bücher.example", 443), b"xn--bcher-kva.example"),
    ],
)
def test_host_leaves_out_the_default_port(origin: Origin, host: bytes) -> None:
    assert build_host(origin) == host


@pytest.mark.parametrize("target", [b"/a b", b"/a\r\nx: y", b"", b"a", b"/\x00", "/ü".encode()])
def test_target_that_would_end_the_request_line_is_refused(target: bytes) -> None:
    with pytest.raises(ValueError, match="percent-encoded"):
        build_request(target=target)


def test_request_does_not_print_its_key_or_prompt() -> None:
    assert "sk-1" not in repr(build_request())
    assert "prompt" not in repr(build_request(body=b"prompt"))
