"""The lines of the access log, as JSON has them. Values only: `access_log.py` fills and renders them."""

from __future__ import annotations

from datetime import datetime

import msgspec


class AccessLine(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="event", tag="request"):
    """One request as JSON. Absent members are empty, zero, false or unknown. `asked` stands where a fallback served
    another model."""

    time: datetime
    status: int
    duration_ms: float
    request_id: str
    model: str = ""
    provider: str = ""
    served_model: str = ""
    stream: bool = False
    first_content_ms: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    attempts: int = 0
    error: str = ""
    detail: str = ""
    dropped: tuple[str, ...] = ()
    client_request_id: str = ""
    deployment: str = ""
    asked: str = ""
    overhead_ms: float | None = None


class LostLine(msgspec.Struct, frozen=True, gc=False, tag_field="event", tag="access_log_lost"):
    """Written once the output flows again."""

    time: datetime
    lines: int
