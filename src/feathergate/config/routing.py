"""`router_settings` into `RouterSettings`, with what `litellm_settings` says of the same, as LiteLLM has it.

The router's word wins. Aliases are read first: a fallback may name one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import litellm
from .document import Path
from .fallback import read_fallbacks
from .finding import label, shown
from .naming import Names
from .router import ModelAlias, RouterSettings
from .section import Reader

_FALLBACKS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
_READ_HERE = (*_FALLBACKS, "model_group_alias")


def read_router(reader: Reader, top: Mapping[str, Any], names: Names) -> RouterSettings:
    """The settings, from both sections; `names` learns the aliases."""
    own = reader.read_keys(RouterSettings, top, "router_settings")
    sections = {"litellm_settings": _find_shared(reader, top, own), "router_settings": own}
    aliases: dict[str, ModelAlias] = {}
    for section, mapping in sections.items():
        aliases |= _read_aliases(reader, mapping.get("model_group_alias"), (section, "model_group_alias"), names)
    names.add(aliases)
    fields: dict[str, Any] = {}
    for section, mapping in sections.items():
        fields |= _read_fields(reader, mapping, (section,), names)
    return RouterSettings(**fields, model_group_alias=aliases)


def _find_shared(reader: Reader, top: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """What `litellm_settings` says of the router and the router does not."""
    section = top.get("litellm_settings")
    found = section if isinstance(section, dict) else {}
    shared = {key: value for key, value in found.items() if key in litellm.SHARED and value is not None}
    for key in shared:
        if own.get(key) is not None:
            path = ("litellm_settings", key)
            reader.findings.warn(path, f"{label(path)} has no effect beside router_settings.{key}", key=True)
    return {key: value for key, value in shared.items() if own.get(key) is None}


def _read_fields(reader: Reader, mapping: Mapping[str, Any], path: Path, names: Names) -> dict[str, Any]:
    plain = {key: value for key, value in mapping.items() if key not in _READ_HERE}
    fields = reader.read_fields(RouterSettings, plain, path)
    for index, name in enumerate(fields.get("default_fallbacks", ())):
        names.judge(reader.findings, (*path, "default_fallbacks", index), name)
    for key in _FALLBACKS:
        if mapping.get(key) is not None:
            fields[key] = read_fallbacks(reader, mapping[key], (*path, key), names)
    return fields


def _read_aliases(reader: Reader, value: Any, path: Path, names: Names) -> dict[str, ModelAlias]:
    aliases = {}
    for alias, item in reader.read_mapping(value, path).items():
        here = (*path, alias)
        target = _read_alias(reader, item, here)
        if target is None:
            continue
        aliases[alias] = target
        names.judge(reader.findings, here, target.model)
        if alias in names:
            what = f"{label(here)}: {shown(alias)} is a model too, and requests for it go to {shown(target.model)}"
            reader.findings.warn(here, what, "give the alias another name, or remove it", key=True)
    return aliases


def _read_alias(reader: Reader, value: Any, path: Path) -> ModelAlias | None:
    """A name alone, or a mapping with `model` and perhaps `hidden`."""
    mapping = {"model": value} if isinstance(value, str) else value
    if not isinstance(mapping, dict) or mapping.get("model") is None:
        what = f"{label(path)} must be the name of a model, or a mapping with model"
        reader.findings.refuse(path, what, f"write for example {shown(str(path[-1]))}: fast")
        return None
    for key in mapping:
        if key not in ModelAlias.__struct_fields__:
            what = f"{label((*path, key))} is not a setting of an alias"
            reader.findings.refuse((*path, key), what, "write model, and hidden if it is to be", key=True)
    fields = reader.read_fields(ModelAlias, mapping, path)
    return ModelAlias(**fields) if "model" in fields else None
