"""The committed page on the command line says what the command does."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_cli_page_is_what_the_command_says() -> None:
    render = runpy.run_path(str(DOCS / "generators" / "cli.py"))["render"]
    assert (DOCS / "cli.md").read_text("utf-8") == render(), "run make docs"
