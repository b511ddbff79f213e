"""`python bench/run.py`, which is `make bench`. What it does is in report.py."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # A script's own folder is where Python looks for modules; `bench` is a package of the folder above.
    sys.path[0] = str(Path(__file__).parents[1])
    from bench.report import main

    main()
