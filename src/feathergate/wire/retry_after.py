"""How long a provider asks us to wait, as its headers say it.

`retry-after-ms` goes before `retry-after`, and both before the resets of rate limits, of which those count that are
used up. A date is a wait by the answer's own `date` header: there is no clock here, and the provider's is the one it
means. Specifications: RFC 9110 sections 10.2.3 and 5.6.7, OpenAI's `retry-after-ms` and `x-ratelimit-reset-*`,
Anthropic's `anthropic-ratelimit-*-reset` (RFC 3339).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_LIMIT_S = 86_400.0
_SECONDS_PER_UNIT = ((b"retry-after-ms", 0.001), (b"retry-after", 1.0))
_RESET = re.compile(rb"(x-ratelimit|anthropic-ratelimit)-(?:reset-([a-z-]+)|([a-z-]+)-reset)")
_DURATION = re.compile(
    rb"(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m(?!s))?(?:([0-9]{1,9}(?:\.[0-9]{1,9})?)s)?(?:([0-9]{1,9})ms)?"
)
_DURATION_UNITS_S = (3600.0, 60.0, 1.0, 0.001)


def parse_retry_after(headers: Sequence[tuple[bytes, bytes]]) -> float | None:
    """Seconds between 0 and 86,400; None where no header holds a finite wait."""
    values = {name.lower(): value.strip() for name, value in headers}
    for name, factor in _SECONDS_PER_UNIT:
        number = _parse_number(values.get(name, b""))
        if number is not None:
            return _clamp(number * factor)
    date = _parse_date(values.get(b"retry-after", b""))
    wait_s = _subtract(date, values) if date is not None else _find_reset(values)
    return None if wait_s is None else _clamp(wait_s)


def _clamp(wait_s: float) -> float:
    return min(max(wait_s, 0.0), _LIMIT_S)


def _parse_number(text: bytes) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _find_reset(values: Mapping[bytes, bytes]) -> float | None:
    """The last of the limits that are used up; one that does not say how much is left counts as used up."""
    waits = []
    for name, value in values.items():
        match = _RESET.fullmatch(name)
        if match is None:
            continue
        family, ours, theirs = match.groups()
        left = values.get(b"%b-remaining-%b" % (family, ours) if ours else b"%b-%b-remaining" % (family, theirs), b"0")
        if _parse_number(left) == 0:
            waits.append(_parse_reset(value, values))
    return max((wait for wait in waits if wait is not None), default=None)


def _parse_reset(value: bytes, values: Mapping[bytes, bytes]) -> float | None:
    """A duration (`6m0s`, `250ms`), a number of seconds, or a moment."""
    match = _DURATION.fullmatch(value)
    if match is not None and value:
        return sum(float(part or 0) * unit for part, unit in zip(match.groups(), _DURATION_UNITS_S, strict=True))
    try:
        moment = datetime.fromisoformat(value.decode("ascii"))
    except ValueError:
        return _parse_number(value)
    return _subtract(moment, values)


def _subtract(moment: datetime, values: Mapping[bytes, bytes]) -> float | None:
    """Seconds from the answer's date to `moment`; None where the answer has none."""
    date = _parse_date(values.get(b"date", b""))
    return None if date is None else (_aware(moment) - date).total_seconds()


def _parse_date(text: bytes) -> datetime | None:
    """Any of the three forms of an HTTP date."""
    try:
        return _aware(parsedate_to_datetime(text.decode("ascii")))
    except (ValueError, IndexError, TypeError, OverflowError):
        return None


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
