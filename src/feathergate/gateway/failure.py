"""How an exchange ends for reasons of its own while an answer is awaited or under way: the words, in one place."""

from __future__ import annotations

from feathergate.errors import (
    DeadlineError,
    FeatherGateError,
    InternalError,
    RequestTimeoutError,
    UnavailableError,
    UpstreamError,
)


class LeftError(Exception):
    """The client has gone: nobody is to be told anything."""


def build_late(*, unread: bool) -> FeatherGateError:
    """The whole request's time is over. A client that does not read its answer (`unread`) cannot blame the provider."""
    if unread:
        return RequestTimeoutError("The answer was not read in time. Read it faster.")
    return DeadlineError(
        "The request took longer than the gateway allows. Ask for a shorter answer, or raise router_settings.timeout.",
        kind="timeout_total",
        retryable=False,
    )


def build_too_large(limit_bytes: int) -> UpstreamError:
    return UpstreamError(f"The provider's answer is larger than {limit_bytes} bytes.", kind="protocol")


def build_stopping() -> UnavailableError:
    return UnavailableError("The gateway is stopping. Send the request again.", retry_after_s=1.0)


def build_internal() -> InternalError:
    return InternalError("The gateway failed. Its log tells more under this request's id.")


def build_silent() -> DeadlineError:
    return DeadlineError(
        "The provider's stream fell silent: no event came in time. Try again, or raise the model's stream_timeout.",
        kind="idle",
    )


def build_slow() -> DeadlineError:
    return DeadlineError(
        "The provider's stream became too slow to wait for. Try again, or lower "
        "server_settings.slow_stream_chars_per_s.",
        kind="idle",
    )
