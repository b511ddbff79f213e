"""The client's side of a stream before its first content.

Nothing is sent while a failure could still be answered with its true status by another deployment, or with none at
all. After the time limit the client gets the head and comments, so that nobody between us and it gives the
connection up, and the search for content goes on behind them. Source: DESIGN.md, "Commit barrier".
"""

from __future__ import annotations

from collections.abc import Callable

from feathergate.http.contract import Responder
from feathergate.http.ticker import Ticker
from feathergate.wire.sse import KEEP_ALIVE


class Barrier:
    """Watches itself from its making until it is `lift`ed; `opened` once the head has been sent."""

    __slots__ = ("_keep_alive_s", "_render_head", "_responder", "_ticker", "deadline", "opened")

    def __init__(
        self,
        ticker: Ticker,
        responder: Responder,
        render_head: Callable[[], bytes],
        limit_s: float,
        keep_alive_s: float,
    ) -> None:
        self._ticker = ticker
        self._responder = responder
        self._render_head = render_head
        self._keep_alive_s = keep_alive_s
        self.opened = False
        ticker.watch(self)
        self.deadline = ticker.time + limit_s

    def on_deadline(self, now: float) -> None:
        if not self.opened:
            self.opened = True
            self._responder.start(200, self._render_head())
        self._responder.write(KEEP_ALIVE)
        self.deadline = now + self._keep_alive_s

    def lift(self) -> None:
        """There is content, or there will be none."""
        self._ticker.forget(self)
