"""Bytes of one connection in, answers out: no socket, no clock, no callback to anyone above.

llhttp checks the grammar (both lengths, two lengths, obs-fold, bare LF, bad chunks); here is what it leaves open:
limits on the head and on what stands between two pieces of a body, interim answers, codings, and where a body without
a length ends. Whatever one `feed` completes is handed on once per network read, so that a thousand tiny chunks in one
packet cost the layers above one call. The header lines are not taken from the parser's callbacks (0.24 us a line,
where this is 0.09, and answers from the Internet have 25): llhttp has checked them, they are kept as they came, and
split when somebody looks at them. Trailers are read and dropped. Specification: RFC 9112.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, overload

import httptools

from feathergate.http.contract import Header, Headers, HttpError, find_header
from feathergate.http.decoding import Decoder, build_decoder
from feathergate.http.limits import ClientLimits

INTERIM_LIMIT: Final = 16
_CODING: Final = re.compile(rb"\r\n(transfer|content)-encoding:[ \t]*([^\r]*)", re.IGNORECASE)
_TRANSFER_CODINGS: Final[dict[str, tuple[list[bytes], ...]]] = {"HTTP/1.1": ([], [b"chunked"]), "HTTP/1.0": ([],)}
_USUAL_CODINGS: Final[tuple[list[Header], ...]] = ([], [(b"Transfer", b"chunked")], [(b"transfer", b"chunked")])


class HeaderLines(Sequence[Header]):
    """The header of a `head` (status line and header lines, without the empty line), split when first looked at."""

    __slots__ = ("_fields", "_head")

    def __init__(self, head: bytes) -> None:
        self._head = head
        self._fields: list[Header] | None = None

    @overload
    def __getitem__(self, index: int) -> Header: ...
    @overload
    def __getitem__(self, index: slice) -> list[Header]: ...
    def __getitem__(self, index: int | slice) -> Header | list[Header]:
        return self._split()[index]

    def __len__(self) -> int:
        return len(self._split())

    def __iter__(self) -> Iterator[Header]:
        return iter(self._split())

    def _split(self) -> list[Header]:
        if self._fields is None:
            lines = (line.partition(b":") for line in self._head.split(b"\r\n")[1:])
            self._fields = [(name.lower(), value.strip(b" \t")) for name, _, value in lines]
        return self._fields


class ResponseReader:
    """Reads answer after answer; `reset` stands between two.

    `feed` returns what came of the body, and `turned` says whether anything else has happened: `status` is 0 until
    the final head is there, `complete` says that the answer has ended, `error` that it never will. `reusable`: it is
    complete and without error, the peer keeps the connection open, and nothing came after the answer.
    """

    __slots__ = (
        "_decoder",
        "_framing_bytes",
        "_interim",
        "_limits",
        "_lines",
        "_parser",
        "_pieces",
        "_received",
        "complete",
        "error",
        "headers",
        "on_body",
        "reusable",
        "started",
        "status",
        "turned",
    )

    def __init__(self, limits: ClientLimits) -> None:
        self._limits = limits
        self._pieces: list[bytes] = []
        self.on_body = self._pieces.append  # for the parser
        self.reset()
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)

    def reset(self) -> None:
        """Forget the last answer and be ready for the next one of the same connection."""
        self.started = False
        self.status = 0
        self.headers: Headers = ()
        self.complete = False
        self.reusable = False
        self.turned = False
        self.error: HttpError | None = None
        self._lines: Headers = ()
        self._received: list[bytes] = []
        self._framing_bytes = 0
        self._interim = 0
        self._decoder: Decoder | None = None

    def close(self) -> None:
        """Let go of the parser, which holds this reader in turn."""
        self._parser = None

    def feed(self, data: bytes) -> bytes:
        """Read on; returns the body's bytes, decoded. Never raises: what is wrong stands in `error`."""
        if self._parser is None:
            return b""
        self.turned = False
        if not self.status:
            self.started = True
            self._received.append(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as failure:
            self._note_failure(failure)
        pieces = self._pieces
        if not pieces and not self.turned:
            self._count_framing(len(data))
            return b""
        self._framing_bytes = 0
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return body if self._decoder is None else self._decode(self._decoder, body)

    def feed_eof(self) -> None:
        """The peer has sent its last byte."""
        self.turned = True
        if self.complete or self.error is not None:
            return
        if self.status and not self._has_length():
            self.complete = True
            if self._decoder is not None:
                self._decode(self._decoder, b"")
        else:
            what = "the answer ended early" if self.started else "the connection was closed without an answer"
            self.error = HttpError("reset", what, clean=not self.started)

    # Called by the parser. What they raise comes back from `feed_data` as the context of its own error.

    def on_message_begin(self) -> None:
        if self.complete:
            raise HttpError("protocol", "there are bytes after the end of the answer")

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        self.turned = True
        received = self._received[0] if len(self._received) == 1 else b"".join(self._received)
        received = received.lstrip(b"\r\n")  # which llhttp allows in front of a status line
        end = received.index(b"\r\n\r\n")
        head = received[:end]
        limits = self._limits
        if end > limits.header_bytes or head.count(b"\n") > limits.header_count:
            raise self._header_limit_error()
        status = self._parser.get_status_code()
        if status < 200:
            self._count_interim(status)
            self._received = [received[end + 4 :]]
            return
        self._received = []
        self._lines = self.headers = HeaderLines(head)
        codings = _CODING.findall(head)
        if codings not in _USUAL_CODINGS or not head.startswith(b"HTTP/1.1"):
            self._note_codings(head[:8].decode(), codings)
        self.status = status

    def on_message_complete(self) -> None:
        if self.status:
            assert self._parser is not None
            self.turned = True
            self.complete = True
            self.reusable = self._parser.should_keep_alive()

    # The rest is its own.

    def _count_interim(self, status: int) -> None:
        self._interim += 1
        if status == 101 or status < 100:
            raise HttpError("protocol", f"status {status} is no answer to our request")
        if self._interim > INTERIM_LIMIT:
            raise HttpError("protocol", f"more than {INTERIM_LIMIT} interim answers (1xx)")

    def _count_framing(self, size_bytes: int) -> None:
        """A read brought nothing to hand on: an unfinished head, trailer or chunk extension has to end some time."""
        self._framing_bytes += size_bytes
        if self._framing_bytes > self._limits.header_bytes:
            self._fail(self._header_limit_error())

    def _note_codings(self, version: str, codings: list[Header]) -> None:
        """How the body is wrapped. Raises HttpError where it is in a way that we do not read."""
        if version not in _TRANSFER_CODINGS:
            raise HttpError("protocol", f"the answer claims to be {version}")
        # A tab behind it (but not a space) keeps llhttp from reading chunks: it is not stripped here either.
        transfer = [value.rstrip(b" ").lower() for kind, value in codings if kind.lower() == b"transfer"]
        if transfer not in _TRANSFER_CODINGS[version]:
            raise HttpError("protocol", f"transfer-encoding {transfer[0][:40]!r} over {version}")
        content = [value for kind, value in codings if kind.lower() == b"content"]
        self._decoder = build_decoder(b", ".join(content))
        if self._decoder is not None:
            # They describe the body as it was sent, not as it is handed on.
            stale = (b"content-encoding", b"content-length")
            self.headers = [item for item in self.headers if item[0] not in stale]

    def _has_length(self) -> bool:
        """Does the head say where the body ends?"""
        return any(find_header(self._lines, name) is not None for name in (b"content-length", b"transfer-encoding"))

    def _decode(self, decoder: Decoder, data: bytes) -> bytes:
        try:
            decoded = decoder.decode(data)
        except HttpError as error:
            self._fail(error)
            return b""
        if self.complete and not decoder.complete:
            self._fail(HttpError("reset", "the compressed body ended early"))
        return decoded

    def _note_failure(self, failure: Exception) -> None:
        if self.complete:
            self.reusable = False
            return
        cause = failure.__context__
        self._fail(cause if isinstance(cause, HttpError) else HttpError("protocol", f"not HTTP/1.1: {failure}"))

    def _fail(self, error: HttpError) -> None:
        self.turned = True
        self.reusable = False
        self.error = error

    def _header_limit_error(self) -> HttpError:
        limits = self._limits
        return HttpError("protocol", f"the header passes {limits.header_bytes} bytes or {limits.header_count} lines")
