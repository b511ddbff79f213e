"""Images and files that a request names by an https URL, fetched and put in its place: only where `fetch_media` is on.

What a URL leads to is chosen by a client, so the gateway must not be made to ask its own network: a connection is
only made to an address that `is_public` takes, which is judged on the resolved address and is the very one dialed
(a name that resolves otherwise a moment later gains nothing), straight, without a proxy, over TLS; redirects are not
followed, no credential is sent, size, time, number and kind are bounded, and failures of every sort look the same
from outside, so that nobody learns what listens where. `http:` is never fetched, nor is a `file_id`, which names a
provider's own file. Messages that hold no URL keep their bytes. Source: reliability.md S23, S24.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import re
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from msgspec import Raw
from msgspec.structs import replace

from feathergate.errors import ClientError
from feathergate.http.client import Pool
from feathergate.http.contract import Call, Headers, HttpError, Origin, Timeouts, find_header
from feathergate.http.limits import ClientLimits
from feathergate.http.ticker import Ticker
from feathergate.transport.upstream import build_host
from feathergate.wire.chat import FileContent, ImageUrl, Message, Part
from feathergate.wire.codec import encode

URL_LIMIT_COUNT = 16
TOTAL_TIMEOUT_S = 10.0
URL_LIMIT_LENGTH = 8192

_SCHEME = "https://"
_TIMEOUTS = Timeouts(5.0, 5.0, TOTAL_TIMEOUT_S, TOTAL_TIMEOUT_S, TOTAL_TIMEOUT_S)
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")
_TYPES = (
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "application/pdf",
    "text/plain",
    "audio/wav",
    "audio/mpeg",
)
# Of the addresses that are not the public Internet's. The IPv4 ones beside S24's are reserved or hold metadata
# services (192.0.0.192, 168.63.129.16); of IPv6 only 2000::/3 is in public use at all.
_PRIVATE_V4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16"),
            *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
            *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        ),
    )
)
_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
_PRIVATE_V6 = tuple(map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))


def is_public(address: str) -> bool:
    """Whether an address, as a resolver writes it, is one of the public Internet."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv4Address):
        return not any(parsed in network for network in _PRIVATE_V4)
    if parsed.scope_id is not None or parsed not in _PUBLIC_V6:
        return False
    return not any(parsed in network for network in _PRIVATE_V6)


class Remote(NamedTuple):
    """A part of a message that names its content by an https URL."""

    message: int
    part: int
    url: str

    @property
    def where(self) -> str:
        return f"messages[{self.message}].content[{self.part}]"


def find_remotes(messages: Sequence[Message]) -> list[Remote]:
    """Every part with an https URL, in the order of the messages."""
    return [
        Remote(number, index, url)
        for number, message in enumerate(messages)
        if isinstance(message.content, list)
        for index, part in enumerate(message.content)
        if (url := _find_url(part)).startswith(_SCHEME)
    ]


def _find_url(part: Part) -> str:
    if part.type == "image_url" and part.image_url is not None:
        return part.image_url if isinstance(part.image_url, str) else part.image_url.url
    if part.type == "file" and part.file is not None:
        return part.file.file_data or ""
    return ""


def inline_remotes(raw: Sequence[Raw], messages: Sequence[Message], files: Mapping[str, File]) -> list[Raw]:
    """The messages with each URL of `files` replaced by its content; the others keep their bytes.

    `messages` are the decoded `raw`. A message that is written anew keeps what `Message` has; nobody reads more.
    """
    inlined = list(raw)
    for number in {remote.message for remote in find_remotes(messages)}:
        message = messages[number]
        assert isinstance(message.content, list)
        parts = [_inline_part(part, files) for part in message.content]
        inlined[number] = Raw(encode(replace(message, content=parts)))
    return inlined


def _inline_part(part: Part, files: Mapping[str, File]) -> Part:
    file = files.get(_find_url(part))
    if file is None:
        return part
    url = f"data:{file.media_type};base64,{base64.b64encode(file.data).decode()}"
    if part.type == "file":
        return replace(part, file=replace(part.file or FileContent(), file_data=url))
    image = part.image_url if isinstance(part.image_url, ImageUrl) else ImageUrl(url)
    return replace(part, image_url=replace(image, url=url))


class File(NamedTuple):
    """What was fetched."""

    media_type: str
    data: bytes

    def __repr__(self) -> str:
        """Without the content."""
        return f"File({self.media_type!r}, {len(self.data)} bytes)"


