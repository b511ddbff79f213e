"""The board: one row a deployment for all workers, and never a failure where there is no room."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from functools import partial

import pytest

from feathergate.routing.board import AFFINITY_BYTES, REUSE_AFTER_S, ROWS, Board
from feathergate.routing.health import Health, HealthSettings

NAMES = [f"deployment-{number}" for number in range(ROWS * 3)]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def fork(work: Callable[[], None]) -> int:
    """The process that does `work`."""
    process = os.fork()
    if process == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return process


def join(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def test_row_is_found_again_with_what_it_holds() -> None:
    board = Board()
    board.find_row("a").cells[0] = 1.5
    board.find_row("b").cells[0] = 2.5
    assert (board.find_row("a").cells[0], board.find_row("b").cells[0]) == (1.5, 2.5)


def test_new_row_holds_zeros() -> None:
    assert Board().find_row("a").cells.tolist() == [0.0] * 6


@pytest.mark.parametrize("name", ["", "\ud800", "x" * 100_000, "名前"])
def test_any_id_has_a_row(name: str) -> None:
    board = Board()
    board.find_row(name).cells[5] = 1.0
    assert board.find_row(name).cells[5] == 1.0


def test_rows_of_many_deployments_are_their_own() -> None:
    board = Board()
    rows = [board.find_row(name) for name in NAMES[: ROWS // 2]]
    for number, row in enumerate(rows):
        row.cells[0] = number
    assert [board.find_row(name).cells[0] for name in NAMES[: ROWS // 2]] == list(range(ROWS // 2))


def test_full_board_gives_private_rows() -> None:
    board = Board(Clock())
    rows = [board.find_row(name) for name in NAMES]
    for number, row in enumerate(rows, 1):
        row.cells[0] = number
    assert [row.hold(1001.0)[0] for row in rows] == list(range(1, len(NAMES) + 1))
    shared = sum(board.find_row(name).cells[0] == number for number, name in enumerate(NAMES, 1))
    assert ROWS * 0.9 < shared <= ROWS


def test_full_board_reuses_rows_untouched_for_long() -> None:
    clock = Clock()
    board = Board(clock)
    for name in NAMES:
        board.find_row(name).cells[0] = 1.0
    clock.now += REUSE_AFTER_S
    fresh = board.find_row("fresh")
    assert fresh.cells[0] == 0.0
    fresh.cells[0] = 2.0
    assert board.find_row("fresh").cells[0] == 2.0


def test_row_in_use_is_not_reused() -> None:
    clock = Clock()
    board = Board(clock)
    rows = [board.find_row(name) for name in NAMES[: ROWS // 2]]
    clock.now += REUSE_AFTER_S
    for row in rows:
        row.hold(clock.now)[0] = 1.0
    for name in NAMES[ROWS // 2 :]:
        board.find_row(name).cells[0] = 2.0
    assert {board.find_row(name).cells[0] for name in NAMES[: ROWS // 2]} == {1.0}


def test_row_lost_to_another_goes_on_alone() -> None:
    clock = Clock()
    board = Board(clock)
    row = board.find_row("idle")
    row.cells[0] = 1.0
    clock.now += REUSE_AFTER_S
    for name in NAMES:
        board.find_row(name).cells[0] = 2.0
    assert row.hold(clock.now)[0] == 0.0
    row.cells[0] = 3.0
    assert row.hold(clock.now)[0] == 3.0
    assert 3.0 not in {board.find_row(name).cells[0] for name in NAMES}


def test_affinity_region_is_apart_from_the_rows() -> None:
    board = Board()
    board.find_row("a").cells[0] = 1.0
    assert len(board.affinity) == AFFINITY_BYTES
    assert not any(board.affinity)
    board.affinity[:] = b"\xff" * AFFINITY_BYTES
    assert board.find_row("a").cells[0] == 1.0
    assert board.find_row("b").cells[0] == 0.0


def test_board_closes_its_descriptor() -> None:
    before = len(os.listdir("/proc/self/fd"))
    board = Board()
    del board
    assert len(os.listdir("/proc/self/fd")) == before


def test_board_without_a_lock_shares_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> int:
        raise OSError("no descriptor left")

    monkeypatch.setattr(os, "memfd_create", refuse)
    board = Board()
    board.find_row("a").cells[0] = 1.0
    assert board.find_row("a").cells[0] == 1.0


def test_board_whose_lock_fails_shares_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError("no locks left")

    board = Board()
    monkeypatch.setattr(fcntl, "lockf", refuse)
    board.find_row("a").cells[0] = 1.0
    assert board.find_row("a").cells[0] == 1.0


# A test run with threads is warned of forks from Python 3.12 on; the children here touch nothing that a thread holds.
forks = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@forks
def test_workers_that_claim_at_once_get_the_same_rows() -> None:
    board = Board()

    def claim(cell: int, names: list[str]) -> None:
        board.affinity[cell] = 1
        latest = time.monotonic() + 2
        while not all(board.affinity[:2]) and time.monotonic() < latest:
            pass
        for name in names:
            board.find_row(name).cells[cell] = 1.0

    names = NAMES[:1000]
    processes = [fork(partial(claim, 0, names)), fork(partial(claim, 1, names))]
    assert [join(process) for process in processes] == [0, 0]
    assert {tuple(board.find_row(name).cells[:2].tolist()) for name in names} == {(1.0, 1.0)}


@forks
def test_worker_knows_what_another_has_learnt() -> None:
    board = Board()

    def fail() -> None:
        Health(board.find_row("a"), HealthSettings()).note_failure(1000.0, "auth", None, False)

    def probe() -> None:
        assert Health(board.find_row("a"), HealthSettings()).take_probe(1006.0, 1030.0)

    health = Health(board.find_row("a"), HealthSettings())
    assert join(fork(fail)) == 0
    assert health.admits(1001.0).cools_until == 1005.0
    assert join(fork(probe)) == 0
    assert not health.take_probe(1007.0, 1030.0)
    assert health.take_probe(1031.0, 1060.0)
