"""The load: wrk, told by a script of ours what to send and how to report."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from bench.ask import Ask

_SCRIPT = """\
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
HEADERS
wrk.body = [==[BODY]==]
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\\n{"requests": %d, "errors": %d}\\n',
    summary.requests, e.connect + e.read + e.write + e.timeout + e.status))
end
"""


class Sent(NamedTuple):
    """What wrk counted, and what it took: a request counts when its answer is whole."""

    requests: int
    errors: int
    cpu_s: float


def find_wrk() -> str | None:
    return shutil.which("wrk")


def run_load(wrk: str, port: int, ask: Ask, connections: int, seconds: int) -> Sent:
    """Send `ask` on all connections at once, again and again. Raises `RuntimeError` where wrk says nothing."""
    spent = _read_ended_cpu_s()
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "load.lua")
        script.write_text(render_script(ask), encoding="utf-8")
        options = ("-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script))
        url = f"http://127.0.0.1:{port}{ask.path}"
        ended = subprocess.run([wrk, *options, url], capture_output=True, text=True, check=False)
    last = ended.stdout.strip().rpartition("\n")[2]
    try:
        found: dict[str, Any] = json.loads(last)
    except ValueError:
        raise RuntimeError(f"wrk failed: {(ended.stderr or ended.stdout)[-500:]}") from None
    return Sent(**found, cpu_s=_read_ended_cpu_s() - spent)


def render_script(ask: Ask) -> str:
    headers = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in ask.headers.items())
    return _SCRIPT.replace("HEADERS", headers).replace("BODY", ask.body)


def _read_ended_cpu_s() -> float:
    """CPU of all processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
