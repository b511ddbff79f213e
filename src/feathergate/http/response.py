"""Bytes of one connection in, answers out: no socket, no clock, no callback to anyone above.

llhttp checks the grammar (both lengths, two lengths, obs-fold, bare LF, bad chunks); here is what it leaves open:
limits on the head and on trailers, interim answers, codings, and where a body without a length ends. Whatever one
`feed` completes is kept in attributes for the caller to fetch once per network read, so that a thousand tiny
chunks in one packet cost the layers above one call. Trailers are read and dropped. Specification: RFC 9112.
"""

from __future__ import annotations

import httptools

from feathergate.http.contract import Header, HttpError
from feathergate.http.decoding import Decoder, build_decoder
from feathergate.http.limits import ClientLimits

INTERIM_LIMIT = 16
_VERSIONS = ("1.1", "1.0")
_BODILESS = (204, 304)


class ResponseReader:
    """Reads answer after answer; `reset` stands between two.

    After a `feed`: `status` is 0 until the final head is there, `take_body` yields what came of the body,
    `complete` says that the answer has ended, `error` that it never will. `reusable` is meaningful once
    complete: the peer keeps the connection open, and nothing came after the answer.
    """

    __slots__ = (
        "_decoder",
        "_framing_bytes",
        "_header_bytes",
        "_headers",
        "_interim",
        "_limits",
        "_parser",
        "_pieces",
        "_until_close",
        "complete",
        "error",
        "headers",
        "reusable",
        "started",
        "status",
    )

    def __init__(self, limits: ClientLimits) -> None:
        self._limits = limits
        self.reset()
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)

    def reset(self) -> None:
        """Forget the last answer and be ready for the next one of the same connection."""
        self.started = False
        self.status = 0
        self.headers: list[Header] = []
        self.complete = False
        self.reusable = False
        self.error: HttpError | None = None
        self._headers: list[Header] = []
        self._header_bytes = 0
        self._framing_bytes = 0
        self._interim = 0
        self._pieces: list[bytes] = []
        self._decoder: Decoder | None = None
        self._until_close = False

    def close(self) -> None:
        """Let go of the parser, which holds this reader in turn."""
        self._parser = None

    def feed(self, data: bytes) -> None:
        """Read on. Never raises: what is wrong stands in `error`."""
        if self._parser is None:
            return
        self.started = True
        self._framing_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as failure:
            self._note_failure(failure)
        else:
            # The parser holds an unfinished header (or trailer, or chunk extension) whole: bound that too.
            if self._framing_bytes > self._limits.header_bytes and not self.complete:
                self.error = self._header_limit_error()

    def feed_eof(self) -> None:
        """The peer has sent its last byte."""
        if self._until_close and self.status:
            self.complete = True
        elif not self.complete and self.error is None:
            what = "the answer ended early" if self.started else "the connection was closed without an answer"
            self.error = HttpError("reset", what, clean=not self.started)

    def take_body(self) -> bytes:
        """The pieces of the body since the last call, decoded; damage stands in `error` afterwards."""
        pieces = self._pieces
        data = b"".join(pieces) if len(pieces) > 1 else pieces[0] if pieces else b""
        pieces.clear()
        if self._decoder is not None:
            try:
                data = self._decoder.decode(data)
            except HttpError as error:
                self.error = error
                return b""
            if self.complete and not self._decoder.complete:
                self.error = HttpError("reset", "the compressed body ended early")
        return data

    # Called by the parser. What they raise comes back from `feed_data` as the context of its own error.

    def on_message_begin(self) -> None:
        if self.complete:
            raise HttpError("protocol", "there are bytes after the end of the answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value) + 4
        headers = self._headers
        if self._header_bytes > self._limits.header_bytes or len(headers) >= self._limits.header_count:
            raise self._header_limit_error()
        headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        self._framing_bytes = 0
        status = self._parser.get_status_code()
        if status < 200:
            self._count_interim(status)
            return
        version = self._parser.get_http_version()
        if version not in _VERSIONS:
            raise HttpError("protocol", f"the answer claims to be HTTP/{version}")
        self._until_close = status not in _BODILESS and not _has_length(self._headers, version)
        codings = [value for name, value in self._headers if name == b"content-encoding"]
        if codings:
            self._decoder = build_decoder(b", ".join(codings))
        headers = self._headers
        if self._decoder is not None:
            # They describe the body as it was sent, not as it is handed on.
            headers = [item for item in headers if item[0] not in (b"content-encoding", b"content-length")]
        self._headers = []  # trailers, should any come
        self.headers = headers
        self.status = status

    def on_body(self, data: bytes) -> None:
        self._framing_bytes = 0
        if self.status:
            self._pieces.append(data)

    def on_message_complete(self) -> None:
        if self.status:
            assert self._parser is not None
            self.complete = True
            self.reusable = self._parser.should_keep_alive()
        else:
            self._headers.clear()
            self._header_bytes = 0

    def _count_interim(self, status: int) -> None:
        self._interim += 1
        if status == 101 or status < 100:
            raise HttpError("protocol", f"status {status} is no answer to our request")
        if self._interim > INTERIM_LIMIT:
            raise HttpError("protocol", f"more than {INTERIM_LIMIT} interim answers (1xx)")

    def _note_failure(self, failure: Exception) -> None:
        if self.complete:
            self.reusable = False
            return
        cause = failure.__context__
        self.error = cause if isinstance(cause, HttpError) else HttpError("protocol", f"not HTTP/1.1: {failure}")

    def _header_limit_error(self) -> HttpError:
        limits = self._limits
        return HttpError("protocol", f"the header passes {limits.header_bytes} bytes or {limits.header_count} lines")


def _has_length(headers: list[Header], version: str) -> bool:
    """Does the head say where the body ends? Raises HttpError where it says so in a way we do not read."""
    has_length = False
    for name, value in headers:
        if name == b"content-length":
            has_length = True
        elif name == b"transfer-encoding":
            if has_length or version == "1.0" or value.lower() != b"chunked":
                raise HttpError("protocol", f"transfer-encoding {value[:40]!r} over HTTP/{version}")
            has_length = True
    return has_length
