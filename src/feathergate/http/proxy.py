"""Which proxy leads to an origin, and the tunnel through it.

`HTTPS_PROXY` serves https origins and `HTTP_PROXY` plain ones, in lower case first, and `NO_PROXY` names the
exceptions, as curl and Go's net/http read them. Both kinds of origin are tunnelled with CONNECT, so that a
request is the same bytes with a proxy and without. Only `http://` proxies. Specification: RFC 9110 section 9.3.6.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import re
import socket
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote_to_bytes, urlsplit

from feathergate.errors import ConfigError, Problem
from feathergate.http.contract import HttpError, Origin

_ANSWER_LIMIT_BYTES = 16 * 1024
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d\d\d)(?: |\r)")


class Proxy(NamedTuple):
    """An HTTP proxy. `authorization` is the value of `proxy-authorization`; a secret, so it is not printed."""

    host: str
    port: int
    authorization: bytes = b""

    def __repr__(self) -> str:
        return f"Proxy({self.host!r}, {self.port})"


def pick_proxy(origin: Origin, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy that the environment names for `origin`; loopback is always reached directly.

    Raises ConfigError where the variable holds something that is no `http://` proxy.
    """
    name = "https_proxy" if origin.tls else "http_proxy"
    variable = name if environ.get(name) else name.upper()
    url = environ.get(variable, "").strip()
    if not url or _is_loopback(origin.host):
        return None
    if is_exempt(origin, environ.get("no_proxy") or environ.get("NO_PROXY", "")):
        return None
    return parse_proxy(url, variable)


def parse_proxy(url: str, variable: str) -> Proxy:
    """`[http://][user:password@]host[:port]`; the port defaults to 80. Raises ConfigError naming `variable`."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port or 80
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme != "http" or not parts.hostname:
        raise ConfigError(
            [Problem(f"{variable} names no http:// proxy", f"set {variable}=http://HOST:PORT, or unset it")]
        )
    authorization = b""
    if parts.username is not None:
        pair = unquote_to_bytes(parts.username) + b":" + unquote_to_bytes(parts.password or "")
        authorization = b"Basic " + base64.b64encode(pair)
    return Proxy(parts.hostname, port, authorization)


def is_exempt(origin: Origin, no_proxy: str) -> bool:
    """Does `no_proxy` hold the origin: `*`, a domain and all below it, an address, a network, each with or
    without `:port`?"""
    return any(_entry_matches(entry, origin) for entry in re.split(r"[,\s]+", no_proxy.lower()) if entry)


def _entry_matches(entry: str, origin: Origin) -> bool:
    host = origin.host.lower().rstrip(".")
    if entry == "*":
        return True
    address = _parse_address(host)
    if address is not None and "/" in entry:
        try:
            return address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    name, port = _split_port(entry)
    if port and port != str(origin.port):
        return False
    if address is not None:
        return _parse_address(name) == address
    name = name.removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _split_port(entry: str) -> tuple[str, str]:
    """`host:80`, `[::1]:80`, and a bare `::1`, which has no port."""
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return name, rest.removeprefix(":")
    if entry.count(":") == 1:
        name, _, port = entry.partition(":")
        return name, port
    return entry, ""


def _parse_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    name = host.lower().rstrip(".")
    address = _parse_address(name)
    if address is not None:
        return address.is_loopback
    return name == "localhost" or name.endswith(".localhost")


async def open_tunnel(sock: socket.socket, proxy: Proxy, origin: Origin) -> None:
    """Ask the proxy at the other end of `sock` to lead to `origin`. Raises HttpError("connect") or OSError."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, build_connect(proxy, origin))
    answer = bytearray()
    while (end := answer.find(b"\r\n\r\n")) < 0:
        data = await loop.sock_recv(sock, 4096)
        answer += data
        if not data or len(answer) > _ANSWER_LIMIT_BYTES:
            raise HttpError("connect", "the proxy did not answer CONNECT with HTTP", clean=True)
    status = _STATUS_LINE.match(answer)
    if status is None or not status[1].startswith(b"2"):
        told = status[1].decode() if status else "no status"
        raise HttpError("connect", f"the proxy answered CONNECT with {told}", clean=True)
    if len(answer) > end + 4:
        raise HttpError("connect", "the proxy sent data before the tunnel was used", clean=True)


def build_connect(proxy: Proxy, origin: Origin) -> bytes:
    """The CONNECT request for `origin`."""
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    target = f"{host}:{origin.port}".encode("idna" if not host.isascii() else "ascii")
    authorization = b"proxy-authorization: %b\r\n" % proxy.authorization if proxy.authorization else b""
    return b"CONNECT %b HTTP/1.1\r\nhost: %b\r\n%b\r\n" % (target, target, authorization)
