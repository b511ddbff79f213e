"""A text that hides itself: keys go through logs, tracebacks and `repr` as `***`, and out only by `reveal`.

It does not protect the process's memory. Source: reliability.md S42, S44, S45.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import NoReturn

MASK = "***"


class Secret:
    """A key. Shows as `***` wherever it is printed, and is neither pickled nor encoded as JSON."""

    __slots__ = ("_digest", "_value")

    def __init__(self, value: str) -> None:
        self._value = value
        self._digest = _digest(value)

    def reveal(self) -> str:
        """The text itself, for the one place that sends it."""
        return self._value

    def matches(self, candidate: str | bytes) -> bool:
        """Whether `candidate` is this key, in a time that tells nothing of either."""
        return hmac.compare_digest(self._digest, _digest(candidate))

    def __len__(self) -> int:
        return len(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Secret):
            return hmac.compare_digest(self._digest, other._digest)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self._digest)

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret is not pickled")

    def __getstate__(self) -> NoReturn:
        raise TypeError("a Secret has no state to show")


def is_key(text: str) -> bool:
    """Whether an HTTP header can carry `text`: printable ASCII throughout."""
    return text.isascii() and text.isprintable()


def _digest(value: str | bytes) -> bytes:
    data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return hashlib.sha256(data).digest()
