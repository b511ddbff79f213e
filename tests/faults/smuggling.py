"""The matrix of requests with two readings: what one server takes for a body, the next may take for a request.

`MATRIX` holds attacks that the gateway refuses (those of `tests/http/test_smuggling.py` and those that only matter
behind another server); `EMBEDDED` requests whose body is a request, which is no attack as long as it stays a body.
Source: reliability.md S33.
"""

from __future__ import annotations

from tests.http.test_smuggling import ACCEPTED, CHUNKED, HARMLESS, HOST, REFUSED, post
from tests.raw_client import build_request

SMUGGLED = "/smuggled"
TAIL = build_request(SMUGGLED)
_TE = b"transfer-encoding: chunked\r\n"
_LENGTH = b"content-length: %d\r\n"
_CL_TE = b"0\r\n\r\n" + TAIL
_TE_CL = b"%x\r\n%b\r\n0\r\n\r\n" % (len(TAIL), TAIL)


def _both(te: bytes, body: bytes, length: int) -> bytes:
    """Both lengths; `te` is the whole line, spelled so that one server may miss it."""
    return post(HOST + _LENGTH % length + te, body)


def _hidden(te: bytes) -> tuple[int, bytes]:
    return 400, _both(te, _CL_TE, len(_CL_TE))


ATTACKS: dict[str, tuple[int, bytes]] = {
    "CL.TE, a request in the body": (400, _both(_TE, _CL_TE, len(_CL_TE))),
    "CL.TE, short": (400, _both(_TE, _CL_TE, 4)),
    "TE.CL, a request in a chunk": (400, _both(_TE, _TE_CL, 4)),
    "TE.CL, length first": (400, post(HOST + _TE + _LENGTH % 4, _TE_CL)),
    "TE.0": (400, post(HOST + _TE + _LENGTH % 0, _TE_CL)),
    "0.CL, a length in the dark": (400, post(HOST + b"content-length : 30\r\n", TAIL)),
    "CL before a tab and a colon": (400, post(HOST + b"content-length\t: 30\r\n", TAIL)),
    "double CL, the second is right": (400, post(HOST + _LENGTH % 0 + _LENGTH % len(TAIL), TAIL)),
    "double CL, the first is right": (400, post(HOST + _LENGTH % len(TAIL) + _LENGTH % 0, TAIL)),
    "CL list that differs": (400, post(HOST + b"content-length: 0, 30\r\n", TAIL)),
    "CL in exponents": (400, post(HOST + b"content-length: 3e1\r\n", TAIL)),
    "CL with a dot": (400, post(HOST + b"content-length: 30.0\r\n", TAIL)),
    "CL in octal": (400, post(HOST + b"content-length: 0o36\r\n", TAIL)),
    "CL in other digits": (400, post(HOST + "content-length: ٣\r\n".encode(), TAIL)),
    "TE in the dark, a space before the colon": _hidden(b"transfer-encoding : chunked\r\n"),
    "TE in the dark, a tab before the colon": _hidden(b"transfer-encoding\t: chunked\r\n"),
    "TE in the dark, folded": _hidden(b"transfer-encoding:\r\n chunked\r\n"),
    "TE in the dark, a second line": _hidden(b"x: y\ntransfer-encoding: chunked\r\n"),
    "TE in the dark, after CR": _hidden(b"x: y\rtransfer-encoding: chunked\r\n"),
    "TE in the dark, a form feed": _hidden(b"transfer-encoding: \x0cchunked\r\n"),
    "TE in the dark, NUL": _hidden(b"transfer-encoding: chunked\0\r\n"),
    "TE in the dark, NUL in the name": _hidden(b"transfer\0-encoding: chunked\r\n"),
    "TE in the dark, a semicolon": _hidden(b"transfer-encoding: chunked;q=1\r\n"),
    "TE in the dark, a comma": _hidden(b"transfer-encoding: ,chunked\r\n"),
    "TE in the dark, twice in a list": _hidden(b"transfer-encoding: chunked, chunked\r\n"),
    "TE in the dark, cow": _hidden(b"transfer-encoding: cow\r\n"),
    "TE in the dark, cow and chunked": _hidden(b"transfer-encoding: cow\r\ntransfer-encoding: chunked\r\n"),
    "TE in the dark, an underscore": _hidden(b"transfer_encoding: chunked\r\n"),
    "chunk size in the dark, a semicolon and LF": (400, post(CHUNKED, b"1;\nx\r\n0\r\n\r\n")),
    "chunk size in the dark, two lines": (400, post(CHUNKED, b"2\r\r\nxx\r\n0\r\n\r\n")),
    "chunk size in the dark, 32 bits over": (400, post(CHUNKED, b"10000000000000005\r\nhello\r\n0\r\n\r\n")),
    "chunk size in the dark, an underscore": (400, post(CHUNKED, b"0_5\r\nhello\r\n0\r\n\r\n")),
    "last chunk in the dark, signed": (400, post(CHUNKED, b"-0\r\n\r\n")),
    "HTTP/1.0 and both lengths": (400, post(HOST + _LENGTH % 4 + _TE, _CL_TE, b"HTTP/1.0")),
    "host of the line and host of the header": (400, b"GET http://b/x HTTP/1.1\r\n" + HOST + b"\r\n"),
}
MATRIX = REFUSED | ATTACKS


EMBEDDED: dict[str, bytes] = {
    "a request as a body": post(HOST + _LENGTH % len(TAIL), TAIL),
    "a request as a chunk": post(CHUNKED, _TE_CL),
    "a request as a chunk, with trailers": post(CHUNKED, _TE_CL.removesuffix(b"\r\n") + b"x: y\r\n\r\n"),
    "a request in a trailer": post(CHUNKED, b"0\r\nx: GET /smuggled HTTP/1.1\r\n\r\n"),
    "a request as the body of a GET": b"GET /x HTTP/1.1\r\n" + HOST + _LENGTH % len(TAIL) + b"\r\n" + TAIL,
    "a request as the body of a HEAD": b"HEAD /x HTTP/1.1\r\n" + HOST + _LENGTH % len(TAIL) + b"\r\n" + TAIL,
    "a request as a body that expects": post(HOST + _LENGTH % len(TAIL) + b"expect: 100-continue\r\n", TAIL),
    "a request after h2c": post(HOST + b"connection: upgrade\r\nupgrade: h2c\r\n" + _LENGTH % len(TAIL), TAIL),
}
# Odd, and yet with one reading of where they end.
TWO_SPACES = b"POST  /x HTTP/1.1\r\n" + HOST + _LENGTH % 0 + b"\r\n"
HARMLESS_ONES = {"harmless": HARMLESS, "two spaces in the first line": TWO_SPACES} | ACCEPTED
