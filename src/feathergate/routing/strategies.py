"""The routing strategies, under the names that LiteLLM gives them; `contract.py` says what each owes.

All keep only those of the lowest `order` first; one without an `order` comes after all that have one. Then:

    simple-shuffle              by chance, weighted by `weight`, else `rpm`, else `tpm`: the first that any of them has.
                                One that lacks it weighs 0, as in LiteLLM: it is asked when the others cannot be.
                                Where all weigh 0, all are alike.
    least-busy                  the fewest requests in flight
    latency-based-routing       one that was not measured and is idle, once a minute; else the lowest decayed time to
                                first content and those within a tenth of it; where none was measured, the least busy
    usage-based-routing(-v2)    the fewest tokens of this minute for its `tpm`; one without a `tpm` counts as if it had
                                the largest of the others. What is in flight has no tokens yet.
    cost-based-routing          the lowest price; those without one last

The last three leave out those that have had their `rpm` or `tpm` of this minute, while any other remains. Ties are
drawn. A number that makes no sense (negative, not a number) counts as none. Source: reference/litellm-config.md 4.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from operator import attrgetter
from typing import Final

from feathergate.routing.contract import Candidate, Strategy

_WEIGHTS: Final = (attrgetter("weight"), attrgetter("rpm"), attrgetter("tpm"))
_WEIGHT_LIMIT: Final = 1e15
_TOKENS_LIMIT: Final = 10**15
_NEAR: Final = 1.1


def pick_simple_shuffle(candidates: Sequence[Candidate], draw: float) -> Candidate:
    kept = _keep_first_order(candidates)
    for read in _WEIGHTS:
        figures = [read(candidate) for candidate in kept]
        if figures.count(None) < len(figures):
            return _draw_weighted(kept, [_weigh(figure) for figure in figures], draw)
    return _draw(kept, draw)


def pick_least_busy(candidates: Sequence[Candidate], draw: float) -> Candidate:
    return _draw_least_busy(_keep_first_order(candidates), draw)


def pick_latency(candidates: Sequence[Candidate], draw: float) -> Candidate:
    kept = _keep_within_limits(_keep_first_order(candidates))
    latencies = [_known(candidate.latency_s) for candidate in kept]
    # Only one that nobody has asked this minute: else a herd would run to it before its first answer tells anything,
    # and one that fails before its first content would be the first choice again and again.
    untried = [
        candidate
        for candidate, latency in zip(kept, latencies, strict=True)
        if latency == inf and not candidate.in_flight and not candidate.requests
    ]
    if untried:
        return _draw(untried, draw)
    lowest = min(latencies)
    if lowest == inf:
        return _draw_least_busy(kept, draw)
    bound = lowest * _NEAR
    return _draw([candidate for candidate, latency in zip(kept, latencies, strict=True) if latency <= bound], draw)


def pick_usage(candidates: Sequence[Candidate], draw: float) -> Candidate:
    kept = _keep_within_limits(_keep_first_order(candidates))
    roomiest = max([candidate.tpm or 0 for candidate in kept])
    return _draw_lowest(
        kept,
        [min(candidate.tokens, _TOKENS_LIMIT) / max(candidate.tpm or roomiest, 1) for candidate in kept],
        draw,
    )


def pick_cost(candidates: Sequence[Candidate], draw: float) -> Candidate:
    kept = _keep_within_limits(_keep_first_order(candidates))
    return _draw_lowest(kept, [_known(candidate.cost) for candidate in kept], draw)


STRATEGIES: Final[dict[str, Strategy]] = {
    "simple-shuffle": pick_simple_shuffle,
    "least-busy": pick_least_busy,
    "latency-based-routing": pick_latency,
    "usage-based-routing": pick_usage,
    "usage-based-routing-v2": pick_usage,
    "cost-based-routing": pick_cost,
}


# --- who remains ------------------------------------------------------------------------------------------------


def _keep_first_order(candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    orders = [candidate.order for candidate in candidates if candidate.order is not None]
    if not orders:
        return candidates
    first = min(orders)
    return [candidate for candidate in candidates if candidate.order == first]


def _keep_within_limits(candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    """Those that may take one more request this minute; all, where there are none."""
    return [
        candidate
        for candidate in candidates
        if (candidate.rpm is None or candidate.requests < candidate.rpm)
        and (candidate.tpm is None or candidate.tokens < candidate.tpm)
    ] or candidates


# --- which of them ----------------------------------------------------------------------------------------------


def _draw(candidates: Sequence[Candidate], draw: float) -> Candidate:
    return candidates[int(draw * len(candidates))]


def _draw_lowest(candidates: Sequence[Candidate], figures: Sequence[float], draw: float) -> Candidate:
    lowest = min(figures)
    return _draw([candidates[at] for at, figure in enumerate(figures) if figure == lowest], draw)


def _draw_least_busy(candidates: Sequence[Candidate], draw: float) -> Candidate:
    return _draw_lowest(candidates, [candidate.in_flight for candidate in candidates], draw)


def _draw_weighted(candidates: Sequence[Candidate], weights: Sequence[float], draw: float) -> Candidate:
    total = sum(weights)
    if not total:
        return _draw(candidates, draw)
    left = draw * total
    picked = candidates[0]
    for candidate, weight in zip(candidates, weights, strict=True):
        if weight:
            picked = candidate
            left -= weight
            if left < 0:
                break
    return picked


def _weigh(figure: int | float | None) -> float:
    """A figure as a weight: 0 where it makes no sense, and bounded, so that a sum of weights is finite."""
    return float(min(figure, _WEIGHT_LIMIT)) if figure is not None and figure > 0 else 0.0


def _known(figure: float | None) -> float:
    """A figure that makes sense; infinite where there is none."""
    return figure if figure is not None and figure >= 0 else inf
