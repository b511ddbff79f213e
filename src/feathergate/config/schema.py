"""What can be set, as values. Each field carries its documentation, from which `docs/configuration.md` is generated.

    entry.py        `model_list`: LitellmParams, ModelInfo, ModelEntry
    router.py       `router_settings`: RouterSettings and the policies in it
    server.py       `server_settings`: ServerSettings, HedgeSettings
    kind.py         the types of the fields
    here            the two small sections, and the whole: Config

The names are LiteLLM's where LiteLLM has the setting; `server_settings` is ours, with units in its names. The
structs are values: `load.py` makes them, nobody changes them. All of them are imported from here.

Source: litellm-config.md 4.2; issue "The gateway serves…", limits and timeouts.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .entry import LitellmParams, ModelEntry, ModelInfo
from .kind import Parameters, Seconds
from .router import AllowedFailsPolicy, ModelAlias, RetryPolicy, RouterSettings
from .secret import Secret
from .server import HedgeSettings, ServerSettings

__all__ = (
    "AllowedFailsPolicy",
    "Config",
    "GeneralSettings",
    "HedgeSettings",
    "LitellmParams",
    "LitellmSettings",
    "ModelAlias",
    "ModelEntry",
    "ModelInfo",
    "Notice",
    "Parameters",
    "RetryPolicy",
    "RouterSettings",
    "ServerSettings",
)

DEFAULT_TOTAL_TIMEOUT_S = 600.0


class GeneralSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who may use the gateway."""

    master_key: Annotated[
        Secret | None,
        Meta(
            description="The key that clients must show. At least 16 characters. Without it, the variable "
            "`FEATHERGATE_MASTER_KEY` or `LITELLM_MASTER_KEY`; without those, no route asks for a key."
        ),
    ] = None
    open_metrics: Annotated[bool, Meta(description="Serve `/metrics` without the master key.")] = False


class LitellmSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Defaults for every model."""

    drop_params: Annotated[
        bool | None,
        Meta(
            description="Drop parameters that a provider has no equivalent for (`true`, and nothing at all), "
            "or refuse the request (`false`). `server_settings.translation` wins."
        ),
    ] = None
    request_timeout: Annotated[
        Seconds | None,
        Meta(description="Seconds for a whole request, if `router_settings.timeout` does not say."),
    ] = None


class Notice(msgspec.Struct, frozen=True):
    """Something worth knowing about a configuration that can be used all the same."""

    level: Literal["warning", "info"]
    what: str
    fix: str = ""
    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}: " if self.line else f"{self.file}: " * bool(self.file)
        return f"{place}{self.level}: {self.what}" + (f" ({self.fix})" if self.fix else "")


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """A whole configuration. `models` holds every entry, in the file's order; `path` is empty without a file.
    `has_litellm_settings`: the file was written for LiteLLM."""

    models: tuple[ModelEntry, ...]
    general: GeneralSettings = GeneralSettings()
    litellm: LitellmSettings = LitellmSettings()
    router: RouterSettings = RouterSettings()
    server: ServerSettings = ServerSettings()
    notices: tuple[Notice, ...] = ()
    path: str = ""
    has_litellm_settings: bool = False

    @property
    def total_timeout_s(self) -> float:
        """Seconds for a whole request: the router's word, else `request_timeout`, else ten minutes."""
        return self.router.timeout or self.litellm.request_timeout or DEFAULT_TOTAL_TIMEOUT_S

    def groups(self) -> dict[str, tuple[ModelEntry, ...]]:
        """The entries of each `model_name`, names and entries in the file's order."""
        groups: dict[str, list[ModelEntry]] = {}
        for entry in self.models:
            groups.setdefault(entry.model_name, []).append(entry)
        return {name: tuple(entries) for name, entries in groups.items()}
