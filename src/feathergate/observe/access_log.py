"""The access log: one line a request, JSON for machines, short text for a terminal.

The loop renders the line and appends it to a bounded queue; one daemon thread writes it out in batches. An output
that is blocked, full or gone costs lines, never time: those that find the queue full, or that could not be
written, are counted, and the count is logged once the output takes lines again. A line is at most `LINE_LIMIT_BYTES`
long and written whole, so that workers can share one pipe.

No prompt, completion or key is ever in it: `detail` is written only for faults whose text is ours, because the
message of a client's or a provider's error may quote either. What a name must not do to a terminal is escaped.
"""

from __future__ import annotations

import math
import os
import re
import stat
import threading
import time
from collections import deque
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec

from feathergate.observe.access_line import AccessLine, LostLine
from feathergate.observe.outcome import TOKENS_LIMIT, Outcome

LINE_LIMIT_BYTES: Final = 1024
QUEUE_LIMIT_LINES = 8192
GATHER_S: Final = 0.02
"""How long the thread waits for company before it writes: at most fifty writes a second while it can keep up."""
RETRY_S = 0.5
PIPE_BATCH_BYTES: Final = 4096
"""PIPE_BUF: what a pipe takes in one piece, whoever else writes to it."""
FILE_BATCH_BYTES: Final = 262_144
"""A file takes any batch in one piece. Each write is a change of threads, a thousand a second with 4,096 bytes."""

OUR_FAULTS: Final = frozenset(
    (
        *("dns", "connect", "tls", "timeout_connect", "timeout_first_byte", "idle", "timeout_total"),
        *("reset", "truncated", "exhausted"),
    )
)
"""The faults whose `detail` the gateway has worded itself."""

Line = TypeVar("Line", bound=AccessLine | LostLine)

_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


_encode: Final = msgspec.json.Encoder().encode
_CUTS: Final = (160, 40, 10)
"""Characters that a member may have when its line is too long, tried in this order."""


class AccessLog:
    """Writes to `fd`; `text` is the form, by default short text on a terminal and JSON elsewhere."""

    def __init__(self, fd: int = 1, *, text: bool | None = None) -> None:
        self._fd = fd
        self._render = render_text if (os.isatty(fd) if text is None else text) else render_json
        self._batch_bytes = FILE_BATCH_BYTES if stat.S_ISREG(os.fstat(fd).st_mode) else PIPE_BATCH_BYTES
        self._queue: deque[bytes] = deque()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._overflowed = 0  # written by the loop only, the next three by the thread only
        self._unwritten = 0
        self._reported = 0
        self._torn = False
        self._give_up_at = math.inf
        self._writer = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._writer.start()

    def write(self, outcome: Outcome, wall_time_s: float) -> None:
        """Queue the line of a request that ended at `wall_time_s` (seconds since 1970). Never blocks."""
        if len(self._queue) >= QUEUE_LIMIT_LINES:
            self._overflowed += 1
            return
        self._queue.append(self._render(build_line(outcome, wall_time_s)))
        if not self._wake.is_set():
            self._wake.set()

    def close(self, timeout_s: float = 1.0) -> None:
        """Write out what is queued, for `timeout_s` at most."""
        self._give_up_at = time.monotonic() + timeout_s
        self._closing.set()
        self._wake.set()
        self._writer.join(timeout_s)

    def _run(self) -> None:
        while not self._closing.is_set():
            if not self._queue:
                self._wake.clear()
                if not (self._queue or self._closing.is_set()):
                    self._wake.wait()
            time.sleep(GATHER_S)
            self._drain()
        self._drain()

    def _drain(self) -> None:
        """Write until nothing is left, or the output fails."""
        while True:
            lost = self._overflowed + self._unwritten - self._reported
            if lost:
                line = self._render(LostLine(datetime.now(UTC), lost))
                if self._put(line) < len(line):
                    return
                self._reported += lost
            batch = self._take_batch()
            if not batch:
                return
            written = self._put(batch)
            self._unwritten += batch.count(b"\n", written)

    def _take_batch(self) -> bytes:
        lines: list[bytes] = []
        size = 0
        while self._queue and size <= self._batch_bytes - LINE_LIMIT_BYTES:
            line = self._queue.popleft()
            lines.append(line)
            size += len(line)
        return b"".join(lines)

    def _put(self, data: bytes) -> int:
        """How many bytes of `data` were written: all of them, or the output failed."""
        if self._torn and not self._write(b"\n"):
            return 0
        written = self._write(data)
        self._torn = 0 < written < len(data) and data[written - 1] != 0x0A
        return written

    def _write(self, data: bytes) -> int:
        done = 0
        while done < len(data):
            try:
                done += os.write(self._fd, data[done:])
            except BlockingIOError:  # a full pipe that somebody has made non-blocking
                if time.monotonic() >= self._give_up_at:
                    break
                time.sleep(GATHER_S)
            except OSError:
                self._closing.wait(RETRY_S)
                break
        return done


