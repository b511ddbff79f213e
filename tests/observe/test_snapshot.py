"""What workers leave for each other: every count once, whoever lives, dies, or bears a dead worker's number."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from feathergate.observe.condition import Condition, Told, decode_told, encode_told
from feathergate.observe.series import Series, merge_series
from feathergate.observe.snapshot import FOLDER_VARIABLE, Snapshots, forget_worker, open_snapshots


def build_series(**fields: Any) -> Series:
    return Series("fast", "openai", statuses={"200": 1}, **fields)


def open_in(folder: Path) -> Snapshots:
    snapshots = open_snapshots({FOLDER_VARIABLE: str(folder)})
    assert snapshots is not None
    return snapshots


def read_others(snapshots: Snapshots) -> list[Series]:
    return [series for told in snapshots.read_others() for series in told.series]


def test_worker_reads_all_but_its_own(tmp_path: Path) -> None:
    workers = [open_in(tmp_path) for _ in range(3)]
    for number, worker in enumerate(workers):
        worker.write(encode_told(Told([build_series(disconnects=number)])))
    assert sorted(series.disconnects for series in read_others(workers[1])) == [0, 2]


def test_snapshot_replaces_the_one_before(tmp_path: Path) -> None:
    writer, reader = open_in(tmp_path), open_in(tmp_path)
    for count in (1, 2):
        writer.write(encode_told(Told([build_series(disconnects=count)])))
    assert [series.disconnects for series in read_others(reader)] == [2]


def test_dead_workers_counts_stay_and_its_open_streams_go(tmp_path: Path) -> None:
    dead, reader = open_in(tmp_path), open_in(tmp_path)
    dead.write(encode_told(Told([build_series(disconnects=3, open_streams=5)])))
    for _ in range(2):
        forget_worker({FOLDER_VARIABLE: str(tmp_path)}, os.getpid())
    assert read_others(reader) == [build_series(disconnects=3)]


def test_dead_process_sheds_no_more_and_its_reloads_stay(tmp_path: Path) -> None:
    dead, reader = open_in(tmp_path), open_in(tmp_path)
    condition = Condition(reloads={"failure": 2}, reload_failing=1, configured_s=7.0, shedding={"memory": 1})
    dead.write(encode_told(Told([], condition)))
    forget_worker({FOLDER_VARIABLE: str(tmp_path)}, os.getpid())
    assert list(reader.read_others()) == [Told([], Condition(reloads={"failure": 2}, configured_s=7.0))]


def test_another_workers_open_streams_stay(tmp_path: Path) -> None:
    living, reader = open_in(tmp_path), open_in(tmp_path)
    living.write(encode_told(Told([build_series(open_streams=5)])))
    for other in (os.getpid() * 10, os.getpid() // 10):
        forget_worker({FOLDER_VARIABLE: str(tmp_path)}, other)
    assert [series.open_streams for series in read_others(reader)] == [5]


def test_number_given_again_does_not_overwrite_the_dead(tmp_path: Path) -> None:
    for _ in range(2):
        open_in(tmp_path).write(encode_told(Told([build_series()])))
    assert merge_series(read_others(open_in(tmp_path)))[0].statuses == {"200": 2}


def test_half_written_file_is_not_read(tmp_path: Path) -> None:
    open_in(tmp_path).write(encode_told(Told([build_series()])))
    whole = next(tmp_path.iterdir())
    whole.with_suffix(".new").write_bytes(whole.read_bytes()[:7])
    assert len(list(open_in(tmp_path).read_others())) == 1


def test_folder_that_is_gone_is_told_once_and_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    snapshots = open_in(tmp_path / "gone")
    for _ in range(2):
        snapshots.write(encode_told(Told([build_series()])))
    assert list(snapshots.read_others()) == []
    forget_worker({FOLDER_VARIABLE: str(tmp_path / "gone")}, 1)
    assert [record.message.count("set TMPDIR") for record in caplog.records] == [1]


def test_dead_worker_whose_file_cannot_be_written_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_disk(path: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    open_in(tmp_path).write(encode_told(Told([build_series(open_streams=1)])))
    monkeypatch.setattr(Path, "write_bytes", fill_disk)
    forget_worker({FOLDER_VARIABLE: str(tmp_path)}, os.getpid())
    assert "No space left on device" in caplog.text


def test_numbers_beyond_64_bits_are_told_exactly() -> None:
    told = Told([build_series(disconnects=2**64 + 1)])
    assert decode_told(encode_told(told)) == told


@pytest.mark.parametrize("damage", [b"", b"[{", b"[[]]"])
def test_damaged_file_costs_only_its_own_counts(tmp_path: Path, damage: bytes) -> None:
    whole, reader = open_in(tmp_path), open_in(tmp_path)
    whole.write(encode_told(Told([build_series(disconnects=3)])))
    (tmp_path / f"{os.getpid()}-1.json").write_bytes(damage)
    forget_worker({FOLDER_VARIABLE: str(tmp_path)}, os.getpid())
    assert [series.disconnects for series in read_others(reader)] == [3]
