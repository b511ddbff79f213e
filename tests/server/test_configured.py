"""`feathergate serve` reloads: by signal, by request, by watching; one worker and two, and those that come after."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.command import Gateway, serving, wait_until

from feathergate.config.schema import Config
from feathergate.observe.snapshot import FOLDER_VARIABLE
from feathergate.server.configured import Configured
from feathergate.server.reload import Reloading

MOCK = "model_list: [{model_name: 'mock/*', litellm_params: {model: 'mock/*'}}]\n"
CONFIG = Config(models=())
KEY = "sk-a-key-of-the-tests-0123456789"


def write(folder: Path, text: str) -> None:
    (folder / "config.yaml").write_text(text)


@contextmanager
def reloading(folder: Path, *arguments: str) -> Iterator[Gateway]:
    """A gateway that knows the model `one`; `two` is not configured yet."""
    write(folder, name_model("one"))
    with serving(*arguments, cwd=folder) as gateway:
        assert (gateway.chat(model="one")[0], gateway.chat(model="two")[0]) == (200, 404)
        yield gateway


def name_model(name: str) -> str:
    return f"model_list: [{{model_name: {name}, litellm_params: {{model: mock/echo}}}}]\n"


def read_line(gateway: Gateway, event: str) -> dict[str, Any]:
    """The next line of JSON on stdout that tells of this event."""
    assert gateway.process.stdout is not None
    while (line := json.loads(gateway.process.stdout.readline()))["event"] != event:
        pass
    found: dict[str, Any] = line
    return found


@pytest.mark.parametrize("workers", ["1", "2"])
def test_hangup_reloads_in_every_worker(tmp_path: Path, workers: str) -> None:
    with reloading(tmp_path, "--workers", workers) as gateway:
        write(tmp_path, name_model("two"))
        gateway.process.send_signal(signal.SIGHUP)
        line = read_line(gateway, "reloaded")
        assert (line["successful"], "model_list: + two (mock/echo)" in line["changes"]) == (True, True)
        wait_until(lambda: {gateway.chat(model="two")[0] for _ in range(10)} == {200})
        wait_until(lambda: {gateway.chat(model="one")[0] for _ in range(10)} == {404})
        assert gateway.stderr.read_text().count("configuration reloaded") == 1


def test_broken_file_is_told_once_with_its_place_and_changes_nothing(tmp_path: Path) -> None:
    with reloading(tmp_path, "--workers", "2") as gateway:
        write(tmp_path, name_model("two") + "router_settings: {num_retrys: 3}\n")
        gateway.process.send_signal(signal.SIGHUP)
        line = read_line(gateway, "reloaded")
        assert (line["successful"], "config.yaml:2:19" in line["problems"][0]) == (False, True)
        assert gateway.stderr.read_text().count("config.yaml:2:19") == 1
        assert {gateway.chat(model="one")[0] for _ in range(10)} == {200}
        wait_until(lambda: b"feathergate_config_last_reload_successful 0\n" in gateway.ask("GET", "/metrics")[1])


def test_request_to_reload_reaches_every_worker(tmp_path: Path) -> None:
    with reloading(tmp_path, "--workers", "2") as gateway:
        write(tmp_path, name_model("two"))
        status, body = gateway.ask("POST", "/-/reload")
        assert (status, "model_list: + two (mock/echo)" in json.loads(body)["changes"]) == (200, True)
        read_line(gateway, "reloaded")
        wait_until(lambda: {gateway.chat(model="two")[0] for _ in range(10)} == {200})
        write(tmp_path, "")
        status, body = gateway.ask("POST", "/-/reload")
        assert (status, "config.yaml:1:1" in json.loads(body)["error"]["message"]) == (422, True)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_watched_link_that_moves_is_read_again(tmp_path: Path, workers: str) -> None:
    for name in ("one", "two"):
        (tmp_path / f"..{name}").mkdir()
        write(tmp_path / f"..{name}", name_model(name))
    (tmp_path / "..data").symlink_to("..one")
    (tmp_path / "config.yaml").symlink_to("..data/config.yaml")
    with serving("--watch", "--workers", workers, cwd=tmp_path) as gateway:
        assert gateway.chat(model="one")[0] == 200
        (tmp_path / "..next").symlink_to("..two")
        (tmp_path / "..next").replace(tmp_path / "..data")
        assert read_line(gateway, "reloaded")["successful"]
        wait_until(lambda: {gateway.chat(model="two")[0] for _ in range(10)} == {200})


def test_reload_does_not_open_the_gateway_to_everybody(tmp_path: Path) -> None:
    write(tmp_path, MOCK + f"general_settings: {{master_key: {KEY}}}\n")
    with serving("--host", "0.0.0.0", cwd=tmp_path) as gateway:
        write(tmp_path, MOCK)
        gateway.process.send_signal(signal.SIGHUP)
        assert "the master key is gone" in read_line(gateway, "reloaded")["problems"][0]
        assert gateway.chat()[0] == 401


def test_reload_needs_the_master_key(tmp_path: Path) -> None:
    write(tmp_path, MOCK + f"general_settings: {{master_key: {KEY}}}\n")
    with serving(cwd=tmp_path) as gateway:
        assert gateway.ask("POST", "/-/reload")[0] == 401
        assert gateway.ask("POST", "/-/reload", authorization=f"Bearer {KEY}")[0] == 200


def test_worker_that_replaces_a_dead_one_has_the_last_configuration_that_was_right(tmp_path: Path) -> None:
    with reloading(tmp_path, "--workers", "2", "--debug") as gateway:
        write(tmp_path, name_model("two"))
        gateway.process.send_signal(signal.SIGHUP)
        read_line(gateway, "reloaded")
        write(tmp_path, "")
        gateway.process.send_signal(signal.SIGHUP)
        assert not read_line(gateway, "reloaded")["successful"]
        workers = find_workers(gateway)
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        wait_until(lambda: len(find_workers(gateway)) == 4)
        assert {gateway.chat(model="two")[0] for _ in range(10)} == {200}
        assert gateway.end() == 0


def test_unforeseen_failure_leaves_the_supervisor_alive(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(config: Config) -> Config:
        raise RuntimeError("a bug")

    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    configured = Configured(CONFIG, Reloading(fail))
    assert not configured.reload()
    assert configured.config is CONFIG
    assert "a bug" in caplog.text
    assert '"failure":1' in next(tmp_path.iterdir()).read_text()


def find_workers(gateway: Gateway) -> list[int]:
    return [int(found) for found in re.findall(r"worker (\d+) started", gateway.stderr.read_text())]
