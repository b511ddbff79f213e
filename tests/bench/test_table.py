"""What the reader sees: a verdict beside each figure that has a bar, and nothing where nothing was measured."""

from __future__ import annotations

import pytest
from bench.ask import PROVIDERS
from bench.contest import Contest
from bench.process import Memory
from bench.start import Start
from bench.table import RATIO_BARS, judge, render_contest, render_cost, render_markdown, render_us
from bench.wire import PROMPT_1MB, REQUEST, STREAM
from tests.bench.cost import make_cost


def test_a_figure_passes_up_to_its_bar() -> None:
    assert [judge(value, 2.5, "ms") for value in (2.5, 2.51)] == ["pass: at most 2.5 ms", "FAIL: at most 2.5 ms"]


def test_every_work_has_a_bar_for_every_provider() -> None:
    assert {*RATIO_BARS} == {(work.name, name) for work in (REQUEST, STREAM, PROMPT_1MB) for name in PROVIDERS}


def test_a_cost_stands_beside_nginx_and_its_bar() -> None:
    (row,) = render_cost(make_cost(FeatherGate=[25.0], nginx=[10.0]))
    assert row == ("CPU per request, OpenAI", "25.0 µs", "10.0 µs", "2.50", "FAIL: at most 2.4")


def test_without_nginx_a_cost_has_no_verdict() -> None:
    (row,) = render_cost(make_cost(FeatherGate=[25.0]))
    assert (row.nginx, row.ratio, row.bar) == ("", "", "")


@pytest.mark.parametrize(("cost_us", "text"), [(9.96, "10.0 µs"), (1500.0, "1.50 ms")])
def test_costs_have_a_unit_that_suits_them(cost_us: float, text: str) -> None:
    assert render_us(cost_us) == text


def test_a_table_without_rows_is_nothing() -> None:
    assert render_markdown(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"
    assert render_markdown(("a", "b"), []) == ""


def test_the_contest_has_a_row_for_everyone_who_took_part() -> None:
    cost = make_cost(FeatherGate=[20.0], nginx=[10.0], LiteLLM=[5000.0])
    start, memory = Start(0.5, 0.6), Memory(rss_kib=1000, pss_kib=900)
    names = ("FeatherGate", "LiteLLM", "Portkey")
    rows = render_contest(Contest([cost], {}, dict.fromkeys(names, start), dict.fromkeys(names, memory), []))
    assert rows[1] == ("LiteLLM", "5.00 ms (500.0)", "1.0 MB", "0.50 s")
    assert [row[:2] for row in rows[2:]] == [("Portkey", "not done"), ("nginx", "10.0 µs (1.0)")]
