"""The compiled configuration: everything that a request looks up, worked out once.

`compile_runtime` turns a `Config` into an immutable `Runtime`: names to deployments, header bytes with the key in
them, split URLs, timeouts, defaults as raw JSON. A reload compiles a new one and swaps one reference; what lives
longer than a configuration (the pools of connections, metrics, the log) comes in as `Shared` and goes on.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from feathergate.capability import find_capability, override_capability
from feathergate.config.litellm import split_model
from feathergate.config.schema import Config, LitellmParams, ModelEntry, ModelInfo, ServerSettings
from feathergate.config.secret import Secret
from feathergate.dialects.contract import Built, Target
from feathergate.dialects.thought import ThoughtMemory
from feathergate.errors import ClientError, ConfigError, NotFoundError, Problem
from feathergate.http.connect import build_ssl_context
from feathergate.http.contract import Origin, Timeouts
from feathergate.http.limits import ClientLimits
from feathergate.http.proxy import Proxy, parse_proxy, pick_proxy
from feathergate.http.ticker import Ticker
from feathergate.observe.access_log import AccessLog
from feathergate.observe.metrics import Metrics
from feathergate.providers import PROVIDERS, Provider, Route, build_route, parse_base
from feathergate.routing.table import Match, Table, fill_model
from feathergate.transport.contract import Transport, UpstreamRequest
from feathergate.transport.media import MediaFetcher
from feathergate.transport.mock import MockTransport
from feathergate.transport.upstream import HttpTransport
from feathergate.wire.codec import Members, decode_chat, encode, raw

_STREAM_IDLE_S = 300.0
_SECRET_CHARS = 8


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """One model at one provider, ready to be asked. `model_name` is the configuration's, `model` the upstream's.

    `target` is what a dialect must know of it, `paths` the targets of HTTP requests as they were made so far (by the
    dialect's own path, so there are few). `address` is the host's, as a URL without a path, and empty for the built-in
    mock. `secrets` is what the headers hold of them, so that an error that repeats one can be told from others;
    `secret_headers` are their names.
    """

    model_name: str
    model: str
    provider: Provider
    transport: Transport
    address: str
    route: Route
    headers: bytes
    secrets: tuple[str, ...]
    secret_headers: frozenset[str]
    timeouts: Timeouts
    stream_timeouts: Timeouts
    defaults: Members
    overrides: Members
    target: Target
    capability_overrides: Mapping[str, Any]
    paths: dict[str, bytes] = {}

    def __repr__(self) -> str:
        """Without the key and the parameters."""
        return f"Deployment({self.model_name!r}, {self.provider.name}/{self.model})"

    def rename(self, model: str) -> Deployment:
        """The same deployment for another of its provider's models. Raises `ClientError` for a name that would lead
        elsewhere in a URL's path, where quoting does not help."""
        if model in (".", ".."):
            raise ClientError(f"'{model}' is not the name of a model.", param="model")
        capability = override_capability(find_capability(model), self.capability_overrides)
        target = msgspec.structs.replace(self.target, model=model, capability=capability)
        return msgspec.structs.replace(self, model=model, target=target, paths={})

    def build_upstream(self, built: Built, *, stream: bool) -> UpstreamRequest:
        """A dialect's request with this deployment's address and credentials."""
        headers = self.headers
        if built.headers:
            headers += b"".join(f"{name}: {value}\r\n".encode() for name, value in built.headers)
        target = self.paths.get(built.path)
        if target is None:
            target = self.paths[built.path] = self.route.fill(built.path, self.model).encode()
        timeouts = self.stream_timeouts if stream else self.timeouts
        return UpstreamRequest(target, headers, built.body, timeouts)


class Unsupported(msgspec.Struct, frozen=True):
    """A configured model whose provider is not known here."""

    provider: str


class Shared(msgspec.Struct, kw_only=True):
    """What outlives a configuration: one set a process. `transports` holds a pool for each way to an origin,
    `thoughts` what providers signed and clients may lose."""

    loop: asyncio.AbstractEventLoop
    ticker: Ticker
    environ: Mapping[str, str]
    now: Callable[[], float]
    log: AccessLog | None = None
    transports: dict[object, Transport] = {}
    thoughts: ThoughtMemory = msgspec.field(default_factory=ThoughtMemory)

    def __repr__(self) -> str:
        """Without the environment, which holds keys."""
        return "Shared()"


class Runtime:
    """The whole of it. Immutable: a request that began with one keeps it. `media` fetches what requests name by
    URL, and is None where nothing may be fetched."""

    def __init__(
        self,
        config: Config,
        table: Table[Deployment | Unsupported],
        metrics: Metrics,
        shared: Shared,
        media: MediaFetcher | None = None,
    ) -> None:
        self.config = config
        self.table = table
        self.metrics = metrics
        self.shared = shared
        self.media = media
        self.master_key: Secret | None = config.general.master_key
        self._deployments = _list_exact(table)
        self.cors_origins = frozenset(origin.encode() for origin in config.server.cors_allow_origins)

    def find_model(self, name: str) -> Match[Deployment | Unsupported]:
        """What is configured for `name`, as given or with the provider that it tells of. Raises `NotFoundError`."""
        match = self.table.find(name)
        if match is None:
            provider, model = split_model(name)
            match = self.table.find(f"{provider}/{model}") if provider else None
        if match is None:
            raise self._not_found(name)
        return match

    def find_deployment(self, name: str) -> Deployment:
        """The deployment that serves `name`. Raises `NotFoundError`, or `ClientError` for an unknown provider."""
        known = self._deployments.get(name)
        if known is not None:
            return known
        match = self.find_model(name)
        entry = match.entry
        if isinstance(entry, Unsupported):
            raise ClientError(
                f"Provider not supported: {entry.provider}. Supported: {', '.join(sorted(PROVIDERS))}.", param="model"
            )
        if match.caught:
            return entry.rename(fill_model(entry.model, name, match.caught))
        return entry

    def _not_found(self, name: str) -> NotFoundError:
        nearest = self.table.find_nearest(name)
        hint = f" Did you mean {' or '.join(nearest)}?" if nearest else " GET /v1/models lists what there is."
        return NotFoundError(f"Model not found: {name[:200]}.{hint}", param="model", code="model_not_found")


def _list_exact(table: Table[Deployment | Unsupported]) -> dict[str, Deployment]:
    """What serves each name without a pattern: what most requests ask for, found by one look."""
    matches = ((name, table.find(name)) for name in table.names if "*" not in name)
    return {name: match.entry for name, match in matches if match is not None and isinstance(match.entry, Deployment)}


def compile_runtime(config: Config, shared: Shared, metrics: Metrics) -> Runtime:
    """Raises `ConfigError` with every problem that only shows when addresses and files are looked at."""
    problems: list[Problem] = []
    ssl_contexts = _SslContexts(config.server.ca_file)
    entries: list[tuple[str, Deployment | Unsupported]] = []
    for entry in config.models:
        try:
            compiled = _compile_entry(entry, config, shared, ssl_contexts)
            entries.append((entry.model_name, compiled))
            problems += _find_wrong_parameters(config, entry) if isinstance(compiled, Deployment) else ()
        except ValueError as error:
            problems.append(_problem(config, entry, f"api_base: {error}", "mend the address"))
        except OSError as error:
            problems.append(_ca_problem(config, error))
            break
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return Runtime(config, Table(entries), metrics, shared, _build_media(config, shared, ssl_contexts))


def _build_media(config: Config, shared: Shared, ssl_contexts: _SslContexts) -> MediaFetcher | None:
    if not config.server.fetch_media:
        return None
    try:
        return MediaFetcher(shared.ticker, ssl_contexts.get(), config.server.fetch_media_limit_bytes)
    except OSError as error:
        raise ConfigError([_ca_problem(config, error)]) from None


def _ca_problem(config: Config, error: OSError) -> Problem:
    return Problem(f"server_settings.ca_file cannot be read: {error.strerror}", file=config.path)


def _problem(config: Config, entry: ModelEntry, what: str, fix: str) -> Problem:
    what = f"model '{entry.model_name}', {what}"
    return Problem(what, fix, config.path, entry.line, 1 if entry.line else 0)


def _find_wrong_parameters(config: Config, entry: ModelEntry) -> Iterable[Problem]:
    """What the configuration adds to requests and no client could send."""
    params = entry.params
    for where, members in (("litellm_params", params.defaults), ("extra_body", params.extra_body)):
        for name, value in members.items():
            try:
                decode_chat(encode({"model": "any", "messages": [None], name: value}))
            except ClientError as error:
                yield _problem(config, entry, f"{where}: {error.message}", f"mend or remove {error.param or name}")


def _compile_entry(
    entry: ModelEntry, config: Config, shared: Shared, ssl_contexts: _SslContexts
) -> Deployment | Unsupported:
    params = entry.params
    name, model = split_model(params.model)
    provider = PROVIDERS.get(name if params.mock_response is None else "mock")
    if provider is None:
        return Unsupported(name or params.model)
    transport, address, route = _find_transport(provider, params, config, shared, ssl_contexts)
    timeouts, stream_timeouts = build_timeouts(params, config)
    capability_overrides = find_overrides(entry.model_info)
    return Deployment(
        model_name=entry.model_name,
        model=model,
        provider=provider,
        transport=transport,
        address=address,
        route=route,
        headers=build_headers(provider, params),
        secrets=find_secrets(params),
        secret_headers=frozenset((provider.key_header, *map(str.lower, params.extra_headers))),
        timeouts=timeouts,
        stream_timeouts=stream_timeouts,
        defaults=_raw_members(params.defaults),
        overrides=_raw_members(params.extra_body),
        target=Target(
            model,
            override_capability(find_capability(model), capability_overrides),
            is_strict(entry, config),
            shared.thoughts,
            provider.quirks,
        ),
        capability_overrides=capability_overrides,
    )


def find_overrides(info: ModelInfo) -> Mapping[str, Any]:
    """What the configuration knows better of a model than its family tells; `capability` before LiteLLM's key."""
    limit = {} if info.max_output_tokens is None else {"max_output_tokens": info.max_output_tokens}
    return {**limit, **info.capability}


def is_strict(entry: ModelEntry, config: Config) -> bool:
    """Whether what cannot be carried is refused: the model's word before the global one, `translation` before
    `drop_params`, and no where nothing is said."""
    own = (entry.model_info.translation, entry.params.drop_params)
    for translation, drop_params in (own, (config.server.translation, config.litellm.drop_params)):
        if translation is not None:
            return translation == "strict"
        if drop_params is not None:
            return not drop_params
    return False


def _raw_members(values: Mapping[str, Any]) -> Members:
    return {name: raw(value) for name, value in values.items()}


def build_timeouts(params: LitellmParams, config: Config) -> tuple[Timeouts, Timeouts]:
    """For whole answers and for streams: an attempt's own bound, within the whole request's."""
    server = config.server
    total = min(params.timeout or config.total_timeout_s, config.total_timeout_s)
    event = min(params.stream_timeout or _STREAM_IDLE_S, total)
    phases = (server.connect_timeout_s, server.tls_timeout_s)
    return Timeouts(*phases, total, total, total), Timeouts(*phases, event, event, total)


def build_headers(provider: Provider, params: LitellmParams) -> bytes:
    """The block that every request to a deployment carries, credentials included."""
    headers = {"content-type": "application/json", "user-agent": "feathergate"}
    if params.api_key:
        headers[provider.key_header] = provider.key_prefix + params.api_key.reveal()
    if params.organization:
        headers["openai-organization"] = params.organization
    headers |= {name.lower(): value.reveal() for name, value in params.extra_headers.items()}
    return b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in headers.items())


