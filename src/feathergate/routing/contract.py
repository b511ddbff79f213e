"""What a routing strategy gets and gives: the file to read before writing one.

A strategy is a pure function: the deployments of a group that may be asked now, and a number drawn for this request;
it returns one of those it was given. It is asked for every request of a group with more than one deployment, so it
costs microseconds, grows with the number of candidates and no faster, and keeps nothing between calls.
`testing.check_strategy` proves it. What a deployment's health is, a strategy does not learn: those that are cooling
down are not among its candidates. Source: reference/litellm-config.md 4.2, "routing_strategy".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """A deployment as it stands now. `index` is its place in its group; `weight`, `rpm`, `tpm` and `order` are the
    configuration's; `latency_s` is the decayed time to first content, None where none was measured lately; `requests`
    and `tokens` are those of the current minute; `cost` is in dollars per token, input and output together."""

    index: int
    weight: float | None = None
    rpm: int | None = None
    tpm: int | None = None
    order: int | None = None
    in_flight: int = 0
    latency_s: float | None = None
    requests: int = 0
    tokens: int = 0
    cost: float | None = None


Strategy: TypeAlias = Callable[[Sequence[Candidate], float], Candidate]
"""Given at least one candidate and a draw in [0, 1): one of those candidates."""
