"""Every recorded answer through a whole gateway: what the official client gets is what the provider said."""

from __future__ import annotations

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from tests.conformance.asking import accumulate, ask_stream, ask_whole, iterate
from tests.conformance.case import asks_for_stream, each_case, list_cases, name_for_client, read_recording
from tests.conformance.error_reading import read_error
from tests.conformance.openai_reading import list_payloads
from tests.conformance.reading import Broken, Reading, read_completion
from tests.conformance.tally import KINDS, PROVIDERS, Tally, name_case, read_registry
from tests.recorded import MISSING, Recording, each_recording

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


@each_case("chat")
async def test_whole_answer_is_what_was_recorded(recording: Recording, client: AsyncOpenAI, tally: Tally) -> None:
    with tally.hold(recording):
        expected = read_recording(recording)
        if isinstance(expected, Broken):
            await check_refused(client, recording, expected)
        else:
            check_whole(expected, await ask_whole(client, name_for_client(recording)))


@each_case("stream")
async def test_stream_is_what_was_recorded(recording: Recording, client: AsyncOpenAI, tally: Tally) -> None:
    with tally.hold(recording):
        expected = read_recording(recording)
        if isinstance(expected, Broken):
            await check_refused(client, recording, expected)
        else:
            check_chunks(await ask_stream(client, name_for_client(recording)))
            assert await accumulate(client, name_for_client(recording)) == expected


@each_recording("openai", "chat")
async def test_whole_answer_of_openai_passes_byte_for_byte(recording: Recording, client: AsyncOpenAI) -> None:
    assert await ask_whole(client, name_for_client(recording)) == recording.body


@each_recording("openai", "stream")
async def test_stream_of_openai_passes_byte_for_byte(recording: Recording, client: AsyncOpenAI) -> None:
    body = await ask_stream(client, name_for_client(recording))
    assert list_payloads(body) == list_payloads(recording.body)


@each_case("error")
async def test_error_is_what_was_recorded(recording: Recording, client: AsyncOpenAI, tally: Tally) -> None:
    with tally.hold(recording):
        await check_refused(client, recording, read_error(recording))


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_nearly_every_case_of_a_provider_passes(provider: str, tally: Tally) -> None:
    if not tally.replayed:
        pytest.skip("nothing was replayed")
    assert tally.share_passed(provider) >= 0.95


@pytest.mark.parametrize("table", ["cannot_pass", "ends_unnoticed"])
async def test_registry_names_only_cases_that_there_are(table: str) -> None:
    names = {name_case(recording) for kind in KINDS for recording in list_cases(kind)}
    if not names:
        pytest.skip(MISSING)
    assert read_registry(table).keys() <= names


# --- checks -------------------------------------------------------------------------------------------------------


def check_whole(expected: Reading, body: bytes) -> None:
    """Strictly of the SDK's type, and equal to the recording."""
    completion = ChatCompletion.model_validate_json(body, strict=True)
    assert read_completion(completion.to_dict()) == expected


def check_chunks(body: bytes) -> None:
    """Each strictly of the SDK's type, one id, one time, one end."""
    payloads = list_payloads(body)
    chunks = [ChatCompletionChunk.model_validate_json(payload, strict=True) for payload in payloads[:-1]]
    assert payloads[-1] == "[DONE]"
    assert len({(chunk.id, chunk.created) for chunk in chunks}) == 1


async def check_refused(client: AsyncOpenAI, recording: Recording, expected: Broken) -> None:
    """The exception that the SDK raises: by status before the first content, afterwards out of the iteration."""
    ask = iterate if asks_for_stream(recording) else ask_whole
    with pytest.raises(openai.APIError) as caught:
        await ask(client, name_for_client(recording))
    error = caught.value
    status = error.status_code if isinstance(error, openai.APIStatusError) else None
    wanted = (openai.APIError, None) if expected.midway else (EXCEPTIONS[expected.status], expected.status)
    assert (type(error), status) == wanted
    assert isinstance(error.body, dict)
    assert error.body["message"] == expected.message
    assert (error.type, error.param) == ("feathergate_error", expected.param)
