"""What the workers of one gateway know of each other: a row of numbers in memory that all of them share.

Each slot is written by its own worker (and for a moment, in a roll, by two). Nothing is locked: a number that is
out of date leads to a share that is not quite even, and is mended the next time that a client connects.
"""

from __future__ import annotations

import mmap
from typing import NamedTuple

_NUMBER_BYTES = 8
_ABSENT = -1


class Loads:
    """How many connections each worker holds, a number a slot; made before the workers are forked."""

    def __init__(self, slots: int) -> None:
        self._numbers = memoryview(mmap.mmap(-1, slots * _NUMBER_BYTES)).cast("q")
        for slot in range(slots):
            self.clear(slot)

    @property
    def slots(self) -> int:
        return len(self._numbers)

    def publish(self, slot: int, connections: int) -> None:
        self._numbers[slot] = connections

    def clear(self, slot: int) -> None:
        """Nobody serves in this slot."""
        self._numbers[slot] = _ABSENT

    def average(self) -> float:
        """Connections a worker, over those that serve."""
        present = [number for number in self._numbers if number != _ABSENT]
        return sum(present) / len(present) if present else 0.0


class Share(NamedTuple):
    """A worker's place among the others."""

    loads: Loads
    slot: int
