"""A head that was accepted before: a request that repeats it needs neither parser nor checks.

A client sends the same headers with every request of its connection; only content-length differs. What the parser
and `request.py` made of such a head once is kept, and serves later bytes in which nothing can differ but that number
and the body: same bytes before and after its digits, the digits as we would write them, the body whole and nothing
behind it. Anything else returns None and is parsed like a first request, so this never decides on a refusal. To take
in a request costs 1.2 µs instead of 5 with 3 headers, and instead of 9 with 19. No I/O. Specification: RFC 9112
section 6.
"""

from __future__ import annotations

import re
from typing import Final

from feathergate.http.contract import Request
from feathergate.http.limits import ServerLimits

_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length"
_LENGTH_LINE: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,8})\r\n")
_MOST_DIGITS: Final = 8

# A request with one of these is not wholly described by its head and one length.
_UNREPEATABLE: Final = (b"\r\ntransfer-encoding:", b"\r\nexpect:", b"\r\nupgrade:")


class KnownHead:
    """`before` and `after` are the head's bytes around the digits of content-length; the rest is what they mean.

    `holders` counts the connections that have it from `KnownHeads`.
    """

    __slots__ = (
        "after",
        "before",
        "body_limit_bytes",
        "headers",
        "holders",
        "length_index",
        "method",
        "path",
        "query",
    )

    def __init__(self, before: bytes, after: bytes, request: Request, length_index: int, body_limit_bytes: int) -> None:
        self.before: Final = before
        self.after: Final = after
        self.method: Final = request.method
        self.path: Final = request.path
        self.query: Final = request.query
        self.headers: Final = list(request.headers)
        self.length_index: Final = length_index
        self.body_limit_bytes: Final = body_limit_bytes
        self.holders = 0

    def read(self, data: bytes, peer: str) -> Request | None:
        """The request that `data` is if it repeats this head, with the length and body of its own."""
        if not data.startswith(self.before):
            return None
        start = len(self.before)
        end = data.find(b"\r", start, start + _MOST_DIGITS + 1)
        if end < 0 or not data.startswith(self.after, end):
            return None
        body_start, digits = end + len(self.after), data[start:end]
        length = len(data) - body_start
        # Equality with our own rendering is the whole check of the digits.
        if digits != b"%d" % length or length > self.body_limit_bytes:
            return None
        headers = self.headers.copy()
        headers[self.length_index] = (_LENGTH, digits)
        return Request(self.method, self.path, self.query, headers, data[body_start:], peer)


class KnownHeads:
    """Those of one server's connections: one for all whose clients send the same, gone with the last of them."""

    __slots__ = ("_heads",)

    def __init__(self) -> None:
        self._heads: dict[tuple[bytes, bytes], KnownHead] = {}

    def __len__(self) -> int:
        return len(self._heads)

    def hold(self, known: KnownHead) -> KnownHead:
        """The one to be used of those that equal `known`; a connection gives it back with `release`."""
        shared = self._heads.setdefault((known.before, known.after), known)
        shared.holders += 1
        return shared

    def release(self, shared: KnownHead) -> None:
        shared.holders -= 1
        key = (shared.before, shared.after)
        if not shared.holders and self._heads.get(key) is shared:
            del self._heads[key]

    def forget(self) -> None:
        """Hand out no more of those that are held now, since the limits are others."""
        self._heads.clear()


def learn_head(data: bytes, request: Request, limits: ServerLimits) -> KnownHead | None:
    """What can be kept of `data`, from which all of `request` and nothing else was read; None if it cannot repeat.

    The request must be of HTTP/1.1, and one that keeps its connection.
    """
    head_size = len(data) - len(request.body)
    # The first empty line must end the head: blank lines may stand before a request, and after its body.
    if data.find(_END) + len(_END) != head_size:
        return None
    head = data[:head_size].lower()
    length = _LENGTH_LINE.search(head)
    # Half the limit leaves room for longer digits, and for the separators as `request.py` counts them.
    if length is None or head.count(_LENGTH) != 1 or 2 * head_size > limits.header_bytes:
        return None
    if any(name in head for name in _UNREPEATABLE):
        return None
    start, end = length.span(1)
    index = [name for name, _ in request.headers].index(_LENGTH)
    return KnownHead(data[:start], data[end:head_size], request, index, limits.body_bytes)
