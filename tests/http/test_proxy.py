"""Which proxy serves an origin, and the tunnel through one, on real sockets."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator

import pytest
import trustme
from tests.scripted_upstream import FIN, REQUEST, ScriptedUpstream, Step, build_answer
from tests.upstream_call import PATIENT, ask, get_error, open_pool

from feathergate.errors import ConfigError
from feathergate.http.contract import Origin
from feathergate.http.proxy import Proxy, build_connect, is_exempt, pick_proxy

API = Origin(True, "api.openai.com", 443)
PLAIN = Origin(False, "vllm.lan", 8000)
OK = build_answer(b"hello")

PICKED = [
    (API, {}, None),
    (API, {"HTTPS_PROXY": "http://p:3128"}, Proxy("p", 3128)),
    (API, {"https_proxy": "http://lower:1", "HTTPS_PROXY": "http://upper:1"}, Proxy("lower", 1)),
    (API, {"https_proxy": "", "HTTPS_PROXY": "http://upper:1"}, Proxy("upper", 1)),
    (API, {"HTTPS_PROXY": "p"}, Proxy("p", 80)),
    (API, {"HTTPS_PROXY": "http://[::1]:3128/"}, Proxy("::1", 3128)),
    (API, {"HTTPS_PROXY": "http://u:p%40ss@p:1"}, Proxy("p", 1, b"Basic " + base64.b64encode(b"u:p@ss"))),
    (API, {"HTTP_PROXY": "http://p:1"}, None),
    (PLAIN, {"HTTP_PROXY": "http://p:1"}, Proxy("p", 1)),
    (PLAIN, {"http_proxy": "http://p:1"}, Proxy("p", 1)),
    (PLAIN, {"HTTPS_PROXY": "http://p:1"}, None),
    (API, {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, None),
    (API, {"HTTPS_PROXY": "http://p:1", "no_proxy": "openai.com"}, None),
    (Origin(True, "localhost", 443), {"HTTPS_PROXY": "http://p:1"}, None),
    (Origin(True, "a.localhost", 443), {"HTTPS_PROXY": "http://p:1"}, None),
    (Origin(True, "127.8.0.1", 443), {"HTTPS_PROXY": "http://p:1"}, None),
    (Origin(True, "::1", 443), {"HTTPS_PROXY": "http://p:1"}, None),
]


@pytest.mark.parametrize(("origin", "environ", "proxy"), PICKED)
def test_pick_proxy_follows_the_environment(origin: Origin, environ: dict[str, str], proxy: Proxy | None) -> None:
    assert pick_proxy(origin, environ) == proxy


@pytest.mark.parametrize("url", ["socks5://p:1", "https://p:1", "http://", "http://p:port", "http://[p"])
def test_pick_proxy_refuses_what_is_no_http_proxy_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigError, match="HTTPS_PROXY names no http:// proxy") as caught:
        pick_proxy(API, {"HTTPS_PROXY": url.replace("://", "://user:secret@")})
    assert "secret" not in str(caught.value)


EXEMPT = [
    ("api.openai.com", True),
    ("API.OpenAI.com.", True),
    ("openai.com", True),
    (".openai.com", True),
    ("*.openai.com", True),
    ("a.b, openai.com", True),
    ("a.b openai.com", True),
    ("openai.com:443", True),
    ("openai.com:8443", False),
    ("nai.com", False),
    ("xapi.openai.com", False),
    ("", False),
    (" , ,", False),
    (".", False),
]


@pytest.mark.parametrize(("no_proxy", "exempt"), EXEMPT)
def test_no_proxy_names_domains(no_proxy: str, exempt: bool) -> None:
    assert is_exempt(API, no_proxy) is exempt


@pytest.mark.parametrize(
    ("host", "no_proxy", "exempt"),
    [
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.3:80", True),
        ("10.1.2.3", "10.1.2.3:81", False),
        ("10.1.2.3", "11.0.0.0/8", False),
        ("10.1.2.3", "10.0.0.0/99", False),
        ("10.1.2.3", "fd00::/8", False),
        ("fd00::1", "fd00::/8", True),
        ("fd00::1", "fd00:0::1", True),
        ("fd00::1", "[fd00::1]:80", True),
    ],
)
def test_no_proxy_names_addresses_and_networks(host: str, no_proxy: str, exempt: bool) -> None:
    assert is_exempt(Origin(False, host, 80), no_proxy) is exempt


def test_proxy_does_not_print_its_password() -> None:
    assert "secret" not in repr(Proxy("p", 1, b"secret"))


def test_connect_names_its_target_as_an_authority() -> None:
    assert build_connect(Proxy("p", 1), API).startswith(b"CONNECT api.openai.com:443 HTTP/1.1\r\n")
    assert b"host: [::2]:443\r\n" in build_connect(Proxy("p", 1), Origin(True, "::2", 443))


# The tunnel.


class TunnelProxy:
    """A CONNECT proxy that leads everything to one port."""

    def __init__(self, port: int) -> None:
        self._upstream_port = port
        self.heads: list[bytes] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        writer.write(b"HTTP/1.1 200 Connection established\r\nvia: x\r\n\r\n")
        await asyncio.gather(self._copy(reader, upstream_writer), self._copy(upstream_reader, writer))

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()


@contextlib.asynccontextmanager
async def run_proxy(port: int) -> AsyncIterator[tuple[TunnelProxy, Proxy]]:
    tunnel = TunnelProxy(port)
    server = await asyncio.start_server(tunnel.serve, "127.0.0.1", 0)
    try:
        yield tunnel, Proxy("127.0.0.1", server.sockets[0].getsockname()[1], b"Basic dTpw")
    finally:
        server.close()
        await asyncio.sleep(0.02)


async def test_tunnel_carries_tls_to_the_origin_and_reuses_it() -> None:
    authority = trustme.CA()
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("api.test").configure_cert(server_context)
    client_context = ssl.create_default_context()
    authority.configure_trust(client_context)
    async with (
        ScriptedUpstream([REQUEST, OK, REQUEST, OK], ssl_context=server_context) as upstream,
        run_proxy(upstream.port) as (tunnel, proxy),
        open_pool(Origin(True, "api.test", 443), ssl_context=client_context, proxy=proxy) as pool,
    ):
        for _ in range(2):
            assert (await ask(pool).finished()).body == b"hello"
    connect = b"CONNECT api.test:443 HTTP/1.1\r\nhost: api.test:443\r\nproxy-authorization: Basic dTpw\r\n\r\n"
    assert tunnel.heads == [connect]
    assert b"proxy-authorization" not in upstream.requests[0]


async def test_tunnel_carries_a_plain_origin_too() -> None:
    async with (
        ScriptedUpstream([REQUEST, OK]) as upstream,
        run_proxy(upstream.port) as (tunnel, proxy),
        open_pool(PLAIN, proxy=proxy) as pool,
    ):
        assert (await ask(pool).finished()).body == b"hello"
    assert tunnel.heads[0].startswith(b"CONNECT vllm.lan:8000 ")


@pytest.mark.parametrize(
    "script",
    [
        [b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"],
        [b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n"],
        [b"rubbish\r\n\r\n"],
        [b"x" * 20_000],
        [b"HTTP/1.1 200 OK\r\n\r\nearly"],
        [FIN],
        [b"HTTP/1.1 200", FIN],
    ],
)
async def test_unwilling_proxy_is_a_connect_error(script: list[Step]) -> None:
    async with (
        ScriptedUpstream([REQUEST, *script]) as upstream,
        open_pool(PLAIN, proxy=Proxy("127.0.0.1", upstream.port)) as pool,
    ):
        assert get_error(await ask(pool).finished()) == ("connect", True)
        await asyncio.wait_for(upstream.left.wait(), 0.25)


async def test_silent_proxy_is_a_connect_timeout() -> None:
    async with (
        ScriptedUpstream([REQUEST]) as upstream,
        open_pool(PLAIN, proxy=Proxy("127.0.0.1", upstream.port)) as pool,
    ):
        sink = await ask(pool, PATIENT._replace(connect_s=0.1)).finished()
        assert get_error(sink) == ("timeout_connect", True)
        await asyncio.wait_for(upstream.left.wait(), 0.25)


async def test_cancel_in_the_tunnel_closes_the_proxy_connection_at_once() -> None:
    async with (
        ScriptedUpstream([REQUEST]) as upstream,
        open_pool(PLAIN, proxy=Proxy("127.0.0.1", upstream.port)) as pool,
    ):
        sink = ask(pool)
        await asyncio.sleep(0.05)
        assert sink.call is not None
        sink.call.cancel()
        await asyncio.wait_for(upstream.left.wait(), 0.25)
        assert sink.calls == []
