"""Plain values into a struct's fields, one problem for each that is wrong; keys that no field reads are judged.

msgspec stops at the first error, so every field is converted by itself. Strings are filled with their variables
first, and may stand for numbers (`timeout: os.environ/T`). Values without effect are not looked at: a variable
that only they need may be missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar, get_args

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.inspect import (
    BoolType,
    CustomType,
    DictType,
    FloatType,
    IntType,
    LiteralType,
    Metadata,
    NoneType,
    StrType,
    StructType,
    Type,
    UnionType,
    VarTupleType,
    type_info,
)

from . import litellm
from .document import Path
from .environment import expand
from .finding import Findings, label, nearest, shown
from .schema import (
    GeneralSettings,
    LitellmParams,
    LitellmSettings,
    ModelInfo,
    Parameters,
    RouterSettings,
    ServerSettings,
)
from .secret import Secret, is_key

S = TypeVar("S", bound=msgspec.Struct)

SECTION_STRUCTS: dict[str, type[msgspec.Struct]] = {
    "general_settings": GeneralSettings,
    "litellm_settings": LitellmSettings,
    "router_settings": RouterSettings,
    "server_settings": ServerSettings,
}

MODEL_KEYS = ("model_name", "litellm_params", "model_info")
TOP_KEYS = ("model_list", *SECTION_STRUCTS)
KEY_LENGTH_LIMIT = 16

# In which section a setting belongs that is found in another.
_HOMES = {field: section for section, struct in SECTION_STRUCTS.items() for field in struct.__struct_fields__}
_MODEL_HOMES = {
    **dict.fromkeys(ModelInfo.__struct_fields__, "model_info"),
    **dict.fromkeys(LitellmParams.__struct_fields__, "litellm_params"),
}
_EMPTY_KEY_FIXES = {"api_key": "no key is sent: write api_key: none if that is meant, or give the key"}
_NOT_SAFE_ELSEWHERE = ("master_key", "api_key", "translation", "capability")

# The words for types that bear no title of their own.
_TEXT = "text of printable ASCII characters"
_EXPECTED: dict[type, str] = {
    BoolType: "true or false",
    IntType: "a whole number",
    FloatType: "a number",
    StrType: "text",
    DictType: "a mapping",
    StructType: "a mapping",
}
_EXPECTED_CUSTOM: dict[type, str] = {Secret: _TEXT, Parameters: "a mapping"}


def expectation(kind: Type) -> tuple[str, str]:
    """In words, what a field takes, and an example of it (or an empty string)."""
    if isinstance(kind, Metadata):
        words, example = expectation(kind.type)
        schema = kind.extra_json_schema or {}
        examples = schema.get("examples") or [example]
        return schema.get("title", words), str(examples[0])
    if isinstance(kind, UnionType):
        return expectation(next(member for member in kind.types if not isinstance(member, NoneType)))
    if isinstance(kind, VarTupleType):
        words, example = expectation(kind.item_type)
        return f"a list, each entry {words}", example
    if isinstance(kind, LiteralType):
        return "one of " + ", ".join(map(str, kind.values)), str(kind.values[0])
    if isinstance(kind, CustomType):
        return _EXPECTED_CUSTOM[kind.cls], ""
    return _EXPECTED.get(type(kind), ""), ""


def decode_custom(kind: type, value: Any) -> Any:
    """msgspec's hook for the types of ours: a key is trimmed and fit for a header."""
    if kind is Parameters and isinstance(value, dict):
        return Parameters(value)
    if kind is Secret and isinstance(value, str) and is_key(value.strip()):
        return Secret(value.strip())
    raise ValueError("not convertible")


