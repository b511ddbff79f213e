"""Which conversation a request belongs to, and which deployment answered it last: prompt caches are the provider's,
and each deployment has its own.

A conversation is known by its group, the system and developer messages before its first user message, and that
message: what every later turn repeats byte for byte. They are hashed as the client wrote them; of a message over
8 KiB its length and its first and last 4 KiB, which bounds the cost, and a wrong guess costs no more than a cold cache.
A small conversation's key costs about 1.4 µs, one that begins with 1 MB 8 µs, and 0.2 ms where the client does not
write the role first, because the message is then read for it. No text is kept, only 64 bits.
Not here: whether the deployment is healthy, and when a request follows it. Hash: BLAKE2b, RFC 7693.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

import msgspec
from msgspec import Raw

_WHOLE_LIMIT_BYTES: Final = 8192
_EDGE_BYTES: Final = 4096
_BEFORE: Final = frozenset({b"system", b"developer"})
_HALF: Final = 0xFFFF_FFFF

_FIRST_MEMBER = re.compile(rb'\s*\{\s*"role"\s*:\s*"([a-z]+)"')
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode


def build_key(group: str, messages: Sequence[Raw]) -> int | None:
    """64 bits that know the conversation; None where it holds no user message."""
    said = [group.encode(errors="replace")]
    for message in messages:
        role = _find_role(message)
        if role == b"user":
            said.append(_shorten(message))
            # JSON holds no NUL, so no two lists of messages join to the same bytes.
            return int.from_bytes(blake2b(b"\0".join(said), digest_size=8).digest(), "little")
        if role in _BEFORE:
            said.append(_shorten(message))
    return None


def has_answer(messages: Sequence[Raw]) -> bool:
    """Whether an assistant has spoken: this is a later turn. From the end, where a later turn has one at once."""
    return b"assistant" in map(_find_role, reversed(messages))


def hash_id(deployment_id: str) -> int:
    """A deployment's id as `AffinityTable` holds it: 1 to 2^32 - 1, the same in every process."""
    digest = blake2b(deployment_id.encode(errors="replace"), digest_size=4).digest()
    return int.from_bytes(digest, "little") or 1


class AffinityTable:
    """From conversations to the deployments that answered them, in memory that all workers share.

    One cell of 8 bytes a conversation: half of its key, and the deployment's hash. A cell is read and written whole,
    so no lock is needed and no reader sees a mixture; the other half of the key says which cell, so a new conversation
    overwrites an old one, and the table never grows. `buffer` is writable, begins at a multiple of 8 bytes, and is
    zeroed once, before the first worker.
    """

    __slots__ = ("_cells", "_count")

    def __init__(self, buffer: memoryview) -> None:
        whole = buffer.cast("B")
        self._cells = whole[: len(whole) // 8 * 8].cast("Q")
        self._count = len(self._cells)
        if not self._count:
            raise ValueError(f"an affinity table needs a buffer of 8 bytes at least, and this has {len(whole)}")

    def note(self, key: int, deployment: int) -> None:
        """The conversation `key` was answered by the deployment of this hash (see `hash_id`)."""
        self._cells[(key & _HALF) % self._count] = key >> 32 << 32 | deployment

    def find(self, key: int) -> int | None:
        """The hash of the deployment that answered last; None where it is not known, or not any more."""
        cell = self._cells[(key & _HALF) % self._count]
        return cell & _HALF if cell and cell >> 32 == key >> 32 else None


def _find_role(message: Raw) -> bytes:
    """Who speaks; empty where the message does not say so. Most clients write it first, and only that is read."""
    first = _FIRST_MEMBER.match(message)
    if first is not None:
        return first[1]
    try:
        return bytes(_decode_members(message).get("role", b"")).strip(b'"')
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return b""


def _shorten(message: Raw) -> bytes:
    if len(message) <= _WHOLE_LIMIT_BYTES:
        return bytes(message)
    view = memoryview(message)
    return b"".join((b"%d" % len(view), view[:_EDGE_BYTES], view[-_EDGE_BYTES:]))
