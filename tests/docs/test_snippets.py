"""What the pages tell people to paste works: against a gateway in a process of its own, with every provider mocked.

Commands of the shell, calls of the OpenAI SDK and JavaScript are run as they stand, with the gateway's address put in
the place of `localhost:8080`; an answer that a page shows beneath must be the one that came, ids and times aside.
Configurations are loaded.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from tests.command import clean_environ, serving
from tests.docs.page import ROOT, Snippet, find_snippets, read_snippets

from feathergate.capability import Capability
from feathergate.cli import complete, verbs
from feathergate.config.load import load
from feathergate.dialects.render import ERROR_TYPE
from feathergate.providers import PROVIDERS

PATIENCE_S = 20
VARIABLES = {
    "OPENAI_API_KEY": "sk-openai-0123456789",
    "ANTHROPIC_API_KEY": "sk-ant-0123456789",
    "GEMINI_API_KEY": "gemini-0123456789",
    "AZURE_API_KEY": "azure-0123456789",
    "GROQ_API_KEY": "gsk_0123456789",
    "FEATHERGATE_MASTER_KEY": "sk-master-0123456789",
}
CONFIG = """\
model_list:
  - {model_name: mock/*, litellm_params: {model: mock/*}}
  - {model_name: "*", litellm_params: {model: openai/*, mock_response: "A gateway, lightly."}}
"""
_ADDRESS = re.compile(r"(?:localhost|127\.0\.0\.1):8080")
_CHANGING = re.compile(r'chatcmpl-mock-\d+|fg_[0-9a-f]{24}|(?<="created":)\d+')
_MEANT_TO_FAIL = re.compile(r"mock/(error|cut)\b")
_TARGET = re.compile(r"^(\w+):", re.MULTILINE)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a gateway at which every model answers without a provider."""
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "config.yaml").write_text(CONFIG)
    with serving(cwd=folder) as gateway:
        yield f"127.0.0.1:{gateway.started['port']}"


def each(*languages: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("snippet", find_snippets(*languages), ids=str)


@each("yaml")
def test_configuration_of_a_page_loads(snippet: Snippet, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(snippet.text)
    config = load(str(file), VARIABLES, known_providers=PROVIDERS, capability=Capability)
    assert config.models
    assert [notice for notice in config.notices if notice.level == "warning"] == []


@each("sh", "console")
def test_command_of_a_page_works(snippet: Snippet, address: str, tmp_path: Path) -> None:
    commands = read_commands(snippet)
    assert commands
    answers = [run_command(command, address, tmp_path) for command in commands]
    if snippet.answer is not None:
        assert fix(answers[-1]) == fix(snippet.answer)
        return
    failed = [command for command, answer in zip(commands, answers, strict=True) if ERROR_TYPE in answer]
    assert [command for command in failed if _MEANT_TO_FAIL.search(command) is None] == []


@each("python")
def test_python_of_a_page_runs(snippet: Snippet, address: str) -> None:
    said = execute([sys.executable, "-W", "error", "-c", place(snippet.text, address)])
    assert "gateway" in said
    if snippet.answer is not None:
        assert fix(said) == fix(snippet.answer)


@each("js")
def test_javascript_of_a_page_runs(snippet: Snippet, address: str) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    assert "gateway" in execute([node, "--input-type=module", "-e", place(snippet.text, address)])


@each("json")
def test_json_of_a_page_is_json(snippet: Snippet) -> None:
    assert json.loads(snippet.text)


def test_readmes_hold_the_same_snippets() -> None:
    english, chinese = (read_snippets(ROOT / name) for name in ("README.md", "README.zh.md"))
    assert [(snippet.language, _code(snippet)) for snippet in chinese] == [
        (snippet.language, _code(snippet)) for snippet in english
    ]


def _code(snippet: Snippet) -> str:
    """The text without comments, which are translated."""
    return re.sub(r"(?m)(^|\s+)(#|//) .*$", "", snippet.text)


def read_commands(snippet: Snippet) -> list[str]:
    """A block's commands, each with its continuation lines; of a console those after the `$`."""
    text = snippet.text.replace("\\\n", "")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    if snippet.language == "console":
        return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return lines


def run_command(command: str, address: str, folder: Path) -> str:
    """What it prints. `make` and `feathergate serve` are only read, since they would not end."""
    words = shlex.split(command.removeprefix(".venv/bin/"), comments=True)
    if words[0] == "make":
        assert words[1] in _TARGET.findall((ROOT / "Makefile").read_text())
        return ""
    if words[:2] == ["feathergate", "check"]:
        (folder / words[2]).write_text(CONFIG)
        program = [sys.executable, "-m", "feathergate", *words[1:]]
        return execute(program, folder)
    if words[0] == "feathergate":
        verb, *arguments = complete(words[1:])
        found = verbs.get_command(click.Context(verbs), verb)
        assert found is not None
        found.make_context(verb, arguments)
        return ""
    assert words[0] in ("curl", "export"), f"nobody knows how to test {words[0]}"
    return execute(["bash", "-euo", "pipefail", "-c", place(command, address)], folder)


def execute(command: list[str], folder: Path = ROOT) -> str:
    ended = subprocess.run(
        command,
        cwd=folder,
        env=clean_environ(VARIABLES),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def place(text: str, address: str) -> str:
    return _ADDRESS.sub(address, text)


def fix(answer: str) -> str:
    """An answer without what is new each time."""
    return _CHANGING.sub("X", answer).strip()
