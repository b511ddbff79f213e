"""How a process stands, beside what it has counted of models: its configuration, and whether it turns requests away.

Each process of a gateway has one of these, and those of several add up. It knows no names of metrics
(`declaration.py`) and no clock.
"""

from __future__ import annotations

import msgspec

from feathergate.observe.series import Counts, Series, add_counts

SUCCESS, FAILURE = "success", "failure"


class Condition(msgspec.Struct, array_like=True):
    """`reloads` counts by outcome; `reload_failing` is 1 while the last reload failed; `configured_s` is when the
    configuration in use was read, in seconds since 1970; `shedding` is 1 for each reason why new requests are
    answered 503 now."""

    reloads: Counts = msgspec.field(default_factory=lambda: {SUCCESS: 0, FAILURE: 0})
    reload_failing: int = 0
    configured_s: float = 0.0
    shedding: Counts = {}

    def add(self, other: Condition) -> None:
        add_counts(self.reloads, other.reloads)
        self.reload_failing += other.reload_failing
        self.configured_s = max(self.configured_s, other.configured_s)
        add_counts(self.shedding, other.shedding)

    def end(self) -> None:
        """Its process lives no more: only what was counted stays."""
        self.reload_failing = 0
        self.shedding = {}


class Told(msgspec.Struct, array_like=True):
    """What one worker tells the others."""

    series: list[Series]
    condition: Condition = msgspec.field(default_factory=Condition)


# JSON rather than MessagePack, which has no numbers above 64 bits.
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Told)


def encode_told(told: Told) -> bytes:
    """A snapshot: the GIL is held from the first number to the last, whoever counts meanwhile in another thread."""
    return _encoder.encode(told)


def decode_told(data: bytes) -> Told:
    return _decoder.decode(data)
