"""The registry of faults is whole and true: what it names is there, and what is there is named."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest
from tests.faults import test_client, test_upstream
from tests.faults.registry import IDS, REASONS, ROWS
from tests.faults.rows.client import CLIENT
from tests.faults.rows.upstream import UPSTREAM

REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / "reliability.md"
MISSING = "there is no reference beside the project (../shared/reference)"
_PHASE_1_SECTIONS = ("### 2.1 ", "### 2.2 ", "### 2.3 ")
_REASON_CHARS = 40

TABLES: dict[str, dict[str, object]] = {
    f"{UPSTREAM}:test_unusable_answer_is_an_error_of_ours": {**test_upstream.UNUSABLE},
    f"{UPSTREAM}:test_stream_that_breaks_ends_in_an_error_event": {**test_upstream.BROKEN},
    f"{UPSTREAM}:test_odd_stream_is_read_as_it_is_meant": {**test_upstream.ODD},
    f"{UPSTREAM}:test_odd_answer_is_read_as_it_is_meant": {**test_upstream.ODD_WHOLE},
    f"{UPSTREAM}:test_bytes_after_an_answer_end_its_connection": {**test_upstream.SURPLUS},
    f"{CLIENT}:test_oversized_body_is_a_413_and_asks_nobody": {**test_client.SIZES},
    f"{CLIENT}:test_wrong_body_is_a_400_and_asks_nobody": {**test_client.WRONG},
    f"{CLIENT}:test_unusual_body_passes_as_it_is": {**test_client.UNUSUAL},
}


def read_ids(text: str) -> set[str]:
    """The rows of phase 1: those of section 2.1 to 2.3, and of section 3 those whose phase is 1."""
    ids = set()
    for section in re.split(r"^(?=### )", text, flags=re.MULTILINE):
        phase = "" if section.startswith(_PHASE_1_SECTIONS) else r" 1 \|"
        if phase and not section.startswith("### 3."):
            continue
        ids |= set(re.findall(rf"^\| ([A-Z]\d\d) \|{phase}", section, re.MULTILINE))
    return ids


def test_list_of_rows_is_that_of_the_reference() -> None:
    if not REFERENCE.exists():
        pytest.skip(MISSING)
    assert set(IDS) == read_ids(REFERENCE.read_text())


@pytest.mark.parametrize("row", IDS)
def test_row_has_tests_or_a_reason(row: str) -> None:
    assert ROWS.get(row) or len(REASONS[row]) >= _REASON_CHARS


def test_nothing_but_rows_is_registered() -> None:
    assert set(ROWS) | set(REASONS) == set(IDS)


@pytest.mark.parametrize("name", sorted({name for names in ROWS.values() for name in names}))
def test_named_test_exists_where_pytest_collects_it(name: str) -> None:
    module_name, _, function = name.partition(":")
    module = importlib.import_module(module_name)
    assert inspect.isfunction(getattr(module, function))
    assert function.startswith("test_")
    assert Path(inspect.getfile(module)).name.startswith("test_")


def test_rows_of_the_tables_and_of_the_registry_agree() -> None:
    shown = {(row.split(" ")[0], name) for name, table in TABLES.items() for row in table}
    named = {(row, name) for row, names in ROWS.items() for name in names if name in TABLES}
    assert shown == named
