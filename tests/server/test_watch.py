"""Files that change are noticed once, when they have come to rest."""

from __future__ import annotations

from pathlib import Path

from feathergate.server.watch import Watch


def test_change_is_told_once_and_only_when_it_rests(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("a")
    watch = Watch([str(file)])
    assert not watch.has_changed()
    file.write_text("a, and half of b")
    assert not watch.has_changed()
    file.write_text("a, and all of b now")
    assert [watch.has_changed() for _ in range(3)] == [False, True, False]


def test_link_that_leads_elsewhere_is_a_change(tmp_path: Path) -> None:
    """As Kubernetes exchanges a ConfigMap: the file is a link through a link that moves."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text("of one length")
    (tmp_path / "..data").symlink_to("one")
    (tmp_path / "config.yaml").symlink_to("..data/config.yaml")
    watch = Watch([str(tmp_path / "config.yaml")])
    (tmp_path / "..next").symlink_to("two")
    (tmp_path / "..next").replace(tmp_path / "..data")
    assert [watch.has_changed() for _ in range(3)] == [False, True, False]


def test_file_that_comes_or_goes_is_a_change(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    watch = Watch([str(tmp_path / "config.yaml"), str(file)])
    file.write_text("A=1")
    assert [watch.has_changed() for _ in range(3)] == [False, True, False]
    file.unlink()
    assert [watch.has_changed() for _ in range(3)] == [False, True, False]
