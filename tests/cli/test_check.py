"""`feathergate check` and its alias: every problem, every notice, an exit code."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from feathergate.cli import complete, verbs

MOCK = "model_list: [{model_name: m, litellm_params: {model: mock/echo}}]\n"


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "FEATHERGATE_MASTER_KEY"):
        monkeypatch.delenv(name, raising=False)


def check(text: str, *, verb: str = "check") -> Result:
    Path("a.yaml").write_text(text)
    return CliRunner().invoke(verbs, [verb, "a.yaml"])


@pytest.mark.parametrize("verb", ["check", "validate"])
def test_check_accepts_what_is_right(verb: str) -> None:
    done = check(MOCK, verb=verb)
    assert (done.exit_code, done.output) == (0, "ok: a.yaml: 1 model, without a master key\n")


def test_check_shows_groups_and_fallbacks() -> None:
    done = check(
        "model_list:\n"
        "- {model_name: fast, litellm_params: {model: mock/a, weight: 3, rpm: 5}}\n"
        "- {model_name: slow, litellm_params: {model: mock/b}}\n"
        "- {model_name: fast, litellm_params: {model: mock/c, order: 2}}\n"
        "router_settings: {routing_strategy: least-busy, fallbacks: [{fast: [slow]}], default_fallbacks: [slow]}\n"
    )
    assert done.output.splitlines() == [
        "fast: 2 deployments, least-busy",
        "  mock/a (weight 3, rpm 5)",
        "  mock/c (order 2)",
        "  fallbacks: slow",
        "any other:",
        "  fallbacks: slow",
        "ok: a.yaml: 2 models, 3 deployments, without a master key",
    ]


def test_check_names_every_problem_with_its_place() -> None:
    done = check(MOCK + "router_settings: {num_retrys: 3}\nserver_settings: {keep_alive_s: soon}\n")
    assert done.exit_code == 1
    assert done.stderr.startswith("config error: 2 problems")
    assert "a.yaml:2:19" in done.stderr
    assert "a.yaml:3:33" in done.stderr


def test_check_finds_what_only_shows_when_files_are_looked_at() -> None:
    Path("ca.pem").write_text("no certificate")
    done = check(
        "model_list: [{model_name: m, litellm_params: {model: openai/m, api_key: k}}]\n"
        "server_settings: {ca_file: ca.pem}\n"
    )
    assert done.exit_code == 1
    assert "ca_file" in done.stderr


def test_check_names_what_has_no_effect() -> None:
    done = check(MOCK + "litellm_settings: {set_verbose: true}\n")
    assert done.exit_code == 0
    assert "a.yaml:2:20: info: " in done.output
    assert "set_verbose" in done.output


def test_check_names_a_key_that_goes_to_another_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    done = check("model_list: [{model_name: m, litellm_params: {model: openai/m, api_base: 'http://gpu/v1'}}]\n")
    assert done.exit_code == 0
    assert "a.yaml:1:74: warning: model m has no api_key, so that of OPENAI_API_KEY is sent to gpu" in done.output
    assert "canary" not in done.output


def test_check_refuses_a_default_that_no_request_may_hold() -> None:
    done = check("model_list:\n- {model_name: m, litellm_params: {model: mock/echo, temperature: 9}}\n")
    assert done.exit_code == 1
    assert "a.yaml:2:1" in done.stderr
    assert "temperature" in done.stderr


def test_check_of_a_missing_file_says_so() -> None:
    done = CliRunner().invoke(verbs, ["check", "absent.yaml"])
    assert done.exit_code == 1
    assert "absent.yaml" in done.stderr
    assert "no such file" in done.stderr


def test_check_without_a_file_checks_the_environment() -> None:
    done = CliRunner().invoke(verbs, ["check"])
    assert (done.exit_code, done.output) == (0, "ok: the environment: 1 model, without a master key\n")


def test_check_shows_no_key() -> None:
    key = "sk-a-key-of-the-tests-0123456789"
    done = check(f"model_list: [{{model_name: m, litellm_params: {{model: openai/m, api_key: {key}, timeout: x}}}}]\n")
    assert done.exit_code == 1
    assert key not in done.output + done.stderr


@pytest.mark.parametrize("arguments", [[], ["--port", "0"], ["-c", "a.yaml"]])
def test_command_line_without_a_verb_serves(arguments: list[str]) -> None:
    assert complete(arguments) == ["serve", *arguments]


@pytest.mark.parametrize("arguments", [["check"], ["--help"], ["-h"], ["--version"]])
def test_command_line_with_a_verb_is_left_alone(arguments: list[str]) -> None:
    assert complete(arguments) == arguments
