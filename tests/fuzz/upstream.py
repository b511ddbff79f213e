"""A tiny upstream in a thread: whatever it is asked it answers with 200 and one word, in the provider's own format."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.e2e.native import ANTHROPIC, GEMINI, OPENAI, Native

BY_PATH = {"/v1/messages": ANTHROPIC, "/v1/chat/completions": OPENAI}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])), parse_int=str)
        native = BY_PATH.get(self.path, GEMINI)
        streams = ":streamGenerateContent" in self.path or body.get("stream") is True
        kind = "text/event-stream" if streams else "application/json"
        self.send_response(200)
        self.send_header("content-type", kind)
        answer = render(native, streams=streams)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Silence."""


def render(native: Native, *, streams: bool) -> bytes:
    """The least that is an answer."""
    return b"".join(native.events(["Hi"])) if streams else json.dumps(native.text("Hi")).encode()


@contextmanager
def serving_upstream() -> Iterator[int]:
    """The port of loopback on which it listens."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
