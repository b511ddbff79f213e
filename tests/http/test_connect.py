"""Dialing: each step that fails says which one it was. TLS against a private authority, on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import resource
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from tests.scripted_upstream import FIN, REQUEST, ScriptedUpstream, build_answer
from tests.upstream_call import PATIENT, ask, get_error, open_pool

from feathergate.http import connect
from feathergate.http.connect import build_ssl_context
from feathergate.http.contract import Origin

OK = build_answer(b"hello")


@pytest.fixture
def refusing_port() -> Iterator[int]:
    """Bound, so that nobody else takes it, but not listening."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@pytest.fixture
def unanswering_port() -> Iterator[int]:
    """Listening with a full backlog and nobody who accepts: a connection hangs."""
    with contextlib.ExitStack() as stack:
        sock = stack.enter_context(socket.socket())
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(sock.getsockname())
        yield sock.getsockname()[1]


async def test_refused_port_is_a_connect_error_at_once(refusing_port: int) -> None:
    began = time.monotonic()
    async with open_pool(Origin(False, "127.0.0.1", refusing_port)) as pool:
        assert get_error(await ask(pool).finished()) == ("connect", True)
    assert time.monotonic() - began < 0.5


@contextlib.contextmanager
def descriptors_spent() -> Iterator[None]:
    """No file can be opened, and no socket."""
    free = os.dup(0)
    os.close(free)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_want_of_descriptors_is_not_the_upstreams_fault(host: str) -> None:
    async with open_pool(Origin(False, host, 9)) as pool:
        await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 9)  # the threads are there
        with descriptors_spent():
            sink = await ask(pool).finished()
    assert get_error(sink) == ("exhausted", True)


async def test_name_that_is_none_is_a_dns_error_while_there_are_descriptors() -> None:
    async with open_pool(Origin(False, "no-such-host.invalid", 9)) as pool:
        assert get_error(await ask(pool).finished()) == ("dns", True)


async def test_full_backlog_is_a_connect_timeout(unanswering_port: int) -> None:
    async with open_pool(Origin(False, "127.0.0.1", unanswering_port)) as pool:
        sink = await ask(pool, PATIENT._replace(connect_s=0.1)).finished()
        assert get_error(sink) == ("timeout_connect", True)


async def test_cancel_ends_a_dial_that_hangs(unanswering_port: int) -> None:
    async with open_pool(Origin(False, "127.0.0.1", unanswering_port)) as pool:
        sink = ask(pool)
        await asyncio.sleep(0.05)
        assert sink.call is not None
        sink.call.cancel()
        await asyncio.sleep(0.02)
        assert (sink.calls, asyncio.all_tasks()) == ([], {asyncio.current_task()})


@pytest.mark.parametrize("host", ["does-not-exist.invalid", "a" * 70 + ".invalid", "a..b"])
async def test_unknown_name_is_a_dns_error(host: str) -> None:
    async with open_pool(Origin(False, host, 80)) as pool:
        assert get_error(await ask(pool).finished()) == ("dns", True)


async def test_slow_name_server_is_a_dns_error_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(*_: object, **__: object) -> list[object]:
        await asyncio.sleep(30)
        return []

    loop = asyncio.get_running_loop()
    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "get_running_loop", lambda: _Overlay(loop, getaddrinfo=resolve))
        async with open_pool(Origin(False, "slow.example", 80)) as pool:
            sink = await ask(pool, PATIENT._replace(connect_s=0.1)).finished()
    assert get_error(sink) == ("dns", True)


async def test_next_address_is_tried_where_the_first_refuses(
    refusing_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ScriptedUpstream([REQUEST, OK]) as upstream:

        async def resolve(*_: object, **__: object) -> list[object]:
            addresses = [("127.0.0.1", refusing_port), ("127.0.0.1", upstream.port)]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]

        loop = asyncio.get_running_loop()
        with monkeypatch.context() as patch:
            patch.setattr(asyncio, "get_running_loop", lambda: _Overlay(loop, getaddrinfo=resolve))
            async with open_pool(Origin(False, "two.example", upstream.port)) as pool:
                assert (await ask(pool).finished()).body == b"hello"


def test_addresses_of_both_families_alternate() -> None:
    six, four = (connect.Address(family, "") for family in (socket.AF_INET6, socket.AF_INET))
    assert connect._alternate([six, six, six, four]) == [six, four, six, six]


class _Overlay:
    """The loop with some methods replaced: uvloop's own cannot be."""

    def __init__(self, loop: asyncio.AbstractEventLoop, **methods: object) -> None:
        self.__dict__.update(methods)
        self._loop = loop

    def __getattr__(self, name: str) -> object:
        return getattr(self._loop, name)


async def test_connection_has_no_delay_and_is_probed() -> None:
    async with ScriptedUpstream([REQUEST, OK]) as upstream, open_pool(upstream.origin) as pool:
        await ask(pool).finished()
        (connection,) = pool._open
        assert connection._transport is not None
        sock = connection._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


