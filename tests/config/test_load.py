"""Files into a configuration, wrong ones into every problem at once; and the start without a file.

`wrong/` holds files that cannot be used, each beside what a terminal shows of it; `wild/` look-alikes of LiteLLM files
as they are found in public, each beside its notices.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from feathergate.capability import Capability
from feathergate.config.load import find_file, from_environment, load, read_source
from feathergate.config.report import render_problems
from feathergate.config.schema import Config
from feathergate.errors import ConfigError
from feathergate.providers import PROVIDERS

HERE = Path(__file__).parent

WRONG = sorted(path.stem for path in (HERE / "wrong").glob("*.yaml"))
WILD = sorted(path.stem for path in (HERE / "wild").glob("*.yaml"))
WILD_ENVIRON = {
    **{
        name: f"sk-test-{name}"
        for name in (
            "OPENAI_API_KEY",
            "ANTHROPIC_API_KEY",
            "GEMINI_API_KEY",
            "LITELLM_MASTER_KEY",
            "AZURE_API_KEY_EU",
            "GROQ_API_KEY",
            "OPENROUTER_API_KEY",
            "DEEPSEEK_API_KEY",
        )
    },
    "OWN_MODEL": "openai/gpt-5",
    "OWN_BASE": "http://own:1/v1",
    "TIMEOUT": "120",
}

MODEL = "model_list: [{model_name: m, litellm_params: {model: mock/echo}}]\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(text: str, environ: Mapping[str, str] | None = None) -> Config:
    Path("c.yaml").write_text(text, "utf-8")
    Path("c.yaml").chmod(0o600)
    return load("c.yaml", environ or {}, known_providers=PROVIDERS, capability=Capability)


def problems(text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text, environ)
    return list(map(str, caught.value.problems))


def read_wild(name: str) -> Config:
    shutil.copyfile(HERE / "wild" / f"{name}.yaml", f"{name}.yaml")
    Path(f"{name}.yaml").chmod(0o600)
    return load(f"{name}.yaml", WILD_ENVIRON, known_providers=PROVIDERS, capability=Capability)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_file_shows_every_problem(name: str) -> None:
    shutil.copyfile(HERE / "wrong" / f"{name}.yaml", f"{name}.yaml")
    with pytest.raises(ConfigError) as caught:
        load(f"{name}.yaml", {"HOME": "/home"}, known_providers=PROVIDERS, capability=Capability)
    shown = render_problems(caught.value.problems, read_source(f"{name}.yaml"))
    assert shown == (HERE / "wrong" / f"{name}.txt").read_text("utf-8")


@pytest.mark.parametrize("name", WRONG)
def test_problems_stand_in_the_order_of_the_file(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(HERE / "wrong" / f"{name}.yaml", {}, known_providers=PROVIDERS, capability=Capability)
    places = [(problem.line, problem.column) for problem in caught.value.problems]
    assert places == sorted(places)
    assert all(line and column for line, column in places)


@pytest.mark.parametrize("name", WILD)
def test_wild_file_loads_and_says_what_it_does_not_do(name: str) -> None:
    notices = "".join(f"{notice}\n" for notice in read_wild(name).notices)
    assert notices == (HERE / "wild" / f"{name}.txt").read_text("utf-8")


def test_balanced_file_holds_a_group_of_two() -> None:
    config = read_wild("balanced")
    entry, second = config.groups()["gpt-4o"]
    assert (entry.params.model, second.params.model) == ("azure/gpt-4o-eu", "openai/gpt-4o")
    assert (entry.params.rpm, second.params.rpm, second.params.tpm) == (900, 300, 100_000)
    assert (config.router.num_retries, config.router.allowed_fails, config.router.cooldown_time) == (2, 3, 30)
    assert config.router.routing_strategy == "usage-based-routing-v2"
    assert config.router.fallbacks == {"gpt-4o": ("gpt-4o-mini",)}
    assert entry.model_info.others == {"mode": "chat", "base_model": "azure/gpt-4o"}
    assert entry.params.defaults == {}
    assert config.litellm.drop_params is True
    assert config.total_timeout_s == 30


def test_wildcards_are_kept_as_they_are() -> None:
    config = read_wild("wildcards")
    assert [(entry.model_name, entry.params.model) for entry in config.models] == [
        ("openai/*", "openai/*"),
        ("anthropic/*", "anthropic/*"),
        ("*", "*"),
    ]


def test_homelab_file_merges_its_anchors_into_request_defaults() -> None:
    llama, vllm, claude, gpt = read_wild("homelab").models
    assert llama.params.defaults == {"num_ctx": 8192, "max_tokens": 4096, "temperature": 0.7}
    assert llama.params.timeout == 300
    assert vllm.params.api_base == "http://localhost:8000/v1"
    assert vllm.params.extra_body == {"chat_template_kwargs": {"enable_thinking": False}}
    assert claude.params.defaults["temperature"] == 1
    assert gpt.params.defaults == {"reasoning_effort": "low"}


def test_many_hosts_file_takes_every_form_of_variable() -> None:
    config = read_wild("many_hosts")
    own = config.models[-1].params
    assert (own.model, own.api_base) == ("openai/gpt-5", "http://own:1/v1")
    assert config.litellm.drop_params is False
    assert config.total_timeout_s == 120
    assert config.general.master_key is not None
    assert config.general.master_key.matches("sk-0123456789abcdef")


def test_drop_params_absent_is_not_false() -> None:
    assert read(MODEL).litellm.drop_params is None
    assert read(MODEL + "litellm_settings: {drop_params: false}").litellm.drop_params is False


def test_total_timeout_is_the_routers_then_the_requests_then_ten_minutes() -> None:
    both = "litellm_settings: {request_timeout: 20}\nrouter_settings: {timeout: 10}\n"
    assert read(MODEL + both).total_timeout_s == 10
    assert read(MODEL + "litellm_settings: {request_timeout: 20}").total_timeout_s == 20
    assert read(MODEL).total_timeout_s == 600


@pytest.mark.parametrize(
    ("text", "environ", "expected"),
    [
        ("general_settings: {master_key: from-the-file-0000}", {"LITELLM_MASTER_KEY": "x" * 16}, "from-the-file-0000"),
        ("general_settings:", {"LITELLM_MASTER_KEY": "l" * 16}, "l" * 16),
        ("", {"LITELLM_MASTER_KEY": "l" * 16, "FEATHERGATE_MASTER_KEY": "f" * 16}, "f" * 16),
        ("general_settings: {master_key: ' padded-key-000000\\n'}", {}, "padded-key-000000\\n"),
    ],
)
def test_master_key_is_the_files_then_the_environments(text: str, environ: dict[str, str], expected: str) -> None:
    key = read(MODEL + text, environ).general.master_key
    assert key is not None
    assert key.matches(expected)


def test_master_key_that_is_short_is_warned_of_wherever_it_is_from() -> None:
    environ = {"FEATHERGATE_MASTER_KEY": "short"}
    for config in (read(MODEL, environ), from_environment(environ)):
        [notice] = config.notices
        assert notice.what == "the master key is shorter than 16 characters"


def test_server_settings_are_read_with_their_defaults() -> None:
    server = read(MODEL + "server_settings: {keep_alive_s: 5, cors_allow_origins: ['*'], access_log: false}").server
    assert (server.keep_alive_s, server.cors_allow_origins, server.access_log) == (5.0, ("*",), False)
    assert server.body_limit_bytes == 32 * 1024 * 1024


def test_server_files_count_from_the_folder_of_the_configuration(folder: Path) -> None:
    (folder / "ca.pem").touch()
    assert read(MODEL + "server_settings: {ca_file: ca.pem}").server.ca_file == str(folder / "ca.pem")


def test_proxy_hides_its_password() -> None:
    server = read(MODEL + "server_settings: {proxy: 'http://user:canary@proxy:1'}").server
    assert server.proxy is not None
    assert server.proxy.reveal() == "http://user:canary@proxy:1"
    assert "canary" not in repr(server)


def test_dotenv_beside_the_file_gives_way_to_the_environment(folder: Path) -> None:
    (folder / ".env").write_text("A=dotenv/a\nB=dotenv/b\n")
    entries = (f"{{model_name: {name}, litellm_params: {{model: '${{{name}}}'}}}}" for name in "AB")
    text = f"model_list: [{', '.join(entries)}]"
    assert [entry.params.model for entry in read(text, {"A": "real/a"}).models] == ["real/a", "dotenv/b"]


def test_variable_missing_where_nothing_reads_it_is_no_problem() -> None:
    config = read(MODEL + "general_settings: {database_url: os.environ/DATABASE_URL}")
    assert [notice.what for notice in config.notices] == ["general_settings.database_url has no effect yet"]


def test_section_without_content_is_as_if_it_were_not_there() -> None:
    assert read(MODEL + "litellm_settings:\nrouter_settings: {}\ngeneral_settings: null\n").notices == ()


def test_file_without_models_serves_those_of_the_environment() -> None:
    config = read("litellm_settings: {drop_params: true}", {"OPENAI_API_KEY": "sk-1"})
    assert [entry.model_name for entry in config.models] == ["openai/*", "mock/echo"]
    assert "no model_list" in config.notices[0].what


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_file_with_keys_that_all_may_read_is_warned_of() -> None:
    Path("c.yaml").write_text(MODEL + "general_settings: {master_key: sk-canary-0123456789}")
    Path("c.yaml").chmod(0o644)
    notices = list(map(str, load("c.yaml", {}).notices))
    assert notices[0].startswith("c.yaml: warning: the file holds keys, and every user")
    assert notices[1].startswith("c.yaml:2:32: warning: general_settings.master_key looks like a literal key")
    assert "canary" not in "".join(notices)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a: 1\nb: \xff", "c.yaml:2:4: a byte that is not UTF-8 (save it as UTF-8)"),
        ("é: \xff".encode() + b"\xff", "c.yaml:1:5: a byte that is not UTF-8 (save it as UTF-8)"),
        (b"# " + b"x" * 4 * 1024 * 1024, "c.yaml: the file is larger than 4,194,304 bytes (split it)"),
        ("model_list: []".encode("utf-16"), "c.yaml:1:1: a byte that is not UTF-8 (save it as UTF-8)"),
    ],
)
def test_unreadable_bytes_are_a_problem(data: bytes, expected: str) -> None:
    Path("c.yaml").write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        load("c.yaml", {})
    assert str(caught.value) == expected


def test_byte_order_mark_is_passed_over() -> None:
    assert read("\ufeff" + MODEL).models[0].model_name == "m"


@pytest.mark.parametrize(
    ("path", "expected"),
    [("none.yaml", "there is no such file"), (".", "this is a folder"), ("a\0b", "the file cannot be read")],
)
def test_file_that_cannot_be_opened_is_a_problem(path: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        load(path, {})


def test_no_secret_stands_in_a_problem() -> None:
    environ = {"KEY": "canary-1 \u00e9", "T": "canary-2", "URL": "canary-3"}
    text = """
