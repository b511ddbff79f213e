"""Process and host faults that are quick to show, and what a look at the source shows better than a run does.

Source: reliability.md 2.3 (P05, P06, P13, P16, P19, P22) and 3 (S05, S22, S27, S42, S64).
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.command import clean_environ, serving, wait_until
from tests.e2e.native import OPENAI, build_stream, build_whole
from tests.e2e.scene import build_get
from tests.faults.harness import FAULTY, check_streamed, open_fault
from tests.raw_client import RawClient
from tests.running import running_gateway
from tests.scripted_upstream import ScriptedUpstream

import feathergate
from feathergate.config.secret import Secret
from feathergate.observe.access_log import AccessLog

ROOT = Path(__file__).parents[2]
SOURCES = sorted(Path(feathergate.__file__).parent.rglob("*.py"))
HOUR_S = 3600.0

# --- configuration --------------------------------------------------------------------------------------------------

GOOD = "model_list: [{model_name: first, litellm_params: {model: mock/echo}}]\n"
BROKEN: dict[str, tuple[bytes, str]] = {
    "YAML": (b"model_list: [", "YAML"),
    "empty": (b"", "empty"),
    "wrong type": (b"model_list: 7", "model_list"),
    "half written": (GOOD.encode()[:50], "YAML"),
    "a variable that is missing": (GOOD.encode().replace(b"}}", b", api_key: os.environ/NOT_SET}}"), "NOT_SET"),
    "not UTF-8": (GOOD.encode() + b"# \xff\xfe", "config.yaml"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_file_leaves_the_old_configuration(fault: str, tmp_path: Path) -> None:
    """P05: to the process that users run, by the signal that they send."""
    data, word = BROKEN[fault]
    file = tmp_path / "config.yaml"
    file.write_text(GOOD)
    with serving("--config", str(file), cwd=tmp_path) as gateway:
        file.write_bytes(data)
        gateway.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "was not reloaded" in gateway.stderr.read_text())
        assert word in gateway.stderr.read_text()
        assert gateway.chat(model="first")[0] == 200
        assert b"feathergate_config_last_reload_successful 0" in gateway.ask("GET", "/metrics")[1]


async def test_new_key_is_used_at_once_and_the_old_one_no_more(tmp_path: Path) -> None:
    """P06."""
    file = tmp_path / "config.yaml"
    async with ScriptedUpstream(build_whole(OPENAI.text("Hi"))) as upstream:
        with serving("--config", str(write_key(file, upstream.port, "old")), cwd=tmp_path) as gateway:
            await asyncio.to_thread(gateway.chat, model="m")
            write_key(file, upstream.port, "new")
            gateway.process.send_signal(signal.SIGHUP)
            await asyncio.to_thread(wait_until, lambda: "configuration reloaded" in gateway.stderr.read_text())
            await asyncio.to_thread(gateway.chat, model="m")
            said = gateway.stderr.read_text()
    keys = re.findall(r"authorization: Bearer (\S+)", b"".join(upstream.requests).decode(), re.IGNORECASE)
    assert keys == ["sk-canary-old", "sk-canary-new"]
    assert "sk-canary" not in said


def write_key(file: Path, port: int, name: str) -> Path:
    params = {"model": "openai/m", "api_base": f"http://127.0.0.1:{port}/v1", "api_key": f"sk-canary-{name}"}
    file.write_text(json.dumps({"model_list": [{"model_name": "m", "litellm_params": params}]}))
    return file


# --- the host -------------------------------------------------------------------------------------------------------


async def test_full_disk_for_the_log_costs_lines_and_no_request() -> None:
    """P13."""
    fd = os.open("/dev/full", os.O_WRONLY)
    log = AccessLog(fd, text=False)
    config = json.dumps({"model_list": [{"model_name": "m", "litellm_params": {"model": "mock/echo"}}]})
    async with running_gateway(config, log=log) as gateway:
        client = await connect(gateway.port)
        for _ in range(20):
            assert (await client.ask(build_get("/v1/models"))).status == 200
        client.writer.transport.abort()
    log.close()
    os.close(fd)


async def connect(port: int) -> RawClient:
    return RawClient(*await asyncio.open_connection("127.0.0.1", port))


@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S, 24 * HOUR_S, -24 * HOUR_S, 2.0**31 - 1])
async def test_clock_that_jumps_ends_no_request(jump_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """P16: deadlines follow the monotonic clock. The wall's jumps at every look; the last jump leads beyond 2038."""
    looks: Iterator[float] = iter(range(10**9))
    monkeypatch.setattr("tests.running.time", SimpleNamespace(time=lambda: 1.8e9 + jump_s * (next(looks) % 2)))
    async with open_fault(build_stream(OPENAI.events(["Hi", " there"]), 0.05, b"0\r\n\r\n")) as scene:
        check_streamed(await scene.chat(FAULTY, stream=True), "Hi there")


