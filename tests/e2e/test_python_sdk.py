"""The official OpenAI SDK for Python against each provider: it must not be able to tell."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel
from tests.e2e.native import (
    ANTHROPIC,
    CALL_ARGS,
    CALL_ID,
    CLOSE,
    COMPLETION_TOKENS,
    GEMINI,
    LAST_CHUNK,
    NATIVES,
    OPENAI,
    PROMPT_TOKENS,
    Native,
    build_stream,
    build_whole,
    decode_body,
)
from tests.e2e.scene import HELLO, PAUSE_S, open_scene
from tests.scripted_upstream import build_answer

each_provider = pytest.mark.parametrize("native", NATIVES, ids=lambda native: native.name)
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class Person(BaseModel):
    name: str
    age: int


@each_provider
async def test_create_yields_text_finish_and_usage(native: Native) -> None:
    async with open_scene(build_whole(native.text("Hi there"))) as scene, scene.sdk() as client:
        answer = await client.chat.completions.create(model=f"fast-{native.name}", messages=HELLO)
    choice = answer.choices[0]
    assert (choice.message.content, choice.finish_reason) == ("Hi there", "stop")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (PROMPT_TOKENS, COMPLETION_TOKENS)
    assert answer.model.startswith(native.model)
    assert answer._request_id
    assert answer._request_id.startswith("fg_")
    assert scene.upstream.requests[0].startswith(f"POST {native.paths[0]} HTTP/1.1\r\n".encode())


@each_provider
async def test_sync_client_gets_the_same(native: Native) -> None:
    async with open_scene(build_whole(native.text("Hi"))) as scene:
        with openai.OpenAI(base_url=scene.gateway.url, api_key="x", max_retries=0) as client:
            answer = await asyncio.to_thread(
                lambda: client.chat.completions.create(model=f"fast-{native.name}", messages=HELLO)
            )
    assert answer.choices[0].message.content == "Hi"


@each_provider
async def test_stream_yields_every_piece_and_usage(native: Native) -> None:
    async with open_scene(build_stream(native.events(["Hi", " there"]))) as scene, scene.sdk() as client:
        chunks = [
            chunk
            async for chunk in await client.chat.completions.create(
                model=f"fast-{native.name}",
                messages=HELLO,
                stream=True,
                stream_options={"include_usage": True},
            )
        ]
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    assert [delta.content for delta in deltas if delta.content] == ["Hi", " there"]
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason] == ["stop"]
    assert [chunk.usage.completion_tokens for chunk in chunks if chunk.usage] == [COMPLETION_TOKENS]
    assert len({chunk.id for chunk in chunks}) == 1
    assert scene.upstream.requests[0].startswith(f"POST {native.paths[1]} HTTP/1.1\r\n".encode())


@each_provider
async def test_stream_helper_folds_the_answer(native: Native) -> None:
    async with (
        open_scene(build_stream(native.events(["Hi", " there"]))) as scene,
        scene.sdk() as client,
        client.chat.completions.stream(model=f"fast-{native.name}", messages=HELLO) as stream,
    ):
        completion = await stream.get_final_completion()
    assert completion.choices[0].message.content == "Hi there"


@each_provider
@pytest.mark.parametrize("stream", [False, True])
async def test_tool_call_and_its_result_go_round(native: Native, stream: bool) -> None:
    call = build_stream(native.call_events) if stream else build_whole(native.call)
    async with open_scene(call, build_whole(native.text("Sunny"))) as scene, scene.sdk() as client:
        asked: Any = {"model": f"fast-{native.name}", "messages": HELLO, "tools": [WEATHER]}
        if stream:
            async with client.chat.completions.stream(**asked) as streamed:
                answer: Any = await streamed.get_final_completion()
        else:
            answer = await client.chat.completions.create(**asked)
        message = answer.choices[0].message
        assert answer.choices[0].finish_reason == "tool_calls"
        tool = message.tool_calls[0]
        assert (tool.function.name, json.loads(tool.function.arguments)) == ("get_weather", CALL_ARGS)
        result = {"role": "tool", "tool_call_id": tool.id, "content": "17 degrees"}
        turns = [*HELLO, message.model_dump(exclude_none=True), result]
        final = await client.chat.completions.create(**{**asked, "messages": turns})
    assert final.choices[0].message.content == "Sunny"
    check_result_turn(native, decode_body(scene.upstream.requests[1]))


def check_result_turn(native: Native, body: Any) -> None:
    """The upstream has got the call and its result, tied to each other, in its own words."""
    if native is OPENAI:
        call, result = body["messages"][1:]
        assert call["tool_calls"][0]["id"] == result["tool_call_id"] == CALL_ID
        assert result["content"] == "17 degrees"
    elif native is ANTHROPIC:
        call, result = (turn["content"][0] for turn in body["messages"][1:])
        assert (call["type"], call["input"]) == ("tool_use", CALL_ARGS)
        assert (result["type"], result["tool_use_id"]) == ("tool_result", call["id"])
        assert "17 degrees" in json.dumps(result["content"])
    else:
        call, result = (turn["parts"][0] for turn in body["contents"][1:])
        assert call["functionCall"]["args"] == CALL_ARGS
        assert result["functionResponse"]["name"] == call["functionCall"]["name"] == "get_weather"
        assert "17 degrees" in json.dumps(result["functionResponse"]["response"])


@each_provider
async def test_tools_are_declared_upstream(native: Native) -> None:
    async with open_scene(build_whole(native.call)) as scene, scene.sdk() as client:
        await client.chat.completions.create(model=f"fast-{native.name}", messages=HELLO, tools=[WEATHER])
    body = decode_body(scene.upstream.requests[0])
    declared = {
        "openai": lambda: body["tools"][0]["function"]["name"],
        "anthropic": lambda: body["tools"][0]["name"],
        "gemini": lambda: body["tools"][0]["functionDeclarations"][0]["name"],
    }
    assert declared[native.name]() == "get_weather"


@each_provider
async def test_parse_yields_the_typed_answer(native: Native) -> None:
    script = build_whole(native.text('{"name": "Ada", "age": 36}'))
    async with open_scene(script) as scene, scene.sdk() as client:
        answer = await client.chat.completions.parse(
            model=f"fast-{native.name}",
            messages=HELLO,
            response_format=Person,
        )
    assert answer.choices[0].message.parsed == Person(name="Ada", age=36)
    assert '"age"' in scene.upstream.requests[0].decode(), "the schema did not reach the provider"


@each_provider
async def test_image_reaches_the_provider(native: Native) -> None:
    parts: Any = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
    ]
    async with open_scene(build_whole(native.text("A pixel"))) as scene, scene.sdk() as client:
        await client.chat.completions.create(model=f"fast-{native.name}", messages=[{"role": "user", "content": parts}])
    assert PIXEL in scene.upstream.requests[0].decode()


ERRORS: list[tuple[int, type[openai.APIStatusError], int]] = [
    (400, openai.BadRequestError, 400),
    (404, openai.NotFoundError, 404),
    (422, openai.UnprocessableEntityError, 422),
    (429, openai.RateLimitError, 429),
    (401, openai.InternalServerError, 502),
    (403, openai.InternalServerError, 502),
    (500, openai.InternalServerError, 502),
    (503, openai.InternalServerError, 502),
    (529, openai.InternalServerError, 502),
]


@each_provider
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("status", "kind", "seen"), ERRORS, ids=[str(row[0]) for row in ERRORS])
async def test_error_becomes_the_right_exception(
    native: Native, stream: bool, status: int, kind: type[openai.APIStatusError], seen: int
) -> None:
    script = build_whole(native.error(status, "That went wrong"), status=f"{status} X")
    async with open_scene(script) as scene, scene.sdk() as client:
        with pytest.raises(kind) as caught:
            await client.with_options(max_retries=0).chat.completions.create(
                model=f"fast-{native.name}",
                messages=HELLO,
                stream=stream,
            )
    assert caught.value.status_code == seen
    assert "That went wrong" in str(caught.value)
    assert caught.value.request_id


@each_provider
async def test_rate_limit_carries_its_delay(native: Native) -> None:
    script = build_whole(native.error(429, "Slow down"), "retry-after: 7", status="429 X")
    async with open_scene(script) as scene, scene.sdk() as client:
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(model=f"fast-{native.name}", messages=HELLO)
    assert caught.value.response.headers["retry-after"] == "7"


async def test_sdk_tries_again_and_succeeds() -> None:
    down = build_whole(OPENAI.error(503, "Down"), "retry-after-ms: 1", status="503 X")
    async with open_scene(down, build_whole(OPENAI.text("Up"))) as scene, scene.sdk(max_retries=1) as client:
        answer = await client.chat.completions.create(model="fast-openai", messages=HELLO)
    assert answer.choices[0].message.content == "Up"


async def test_missing_master_key_is_an_authentication_error() -> None:
    async with open_scene((), general_settings={"master_key": "sk-master-0123456789"}) as scene:
        async with scene.sdk() as client:
            with pytest.raises(openai.AuthenticationError):
                await client.models.list()
        async with scene.sdk(api_key="sk-master-0123456789") as client:
            assert [model.id async for model in client.models.list()]


async def test_models_are_listed_and_found() -> None:
    async with open_scene(()) as scene, scene.sdk() as client:
        names = [model.id async for model in client.models.list()]
        assert names[:2] == ["openai/gpt-4o", "fast-openai"]
        assert (await client.models.retrieve("openai/gpt-4o")).id == "openai/gpt-4o"
        with pytest.raises(openai.NotFoundError, match="Model not found: openai/gpt-6"):
            await client.models.retrieve("openai/gpt-6")


async def test_unknown_model_is_not_found() -> None:
    async with open_scene(()) as scene, scene.sdk() as client:
        with pytest.raises(openai.NotFoundError, match=r"fast-opnai\. Did you mean fast-openai") as caught:
            await client.chat.completions.create(model="fast-opnai", messages=HELLO)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


@each_provider
async def test_cut_stream_raises_in_the_sdk(native: Native) -> None:
    events = native.events(["Hi"])[: -native.ending]
    async with open_scene(build_stream(events, PAUSE_S, LAST_CHUNK)) as scene, scene.sdk() as client:
        stream = await client.chat.completions.create(model=f"fast-{native.name}", messages=HELLO, stream=True)
        pieces: list[str] = []
        with pytest.raises(openai.APIError, match="ended before"):
            await collect(stream, pieces)
    assert pieces == ["Hi"]


async def collect(stream: Any, pieces: list[str]) -> None:
    async for chunk in stream:
        pieces += [choice.delta.content for choice in chunk.choices if choice.delta.content]


async def test_gemini_stream_reads_on_after_a_finish() -> None:
    """Another candidate may still be speaking, and the usage come last."""
    first, second = GEMINI.text("one"), GEMINI.text("two")
    second["candidates"][0]["index"] = 1
    events = [b"data: " + json.dumps(item).encode() + b"\n\n" for item in (first, second)]
    async with open_scene(build_stream(events)) as scene, scene.sdk() as client:
        stream = await client.chat.completions.create(model="fast-gemini", messages=HELLO, stream=True, n=2)
        texts = [choice.delta.content async for chunk in stream for choice in chunk.choices if choice.delta.content]
    assert texts == ["one", "two"]


async def test_answer_keeps_what_the_sdk_does_not_know() -> None:
    """Same dialect: bytes pass through, members of tomorrow too."""
    body = b'{ "id":"c", "object":"chat.completion","created":1,"model":"m","x_new":[1.50],"choices":[]}'
    async with open_scene((build_whole(None)[0], build_answer(body, CLOSE))) as scene:
        seen = await scene.chat("fast-openai")
    assert seen.body == body
