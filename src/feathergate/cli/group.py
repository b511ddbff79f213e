"""What serves a name, as `check` and `explain` show it: a group's deployments, its strategy, its fallbacks.

Read from the configuration alone: which deployments are healthy, only a running gateway knows.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from feathergate.config.fallback import ANY, find_fallbacks
from feathergate.config.finding import shown
from feathergate.config.litellm import split_model
from feathergate.config.schema import Config, ModelEntry, RouterSettings
from feathergate.providers import PROVIDERS

_SHOWN = ("weight", "rpm", "tpm", "order", "max_parallel_requests")
_FALLBACKS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")


class Group(msgspec.Struct, frozen=True):
    """Who answers for `model_name`, and who when none of them can; each list in the order of the file. In JSON too."""

    model_name: str
    deployments: tuple[str, ...]
    strategy: str
    fallbacks: tuple[str, ...] = ()
    context_window_fallbacks: tuple[str, ...] = ()
    content_policy_fallbacks: tuple[str, ...] = ()


def build_group(config: Config, model_name: str, asked: str) -> Group:
    """The group of this name, and the fallbacks of a request for `asked`, which a pattern may have led there."""
    return _build_group(config.router, model_name, config.groups().get(model_name, ()), asked)


def list_groups(config: Config) -> list[Group]:
    """The groups of which there is more to say than the name: several deployments, or fallbacks of their own."""
    router = config.router
    plain = _find_fallbacks(router, ANY)
    groups = (_build_group(router, name, entries, name) for name, entries in config.groups().items())
    found = [group for group in groups if len(group.deployments) > 1 or not _falls_back_as(group, plain)]
    return [*found, Group("any other", (), router.routing_strategy, **plain)] if any(plain.values()) else found


def render_group(group: Group) -> str:
    """For people: a line for the group, one for each of several deployments, one for each kind of fallbacks."""
    count = len(group.deployments)
    head = f"{count} deployments, {group.strategy}" if count > 1 else "".join(group.deployments)
    lines = [f"{shown(group.model_name)}: {head}".rstrip()]
    lines += [f"  {deployment}" for deployment in group.deployments if count > 1]
    for kind in _FALLBACKS:
        names = getattr(group, kind)
        if names:
            lines.append(f"  {kind}: {', '.join(map(shown, names))}")
    return "\n".join(lines)


def _build_group(router: RouterSettings, model_name: str, entries: Iterable[ModelEntry], asked: str) -> Group:
    deployments = tuple(map(_describe, entries))
    return Group(model_name, deployments, router.routing_strategy, **_find_fallbacks(router, asked))


def _find_fallbacks(router: RouterSettings, asked: str) -> dict[str, tuple[str, ...]]:
    found = {kind: find_fallbacks(getattr(router, kind), asked) for kind in _FALLBACKS}
    found["fallbacks"] = found["fallbacks"] or router.default_fallbacks
    return {kind: tuple(name for name in names if name != asked) for kind, names in found.items()}


def _falls_back_as(group: Group, plain: dict[str, tuple[str, ...]]) -> bool:
    """Whether the group has no fallbacks of its own; one that is a fallback of all others is not its own."""
    own = {kind: tuple(name for name in names if name != group.model_name) for kind, names in plain.items()}
    return all(getattr(group, kind) == names for kind, names in own.items())


def _describe(entry: ModelEntry) -> str:
    provider, model = split_model(entry.params.model)
    limits = {key: getattr(entry.params, key) for key in _SHOWN}
    said = [f"{key} {value:.9g}" for key, value in limits.items() if value is not None]
    if entry.params.mock_response is not None:
        said.append("mocked")
    elif provider not in PROVIDERS:
        said.append("not supported")
    name = f"{provider}/{model}" if provider else model
    return shown(name) + (f" ({', '.join(said)})" if said else "")
