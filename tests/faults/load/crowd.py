"""Clients in numbers: each asks on a connection that it keeps, and tells apart what was answered and what failed."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from tests.faults.invariants import build_nonce_chat, read_text
from tests.raw_client import RawClient, Seen

_nonces = count(1)


def draw_nonce() -> str:
    """Long enough to stand nowhere else in an answer."""
    return f"{next(_nonces):08x}"


async def connect(port: int) -> RawClient:
    return RawClient(*await asyncio.open_connection("127.0.0.1", port))


class Tally:
    """`failed` counts by what happened, `took_s` are the times of whole answers."""

    def __init__(self) -> None:
        self.answered = 0
        self.statuses: Counter[int] = Counter()
        self.failed: Counter[str] = Counter()
        self.took_s: list[float] = []

    def find_quantile_ms(self, share: float) -> float:
        ordered = sorted(self.took_s)
        return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000, 2)

    def note(self, seen: Seen, nonce: str, began: float) -> None:
        self.took_s.append(time.monotonic() - began)
        self.statuses[seen.status] += 1
        if seen.status != 200:
            self.failed[f"status {seen.status}"] += 1
        elif read_text(seen) != f"said {nonce}":
            self.failed["another's answer, or half of one"] += 1
        else:
            self.answered += 1


Ask = Callable[[], Mapping[str, Any]]
"""The next request's `model`, and perhaps `deed` and `stream`."""


class Crowd:
    """`clients` of them, which ask until `requests` are answered or `stop` is set."""

    def __init__(self, port: int, ask: Ask, *, clients: int, pace_s: float = 0.0) -> None:
        self.tally = Tally()
        self.stop = asyncio.Event()
        self._port = port
        self._ask = ask
        self._clients = clients
        self._pace_s = pace_s
        self._left = 0

    async def run(self, requests: int) -> Tally:
        self._left = requests
        await asyncio.gather(*(self._ask_on() for _ in range(self._clients)))
        return self.tally

    async def _ask_on(self) -> None:
        client: RawClient | None = None
        while self._left > 0 and not self.stop.is_set():
            self._left -= 1
            nonce, began = draw_nonce(), time.monotonic()
            try:
                client = client or await connect(self._port)
                seen = await client.ask(build_nonce_chat(nonce=nonce, **self._ask()))
                self.tally.note(seen, nonce, began)
            except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
                self.tally.failed[repr(error)[:80]] += 1
                _drop(client)
                client = None
            else:
                if seen.headers.get(b"connection") == b"close":
                    _drop(client)
                    client = None
            if self._pace_s:
                await asyncio.sleep(self._pace_s)
        _drop(client)


def _drop(client: RawClient | None) -> None:
    if client is not None:
        client.writer.transport.abort()


async def ask_once(port: int, data: bytes) -> Seen:
    """One request on a connection of its own."""
    client = await connect(port)
    try:
        return await client.ask(data)
    finally:
        client.writer.transport.abort()
        await asyncio.sleep(0)


async def read_stream(port: int, model: str, nonce: str, deed: str) -> bytes:
    """The whole body of a stream, however long it takes. Raises where it is cut."""
    client = await connect(port)
    try:
        client.send(build_nonce_chat(model, nonce, deed=deed, stream=True))
        seen = await client.answer(head_only=True)
        assert seen.status == 200, seen
        pieces = []
        while size := int(await client.reader.readuntil(b"\r\n"), 16):
            pieces.append((await client.reader.readexactly(size + 2))[:-2])
        return b"".join(pieces)
    finally:
        client.writer.transport.abort()
        await asyncio.sleep(0)
