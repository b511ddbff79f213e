"""The bench measures what it is told to, refuses what it does not know, and goes on where a part fails."""

from __future__ import annotations

import pytest
from bench.ask import Ask
from bench.load import render_script
from bench.part import PARTS, Options
from bench.report import measure_parts, read_options, to_json
from bench.wire import Round, Turns


def test_without_a_word_every_part_is_measured_and_no_peer() -> None:
    asked = read_options([])
    assert (asked.only, asked.peers, asked.rounds) == ([*PARTS], [], 3)


@pytest.mark.parametrize("arguments", [["--only", "request,speed"], ["--peers", "nobody"]])
def test_an_unknown_name_is_refused_with_those_that_there_are(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        read_options(arguments)
    assert "there is no" in capsys.readouterr().err


def test_without_wrk_a_part_says_so_and_the_others_go_on() -> None:
    options = Options(Turns(1, 1), 1, 1, ["litellm"], wrk=None, nginx=None)
    findings, failures = measure_parts(["workers", "peers"], options)
    assert findings == {"workers": [], "peers": []}
    assert all("wrk is not installed" in word for word in failures.values())


def test_named_tuples_are_objects_in_the_record() -> None:
    turn = Round(1, 2.0, 3.0, 4.0, 5.0)
    assert to_json({"a": (turn,)})["a"][0]["proxy_cpu_s"] == 3.0


def test_wrk_is_told_body_and_headers_as_they_are() -> None:
    script = render_script(Ask("/", '{"a": "%d \\n"}', {"x-one": "1"}))
    assert '[==[{"a": "%d \\n"}]==]' in script
    assert 'wrk.headers["x-one"] = "1"' in script
