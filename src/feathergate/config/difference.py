"""Two configurations: what a reload changes, in lines for people.

    model_list: + fast (openai/gpt-5-mini)
    model_list: fast (openai/gpt-5-mini): timeout: 60 -> 30
    router_settings.num_retries: 2 -> 3
    general_settings.master_key: changed

Numbers, switches, and words that name models or are ours are shown; any other text may be a secret or hold one, and is
only said to have changed. What an order alone changes is not said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from .finding import shown
from .schema import Config, ModelEntry

_SECTIONS = {
    "general_settings": "general",
    "litellm_settings": "litellm",
    "router_settings": "router",
    "server_settings": "server",
}
_EntryKey = tuple[str, str, str | None, int]
_Show = Callable[[Any], str | None]


def diff_config(old: Config, new: Config) -> tuple[str, ...]:
    """What is other in `new`, a line each, models first; empty where nothing is that the configuration says."""
    lines = [*_diff_models(old.models, new.models)]
    for section, field in _SECTIONS.items():
        lines += _diff_structs(f"{section}.", getattr(old, field), getattr(new, field))
    return tuple(lines)


def _diff_models(old: Iterable[ModelEntry], new: Iterable[ModelEntry]) -> Iterator[str]:
    before, after = _index(old), _index(new)
    for key in before:
        if key not in after:
            yield f"model_list: - {_title(key)}"
    for key, entry in after.items():
        if key not in before:
            yield f"model_list: + {_title(key)}"
        else:
            yield from _diff_entries(f"model_list: {_title(key)}: ", before[key], entry)


def _diff_entries(title: str, old: ModelEntry, new: ModelEntry) -> Iterator[str]:
    yield from _diff_structs(title, old.params, new.params)
    yield from _diff_structs(f"{title}model_info.", old.model_info, new.model_info)


def _index(entries: Iterable[ModelEntry]) -> dict[_EntryKey, ModelEntry]:
    """The entries by what they are, and of several alike by their number."""
    times: Counter[tuple[str, str, str | None]] = Counter()
    index: dict[_EntryKey, ModelEntry] = {}
    for entry in entries:
        identity = (entry.model_name, entry.params.model, entry.model_info.id)
        times[identity] += 1
        index[*identity, times[identity]] = entry
    return index


def _title(key: _EntryKey) -> str:
    name, model, deployment_id, number = key
    named = "" if deployment_id is None else f", id {shown(deployment_id)}"
    return f"{shown(name)} ({shown(model)}{named}{f', no. {number}' if number > 1 else ''})"


def _diff_structs(title: str, old: msgspec.Struct, new: msgspec.Struct) -> Iterator[str]:
    for name in old.__struct_fields__:
        yield from _diff_values(f"{title}{name}", getattr(old, name), getattr(new, name), _SHOWS.get(name, _show_plain))


def _diff_values(title: str, old: Any, new: Any, show: _Show) -> Iterator[str]:
    if old == new:
        return
    if isinstance(old, msgspec.Struct) and type(old) is type(new):
        yield from _diff_structs(f"{title}.", old, new)
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in {**old, **new}:
            yield from _diff_values(f"{title}.{shown(key)}", old.get(key), new.get(key), show)
    else:
        before, after = show(old), show(new)
        word = "set" if old is None else "removed" if new is None else "changed"
        yield f"{title}: {word}" if before is None or after is None else f"{title}: {before} -> {after}"


def _show_plain(value: Any) -> str | None:
    """A value in which no secret can be, else None."""
    if value is None:
        return "nothing"
    if isinstance(value, int):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else None


def _show_names(value: Any) -> str | None:
    """The names of models, or a word that the schema lists."""
    if isinstance(value, tuple):
        return ", ".join(map(shown, value)) or "nothing"
    return shown(value) if isinstance(value, str) else _show_plain(value)


def _show_nothing(value: Any) -> None:
    """Not even a number: who may write any key may write a password under it."""


_SHOWS: dict[str, _Show] = {
    **dict.fromkeys(("fallbacks", "context_window_fallbacks", "content_policy_fallbacks"), _show_names),
    **dict.fromkeys(("default_fallbacks", "routing_strategy", "translation", "model"), _show_names),
    **dict.fromkeys(("defaults", "extra_body", "extra_headers", "capability", "others"), _show_nothing),
}
