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
    """Writes what stderr takes at once and drops the rest."""

    def emit(self, record: logging.LogRecord) -> None:
        write_at_once(_STDERR, (self.format(record) + "\n").encode("utf-8", "backslashreplace"))


def write_at_once(fd: int, data: bytes) -> None:
    """What `fd` takes without waiting; the rest is dropped: a pipe that nobody reads must not stop the event loop.

    Where `poll` calls a pipe writable it has room for `PIPE_BUF` bytes, so a piece of that size never blocks.
    """
    writable = select.poll()
    writable.register(fd, select.POLLOUT)
    try:
        for start in range(0, len(data), select.PIPE_BUF):
            if not writable.poll(0):
                return
            os.write(fd, data[start : start + select.PIPE_BUF])
    except OSError:  # it is closed: there is nobody left to tell
        return


def configure_logging(*, debug: bool) -> None:
    """Everything from `info` up (with `debug`, everything) goes to stderr; times are UTC."""
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler = StderrHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=logging.DEBUG if debug else logging.INFO, force=True)
