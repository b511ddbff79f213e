"""The committed page on configuration says what the code does."""

from __future__ import annotations

import runpy
from pathlib import Path

from feathergate.config.schema import ServerSettings

DOCS = Path(__file__).parents[2] / "docs"


def test_configuration_page_is_what_the_structs_say() -> None:
    generator = runpy.run_path(str(DOCS / "generators" / "configuration.py"))
    committed = (DOCS / "configuration.md").read_text("utf-8")
    assert committed == generator["render_configuration_page"](), "run python docs/generators/configuration.py"


def test_configuration_page_documents_every_server_setting() -> None:
    rows = [line.split("|") for line in (DOCS / "configuration.md").read_text("utf-8").splitlines()]
    documented = {row[1].strip(" `") for row in rows if len(row) == 6 and row[4].strip()}
    assert documented.issuperset(ServerSettings.__struct_fields__)
