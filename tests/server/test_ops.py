"""Health, readiness and the order to reload, as an operator's tools ask for them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.e2e.scene import build_get, build_post, get_error
from tests.raw_client import Seen, Serving, serve
from tests.running import running_gateway

from feathergate.errors import Problem, UnauthorizedError, UnavailableError
from feathergate.http.contract import Request, Responder
from feathergate.server.app import App
from feathergate.server.contract import Answering, Reload
from feathergate.server.ops import is_loopback, post_reload

CONFIG = "model_list: [{model_name: 'mock/*', litellm_params: {model: 'mock/*'}}]\n"
READY = ("/health/readiness", "/readyz")
ALIVE = ("/health", "/health/liveliness", "/health/liveness", "/healthz")
HELLO = b'{"model": "mock/echo", "messages": [{"role": "user", "content": "Hi"}]}'


@asynccontextmanager
async def open_app(config: str = CONFIG) -> AsyncIterator[tuple[App, Serving]]:
    async with running_gateway(config) as gateway:
        app = App(gateway.runtime)
        async with serve(app.handle) as serving:
            yield app, serving
            await app.drain(1.0)


async def reload(app: App, serving: Serving, result: Reload) -> Seen:
    async def give() -> Reload:
        return result

    app.state.reload = give
    return await serving.ask(build_post(b"", path="/-/reload"))


async def test_readiness_follows_the_state_and_liveness_does_not() -> None:
    async with open_app() as (app, serving):
        ready = [await serving.ask(build_get(path)) for path in READY]
        app.state.unready = "draining"
        unready = [await serving.ask(build_get(path)) for path in READY]
        alive = [await serving.ask(build_get(path)) for path in ALIVE]
    assert [(seen.status, json.loads(seen.body)["status"]) for seen in ready] == [(200, "healthy")] * 2
    assert [(seen.status, json.loads(seen.body)["reason"]) for seen in unready] == [(503, "draining")] * 2
    assert [(seen.status, json.loads(seen.body)["status"]) for seen in alive] == [(200, "ok")] * 4


async def test_refusal_answers_all_but_the_operators_questions() -> None:
    async with open_app() as (app, serving):
        app.state.refusal = UnavailableError("Not now.", retry_after_s=1.0)
        chat = await serving.ask(build_post(HELLO))
        assert (chat.status, chat.headers[b"retry-after"], get_error(chat)["message"]) == (503, b"1", "Not now.")
        assert (await serving.ask(build_get("/v1/models"))).status == 503
        assert (await serving.ask(build_get("/no/such/path"))).status == 503
        assert {(await serving.ask(build_get(path))).status for path in (*ALIVE, *READY, "/metrics")} == {200}
        app.state.refusal = None
        assert (await serving.ask(build_post(HELLO))).status == 200


async def test_refused_completion_is_counted() -> None:
    async with open_app() as (app, serving):
        app.state.refusal = UnavailableError("Not now.", retry_after_s=1.0)
        await serving.ask(build_post(HELLO))
        scrape = (await serving.ask(build_get("/metrics"))).body
    assert b"feathergate_requests_failed 1\n" in scrape


async def test_reload_answers_with_what_has_changed() -> None:
    async with open_app() as (app, serving):
        seen = await reload(app, serving, Reload(changes=("router_settings.num_retries: 2 -> 3",)))
    assert (seen.status, json.loads(seen.body)["changes"]) == (200, ["router_settings.num_retries: 2 -> 3"])


async def test_refused_reload_tells_the_place_and_no_path() -> None:
    problem = Problem("the file is empty", "write model_list", "/etc/secret-folder/config.yaml", 1, 1)
    async with open_app() as (app, serving):
        seen = await reload(app, serving, Reload(problems=(problem,)))
    assert (seen.status, get_error(seen)["code"]) == (422, "config_error")
    assert "config.yaml:1:1: the file is empty (write model_list)" in get_error(seen)["message"]
    assert b"secret-folder" not in seen.body


async def test_reload_where_none_can_be_made_is_not_found() -> None:
    async with open_app() as (_, serving):
        assert (await serving.ask(build_post(b"", path="/-/reload"))).status == 404


@pytest.mark.parametrize(
    ("peer", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("192.0.2.1", False),
        ("::ffff:192.0.2.1", False),
        ("fe80::1%lo", False),
        ("", False),
        ("localhost", False),
    ],
)
def test_loopback_is_this_machine_only(peer: str, loopback: bool) -> None:
    assert is_loopback(peer) is loopback


class Silent:
    """A responder that nobody answers with."""

    closed = False


async def test_reload_without_a_master_key_is_for_this_machine_only() -> None:
    async with open_app() as (app, _):
        request = Request("POST", "/-/reload", "", (), b"", "192.0.2.1")
        answering = Answering(app.runtime, request, build_silent(), "fg_1", b"", app.state)
        with pytest.raises(UnauthorizedError, match="master key"):
            await post_reload(answering, "")


def build_silent() -> Responder:
    return Silent()  # type: ignore[return-value]


async def test_failure_while_reloading_is_an_error_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> Reload:
        await asyncio.sleep(0)
        raise RuntimeError("a bug")

    async with open_app() as (app, serving):
        app.state.reload = fail
        seen = await serving.ask(build_post(b"", path="/-/reload"))
    assert seen.status == 500
    assert "a bug" in caplog.text
