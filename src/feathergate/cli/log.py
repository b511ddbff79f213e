"""What the program says of itself while it runs: lines on stderr, of which none may hold it up.

Requests are not logged here; they have the access log. Source: reliability.md P15.
"""

from __future__ import annotations

import logging
import os
import select
import time

_STDERR = 2


class StderrHandler(logging.Handler):
    """Writes what stderr takes at once and drops the rest: a pipe that nobody reads must not stop the event loop.

    Where `select` calls a pipe writable it has room for `PIPE_BUF` bytes, so a piece of that size never blocks.
    """

    def emit(self, record: logging.LogRecord) -> None:
        data = (self.format(record) + "\n").encode("utf-8", "backslashreplace")
        try:
            for start in range(0, len(data), select.PIPE_BUF):
                if not select.select((), (_STDERR,), (), 0)[1]:
                    return
                os.write(_STDERR, data[start : start + select.PIPE_BUF])
        except OSError:  # stderr is closed: there is nobody left to tell
            return


def configure_logging(*, debug: bool) -> None:
    """Everything from `info` up (with `debug`, everything) goes to stderr; times are UTC."""
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler = StderrHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=logging.DEBUG if debug else logging.INFO, force=True)
