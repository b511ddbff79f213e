"""`feathergate serve` as a process: what it answers, what it refuses to start with, how it ends."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.command import HELLO, PATIENCE_S, Gateway, clean_environ, is_listening, run, serving, wait_until

from feathergate import __version__

MOCK = "model_list: [{model_name: 'mock/*', litellm_params: {model: 'mock/*'}}]\n"
KEY = "sk-a-key-of-the-tests-0123456789"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serving("serve", cwd=tmp_path_factory.mktemp("empty")) as gateway:
        yield gateway


def write(folder: Path, text: str, name: str = "config.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def read_line_from_terminal(folder: Path, environ: dict[str, str]) -> str:
    """What a gateway shows on a terminal up to the end of its banner."""
    terminal, side = pty.openpty()
    command = [sys.executable, "-m", "feathergate", "--port", "0"]
    process = subprocess.Popen(command, cwd=folder, env=clean_environ(environ), stdout=side, stderr=subprocess.DEVNULL)
    os.close(side)
    try:
        return os.read(terminal, 65536).decode()
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        os.close(terminal)


# Serving.


def test_serve_answers_health(gateway: Gateway) -> None:
    status, body = gateway.ask("GET", "/health")
    assert (status, json.loads(body)["status"]) == (200, "ok")


def test_serve_without_a_key_answers_a_chat(gateway: Gateway) -> None:
    status, answer = gateway.chat()
    assert (status, answer["choices"][0]["message"]["content"]) == (200, "Hello there")


def test_start_is_one_line_of_json(gateway: Gateway) -> None:
    started = dict(gateway.started)
    assert started.pop("port") > 0
    assert 0 < started.pop("ready_ms") < PATIENCE_S * 1000
    assert started == {
        "event": "started",
        "address": "127.0.0.1",
        "models": ["mock/echo"],
        "auth": False,
        "config": None,
        "version": __version__,
        "workers": 1,
    }


def test_serve_finds_the_configuration_in_the_folder(tmp_path: Path) -> None:
    write(tmp_path, MOCK)
    with serving(cwd=tmp_path) as gateway:
        assert (gateway.started["models"], gateway.started["config"]) == (["mock/*"], "./config.yaml")


def test_serve_takes_the_configuration_from_the_variable_of_litellm(tmp_path: Path) -> None:
    path = write(tmp_path, MOCK, "elsewhere.yaml")
    with serving(cwd=tmp_path, environ={"CONFIG_FILE_PATH": str(path)}) as gateway:
        assert gateway.started["config"] == str(path)


def test_notices_are_logged_once(tmp_path: Path) -> None:
    write(tmp_path, MOCK + "litellm_settings: {set_verbose: true}\n")
    with serving(cwd=tmp_path) as gateway:
        assert gateway.stderr.read_text().count("set_verbose") == 1


# Who may ask.


def test_serve_with_a_master_key_asks_for_it_and_never_shows_it(tmp_path: Path) -> None:
    with serving("--host", "0.0.0.0", cwd=tmp_path, environ={"FEATHERGATE_MASTER_KEY": KEY}) as gateway:
        assert gateway.started["auth"] is True
        assert gateway.chat()[0] == 401
        assert gateway.ask("POST", "/v1/chat/completions", HELLO, authorization=f"Bearer {KEY}")[0] == 200
        assert KEY not in gateway.stderr.read_text() + json.dumps(gateway.started)


def test_serve_refuses_to_be_reached_without_a_master_key(tmp_path: Path) -> None:
    done = run("--bind", "0.0.0.0:0", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "export FEATHERGATE_MASTER_KEY=" in done.stderr
    assert "feathergate serve --bind 0.0.0.0:0 --no-auth" in done.stderr


def test_serve_without_a_key_is_reached_where_no_auth_says_so(tmp_path: Path) -> None:
    with serving("--host", "0.0.0.0", "--no-auth", cwd=tmp_path) as gateway:
        assert gateway.ask("GET", "/health")[0] == 200


# What cannot be started.


def test_busy_port_is_one_line_with_the_remedy(tmp_path: Path) -> None:
    began = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("--port", str(taken.getsockname()[1]), cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "is in use" in done.stderr
    assert "another port" in done.stderr
    assert time.monotonic() - began < 1


def test_foreign_address_is_one_line_with_the_remedy(tmp_path: Path) -> None:
    done = run("--host", "192.0.2.1", "--no-auth", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "is not an address of this machine" in done.stderr


def test_wrong_configuration_is_refused_with_every_problem(tmp_path: Path) -> None:
    write(tmp_path, MOCK + "router_settings: {num_retrys: 3}\nserver_settings: {keep_alive_s: soon}\n")
    done = run("serve", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "nothing was started: config error: 2 problems" in done.stderr
    assert "config.yaml:2:19" in done.stderr
    assert "config.yaml:3:33" in done.stderr


def test_workers_without_a_folder_to_share_are_not_started(tmp_path: Path) -> None:
    code = "import tempfile, feathergate.cli as cli; tempfile.tempdir = '/absent'; cli.main()"
    command = [sys.executable, "-c", code, "--workers", "2", "--port", "0"]
    done = subprocess.run(command, cwd=tmp_path, env=clean_environ(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "set TMPDIR" in done.stderr


def test_unknown_option_is_a_usage_error(tmp_path: Path) -> None:
    done = run("--prot", "1", cwd=tmp_path)
    assert done.returncode == 2
    assert "--port" in done.stderr


@pytest.mark.parametrize("workers", ["0", "-1", "many", "99999999999", "٣"])
def test_wrong_number_of_workers_is_a_usage_error(tmp_path: Path, workers: str) -> None:
    done = run("--workers", workers, cwd=tmp_path)
    assert done.returncode == 2
    assert "nor auto" in done.stderr


# Terminals and streams.


def test_banner_on_a_terminal_has_eight_lines_at_most(tmp_path: Path) -> None:
    banner = read_line_from_terminal(tmp_path, {"TERM": "xterm", "OPENAI_API_KEY": KEY})
    assert banner.count("\n") <= 8
    assert "\x1b[" in banner
    assert "openai/*" in banner
    assert '"model":"mock/echo"' in banner
    assert KEY not in banner


def test_banner_honours_no_color_in_any_locale(tmp_path: Path) -> None:
    assert "\x1b" not in read_line_from_terminal(tmp_path, {"NO_COLOR": "1", "LC_ALL": "C"})


def test_serve_needs_no_standard_streams(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    command = f'exec "{sys.executable}" -m feathergate --port {port} <&- >&- 2>&-'
    process = subprocess.Popen(["sh", "-c", command], cwd=tmp_path, env=clean_environ())
    try:
        silent = Gateway(process, {"port": port}, tmp_path)
        wait_until(lambda: is_listening(port))
        assert silent.chat()[0] == 200
        assert silent.end() == 0
    finally:
        process.kill()


# The end.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_an_idle_gateway_with_code_0(tmp_path: Path, number: signal.Signals) -> None:
    with serving(cwd=tmp_path) as gateway:
        assert gateway.end(number) == 0
        assert gateway.stderr.read_text() == ""
