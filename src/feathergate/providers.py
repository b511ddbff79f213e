"""Who can be asked: one row a host. A row is data: where, how to sign, which dialect, which quirks.

A host that speaks a known dialect is one row here and nothing else. No row knows a model; what a model family can
do stands in `capability.py`. A quirk is in a row only where the host's own pages, or the error that it answers with,
say so; `docs/providers.md` is generated from the table. Prefixes and variables are LiteLLM's. Sources:
reference/wire/*.md section "Transport", reference/litellm-config.md 4.1, the hosts' pages on OpenAI compatibility.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple
from urllib.parse import quote, urlsplit

import msgspec
from msgspec.structs import replace

from feathergate.config.environment import KEY_VARIABLES
from feathergate.dialects.chat import CHAT
from feathergate.dialects.contract import Dialect, Quirks
from feathergate.dialects.gemini import GEMINI
from feathergate.dialects.messages import MESSAGES

MODEL = "{model}"
"""Stands in a path for the model's name. A path that is percent-encoded holds no brace of its own."""

_PATH_CHARS = "/%:@!$&'()*+,;=-._~"
_CHAT_TAILS = ("/chat/completions", "/chat")


class Dated(msgspec.Struct, frozen=True, kw_only=True):
    """URLs that name the model, below `folder`, and carry the version of the API, which is a date.

    A base that ends in `undated` is one of the newer kind, which wants neither.
    """

    folder: str
    undated: str
    version: str
    version_variable: str


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """One host. `api_base` is where it is when the configuration says nothing; a row without one needs to be told.

    `key_variables` and `base_variable` name the usual variables of the environment, of which the first that is set
    counts; `key_optional` = many such hosts want no key. The path of a base is what stands before the dialect's
    own: `root` is added to one that has no path at all, and the `tails` (patterns), which people copy along with
    it, are taken off. `note` is for the documentation.
    """

    name: str
    title: str
    dialect: Dialect = CHAT
    transport: Literal["http", "mock"] = "http"
    api_base: str = ""
    base_variable: str = ""
    key_variables: tuple[str, ...] = ()
    key_optional: bool = False
    key_header: str = "authorization"
    key_prefix: str = "Bearer "
    root: str = ""
    tails: tuple[str, ...] = _CHAT_TAILS
    dated: Dated | None = None
    quirks: Quirks = Quirks()
    note: str = ""

    @property
    def needs_base(self) -> bool:
        return self.transport == "http" and not self.api_base

    @property
    def version_variable(self) -> str:
        return self.dated.version_variable if self.dated else ""


_MAX_TOKENS_ONLY = Quirks(renames={"max_completion_tokens": "max_tokens"})

_MAKERS = (
    Provider(
        name="openai",
        title="OpenAI",
        api_base="https://api.openai.com/v1",
        key_variables=(KEY_VARIABLES["openai"],),
        root="/v1",
    ),
    Provider(
        name="anthropic",
        title="Anthropic",
        dialect=MESSAGES,
        api_base="https://api.anthropic.com",
        key_variables=(KEY_VARIABLES["anthropic"],),
        key_header="x-api-key",
        key_prefix="",
        tails=("/messages", "/v1"),
    ),
    Provider(
        name="gemini",
        title="Google Gemini",
        dialect=GEMINI,
        api_base="https://generativelanguage.googleapis.com",
        key_variables=(KEY_VARIABLES["gemini"],),
        key_header="x-goog-api-key",
        key_prefix="",
        tails=("/models(/[^/]*)?", "/v1beta", "/v1"),
    ),
    Provider(
        name="azure",
        title="Azure OpenAI",
        base_variable="AZURE_API_BASE",
        key_variables=("AZURE_API_KEY",),
        key_header="api-key",
        key_prefix="",
        tails=("/chat/completions", "/openai/deployments", "/openai"),
        dated=Dated(
            folder="/openai/deployments/",
            undated="/openai/v1",
            version="2025-04-01-preview",
            version_variable="AZURE_API_VERSION",
        ),
        quirks=Quirks(pedantic=True),
        note="The model is the deployment's name. For an Entra ID token write `extra_headers: {authorization: …}`.",
    ),
)

