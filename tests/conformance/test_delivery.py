"""The same recordings, delivered as upstreams sometimes do: in tiny writes, with other line ends, compressed."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable

import pytest
from openai import AsyncOpenAI
from tests.conformance.asking import accumulate, ask_whole
from tests.conformance.case import each_named, list_cases, name_for_client, name_model, read_recording
from tests.conformance.reading import Reading, read_completion
from tests.recorded import Recording
from tests.replay_upstream import Answer, ReplayUpstream, script_answer

pytestmark = pytest.mark.asyncio(loop_scope="session")

# What is delivered oddly: of each provider the shortest answer that has it.
FEATURES = ("tool_call", "thinking", "citations", "refusal", "finish:stop", "stop:end_turn", "finish:STOP")


def pick_cases(kind: str) -> list[Recording]:
    picked: dict[str, Recording] = {}
    for recording in sorted(list_cases(kind), key=lambda recording: len(recording.body)):
        readable = isinstance(read_recording(recording), Reading)
        for feature in recording.features.intersection(FEATURES) if readable else ():
            picked.setdefault(f"{recording.provider}-{feature}", recording)
    return list({name_model(recording): recording for recording in picked.values()}.values())


def deliver_at_once(recording: Recording) -> Answer:
    return script_answer(recording, pieces=[recording.body])


def deliver_bytewise(recording: Recording) -> Answer:
    body = recording.body
    return script_answer(recording, pieces=[body[at : at + 1] for at in range(len(body))])


def deliver_with_other_line_ends(recording: Recording) -> Answer:
    body = recording.body
    other = body.replace(b"\r\n", b"\n") if b"\r\n" in body else body.replace(b"\n", b"\r\n")
    return script_answer(recording, pieces=[other])


def deliver_compressed(recording: Recording) -> Answer:
    return script_answer(recording, pieces=[gzip.compress(recording.body)], coding=b"gzip")


DELIVERIES = (deliver_at_once, deliver_bytewise, deliver_with_other_line_ends, deliver_compressed)


@pytest.mark.parametrize("deliver", DELIVERIES)
@each_named(pick_cases("stream"))
async def test_stream_delivered_oddly_says_the_same(
    deliver: Callable[[Recording], Answer],
    recording: Recording,
    replay: ReplayUpstream,
    client: AsyncOpenAI,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(replay.answers, name_model(recording), deliver(recording))
    assert await accumulate(client, name_for_client(recording)) == read_recording(recording)


@pytest.mark.parametrize("deliver", [deliver_bytewise, deliver_compressed])
@each_named(pick_cases("chat"))
async def test_whole_answer_delivered_oddly_says_the_same(
    deliver: Callable[[Recording], Answer],
    recording: Recording,
    replay: ReplayUpstream,
    client: AsyncOpenAI,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(replay.answers, name_model(recording), deliver(recording))
    completion = json.loads(await ask_whole(client, name_for_client(recording)))
    assert read_completion(completion) == read_recording(recording)
