"""One request's end, told once to metrics, the log and (later) the store. Values only."""

from __future__ import annotations

from typing import Final

from feathergate.wire.chat import Usage

TOKENS_LIMIT: Final = 2**53
"""An upstream that claims more is not believed: a number of 4,300 digits is valid JSON."""


class Outcome:
    """Filled while a request is under way, read when it is over. Times are seconds of the loop's clock.

    `status` is the HTTP status that tells the truth: of a stream that broke after content it is the error's,
    though 200 was sent; 499 means that the client left before the answer was complete. `asked` is the model_name
    that the client asked for, `model` the one that served (another in a `fallback`), `served_model` the upstream's
    id, `deployment` which of several it was; all empty while unknown. `overhead_s` is the gateway's own part of the
    time to the answer's head. `error` names the class of fault (`UpstreamError.kind`, or `client`, `config`,
    `gateway`), `""` for none.
    """

    __slots__ = (
        "asked",
        "attempts",
        "client_request_id",
        "deployment",
        "detail",
        "dropped",
        "ended",
        "error",
        "fallback",
        "first_content",
        "model",
        "overhead_s",
        "provider",
        "request_id",
        "served_model",
        "started",
        "status",
        "stream",
        "usage",
    )

    def __init__(self, request_id: str, started: float) -> None:
        self.request_id = request_id
        self.started = started
        self.asked = ""
        self.model = ""
        self.provider = ""
        self.served_model = ""
        self.deployment = ""
        self.stream = False
        self.status = 0
        self.error = ""
        self.detail = ""
        self.attempts = 0
        self.fallback = False
        self.overhead_s = 0.0
        self.first_content: float | None = None
        self.ended = 0.0
        self.usage: Usage | None = None
        self.dropped: tuple[str, ...] = ()
        self.client_request_id = ""

    @property
    def counted(self) -> bool:
        """Whether the request was answered: a client that left counts neither as successful nor as failed."""
        return self.status != 499

    @property
    def successful(self) -> bool:
        return 200 <= self.status < 400
