"""Every dialect against the contract, with the cases of `tests/recordings/<dialect>/<case>`."""

from __future__ import annotations

from pathlib import Path

import pytest

from feathergate.dialects.chat import CHAT
from feathergate.dialects.contract import Dialect
from feathergate.dialects.gemini import GEMINI
from feathergate.dialects.messages import MESSAGES
from feathergate.testing import Case, check_dialect, load_cases

FOLDER = Path(__file__).parents[1] / "recordings"
CASES = [
    pytest.param(dialect, case, id=f"{dialect.name}-{case.name}")
    for dialect in (CHAT, MESSAGES, GEMINI)
    for case in load_cases(FOLDER / dialect.name)
]


@pytest.mark.parametrize(("dialect", "case"), CASES)
def test_dialect_keeps_its_contract(dialect: Dialect, case: Case) -> None:
    check_dialect(dialect, case)
