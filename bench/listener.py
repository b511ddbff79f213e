"""A client that holds many streams open and notes how late each event comes.

Run it: `python -m bench.listener PORT PROVIDER STREAMS SECONDS`. It opens the streams little by little, says
`{"open", "failed"}` once each has begun or failed, listens for so many seconds, and says what it heard. A stream
fails when it is not answered 200, when it ends, or when it falls silent.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from array import array
from typing import NamedTuple, cast

from bench.answer import STAMPED
from bench.ask import render_chat
from bench.call import encode_ask

# 20 streams every 10 ms: their events then lie spread over the second instead of coming all at once.
_BATCH = 20
_BATCH_GAP_S = 0.01
_BEGIN_LIMIT_S = 60.0


class Heard(NamedTuple):
    """Lateness is from the upstream's write to the client's read."""

    streams: int
    failed: int
    events: int
    median_ms: float
    p99_ms: float
    worst_ms: float


class Stream(asyncio.Protocol):
    """`begun` is done with the first bytes: true where they are an answer of 200."""

    def __init__(self, request: bytes, begun: asyncio.Future[bool]) -> None:
        self._request = request
        self.begun = begun
        self.lost = False
        self.late_s = array("d")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        now_s = time.monotonic()
        if not self.begun.done():
            self.begun.set_result(data.startswith(b"HTTP/1.1 200"))
        for stamp in STAMPED.findall(data):
            self.late_s.append(now_s - float(stamp))

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if not self.begun.done():
            self.begun.set_result(False)

    def is_open(self) -> bool:
        return self.begun.done() and self.begun.result() and not self.lost


async def listen(port: int, provider: str, count: int, seconds: float) -> None:
    streams = await open_streams(port, encode_ask(render_chat(provider, True)), count)
    opened = sum(stream.is_open() for stream in streams)
    print(json.dumps({"open": opened, "failed": count - opened}), flush=True)
    for stream in streams:
        del stream.late_s[:]
    await asyncio.sleep(seconds)
    expected = int(seconds) - 1
    failed = sum(not stream.is_open() or len(stream.late_s) < expected for stream in streams)
    print(json.dumps(summarise([stream.late_s for stream in streams], failed)._asdict()), flush=True)


async def open_streams(port: int, request: bytes, count: int) -> list[Stream]:
    """Returns once each has begun or failed, or the time for that is over."""
    loop = asyncio.get_running_loop()
    streams = [Stream(request, loop.create_future()) for _ in range(count)]
    for first in range(0, count, _BATCH):
        await asyncio.gather(*(_open(port, stream) for stream in streams[first : first + _BATCH]))
        await asyncio.sleep(_BATCH_GAP_S)
    await asyncio.wait([stream.begun for stream in streams], timeout=_BEGIN_LIMIT_S)
    return streams


async def _open(port: int, stream: Stream) -> None:
    try:
        await asyncio.get_running_loop().create_connection(lambda: stream, "127.0.0.1", port)
    except OSError as error:
        stream.connection_lost(error)


def summarise(late_s: list[array[float]], failed: int) -> Heard:
    """Of all streams' events together. Where none came, every figure of lateness is infinite."""
    late_ms = sorted(each * 1e3 for stream in late_s for each in stream) or [float("inf")]
    events = sum(map(len, late_s))
    return Heard(len(late_s), failed, events, pick_quantile(late_ms, 0.5), pick_quantile(late_ms, 0.99), late_ms[-1])


def pick_quantile(ordered: list[float], part: float) -> float:
    """The smallest value that at least `part` of the values do not exceed."""
    return ordered[max(0, -int(-part * len(ordered) // 1) - 1)]


if __name__ == "__main__":
    import uvloop

    uvloop.run(listen(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
