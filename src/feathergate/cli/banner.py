"""What is said when the gateway serves: at most eight lines on a terminal, one line of JSON elsewhere. And of a
reload, one line of JSON.

Names of models come from a file, so they are shown as they may be printed, and quoted where they may be pasted.
No key is ever in it. Source: ecosystem.md section 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from feathergate import __version__
from feathergate.cli.address import Address, is_loopback, url
from feathergate.config.finding import shown
from feathergate.config.schema import Config

if TYPE_CHECKING:
    from feathergate.server.contract import Reload

_MODELS_SHOWN = 6
_LINES_SHOWN, _TEXT_SHOWN = 10, 300
_BOLD, _DIM, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"


class Started(msgspec.Struct, tag_field="event", tag="started"):
    """The line of JSON. `ready_ms` counts from the command's start; `config` is null without a file."""

    address: str
    port: int
    models: tuple[str, ...]
    auth: bool
    config: str | None
    version: str
    workers: int
    ready_ms: int


class Reloaded(msgspec.Struct, tag_field="event", tag="reloaded"):
    """The line of JSON that tells of a reload; `problems` are in the log's words, with file, line and column."""

    successful: bool
    changes: tuple[str, ...]
    problems: tuple[str, ...]


def build_reloaded(reload: Reload) -> Reloaded:
    """As many lines as one write to a pipe surely holds; the log has them all."""
    problems = tuple(str(problem)[:_TEXT_SHOWN] for problem in reload.problems[:_LINES_SHOWN])
    changes = tuple(change[:_TEXT_SHOWN] for change in reload.changes[:_LINES_SHOWN])
    return Reloaded(not reload.problems, changes, problems)


def build_started(config: Config, address: Address, workers: int, ready_ms: int) -> Started:
    return Started(
        address=address.host,
        port=address.port,
        models=tuple(config.groups()),
        auth=config.general.master_key is not None,
        config=config.path or None,
        version=__version__,
        workers=workers,
        ready_ms=ready_ms,
    )


def render_json(said: Started | Reloaded) -> str:
    return msgspec.json.encode(said).decode()


def render_banner(started: Started, *, color: bool) -> str:
    """Eight lines at most."""
    bold, dim, plain = (_BOLD, _DIM, _PLAIN) if color else ("", "", "")
    workers = f" · {started.workers} workers" if started.workers > 1 else ""
    rows = {
        "API": url(Address(started.address, started.port)),
        "Models": _render_models(started.models),
        "Auth": _render_auth(started),
        "Config": started.config or "none: the models are those of the environment",
    }
    return "\n".join(
        (
            f"{bold}feathergate {started.version}{plain} · ready in {started.ready_ms / 1000:.2f} s{workers}",
            *(f"  {dim}{name:<8}{plain} {text}" for name, text in rows.items()),
            *_render_hint(started),
        )
    )


def _render_models(models: tuple[str, ...]) -> str:
    names = "  ".join(map(shown, models[:_MODELS_SHOWN]))
    more = len(models) - _MODELS_SHOWN
    return f"{names}  and {more} more: GET /v1/models" if more > 0 else names


def _render_auth(started: Started) -> str:
    if started.auth:
        return "on: every request needs the master key"
    if is_loopback(Address(started.address, started.port)):
        return "off: this machine only"
    return "off: whoever reaches this address may use it (--no-auth)"


def _render_hint(started: Started) -> tuple[str, ...]:
    """A command to paste, with a model that can be asked for; none where no model can."""
    from shlex import quote

    model = next((name for name in started.models if "*" not in name), None)
    if model is None:
        return ()
    key = ' -H "authorization: Bearer $FEATHERGATE_MASTER_KEY"' if started.auth else ""
    body = msgspec.json.encode({"model": model, "messages": [{"role": "user", "content": "Hello!"}]}).decode()
    address = url(Address(started.address, started.port))
    return (
        "",
        f"Try it:  curl -s {address}/chat/completions{key} \\",
        f"           -H 'content-type: application/json' -d {quote(body)}",
    )
