"""`--workers 2`: one socket, one set of metrics, and workers that are replaced, as a user would see it."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import trustme
from tests.command import Gateway, is_listening, run, serving, wait_until

from feathergate.server.workers import Hooks, Supervisor, Worker, pause_before_restart

HEALTH = b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n"
ROLLED = "all workers are new"


@contextmanager
def two_workers(folder: Path) -> Iterator[Gateway]:
    with serving("--workers", "2", "--debug", cwd=folder, environ={"TMPDIR": str(folder)}) as gateway:
        yield gateway


def find_workers(gateway: Gateway) -> list[int]:
    """The ids of all workers that were started, the oldest first."""
    return [int(found) for found in re.findall(r"worker (\d+) started", gateway.stderr.read_text())]


def roll(gateway: Gateway) -> list[int]:
    """Ask for a roll, and return the ids of the workers that serve when it is over."""
    said = gateway.stderr.read_text().count(ROLLED)
    gateway.process.send_signal(signal.SIGUSR2)
    wait_until(lambda: gateway.stderr.read_text().count(ROLLED) > said)
    return find_workers(gateway)[-2:]


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """While this worker stands still, all that is answered is answered by the others."""
    os.kill(pid, signal.SIGSTOP)
    time.sleep(0.02)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def count(gateway: Gateway, metric: str) -> float:
    line = re.search(rf"^{metric} (\S+)$", gateway.ask("GET", "/metrics")[1].decode(), re.MULTILINE)
    assert line is not None
    return float(line[1])


def test_either_worker_serves_and_the_metrics_are_of_both(tmp_path: Path) -> None:
    with two_workers(tmp_path) as gateway:
        first, second = find_workers(gateway)
        for other, good_requests in ((first, 2), (second, 3)):
            with stopped(other):
                assert [gateway.chat()[0] for _ in range(good_requests)] == [200] * good_requests
                assert gateway.chat(messages=[])[0] == 400
        wait_until(lambda: count(gateway, "feathergate_requests_total") >= 7)
        for other in (first, second):
            with stopped(other):
                assert count(gateway, "feathergate_requests_total") == 7
                assert count(gateway, "feathergate_requests_successful") == 5
                assert count(gateway, "feathergate_requests_failed") == 2


def test_killed_worker_is_replaced_and_its_counts_stay(tmp_path: Path) -> None:
    with two_workers(tmp_path) as gateway:
        first, second = find_workers(gateway)
        with stopped(second):
            assert gateway.chat()[0] == 200
            wait_until(lambda: count(gateway, "feathergate_requests_total") == 1)
        os.kill(first, signal.SIGKILL)
        killed_at = time.monotonic()
        wait_until(lambda: len(find_workers(gateway)) >= 3)
        with stopped(second):
            assert gateway.ask("GET", "/health")[0] == 200
            assert time.monotonic() - killed_at < 1
            assert count(gateway, "feathergate_requests_total") == 1
        assert f"worker {first} died (signal 9)" in gateway.stderr.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_all_with_code_0_and_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    with two_workers(tmp_path) as gateway:
        workers = find_workers(gateway)
        assert gateway.end(number) == 0
        assert not any(map(is_alive, workers))
        assert not list(tmp_path.glob("feathergate-metrics-*"))


def test_workers_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    with two_workers(tmp_path) as gateway:
        gateway.process.kill()
        wait_until(lambda: not is_listening(gateway.started["port"]))


def test_configuration_that_does_not_compile_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    (tmp_path / "config.yaml").write_text(
        "model_list: [{model_name: m, litellm_params: {model: openai/m, api_key: k}}]\n"
        "server_settings: {ca_file: ca.pem}\n"
    )
    done = run("--workers", "2", "--port", "0", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("nothing was started")) == (2, "", 1)


def test_pause_grows_while_workers_die_young() -> None:
    pauses = [pause_before_restart(deaths) for deaths in range(100)]
    assert pauses == sorted(pauses)
    assert pauses[1] < 0.5 < pauses[5] < pauses[-1] == 30


def test_all_serve_only_when_every_slot_does(tmp_path: Path) -> None:
    said: list[str] = []
    hooks = Hooks(lambda: said.append("ready"), lambda: None, lambda: True)
    supervisor = Supervisor(3, lambda cradle: 0, hooks)
    for pid, slot in ((101, 0), (102, 1), (103, 0)):  # the first one died, another took its place
        supervisor._workers[pid] = Worker(slot, 0.0, 0)
        supervisor._welcome(pid)
    assert said == []
    supervisor._workers[104] = Worker(2, 0.0, 0)
    supervisor._welcome(104)
    supervisor._welcome(105)  # dead before it was heard
    assert said == ["ready"]


def test_connections_opened_at_once_are_shared_evenly(tmp_path: Path) -> None:
    with two_workers(tmp_path) as gateway, ExitStack() as stack:
        address = ("127.0.0.1", gateway.started["port"])
        clients = [stack.enter_context(socket.create_connection(address, timeout=5)) for _ in range(100)]
        for client in clients:
            client.sendall(HEALTH)
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        with stopped(find_workers(gateway)[0]):
            for client in clients:
                client.sendall(HEALTH)
                client.settimeout(0.005)
            answered = sum(map(is_answered, clients))
        assert 40 <= answered <= 60


def is_answered(client: socket.socket) -> bool:
    try:
        return client.recv(4096).startswith(b"HTTP/1.1 200 ")
    except TimeoutError:
        return False


def test_roll_replaces_every_worker(tmp_path: Path) -> None:
    with two_workers(tmp_path) as gateway:
        before = find_workers(gateway)
        after = roll(gateway)
        wait_until(lambda: not any(map(is_alive, before)))
        assert not set(before) & set(after)
        assert gateway.chat()[0] == 200
        assert gateway.end() == 0


class Client(threading.Thread):
    """Asks and asks again, until told to stop; remembers what failed."""

    def __init__(self, port: int, *, keep_alive: bool) -> None:
        super().__init__()
        self.port = port
        self.keep_alive = keep_alive
        self.stopping = False
        self.answered = 0
        self.failures: list[str] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        while not self.stopping:
            try:
                self.ask(connection)
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection.close()
            if not self.keep_alive:
                connection.close()
        connection.close()

    def ask(self, connection: http.client.HTTPConnection) -> None:
        connection.request("GET", "/health")
        response = connection.getresponse()
        response.read()
        self.answered += response.status == 200


def test_five_rolls_under_load_fail_no_request(tmp_path: Path) -> None:
    with two_workers(tmp_path) as gateway:
        clients = [Client(gateway.started["port"], keep_alive=number % 2 == 0) for number in range(4)]
        for client in clients:
            client.start()
        for _ in range(5):
            roll(gateway)
        for client in clients:
            client.stopping = True
            client.join()
        assert [client.failures for client in clients] == [[]] * 4
        assert min(client.answered for client in clients) > 50


def test_answer_under_way_outlives_the_roll(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("model_list: [{model_name: 'mock/*', litellm_params: {model: 'mock/*'}}]\n")
    with two_workers(tmp_path) as gateway:
        before = find_workers(gateway)
        answers: list[object] = []
        slow = threading.Thread(target=lambda: answers.append(gateway.chat(model="mock/echo?latency_ms=800")[0]))
        slow.start()
        time.sleep(0.2)
        roll(gateway)
        assert any(map(is_alive, before))
        slow.join()
        assert answers == [200]
        wait_until(lambda: not any(map(is_alive, before)))


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """A file that each worker reads before it serves."""
    file = tmp_path / "ca.pem"
    file.write_bytes(trustme.CA().cert_pem.bytes())
    (tmp_path / "config.yaml").write_text(
        "model_list: [{model_name: m, litellm_params: {model: openai/m, api_key: k}}]\n"
        "server_settings: {ca_file: ca.pem}\n"
    )
    return file


def test_roll_ends_with_a_successor_that_never_serves(tmp_path: Path, authority: Path) -> None:
    with two_workers(tmp_path) as gateway:
        before = find_workers(gateway)
        authority.unlink()
        gateway.process.send_signal(signal.SIGUSR2)
        wait_until(lambda: "the roll ends here" in gateway.stderr.read_text())
        assert len(find_workers(gateway)) == 3
        assert all(map(is_alive, before))
        assert gateway.ask("GET", "/health")[0] == 200


def open_pipe(path: Path) -> int:
    """Its writing end, once somebody reads it."""
    deadline = time.monotonic() + 5
    while True:
        try:
            return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_worker_that_dies_in_a_roll_is_replaced_once(tmp_path: Path, authority: Path) -> None:
    certificate = authority.read_bytes()
    pipe = tmp_path / "pipe"
    with two_workers(tmp_path) as gateway:
        os.mkfifo(pipe)
        pipe.rename(authority)  # the successor waits for what is written
        gateway.process.send_signal(signal.SIGUSR2)
        writer = open_pipe(authority)
        os.kill(find_workers(gateway)[0], signal.SIGKILL)
        wait_until(lambda: "died (signal 9)" in gateway.stderr.read_text())
        assert gateway.ask("GET", "/health")[0] == 200
        authority.unlink()
        authority.write_bytes(certificate)
        os.write(writer, certificate)
        os.close(writer)
        wait_until(lambda: ROLLED in gateway.stderr.read_text())
        assert len(find_workers(gateway)) == 4
        assert all(map(is_alive, find_workers(gateway)[2:]))


def test_sigterm_to_all_processes_is_heeded_once(tmp_path: Path) -> None:
    with two_workers(tmp_path) as gateway:
        before = find_workers(gateway)
        for worker in before:
            os.kill(worker, signal.SIGTERM)
        assert gateway.ask("GET", "/health")[0] == 200
        assert all(map(is_alive, before))
        assert gateway.end() == 0
        assert not any(map(is_alive, before))


def test_stop_ends_a_roll(tmp_path: Path) -> None:
    with two_workers(tmp_path) as gateway:
        gateway.process.send_signal(signal.SIGUSR2)
        wait_until(lambda: len(find_workers(gateway)) >= 3)
        assert gateway.end() == 0
        assert not any(map(is_alive, find_workers(gateway)))


def test_one_worker_says_that_it_cannot_roll_and_serves_on(tmp_path: Path) -> None:
    with serving(cwd=tmp_path) as gateway:
        gateway.process.send_signal(signal.SIGUSR2)
        wait_until(lambda: "SIGUSR2 is not heeded" in gateway.stderr.read_text())
        assert gateway.ask("GET", "/health")[0] == 200
