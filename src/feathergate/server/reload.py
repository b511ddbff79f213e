"""The configuration read anew while a worker serves: all of it, or nothing.

It is read, checked and compiled in a thread; then one reference is swapped, so that a request has either the old
configuration or the new, to its end. What is wrong leaves the old one in use and is logged with its place in the
file. Ways to a provider that both have are kept, with their connections; those that only the old one has are closed
when its last request has ended. Where several workers serve, the supervisor (`configured.py`) reads first, and logs
and counts for all; a worker tells only what it alone could not do. Source: reliability.md P04 to P06, A10, A11.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from msgspec.structs import replace

from feathergate.config.difference import diff_config
from feathergate.config.schema import Config
from feathergate.errors import ConfigError, Problem
from feathergate.http.server import Server
from feathergate.runtime import Runtime, compile_runtime
from feathergate.server.app import App
from feathergate.server.contract import Reload
from feathergate.server.limits import build_server_limits
from feathergate.transport.contract import Transport

_log = logging.getLogger("feathergate.config")

_LINES_LOGGED = 50
_LEVELS = {"warning": logging.WARNING, "info": logging.INFO}

# What a process settles once, when it starts.
_SETTLED: dict[str, Callable[[Config], object]] = {
    "server_settings.access_log": lambda config: config.server.access_log,
}

T = TypeVar("T")


def _keep(config: Config) -> Config:
    return config


def _ignore(reload: Reload) -> None:
    return


class Reloading(NamedTuple):
    """What a worker must know of the world to reload. `read` reads once more what a configuration came from (it may
    take long, and raises `ConfigError`); `tell` hears what became of each reload, beside the log. One of several
    workers has `ask_supervisor`, to have all of them reload."""

    read: Callable[[Config], Config] = _keep
    tell: Callable[[Reload], None] = _ignore
    ask_supervisor: Callable[[], None] | None = None


def try_config(
    current: Config, read: Callable[[Config], Config], use: Callable[[Config], T]
) -> tuple[T | None, Reload]:
    """What `use` makes of the configuration read anew, or None and the problems with it."""
    try:
        config = read(current)
        made = use(config)
    except ConfigError as error:
        return None, Reload(problems=error.problems)
    settled = [name for name, find in _SETTLED.items() if find(current) != find(config)]
    changes = (*diff_config(current, config), *(f"{name}: takes effect at the next start" for name in settled))
    return made, Reload(changes, notices=config.notices)


def log_reload(reload: Reload) -> None:
    """A line for each problem, with its place; or for each change, and each notice."""
    if reload.problems:
        lines = [f"the configuration was not reloaded, the old one stays in use: {item}" for item in reload.problems]
        _log_lines(logging.ERROR, lines)
        return
    count = len(reload.changes)
    summary = f"{count} change{'s' * (count != 1)}" if count else "nothing has changed"
    _log_lines(logging.INFO, [f"configuration reloaded: {summary}", *reload.changes])
    for notice in reload.notices:
        _log.log(_LEVELS[notice.level], "%s", notice)


def _log_lines(level: int, lines: Sequence[str]) -> None:
    for line in lines[:_LINES_LOGGED]:
        _log.log(level, "%s", line)
    if len(lines) > _LINES_LOGGED:
        _log.log(level, "and %d more", len(lines) - _LINES_LOGGED)


class Reloader:
    """Exchanges what `app` serves by. Lives in the loop's thread."""

    def __init__(self, app: App, server: Server, reloading: Reloading) -> None:
        self._app = app
        self._server = server
        self._reloading = reloading
        self._lock = asyncio.Lock()
        self._asked: asyncio.Task[Reload] | None = None
        self._living = weakref.WeakSet([app.runtime])
        self._endings: list[weakref.finalize[Any, Runtime]] = []

    def ask(self) -> asyncio.Task[Reload]:
        """A reload that begins from now on. Whoever asks before it has begun shares it."""
        if self._asked is None:
            self._asked = asyncio.get_running_loop().create_task(self._run())
        return self._asked

    async def ask_all(self) -> Reload:
        """The same for one who waits, and then for the other workers."""
        reload = await asyncio.shield(self.ask())
        if self._reloading.ask_supervisor is not None and not reload.problems:
            self._reloading.ask_supervisor()
        return reload

    def close(self) -> None:
        """Close the ways to every provider, whichever configuration they are of."""
        for ending in self._endings:
            ending.detach()
        for runtime in self._living:
            for transport in runtime.shared.transports.values():
                transport.close()

    async def _run(self) -> Reload:
        async with self._lock:
            self._asked = None
            try:
                return await self._reload()
            except Exception:  # noqa: BLE001 - the outermost call of the task
                _log.exception("the configuration could not be reloaded, the old one stays in use")
                self._app.runtime.metrics.note_reload(successful=False)
                return Reload(problems=(Problem("the gateway failed while it reloaded", "see its log"),))

    async def _reload(self) -> Reload:
        old, reloading = self._app.runtime, self._reloading
        runtime, reload = await asyncio.to_thread(try_config, old.config, reloading.read, partial(_compile_beside, old))
        if runtime is not None:
            self._swap(old, runtime)
        leads = reloading.ask_supervisor is None
        old.metrics.note_reload(successful=runtime is not None, counted=leads or runtime is None)
        if leads or runtime is None:
            log_reload(reload)
            reloading.tell(reload)
        return reload

    def _swap(self, old: Runtime, runtime: Runtime) -> None:
        metrics, config = runtime.metrics, runtime.config
        metrics.allow(entry.model_name for entry in config.models)
        metrics.note_configured(runtime.shared.now())
        self._server.change_limits(build_server_limits(config.server))
        self._app.runtime = runtime
        self._living.add(runtime)
        self._endings = [ending for ending in self._endings if ending.alive]
        self._endings.append(self._end_with(old))

    def _end_with(self, old: Runtime) -> weakref.finalize[Any, Runtime]:
        """When nothing is served by `old` any more, close what only it used."""
        loop, transports = old.shared.loop, tuple(old.shared.transports.values())
        return weakref.finalize(old, loop.call_soon_threadsafe, self._close_unused, transports)

    def _close_unused(self, transports: Sequence[Transport]) -> None:
        used = {id(known) for runtime in self._living for known in runtime.shared.transports.values()}
        for transport in transports:
            if id(transport) not in used:
                transport.close()


class _TakenOver(dict[object, Transport]):
    """Ways to providers: those of an older configuration are taken over as they are asked for."""

    def __init__(self, older: dict[object, Transport]) -> None:
        super().__init__()
        self._older = older

    def get(self, key: object, default: Any = None) -> Any:
        if key in self._older:
            self[key] = self._older[key]
        return super().get(key, default)


def _compile_beside(old: Runtime, config: Config) -> Runtime:
    shared = replace(old.shared, transports=_TakenOver(old.shared.transports))
    runtime = compile_runtime(config, shared, old.metrics)
    shared.transports = dict(shared.transports)  # forgets the older ones
    return runtime