class Reader:
    """What one reading of a file shares: the variables, what is found, and which values came from variables."""

    def __init__(self, findings: Findings, environ: Mapping[str, str]) -> None:
        self.findings = findings
        self.environ = environ
        self.has_literal_key = False
        self._expanded: set[Path] = set()

    def fill(self, value: Any, path: Path, remove: str) -> Any:
        """`value` with its variables filled in at any depth; UNSET if one cannot be."""
        if isinstance(value, str):
            return self._fill_text(value, path, remove)
        if isinstance(value, list):
            items = [self.fill(item, (*path, index), remove) for index, item in enumerate(value)]
            return UNSET if UNSET in items else items
        if isinstance(value, dict):
            members = {key: self.fill(item, (*path, key), remove) for key, item in value.items()}
            return UNSET if UNSET in members.values() else members
        return value

    def _fill_text(self, text: str, path: Path, remove: str) -> str | UnsetType:
        expanded = expand(text, self.environ)
        if expanded.names:
            self._expanded.add(path)
        for name in expanded.missing:
            self.findings.refuse(
                path,
                f"{label(path)}: environment variable {shown(name)} is not set",
                f"export it, put it in .env, or {remove}",
            )
        if expanded.malformed:
            self.findings.refuse(
                path,
                f"{label(path)}: a reference to a variable that cannot be read",
                "write ${NAME}, ${NAME:-default} or os.environ/NAME, or $${ for a literal ${",
            )
        return UNSET if expanded.missing or expanded.malformed else expanded.text

    def read_fields(
        self, struct: type[msgspec.Struct], mapping: Mapping[str, Any], path: Path, remove: str = "remove the line"
    ) -> dict[str, Any]:
        """Those fields of `struct` that `mapping` has and that are right; a problem for each that is wrong."""
        fields: dict[str, Any] = {}
        for field in _fields(struct):
            # Nothing after the colon is as if the key were not there.
            if mapping.get(field.name) is None and (not field.required or field.name not in mapping):
                continue
            value = self._read_value(mapping[field.name], field.type, (*path, field.name), remove)
            if value is not UNSET:
                fields[field.name] = value
        return fields

    def _read_value(self, value: Any, kind: Any, path: Path, remove: str) -> Any:
        """`value` as a field's type wants it; structs within it field by field."""
        struct, is_table = _find_struct(kind)
        if struct is None:
            filled = self.fill(value, path, remove)
            return UNSET if filled is UNSET else self._convert(filled, kind, path)
        if not is_table:
            return self._read_struct(struct, value, path, remove)
        table = self.read_mapping(value, path)
        return {key: self._read_struct(struct, item, (*path, key), remove) for key, item in table.items()}

    def _read_struct(self, struct: type[S], value: Any, path: Path, remove: str) -> S:
        mapping = self.read_mapping(value, path)
        for key in mapping:
            if key not in struct.__struct_fields__:
                self._judge_unknown((*path, key), struct.__struct_fields__)
            elif key in litellm.POLICIES_OF_THE_REQUEST and mapping[key]:
                what = f"{label((*path, key))} has no effect: what is wrong with a request is so everywhere"
                self.findings.note((*path, key), what, key=True)
        return struct(**self.read_fields(struct, mapping, path, remove))

    def _convert(self, value: Any, kind: Any, path: Path) -> Any:
        is_secret = holds_secret(kind)
        if is_secret and isinstance(value, str) and not value.strip():
            return self._judge_empty_key(path)
        try:
            converted = msgspec.convert(value, kind, strict=False, dec_hook=decode_custom)
        except msgspec.ValidationError:
            self.refuse_value(value, type_info(kind), path, is_secret=is_secret)
            return UNSET
        if is_secret and isinstance(value, str):
            self._judge_literal_key(value, path)
        return converted

    def refuse_value(self, value: Any, kind: Type, path: Path, *, is_secret: bool = False) -> None:
        """A problem that says what `path` takes and, where that tells nothing secret, what it is instead."""
        words, example = expectation(kind)
        fix = f"write for example {path[-1]}: {example}" if example else ""
        if words.startswith("text") and isinstance(value, int | float):
            fix = "put it in quotes"
        found = "" if is_secret else _describe(value)
        self.findings.refuse(path, f"{label(path)} must be {words}{found}", fix)

    def _judge_empty_key(self, path: Path) -> UnsetType:
        judge = self.findings.refuse if path[-1] == "master_key" else self.findings.warn
        fix = _EMPTY_KEY_FIXES.get(str(path[-1]), "remove the line, or give the key")
        judge(path, f"{label(path)} is empty", fix)
        return UNSET

    def _judge_literal_key(self, text: str, path: Path) -> None:
        looks_real = re.fullmatch(rf"[^\s<>${{}}]{{{KEY_LENGTH_LIMIT},}}", text) and "://" not in text
        if path not in self._expanded and looks_real:
            self.has_literal_key = True
            self.findings.warn(
                path, f"{label(path)} looks like a literal key", "prefer os.environ/NAME, with the key in .env"
            )

    def read_section(self, struct: type[S], top: Mapping[str, Any], name: str) -> S:
        """One section of settings; what is missing or wrong has its default."""
        return struct(**self.read_fields(struct, self.read_keys(struct, top, name), (name,)))

    def read_keys(self, struct: type[msgspec.Struct], top: Mapping[str, Any], name: str) -> dict[str, Any]:
        """One section as it stands in the file, its keys judged."""
        mapping = self.read_mapping(top.get(name), (name,))
        known = (*struct.__struct_fields__, *(sorted(litellm.SHARED) if struct is LitellmSettings else ()))
        for key, value in mapping.items():
            if key not in known:
                self.judge_key(name, (name, key), value, known)
        return mapping

    def read_mapping(self, value: Any, path: Path) -> dict[str, Any]:
        """`value` if it is a mapping; an empty one for nothing, and with a problem for anything else."""
        if isinstance(value, dict):
            return value
        if value is not None:
            self.findings.refuse(path, f"{label(path)} must be a mapping{_describe(value)}", "indent its keys below it")
        return {}

    def judge_key(self, section: str, path: Path, value: Any, known: tuple[str, ...]) -> None:
        """A key that no field of `section` reads: without effect, in the wrong place, misspelled, or unknown."""
        key, name, keys = str(path[-1]), label(path), litellm.SECTIONS[section]
        home = (_MODEL_HOMES if section in ("model_list", "litellm_params") else _HOMES).get(key)
        if key in keys.refused:
            # A protection that is written out as off asks for nothing.
            if value:
                self.findings.refuse(path, f"{name} is not supported here", keys.refused[key], key=True)
        elif key in litellm.CALLBACKS and section == "litellm_settings":
            self._judge_callbacks(path, value)
        elif key in keys.later:
            self.findings.note(path, f"{name} has no effect yet", key=True)
        elif key in keys.never:
            self.findings.note(path, f"{name} has no effect in FeatherGate", key=True)
        elif key in litellm.SILENT.get(section, ()):
            return
        elif home:
            judge = self.findings.refuse if key in _NOT_SAFE_ELSEWHERE else self.findings.warn
            judge(path, f"{name} has no effect in this place", f"write it under {home}", key=True)
        else:
            self._judge_unknown(path, (*known, *sorted(keys.names())))

    def _judge_unknown(self, path: Path, candidates: tuple[str, ...]) -> None:
        name, near = label(path), nearest(str(path[-1]), candidates)
        if near:
            self.findings.refuse(path, f"{name} is not a setting", f"did you mean {near}?", key=True)
        elif litellm.is_security(str(path[-1])):
            self.findings.refuse(
                path,
                f"{name} is not a setting, and leaving it out may weaken what you asked for",
                "remove it if you can do without",
                key=True,
            )
        else:
            self.findings.warn(path, f"{name} is not a setting that FeatherGate knows, and has no effect", key=True)

    def _judge_callbacks(self, path: Path, value: Any) -> None:
        for index, item in enumerate(value if isinstance(value, list) else [value]):
            callback = item if isinstance(item, str) else ""
            what, fix = f"{label(path)}: {shown(callback)}", litellm.refuse_callback(callback)
            if fix:
                self.findings.refuse((*path, index), f"{what} is not supported", fix)
            elif callback and callback not in litellm.SILENT_CALLBACKS:
                self.findings.note((*path, index), f"{what} has no effect yet")


