"""What a request waits for: a place or a pause, both of which end with its client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from feathergate.errors import DeadlineError, UnavailableError
from feathergate.gateway.failure import LeftError
from feathergate.gateway.waiting import pause, wait_for_place
from feathergate.routing.gate import Gate


class Client:
    """A `Responder`, as far as waiting goes."""

    def __init__(self) -> None:
        self.closed = False
        self.on_close: Callable[[], None] | None = None
        self.on_pause: Callable[[], None] | None = None
        self.on_resume: Callable[[], None] | None = None

    def leave(self) -> None:
        self.closed = True
        assert self.on_close is not None
        self.on_close()

    def respond(self, status: int, headers: bytes, body: bytes) -> None: ...
    def start(self, status: int, headers: bytes) -> None: ...
    def write(self, data: bytes) -> None: ...
    def end(self) -> None: ...
    def abort(self) -> None: ...


def wait(gate: Gate, client: Client, wait_s: float = 5.0) -> asyncio.Task[None]:
    return asyncio.create_task(wait_for_place(gate, client, asyncio.get_running_loop().time() + wait_s))


def build_full_gate() -> Gate:
    gate = Gate("a", 1)
    gate.enter()
    return gate


async def test_place_that_comes_free_is_taken() -> None:
    gate = build_full_gate()
    waiting = wait(gate, Client())
    await asyncio.sleep(0)
    gate.leave()
    await waiting
    assert gate.inside == 1


async def test_client_that_leaves_gives_its_wait_up_at_once() -> None:
    gate, client = build_full_gate(), Client()
    waiting = wait(gate, client)
    await asyncio.sleep(0)
    client.leave()
    with pytest.raises(LeftError):
        await waiting
    gate.leave()
    assert gate.inside == 0


@pytest.mark.parametrize("cancelled", [False, True])
async def test_client_that_leaves_as_it_gets_its_place_gives_it_back_once(cancelled: bool) -> None:
    gate, client = build_full_gate(), Client()
    waiting = wait(gate, client)
    await asyncio.sleep(0)
    gate.leave()
    client.leave()
    if cancelled:
        waiting.cancel()
    with pytest.raises(asyncio.CancelledError if cancelled else LeftError):
        await waiting
    assert gate.inside == 0


async def test_stop_as_a_place_comes_free_gives_it_back() -> None:
    gate = build_full_gate()
    waiting = wait(gate, Client())
    await asyncio.sleep(0)
    gate.leave()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert gate.inside == 0


async def test_wait_ends_with_the_request_s_time() -> None:
    gate = build_full_gate()
    with pytest.raises(DeadlineError):
        await wait(gate, Client(), 0.01)
    gate.leave()
    assert gate.inside == 0


async def test_wait_ends_with_the_gate_s_time() -> None:
    gate = build_full_gate()
    gate.timeout_s = 0.01
    with pytest.raises(UnavailableError):
        await wait(gate, Client())


async def test_client_that_has_left_takes_no_place() -> None:
    gate, client = Gate("a", 1), Client()
    client.closed = True
    with pytest.raises(LeftError):
        await wait(gate, client)
    assert gate.inside == 0


async def test_pause_ends_when_the_client_leaves() -> None:
    client = Client()
    pausing = asyncio.create_task(pause(client, 60.0))
    await asyncio.sleep(0)
    client.leave()
    with pytest.raises(LeftError):
        await pausing


async def test_pause_ends_in_time() -> None:
    client = Client()
    await pause(client, 0.01)
    assert client.on_close is None
