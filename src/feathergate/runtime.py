"""The compiled configuration: everything that a request looks up, worked out once.

`compile_runtime` turns a `Config` into an immutable `Runtime`: names to groups of deployments, with how their
requests are routed, retried and handed on. A reload compiles a new one and swaps one reference; what lives longer
than a configuration (connections, health, metrics, the log) comes in as `Shared` and goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from feathergate.config.fallback import ANY, find_fallbacks
from feathergate.config.litellm import split_model
from feathergate.config.router import AllowedFailsPolicy, RouterSettings
from feathergate.config.schema import Config, LitellmParams, ModelEntry
from feathergate.config.secret import Secret
from feathergate.deployment import Deployment, SslContexts, Unsupported, compile_deployment
from feathergate.errors import ClientError, ConfigError, NotFoundError, Problem, UpstreamKind
from feathergate.observe.metrics import Metrics
from feathergate.providers import PROVIDERS
from feathergate.routing.affinity import AffinityTable
from feathergate.routing.budget import RetryBudget
from feathergate.routing.group import Fallbacks, Group, Hedge, Member, Retries, Standing
from feathergate.routing.health import Health, HealthSettings
from feathergate.routing.strategies import STRATEGIES
from feathergate.routing.table import Match, Table, fill_model
from feathergate.shared import Shared
from feathergate.transport.media import MediaFetcher
from feathergate.wire.codec import decode_chat, encode

Served = Group[Deployment] | Unsupported


class Runtime:
    """The whole of it. Immutable: a request that began with one keeps it. `media` fetches what requests name by
    URL, and is None where nothing may be fetched; `peers` are the members that share a key at an origin, but for those
    that are alone, once each."""

    def __init__(
        self,
        config: Config,
        table: Table[Served],
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
        self.total_timeout_s = config.total_timeout_s
        self.speaks_litellm = config.has_litellm_settings
        self.gate = shared.find_gate("", config.server.max_parallel_requests, config.server)
        self.affinity = AffinityTable(shared.board.affinity)
        self.peers = _list_peers(table)
        self._groups = _list_exact(table)
        self.cors_origins = frozenset(origin.encode() for origin in config.server.cors_allow_origins)

    def find_model(self, name: str) -> Match[Served]:
        """What is configured for `name`, as given or with the provider that it tells of. Raises `NotFoundError`."""
        match = self.table.find(name)
        if match is None:
            provider, model = split_model(name)
            match = self.table.find(f"{provider}/{model}") if provider else None
        if match is None:
            raise self._not_found(name)
        return match

    def find_group(self, name: str) -> Group[Deployment]:
        """The deployments that serve `name`. Raises `NotFoundError`, or `ClientError` for an unknown provider."""
        known = self._groups.get(name)
        if known is not None:
            return known
        match = self.find_model(name)
        entry = _fill_pattern(match, name, self.config.router) if match.caught else match.entry
        if isinstance(entry, Unsupported):
            raise ClientError(
                f"Provider not supported: {entry.provider}. Supported: {', '.join(sorted(PROVIDERS))}.", param="model"
            )
        return entry

    def find_fallback(self, name: str) -> Group[Deployment] | None:
        """The same for a name that the configuration mentions, which may lead nowhere."""
        try:
            return self.find_group(name)
        except ClientError:
            return None

    def find_deployment(self, name: str) -> Deployment:
        """The first of those that serve `name`; raises as `find_group`."""
        return self.find_group(name).members[0].deployment

    def _not_found(self, name: str) -> NotFoundError:
        nearest = self.table.find_nearest(name)
        hint = f" Did you mean {' or '.join(nearest)}?" if nearest else " GET /v1/models lists what there is."
        return NotFoundError(f"Model not found: {name[:200]}.{hint}", param="model", code="model_not_found")


def _list_exact(table: Table[Served]) -> dict[str, Group[Deployment]]:
    """What serves each name without a pattern: what most requests ask for, found by one look."""
    matches = ((name, table.find(name)) for name in table.names if "*" not in name)
    return {name: match.entry for name, match in matches if match is not None and isinstance(match.entry, Group)}


def _list_peers(table: Table[Served]) -> Mapping[str, tuple[Member[Deployment], ...]]:
    peers: dict[str, dict[str, Member[Deployment]]] = {}
    for entry in table.entries:
        for member in entry.members if isinstance(entry, Group) else ():
            if not member.alone:  # an alias shows the same group again, and two entries may be one deployment
                peers.setdefault(member.credential, {})[member.id] = member
    return {credential: tuple(members.values()) for credential, members in peers.items()}


def compile_runtime(config: Config, shared: Shared, metrics: Metrics) -> Runtime:
    """Raises `ConfigError` with every problem that only shows when addresses and files are looked at."""
    problems: list[Problem] = []
    ssl_contexts = SslContexts(config.server.ca_file)
    named: dict[str, list[tuple[ModelEntry, Deployment | Unsupported]]] = {}
    for entry in config.models:
        try:
            compiled = compile_deployment(entry, config, shared, ssl_contexts)
            named.setdefault(entry.model_name, []).append((entry, compiled))
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
    media = _build_media(config, shared, ssl_contexts)  # before limits change, which nothing may undo
    entries = [(name, _compile_group(name, compiled, config, shared)) for name, compiled in named.items()]
    table = Table((*_resolve_aliases(config, Table(entries)), *entries))
    return Runtime(config, table, metrics, shared, media)


def _resolve_aliases(config: Config, table: Table[Served]) -> Iterable[tuple[str, Served]]:
    """Each alias with what serves it, one step far. An alias wins over a model of its name, as LiteLLM has it."""
    for alias, known in config.router.model_group_alias.items():
        match = table.find(known.model)
        if match is not None:
            entry = match.entry if not match.caught else _fill_pattern(match, known.model, config.router)
            yield alias, _give_fallbacks(entry, (alias, known.model), config.router)


def _give_fallbacks(entry: Served, names: tuple[str, ...], router: RouterSettings) -> Served:
    """The same under another name, which may have fallbacks of its own."""
    if isinstance(entry, Unsupported):
        return entry
    fallbacks = _compile_fallbacks((*names, entry.name), router)
    if fallbacks == entry.fallbacks:
        return entry
    group = entry.map(lambda known: known)
    group.fallbacks = fallbacks
    return group


def _fill_pattern(match: Match[Served], name: str, router: RouterSettings) -> Served:
    """What a pattern serves for this very name."""
    entry = match.entry
    if isinstance(entry, Unsupported):
        return entry
    group = entry.map(lambda known: known.rename(fill_model(known.model, name, match.caught)))
    group.fallbacks = _compile_fallbacks((name, entry.name), router)
    return group


def _build_media(config: Config, shared: Shared, ssl_contexts: SslContexts) -> MediaFetcher | None:
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


def _compile_group(
    name: str, compiled: list[tuple[ModelEntry, Deployment | Unsupported]], config: Config, shared: Shared
) -> Served:
    """Those that are supported, or a word about the first if none is."""
    able = [(entry, deployment) for entry, deployment in compiled if isinstance(deployment, Deployment)]
    if not able:
        first = compiled[0][1]
        assert isinstance(first, Unsupported)
        return first
    router, server = config.router, config.server
    hedge = server.hedge.get(name)
    limits = [entry.params.max_parallel_requests or 0 for entry, _ in able]
    return Group(
        name,
        tuple(
            _compile_member(entry, deployment, index, config, shared, alone=len(able) == 1)
            for index, (entry, deployment) in enumerate(able)
        ),
        strategy=STRATEGIES[router.routing_strategy],
        fallbacks=_compile_fallbacks((name,), router),
        budget=RetryBudget(floor=server.retry_budget_floor, share=server.retry_budget_share),
        hedge=Hedge(hedge.share, hedge.delay_s) if hedge is not None else None,
        gate=shared.find_gate(name, _find_limit(limits, server.group_max_parallel_requests), server),
    )


def _find_limit(limits: list[int], of_group: int) -> int:
    """How many requests a group takes at once: no more than all of its deployments together."""
    together = sum(limits) if all(limits) else 0
    return min(together, of_group) if together and of_group else together or of_group


def _compile_fallbacks(names: tuple[str, ...], router: RouterSettings) -> Fallbacks:
    """Of what bears `names`: what was asked for first."""
    return Fallbacks(
        general=_find_fallbacks(router.fallbacks, names) or router.default_fallbacks,
        context_window=_find_fallbacks(router.context_window_fallbacks, names),
        content_policy=_find_fallbacks(router.content_policy_fallbacks, names),
    )


def _find_fallbacks(table: Mapping[str, tuple[str, ...]], names: tuple[str, ...]) -> tuple[str, ...]:
    of_any = table.get(ANY, ())
    found = (find_fallbacks(table, name) for name in names)
    return next((known for known in found if known is not of_any), of_any)


def _compile_retries(params: LitellmParams, router: RouterSettings) -> Retries:
    """The deployment's word before the router's, and of each the policy's before the number."""
    by_class: dict[str, int] = {}
    for number, policy in ((None, router.retry_policy), (params.num_retries, params.retry_policy)):
        said = {key.removesuffix("Retries"): count for key, count in msgspec.structs.asdict(policy).items()}
        if number is not None or said["Default"] is not None:
            by_class = {}
        by_class |= {key: count for key, count in said.items() if count is not None}
    default = by_class.pop("Default", None)
    counts = (default, params.num_retries, router.num_retries)
    return Retries(
        count=next(count for count in counts if count is not None), by_class=by_class, floor_s=router.retry_after
    )


