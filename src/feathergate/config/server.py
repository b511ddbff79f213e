"""`server_settings` as values: FeatherGate's own section, with units in its names. Each field has its documentation.

Source: issue "The gateway serves…", limits and timeouts; issue "Calm when providers fail".
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from .kind import ByteCount, ByteLimit, Count, Number, Origin, Pause, Rate, Seconds, Share, Text, Translation
from .secret import Secret


class HedgeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """When a second deployment of a group is asked beside the first. The one that answers first serves, the other is
    cancelled; both may cost."""

    share: Annotated[Share, Meta(description="The most of the group's requests that are hedged.")] = 0.1
    delay_s: Annotated[
        Seconds | None,
        Meta(
            description="How long the first content may take before a second deployment is asked. Without it, as long "
            "as 95 of 100 of the group's latest requests took."
        ),
    ] = None


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """FeatherGate's own section: limits, timeouts, resilience and the network."""

    body_limit_bytes: Annotated[ByteCount, Meta(description="The largest request body.")] = 32 * 1024 * 1024
    header_limit_bytes: Annotated[ByteCount, Meta(description="All headers of a request together.")] = 65536
    header_limit_count: Annotated[Count, Meta(description="How many headers a request may have.")] = 100
    header_timeout_s: Annotated[Seconds, Meta(description="For a request's headers to arrive.")] = 10.0
    body_timeout_s: Annotated[Seconds, Meta(description="Between two reads of a request's body.")] = 30.0
    write_timeout_s: Annotated[
        Seconds, Meta(description="For a client that does not read its answer, before it is given up.")
    ] = 60.0
    keep_alive_s: Annotated[Seconds, Meta(description="How long an idle client connection is kept.")] = 75.0
    connection_limit: Annotated[Count, Meta(description="Client connections per worker.")] = 20_000
    pipeline_limit_count: Annotated[
        Count, Meta(description="Requests that a client may send ahead on one connection.")
    ] = 64
    drain_delay_s: Annotated[
        Pause,
        Meta(
            description="How long requests are still taken after SIGTERM, when readiness is off already: as long as a "
            "load balancer needs to notice."
        ),
    ] = 0.0
    drain_timeout_s: Annotated[
        Seconds, Meta(description="For requests under way to finish when the gateway stops.")
    ] = 30.0

    commit_limit_s: Annotated[
        Seconds,
        Meta(
            description="How long a stream's status is held back for its first content, so that a failure can still be "
            "told by its status. Then the headers go out; other deployments are tried behind them all the same."
        ),
    ] = 10.0
    sse_keep_alive_s: Annotated[
        Seconds, Meta(description="Between two comments that keep a stream without content open.")
    ] = 10.0
    client_timeout_limit_s: Annotated[
        Seconds | None,
        Meta(
            description="The most that a client may ask for with `x-feathergate-timeout`. Without it, what a whole "
            "request may take."
        ),
    ] = None
    slow_stream_chars_per_s: Annotated[
        Rate, Meta(description="A stream with fewer characters a second counts as stalled. 0 is off.")
    ] = 0.0
    affinity: Annotated[
        bool,
        Meta(
            description="Send the later turns of a conversation to the deployment that answered before, where the "
            "provider's prompt cache is warm, while that one is healthy."
        ),
    ] = True
    cooldown_limit_s: Annotated[
        Seconds, Meta(description="The longest that a failing deployment's cooldown grows to.")
    ] = 300.0
    retry_budget_floor: Annotated[
        Number,
        Meta(
            description="Attempts after the first that a group may always make in 10 seconds; with "
            "`retry_budget_share`, the larger counts."
        ),
    ] = 100
    retry_budget_share: Annotated[
        Share, Meta(description="Attempts after the first, as a share of the group's requests in 10 seconds.")
    ] = 0.2
    hedge: Annotated[
        dict[str, HedgeSettings],
        Meta(description="Groups whose slow requests are sent to a second deployment too: see below."),
    ] = {}

    max_parallel_requests: Annotated[Number, Meta(description="Requests under way in one worker. 0 is no limit.")] = 0
    group_max_parallel_requests: Annotated[
        Number, Meta(description="Requests under way to one group in one worker. 0 is no limit.")
    ] = 0
    queue_limit_count: Annotated[
        Number,
        Meta(description="Requests that wait for each of these limits; beyond, they are answered with 503 at once."),
    ] = 100
    queue_timeout_s: Annotated[
        Seconds, Meta(description="How long a request waits for such a limit before it is answered with 503.")
    ] = 1.0
    memory_limit_bytes: Annotated[
        ByteLimit | None,
        Meta(
            description="Resident memory of one worker above which requests are answered with 503. Without it, nine "
            "tenths of the cgroup's limit, where there is one. 0 is off."
        ),
    ] = None
    descriptor_reserve_count: Annotated[
        Number,
        Meta(
            description="Open files that are kept free: when fewer are left below the process's limit, requests are "
            "answered with 503. 0 is off."
        ),
    ] = 64

    upstream_header_limit_bytes: Annotated[
        ByteCount, Meta(description="All headers of a provider's answer together.")
    ] = 65536
    upstream_header_limit_count: Annotated[
        Count, Meta(description="How many headers a provider's answer may have.")
    ] = 100
    upstream_body_limit_bytes: Annotated[
        ByteCount, Meta(description="The largest answer of a provider that is not a stream.")
    ] = 32 * 1024 * 1024
    upstream_event_limit_bytes: Annotated[ByteCount, Meta(description="The largest event of a stream.")] = (
        16 * 1024 * 1024
    )
    upstream_idle_connection_count: Annotated[Count, Meta(description="Idle connections kept to one provider.")] = 256
    upstream_idle_connection_s: Annotated[
        Seconds, Meta(description="How long an idle connection to a provider is kept.")
    ] = 30.0
    connect_timeout_s: Annotated[Seconds, Meta(description="To connect to a provider.")] = 5.0
    tls_timeout_s: Annotated[Seconds, Meta(description="For the TLS handshake with a provider.")] = 10.0
    ca_file: Annotated[
        Text | None,
        Meta(
            description="A PEM file of certificates to trust besides the system's. A relative path counts "
            "from the folder of the configuration file."
        ),
    ] = None
    proxy: Annotated[
        Secret | None,
        Meta(
            description="The address of an HTTP proxy for requests to providers (it may hold a password). "
            "Without it, the variable `HTTPS_PROXY`."
        ),
    ] = None

    translation: Annotated[
        Translation | None,
        Meta(
            description="What becomes of a parameter that a provider has no equivalent for: `lenient` drops it and "
            "names it in `x-feathergate-dropped`, `strict` refuses the request. May also stand at the top of the "
            "file. Without it, `litellm_settings.drop_params` says."
        ),
    ] = None
    fetch_media: Annotated[
        bool,
        Meta(
            description="Fetch the images and files that a request names by an https URL, and send them inline to "
            "Anthropic and Gemini. Off, no URL is ever fetched. On, only from public addresses, without "
            "redirects and proxy, at most 16 a request, within 10 seconds."
        ),
    ] = False
    fetch_media_limit_bytes: Annotated[
        ByteCount, Meta(description="What the fetched files of one request may hold together.")
    ] = 20 * 1024 * 1024
    cors_allow_origins: Annotated[
        tuple[Origin, ...], Meta(description="Web origins that may call the gateway from a browser.")
    ] = ()
    access_log: Annotated[bool, Meta(description="Log one line for each request.")] = True

    def __hash__(self) -> int:
        """Of all but `hedge`: a table has none, and settings that are equal agree in the rest."""
        return hash(tuple(getattr(self, name) for name in self.__struct_fields__ if name != "hedge"))
