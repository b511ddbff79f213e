"""A second deployment asked while the first is slow: the first content wins, the other is let go.

Opt-in, because it costs: the loser may have been paid for. Source: the issue "Calm when providers fail", Envoy's
hedging (reference/reliability.md A4).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from feathergate.gateway.relay import Relay


async def race(first: Relay, delay_s: float | None, start_second: Callable[[], Relay | None]) -> Relay:
    """The relay that came to content first, or failed last. The other one is let go.

    `start_second` is called after `delay_s` (None: never) without content from the first, and may have nobody to ask.
    """
    await asyncio.wait([first.ready], timeout=delay_s)
    second = None if first.ready.done() else start_second()
    if second is None:
        await first.ready
        return first
    try:
        await asyncio.wait([first.ready, second.ready], return_when=asyncio.FIRST_COMPLETED)
        winner, other = (first, second) if first.ready.done() else (second, first)
        if winner.error is not None and not other.over:
            await other.ready
            winner, other = other, winner
    except BaseException:
        second.let_go()
        raise
    other.let_go()
    return winner
