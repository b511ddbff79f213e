"""What can be set. Each field carries its documentation, from which `docs/configuration.md` is generated.

The names are LiteLLM's where LiteLLM has the setting; `server_settings` is ours, with units in its names. The
structs are values: `load.py` makes them, nobody changes them. A field's type says what is valid; the `title` of
an annotated type is how an error names it, its first example how an error mends it.

Source: litellm-config.md 4.2; issue "The gateway serves…", limits and timeouts.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from .secret import Secret

Seconds = Annotated[float, Meta(gt=0, le=1e9, title="a number of seconds above 0", examples=[30])]
Count = Annotated[int, Meta(gt=0, le=2**31 - 1, title="a whole number above 0", examples=[100])]
ByteCount = Annotated[int, Meta(gt=0, le=2**40, title="a whole number of bytes above 0", examples=[1048576])]
Text = Annotated[str, Meta(min_length=1, title="text", examples=['"text"'])]
HeaderText = Annotated[
    str, Meta(pattern=r"\A[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?\Z", title="text of printable ASCII characters")
]
Origin = Annotated[
    str,
    Meta(
        pattern=r"\A(\*|[a-z][a-z0-9+.-]*://[^\s/]+)\Z",
        title='an origin such as https://app.example, or "*"',
        examples=['["https://app.example"]'],
    ),
]

Translation = Annotated[Literal["strict", "lenient"], Meta(title="strict or lenient", examples=["strict"])]

DEFAULT_TOTAL_TIMEOUT_S = 600.0


class Parameters(dict[str, Any]):
    """A part of a request's body. Its `repr` shows the names only: a value may be confidential."""

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{name!r}: ..." for name in self) + "}"


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
            description="The name that clients ask for. May hold a `*`: `openai/*`, or `*` for any name.",
            examples=["fast"],
        ),
    ]
    params: Annotated[LitellmParams, Meta(description="The deployment behind the name, written as `litellm_params`.")]
    model_info: Annotated[ModelInfo, Meta(description="What is known of the model.")] = ModelInfo()
    line: Annotated[int, Meta(description="Where the entry begins in the file; 0 without a file.")] = 0


class GeneralSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who may use the gateway."""

    master_key: Annotated[
        Secret | None,
        Meta(
            description="The key that clients must show. At least 16 characters. Without it, the variable "
            "`FEATHERGATE_MASTER_KEY` or `LITELLM_MASTER_KEY`; without those, no route asks for a key."
        ),
    ] = None
    open_metrics: Annotated[bool, Meta(description="Serve `/metrics` without the master key.")] = False


class LitellmSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Defaults for every model."""

    drop_params: Annotated[
        bool | None,
        Meta(
            description="Drop parameters that a provider has no equivalent for (`true`, and nothing at all), "
            "or refuse the request (`false`). `server_settings.translation` wins."
        ),
    ] = None
    request_timeout: Annotated[
        Seconds | None,
        Meta(description="Seconds for a whole request, if `router_settings.timeout` does not say."),
    ] = None


class RouterSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a request is carried out."""

    timeout: Annotated[
        Seconds | None,
        Meta(description="Seconds for a whole request with all its attempts; 600 if nothing says otherwise."),
    ] = None


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """FeatherGate's own section: limits, timeouts and the network."""

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
    drain_timeout_s: Annotated[
        Seconds, Meta(description="For requests under way to finish when the gateway stops.")
    ] = 30.0

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


class Notice(msgspec.Struct, frozen=True):
    """Something worth knowing about a configuration that can be used all the same."""

    level: Literal["warning", "info"]
    what: str
    fix: str = ""
    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}: " if self.line else f"{self.file}: " * bool(self.file)
        return f"{place}{self.level}: {self.what}" + (f" ({self.fix})" if self.fix else "")


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """A whole configuration. `models` holds each name once, in the file's order; `path` is empty without a file."""

    models: tuple[ModelEntry, ...]
    general: GeneralSettings = GeneralSettings()
    litellm: LitellmSettings = LitellmSettings()
    router: RouterSettings = RouterSettings()
    server: ServerSettings = ServerSettings()
    notices: tuple[Notice, ...] = ()
    path: str = ""

    @property
    def total_timeout_s(self) -> float:
        """Seconds for a whole request: the router's word, else `request_timeout`, else ten minutes."""
        return self.router.timeout or self.litellm.request_timeout or DEFAULT_TOTAL_TIMEOUT_S
