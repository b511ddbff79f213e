"""Write the pages that are generated: `docs/generators/NAME.py` has a `render() -> str` that is `docs/NAME.md`.

`python docs/generate.py` writes them; with `--check` it changes nothing, and exits with 1 where a page is stale.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

DOCS = Path(__file__).parent


def render_pages() -> dict[Path, str]:
    """Each page's path, and what it should be."""
    generators = sorted((DOCS / "generators").glob("*.py"))
    return {DOCS / f"{path.stem}.md": runpy.run_path(str(path))["render"]() for path in generators}


def find_stale(pages: dict[Path, str]) -> list[Path]:
    """The pages that are not what they should be."""
    return [path for path, text in pages.items() if not path.is_file() or path.read_text("utf-8") != text]


def main() -> int:
    pages = render_pages()
    stale = find_stale(pages)
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"docs/{path.name} is stale: run make docs")
        return 1 if stale else 0
    for path in stale:
        path.write_text(pages[path], "utf-8")
        print(f"wrote docs/{path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
