"""One request's end, told once to metrics, the log and (later) the store. Values only."""

from __future__ import annotations

import msgspec

from feathergate.wire.chat import Usage

TOKENS_LIMIT = 2**53
"""An upstream that claims more is not believed: a number of 4,300 digits is valid JSON."""


class Outcome(msgspec.Struct, gc=False):
    """Filled while a request is under way, read when it is over. Times are seconds of the loop's clock.

    `status` is the HTTP status that tells the truth: of a stream that broke after content it is the error's,
    though 200 was sent; 499 means that the client left before the answer was complete. `model` is the
    configuration's model_name, `served_model` the upstream's id; both empty while unknown. `error` names the
    class of fault (`UpstreamError.kind`, or `client`, `config`, `gateway`), `""` for none.
    """

    request_id: str
    started: float
    model: str = ""
    provider: str = ""
    served_model: str = ""
    stream: bool = False
    status: int = 0
    error: str = ""
    detail: str = ""
    attempts: int = 0
    first_content: float | None = None
    ended: float = 0.0
    usage: Usage | None = None
    dropped: tuple[str, ...] = ()
    client_request_id: str = ""

    @property
    def counted(self) -> bool:
        """Whether the request was answered: a client that left counts neither as successful nor as failed."""
        return self.status != 499

    @property
    def successful(self) -> bool:
        return 200 <= self.status < 400
