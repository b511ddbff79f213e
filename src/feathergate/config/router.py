"""`router_settings` as values: strategies, retries, fallbacks and cooldowns. Each field carries its documentation.

The names are LiteLLM's. `routing.py` reads them, from `litellm_settings` too.
Source: litellm-config.md 4.2.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from .kind import Fallbacks, ModelName, Number, Pause, RoutingStrategy, Seconds

_NOT_RETRIED = "Has no effect: what is wrong with the request itself is not tried again."
_NOT_COUNTED = "Has no effect: what is wrong with the request itself is not the deployment's fault."


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often a request is tried again after a failure of one class, in place of `num_retries`. 0 is never.

    The keys are LiteLLM's, after the names of its exceptions.
    """

    TimeoutErrorRetries: Annotated[
        Number | None,
        Meta(description="After a timeout (to connect, to the first byte, between events), a 408 or a 504."),
    ] = None
    RateLimitErrorRetries: Annotated[Number | None, Meta(description="After a 429 or a spent quota.")] = None
    InternalServerErrorRetries: Annotated[
        Number | None,
        Meta(description="After any other 5xx, a connection that failed, or an answer that broke off."),
    ] = None
    ServiceUnavailableErrorRetries: Annotated[Number | None, Meta(description="After a 503.")] = None
    AuthenticationErrorRetries: Annotated[
        Number | None,
        Meta(description="After a 401 or 403: at deployments with another key, the same key is not tried again."),
    ] = None
    BadRequestErrorRetries: Annotated[Number | None, Meta(description=_NOT_RETRIED)] = None
    ContentPolicyViolationErrorRetries: Annotated[
        Number | None, Meta(description=f"{_NOT_RETRIED} `content_policy_fallbacks` serve it.")
    ] = None
    NotFoundErrorRetries: Annotated[Number | None, Meta(description=_NOT_RETRIED)] = None
    DefaultRetries: Annotated[Number | None, Meta(description="After any other, in place of `num_retries`.")] = None


class AllowedFailsPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How many failures of one class a deployment may have in a minute, in place of `allowed_fails`."""

    TimeoutErrorAllowedFails: Annotated[Number | None, Meta(description="Timeouts of the gateway's own.")] = None
    RateLimitErrorAllowedFails: Annotated[Number | None, Meta(description="429.")] = None
    InternalServerErrorAllowedFails: Annotated[
        Number | None,
        Meta(
            description="5xx, connections that fail, answers that break off. Of this number and those of 502 and 503 "
            "the smallest counts for every 5xx."
        ),
    ] = None
    BadGatewayErrorAllowedFails: Annotated[Number | None, Meta(description="502, and every 5xx.")] = None
    ServiceUnavailableErrorAllowedFails: Annotated[Number | None, Meta(description="503, and every 5xx.")] = None
    AuthenticationErrorAllowedFails: Annotated[Number | None, Meta(description="401 and 403.")] = None
    BadRequestErrorAllowedFails: Annotated[Number | None, Meta(description=_NOT_COUNTED)] = None
    ContentPolicyViolationErrorAllowedFails: Annotated[Number | None, Meta(description=_NOT_COUNTED)] = None
    NotFoundErrorAllowedFails: Annotated[Number | None, Meta(description=_NOT_COUNTED)] = None


class ModelAlias(msgspec.Struct, frozen=True, kw_only=True):
    """What an alias stands for, written as the model's name alone, or as a mapping."""

    model: Annotated[ModelName, Meta(description="The `model_name` that serves.")]
    hidden: Annotated[bool, Meta(description="Leave the alias out of `GET /v1/models`.")] = False


class RouterSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a request is carried out: which deployment is asked, what follows a failure, and how long it may take.

    A retry goes at once to a deployment of the group that the request has not tried, while one remains; then
    fallbacks follow. Nothing is tried again once the client has had a word of an answer.
    """

    routing_strategy: Annotated[
        RoutingStrategy,
        Meta(
            description="Which deployment of a group is asked first: `simple-shuffle` draws by `weight`, else `rpm`, "
            "else `tpm`, else evenly; `least-busy` takes the one with the fewest requests under way, "
            "`latency-based-routing` the fastest to its first content, `usage-based-routing` (and `-v2`) the one that "
            "has used the least of its `tpm` in this minute, `cost-based-routing` the cheapest; these three pass over "
            "one that has had its `rpm` or `tpm`. Of each group only the deployments of the lowest `order` are looked "
            "at. Load, latency and usage are those that the worker sees; LiteLLM shares them through Redis."
        ),
    ] = "simple-shuffle"
    num_retries: Annotated[
        Number,
        Meta(description="How often a request is tried again in its group, before fallbacks. 0 is never."),
    ] = 2
    retry_after: Annotated[
        Pause,
        Meta(
            description="The least seconds to wait before the same deployment is asked again. The provider's own hint "
            "counts too, and there is a growing pause with some chance in it."
        ),
    ] = 0.0
    retry_policy: Annotated[RetryPolicy, Meta(description="Retries by the class of the failure: see below.")] = (
        RetryPolicy()
    )
    allowed_fails: Annotated[
        Number | None,
        Meta(
            description="How many failures a deployment may have in a minute before it cools down. Without it a 429, a "
            "401, a 403 or a spent quota cools at once, and so do failures of more than half of at least 5 requests "
            "in a minute. A deployment that is alone in its group is never cooled down; LiteLLM cools it for some "
            "failures. A 404 cools nothing; in LiteLLM it does."
        ),
    ] = None
    allowed_fails_policy: Annotated[
        AllowedFailsPolicy, Meta(description="Allowed failures by their class: see below.")
    ] = AllowedFailsPolicy()
    cooldown_time: Annotated[
        Pause,
        Meta(
            description="Seconds for which a deployment that failed is not asked. Then one request tries it: while "
            "such trials fail, the time doubles, up to `server_settings.cooldown_limit_s`. 0 cools nothing; in LiteLLM "
            "it means 5 here, and the same time is used again and again."
        ),
    ] = 5.0
    disable_cooldowns: Annotated[bool, Meta(description="Cool nothing down.")] = False
    fallbacks: Annotated[
        Fallbacks,
        Meta(
            description="Which models serve when one fails and its retries are spent, in order: "
            "`[{fast: [slow, slower]}]`, or `{fast: [slow]}`. A model's own name comes first, then the name without "
            'its provider or with it, then `"*"` for any other.'
        ),
    ] = {}
    context_window_fallbacks: Annotated[
        Fallbacks, Meta(description="The same, for a request that is too long for the model.")
    ] = {}
    content_policy_fallbacks: Annotated[
        Fallbacks, Meta(description="The same, for a request that the provider's content policy refuses.")
    ] = {}
    default_fallbacks: Annotated[
        tuple[ModelName, ...],
        Meta(description="Which models serve when one fails that has no `fallbacks` of its own."),
    ] = ()
    max_fallbacks: Annotated[Number, Meta(description="How many fallbacks one request may go through.")] = 5
    model_group_alias: Annotated[
        dict[str, ModelAlias],
        Meta(
            description="Other names for models: `{alias: fast}`, or `{alias: {model: fast, hidden: true}}`. Where an "
            "alias is the name of a model too, the alias wins."
        ),
    ] = {}
    timeout: Annotated[
        Seconds | None,
        Meta(
            description="Seconds for a whole request with all its attempts; 600 if nothing says otherwise. LiteLLM's "
            "is 6000."
        ),
    ] = None
