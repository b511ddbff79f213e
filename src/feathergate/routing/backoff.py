"""How long to wait before the same deployment is asked again.

A provider that says when it wants to be asked is never asked earlier; whoever else got the same hint is spread over
a tenth more. Without a hint the wait doubles from half a second to eight, and each is drawn from its upper half, so
that clients who failed together do not return together. Whether to wait at all, with the deadline that is left, is
decided by who asks. Source: reference/reliability.md 2.1a and U38; the figures are those of OpenAI's SDKs.
"""

from __future__ import annotations

from typing import Final

HINT_LIMIT_S: Final = 60.0
"""A longer hint counts as this."""

_FIRST_S: Final = 0.5
_DOUBLINGS_LIMIT: Final = 4
_HINT_SPREAD: Final = 0.1


def find_wait(tries: int, hint_s: float | None, floor_s: float, draw: float) -> float:
    """Seconds, 0 to 66 and not under `floor_s`. `tries` is how often it has been asked, 1 or more; `hint_s` is what
    the provider asked for: None, 0, negative and NaN are no hint; `draw` is in [0, 1)."""
    if hint_s is not None and hint_s > 0:
        wait_s = min(hint_s, HINT_LIMIT_S) * (1 + _HINT_SPREAD * draw)
    else:
        ceiling_s = _FIRST_S * (1 << min(max(tries - 1, 0), _DOUBLINGS_LIMIT))
        wait_s = ceiling_s * (0.5 + 0.5 * draw)
    return max(wait_s, floor_s)