model_list:
  - model_name: m
    litellm_params: {model: mock/m, api_key: os.environ/KEY, timeout: os.environ/T, api_base: "${URL}"}
general_settings: {master_key: [canary-4]}
"""
    found = "".join(problems(text, environ))
    assert found.count("c.yaml:4:") == 3
    assert "canary" not in found


def test_key_in_the_environment_that_cannot_be_used_hides_no_other_problem() -> None:
    found = problems(MODEL + "router_setings:", {"LITELLM_MASTER_KEY": "canary \u00e9"})
    assert ["router_setings" in problem for problem in found] == [True, False]
    assert found[1].startswith("environment variable LITELLM_MASTER_KEY holds a character")


def test_large_file_loads_within_a_second() -> None:
    entry = "  - model_name: m{0}\n    litellm_params:\n      model: openai/m\n      api_key: ${{KEY}}\n      rpm: 5\n"
    text = "model_list:\n" + "".join(entry.format(number) for number in range(2000))
    started = time.monotonic()
    assert len(read(text, {"KEY": "sk-1"}).models) == 2000
    assert time.monotonic() - started < 1


def test_without_a_file_the_keys_of_the_environment_tell_the_models() -> None:
    config = from_environment({"OPENAI_API_KEY": "sk-1", "GEMINI_API_KEY": "", "ANTHROPIC_API_KEY": "sk-2"})
    assert [entry.model_name for entry in config.models] == ["openai/*", "anthropic/*", "mock/echo"]
    assert [entry.params.model for entry in config.models] == ["openai/*", "anthropic/*", "mock/echo"]
    assert config.models[1].params.api_key is not None
    assert config.models[1].params.api_key.matches("sk-2")
    assert config.general.master_key is None


def test_without_a_file_the_dotenv_of_the_folder_counts(folder: Path) -> None:
    (folder / ".env").write_text("GEMINI_API_KEY=sk-3\n")
    assert [entry.model_name for entry in from_environment({}).models] == ["gemini/*", "mock/echo"]


def test_without_a_file_yaml_is_not_imported() -> None:
    code = "import sys, feathergate.config.load as load; load.from_environment({}); sys.exit('yaml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_find_file_prefers_our_own_name(folder: Path) -> None:
    assert find_file(str(folder)) is None
    for name in ("config.yml", "config.yaml", "feathergate.yaml"):
        (folder / name).touch()
        assert find_file(str(folder)) == str(folder / name)
