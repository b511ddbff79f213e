"""The same small request for every case, through the official client, and what comes back for it."""

from __future__ import annotations

from typing import Any

from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionStreamOptionsParam
from tests.conformance.reading import Reading, read_completion

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]
USAGE: ChatCompletionStreamOptionsParam = {"include_usage": True}


async def ask_whole(client: AsyncOpenAI, model: str) -> bytes:
    """The body of a whole answer."""
    answer = await client.chat.completions.with_raw_response.create(model=model, messages=HELLO)
    return answer.content


async def ask_stream(client: AsyncOpenAI, model: str) -> bytes:
    """The body of a streamed answer."""
    completions = client.chat.completions.with_streaming_response
    async with completions.create(model=model, messages=HELLO, stream=True, stream_options=USAGE) as answer:
        return await answer.read()


async def iterate(client: AsyncOpenAI, model: str) -> list[Any]:
    """The chunks of a streamed answer, as a client iterates over them."""
    stream = await client.chat.completions.create(model=model, messages=HELLO, stream=True, stream_options=USAGE)
    return [chunk async for chunk in stream]


async def accumulate(client: AsyncOpenAI, model: str) -> Reading:
    """What the SDK's own accumulator makes of a streamed answer.

    The last snapshot, because `get_final_completion` refuses answers that were cut short or filtered.
    """
    snapshot: Any = None
    async with client.chat.completions.stream(model=model, messages=HELLO, stream_options=USAGE) as stream:
        async for event in stream:
            if event.type == "chunk":
                snapshot = event.snapshot
    return read_completion(snapshot.to_dict())
