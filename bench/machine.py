"""What the figures were taken on: figures without it say nothing."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

DEPENDENCIES = ("click", "httptools", "msgspec", "PyYAML", "uvloop")


def describe_machine() -> dict[str, object]:
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "cpu": model[1] if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "compiled": is_compiled(),
    }


def is_compiled() -> bool:
    """Whether the gateway that is measured has its hot modules as `pip install` leaves them (decision 0012)."""
    return find_spec("feathergate__mypyc") is not None


def describe_versions(nginx: str | None, wrk: str | None) -> dict[str, str]:
    """Of what is measured, and of what measures it."""
    found = {name: version(name) for name in ("feathergate", *DEPENDENCIES)}
    return found | {
        name: _first_version(program) for name, program in (("nginx", nginx), ("wrk", wrk)) if program is not None
    }


def _first_version(program: str) -> str:
    said = subprocess.run([program, "-v"], capture_output=True, text=True, check=False)
    number = re.search(r"\d+(?:\.\d+)+", said.stdout + said.stderr)
    return number[0] if number else "unknown"