def find_secrets(params: LitellmParams) -> tuple[str, ...]:
    """The key and the extra headers' values, but for those that are too short to be told from other words."""
    values = (params.api_key, *params.extra_headers.values())
    return tuple(value.reveal() for value in values if value is not None and len(value) >= _SECRET_CHARS)


def _find_transport(
    provider: Provider, params: LitellmParams, config: Config, shared: Shared, ssl_contexts: _SslContexts
) -> tuple[Transport, str, Route]:
    """The way to the deployment's host, shared by all that go there, the host's address, and the way on it."""
    if provider.transport == "mock":
        return MockTransport(template=params.mock_response), "", Route("")
    base = parse_base(params.api_base or provider.api_base, provider)
    origin = Origin(base.tls, base.host, base.port)
    proxy = _pick_proxy(origin, config.server, shared.environ)
    key = (origin, proxy, provider.name, config.server)
    transport = shared.transports.get(key)
    if transport is None:
        ssl_context = ssl_contexts.get() if origin.tls else None
        limits = build_client_limits(config.server)
        transport = HttpTransport(provider.name, origin, limits, shared.ticker, ssl_context=ssl_context, proxy=proxy)
        shared.transports[key] = transport
    return transport, base.address, build_route(base.path, provider, params.api_version)


def _pick_proxy(origin: Origin, server: ServerSettings, environ: Mapping[str, str]) -> Proxy | None:
    if server.proxy is not None:
        environ = {**environ, "https_proxy": server.proxy.reveal(), "http_proxy": server.proxy.reveal()}
        parse_proxy(server.proxy.reveal(), "server_settings.proxy")
    return pick_proxy(origin, environ)


def build_client_limits(server: ServerSettings) -> ClientLimits:
    return ClientLimits(
        header_bytes=server.upstream_header_limit_bytes,
        header_count=server.upstream_header_limit_count,
        body_bytes=server.upstream_body_limit_bytes,
        event_bytes=server.upstream_event_limit_bytes,
        idle_connections=server.upstream_idle_connection_count,
        idle_connection_s=server.upstream_idle_connection_s,
    )


class _SslContexts:
    """One TLS context a configuration, made when the first https origin wants it: loading CAs takes long."""

    def __init__(self, ca_file: str | None) -> None:
        self._ca_file = ca_file
        self._context: ssl.SSLContext | None = None

    def get(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = build_ssl_context(self._ca_file)
        return self._context


def list_models(runtime: Runtime) -> Iterable[str]:
    """The configured names, in the file's order."""
    return (entry.model_name for entry in runtime.config.models)