# LiteLLM speaks of classes of errors, health of what became of an attempt.
_KINDS: Mapping[str, tuple[UpstreamKind, ...]] = {
    "TimeoutError": ("timeout_connect", "timeout_first_byte", "idle", "timeout_total"),
    "RateLimitError": ("rate_limit",),
    "AuthenticationError": ("auth",),
    "InternalServerError": ("status", "connect", "dns", "tls", "reset", "protocol", "truncated"),
    "BadGatewayError": ("status",),
    "ServiceUnavailableError": ("status",),
}


def _compile_allowed_fails(policy: AllowedFailsPolicy) -> dict[str, int]:
    """By kind. Of several classes that are one kind here the smallest number counts."""
    allowed: dict[str, int] = {}
    for key, count in msgspec.structs.asdict(policy).items():
        for kind in _KINDS.get(key.removesuffix("AllowedFails"), ()) if count is not None else ():
            allowed[kind] = min(count, allowed.get(kind, count))
    return allowed


def _compile_member(
    entry: ModelEntry, deployment: Deployment, index: int, config: Config, shared: Shared, *, alone: bool
) -> Member[Deployment]:
    params, router = entry.params, config.router
    prices = (params.input_cost_per_token, params.output_cost_per_token)
    standing = Standing(
        weight=params.weight,
        rpm=params.rpm,
        tpm=params.tpm,
        order=params.order,
        cost=sum(price or 0.0 for price in prices) if any(price is not None for price in prices) else None,
        limit=params.max_parallel_requests or 0,
    )
    settings = HealthSettings(
        allowed_fails=router.allowed_fails if params.allowed_fails is None else params.allowed_fails,
        allowed_fails_by_kind=_compile_allowed_fails(router.allowed_fails_policy),
        cooldown_s=router.cooldown_time if params.cooldown_time is None else params.cooldown_time,
        limit_s=config.server.cooldown_limit_s,
        disabled=router.disable_cooldowns,
    )
    health = Health(shared.board.find_row(deployment.id), settings)
    retries, gauge = _compile_retries(params, router), shared.find_gauge(deployment.id)
    return Member(
        deployment, index, deployment.id, deployment.credential, standing, retries, health, gauge, alone=alone
    )


def list_models(runtime: Runtime) -> Iterable[str]:
    """The configured names, in the file's order, and the aliases that are not hidden."""
    aliases = runtime.config.router.model_group_alias
    shown = (alias for alias, known in aliases.items() if not known.hidden)
    return dict.fromkeys((*runtime.config.groups(), *shown))
