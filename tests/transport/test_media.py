"""Files behind URLs: which addresses may be asked, what is taken, and that nothing is fetched unless it is on.

The servers are real, on loopback, behind TLS of an authority of the test's own; `check` lets loopback pass for once.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme
from msgspec import Raw
from tests.e2e.native import ANTHROPIC, GEMINI, OPENAI, Native, build_config, build_whole, decode_body
from tests.e2e.scene import Scene, build_chat, get_error
from tests.raw_client import until
from tests.running import running_gateway
from tests.scripted_upstream import REQUEST, RST, Script, ScriptedUpstream, build_answer

from feathergate.errors import ClientError
from feathergate.http.connect import build_ssl_context
from feathergate.http.ticker import Ticker
from feathergate.transport import media
from feathergate.transport.media import (
    File,
    MediaFetcher,
    Remote,
    find_remotes,
    inline_remotes,
    is_public,
    judge_type,
    parse_url,
)
from feathergate.wire.codec import decode_any, decode_messages, encode

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
JPEG, PDF = b"\xff\xd8\xff\xe0" + bytes(20), b"%PDF-1.7\n"


def answer(data: bytes, kind: str = "image/png", *headers: str, status: str = "200 OK") -> Script:
    return (REQUEST, build_answer(data, f"content-type: {kind}", "connection: close", *headers, status=status))


# --- addresses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255"),
        *("192.168.1.1", "169.254.169.254", "100.64.0.1", "100.127.255.255", "100.100.100.200", "192.0.0.192"),
        *("168.63.129.16", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "203.0.113.9"),
        *("::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1"),
        *("fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "2606:4700::1%1", "fec0::1", "ff02::1", "100::1"),
        *("2001::1", "2001:0:7f00:1::", "2001:db8::1", "2002:7f00:1::", "3fff::1", "5f00::1"),
        *("", "localhost", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "127.0.0.1.", "8.8.8.8/32", " 8.8.8.8"),
    ],
)
def test_address_of_no_public_network_is_refused(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("8.8.8.8", "1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.255.255", "100.128.0.1", "192.167.1.1"),
        *("169.253.1.1", "168.63.129.17", "223.255.255.255", "2606:4700::1", "2001:4860::8888", "2a00::1"),
    ],
)
def test_address_of_the_public_internet_is_taken(address: str) -> None:
    assert is_public(address)


# --- URLs and types -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "host", "port", "target"),
    [
        ("https://a.test/x.png", "a.test", 443, b"/x.png"),
        ("https://a.test", "a.test", 443, b"/"),
        ("https://a.test:8443/a b?c=d e#f", "a.test", 8443, b"/a%20b?c=d%20e"),
        ("https://a.test/%2e%2e/é", "a.test", 443, b"/%2e%2e/%C3%A9"),
        ("https://bücher.test/", "xn--bcher-kva.test", 443, b"/"),
        ("https://１２７.0.0.1/", "127.0.0.1", 443, b"/"),
        ("https://[2606:4700::1]/", "2606:4700::1", 443, b"/"),
    ],
)
def test_url_is_taken_apart(url: str, host: str, port: int, target: bytes) -> None:
    origin, path = parse_url(url)
    assert (origin.tls, origin.host, origin.port, path) == (True, host, port, target)


@pytest.mark.parametrize(
    "url",
    [
        *("https://", "https:///x", "https://user@a.test/", "https://u:p@a.test/", "https://a.test@b.test/"),
        *("https://a b/", "https://a%2eb/", "https://a.test:99999/", "https://a.test:x/", "https://[::1/"),
        *("https://[fe80::1%25eth0]/", "https://" + "a" * 64 + ".test/", "https://a..test/", "http://a.test/"),
        "https://a.test/" + "x" * 10_000,
    ],
)
def test_url_that_is_odd_is_refused(url: str) -> None:
    with pytest.raises(Exception, match="not the URL of a file"):
        parse_url(url)


@pytest.mark.parametrize(
    ("declared", "data", "found"),
    [
        ("image/png", PNG, "image/png"),
        ("image/png", JPEG, "image/jpeg"),
        ("image/gif", b"GIF89a", "image/gif"),
        ("image/webp", b"RIFF0000WEBP", "image/webp"),
        ("audio/wav", b"RIFF0000WAVE", "audio/wav"),
        ("audio/mpeg", b"ID3\x04", "audio/mpeg"),
        ("application/pdf", PDF, "application/pdf"),
        ("text/plain", "Grüße".encode(), "text/plain"),
    ],
)
def test_type_is_what_the_bytes_show(declared: str, data: bytes, found: str) -> None:
    assert judge_type(declared, data) == found


@pytest.mark.parametrize(
    ("declared", "data"),
    [
        *(("text/html", b"<p>"), ("application/json", b"{}"), ("", PNG), ("image/svg+xml", b"<svg/>")),
        *(("image/png", b"<p>"), ("image/png", b""), ("image/webp", b"RIFF0000AVI "), ("text/plain", b"\xff\x00")),
        ("text/plain", b"a\x00b"),
    ],
)
def test_type_that_is_not_taken_is_refused(declared: str, data: bytes) -> None:
    with pytest.raises(Exception, match=r"its type is none of|not what its server calls it"):
        judge_type(declared, data)


# --- messages -----------------------------------------------------------------------------------------------------


def image(url: str, **members: Any) -> Any:
    return {"type": "image_url", "image_url": {"url": url, **members}}


def user(*parts: Any) -> Any:
    return {"role": "user", "content": list(parts)}


MESSAGES = [
    {"role": "user", "content": "https://in.text/"},
    user({"type": "text", "text": "https://in.text/"}, image("https://a.test/1", detail="low")),
    user(image("data:image/png;base64,AA=="), image("http://plain.test/"), image("gs://bucket/x")),
    user({"type": "image_url", "image_url": "https://a.test/2"}),
    user({"type": "file", "file": {"file_id": "https://provider.test/files/1"}}),
    user({"type": "file", "file": {"file_data": "https://a.test/3", "filename": "a.pdf"}}),
]
RAW = [Raw(encode(message)) for message in MESSAGES]


def test_only_https_urls_of_images_and_files_are_found() -> None:
    found = find_remotes(decode_messages(RAW))
    assert [(remote.where, remote.url) for remote in found] == [
        ("messages[1].content[1]", "https://a.test/1"),
        ("messages[3].content[0]", "https://a.test/2"),
        ("messages[5].content[0]", "https://a.test/3"),
    ]


def test_content_stands_in_the_place_of_its_url() -> None:
    files = {f"https://a.test/{number}": File("image/png", b"%d" % number) for number in (1, 2, 3)}
    raw = inline_remotes(RAW, decode_messages(RAW), files)
    urls = [f"data:image/png;base64,{base64.b64encode(b'%d' % number).decode()}" for number in (1, 2, 3)]
    changed = decode_messages(raw)
    assert find_remotes(changed) == []
    assert decode_any(raw[1])["content"][1]["image_url"] == {"url": urls[0], "detail": "low"}
    assert decode_any(raw[3])["content"][0]["image_url"]["url"] == urls[1]
    assert decode_any(raw[5])["content"][0]["file"]["file_data"] == urls[2]


def test_messages_without_a_url_keep_their_bytes() -> None:
    raw = inline_remotes(RAW, decode_messages(RAW), {"https://a.test/1": File("image/png", PNG)})
    assert [raw[number] is RAW[number] for number in range(6)] == [True, False, True, False, True, False]


# --- fetching -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="module")
def client_context(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return build_ssl_context(str(file))


class Files:
    """A server of files and a fetcher that may ask it."""

    def __init__(self, server: ScriptedUpstream, fetcher: MediaFetcher) -> None:
        self.server = server
        self.fetcher = fetcher

    def url(self, path: str = "/1") -> str:
        return f"https://localhost:{self.server.port}{path}"

    async def fetch(self, *paths: str) -> list[File]:
        remotes = [Remote(number, 0, self.url(path)) for number, path in enumerate(paths or ("/1",))]
        found = await self.fetcher.fetch(remotes)
        return [found[remote.url] for remote in remotes]

    async def refuse(self, *paths: str) -> ClientError:
        with pytest.raises(ClientError) as caught:
            await self.fetch(*paths)
        return caught.value


class Opening:
    """Makes `Files` from scripts, with the module's certificates."""

    def __init__(self, server_context: ssl.SSLContext, client_context: ssl.SSLContext) -> None:
        self.server_context = server_context
        self.client_context = client_context

    @asynccontextmanager
    async def __call__(self, *scripts: Script, limit_bytes: int = 1000, check: Any = None) -> AsyncIterator[Files]:
        ticker = Ticker(asyncio.get_running_loop(), period_s=0.01)
        fetcher = MediaFetcher(ticker, self.client_context, limit_bytes, check=check or (lambda address: True))
        async with ScriptedUpstream(*scripts, ssl_context=self.server_context) as server:
            yield Files(server, fetcher)
        ticker.close()


