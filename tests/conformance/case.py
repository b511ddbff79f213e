"""The recorded cases as tests are parametrised with them, and what each must become."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.conformance import anthropic_reading, gemini_reading, openai_reading
from tests.conformance.reading import Broken, Reading
from tests.conformance.tally import PROVIDERS
from tests.recorded import Recording, each_of, find_recordings


def list_cases(kind: str) -> list[Recording]:
    """All providers' cases of a kind ("chat", "stream", "error")."""
    return [recording for provider in PROVIDERS for recording in find_recordings(provider, kind)]


def each_case(kind: str) -> pytest.MarkDecorator:
    return each_named(list_cases(kind))


def each_named(cases: Sequence[Recording]) -> pytest.MarkDecorator:
    """Parametrises a test's `recording` under the names that the replay server knows."""
    return each_of(cases, name_model)


def name_model(recording: Recording) -> str:
    """The model's name under which the replay server knows a recording."""
    return f"{recording.provider}.{recording.kind}.{recording.name}"


def name_for_client(recording: Recording) -> str:
    """The model's name with which a client asks for it."""
    return f"{recording.provider}/{name_model(recording)}"


def asks_for_stream(recording: Recording) -> bool:
    """An error under status 200 is one within a stream."""
    return (
        recording.kind == "stream"
        or "stream_requested" in recording.features
        or (recording.kind == "error" and recording.status == 200)
    )


def read_recording(recording: Recording) -> Reading | Broken:
    """What the client must get of a recording with status 200."""
    model, body = name_model(recording), recording.body
    stream = recording.kind != "chat"
    match recording.provider:
        case "openai":
            return openai_reading.read_stream(body) if stream else openai_reading.read_answer(body)
        case "anthropic":
            return anthropic_reading.read_stream(body) if stream else anthropic_reading.read_answer(body)
        case _:
            read = gemini_reading.read_stream if stream else gemini_reading.read_answer
            return read(body, model)
