"""A value held to a type of Anthropic's SDK, typed dictionaries with unknown keys forbidden.

Pydantic would take unknown keys of typed dictionaries, and put off the reading of what is an `Iterable`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_PLAIN = (str, int, float, bool, type(None))


def check_shape(value: Any, hint: Any, where: str = "body") -> None:
    """Raises `AssertionError` naming the place that does not fit."""
    fault = _find_fault(value, hint, where)
    assert fault is None, fault


def _find_fault(value: Any, hint: Any, where: str) -> str | None:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in (Any, object):
        return None
    if origin in (Union, UnionType):
        return _find_closest([_find_fault(value, option, where) for option in arguments])
    if origin is Literal:
        return None if value in arguments else f"{where} is {value!r}, not one of {arguments}"
    if hasattr(hint, "__required_keys__"):
        return _find_fault_of_object(value, hint, where)
    if origin is not None and issubclass(origin, Mapping):
        return None if isinstance(value, dict) else f"{where} is no object"
    if origin is not None and issubclass(origin, (Sequence, Iterable)):
        if not isinstance(value, list):
            return f"{where} is no list"
        faults = (_find_fault(item, arguments[0], f"{where}[{at}]") for at, item in enumerate(value))
        return next((fault for fault in faults if fault is not None), None)
    if hint is float:
        return None if isinstance(value, (int, float)) else f"{where} is no number"
    return None if hint in _PLAIN and type(value) is hint else f"{where} is not {hint}"


@cache
def _read_members(hint: Any) -> dict[str, Any]:
    return get_type_hints(hint)


def _find_fault_of_object(value: Any, hint: Any, where: str) -> str | None:
    if not isinstance(value, dict):
        return f"{where} is no object"
    members = _read_members(hint)
    kind = members.get("type")
    if kind is not None and "type" in value and (fault := _find_fault(value["type"], kind, f"{where}.type")):
        return fault
    wrong = [f"{where}.{name} is unknown" for name in value if name not in members]
    wrong += [f"{where}.{name} is missing" for name in hint.__required_keys__ if name not in value]
    faults = (_find_fault(value[name], members[name], f"{where}.{name}") for name in value if name in members)
    return next((fault for fault in (*wrong, *faults) if fault is not None), None)


def _find_closest(faults: Sequence[str | None]) -> str | None:
    """Nothing where one of the options fits, else the fault of the option that fitted furthest."""
    return None if None in faults else max((fault for fault in faults if fault is not None), key=len)
