"""Fallbacks: what the file says in any of its forms into one table, and what is found in the table for a name.

`[{a: [b, c]}, {d: [e]}]` and `{a: [b, c], d: [e]}` are the same; a single name may stand for a list of one. Names
that lead nowhere, a fallback to itself and circles are told, and kept: nothing is tried twice for one request.
Source: litellm-config.md 4.2, `fallbacks`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import UNSET

from .finding import Findings, label, shown
from .litellm import split_model

if TYPE_CHECKING:
    from .document import Path
    from .naming import Names
    from .section import Reader

ANY = "*"
_EXAMPLE = "write for example [{fast: [slow]}]"
_STEPS_SHOWN = 6
_CIRCLES_SHOWN = 20


class Chain(NamedTuple):
    """What serves when `model` fails, in order. `path` is where: of the mapping's value."""

    model: str
    names: tuple[str, ...]
    path: Path

    def place(self, index: int) -> Path:
        """Where one of the names stands; what holds it, where it stands alone."""
        return (*self.path, index)


def find_fallbacks(fallbacks: Mapping[str, tuple[str, ...]], name: str) -> tuple[str, ...]:
    """What serves when `name` fails: by its own name, without its provider or with it, or as any other."""
    key = _find_key(fallbacks, name)
    return fallbacks.get(ANY, ()) if key is None else fallbacks[key]


def _find_key(fallbacks: Mapping[str, object], name: str) -> str | None:
    provider, model = split_model(name)
    return next((key for key in (name, model, f"{provider}/{model}") if key in fallbacks), None)


def read_fallbacks(reader: Reader, value: Any, path: Path, names: Names) -> dict[str, tuple[str, ...]]:
    """The table in `value`; a problem for each form that is none, a warning for each name that leads nowhere."""
    chains: dict[str, Chain] = {}
    for chain in _read_chains(reader, value, path):
        if chain.model in chains:
            what = f"{label(path)}: {shown(chain.model)} stands here twice"
            reader.findings.warn(
                chain.path, what, "only the first has an effect: put the names into one list", key=True
            )
        chains.setdefault(chain.model, chain)
    _judge_names(reader.findings, chains, names)
    _judge_circles(reader.findings, chains)
    return {chain.model: chain.names for chain in chains.values()}


def _read_chains(reader: Reader, value: Any, path: Path) -> Iterator[Chain]:
    if isinstance(value, dict):
        for model, names in value.items():
            yield from _read_chain(reader, model, names, (*path, model))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            here = (*path, index)
            if isinstance(item, dict) and len(item) == 1:
                [(model, names)] = item.items()
                yield from _read_chain(reader, model, names, (*here, model))
            elif isinstance(item, str):
                fix = f"write {{model: [{shown(item)}]}}, or write the name under default_fallbacks"
                reader.findings.refuse(here, f"{label(here)} names no model that it is a fallback of", fix)
            else:
                reader.findings.refuse(here, f"{label(here)} must be a mapping of one model to its fallbacks", _EXAMPLE)
    else:
        reader.findings.refuse(path, f"{label(path)} must be a list of mappings, each of one model", _EXAMPLE)


def _read_chain(reader: Reader, model: str, value: Any, path: Path) -> Iterator[Chain]:
    filled = reader.fill(value, path, "remove the name")
    if filled is UNSET:
        return
    names = [filled] if isinstance(filled, str) else filled
    if not isinstance(names, list):
        what = f"{label(path)} must be a list of names of models"
        reader.findings.refuse(path, what, f"write for example {shown(model)}: [slow]")
        return
    wrong = [index for index, name in enumerate(names) if not isinstance(name, str) or not name]
    for index in wrong:
        here = (*path, index)
        fix = "put it in quotes" if isinstance(names[index], int | float) else "write its model_name alone"
        reader.findings.refuse(here, f"{label(here)} must be the name of a model", fix)
    if not wrong:
        yield Chain(model, tuple(names), path)


def _judge_names(findings: Findings, chains: Mapping[str, Chain], names: Names) -> None:
    for chain in chains.values():
        if chain.model != ANY and not names.covers(chain.model):
            what = f"{label(chain.path)}: there is no model {shown(chain.model)} to fall back from"
            findings.warn(chain.path, what, names.suggest(chain.model), key=True)
        for index, name in enumerate(chain.names):
            if name == chain.model:
                what = f"{label(chain.place(index))}: {shown(name)} falls back to itself"
                findings.warn(chain.place(index), what, "remove it here: retries are router_settings.num_retries")
            else:
                names.judge(findings, chain.place(index), name)


def _judge_circles(findings: Findings, chains: Mapping[str, Chain]) -> None:
    for chain, index, circle in islice(_find_circles(chains), _CIRCLES_SHOWN):
        steps = " -> ".join(map(shown, circle[:_STEPS_SHOWN])) + " -> …" * (len(circle) > _STEPS_SHOWN)
        what = f"{label(chain.place(index))}: these fallbacks lead in a circle: {steps}"
        findings.warn(chain.place(index), what, "no model is tried twice for one request: remove one of them")


def _find_circles(chains: Mapping[str, Chain]) -> Iterator[tuple[Chain, int, list[str]]]:
    """Each name that leads back to a model before it, with the way from there. Goes over each name once; `*` stands
    for no model, so no circle goes through it."""
    finished = {ANY}
    for start in chains:
        way = {} if start in finished else {start: enumerate(chains[start].names)}
        while way:
            here = next(reversed(way))
            step = next(way[here], None)
            if step is None:
                finished.add(here)
                del way[here]
                continue
            key = _find_key(chains, step[1])
            if key is None or key in finished or key == here:
                continue
            if key in way:
                steps = [*way]
                yield chains[here], step[0], [*steps[steps.index(key) :], key]
            else:
                way[key] = enumerate(chains[key].names)
