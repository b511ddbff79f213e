"""curl, as the README shows it, streamed (-N) and not. Skipped with a word where there is none."""

from __future__ import annotations

import asyncio
import json
import shutil

import pytest
from tests.e2e.native import NATIVES, Native, build_stream, build_whole, decode_events, join_text
from tests.e2e.scene import HELLO, Scene, open_scene

CURL = shutil.which("curl")
pytestmark = pytest.mark.skipif(CURL is None, reason="curl is not installed")
each_provider = pytest.mark.parametrize("native", NATIVES, ids=lambda native: native.name)


async def run_curl(scene: Scene, body: object, *arguments: str) -> bytes:
    """As people type it: with curl's own content-type, which is not JSON's."""
    assert CURL is not None
    url = f"{scene.gateway.url}/v1/chat/completions"
    process = await asyncio.create_subprocess_exec(
        CURL, "-sS", url, "-d", json.dumps(body), *arguments, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(5):
        return (await process.communicate())[0]


@each_provider
async def test_whole_answer_is_printed(native: Native) -> None:
    async with open_scene(build_whole(native.text("Hi there"))) as scene:
        output = await run_curl(scene, {"model": f"fast-{native.name}", "messages": HELLO})
    assert json.loads(output)["choices"][0]["message"]["content"] == "Hi there"


@each_provider
async def test_stream_is_printed_to_its_done(native: Native) -> None:
    async with open_scene(build_stream(native.events(["Hi", " there"]))) as scene:
        output = await run_curl(scene, {"model": f"fast-{native.name}", "messages": HELLO, "stream": True}, "-N")
    events = decode_events(output)
    assert join_text(events) == "Hi there"
    assert events[-1] == "[DONE]"


async def test_large_body_with_expect_is_answered() -> None:
    """curl sends `Expect: 100-continue` before a body of more than a megabyte."""
    async with open_scene(build_whole(NATIVES[0].text("Hi"))) as scene:
        messages = [{"role": "user", "content": "x" * 100_000}]
        output = await run_curl(scene, {"model": "fast-openai", "messages": messages}, "-H", "Expect: 100-continue")
    assert b'"Hi"' in output
