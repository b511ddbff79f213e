"""What holds after every fault, whatever it was: the invariants of reliability.md 2.0, as far as one process sees them.

I1 bounded, I2 shape, I3 no leak, I4 no cross-talk, I5 neighbours, I6 one record, I7 no secret, I8 alive, I9 attempts,
I10 named. The times of I5 and I8 are those of the slow suite, whose gateway has a process of its own: here the test,
the gateway and both upstreams share one loop, and only that neighbours are served in bounded time is asked for.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from tests.e2e.native import decode_events, join_text
from tests.e2e.scene import build_get, build_post, get_error
from tests.raw_client import RawClient, Seen

import feathergate
from feathergate.observe.access_log import AccessLog

NEIGHBOUR = "canary"
KEY = "sk-canary-01234567"
ROUND_S = 0.02
UNHEARD_OF = ("never retrieved", "Unclosed", "was destroyed but it is pending", "Traceback")
_OURS = str(Path(feathergate.__file__).parent)
_TESTS = str(Path(__file__).parents[1])


# --- neighbours -----------------------------------------------------------------------------------------------------


def build_nonce_chat(
    model: str, nonce: str, *, deed: str = "", stream: bool = False, headers: Mapping[str, str] | None = None
) -> bytes:
    """A request whose answer says its nonce, of an `ActingUpstream`."""
    content = f"nonce-{nonce}" + (f" do-{deed}" if deed else "")
    body = {"model": model, "messages": [{"role": "user", "content": content}], "stream": stream}
    return build_post(json.dumps(body).encode(), headers)


def read_text(seen: Seen) -> str:
    """What a good answer says, whole or streamed."""
    assert seen.status == 200, seen
    if seen.headers[b"content-type"].startswith(b"text/event-stream"):
        return join_text(decode_events(seen.body))
    text: str = json.loads(seen.body)["choices"][0]["message"]["content"]
    return text


@asynccontextmanager
async def neighbouring(port: int) -> AsyncIterator[None]:
    """While the context is open another client asks the canary, whole and streamed, and `/health`, and gets its own
    answers."""
    asking = asyncio.ensure_future(_ask_on(port))
    try:
        yield
    finally:
        failed = asking.done()
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
        assert not failed


async def _ask_on(port: int) -> None:
    client = RawClient(*await asyncio.open_connection("127.0.0.1", port))
    try:
        for number in count():
            nonce = f"{number:x}"
            seen = await client.ask(build_nonce_chat(NEIGHBOUR, nonce, stream=number % 2 == 1))
            assert read_text(seen) == f"said {nonce}"
            assert (await client.ask(build_get("/health"))).status == 200
            await asyncio.sleep(ROUND_S)
    finally:
        client.writer.transport.abort()


# --- records --------------------------------------------------------------------------------------------------------


class Records:
    """The lines of the access log; `end` waits for the last and reads them."""

    def __init__(self, log: AccessLog, path: Path) -> None:
        self.log = log
        self._path = path
        self.lines: list[dict[str, Any]] = []

    def end(self) -> None:
        self.log.close()
        self.lines = [json.loads(line) for line in self._path.read_text().splitlines()]

    def of(self, model: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line.get("model", "").startswith(model)]


@contextmanager
def keeping_records() -> Iterator[Records]:
    with tempfile.NamedTemporaryFile() as file:
        records = Records(AccessLog(file.fileno(), text=False), Path(file.name))
        try:
            yield records
        finally:
            records.log.close()


def check_records(records: Records, answered: list[Seen]) -> None:
    """I6: each answer has one record of its own, which tells its status. I7, I10."""
    counts = Counter(line["request_id"] for line in records.lines)
    assert not [name for name, times in counts.items() if times != 1]
    by_id = {line["request_id"]: line for line in records.lines}
    for seen in answered:
        line = by_id[seen.headers[b"x-request-id"].decode()]
        assert line["status"] == seen.status or is_broken(seen), (line, seen)
    for line in records.lines:
        assert bool(line.get("error")) == (line["status"] >= 400 and line["status"] != 499), line
        assert KEY not in str(line)
        assert "nonce-" not in str(line)


def is_broken(seen: Seen) -> bool:
    """A stream that began well and ended in an error event."""
    return seen.status == 200 and b'"feathergate_error"' in seen.body[-2000:]


# --- answers --------------------------------------------------------------------------------------------------------


def check_answer(seen: Seen) -> None:
    """I2 and I7: a refusal has our shape, a stream breaks in an event that is its last; no key and no trace."""
    if seen.status >= 400:
        get_error(seen)
    elif is_broken(seen):
        events = decode_events(seen.body)
        assert "[DONE]" not in events
        assert [event for event in events if "error" in event] == events[-1:]
    everything = repr(seen)
    assert KEY not in everything
    assert "Traceback" not in everything


# --- leaks ----------------------------------------------------------------------------------------------------------


def count_descriptors(pid: int | str = "self") -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def find_tasks() -> list[str]:
    """The gateway's tasks that are not over. A compiled coroutine, which does not say where it is from, is one."""
    found = []
    for task in asyncio.all_tasks():
        code = getattr(task.get_coro(), "cr_code", None)
        path = code.co_filename if code is not None else _OURS
        if path.startswith(_OURS) and not path.startswith(_TESTS):
            found.append(repr(task))
    return found
