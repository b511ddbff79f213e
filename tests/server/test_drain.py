"""The end of a gateway as its clients meet it: real processes, real sockets, one worker and two."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.command import HELLO, PATIENCE_S, Gateway, serving, wait_until

MOCK = "model_list: [{model_name: 'mock/*', litellm_params: {model: 'mock/*'}}]\n"


def write(folder: Path, text: str) -> None:
    (folder / "config.yaml").write_text(text)


@contextmanager
def asking_for(gateway: Gateway, model: str) -> Iterator[None]:
    """A chat request has been sent, and nobody reads the answer."""
    body = json.dumps({**HELLO, "model": model}).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(body)
    with socket.create_connection(("127.0.0.1", gateway.started["port"])) as client:
        client.sendall(head + body)
        yield


def test_signal_lets_a_request_finish(tmp_path: Path) -> None:
    write(tmp_path, MOCK)
    with serving(cwd=tmp_path) as gateway:
        answers: list[int] = []
        asking = threading.Thread(target=lambda: answers.append(gateway.chat(model="mock/echo?latency_ms=400")[0]))
        asking.start()
        time.sleep(0.15)
        assert gateway.end() == 0
        asking.join()
        assert answers == [200]


def ask_raw(gateway: Gateway, path: str) -> bytes:
    """The whole answer to a GET on a connection that the client would keep."""
    with socket.create_connection(("127.0.0.1", gateway.started["port"]), timeout=PATIENCE_S) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
        return client.recv(65536)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_draining_gateway_tells_who_is_new_to_go_elsewhere(tmp_path: Path, workers: str) -> None:
    write(tmp_path, MOCK)
    with serving("--workers", workers, cwd=tmp_path) as gateway, asking_for(gateway, "mock/stall"):
        time.sleep(0.15)
        gateway.process.terminate()
        began = time.monotonic()
        wait_until(lambda: b" 503 " in ask_raw(gateway, "/readyz"))
        assert time.monotonic() - began < 0.5
        refused = ask_raw(gateway, "/v1/models")
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: 1\r\n" in refused
        assert b"\r\nconnection: close\r\n" in refused
        assert ask_raw(gateway, "/healthz").startswith(b"HTTP/1.1 200 ")
        assert b'feathergate_shedding{reason="draining"}' in ask_raw(gateway, "/metrics")
        assert gateway.end() == 0


def test_drain_delay_serves_on_while_readiness_is_off(tmp_path: Path) -> None:
    write(tmp_path, MOCK + "server_settings: {drain_delay_s: 0.5}\n")
    with serving(cwd=tmp_path) as gateway:
        gateway.process.terminate()
        wait_until(lambda: b" 503 " in ask_raw(gateway, "/readyz"))
        assert gateway.chat()[0] == 200
        began = time.monotonic()
        assert gateway.process.wait(PATIENCE_S) == 0
        assert 0.2 < time.monotonic() - began < 1.5


def test_idle_clients_do_not_keep_a_stopping_gateway(tmp_path: Path) -> None:
    with serving(cwd=tmp_path) as gateway, connected(gateway, 5) as clients:
        began = time.monotonic()
        assert gateway.end() == 0
        assert time.monotonic() - began < 1
        assert [client.recv(1) for client in clients] == [b""] * 5


@contextmanager
def connected(gateway: Gateway, count: int) -> Iterator[list[socket.socket]]:
    """Clients that have been answered once and keep their connections."""
    with ExitStack() as stack:
        address = ("127.0.0.1", gateway.started["port"])
        clients = [stack.enter_context(socket.create_connection(address, timeout=PATIENCE_S)) for _ in range(count)]
        for client in clients:
            client.sendall(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        yield clients


def test_client_that_reads_slowly_gets_all_of_its_answer_in_a_drain(tmp_path: Path) -> None:
    write(tmp_path, MOCK)
    content = "x" * 4_000_000
    body = json.dumps({**HELLO, "messages": [{"role": "user", "content": content}]}).encode()
    with serving(cwd=tmp_path) as gateway, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", gateway.started["port"]))
        client.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )
        time.sleep(0.3)
        gateway.process.terminate()
        received = bytearray()
        while piece := client.recv(1_000_000):
            received += piece
        assert gateway.process.wait(PATIENCE_S) == 0
    assert json.loads(received.partition(b"\r\n\r\n")[2])["choices"][0]["message"]["content"] == content


def test_stream_longer_than_the_drain_ends_in_an_error(tmp_path: Path) -> None:
    write(tmp_path, MOCK + "server_settings: {drain_timeout_s: 0.3}\n")
    body = json.dumps({**HELLO, "model": "mock/stall?after=1", "stream": True}).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(body)
    with serving(cwd=tmp_path) as gateway:
        with socket.create_connection(("127.0.0.1", gateway.started["port"]), timeout=PATIENCE_S) as client:
            client.sendall(head + body)
            received = client.recv(65536)
            assert received.startswith(b"HTTP/1.1 200 ")
            gateway.process.terminate()
            while piece := client.recv(65536):
                received += piece
        assert gateway.process.wait(PATIENCE_S) == 0
    assert b"The gateway is stopping" in received
    assert b"[DONE]" not in received
    assert received.endswith(b"\r\n0\r\n\r\n")


def test_second_signal_ends_at_once(tmp_path: Path) -> None:
    write(tmp_path, MOCK)
    with serving(cwd=tmp_path) as gateway, asking_for(gateway, "mock/stall"):
        time.sleep(0.15)
        gateway.process.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            gateway.process.wait(0.3)
        assert gateway.end() == 0
        assert gateway.process.stdout is not None
        assert b'"event":"request"' in gateway.process.stdout.read()


def test_drain_ends_when_its_time_is_over(tmp_path: Path) -> None:
    write(tmp_path, MOCK + "server_settings: {drain_timeout_s: 0.1}\n")
    with serving(cwd=tmp_path) as gateway, asking_for(gateway, "mock/stall"):
        time.sleep(0.15)
        assert gateway.end() == 0


def test_order_to_stop_outranks_a_roll_that_is_waiting_for_idle_clients(tmp_path: Path) -> None:
    with serving("--workers", "2", "--debug", cwd=tmp_path) as gateway, connected(gateway, 20):
        gateway.process.send_signal(signal.SIGUSR2)
        wait_until(lambda: "all workers are new" in gateway.stderr.read_text())
        began = time.monotonic()
        assert gateway.end() == 0
        assert time.monotonic() - began < 2
