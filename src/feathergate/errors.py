"""Every error FeatherGate raises, and what the client, the log and the router are to make of it.

    FeatherGateError
    ├── ConfigError                 the file is wrong: every problem at once, each with its place
    ├── ClientError         400     the request is wrong
    │   ├── UnauthorizedError    401    the gateway asks for a key and this is none
    │   ├── NotFoundError        404    no such model, no such path
    │   ├── MethodNotAllowedError 405
    │   ├── RequestTimeoutError  408    the request did not arrive in time
    │   ├── PayloadTooLargeError 413
    │   ├── UnsupportedMediaTypeError 415
    │   └── HeadersTooLargeError 431
    ├── InternalError       500     our own fault
    ├── UpstreamError       502     the provider failed, or refused; carries the status the client is to see
    │   ├── DeadlineError   504     a deadline passed
    │   └── ExhaustedError  503     the gateway has no means to ask it
    └── UnavailableError    503     the gateway sheds load or drains

Each bears `status` (what the client sees), `code`, `param`, `retryable` (may another attempt help?) and
`fault` (whose it is: nobody's health is blamed for `client`). Messages say what was wrong, where, and how to
mend it; they never hold a key, a path of this machine or an upstream's address. Source: DESIGN.md, "Errors".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import msgspec

Fault = Literal["client", "config", "gateway", "upstream"]

UpstreamKind = Literal[
    "dns",  # the name could not be resolved
    "connect",  # refused, unreachable, or the proxy would not
    "tls",  # the handshake or the certificate
    "timeout_connect",
    "timeout_first_byte",
    "idle",  # silence in the middle of an answer
    "timeout_total",
    "reset",  # the connection broke before the answer had ended
    "protocol",  # not HTTP, not JSON, not the dialect, too large
    "truncated",  # a stream or body that ended before its end
    "auth",  # our own key was rejected
    "rate_limit",
    "quota",  # a 429 that waiting does not cure
    "status",  # the provider answered with an error of its own
    "exhausted",  # the gateway has no descriptor or no memory for one more connection: no provider's fault
]


UpstreamReason = Literal["", "context_window", "content_policy"]
"""Why a provider refused a request, where another model may take it."""


class FeatherGateError(Exception):
    """The root. `message` is shown to the client as it is, so it holds nothing secret."""

    status: int = 500
    code: str | None = None
    retryable: bool = False
    fault: ClassVar[Fault] = "gateway"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong with a configuration: where, what, and how to mend it."""

    what: str
    fix: str = ""
    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        text = f"{place}: {self.what}" if place else self.what
        return f"{text} ({self.fix})" if self.fix else text


class ConfigError(FeatherGateError):
    """The configuration cannot be used. `problems` holds all that is wrong with it, in the file's order."""

    fault: ClassVar[Fault] = "config"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


class ClientError(FeatherGateError):
    """The request is wrong; `param` names the field (`messages[3].content[0]`)."""

    status = 400
    fault: ClassVar[Fault] = "client"


class UnauthorizedError(ClientError):
    status = 401
    code = "invalid_api_key"


class NotFoundError(ClientError):
    status = 404


class MethodNotAllowedError(ClientError):
    """`allow` is the method that the path takes, for the header of that name."""

    status = 405

    def __init__(self, message: str, *, allow: str) -> None:
        super().__init__(message, code="method_not_allowed")
        self.allow = allow


class RequestTimeoutError(ClientError):
    status = 408


class PayloadTooLargeError(ClientError):
    status = 413


class UnsupportedMediaTypeError(ClientError):
    status = 415


class HeadersTooLargeError(ClientError):
    status = 431


class InternalError(FeatherGateError):
    """Our own fault. The message says nothing of the cause; the log does, under the same request id."""


class UnavailableError(FeatherGateError):
    """The gateway will not take the request now."""

    status = 503
    retryable = True


class UpstreamError(FeatherGateError):
    """The provider failed or refused.

    `status` is what the client is to see (DESIGN.md's table), `upstream_status` what the provider sent, if it
    sent one, `kind` names the class of fault for metrics and the log, and `reason` tells of refusals that another
    model may not share.
    """

    status = 502
    retryable = True
    fault: ClassVar[Fault] = "upstream"

    def __init__(
        self,
        message: str,
        *,
        kind: UpstreamKind,
        upstream_status: int | None = None,
        status: int | None = None,
        retryable: bool | None = None,
        reason: UpstreamReason = "",
        param: str | None = None,
        code: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, param=param, code=code, status=status, retry_after_s=retry_after_s)
        self.kind = kind
        self.upstream_status = upstream_status
        self.reason: UpstreamReason = reason
        if retryable is not None:
            self.retryable = retryable


class DeadlineError(UpstreamError):
    """A deadline passed: connecting, waiting for the first byte, between events, or in all."""

    status = 504


class ExhaustedError(UpstreamError):
    """The gateway has no descriptor or no memory for one more connection to the provider, who is not to blame."""

    status = 503


def forget_frames(error: BaseException) -> None:
    """For an error that is kept: one that was raised holds its frames, and where they hold what keeps it, that is a
    cycle of a whole answer's size, which waits for a collector that seldom comes (`server/garbage.py`)."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        known = waiting.pop()
        if known is not None and id(known) not in seen:
            seen.add(id(known))
            known.__traceback__ = None
            waiting += (known.__cause__, known.__context__)
