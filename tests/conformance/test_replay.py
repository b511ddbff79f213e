"""Every recorded answer through a whole gateway: what the official client gets is what the provider said."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from tests.conformance.asking import accumulate, ask_stream, ask_whole, iterate
from tests.conformance.case import MISSING, asks_for_stream, each_case, list_cases, name_model, read_recording
from tests.conformance.error_reading import read_error
from tests.conformance.openai_reading import list_payloads
from tests.conformance.reading import Broken, Reading, read_completion
from tests.conformance.tally import KINDS, PROVIDERS, Tally, name_case
from tests.recorded import Recording

pytestmark = pytest.mark.asyncio(loop_scope="session")

EXCEPTIONS = {
    400: openai.BadRequestError,
    404: openai.NotFoundError,
    409: openai.ConflictError,
    413: openai.APIStatusError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
    502: openai.InternalServerError,
}


def build_model(recording: Recording) -> str:
    return f"{recording.provider}/{name_model(recording)}"


@each_case("chat")
async def test_whole_answer_is_what_was_recorded(recording: Recording, client: AsyncOpenAI, tally: Tally) -> None:
    with tally.hold(recording):
        expected = read_recording(recording)
        if isinstance(expected, Broken):
            await check_refused(client, recording, expected)
        else:
            body = await ask_whole(client, build_model(recording))
            check_whole(recording, expected, body)


@each_case("stream")
async def test_stream_is_what_was_recorded(recording: Recording, client: AsyncOpenAI, tally: Tally) -> None:
    with tally.hold(recording):
        expected = read_recording(recording)
        if isinstance(expected, Broken):
            await check_refused(client, recording, expected)
        else:
            body = await ask_stream(client, build_model(recording))
            check_chunks(recording, body)
            assert await accumulate(client, build_model(recording)) == expected


@each_case("stream")
async def test_stream_of_openai_passes_byte_for_byte(recording: Recording, client: AsyncOpenAI) -> None:
    if recording.provider == "openai" and isinstance(read_recording(recording), Reading):
        body = await ask_stream(client, build_model(recording))
        assert list_payloads(body) == list_payloads(recording.body)


@each_case("error")
async def test_error_is_what_was_recorded(recording: Recording, client: AsyncOpenAI, tally: Tally) -> None:
    with tally.hold(recording):
        await check_refused(client, recording, read_error(recording))


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_nearly_every_case_of_a_provider_passes(provider: str, tally: Tally) -> None:
    assert tally.share_passed(provider) >= 0.95


async def test_registry_names_only_cases_that_there_are(tally: Tally) -> None:
    names = {name_case(recording) for kind in KINDS for recording in list_cases(kind)}
    if not names:
        pytest.skip(MISSING)
    assert tally.registry.keys() <= names


# --- checks -------------------------------------------------------------------------------------------------------


def check_whole(recording: Recording, expected: Reading, body: bytes) -> None:
    """Strictly of the SDK's type, and equal to the recording; of OpenAI to the byte."""
    completion = ChatCompletion.model_validate_json(body, strict=True)
    assert read_completion(completion.to_dict()) == expected
    if recording.provider == "openai":
        assert body == recording.body


def check_chunks(recording: Recording, body: bytes) -> None:
    """Each strictly of the SDK's type, one id, one time, one end; of OpenAI to the byte."""
    payloads = list_payloads(body)
    chunks = [ChatCompletionChunk.model_validate_json(payload, strict=True) for payload in payloads[:-1]]
    assert payloads[-1] == "[DONE]"
    assert are_equal(chunk.id for chunk in chunks)
    assert are_equal(chunk.created for chunk in chunks)
    if recording.provider == "openai":
        assert payloads == list_payloads(recording.body)


def are_equal(values: Iterable[object]) -> bool:
    return len(set(values)) == 1


async def check_refused(client: AsyncOpenAI, recording: Recording, expected: Broken) -> None:
    """The exception that the SDK raises: by status before the first content, afterwards out of the iteration."""
    ask = iterate if asks_for_stream(recording) else ask_whole
    with pytest.raises(openai.APIError) as caught:
        await ask(client, build_model(recording))
    error = caught.value
    assert error.message.endswith(expected.message) if expected.midway else name_error(error) == (
        EXCEPTIONS[expected.status],
        expected.status,
    )
    assert get_message(error) == expected.message
    assert (error.type, error.param) == ("feathergate_error", expected.param)


def name_error(error: openai.APIError) -> tuple[type[openai.APIError], int | None]:
    return type(error), error.status_code if isinstance(error, openai.APIStatusError) else None


def get_message(error: openai.APIError) -> object:
    return error.body["message"] if isinstance(error.body, dict) else HTTPStatus(500).phrase
