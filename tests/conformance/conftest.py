"""One gateway, one provider that plays recordings and one official client, for all tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from openai import AsyncOpenAI
from tests.conformance.case import list_cases, name_model
from tests.conformance.tally import KINDS, Tally, read_registry
from tests.replay_upstream import ReplayUpstream, script_answer
from tests.running import Gateway, running_gateway

TALLY = pytest.StashKey[Tally]()

CONFIG = """
model_list:
  - model_name: openai/*
    litellm_params: {{model: openai/*, api_key: openai-key, api_base: "http://127.0.0.1:{port}/v1"}}
  - model_name: anthropic/*
    litellm_params: {{model: anthropic/*, api_key: anthropic-key, api_base: "http://127.0.0.1:{port}"}}
  - model_name: gemini/*
    litellm_params: {{model: gemini/*, api_key: gemini-key, api_base: "http://127.0.0.1:{port}"}}
"""


@pytest.fixture(scope="session")
def tally(request: pytest.FixtureRequest) -> Tally:
    tally = Tally(read_registry("cannot_pass"))
    request.config.stash[TALLY] = tally
    return tally


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def replay() -> AsyncIterator[ReplayUpstream]:
    answers = {name_model(case): script_answer(case) for kind in KINDS for case in list_cases(kind)}
    async with ReplayUpstream(answers) as upstream:
        yield upstream


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def gateway(replay: ReplayUpstream) -> AsyncIterator[Gateway]:
    async with running_gateway(CONFIG.format(port=replay.port)) as gateway:
        yield gateway


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client(gateway: Gateway) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="nobody", max_retries=0) as client:
        yield client


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The table of what was replayed."""
    rows = config.stash[TALLY].render() if TALLY in config.stash else []
    if rows:
        terminalreporter.section("recordings replayed through the gateway: passed / of")
    for row in rows:
        terminalreporter.write_line(row)
