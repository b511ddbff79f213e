"""`model_list`: each entry into a `ModelEntry`, and what an entry alone can tell of its model.

Keys of `litellm_params` that are no setting are default parameters of the request, as LiteLLM has it; some that are
settings may stand elsewhere in the entry. What its provider adds is in `completion.py`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import UNSET

from . import litellm
from .completion import complete, is_http_address, is_served
from .document import Path
from .environment import KnownProvider
from .finding import label, nearest, shown
from .schema import LitellmParams, ModelEntry, ModelInfo, Parameters
from .secret import Secret
from .section import MODEL_KEYS, Reader

_REQUEST_TYPES = {float: "a number", int: "a whole number", bool: "true or false"}
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OUR_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding"})
_ALIASES = MappingProxyType({"base_url": "api_base", "max_retries": "num_retries"})
_RENAMED = frozenset((*_ALIASES, "headers"))
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
    """All entries that are right; a problem or a notice for each thing that is not."""
    if not isinstance(value, list) or not value:
        reader.findings.refuse(
            ("model_list",),
            "model_list must be a list of models",
            "write for example - model_name: NAME, or remove model_list to serve the models of the environment",
        )
        return ()
    entries: dict[Path, ModelEntry] = {}
    for index, item in enumerate(value):
        entry = _read_entry(reader, item, ("model_list", index), capability)
        if entry is not None:
            entries["model_list", index] = entry
    _judge_ids(reader, entries)
    if known_providers is None:
        return tuple(entries.values())
    served = {entry.model_name for entry in entries.values() if is_served(entry, known_providers)}
    return tuple(
        complete(reader, entry, (*path, "litellm_params"), known_providers, alone=entry.model_name not in served)
        for path, entry in entries.items()
    )


def _judge_ids(reader: Reader, entries: Mapping[Path, ModelEntry]) -> None:
    """A deployment's own name is its own: its health is kept under it."""
    first: dict[str, ModelEntry] = {}
    for path, entry in entries.items():
        name = entry.model_info.id
        if name is not None and first.setdefault(name, entry) is not entry:
            what = f"model_info.id: {shown(name)} is the name of another deployment already"
            fix = f"give each its own: the other is on line {first[name].line}"
            reader.findings.refuse((*path, "model_info", "id"), what, fix)


def _read_entry(reader: Reader, item: Any, path: Path, capability: type[msgspec.Struct]) -> ModelEntry | None:
    if not isinstance(item, dict):
        reader.findings.refuse(path, f"{label(path)} must be a mapping", "write model_name and litellm_params")
        return None
    for key, value in item.items():
        if key not in MODEL_KEYS and key not in litellm.BESIDE_PARAMS:
            reader.judge_key("model_list", (*path, key), value, MODEL_KEYS)
    if "model_name" not in item:
        reader.findings.refuse(path, f"{label(path)} has no model_name", "give it the name that clients ask for")
    own = {key: item[key] for key in ("model_name",) if key in item}
    name = reader.read_fields(ModelEntry, own, path, "remove the model").get("model_name")
    info = _read_info(reader, item.get("model_info"), (*path, "model_info"), capability)
    remove = f'remove model "{shown(name)}"' if name else "remove the model"
    params = _read_params(reader, item, path, remove)
    if not name or params is None:
        return None
    return ModelEntry(model_name=name, params=params, model_info=info, line=reader.findings.place(path)[0])


def _read_info(reader: Reader, value: Any, path: Path, capability: type[msgspec.Struct]) -> ModelInfo:
    mapping = reader.read_mapping(value, path)
    own = {key: item for key, item in mapping.items() if key in ("translation", "max_output_tokens")}
    if mapping.get("id") is not None:
        own["id"] = str(mapping["id"]) if type(mapping["id"]) is int else mapping["id"]
    fields = reader.read_fields(ModelInfo, own, path)
    fields["capability"] = _read_capability(reader, mapping.get("capability"), (*path, "capability"), capability)
    later = litellm.SECTIONS["model_info"].later
    read = (*ModelInfo.__struct_fields__, *litellm.IN_MODEL_INFO)
    others = {key: item for key, item in mapping.items() if key not in read}
    for key in later & others.keys():
        reader.judge_key("model_info", (*path, key), others.pop(key), read)
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


def _read_params(reader: Reader, item: Mapping[str, Any], entry: Path, remove: str) -> LitellmParams | None:
    findings, path, value = reader.findings, (*entry, "litellm_params"), item.get("litellm_params")
    if value is None:
        findings.refuse(path, f"{label(entry)} has no litellm_params", "write litellm_params with a model")
        return None
    mapping = _gather(reader, item, reader.read_mapping(value, path), entry)
    mapping = _use_headers(reader, mapping, path)
    if "model" not in mapping and isinstance(value, dict):
        findings.refuse(path, "litellm_params has no model", "write for example model: openai/gpt-5-mini")
    fields = reader.read_fields(
        LitellmParams, {key: mapping[key] for key in mapping if key in _PARAM_KEYS}, path, remove
    )
    fields["defaults"] = _read_defaults(reader, mapping, path, remove)
    if mapping.get("api_key") is not None:
        fields["api_key"] = _judge_api_key(reader, fields.get("api_key", _NO_KEY), path)
    _check_address(reader, fields, path)
    _check_headers(reader, fields, path)
    if "model" not in fields:
        return None
    return LitellmParams(**fields)


def _gather(reader: Reader, item: Mapping[str, Any], params: dict[str, Any], entry: Path) -> dict[str, Any]:
    """The entry's `litellm_params` with what stands under another name, beside them, or in `model_info`."""
    path, info, gathered = (*entry, "litellm_params"), item.get("model_info"), dict(params)
    if not isinstance(info, dict):
        info = {}
    for alias, key in _ALIASES.items():
        _adopt(reader, gathered, (*path, key), params.get(alias), (*path, alias))
    for key in litellm.BESIDE_PARAMS:
        if _adopt(reader, gathered, (*path, key), item.get(key), (*entry, key)):
            what = f"{key} is taken from beside litellm_params"
            reader.findings.warn((*entry, key), what, "write it under litellm_params", key=True)
    for key in litellm.IN_MODEL_INFO:
        _adopt(reader, gathered, (*path, key), info.get(key), (*entry, "model_info", key))
    return gathered


def _adopt(reader: Reader, params: dict[str, Any], path: Path, value: Any, origin: Path) -> bool:
    """Put `value`, which stands at `origin`, where it is read, unless `params` has its own. Whether it was put."""
    if value is None:
        return False
    key = str(path[-1])
    if params.get(key) is not None:
        reader.findings.warn(origin, f"{label(origin)} has no effect beside {label(path)}", key=True)
        return False
    reader.findings.alias(path, origin)
    params[key] = value
    return True


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
        if key in _PARAM_KEYS or key in _RENAMED:
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
