"""Content codings of an answer that came compressed although we asked for `identity`.

Incremental: whatever a read completes is handed on at once, so that a stream is never held back. A bomb is
stopped by a cap on the ratio, which only counts above a floor, because small answers compress well. Only gzip and
deflate, one of them, once: no brotli, no zstd, no stacks of codings. Specification: RFC 9110 section 8.4,
RFC 1950, RFC 1952.
"""

from __future__ import annotations

import zlib
from typing import Final

from feathergate.http.contract import HttpError

RATIO_LIMIT: Final = 100  # decoded bytes for one encoded byte…
RATIO_FLOOR_BYTES: Final = 1024 * 1024  # …which nobody looks at below this
_SLICE_BYTES: Final = 16 * 1024  # a bomb is noticed within one, before it has cost the loop much time

_WINDOW_BITS: Final = {
    b"gzip": 16 + zlib.MAX_WBITS,
    b"x-gzip": 16 + zlib.MAX_WBITS,
    b"deflate": zlib.MAX_WBITS,
}


class Decoder:
    """One body's decoder: `decode` each piece, which raises HttpError, and look at `complete` after the last."""

    __slots__ = ("_inflater", "_received_bytes", "_yielded_bytes")

    def __init__(self, window_bits: int) -> None:
        self._inflater = zlib.decompressobj(window_bits)
        self._received_bytes = 0
        self._yielded_bytes = 0

    def decode(self, data: bytes) -> bytes:
        view = memoryview(data)
        slices = (view[start : start + _SLICE_BYTES] for start in range(0, len(data), _SLICE_BYTES))
        return b"".join(map(self._decode_slice, slices))

    def _decode_slice(self, data: memoryview) -> bytes:
        self._received_bytes += len(data)
        allowed = max(RATIO_FLOOR_BYTES, RATIO_LIMIT * self._received_bytes) - self._yielded_bytes
        try:
            # One byte more than allowed: zlib reads 0 as "no limit", and the surplus byte shows the bomb.
            decoded = self._inflater.decompress(data, allowed + 1)
        except zlib.error as error:
            raise HttpError("protocol", f"the compressed body is damaged: {error}") from error
        if len(decoded) > allowed:
            raise HttpError("protocol", f"the compressed body grows more than {RATIO_LIMIT} times")
        if self._inflater.unused_data:
            raise HttpError("protocol", "there is data after the end of the compressed body")
        self._yielded_bytes += len(decoded)
        return decoded

    @property
    def complete(self) -> bool:
        """Has the body come to its own end? One of no bytes at all has."""
        return self._inflater.eof or not self._received_bytes


def build_decoder(coding: bytes) -> Decoder | None:
    """The decoder for a `content-encoding` value, None for `identity`. Raises HttpError for all others."""
    name = coding.strip(b" \t").lower()
    if name in (b"", b"identity"):
        return None
    bits = _WINDOW_BITS.get(name)
    if bits is None:
        raise HttpError("protocol", f"the answer is encoded as {name[:40]!r} although identity was asked for")
    return Decoder(bits)
