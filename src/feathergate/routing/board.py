"""What all workers of one machine know of the deployments: a board of rows in memory that they share.

Made once, before workers are forked, and kept over reloads. A row is found by its deployment's id, hashed, near the
place that the hash names; only claiming a new one is locked. Numbers are read and written without a lock, in cells of
8 bytes: an update may be lost to another worker's, a cell is never torn. Where there is no room, a row is private to
the worker that asked: it knows less, and nothing fails. What the cells mean is their owner's affair (`health.py`),
and so is the region of the affinity table (`affinity.py`). Pages that nobody touches cost no memory.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from typing import Final

ROWS: Final = 4096
CELL_BYTES: Final = 8
ROW_CELLS: Final = 8
"""The owner's key, the time of the last touch, and six for the owner: one line of a processor's cache."""
ROW_BYTES: Final = ROW_CELLS * CELL_BYTES
AFFINITY_BYTES: Final = 1 << 20

REACH: Final = 32
"""How many rows from the place of its hash on may be a deployment's."""

REUSE_AFTER_S: Final = 1200.0
"""A row untouched for so long is free for another deployment: longer than any cooldown that it could hold."""


class Row:
    """One deployment's cells, `ROW_CELLS - 2` floats, 0.0 at first: in the board, or private once it lost its row."""

    __slots__ = ("_key", "_owner", "_touched", "cells")

    def __init__(self, key: int, place: memoryview) -> None:
        self._key = key
        self._settle(place)

    def hold(self, now: float) -> memoryview[float]:
        """The cells, once more marked as in use. Another deployment may have got the row of one that was idle for
        long: then this one goes on with a private row."""
        if self._owner[0] != self._key:
            self._settle(_build_private(self._key))
        self._touched[0] = now
        return self.cells

    def _settle(self, place: memoryview) -> None:
        self._owner: memoryview[int] = place[:CELL_BYTES].cast("Q")
        self._touched: memoryview[float] = place[CELL_BYTES : 2 * CELL_BYTES].cast("d")
        self.cells: memoryview[float] = place[2 * CELL_BYTES :].cast("d")


class Board:
    """`affinity` is the region of the affinity table, `AFFINITY_BYTES` of zeros at first. `clock` gives the seconds of
    the monotonic clock, which is the same for all processes of a machine."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        shared = mmap.mmap(-1, ROWS * ROW_BYTES + AFFINITY_BYTES)
        memory = memoryview(shared)
        self.affinity = memory[ROWS * ROW_BYTES :]
        self._rows = memory[: ROWS * ROW_BYTES]
        self._keys: memoryview[int] = self._rows.cast("Q")
        self._touched: memoryview[float] = self._rows.cast("d")
        self._clock = clock
        self._lock = _open_lock()
        if self._lock is not None:
            weakref.finalize(shared, os.close, self._lock)

    def find_row(self, deployment_id: str) -> Row:
        """The same row for the same id in every worker, before a fork, after it and after a reload."""
        key = _hash_id(deployment_id)
        slots = [(key + step) % ROWS for step in range(REACH)]
        slot = self._find(slots, key)
        if slot is None:
            with self._locked():
                slot = self._claim(slots, key)
        row = Row(key, _build_private(key) if slot is None else self._place(slot))
        row.hold(self._clock())
        return row

    def _find(self, slots: list[int], key: int) -> int | None:
        return next((slot for slot in slots if self._keys[slot * ROW_CELLS] == key), None)

    def _claim(self, slots: list[int], key: int) -> int | None:
        """The row that a worker has claimed meanwhile, else the one untouched for longest (a free one never was)."""
        slot = self._find(slots, key)
        if slot is not None:
            return slot
        slot = min(slots, key=self._last_touch)
        now = self._clock()
        if self._keys[slot * ROW_CELLS] and now - self._last_touch(slot) < REUSE_AFTER_S:
            return None
        self._place(slot)[:] = bytes(ROW_BYTES)
        self._touched[slot * ROW_CELLS + 1] = now
        self._keys[slot * ROW_CELLS] = key
        return slot

    def _last_touch(self, slot: int) -> float:
        return self._touched[slot * ROW_CELLS + 1]

    def _place(self, slot: int) -> memoryview:
        return self._rows[slot * ROW_BYTES : (slot + 1) * ROW_BYTES]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Held for microseconds. Without it (no file to lock) two workers may claim one row at once: one of them finds
        out in `Row.hold`, and goes on alone."""
        if self._lock is None:
            yield
            return
        with suppress(OSError):
            fcntl.lockf(self._lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            with suppress(OSError):
                fcntl.lockf(self._lock, fcntl.LOCK_UN)


def _hash_id(deployment_id: str) -> int:
    """64 bits, never 0: that is the key of a free row. Not `hash`, which differs from process to process."""
    digest = blake2b(deployment_id.encode("utf-8", "surrogatepass"), digest_size=CELL_BYTES).digest()
    return int.from_bytes(digest, "little") or 1


def _build_private(key: int) -> memoryview:
    place = memoryview(bytearray(ROW_BYTES))
    place[:CELL_BYTES] = key.to_bytes(CELL_BYTES, sys.byteorder)
    return place


def _open_lock() -> int | None:
    """A descriptor of a file that only this process and its children know; None where none can be had."""
    try:
        if sys.platform == "linux":
            lock = os.memfd_create("feathergate-board")
        else:
            import tempfile  # dear, and not needed on Linux

            with tempfile.TemporaryFile() as file:
                lock = os.dup(file.fileno())
    except OSError:
        return None
    return lock