class MediaFetcher:
    """Fetches for one configuration. `limit_bytes` bounds what all files of one request hold together; `check`
    tells which addresses may be asked."""

    def __init__(
        self,
        ticker: Ticker,
        ssl_context: ssl.SSLContext,
        limit_bytes: int,
        *,
        check: Callable[[str], bool] = is_public,
    ) -> None:
        self._ticker = ticker
        self._ssl_context = ssl_context
        self._limit_bytes = limit_bytes
        self._check = check

    async def fetch(self, remotes: Iterable[Remote]) -> dict[str, File]:
        """Each URL's file, all fetched at once, each URL once. Raises `ClientError` naming the first that failed."""
        first = {remote.url: remote for remote in reversed(list(remotes))}
        wanted = sorted(first.values())
        if len(wanted) > URL_LIMIT_COUNT:
            raise _refused(wanted[URL_LIMIT_COUNT], f"a request may name {URL_LIMIT_COUNT} URLs")
        budget = _Budget(self._limit_bytes)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._fetch_one(remote, budget)) for remote in wanted]
        results = [task.result() for task in tasks]
        for result in results:
            if isinstance(result, ClientError):
                raise result
        return {
            remote.url: file for remote, file in zip(wanted, results, strict=True) if not isinstance(file, ClientError)
        }

    async def _fetch_one(self, remote: Remote, budget: _Budget) -> File | ClientError:
        """The file, or what the client is to be told."""
        try:
            origin, target = parse_url(remote.url)
            sink = _FileSink(budget)
            await self._ask(origin, target, sink)
            return File(judge_type(sink.declared, bytes(sink.data)), bytes(sink.data))
        except _UnfitError as error:
            return _refused(remote, str(error))

    async def _ask(self, origin: Origin, target: bytes, sink: _FileSink) -> None:
        """One GET on a connection of its own, closed when the caller is cancelled."""
        head = b"GET %b HTTP/1.1\r\nhost: %b\r\naccept-encoding: identity\r\nuser-agent: feathergate\r\n\r\n"
        limits = ClientLimits(idle_connections=0)
        pool = Pool(origin, limits, self._ticker, ssl_context=self._ssl_context, check=self._check)
        sink.call = call = pool.send(head % (target, build_host(origin)), b"", sink, _TIMEOUTS)
        try:
            await sink.done
        finally:
            call.cancel()
            pool.close()


def parse_url(url: str) -> tuple[Origin, bytes]:
    """Where an https URL leads, and its path and query, percent-encoded. Raises `_UnfitError`."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode() if len(url) <= URL_LIMIT_LENGTH else ""
        port = 443 if parts.port is None else parts.port
    except ValueError:  # UnicodeError is one: a label that no name can have
        host, parts, port = "", urlsplit(""), 443
    if not _HOST.fullmatch(host) or "@" in parts.netloc or parts.scheme != "https":
        raise _UnfitError("it is not the URL of a file, or holds a user's name")
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=-._~")
    query = "?" + quote(parts.query, safe="/%:@!$&'()*+,;=-._~?[]") if parts.query else ""
    return Origin(True, host, port), (target + query).encode()


def judge_type(declared: str, data: bytes) -> str:
    """The media type of `data`: what its first bytes show counts, and the server must not have called it something
    that is not taken. Raises `_UnfitError`."""
    if declared not in _TYPES:
        raise _UnfitError(f"its type is none of {', '.join(_TYPES)}")
    found = sniff_type(data)
    if found is None and declared == "text/plain" and _is_text(data):
        return declared
    if found is None:
        raise _UnfitError("it is not what its server calls it")
    return found


def sniff_type(data: bytes) -> str | None:
    """What the first bytes show."""
    if data[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(data[8:12])
    return next((media_type for magic, media_type in _MAGIC if data.startswith(magic)), None)


_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
    (b"\xff\xf2", "audio/mpeg"),
)


def _is_text(data: bytes) -> bool:
    try:
        return "\x00" not in data.decode()
    except UnicodeDecodeError:
        return False


class _UnfitError(Exception):
    """Why a URL or what it led to is not taken; the text is for the client."""


class _Budget:
    """What the files of one request may still hold, in bytes."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.left_bytes = limit_bytes

    def take(self, size_bytes: int) -> None:
        self.left_bytes -= size_bytes
        if self.left_bytes < 0:
            raise _UnfitError(f"the files of a request may hold {self.limit_bytes:,} bytes together")


class _FileSink:
    """Collects one answer, and gives up as soon as it cannot be what is wanted."""

    def __init__(self, budget: _Budget) -> None:
        self.data = bytearray()
        self.declared = ""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.call: Call | None = None
        self._budget = budget

    def on_head(self, status: int, headers: Headers) -> None:
        declared = (find_header(headers, b"content-type") or b"").partition(b";")[0].strip().lower()
        self.declared = _ALIASES.get(declared, declared).decode("latin-1")
        if status != 200:
            self._fail("its server did not answer with the file; redirects are not followed")

    def on_body(self, data: bytes) -> None:
        try:
            self._budget.take(len(data))
        except _UnfitError as error:
            self._fail(str(error))
            return
        self.data += data

    def on_end(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def on_error(self, error: HttpError) -> None:
        # One sentence for all: what exactly failed would map the gateway's network.
        self._fail("its server cannot be reached at a public address, or did not answer well and in time")

    def _fail(self, reason: str) -> None:
        if self.call is not None:
            self.call.cancel()
        if not self.done.done():
            self.done.set_exception(_UnfitError(reason))


_ALIASES = {b"image/jpg": b"image/jpeg", b"audio/mp3": b"audio/mpeg", b"audio/x-wav": b"audio/wav"}


def _refused(remote: Remote, reason: str) -> ClientError:
    return ClientError(
        f"The URL in '{remote.where}' could not be fetched: {reason}. Send the file inline, as a data: URL.",
        param=remote.where,
        code="media_not_fetched",
    )
