"""One entry of `model_list` as values: a deployment, and what is known of its model. Each field has its documentation.

Entries with one `model_name` are the deployments of one group. `model.py` reads them.
Source: litellm-config.md 4.2.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from .kind import Count, HeaderText, Number, Order, Parameters, Pause, Rate, Seconds, Text, Translation
from .router import RetryPolicy
from .secret import Secret


class LitellmParams(msgspec.Struct, frozen=True, kw_only=True):
    """One deployment: where the model is, how to sign, and what a request to it holds by default."""

    model: Annotated[
        Text,
        Meta(
            description="`provider/model-id`. The provider is taken off before the model is named upstream. "
            "Without one it is inferred: `gpt-*`, `o1…`, `chatgpt-*` are openai, `claude-*` anthropic, "
            "`gemini-*` gemini.",
            examples=["openai/gpt-5-mini"],
        ),
    ]
    api_key: Annotated[
        Secret | None,
        Meta(
            description="The provider's key, best as `os.environ/NAME`. Without one, the provider's usual "
            "variable (`OPENAI_API_KEY`, `ANTHROPIC_API_KEY`, …: see [providers.md](providers.md)), which is sent to "
            'whatever host `api_base` names, with a warning if that is not the provider\'s usual one. `none` (or `""`) '
            "sends no key."
        ),
    ] = None
    api_base: Annotated[
        Text | None,
        Meta(
            description="The provider's address, if it is not the usual one. `base_url` means the same. Without one, "
            "the provider's usual variable, where it has one."
        ),
    ] = None
    api_version: Annotated[
        Text | None,
        Meta(description="The version in Azure's dated URLs. Without one, the variable `AZURE_API_VERSION`."),
    ] = None
    organization: Annotated[HeaderText | None, Meta(description="Sent as `OpenAI-Organization`.")] = None
    timeout: Annotated[Seconds | None, Meta(description="Seconds for one attempt.")] = None
    stream_timeout: Annotated[
        Seconds | None, Meta(description="Seconds to wait for a stream's first event, and for each next one.")
    ] = None
    weight: Annotated[
        Rate | None,
        Meta(
            description="The deployment's share of its group's requests, beside the others' weights, with "
            "`simple-shuffle`. One without a weight has none of it while others have one."
        ),
    ] = None
    rpm: Annotated[
        Count | None,
        Meta(
            description="Requests a minute that the deployment is good for: a weight, and what usage is held against."
        ),
    ] = None
    tpm: Annotated[Count | None, Meta(description="Tokens a minute, in the same way.")] = None
    order: Annotated[
        Order | None,
        Meta(
            description="Of a group's healthy deployments only those of the lowest order are asked; one without an "
            "order comes last. May stand in `model_info`."
        ),
    ] = None
    max_parallel_requests: Annotated[
        Count | None,
        Meta(
            description="Requests under way to the deployment in one worker. Without it there is no limit; LiteLLM "
            "takes `rpm` for it."
        ),
    ] = None
    num_retries: Annotated[
        Number | None,
        Meta(
            description="In place of `router_settings.num_retries`, after this deployment has failed. `max_retries` "
            "means the same."
        ),
    ] = None
    retry_policy: Annotated[RetryPolicy, Meta(description="Before `router_settings.retry_policy`, key by key.")] = (
        RetryPolicy()
    )
    allowed_fails: Annotated[
        Number | None,
        Meta(
            description="In place of `router_settings.allowed_fails`. May stand in `model_info`, where LiteLLM has it."
        ),
    ] = None
    cooldown_time: Annotated[
        Pause | None,
        Meta(description="In place of `router_settings.cooldown_time`. May stand in `model_info`."),
    ] = None
    input_cost_per_token: Annotated[
        Rate | None, Meta(description="Dollars. For `cost-based-routing`. May stand in `model_info`.")
    ] = None
    output_cost_per_token: Annotated[
        Rate | None, Meta(description="Dollars. For `cost-based-routing`. May stand in `model_info`.")
    ] = None
    drop_params: Annotated[
        bool | None,
        Meta(
            description="Overrides `litellm_settings.drop_params` and `server_settings.translation` for this "
            "model. `false`, written out, is not the same as nothing."
        ),
    ] = None
    mock_response: Annotated[str | None, Meta(description="Answer with this text instead of asking the provider.")] = (
        None
    )
    extra_headers: Annotated[
        dict[str, Secret], Meta(description="Headers added to each request to the provider. `headers` means the same.")
    ] = {}
    extra_body: Annotated[
        Parameters, Meta(description="Members added to the body of each request to the provider.")
    ] = msgspec.field(default_factory=Parameters)
    defaults: Annotated[
        Parameters,
        Meta(
            description="Every other key (`max_tokens`, `temperature`, …): a request's default parameters. "
            "What the client sends wins."
        ),
    ] = msgspec.field(default_factory=Parameters)


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one model. LiteLLM lets keys be free here, so FeatherGate's own settings of a model are here."""

    id: Annotated[
        HeaderText | None,
        Meta(
            description="The deployment's own name, in the header `x-feathergate-deployment` and in the log. Without "
            "it, one is made of what the entry says."
        ),
    ] = None
    translation: Annotated[
        Translation | None,
        Meta(description="Overrides `server_settings.translation` and every `drop_params` for this model."),
    ] = None
    max_output_tokens: Annotated[
        Count | None, Meta(description="The most tokens that the model can answer with, in place of its family's.")
    ] = None
    capability: Annotated[
        Parameters, Meta(description="What the model can do, where that is not what its family can: see below.")
    ] = msgspec.field(default_factory=Parameters)
    others: Annotated[dict[str, Any], Meta(description="Every other key is yours, and has no effect.")] = {}


class ModelEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of `model_list`."""

    model_name: Annotated[
        Text,
        Meta(
            description="The name that clients ask for. May hold a `*`: `openai/*`, or `*` for any name. Entries with "
            "one name are one group, of which each serves.",
            examples=["fast"],
        ),
    ]
    params: Annotated[LitellmParams, Meta(description="The deployment behind the name, written as `litellm_params`.")]
    model_info: Annotated[ModelInfo, Meta(description="What is known of the model.")] = ModelInfo()
    line: Annotated[int, Meta(description="Where the entry begins in the file; 0 without a file.")] = 0