_HOSTS = (
    Provider(
        name="cerebras",
        title="Cerebras",
        api_base="https://api.cerebras.ai/v1",
        base_variable="CEREBRAS_API_BASE",
        key_variables=("CEREBRAS_API_KEY",),
        root="/v1",
        quirks=Quirks(renames={"max_tokens": "max_completion_tokens"}, pedantic=True),
    ),
    Provider(
        name="dashscope",
        title="Alibaba Model Studio (DashScope)",
        api_base="https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        key_variables=("DASHSCOPE_API_KEY",),
        root="/compatible-mode/v1",
        note="Keys hold in one region only: give the `api_base` of another, or of your workspace.",
    ),
    Provider(
        name="deepseek",
        title="DeepSeek",
        api_base="https://api.deepseek.com",
        base_variable="DEEPSEEK_API_BASE",
        key_variables=("DEEPSEEK_API_KEY",),
        quirks=_MAX_TOKENS_ONLY,
        note="`https://api.deepseek.com/beta` has the features that are in beta.",
    ),
    Provider(
        name="fireworks_ai",
        title="Fireworks AI",
        api_base="https://api.fireworks.ai/inference/v1",
        key_variables=("FIREWORKS_AI_API_KEY", "FIREWORKS_API_KEY"),
        root="/inference/v1",
    ),
    Provider(
        name="groq",
        title="Groq",
        api_base="https://api.groq.com/openai/v1",
        key_variables=("GROQ_API_KEY",),
        root="/openai/v1",
        quirks=Quirks(lacks=frozenset(("logit_bias", "logprobs", "top_logprobs")), pedantic=True),
        note="Takes no `n` above 1.",
    ),
    Provider(
        name="mistral",
        title="Mistral AI",
        api_base="https://api.mistral.ai/v1",
        key_variables=("MISTRAL_API_KEY",),
        root="/v1",
        quirks=Quirks(
            renames={"max_completion_tokens": "max_tokens", "seed": "random_seed"},
            lacks=frozenset(
                ("logit_bias", "logprobs", "service_tier", "store", "stream_options", "top_logprobs", "user")
            ),
            pedantic=True,
        ),
        note="Says the usage of every stream unasked.",
    ),
    Provider(
        name="moonshot",
        title="Moonshot AI (Kimi)",
        api_base="https://api.moonshot.ai/v1",
        base_variable="MOONSHOT_API_BASE",
        key_variables=("MOONSHOT_API_KEY",),
        root="/v1",
        note="In China the `api_base` is `https://api.moonshot.cn/v1`.",
    ),
    Provider(
        name="nvidia_nim",
        title="NVIDIA NIM",
        api_base="https://integrate.api.nvidia.com/v1",
        base_variable="NVIDIA_NIM_API_BASE",
        key_variables=("NVIDIA_NIM_API_KEY",),
        root="/v1",
    ),
    Provider(
        name="openrouter",
        title="OpenRouter",
        api_base="https://openrouter.ai/api/v1",
        key_variables=("OPENROUTER_API_KEY",),
        root="/api/v1",
    ),
    Provider(
        name="perplexity",
        title="Perplexity",
        api_base="https://api.perplexity.ai",
        key_variables=("PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"),
        quirks=_MAX_TOKENS_ONLY,
    ),
    Provider(
        name="together_ai",
        title="Together AI",
        api_base="https://api.together.ai/v1",
        base_variable="TOGETHER_AI_API_BASE",
        key_variables=("TOGETHERAI_API_KEY", "TOGETHER_API_KEY", "TOGETHER_AI_API_KEY"),
        root="/v1",
    ),
    Provider(
        name="xai",
        title="xAI",
        api_base="https://api.x.ai/v1",
        key_variables=("XAI_API_KEY",),
        root="/v1",
        note="Its models that reason refuse `presence_penalty`, `frequency_penalty` and `stop`.",
    ),
)

