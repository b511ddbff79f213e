"""Gemini's grounding as OpenAI's `url_citation` annotations.

Gemini counts bytes of UTF-8 where OpenAI counts characters, and counts them in the answer's text without its
thoughts. Its documents count from the start of part `partIndex`, its servers from the start of the text: the
segment's own words tell which is meant. Source: reference/wire/gemini.md section 5.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from feathergate.wire.gemini import GroundingChunk, GroundingMetadata, Segment


def build_annotations(metadata: GroundingMetadata, pieces: Sequence[str]) -> tuple[dict[str, Any], ...]:
    """`pieces` has an entry a part, empty where the part is no text; the citations count in their join."""
    encoded = [piece.encode() for piece in pieces]
    starts = [0, *accumulate(map(len, encoded))]
    content = b"".join(encoded)
    chunks = metadata.grounding_chunks or []
    items: list[dict[str, Any]] = []
    for support in metadata.grounding_supports or ():
        if support.segment is None:
            continue
        start, end = _place(support.segment, content, starts)
        for source in _sources(chunks, support.grounding_chunk_indices or ()):
            citation = {"start_index": start, "end_index": end, **source}
            items.append({"type": "url_citation", "url_citation": citation})
    return tuple(items)


def _place(segment: Segment, content: bytes, starts: list[int]) -> tuple[int, int]:
    """Where the segment stands in the content, in characters; its end is exclusive."""
    part = segment.part_index if 0 <= segment.part_index < len(starts) else 0
    base = starts[part]
    words = segment.text.encode()
    if words and content[base + segment.start_index : base + segment.end_index] != words:
        base = 0
    return _count_characters(content, base + segment.start_index), _count_characters(content, base + segment.end_index)


def _count_characters(content: bytes, length_bytes: int) -> int:
    return len(content[: max(length_bytes, 0)].decode(errors="ignore"))


def _sources(chunks: list[GroundingChunk], indices: Sequence[int]) -> Iterator[dict[str, str]]:
    for index in indices:
        chunk = chunks[index] if 0 <= index < len(chunks) else GroundingChunk()
        source = chunk.web or chunk.maps or chunk.retrieved_context
        if source is not None and source.uri:
            yield {"title": source.title or "", "url": source.uri}
