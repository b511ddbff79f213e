"""The load: wrk, told by a script of ours what to send and how to report."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

_SCRIPT = """\
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = [==[%s]==]
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\\n{"requests": %%d, "errors": %%d}\\n',
    summary.requests, e.connect + e.read + e.write + e.timeout + e.status))
end
"""


class Load(NamedTuple):
    """`path` and `body` are sent as they are, on `connections` at once, for `seconds`."""

    path: str
    body: str
    connections: int
    seconds: int


class Sent(NamedTuple):
    requests: int
    errors: int


def find_wrk() -> str | None:
    return shutil.which("wrk")


def run_load(wrk: str, port: int, load: Load, folder: Path) -> Sent:
    """What wrk counted. Raises `RuntimeError` where it says nothing that can be read."""
    script = folder / "load.lua"
    script.write_text(_SCRIPT % load.body)
    url = f"http://127.0.0.1:{port}{load.path}"
    options = ("-t1", f"-c{load.connections}", f"-d{load.seconds}s", "--timeout", "30s", "-s", str(script))
    ended = subprocess.run([wrk, *options, url], capture_output=True, text=True, check=False)
    last = ended.stdout.strip().rpartition("\n")[2]
    try:
        found: dict[str, Any] = json.loads(last)
        return Sent(**found)
    except ValueError:
        raise RuntimeError(f"wrk failed: {(ended.stderr or ended.stdout)[-500:]}") from None
