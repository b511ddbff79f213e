"""The registry of edge cases is whole and true."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest
from tests.edge_cases.registry import ROWS

_NUMBERED = re.compile(r"test_(\d{3})_")
NAMED = sorted({name for row in ROWS.values() for name in row.tests})


def test_every_case_has_a_row() -> None:
    assert list(ROWS) == list(range(1, 141))


@pytest.mark.parametrize("number", ROWS)
def test_row_has_either_tests_or_a_reason(number: int) -> None:
    row = ROWS[number]
    assert row.promise.endswith(".")
    assert bool(row.tests) != bool(row.reason.strip())


@pytest.mark.parametrize("name", NAMED)
def test_named_test_exists_where_pytest_collects_it(name: str) -> None:
    module_name, _, function = name.partition(":")
    module = importlib.import_module(module_name)
    assert inspect.isfunction(getattr(module, function))
    assert function.startswith("test_")
    assert Path(inspect.getfile(module)).name.startswith("test_")


def test_every_numbered_test_stands_in_the_row_of_its_number() -> None:
    found = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        module = importlib.import_module(f"tests.edge_cases.{path.stem}")
        for function in vars(module):
            if match := _NUMBERED.match(function):
                found.add((int(match[1]), f"{module.__name__}:{function}"))
    assert found == {(number, name) for number, row in ROWS.items() for name in row.tests if _NUMBERED.search(name)}