ENVIRONMENTS: dict[str, dict[str, str]] = {
    "optimized": {"PYTHONOPTIMIZE": "2"},
    "development mode": {"PYTHONDEVMODE": "1"},
    "asyncio's debug mode": {"PYTHONASYNCIODEBUG": "1"},
    "no locale": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "no home": {"HOME": "/nonexistent"},
    "no folder for temporary files": {"TMPDIR": "/nonexistent"},
}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_gateway_is_the_same_in_any_environment(name: str, tmp_path: Path) -> None:
    """P19, and I3 in the modes that tell of what is never closed."""
    with serving(cwd=tmp_path, environ=ENVIRONMENTS[name]) as gateway:
        status, answer = gateway.chat()
        assert (status, answer["choices"][0]["message"]["content"]) == (200, "Hello there")
        assert gateway.end() == 0
        assert not re.search("Warning|Traceback|never retrieved|Unclosed", gateway.stderr.read_text())


def test_outage_writes_one_line_a_request(tmp_path: Path) -> None:
    """P22."""
    params = {"model": "openai/m", "api_base": "http://127.0.0.1:1", "api_key": "sk-x"}
    file = tmp_path / "config.yaml"
    models = [{"model_name": "m", "litellm_params": params}]
    file.write_text(json.dumps({"model_list": models, "router_settings": {"num_retries": 0}}))
    with serving("--config", str(file), cwd=tmp_path) as gateway:
        before = len(gateway.stderr.read_bytes())
        statuses = {gateway.chat(model="m")[0] for _ in range(30)}
        assert gateway.end() == 0
        said = len(gateway.stderr.read_bytes()) - before
        assert gateway.process.stdout is not None
        lines = gateway.process.stdout.read().splitlines()
    assert statuses <= {502, 503}
    assert len(lines) == 30
    assert max(map(len, lines)) <= 1024
    assert said <= 1024 * 30


# --- the source -----------------------------------------------------------------------------------------------------

FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_NAMES = {"pickle", "marshal", "shelve", "jinja2", "subprocess", "importlib", "netrc"}
FORBIDDEN_ATTRIBUTES = {("os", "system"), ("os", "popen"), ("yaml", "load"), ("yaml", "unsafe_load")}
# Where names of our own say what is imported only when it is used.
OWN_NAMES = ("cli/__init__.py", "server/workers.py")


def find_forbidden(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
            yield node.func.id
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if (node.value.id, node.attr) in FORBIDDEN_ATTRIBUTES:
                yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", None) or ""}
            yield from {name.partition(".")[0] for name in names} & FORBIDDEN_NAMES


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_source_runs_no_code_that_came_with_data(path: Path) -> None:
    """S27; S22 for netrc."""
    allowed = {"importlib"} if path.as_posix().endswith(OWN_NAMES) else set()
    assert set(find_forbidden(ast.parse(path.read_text()))) <= allowed


def test_keys_are_compared_by_digest() -> None:
    """S05: nothing that answers a request compares what a key is, and what does compares digests in constant time."""
    assert inspect.getsource(Secret.matches).count("hmac.compare_digest(self._digest") == 1
    serving_sources = [path for path in SOURCES if "config" not in path.parts]
    trees = [ast.parse(path.read_text()) for path in serving_sources]
    compared = [ast.unparse(node) for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Compare)]
    assert [text for text in compared if ".reveal()" in text] == []


def test_import_makes_no_connection() -> None:
    """S64."""
    code = (
        "import sys\n"
        "def refuse(event, arguments):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'subprocess.Popen'):\n"
        "        raise SystemExit(event)\n"
        "sys.addaudithook(refuse)\n"
        "import feathergate.cli.serve, feathergate.server.process, feathergate.server.workers\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean_environ(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_runtime_dependencies_are_few_and_known() -> None:
    """S64."""
    project: Any = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.match(r"[A-Za-z0-9-]+", dependency)[0] for dependency in project["dependencies"]}  # type: ignore[index]
    assert names == {"click", "httptools", "msgspec", "PyYAML", "uvloop"}
