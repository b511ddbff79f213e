"""What a deployment's provider adds to its entry: the usual variables for a key, an address, a version.

A word where something is missing all the same, where the provider is not known, or where a key goes to another host
than the provider's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from . import litellm
from .document import Path
from .environment import KnownProvider, read_key
from .finding import nearest, shown
from .schema import LitellmParams, ModelEntry
from .section import Reader


def is_served(entry: ModelEntry, known_providers: Mapping[str, KnownProvider] | None) -> bool:
    """Whether the entry's provider is one that requests can be sent to, as far as that is known."""
    if known_providers is None or entry.params.mock_response is not None:
        return True
    return litellm.split_model(entry.params.model)[0] in known_providers


def complete(
    reader: Reader, entry: ModelEntry, path: Path, known_providers: Mapping[str, KnownProvider], *, alone: bool
) -> ModelEntry:
    """The entry with its provider's usual variables in the place of what it does not say; a word where something
    is missing all the same, or the provider is not known. `alone` = no other entry of its name serves."""
    name, _ = litellm.split_model(entry.params.model)
    if name == "auto_router":
        reader.findings.refuse(
            (*path, "model"), "auto_router/… is not supported", "name the models, and remove this one"
        )
        return entry
    if entry.params.model == "*" or entry.params.mock_response is not None:
        return entry
    provider = known_providers.get(name)
    if provider is None:
        near = nearest(name, known_providers)
        reader.findings.warn(
            (*path, "model"),
            f"model {shown(entry.model_name)}: provider {shown(name) or '(none)'} is not supported, "
            + ("requests to it are answered with 400" if alone else "only the other entries of its name serve"),
            f"did you mean {near}?" if near else f"supported are {', '.join(sorted(known_providers))}",
        )
        return entry
    completed = msgspec.structs.replace(entry, params=_use_variables(reader, entry.params, path, provider))
    _judge_params(reader, completed, path, provider)
    if entry.params.api_key is None and completed.params.api_key is not None:
        _judge_recipient(reader, entry, path, provider)
    return completed


def _use_variables(reader: Reader, params: LitellmParams, path: Path, provider: KnownProvider) -> LitellmParams:
    base = params.api_base or reader.environ.get(provider.base_variable, "").strip() or None
    if params.api_base is None and base is not None and not is_http_address(base):
        what = f"environment variable {provider.base_variable} is not the address of a server"
        reader.findings.refuse((*path, "model"), what, "write for example https://host:8000/v1")
    return msgspec.structs.replace(
        params,
        api_key=read_key(reader.environ, *provider.key_variables) if params.api_key is None else params.api_key,
        api_base=base,
        api_version=params.api_version or reader.environ.get(provider.version_variable, "").strip() or None,
    )


def _judge_params(reader: Reader, entry: ModelEntry, path: Path, provider: KnownProvider) -> None:
    """What is missing for the provider to be asked."""
    params, subject = entry.params, f"model {shown(entry.model_name)}"
    if provider.needs_base and params.api_base is None:
        unset = f", and {provider.base_variable} is not set" if provider.base_variable else ""
        fix = "write for example api_base: https://host:8000/v1"
        reader.findings.refuse((*path, "model"), f"{subject} has no api_base{unset}", fix)
    elsewhere = params.api_base is not None and not provider.needs_base
    if provider.key_optional or params.api_key is not None or params.extra_headers or elsewhere:
        return
    reader.findings.warn(
        (*path, "model"),
        f"{subject} has no api_key, and {' or '.join(provider.key_variables)} is not set",
        f"write api_key: os.environ/{provider.key_variables[0]}",
    )


def _judge_recipient(reader: Reader, entry: ModelEntry, path: Path, provider: KnownProvider) -> None:
    """The key of the provider's usual variable goes, as LiteLLM has it, to whatever host `api_base` names."""
    host, usual = _find_host(entry.params.api_base), _find_host(provider.api_base)
    if host is None or usual is None or host == usual:
        return
    variable = next(name for name in provider.key_variables if reader.environ.get(name, "").strip())
    reader.findings.warn(
        (*path, "api_base"),
        f"model {shown(entry.model_name)} has no api_key, so that of {variable} is sent to {shown(host)}",
        f"write api_key: none to send none, or api_key: os.environ/{variable} if that is meant",
    )


def _find_host(address: str | None) -> str | None:
    """The host that an http or https address names; None where there is none to tell."""
    return urlsplit(address).hostname if address and is_http_address(address) else None


def is_http_address(text: str) -> bool:
    """Whether `text` is an http or https address with a host, a possible port, and no user or password."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    clean = text.isascii() and text.isprintable() and " " not in text
    return (
        clean and parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0 and "@" not in parts.netloc
    )
