"""Every row of phase 1 of reliability.md, sections 2.1 to 2.3 and 3: the tests that show it, or a reason why none does.

The rows of a section stand in `rows/`. A row that has tests may have a reason too: for the part that they do not show.
`test_registry.py` holds each name to a test that there is, and the list of ids to the reference where that is there.
"""

from __future__ import annotations

from tests.faults.rows import client, process, security, upstream


def _number(letter: str, *spans: tuple[int, int]) -> tuple[str, ...]:
    return tuple(f"{letter}{number:02}" for first, last in spans for number in range(first, last + 1))


IDS = (
    *_number("U", (1, 57)),
    *_number("C", (1, 30)),
    *_number("P", (1, 24)),
    *_number("S", (1, 6), (18, 23), (26, 28), (31, 46), (49, 49), (64, 69)),
)
ROWS: dict[str, tuple[str, ...]] = upstream.TESTS | client.TESTS | process.TESTS | security.TESTS

_RELEASE = "of a release and its pipeline, which there is none of yet: no running gateway shows it"
REASONS: dict[str, str] = {
    "U03": "SERVFAIL by a name server of its own needs a network namespace: a resolver that fails stands in for it",
    "U56": "packets are lost only in a network namespace: what loss makes of a connection is played by the fault proxy",
    "C06": "a vanished peer needs a network namespace: shown are the probes that find it, and the deadline of a write",
    "P05": "a key that nobody knows is a warning with its place and not an error, so that LiteLLM's files load",
    "P08": "a hung worker is not killed: others take what comes, and /health of a lone one stops answering",
    "P11": "a limit of the kernel's own needs a cgroup to write to: the limits are read from files that stand for it",
    "P14": "phase 1 writes nothing but its log, from a thread; fsync and a store come with phase 2",
    "P17": "taking the system's files away needs a mount namespace: shown is each failure that this leads to",
    "P20": "24 hours are for a release: shown is the same load in its first minutes, with an equal warm-up",
    "P23": "there is no store in phase 1 and no earlier release: shown is one build that takes over from itself",
    "S06": "the key is compared by its SHA-256 digest in constant time (S05), which no timing of clients tells apart",
    "S22": "SSLKEYLOGFILE is Python's own: an operator who sets it asks for it",
    "S65": _RELEASE,
    "S66": _RELEASE,
    "S67": _RELEASE,
    "S68": _RELEASE,
    "S69": _RELEASE,
}
