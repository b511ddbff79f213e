"""How long a provider asks us to wait, as its headers say it.

`retry-after-ms` goes before `retry-after`. Only numbers count: an HTTP date needs a clock, and there is none
here. Specification: RFC 9110 section 10.2.3, and OpenAI's `retry-after-ms`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

_LIMIT_S = 86_400.0
_SECONDS_PER_UNIT = ((b"retry-after-ms", 0.001), (b"retry-after", 1.0))


def parse_retry_after(headers: Sequence[tuple[bytes, bytes]]) -> float | None:
    """Seconds between 0 and 86,400; None where no header holds a finite number."""
    values = {name.lower(): value for name, value in headers}
    for name, factor in _SECONDS_PER_UNIT:
        number = _parse_number(values.get(name, b""))
        if number is not None:
            return min(max(number * factor, 0.0), _LIMIT_S)
    return None


def _parse_number(text: bytes) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
