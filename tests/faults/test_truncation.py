"""A stream that is cut after content raises in the official SDK, whatever provider it came from, however it was cut.

Source: reliability.md 2.1b, U16, U19, U20, U30.
"""

from __future__ import annotations

import json

import openai
import pytest
from tests.e2e.native import NATIVES, Native
from tests.faults.acting import AFTER_CONTENT, ActingUpstream
from tests.faults.harness import build_deployment
from tests.running import running_gateway

MODEL = "model"


@pytest.mark.parametrize("native", NATIVES, ids=lambda native: native.name)
@pytest.mark.parametrize("deed", AFTER_CONTENT)
async def test_cut_stream_raises_in_the_sdk(native: Native, deed: str) -> None:
    said = []
    async with ActingUpstream() as upstream:
        models = [build_deployment(MODEL, native, upstream.port, "bad")]
        async with (
            running_gateway(json.dumps({"model_list": models})) as gateway,
            openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="sk-client", max_retries=0) as client,
        ):
            stream = await client.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": f"nonce-7f do-{deed}"}], stream=True
            )
            with pytest.raises(openai.APIError):
                said += [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
        assert upstream.journal.asked == {deed: 1}
