"""Judge a request's head: all that llhttp lets pass and a gateway must not. Pure: values in, `RefusedError` out.

The parser has already refused syntax that is wrong by itself (control bytes, obs-fold, bare CR or LF, broken
lengths, Content-Length beside Transfer-Encoding). What is left here is what has two readings: two hosts, a coding
that is not just `chunked`, a header that is given twice, a name that a CGI-like reader takes for another. Bodies
are counted in `reader.py`. Specification: RFC 9110 sections 7.2, 8.4, 10.1.1; RFC 9112 sections 2 to 7.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from typing import Final

from feathergate.http.contract import Header
from feathergate.http.limits import ServerLimits

METHODS: Final = {name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}
ALLOW: Final = b"allow: " + b", ".join(METHODS) + b"\r\n"

_VERSIONS: Final = frozenset(("1.0", "1.1"))

# Two of one of these would let us and another reader of the same bytes choose differently.
_SINGLE_FIELDS: Final = frozenset(
    (
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"expect",
        b"host",
        b"transfer-encoding",
        b"x-api-key",
    )
)

_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")

# What `name: value\r\n` costs beside its name and value.
_FIELD_OVERHEAD_BYTES: Final = 4

_OTHER_PROTOCOLS: Final = (
    (b"\x16\x03", "This port speaks plain HTTP, and these bytes are TLS; use http:// in the URL."),
    (b"PRI * HTTP/2", "This port speaks HTTP/1.1, not HTTP/2; put a proxy in front for HTTP/2."),
)


class RefusedError(Exception):
    """The HTTP layer answers this request itself, with `status` and `message`, and closes the connection.

    `target` is the request's, as far as it was read.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.target = b""


def check_head(
    method: bytes, target: bytes, version: str, headers: Sequence[Header], limits: ServerLimits
) -> dict[bytes, bytes]:
    """Return the headers by name (of one that may be repeated, the last), or raise `RefusedError`.

    Names are lower-case already.
    """
    _check_line(method, target, version)
    fields = _check_fields(target, headers, limits)
    _check_host(fields.get(b"host"), version)
    _check_body(fields, version, limits)
    if version == "1.1" and fields.get(b"expect", b"100-continue").lower() != b"100-continue":
        raise RefusedError(417, "The header expect asks for what this server does not do; only 100-continue is known.")
    return fields


def refuse_syntax(reason: str, data: bytes | memoryview) -> RefusedError:
    """What to answer when the parser gave up for `reason` (its fixed text) in `data`."""
    start = bytes(data[:16])
    for prefix, message in _OTHER_PROTOCOLS:
        if start.startswith(prefix):
            return RefusedError(400, message)
    if reason == "Invalid HTTP version":
        return _refuse_version()
    return RefusedError(400, f"The request is not valid HTTP/1.1: {reason}. Send it as RFC 9112 has it.")


def _refuse_version() -> RefusedError:
    return RefusedError(505, "The request's HTTP version is not supported; use HTTP/1.1.")


def _check_line(method: bytes, target: bytes, version: str) -> None:
    if version not in _VERSIONS:
        raise _refuse_version()
    if method not in METHODS:
        raise RefusedError(405, f"The method {method.decode('ascii')} is not served; see the allow header.")
    if not target.startswith(b"/"):
        raise RefusedError(400, "The request's target must be a path that begins with a slash (origin-form).")
    if b"#" in target:
        raise RefusedError(400, "The request's target holds a fragment; leave out # and what follows.")


def _check_fields(target: bytes, headers: Sequence[Header], limits: ServerLimits) -> dict[bytes, bytes]:
    if len(headers) > limits.header_count:
        raise RefusedError(431, f"The request has more than {limits.header_count} headers; send fewer.")
    text = b"".join(chain.from_iterable(headers))
    if len(target) + len(text) + _FIELD_OVERHEAD_BYTES * len(headers) > limits.header_bytes:
        raise refuse_head_size(limits)
    if not text.isascii():
        raise RefusedError(400, "A header holds bytes outside ASCII; encode them.")
    fields = dict(headers)
    if len(fields) < len(headers):
        _check_repeated(headers)
    if b"_" in b"".join(fields):
        shown = next(name for name in fields if b"_" in name)[:64].decode("ascii")
        raise RefusedError(400, f"The header name {shown} holds an underscore; write it with hyphens.")
    return fields


def _check_repeated(headers: Sequence[Header]) -> None:
    seen: set[bytes] = set()
    for name, _ in headers:
        if name in seen and name in _SINGLE_FIELDS:
            raise RefusedError(400, f"The header {name.decode('ascii')} is given twice; send it once.")
        seen.add(name)


def refuse_head_size(limits: ServerLimits) -> RefusedError:
    return RefusedError(431, f"The request's headers are larger than {limits.header_bytes} bytes; send less.")


def _check_host(host: bytes | None, version: str) -> None:
    if host is None:
        if version == "1.1":
            raise RefusedError(400, "The header host is missing; HTTP/1.1 requires it.")
    elif _HOST.fullmatch(host) is None:
        raise RefusedError(400, "The header host must be a name or an address, with a port if need be.")


def _check_body(fields: dict[bytes, bytes], version: str, limits: ServerLimits) -> None:
    """Refuse a body of unclear or excessive length, or in a coding that we do not undo."""
    coding = fields.get(b"transfer-encoding")
    if coding is not None:
        if version == "1.0":
            raise RefusedError(400, "HTTP/1.0 has no transfer-encoding; send content-length instead.")
        if coding.lower() != b"chunked":
            raise RefusedError(400, "The only transfer-encoding served is chunked; send just that.")
    length = fields.get(b"content-length")
    if length is not None:
        if length.startswith(b"0") and length != b"0":
            raise RefusedError(400, "The header content-length has leading zeros; leave them out.")
        if int(length) > limits.body_bytes:
            raise refuse_body_size(limits)
    if fields.get(b"content-encoding", b"identity").lower() != b"identity":
        raise RefusedError(415, "Compressed request bodies are not served; leave out content-encoding.")


def refuse_body_size(limits: ServerLimits) -> RefusedError:
    return RefusedError(413, f"The request's body is larger than {limits.body_bytes} bytes; send less.")