@pytest.fixture
def opening(server_context: ssl.SSLContext, client_context: ssl.SSLContext) -> Opening:
    return Opening(server_context, client_context)


async def test_file_is_fetched_with_nothing_that_tells_of_us(opening: Opening) -> None:
    async with opening(answer(PNG, "image/png; charset=x")) as files:
        assert await files.fetch("/a?b=c") == [File("image/png", PNG)]
        host = f"localhost:{files.server.port}".encode()
    head = b"GET /a?b=c HTTP/1.1\r\nhost: %b\r\naccept-encoding: identity\r\nuser-agent: feathergate\r\n\r\n"
    assert files.server.requests == [head % host]


async def test_one_url_is_fetched_once(opening: Opening) -> None:
    async with opening(answer(PNG)) as files:
        assert await files.fetch("/1", "/1", "/2") == [File("image/png", PNG)] * 3
        assert files.server.connections == 2


async def test_no_connection_is_made_to_an_address_that_is_not_public(opening: Opening) -> None:
    async with opening(answer(PNG), check=is_public) as files:
        error = await files.refuse()
        assert files.server.connections == 0
    assert (error.status, error.param, error.code) == (400, "messages[0].content[0]", "media_not_fetched")


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f000001", "0177.1", "127.1", "localhost", "[::1]"])
async def test_no_spelling_of_loopback_is_dialed(opening: Opening, host: str) -> None:
    async with opening(answer(PNG), check=is_public) as files, ScriptedUpstream((REQUEST,)) as anyone:
        with pytest.raises(ClientError, match="could not be fetched"):
            await files.fetcher.fetch([Remote(0, 0, f"https://{host}:{anyone.port}/")])
        assert anyone.connections == 0


