"""`model_list`: each entry into a `ModelEntry`, and what an entry alone can tell of its model.

Keys of `litellm_params` that are no setting are default parameters of the request, as LiteLLM has it. Of entries
with the same `model_name` the first whose provider is supported serves; the others are checked, said, and left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET

from . import litellm
from .document import Path
from .environment import KnownProvider, read_key
from .finding import label, nearest, shown
from .schema import LitellmParams, ModelEntry, ModelInfo, Parameters
from .secret import Secret
from .section import MODEL_KEYS, Reader

_REQUEST_TYPES = {float: "a number", int: "a whole number", bool: "true or false"}
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OUR_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding"})
_ALIASES = frozenset({"base_url", "headers"})
_UNREAD = _ALIASES | {"defaults"}
_PARAM_KEYS = tuple(name for name in LitellmParams.__struct_fields__ if name != "defaults")
# An `api_key` that says that none is to be sent, not even the one in the provider's usual variable.
_NO_KEY = Secret("")
# What model_info reads and LiteLLM does not know: a misspelling of it would be taken for a free key.
_OUR_INFO_KEYS = ("translation", "capability")


def read_models(
    reader: Reader,
    value: Any,
    known_providers: Mapping[str, KnownProvider] | None,
    capability: type[msgspec.Struct],
) -> tuple[ModelEntry, ...]:
    """All entries that are right, each name once; a problem or a notice for each thing that is not."""
    if not isinstance(value, list) or not value:
        reader.findings.refuse(
            ("model_list",),
            "model_list must be a list of models",
            "write for example - model_name: NAME, or remove model_list to serve the models of the environment",
        )
        return ()
    named: dict[str, list[tuple[Path, ModelEntry]]] = {}
    for index, item in enumerate(value):
        entry = _read_entry(reader, item, ("model_list", index), capability)
        if entry is None:
            continue
        if known_providers is not None:
            entry = _complete(reader, entry, ("model_list", index, "litellm_params"), known_providers)
        named.setdefault(entry.model_name, []).append((("model_list", index, "model_name"), entry))
    return tuple(_choose_entry(reader, alike, known_providers) for alike in named.values())


def _choose_entry(
    reader: Reader, alike: list[tuple[Path, ModelEntry]], known_providers: Mapping[str, KnownProvider] | None
) -> ModelEntry:
    """Of entries of one name the one that serves; a word where there are several."""
    _, first = alike[0]
    chosen = next((entry for _, entry in alike if _is_served(entry, known_providers)), first)
    if len(alike) > 1:
        which = f"the first, on line {first.line}," if chosen is first else f"the supported one, on line {chosen.line},"
        reader.findings.warn(
            alike[1][0],
            f"model_name {shown(first.model_name)} stands {len(alike)} times",
            f"only {which} serves: balancing has no effect yet",
        )
    return chosen


def _is_served(entry: ModelEntry, known_providers: Mapping[str, KnownProvider] | None) -> bool:
    if known_providers is None or entry.params.mock_response is not None:
        return True
    return litellm.split_model(entry.params.model)[0] in known_providers


def _read_entry(reader: Reader, item: Any, path: Path, capability: type[msgspec.Struct]) -> ModelEntry | None:
    if not isinstance(item, dict):
        reader.findings.refuse(path, f"{label(path)} must be a mapping", "write model_name and litellm_params")
        return None
    for key, value in item.items():
        if key not in MODEL_KEYS:
            reader.judge_key("model_list", (*path, key), value, MODEL_KEYS)
    if "model_name" not in item:
        reader.findings.refuse(path, f"{label(path)} has no model_name", "give it the name that clients ask for")
    own = {key: item[key] for key in ("model_name",) if key in item}
    name = reader.read_fields(ModelEntry, own, path, "remove the model").get("model_name")
    info = _read_info(reader, item.get("model_info"), (*path, "model_info"), capability)
    remove = f'remove model "{shown(name)}"' if name else "remove the model"
    params = _read_params(reader, item.get("litellm_params", UNSET), (*path, "litellm_params"), remove)
    if not name or params is None:
        return None
    return ModelEntry(model_name=name, params=params, model_info=info, line=reader.findings.place(path)[0])


def _read_info(reader: Reader, value: Any, path: Path, capability: type[msgspec.Struct]) -> ModelInfo:
    mapping = reader.read_mapping(value, path)
    own = {key: item for key, item in mapping.items() if key in ("translation", "max_output_tokens")}
    fields = reader.read_fields(ModelInfo, own, path)
    fields["capability"] = _read_capability(reader, mapping.get("capability"), (*path, "capability"), capability)
    others = {key: item for key, item in mapping.items() if key not in ModelInfo.__struct_fields__}
    for key in others:
        near = nearest(key, _OUR_INFO_KEYS)
        if near:
            reader.findings.refuse(
                (*path, key), f"{label((*path, key))} is not a setting", f"did you mean {near}?", key=True
            )
    filled = {key: reader.fill(item, (*path, key), "remove the line") for key, item in others.items()}
    fields["others"] = {key: item for key, item in filled.items() if item is not UNSET}
    return ModelInfo(**fields)


def _read_capability(reader: Reader, value: Any, path: Path, capability: type[msgspec.Struct]) -> Parameters:
    """Those fields of `capability` that are given; no other key has a meaning here."""
    mapping, known = reader.read_mapping(value, path), capability.__struct_fields__
    for key in mapping:
        if key not in known:
            near = nearest(key, known)
            fix = f"did you mean {near}?" if near else "docs/configuration.md names them all"
            reader.findings.refuse((*path, key), f"{label((*path, key))} is no capability", fix, key=True)
    return Parameters(reader.read_fields(capability, mapping, path))


def _read_params(reader: Reader, value: Any, path: Path, remove: str) -> LitellmParams | None:
    findings = reader.findings
    if value is UNSET or value is None:
        findings.refuse(path, f"{label(path[:2])} has no litellm_params", "write litellm_params with a model")
        return None
    mapping = _use_base_url(reader, reader.read_mapping(value, path), path)
    mapping = _use_headers(reader, mapping, path)
    if "model" not in mapping and isinstance(value, dict):
        findings.refuse(path, "litellm_params has no model", "write for example model: openai/gpt-5-mini")
    fields = reader.read_fields(
        LitellmParams, {key: mapping[key] for key in mapping if key not in _UNREAD}, path, remove
    )
    fields["defaults"] = _read_defaults(reader, mapping, path, remove)
    if mapping.get("api_key") is not None:
        fields["api_key"] = _judge_api_key(reader, fields.get("api_key", _NO_KEY), path)
    _check_address(reader, fields, path)
    _check_headers(reader, fields, path)
    if "model" not in fields:
        return None
    return LitellmParams(**fields)


def _use_base_url(reader: Reader, mapping: dict[str, Any], path: Path) -> dict[str, Any]:
    """LiteLLM also takes `base_url` for `api_base`, which wins."""
    if mapping.get("base_url") is None:
        return mapping
    if mapping.get("api_base") is not None:
        reader.findings.warn(
            (*path, "base_url"), f"{label((*path, 'base_url'))} has no effect beside api_base", key=True
        )
        return mapping
    reader.findings.alias((*path, "api_base"), (*path, "base_url"))
    return {**mapping, "api_base": mapping["base_url"]}


def _use_headers(reader: Reader, mapping: dict[str, Any], path: Path) -> dict[str, Any]:
    """LiteLLM also takes `headers` for `extra_headers`; both add up, and of two alike `extra_headers` wins."""
    headers, extra = mapping.get("headers"), mapping.get("extra_headers")
    if headers is None:
        return mapping
    headers = reader.read_mapping(headers, (*path, "headers"))
    if extra is None:
        reader.findings.alias((*path, "extra_headers"), (*path, "headers"))
        extra = {}
    if not isinstance(extra, dict):
        return mapping
    for name in headers.keys() - extra.keys():
        reader.findings.alias((*path, "extra_headers", name), (*path, "headers", name))
    return {**mapping, "extra_headers": {**headers, **extra}}


def _read_defaults(reader: Reader, mapping: dict[str, Any], path: Path, remove: str) -> Parameters:
    """Every key that is no setting, as a default parameter of the request."""
    defaults = Parameters()
    for key, raw in mapping.items():
        here = (*path, key)
        if key in _PARAM_KEYS or key in _ALIASES:
            continue
        if litellm.is_later_param(key) or key in litellm.SECTIONS["litellm_params"].refused:
            _judge_later(reader, here, raw)
        elif key in _OUR_INFO_KEYS:
            reader.judge_key("litellm_params", here, raw, _PARAM_KEYS)
        elif litellm.is_credential(key):
            _judge_credential(reader, here)
        elif raw is not None:
            _judge_spelling(reader, here)
            value = _convert_default(reader, key, reader.fill(raw, here, remove), here)
            if value is not UNSET:
                defaults[key] = value
    return defaults


def _judge_later(reader: Reader, path: Path, value: Any) -> None:
    key = str(path[-1])
    if key in litellm.SECTIONS["litellm_params"].names():
        reader.judge_key("litellm_params", path, value, _PARAM_KEYS)
    else:
        reader.findings.note(path, f"{label(path)} has no effect yet", key=True)


def _judge_credential(reader: Reader, path: Path) -> None:
    near = nearest(str(path[-1]), _PARAM_KEYS)
    reader.findings.warn(
        path,
        f"{label(path)} looks like a credential, and is not sent as a request parameter",
        f"did you mean {near}?" if near else "write it under extra_body if the provider wants it in the body",
        key=True,
    )


def _judge_spelling(reader: Reader, path: Path) -> None:
    key = str(path[-1])
    if key in litellm.REQUEST_PARAMETERS:
        return
    near = nearest(key, (*_PARAM_KEYS, *litellm.REQUEST_PARAMETERS, *litellm.SECTIONS["litellm_params"].names()))
    if near:
        reader.findings.warn(
            path,
            f"{label(path)} is no setting, and is sent to the provider as it is",
            f"did you mean {near}?",
            key=True,
        )


def _convert_default(reader: Reader, key: str, value: Any, path: Path) -> Any:
    """A parameter of known type may be given as text, from the environment above all."""
    kind = litellm.REQUEST_PARAMETERS.get(key, object)
    if value is UNSET or kind is object:
        return value
    try:
        converted: Any = msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError:
        converted = UNSET
    if converted is UNSET or (isinstance(converted, float) and not math.isfinite(converted)):
        reader.findings.refuse(path, f"{label(path)} must be {_REQUEST_TYPES[kind]}")
        return UNSET
    return converted


def _judge_api_key(reader: Reader, key: Secret, path: Path) -> Secret:
    """The key to send, or that there is none. LiteLLM's references to secret managers would be sent as keys."""
    if key.reveal().startswith("oidc/"):
        reader.findings.refuse(
            (*path, "api_key"),
            f"{label((*path, 'api_key'))}: oidc/… is not supported",
            "put the key into the environment and write os.environ/NAME",
        )
    return _NO_KEY if key.reveal().lower() == "none" else key


def _check_address(reader: Reader, fields: dict[str, Any], path: Path) -> None:
    address = fields.get("api_base")
    if address is not None and not is_http_address(address):
        reader.findings.refuse(
            (*path, "api_base"),
            f"{label((*path, 'api_base'))} is not the address of a server",
            "write for example https://host:8000/v1, with neither user nor password",
        )


def _check_headers(reader: Reader, fields: dict[str, Any], path: Path) -> None:
    for name in fields.get("extra_headers") or ():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OUR_HEADERS:
            reader.findings.refuse(
                (*path, "extra_headers", name),
                f"{label((*path, 'extra_headers', name))} cannot be set as a header",
                "remove it: the gateway writes this one itself, or HTTP does not allow the name",
                key=True,
            )


def _complete(
    reader: Reader, entry: ModelEntry, path: Path, known_providers: Mapping[str, KnownProvider]
) -> ModelEntry:
    """The entry with its provider's usual variables in the place of what it does not say; a word where something
    is missing all the same, or the provider is not known."""
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
            "requests to it are answered with 400",
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
