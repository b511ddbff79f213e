"""One new connection, step by step: DNS, TCP, the proxy's tunnel, TLS; each step's failure has its own kind.

Name lookups run on the loop's threads. The addresses of a name are tried in turn, families alternating, each with
its share of the time that is left, so that one dead address does not eat it all. The socket is opened here rather
than by `create_connection`, because only then is it certain which step failed. Nothing is retried or pooled here.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import itertools
import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, NamedTuple

from feathergate.http.contract import HttpError, HttpErrorKind, Origin, Timeouts
from feathergate.http.proxy import Proxy, open_tunnel

# A peer that is gone without a word is noticed after about a minute, in the middle of a silent answer too.
# Not every system has every option (TCP_KEEPALIVE is what macOS calls TCP_KEEPIDLE).
_SOCKET_OPTIONS = (
    ("SOL_SOCKET", "SO_KEEPALIVE", 1),
    ("IPPROTO_TCP", "TCP_NODELAY", 1),
    ("IPPROTO_TCP", "TCP_KEEPIDLE", 30),
    ("IPPROTO_TCP", "TCP_KEEPALIVE", 30),
    ("IPPROTO_TCP", "TCP_KEEPINTVL", 10),
    ("IPPROTO_TCP", "TCP_KEEPCNT", 3),
    ("IPPROTO_TCP", "TCP_USER_TIMEOUT", 60_000),
)


# What a connection fails with before the network is asked: no descriptor, no memory.
_EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


class Address(NamedTuple):
    """What `socket.connect` wants of one resolved address."""

    family: int
    sockaddr: Any


class Route(NamedTuple):
    """How a pool's connections reach their origin; with a `check` only addresses that it takes are dialed."""

    origin: Origin
    ssl_context: ssl.SSLContext | None = None
    proxy: Proxy | None = None
    check: Callable[[str], bool] | None = None


def build_ssl_context(ca_file: str | None = None) -> ssl.SSLContext:
    """Verification on, HTTP/1.1 only. `ca_file` (PEM) is trusted besides the system's authorities.

    Raises OSError (ssl.SSLError too) where the file cannot be read or holds no certificate.
    """
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


async def dial(route: Route, protocol: asyncio.BufferedProtocol, timeouts: Timeouts) -> None:
    """Connect `protocol` to the route's origin. Raises HttpError of kind dns, connect, tls or timeout_connect, or
    exhausted, where this machine has no means for one more connection."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeouts.connect_s
    sock = await _open_socket(route, deadline)
    origin = route.origin
    try:
        async with asyncio.timeout(timeouts.tls_s):
            await loop.create_connection(
                lambda: protocol,
                sock=sock,
                ssl=route.ssl_context if origin.tls else None,
                server_hostname=origin.host if origin.tls else None,
                ssl_handshake_timeout=timeouts.tls_s + 1.0 if origin.tls else None,  # ours comes first
            )
    except TimeoutError as error:
        raise _failure("timeout_connect", f"no TLS handshake within {timeouts.tls_s:g} s") from error
    except OSError as error:
        raise _failure("tls" if origin.tls else "connect", f"{origin.host}: {error}") from error


async def _open_socket(route: Route, deadline: float) -> socket.socket:
    """A connected socket, through the proxy's tunnel where there is one."""
    peer = route.proxy or route.origin
    addresses = await _resolve(peer.host, peer.port, deadline)
    if route.check is not None:
        addresses = [address for address in addresses if route.check(address.sockaddr[0])]
    sock = await _connect(addresses, deadline)
    if route.proxy is None:
        return sock
    with ExitStack() as on_failure:
        on_failure.callback(sock.close)
        try:
            async with asyncio.timeout_at(deadline):
                await open_tunnel(sock, route.proxy, route.origin)
        except TimeoutError as error:
            raise _failure("timeout_connect", "the proxy did not open the tunnel in time") from error
        except OSError as error:
            raise _failure("connect", f"the proxy broke the connection: {error}") from error
        on_failure.pop_all()
    return sock


async def _resolve(host: str, port: int, deadline: float) -> list[Address]:
    literal = _parse_literal(host, port)
    if literal is not None:
        return [literal]
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout_at(deadline):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError as error:
        raise _failure("dns", f"{host} was not resolved in time") from error
    except (OSError, UnicodeError) as error:  # UnicodeError: a label that no name can have
        kind: HttpErrorKind = "exhausted" if _is_exhausted(error) or not _has_descriptor() else "dns"
        raise _failure(kind, f"{host} was not resolved: {error}") from error
    return _alternate([Address(family, sockaddr) for family, _, _, _, sockaddr in found])


def _parse_literal(host: str, port: int) -> Address | None:
    """The address where `host` already is one, so that no thread is asked."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return None
    return Address(socket.AF_INET if version == 4 else socket.AF_INET6, (host, port))


def _alternate(addresses: list[Address]) -> list[Address]:
    """One of each family in turn, the resolver's favourite family first (RFC 8305 section 4)."""
    first = [address for address in addresses if address.family == addresses[0].family]
    others = [address for address in addresses if address.family != addresses[0].family]
    pairs = itertools.zip_longest(first, others)
    return [address for pair in pairs for address in pair if address is not None]


async def _connect(addresses: list[Address], deadline: float) -> socket.socket:
    loop = asyncio.get_running_loop()
    failure: OSError = OSError("the name has no address that may be used")
    for index, address in enumerate(addresses):
        now = loop.time()
        share_s = (deadline - now) / (len(addresses) - index)
        try:
            return await _connect_one(address, now + share_s)
        except OSError as error:
            failure = error
    if isinstance(failure, TimeoutError):
        raise _failure("timeout_connect", "no TCP connection in time") from failure
    raise _failure("exhausted" if _is_exhausted(failure) else "connect", f"no TCP connection: {failure}") from failure


def _is_exhausted(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in _EXHAUSTED


def _has_descriptor() -> bool:
    """Whether one is to be had: a resolver that gets none fails as if there were no such name."""
    try:
        socket.socket().close()
    except OSError:
        return False
    return True


async def _connect_one(address: Address, deadline: float) -> socket.socket:
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    with ExitStack() as on_failure:
        on_failure.callback(sock.close)
        sock.setblocking(False)
        for level, option, value in _SOCKET_OPTIONS:
            if hasattr(socket, option):
                sock.setsockopt(getattr(socket, level), getattr(socket, option), value)
        async with asyncio.timeout_at(deadline):
            await asyncio.get_running_loop().sock_connect(sock, address.sockaddr)
        on_failure.pop_all()
    return sock


def _failure(kind: HttpErrorKind, detail: str) -> HttpError:
    """Before the request has left, no byte of an answer can have come."""
    return HttpError(kind, detail, clean=True)