async def test_address_that_is_checked_is_the_one_that_is_dialed(
    opening: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is resolved once: a resolver that changes its mind is not asked again."""
    loop = asyncio.get_running_loop()
    checked: list[str] = []
    resolved: list[str] = []
    real = loop.getaddrinfo

    async def getaddrinfo(host: str, *args: Any, **kwargs: Any) -> Any:
        resolved.append(host)
        return await real("127.0.0.1", *args, **kwargs)

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)

    def check(address: str) -> bool:
        checked.append(address)
        return True

    async with opening(answer(PNG), check=check) as files:
        await files.fetch()
    assert (resolved, checked) == (["localhost"], ["127.0.0.1"])


@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "307 Temporary", "204 No Content", "206 Partial", "404 No"]
)
async def test_only_200_is_a_file_and_no_redirect_is_followed(opening: Opening, status: str) -> None:
    body = b"" if status.startswith("204") else PNG
    async with opening(answer(body, "image/png", "location: https://localhost:1/", status=status)) as files:
        assert "redirects are not followed" in (await files.refuse()).message
        assert files.server.connections == 1


async def test_file_that_is_too_large_is_given_up_on_the_way(opening: Opening) -> None:
    endless = (REQUEST, b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 9999999\r\n\r\n", PNG * 100)
    async with opening(endless) as files:
        assert "1,000 bytes" in (await files.refuse()).message
        await asyncio.wait_for(files.server.left.wait(), 1)


async def test_limit_holds_for_all_files_of_a_request_together(opening: Opening) -> None:
    async with opening(answer(PNG + bytes(600))) as files:
        assert len(await files.fetch("/1")) == 1
        assert "together" in (await files.refuse("/1", "/2")).message


async def test_more_urls_than_allowed_are_refused_before_one_is_asked(opening: Opening) -> None:
    async with opening(answer(PNG)) as files:
        error = await files.refuse(*(f"/{number}" for number in range(17)))
        assert (error.param, files.server.connections) == ("messages[16].content[0]", 0)


@pytest.mark.parametrize("kind", ["text/html", "application/octet-stream", "image/svg+xml"])
async def test_type_beyond_the_list_is_refused(opening: Opening, kind: str) -> None:
    async with opening(answer(b"<p>", kind)) as files:
        assert "its type is none of image/png" in (await files.refuse()).message


async def test_server_that_says_nothing_is_given_up_in_time(opening: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "_TIMEOUTS", media._TIMEOUTS._replace(total_s=0.1))
    async with opening((REQUEST,)) as files:
        started = time.monotonic()
        assert "in time" in (await files.refuse()).message
        assert time.monotonic() - started < 1


@pytest.mark.parametrize("script", [(RST,), (REQUEST, RST), (REQUEST, b"junk\r\n\r\n")])
async def test_failure_tells_nothing_of_what_listens_there(opening: Opening, script: Script) -> None:
    async with opening(script) as files:
        broken = await files.refuse()
    async with opening(script, check=is_public) as files:
        assert (await files.refuse()).message == broken.message


async def test_certificate_of_an_unknown_authority_is_refused(opening: Opening) -> None:
    opening.client_context = build_ssl_context()
    async with opening(answer(PNG)) as files:
        assert "could not be fetched" in (await files.refuse()).message


def test_file_does_not_show_its_content() -> None:
    assert repr(File("image/png", PNG)) == "File('image/png', 28 bytes)"


# --- the gateway --------------------------------------------------------------------------------------------------


@asynccontextmanager
async def open_gateway(native: Native, files: Files | None, on: bool = True) -> AsyncIterator[Scene]:
    """A gateway whose fetcher may ask `files`."""
    async with ScriptedUpstream(build_whole(native.text("Hi"))) as upstream:
        config = build_config([native], upstream.port, server_settings={"fetch_media": on})
        async with running_gateway(config) as gateway:
            if files is not None and on:
                assert gateway.runtime.media is not None
                gateway.runtime.media = files.fetcher
            yield Scene(upstream, gateway)


async def ask(scene: Scene, native: Native, *urls: str) -> Any:
    return await scene.chat(f"fast-{native.name}", None, messages=[user(*map(image, urls))])


def find_data(native: Native, body: Any) -> tuple[str, str]:
    """The media type and base64 of the first part that the provider got."""
    if native is GEMINI:
        data = body["contents"][0]["parts"][0]["inlineData"]
        return data["mimeType"], data["data"]
    source = body["messages"][0]["content"][0]["source"]
    assert source["type"] == "base64"
    return source["media_type"], source["data"]


@pytest.mark.parametrize("native", [ANTHROPIC, GEMINI], ids=lambda native: native.name)
async def test_translated_request_carries_the_file_itself(opening: Opening, native: Native) -> None:
    async with opening(answer(PNG)) as files, open_gateway(native, files) as scene:
        assert (await ask(scene, native, files.url())).status == 200
        media_type, data = find_data(native, decode_body(scene.upstream.requests[0]))
    assert (media_type, base64.b64decode(data)) == ("image/png", PNG)


async def test_request_in_openais_own_format_is_passed_on_with_its_url(opening: Opening) -> None:
    async with opening(answer(PNG)) as files, open_gateway(OPENAI, files) as scene:
        assert (await ask(scene, OPENAI, files.url())).status == 200
        assert files.url() in scene.upstream.requests[0].decode()
        assert files.server.connections == 0


@pytest.mark.parametrize("native", [ANTHROPIC, GEMINI], ids=lambda native: native.name)
async def test_nothing_is_fetched_unless_it_is_on(opening: Opening, native: Native) -> None:
    async with opening(answer(PNG)) as files, open_gateway(native, files, on=False) as scene:
        assert (await ask(scene, native, files.url())).status == 200
        assert files.url() in json.dumps(decode_body(scene.upstream.requests[0]))
        assert files.server.connections == 0


async def test_gateway_as_configured_asks_no_address_of_its_own_network(opening: Opening) -> None:
    async with opening(answer(PNG)) as files, open_gateway(GEMINI, None) as scene:
        seen = await ask(scene, GEMINI, files.url())
        assert (seen.status, get_error(seen)["param"]) == (400, "messages[0].content[0]")
        assert (files.server.connections, scene.upstream.connections) == (0, 0)


async def test_plain_http_is_refused_and_not_asked(opening: Opening) -> None:
    async with opening(answer(PNG)) as files, open_gateway(GEMINI, files) as scene:
        seen = await ask(scene, GEMINI, files.url().replace("https:", "http:"))
        assert (seen.status, files.server.connections) == (400, 0)


async def test_client_that_leaves_ends_the_fetching(opening: Opening) -> None:
    async with opening((REQUEST,)) as files, open_gateway(GEMINI, files) as scene:
        async with scene.connect() as client:
            client.send(build_chat("fast-gemini", messages=[user(image(files.url()))]))
            await until(lambda: len(files.server.requests) == 1)
        await asyncio.wait_for(files.server.left.wait(), 0.25)
        await until(lambda: scene.gateway.server.connections == 0)
    assert scene.upstream.connections == 0
