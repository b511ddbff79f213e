"""Connections taken off a listening socket, by each worker of a gateway its part; by a lone one, all.

Left alone, whichever worker is awake takes all that wait: of 100 opened at once one took up to 97. Here a worker
takes a few at a time while it holds no more than the others do on average; else it leaves the queue to them for a
moment, and then takes a few all the same, so that nobody waits for a worker that stands still. See
docs/decisions/0011-one-socket-in-shares.md. Where descriptors are wanting, clients wait in the queue: libuv, left
alone, would accept them and close them unheard.
"""

from __future__ import annotations

import asyncio
import logging
import socket

from feathergate.http.server import Server
from feathergate.server.share import Share

logger = logging.getLogger("feathergate.workers")

# How many connections are taken in one turn of the event loop, so that those that are open get theirs.
_TAKEN_AT_ONCE = 16
# A worker that holds so many more than the average leaves the queue to the others for this long, and then takes this
# many whatever it holds.
_SLACK = 2
_PAUSE_S = 0.005
_TAKEN_BEYOND = 2
# Until the next attempt where the system has no descriptor or no memory for a connection.
_EXHAUSTED_PAUSE_S = 1.0


class Acceptor:
    """Accepts for `server` on `sock`, which other workers have too."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, server: Server, share: Share) -> None:
        self._loop = loop
        self._sock = sock
        self._server = server
        self._loads, self._slot = share
        self._opening: set[asyncio.Task[None]] = set()
        self._pausing: asyncio.TimerHandle | None = None

    def open(self) -> None:
        self._server.prepare(self._sock)
        self._sock.setblocking(False)
        self._publish()
        self._loop.add_reader(self._sock, self._on_readable)

    async def close(self) -> None:
        """Take no more; the socket is closed. Returns when all that were taken are the server's. Idempotent."""
        if self._sock.fileno() == -1:
            return
        if self._pausing is not None:
            self._pausing.cancel()
        self._loop.remove_reader(self._sock)
        self._sock.close()
        if self._opening:
            await asyncio.wait(self._opening)

    def _on_readable(self) -> None:
        for _ in range(_TAKEN_AT_ONCE):
            if self._publish() > self._loads.average() + _SLACK:
                self._pause(_PAUSE_S)
                return
            if not self._accept():
                return

    def _pause(self, pause_s: float) -> None:
        self._loop.remove_reader(self._sock)
        self._pausing = self._loop.call_later(pause_s, self._resume)

    def _resume(self) -> None:
        self._loop.add_reader(self._sock, self._on_readable)
        for _ in range(_TAKEN_BEYOND):
            if not self._accept():
                return

    def _accept(self) -> bool:
        """Take one connection; False where none can be taken now."""
        try:
            connection, _ = self._sock.accept()
        except BlockingIOError:
            return False
        except ConnectionError:  # that client has left already
            return True
        except OSError as error:
            logger.error("clients wait, no connection can be accepted: %s", error.strerror)
            self._pause(_EXHAUSTED_PAUSE_S)
            return False
        opening = self._loop.create_task(self._open(connection))
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)
        return True

    async def _open(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._server.protocol_factory, connection)
        except OSError:  # that client has left already
            connection.close()

    def _publish(self) -> int:
        held = self._server.connections + len(self._opening)
        self._loads.publish(self._slot, held)
        return held
