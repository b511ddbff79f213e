"""No request has two readings for the gateway, alone and behind another server: S33, and what else a front does.

The HTTP room shows of each case that it is refused byte by byte too; here the whole gateway is asked.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from tests.e2e.scene import build_get
from tests.faults.acting import PIECES, ActingUpstream
from tests.faults.front import FRONTS, SERVER_TIMEOUT_S, find_program, running_front
from tests.faults.invariants import NEIGHBOUR, build_nonce_chat
from tests.faults.smuggling import EMBEDDED, HARMLESS_ONES, MATRIX, SMUGGLED, TAIL
from tests.raw_client import RawClient
from tests.running import Gateway, running_gateway

from feathergate.http.contract import Handler, Request, Responder
from feathergate.http.server import Server

LEAST_CASES = 120
WAIT_S = 0.15
LAST = build_get("/health", {"connection": "close"})
each_front = pytest.mark.parametrize("front", FRONTS)


@pytest.fixture
def paths(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of all requests that reach the gateway's handler."""
    seen: list[str] = []

    def watch(handler: Handler, *arguments: Any, **options: Any) -> Server:
        def handle(request: Request, responder: Responder) -> None:
            seen.append(request.path)
            handler(request, responder)

        return Server(handle, *arguments, **options)

    monkeypatch.setattr("tests.running.Server", watch)
    return seen


@asynccontextmanager
async def open_gateway(**settings: float) -> AsyncIterator[Gateway]:
    async with ActingUpstream() as upstream:
        params = {"model": "openai/m", "api_base": f"http://127.0.0.1:{upstream.port}", "api_key": "sk-x"}
        models = [{"model_name": NEIGHBOUR, "litellm_params": params}]
        async with running_gateway(json.dumps({"model_list": models, "server_settings": settings})) as gateway:
            yield gateway


async def say(port: int, data: bytes, wait_s: float) -> bytes:
    """All that comes back until the other end closes, or says nothing for `wait_s`."""
    client, said = RawClient(*await asyncio.open_connection("127.0.0.1", port)), b""
    client.send(data)
    try:
        while piece := await asyncio.wait_for(client.reader.read(65536), wait_s):
            said += piece
    except (TimeoutError, ConnectionError):
        pass
    finally:
        client.writer.transport.abort()
        await asyncio.sleep(0)
    return said


def read_statuses(said: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", said) if status != b"100"]


async def ask_as_victim(port: int, nonce: str) -> bool:
    """Whether another client gets its own answer."""
    said = await say(port, build_nonce_chat(NEIGHBOUR, nonce, headers={"connection": "close"}), 3.0)
    return read_statuses(said) == [200] and b"said %b" % nonce.encode() in said


def test_matrix_is_as_large_as_promised() -> None:
    assert len(MATRIX) >= LEAST_CASES


async def test_no_ambiguous_request_gets_a_second_answer(paths: list[str]) -> None:
    wrong = {}
    async with open_gateway() as gateway:
        for name, (status, attack) in MATRIX.items():
            statuses = read_statuses(await say(gateway.port, attack + TAIL, 2.0))
            if statuses != [status] or not await ask_as_victim(gateway.port, "7f"):
                wrong[name] = statuses
    assert wrong == {}
    assert SMUGGLED not in paths


@pytest.mark.parametrize("name", EMBEDDED)
async def test_request_within_a_body_stays_a_body(name: str, paths: list[str]) -> None:
    async with open_gateway() as gateway:
        statuses = read_statuses(await say(gateway.port, EMBEDDED[name] + LAST, 2.0))
    assert (len(statuses), statuses[-1], paths) == (2, 200, ["/x", "/health"])


@pytest.mark.faults
@each_front
async def test_nothing_is_smuggled_past_a_front(front: str, paths: list[str], figures: dict[str, Any]) -> None:
    program = find_program(front)
    if program is None:
        pytest.skip(f"{front} is not installed")
    data = {name: attack for name, (_, attack) in MATRIX.items()} | EMBEDDED | HARMLESS_ONES
    crossed, reached = [], 0
    async with open_gateway() as gateway, running_front(front, program, gateway.port) as port:
        for number, (name, attack) in enumerate(data.items()):
            before = len(paths)
            await say(port, attack + TAIL, WAIT_S)
            reached += len(paths) > before
            answered = [await ask_as_victim(port, f"{number:x}{victim}") for victim in range(3)]
            if not all(answered) or SMUGGLED in paths:
                crossed.append(name)
    figures[f"smuggling behind {front}"] = {"cases": len(data), "reached the gateway": reached, "crossed": crossed}
    assert crossed == []


@pytest.mark.faults
@each_front
async def test_silence_before_content_outlives_a_front(front: str) -> None:
    """C29: comments flow, so that a front that waits for two seconds at most stays."""
    program = find_program(front)
    if program is None:
        pytest.skip(f"{front} is not installed")
    settings = {"commit_limit_s": 0.5, "sse_keep_alive_s": 0.5}
    async with open_gateway(**settings) as gateway, running_front(front, program, gateway.port) as port:
        client, said = RawClient(*await asyncio.open_connection("127.0.0.1", port)), b""
        client.send(build_nonce_chat(NEIGHBOUR, "7f", deed="half_stall", stream=True))
        end = time.monotonic() + SERVER_TIMEOUT_S * 2
        while time.monotonic() < end:
            piece = await client.reader.read(65536)
            assert piece, "the front has given up"
            said += piece
        client.writer.transport.abort()
    assert said.count(b"\n\n") >= 4


@pytest.mark.faults
@each_front
async def test_pieces_pass_a_front_as_they_come(front: str) -> None:
    """C30: no front holds a stream back."""
    program = find_program(front)
    if program is None:
        pytest.skip(f"{front} is not installed")
    arrivals = []
    async with open_gateway() as gateway, running_front(front, program, gateway.port) as port:
        client = RawClient(*await asyncio.open_connection("127.0.0.1", port))
        client.send(build_nonce_chat(NEIGHBOUR, "7f", deed="flow", stream=True))
        await client.answer(head_only=True)
        while b"[DONE]" not in await client.reader.read(65536):
            arrivals.append(time.monotonic())
        client.writer.transport.abort()
    gaps = [after - before for before, after in pairwise(arrivals)]
    assert len(arrivals) >= PIECES
    assert max(gaps) < 0.1