# TLS.


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def client_context(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    ca_file: Path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    return build_ssl_context(str(ca_file))


def build_server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2", "http/1.1"])
    certificate.configure_cert(context)
    return context


async def test_tls_serves_and_reuses_a_verified_connection(
    authority: trustme.CA, client_context: ssl.SSLContext
) -> None:
    server = build_server_context(authority.issue_cert("127.0.0.1"))
    async with (
        ScriptedUpstream([REQUEST, OK, REQUEST, OK], ssl_context=server) as upstream,
        open_pool(upstream.origin, ssl_context=client_context) as pool,
    ):
        for _ in range(2):
            assert (await ask(pool, body=b"x" * 200_000).finished()).body == b"hello"
        (connection,) = pool._open
        assert connection._transport is not None
        assert connection._transport.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
        assert (pool.reused, upstream.connections) == (1, 1)


async def test_tls_body_without_length_ends_with_close_notify(
    authority: trustme.CA, client_context: ssl.SSLContext
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhello")
        writer.close()

    context = build_server_context(authority.issue_cert("127.0.0.1"))
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    origin = Origin(True, "127.0.0.1", server.sockets[0].getsockname()[1])
    async with open_pool(origin, ssl_context=client_context) as pool:
        sink = await ask(pool).finished()
        await asyncio.sleep(0.05)
    server.close()
    assert (sink.body, sink.calls[-1]) == (b"hello", "end")


@pytest.mark.parametrize("size", [100_000, 200_000])
async def test_tls_answer_right_before_a_close_arrives_whole(
    size: int, authority: trustme.CA, client_context: ssl.SSLContext
) -> None:
    """The TLS layer drops what it holds when the upstream closes: nothing may be left with it."""
    server = build_server_context(authority.issue_cert("127.0.0.1"))

    def answer(listener: socket.socket) -> None:
        with server.wrap_socket(listener.accept()[0], server_side=True) as sock:
            sock.recv(1000)
            sock.sendall(build_answer(bytes(size), "connection: close"))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        origin = Origin(True, "127.0.0.1", listener.getsockname()[1])
        async with open_pool(origin, ssl_context=client_context) as pool:
            sink = ask(pool)
            await asyncio.to_thread(answer, listener)
            await sink.finished()
    assert (len(sink.body), sink.error) == (size, None)


def issue_bad_certificate(kind: str, authority: trustme.CA) -> trustme.LeafCert:
    yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    issue = {
        "wrong host": lambda: authority.issue_cert("other.example"),
        "expired": lambda: authority.issue_cert("127.0.0.1", not_after=yesterday),
        "unknown authority": lambda: trustme.CA().issue_cert("127.0.0.1"),
    }
    return issue[kind]()


@pytest.mark.parametrize("kind", ["wrong host", "expired", "unknown authority"])
async def test_bad_certificate_is_a_tls_error_and_nothing_is_sent(
    kind: str, authority: trustme.CA, client_context: ssl.SSLContext
) -> None:
    server = build_server_context(issue_bad_certificate(kind, authority))
    async with (
        ScriptedUpstream([REQUEST, OK], ssl_context=server) as upstream,
        open_pool(upstream.origin, ssl_context=client_context) as pool,
    ):
        assert get_error(await ask(pool).finished()) == ("tls", True)
        await asyncio.sleep(0.02)
        assert (upstream.requests, pool.open) == ([], 0)


@pytest.mark.parametrize("script", [[FIN], [b"HTTP/1.1 400 plain\r\n\r\n"]], ids=["closed", "not TLS"])
async def test_peer_without_tls_is_a_tls_error(script: list[bytes], client_context: ssl.SSLContext) -> None:
    async with (
        ScriptedUpstream([0.01, *script]) as upstream,
        open_pool(upstream.origin._replace(tls=True), ssl_context=client_context) as pool,
    ):
        assert get_error(await ask(pool).finished()) == ("tls", True)


async def test_hanging_handshake_is_a_connect_timeout(client_context: ssl.SSLContext) -> None:
    async with (
        ScriptedUpstream([]) as upstream,
        open_pool(upstream.origin._replace(tls=True), ssl_context=client_context) as pool,
    ):
        sink = await ask(pool, PATIENT._replace(tls_s=0.1)).finished()
        assert get_error(sink) == ("timeout_connect", True)
        await asyncio.wait_for(upstream.left.wait(), 0.25)


async def test_cancel_in_a_handshake_closes_the_connection_at_once(client_context: ssl.SSLContext) -> None:
    async with (
        ScriptedUpstream([]) as upstream,
        open_pool(upstream.origin._replace(tls=True), ssl_context=client_context) as pool,
    ):
        sink = ask(pool)
        await asyncio.sleep(0.05)
        assert sink.call is not None
        sink.call.cancel()
        await asyncio.wait_for(upstream.left.wait(), 0.25)
        assert sink.calls == []


async def test_cancel_of_a_tls_stream_closes_the_connection_at_once(
    authority: trustme.CA, client_context: ssl.SSLContext
) -> None:
    server = build_server_context(authority.issue_cert("127.0.0.1"))
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n"
    async with (
        ScriptedUpstream([REQUEST, head], ssl_context=server) as upstream,
        open_pool(upstream.origin, ssl_context=client_context) as pool,
    ):
        sink = ask(pool)
        await asyncio.wait_for(sink.had_body.wait(), 1)
        assert sink.call is not None
        sink.call.cancel()
        await asyncio.wait_for(upstream.left.wait(), 0.25)


def test_ca_file_without_certificate_is_an_error(tmp_path: Path) -> None:
    empty = tmp_path / "ca.pem"
    empty.write_text("nothing")
    with pytest.raises(OSError):
        build_ssl_context(str(empty))


def test_ca_file_is_trusted_besides_the_systems(tmp_path: Path) -> None:
    own = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(own))
    assert len(build_ssl_context(str(own)).get_ca_certs()) == len(build_ssl_context().get_ca_certs()) + 1


def test_context_verifies_by_default() -> None:
    context = build_ssl_context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
