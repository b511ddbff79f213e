"""How workers know each other's counts: each keeps one snapshot file in a folder that the supervisor has made.

A snapshot is replaced whole, so a reader finds the one before or the one after. Each worker that ever lived has a
file of its own, never two, and it stays: what a dead worker has counted is counted once, and what it held open is
put to zero by the supervisor, which has a file too. The folder's path travels in the environment from the supervisor
to its workers. It does not know when to write (`server/process.py`), nor what a snapshot holds (`condition.py`).
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from feathergate.observe.condition import Told, decode_told, encode_told

FOLDER_VARIABLE = "FEATHERGATE_METRICS_FOLDER"

_log = logging.getLogger("feathergate.metrics")

_SUFFIX = ".json"


class Snapshots:
    """One worker's own, which it writes, and the others', which it reads. Not thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # The id alone may be given again to a worker that comes after this one.
        self._file = folder / f"{os.getpid()}-{time.time_ns()}{_SUFFIX}"
        self._failing = False

    def write(self, snapshot: bytes) -> None:
        """For the others to read. Where that fails it is logged, once until it works again."""
        try:
            _replace(self._file, snapshot)
            self._failing = False
        except OSError as error:
            if not self._failing:
                _log.warning(
                    "the other workers' /metrics lack what this one counts: its file cannot be written (%s); "
                    "see to the disk, or set TMPDIR to a folder with room and restart",
                    error.strerror,
                )
            self._failing = True

    def read_others(self) -> Iterator[Told]:
        for file in self._folder.glob(f"*{_SUFFIX}"):
            told = self._read(file) if file != self._file else None
            if told is not None:
                yield told

    def _read(self, file: Path) -> Told | None:
        """Nothing where it cannot be read: a scrape that lacks one worker is worth more than none."""
        try:
            return decode_told(file.read_bytes())
        except FileNotFoundError:  # something that clears away old files has been here
            return None
        except (OSError, msgspec.DecodeError) as error:
            _log.warning("/metrics lacks what %s holds: it cannot be read (%s)", file.name, error)
            return None


def open_snapshots(environ: Mapping[str, str]) -> Snapshots | None:
    """A new worker's, or None where it is the only one."""
    folder = environ.get(FOLDER_VARIABLE)
    return Snapshots(Path(folder)) if folder else None


def forget_worker(environ: Mapping[str, str], pid: int) -> None:
    """Take what held only while a dead worker lived out of the gauges; its counts stay. For the supervisor."""
    for file in Path(environ[FOLDER_VARIABLE]).glob(f"{pid}-*{_SUFFIX}"):
        try:
            told = decode_told(file.read_bytes())
            for one in told.series:
                one.open_streams = 0
            told.condition.end()
            _replace(file, encode_told(told))
        except (OSError, msgspec.DecodeError) as error:
            _log.warning("feathergate_streams_open still counts those of dead worker %d (%s)", pid, error)


def _replace(file: Path, data: bytes) -> None:
    """Raises `OSError`; `file` is then as it was."""
    fresh = file.with_suffix(".new")
    fresh.write_bytes(data)
    fresh.replace(file)
