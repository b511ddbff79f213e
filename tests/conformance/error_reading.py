"""Recorded errors, read plainly: the provider's message, and the status that the design gives the client.

Source: DESIGN.md, "Errors".
"""

from __future__ import annotations

import json
from typing import Any

from tests.conformance.case import read_recording
from tests.conformance.reading import Broken
from tests.recorded import Recording

# What is not here is a failure between the gateway and the provider.
_STATUS = {400: 400, 402: 429, 404: 404, 409: 409, 413: 413, 422: 422, 429: 429}


def read_error(recording: Recording) -> Broken:
    if recording.status == 200:
        broken = read_recording(recording)
        assert isinstance(broken, Broken)
        return broken
    body = _decode(recording.body)
    message = body.get("message") or f"The provider answered {recording.status}."
    # Gemini answers 400 to a wrong key, and that key is the gateway's own.
    status = 502 if b"API_KEY_INVALID" in recording.body else _STATUS.get(recording.status, 502)
    return Broken(status, message.strip(), param=body.get("param"))


def _decode(body: bytes) -> dict[str, Any]:
    """The error object; empty for what is no JSON."""
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    value = value[0] if isinstance(value, list) else value
    error: dict[str, Any] = value["error"]
    return error
