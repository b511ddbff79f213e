"""The registry of faults is true: what it names is there, and what is there is named."""

from __future__ import annotations

import importlib
import inspect

import pytest
from tests.faults import test_client, test_upstream
from tests.faults.registry import CLIENT, ROWS, UPSTREAM

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


@pytest.mark.parametrize("name", sorted({name for names in ROWS.values() for name in names}))
def test_named_test_exists(name: str) -> None:
    module, _, function = name.partition(":")
    assert function.startswith("test_")
    assert inspect.iscoroutinefunction(getattr(importlib.import_module(module), function))


def test_rows_of_the_tables_and_of_the_registry_agree() -> None:
    shown = {(row.split(" ")[0], name) for name, table in TABLES.items() for row in table}
    named = {(row, name) for row, names in ROWS.items() for name in names if name in TABLES}
    assert shown == named
