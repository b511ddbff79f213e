"""The log on stderr: it says everything where it can, and never waits."""

from __future__ import annotations

import logging
import os
import select
from collections.abc import Iterator

import pytest

from feathergate.cli import log


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    monkeypatch.setattr(log, "_STDERR", writer)
    yield reader, writer
    for end in (reader, writer):
        try:
            os.close(end)
        except OSError:
            continue


def emit(text: str) -> None:
    log.StderrHandler().handle(logging.LogRecord("a", logging.INFO, "", 0, text, (), None))


def test_line_is_written_whole(pipe: tuple[int, int]) -> None:
    emit("naïve \ud800" + "x" * 10_000)
    assert os.read(pipe[0], 65536).decode() == "naïve \\ud800" + "x" * 10_000 + "\n"


def test_full_pipe_costs_the_line_and_no_time(pipe: tuple[int, int]) -> None:
    while select.select((), (pipe[1],), (), 0)[1]:
        os.write(pipe[1], b"x" * select.PIPE_BUF)
    emit("lost")
    assert b"lost" not in os.read(pipe[0], 1 << 20)


def test_closed_stderr_is_no_failure(pipe: tuple[int, int]) -> None:
    os.close(pipe[0])
    emit("lost")
