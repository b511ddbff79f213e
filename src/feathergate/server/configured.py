"""The configuration as the supervisor of several workers has it: the last that was right.

New workers are born with it, whatever the file holds by then, so that a broken file never keeps a dead worker from
being replaced. A reload is tried here first, compiled and thrown away; only what passes is left to the workers.
"""

from __future__ import annotations

import asyncio
import logging
import os

from feathergate.config.schema import Config
from feathergate.observe.metrics import Metrics
from feathergate.observe.snapshot import open_snapshots
from feathergate.server.process import build_runtime
from feathergate.server.reload import Reloading, log_reload, try_config

_log = logging.getLogger("feathergate.config")


class Configured:
    """`config` is what a worker is started with now."""

    def __init__(self, config: Config, reloading: Reloading) -> None:
        self.config = config
        self._reloading = reloading
        self._metrics: Metrics | None = None

    def reload(self) -> bool:
        """Read it anew; whether the workers are to do the same. Logs and counts for all of them."""
        try:
            config, reload = try_config(self.config, self._reloading.read, _check)
        except Exception:  # noqa: BLE001 - outermost: a reload must not cost the supervisor its life
            _log.exception("the configuration could not be reloaded, the old one stays in use")
            self._note(successful=False)
            return False
        self._note(successful=config is not None)
        log_reload(reload)
        self._reloading.tell(reload)
        if config is None:
            return False
        self.config = config
        return True

    def _note(self, *, successful: bool) -> None:
        if self._metrics is None:
            self._metrics = Metrics((), open_snapshots(os.environ))
        self._metrics.note_reload(successful=successful)
        self._metrics.flush()


def _check(config: Config) -> Config:
    """Raises `ConfigError` with the problems that only show when addresses and files are looked at."""
    loop = asyncio.new_event_loop()
    try:
        build_runtime(config, loop)
    finally:
        loop.close()
    return config
