"""Two attempts at once: the first content wins.

Opt-in, because it costs: the one that loses may have been paid for. When the second is begun, and what becomes of the
loser, is the owner's affair. Source: the issue "Calm when providers fail", Envoy's hedging (reference/reliability.md
A4).
"""

from __future__ import annotations

import asyncio

from feathergate.gateway.relay import Relay


async def race(first: Relay, second: Relay) -> Relay:
    """The relay that came to content first; where one fails, the other one, whatever becomes of it."""
    await asyncio.wait([first.ready, second.ready], return_when=asyncio.FIRST_COMPLETED)
    winner, other = (first, second) if first.ready.done() else (second, first)
    if winner.error is None:
        return winner
    await other.ready
    return other
