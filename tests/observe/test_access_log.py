"""The access log: what a line says and never says, and that no output, however sick, holds up the gateway."""

from __future__ import annotations

import fcntl
import itertools
import os
import pty
import select
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from feathergate.observe import access_log
from feathergate.observe.access_log import GATHER_S, LINE_LIMIT_BYTES, AccessLog, build_line, render_json, render_text
from feathergate.observe.outcome import Outcome
from feathergate.wire.chat import Usage

NOON = 1_700_049_600.25
HOSTILE = "a\x00\r\n\x1b[31m\x7f\x9b\u2028\u202e\ud800é"


def build_outcome(**fields: Any) -> Outcome:
    known = {
        "ended": 2.5,
        "model": "fast",
        "provider": "openai",
        "served_model": "gpt-5-mini",
        "status": 200,
        "attempts": 1,
    }
    outcome = Outcome("fg_1", 1.0)
    for name, value in {**known, **fields}.items():
        setattr(outcome, name, value)
    return outcome


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            pass


def record_writes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of what is written from now on."""
    sizes: list[int] = []
    write = os.write

    def record(fd: int, data: bytes) -> int:
        sizes.append(len(data))
        return write(fd, data)

    monkeypatch.setattr(os, "write", record)
    return sizes


def read_lines(fd: int) -> list[dict[str, Any]]:
    """What has been written so far."""
    os.set_blocking(fd, False)
    data = bytearray()
    try:
        while piece := os.read(fd, 1 << 20):
            data += piece
    except BlockingIOError:
        pass
    return [msgspec.json.decode(line) for line in data.splitlines() if line]


def wait_for_lines(fd: int, count: int) -> list[dict[str, Any]]:
    """Read until `count` lines have come or been reported lost."""
    lines: list[dict[str, Any]] = []
    end = time.monotonic() + 5
    while sum(int(line.get("lines", 1)) for line in lines) < count:
        assert time.monotonic() < end, f"only {len(lines)} lines came"
        time.sleep(0.005)
        lines += read_lines(fd)
    return lines


# --- a line -----------------------------------------------------------------------------------------------------


def test_json_line_holds_the_outcome() -> None:
    outcome = build_outcome(
        stream=True, first_content=1.31, usage=Usage(812, 96, 908), dropped=("seed",), client_request_id="c-9"
    )
    assert msgspec.json.decode(render_json(build_line(outcome, NOON))) == {
        "event": "request",
        "time": "2023-11-15T12:00:00.250000Z",
        "status": 200,
        "duration_ms": 1500.0,
        "request_id": "fg_1",
        "model": "fast",
        "provider": "openai",
        "served_model": "gpt-5-mini",
        "stream": True,
        "first_content_ms": 310.0,
        "prompt_tokens": 812,
        "completion_tokens": 96,
        "attempts": 1,
        "dropped": ["seed"],
        "client_request_id": "c-9",
    }


def test_text_line_is_short() -> None:
    outcome = build_outcome(first_content=1.31, usage=Usage(812, 96, 908), attempts=2, status=502, error="reset")
    clock = time.strftime("%H:%M:%S", time.localtime(NOON))
    assert render_text(build_line(outcome, NOON)).decode() == (
        f"{clock}  502  fast → openai/gpt-5-mini  1.5 s  first 310 ms  812/96 tok  2 attempts  reset  fg_1\n"
    )


@pytest.mark.parametrize("render", [render_json, render_text])
@pytest.mark.parametrize("error", ["client", "status", "rate_limit", "auth", "protocol", "gateway", ""])
def test_detail_that_may_quote_a_prompt_is_never_written(render: Callable[[Any], bytes], error: str) -> None:
    outcome = build_outcome(status=400, error=error, detail="You said: SECRET")
    assert b"SECRET" not in render(build_line(outcome, NOON))


@pytest.mark.parametrize("render", [render_json, render_text])
def test_detail_of_our_own_making_is_written(render: Callable[[Any], bytes]) -> None:
    outcome = build_outcome(status=502, error="connect", detail="connection refused")
    assert b"connection refused" in render(build_line(outcome, NOON))


@pytest.mark.parametrize("render", [render_json, render_text])
def test_hostile_names_cannot_steer_a_terminal(render: Callable[[Any], bytes]) -> None:
    line = render(build_line(build_outcome(model=HOSTILE, client_request_id=HOSTILE), NOON)).decode()
    assert line.endswith("\n")
    assert [c for c in line[:-1] if ord(c) < 32 or 0x7F <= ord(c) <= 0x9F or c in "\u2028\u202e"] == []
    assert "é" in line


@pytest.mark.parametrize("render", [render_json, render_text])
@pytest.mark.parametrize("name", ["x" * 100_000, "\x00" * 5000, "🎈" * 5000, "\ud800" * 5000])
def test_line_is_bounded_whatever_the_names(render: Callable[[Any], bytes], name: str) -> None:
    outcome = build_outcome(
        model=name, provider=name, served_model=name, client_request_id=name, request_id=name, dropped=(name,) * 99,
        error="reset", detail=name,
    )  # fmt: skip
    assert len(render(build_line(outcome, NOON))) <= LINE_LIMIT_BYTES


@pytest.mark.parametrize("render", [render_json, render_text])
def test_line_is_bounded_whatever_the_numbers(render: Callable[[Any], bytes]) -> None:
    outcome = build_outcome(usage=Usage(10**4299, 10**4300, 0))
    assert len(render(build_line(outcome, NOON))) <= LINE_LIMIT_BYTES


# --- the output -------------------------------------------------------------------------------------------------


def test_lines_arrive_in_order_and_close_writes_the_last(pipe: tuple[int, int]) -> None:
    log = AccessLog(pipe[1])
    for number in range(100):
        log.write(build_outcome(request_id=f"fg_{number}"), NOON)
    log.close()
    assert [line["request_id"] for line in read_lines(pipe[0])] == [f"fg_{number}" for number in range(100)]


def test_lines_flow_without_a_close(pipe: tuple[int, int]) -> None:
    log = AccessLog(pipe[1])
    for number in range(2):
        log.write(build_outcome(request_id=f"fg_{number}"), NOON)
        assert msgspec.json.decode(os.read(pipe[0], 4096))["request_id"] == f"fg_{number}"
    log.close()


def test_file_gets_what_has_gathered_in_one_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = record_writes(monkeypatch)
    with (tmp_path / "log").open("wb") as file:
        log = AccessLog(file.fileno())
        for _ in range(200):
            log.write(build_outcome(), NOON)
        log.close()
    assert len(sizes) <= 2
    assert (tmp_path / "log").read_bytes().count(b"\n") == 200


def test_pipe_gets_no_more_than_it_takes_in_one_piece(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = record_writes(monkeypatch)
    log = AccessLog(pipe[1])
    for _ in range(100):
        log.write(build_outcome(), NOON)
    log.close()
    assert select.PIPE_BUF // 2 < max(sizes) <= select.PIPE_BUF


def test_thread_wakes_fifty_times_a_second_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = record_writes(monkeypatch)
    with (tmp_path / "log").open("wb") as file:
        log = AccessLog(file.fileno())
        started = time.monotonic()
        while time.monotonic() < started + 0.2:
            log.write(build_outcome(), NOON)
            time.sleep(0.001)
        assert 2 <= len(sizes) <= (time.monotonic() - started) / GATHER_S
        log.close()


def test_close_of_an_idle_log_does_not_wait(pipe: tuple[int, int]) -> None:
    for _ in range(20):
        log = AccessLog(pipe[1])
        started = time.monotonic()
        log.close()
        assert time.monotonic() - started < 0.5


def test_close_waits_a_while_for_a_full_pipe_that_does_not_block(pipe: tuple[int, int]) -> None:
    fcntl.fcntl(pipe[1], fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(pipe[1], False)
    log = AccessLog(pipe[1])
    for _ in range(30):
        log.write(build_outcome(), NOON)
    closing = threading.Thread(target=log.close)
    closing.start()
    time.sleep(0.05)
    wait_for_lines(pipe[0], 30)
    closing.join()


def test_terminal_gets_text() -> None:
    ours, theirs = pty.openpty()
    log = AccessLog(theirs)
    log.write(build_outcome(), NOON)
    log.close()
    assert b"  200  fast " in os.read(ours, 4096)
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize("blocking", [True, False])
def test_blocked_pipe_costs_lines_and_no_time(
    pipe: tuple[int, int], blocking: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_log, "QUEUE_LIMIT_LINES", 50)
    fcntl.fcntl(pipe[1], fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(pipe[1], blocking)
    log = AccessLog(pipe[1])
    started = time.monotonic()
    for number in range(1000):
        log.write(build_outcome(request_id=f"fg_{number}"), NOON)
    assert time.monotonic() - started < 1
    lines = wait_for_lines(pipe[0], 1000)
    log.close()
    assert any(line["event"] == "access_log_lost" for line in lines)


def test_closed_pipe_kills_nothing(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "RETRY_S", 0.01)
    os.close(pipe[0])
    log = AccessLog(pipe[1])
    for _ in range(3):
        log.write(build_outcome(), NOON)
        time.sleep(0.03)
    assert log._writer.is_alive()
    log.close()


def test_losses_are_reported_once_it_flows_again(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "RETRY_S", 0.01)
    write, full, calls = os.write, threading.Event(), itertools.count()

    def write_to_disk(fd: int, data: bytes) -> int:
        """Takes ten bytes of the first batch, then nothing while `full`."""
        if fd == pipe[1] and full.is_set() and next(calls):
            raise OSError(28, "No space left on device")
        return write(fd, data[:10] if full.is_set() else data)

    full.set()
    monkeypatch.setattr(os, "write", write_to_disk)
    log = AccessLog(pipe[1])
    log.write(build_outcome(request_id="fg_lost"), NOON)
    time.sleep(0.1)
    full.clear()
    log.write(build_outcome(request_id="fg_kept"), NOON)
    log.close()
    rest = os.read(pipe[0], 4096).split(b"\n")
    assert rest[0] == b'{"event":"'
    assert [msgspec.json.decode(line).get("lines", "kept") for line in rest[1:-1]] == [1, "kept"]


def test_close_does_not_wait_for_a_blocked_pipe(pipe: tuple[int, int]) -> None:
    fcntl.fcntl(pipe[1], fcntl.F_SETPIPE_SZ, 4096)
    log = AccessLog(pipe[1])
    for _ in range(100):
        log.write(build_outcome(), NOON)
    started = time.monotonic()
    log.close(0.1)
    assert time.monotonic() - started < 1
    read_lines(pipe[0])
