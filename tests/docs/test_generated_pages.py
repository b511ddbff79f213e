"""Every page that is generated is committed as its generator renders it."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
GENERATORS = sorted((DOCS / "generators").glob("*.py"))


@pytest.mark.parametrize("generator", GENERATORS, ids=lambda path: path.stem)
def test_page_is_what_its_generator_renders(generator: Path) -> None:
    render = runpy.run_path(str(generator))["render"]
    assert (DOCS / f"{generator.stem}.md").read_text("utf-8") == render(), "run make docs"
