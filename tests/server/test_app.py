"""The door: who may ask, on every route and by every road; CORS; request ids; errors on unknown paths."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.e2e.scene import build_get, build_post, get_error, open_scene
from tests.raw_client import RawClient, Seen, serve
from tests.running import running_gateway

from feathergate.server.app import ROUTES, App, find_route

MASTER_KEY = "sk-master-0123456789"
LOCKED: Any = {"general_settings": {"master_key": MASTER_KEY}}
ORIGIN = "https://app.example"
PATHS = [path + "x" * path.endswith("/") for path in ROUTES]
OPEN = ("/health", "/health/liveliness", "/health/liveness", "/healthz", "/health/readiness", "/readyz")
METHODS = {path + "x" * path.endswith("/"): route.method for path, route in ROUTES.items()}

Pairs = list[tuple[str, str]]
WRONG: dict[str, Pairs] = {
    "no key": [],
    "wrong": [("authorization", "Bearer sk-wrong-0123456789")],
    "wrong, other header": [("x-api-key", "sk-wrong-0123456789")],
    "empty": [("authorization", "")],
    "empty, other header": [("x-api-key", "")],
    "Bearer only": [("authorization", "Bearer")],
    "Bearer and a space": [("authorization", "Bearer ")],
    "no scheme": [("authorization", MASTER_KEY)],
    "other scheme": [("authorization", f"Basic {MASTER_KEY}")],
    "scheme with a tab": [("authorization", f"Bearer\t{MASTER_KEY}")],
    "scheme in the other header": [("x-api-key", f"Bearer {MASTER_KEY}")],
    "a part of it": [("authorization", f"Bearer {MASTER_KEY[:-1]}")],
    "more than it": [("authorization", f"Bearer {MASTER_KEY}0")],
    "in capitals": [("authorization", f"Bearer {MASTER_KEY.upper()}")],
    "in a cookie": [("cookie", f"authorization=Bearer {MASTER_KEY}")],
    "in another header": [("api-key", MASTER_KEY)],
}
RIGHT: dict[str, Pairs] = {
    "Authorization": [("authorization", f"Bearer {MASTER_KEY}")],
    "small bearer": [("authorization", f"bearer {MASTER_KEY}")],
    "x-api-key": [("x-api-key", MASTER_KEY)],
    "both": [("authorization", f"Bearer {MASTER_KEY}"), ("x-api-key", MASTER_KEY)],
    "one of two": [("authorization", "Bearer sk-of-an-sdk"), ("x-api-key", MASTER_KEY)],
}


def strip(seen: Seen) -> Seen:
    """The answer without what differs from one to the next."""
    varying = (b"x-request-id", b"date")
    return seen._replace(headers={name: value for name, value in seen.headers.items() if name not in varying})


async def test_every_route_asks_for_the_key_with_one_answer() -> None:
    async with open_scene((), **LOCKED) as scene:
        answers = []
        for path in [path for path in PATHS if path not in OPEN]:
            for prefix in ("", "/v1"):
                requests = [build_get(prefix + path, pairs, METHODS[path]) for pairs in WRONG.values()]
                requests.append(build_get(f"{prefix}{path}?key={MASTER_KEY}&api_key={MASTER_KEY}"))
                answers += [await scene.ask(request) for request in requests]
    assert {strip(seen).body for seen in answers} == {answers[0].body}
    assert {seen.status for seen in answers} == {401}
    assert {seen.headers[b"www-authenticate"] for seen in answers} == {b"Bearer"}
    assert get_error(answers[0])["code"] == "invalid_api_key"


@pytest.mark.parametrize("path", PATHS)
async def test_two_authorization_headers_are_refused(path: str) -> None:
    pairs = [("authorization", "Bearer sk-wrong"), ("authorization", f"Bearer {MASTER_KEY}")]
    async with open_scene((), **LOCKED) as scene:
        seen = await scene.ask(build_get(path, pairs, METHODS[path]))
    assert seen.status == 400
    get_error(seen)


@pytest.mark.parametrize("right", RIGHT)
async def test_right_key_opens_every_route(right: str) -> None:
    async with open_scene((), **LOCKED) as scene:
        for path in PATHS:
            seen = await scene.ask(build_get(path, RIGHT[right], METHODS[path]))
            assert seen.status != 401, path


async def test_health_is_open_and_metrics_only_where_the_configuration_says_so() -> None:
    async with open_scene((), **LOCKED) as scene:
        for path in OPEN:
            assert (await scene.ask(build_get(path))).status == 200
            assert (await scene.ask(build_get(f"/v1{path}"))).status == 200
        assert (await scene.ask(build_get("/metrics"))).status == 401
    async with open_scene((), general_settings={"master_key": MASTER_KEY, "open_metrics": True}) as scene:
        assert (await scene.ask(build_get("/metrics"))).status == 200
        assert (await scene.ask(build_get("/v1/models"))).status == 401


async def test_without_a_master_key_no_route_asks() -> None:
    async with open_scene(()) as scene:
        for path in PATHS:
            assert (await scene.ask(build_get(path, method=METHODS[path]))).status in (200, 400, 404)


# --- roads that lead nowhere ----------------------------------------------------------------------------------------

CONFUSED = [
    "//v1/chat/completions",
    "/v1//chat/completions",
    "/v1/../v1/chat/completions",
    "/v1/./chat/completions",
    "/health/../v1/chat/completions",
    "/health/",
    "/health/..",
    "/health;x",
    "/health%2f",
    "/%68ealth",
    "/HEALTH",
    "/Health",
    "/v1/chat/completions/",
    "/v1/chat%2fcompletions",
    "/v1/chat%2Fcompletions",
    "/v1/%63hat/completions",
    "/v1/%2e%2e/v1/chat/completions",
    "/v1/chat/completions;x=1",
    "/v1/chat/completions%00",
    "/v1/chat/completions%20",
    "/v1/chat/completions.json",
    "/V1/chat/completions",
    "/v1/Chat/Completions",
    "/v1\\chat\\completions",
    "/v1/v1/v1/chat/completions",
    "/v1",
    "/v1/",
    "/",
    "/metrics/",
    "/v1/models/",
    "/v1/models/../chat/completions",
    "/v1/models/..%2fmetrics",
    "/admin",
    "/v1/../admin",
    "/.env",
    "/v1/chat",
    "/chat/completions/x",
]


@pytest.mark.parametrize("path", CONFUSED)
async def test_confused_path_is_never_served(path: str) -> None:
    async with open_scene(()) as scene:
        for method in ("GET", "POST"):
            seen = await scene.ask(build_get(path, method=method))
            assert seen.status == 404 or (seen.status == 405 and path.startswith("/v1/models/")), method
            get_error(seen)


async def test_confused_path_never_passes_the_door() -> None:
    async with open_scene((), **LOCKED) as scene:
        statuses = {(await scene.ask(build_get(path))).status for path in CONFUSED}
    assert statuses == {401}


@pytest.mark.parametrize("path", ["/chat/completions", "/v1/chat/completions", "/v1/v1/chat/completions"])
async def test_prefix_may_be_missing_or_twice(path: str) -> None:
    body = {"model": "mock", "messages": [{"role": "user", "content": "Hi"}]}
    config = json.dumps({"model_list": [{"model_name": "mock", "litellm_params": {"model": "mock/echo"}}]})
    async with running_gateway(config) as gateway:
        client = RawClient(*await asyncio.open_connection("127.0.0.1", gateway.port))
        seen = await client.ask(build_post(json.dumps(body).encode(), path=path))
        client.writer.transport.abort()
    assert json.loads(seen.body)["choices"][0]["message"]["content"] == "Hi"


@pytest.mark.parametrize("header", ["x-original-url", "x-rewrite-url", "x-forwarded-prefix", "x-http-method-override"])
async def test_headers_do_not_move_a_request(header: str) -> None:
    async with open_scene((), **LOCKED) as scene:
        assert (await scene.ask(build_get("/v1/models", {header: "/health"}))).status == 401
        assert json.loads((await scene.ask(build_get("/health", {header: "/v1/models"}))).body)["status"] == "ok"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [("GET", "/v1/chat/completions", b"POST"), ("POST", "/v1/models", b"GET"), ("DELETE", "/health", b"GET")],
)
async def test_wrong_method_is_told_the_right_one(method: str, path: str, allow: bytes) -> None:
    async with open_scene(()) as scene:
        seen = await scene.ask(build_get(path, method=method))
    assert (seen.status, seen.headers[b"allow"]) == (405, allow)
    assert get_error(seen)["code"] == "method_not_allowed"


async def test_head_is_answered_without_a_body() -> None:
    async with open_scene(()) as scene, scene.connect() as client:
        client.send(build_get("/health", method="HEAD"))
        assert (await client.answer(head_only=True)).status == 200
        assert (await client.ask(build_get("/health"))).status == 200


async def test_every_answer_has_an_id_of_its_own() -> None:
    requests = [build_get(path) for path in ("/health", "/v1/models", "/no", "/metrics")]
    requests += [build_post(b"{}"), b"GET / HTTP/1.1\r\n\r\n", b"nonsense\r\n\r\n"]
    async with open_scene(()) as scene:
        ids = [(await scene.ask(request)).headers[b"x-request-id"] for request in requests]
    assert len(set(ids)) == len(ids)
    assert all(name.startswith(b"fg_") for name in ids)


async def test_models_found_by_a_pattern_are_models() -> None:
    models = [{"model_name": "openai/*", "litellm_params": {"model": "openai/*"}}]
    async with open_scene((), model_list=models) as scene:
        seen = await scene.ask(build_get("/v1/models/openai/gpt-5"))
        assert json.loads(seen.body)["id"] == "openai/gpt-5"
        assert (await scene.ask(build_get("/v1/models/gpt-5"))).status == 200
        assert (await scene.ask(build_get("/v1/models/claude"))).status == 404


# --- CORS -----------------------------------------------------------------------------------------------------------

PREFLIGHT = {"origin": ORIGIN, "access-control-request-method": "POST", "access-control-request-headers": "x-stainless"}


async def test_cors_is_off_by_default() -> None:
    async with open_scene((), **LOCKED) as scene:
        preflight = await scene.ask(build_get("/v1/chat/completions", PREFLIGHT, "OPTIONS"))
        simple = await scene.ask(build_get("/health", {"origin": ORIGIN}))
    assert preflight.status == 401
    assert not [name for name in (*preflight.headers, *simple.headers) if name.startswith(b"access-control")]


async def test_listed_origin_may_ask_and_read() -> None:
    async with open_scene((), **LOCKED, server_settings={"cors_allow_origins": [ORIGIN]}) as scene:
        preflight = await scene.ask(build_get("/v1/chat/completions", PREFLIGHT, "OPTIONS"))
        refused = await scene.ask(build_get("/v1/models", {"origin": ORIGIN}))
    assert preflight.status == 204
    assert preflight.headers[b"access-control-allow-origin"] == ORIGIN.encode()
    assert preflight.headers[b"access-control-allow-headers"] == b"authorization, *"
    assert b"POST" in preflight.headers[b"access-control-allow-methods"]
    assert refused.status == 401
    assert refused.headers[b"access-control-allow-origin"] == ORIGIN.encode()
    assert b"x-request-id" in refused.headers[b"access-control-expose-headers"]
    assert refused.headers[b"vary"] == b"origin"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", ORIGIN + ".evil", ORIGIN.upper()])
async def test_other_origins_are_not_let_in(origin: str) -> None:
    async with open_scene((), server_settings={"cors_allow_origins": [ORIGIN]}) as scene:
        seen = await scene.ask(build_get("/health", {"origin": origin}))
    assert b"access-control-allow-origin" not in seen.headers
    assert seen.headers[b"vary"] == b"origin"


async def test_star_lets_any_origin_in_without_credentials() -> None:
    async with open_scene((), server_settings={"cors_allow_origins": ["*"]}) as scene:
        seen = await scene.ask(build_get("/health", {"origin": ORIGIN}))
    assert seen.headers[b"access-control-allow-origin"] == ORIGIN.encode()
    assert b"access-control-allow-credentials" not in seen.headers


# --- what goes wrong here ---------------------------------------------------------------------------------------------


async def test_failing_work_is_answered_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Any) -> bytes:
        raise RuntimeError("a metric broke")

    monkeypatch.setattr("feathergate.observe.metrics.Metrics.render", fail)
    async with open_scene(()) as scene:
        seen = await scene.ask(build_get("/metrics"))
    assert seen.status == 500
    assert "broke" not in get_error(seen)["message"]
    assert "a metric broke" in caplog.text


def test_table_of_routes_is_found_by_its_own_paths() -> None:
    for path, route in ROUTES.items():
        assert find_route(path + "x" * path.endswith("/")) == (route, "x" * path.endswith("/"))


async def test_end_of_the_gateway_ends_streams_with_an_error() -> None:
    """What does not finish in time is told so: an event where the stream has begun, a status where it has not."""
    config = json.dumps(
        {
            "model_list": [
                {"model_name": "drips", "litellm_params": {"model": "mock/stall?after=1"}},
                {"model_name": "silent", "litellm_params": {"model": "mock/stall"}},
            ]
        }
    )
    async with running_gateway(config) as gateway:
        app = App(gateway.runtime)
        async with serve(app.handle) as serving:
            streaming, silent = await serving.connect(), await serving.connect()
            streaming.send(build_chat_of("drips", stream=True))
            silent.send(build_chat_of("silent"))
            head = await streaming.answer(head_only=True)
            await app.drain(0.01)
            rest, seen = await read_stream(streaming), await silent.answer()
    assert head.status == 200
    assert b"The gateway is stopping" in rest
    assert b"[DONE]" not in rest
    assert rest.endswith(b"0\r\n\r\n")
    assert (seen.status, seen.headers[b"retry-after"]) == (503, b"1")


def build_chat_of(model: str, **members: Any) -> bytes:
    body = {"model": model, "messages": [{"role": "user", "content": "Hello there"}], **members}
    return build_post(json.dumps(body).encode())


async def read_stream(client: RawClient) -> bytes:
    async with asyncio.timeout(2):
        return await client.reader.readuntil(b"\r\n0\r\n\r\n")
