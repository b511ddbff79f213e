"""Nothing of the client goes upstream but its body, and nothing of the configured key goes anywhere else."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from tests.e2e.native import NATIVES, OPENAI, Native, build_stream, build_whole
from tests.e2e.scene import build_get, open_scene
from tests.scripted_upstream import FIN, REQUEST, RST, Script

from feathergate.observe.access_log import AccessLog

CLIENT_HEADERS = {
    "authorization": "Bearer sk-client-secret",
    "cookie": "session=client-secret",
    "x-goog-api-key": "client-secret",
    "proxy-authorization": "Basic client-secret",
    "anthropic-beta": "client-secret",
    "openai-organization": "client-secret",
    "x-forwarded-for": "client-secret",
    "x-request-id": "client-secret",
    "user-agent": "client-secret",
    "x-anything": "client-secret",
}
KEY_HEADERS = {
    "openai": "authorization: Bearer sk-canary-openai-0123456789",
    "anthropic": "x-api-key: sk-canary-anthropic-0123456789",
    "gemini": "x-goog-api-key: sk-canary-gemini-0123456789",
}
OURS = {"host", "accept-encoding", "content-type", "user-agent", "content-length"}
each_provider = pytest.mark.parametrize("native", NATIVES, ids=lambda native: native.name)


@each_provider
@pytest.mark.parametrize("stream", [False, True])
async def test_no_header_of_the_client_goes_upstream(native: Native, stream: bool) -> None:
    script = build_stream(native.events(["Hi"])) if stream else build_whole(native.text("Hi"))
    async with open_scene(script) as scene:
        seen = await scene.chat(f"fast-{native.name}", CLIENT_HEADERS, stream=stream)
    assert seen.status == 200
    request = scene.upstream.requests[0].decode()
    assert "client-secret" not in request
    lines = request.partition("\r\n\r\n")[0].split("\r\n")[1:]
    names = {line.partition(":")[0] for line in lines}
    assert KEY_HEADERS[native.name] in lines
    assert names - OURS - {"anthropic-version"} == {KEY_HEADERS[native.name].partition(":")[0]}
    assert f"host: 127.0.0.1:{scene.upstream.port}" in lines


LEAKS: dict[str, Script] = {
    "401": build_whole(OPENAI.error(401, "Incorrect API key provided: KEY"), status="401 X"),
    "400": build_whole(OPENAI.error(400, "Your request with Bearer KEY is wrong"), status="400 X"),
    "429": build_whole(OPENAI.error(429, "Organization of KEY is limited"), status="429 X"),
    "200 with an error": build_whole(OPENAI.error(400, "The key KEY is wrong")),
    "an error as an event": build_stream([b'data: {"error":{"message":"KEY is wrong"}}\n\n']),
    "HTML": (REQUEST, b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n<html>KEY</html>", FIN),
    "no HTTP": (REQUEST, b"KEY KEY KEY\r\n\r\n"),
    "a header": build_whole(OPENAI.text("Hi"), "set-cookie: KEY", "x-echo: KEY", "x-request-id: KEY"),
    "a reset": (REQUEST, RST),
    "a redirect": build_whole({}, "location: http://127.0.0.1/?key=KEY", status="307 X"),
}


@pytest.mark.parametrize("key", ["sk-canary-openai-0123456789", "canary of no known shape"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("leak", LEAKS)
async def test_key_and_address_are_shown_nowhere(
    leak: str, stream: bool, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Even where the provider itself repeats the key that it was sent."""
    caplog.set_level("DEBUG")
    read_fd, write_fd = os.pipe()
    log = AccessLog(write_fd, text=False)
    script = [step.replace(b"KEY", key.encode()) if isinstance(step, bytes) else step for step in LEAKS[leak]]
    async with open_scene(fix_length(script), log=log, params={"api_key": key}) as scene:
        seen = await scene.chat("fast-openai", stream=stream)
        metrics = await scene.ask(build_get("/metrics"))
        runtime, port = scene.gateway.runtime, scene.upstream.port
        objects = [repr(runtime), repr(runtime.config), repr(runtime.shared), repr(runtime.table.find("fast-openai"))]
    log.close()
    os.close(write_fd)
    with os.fdopen(read_fd, "rb") as lines:
        logged = lines.read()
    assert logged, "the request left no line in the log"
    shown = [repr(seen).encode(), repr(metrics).encode(), logged, "".join(objects).encode(), caplog.text.encode()]
    assert b"canary" not in b"".join(shown)
    assert str(port).encode() not in seen.body


def fix_length(script: Script) -> Script:
    """The length of what the key has made longer."""
    fixed: list[object] = []
    for step in script:
        if isinstance(step, bytes) and b"content-length" in step:
            head, _, body = step.partition(b"\r\n\r\n")
            lines = [line for line in head.split(b"\r\n") if not line.startswith(b"content-length")]
            step = b"\r\n".join([*lines, b"content-length: %d" % len(body), b"", body])
        fixed.append(step)
    return fixed  # type: ignore[return-value]


async def test_master_key_is_shown_nowhere() -> None:
    async with open_scene((), general_settings={"master_key": "sk-master-canary-0123"}) as scene:
        wrong = await scene.chat("fast-openai", {"authorization": "Bearer sk-wrong-canary"})
        assert wrong.status == 401
        assert b"canary" not in wrong.body
        assert "sk-master" not in repr(scene.gateway.runtime.config)


async def test_environment_is_shown_nowhere() -> None:
    async with open_scene((), environ={"OPENAI_API_KEY": "sk-environ-canary"}) as scene:
        assert "canary" not in repr(scene.gateway.runtime.shared)


async def test_body_cannot_choose_where_a_request_goes() -> None:
    wishes: Any = {"api_base": "http://127.0.0.1:1", "base_url": "http://127.0.0.1:1", "api_key": "sk-mine"}
    async with open_scene(build_whole(NATIVES[1].text("Hi"))) as scene:
        seen = await scene.chat("fast-anthropic", **wishes, extra_headers={"x-api-key": "sk-mine"})
    assert seen.status == 200
    assert KEY_HEADERS["anthropic"].encode() in scene.upstream.requests[0]
    assert b"sk-mine" not in scene.upstream.requests[0]


@each_provider
async def test_names_of_dropped_fields_stay_in_their_header(native: Native) -> None:
    """A client's field names come back in a header of ours: they can neither end it nor swell it."""
    members: Any = {"x\r\nset-cookie: a=b": 1, "naïve": 1, **{f"field{number}": 1 for number in range(5000)}}
    async with open_scene(build_whole(native.text("Hi"))) as scene:
        seen = await scene.chat(f"fast-{native.name}", **members)
    assert seen.status == 200
    assert b"set-cookie" not in seen.headers
    assert len(seen.headers.get(b"x-feathergate-dropped", b"")) < 2000
    if native is not OPENAI:
        assert seen.headers[b"x-feathergate-dropped"].startswith(b"x%0D%0Aset-cookie%3A%20a%3Db, na%C3%AFve, field0")
    assert json.loads(seen.body)["choices"]
