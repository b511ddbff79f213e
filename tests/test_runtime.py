"""Config to Runtime: what a request will look up, worked out and checked once."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from feathergate.config.load import load
from feathergate.config.schema import ServerSettings
from feathergate.deployment import Deployment, Unsupported, build_client_limits
from feathergate.dialects.contract import Built, Context
from feathergate.errors import ClientError, ConfigError, NotFoundError
from feathergate.http.limits import ClientLimits
from feathergate.http.ticker import Ticker
from feathergate.observe.metrics import Metrics
from feathergate.providers import PROVIDERS
from feathergate.runtime import Runtime, compile_runtime, list_models
from feathergate.shared import Shared
from feathergate.transport.upstream import HttpTransport

KEY = "sk-canary-0123456789"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


async def compile_text(folder: Path, models: Any, environ: dict[str, str] | None = None, **sections: Any) -> Runtime:
    path = folder / "config.yaml"
    path.write_text(json.dumps({"model_list": models, **sections}))
    config = load(str(path), environ or {}, known_providers=PROVIDERS)
    loop = asyncio.get_running_loop()
    shared = Shared(loop=loop, ticker=Ticker(loop), environ=environ or {}, now=time.time)
    return compile_runtime(config, shared, Metrics())


def entry(name: str, model: str, **params: Any) -> Any:
    return {"model_name": name, "litellm_params": {"model": model, **params}}


async def find(folder: Path, model: str, name: str = "m", **params: Any) -> Deployment:
    return (await compile_text(folder, [entry(name, model, **params)])).find_deployment(name)


def test_limits_of_a_configuration_without_a_word_are_those_of_http() -> None:
    assert build_client_limits(ServerSettings()) == ClientLimits()


@pytest.mark.parametrize(
    ("model", "line"),
    [
        ("openai/gpt-5", f"authorization: Bearer {KEY}"),
        ("anthropic/claude", f"x-api-key: {KEY}"),
        ("gemini/gemini-2.5-flash", f"x-goog-api-key: {KEY}"),
        ("groq/llama", f"authorization: Bearer {KEY}"),
    ],
)
async def test_each_provider_is_signed_for_in_its_own_way(folder: Path, model: str, line: str) -> None:
    deployment = await find(folder, model, api_key=KEY)
    assert deployment.headers.decode().split("\r\n").count(line) == 1


async def test_usual_variable_stands_in_for_a_key(folder: Path) -> None:
    runtime = await compile_text(folder, [entry("m", "openai/gpt-5")], {"OPENAI_API_KEY": f" {KEY}\n"})
    assert f"authorization: Bearer {KEY}\r\n".encode() in runtime.find_deployment("m").headers


async def test_azure_s_url_follows_the_model_that_a_pattern_caught(folder: Path) -> None:
    params = {"api_base": "https://r.openai.azure.com", "api_version": "2024-10-21", "api_key": KEY}
    runtime = await compile_text(folder, [entry("azure/*", "azure/*", **params)])
    built = Built("/chat/completions", b"{}", Context(model="gpt"))
    upstream = runtime.find_deployment("azure/gpt").build_upstream(built, stream=False)
    assert upstream.target == b"/openai/deployments/gpt/chat/completions?api-version=2024-10-21"
    assert f"api-key: {KEY}\r\n".encode() in upstream.headers


@pytest.mark.parametrize("name", [".", ".."])
async def test_name_that_climbs_in_a_path_is_no_model(folder: Path, name: str) -> None:
    runtime = await compile_text(folder, [entry("azure/*", "azure/*", api_base="https://r.openai.azure.com")])
    with pytest.raises(ClientError) as caught:
        runtime.find_deployment(f"azure/{name}")
    assert (caught.value.status, caught.value.param) == (400, "model")


async def test_quirks_of_the_host_reach_the_dialect(folder: Path) -> None:
    deployment = await find(folder, "mistral/mistral-large", api_key=KEY)
    assert deployment.target.quirks is PROVIDERS["mistral"].quirks


async def test_extra_headers_and_organization_are_sent(folder: Path) -> None:
    deployment = await find(folder, "openai/gpt-5", organization="org-1", extra_headers={"X-Team": "blue"})
    assert b"openai-organization: org-1\r\n" in deployment.headers
    assert b"x-team: blue\r\n" in deployment.headers


@pytest.mark.parametrize(
    ("params", "sections", "whole", "event"),
    [
        ({}, {}, 600, 300),
        ({"timeout": 20}, {}, 20, 20),
        ({"timeout": 20, "stream_timeout": 5}, {}, 20, 5),
        ({"timeout": 50}, {"router_settings": {"timeout": 30}}, 30, 30),
        ({}, {"litellm_settings": {"request_timeout": 40}}, 40, 40),
        ({}, {"litellm_settings": {"request_timeout": 40}, "router_settings": {"timeout": 30}}, 30, 30),
    ],
)
async def test_timeouts_lie_within_each_other(
    folder: Path, params: Any, sections: Any, whole: float, event: float
) -> None:
    runtime = await compile_text(folder, [entry("m", "openai/gpt-5", **params)], **sections)
    deployment = runtime.find_deployment("m")
    assert (deployment.timeouts.total_s, deployment.timeouts.first_byte_s) == (whole, whole)
    assert deployment.stream_timeouts.total_s == whole
    assert (deployment.stream_timeouts.first_byte_s, deployment.stream_timeouts.idle_s) == (event, event)


@pytest.mark.parametrize(
    ("pattern", "model", "asked", "upstream"),
    [
        ("openai/*", "openai/*", "openai/gpt-5", "gpt-5"),
        ("openai/*", "openai/*", "gpt-5", "gpt-5"),
        ("*", "openai/*", "anything", "anything"),
        ("fast-*", "openai/gpt-5", "fast-lane", "gpt-5"),
        ("a-*-*", "openai/*/*", "a-*-c", "*/c"),
    ],
)
async def test_pattern_serves_what_it_catches(
    folder: Path, pattern: str, model: str, asked: str, upstream: str
) -> None:
    runtime = await compile_text(folder, [entry(pattern, model)])
    deployment = runtime.find_deployment(asked)
    assert (deployment.model, deployment.model_name) == (upstream, pattern)


async def test_name_of_endless_length_is_looked_up_in_no_time(folder: Path) -> None:
    runtime = await compile_text(folder, [entry("*a*b*c*", "openai/gpt-5")])
    started = time.perf_counter()
    with pytest.raises(NotFoundError) as caught:
        runtime.find_deployment("abab" * 1_000_000)
    assert time.perf_counter() - started < 0.1
    assert len(caught.value.message) < 400


async def test_unknown_provider_is_named_with_those_that_are_known(folder: Path) -> None:
    runtime = await compile_text(folder, [entry("m", "acme/large")])
    with pytest.raises(ClientError, match=r"^Provider not supported: acme\. Supported: anthropic, azure"):
        runtime.find_deployment("m")


async def test_mock_response_needs_no_provider(folder: Path) -> None:
    assert (await find(folder, "acme/large", mock_response="Hi")).provider.name == "mock"


async def test_models_of_one_host_share_its_pool(folder: Path) -> None:
    models = [entry(name, f"openai/{name}", api_base="http://host:1/v1") for name in ("a", "b")]
    runtime = await compile_text(folder, [*models, entry("c", "openai/c", api_base="http://host:2")])
    first, second, third = (runtime.find_deployment(name).transport for name in "abc")
    assert first is second
    assert first is not third
    assert isinstance(first, HttpTransport)


async def test_all_wrong_addresses_are_told_at_once_with_their_lines(folder: Path) -> None:
    models = [entry(name, "openai/m", api_base=f"http://host/v1?{name}") for name in ("one", "two")]
    with pytest.raises(ConfigError) as caught:
        await compile_text(folder, models)
    assert [problem.line > 0 for problem in caught.value.problems] == [True, True]
    assert "model 'one', api_base" in str(caught.value)


async def test_parameters_that_no_client_could_send_are_told_with_their_lines(folder: Path) -> None:
    models = [
        entry("one", "openai/m", temperature=9, stop="end", my_option=[1]),
        entry("two", "anthropic/m", max_tokens=0, extra_body={"n": 1.5, "top_k": 9}),
    ]
    with pytest.raises(ConfigError) as caught:
        await compile_text(folder, models)
    assert [(problem.what.split(": Expected")[0], problem.fix) for problem in caught.value.problems] == [
        ("model 'one', litellm_params: Invalid value for 'temperature'", "mend or remove temperature"),
        ("model 'two', litellm_params: Invalid value for 'max_tokens'", "mend or remove max_tokens"),
        ("model 'two', extra_body: Invalid value for 'n'", "mend or remove n"),
    ]
    assert all(problem.file and problem.line for problem in caught.value.problems)


async def test_parameters_of_a_model_that_is_not_served_are_not_judged(folder: Path) -> None:
    runtime = await compile_text(folder, [entry("m", "acme/large", temperature=9)])
    assert runtime.find_model("m").entry == Unsupported("acme")


async def test_no_key_is_sent_where_the_file_says_none(folder: Path) -> None:
    runtime = await compile_text(folder, [entry("m", "openai/m", api_key="none")], {"OPENAI_API_KEY": KEY})
    assert b"authorization" not in runtime.find_deployment("m").headers


async def test_certificates_that_cannot_be_read_are_told_by_their_setting(folder: Path) -> None:
    (folder / "empty.pem").touch()
    with pytest.raises(ConfigError, match=r"server_settings\.ca_file cannot be read"):
        await compile_text(folder, [entry("m", "openai/m")], server_settings={"ca_file": "empty.pem"})


async def test_repr_of_no_object_shows_a_key(folder: Path) -> None:
    models = [entry("m", "openai/gpt-5", api_key=KEY, extra_headers={"x-key": KEY}, extra_body={"key": KEY})]
    general = {"master_key": KEY}
    runtime = await compile_text(folder, models, {"OPENAI_API_KEY": KEY}, general_settings=general)
    deployment = runtime.find_deployment("m")
    shown = [runtime, runtime.config, runtime.shared, runtime.table, runtime.table.find("m"), deployment, vars(runtime)]
    assert KEY not in "".join(map(repr, shown))


async def test_alias_is_served_by_its_model_and_may_be_hidden(folder: Path) -> None:
    aliases = {"quick": "m", "secret": {"model": "m", "hidden": True}}
    runtime = await compile_text(folder, [entry("m", "openai/gpt")], router_settings={"model_group_alias": aliases})
    assert runtime.find_group("quick") is runtime.find_group("secret") is runtime.find_group("m")
    assert [*list_models(runtime)] == ["m", "quick"]


async def test_alias_may_stand_for_what_a_pattern_serves(folder: Path) -> None:
    aliases = {"quick": "openai/gpt-9"}
    runtime = await compile_text(
        folder, [entry("openai/*", "openai/*")], router_settings={"model_group_alias": aliases}
    )
    assert runtime.find_deployment("quick").model == "gpt-9"


async def test_entries_of_one_name_are_one_group(folder: Path) -> None:
    runtime = await compile_text(folder, [entry("m", "openai/a"), entry("m", "openai/b"), entry("m", "acme/c")])
    group = runtime.find_group("m")
    assert [member.deployment.model for member in group.members] == ["a", "b"]
    assert len({member.id for member in group.members}) == 2


async def test_policy_of_a_deployment_goes_before_the_routers(folder: Path) -> None:
    models = [entry("m", "openai/a", num_retries=5, retry_policy={"RateLimitErrorRetries": 1})]
    router = {"num_retries": 3, "retry_policy": {"TimeoutErrorRetries": 0}}
    retries = (await compile_text(folder, models, router_settings=router)).find_group("m").members[0].retries
    counts = [retries.count_for(name) for name in ("RateLimitError", "TimeoutError", "InternalServerError")]
    assert counts == [1, 5, 5]


async def test_same_entry_has_the_same_id_in_every_process(folder: Path) -> None:
    first, second = [(await compile_text(folder, [entry("m", "openai/a")])).find_deployment("m").id for _ in range(2)]
    assert first == second
