"""One worker without its command: it serves on the socket it is given, and ends when it is left alone."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import pytest
from tests.command import PATIENCE_S, Gateway, serving, wait_until

from feathergate.config.schema import Config, LitellmParams, ModelEntry, ServerSettings
from feathergate.errors import ConfigError
from feathergate.http.limits import ServerLimits
from feathergate.server.limits import build_server_limits
from feathergate.server.process import Surroundings, find_loop_factory, raise_descriptor_limit, run_worker

UNTOLD = Surroundings(stop_signals=(), reload_signals=())
QUIET = ServerSettings(access_log=False)


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def build_config(server: ServerSettings = QUIET, model: str = "mock/echo") -> Config:
    return Config(models=(ModelEntry(model_name="m", params=LitellmParams(model=model)),), server=server)


def test_settings_without_a_word_are_the_limits_of_http() -> None:
    assert build_server_limits(ServerSettings()) == ServerLimits()


def test_every_limit_comes_from_a_setting() -> None:
    settings = {field.name: number for number, field in enumerate(msgspec.structs.fields(ServerSettings), start=7000)}
    limits = build_server_limits(msgspec.structs.replace(ServerSettings(), **settings))
    assert len(set(msgspec.structs.astuple(limits))) == len(ServerLimits.__struct_fields__)
    assert min(msgspec.structs.astuple(limits)) >= 7000


def test_loop_is_asyncios_own_where_uvloop_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert find_loop_factory() is asyncio.new_event_loop


def test_worker_serves_until_its_lifeline_ends(sock: socket.socket) -> None:
    lifeline, held = os.pipe()
    ready = threading.Event()
    worker = threading.Thread(
        target=run_worker, args=(build_config(), sock, ready.set, UNTOLD._replace(lifeline=lifeline))
    )
    worker.start()
    assert ready.wait(5)
    with socket.create_connection(sock.getsockname()) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        os.close(held)
        worker.join(5)
    os.close(lifeline)
    assert not worker.is_alive()
    assert sock.fileno() == -1


def test_configuration_that_does_not_compile_closes_the_socket(sock: socket.socket, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    config = build_config(ServerSettings(access_log=False, ca_file=str(tmp_path / "ca.pem")), "openai/m")
    with pytest.raises(ConfigError, match="ca_file"):
        run_worker(config, sock, lambda: None, UNTOLD)
    assert sock.fileno() == -1


def test_worker_may_open_as_many_files_as_it_is_allowed() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    try:
        assert raise_descriptor_limit() == hard
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


STALLED = b'{"model":"mock/stall","messages":[{"role":"user","content":"Hi"}]}'
STALL = b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(STALLED) + STALLED


def test_want_of_descriptors_is_told_and_outlived(tmp_path: Path) -> None:
    """No loop that spins, an answer for who comes while there is a reserve, and service again when clients leave."""
    config = tmp_path / "config.yaml"
    config.write_text("model_list: [{model_name: 'mock/*', litellm_params: {model: 'mock/*'}}]\n")
    with serving(cwd=tmp_path, descriptors=96) as gateway:
        with connected(gateway, 50, STALL):
            wait_until(lambda: "new requests are answered 503" in gateway.stderr.read_text())
            assert gateway.ask("GET", "/v1/models")[0] == 503
            assert gateway.ask("GET", "/healthz")[0] == 200
            with connected(gateway, 60, STALL):
                wait_until(lambda: "no connection can be accepted" in gateway.stderr.read_text())
                used_s = find_cpu_s(gateway)
                time.sleep(0.3)
                assert find_cpu_s(gateway) - used_s < 0.1
        wait_until(lambda: gateway.chat()[0] == 200)
        assert gateway.end() == 0


@contextmanager
def connected(gateway: Gateway, count: int, request: bytes) -> Iterator[None]:
    """So many clients that have sent this, and leave at the end."""
    with ExitStack() as stack:
        for _ in range(count):
            address = ("127.0.0.1", gateway.started["port"])
            stack.enter_context(socket.create_connection(address, timeout=PATIENCE_S)).sendall(request)
        yield


def find_cpu_s(gateway: Gateway) -> float:
    fields = Path(f"/proc/{gateway.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
