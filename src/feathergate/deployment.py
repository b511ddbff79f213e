"""One deployment, compiled: where it is asked, with which words around the client's, and how long it may take.

`compile_deployment` turns an entry of `model_list` into a `Deployment`: split URLs, header bytes with the key in
them, timeouts, defaults as raw JSON. Which of several is asked is not decided here. Transports are shared by all
that go the same way to the same host, over reloads too.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any
from urllib.parse import quote

import msgspec

from feathergate.capability import find_capability, override_capability
from feathergate.config.litellm import split_model
from feathergate.config.schema import Config, LitellmParams, ModelEntry, ModelInfo, ServerSettings
from feathergate.dialects.contract import Built, Target
from feathergate.errors import ClientError
from feathergate.http.connect import build_ssl_context
from feathergate.http.contract import Origin, Timeouts
from feathergate.http.limits import ClientLimits
from feathergate.http.proxy import Proxy, parse_proxy, pick_proxy
from feathergate.providers import PROVIDERS, Provider, Route, build_route, parse_base
from feathergate.shared import Shared
from feathergate.transport.contract import Transport, UpstreamRequest
from feathergate.transport.mock import MockTransport
from feathergate.transport.upstream import HttpTransport
from feathergate.wire.codec import Members, raw

_STREAM_IDLE_S = 300.0
_SECRET_CHARS = 8
_ID_BYTES = 8
_SAFE = "/*:@+=,;()[] "
_SHOWN_BYTES = 256


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """One model at one provider, ready to be asked. `model_name` is the configuration's, `model` the upstream's, `id`
    what tells it from all others over reloads, `credential` what is equal for those that share a key at an origin.

    `told` is the part of an answer's head that names it; `target` is what a dialect must know of it, `paths` the
    targets of HTTP requests as they were made so far (by the dialect's own path, so there are few). `address` is the
    host's, as a URL without a path, and empty for the built-in mock. `secrets` is what the headers hold of them, so
    that an error that repeats one can be told from others; `secret_headers` are their names.
    """

    id: str
    credential: str
    model_name: str
    model: str
    told: bytes
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
    provider: Provider, params: LitellmParams, config: Config, shared: Shared, ssl_contexts: SslContexts
) -> tuple[Transport, str, Route]:
    """The way to the deployment's host, shared by all that go there, the host's address, and the way on it."""
    if provider.transport == "mock":
        return MockTransport(template=params.mock_response), "", Route("")
    base = parse_base(params.api_base or provider.api_base, provider)
    origin = Origin(base.tls, base.host, base.port)
    proxy = _pick_proxy(origin, config.server, shared.environ)
    limits = build_client_limits(config.server)
    key = (origin, proxy, provider.name, limits, config.server.ca_file)
    transport = shared.transports.get(key)
    if transport is None:
        ssl_context = ssl_contexts.get() if origin.tls else None
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


class SslContexts:
    """One TLS context a configuration, made when the first https origin wants it: loading CAs takes long."""

    def __init__(self, ca_file: str | None) -> None:
        self._ca_file = ca_file
        self._context: ssl.SSLContext | None = None

    def get(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = build_ssl_context(self._ca_file)
        return self._context


def compile_deployment(
    entry: ModelEntry, config: Config, shared: Shared, ssl_contexts: SslContexts
) -> Deployment | Unsupported:
    """Raises `ValueError` for an address that is none, `OSError` for certificates that cannot be read, and
    `ConfigError` for a proxy that is none."""
    params = entry.params
    name, model = split_model(params.model)
    provider = PROVIDERS.get(name if params.mock_response is None else "mock")
    if provider is None:
        return Unsupported(name or params.model)
    transport, address, route = _find_transport(provider, params, config, shared, ssl_contexts)
    timeouts, stream_timeouts = build_timeouts(params, config)
    capability_overrides = find_overrides(entry.model_info)
    headers = build_headers(provider, params)
    credential = _digest(address, provider.name, headers)
    deployment_id = entry.model_info.id or _digest(entry.model_name, params.model, address, credential)
    return Deployment(
        id=deployment_id,
        credential=credential,
        model_name=entry.model_name,
        model=model,
        told=render_told(entry.model_name, provider.name, deployment_id),
        provider=provider,
        transport=transport,
        address=address,
        route=route,
        headers=headers,
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


def _digest(*parts: str | bytes) -> str:
    """Short, and telling nothing of what it was made from."""
    digest = blake2b(digest_size=_ID_BYTES)
    for part in parts:
        encoded = part.encode() if isinstance(part, str) else part
        digest.update(b"%d:%b" % (len(encoded), encoded))
    return digest.hexdigest()


def render_told(model_name: str, provider: str, deployment_id: str) -> bytes:
    """Which deployment answered, for the client."""
    values = (("model", model_name), ("provider", provider), ("deployment", deployment_id))
    return b"".join(b"x-feathergate-%b: %b\r\n" % (name.encode(), quote_name(value)) for name, value in values)


def quote_name(name: str) -> bytes:
    """A name for a header. What a header may not hold is quoted, and what would break its limits is cut off."""
    quoted = quote(name, safe=_SAFE, errors="replace").encode()
    return quoted if len(quoted) <= _SHOWN_BYTES else quoted[:_SHOWN_BYTES] + b"..."
