"""What watches over every fault does see what it is there for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.faults.fault_proxy import (
    FaultProxy,
    Toxic,
    bandwidth,
    latency,
    limit_data,
    reset_peer,
    slicer,
    slow_close,
    timeout,
)
from tests.faults.invariants import KEY, Records, check_answer, check_records, find_tasks, neighbouring
from tests.raw_client import Seen, echo, serve
from tests.scripted_upstream import FIN, ScriptedUpstream

from feathergate.http import server

ANSWER = Seen(200, {b"x-request-id": b"1", b"content-type": b"application/json"}, b"{}")
GOOD = {"event": "request", "request_id": "1", "status": 200}
BROKEN_EVENT = b'data: {"error":{"type":"feathergate_error"}}\n\n'


def keep(folder: Path, *lines: Any) -> Records:
    file = folder / "records"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    records = Records(SimpleNamespace(close=lambda: None), file)  # type: ignore[arg-type]
    records.end()
    return records


WRONG_RECORDS: dict[str, list[Any]] = {
    "twice": [GOOD, GOOD],
    "of another status": [GOOD | {"status": 502, "error": "reset"}],
    "without the class of its fault": [GOOD, GOOD | {"request_id": "2", "status": 502}],
    "with a key": [GOOD | {"provider": KEY}],
    "with words of the prompt": [GOOD | {"detail": "nonce-7f"}],
}


@pytest.mark.parametrize("fault", WRONG_RECORDS)
def test_wrong_record_is_noticed(fault: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        check_records(keep(tmp_path, *WRONG_RECORDS[fault]), [ANSWER])


def test_missing_record_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        check_records(keep(tmp_path, GOOD | {"request_id": "2"}), [ANSWER])


WRONG_ANSWERS = {
    "a key": ANSWER._replace(body=KEY.encode()),
    "a trace": ANSWER._replace(body=b"Traceback (most recent call last)"),
    "an error of another shape": ANSWER._replace(status=502, body=b'{"error":{"message":"no"}}'),
    "an end after the error": ANSWER._replace(body=BROKEN_EVENT + b"data: [DONE]\n\n"),
    "two errors": ANSWER._replace(body=BROKEN_EVENT * 2),
}


@pytest.mark.parametrize("fault", WRONG_ANSWERS)
def test_wrong_answer_is_noticed(fault: str) -> None:
    with pytest.raises(AssertionError):
        check_answer(WRONG_ANSWERS[fault])


async def test_neighbour_that_gets_no_answer_of_its_own_is_noticed() -> None:
    async with serve(echo) as serving:
        with pytest.raises((AssertionError, ValueError, TypeError)):
            async with neighbouring(serving.address[1]):
                await asyncio.sleep(0.1)


async def test_task_of_the_gateway_is_noticed() -> None:
    task = asyncio.ensure_future(server._bind("127.0.0.1", 0))
    assert len(find_tasks()) == 1
    (await task).close()
    assert find_tasks() == []


# --- the proxy ------------------------------------------------------------------------------------------------------

DATA = bytes(range(256)) * 40


async def pass_through(toxic: Toxic) -> tuple[bytes, float, bool, int]:
    """What came of `DATA`, in how many seconds, whether it ended in a reset, and in how many pieces it came."""
    loop = asyncio.get_running_loop()
    async with ScriptedUpstream((DATA, FIN)) as upstream, FaultProxy(upstream.port, downstream=(toxic,)) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        began, data, pieces, was_reset = loop.time(), b"", 0, False
        try:
            while piece := await reader.read(65536):
                data, pieces = data + piece, pieces + 1
        except ConnectionResetError:
            was_reset = True
        writer.transport.abort()
        return data, loop.time() - began, was_reset, pieces


TOXICS: dict[str, tuple[Toxic, Callable[[bytes, float, bool, int], bool]]] = {
    "latency": (latency(0.1), lambda data, took_s, was_reset, pieces: data == DATA and took_s >= 0.1),
    "bandwidth": (bandwidth(100_000), lambda data, took_s, was_reset, pieces: data == DATA and took_s >= 0.1),
    "slow_close": (slow_close(0.1), lambda data, took_s, was_reset, pieces: data == DATA and took_s >= 0.1),
    "timeout": (timeout(0.1), lambda data, took_s, was_reset, pieces: data == b"" and took_s >= 0.1 and not was_reset),
    "slicer": (slicer(1000, 0.01), lambda data, took_s, was_reset, pieces: data == DATA and pieces >= 10),
    "limit_data": (limit_data(700), lambda data, took_s, was_reset, pieces: data == DATA[:700]),
}


@pytest.mark.parametrize("name", TOXICS)
async def test_toxic_does_what_its_name_says(name: str) -> None:
    toxic, is_right = TOXICS[name]
    assert is_right(*await pass_through(toxic))


async def test_reset_peer_resets() -> None:
    async with ScriptedUpstream((b"x",)) as upstream, FaultProxy(upstream.port, downstream=(reset_peer(0.1),)) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        assert await reader.read(1) == b"x"
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        writer.transport.abort()
