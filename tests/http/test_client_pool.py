"""The pool and the caller's hand on a call, against a raw upstream on real sockets."""

from __future__ import annotations

import asyncio
import time

import pytest
from tests.scripted_upstream import FIN, REQUEST, RST, ScriptedUpstream, Step, build_answer
from tests.upstream_call import HEAD, PATIENT, RememberingSink, ask, get_error, serve

from feathergate.http import client
from feathergate.http.client import Pool
from feathergate.http.contract import Headers, HttpError
from feathergate.http.limits import ClientLimits
from feathergate.http.ticker import Ticker

OK = build_answer(b"hello")
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


# The pool.


async def test_connection_is_reused_after_a_clean_answer() -> None:
    async with serve([REQUEST, OK, REQUEST, CHUNKED + b"0\r\n\r\n", REQUEST, OK]) as (upstream, pool):
        for body in (b"hello", b"", b"hello"):
            assert (await ask(pool).finished()).body == body
            assert (pool.idle, pool.open) == (1, 1)
        assert (upstream.connections, pool.reused, pool.stale_retries) == (1, 2, 0)


UNREUSABLE = {
    "connection: close": [build_answer(b"hello", "connection: close")],
    "HTTP/1.0": [b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello"],
    "surplus byte": [OK + b"H"],
    "surplus answer": [OK + OK],
    "surplus rubbish": [OK + b"rubbish"],
    "body after 204": [b"HTTP/1.1 204 OK\r\ncontent-length: 2\r\n\r\nhi"],
    "surplus later": [OK, 0.02, b"H"],
    "end later": [OK, 0.02, FIN],
    "reset later": [OK, 0.02, RST],
}


@pytest.mark.parametrize("script", UNREUSABLE.values(), ids=UNREUSABLE)
async def test_unclean_connection_leaves_the_pool(script: list[Step]) -> None:
    async with serve([REQUEST, *script]) as (upstream, pool):
        sink = await ask(pool).finished()
        await asyncio.wait_for(upstream.left.wait(), 0.5)
        await asyncio.sleep(0.02)
        assert (sink.calls[-1], pool.idle, pool.open) == ("end", 0, 0)


async def test_idle_connection_expires() -> None:
    limits = ClientLimits(idle_connection_s=0.1)
    async with serve([REQUEST, OK], limits=limits) as (upstream, pool):
        await ask(pool).finished()
        assert pool.idle == 1
        await asyncio.wait_for(upstream.left.wait(), 0.5)
        assert pool.idle == 0


async def test_pool_keeps_no_more_idle_connections_than_allowed() -> None:
    limits = ClientLimits(idle_connections=2)
    async with serve([REQUEST, OK], limits=limits) as (upstream, pool):
        sinks = [ask(pool) for _ in range(4)]
        for sink in sinks:
            await sink.finished()
        assert (upstream.connections, pool.idle) == (4, 2)


async def test_warmest_connection_is_taken_first() -> None:
    slow: list[Step] = [REQUEST, 0.1, OK, REQUEST, build_answer(b"warm")]
    fast: list[Step] = [REQUEST, OK, REQUEST, build_answer(b"cold")]
    async with serve(slow, fast) as (_, pool):
        first = ask(pool)
        await asyncio.sleep(0.05)
        await ask(pool).finished()
        await first.finished()
        assert (await ask(pool).finished()).body == b"warm"


async def test_closed_pool_drops_idle_connections_and_lets_running_calls_end() -> None:
    async with serve([REQUEST, 0.05, OK]) as (upstream, pool):
        running = ask(pool)
        await asyncio.sleep(0.02)
        pool.close()
        assert (await running.finished()).body == b"hello"
        refused = ask(pool)
        assert refused.calls == []
        assert get_error(await refused.finished()) == ("connect", True)
        assert (pool.idle, upstream.connections) == (0, 1)


@pytest.mark.parametrize("end", [FIN, RST])
async def test_stale_connection_is_retried_once_on_a_fresh_one(end: Step) -> None:
    async with serve([REQUEST, OK, REQUEST, end], [REQUEST, OK]) as (upstream, pool):
        await ask(pool).finished()
        sink = await ask(pool, body=b"again").finished()
    assert (sink.body, pool.stale_retries) == (b"hello", 1)
    assert [request[-5:] for request in upstream.requests[1:]] == [b"again", b"again"]


async def test_upstream_that_worked_on_a_request_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_STALE_S", 0.05)
    async with serve([REQUEST, OK, REQUEST, 0.1, FIN]) as (upstream, pool):
        await ask(pool).finished()
        sink = await ask(pool).finished()
    assert (get_error(sink), len(upstream.requests)) == (("reset", True), 2)


async def test_stale_connection_is_not_retried_twice() -> None:
    async with serve([REQUEST, OK, REQUEST, RST], [REQUEST, RST]) as (upstream, pool):
        await ask(pool).finished()
        sink = await ask(pool).finished()
    assert (get_error(sink), len(upstream.requests)) == (("reset", True), 3)


async def test_stale_connection_is_not_retried_after_a_byte_of_an_answer() -> None:
    async with serve([REQUEST, OK, REQUEST, b"H", FIN]) as (upstream, pool):
        await ask(pool).finished()
        sink = await ask(pool).finished()
    assert (get_error(sink), len(upstream.requests)) == (("reset", False), 2)


async def test_fresh_connection_is_never_retried() -> None:
    async with serve([REQUEST, RST]) as (upstream, pool):
        sink = await ask(pool).finished()
        assert (get_error(sink), upstream.connections, pool.stale_retries) == (("reset", True), 1, 0)


@pytest.mark.parametrize("size_bytes", [0, 1, client._JOIN_LIMIT_BYTES, client._JOIN_LIMIT_BYTES + 1, 3_000_000])
async def test_request_arrives_whole_on_a_fresh_and_on_a_pooled_connection(size_bytes: int) -> None:
    body = bytes(range(256)) * (size_bytes // 256) + b"x" * (size_bytes % 256)
    async with serve([REQUEST, OK, REQUEST, OK]) as (upstream, pool):
        for _ in range(2):
            assert (await ask(pool, body=body).finished()).body == b"hello"
    assert upstream.requests == [HEAD % size_bytes + body] * 2


@pytest.mark.parametrize(
    "script",
    [[REQUEST, OK], [REQUEST, OK, FIN], [REQUEST, RST], [REQUEST, b"rubbish"], [REQUEST, CHUNKED], [REQUEST]],
    ids=["kept", "ended", "reset", "refused", "cancelled in body", "cancelled"],
)
async def test_connection_is_watched_exactly_as_long_as_it_lives(script: list[Step]) -> None:
    async with ScriptedUpstream(script) as upstream:
        ticker = Ticker(asyncio.get_running_loop(), period_s=0.01)
        pool = Pool(upstream.origin, ClientLimits(), ticker)
        sink = ask(pool)
        assert len(ticker._watched) == 1
        await asyncio.sleep(0.05)
        assert len(ticker._watched) == pool.open
        assert sink.call is not None
        sink.call.cancel()
        pool.close()
        await asyncio.sleep(0.02)
        assert (len(ticker._watched), pool.open) == (0, 0)


# The caller's hand.


@pytest.mark.parametrize("script", [[REQUEST], [REQUEST, CHUNKED + b"2\r\nhe\r\n"]], ids=["before head", "in body"])
async def test_cancel_closes_the_upstream_connection_at_once(script: list[Step]) -> None:
    async with serve(script) as (upstream, pool):
        sink = ask(pool)
        await asyncio.sleep(0.05)
        calls, cancelled_at = list(sink.calls), time.monotonic()
        assert sink.call is not None
        sink.call.cancel()
        sink.call.cancel()
        await asyncio.wait_for(upstream.left.wait(), 0.25)
        await asyncio.sleep(0.02)
        assert upstream.left_at - cancelled_at < 0.25
        assert (sink.calls, pool.open) == (calls, 0)


async def test_cancel_right_after_send_leaves_nothing_behind() -> None:
    async with serve([REQUEST, OK]) as (upstream, pool):
        sink = ask(pool)
        assert sink.call is not None
        sink.call.cancel()
        await asyncio.sleep(0.05)
        assert (sink.calls, pool.open, upstream.requests) == ([], 0, [])


@pytest.mark.parametrize("waits", range(12))
async def test_cancel_at_any_step_of_dialing_leaves_nothing_behind(waits: int) -> None:
    async with serve([REQUEST]) as (_, pool):
        sink = ask(pool)
        for _ in range(waits):
            await asyncio.sleep(0)
        assert sink.call is not None
        sink.call.cancel()
        await asyncio.sleep(0.03)
        assert (sink.calls, pool.open) == ([], 0)


async def test_cancel_after_the_end_is_harmless() -> None:
    async with serve([REQUEST, OK]) as (_, pool):
        sink = await ask(pool).finished()
        assert sink.call is not None
        sink.call.cancel()
        assert (pool.idle, pool.open) == (1, 1)


class Meddler(RememberingSink):
    """Does something to its own call from within a callback."""

    def __init__(self, when: str, what: str) -> None:
        super().__init__()
        self.when, self.what = when, what

    def meddle(self, when: str) -> None:
        if when != self.when:
            return
        if self.what == "raise":
            raise RuntimeError("a consumer's defect")
        getattr(self.call, self.what)()

    def on_head(self, status: int, headers: Headers) -> None:
        super().on_head(status, headers)
        self.meddle("head")

    def on_body(self, data: bytes) -> None:
        super().on_body(data)
        self.meddle("body")

    def on_end(self) -> None:
        super().on_end()
        self.meddle("end")

    def on_error(self, error: HttpError) -> None:
        super().on_error(error)
        self.meddle("error")


@pytest.mark.parametrize(("when", "calls"), [("head", ["head"]), ("body", ["head", "body"])])
async def test_cancel_from_within_a_callback_silences_the_rest(when: str, calls: list[str]) -> None:
    async with serve([REQUEST, OK]) as (upstream, pool):
        sink = Meddler(when, "cancel")
        sink.call = pool.send(HEAD % 0, b"", sink, PATIENT)
        await asyncio.wait_for(upstream.left.wait(), 0.5)
        await asyncio.sleep(0.01)
        assert (sink.calls, pool.open) == (calls, 0)


async def test_pause_from_within_a_callback_stops_the_flow_until_resume() -> None:
    flood = [CHUNKED, *[b"10000\r\n" + b"x" * 65_536 + b"\r\n"] * 200, b"0\r\n\r\n"]
    async with serve([REQUEST, *flood]) as (_, pool):
        sink = Meddler("head", "pause")
        sink.call = pool.send(HEAD % 0, b"", sink, PATIENT)
        await sink.had_head.wait()
        await asyncio.sleep(0.1)
        assert len(sink.body) < 1_000_000
        sink.call.resume()
        assert len((await sink.finished()).body) == 200 * 65_536
        assert pool.idle == 1


async def test_pause_before_the_connection_holds_the_answer_back() -> None:
    async with serve([REQUEST, OK]) as (_, pool):
        sink = ask(pool)
        assert sink.call is not None
        sink.call.pause()
        await asyncio.sleep(0.05)
        assert sink.calls == []
        sink.call.resume()
        assert (await sink.finished()).body == b"hello"


@pytest.mark.parametrize("when", ["head", "body"])
async def test_failing_sink_hears_of_it_and_costs_only_its_connection(
    when: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve([REQUEST, OK]) as (upstream, pool):
        sink = Meddler(when, "raise")
        pool.send(HEAD % 0, b"", sink, PATIENT)
        await sink.finished()
        await asyncio.wait_for(upstream.left.wait(), 0.5)
        assert (get_error(sink)[0], pool.idle) == ("protocol", 0)
        assert "a consumer's defect" in caplog.text
        assert (await ask(pool).finished()).body == b"hello"


async def test_sink_failing_at_the_end_hears_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async with serve([REQUEST, OK]) as (upstream, pool):
        sink = Meddler("end", "raise")
        pool.send(HEAD % 0, b"", sink, PATIENT)
        await asyncio.wait_for(upstream.left.wait(), 0.5)
        assert (sink.calls, pool.idle) == (["head", "body", "end"], 0)
        assert "a consumer's defect" in caplog.text


async def test_sink_failing_on_an_error_does_not_stop_the_ticker(caplog: pytest.LogCaptureFixture) -> None:
    async with serve([REQUEST]) as (_, pool):
        failing, other = Meddler("error", "raise"), RememberingSink()
        for sink in (failing, other):
            pool.send(HEAD % 0, b"", sink, PATIENT._replace(first_byte_s=0.05))
        assert get_error(await other.finished())[0] == "timeout_first_byte"
        assert "a consumer's defect" in caplog.text
