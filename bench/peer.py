"""Other gateways: how each is installed into a folder of its own, started, and asked.

LiteLLM comes from PyPI into a virtual environment, Portkey's gateway from npm; an installation stays until
`bench/peers/` is deleted. Each runs as one process, without a key to check and without fetching anything at its start.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench.ask import Ask, render_chat
from bench.process import Memory, Served, find_port, read_cpu_s, read_memory, running, wait_for_health
from bench.proxy import Proxy, build_config
from bench.start import Start

FOLDER = Path(__file__).parent / "peers"
_START_LIMIT_S = 120.0
_INSTALL_LIMIT_S = 900.0


class Peer(NamedTuple):
    """`install` has one command for each step, `command` the start on a port with a configuration; all paths in
    them are relative to the peer's own folder. `files` are written there first. `health` is answered 200 once it
    serves; `render(upstream_port, provider, stream, prompt)` says what it is asked.
    """

    name: str
    files: Mapping[str, str]
    install: Sequence[Sequence[str]]
    program: str
    command: Callable[[int, str], Sequence[str]]
    environ: Mapping[str, str]
    health: str
    render: Callable[[int, str, bool, str], Ask]
    version: Sequence[str]


class Started(NamedTuple):
    """A peer that serves: what its start cost, and what it held then."""

    proxy: Proxy
    start: Start
    idle: Memory


def _render_portkey(upstream_port: int, provider: str, stream: bool, prompt: str) -> Ask:
    """Portkey is told in headers where to go; without a configuration it has no other way."""
    name, base = {"gemini": ("google", "/v1beta")}.get(provider, (provider, "/v1"))
    host = f"http://127.0.0.1:{upstream_port}{base}"
    headers = {"x-portkey-provider": name, "x-portkey-custom-host": host, "authorization": "Bearer sk-bench"}
    return render_chat(provider, stream, prompt)._replace(headers=headers)


def _render_litellm(upstream_port: int, provider: str, stream: bool, prompt: str) -> Ask:
    return render_chat(provider, stream, prompt)


_PORTKEY = "node_modules/@portkey-ai/gateway"

PEERS = {
    "litellm": Peer(
        name="LiteLLM",
        files={},
        install=((sys.executable, "-m", "venv", "."), ("bin/python", "-m", "pip", "install", "-q", "litellm[proxy]")),
        program="bin/litellm",
        command=lambda port, config: (
            *("bin/litellm", "--host", "127.0.0.1", "--port", str(port)),
            *("--config", config),
        ),
        environ={
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
        },
        health="/health/liveliness",
        render=_render_litellm,
        version=("bin/python", "-c", "from importlib.metadata import version; print(version('litellm'))"),
    ),
    "portkey": Peer(
        name="Portkey",
        # With @hono/node-server 1.19, which npm would take, Portkey 1.15.2 answers streams with 500.
        files={
            "package.json": json.dumps(
                {"dependencies": {"@portkey-ai/gateway": "^1.15"}, "overrides": {"@hono/node-server": "1.13.8"}}
            )
        },
        install=(("npm", "install", "--no-audit", "--no-fund"),),
        program=f"{_PORTKEY}/build/start-server.js",
        command=lambda port, config: ("node", f"{_PORTKEY}/build/start-server.js", f"--port={port}", "--headless"),
        environ={"NODE_ENV": "production"},
        health="/",
        render=_render_portkey,
        version=("node", "-p", f"require('./{_PORTKEY}/package.json').version"),
    ),
}


def install(key: str) -> str:
    """Install the peer unless it is there; returns its version. Raises `RuntimeError` with the installer's word."""
    peer, folder = PEERS[key], FOLDER / key
    if not (folder / peer.program).exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in peer.files.items():
            (folder / name).write_text(text)
        for command in peer.install:
            _run(peer.name, command, folder)
    return _run(peer.name, peer.version, folder).strip()


def _run(name: str, command: Sequence[str], folder: Path) -> str:
    try:
        ended = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=_INSTALL_LIMIT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RuntimeError(f"{name} could not be installed: {error}") from None
    if ended.returncode:
        raise RuntimeError(f"{name} could not be installed: {' '.join(command)}: {ended.stderr.strip()[-500:]}")
    return ended.stdout


@contextmanager
def running_peer(key: str, upstream_port: int) -> Iterator[Started]:
    peer, port = PEERS[key], find_port()
    with tempfile.TemporaryDirectory() as home, Path(home, "said.log").open("wb") as said:
        config = Path(home, "config.yaml")
        config.write_text(json.dumps(build_config(upstream_port)))
        environ = {"HOME": home, **peer.environ}
        command = peer.command(port, str(config))
        began = time.monotonic()
        with running(command, FOLDER / key, environ=environ, output=said.fileno(), errors=said.fileno()) as process:
            wait_for_health(process, port, peer.health, _START_LIMIT_S)
            start = Start(read_cpu_s(process.pid), time.monotonic() - began)
            proxy = Proxy(peer.name, Served(process.pid, port), partial(peer.render, upstream_port))
            yield Started(proxy, start, read_memory(process.pid))
