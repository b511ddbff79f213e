"""The official OpenAI SDK for Node, and a page's own fetch reader, against each provider.

Skipped with a word where there is no `node`, or where `npm ci` has not been run in `tests/e2e/node`.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.native import (
    CALL_ARGS,
    COMPLETION_TOKENS,
    LAST_CHUNK,
    NATIVES,
    OPENAI,
    Native,
    build_stream,
    build_whole,
    decode_body,
)
from tests.e2e.scene import PAUSE_S, Scene, open_scene

FOLDER = Path(__file__).parent / "node"
NODE = shutil.which("node")
pytestmark = [
    pytest.mark.skipif(NODE is None, reason="node is not installed"),
    pytest.mark.skipif(not (FOLDER / "node_modules").is_dir(), reason="run `npm ci` in tests/e2e/node first"),
]
each_provider = pytest.mark.parametrize("native", NATIVES, ids=lambda native: native.name)


async def run_node(script: str, scene: Scene, *arguments: str) -> Any:
    """The line of JSON that a script prints."""
    assert NODE is not None
    process = await asyncio.create_subprocess_exec(
        NODE, str(FOLDER / script), f"{scene.gateway.url}/v1", *arguments, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(10):
        output, _ = await process.communicate()
    return json.loads(output)


@each_provider
async def test_create_yields_text_finish_and_usage(native: Native) -> None:
    async with open_scene(build_whole(native.text("Hi there"))) as scene:
        said = await run_node("sdk.mjs", scene, f"fast-{native.name}", "create")
    assert said.pop("id").startswith("fg_")
    assert said == {"text": "Hi there", "finish": "stop", "usage": COMPLETION_TOKENS}


@each_provider
async def test_stream_yields_every_piece(native: Native) -> None:
    async with open_scene(build_stream(native.events(["Hi", " there"]))) as scene:
        said = await run_node("sdk.mjs", scene, f"fast-{native.name}", "stream")
    assert said == {"pieces": ["Hi", " there"], "finish": "stop"}


async def test_stream_helper_folds_the_answer() -> None:
    async with open_scene(build_stream(OPENAI.events(["Hi", " there"]))) as scene:
        assert await run_node("sdk.mjs", scene, "fast-openai", "helper") == {"text": "Hi there"}


@each_provider
async def test_tool_call_and_its_result_go_round(native: Native) -> None:
    async with open_scene(build_whole(native.call), build_whole(native.text("Sunny"))) as scene:
        said = await run_node("sdk.mjs", scene, f"fast-{native.name}", "tools")
    assert said == {"name": "get_weather", "args": CALL_ARGS, "text": "Sunny"}
    assert "17 degrees" in json.dumps(decode_body(scene.upstream.requests[1]))


@pytest.mark.parametrize(
    ("status", "name", "seen"),
    [(400, "BadRequestError", 400), (404, "NotFoundError", 404), (429, "RateLimitError", 429)]
    + [(status, "InternalServerError", 502) for status in (401, 500)],
)
async def test_error_becomes_the_right_class(status: int, name: str, seen: int) -> None:
    script = build_whole(OPENAI.error(status, "That went wrong"), status=f"{status} X")
    async with open_scene(script) as scene:
        said = await run_node("sdk.mjs", scene, "fast-openai", "create")
    assert said.pop("id").startswith("fg_")
    assert said == {"error": name, "status": seen, "message": f"{seen} That went wrong"}


@each_provider
async def test_cut_stream_raises(native: Native) -> None:
    events = native.events(["Hi"])[: -native.ending]
    async with open_scene(build_stream(events, PAUSE_S, LAST_CHUNK)) as scene:
        said = await run_node("sdk.mjs", scene, f"fast-{native.name}", "stream")
    assert said["error"] == "APIError"
    assert "ended before" in said["message"]


async def test_models_are_listed_and_found() -> None:
    async with open_scene(()) as scene:
        said = await run_node("sdk.mjs", scene, "-", "models")
    assert (said["names"][0], said["one"]) == ("openai/gpt-4o", "openai/gpt-4o")


@each_provider
async def test_fetch_reader_gets_text_and_done(native: Native) -> None:
    async with open_scene(build_stream(native.events(["Hé", "llo 👋"]))) as scene:
        said = await run_node("reader.mjs", scene, f"fast-{native.name}")
    assert said == {"status": 200, "type": "text/event-stream; charset=utf-8", "text": "Héllo 👋", "done": True}
