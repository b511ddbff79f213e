"""`--workers 2`: one socket, one set of metrics, and workers that are replaced, as a user would see it."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.command import Gateway, is_listening, run, serving, wait_until

from feathergate.server.workers import pause_before_restart


@contextmanager
def two_workers(folder: Path) -> Iterator[Gateway]:
    with serving("--workers", "2", "--debug", cwd=folder, environ={"TMPDIR": str(folder)}) as gateway:
        yield gateway


def find_workers(gateway: Gateway) -> list[int]:
    """The ids of all workers that were started, the oldest first."""
    return [int(found) for found in re.findall(r"worker (\d+) started", gateway.stderr.read_text())]


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
        wait_until(lambda: len(find_workers(gateway)) == 3)
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
