"""`feathergate reload`: what it prints, and what it says where the gateway cannot or will not."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

from tests.command import Gateway, run, serving

KEY = "sk-a-key-of-the-tests-0123456789"


def write(folder: Path, name: str, key: str = "") -> None:
    settings = f"general_settings: {{master_key: {key}}}\n" if key else ""
    text = f"model_list: [{{model_name: {name}, litellm_params: {{model: mock/echo}}}}]\n"
    (folder / "config.yaml").write_text(text + settings)


def reload(folder: Path, gateway: Gateway) -> subprocess.CompletedProcess[str]:
    return run("reload", "--bind", f"127.0.0.1:{gateway.started['port']}", cwd=folder)


def test_reload_prints_what_has_changed(tmp_path: Path) -> None:
    write(tmp_path, "one")
    with serving(cwd=tmp_path) as gateway:
        write(tmp_path, "two")
        done = reload(tmp_path, gateway)
        assert (done.returncode, "model_list: + two (mock/echo)\n" in done.stdout) == (0, True)
        assert gateway.chat(model="two")[0] == 200
        assert reload(tmp_path, gateway).stdout == "nothing has changed\n"


def test_reload_shows_the_key_to_the_gateway_only(tmp_path: Path) -> None:
    write(tmp_path, "one", KEY)
    with serving(cwd=tmp_path) as gateway:
        done = reload(tmp_path, gateway)
        assert (done.returncode, KEY in done.stdout + done.stderr) == (0, False)


def test_reload_with_another_key_names_the_way_that_is_left(tmp_path: Path) -> None:
    write(tmp_path, "one", KEY)
    with serving(cwd=tmp_path) as gateway:
        write(tmp_path, "one", KEY[::-1])
        done = reload(tmp_path, gateway)
    assert (done.returncode, done.stdout, "kill -HUP" in done.stderr) == (1, "", True)


def test_wrong_configuration_is_not_even_sent(tmp_path: Path) -> None:
    write(tmp_path, "one")
    with serving(cwd=tmp_path) as gateway:
        (tmp_path / "config.yaml").write_text("")
        done = reload(tmp_path, gateway)
        assert gateway.chat(model="one")[0] == 200
    assert (done.returncode, done.stdout) == (1, "")
    assert "nothing was reloaded" in done.stderr
    assert "config.yaml:1:1" in done.stderr


def test_nobody_there_is_one_line_with_the_remedy(tmp_path: Path) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        done = run("reload", "--bind", f"127.0.0.1:{sock.getsockname()[1]}", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "--bind" in done.stderr
