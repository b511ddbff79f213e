"""What OpenAI itself would refuse in a request that is translated, where no other provider could notice it.

Passing through, the upstream judges. Source: reference/wire/openai-chat.md section 1.
"""

from __future__ import annotations

from feathergate.errors import ClientError
from feathergate.wire.chat import ChatRequest


def check_request(request: ChatRequest) -> None:
    """Raises `ClientError` for fields that make no sense as the request stands."""
    if request.stream_options is not None and not request.stream:
        raise ClientError(
            "'stream_options' is only for streams. Send stream=true with it, or leave it out.",
            param="stream_options",
            code="invalid_value",
        )