@cache
def _fields(struct: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(struct)


@cache
def _find_struct(kind: Any) -> tuple[type[msgspec.Struct] | None, bool]:
    """The struct that a field of this type holds, if it does, and whether it holds a table of such by their names."""
    plain = _strip(type_info(kind))
    is_table = isinstance(plain, DictType)
    item = _strip(plain.value_type) if isinstance(plain, DictType) else plain
    return (item.cls if isinstance(item, StructType) else None), is_table


def _strip(kind: Type) -> Type:
    """A type without what is said of it, and without None beside it."""
    if isinstance(kind, Metadata):
        return _strip(kind.type)
    if isinstance(kind, UnionType):
        return _strip(next(member for member in kind.types if not isinstance(member, NoneType)))
    return kind


@cache
def holds_secret(kind: Any) -> bool:
    """Whether a field of this type holds a secret."""
    return kind is Secret or any(map(holds_secret, get_args(kind)))


def _describe(value: Any) -> str:
    """What a wrong value is; text is not repeated, it may be a key in the wrong place."""
    if value is None:
        return ", not empty"
    if isinstance(value, bool):
        return f", not {str(value).lower()}"
    if isinstance(value, int | float):
        return f", not {value}"
    return ", not a list" if isinstance(value, list) else ", not a mapping" if isinstance(value, dict) else ""
