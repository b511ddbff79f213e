"""The server side of HTTP/1.1: accept connections, count them, drain them, close them.

What happens on a connection is in `connection.py`. The loop may be uvloop's or asyncio's own. A `Server` header is
never sent. HTTP/2 belongs to a proxy in front; TLS can be given as a ready `SSLContext`.
"""

from __future__ import annotations

import asyncio
import socket
import ssl

from feathergate.http.connection import Connection, ErrorBody, Service
from feathergate.http.contract import Handler
from feathergate.http.limits import ServerLimits
from feathergate.http.ticker import Ticker

_BACKLOG = 4096

# A peer that vanished without a word is found by these probes while a request of its own is being answered.
_KEEPALIVE_IDLE_S = 30
_KEEPALIVE_INTERVAL_S = 10


class Server:
    """Answers requests with `handler`, on any number of listening sockets of one event loop.

    `error_body(status, message, target)` renders (block of headers, body) for what the HTTP layer answers by itself
    (`target` is the request's as far as it was read): 400,
    405, 408, 413, 415, 417, 431, 500 (the handler raised), 503 (too many connections) and 505.
    """

    def __init__(self, handler: Handler, limits: ServerLimits, ticker: Ticker, *, error_body: ErrorBody) -> None:
        self._service = Service(handler, limits, ticker, error_body)
        self._listeners: list[asyncio.AbstractServer] = []
        self._prepared: list[socket.socket] = []

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._service.connections)

    def protocol_factory(self) -> Connection:
        return Connection(self._service)

    def prepare(self, sock: socket.socket) -> None:
        """Set what the sockets accepted from `sock` inherit; for who accepts by himself, for `protocol_factory`."""
        _prepare(sock, self._service.limits)
        self._prepared.append(sock)

    def change_limits(self, limits: ServerLimits) -> None:
        """New limits, from now on: what a connection has begun to read it reads by the old ones."""
        self._service.limits = limits
        self._service.heads.forget()
        self._prepared = [sock for sock in self._prepared if sock.fileno() != -1]
        for sock in self._prepared:
            _prepare(sock, limits)

    def keep_connections(self, keep: bool) -> None:
        """Whether a connection outlives the answers that begin from now on."""
        self._service.draining = not keep

    async def listen(
        self, where: socket.socket | tuple[str, int], *, tls: ssl.SSLContext | None = None
    ) -> tuple[str, int]:
        """Accept connections on a bound socket, or on a host and port (0 = any). Returns the address bound.

        Raises `OSError` where the address cannot be bound. The socket is closed with the server.
        """
        sock = where if isinstance(where, socket.socket) else await _bind(*where)
        self.prepare(sock)
        handshake_s = self._service.limits.header_timeout_s if tls is not None else None
        listener = await asyncio.get_running_loop().create_server(
            self.protocol_factory, sock=sock, ssl=tls, ssl_handshake_timeout=handshake_s, backlog=_BACKLOG
        )
        self._listeners.append(listener)
        host, port = sock.getsockname()[:2]
        return host, port

    def begin_drain(self, *, idle_grace_s: float = 0.0) -> None:
        """From now on each answer is its connection's last; still accepts.

        Idle connections are closed at once, where a client's next request may just be on its way and then fails.
        With `idle_grace_s` they get that answered, if it comes in time.
        """
        self._service.draining = True
        for connection in tuple(self._service.connections):
            connection.begin_drain(idle_grace_s)

    async def drain(self, timeout_s: float, *, idle_grace_s: float = 0.0) -> int:
        """Stop accepting, let the open requests end, and drop what is left then. Returns how many were dropped."""
        self._stop_listening()
        self.begin_drain(idle_grace_s=idle_grace_s)
        left = await self.wait_closed(timeout_s)
        self.close()
        return left

    async def wait_closed(self, timeout_s: float) -> int:
        """Wait for the end of the connections that are open now; returns how many of them are still open then."""
        service = self._service
        service.awaited = set(service.connections)
        service.emptied.clear()
        if service.awaited:
            try:
                await asyncio.wait_for(service.emptied.wait(), timeout_s)
            except TimeoutError:
                pass
        return len(service.awaited)

    def close(self) -> None:
        """Stop accepting and drop every connection at once."""
        self._stop_listening()
        for connection in tuple(self._service.connections):
            connection.abort()

    def _stop_listening(self) -> None:
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()


async def _bind(host: str, port: int) -> socket.socket:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    family, _, _, _, address = found[0]
    return socket.create_server(address[:2], family=family)


def _prepare(sock: socket.socket, limits: ServerLimits) -> None:
    """Set what accepted sockets inherit; asyncio itself forgets TCP_NODELAY on sockets made elsewhere."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", _KEEPALIVE_IDLE_S),
        ("TCP_KEEPINTVL", _KEEPALIVE_INTERVAL_S),
        ("TCP_USER_TIMEOUT", int(limits.write_timeout_s * 1000)),
    ):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
