"""One request after another on one connection, each timed: a bare socket, so that the caller adds little of its own."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from bench.ask import Ask
from bench.process import Served, read_queued_s

HEALTH = b"GET /health HTTP/1.1\r\nhost: bench\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TIMEOUT_S = 30.0


def encode_ask(ask: Ask) -> bytes:
    body = ask.body.encode()
    head = f"POST {ask.path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
    return b"%bcontent-length: %d\r\n\r\n%b" % (head.encode(), len(body), body)


def time_calls(port: int, request: bytes, count: int) -> list[float]:
    """Seconds from sending `request` to the end of its answer, `count` times."""
    with socket.create_connection(("127.0.0.1", port), _TIMEOUT_S) as connection:
        return [_time_call(connection, request) for _ in range(count)]


class Wait(NamedTuple):
    """How long a call took on the clock, and how much of that caller and server waited for a core."""

    wall_s: float
    queued_s: float


@contextmanager
def calling(served: Served, request: bytes) -> Iterator[list[Wait]]:
    """Call without a pause in a thread of its own while the context lasts; the list grows."""
    waits: list[Wait] = []
    done = threading.Event()

    def call() -> None:
        with socket.create_connection(("127.0.0.1", served.port), _TIMEOUT_S) as connection:
            while not done.is_set():
                queued_s = read_queued_s(served.pid) + read_queued_s("thread-self")
                wall_s = _time_call(connection, request)
                queued_s = read_queued_s(served.pid) + read_queued_s("thread-self") - queued_s
                waits.append(Wait(wall_s, queued_s))

    thread = threading.Thread(target=call)
    thread.start()
    try:
        yield waits
    finally:
        done.set()
        thread.join()


def _time_call(connection: socket.socket, request: bytes) -> float:
    began = time.perf_counter()
    connection.sendall(request)
    answer = b""
    while not is_whole(answer):
        data = connection.recv(65536)
        if not data:
            raise RuntimeError(f"an answer broke off after {len(answer)} bytes")
        answer += data
    ended = time.perf_counter()
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"a call was answered {answer[:300]!r}")
    return ended - began


def is_whole(answer: bytes) -> bool:
    """Whether head and body of an answer with `content-length` are all there."""
    end = answer.find(b"\r\n\r\n")
    length = _LENGTH.search(answer, 0, end) if end >= 0 else None
    return length is not None and len(answer) >= end + 4 + int(length[1])
