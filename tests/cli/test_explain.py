"""`feathergate explain`: the upstream request, shown and not sent; what it hides; how it fails."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.docs.page import ROOT, Snippet, read_snippets

from feathergate.cli import verbs

KEY = "sk-a-key-of-the-tests-0123456789"
PAGE = [snippet for snippet in read_snippets(ROOT / "docs" / "explain.md") if snippet.language != "yaml"]
CONFIG = next(item.text for item in read_snippets(ROOT / "docs" / "explain.md") if item.language == "yaml")
HELLO: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FEATHERGATE_CONFIG", raising=False)
    monkeypatch.delenv("CONFIG_FILE_PATH", raising=False)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.setenv(name, KEY)


def explain(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(verbs, ["explain", *arguments], input=stdin)


def explain_json(params: dict[str, Any], request: dict[str, Any] | None = None, *arguments: str) -> Any:
    """For the one model `m`."""
    write_config(params)
    done = explain("--json", *arguments, stdin=json.dumps(request or HELLO))
    return json.loads(done.stdout)


def write_config(params: dict[str, Any], name: str = "m") -> None:
    Path("config.yaml").write_text(json.dumps({"model_list": [{"model_name": name, "litellm_params": params}]}))


# The page.


def list_examples() -> list[tuple[Snippet, ...]]:
    """Each request of the page with the command that explains it and what that prints."""
    return list(zip(PAGE[::3], PAGE[1::3], PAGE[2::3], strict=True))


@pytest.mark.parametrize(("request_json", "command", "printed"), list_examples(), ids=str)
def test_page_shows_what_the_command_prints(request_json: Snippet, command: Snippet, printed: Snippet) -> None:
    Path("config.yaml").write_text(CONFIG)
    Path("request.json").write_text(request_json.text)
    program, verb, *arguments = shlex.split(command.text)
    assert (program, verb) == ("feathergate", "explain")
    done = explain(*arguments)
    assert (done.output, done.exit_code) == (printed.text, int(printed.text.startswith("400")))


def test_page_explains_every_provider_of_the_readme_and_a_refusal() -> None:
    assert [printed.text.split(" ", 1)[0] for _, _, printed in list_examples()] == ["gpt", "claude", "gemini", "400:"]


# What is shown.


def test_json_holds_the_whole_upstream_request() -> None:
    shown = explain_json({"model": "openai/gpt-4o", "api_base": "http://[::1]:9/v1"}, {**HELLO, "unknown": [1]})
    assert shown == {
        "model_name": "m",
        "provider": "openai",
        "model": "gpt-4o",
        "method": "POST",
        "url": "http://[::1]:9/v1/chat/completions",
        "headers": [["content-type", "application/json"], ["user-agent", "feathergate"], ["authorization", "***"]],
        "body": {**HELLO, "model": "gpt-4o", "unknown": [1]},
        "dropped": [],
        "strict": False,
        "group": {
            "model_name": "m",
            "deployments": ["openai/gpt-4o"],
            "strategy": "simple-shuffle",
            "fallbacks": [],
            "context_window_fallbacks": [],
            "content_policy_fallbacks": [],
        },
    }


def test_who_else_might_answer_is_shown() -> None:
    entries = [{"model_name": name, "litellm_params": {"model": f"mock/{to}"}} for name, to in ("ma", "mb", "nc")]
    Path("config.yaml").write_text(
        json.dumps({"model_list": entries, "router_settings": {"context_window_fallbacks": {"m": "n"}}})
    )
    lines = explain(stdin=json.dumps(HELLO)).output.splitlines()
    assert lines[0].startswith("m -> mock/")
    assert lines[2:8] == [
        "m: 2 deployments, simple-shuffle",
        "  mock/a",
        "  mock/b",
        "  context_window_fallbacks: n",
        "",
        "POST /chat/completions",
    ]
    assert explain("--model", "n", stdin=json.dumps(HELLO)).output.splitlines()[2] == "POST /chat/completions"


def test_model_takes_the_place_of_the_request_s_own_or_of_none() -> None:
    asked = [HELLO | {"model": "other"}, {"messages": HELLO["messages"]}]
    bodies = [explain_json({"model": "openai/x"}, request, "--model", "m")["body"]["model"] for request in asked]
    assert bodies == ["x", "x"]


def test_parameters_of_the_configuration_are_in_the_body() -> None:
    params = {"model": "openai/x", "temperature": 0.5, "extra_body": {"tag": "a"}}
    body = explain_json(params)["body"]
    assert (body["temperature"], body["tag"]) == (0.5, "a")


@pytest.mark.parametrize("arguments", [("-",), ()])
def test_request_is_read_from_stdin(arguments: tuple[str, ...]) -> None:
    write_config({"model": "mock/echo"})
    done = explain(*arguments, stdin=json.dumps(HELLO))
    assert done.exit_code == 0
    assert done.output.startswith("m -> mock/echo\n\nPOST /chat/completions\n")


def test_dropped_fields_are_named_with_the_reason() -> None:
    write_config({"model": "anthropic/claude-haiku-4-5"})
    done = explain(stdin=json.dumps({**HELLO, "seed": 1, "logit_bias": {"1": 2}}))
    assert "dropped: seed, logit_bias (no equivalent upstream" in done.output


def test_strict_translation_shows_the_refusal() -> None:
    write_config({"model": "anthropic/claude-haiku-4-5", "drop_params": False})
    done = explain(stdin=json.dumps({**HELLO, "seed": 1}))
    assert done.exit_code == 1
    assert "param: seed\n" in done.output
    assert "the translation is strict" in explain(stdin=json.dumps(HELLO)).output


# What is hidden.


@pytest.mark.parametrize("flag", [(), ("--json",)])
@pytest.mark.parametrize("provider", ["openai", "anthropic", "gemini", "azure", "groq"])
def test_no_key_is_shown(provider: str, flag: tuple[str, ...]) -> None:
    headers = {"X-Team": KEY + "-2", "User-Agent": KEY + "-3"}
    params = {"model": f"{provider}/x", "api_base": "http://host:1", "api_key": KEY, "extra_headers": headers}
    write_config({**params, "extra_body": {"session_token": KEY + "-4"}})
    done = explain(*flag, stdin=json.dumps(HELLO))
    assert done.exit_code == 0
    assert KEY not in done.output
    assert done.output.count("***") == (4 if provider in ("openai", "azure", "groq") else 3)


def test_names_cannot_move_the_terminal() -> None:
    write_config({"model": "mock/echo"}, "\x1b[2J*")
    asked = [explain(stdin=json.dumps(HELLO | {"model": name})).output for name in ("\x1b[2Jm", "\x1b[3J\n")]
    assert "\x1b" not in "".join(asked)


# How it fails.


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ("{", 400, "not valid JSON"),
        ("[]", 400, "Expected"),
        ('{"model":"nobody","messages":[{}]}', 404, "Model not found: nobody"),
        ('{"model":"m","model":"m","messages":[{}]}', 400, "stands twice"),
        ('{"model":"m","messages":[{}],"stream_options":{}}', 400, "stream"),
    ],
)
def test_refusal_is_the_gateway_s_own(body: str, status: int, words: str) -> None:
    write_config({"model": "anthropic/claude-haiku-4-5"})
    done = explain(stdin=body)
    answer = json.loads(explain("--json", stdin=body).stdout)
    assert done.exit_code == 1
    assert done.stdout.startswith(f"{status}: {answer['error']['message']}")
    assert words in done.stdout


def test_twin_members_are_refused_with_another_model_too() -> None:
    write_config({"model": "openai/x"})
    done = explain("--model", "m", stdin='{"model":"a","n":1,"n":2,"messages":[{}]}')
    assert (done.exit_code, "stands twice" in done.output) == (1, True)


def test_wrong_configuration_is_told_and_exits_with_2() -> None:
    Path("config.yaml").write_text("model_list: 3")
    done = explain(stdin="{}")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "config error: 1 problem" in done.stderr


def test_missing_file_is_told() -> None:
    done = explain("absent.json")
    assert done.exit_code == 1
    assert "absent.json: the request cannot be read: No such file" in done.stderr