_VLLM = Provider(
    name="hosted_vllm",
    title="vLLM",
    base_variable="HOSTED_VLLM_API_BASE",
    key_variables=("HOSTED_VLLM_API_KEY",),
    key_optional=True,
    root="/v1",
)
_OLLAMA = Provider(
    name="ollama",
    title="Ollama",
    api_base="http://localhost:11434/v1",
    base_variable="OLLAMA_API_BASE",
    key_variables=("OLLAMA_API_KEY",),
    key_optional=True,
    root="/v1",
    tails=(*_CHAT_TAILS, "/api/chat", "/api/generate", "/api"),
    quirks=Quirks(renames={"max_completion_tokens": "max_tokens"}, lacks=frozenset(("logit_bias", "num_ctx", "user"))),
    note="Asked through its interface like OpenAI's, where the length of the context is the server's setting.",
)
_ANY = Provider(
    name="openai_like",
    title="any host like OpenAI",
    key_variables=("OPENAI_LIKE_API_KEY",),
    key_optional=True,
    root="/v1",
)

PROVIDERS: dict[str, Provider] = {
    row.name: row
    for row in (
        *_MAKERS,
        *_HOSTS,
        _VLLM,
        _OLLAMA,
        replace(_OLLAMA, name="ollama_chat"),
        _ANY,
        replace(_ANY, name="custom_openai", key_variables=()),
        Provider(name="mock", title="built in", transport="mock", key_optional=True),
    )
}


class Base(msgspec.Struct, frozen=True):
    """A base URL in parts; `path` has no slash at its end."""

    tls: bool
    host: str
    port: int
    path: str

    @property
    def address(self) -> str:
        """Scheme, host and, where it is not the scheme's own, port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = self.port == (443 if self.tls else 80)
        return f"{'https' if self.tls else 'http'}://{host}{'' if usual else f':{self.port}'}"


class Route(NamedTuple):
    """What stands before and behind the dialect's own path, percent-encoded; `MODEL` in `path` is to be filled."""

    path: str
    query: str = ""

    def fill(self, path: str, model: str) -> str:
        """The target of a request: the dialect's `path` in its place."""
        before = self.path.replace(MODEL, quote(model, safe="")) if MODEL in self.path else self.path
        return before + path + self.query


def parse_base(api_base: str, provider: Provider) -> Base:
    """`api_base` with its slips mended; raises ValueError, saying what is wrong, for what is no HTTP address."""
    if "://" not in api_base:
        raise ValueError("the address has no scheme: write http://… or https://…")
    parts = urlsplit(api_base.strip())
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"the scheme '{parts.scheme}' is neither http nor https")
    if not parts.hostname:
        raise ValueError("the address names no host")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("the address holds more than scheme, host, port and path")
    tls = parts.scheme == "https"
    port = parts.port or (443 if tls else 80)
    return Base(tls, parts.hostname, port, _mend_path(parts.path, provider))


def _mend_path(path: str, provider: Provider) -> str:
    if provider.tails:
        path = re.sub(rf"(?:{'|'.join(provider.tails)}|/)+\Z", "", path)
    root = provider.root
    while root and path.endswith(root + root):
        path = path.removesuffix(root)
    return path or root


def build_route(path: str, provider: Provider, api_version: str | None = None) -> Route:
    """The way from a base's path to the model's: the same for all models but where a URL names the model."""
    quoted = quote(path, safe=_PATH_CHARS)
    dated = provider.dated
    if dated is None or path.endswith(dated.undated):
        return Route(quoted)
    if dated.folder not in path:
        quoted += dated.folder + MODEL
    return Route(quoted, f"?api-version={quote(api_version or dated.version, safe='')}")
