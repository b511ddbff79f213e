"""What `pip install` puts on the disk: the package and its dependencies in a folder of their own, bytecode included.

The package is built as the one is that the other parts measure: compiled, which takes about a minute, or not.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from bench.machine import is_compiled

_DISK_BLOCK_BYTES = 512
_PACKAGE = Path(__file__).parents[1]


class Size(NamedTuple):
    """`disk_bytes` counts whole blocks of the file system, `file_bytes` what the files hold."""

    disk_bytes: int
    file_bytes: int


def measure_size() -> Size:
    """Raises `RuntimeError` with pip's own word where it cannot install."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, str(_PACKAGE)]
        environ = os.environ | {"FEATHERGATE_PURE": "0" if is_compiled() else "1"}
        ended = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
        if ended.returncode:
            raise RuntimeError(f"pip could not install the package: {ended.stderr.strip()[-500:]}")
        found = [path.lstat() for path in Path(folder).rglob("*")]
        return Size(sum(each.st_blocks for each in found) * _DISK_BLOCK_BYTES, sum(each.st_size for each in found))
