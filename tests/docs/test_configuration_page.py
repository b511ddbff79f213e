"""The page on configuration leaves nothing out."""

from __future__ import annotations

from pathlib import Path

from feathergate.config.schema import ServerSettings

DOCS = Path(__file__).parents[2] / "docs"


def test_configuration_page_documents_every_server_setting() -> None:
    rows = [line.split("|") for line in (DOCS / "configuration.md").read_text("utf-8").splitlines()]
    documented = {row[1].strip(" `") for row in rows if len(row) == 6 and row[4].strip()}
    assert documented.issuperset(ServerSettings.__struct_fields__)
