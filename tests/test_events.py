"""The legal order of events, and which of them commit an answer."""

from __future__ import annotations

import pytest

from feathergate.events import (
    Event,
    Finished,
    Reasoning,
    Started,
    Text,
    ToolArgs,
    ToolStarted,
    Usage,
    check_legal,
    is_content,
)
from feathergate.wire.chat import Usage as TokenUsage

START, TEXT, END = Started("id", "m"), Text("x"), Finished("stop")
USAGE = Usage(TokenUsage(1, 1, 2))
TOOL = ToolStarted(0, "c", "f")


@pytest.mark.parametrize(
    "events",
    [
        [START, TEXT, END],
        [START, TEXT, END, USAGE],
        [START, TOOL, ToolArgs(0, "{}"), END],
        [START, TEXT, Text("y", 1), END, Finished("length", 1), USAGE],
    ],
)
def test_legal_order_passes(events: list[Event]) -> None:
    check_legal(events)


@pytest.mark.parametrize(
    ("events", "complaint"),
    [
        ([TEXT, END], "precedes Started"),
        ([START, START, END], "second start"),
        ([START, TEXT], "without a finish"),
        ([START, END, TEXT], "follows the finish of choice 0"),
        ([START, END, USAGE, USAGE], "follows Usage"),
        ([START, ToolStarted(1, "c", "f"), END], "tool 1 where 0 was next"),
        ([START, TOOL, TOOL, END], "tool 0 where 1 was next"),
        ([START, ToolArgs(0, "{}"), END], "which has not started"),
    ],
)
def test_illegal_order_is_named(events: list[Event], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        check_legal(events)


def test_only_what_a_client_can_use_is_content() -> None:
    used = [
        event for event in (START, TEXT, Text(""), Reasoning(""), Reasoning("r"), TOOL, END, USAGE) if is_content(event)
    ]
    assert used == [TEXT, Reasoning("r"), TOOL, END]