def build_line(outcome: Outcome, wall_time_s: float) -> AccessLine:
    # By position: names cost 0.6 us, three times what the encoder takes.
    started, first, usage = outcome.started, outcome.first_content, outcome.usage
    return AccessLine(
        datetime.fromtimestamp(wall_time_s, UTC),
        outcome.status,
        int((outcome.ended - started) * 10_000) / 10,
        outcome.request_id,
        outcome.model,
        outcome.provider,
        outcome.served_model,
        outcome.stream,
        None if first is None else int((first - started) * 10_000) / 10,
        None if usage is None else usage.prompt_tokens,
        None if usage is None else usage.completion_tokens,
        outcome.attempts,
        outcome.error,
        outcome.detail if outcome.error in OUR_FAULTS else "",
        outcome.dropped,
        outcome.client_request_id,
        outcome.deployment,
        outcome.asked if outcome.fallback else "",
        int(outcome.overhead_s * 100_000) / 100 or None,
    )


def render_json(line: AccessLine | LostLine) -> bytes:
    """One line of JSON with its line end, `LINE_LIMIT_BYTES` at most."""
    try:
        data = _encode(line)
    except ValueError:  # half a surrogate pair, or a number that Python refuses to write out
        data = b""
    if data and len(data) < LINE_LIMIT_BYTES and data.isascii() and 0x7F not in data:
        return data + b"\n"
    for cut in _CUTS:
        data = _encode(_tame(line, cut))
        if len(data) < LINE_LIMIT_BYTES:
            break
    return data + b"\n"


def render_text(line: AccessLine | LostLine) -> bytes:
    """One line for human eyes, with its line end, `LINE_LIMIT_BYTES` at most; the time is local."""
    clock = line.time.astimezone().strftime("%H:%M:%S")
    if isinstance(line, LostLine):
        return f"{clock}  access log: {line.lines} lines lost while the output was blocked\n".encode()
    text = ""
    for cut in _CUTS:
        text = "  ".join((clock, *_columns(_tame(line, cut))))
        if len(text.encode()) < LINE_LIMIT_BYTES:
            break
    return text.encode() + b"\n"


def _columns(line: AccessLine) -> list[str]:
    target = "/".join(filter(None, (line.provider, line.served_model)))
    columns = (
        str(line.status),
        f"{line.model or '-'} → {target}" if target else line.model or "-",
        _seconds(line.duration_ms),
        f"first {_seconds(line.first_content_ms)}" if line.first_content_ms is not None else "",
        f"{line.prompt_tokens}/{line.completion_tokens} tok" if line.prompt_tokens is not None else "",
        f"{line.attempts} attempts" if line.attempts > 1 else "",
        f"{line.error}: {line.detail}" if line.detail else line.error,
        f"dropped {','.join(line.dropped)}" if line.dropped else "",
        line.request_id,
    )
    return [column for column in columns if column]


def _seconds(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def _tame(line: Line, cut: int) -> Line:
    """The same line with every text and number cut and without anything that could steer a terminal."""
    tamed: dict[str, Any] = {name: _tame_value(value, cut) for name, value in msgspec.structs.asdict(line).items()}
    return msgspec.structs.replace(line, **tamed)


def _tame_value(value: object, cut: int) -> object:
    if isinstance(value, str):
        text = value if len(value) <= cut else value[:cut] + "…"
        return _UNSAFE.sub(lambda match: f"\\u{ord(match.group()):04x}", text)
    if isinstance(value, tuple):
        return tuple(_tame_value(item, cut) for item in value[: cut // 10])
    if isinstance(value, int):
        return max(-TOKENS_LIMIT, min(value, TOKENS_LIMIT))
    return value
